//! The messages (RFC 6189 §5.2–§5.16), each with its parser and printer. A parser takes what the RFC allows and nothing
//! else; bits and octets that are not used are ignored when read and zero when written.

mod commit;
mod confirm;
mod hello;

pub use commit::{Commit, Mode};
pub use confirm::{Confirm, ConfirmContent, Flags};
pub use hello::Hello;
pub(super) use hello::MAX_CODES;

use super::Zid;

/// Why bytes are no message, or no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not as long as it says, or as its type must be.
    #[error("wrong length")]
    Length,
    /// The first octet or the cookie is not ZRTP's.
    #[error("no ZRTP header")]
    Header,
    /// It was changed on its way.
    #[error("wrong CRC")]
    Crc,
    /// Does not begin with 0x505a.
    #[error("no message preamble")]
    Preamble,
    /// A type that RFC 6189 does not have.
    #[error("unknown message type")]
    Type,
    /// A key agreement, or another algorithm that decides the layout, that we do not know.
    #[error("unknown algorithm")]
    Algorithm,
}

/// An error code (RFC 6189 §5.9, table 8).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    /// Malformed packet (CRC OK, but wrong structure).
    pub const MALFORMED: Self = Self(0x10);
    /// Unsupported ZRTP version.
    pub const VERSION: Self = Self(0x30);
    /// Hello components mismatch.
    pub const HELLO_MISMATCH: Self = Self(0x40);
    /// Hash type not supported.
    pub const HASH: Self = Self(0x51);
    /// Cipher type not supported.
    pub const CIPHER: Self = Self(0x52);
    /// Public key exchange not supported.
    pub const KEY_AGREEMENT: Self = Self(0x53);
    /// SRTP authentication tag not supported.
    pub const AUTH_TAG: Self = Self(0x54);
    /// SAS rendering scheme not supported.
    pub const SAS: Self = Self(0x55);
    /// No shared secret available, DH mode required.
    pub const NO_SHARED_SECRET: Self = Self(0x56);
    /// DH error: bad pvi or pvr (== 1, 0, or p−1).
    pub const BAD_PUBLIC_VALUE: Self = Self(0x61);
    /// DH error: hvi != hashed data.
    pub const HVI: Self = Self(0x62);
    /// Authentication error: bad Confirm packet MAC.
    pub const CONFIRM_MAC: Self = Self(0x70);
    /// Equal ZIDs in Hello.
    pub const EQUAL_ZIDS: Self = Self(0x90);
    /// Service unavailable.
    pub const UNAVAILABLE: Self = Self(0xa0);
    /// Protocol timeout.
    pub const TIMEOUT: Self = Self(0xb0);
    /// GoClear packet received, but not allowed.
    pub const GO_CLEAR: Self = Self(0x100);

    /// In words, for the log.
    pub const fn text(self) -> &'static str {
        match self.0 {
            0x10 => "malformed packet",
            0x20 => "critical software error",
            0x30 => "unsupported ZRTP version",
            0x40 => "Hello components mismatch",
            0x51 => "hash type not supported",
            0x52 => "cipher type not supported",
            0x53 => "public key exchange not supported",
            0x54 => "SRTP authentication tag not supported",
            0x55 => "SAS rendering scheme not supported",
            0x56 => "no shared secret available, DH mode required",
            0x61 => "bad public value",
            0x62 => "hvi differs from the hashed data",
            0x63 => "relayed SAS from an untrusted MiTM",
            0x70 => "bad Confirm MAC",
            0x80 => "nonce reuse",
            0x90 => "equal ZIDs in Hello",
            0x91 => "SSRC collision",
            0xa0 => "service unavailable",
            0xb0 => "protocol timeout",
            0x100 => "GoClear not allowed",
            _ => "unknown error",
        }
    }
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ErrorCode({:#x}: {})", self.0, self.text())
    }
}

/// Part 1 or 2 of the key exchange (RFC 6189 §5.5, §5.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhPart {
    /// Hash image H1.
    pub h1: [u8; 32],
    /// rs1ID, rs2ID, auxsecretID, pbxsecretID.
    pub secret_ids: [[u8; 8]; 4],
    /// pvi or pvr.
    pub public: Vec<u8>,
    /// Keyed with H0.
    pub mac: [u8; 8],
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::large_enum_variant,
    reason = "short-lived: parsed, looked at, dropped"
)]
pub enum Message {
    /// Who we are and what we can.
    Hello(Hello),
    /// A Hello arrived.
    HelloAck,
    /// What will be done.
    Commit(Commit),
    /// The responder's public value.
    DhPart1(DhPart),
    /// The initiator's public value.
    DhPart2(DhPart),
    /// The responder's confirmation.
    Confirm1(Confirm),
    /// The initiator's confirmation.
    Confirm2(Confirm),
    /// Confirm2 arrived.
    Conf2Ack,
    /// An exchange that went wrong.
    Error(ErrorCode),
    /// An Error arrived.
    ErrorAck,
    /// Asks to go on without encryption, with its MAC.
    GoClear([u8; 8]),
    /// A GoClear arrived.
    ClearAck,
    /// A trusted man in the middle passes on the SAS of its other side.
    SasRelay(Confirm),
    /// A SASrelay arrived.
    RelayAck,
    /// Asks who is there.
    Ping {
        /// Of the sender.
        endpoint: [u8; 8],
    },
    /// Tells who is there.
    PingAck {
        /// Of who was asked.
        endpoint: [u8; 8],
        /// From the Ping.
        asker: [u8; 8],
        /// Source of the Ping's packet.
        ssrc: u32,
    },
}

/// Version that is written: 1.10.
pub(super) const VERSION: [u8; 4] = *b"1.10";

impl Message {
    /// Reads a message, from its preamble on.
    ///
    /// # Errors
    /// When it is not as RFC 6189 §5 says.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader(bytes);
        if reader.array()? != PREAMBLE {
            return Err(Malformed::Preamble);
        }
        let words = u16::from_be_bytes(reader.array()?);
        if usize::from(words) * 4 != bytes.len() {
            return Err(Malformed::Length);
        }
        let message = match &reader.array::<8>()? {
            b"Hello   " => Self::Hello(Hello::read(&mut reader)?),
            b"HelloACK" => Self::HelloAck,
            b"Commit  " => Self::Commit(Commit::read(&mut reader)?),
            b"DHPart1 " => Self::DhPart1(DhPart::read(&mut reader)?),
            b"DHPart2 " => Self::DhPart2(DhPart::read(&mut reader)?),
            b"Confirm1" => Self::Confirm1(Confirm::read(&mut reader)?),
            b"Confirm2" => Self::Confirm2(Confirm::read(&mut reader)?),
            b"Conf2ACK" => Self::Conf2Ack,
            b"Error   " => Self::Error(ErrorCode(u32::from_be_bytes(reader.array()?))),
            b"ErrorACK" => Self::ErrorAck,
            b"GoClear " => Self::GoClear(reader.array()?),
            b"ClearACK" => Self::ClearAck,
            b"SASrelay" => Self::SasRelay(Confirm::read(&mut reader)?),
            b"RelayACK" => Self::RelayAck,
            b"Ping    " => {
                let _version: [u8; 4] = reader.array()?;
                Self::Ping {
                    endpoint: reader.array()?,
                }
            }
            b"PingACK " => {
                let _version: [u8; 4] = reader.array()?;
                Self::PingAck {
                    endpoint: reader.array()?,
                    asker: reader.array()?,
                    ssrc: u32::from_be_bytes(reader.array()?),
                }
            }
            _ => return Err(Malformed::Type),
        };
        if !reader.0.is_empty() {
            return Err(Malformed::Length);
        }
        Ok(message)
    }

    /// The bytes, from the preamble on.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Hello(hello) => frame(b"Hello   ", &[&hello.write()]),
            Self::HelloAck => frame(b"HelloACK", &[]),
            Self::Commit(commit) => frame(b"Commit  ", &[&commit.write()]),
            Self::DhPart1(part) => frame(b"DHPart1 ", &[&part.write()]),
            Self::DhPart2(part) => frame(b"DHPart2 ", &[&part.write()]),
            Self::Confirm1(confirm) => frame(b"Confirm1", &[&confirm.write()]),
            Self::Confirm2(confirm) => frame(b"Confirm2", &[&confirm.write()]),
            Self::Conf2Ack => frame(b"Conf2ACK", &[]),
            Self::Error(code) => frame(b"Error   ", &[&code.0.to_be_bytes()]),
            Self::ErrorAck => frame(b"ErrorACK", &[]),
            Self::GoClear(mac) => frame(b"GoClear ", &[mac]),
            Self::ClearAck => frame(b"ClearACK", &[]),
            Self::SasRelay(relay) => frame(b"SASrelay", &[&relay.write()]),
            Self::RelayAck => frame(b"RelayACK", &[]),
            Self::Ping { endpoint } => frame(b"Ping    ", &[&VERSION, endpoint]),
            Self::PingAck {
                endpoint,
                asker,
                ssrc,
            } => frame(b"PingACK ", &[&VERSION, endpoint, asker, &ssrc.to_be_bytes()]),
        }
    }
}

impl DhPart {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let h1 = reader.array()?;
        let mut secret_ids = [[0; 8]; 4];
        for id in &mut secret_ids {
            *id = reader.array()?;
        }
        // Which length is right only the Commit tells; between the shortest and the longest that there is.
        let length = reader.0.len().saturating_sub(8);
        if !(32..=384).contains(&length) {
            return Err(Malformed::Length);
        }
        Ok(Self {
            h1,
            secret_ids,
            public: reader.take(length)?.to_vec(),
            mac: reader.array()?,
        })
    }

    fn write(&self) -> Vec<u8> {
        [&self.h1, self.secret_ids.as_flattened(), &self.public, &self.mac].concat()
    }
}

const PREAMBLE: [u8; 2] = [0x50, 0x5a];

/// Preamble, length, type, body.
fn frame(kind: &[u8; 8], body: &[&[u8]]) -> Vec<u8> {
    let body = body.concat();
    let words = (12 + body.len()) / 4;
    let mut bytes = Vec::with_capacity(12 + body.len());
    bytes.extend(PREAMBLE);
    bytes.extend((words as u16).to_be_bytes());
    bytes.extend(kind);
    bytes.extend(body);
    bytes
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (first, rest) = self.0.split_first_chunk().ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(*first)
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (first, rest) = self.0.split_at_checked(length).ok_or(Malformed::Length)?;
        self.0 = rest;
        Ok(first)
    }

    fn zid(&mut self) -> Result<Zid, Malformed> {
        Ok(Zid(self.array()?))
    }
}

#[cfg(test)]
mod tests;
