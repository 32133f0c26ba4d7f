//! Another party takes the place of one: the new leg is dialled, offers are exchanged, the two change places, the old leg is
//! hung up. What fails on the way leaves the call as it was.
//!
//! The new party is a *guest* until it has answered: it was offered what the party that stays said last, at the ports of whose
//! place it takes. With its answer it has them, and the party that stays is offered what it said. Until that one accepts, the
//! transferor can come back; then it is told, and hung up.

mod join;
mod replace;

use super::*;
use crate::{
    call::{
        Decision, Designation, Rescue, Verdict,
        media_plan::{Absent, Guest},
        signal::Body,
    },
    sip::{CSeq, Method, NameAddr, ReferTo, Request},
};

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
    routes: VecDeque<Outgoing>,
    /// The one that is being tried.
    route: Option<Outgoing>,
    /// Its addresses of which media would live elsewhere.
    later: Vec<Target>,
    attempts: u32,
    /// The Call-ID of the guest's leg.
    leg: Option<Text>,
    guest: Option<Guest>,
    /// What it answered before its 2xx.
    early: Option<Sdp>,
    glares: u8,
    /// Whose place is taken, until that is final.
    absent: Option<Absent>,
    /// What the party that stays is offered.
    told: Option<Sdp>,
}

/// How far that is.
#[derive(Debug)]
enum Stage {
    /// The application is to be asked where the target is.
    Wanted,
    /// It is being asked.
    Asked,
    /// The first hop is being looked up.
    LookingUp,
    /// The guest has its INVITE, or an offer in the 2xx to its own.
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
        if self.rebridge.is_some() || self.transfers.is_any() {
            return refuse(Status::REQUEST_PENDING);
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
    ) {
        let Some(leg) = self.leg_of(by) else { return };
        // A dialog of this server is one of the target's by another name; and that is where its party is.
        let refer_to = match found {
            Some(found) if !aimed => refer_to.aimed_at(&found.address.uri),
            _ => refer_to,
        };
        let named = refer_to.replaces.clone();
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
            later: Vec::new(),
            attempts: 0,
            leg: None,
            guest: None,
            early: None,
            glares: 0,
            absent: None,
            told: None,
        });
        self.ask_next();
    }

    /// Asks where a guest is, when one is wanted. `true`: nothing else is to be asked now.
    pub(super) fn ask_for_guest(&mut self) -> bool {
        if !matches!(&self.rebridge, Some(rebridge) if matches!(rebridge.stage, Stage::Wanted)) {
            return false;
        }
        let invite = self.invite_of_transferor();
        let (Some(invite), Some(rebridge)) = (invite, &mut self.rebridge) else {
            return false;
        };
        rebridge.stage = Stage::Asked;
        self.ask(Question::Route(Box::new(invite)));
        true
    }

    /// The call that the transferor would make itself: by its own right, and keyed as whom it is made for.
    fn invite_of_transferor(&self) -> Option<Invite> {
        let rebridge = self.rebridge.as_ref()?;
        let mut members = self.members.iter();
        let member = members.find(|member| *member.leg.call_id() == rebridge.transferor)?;
        let dialog = member.leg.dialog();
        let target = rebridge.refer_to.as_ref()?.target();
        let from = NameAddr::parse(dialog.remote.clone()).ok()?;
        let to = NameAddr::of(target.clone());
        let mut request = Request::new(Method::Invite, target);
        let number = CSeq {
            number: 1,
            method: Method::Invite,
        };
        let headers = &mut request.headers;
        headers.push("From", from.to_text());
        headers.push("To", to.to_text());
        headers.push("Call-ID", dialog.call_id.clone());
        headers.push("CSeq", number.to_text());
        headers.push("Max-Forwards", self.max_forwards.to_string());
        if let Some(referred_by) = &rebridge.referred_by {
            headers.push("Referred-By", referred_by.clone());
        }
        Some(Invite {
            request,
            source: member.source?,
            from,
            to,
            encryption: self.media.agreed().encryption(rebridge.by.other()),
        })
    }

    /// Whether a verdict is about a guest.
    pub(super) fn awaits_route(&self, verdict: &Verdict) -> bool {
        let stage = self.rebridge.as_ref().map(|rebridge| &rebridge.stage);
        matches!(
            (verdict, stage),
            (Verdict::Route(_), Some(Stage::Asked)) | (Verdict::Rescue(_), Some(Stage::Rescuing(_)))
        )
    }

    /// The application has said where the guest is.
    pub(super) fn guest_decided(&mut self, verdict: Verdict, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return tracing::debug!("a verdict that nobody waits for");
        };
        let stage = std::mem::replace(&mut rebridge.stage, Stage::LookingUp);
        let none = Failure::of(Kind::Internal, Origin::App).because("no route");
        let (routes, failure) = match (verdict, stage) {
            (Verdict::Route(Decision::Bridge(routes)), Stage::Asked) => (routes, none),
            (Verdict::Route(Decision::Decline(failure)), Stage::Asked) => (Vec::new(), failure),
            (Verdict::Route(Decision::Redirect(_)), Stage::Asked) => {
                let moved = Failure::new(Status::MOVED_TEMPORARILY, Origin::App, Kind::Declined);
                (Vec::new(), moved)
            }
            (Verdict::Rescue(Rescue::Try(routes)), Stage::Rescuing(failure)) => (routes, failure),
            (Verdict::Rescue(Rescue::Replace(failure)), Stage::Rescuing(_)) => (Vec::new(), failure),
            (Verdict::Rescue(_), Stage::Rescuing(failure)) => (Vec::new(), failure),
            (verdict, stage) => {
                rebridge.stage = stage;
                return tracing::debug!(?verdict, "a verdict that nobody waits for");
            }
        };
        rebridge.routes = routes.into();
        self.try_next_guest(failure, env);
    }

    /// Tries the next route to the target; without one it has failed.
    fn try_next_guest(&mut self, failure: Failure, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        rebridge.later.clear();
        let more = !self.draining && rebridge.attempts < MAX_ATTEMPTS;
        let Some(mut route) = rebridge.routes.pop_front().filter(|_| more) else {
            return self.transfer_failed(&failure, env);
        };
        rebridge.attempts += 1;
        rebridge.stage = Stage::LookingUp;
        let (by, referred_by, replaces) = (
            rebridge.by,
            rebridge.referred_by.clone(),
            rebridge.replaces.clone(),
        );
        if let Some(replaces) = replaces {
            route.headers.set("Replaces", replaces.to_text());
        }
        // Where the application leaves the caller as it is, the target sees who it is going to talk to, and by whom.
        if let Some((transferor, stays)) = self.identities(by)
            && route.from.uri == transferor.uri
        {
            route.from = stays;
            if let Some(referred_by) = referred_by
                && !route.headers.contains("Referred-By")
            {
                route.headers.push("Referred-By", referred_by);
            }
        }
        let hop = NextHop::first(&route.route, &route.target);
        self.record.tries(route.target.as_text().clone());
        if let Some(rebridge) = &mut self.rebridge {
            rebridge.route = Some(route);
        }
        self.look_up(Side::B, Asker::Guest, hop);
    }

    /// Who the party of a side is, and as whom it knows the other one.
    fn identities(&self, side: Side) -> Option<(NameAddr, NameAddr)> {
        let transferor = &self.rebridge.as_ref()?.transferor;
        let mut members = self.members.iter();
        let member =
            members.find(|member| member.leg.call_id() == transferor && member.leg.side() == side)?;
        let dialog = member.leg.dialog();
        let read = |text: &Text| {
            let address = NameAddr::parse(text.clone()).ok()?;
            Some(NameAddr {
                uri: address.uri.without_headers(),
                ..address.without_params()
            })
        };
        Some((read(&dialog.remote)?, read(&dialog.local)?))
    }

    /// The first hop's addresses are known.
    pub(super) fn guest_targets(&mut self, targets: Result<Vec<Target>, LookupError>, env: &mut Env<'_>) {
        if !matches!(&self.rebridge, Some(rebridge) if matches!(rebridge.stage, Stage::LookingUp)) {
            return tracing::debug!("targets for an attempt that is over");
        }
        match targets {
            Ok(targets) if !targets.is_empty() => self.dial_guest(targets, env),
            Ok(_) => self.guest_failed(Failure::of(Kind::Unreachable, Origin::Local), env),
            Err(error) => self.guest_failed(Failure::of_lookup(&error), env),
        }
    }

    /// Calls the target at those addresses where media would live at the same address of ours; the others come after them.
    fn dial_guest(&mut self, mut targets: Vec<Target>, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let (Some(local), Some(route)) = (targets.first().map(|target| target.local), &mut rebridge.route)
        else {
            return;
        };
        rebridge.later = targets.extract_if(.., |target| target.local != local).collect();
        let terms = (&route.media, &*self.settings.suites);
        let (guest, offer) = match self.media.invite_guest(rebridge.by, local, terms, env) {
            Ok(invited) => invited,
            Err(failure) => return self.guest_failed(failure, env),
        };
        let profile = self.settings.profile.clone();
        let body = Body::Offer(offer);
        let leg = Leg::dial(rebridge.by, route, body, targets, self.max_forwards, profile, env);
        rebridge.leg = Some(leg.call_id().clone());
        rebridge.guest = Some(guest);
        rebridge.early = None;
        rebridge.stage = Stage::Dialling;
        let target = route.target.to_string();
        self.members.push(Member::called(leg, Place::Guest, route));
        self.event(CallEvent::Dialled { target });
    }

    /// What a guest says by SIP comes from there.
    pub(super) fn guest_is_at(&mut self, address: IpAddr) {
        if let Some(guest) = self
            .rebridge
            .as_mut()
            .and_then(|rebridge| rebridge.guest.as_mut())
        {
            guest.trust(address);
        }
    }

    /// What the leg says that has been dialled.
    pub(super) fn heard_from_guest(&mut self, signal: Signal, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return tracing::debug!(?signal, "a guest of nobody");
        };
        let (number, Some(leg)) = (rebridge.number, rebridge.leg.clone()) else {
            return;
        };
        match signal {
            Signal::Ring => self.transfer_is(number, Status::RINGING, None, env),
            Signal::Progress { status, body } => {
                if let Body::Answer(answer) = body {
                    rebridge.early = Some(answer);
                }
                self.transfer_is(number, status, None, env);
            }
            Signal::Answer(body) => {
                let answer = match body {
                    Body::Answer(answer) => Some(answer),
                    Body::None | Body::Offer(_) => rebridge.early.take(),
                };
                self.guest_answered(&leg, answer, env);
            }
            Signal::Fail(failure) => {
                self.guest_is_gone(&leg);
                self.guest_failed(failure, env);
            }
            Signal::Hangup(cause) => {
                self.guest_is_gone(&leg);
                self.guest_failed(cause.to_failure(), env);
            }
            Signal::Offer(_) => {
                let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                self.tell_member(&leg, Signal::Refuse(pending), env);
            }
            Signal::Request(payload) => {
                let nobody = Signal::Response(Status::TEMPORARILY_UNAVAILABLE, payload.without_body());
                self.tell_member(&leg, nobody, env);
            }
            // The ACK of a guest that has called without an offer.
            Signal::Accept(answer) if matches!(rebridge.stage, Stage::Dialling) => {
                self.guest_answered(&leg, Some(answer), env);
            }
            Signal::Refuse(failure) if matches!(rebridge.stage, Stage::Dialling) => {
                self.dismiss(&leg, Self::unkeyed(), env);
                self.guest_failed(failure, env);
            }
            Signal::Accept(_)
            | Signal::Refuse(_)
            | Signal::Withdraw
            | Signal::Refresh
            | Signal::Response(..) => tracing::debug!(?signal, "a guest says out of turn"),
        }
    }

    fn guest_is_gone(&mut self, leg: &Text) {
        if let Some(member) = self.member(leg) {
            member.place = Place::Former;
            member.lease = None;
        }
    }

    fn guest_answered(&mut self, leg: &Text, answer: Option<Sdp>, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let Some(guest) = &mut rebridge.guest else { return };
        let taken = match &answer {
            Some(answer) => self.media.guest_answers(guest, answer),
            None => Err(Self::no_body()),
        };
        match taken {
            Ok(()) => {
                rebridge.early = answer;
                rebridge.stage = Stage::Answered;
            }
            Err(failure) => {
                self.dismiss(leg, Self::unkeyed(), env);
                self.guest_failed(failure, env);
            }
        }
    }

    /// An attempt at the target failed: its other addresses, then the other routes, then the application.
    fn guest_failed(&mut self, failure: Failure, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        tracing::info!(status = %failure.status, kind = failure.kind.label(), "the target of a transfer failed");
        if rebridge.refer_to.is_none() {
            self.stop_asking(env);
            return self.transfer_failed(&failure, env);
        }
        rebridge.guest = None;
        rebridge.leg = None;
        let unreachable = matches!(failure.kind, Kind::Unreachable | Kind::Timeout)
            || failure.status == Status::SERVICE_UNAVAILABLE;
        let again = unreachable && !rebridge.later.is_empty() && !self.draining;
        self.record.attempt_failed(&failure, again);
        if again {
            let targets = std::mem::take(&mut rebridge.later);
            return self.dial_guest(targets, env);
        }
        let stops = |route: &Outgoing| route.limits.stop_codes.contains(&failure.status);
        if rebridge.route.as_ref().is_some_and(stops) {
            rebridge.routes.clear();
        }
        if !rebridge.routes.is_empty() || self.draining {
            return self.try_next_guest(failure, env);
        }
        if self.asked {
            return self.transfer_failed(&failure, env);
        }
        rebridge.stage = Stage::Rescuing(failure.clone());
        self.ask(Question::Rescue(failure));
    }

    /// It came to nothing. Without a transferor to go on with, the one who stays is alone.
    fn transfer_failed(&mut self, failure: &Failure, env: &mut Env<'_>) {
        let Some(rebridge) = self.rebridge.take() else {
            return;
        };
        self.transfer_is(rebridge.number, failure.status, failure.reason.as_ref(), env);
        self.handed_over(&rebridge, failure.status);
        if self.leg_of(rebridge.by).is_none() {
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
            Some(Stage::Wanted | Stage::LookingUp) => {}
            Some(Stage::Dialling | Stage::Calling | Stage::Asking | Stage::Answered | Stage::Joining)
            | None => {
                return;
            }
        }
        self.transfer_failed(&Failure::of(Kind::Shutdown, Origin::Local), env);
    }
}
