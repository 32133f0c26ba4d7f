//! What protects a direction of media.

use super::Suite;

/// How one direction of one side is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Plain RTP.
    Clear,
    /// SRTP under this key.
    Srtp(SrtpKey),
    /// Nothing passes: keyed, but the key is not there yet. There is no clear fallback.
    Blocked,
}

/// Both directions of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protections {
    /// How packets from this side are opened.
    pub receive: Protection,
    /// How packets to this side are sealed.
    pub send: Protection,
}

/// A key agreement whose packets share the ports of the media (RFC 7983).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyAgreement {
    /// DTLS-SRTP (RFC 5764).
    Dtls,
    /// ZRTP (RFC 6189).
    Zrtp,
}

/// A master key and salt. Zeroised when dropped; `Debug` shows only the suite.
#[derive(Clone, PartialEq, Eq)]
pub struct SrtpKey {
    /// The suite.
    pub suite: Suite,
    /// Key, then salt: as long as the suite says.
    pub master: zeroize::Zeroizing<Vec<u8>>,
    /// Master key identifier, as it stands at the end of each packet.
    pub mki: Option<Vec<u8>>,
}

/// The keys of both directions of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrtpKeys {
    /// Protects what we send.
    pub send: SrtpKey,
    /// Protects what the peer sends.
    pub receive: SrtpKey,
}

impl From<&SrtpKeys> for Protections {
    fn from(keys: &SrtpKeys) -> Self {
        Self {
            receive: Protection::Srtp(keys.receive.clone()),
            send: Protection::Srtp(keys.send.clone()),
        }
    }
}

impl Protections {
    /// Plain RTP both ways.
    pub const CLEAR: Self = Self {
        receive: Protection::Clear,
        send: Protection::Clear,
    };
    /// Nothing passes.
    pub const BLOCKED: Self = Self {
        receive: Protection::Blocked,
        send: Protection::Blocked,
    };
}

impl std::fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SrtpKey")
            .field("suite", &self.suite)
            .finish_non_exhaustive()
    }
}
