//! One leg's share of a session: its encryption, its streams, what its peer said.

use super::{By, not_acceptable};
use crate::{
    call::{Encryption, Failure, Side},
    media::{
        StreamKind, Suite,
        sdes::{ACCEPTED_SUITES, Agreed, DEFAULT_SUITES, Sdes},
    },
    sdp::{Crypto, Protection, Sdp, StreamPlan},
    sip::Ids,
};
use std::net::SocketAddr;

/// What is negotiated on one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct LegState {
    /// How the leg is keyed; fixed by the first offer, except that a clear leg may become encrypted.
    pub(super) mode: Option<Encryption>,
    suites: Vec<Suite>,
    /// The suite that was agreed last: the peer has it for further streams too.
    suite: Option<Suite>,
    /// The peer's last description.
    pub(super) heard: Option<Sdp>,
    /// By m-line.
    pub(super) streams: Vec<Stream>,
}

/// One stream on one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct Stream {
    /// Offered or accepted, with ports on both legs.
    pub(super) active: bool,
    kind: String,
    sdes: Option<Sdes>,
    /// The line that answers the peer's offer.
    answer: Option<Crypto>,
    /// RTCP shares the RTP port.
    pub(super) mux: bool,
    /// The peer is to send.
    pub(super) sends: bool,
}

impl Stream {
    pub(super) fn keys(&self) -> Option<&Agreed> {
        self.sdes.as_ref()?.agreed()
    }
}

/// The encryption that an offer asks for, in the order in which clients mean it: ZRTP announces itself in an offer that is plain
/// otherwise, DTLS-SRTP and SDES are profiles.
pub fn asked(offer: &Sdp) -> Encryption {
    let mut active = offer.media.iter().filter(|media| media.is_active());
    let is = |wanted: Protection| {
        offer.media.iter().any(|media| {
            media.is_active()
                && media
                    .transport()
                    .is_some_and(|transport| transport.protection == wanted)
        })
    };
    let zrtp =
        offer.attribute("zrtp-hash").is_some() || active.any(|media| media.attribute("zrtp-hash").is_some());
    match () {
        () if zrtp => Encryption::Zrtp,
        () if is(Protection::Dtls) => Encryption::DtlsSrtp,
        () if is(Protection::Sdes) => Encryption::Sdes,
        () => Encryption::None,
    }
}

const fn origin(side: Side) -> By {
    match side {
        Side::A => By::LegA,
        Side::B => By::LegB,
    }
}

impl LegState {
    pub(super) fn new(mode: Option<Encryption>, suites: Vec<Suite>) -> Self {
        Self {
            mode,
            suites,
            ..Self::default()
        }
    }
    pub(super) fn is_active(&self, index: usize) -> bool {
        self.streams.get(index).is_some_and(|stream| stream.active)
    }
    pub(super) fn kind(&self, index: usize) -> StreamKind {
        match self.streams.get(index) {
            Some(stream) if stream.kind.eq_ignore_ascii_case("audio") => StreamKind::Audio,
            _ => StreamKind::Video,
        }
    }
    /// Takes a stream out. Its keys go with it: see `media::sdes` on why they must.
    pub(super) fn drop_stream(&mut self, index: usize) {
        if let Some(stream) = self.streams.get_mut(index) {
            *stream = Stream::default();
        }
    }

    /// Takes the peer's offer: decides which streams can be had and with which keys they are answered.
    pub(super) fn take_offer(&mut self, offer: &Sdp, side: Side, ids: &mut Ids) -> Result<(), Failure> {
        let refuse = |reason: &str| not_acceptable(origin(side), reason);
        let asked = asked(offer);
        match (self.mode, asked) {
            (_, Encryption::DtlsSrtp) => return Err(refuse("DTLS-SRTP is not available")),
            (None, Encryption::Zrtp) => return Err(refuse("ZRTP is not available")),
            (Some(Encryption::DtlsSrtp | Encryption::Zrtp), _) => {
                return Err(refuse("the encryption that this call needs is not available"));
            }
            (None, asked) => self.mode = Some(asked),
            (Some(Encryption::None), Encryption::Sdes) => self.mode = Some(Encryption::Sdes),
            (Some(Encryption::Sdes), Encryption::None | Encryption::Zrtp)
                if offer.media.iter().any(|media| media.is_active()) =>
            {
                return Err(refuse("this leg is encrypted and stays so"));
            }
            (Some(_), _) => {}
        }
        let wanted = match self.mode {
            Some(Encryption::Sdes) => Protection::Sdes,
            _ => Protection::None,
        };
        // RFC 3264 §8: the same party keeps its `o=`. Another one knows no rollover counter of ours.
        let moved = self
            .heard
            .as_ref()
            .is_some_and(|heard| !heard.origin.same_session(&offer.origin));
        let mut reason = None;
        for (index, media) in offer.media.iter().enumerate() {
            if self.streams.len() <= index {
                self.streams.push(Stream::default());
            }
            let usable = media.is_active()
                && media
                    .transport()
                    .is_some_and(|transport| transport.protection == wanted);
            if !usable {
                if media.is_active() {
                    reason.get_or_insert("no stream with a transport that is relayed here");
                }
                self.drop_stream(index);
                continue;
            }
            let stream = &mut self.streams[index];
            stream.kind.clone_from(&media.kind);
            stream.mux = media.attribute("rtcp-mux").is_some();
            stream.active = true;
            if wanted == Protection::Sdes {
                // Who calls us may have only a suite that we would not offer: no rule of ours speaks of it. From all others we
                // take a better one.
                let usual = |line: &str| {
                    Crypto::parse(line).is_ok_and(|crypto| {
                        crypto
                            .suite
                            .parse()
                            .is_ok_and(|suite| DEFAULT_SUITES.contains(&suite))
                    })
                };
                let allowed: &[Suite] = if self.suites.is_empty() && !media.attributes("crypto").any(usual) {
                    &ACCEPTED_SUITES
                } else {
                    &self.suites
                };
                let sdes = stream.sdes.get_or_insert_with(|| Sdes::new(allowed));
                sdes.allow(allowed);
                if moved {
                    sdes.renew();
                }
                match sdes.answer(media.attributes("crypto"), ids) {
                    Ok(answer) => {
                        stream.answer = Some(answer);
                        self.suite = stream.keys().map(|keys| keys.send.suite);
                    }
                    Err(error) => {
                        tracing::debug!(index, %error, "stream refused");
                        reason = Some("no crypto line with a suite that is supported here");
                        self.drop_stream(index);
                    }
                }
            }
        }
        for index in offer.media.len()..self.streams.len() {
            self.drop_stream(index);
        }
        match reason {
            Some(reason) if !self.streams.iter().any(|stream| stream.active) => Err(refuse(reason)),
            _ => {
                self.heard = Some(offer.clone());
                Ok(())
            }
        }
    }

    /// One stream of our offer.
    pub(super) fn offer_stream(
        &mut self,
        index: usize,
        rtp: SocketAddr,
        rtcp: SocketAddr,
        ids: &mut Ids,
    ) -> StreamPlan {
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, Stream::default);
        }
        let stream = &mut self.streams[index];
        stream.active = true;
        let secure = self.mode == Some(Encryption::Sdes);
        StreamPlan {
            rtp,
            rtcp,
            // Kept where the peer asked for it once; never pressed on one that did not.
            mux: stream.mux,
            protection: if secure {
                Protection::Sdes
            } else {
                Protection::None
            },
            crypto: if secure {
                let sdes = stream.sdes.get_or_insert_with(|| {
                    let mut sdes = Sdes::new(&self.suites);
                    self.suite.inspect(|suite| sdes.prefer(*suite));
                    sdes
                });
                sdes.offer(ids)
            } else {
                Vec::new()
            },
        }
    }

    /// One stream of our answer; `None` when it has no key where it needs one.
    pub(super) fn answer_stream(
        &self,
        index: usize,
        rtp: SocketAddr,
        rtcp: SocketAddr,
    ) -> Option<StreamPlan> {
        let stream = self.streams.get(index)?;
        let crypto = match self.mode {
            Some(Encryption::Sdes) => vec![stream.answer.clone()?],
            _ => Vec::new(),
        };
        Some(StreamPlan {
            rtp,
            rtcp,
            mux: stream.mux,
            protection: if crypto.is_empty() {
                Protection::None
            } else {
                Protection::Sdes
            },
            crypto,
        })
    }

    /// Takes the peer's answer to `offer`, which we sent.
    pub(super) fn take_answer(&mut self, offer: &Sdp, answer: &Sdp, side: Side) -> Result<(), Failure> {
        let refuse = |reason: &str| not_acceptable(origin(side), reason);
        let secure = self.mode == Some(Encryption::Sdes);
        for (index, offered) in offer.media.iter().enumerate() {
            let said = answer
                .media
                .get(index)
                .filter(|said| said.is_active() && offered.is_active());
            let Some(said) = said else {
                self.drop_stream(index);
                continue;
            };
            let protection = said.transport().map(|transport| transport.protection);
            let Some(stream) = self.streams.get_mut(index) else {
                continue;
            };
            stream.active = true;
            stream.kind.clone_from(&offered.kind);
            match (secure, protection) {
                (true, Some(Protection::Sdes)) => {
                    stream
                        .sdes
                        .as_mut()
                        .ok_or_else(|| refuse("keys that nobody offered"))?
                        .take_answer(said.attributes("crypto"))
                        .map_err(|error| refuse(&format!("answer: {error}")))?;
                    self.suite = stream.keys().map(|keys| keys.send.suite);
                }
                (false, Some(Protection::None)) => {}
                _ => return Err(refuse("the answer's transport is not the offer's")),
            }
            stream.mux = offered.attribute("rtcp-mux").is_some() && said.attribute("rtcp-mux").is_some();
            let direction = answer.direction(said).and(offer.direction(offered).reversed());
            stream.sends = direction.sends();
        }
        self.heard = Some(answer.clone());
        Ok(())
    }
}
