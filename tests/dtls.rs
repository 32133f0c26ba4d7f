//! DTLS-SRTP with a peer that is not ours: OpenSSL's command line, as client and as server.
//!
//! OpenSSL prints what its exporter gives (RFC 5705); our keys have to be cut out of the same octets.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

#[path = "dtls/openssl.rs"]
mod openssl;

use b2bua::{
    media::{
        Suite,
        dtls::{Association, Dtls, DtlsError, DtlsKeys, Event, Identity, Limits, Role, SUITES, Setup},
    },
    sdp::Fingerprint,
};
use openssl::{P256, P384, Peer, RSA, Theirs};
use std::{
    io::Write as _,
    net::{SocketAddr, UdpSocket},
    path::Path,
    process::{Command, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, SystemTime},
};

/// What OpenSSL must have printed when these are our keys.
fn exported(keys: &DtlsKeys, role: Role) -> String {
    let (client, server) = match role {
        Role::Client => (&keys.send, &keys.receive),
        Role::Server => (&keys.receive, &keys.send),
    };
    let at = client.suite.key_length();
    let (client, server) = (client.master.split_at(at), server.master.split_at(at));
    let octets = [client.0, server.0, client.1, server.1].concat();
    octets.iter().map(|octet| format!("{octet:02X}")).collect()
}

#[expect(clippy::disallowed_methods, reason = "OpenSSL is on the machine's time")]
fn setup(role: Role, fingerprint: Fingerprint, suites: &[Suite]) -> Setup {
    Setup {
        identity: Arc::new(Identity::ephemeral(SystemTime::now()).unwrap()),
        role,
        fingerprints: vec![fingerprint],
        suites: suites.to_vec(),
        deadline: Duration::from_secs(30),
        retransmit: Duration::from_millis(500),
    }
}

/// Our side on a socket of its own.
struct Ours {
    association: Option<Association>,
    results: mpsc::Receiver<Result<DtlsKeys, DtlsError>>,
    runtime: tokio::runtime::Runtime,
    socket: Arc<UdpSocket>,
}

impl Ours {
    /// Talks to whoever is at `remote`, or, as a server, to whoever speaks first.
    fn begin(setup: Setup, remote: Option<SocketAddr>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_time()
            .build()
            .unwrap();
        let socket = Arc::new(UdpSocket::bind("127.0.0.1:0").unwrap());
        if let Some(remote) = remote {
            socket.connect(remote).unwrap();
        }
        let (sender, results) = mpsc::channel();
        let out = socket.clone();
        let sink = Arc::new(move |event| match event {
            // A peer that is gone answers by ICMP.
            Event::Transmit(datagram) => drop(out.send(&datagram)),
            Event::Keyed(keys) => drop(sender.send(Ok(*keys))),
            Event::Failed(error) => drop(sender.send(Err(error))),
        });
        let guard = runtime.enter();
        let association = Dtls::new(Limits::default()).begin(setup, sink).unwrap();
        drop(guard);
        Self {
            association: Some(association),
            results,
            runtime,
            socket,
        }
    }
    /// Until there is a result.
    fn finish(&self) -> Result<DtlsKeys, DtlsError> {
        let wait = Some(Duration::from_millis(20));
        self.socket.set_read_timeout(wait).unwrap();
        let mut buffer = [0; 4096];
        loop {
            if let Ok(result) = self.results.try_recv() {
                return result;
            }
            // Nothing yet, or the peer is gone: the deadline comes.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else {
                continue;
            };
            if self.socket.peer_addr().is_err() {
                self.socket.connect(from).unwrap();
            }
            if let Some(association) = &self.association {
                association.receive(&buffer[..length]);
            }
        }
    }
    fn close(&mut self) {
        let _guard = self.runtime.enter();
        self.association.take().unwrap().close();
    }
}

/// A server of OpenSSL's that takes one client and wants its certificate.
const LISTENS: [&str; 7] = [
    "s_server",
    "-naccept",
    "1",
    "-accept",
    "127.0.0.1:0",
    "-Verify",
    "1",
];

/// We are the client, OpenSSL the server.
fn to_server(kind: &[&str], suites: &[Suite], hash: &str, more: &[&str]) {
    let theirs = Theirs::new(kind);
    let arguments = [&LISTENS, more].concat();
    let mut peer = Peer::start(&theirs, suites, &arguments);
    let address = peer.until("ACCEPT ").expect("it listens");
    let setup = setup(Role::Client, theirs.fingerprint(hash), &SUITES);
    let mut ours = Ours::begin(setup, Some(address.parse().unwrap()));
    let keys = ours.finish().unwrap();
    assert_eq!(keys.send.suite, suites[0]);
    let printed = peer.until("Keying material: ").expect("it has keys");
    assert_eq!(printed, exported(&keys, Role::Client));
    ours.close();
    assert!(peer.ends_well(), "by our close_notify");
}

/// We are the server, OpenSSL the client.
fn to_client(kind: &[&str], suites: &[Suite], hash: &str, more: &[&str]) {
    let theirs = Theirs::new(kind);
    let mut ours = Ours::begin(setup(Role::Server, theirs.fingerprint(hash), &SUITES), None);
    let address = ours.socket.local_addr().unwrap().to_string();
    let arguments = [&["s_client", "-connect", &address], more].concat();
    let mut peer = Peer::start(&theirs, suites, &arguments);
    let keys = ours.finish().unwrap();
    assert_eq!(keys.send.suite, suites[0]);
    let printed = peer.until("Keying material: ").expect("it has keys");
    assert_eq!(printed, exported(&keys, Role::Server));
    ours.close();
    assert!(peer.ends_well(), "by our close_notify");
}

#[test]
fn every_suite_gives_the_keys_that_openssl_has() {
    for suite in SUITES {
        to_server(P256, &[suite], "sha-256", &[]);
        to_client(P256, &[suite], "sha-256", &[]);
    }
}

#[test]
fn rsa_peers_are_understood() {
    to_server(RSA, &[Suite::AesCm128HmacSha1_80], "sha-256", &[]);
    to_client(RSA, &[Suite::AesCm128HmacSha1_80], "sha-256", &[]);
}

#[test]
fn every_hash_function_is_computed_as_openssl_does() {
    for hash in ["sha-1", "sha-224", "sha-256", "sha-384", "sha-512"] {
        to_server(P256, &[Suite::AesCm128HmacSha1_80], hash, &[]);
    }
}

#[test]
fn a_peer_on_a_narrow_path_sends_its_certificate_in_many_parts() {
    let suites = [Suite::AesCm128HmacSha1_80];
    to_server(RSA, &suites, "sha-256", &["-mtu", "256"]);
    to_client(RSA, &suites, "sha-256", &["-mtu", "256"]);
}

#[test]
fn a_wrong_certificate_gives_no_keys() {
    let (theirs, other) = (Theirs::new(P256), Theirs::new(P256));
    let suites = [Suite::AesCm128HmacSha1_80];
    let ours = Ours::begin(setup(Role::Server, other.fingerprint("sha-256"), &SUITES), None);
    let address = ours.socket.local_addr().unwrap().to_string();
    let mut peer = Peer::start(&theirs, &suites, &["s_client", "-connect", &address]);
    let error = ours.finish().unwrap_err();
    assert!(
        matches!(&error, DtlsError::Fingerprint { found, .. } if *found == theirs.fingerprint("sha-256")),
        "{error}"
    );
    assert!(!peer.ends_well());
    assert!(peer.child.try_wait().unwrap().is_some(), "it is told");
}

#[test]
fn a_client_without_a_certificate_is_refused() {
    let theirs = Theirs::new(P256);
    let ours = Ours::begin(setup(Role::Server, theirs.fingerprint("sha-256"), &SUITES), None);
    let address = ours.socket.local_addr().unwrap().to_string();
    let mut peer = Command::new("openssl")
        .args(["s_client", "-dtls1_2", "-connect", &address])
        .args(["-use_srtp", "SRTP_AES128_CM_SHA1_80"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let error = ours.finish().unwrap_err();
    assert_eq!(error, DtlsError::NoCertificate);
    let _ = peer.stdin.take().map(|mut input| input.write_all(b"Q\n"));
    let _ = peer.kill();
    let _ = peer.wait();
}

#[test]
fn a_client_that_speaks_no_srtp_is_refused() {
    let theirs = Theirs::new(P256);
    let ours = Ours::begin(setup(Role::Server, theirs.fingerprint("sha-256"), &SUITES), None);
    let address = ours.socket.local_addr().unwrap().to_string();
    let mut peer = Command::new("openssl")
        .args(["s_client", "-dtls1_2", "-connect", &address])
        .args([
            Path::new("-cert"),
            &theirs.path("cert"),
            Path::new("-key"),
            &theirs.path("key"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    assert_eq!(ours.finish().unwrap_err(), DtlsError::NoProfile);
    let _ = peer.kill();
    let _ = peer.wait();
}

#[test]
fn a_signature_that_cannot_be_verified_is_named() {
    let theirs = Theirs::new(P384);
    let suites = [Suite::AesCm128HmacSha1_80];
    let ours = Ours::begin(setup(Role::Server, theirs.fingerprint("sha-256"), &SUITES), None);
    let address = ours.socket.local_addr().unwrap().to_string();
    let arguments = ["s_client", "-connect", &address, "-sigalgs", "ECDSA+SHA256"];
    let _peer = Peer::start(&theirs, &suites, &arguments);
    assert_eq!(ours.finish().unwrap_err(), DtlsError::Signature);
}

/// A ClientHello that names a session does not pass our gate. OpenSSL keeps those that can be resumed; ours cannot, so there is none
/// to name.
#[test]
#[expect(clippy::disallowed_methods, reason = "OpenSSL is on the machine's time")]
fn a_session_with_us_is_not_one_to_come_back_to() {
    let theirs = Theirs::new(P256);
    let suites = [Suite::AesCm128HmacSha1_80];
    let kept = theirs.path("session");
    let out = kept.display().to_string();
    let keeps = |address: &str| {
        Peer::start(
            &theirs,
            &suites,
            &["s_client", "-connect", address, "-sess_out", &out],
        )
    };
    let mut ours = Ours::begin(setup(Role::Server, theirs.fingerprint("sha-256"), &SUITES), None);
    let mut client = keeps(&ours.socket.local_addr().unwrap().to_string());
    ours.finish().unwrap();
    client.until("Keying material:").expect("it has keys");
    ours.close();
    assert!(client.ends_well());
    assert!(!kept.exists());
    // It would have kept another's.
    let mut server = Peer::start(&theirs, &suites, &LISTENS);
    let address = server.until("ACCEPT ").expect("it listens");
    let mut client = keeps(&address);
    client.until("Keying material:").expect("it has keys");
    for _ in 0..500 {
        if kept.exists() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it keeps no session at all");
}
