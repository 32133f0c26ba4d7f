//! One leg's share of a session: its encryption, its streams, what its peer said.

use super::{
    By,
    crossing::Feedback,
    dtls::Association,
    keying::{Keying, Own, suites_for, wanted},
    not_acceptable,
};
use crate::{
    call::{Encryption, Failure, Side},
    media::{SrtpKeys, StreamKind, Suite, zrtp::HelloHash},
    sdp::{Media, Sdp, StreamPlan},
    sip::Ids,
};
use std::net::SocketAddr;

/// What is negotiated on one leg.
#[derive(Clone, Debug, Default)]
pub(super) struct LegState {
    /// How the leg is keyed; fixed by the first offer, except that a clear leg may become encrypted.
    pub(super) mode: Option<Encryption>,
    /// It is plain because its peer does no ZRTP. Should it turn out to do it, it is welcome.
    pub(super) yielded: bool,
    suites: Vec<Suite>,
    /// Whether our first offer has AVPF; `None`: as the other leg's peer has it.
    pub(super) avpf: Option<bool>,
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
    keying: Keying,
    /// RTCP shares the RTP port.
    pub(super) mux: bool,
    /// The peer is to send.
    pub(super) sends: bool,
    /// Where its RTP and RTCP were said to be last; a hold by address changes nothing.
    at: Option<(SocketAddr, Option<SocketAddr>)>,
    pub(super) feedback: Feedback,
}

impl Stream {
    /// The keys that descriptions carried.
    pub(super) fn keys(&self) -> Option<&SrtpKeys> {
        match &self.keying {
            Keying::Sdes { sdes, .. } => sdes.agreed(),
            Keying::Clear | Keying::Dtls(_) | Keying::Zrtp { .. } => None,
        }
    }
    /// The suite that descriptions agreed on.
    fn suite(&self) -> Option<Suite> {
        self.keys().map(|keys| keys.send.suite)
    }
    /// The association that there should be.
    pub(super) fn association(&self) -> Option<Association> {
        let (rtp, rtcp) = self.at.filter(|_| self.active)?;
        self.keying.association(rtp, rtcp.filter(|_| !self.mux))
    }
    /// What its peer announced for ZRTP.
    pub(super) fn zrtp_peer(&self) -> Option<HelloHash> {
        match &self.keying {
            Keying::Zrtp { peer } => *peer,
            Keying::Clear | Keying::Sdes { .. } | Keying::Dtls(_) => None,
        }
    }
    /// Where its peer was said to be last.
    pub(super) fn at(&self) -> Option<SocketAddr> {
        self.at.map(|(rtp, _)| rtp)
    }
    /// Whether it is keyed by ZRTP.
    pub(super) fn is_zrtp(&self) -> bool {
        matches!(self.keying, Keying::Zrtp { .. })
    }
    fn locate(&mut self, sdp: &Sdp, media: &Media) {
        if let Some(rtp) = sdp.rtp(media) {
            self.at = Some((rtp, sdp.rtcp(media)));
        }
    }
}

/// The encryption that an offer asks for, in the order in which clients mean it: ZRTP announces itself in an offer that is plain
/// otherwise, DTLS-SRTP and SDES are profiles.
pub fn asked(offer: &Sdp) -> Encryption {
    let active = offer.media.iter().filter(|media| media.is_active());
    let all: Vec<Encryption> = active.filter_map(|media| wanted(offer, media)).collect();
    [Encryption::Zrtp, Encryption::DtlsSrtp, Encryption::Sdes]
        .into_iter()
        .find(|mode| all.contains(mode))
        .unwrap_or(Encryption::None)
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
    /// What it is offered of SDES.
    pub(super) fn suites(&self) -> &[Suite] {
        &self.suites
    }
    /// Changes how a leg is keyed whose media is plain RTP by its profile either way.
    pub(super) fn turn(&mut self, mode: Encryption) {
        self.mode = Some(mode);
        for stream in self.streams.iter_mut().filter(|stream| stream.active) {
            stream.keying.become_keyed(mode, &[]);
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

    /// Whether a stream of an offer can be had on this leg as it is keyed.
    pub(super) fn suits(&self, offer: &Sdp, media: &Media) -> bool {
        let mode = self.mode.unwrap_or(Encryption::None);
        let plain = |mode| matches!(mode, Encryption::None | Encryption::Zrtp);
        // ZRTP announces itself or does not: in either case the stream is a plain one. What it carries is not.
        media.is_active()
            && wanted(offer, media).is_some_and(|wanted| wanted == mode || plain(wanted) && plain(mode))
    }

    /// Settles how the leg is keyed: by its first offer. A clear leg may become encrypted, an encrypted one stays as it is.
    fn settle_mode(&mut self, offer: &Sdp, side: Side) -> Result<(), Failure> {
        let refuse = |reason: &str| Err(not_acceptable(origin(side), reason));
        match (self.mode, asked(offer)) {
            // A callee that announces ZRTP where a rule says none gets none.
            (Some(Encryption::None), Encryption::Zrtp) if side == Side::B => Ok(()),
            // What was announced once need not be announced again.
            (Some(Encryption::Zrtp), Encryption::None) => Ok(()),
            (None, asked) | (Some(Encryption::None), asked) => {
                self.mode = Some(asked);
                Ok(())
            }
            (Some(mode), asked) if mode == asked || !offer.media.iter().any(Media::is_active) => Ok(()),
            (Some(mode), _) => {
                tracing::debug!(%mode, "an offer without the encryption of this leg");
                refuse("this leg is encrypted and stays so")
            }
        }
    }

    /// Takes the peer's offer: decides which streams can be had and with which keys they are answered.
    pub(super) fn take_offer(&mut self, offer: &Sdp, side: Side, ids: &mut Ids) -> Result<(), Failure> {
        self.settle_mode(offer, side)?;
        let mode = self.mode.unwrap_or(Encryption::None);
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
            if !self.suits(offer, media) {
                if media.is_active() {
                    reason.get_or_insert("no stream with a transport that is relayed here");
                }
                self.drop_stream(index);
                continue;
            }
            let suites = suites_for(&self.suites, media);
            let stream = &mut self.streams[index];
            stream.kind.clone_from(&media.kind);
            stream.mux = media.attribute("rtcp-mux").is_some();
            stream.active = true;
            stream.feedback.hear_offer(media);
            stream.locate(offer, media);
            stream.keying.become_keyed(mode, suites);
            if let Keying::Sdes { sdes, .. } = &mut stream.keying {
                sdes.allow(suites);
            }
            if let Err(why) = stream.keying.take_offer((offer, media), moved, ids) {
                tracing::debug!(index, why, "stream refused");
                reason = Some(why);
                self.drop_stream(index);
            } else {
                self.suite = self.streams[index].suite().or(self.suite);
            }
        }
        for index in offer.media.len()..self.streams.len() {
            self.drop_stream(index);
        }
        match reason {
            Some(reason) if !self.streams.iter().any(|stream| stream.active) => {
                Err(not_acceptable(origin(side), reason))
            }
            _ => {
                self.heard = Some(offer.clone());
                Ok(())
            }
        }
    }

    /// One stream of our offer.
    pub(super) fn offer_stream(
        &mut self,
        (index, said): (usize, &Media),
        (rtp, rtcp): (SocketAddr, SocketAddr),
        own: Own<'_>,
        ids: &mut Ids,
    ) -> StreamPlan {
        if self.streams.len() <= index {
            self.streams.resize_with(index + 1, Stream::default);
        }
        let mode = self.mode.unwrap_or(Encryption::None);
        let stream = &mut self.streams[index];
        stream.active = true;
        stream.keying.become_keyed(mode, &self.suites);
        if let (Keying::Sdes { sdes, .. }, Some(suite)) = (&mut stream.keying, self.suite) {
            sdes.prefer(suite);
        }
        let terms = stream.feedback.to_offer(said, self.avpf);
        StreamPlan {
            rtp,
            rtcp,
            // Kept where the peer asked for it once; never pressed on one that did not.
            mux: stream.mux,
            protection: stream.keying.protection(),
            feedback: terms.profile,
            feedback_attributes: terms.attributes,
            keys: stream.keying.offer(own, ids),
        }
    }

    /// One stream of our answer; `None` when it has no key where it needs one.
    pub(super) fn answer_stream(
        &self,
        index: usize,
        (rtp, rtcp): (SocketAddr, SocketAddr),
        own: Own<'_>,
    ) -> Option<StreamPlan> {
        let stream = self.streams.get(index)?;
        let terms = stream.feedback.to_answer();
        Some(StreamPlan {
            rtp,
            rtcp,
            mux: stream.mux,
            protection: stream.keying.protection(),
            feedback: terms.profile,
            feedback_attributes: terms.attributes,
            keys: stream.keying.answer(own)?,
        })
    }

    /// Takes the peer's answer to `offer`, which we sent.
    pub(super) fn take_answer(&mut self, offer: &Sdp, answer: &Sdp, side: Side) -> Result<(), Failure> {
        let refuse = |reason: &str| not_acceptable(origin(side), reason);
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
            stream.feedback.hear_answer(offered, said);
            if protection != Some(stream.keying.protection()) {
                return Err(refuse("the answer's transport is not the offer's"));
            }
            stream
                .keying
                .take_answer(answer, said)
                .map_err(|why| refuse(&why))?;
            self.suite = stream.suite().or(self.suite);
            stream.mux = offered.attribute("rtcp-mux").is_some() && said.attribute("rtcp-mux").is_some();
            stream.locate(answer, said);
            let direction = answer.direction(said).and(offer.direction(offered).reversed());
            stream.sends = direction.sends();
        }
        self.heard = Some(answer.clone());
        Ok(())
    }
}
