//! DTLS handshakes per second and core, server side, beside a bare webrtc-dtls server in the same run.
//!
//! `cargo bench --bench dtls [-- --gate]`; the aim is 1,000 handshakes a second, and what counts is the ratio: what we put
//! around the library may cost a tenth. With `--gate` the exit status says whether it does.
//!
//! The server has a thread of its own, whose CPU time is counted; its peers, bare clients of the library, have another.
//! Rounds are interleaved; each figure is the median of its rounds, the ratio the median of the rounds' ratios.

use b2bua::media::dtls::{Dtls, Event, Identity, Limits, Role, SUITES, Setup};
use std::{
    any::Any,
    net::SocketAddr,
    process::ExitCode,
    sync::Arc,
    thread,
    time::{Duration, SystemTime},
};
use tokio::{
    runtime::{Builder, Runtime},
    sync::{Mutex, mpsc},
};
use webrtc_dtls::{
    cipher_suite::CipherSuiteId,
    config::{ClientAuthType, Config},
    conn::DTLSConn,
    crypto::Certificate,
    extension::extension_use_srtp::SrtpProtectionProfile,
};
use webrtc_dtls_util::{Conn, Error, KeyingMaterialExporter as _};

const ROUNDS: usize = 15;
const HANDSHAKES: usize = 100;
const MOST_COST: f64 = 1.1;

type Datagrams = mpsc::UnboundedSender<Vec<u8>>;

/// Two queues.
struct Queues {
    out: Datagrams,
    incoming: Mutex<mpsc::UnboundedReceiver<Vec<u8>>>,
}

#[async_trait::async_trait]
impl Conn for Queues {
    async fn recv(&self, buffer: &mut [u8]) -> Result<usize, Error> {
        match self.incoming.lock().await.recv().await {
            Some(datagram) => {
                buffer[..datagram.len()].copy_from_slice(&datagram);
                Ok(datagram.len())
            }
            None => std::future::pending().await,
        }
    }
    async fn send(&self, datagram: &[u8]) -> Result<usize, Error> {
        let _ = self.out.send(datagram.to_vec());
        Ok(datagram.len())
    }
    async fn connect(&self, _: SocketAddr) -> Result<(), Error> {
        Ok(())
    }
    async fn recv_from(&self, _: &mut [u8]) -> Result<(usize, SocketAddr), Error> {
        Err(Error::Other("not used".to_owned()))
    }
    async fn send_to(&self, _: &[u8], _: SocketAddr) -> Result<usize, Error> {
        Err(Error::Other("not used".to_owned()))
    }
    fn local_addr(&self) -> Result<SocketAddr, Error> {
        Err(Error::Other("not used".to_owned()))
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    async fn close(&self) -> Result<(), Error> {
        Ok(())
    }
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}

/// As ours is configured.
fn config(certificate: &Certificate) -> Config {
    Config {
        certificates: vec![certificate.clone()],
        cipher_suites: vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256],
        srtp_protection_profiles: vec![SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm],
        client_auth: ClientAuthType::RequireAnyClientCert,
        insecure_skip_verify: true,
        server_name: "b2bua.invalid".to_owned(),
        ..Config::default()
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
}

/// What this thread has had of a core.
fn spent() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux says so");
    let first = text.split_ascii_whitespace().next();
    let nanoseconds = first.and_then(|first| first.parse().ok()).expect("a number");
    Duration::from_nanos(nanoseconds)
}

/// Begins a client on the other thread, which has this many to do; gives its queues.
fn client(
    handle: &tokio::runtime::Handle,
    certificate: &Certificate,
) -> (Datagrams, mpsc::UnboundedReceiver<Vec<u8>>) {
    let (to_client, incoming) = mpsc::unbounded_channel();
    let (out, from_client) = mpsc::unbounded_channel();
    let config = config(certificate);
    handle.spawn(async move {
        let incoming = Mutex::new(incoming);
        let queues = Arc::new(Queues { out, incoming });
        let connection = DTLSConn::new(queues, config, true, None).await;
        drop(connection.expect("the client's side"));
    });
    (to_client, from_client)
}

/// CPU time of a handshake for a bare server.
fn bare(clients: &tokio::runtime::Handle, theirs: &Certificate, ours: &Certificate) -> f64 {
    let runtime = runtime();
    let begun = spent();
    for _ in 0..HANDSHAKES {
        let (out, incoming) = client(clients, theirs);
        let incoming = Mutex::new(incoming);
        let queues = Arc::new(Queues { out, incoming });
        runtime.block_on(async {
            let connection = DTLSConn::new(queues, config(ours), false, None).await;
            let connection = connection.expect("the server's side");
            let state = connection.connection_state().await;
            let keys = state.export_keying_material("EXTRACTOR-dtls_srtp", &[], 56).await;
            assert_eq!(keys.expect("keys").len(), 56);
            connection.close().await.expect("a close_notify");
        });
    }
    (spent() - begun).as_secs_f64() / HANDSHAKES as f64
}

/// CPU time of a handshake for a server of ours.
fn ours(clients: &tokio::runtime::Handle, theirs: &Certificate, setup: &Setup) -> f64 {
    let runtime = runtime();
    let dtls = Dtls::new(Limits {
        per_second: 0,
        ..Limits::default()
    });
    let begun = spent();
    for _ in 0..HANDSHAKES {
        let (out, mut incoming) = client(clients, theirs);
        runtime.block_on(async {
            let (said, mut results) = mpsc::unbounded_channel();
            let sink = Arc::new(move |event| match event {
                Event::Transmit(datagram) => drop(out.send(datagram)),
                result => drop(said.send(result)),
            });
            let association = dtls.begin(setup.clone(), sink).expect("room for one");
            loop {
                tokio::select! {
                    Some(datagram) = incoming.recv() => association.receive(&datagram),
                    Some(Event::Keyed(keys)) = results.recv() => {
                        assert_eq!(keys.send.master.len(), 28);
                        break association.close();
                    }
                    else => panic!("no keys"),
                }
            }
        });
    }
    (spent() - begun).as_secs_f64() / HANDSHAKES as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> ExitCode {
    let gate = std::env::args().any(|argument| argument == "--gate");
    let theirs = Certificate::generate_self_signed(vec!["peer".to_owned()]).expect("a certificate");
    let certificate = Certificate::generate_self_signed(vec!["b2bua".to_owned()]).expect("a certificate");
    let fingerprint = {
        use sha2::Digest as _;
        b2bua::sdp::Fingerprint {
            hash: b2bua::sdp::fingerprint::HashFunction::Sha256,
            value: sha2::Sha256::digest(&theirs.certificate[0]).to_vec(),
        }
    };
    #[expect(clippy::disallowed_methods, reason = "certificates have dates")]
    let now = SystemTime::now();
    let setup = Setup {
        identity: Arc::new(Identity::ephemeral(now).expect("randomness")),
        role: Role::Server,
        fingerprints: vec![fingerprint],
        suites: SUITES.to_vec(),
        deadline: Duration::from_secs(20),
        retransmit: Duration::from_secs(1),
    };
    let (sender, handle) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let runtime = runtime();
        let _ = sender.send(runtime.handle().clone());
        runtime.block_on(std::future::pending::<()>());
    });
    let clients = handle.recv().expect("the other thread");
    let (mut plain, mut guarded, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let a = bare(&clients, &theirs, &certificate);
        let b = ours(&clients, &theirs, &setup);
        plain.push(a);
        guarded.push(b);
        ratios.push(b / a);
    }
    let (plain, guarded, cost) = (median(plain), median(guarded), median(ratios));
    println!(
        "bare webrtc-dtls   {:7.1} us {:6.0} handshakes/s per core",
        plain * 1e6,
        1.0 / plain
    );
    println!(
        "b2bua              {:7.1} us {:6.0} handshakes/s per core",
        guarded * 1e6,
        1.0 / guarded
    );
    println!("cost of what is around it: {cost:.2} of a bare one, at most {MOST_COST}");
    if gate && cost > MOST_COST {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
