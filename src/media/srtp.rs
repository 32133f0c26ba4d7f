//! SRTP and SRTCP in place (RFC 3711, RFC 6188, RFC 7714).
//!
//! [`SrtpIn`] opens what one peer sends under one master key, [`SrtpOut`] seals what is sent to it under another. Both
//! work on a [`super::packet::Packet`] in place and allocate nothing per packet. Packets are numbered by their 48-bit
//! index (rollover counter and sequence number): it is estimated, checked against a replay window, authenticated, and
//! only then does any state change. State per SSRC exists only for SSRCs that authenticated, and is capped.
//!
//! Not here: key derivation rates other than 0, unencrypted or unauthenticated variants (RFC 4568 session parameters
//! are not offered), encrypted header extensions (RFC 6904).

mod hmac;
mod incoming;
mod index;
mod outgoing;
#[cfg(test)]
mod tests;
mod transform;

pub use incoming::{Accepted, SrtpIn};
pub use outgoing::SrtpOut;

use super::{Suite, packet::MAX_MKI};

/// Why a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Key and salt together are not as long as the suite says.
    #[error("{suite} needs {expected} octets of key and salt, not {found}", expected = suite.master_length())]
    Length {
        /// The suite.
        suite: Suite,
        /// Octets given.
        found: usize,
    },
    /// RFC 4568 §6.1 allows 128 octets.
    #[error("a master key identifier has 1 to {MAX_MKI} octets, not {0}")]
    Mki(usize),
}
