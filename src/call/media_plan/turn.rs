//! Legs that turn: plain ones to ZRTP, by the Hello in their media, and ZRTP ones to the clear, where that is allowed.

use super::{Encryption, LegState, MediaPlan, Session, Side};
use crate::{
    media::zrtp::{Message, Packet},
    sdp::Sdp,
};

impl LegState {
    /// Whether a Hello makes this leg ZRTP.
    pub(super) fn hears_hello(&self, side: Side) -> bool {
        self.mode == Some(Encryption::None) && (side == Side::A || self.yielded)
    }
}

impl Session {
    /// A Hello came on a plain leg. Leg B, which may be keyed as its caller was when it was called, stays as it is: it has been
    /// told. Further attempts go by what the caller is now.
    pub fn become_zrtp(&mut self, side: Side) {
        let leg = self.leg_mut(side);
        if leg.hears_hello(side) {
            leg.turn(Encryption::Zrtp);
        }
    }

    /// The peer does no ZRTP.
    pub fn yield_to_clear(&mut self, side: Side) {
        let leg = self.leg_mut(side);
        if leg.mode == Some(Encryption::Zrtp) {
            leg.turn(Encryption::None);
            leg.yielded = true;
        }
    }
}

impl MediaPlan {
    /// Whether a Hello that came makes a plain leg ZRTP: the caller's, who offered plain RTP and announced nothing, or that of
    /// a callee who was to speak ZRTP and seemed to have none. A callee whose rule says `none` stays plain.
    pub fn is_greeting(&self, side: Side, datagram: &[u8]) -> bool {
        let hello = || match Message::parse(Packet::parse(datagram).ok()?.message).ok()? {
            Message::Hello(hello) => Some(hello),
            _ => None,
        };
        self.agreed.leg(side).hears_hello(side)
            && hello().is_some_and(|hello| hello.is_ours() && hello.zid != self.zid)
    }

    /// A plain leg is ZRTP from now on, whatever an offer that is under way becomes.
    pub fn become_zrtp(&mut self, side: Side) {
        self.agreed.become_zrtp(side);
    }

    /// Whether leg B may go on in the clear: its peer neither announced ZRTP nor said Hello, and its policy allows it.
    pub fn may_yield(&self, side: Side) -> bool {
        let leg = self.agreed.leg(side);
        // Whatever it announces: a hash that cannot be read is one of somebody who does ZRTP.
        let announces = |heard: &Sdp| {
            let media = heard
                .media
                .iter()
                .any(|media| media.attribute("zrtp-hash").is_some());
            media || heard.attribute("zrtp-hash").is_some()
        };
        let announced = leg.heard.as_ref().is_some_and(announces);
        let met = self.voice(side).zrtp.as_ref();
        self.yields
            && side == Side::B
            && leg.mode == Some(Encryption::Zrtp)
            && !announced
            && !met.is_some_and(|zrtp| zrtp.association.has_met())
    }

    /// A leg that was to be ZRTP is plain from now on.
    pub fn yield_to_clear(&mut self, side: Side) {
        self.agreed.yield_to_clear(side);
    }
}
