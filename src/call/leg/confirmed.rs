//! A leg that is up, and how it ends: BYE both ways (RFC 3261 §15), ACKs, requests that cross.

use super::{
    Cause, Env, Failure, Inbound, Leg, Matter, Outbound, Phase, Position, Purpose, Signal, requests,
    wire::wire,
};
use crate::{
    call::{failure::Kind, signal::Payload},
    sdp::Sdp,
    sip::{Method, Request, Response, Status, Text, routing::NextHop},
};
use std::{collections::VecDeque, time::Instant};

/// Crossing requests that wait for their turn.
pub(super) const MAX_QUEUED: usize = 16;

/// How often one is said again that another request of ours has overtaken.
const MAX_OVERTAKEN: u8 = 4;

/// A leg that is up.
#[derive(Debug)]
pub(super) struct Up {
    /// CSeq of a 2xx with an offer: its ACK waits for the answer.
    ack_owed: Option<u32>,
    /// Requests that cross go one at a time, so that answers come back in order.
    passing: Option<Passing>,
    queue: VecDeque<Payload>,
    /// We hung up, but the caller has not acknowledged our 2xx: no BYE before (RFC 3261 §15).
    hanging: Option<Cause>,
}

/// A request that crosses and waits for its answer.
#[derive(Debug)]
struct Passing {
    payload: Payload,
    /// How often it was said again.
    again: u8,
    /// Whose request it is does not wait for longer (RFC 3261 §17.1.2.2).
    until: Instant,
}

impl Up {
    pub(super) fn new() -> Self {
        Self {
            ack_owed: None,
            passing: None,
            queue: VecDeque::new(),
            hanging: None,
        }
    }
    /// With requests that cross as soon as our 2xx is acknowledged.
    pub(super) fn with(queue: VecDeque<Payload>) -> Self {
        Self { queue, ..Self::new() }
    }
    /// With an answer that is owed in the ACK of a 2xx.
    pub(super) fn owing(cseq: u32) -> Self {
        Self {
            ack_owed: Some(cseq),
            ..Self::new()
        }
    }
    /// Its ACK waits for an answer.
    pub(super) fn owe(&mut self, cseq: u32) {
        self.ack_owed = Some(cseq);
    }
    pub(super) fn is_hanging(&self) -> bool {
        self.hanging.is_some()
    }
}

impl Leg {
    pub(super) fn up_signal(&mut self, signal: Signal, env: &mut Env<'_>) {
        if matches!(&self.phase, Phase::Up(up) if up.is_hanging()) {
            tracing::debug!(side = ?self.side, "signal after hang-up");
            return;
        }
        match signal {
            Signal::Hangup(cause) => self.hang_up_when_acknowledged(cause, env),
            Signal::Fail(failure) => {
                let cause = Cause {
                    reasons: failure.reasons(),
                    ..Cause::of(failure.kind, failure.origin)
                };
                self.hang_up_when_acknowledged(cause, env);
            }
            Signal::Offer(sdp) => self.want_offer(sdp),
            Signal::Accept(sdp) => self.accept_offer(&sdp, env),
            Signal::Refuse(failure) => self.refuse_offer(&failure, env),
            Signal::Withdraw => self.withdraw_offer(env),
            Signal::Request(payload) => self.pass(payload, env),
            Signal::Response(status, payload) => self.passed_back(status, &payload, env),
            Signal::Ring | Signal::Progress { .. } | Signal::Answer(_) | Signal::Refresh => {
                tracing::debug!(side = ?self.side, "is up already: {signal:?}");
            }
        }
    }
    /// Whether the caller has not acknowledged our 2xx: it may not have come yet, and then the caller knows of no dialog.
    fn is_new_to_caller(&self) -> bool {
        self.inbound
            .iter()
            .any(|inbound| inbound.matter == Matter::Call && inbound.is_unacknowledged())
    }
    fn hang_up_when_acknowledged(&mut self, cause: Cause, env: &mut Env<'_>) {
        let unacknowledged = self.is_new_to_caller();
        match &mut self.phase {
            Phase::Up(up) if unacknowledged => up.hanging = Some(cause),
            _ => self.hang_up(&cause, env),
        }
    }
    /// BYE, and the end.
    pub(super) fn hang_up(&mut self, cause: &Cause, env: &mut Env<'_>) {
        self.end(env);
        self.bye_sent = true;
        let path = self.path();
        let mut bye = self.dialog.request(Method::Bye, &path);
        for reason in cause.reason_values() {
            bye.headers.push("Reason", reason);
        }
        for (name, value) in cause.headers.iter().flat_map(|headers| headers.iter()) {
            bye.headers.push(name, value);
        }
        let cseq = self.dialog.local_cseq;
        self.request(Outbound::new(Purpose::Bye, bye, cseq, false, Some(path.hop)), env);
    }
    /// The dialog is over: what is open is closed, so that nothing but its last words is left.
    pub(super) fn end(&mut self, env: &mut Env<'_>) {
        self.acknowledge_owed(None, env);
        let tag = self.tag();
        let terminated = Failure::of(Kind::Cancelled, self.origin());
        for inbound in &mut self.inbound {
            if inbound.is_pending() {
                inbound.refuse(&terminated, &tag, &mut wire!(self, env));
            }
            inbound.acknowledge();
        }
        for outbound in &mut self.outbound {
            match outbound.purpose {
                // The peer still answers an open INVITE (487, RFC 3261 §15.1.2) and wants its ACK: shortly.
                Purpose::Offer if outbound.is_open() => {
                    self.linger = Some(env.now + self.profile.timers.t1 * 4)
                }
                Purpose::Passed | Purpose::Refresh | Purpose::Prack => outbound.abandon(),
                Purpose::Offer | Purpose::Call | Purpose::Bye | Purpose::ByeFork => {}
            }
        }
        self.phase = Phase::Ended;
    }
    /// The ACK of a 2xx of ours came.
    pub(super) fn acknowledged(&mut self, ack: &Request, env: &mut Env<'_>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        if let Some(cause) = up.hanging.take() {
            return self.hang_up(&cause, env);
        }
        if self.offers.position == Position::OfferedInAnswer {
            self.offers.position = Position::Settled;
            self.answer_of(ack);
        }
        if matches!(&self.phase, Phase::Up(up) if up.passing.is_none()) {
            self.pass_next(env);
        }
    }
    /// The ACK of a 2xx of ours never came (RFC 3261 §13.3.1.4).
    pub(super) fn never_acknowledged(&mut self, env: &mut Env<'_>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        match up.hanging.take() {
            Some(cause) => self.hang_up(&cause, env),
            None => {
                let cause = Cause::of(Kind::NoAck, self.origin());
                self.hang_up(&cause, env);
                self.say(Signal::Hangup(cause));
            }
        }
    }
    /// Sends the ACK that an answer is owed in.
    pub(super) fn acknowledge_owed(&mut self, body: Option<&Sdp>, env: &mut Env<'_>) {
        if let Phase::Up(up) = &mut self.phase
            && let Some(cseq) = up.ack_owed.take()
        {
            self.acknowledge(cseq, body, env);
        }
    }
    /// Sends the ACK of a 2xx of this dialog.
    pub(super) fn acknowledge(&mut self, cseq: u32, body: Option<&Sdp>, env: &mut Env<'_>) {
        let path = self.path();
        let mut ack = self.dialog.numbered(Method::Ack, cseq, &path);
        // RFC 3261 §22.1: with the credentials of its INVITE.
        let invite = self
            .outbound
            .iter()
            .find(|outbound| outbound.cseq == cseq && outbound.request.method == Method::Invite);
        if let Some(invite) = invite {
            ack.headers.copy_from(&invite.request.headers, "Authorization");
            ack.headers
                .copy_from(&invite.request.headers, "Proxy-Authorization");
        }
        if let Some(sdp) = body {
            ack.headers.push("Content-Type", "application/sdp");
            ack.body = sdp.to_bytes();
        }
        let tag = self.dialog.remote_tag.clone();
        self.send_ack(ack, cseq, tag, path.hop, env);
    }
    pub(super) fn send_ack(
        &mut self,
        mut ack: Request,
        cseq: u32,
        tag: Option<Text>,
        hop: NextHop,
        env: &mut Env<'_>,
    ) {
        ack.headers.push("User-Agent", self.profile.user_agent.clone());
        self.acks.push(cseq, tag, ack, hop.clone());
        match self.known(&hop) {
            Some(targets) => self.acks.resolved(&hop, &targets, &mut wire!(self, env)),
            None => self.look_up(hop),
        }
    }

    fn pass(&mut self, payload: Payload, env: &mut Env<'_>) {
        let too_early = self.is_new_to_caller();
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        if up.passing.is_some() || too_early {
            if up.queue.len() >= MAX_QUEUED {
                return self.say(Signal::Response(Status::SERVER_INTERNAL_ERROR, payload));
            }
            up.queue.push_back(payload);
            return;
        }
        let until = env.now + self.profile.timers.t1_64();
        self.send_passing(
            Passing {
                payload,
                again: 0,
                until,
            },
            env,
        );
    }
    fn send_passing(&mut self, passing: Passing, env: &mut Env<'_>) {
        let payload = passing.payload.clone();
        if let Phase::Up(up) = &mut self.phase {
            up.passing = Some(passing);
        }
        let path = self.path();
        // RFC 3515 §2.2, RFC 6665 §8.2.1: these say where we are.
        let says_where = matches!(payload.method, Method::Refer | Method::Notify | Method::Subscribe);
        let mut request = self.dialog.request(payload.method, &path);
        let per_target = says_where && self.contact.is_none();
        if says_where {
            let contact = self.contact.clone();
            request
                .headers
                .push("Contact", contact.unwrap_or(Text::from_static("<sip:invalid>")));
        }
        for (name, value) in payload.headers.iter() {
            request.headers.push(name, value);
        }
        request.body = payload.body;
        let cseq = self.dialog.local_cseq;
        self.request(
            Outbound::new(Purpose::Passed, request, cseq, per_target, Some(path.hop)),
            env,
        );
    }
    /// The answer of the other leg's peer to what ours sent.
    fn passed_back(&mut self, status: Status, payload: &Payload, env: &mut Env<'_>) {
        let tag = self.tag();
        let open = self.inbound.iter_mut().find(|inbound| {
            inbound.matter == Matter::Passed && inbound.is_pending() && inbound.cseq == payload.number
        });
        let Some(inbound) = open else {
            return;
        };
        // A challenge is between the other leg and its peer: ours could not answer it.
        let status = match status {
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => Status::FORBIDDEN,
            other if other.is_final() => other,
            _ => return,
        };
        let mut response = inbound.response(status, &tag, &wire!(self, env));
        for (name, value) in payload.headers.iter() {
            response.headers.push(name, value);
        }
        response.body = payload.body.clone();
        inbound.send(&response, &mut wire!(self, env));
    }
    pub(super) fn passed_response(&mut self, response: &Response, at: usize, env: &mut Env<'_>) {
        let overtaken = self.was_overtaken(response, at);
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        let Some(mut passing) = up.passing.take() else {
            return;
        };
        if overtaken && passing.again < MAX_OVERTAKEN && env.now < passing.until {
            passing.again += 1;
            return self.send_passing(passing, env);
        }
        let Payload { method, number, .. } = passing.payload;
        // RFC 5057 §5.1: to a NOTIFY it means that the subscription is gone, not the call.
        if response.status == Status::CALL_DOES_NOT_EXIST && method != Method::Notify {
            return self.lost(response.status, env);
        }
        let mut payload = requests::payload(&method, &response.headers, &response.body);
        payload.number = number;
        payload.cseq = response.headers.cseq().map_or(0, |cseq| cseq.number);
        self.say(Signal::Response(response.status, payload));
        self.pass_next(env);
    }
    /// Whether the peer has heard nothing of a request because a later one of ours came before it (RFC 3261 §12.2.2). One that
    /// says when to come again has another trouble, and one that went more than one way may have come by the other.
    fn was_overtaken(&self, response: &Response, at: usize) -> bool {
        let refused = self.outbound.get(at);
        response.status == Status::SERVER_INTERNAL_ERROR
            && response.headers.retry_after().is_none()
            && refused.is_some_and(|sent| sent.cseq < self.dialog.local_cseq && sent.went_one_way())
    }
    pub(super) fn passed_failed(&mut self, failure: &Failure, env: &mut Env<'_>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        let Some(passing) = up.passing.take() else {
            return;
        };
        let payload = passing.payload.without_body();
        self.say(Signal::Response(failure.status, payload));
        self.pass_next(env);
    }
    fn pass_next(&mut self, env: &mut Env<'_>) {
        if let Phase::Up(up) = &mut self.phase
            && let Some(payload) = up.queue.pop_front()
        {
            self.pass(payload, env);
        }
    }
    /// The peer says, or its silence says, that it knows no such dialog (RFC 3261 §12.2.1.2, RFC 5057 §5.1).
    pub(super) fn lost(&mut self, status: Status, env: &mut Env<'_>) {
        let kind = if status == Status::REQUEST_TIMEOUT {
            Kind::Timeout
        } else {
            Kind::Rejected
        };
        let cause = Cause {
            reasons: vec![format!("SIP;cause={status};text=\"{}\"", status.reason()).into()],
            ..Cause::of(kind, self.origin())
        };
        self.hang_up(&cause, env);
        self.say(Signal::Hangup(cause));
    }
    /// Whether all requests that it was told have been answered.
    pub fn has_been_heard(&self) -> bool {
        match &self.phase {
            Phase::Up(up) => up.passing.is_none() && up.queue.is_empty(),
            _ => true,
        }
    }
    /// Whether a 2xx of ours waits for its ACK.
    pub(super) fn is_unacknowledged(&self) -> bool {
        self.inbound.iter().any(Inbound::is_unacknowledged)
    }
}
