//! DTLS-SRTP as the phones speak it: webrtc-dtls (RFC 5763, RFC 5764).

use super::Error;
use super::crypto::{Key, Suite};
use rcgen::{CertificateParams, KeyPair};
use std::any::Any;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;
use webrtc_dtls::cipher_suite::CipherSuiteId;
use webrtc_dtls::config::{ClientAuthType, Config};
use webrtc_dtls::conn::DTLSConn;
use webrtc_dtls::crypto::{Certificate, CryptoPrivateKey};
use webrtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile as Profile;
use webrtc_dtls_util::{Conn, KeyingMaterialExporter as _};

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Datagrams that may wait for a handshake.
const QUEUE: usize = 64;

/// The phones' certificate: one for all of a process, they are told apart by nothing else.
static CERTIFICATE: LazyLock<Certificate> = LazyLock::new(|| {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else was quicker: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let key = KeyPair::generate().expect("the system gives randomness");
    let certificate = CertificateParams::default()
        .self_signed(&key)
        .expect("a fresh key signs its own certificate");
    Certificate {
        certificate: vec![certificate.der().clone()],
        private_key: CryptoPrivateKey::from_key_pair(&key).expect("rcgen's default is ECDSA on P-256"),
    }
});

/// What a description says of DTLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The values of its `a=fingerprint` lines with sha-256, in capitals.
    pub fingerprints: Vec<String>,
    /// `a=setup`.
    pub setup: Setup,
}

/// Who begins (RFC 4145 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setup {
    /// Its writer.
    Active,
    /// The other.
    Passive,
    /// Either: an offer.
    Actpass,
}

impl Setup {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::Actpass => "actpass",
        }
    }

    /// Reads the word.
    pub fn read(word: &str) -> Option<Self> {
        [Self::Active, Self::Passive, Self::Actpass]
            .into_iter()
            .find(|setup| setup.word() == word)
    }
}

/// The value of the phones' `a=fingerprint` line.
pub fn fingerprint() -> String {
    format!("sha-256 {}", hash(&CERTIFICATE.certificate[0]))
}

fn hash(certificate: &[u8]) -> String {
    use sha2::Digest as _;
    let octets = sha2::Sha256::digest(certificate);
    let octets: Vec<_> = octets.iter().map(|octet| format!("{octet:02X}")).collect();
    octets.join(":")
}

/// The keys of one component: ours, then theirs.
pub type Keys = (Key, Key);

/// A handshake that goes on. Dropping it ends it.
pub struct Handshake {
    incoming: mpsc::Sender<Vec<u8>>,
    task: AbortHandle,
}

impl Handshake {
    /// Begins one in the tokio runtime that this is called in, as client or as server. `send` takes what is to be sent, and
    /// `done` is told how it ended.
    pub fn begin(
        client: bool,
        fingerprints: Vec<String>,
        send: impl Fn(&[u8]) + Send + Sync + 'static,
        done: impl FnOnce(Result<Keys, Error>) + Send + 'static,
    ) -> Self {
        let (incoming, queue) = mpsc::channel(QUEUE);
        let path = Arc::new(Path {
            send: Box::new(send),
            incoming: Mutex::new(queue),
        });
        let task = tokio::spawn(async move { done(shake(client, &fingerprints, path).await) });
        Self {
            incoming,
            task: task.abort_handle(),
        }
    }

    /// Takes a datagram of it.
    pub fn take(&self, datagram: &[u8]) {
        // After the handshake nobody listens.
        let _ = self.incoming.try_send(datagram.to_vec());
    }
}

/// Whether a datagram is one of DTLS (RFC 7983 §7).
pub fn is_dtls(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(20..=63))
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[expect(clippy::disallowed_methods, reason = "a phone is a driver: its patience ends")]
async fn shake(client: bool, fingerprints: &[String], path: Arc<Path>) -> Result<Keys, Error> {
    let failed = |what: String| Error::Session(format!("DTLS: {what}"));
    let shaken = tokio::time::timeout(PATIENCE, DTLSConn::new(path, config(), client, None)).await;
    let connection = shaken
        .map_err(|_| failed("no handshake within 10 s".to_owned()))?
        .map_err(|error| failed(error.to_string()))?;
    let state = connection.connection_state().await;
    let shown = state
        .peer_certificates
        .first()
        .map(|certificate| hash(certificate));
    if !shown.as_ref().is_some_and(|shown| fingerprints.contains(shown)) {
        return Err(failed(format!(
            "the certificate shown is {shown:?}, announced was {fingerprints:?}"
        )));
    }
    let suite = match connection.selected_srtpprotection_profile() {
        Profile::Srtp_Aes128_Cm_Hmac_Sha1_80 => Suite::AesCm128Sha1_80,
        Profile::Srtp_Aes128_Cm_Hmac_Sha1_32 => Suite::AesCm128Sha1_32,
        Profile::Srtp_Aead_Aes_128_Gcm => Suite::AesGcm128,
        Profile::Srtp_Aead_Aes_256_Gcm => Suite::AesGcm256,
        Profile::Unsupported => return Err(failed("no profile was agreed on".to_owned())),
    };
    // RFC 5764 §4.2: client's key, server's key, client's salt, server's salt.
    let (key, salt) = suite.lengths();
    let exported = state
        .export_keying_material("EXTRACTOR-dtls_srtp", &[], 2 * (key + salt))
        .await
        .map_err(|error| failed(error.to_string()))?;
    let of = |which: usize| {
        let (from, salted) = (which * key, 2 * key + which * salt);
        let master = [&exported[from..from + key], &exported[salted..salted + salt]].concat();
        Key::exported(suite, master)
    };
    Ok(if client { (of(0), of(1)) } else { (of(1), of(0)) })
}

fn config() -> Config {
    Config {
        certificates: vec![CERTIFICATE.clone()],
        cipher_suites: vec![CipherSuiteId::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256],
        srtp_protection_profiles: vec![
            Profile::Srtp_Aes128_Cm_Hmac_Sha1_80,
            Profile::Srtp_Aead_Aes_128_Gcm,
        ],
        client_auth: ClientAuthType::RequireAnyClientCert,
        // No authority has signed it: its fingerprint was announced.
        insecure_skip_verify: true,
        server_name: "phone.invalid".to_owned(),
        ..Config::default()
    }
}

/// Takes a datagram for the other side.
type Sender = dyn Fn(&[u8]) + Send + Sync;

/// The way to the other side.
struct Path {
    send: Box<Sender>,
    incoming: Mutex<mpsc::Receiver<Vec<u8>>>,
}

type UtilResult<T> = Result<T, webrtc_dtls_util::Error>;

fn unused<T>() -> UtilResult<T> {
    Err(webrtc_dtls_util::Error::Other("not used".to_owned()))
}

#[async_trait::async_trait]
impl Conn for Path {
    async fn recv(&self, buffer: &mut [u8]) -> UtilResult<usize> {
        match self.incoming.lock().await.recv().await {
            Some(datagram) if datagram.len() <= buffer.len() => {
                buffer[..datagram.len()].copy_from_slice(&datagram);
                Ok(datagram.len())
            }
            Some(_) => Ok(0),
            None => std::future::pending().await,
        }
    }
    async fn send(&self, datagram: &[u8]) -> UtilResult<usize> {
        (self.send)(datagram);
        Ok(datagram.len())
    }
    async fn connect(&self, _: SocketAddr) -> UtilResult<()> {
        unused()
    }
    async fn recv_from(&self, _: &mut [u8]) -> UtilResult<(usize, SocketAddr)> {
        unused()
    }
    async fn send_to(&self, _: &[u8], _: SocketAddr) -> UtilResult<usize> {
        unused()
    }
    fn local_addr(&self) -> UtilResult<SocketAddr> {
        unused()
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    async fn close(&self) -> UtilResult<()> {
        Ok(())
    }
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}
