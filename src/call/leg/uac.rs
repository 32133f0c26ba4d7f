//! Leg B before the answer: a user agent client (RFC 3261 §13.2), with its early forks.

use super::{
    Account, Acks, Body, Cause, Env, Failure, Heard, Leg, LegOutput, Offers, Origin, Outbound, Outgoing,
    Phase, Position, Profile, Purpose, Reliable, Session, Side, Signal, attempt, confirmed::Up, content,
    early::Fork, inbound::ALLOW, nat, wire::wire,
};
use crate::{
    call::failure::Kind,
    sip::{
        CSeq, Method, NameAddr, Request, Response, Status, Text,
        dialog::Dialog,
        routing::{DialogKey, NextHop, Target},
    },
};
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// Forks that lost and are hung up at once.
const MAX_LOST: usize = 16;

/// Headers of a plan that are not the application's to write.
const OURS: [&str; 21] = [
    "Via",
    "Route",
    "Record-Route",
    "Max-Forwards",
    "From",
    "To",
    "Call-ID",
    "CSeq",
    "Contact",
    "Allow",
    "Supported",
    "Require",
    "User-Agent",
    "Authorization",
    "Proxy-Authorization",
    "Content-Type",
    "Content-Length",
    "Content-Encoding",
    "Content-Disposition",
    "Session-Expires",
    "Min-SE",
];

/// Leg B, not answered.
#[derive(Debug)]
pub(super) struct Calling {
    /// Whether the INVITE carries an offer, so that responses carry answers.
    pub(super) offered: bool,
    pub(super) forks: Vec<Fork>,
    /// The fork whose description was passed on last.
    pub(super) active: Option<usize>,
    no_answer: Instant,
}

impl Calling {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        Some(self.no_answer)
    }
}

impl Leg {
    /// Calls a party for that side: sends an INVITE to the first of `targets`, to the next ones by RFC 3263 §4.3.
    pub fn dial(
        side: Side,
        plan: &Outgoing,
        body: Body,
        targets: Vec<Target>,
        max_forwards: u8,
        profile: Arc<Profile>,
        env: &mut Env<'_>,
    ) -> Self {
        let tag = env.ids.tag();
        // Below 2^31 with room for a long call; no two calls show how many there were (RFC 3261 §8.1.1.5).
        let cseq = 1 + u32::try_from(env.ids.below(1 << 30)).unwrap_or(0);
        let mut invite = invite(plan, (&tag, &env.ids.call_id(), cseq), max_forwards, &profile);
        let sdp = match body {
            Body::Offer(sdp) => Some(sdp),
            Body::Answer(_) | Body::None => None,
        };
        let session = Session::new(profile.sessions);
        session.dress(&mut invite.headers);
        profile.reliable.dress(&mut invite.headers);
        let position = if sdp.is_some() {
            Position::Offered
        } else {
            Position::Asked
        };
        if let Some(sdp) = &sdp {
            invite.headers.push("Content-Type", "application/sdp");
            invite.body = sdp.to_bytes();
        }
        let dialog = Dialog::calling(&invite, &tag, cseq);
        let limit = plan
            .limits
            .no_answer
            .unwrap_or(profile.timers.unanswered)
            .min(profile.timers.unanswered);
        let mut leg = Self {
            side,
            came: None,
            offers: Offers::begin(position),
            reliable: Reliable::default(),
            local_ip: targets.first().map(|target| target.local),
            contact: None,
            nat: None,
            phase: Phase::Calling(Calling {
                offered: sdp.is_some(),
                forks: Vec::new(),
                active: None,
                no_answer: env.now + limit,
            }),
            profile,
            account: plan.credentials.clone().map(|credentials| {
                Account::new(credentials, targets.iter().map(|target| target.remote.ip()))
            }),
            own: plan.own.clone(),
            out: VecDeque::new(),
            dialog,
            outbound: Vec::new(),
            inbound: Vec::new(),
            acks: Acks::default(),
            session,
            lookups: VecDeque::new(),
            resolved: vec![(NextHop::first(&plan.route, &plan.target), targets.clone())],
            is_silent: false,
            bye_sent: false,
            linger: None,
            closed: false,
        };
        let key = DialogKey {
            call_id: leg.dialog.call_id.clone(),
            local_tag: leg.dialog.local_tag.clone(),
        };
        leg.out.push_back(LegOutput::Dialog(key.clone()));
        leg.out
            .push_back(LegOutput::Invited(key, invite.uri.as_text().clone()));
        let mut outbound = Outbound::new(Purpose::Call, invite, cseq, true, None);
        let failed = outbound.begin(&targets, &mut wire!(leg, env));
        leg.outbound.push(outbound);
        if let Some(failure) = failed {
            leg.call_failed(failure, env);
            leg.settle(env);
        }
        leg
    }
    pub(super) fn calling_signal(&mut self, signal: Signal, env: &mut Env<'_>) {
        match signal {
            Signal::Hangup(cause) => self.give_up(cause.reason_values(), env),
            Signal::Fail(failure) => self.give_up(failure.reasons(), env),
            Signal::Offer(sdp) => self.want_offer(sdp),
            Signal::Accept(sdp) => self.accept_offer(&sdp, env),
            Signal::Refuse(failure) => self.refuse_offer(&failure, env),
            Signal::Withdraw => self.withdraw_offer(env),
            Signal::Request(payload) => self.say(Signal::Response(Status::TEMPORARILY_UNAVAILABLE, payload)),
            Signal::Ring
            | Signal::Progress { .. }
            | Signal::Answer(_)
            | Signal::Refresh
            | Signal::Response(..) => tracing::debug!("leg B is not answered: {signal:?}"),
        }
    }
    /// CANCEL, as soon as it may be sent (RFC 3261 §9.1).
    fn give_up(&mut self, reasons: Vec<Text>, env: &mut Env<'_>) {
        self.end_early_dialogs(env);
        let mut waits = false;
        for outbound in &mut self.outbound {
            if outbound.purpose == Purpose::Call {
                waits |= outbound.cancel(reasons.clone(), &mut wire!(self, env));
            }
        }
        self.phase = if waits { Phase::GivenUp } else { Phase::Ended };
    }
    /// The callee hung up, and nobody has heard it answer: no callee ends an early dialog so (RFC 3261 §15), so its 2xx has been
    /// lost, each time. What still rings elsewhere is cancelled; a 2xx that comes yet is acknowledged and ended.
    pub(super) fn ended_unanswered(&mut self, cause: Cause, env: &mut Env<'_>) {
        self.give_up(Vec::new(), env);
        let mut failure = Failure::new(Status::TEMPORARILY_UNAVAILABLE, self.origin(), Kind::Rejected);
        for reason in cause.reasons {
            failure.headers.push("Reason", reason);
        }
        self.say(Signal::Fail(failure));
    }
    pub(super) fn calling_timeout(&mut self, env: &mut Env<'_>) {
        if matches!(&self.phase, Phase::Calling(calling) if calling.no_answer <= env.now) {
            let failure = Failure::of(Kind::NoAnswer, Origin::LegB);
            self.give_up(failure.reasons(), env);
            self.say(Signal::Fail(failure));
        }
    }
    pub(super) fn call_failed(&mut self, failure: Failure, env: &mut Env<'_>) {
        if matches!(self.phase, Phase::Calling(_)) {
            self.end_early_dialogs(env);
            self.say(Signal::Fail(failure));
        }
        if matches!(self.phase, Phase::Calling(_) | Phase::GivenUp) {
            self.phase = Phase::Ended;
        }
    }
    pub(super) fn call_response(&mut self, heard: &Heard, response: &Response, at: usize, env: &mut Env<'_>) {
        let status = response.status;
        match (heard, &mut self.phase) {
            (Heard::Provisional, Phase::Calling(_)) => self.call_progress(response, at, env),
            (Heard::Final | Heard::Again, Phase::Calling(_)) if status.is_success() => {
                self.call_answered(response, at, env);
            }
            (Heard::Final, Phase::Calling(_) | Phase::GivenUp) if !status.is_success() => {
                self.call_failed(Failure::of_response(response, Origin::LegB), env);
            }
            // Too late, or of another fork: acknowledged and ended on its own route set (RFC 3261 §13.2.2.4).
            (Heard::Final | Heard::Again, _) if status.is_success() => {
                self.end_fork(response, at, env);
                if matches!(self.phase, Phase::GivenUp) {
                    self.phase = Phase::Ended;
                }
            }
            (Heard::Nothing | Heard::Provisional | Heard::Final | Heard::Again | Heard::Failed(_), _) => {}
        }
    }
    fn call_answered(&mut self, response: &Response, at: usize, env: &mut Env<'_>) {
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        let Some(outbound) = self.outbound.get(at) else {
            return;
        };
        let mut dialog = match Dialog::uac(&outbound.request, response) {
            Ok(dialog) => dialog,
            Err(error) => {
                let failure = Failure::new(Status::SERVER_INTERNAL_ERROR, Origin::LegB, Kind::Protocol);
                return self.call_failed(failure.because(&format!("2xx of the callee: {error}")), env);
            }
        };
        let offered = calling.offered;
        let former = calling.former(dialog.remote_tag.as_ref());
        dialog.local_cseq = dialog.local_cseq.max(self.dialog.local_cseq);
        dialog.remote_cseq = former.remote_cseq;
        let cseq = response.headers.cseq().map_or(outbound.cseq, |cseq| cseq.number);
        // The member that answered is the one to talk to from now on, where its name alone would lead to others.
        if let Some(way) = outbound.way_that_answered() {
            self.contact = Some(way.contact(&outbound.request.uri));
            self.local_ip = Some(way.target.local);
            self.nat = nat::callee(response, &way.target);
        }
        let hop = dialog.path().hop;
        self.prefer_who_answered(at, &hop);
        let sdp = match content::session(&response.headers, &response.body) {
            // What stands is for the exchange to say that is still open there.
            _ if former.settled && former.is_active && self.offers.position != Position::Settled => None,
            // RFC 3261 §13.2.1: the first that came reliably is the answer, whatever is said after it.
            _ if former.settled => former.answer,
            Ok(sdp) => sdp.or(former.answer),
            Err(failure) => {
                tracing::debug!(reason = ?failure.reason, "2xx with a body we cannot use");
                None
            }
        };
        if !former.is_active {
            self.leave_early_dialogs(env);
        }
        self.dialog = dialog;
        self.session.accepted(&response.headers, env.now);
        match (sdp, offered) {
            (answer, _) if former.settled => {
                self.phase = Phase::Up(Up::new());
                self.acknowledge(cseq, None, env);
                self.say(Signal::Answer(answer.map_or(Body::None, Body::Answer)));
                if former.is_behind {
                    self.say(Signal::Refresh);
                }
            }
            (Some(answer), true) => {
                self.offers.position = Position::Settled;
                self.phase = Phase::Up(Up::new());
                self.acknowledge(cseq, None, env);
                self.say(Signal::Answer(Body::Answer(answer)));
                if former.is_behind {
                    self.say(Signal::Refresh);
                }
            }
            (Some(offer), false) => {
                self.offers.position = Position::PeerOfferedInAnswer;
                self.phase = Phase::Up(Up::owing(cseq));
                self.say(Signal::Answer(Body::Offer(offer)));
            }
            (None, _) => {
                self.offers.position = Position::Settled;
                self.phase = Phase::Up(Up::new());
                self.acknowledge(cseq, None, env);
                let failure =
                    Failure::of(Kind::NotAcceptable, Origin::LegB).because("No usable SDP in the answer");
                self.hang_up(&Cause::of(Kind::NotAcceptable, Origin::Local), env);
                self.say(Signal::Fail(failure));
            }
        }
    }
    /// What goes to `hop` goes to the member that answered first, if that is one of its addresses.
    pub(super) fn prefer_who_answered(&mut self, at: usize, hop: &NextHop) {
        let way = self.outbound.get(at).and_then(Outbound::way_that_answered);
        let known = self.resolved.iter_mut().find(|(known, _)| known == hop);
        if let (Some(way), Some((_, targets))) = (way, known) {
            let target = way.target.clone();
            if targets.iter().any(|other| other.remote == target.remote) {
                targets.retain(|other| *other != target);
                targets.insert(0, target);
            }
        }
    }
    /// ACK and BYE for a 2xx that nobody waits for.
    fn end_fork(&mut self, response: &Response, at: usize, env: &mut Env<'_>) {
        let Some(outbound) = self.outbound.get(at) else {
            return;
        };
        let forks = self
            .outbound
            .iter()
            .filter(|outbound| outbound.purpose == Purpose::ByeFork)
            .count();
        let (Ok(mut dialog), Ok(CSeq { number, .. })) =
            (Dialog::uac(&outbound.request, response), response.headers.cseq())
        else {
            return;
        };
        // The winner repeats its 2xx while the answer that our ACK is to bring is not there.
        let is_winner = matches!(self.phase, Phase::Up(_)) && dialog.remote_tag == self.dialog.remote_tag;
        if is_winner || forks >= MAX_LOST {
            return;
        }
        let path = dialog.path();
        let ack = dialog.numbered(Method::Ack, number, &path);
        self.send_ack(ack, number, dialog.remote_tag.clone(), path.hop.clone(), env);
        // PRACKs in early dialogs have taken numbers of the leg.
        dialog.local_cseq = dialog.local_cseq.max(self.dialog.local_cseq);
        let bye = dialog.request(Method::Bye, &path);
        let outbound = Outbound::new(Purpose::ByeFork, bye, dialog.local_cseq, false, Some(path.hop));
        self.request(outbound, env);
    }
}

/// The INVITE of a plan: a new session, with nothing of the other leg but what the plan says.
fn invite(plan: &Outgoing, numbers: (&str, &str, u32), max_forwards: u8, profile: &Profile) -> Request {
    let mut invite = request_of(plan, Method::Invite, numbers, max_forwards, profile);
    attempt::dress_contact(&mut invite.headers);
    invite.headers.push("Allow", ALLOW);
    invite
}

/// A request that begins something: addressed by a plan, and with its headers. `numbers`: our tag, Call-ID, CSeq.
pub(super) fn request_of(
    plan: &Outgoing,
    method: Method,
    (tag, call_id, cseq): (&str, &str, u32),
    max_forwards: u8,
    profile: &Profile,
) -> Request {
    let uri = plan.target.without_headers().without_param("method");
    let mut request = Request::new(method.clone(), uri);
    let headers = &mut request.headers;
    for route in &plan.route {
        headers.push("Route", NameAddr::of(route.loose()).to_text());
    }
    headers.push("Max-Forwards", max_forwards.to_string());
    headers.push("From", plan.from.with_tag(tag).to_text());
    headers.push("To", plan.to.without_params().to_text());
    headers.push("Call-ID", call_id);
    let number = CSeq { number: cseq, method };
    headers.push("CSeq", number.to_text());
    headers.push("User-Agent", profile.user_agent.clone());
    for (name, value) in plan.headers.iter() {
        if !OURS.iter().any(|ours| name == *ours) {
            headers.push(name, value);
        }
    }
    request
}
