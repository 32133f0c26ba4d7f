//! Where one leg has digits in its media (RFC 4733) and the other only in INFO.

use super::{MediaPlan, Session, Side, formats::Part};
use crate::{
    media::{Events, StreamId, StreamKind},
    sdp::{Format, Sdp},
};

fn events(sdp: Option<&Sdp>, index: usize) -> Option<Format> {
    let formats = sdp?.media.get(index)?.rtp_formats();
    formats.into_iter().find(Format::is_events)
}

impl MediaPlan {
    /// Notes whether a leg's peer takes INFO: then its digits can be had although its media have none.
    pub fn takes_infos(&mut self, side: Side, takes: bool) {
        self.voice_mut(side).takes_infos = takes;
    }
    /// Adds digits to what `to` is told of voice, where the other leg's peer did not say them but takes INFO.
    pub(super) fn lend_events(&self, session: &mut Session, to: Side, told: &mut Sdp, part: Part) {
        if self.voice(to.other()).takes_infos {
            session.lend(to, told, part);
        }
    }
    /// What the relay does with the digits of a side: nothing, where both have them or neither has.
    pub(super) fn events(&self, side: Side, index: usize) -> Option<Events> {
        let agreed = |side| {
            let said = events(self.voice(side).said.as_ref(), index)?;
            let heard = events(self.agreed.leg(side).heard.as_ref(), index)?;
            Some((said, heard))
        };
        let (said, heard) = agreed(side)?;
        if agreed(side.other()).is_some() {
            return None;
        }
        Some(Events {
            // By the RFC its peer sends by what we said; many send by what they said themselves.
            hears: 1 << (said.number & 0x7f) | 1 << (heard.number & 0x7f),
            says: heard.number,
            clock: heard.encoding.clock()?,
        })
    }
    /// The stream in which a leg gets digits that the other says in INFO; `None`: it has none, or the other has them too.
    pub fn digits(&self, side: Side) -> Option<StreamId> {
        let leg = self.agreed.leg(side);
        let voice = |&index: &usize| leg.is_active(index) && leg.kind(index) == StreamKind::Audio;
        let mut voices = (0..leg.streams.len()).filter(voice);
        voices
            .find(|&index| self.events(side, index).is_some())
            .map(StreamId)
    }
    /// The stream whose sender, on that leg, can be asked for a key frame by RTCP.
    pub fn asks_for_pictures(&self, side: Side) -> Option<StreamId> {
        let leg = self.agreed.leg(side);
        let media = &leg.heard.as_ref()?.media;
        (0..media.len())
            .find(|&index| leg.is_active(index) && super::key_frames::key_frames(&media[index]).is_some())
            .map(StreamId)
    }
}
