//! Reliable provisional responses of leg A (RFC 3262 §3): one at a time, repeated until the caller's PRACK comes.
//!
//! One goes reliably when the caller requires it, and when the caller can and it carries a description: then offer and answer
//! are exchanged for good before anybody picks up, and either side may go on from there (RFC 3262 §5, RFC 3311).

use super::{
    Env, Inbound, Leg, LegOutput, Matter, Phase, Position, Signal, content,
    offer::{Turn, Wish},
    wire::{Wire, wire},
};
use crate::{
    call::{Body, Cause, Failure, Origin, Transmit, failure::Kind},
    sdp::{self, Sdp},
    sip::{
        Headers, Ids, Method, Status,
        reliable::{self, RAck, RELIABLE},
    },
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Responses that wait for the PRACK of the one before them; of more only the latest count.
const MAX_QUEUED: usize = 8;

/// What is said reliably, and what has been.
#[derive(Debug, Default)]
pub(super) struct Reliable {
    wish: Wish100,
    /// The last number that was used; 0: none.
    rseq: u32,
    open: Option<Open>,
    queue: VecDeque<(Status, Body)>,
    /// The 2xx that waits until a response with a description is acknowledged.
    answer: Option<Body>,
    /// What the caller's dialog has of us for good: what was answered or offered reliably, or has been agreed on since.
    said: Option<Sdp>,
}

/// What the caller's INVITE says of `100rel`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wish100 {
    /// Nothing.
    #[default]
    No,
    Supported,
    Required,
}

/// A response that is not acknowledged.
#[derive(Debug)]
struct Open {
    transmit: Transmit,
    at: Instant,
    interval: Duration,
    end: Instant,
    has_session: bool,
}

impl Reliable {
    /// As the caller's INVITE asks for it.
    pub(super) fn wished(invite: &Headers, ids: &mut Ids) -> Self {
        let wish = if reliable::names(invite, "Require") {
            Wish100::Required
        } else if reliable::names(invite, "Supported") {
            Wish100::Supported
        } else {
            Wish100::No
        };
        Self {
            wish,
            // RFC 3262 §3: the first is anything below 2^31, so the last will not wrap.
            rseq: u32::try_from(ids.below((1 << 31) - 1)).unwrap_or(0),
            ..Self::default()
        }
    }
    /// Whether the caller takes reliable responses at all.
    pub(super) fn is_possible(&self) -> bool {
        self.wish != Wish100::No
    }
    /// Nothing waits for a PRACK.
    pub(super) fn is_quiet(&self) -> bool {
        self.open.is_none() && self.queue.is_empty() && self.answer.is_none()
    }
    /// The call is answered, though its 2xx still waits.
    pub(super) fn is_answered(&self) -> bool {
        self.answer.is_some()
    }
    /// Whether this PRACK is for the response that waits for one; `cseq` is that of the INVITE.
    fn awaits(&self, rack: &RAck, cseq: u32) -> bool {
        self.open.is_some()
            && rack.rseq == self.rseq
            && rack.cseq.number == cseq
            && rack.cseq.method == Method::Invite
    }
    /// A later exchange has led to this description of ours.
    pub(super) fn agreed(&mut self, sdp: &Sdp) {
        self.said = Some(sdp.clone());
    }
    /// The INVITE has its final response, or the leg its end: nothing is repeated any more. A PRACK on its way is still known.
    pub(super) fn finish(&mut self) {
        self.queue.clear();
        self.answer = None;
        if let Some(open) = &mut self.open {
            open.interval = Duration::ZERO;
        }
    }
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let open = self.open.as_ref().filter(|open| !open.interval.is_zero())?;
        Some(open.at.min(open.end))
    }
    /// Deadlines; `true` when the PRACK never came.
    pub(super) fn fire(&mut self, wire: &mut Wire<'_>) -> bool {
        let Some(open) = self.open.as_mut().filter(|open| !open.interval.is_zero()) else {
            return false;
        };
        if open.end <= wire.now {
            return true;
        }
        if open.at <= wire.now {
            open.interval *= 2;
            open.at = wire.now + open.interval;
            wire.out.push_back(LegOutput::Transmit(open.transmit.clone()));
        }
        false
    }
}

impl Leg {
    /// Whether provisional responses of this leg A can be reliable: only then can they bring an offer.
    pub fn is_reliable(&self) -> bool {
        self.reliable.is_possible()
    }
    /// A provisional response of the other leg's party is passed on: at once, or when its turn has come.
    pub(super) fn progress(&mut self, status: Status, body: Body, env: &mut Env<'_>) {
        if self.reliable.open.is_some() && self.is_to_be_reliable(&body) {
            let queue = &mut self.reliable.queue;
            if queue.len() >= MAX_QUEUED {
                queue.pop_front();
            }
            queue.push_back((status, body));
            return;
        }
        self.send_progress(status, body, env);
    }
    fn is_to_be_reliable(&self, body: &Body) -> bool {
        match self.reliable.wish {
            Wish100::No => false,
            Wish100::Supported => self.may_say(body),
            Wish100::Required => true,
        }
    }
    /// Whether a description may go in a provisional response now: the answer to the INVITE's offer, or an offer where it has
    /// none, and not a second time once it was reliable (RFC 3261 §13.2.1).
    fn may_say(&self, body: &Body) -> bool {
        match (body, self.offers.position) {
            (Body::Answer(_), Position::PeerOffered) => true,
            (Body::Offer(_), Position::PeerAsked) => self.reliable.is_possible(),
            _ => false,
        }
    }
    fn send_progress(&mut self, status: Status, body: Body, env: &mut Env<'_>) {
        let is_reliable = self.is_to_be_reliable(&body);
        let may_say = self.may_say(&body);
        let (sdp, after) = match body {
            Body::Answer(sdp) if may_say => (Some(sdp), Position::Settled),
            Body::Offer(sdp) if may_say => (Some(sdp), Position::OfferedInProgress),
            Body::Answer(sdp) => {
                self.is_news(&sdp);
                (None, self.offers.position)
            }
            Body::Offer(_) | Body::None => (None, self.offers.position),
        };
        self.keep_saying(status, sdp.as_ref().filter(|_| !is_reliable), env.now);
        if !is_reliable {
            self.respond_open(Matter::Call, status, sdp.as_ref(), env);
            return;
        }
        let tag = self.tag();
        let open = self
            .inbound
            .iter_mut()
            .find(|inbound| inbound.matter == Matter::Call && inbound.is_pending());
        let Some(inbound) = open else {
            return;
        };
        self.reliable.rseq += 1;
        let mut wire = wire!(self, env);
        let mut response = inbound.response(status, &tag, &wire);
        response.headers.push("Require", RELIABLE);
        response.headers.push("RSeq", self.reliable.rseq.to_string());
        // So that the caller knows that it may go on by UPDATE (RFC 3311 §4).
        response.headers.push("Allow", super::ALLOW);
        if let Some(sdp) = &sdp {
            response.headers.push("Content-Type", "application/sdp");
            response.body = sdp.to_bytes();
        }
        let Some(transmit) = inbound.send(&response, &mut wire) else {
            return;
        };
        let timers = &wire.profile.timers;
        self.reliable.open = Some(Open {
            transmit,
            at: env.now + timers.t1,
            interval: timers.t1,
            end: env.now + timers.t1_64(),
            has_session: sdp.is_some(),
        });
        if sdp.is_some() {
            self.reliable.said = sdp;
        }
        self.offers.position = after;
    }
    /// A description that should cross and cannot, because the caller has another one for good. If it says something else, the
    /// caller is to be offered it as soon as that may be.
    fn is_news(&mut self, sdp: &Sdp) {
        let known = self.reliable.said.as_ref();
        let by_update = self.session.updates() || !matches!(self.phase, Phase::Incoming(_));
        if by_update && known.is_some_and(|known| !sdp::same_session(known, sdp)) {
            self.say(Signal::Refresh);
        }
    }
    /// The 2xx, at once or when what went before it is acknowledged (RFC 3262 §3).
    pub(super) fn answer_call(&mut self, body: Body, env: &mut Env<'_>) {
        if self.is_answer_due() {
            return self.send_answer(body, env);
        }
        self.reliable.queue.clear();
        self.reliable.answer = Some(body);
    }
    fn is_answer_due(&self) -> bool {
        let settled = matches!(
            self.offers.position,
            Position::Settled | Position::PeerOffered | Position::PeerAsked
        );
        settled && !self.reliable.open.as_ref().is_some_and(|open| open.has_session)
    }
    fn send_answer(&mut self, body: Body, env: &mut Env<'_>) {
        let (sdp, position) = match (body, self.offers.position) {
            (Body::Answer(sdp), Position::PeerOffered) => (Some(sdp), Position::Settled),
            (Body::Offer(sdp), Position::PeerAsked) => (Some(sdp), Position::OfferedInAnswer),
            // It has gone before (RFC 6337 §3.1.1: and is not to be repeated).
            (Body::Answer(sdp), _) => {
                self.reliable.finish();
                self.answered(None, Position::Settled, env);
                return self.is_news(&sdp);
            }
            (Body::Offer(_) | Body::None, _) => (None, Position::Settled),
        };
        self.reliable.finish();
        self.answered(sdp.as_ref(), position, env);
    }
    /// What waits for a PRACK goes on, if nothing waits for one any more.
    pub(super) fn go_on(&mut self, env: &mut Env<'_>) {
        while matches!(self.phase, Phase::Incoming(_)) && self.reliable.open.is_none() {
            if self.reliable.answer.is_some() {
                if !self.is_answer_due() {
                    return;
                }
                if let Some(answer) = self.reliable.answer.take() {
                    self.send_answer(answer, env);
                }
            } else if let Some((status, body)) = self.reliable.queue.pop_front() {
                self.send_progress(status, body, env);
            } else {
                return;
            }
        }
    }
    /// The PRACK never came: the INVITE has failed (RFC 3262 §3).
    pub(super) fn never_pracked(&mut self, env: &mut Env<'_>) {
        if !matches!(self.phase, Phase::Incoming(_)) {
            return;
        }
        let failure =
            Failure::new(Status::SERVER_TIMEOUT, Origin::LegA, Kind::NoAck).because("PRACK never came");
        self.reliable.finish();
        self.refuse_open(Matter::Call, &failure, env);
        self.end(env);
        self.say(Signal::Hangup(Cause::of(Kind::NoAck, Origin::LegA)));
    }
    /// Whether a PRACK is waited for, so that it is answered even after the end.
    pub(super) fn awaits_prack(&self, prack: &Inbound) -> bool {
        let invite = self.inbound.iter().find(|inbound| inbound.matter == Matter::Call);
        let rack = RAck::of(&prack.request.headers);
        prack.request.method == Method::Prack
            && matches!((invite, rack), (Some(invite), Ok(rack)) if self.reliable.awaits(&rack, invite.cseq))
    }
    /// PRACK of the caller.
    pub(super) fn handle_prack(&mut self, inbound: Inbound, env: &mut Env<'_>) {
        if let (true, Err(error)) = (self.reliable.open.is_some(), RAck::of(&inbound.request.headers)) {
            let failure = Failure::new(error.status, Origin::Local, Kind::Protocol);
            return self.refuse(inbound, &failure.because(&error.to_string()), env);
        }
        if !self.awaits_prack(&inbound) {
            return self.answer(inbound, Status::CALL_DOES_NOT_EXIST, env);
        }
        self.reliable.open = None;
        if self.offers.position == Position::OfferedInProgress {
            self.offers.position = Position::Settled;
            let request = inbound.request.clone();
            self.answer(inbound, Status::OK, env);
            return self.answer_of(&request);
        }
        match content::session(&inbound.request.headers, &inbound.request.body) {
            // RFC 3262 §5: an offer, whose answer is in our 2xx.
            Ok(Some(offer)) => {
                let live = matches!(self.phase, Phase::Incoming(_) | Phase::Up(_));
                if live && self.offers.position.turn(Wish::PeerUpdate, false) == Turn::Granted {
                    self.take_offer(inbound, Some(offer));
                } else {
                    let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                    self.refuse(inbound, &pending, env);
                }
            }
            Ok(None) => self.answer(inbound, Status::OK, env),
            Err(failure) => self.refuse(inbound, &failure, env),
        }
    }
}
