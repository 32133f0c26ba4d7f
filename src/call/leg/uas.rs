//! Leg A before the answer: a user agent server (RFC 3261 §13.3).

use super::{
    Acks, Body, Env, Failure, Inbound, Leg, LegOutput, Matter, Offers, Phase, Position, Profile, Reliable,
    Sender, Session, Side, Signal,
    confirmed::{MAX_QUEUED, Up},
    content, requests,
    wire::wire,
};
use crate::{
    call::{self, Cause, Origin, failure::Kind, signal::Payload},
    sdp::Sdp,
    sip::{
        Message, Status,
        dialog::Dialog,
        routing::{DialogKey, TransactionKey},
    },
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// A provisional response is repeated this often, so that proxies do not give up (RFC 3261 §13.3.1.1).
const KEEP_ALIVE: Duration = Duration::from_secs(60);

/// How much longer than leg B leg A waits: leg B's own limit is to be the one that ends the call.
const GRACE: Duration = Duration::from_secs(10);

/// Leg A, not answered.
#[derive(Debug)]
pub(super) struct Incoming {
    offer: Option<Box<Sdp>>,
    /// The last provisional response but 100, and when it is said again; without what went reliably.
    said: (Status, Option<Box<Sdp>>),
    repeat: Instant,
    /// Nobody answers: the end.
    limit: Instant,
    /// What crosses as soon as the answer, which waits for a PRACK, has been acknowledged.
    queue: VecDeque<Payload>,
}

impl Incoming {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        Some(self.repeat.min(self.limit))
    }
}

fn broken(error: &crate::sip::ParseError) -> Failure {
    Failure::new(error.status, Origin::LegA, Kind::Protocol).because(&error.to_string())
}

impl Leg {
    /// Takes the INVITE of who calls us, for that side of a call: the caller's, or of who is to take a party's place. Emits 100 and
    /// nothing else; its offer is read with [`Leg::offer`].
    ///
    /// # Errors
    /// When the INVITE breaks a rule; the failure is what it is to be answered with ([`super::refusal`]).
    pub fn accept(
        side: Side,
        invite: call::Incoming,
        profile: Arc<Profile>,
        env: &mut Env<'_>,
    ) -> Result<Self, Failure> {
        let from = Sender::of(&invite);
        let own = invite.own;
        let Message::Request(request) = invite.message else {
            return Err(Failure::of(Kind::Protocol, Origin::LegA).because("not a request"));
        };
        let key = TransactionKey::of(&request).map_err(|error| broken(&error))?;
        let cseq = request.headers.cseq().map_err(|error| broken(&error))?.number;
        if request
            .headers
            .to()
            .map_err(|error| broken(&error))?
            .tag()
            .is_some()
        {
            return Err(Failure::new(
                Status::CALL_DOES_NOT_EXIST,
                Origin::LegA,
                Kind::Protocol,
            ));
        }
        requests::required(&request.headers)?;
        let reliable = Reliable::wished(&request.headers, env.ids);
        let mut session = Session::new(profile.sessions);
        session.note(&request.headers);
        session.note_abilities(&request.headers);
        let agreed = session.answer(&request.headers)?;
        let expires = request
            .headers
            .get("Expires")
            .and_then(|value| value.to_str().trim().parse().ok());
        let tag = env.ids.tag();
        let dialog = Dialog::uas(&request, &tag, 0).map_err(|error| broken(&error))?;
        let offer = content::session(&request.headers, &request.body)?;
        let position = if offer.is_some() {
            Position::PeerOffered
        } else {
            Position::PeerAsked
        };
        let mut leg = Self {
            side,
            came: Some(from.source),
            offers: Offers::begin(position),
            reliable,
            contact: Some(from.contact.clone()),
            local_ip: Some(from.source.local.ip()).filter(|ip| !ip.is_unspecified()),
            phase: Phase::Incoming(Incoming {
                offer: offer.map(Box::new),
                said: (Status::SESSION_PROGRESS, None),
                repeat: env.now + KEEP_ALIVE,
                // RFC 3261 §13.3.1: the caller may set a time.
                limit: env.now
                    + expires
                        .filter(|seconds| *seconds > 0)
                        .map_or(Duration::MAX, |seconds: u32| Duration::from_secs(seconds.into()))
                        .min(profile.timers.unanswered + GRACE),
                queue: VecDeque::new(),
            }),
            profile,
            account: None,
            own,
            out: VecDeque::new(),
            dialog,
            outbound: Vec::new(),
            inbound: Vec::new(),
            acks: Acks::default(),
            session,
            lookups: VecDeque::new(),
            resolved: Vec::new(),
            nat: None,
            is_silent: false,
            bye_sent: false,
            linger: None,
            closed: false,
        };
        leg.note_nat(&request, &from.source);
        let mut inbound = Inbound::new(key, request, cseq, &from, &wire!(leg, env));
        inbound.matter = Matter::Call;
        inbound.session = agreed;
        inbound.respond(Status::TRYING, &tag, None, &mut wire!(leg, env));
        leg.inbound.push(inbound);
        leg.out.push_back(LegOutput::Dialog(DialogKey {
            call_id: leg.dialog.call_id.clone(),
            local_tag: leg.dialog.local_tag.clone(),
        }));
        Ok(leg)
    }
    /// The offer of the initial INVITE (leg A).
    pub fn offer(&self) -> Body {
        match &self.phase {
            Phase::Incoming(Incoming {
                offer: Some(offer), ..
            }) => Body::Offer((**offer).clone()),
            _ => Body::None,
        }
    }
    pub(super) fn incoming_signal(&mut self, signal: Signal, env: &mut Env<'_>) {
        match signal {
            _ if self.reliable.is_answered()
                && matches!(signal, Signal::Ring | Signal::Progress { .. } | Signal::Answer(_)) =>
            {
                tracing::debug!("leg A is answered: {signal:?}");
            }
            Signal::Ring => self.progress(Status::RINGING, Body::None, env),
            Signal::Progress { status, body } => {
                if status.is_provisional() && status != Status::TRYING {
                    self.progress(status, body, env);
                }
            }
            Signal::Answer(body) => self.answer_call(body, env),
            Signal::Fail(failure) => self.fail_call(&failure, env),
            Signal::Hangup(cause) => self.fail_call(&self.refusal_of(&cause), env),
            Signal::Request(payload) => self.pass_when_answered(payload),
            Signal::Offer(sdp) => self.want_offer(sdp),
            Signal::Accept(sdp) => self.accept_offer(&sdp, env),
            Signal::Refuse(failure) => self.refuse_offer(&failure, env),
            Signal::Withdraw => self.withdraw_offer(env),
            Signal::Refresh | Signal::Response(..) => {
                tracing::debug!("leg A is not answered: {signal:?}");
            }
        }
    }
    /// Who is not answered has no dialog that a request could cross to; where only a PRACK is missing it has one soon.
    fn pass_when_answered(&mut self, payload: Payload) {
        if let Phase::Incoming(incoming) = &mut self.phase
            && self.reliable.is_answered()
            && incoming.queue.len() < MAX_QUEUED
        {
            return incoming.queue.push_back(payload);
        }
        self.say(Signal::Response(Status::TEMPORARILY_UNAVAILABLE, payload));
    }
    /// Notes what is said again so that proxies do not give up.
    pub(super) fn keep_saying(&mut self, status: Status, sdp: Option<&Sdp>, now: Instant) {
        if let Phase::Incoming(incoming) = &mut self.phase {
            incoming.said = (status, sdp.cloned().map(Box::new));
            incoming.repeat = now + KEEP_ALIVE;
        }
    }
    /// The 2xx goes.
    pub(super) fn answered(&mut self, sdp: Option<&Sdp>, position: Position, env: &mut Env<'_>) {
        self.respond_open(Matter::Call, Status::OK, sdp, env);
        self.offers.position = position;
        let queue = match &mut self.phase {
            Phase::Incoming(incoming) => std::mem::take(&mut incoming.queue),
            _ => VecDeque::new(),
        };
        self.phase = Phase::Up(Up::with(queue));
        // So that a BYE, the farewell above all, knows its way before it is needed.
        let hop = self.path().hop;
        self.look_up(hop);
    }
    /// What an INVITE is refused with whose call has ended. Where its 2xx only waits for a PRACK the callee did not decline, it has
    /// answered and hung up: as when a BYE overtakes the answer (RFC 3261 §15.1.2).
    fn refusal_of(&self, cause: &Cause) -> Failure {
        let mut failure = cause.to_failure();
        if self.reliable.is_answered() && matches!(cause.kind, None | Some(Kind::Rejected)) {
            failure.status = Status::REQUEST_TERMINATED;
        }
        failure
    }
    fn fail_call(&mut self, failure: &Failure, env: &mut Env<'_>) {
        let refusal = if failure.status.code() >= 300 {
            failure.clone()
        } else {
            Failure::of(Kind::Internal, Origin::Local)
        };
        self.reliable.finish();
        self.refuse_open(Matter::Call, &refusal, env);
        self.end(env);
    }
    pub(super) fn incoming_timeout(&mut self, env: &mut Env<'_>) {
        let Phase::Incoming(incoming) = &mut self.phase else {
            return;
        };
        if incoming.limit <= env.now {
            let cause = Cause::of(Kind::NoAnswer, Origin::Local);
            self.fail_call(&cause.to_failure(), env);
            self.say(Signal::Hangup(cause));
        } else if incoming.repeat <= env.now {
            let (status, sdp) = incoming.said.clone();
            incoming.repeat = env.now + KEEP_ALIVE;
            // What waits for its PRACK is repeated often enough.
            if self.reliable.is_quiet() {
                self.progress(status, sdp.map_or(Body::None, |sdp| Body::Answer(*sdp)), env);
            }
        }
    }
}
