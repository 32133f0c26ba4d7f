//! The transport field of `m=`: what protects a stream, and whether it has feedback.

use super::Media;

/// How a profile protects RTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protection {
    /// `RTP/AVP`, `RTP/AVPF` (RFC 3551, 4585). `a=crypto` beside it ("optional encryption") does not make it secure:
    /// RFC 4568 §3.1.1 knows crypto lines with secure profiles only.
    None,
    /// `RTP/SAVP`, `RTP/SAVPF` (RFC 3711, 5124): keys in `a=crypto`.
    Sdes,
    /// `UDP/TLS/RTP/SAVP`, `UDP/TLS/RTP/SAVPF` (RFC 5764).
    Dtls,
}

/// An RTP profile over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Transport {
    /// What protects it.
    pub protection: Protection,
    /// The trailing `F`: feedback (RFC 4585).
    pub feedback: bool,
}

impl Transport {
    /// Reads a transport field; `None` when it is not RTP over UDP (`udptl`, `TCP/MSRP`, …): those are not relayed.
    pub fn parse(proto: &str) -> Option<Self> {
        let (protection, feedback) = match proto.to_ascii_uppercase().as_str() {
            "RTP/AVP" => (Protection::None, false),
            "RTP/AVPF" => (Protection::None, true),
            "RTP/SAVP" => (Protection::Sdes, false),
            "RTP/SAVPF" => (Protection::Sdes, true),
            "UDP/TLS/RTP/SAVP" => (Protection::Dtls, false),
            "UDP/TLS/RTP/SAVPF" => (Protection::Dtls, true),
            _ => return None,
        };
        Some(Self { protection, feedback })
    }
    /// The field for the wire.
    pub const fn name(self) -> &'static str {
        match (self.protection, self.feedback) {
            (Protection::None, false) => "RTP/AVP",
            (Protection::None, true) => "RTP/AVPF",
            (Protection::Sdes, false) => "RTP/SAVP",
            (Protection::Sdes, true) => "RTP/SAVPF",
            (Protection::Dtls, false) => "UDP/TLS/RTP/SAVP",
            (Protection::Dtls, true) => "UDP/TLS/RTP/SAVPF",
        }
    }
}

impl Media {
    /// The RTP profile, if it is one.
    pub fn transport(&self) -> Option<Transport> {
        Transport::parse(&self.proto)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_profile_prints_as_it_is_read() {
        for name in [
            "RTP/AVP",
            "RTP/AVPF",
            "RTP/SAVP",
            "RTP/SAVPF",
            "UDP/TLS/RTP/SAVP",
            "UDP/TLS/RTP/SAVPF",
        ] {
            assert_eq!(Transport::parse(name).unwrap().name(), name);
        }
        assert_eq!(Transport::parse("udptl"), None);
        assert_eq!(Transport::parse("TCP/RTP/AVP"), None);
    }
}
