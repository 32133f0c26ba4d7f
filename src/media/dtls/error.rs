//! Why a handshake gave no keys.

use super::Role;
use crate::sdp::Fingerprint;
use std::{fmt, time::Duration};

/// Why there are no keys.
#[derive(Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DtlsError {
    /// The peer's description has no fingerprint that we can check, so nobody could be told from the peer.
    #[error("DTLS: the peer's description has no usable a=fingerprint")]
    NoFingerprint,
    /// Nothing to negotiate.
    #[error("DTLS: none of the suites that may be used has a DTLS-SRTP profile")]
    NoSuite,
    /// Other handshakes took all the time there was.
    #[error("DTLS: too many handshakes at once, this one had no turn within {0:?}")]
    Busy(Duration),
    /// The deadline has passed.
    #[error("DTLS: no keys within {within:?}: {}", silence(*.role, *.heard))]
    Timeout {
        /// The deadline.
        within: Duration,
        /// Our side.
        role: Role,
        /// Whether the peer has sent anything.
        heard: bool,
    },
    /// The certificate is not the one that was announced: a wrong configuration, or somebody in between.
    #[error("DTLS: the peer's certificate has the fingerprint {found}, but its description says {}", list(.expected))]
    Fingerprint {
        /// The announced ones, of the strongest hash function.
        expected: Vec<Fingerprint>,
        /// The certificate's, by the same hash function.
        found: Fingerprint,
    },
    /// It has to show one (RFC 5763 §5).
    #[error("DTLS: the peer showed no certificate")]
    NoCertificate,
    /// RFC 5764 §4.1: no protection profile that both have.
    #[error("DTLS: the peer agreed to no SRTP protection profile of ours")]
    NoProfile,
    /// The peer has ended the handshake.
    #[error("DTLS: the peer ended the handshake, alert {0} ({name})", name = alert_name(*.0))]
    Alert(u8),
    /// It does not hold the certificate's key, or signs in a way that is not known here.
    #[error(
        "DTLS: the peer's signature does not fit its certificate, or is none of those we verify: ECDSA on P-256 with SHA-256, \
         on P-384 with SHA-384, Ed25519, RSA (PKCS #1) of 2048 bits and more with SHA-256, SHA-384 or SHA-512"
    )]
    Signature,
    /// More than a handshake can have came from the peer's address.
    #[error("DTLS: the peer sent far more than a handshake has")]
    Flood,
    /// What the library says of the peer.
    #[error("DTLS: the handshake failed: {0}")]
    Handshake(#[source] webrtc_dtls::Error),
    /// A fault in the library, or of ours.
    #[error("DTLS: a fault in the handshake")]
    Fault,
}

fn silence(role: Role, heard: bool) -> &'static str {
    match (heard, role) {
        (true, _) => "the peer stopped answering",
        (false, Role::Client) => "the peer never answered our ClientHello",
        (false, Role::Server) => "the peer, which is to begin, never sent a ClientHello",
    }
}

fn list(fingerprints: &[Fingerprint]) -> impl fmt::Display {
    let texts: Vec<_> = fingerprints.iter().map(ToString::to_string).collect();
    texts.join(" or ")
}

/// Names of the registry "TLS Alerts" that handshakes end with.
fn alert_name(description: u8) -> &'static str {
    match description {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        40 => "handshake_failure",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        109 => "missing_extension",
        110 => "unsupported_extension",
        112 => "unrecognized_name",
        _ => "unknown",
    }
}
