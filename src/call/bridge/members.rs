//! Whose legs there are in a call.

use super::*;
use crate::sip::routing::Source;

/// One leg of a call, and what it is to it.
pub(super) struct Member {
    pub(super) leg: Leg,
    pub(super) place: Place,
    /// Given back when the leg is hung up.
    pub(super) lease: Option<Lease>,
    /// We called it, with nobody between: what it says by SIP comes from where its media may come from too.
    pub(super) direct: bool,
    /// Where what it said last came from.
    pub(super) source: Option<Source>,
    /// It is a stranger to the other party, whose words it does not hear.
    pub(super) stranger: bool,
    /// Nothing is left of it; it stays to answer what still comes.
    pub(super) closed: bool,
}

/// What a leg is to its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Its side's: what it says is told the other side.
    Current,
    /// Called for the place of another, which it has not taken yet.
    Guest,
    /// Another has its place. It is told what became of that, then it is hung up.
    Leaving,
    /// Of nobody any more: it cleans up by itself.
    Former,
}

impl Member {
    /// Who called.
    pub(super) fn caller(leg: Leg, source: Source) -> Self {
        Self {
            leg,
            place: Place::Current,
            lease: None,
            direct: false,
            source: Some(source),
            stranger: false,
            closed: false,
        }
    }
    /// Who is called by that route, whose lease it takes.
    pub(super) fn called(leg: Leg, place: Place, route: &mut Outgoing) -> Self {
        Self {
            leg,
            place,
            lease: route.lease.take(),
            direct: route.route.is_empty(),
            source: None,
            stranger: route.stranger == Some(Side::B),
            closed: false,
        }
    }
    /// Tells it, as much as it is to hear.
    pub(super) fn tell(&mut self, signal: Signal, env: &mut Env<'_>) {
        let signal = if self.stranger {
            signal.for_stranger()
        } else {
            signal
        };
        self.leg.handle_signal(signal, env);
    }
    /// Whether it speaks for that side.
    pub(super) fn is_current(&self, side: Side) -> bool {
        self.place == Place::Current && self.leg.side() == side
    }
}

impl Call {
    /// The leg with that Call-ID.
    pub(super) fn member(&mut self, call_id: &Text) -> Option<&mut Member> {
        self.members
            .iter_mut()
            .find(|member| member.leg.call_id() == call_id)
    }
    /// The leg that speaks for a side.
    pub(super) fn leg_of(&self, side: Side) -> Option<&Leg> {
        let mut members = self.members.iter();
        members
            .find(|member| member.is_current(side))
            .map(|member| &member.leg)
    }
    /// The same, with what it holds.
    pub(super) fn member_of(&mut self, side: Side) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.is_current(side))
    }
    /// Tells one leg, whatever it is to the call.
    pub(super) fn tell_member(&mut self, call_id: &Text, signal: Signal, env: &mut Env<'_>) {
        if let Some(member) = self.member(call_id).filter(|member| !member.closed) {
            member.tell(signal, env);
        }
    }
    /// Hangs a leg up that is of nobody any more.
    pub(super) fn dismiss(&mut self, call_id: &Text, cause: Cause, env: &mut Env<'_>) {
        if let Some(member) = self.member(call_id) {
            member.place = Place::Former;
            member.lease = None;
            member.tell(Signal::Hangup(cause), env);
        }
    }
    /// Tells one side. A leg that is closed, or not there, has nobody to tell.
    pub(super) fn tell(&mut self, side: Side, signal: Signal, env: &mut Env<'_>) {
        if let Some(member) = self.member_of(side).filter(|member| !member.closed) {
            member.tell(signal, env);
        }
    }
}
