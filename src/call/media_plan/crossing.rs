//! What of a session crosses from leg to leg under other numbers, or not at all: formats, codecs that are not wanted, feedback.

use super::{
    By, MediaPlan, Session, Side,
    formats::{Formats, Part},
    not_acceptable,
};
use crate::{
    call::Failure,
    media::PayloadMap,
    sdp::{Media, Sdp},
};
use std::borrow::Cow;

impl Session {
    /// Takes the payload types that a leg's peer said.
    pub(super) fn hear(&mut self, from: Side, sdp: &Sdp, part: Part) {
        for (index, media) in sdp.media.iter().enumerate() {
            if self.leg(from).is_active(index) && media.is_active() {
                if self.formats.len() <= index {
                    self.formats.resize_with(index + 1, Formats::default);
                }
                self.formats[index].hear(from, media, part);
            }
        }
    }
    /// What the peer of the other leg said, with the payload types of `to`.
    pub(super) fn speak(&mut self, to: Side, received: &Sdp, part: Part) -> Sdp {
        let mut told = received.clone();
        for (index, media) in told.media.iter_mut().enumerate() {
            let active = media.is_active() && self.leg(to.other()).is_active(index);
            if let (true, Some(formats)) = (active, self.formats.get_mut(index)) {
                *media = formats.speak(to, media, part);
            }
        }
        told
    }
    /// Adds digits to what `to` is told of voice, where nobody said them and its peer can have them.
    pub(super) fn lend(&mut self, to: Side, told: &mut Sdp, part: Part) {
        for (index, media) in told.media.iter_mut().enumerate() {
            let active = media.is_active() && self.leg(to.other()).is_active(index);
            let is_voice = media.kind.eq_ignore_ascii_case("audio");
            if let (true, true, Some(formats)) = (active, is_voice, self.formats.get_mut(index)) {
                formats.lend(to, media, part);
            }
        }
    }
    /// Another party takes the place of a leg's: nothing was said to it yet.
    pub(super) fn forget(&mut self, side: Side) {
        self.formats.iter_mut().for_each(|formats| formats.forget(side));
    }
    /// How packets of a stream that come from a side are renumbered.
    pub(super) fn renumbers(&self, from: Side, index: usize) -> Option<Box<PayloadMap>> {
        self.formats.get(index)?.crossing(from)
    }
    /// The clock rates of what comes from a side, by payload type.
    pub(super) fn clocks(&self, from: Side, index: usize) -> Box<[(u8, u32)]> {
        let formats = self.formats.get(index);
        formats.map(|formats| formats.clocks(from)).unwrap_or_default()
    }
    /// Whether RTCP feedback goes to a side as it comes. Where no leg speaks it, it is the parties' own affair.
    pub(super) fn takes_feedback(&self, to: Side, index: usize) -> bool {
        let speaks = |side| {
            let stream = self.leg(side).streams.get(index);
            stream.is_some_and(|stream| stream.feedback.spoken)
        };
        speaks(to) || !speaks(to.other())
    }
}

impl MediaPlan {
    /// A description without the codecs that are not wanted (`audio-codec`, `video-codec`). A stream of which nothing is left
    /// is refused in it.
    pub(super) fn wanted<'a>(&self, said: &'a Sdp) -> Cow<'a, Sdp> {
        self.codecs.restrict(said)
    }
    /// The same; 488 when what is left has no voice any more.
    pub(super) fn wanted_of<'a>(&self, from: Side, said: &'a Sdp) -> Result<Cow<'a, Sdp>, Failure> {
        let wanted = self.wanted(said);
        let voice = |sdp: &Sdp| {
            let voice = |media: &Media| media.is_active() && media.kind.eq_ignore_ascii_case("audio");
            sdp.media.iter().any(voice)
        };
        if voice(said) && !voice(&wanted) {
            let by = match from {
                Side::A => By::LegA,
                Side::B => By::LegB,
            };
            return Err(not_acceptable(by, "no codec that may be used here"));
        }
        Ok(wanted)
    }
}

/// RTCP feedback on one stream of a leg (RFC 4585).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Feedback {
    /// Whether the leg's profile is AVPF; `None` before both have spoken. A leg keeps its profile.
    profile: Option<bool>,
    /// Its peer understands feedback: by its profile, or because it says `a=rtcp-fb` with another one, as Linphone and
    /// baresip do.
    spoken: bool,
}

/// What of feedback may stand in a description.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// The profile is AVPF.
    pub(super) profile: bool,
    /// Its attributes.
    pub(super) attributes: bool,
}

fn profile(media: &Media) -> bool {
    media.transport().is_some_and(|transport| transport.feedback)
}
fn attributes(media: &Media) -> bool {
    media.attribute("rtcp-fb").is_some()
}

impl Feedback {
    /// Takes the peer's offer.
    pub(super) fn hear_offer(&mut self, offered: &Media) {
        self.profile = Some(profile(offered));
        self.spoken = profile(offered) || attributes(offered);
    }
    /// Takes the peer's answer to ours.
    pub(super) fn hear_answer(&mut self, offered: &Media, said: &Media) {
        let agreed = profile(offered) && profile(said);
        self.profile = Some(agreed);
        self.spoken = agreed || attributes(said);
    }
    /// What an offer to the peer has when the other leg's peer said `said`, and `wish` is what a first one is to have.
    pub(super) fn to_offer(self, said: &Media, wish: Option<bool>) -> Terms {
        let ours = self.profile.or(wish).unwrap_or_else(|| profile(said));
        Terms {
            profile: ours,
            // With AVP as it came: harmless to whoever does not know it. Not where a leg without feedback would be told.
            attributes: ours || !profile(said) || self.spoken,
        }
    }
    /// What an answer to the peer has.
    pub(super) fn to_answer(self) -> Terms {
        Terms {
            profile: self.profile.unwrap_or(false),
            attributes: self.spoken,
        }
    }
}
