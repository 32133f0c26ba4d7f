//! How one stream of a leg is keyed, and what its descriptions say of it.

use super::{
    dtls::{self, Association, Dtls},
    zrtp,
};
use crate::{
    call::Encryption,
    media::{
        Suite,
        sdes::{ACCEPTED_SUITES, DEFAULT_SUITES, Sdes},
        zrtp::HelloHash,
    },
    sdp::{Crypto, Fingerprint, Line, Media, Protection, Sdp},
    sip::Ids,
};
use std::net::SocketAddr;

/// Keys of one stream, as far as descriptions settle them.
#[expect(
    clippy::large_enum_variant,
    reason = "one a stream, and SDES is what most of them are"
)]
#[derive(Clone, Debug, Default)]
pub(super) enum Keying {
    /// Plain RTP.
    #[default]
    Clear,
    /// Keys in `a=crypto`.
    Sdes {
        sdes: Sdes,
        /// The line that answers the peer's offer.
        answer: Option<Crypto>,
    },
    /// A handshake at the media's ports.
    Dtls(Box<Dtls>),
    /// An exchange at the media's ports, in streams that are plain otherwise.
    Zrtp {
        /// What the peer announced.
        peer: Option<HelloHash>,
    },
}

/// What of ours stands in descriptions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Own<'a> {
    /// Of our certificate.
    pub(super) fingerprint: Option<&'a Fingerprint>,
    /// Of our ZRTP Hello for this stream.
    pub(super) hello: Option<HelloHash>,
}

/// How a stream of an offer wants to be keyed; `None`: it is nothing that is relayed here.
///
/// ZRTP announces itself in a stream that is plain otherwise. A secure profile with a fingerprint and no key is DTLS too:
/// RFC 5763 before its own profiles, and what clients of WebRTC were told to write.
pub(super) fn wanted(sdp: &Sdp, media: &Media) -> Option<Encryption> {
    let zrtp = || sdp.attribute("zrtp-hash").is_some() || media.attribute("zrtp-hash").is_some();
    let keyless = || media.attribute("crypto").is_none() && dtls::has_fingerprint(sdp, media);
    Some(match media.transport()?.protection {
        Protection::None if zrtp() => Encryption::Zrtp,
        Protection::None => Encryption::None,
        Protection::Sdes if keyless() => Encryption::DtlsSrtp,
        Protection::Sdes => Encryption::Sdes,
        Protection::Dtls => Encryption::DtlsSrtp,
    })
}

/// The profile's part that says how a leg is keyed.
pub(super) const fn protection(mode: Encryption) -> Protection {
    match mode {
        Encryption::None | Encryption::Zrtp => Protection::None,
        Encryption::Sdes => Protection::Sdes,
        Encryption::DtlsSrtp => Protection::Dtls,
    }
}

impl Keying {
    /// Begins anew where the leg's mode is another.
    pub(super) fn become_keyed(&mut self, mode: Encryption, suites: &[Suite]) {
        match (mode, &*self) {
            (Encryption::Sdes, Self::Sdes { .. }) | (Encryption::Zrtp, Self::Zrtp { .. }) => {}
            (Encryption::DtlsSrtp, Self::Dtls(_)) | (Encryption::None, Self::Clear) => {}
            (Encryption::Sdes, _) => {
                *self = Self::Sdes {
                    sdes: Sdes::new(suites),
                    answer: None,
                };
            }
            (Encryption::DtlsSrtp, _) => *self = Self::Dtls(Box::default()),
            (Encryption::Zrtp, _) => *self = Self::Zrtp { peer: None },
            (Encryption::None, _) => *self = Self::Clear,
        }
    }

    /// Takes the peer's offer of a stream. `moved`: another party than before offers it.
    ///
    /// # Errors
    /// Why it cannot be keyed.
    pub(super) fn take_offer(
        &mut self,
        (offer, media): (&Sdp, &Media),
        moved: bool,
        ids: &mut Ids,
    ) -> Result<(), &'static str> {
        match self {
            Self::Clear => Ok(()),
            Self::Zrtp { peer } => {
                *peer = zrtp::announced(offer, media);
                Ok(())
            }
            Self::Dtls(dtls) => dtls.take_offer(offer, media, ids),
            Self::Sdes { sdes, answer } => {
                if moved {
                    sdes.renew();
                }
                let line = sdes.answer(media.attributes("crypto"), ids).map_err(|error| {
                    tracing::debug!(%error, "stream refused");
                    "no crypto line with a suite that is supported here"
                })?;
                *answer = Some(line);
                Ok(())
            }
        }
    }

    /// Takes the peer's answer to what [`Self::offer`] said.
    ///
    /// # Errors
    /// Why it cannot be keyed.
    pub(super) fn take_answer(&mut self, answer: &Sdp, media: &Media) -> Result<(), String> {
        match self {
            Self::Clear => Ok(()),
            Self::Zrtp { peer } => {
                *peer = zrtp::announced(answer, media);
                Ok(())
            }
            Self::Sdes { sdes, .. } => sdes
                .take_answer(media.attributes("crypto"))
                .map_err(|error| format!("answer: {error}")),
            Self::Dtls(dtls) => dtls
                .take_answer(answer, media)
                .map_err(|error| format!("answer: {error}")),
        }
    }

    /// The lines of our offer.
    pub(super) fn offer(&mut self, own: Own<'_>, ids: &mut Ids) -> Vec<Line> {
        match self {
            Self::Clear => Vec::new(),
            Self::Zrtp { .. } => own.hello.iter().map(announce).collect(),
            Self::Sdes { sdes, .. } => sdes.offer(ids).iter().map(line).collect(),
            Self::Dtls(dtls) => own
                .fingerprint
                .map(|fingerprint| dtls.offer(fingerprint, ids))
                .unwrap_or_default(),
        }
    }

    /// The lines of our answer; `None` where there is nothing to answer with.
    pub(super) fn answer(&self, own: Own<'_>) -> Option<Vec<Line>> {
        match self {
            Self::Clear => Some(Vec::new()),
            Self::Zrtp { .. } => Some(vec![announce(own.hello.as_ref()?)]),
            Self::Sdes { answer, .. } => Some(vec![line(answer.as_ref()?)]),
            Self::Dtls(dtls) => dtls.answer(own.fingerprint?),
        }
    }

    /// The profile's part that says how it is keyed.
    pub(super) const fn protection(&self) -> Protection {
        match self {
            Self::Clear | Self::Zrtp { .. } => Protection::None,
            Self::Sdes { .. } => Protection::Sdes,
            Self::Dtls(_) => Protection::Dtls,
        }
    }

    /// The DTLS association that there should be.
    pub(super) fn association(&self, rtp: SocketAddr, rtcp: Option<SocketAddr>) -> Option<Association> {
        match self {
            Self::Dtls(dtls) => dtls.association(rtp, rtcp),
            Self::Clear | Self::Sdes { .. } | Self::Zrtp { .. } => None,
        }
    }
}

fn announce(hello: &HelloHash) -> Line {
    Line::attribute(format!("zrtp-hash:{hello}"))
}

fn line(crypto: &Crypto) -> Line {
    Line::attribute(format!("crypto:{crypto}"))
}

/// The suites that a caller's stream may use. Who calls us may have only a suite that we would not offer: no rule of ours
/// speaks of it. All others keep to the shorter list, because our own offers repeat it and shall fit into a datagram.
pub(super) fn suites_for<'a>(configured: &'a [Suite], media: &Media) -> &'a [Suite] {
    let usual = |line: &str| {
        Crypto::parse(line).is_ok_and(|crypto| {
            crypto
                .suite
                .parse()
                .is_ok_and(|suite| DEFAULT_SUITES.contains(&suite))
        })
    };
    if configured.is_empty() && !media.attributes("crypto").any(usual) {
        &ACCEPTED_SUITES
    } else {
        configured
    }
}
