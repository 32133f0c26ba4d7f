//! A guest that nobody calls: it is a leg of another call, which takes the place of the transferor by re-INVITE. When it does not
//! get that place it goes back. See [`adoption`](crate::call::adoption).

use super::*;
use crate::call::{
    CallNumber,
    adoption::{Errand, Outcome, Wish},
    bridge::{adoption::Adoptee, rebridge::MOST_LEGS},
    media_plan::Belongings,
};

/// How long the other call may take to give it. It waits itself until nothing is under way there.
const PATIENCE: Duration = Duration::from_secs(8);

/// What a guest has from the call that it was in.
#[derive(Debug)]
pub(super) struct Adopted {
    wish: Wish,
    home: (CallNumber, Side),
    longest: Option<Instant>,
    /// It has wanted to be told its session again.
    is_stale: bool,
}

impl Call {
    /// Asks the call that has the target for its leg, where that is better than to call the target.
    pub(super) fn want_leg(&mut self, named: Replaces, env: &Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        rebridge.stage = Stage::Adopting(named.clone(), env.now + PATIENCE);
        let side = rebridge.by;
        let with = self.uri_of(side.other());
        self.put(Output::Adopt(Box::new(Wish {
            asker: CallNumber(0),
            named,
            side,
            with,
        })));
    }
    /// Who the party of a side is.
    fn uri_of(&self, side: Side) -> String {
        let Some(leg) = self.leg_of(side) else {
            return String::new();
        };
        let remote = leg.dialog().remote.clone();
        let address = NameAddr::parse(remote.clone());
        address.map_or_else(
            |_| remote.to_string(),
            |address| address.uri.without_headers().to_string(),
        )
    }
    /// Whether a leg is being waited for that is named so.
    fn awaits_leg(&self, of: &Replaces) -> bool {
        matches!(&self.rebridge, Some(Rebridge { stage: Stage::Adopting(named, _), .. }) if named == of)
    }
    /// The other call does not give it.
    pub(in crate::call::bridge) fn leg_withheld(
        &mut self,
        named: &Replaces,
        failure: &Failure,
        env: &mut Env<'_>,
    ) {
        if self.awaits_leg(named) {
            self.transfer_failed(failure, env);
        }
    }
    /// When that has taken too long.
    pub(in crate::call::bridge) fn leg_due(&self) -> Option<Instant> {
        match &self.rebridge.as_ref()?.stage {
            Stage::Adopting(_, until) => Some(*until),
            _ => None,
        }
    }
    /// It may have.
    pub(in crate::call::bridge) fn leg_overdue(&mut self, env: &mut Env<'_>) {
        if self.leg_due().is_some_and(|until| until <= env.now) {
            let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
            self.transfer_failed(&pending, env);
        }
    }

    /// The leg is here: it is offered what the party that stays said last.
    pub(in crate::call::bridge) fn seat_adoptee(&mut self, mut adoptee: Adoptee, env: &mut Env<'_>) {
        let known = self.member(adoptee.member.leg.call_id()).is_some();
        if !self.awaits_leg(&adoptee.wish.named) || known || self.members.len() >= MOST_LEGS {
            return self.decline_adoptee(adoptee, Status::CALL_DOES_NOT_EXIST);
        }
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let by = rebridge.by;
        let leg = &mut adoptee.member.leg;
        let came_to = adoptee.member.source.map(|source| source.local.ip());
        let local = leg.local_ip().or(came_to).unwrap_or(IpAddr::from([0, 0, 0, 0]));
        leg.change_to(by);
        rebridge.leg = Some(leg.call_id().clone());
        rebridge.adopted = Some(Adopted {
            wish: adoptee.wish,
            home: adoptee.home,
            longest: adoptee.longest,
            is_stale: false,
        });
        adoptee.member.place = Place::Guest;
        self.members.push(adoptee.member);
        let belongings = Box::new(adoptee.belongings);
        self.offer_to_adoptee((local, belongings), env);
    }

    /// Makes its offer, once there are ports for it.
    pub(super) fn offer_to_adoptee(
        &mut self,
        (local, belongings): (IpAddr, Box<Belongings>),
        env: &mut Env<'_>,
    ) {
        let Some((by, call_id)) = self.caller_for_place() else {
            return;
        };
        let streams = self.media.streams_to_offer(by);
        let next = Next::Adopt((local, belongings));
        let Some(Next::Adopt((_, belongings))) = self.with_ports(local, &streams, next) else {
            return;
        };
        let adopted = self.media.adopt_guest(by, local, &belongings, env);
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        match adopted {
            Ok((guest, offer)) => {
                rebridge.guest = Some(guest);
                rebridge.stage = Stage::Dialling;
                self.tell_member(&call_id, Signal::Offer(Some(offer)), env);
            }
            Err(failure) => {
                rebridge.stage = Stage::Opening(Next::Adopt((local, belongings)));
                self.adoptee_not_seated(&failure, env);
            }
        }
    }
    /// There is no place for it: it goes back as it came.
    pub(super) fn adoptee_not_seated(&mut self, failure: &Failure, env: &mut Env<'_>) {
        self.send_home(failure.status, None);
        self.transfer_failed(failure, env);
    }
    fn decline_adoptee(&mut self, mut adoptee: Adoptee, status: Status) {
        adoptee.errand = Errand::Returns(Outcome::untouched(status));
        self.departs(adoptee.dialog());
        self.put(Output::Give(Box::new(adoptee)));
    }

    /// Whether the guest is of another call.
    pub(in crate::call::bridge) fn is_adopting(&self) -> bool {
        matches!(&self.rebridge, Some(rebridge) if rebridge.adopted.is_some())
    }
    /// Whether it has its place, though not for good.
    pub(in crate::call::bridge) fn is_seated(&self) -> bool {
        self.is_adopting()
            && self
                .rebridge
                .as_ref()
                .is_some_and(|rebridge| matches!(rebridge.stage, Stage::Joining))
    }
    /// What a leg of another call says that is not like what one says that was called. Returns all else.
    pub(super) fn heard_from_adoptee(&mut self, signal: Signal, env: &mut Env<'_>) -> Option<Signal> {
        let rebridge = self
            .rebridge
            .as_mut()
            .filter(|rebridge| rebridge.adopted.is_some());
        let Some(rebridge) = rebridge else {
            return Some(signal);
        };
        let is_asked = matches!(rebridge.stage, Stage::Dialling);
        match signal {
            Signal::Hangup(cause) => {
                let failure = cause.to_failure();
                self.send_home(failure.status, Some(cause));
                self.transfer_failed(&failure, env);
            }
            Signal::Accept(answer) if is_asked => {
                if let Some(leg) = rebridge.leg.clone() {
                    self.guest_answered(&leg, Some(answer), env);
                }
            }
            Signal::Refuse(failure) if is_asked => {
                self.send_home(failure.status, None);
                self.transfer_failed(&failure, env);
            }
            // It is told one soon; or it goes back, and is told there.
            Signal::Refresh => {
                if let Some(adopted) = &mut rebridge.adopted {
                    adopted.is_stale = true;
                }
            }
            other => return Some(other),
        }
        None
    }

    /// It does not get the place: it goes back, where it is one that can. `ended`: it has hung up.
    pub(in crate::call::bridge) fn send_home(&mut self, status: Status, ended: Option<Cause>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let Some(adopted) = rebridge.adopted.take() else {
            return;
        };
        let Some(leg) = rebridge.leg.take() else {
            return;
        };
        let answered = matches!(rebridge.stage, Stage::Answered | Stage::Joining);
        let belongings = match (rebridge.guest.take(), &mut rebridge.stage) {
            (Some(guest), _) => guest.into_belongings(),
            // It was told nothing yet.
            (None, Stage::Opening(Next::Adopt((_, belongings)))) => {
                std::mem::replace(&mut **belongings, self.media.belongings(rebridge.by))
            }
            (None, _) => self.media.belongings(rebridge.by),
        };
        let mut members = self.members.iter();
        let Some(at) = members.position(|member| *member.leg.call_id() == leg) else {
            return;
        };
        let member = self.members.remove(at);
        let outcome = Outcome {
            status,
            is_offered: !answered && member.leg.is_offering(),
            is_stale: answered || adopted.is_stale,
            ended,
        };
        let adoptee = Adoptee {
            member,
            belongings,
            wish: adopted.wish,
            errand: Errand::Returns(outcome),
            home: adopted.home,
            longest: adopted.longest,
        };
        self.departs(adoptee.dialog());
        self.put(Output::Give(Box::new(adoptee)));
    }
    /// It has the place for good. Until when it would have had its own at most.
    pub(super) fn keep_adopted(&mut self, rebridge: &Rebridge) -> Option<Instant> {
        let adopted = rebridge.adopted.as_ref()?;
        let member = rebridge
            .leg
            .clone()
            .and_then(|leg| self.member(&leg).map(|member| member.leg.key()))?;
        self.put(Output::Kept(adopted.home.0, member));
        adopted.longest
    }
}
