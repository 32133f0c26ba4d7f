//! Session descriptions as the phones write and read them, on sdp-rs: one stream of G.711 audio.

use super::Error;
use super::crypto::{Key, Suite};
use super::tone::Codec;
use rand::Rng;
use sdp_rs::lines::attribute::Rtpmap;
use sdp_rs::lines::common::{Addrtype, Nettype};
use sdp_rs::lines::media::{MediaType, ProtoType};
use sdp_rs::lines::{Active, Attribute, Connection, Media, Origin, SessionName, Version};
use sdp_rs::{MediaDescription, SessionDescription, Time};
use std::net::{IpAddr, SocketAddr};

/// The payload type under which the phones offer telephone events (RFC 4733).
const EVENTS: u8 = 101;

/// Whether and how a phone wants its media encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Security {
    /// Plain RTP.
    Clear,
    /// SDES with these suites in order of preference.
    Sdes(Vec<Suite>),
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
            "RTP/SAVP" | "RTP/SAVPF" => true,
            other => {
                return Err(session(format!(
                    "profile {other}: expected RTP with or without SDES"
                )));
            }
        };
        let rtp = SocketAddr::new(address, media.media.port);
        let mut described = Self {
            rtp,
            rtcp: SocketAddr::new(address, media.media.port.wrapping_add(1)),
            secure,
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
        if secure && described.keys.is_empty() {
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

/// One phone's own side of the description, from offer to answer and from hold to resume.
#[derive(Clone, Debug)]
pub struct Local {
    address: IpAddr,
    port: u16,
    session: u64,
    version: u64,
    codecs: Vec<Codec>,
    security: Security,
    /// The keys that we offered or answered with.
    keys: Vec<Key>,
    /// The direction that was said last.
    pub direction: Direction,
}

/// What offer and answer agreed on.
#[derive(Clone, Debug)]
pub struct Agreed {
    /// The codec that both send.
    pub codec: Codec,
    /// Where to send.
    pub remote: Described,
    /// The key that we send under; none in clear.
    pub ours: Option<Key>,
    /// The key that the peer sends under; none in clear.
    pub theirs: Option<Key>,
}

impl Local {
    /// A phone that receives at `address`:`port` (RTCP at the next port), with codecs in order of preference.
    pub fn new(at: SocketAddr, codecs: Vec<Codec>, security: Security, random: &mut impl Rng) -> Self {
        Self {
            address: at.ip(),
            port: at.port(),
            // RFC 4566 §5.2 wants a numeric identifier; 32 bits keep it readable.
            session: u64::from(random.next_u32()),
            version: 0,
            codecs,
            security,
            keys: Vec::new(),
            direction: Direction::SendRecv,
        }
    }

    /// An offer of media in this direction. Keys stay the same from offer to offer, as SDES phones do.
    pub fn offer(&mut self, direction: Direction, random: &mut impl Rng) -> String {
        if let (Security::Sdes(suites), true) = (&self.security, self.keys.is_empty()) {
            self.keys = (1..)
                .zip(suites)
                .map(|(tag, suite)| Key::random(tag, *suite, random))
                .collect();
        }
        let (secure, keys) = (self.security != Security::Clear, self.keys.clone());
        self.write(direction, secure, &keys, &self.codecs.clone())
    }

    /// Answers an offer.
    ///
    /// # Errors
    /// [`Error::Session`] if there is no common codec or suite, or if one side is encrypted and the other is not.
    pub fn answer(&mut self, offer: &Described, random: &mut impl Rng) -> Result<(String, Agreed), Error> {
        let codec = offer
            .codecs
            .iter()
            .copied()
            .find(|codec| self.codecs.contains(codec));
        let codec = codec.ok_or_else(|| session("no common codec"))?;
        let theirs = match &self.security {
            Security::Clear if offer.secure => {
                return Err(session("an encrypted offer to a phone without SRTP"));
            }
            Security::Sdes(_) if !offer.secure => {
                return Err(session("a clear offer to a phone that insists on SDES"));
            }
            Security::Clear => None,
            Security::Sdes(suites) => {
                let key = offer.keys.iter().find(|key| suites.contains(&key.suite));
                Some(key.ok_or_else(|| session("no common suite"))?.clone())
            }
        };
        // A re-offer with the same suite keeps our key: a new one would begin a new stream (RFC 4568 §7.1.4).
        let ours = theirs.as_ref().map(|theirs| {
            let kept = self.keys.iter().find(|key| key.suite == theirs.suite).cloned();
            let mut key = kept.unwrap_or_else(|| Key::random(theirs.tag, theirs.suite, random));
            key.tag = theirs.tag;
            key
        });
        self.keys = ours.iter().cloned().collect();
        let direction = offer.direction.answered();
        let text = self.write(direction, offer.secure, &self.keys.clone(), &[codec]);
        Ok((
            text,
            Agreed {
                codec,
                remote: offer.clone(),
                ours,
                theirs,
            },
        ))
    }

    /// Takes the answer to our last offer.
    ///
    /// # Errors
    /// [`Error::Session`] if it is not an answer to that offer: another profile, tag, suite or codec.
    pub fn accept(&mut self, answer: &Described) -> Result<Agreed, Error> {
        let codec = answer
            .codecs
            .first()
            .copied()
            .filter(|codec| self.codecs.contains(codec));
        let codec = codec.ok_or_else(|| session("the answer takes no codec that was offered"))?;
        if answer.secure != (self.security != Security::Clear) {
            return Err(session("the answer has another profile than the offer"));
        }
        let (ours, theirs) = match answer.keys.as_slice() {
            [] => (None, None),
            [theirs] => {
                let ours = self
                    .keys
                    .iter()
                    .find(|ours| ours.tag == theirs.tag && ours.suite == theirs.suite);
                let ours = ours.ok_or_else(|| session("the answer's crypto tag or suite was not offered"))?;
                (Some(ours.clone()), Some(theirs.clone()))
            }
            more => {
                return Err(session(format!(
                    "the answer has {} crypto lines, expected one",
                    more.len()
                )));
            }
        };
        Ok(Agreed {
            codec,
            remote: answer.clone(),
            ours,
            theirs,
        })
    }

    fn write(&mut self, direction: Direction, secure: bool, keys: &[Key], codecs: &[Codec]) -> String {
        self.version += 1;
        self.direction = direction;
        let addrtype = if self.address.is_ipv4() {
            Addrtype::Ip4
        } else {
            Addrtype::Ip6
        };
        let rtpmap = |payload_type: u8, name: &str| {
            Attribute::Rtpmap(Rtpmap {
                payload_type: u32::from(payload_type),
                encoding_name: name.into(),
                clock_rate: 8_000,
                encoding_params: None,
            })
        };
        let mut formats: Vec<String> = codecs
            .iter()
            .map(|codec| codec.payload_type().to_string())
            .collect();
        formats.push(EVENTS.to_string());
        let mut attributes: Vec<Attribute> = codecs
            .iter()
            .map(|codec| rtpmap(codec.payload_type(), codec.name()))
            .collect();
        attributes.push(rtpmap(EVENTS, "telephone-event"));
        attributes.push(Attribute::Other("fmtp".into(), Some(format!("{EVENTS} 0-15"))));
        attributes.extend(
            keys.iter()
                .map(|key| Attribute::Other("crypto".into(), Some(key.line()))),
        );
        attributes.push(Attribute::Ptime(20.0));
        attributes.push(direction.attribute());
        let sdp = SessionDescription {
            version: Version::V0,
            origin: Origin {
                username: "-".into(),
                sess_id: self.session.to_string(),
                sess_version: self.version.to_string(),
                nettype: Nettype::In,
                addrtype: addrtype.clone(),
                unicast_address: self.address,
            },
            session_name: SessionName::new("-".into()),
            session_info: None,
            uri: None,
            emails: Vec::new(),
            phones: Vec::new(),
            connection: Some(Connection {
                nettype: Nettype::In,
                addrtype,
                connection_address: self.address.into(),
            }),
            bandwidths: Vec::new(),
            times: vec![Time {
                active: Active { start: 0, stop: 0 },
                repeat: Vec::new(),
                zone: None,
            }]
            .try_into()
            .expect("one time description is not none"),
            key: None,
            attributes: Vec::new(),
            media_descriptions: vec![MediaDescription {
                media: Media {
                    media: MediaType::Audio,
                    port: self.port,
                    num_of_ports: None,
                    proto: if secure {
                        ProtoType::RtpSavp
                    } else {
                        ProtoType::RtpAvp
                    },
                    fmt: formats.join(" "),
                },
                info: None,
                connections: Vec::new(),
                bandwidths: Vec::new(),
                key: None,
                attributes,
            }],
        };
        sdp.to_string()
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
