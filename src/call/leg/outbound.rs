//! A request of ours on its way: lookup, targets tried in order (RFC 3263 §4.3), transactions, digest, CANCEL.

use super::{Attempt, Heard, LegOutput, Purpose, Wire, attempt::Way, auth::Answers};
use crate::{
    call::{Failure, Origin, failure::Kind},
    sip::{
        CSeq, Method, Request, Response, Status, Text,
        routing::{Destination, NextHop, Target},
    },
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long a target may stay silent while there are others to try: three failing ones cost less than 3 s (acceptance #25).
const PATIENCE: Duration = Duration::from_millis(1300);

/// Targets of one request, so that a name with hundreds of addresses cannot hold a call for hours.
const MAX_TARGETS: usize = 16;

/// How often a longer session is asked for (RFC 4028 §7.3): once for each proxy that minds, and few mind.
const MAX_RAISED: u8 = 4;

/// Why an attempt is cancelled when another one was answered (RFC 3326 §2).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

/// A request and all its attempts.
#[derive(Debug)]
pub(super) struct Outbound {
    pub(super) purpose: Purpose,
    /// The request as every attempt sends it; Via is added and Contact filled in per target.
    pub(super) request: Request,
    /// Number of its CSeq.
    pub(super) cseq: u32,
    /// Whether it carries a Contact.
    contact: bool,
    /// What must be looked up before it can go.
    pub(super) hop: Option<NextHop>,
    /// Not tried yet.
    targets: VecDeque<Way>,
    attempts: Vec<Attempt>,
    /// How many ways it has gone.
    ways: u8,
    /// Branch of the attempt that reacted.
    chosen: Option<Text>,
    /// A final response has been taken, or it was given up: what still comes is only cleaned up after.
    pub(super) done: bool,
    cancelled: Option<Vec<Text>>,
    answers: Answers,
    /// How often it was refused for its session interval.
    raised: u8,
    /// It is not sent anew, to nobody.
    last: bool,
    /// What an earlier target said: better than "timeout" of the last.
    refusal: Option<Failure>,
}

impl Outbound {
    /// A request that waits for [`Self::begin`].
    pub(super) fn new(
        purpose: Purpose,
        request: Request,
        cseq: u32,
        contact: bool,
        hop: Option<NextHop>,
    ) -> Self {
        Self {
            purpose,
            request,
            cseq,
            contact,
            hop,
            targets: VecDeque::new(),
            attempts: Vec::new(),
            ways: 0,
            chosen: None,
            done: false,
            cancelled: None,
            answers: Answers::default(),
            raised: 0,
            last: false,
            refusal: None,
        }
    }
    /// Where it can go is known: sends it to the first target. `Some` when there is none.
    pub(super) fn begin(&mut self, targets: &[Target], wire: &mut Wire<'_>) -> Option<Failure> {
        self.hop = None;
        self.targets = targets.iter().take(MAX_TARGETS).map(Way::to).collect();
        self.next(wire)
    }
    /// None of its targets could be sent to; it waits for those of another hop.
    pub(super) fn go_elsewhere(&mut self, hop: NextHop) {
        self.done = false;
        self.chosen = None;
        self.refusal = None;
        self.attempts.clear();
        self.hop = Some(hop);
    }
    /// Sends to the next target; `Some` with what to make of it when there is none.
    fn next(&mut self, wire: &mut Wire<'_>) -> Option<Failure> {
        match self.targets.pop_front() {
            Some(way) if self.cancelled.is_none() => {
                self.ways = self.ways.saturating_add(1);
                self.send(way, wire);
                None
            }
            _ => {
                self.done = true;
                Some(
                    self.refusal
                        .take()
                        .unwrap_or_else(|| Failure::of(Kind::Unreachable, Origin::Local)),
                )
            }
        }
    }
    fn send(&mut self, way: Way, wire: &mut Wire<'_>) {
        let branch: Text = wire.ids.branch().into();
        let printed = way.print(&self.request, &branch, self.contact, &mut self.targets);
        let patience = (!self.targets.is_empty()).then_some(wire.now + PATIENCE);
        let attempt = Attempt::start(printed, branch, patience, wire);
        self.chosen = None;
        self.attempts.retain(|old| !old.is_over());
        self.attempts.push(attempt);
    }
    /// Whether a response with this branch belongs here.
    pub(super) fn has_branch(&self, branch: &Text) -> bool {
        self.attempts.iter().any(|attempt| attempt.branch == *branch)
    }
    /// Feeds a response whose branch is one of ours. What the leg is to know of comes back.
    pub(super) fn receive(
        &mut self,
        branch: &Text,
        cseq: &CSeq,
        response: &Response,
        wire: &mut Wire<'_>,
    ) -> Heard {
        let Some(at) = self.attempts.iter().position(|attempt| attempt.branch == *branch) else {
            return Heard::Nothing;
        };
        let Some(attempt) = self.attempts.get_mut(at) else {
            return Heard::Nothing;
        };
        if cseq.method == Method::Cancel {
            attempt.receive_cancel(response.status, wire);
            return Heard::Nothing;
        }
        if cseq.method != self.request.method || !attempt.receive(response, wire) {
            return Heard::Nothing;
        }
        attempt.patience = None;
        let status = response.status;
        if status.is_provisional() {
            if let Some(reasons) = &self.cancelled {
                attempt.cancel(reasons, wire);
                return Heard::Nothing;
            }
            if self.done {
                attempt.cancel(&[], wire);
                return Heard::Nothing;
            }
            // Whoever reacts first is the one: an earlier target that was merely slow counts as well as the present one.
            return match &self.chosen {
                Some(chosen) if chosen != branch => {
                    attempt.cancel(&[], wire);
                    Heard::Nothing
                }
                Some(_) => Heard::Provisional,
                None => {
                    self.chosen = Some(branch.clone());
                    self.settle_on(at, &[], wire);
                    Heard::Provisional
                }
            };
        }
        if status.is_success() {
            let first = !self.done;
            self.done = true;
            if first {
                self.chosen = Some(branch.clone());
            }
            self.settle_on(at, &[ELSEWHERE.into()], wire);
            return if first { Heard::Final } else { Heard::Again };
        }
        // Of an attempt that another one was chosen before, the end is no news: it was cancelled.
        let passed_over =
            self.cancelled.is_none() && self.chosen.as_ref().is_some_and(|chosen| chosen != branch);
        if self.done || passed_over {
            return Heard::Nothing;
        }
        if self.cancelled.is_none() && !self.last {
            if matches!(
                status,
                Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
            ) && let Some(attempt) = self.attempts.get(at)
                && let Some(account) = wire.account
                && let Some(credentials) = account.towards(attempt.way.target.remote.ip())
                && self
                    .answers
                    .answer(response, credentials, &mut self.request, wire.ids)
            {
                return self.retry_at(at, wire);
            }
            if status == Status::SESSION_INTERVAL_TOO_SMALL
                && self.raised < MAX_RAISED
                && wire.session.raise(&response.headers, &mut self.request.headers)
            {
                self.raised += 1;
                return self.retry_at(at, wire);
            }
            let others = |is: fn(&Attempt) -> bool| {
                let mut attempts = self.attempts.iter().enumerate();
                attempts.any(|(other, attempt)| other != at && is(attempt))
            };
            let waits = others(Attempt::is_waiting);
            if self.is_known_by(status) && others(Attempt::is_live) {
                self.refusal = Some(Failure::of_response(response, Origin::LegB));
                return Heard::Nothing;
            }
            if status == Status::SERVICE_UNAVAILABLE {
                self.refusal = Some(Failure::of_response(response, Origin::LegB));
                if !self.targets.is_empty() {
                    return match self.next(wire) {
                        None => Heard::Nothing,
                        Some(failure) => Heard::Failed(failure),
                    };
                }
                if waits {
                    return Heard::Nothing;
                }
            }
        }
        self.done = true;
        self.settle_on(at, &[], wire);
        Heard::Final
    }
    /// Whether it has come by another of our ways before, where only the answers are lost: 482 (RFC 3261 §8.2.2.2), or 500 in a
    /// dialog, where its CSeq is no news (§12.2.2). What is said to the first counts.
    fn is_known_by(&self, status: Status) -> bool {
        let in_dialog = || {
            let to = self.request.headers.to();
            to.is_ok_and(|to| to.tag().is_some())
        };
        status == Status::LOOP_DETECTED || (status == Status::SERVER_INTERNAL_ERROR && in_dialog())
    }
    /// The same request with credentials, to the member that asked for them (acceptance #25).
    fn retry_at(&mut self, at: usize, wire: &mut Wire<'_>) -> Heard {
        let Some(way) = self.attempts.get(at).map(|old| old.way.clone()) else {
            return Heard::Nothing;
        };
        *wire.cseq = (*wire.cseq).max(self.cseq).wrapping_add(1) & 0x7fff_ffff;
        self.cseq = *wire.cseq;
        let cseq = CSeq {
            number: self.cseq,
            method: self.request.method.clone(),
        };
        self.request.headers.set("CSeq", cseq.to_text());
        self.send(way, wire);
        Heard::Nothing
    }
    /// Gives up all attempts but one: what still answers there is cancelled.
    fn settle_on(&mut self, at: usize, reasons: &[Text], wire: &mut Wire<'_>) {
        for (index, attempt) in self.attempts.iter_mut().enumerate() {
            if index != at {
                attempt.cancel(reasons, wire);
            }
        }
    }
    /// What is on its way may come to something; if it does not, nobody else is tried and nothing is sent anew.
    pub(super) fn stay(&mut self) {
        self.last = true;
        self.targets.clear();
        for attempt in &mut self.attempts {
            attempt.patience = None;
        }
    }
    /// CANCEL (RFC 3261 §9.1), now or as soon as a provisional response allows it. `false` when nothing has been sent, so that
    /// nothing will come.
    pub(super) fn cancel(&mut self, reasons: Vec<Text>, wire: &mut Wire<'_>) -> bool {
        self.targets.clear();
        self.hop = None;
        for attempt in &mut self.attempts {
            // There is no other target to go on to.
            attempt.patience = None;
            attempt.cancel(&reasons, wire);
        }
        self.cancelled = Some(reasons);
        let waits = self.attempts.iter().any(Attempt::is_live);
        self.done |= !waits;
        waits
    }
    /// The way to the member that answered.
    pub(super) fn way_that_answered(&self) -> Option<&Way> {
        let answered = self
            .attempts
            .iter()
            .find(|attempt| Some(&attempt.branch) == self.chosen.as_ref());
        answered.map(|attempt| &attempt.way)
    }
    /// Deadlines.
    pub(super) fn fire(&mut self, wire: &mut Wire<'_>) -> Option<Failure> {
        let mut timed_out = false;
        let mut impatient = false;
        for attempt in &mut self.attempts {
            timed_out |= attempt.fire(wire);
            if attempt.patience.is_some_and(|at| at <= wire.now) {
                attempt.patience = None;
                attempt.quiet = true;
                impatient = true;
            }
        }
        if self.done {
            return None;
        }
        if impatient && !self.targets.is_empty() {
            return self.next(wire);
        }
        if timed_out && !self.attempts.iter().any(Attempt::is_waiting) {
            if self.refusal.is_none() {
                self.refusal = Some(Failure::of(Kind::Timeout, Origin::Local));
            }
            return self.next(wire);
        }
        None
    }
    /// Sending failed: a target that had not answered yet will not.
    pub(super) fn undeliverable(&mut self, to: &Destination, wire: &mut Wire<'_>) -> Option<Failure> {
        let Destination::Target(target) = to else {
            return None;
        };
        let mut hit = false;
        for attempt in &mut self.attempts {
            hit |= attempt.undeliverable(target);
        }
        if !hit || self.done || self.attempts.iter().any(Attempt::is_waiting) {
            return None;
        }
        self.next(wire)
    }
    /// The earliest deadline.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.attempts.iter().filter_map(Attempt::poll_timeout).min()
    }
    /// Whether a final response is still waited for.
    pub(super) fn is_open(&self) -> bool {
        !self.done || self.attempts.iter().any(Attempt::is_cancelling)
    }
    /// Whether nobody but who answers can have heard of it.
    pub(super) fn went_one_way(&self) -> bool {
        self.ways == 1
    }
    /// Whether it was sent and nothing has come back.
    pub(super) fn is_unheard(&self) -> bool {
        !self.done && self.attempts.iter().any(Attempt::is_calling)
    }
    /// Whether nothing of it is left, not even a repeated ACK.
    pub(super) fn is_over(&self) -> bool {
        self.done && self.attempts.iter().all(Attempt::is_over)
    }
    /// ACKs that repeated final responses would get: what a tombstone repeats.
    pub(super) fn acks(&self) -> impl Iterator<Item = LegOutput> + '_ {
        self.attempts.iter().filter_map(Attempt::tombstone)
    }
    /// Stops waiting for a final response.
    pub(super) fn abandon(&mut self) {
        self.done = true;
        self.targets.clear();
        for attempt in &mut self.attempts {
            attempt.abandon();
        }
    }
}
