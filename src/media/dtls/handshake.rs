//! One handshake, from its turn to its keys.

use super::{
    DtlsError, DtlsKeys, Role, Setup, Suite, admission::Admission, identity::fingerprint, keys, pipe::Pipe,
};
use crate::sdp::{Fingerprint, fingerprint::strongest};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::{sync::OwnedSemaphorePermit, time::timeout};
use webrtc_dtls::{
    cipher_suite::CipherSuiteId as Cipher,
    config::{ClientAuthType, Config, ExtendedMasterSecretType},
    conn::DTLSConn,
    extension::extension_use_srtp::SrtpProtectionProfile,
    signature_hash_algorithm::SignatureScheme,
};
use webrtc_dtls_util::KeyingMaterialExporter as _;
use zeroize::Zeroizing;

/// The name that our ClientHello asks for: the library always asks for one, and RFC 6066 §3 allows no address.
const SERVER_NAME: &str = "b2bua.invalid";
/// To write the close_notify, which goes nowhere yet.
const CLOSE: Duration = Duration::from_secs(1);

/// The library builds certificate verifiers that are never asked; they want cryptography of the process.
pub(super) fn provide_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Somebody else was quicker: as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Waits for the peer, if it is to begin, and for our turn, and does the handshake. The permit is to be held as long as the
/// handshake's state.
pub(super) async fn run(
    setup: &Setup,
    pipe: &Arc<Pipe>,
    admission: &Admission,
    turn: &Turn,
) -> Result<DtlsKeys, DtlsError> {
    let expected: Vec<_> = strongest(&setup.fingerprints).cloned().collect();
    if expected.is_empty() {
        return Err(DtlsError::NoFingerprint);
    }
    let profiles: Vec<_> = setup
        .suites
        .iter()
        .filter_map(|&suite| keys::profile(suite))
        .collect();
    if profiles.is_empty() {
        return Err(DtlsError::NoSuite);
    }
    if setup.role == Role::Server {
        pipe.begun().await.map_err(|_| DtlsError::Flood)?;
    }
    turn.set(Stage::Queued);
    let _permit: Option<OwnedSemaphorePermit> = admission.turn().await;
    turn.set(Stage::Begun);
    let mut agreed = Box::pin(agree(setup, expected, profiles, pipe));
    let unwound = std::future::poll_fn(|context| {
        match catch_unwind(AssertUnwindSafe(|| agreed.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(Err(DtlsError::Fault)),
        }
    });
    tokio::select! {
        result = unwound => result,
        () = pipe.flood.notified() => Err(DtlsError::Flood),
    }
}

/// How far a handshake is, for what is said when its deadline comes.
#[derive(Debug, Default)]
pub(super) struct Turn(Mutex<Stage>);

/// See [`Turn`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Waiting,
    Queued,
    Begun,
}

impl Turn {
    pub(super) fn now(&self) -> Stage {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn set(&self, stage: Stage) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stage;
    }
}

/// What the check of the peer's certificate found, for when the library only says that it was refused.
type Verdict = Arc<Mutex<Option<DtlsError>>>;

async fn agree(
    setup: &Setup,
    expected: Vec<Fingerprint>,
    profiles: Vec<SrtpProtectionProfile>,
    pipe: &Arc<Pipe>,
) -> Result<DtlsKeys, DtlsError> {
    let verdict = Verdict::default();
    let config = config(setup, expected.clone(), profiles, verdict.clone());
    let client = setup.role == Role::Client;
    let connection = match DTLSConn::new(pipe.clone(), config, client, None).await {
        Ok(connection) => connection,
        Err(error) => return Err(explain(error, &verdict, pipe)),
    };
    let state = connection.connection_state().await;
    // The library has asked for this once; keys are worth a second look.
    check(&state.peer_certificates, &expected)?;
    let profile = connection.selected_srtpprotection_profile();
    let suite = keys::suite(profile)
        .filter(|suite| setup.suites.contains(suite))
        .ok_or(DtlsError::NoProfile)?;
    let keys = export(&state, suite, setup.role).await?;
    pipe.close_from_now();
    // The close_notify that is kept for the end needs the connection's keys; afterwards nothing does. Without it the peer is
    // not told, which BYE does as well.
    if timeout_of(CLOSE, connection.close()).await.is_none() {
        tracing::debug!("no close_notify could be made");
    }
    Ok(keys)
}

#[expect(clippy::disallowed_methods, reason = "a driver")]
async fn timeout_of<T>(duration: Duration, future: impl Future<Output = T>) -> Option<T> {
    timeout(duration, future).await.ok()
}

fn config(
    setup: &Setup,
    expected: Vec<Fingerprint>,
    profiles: Vec<SrtpProtectionProfile>,
    verdict: Verdict,
) -> Config {
    let cipher_suites = match setup.role {
        Role::Client => vec![
            Cipher::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256,
            Cipher::Tls_Ecdhe_Rsa_With_Aes_128_Gcm_Sha256,
        ],
        // Our certificate is for ECDSA.
        Role::Server => vec![Cipher::Tls_Ecdhe_Ecdsa_With_Aes_128_Gcm_Sha256],
    };
    Config {
        certificates: vec![setup.identity.certificate()],
        cipher_suites,
        // What the library can verify.
        signature_schemes: vec![
            SignatureScheme::EcdsaWithP256AndSha256,
            SignatureScheme::EcdsaWithP384AndSha384,
            SignatureScheme::Pkcs1WithSha256,
            SignatureScheme::Pkcs1WithSha384,
            SignatureScheme::Pkcs1WithSha512,
            SignatureScheme::Ed25519,
        ],
        srtp_protection_profiles: profiles,
        // As a server the library waits for the client's Finished but does not compare what it says (flight4.rs, flight6.rs of
        // webrtc-dtls 0.12.0; as a client it does, flight5.rs). Nobody between can use that:
        // - This setting refuses a client without a certificate, and one that has a certificate has to send CertificateVerify
        //   before anything goes on. Its signature covers every message from ClientHello to ClientKeyExchange (RFC 5246 §7.4.8), as
        //   they came here, under the key of the certificate whose fingerprint was announced. So both ends have seen the same
        //   suites, extensions, randoms and key shares, and the randoms make it of this handshake.
        // - The master secret comes from those key shares. The record that holds Finished opens only under keys from it, by
        //   AES-GCM, which is all that is negotiated: whoever sent it has them. That is what Finished proves beyond the signature.
        // - Messages of the wrong order never make it: the library takes them by their numbers, without gaps.
        client_auth: ClientAuthType::RequireAnyClientCert,
        extended_master_secret: ExtendedMasterSecretType::Request,
        flight_interval: setup.retransmit.max(Duration::from_millis(20)),
        // No authority has signed these certificates: the fingerprint is the check.
        insecure_skip_verify: true,
        verify_peer_certificate: Some(Arc::new(move |certificates, _| {
            check(certificates, &expected).map_err(|error| {
                let text = error.to_string();
                *verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                webrtc_dtls::Error::Other(text)
            })
        })),
        server_name: SERVER_NAME.to_owned(),
        ..Config::default()
    }
}

/// Holds the peer's certificate against its description (RFC 8122 §5.1): one of the fingerprints of the strongest hash
/// function has to match.
fn check(certificates: &[Vec<u8>], expected: &[Fingerprint]) -> Result<(), DtlsError> {
    let certificate = certificates.first().ok_or(DtlsError::NoCertificate)?;
    let hash = expected.first().ok_or(DtlsError::NoFingerprint)?.hash;
    let found = fingerprint(hash, certificate);
    if expected.contains(&found) {
        Ok(())
    } else {
        let expected = expected.to_vec();
        Err(DtlsError::Fingerprint { expected, found })
    }
}

async fn export(state: &webrtc_dtls::state::State, suite: Suite, role: Role) -> Result<DtlsKeys, DtlsError> {
    let length = keys::exported_length(suite);
    let exported = state.export_keying_material(keys::LABEL, &[], length).await;
    let exported = Zeroizing::new(exported.map_err(|_| DtlsError::Fault)?);
    keys::split(suite, &exported, role).ok_or(DtlsError::Fault)
}

/// What the library's error comes from, as far as we know better.
fn explain(error: webrtc_dtls::Error, verdict: &Verdict, pipe: &Pipe) -> DtlsError {
    use webrtc_dtls::Error as E;
    if let Some(error) = verdict.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return error;
    }
    if let Some(alert) = pipe.alert() {
        return DtlsError::Alert(alert);
    }
    match error {
        E::ErrServerNoMatchingSrtpProfile
        | E::ErrClientNoMatchingSrtpProfile
        | E::ErrRequestedButNoSrtpExtension => DtlsError::NoProfile,
        E::ErrClientCertificateRequired | E::ErrCertificateVerifyNoCertificate => DtlsError::NoCertificate,
        E::ErrKeySignatureVerifyUnimplemented
        | E::ErrKeySignatureMismatch
        | E::ErrNoAvailableSignatureSchemes => DtlsError::Signature,
        // What the library makes of every failed verification.
        E::Other(text) if text == "ring::error::Unspecified" => DtlsError::Signature,
        other => DtlsError::Handshake(other),
    }
}
