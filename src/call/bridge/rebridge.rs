//! Another party takes the place of one: the new leg is dialled, offers are exchanged, the two change places, the old leg is
//! hung up. What fails on the way leaves the call as it was.
//!
//! The new party is a *guest* until it has answered: it was offered what the party that stays said last, at the ports of whose
//! place it takes. With its answer it has them, and the party that stays is offered what it said. Until that one accepts, the
//! transferor can come back; then it is told, and hung up.

mod admit;
mod adopted;
mod guest;
mod join;
mod pick_up;
mod ports;
mod replace;
mod route;

use self::{admit::Caller, adopted::Adopted, ports::Next};
use super::*;
use crate::{
    call::{
        Decision, Designation, Rescue, Verdict,
        media_plan::{Absent, Guest},
        signal::Body,
    },
    sip::{CSeq, Method, NameAddr, ReferTo, Request},
};

/// Legs of one call, former ones included, beyond which nobody takes a place in it. They stay to answer what still comes.
const MOST_LEGS: usize = 64;

/// A party that is to take the place of another.
pub(super) struct Rebridge {
    /// Of the transfer.
    number: u32,
    /// Whose place it takes.
    by: Side,
    /// The Call-ID of that party's leg.
    transferor: Text,
    stage: Stage,
    /// Of the REFER; `None` where a guest has called by itself.
    refer_to: Option<ReferTo>,
    referred_by: Option<Text>,
    /// The dialog of the target that the new one replaces.
    replaces: Option<Replaces>,
    pub(super) routes: VecDeque<Outgoing>,
    /// The one that is being tried.
    pub(super) route: Option<Outgoing>,
    pub(super) redirects: Redirects,
    /// Its addresses of which media would live elsewhere.
    later: Vec<Target>,
    attempts: u32,
    /// The Call-ID of the guest's leg.
    leg: Option<Text>,
    guest: Option<Guest>,
    /// What it answered before its 2xx.
    early: Option<Sdp>,
    /// It is a leg of another call.
    adopted: Option<Adopted>,
    glares: u8,
    /// Whose place is taken, until that is final.
    absent: Option<Absent>,
    /// What the party that stays is offered.
    told: Option<Sdp>,
}

impl Rebridge {
    /// Whose place it is about.
    pub(super) fn side(&self) -> Side {
        self.by
    }
}

/// How far that is.
#[derive(Debug)]
enum Stage {
    /// The application is to be asked where the target is.
    Wanted,
    /// It is being asked.
    Asked,
    /// Somebody has called by itself, and the application is to be asked whether it may have the place.
    Knocking(Box<Caller>),
    /// It is being asked that.
    Admitting(Box<Caller>),
    /// It may have it, as soon as that can be.
    Admitted(Box<Caller>),
    /// The first hop is being looked up.
    LookingUp,
    /// The leg is wanted at the other end of the one that has that dialog, until then.
    Adopting(Replaces, Instant),
    /// Ports of its own are being bound for the guest; then it goes on like that.
    Opening(Next),
    /// The guest has its INVITE, or an offer by re-INVITE, or an offer in the 2xx to its own.
    Dialling,
    /// The guest has called, with an offer: the party that stays is to be asked as soon as it can be.
    Calling,
    /// It is being asked, and nothing has changed yet.
    Asking,
    /// The application thinks about a failure.
    Rescuing(Failure),
    /// The guest has answered.
    Answered,
    /// The party that stays has the guest's description.
    Joining,
}

impl Call {
    /// Why a REFER cannot be executed now.
    pub(super) fn may_not_rebridge(&self, refer_to: &ReferTo) -> Option<Failure> {
        let refuse = |status| Some(Failure::new(status, Origin::Local, Kind::Protocol));
        if refer_to.method() != Method::Invite {
            return refuse(Status::NOT_IMPLEMENTED);
        }
        if self.draining {
            return Some(Failure::of(Kind::Shutdown, Origin::Local).with("Retry-After", "30"));
        }
        let of_this = |named: &Replaces| self.members.iter().any(|member| member.leg.is_named_by(named));
        if refer_to.replaces.as_ref().is_some_and(of_this) {
            // Its other party is who it talks to.
            return refuse(Status::DECLINE);
        }
        if self.rebridge.is_some() || self.transfers.is_any() || self.adoption.is_any() {
            return refuse(Status::REQUEST_PENDING);
        }
        if self.members.len() >= MOST_LEGS {
            return Some(Failure::of(Kind::Capacity, Origin::Local));
        }
        None
    }

    /// Begins: the target is going to be called for the place of `by`.
    pub(super) fn rebridge(
        &mut self,
        number: u32,
        by: Side,
        (refer_to, referred_by): (ReferTo, Option<Text>),
        (found, aimed): (Option<&Designation>, bool),
        env: &Env<'_>,
    ) {
        let Some(leg) = self.leg_of(by) else { return };
        // A dialog of this server is one of the target's by another name; and that is where its party is.
        let refer_to = match found {
            Some(found) if !aimed => refer_to.aimed_at(&found.address.uri),
            _ => refer_to,
        };
        let named = refer_to.replaces.clone();
        let adopts = named
            .clone()
            .filter(|_| found.is_some_and(|found| found.adoptable));
        self.rebridge = Some(Rebridge {
            number,
            by,
            transferor: leg.call_id().clone(),
            stage: Stage::Wanted,
            replaces: found.map(|found| found.peer.clone()).or(named),
            refer_to: Some(refer_to),
            referred_by,
            routes: VecDeque::new(),
            route: None,
            redirects: Redirects::default(),
            later: Vec::new(),
            attempts: 0,
            leg: None,
            guest: None,
            early: None,
            adopted: None,
            glares: 0,
            absent: None,
            told: None,
        });
        match adopts {
            Some(named) => self.want_leg(named, env),
            None => self.ask_next(),
        }
    }

    /// It came to nothing. Without a transferor to go on with, the one who stays is alone.
    fn transfer_failed(&mut self, failure: &Failure, env: &mut Env<'_>) {
        let Some(rebridge) = self.rebridge.take() else {
            return;
        };
        let commands = self.media.release();
        self.command(commands);
        self.transfer_is(rebridge.number, failure.status, failure.reason.as_ref(), env);
        self.handed_over(&rebridge, failure.status);
        if matches!(self.phase, Phase::Up) && self.leg_of(rebridge.by).is_none() {
            let cause = Cause {
                reasons: failure.reasons(),
                ..Cause::of(failure.kind, failure.origin)
            };
            return self.hang_up(None, cause, env);
        }
        self.ask_next();
    }

    /// The server goes down: a guest that was not called yet is not called.
    pub(super) fn guest_is_not_called(&mut self, env: &mut Env<'_>) {
        let stage = self.rebridge.as_ref().map(|rebridge| &rebridge.stage);
        match stage {
            Some(Stage::Asked | Stage::Rescuing(_)) => {
                self.asked = false;
                self.put(Output::Withdraw);
            }
            Some(Stage::Wanted | Stage::LookingUp | Stage::Opening(Next::Dial(_))) => {}
            // Who has called by itself is not called, nor is a leg of another call.
            Some(
                Stage::Knocking(_)
                | Stage::Admitting(_)
                | Stage::Admitted(_)
                | Stage::Adopting(..)
                | Stage::Opening(Next::Adopt(_) | Next::Offer(_) | Next::PickUp(_) | Next::Ask)
                | Stage::Dialling
                | Stage::Calling
                | Stage::Asking
                | Stage::Answered
                | Stage::Joining,
            )
            | None => {
                return;
            }
        }
        self.transfer_failed(&Failure::of(Kind::Shutdown, Origin::Local), env);
    }
}
