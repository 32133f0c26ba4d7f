//! A call that rings is picked up by a party that has called by itself: it has offered and so has the caller, and each of the two is
//! answered what the other one would have answered.

use super::{By, Encryption, Guest, LegState, MediaPlan, Session, Side, asked, not_acceptable};
use crate::{
    call::{Env, Failure},
    sdp::{Media, Sdp},
};
use std::net::IpAddr;

/// What the caller and who picks up have offered.
#[derive(Clone, Copy, Debug)]
pub struct Offers<'a> {
    /// The caller.
    pub caller: &'a Sdp,
    /// Who picks up.
    pub picker: &'a Sdp,
}

impl Offers<'_> {
    /// What the caller is answered, as who picks up would write it.
    fn to_caller(self) -> Sdp {
        self.picker.answering(self.caller)
    }
    /// What who picks up is answered, as the caller would write it.
    fn to_picker(self) -> Sdp {
        self.caller.answering(self.picker)
    }
}

impl MediaPlan {
    /// A party wants to pick up what rings at leg B: what would be agreed with the caller, whose offer `invited` has taken. `local`:
    /// our address on the way to it.
    ///
    /// # Errors
    /// 488 when the two have nothing in common, or when its media would be in clear where that of the callee would not be.
    pub fn pick_up(
        &mut self,
        invited: &Session,
        local: IpAddr,
        offers: Offers<'_>,
        env: &mut Env<'_>,
    ) -> Result<(Guest, Session), Failure> {
        let side = Side::B;
        let is_keyed = invited.b.mode.is_some_and(|mode| mode != Encryption::None);
        if is_keyed && asked(offers.picker) == Encryption::None {
            return Err(not_acceptable(By::Local, "whom it rings at is called encrypted"));
        }
        let mut session = invited.clone();
        session.forget(side);
        session.b = LegState::default();
        self.take_offer(&mut session, side, offers.picker, env.ids)?;
        let (to_caller, to_picker) = (offers.to_caller(), offers.to_picker());
        let has = |sdp: &Sdp, index: usize| sdp.media.get(index).is_some_and(Media::is_active);
        for index in 0..session.a.streams.len().max(session.b.streams.len()) {
            let both = session.a.is_active(index) && session.b.is_active(index);
            if !(both && has(&to_caller, index) && has(&to_picker, index)) {
                session.a.drop_stream(index);
                session.b.drop_stream(index);
            }
        }
        if !session.b.streams.iter().any(|stream| stream.active) {
            return Err(not_acceptable(By::Local, "nothing that both could talk by"));
        }
        let guest = self.guest_at(side, local, offers.caller.clone(), env);
        Ok((guest, session))
    }

    /// What the two are answered: the caller, and who picks up.
    pub fn pick_up_answers(
        &mut self,
        guest: &mut Guest,
        session: &mut Session,
        offers: Offers<'_>,
        env: &mut Env<'_>,
    ) -> Option<(Sdp, Sdp)> {
        let to_caller = self.answer_to(session, Side::A, &offers.to_caller(), env)?;
        let to_picker = self.answer_guest(guest, session, &offers.to_picker(), env)?;
        Some((to_caller, to_picker))
    }
}
