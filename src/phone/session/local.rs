//! A phone's own side of a session, through offers and answers (RFC 3264).

use super::{Described, Direction, EVENTS, Security, session};
use crate::phone::Error;
use crate::phone::crypto::Key;
use crate::phone::dtls::{self, Setup};
use crate::phone::tone::Codec;
use rand::Rng;
use sdp_rs::lines::attribute::Rtpmap;
use sdp_rs::lines::common::{Addrtype, Nettype};
use sdp_rs::lines::media::{MediaType, ProtoType};
use sdp_rs::lines::{Active, Attribute, Connection, Media, Origin, SessionName, Version};
use sdp_rs::{MediaDescription, SessionDescription, Time};
use std::net::{IpAddr, SocketAddr};

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
    /// RTCP comes and goes at the port of RTP (RFC 5761).
    mux: bool,
    /// Our role in DTLS, once it is agreed on; it stays.
    role: Option<Setup>,
    /// The value of our `a=zrtp-hash`, where we can do ZRTP.
    hash: Option<String>,
    /// Whether ZRTP was agreed on; it stays.
    zrtp: bool,
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
    /// Whether we begin the DTLS handshake that gives the keys; none without DTLS.
    pub begin_dtls: Option<bool>,
    /// The `a=zrtp-hash` of the peer, if ZRTP is to give the keys.
    pub zrtp: Option<String>,
    /// The key that we send under; none in clear, and none yet with DTLS or ZRTP.
    pub ours: Option<Key>,
    /// The key that the peer sends under; likewise.
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
            role: None,
            hash: None,
            zrtp: false,
            mux: false,
            direction: Direction::SendRecv,
        }
    }

    /// Offers and answers rtcp-mux: with DTLS one handshake does for both.
    pub fn muxed(mut self) -> Self {
        self.mux = true;
        self
    }

    /// Can do ZRTP, by an endpoint with this `a=zrtp-hash`.
    pub fn announcing(mut self, hash: String) -> Self {
        self.hash = Some(hash);
        self
    }

    /// The port where it receives.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// An offer of media in this direction. Keys stay the same from offer to offer, as SDES phones do.
    pub fn offer(&mut self, direction: Direction, random: &mut impl Rng) -> String {
        if let (Security::Sdes(suites), true) = (&self.security, self.keys.is_empty()) {
            self.keys = (1..)
                .zip(suites)
                .map(|(tag, suite)| Key::random(tag, *suite, random))
                .collect();
        }
        let profile = if self.offers_dtls() {
            Profile::Dtls(Setup::Actpass)
        } else if self.offers_sdes() {
            Profile::Sdes
        } else if self.offers_zrtp() {
            Profile::Zrtp
        } else {
            Profile::Clear
        };
        let keys = self.keys.clone();
        self.write(direction, profile, &keys, &self.codecs.clone())
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
            Security::Dtls if offer.dtls.is_none() => {
                return Err(session("an offer without DTLS to a phone that insists on it"));
            }
            Security::Dtls | Security::AsOffered(_) if offer.dtls.is_some() => None,
            Security::Dtls => None,
            Security::Zrtp if offer.secure || offer.zrtp.is_none() => {
                return Err(session("an offer without ZRTP to a phone that insists on it"));
            }
            Security::Zrtp => None,
            Security::Clear if offer.secure => {
                return Err(session("an encrypted offer to a phone without SRTP"));
            }
            Security::Sdes(_) if !offer.secure => {
                return Err(session("a clear offer to a phone that insists on SDES"));
            }
            Security::AsOffered(_) if !offer.secure => None,
            Security::Clear => None,
            Security::Sdes(suites) | Security::AsOffered(suites) => {
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
        let role = offer.dtls.as_ref().map(|dtls| match (dtls.setup, self.role) {
            (Setup::Actpass, Some(role)) => role,
            (Setup::Active, _) => Setup::Passive,
            (Setup::Passive | Setup::Actpass, _) => Setup::Active,
        });
        self.role = role;
        self.zrtp = !offer.secure && offer.zrtp.is_some() && self.can_zrtp();
        let profile = match role {
            Some(role) => Profile::Dtls(role),
            None if offer.secure => Profile::Sdes,
            None if self.zrtp => Profile::Zrtp,
            None => Profile::Clear,
        };
        let text = self.write(direction, profile, &self.keys.clone(), &[codec]);
        Ok((
            text,
            Agreed {
                codec,
                remote: offer.clone(),
                begin_dtls: role.map(|role| role == Setup::Active),
                zrtp: offer.zrtp.clone().filter(|_| self.zrtp),
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
        if answer.secure != (self.offers_sdes() || self.offers_dtls())
            || answer.dtls.is_some() != self.offers_dtls()
        {
            return Err(session("the answer has another profile than the offer"));
        }
        if self.offers_zrtp() && answer.zrtp.is_none() {
            return Err(session("the answer has no a=zrtp-hash"));
        }
        self.zrtp = self.offers_zrtp();
        let begin_dtls = match answer.dtls.as_ref().map(|dtls| dtls.setup) {
            None => None,
            Some(Setup::Passive) => Some(true),
            Some(Setup::Active) => Some(false),
            Some(Setup::Actpass) => return Err(session("an answer with a=setup:actpass")),
        };
        self.role = begin_dtls.map(|begin| if begin { Setup::Active } else { Setup::Passive });
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
            begin_dtls,
            zrtp: answer.zrtp.clone().filter(|_| self.zrtp),
            ours,
            theirs,
        })
    }

    /// Whether our offers are encrypted.
    fn offers_sdes(&self) -> bool {
        match self.security {
            Security::Clear | Security::Dtls | Security::Zrtp => false,
            Security::Sdes(_) => true,
            // As it was when it was called.
            Security::AsOffered(_) => !self.keys.is_empty(),
        }
    }

    /// Whether our offers are for DTLS.
    fn offers_dtls(&self) -> bool {
        match self.security {
            Security::Dtls => true,
            Security::Clear | Security::Sdes(_) | Security::Zrtp => false,
            // As it was when it was called.
            Security::AsOffered(_) => self.role.is_some(),
        }
    }

    /// Whether ZRTP may be agreed on.
    fn can_zrtp(&self) -> bool {
        self.hash.is_some() && matches!(self.security, Security::Zrtp | Security::AsOffered(_))
    }

    /// Whether our offers are for ZRTP.
    fn offers_zrtp(&self) -> bool {
        // Who takes what it is offered stays with what it was when it was called.
        self.can_zrtp() && (self.zrtp || self.security == Security::Zrtp)
    }

    fn write(&mut self, direction: Direction, profile: Profile, keys: &[Key], codecs: &[Codec]) -> String {
        self.version += 1;
        self.direction = direction;
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
        if let Profile::Dtls(setup) = profile {
            let mut other =
                |name: &str, value: String| attributes.push(Attribute::Other(name.into(), Some(value)));
            other("fingerprint", dtls::fingerprint());
            other("setup", setup.word().to_owned());
        }
        if let (Profile::Zrtp, Some(hash)) = (profile, &self.hash) {
            attributes.push(Attribute::Other("zrtp-hash".into(), Some(hash.clone())));
        }
        if self.mux {
            attributes.push(Attribute::Other("rtcp-mux".into(), None));
        }
        attributes.push(Attribute::Ptime(20.0));
        attributes.push(direction.attribute());
        let media = MediaDescription {
            media: Media {
                media: MediaType::Audio,
                port: self.port,
                num_of_ports: None,
                proto: match profile {
                    // Nothing but its attribute tells of ZRTP (RFC 6189 §8).
                    Profile::Clear | Profile::Zrtp => ProtoType::RtpAvp,
                    Profile::Sdes => ProtoType::RtpSavp,
                    Profile::Dtls(_) => ProtoType::Other("UDP/TLS/RTP/SAVP".into()),
                },
                fmt: formats.join(" "),
            },
            info: None,
            connections: Vec::new(),
            bandwidths: Vec::new(),
            key: None,
            attributes,
        };
        describe(self.address, self.session, self.version, vec![media])
    }
}

/// How a description is encrypted.
#[derive(Clone, Copy)]
enum Profile {
    Clear,
    Sdes,
    Dtls(Setup),
    Zrtp,
}

/// A session without any stream: the two only say that they may add some later (RFC 3264 §5).
pub fn without_streams(address: IpAddr) -> String {
    describe(address, 1, 1, Vec::new())
}

fn describe(
    address: IpAddr,
    session: u64,
    version: u64,
    media_descriptions: Vec<MediaDescription>,
) -> String {
    let addrtype = if address.is_ipv4() {
        Addrtype::Ip4
    } else {
        Addrtype::Ip6
    };
    let unbounded = Time {
        active: Active { start: 0, stop: 0 },
        repeat: Vec::new(),
        zone: None,
    };
    let sdp = SessionDescription {
        version: Version::V0,
        origin: Origin {
            username: "-".into(),
            sess_id: session.to_string(),
            sess_version: version.to_string(),
            nettype: Nettype::In,
            addrtype: addrtype.clone(),
            unicast_address: address,
        },
        session_name: SessionName::new("-".into()),
        session_info: None,
        uri: None,
        emails: Vec::new(),
        phones: Vec::new(),
        connection: Some(Connection {
            nettype: Nettype::In,
            addrtype,
            connection_address: address.into(),
        }),
        bandwidths: Vec::new(),
        times: vec![unbounded]
            .try_into()
            .expect("one time description is not none"),
        key: None,
        attributes: Vec::new(),
        media_descriptions,
    };
    sdp.to_string()
}
