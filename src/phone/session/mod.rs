//! Session descriptions as the phones write and read them, on sdp-rs: one stream of G.711 audio.

mod local;

pub use local::{Agreed, Local, without_streams};

use super::Error;
use super::crypto::{Key, Suite};
use super::dtls;
use super::tone::Codec;
use sdp_rs::SessionDescription;
use sdp_rs::lines::Attribute;
use sdp_rs::lines::media::MediaType;
use std::net::SocketAddr;

/// The payload type under which the phones offer telephone events (RFC 4733).
const EVENTS: u8 = 101;

/// Whether and how a phone wants its media encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain RTP.
    Clear,
    /// SDES with these suites in order of preference.
    Sdes(Vec<Suite>),
    /// DTLS-SRTP.
    Dtls,
    /// ZRTP.
    Zrtp,
    /// Called: DTLS-SRTP if it is offered, SDES with one of these suites if that is, ZRTP if that is, else plain RTP.
    /// Calling: plain RTP.
    AsOffered(Vec<Suite>),
}

/// Which way media goes, seen from the writer (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Both ways.
    SendRecv,
    /// The writer only sends: it has put the other on hold.
    SendOnly,
    /// The writer only receives.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// What answers it when the answerer is content with both ways.
    pub fn answered(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            other => other,
        }
    }

    /// Whether the writer sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the writer receives.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    fn attribute(self) -> Attribute {
        match self {
            Self::SendRecv => Attribute::Sendrecv,
            Self::SendOnly => Attribute::Sendonly,
            Self::RecvOnly => Attribute::Recvonly,
            // sdp-rs 0.2.1 knows the word only misspelt.
            Self::Inactive => Attribute::Other("inactive".into(), None),
        }
    }

    fn read(attribute: &Attribute) -> Option<Self> {
        match attribute {
            Attribute::Sendrecv => Some(Self::SendRecv),
            Attribute::Sendonly => Some(Self::SendOnly),
            Attribute::Recvonly => Some(Self::RecvOnly),
            Attribute::Other(name, None) if name == "inactive" => Some(Self::Inactive),
            _ => None,
        }
    }
}

/// What a description says of the audio stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Where RTP is to be sent.
    pub rtp: SocketAddr,
    /// Where RTCP is to be sent (`a=rtcp`, RFC 3605, or the next port).
    pub rtcp: SocketAddr,
    /// Whether the profile is an encrypted one.
    pub secure: bool,
    /// What it says of DTLS, if that is its profile.
    pub dtls: Option<dtls::Described>,
    /// The value of its `a=zrtp-hash`.
    pub zrtp: Option<String>,
    /// The keys of those `a=crypto` lines that we can read.
    pub keys: Vec<Key>,
    /// The G.711 codecs, in their order.
    pub codecs: Vec<Codec>,
    /// The payload type of telephone events.
    pub events: Option<u8>,
    /// The direction; `sendrecv` unless said.
    pub direction: Direction,
}

impl Described {
    /// Reads a description with exactly one stream, of audio.
    ///
    /// # Errors
    /// [`Error::Session`] if sdp-rs cannot read it, or if it is not what two phones with one audio stream say.
    pub fn read(text: &[u8]) -> Result<Self, Error> {
        let text = std::str::from_utf8(text).map_err(|_| session("it is not UTF-8"))?;
        let sdp = SessionDescription::try_from(text).map_err(|error| session(error.to_string()))?;
        let [media] = sdp.media_descriptions.as_slice() else {
            return Err(session(format!(
                "{} streams, expected one",
                sdp.media_descriptions.len()
            )));
        };
        if media.media.media != MediaType::Audio || media.media.port == 0 {
            return Err(session(format!(
                "m={}: expected an audio stream that is not refused",
                media.media
            )));
        }
        let connection = media.connections.first().or(sdp.connection.as_ref());
        let address = connection
            .ok_or_else(|| session("no c= line"))?
            .connection_address
            .base;
        let secure = match media.media.proto.to_string().as_str() {
            "RTP/AVP" | "RTP/AVPF" => false,
            "RTP/SAVP" | "RTP/SAVPF" | "UDP/TLS/RTP/SAVP" | "UDP/TLS/RTP/SAVPF" => true,
            other => {
                return Err(session(format!(
                    "profile {other}: expected RTP, with SDES, with DTLS, or with neither"
                )));
            }
        };
        let rtp = SocketAddr::new(address, media.media.port);
        let mut described = Self {
            rtp,
            rtcp: SocketAddr::new(address, media.media.port.wrapping_add(1)),
            secure,
            dtls: media
                .media
                .proto
                .to_string()
                .starts_with("UDP/TLS/")
                .then(|| dtls::Described {
                    fingerprints: Vec::new(),
                    // What no `a=setup` means in an offer and in an answer alike (RFC 4145 §4).
                    setup: dtls::Setup::Active,
                }),
            zrtp: None,
            keys: Vec::new(),
            codecs: Vec::new(),
            events: None,
            direction: Direction::SendRecv,
        };
        for format in media.media.fmt.split_ascii_whitespace() {
            match format {
                "0" => described.codecs.push(Codec::Pcmu),
                "8" => described.codecs.push(Codec::Pcma),
                _ => {}
            }
        }
        for attribute in sdp.attributes.iter().chain(&media.attributes) {
            described.take(attribute)?;
        }
        if described
            .dtls
            .as_ref()
            .is_some_and(|dtls| dtls.fingerprints.is_empty())
        {
            return Err(session("DTLS without a fingerprint that we can read"));
        }
        if secure && described.dtls.is_none() && described.keys.is_empty() {
            return Err(session("an encrypted profile without a key that we can read"));
        }
        Ok(described)
    }

    fn take(&mut self, attribute: &Attribute) -> Result<(), Error> {
        if let Some(direction) = Direction::read(attribute) {
            self.direction = direction;
        }
        match attribute {
            Attribute::Rtpmap(map) if map.encoding_name.eq_ignore_ascii_case("telephone-event") => {
                self.events = u8::try_from(map.payload_type).ok();
            }
            Attribute::Other(name, Some(value)) if name == "crypto" => self.keys.extend(Key::read(value)),
            Attribute::Other(name, Some(value)) if name == "fingerprint" => {
                if let (Some(dtls), Some((hash, value))) = (&mut self.dtls, value.split_once(' '))
                    && hash.eq_ignore_ascii_case("sha-256")
                {
                    dtls.fingerprints.push(value.trim().to_ascii_uppercase());
                }
            }
            Attribute::Other(name, Some(value)) if name == "setup" => {
                if let Some(dtls) = &mut self.dtls {
                    let word = dtls::Setup::read(value.trim());
                    dtls.setup = word.ok_or_else(|| session(format!("a=setup:{value} is no role")))?;
                }
            }
            Attribute::Other(name, Some(value)) if name == "zrtp-hash" => {
                self.zrtp = Some(value.trim().into())
            }
            Attribute::Other(name, Some(value)) if name == "rtcp" => {
                let port = value
                    .split_ascii_whitespace()
                    .next()
                    .and_then(|port| port.parse().ok());
                self.rtcp
                    .set_port(port.ok_or_else(|| session(format!("a=rtcp:{value} names no port")))?);
            }
            _ => {}
        }
        Ok(())
    }
}

fn session(what: impl Into<String>) -> Error {
    Error::Session(what.into())
}

#[cfg(test)]
mod tests;
