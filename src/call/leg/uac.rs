//! Leg B before the answer: a user agent client (RFC 3261 §13.2), with its early forks.

use super::{
    Acks, Body, Cause, Env, Failure, Heard, Leg, LegOutput, Origin, Outbound, Outgoing, Phase, Position,
    Profile, Purpose, Session, Side, Signal, attempt, confirmed::Up, content, inbound::ALLOW, wire::wire,
};
use crate::{
    call::failure::Kind,
    sdp::Sdp,
    sip::{
        CSeq, Method, NameAddr, Request, Response, Status, Text,
        dialog::Dialog,
        routing::{DialogKey, NextHop, Target},
    },
};
use bytes::Bytes;
use std::{collections::VecDeque, sync::Arc, time::Instant};

/// Early dialogs that one INVITE may open; what further forks say before the answer is not passed on.
const MAX_FORKS: usize = 16;

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
    offered: bool,
    forks: Vec<Fork>,
    no_answer: Instant,
}

/// One early dialog.
#[derive(Debug)]
struct Fork {
    tag: Option<Text>,
    /// What it said last, so that repetitions are not news.
    said: (Status, Bytes),
    /// The answer of its last provisional response: counts as the 2xx's where that has none.
    answer: Option<Sdp>,
}

impl Calling {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        Some(self.no_answer)
    }
}

impl Leg {
    /// Leg B: sends an INVITE to the first of `targets`, to the next ones by RFC 3263 §4.3.
    pub fn dial(
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
            side: Side::B,
            local_ip: targets.first().map(|target| target.local),
            contact: None,
            nat: None,
            phase: Phase::Calling(Calling {
                offered: sdp.is_some(),
                forks: Vec::new(),
                no_answer: env.now + limit,
            }),
            profile,
            credentials: plan.credentials.clone(),
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
        leg.out.push_back(LegOutput::Dialog(DialogKey {
            call_id: leg.dialog.call_id.clone(),
            local_tag: leg.dialog.local_tag.clone(),
        }));
        let mut outbound = Outbound::new(Purpose::Call, invite, cseq, true, None);
        let failed = outbound.begin(&targets, &mut wire!(leg, env));
        leg.outbound.push(outbound);
        if let Some(failure) = failed {
            leg.call_failed(failure);
            leg.settle(env);
        }
        leg
    }
    pub(super) fn calling_signal(&mut self, signal: Signal, env: &mut Env<'_>) {
        match signal {
            Signal::Hangup(cause) => self.give_up(cause.reason_values(), env),
            Signal::Fail(failure) => self.give_up(failure.reasons(), env),
            Signal::Offer(_) => {
                let pending = Failure::new(Status::REQUEST_PENDING, self.origin(), Kind::Protocol);
                self.say(Signal::Refuse(pending));
            }
            Signal::Request(payload) => self.say(Signal::Response(Status::TEMPORARILY_UNAVAILABLE, payload)),
            Signal::Ring
            | Signal::Progress { .. }
            | Signal::Answer(_)
            | Signal::Accept(_)
            | Signal::Refuse(_)
            | Signal::Withdraw
            | Signal::Refresh
            | Signal::Response(..) => tracing::debug!("leg B is not answered: {signal:?}"),
        }
    }
    /// CANCEL, as soon as it may be sent (RFC 3261 §9.1).
    fn give_up(&mut self, reasons: Vec<Text>, env: &mut Env<'_>) {
        let mut waits = false;
        for outbound in &mut self.outbound {
            waits |= outbound.cancel(reasons.clone(), &mut wire!(self, env));
        }
        self.phase = if waits { Phase::GivenUp } else { Phase::Ended };
    }
    pub(super) fn calling_timeout(&mut self, env: &mut Env<'_>) {
        if matches!(&self.phase, Phase::Calling(calling) if calling.no_answer <= env.now) {
            self.give_up(Vec::new(), env);
            self.say(Signal::Fail(Failure::of(Kind::NoAnswer, Origin::LegB)));
        }
    }
    pub(super) fn call_failed(&mut self, failure: Failure) {
        if matches!(self.phase, Phase::Calling(_)) {
            self.say(Signal::Fail(failure));
        }
        if matches!(self.phase, Phase::Calling(_) | Phase::GivenUp) {
            self.phase = Phase::Ended;
        }
    }
    pub(super) fn call_response(&mut self, heard: &Heard, response: &Response, at: usize, env: &mut Env<'_>) {
        let status = response.status;
        match (heard, &mut self.phase) {
            (Heard::Provisional, Phase::Calling(_)) => self.call_progress(response),
            (Heard::Final | Heard::Again, Phase::Calling(_)) if status.is_success() => {
                self.call_answered(response, at, env);
            }
            (Heard::Final, Phase::Calling(_) | Phase::GivenUp) if !status.is_success() => {
                self.call_failed(Failure::of_response(response, Origin::LegB));
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
    fn call_progress(&mut self, response: &Response) {
        let Phase::Calling(calling) = &mut self.phase else {
            return;
        };
        let status = response.status;
        if status == Status::TRYING {
            return;
        }
        let tag = response.headers.to().ok().and_then(|to| to.tag());
        let said = (status, response.body.clone());
        let answer = match content::session(&response.headers, &response.body) {
            // An offer in a provisional response would have to be reliable (RFC 3261 §13.2.1).
            Ok(sdp) => sdp.filter(|_| calling.offered),
            Err(failure) => {
                tracing::debug!(%status, reason = ?failure.reason, "provisional response with a body we cannot use");
                None
            }
        };
        let full = calling.forks.len() >= MAX_FORKS;
        match calling.forks.iter_mut().find(|fork| fork.tag == tag) {
            Some(fork) if fork.said == said => return,
            Some(fork) => {
                fork.said = said;
                if answer.is_some() {
                    fork.answer.clone_from(&answer);
                }
            }
            None if full => {
                tracing::debug!(%status, "more forks than are listened to");
                return;
            }
            None => calling.forks.push(Fork {
                tag,
                said,
                answer: answer.clone(),
            }),
        }
        match answer {
            Some(sdp) => self.say(Signal::Progress {
                status,
                body: Body::Answer(sdp),
            }),
            None if status == Status::RINGING => self.say(Signal::Ring),
            None => self.say(Signal::Progress {
                status,
                body: Body::None,
            }),
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
                return self.call_failed(failure.because(&format!("2xx of the callee: {error}")));
            }
        };
        dialog.local_cseq = dialog.local_cseq.max(self.dialog.local_cseq);
        let offered = calling.offered;
        let early = calling
            .forks
            .iter_mut()
            .find(|fork| fork.tag == dialog.remote_tag);
        let early = early.and_then(|fork| fork.answer.take());
        // The member that answered is the one to talk to from now on, where its name alone would lead to others.
        if let Some(way) = outbound.way_that_answered() {
            let target = &way.target;
            self.contact = Some(way.contact(&outbound.request.uri));
            let hop = dialog.path().hop;
            if let Some((_, targets)) = self.resolved.iter_mut().find(|(known, _)| *known == hop) {
                targets.retain(|other| other != target);
                targets.insert(0, target.clone());
            }
            self.local_ip = Some(target.local);
        }
        let sdp = match content::session(&response.headers, &response.body) {
            Ok(sdp) => sdp.or(early),
            Err(failure) => {
                tracing::debug!(reason = ?failure.reason, "2xx with a body we cannot use");
                None
            }
        };
        let cseq = response.headers.cseq().map_or(outbound.cseq, |cseq| cseq.number);
        self.dialog = dialog;
        self.session.accepted(&response.headers, env.now);
        match (sdp, offered) {
            (Some(answer), true) => {
                self.phase = Phase::Up(Up::new(Position::Settled));
                self.acknowledge(cseq, None, env);
                self.say(Signal::Answer(Body::Answer(answer)));
            }
            (Some(offer), false) => {
                self.phase = Phase::Up(Up::owing(Position::PeerOfferedInAnswer, cseq));
                self.say(Signal::Answer(Body::Offer(offer)));
            }
            (None, _) => {
                self.phase = Phase::Up(Up::new(Position::Settled));
                self.acknowledge(cseq, None, env);
                let failure =
                    Failure::of(Kind::NotAcceptable, Origin::LegB).because("No usable SDP in the answer");
                self.hang_up(&Cause::of(Kind::NotAcceptable, Origin::Local), env);
                self.say(Signal::Fail(failure));
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
        if is_winner || forks >= MAX_FORKS {
            return;
        }
        let path = dialog.path();
        let ack = dialog.numbered(Method::Ack, number, &path);
        self.send_ack(ack, number, dialog.remote_tag.clone(), path.hop.clone(), env);
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
        let loose = if route.param("lr").is_some() {
            route.clone()
        } else {
            route.with_param("lr", None)
        };
        headers.push("Route", NameAddr::of(loose).to_text());
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
