//! A request outside of any call on its way through the server (RFC 3261 §8, §17): MESSAGE, PUBLISH, unknown methods; and
//! SUBSCRIBE with the subscription that it begins (RFC 6665).
//!
//! Towards who asks it is a user agent server, towards who is asked a user agent client with the same failover as the INVITE
//! of a leg B. What begins a subscription goes on as two halves of a dialog, between which each SUBSCRIBE and each NOTIFY
//! crosses with its answer, until the subscription is over. REFER and its NOTIFYs belong to calls and are not here.

mod answer;
mod content;
mod dialog;
mod half;
mod hunt;
mod subscription;

use self::{half::Half, subscription::Subscription};
use super::{
    Inbound, LegOutput, Outbound, Profile, Purpose, Sender, attempt::dress_contact, uac::request_of,
};
use crate::{
    call::{
        Cause, Decision, Env, Failure, Incoming, LookupError, Origin, Outgoing, Side, Standalone, Transmit,
        Unsent, failure::Kind, signal::without_asker,
    },
    sip::{
        Message, Method, ParseError, Request, Status,
        dialog::Dialog,
        routing::{DialogKey, NextHop, Target, TransactionKey},
    },
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// Requests of one passage that wait for their answers, or stand by to repeat them.
const MAX_CROSSINGS: usize = 16;
/// Routes that one request is tried on, whatever an application says.
const MAX_ROUTES: usize = 64;

/// What a passage wants done.
#[derive(Debug)]
pub enum PassageOutput {
    /// Ask the application; answered by [`Passage::handle_decision`].
    Ask(Box<Standalone>),
    /// Resolve this next hop; answered by [`Passage::handle_targets`].
    Lookup(Side, NextHop),
    /// Send this.
    Transmit(Transmit),
    /// Messages of this dialog, or responses to this request, belong here from now on.
    Dialog(Side, DialogKey),
    /// A final response, to be repeated to retransmissions that come later.
    Tombstone(TransactionKey, Transmit),
    /// The last output: nothing is left.
    Closed,
}

/// One request outside of any call, and the subscription that it begins.
#[derive(Debug)]
pub struct Passage {
    profile: Arc<Profile>,
    /// What is asked.
    asked: Request,
    a: Half,
    /// Towards who is asked: of the route that is tried, or was answered.
    b: Option<Half>,
    /// The first is the one that all began with.
    crossings: Vec<Crossing>,
    phase: Phase,
    routes: VecDeque<Outgoing>,
    current: Option<Outgoing>,
    tried: usize,
    max_forwards: u8,
    subscription: Option<Subscription>,
    /// Whether the dialog towards who asks has been said.
    is_known_to_a: bool,
    out: VecDeque<PassageOutput>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The application thinks.
    Asking,
    /// The first request waits for its answer.
    Crossing,
    /// It has been answered.
    Answered,
    /// Nothing is left.
    Closed,
}

/// A request and what it became on the other side.
#[derive(Debug)]
struct Crossing {
    /// Whose it is. The other side has `outbound`.
    asker: Side,
    /// `None` where we ask ourselves.
    inbound: Option<Inbound>,
    outbound: Option<Outbound>,
    /// The last word of the subscription.
    last: bool,
}

impl Crossing {
    /// Whether somebody waits for an answer of it.
    fn is_open(&self) -> bool {
        self.inbound.as_ref().is_some_and(Inbound::is_pending)
            || self.outbound.as_ref().is_some_and(Outbound::is_open)
    }
}

impl Passage {
    /// Takes a request; the first output asks the application.
    ///
    /// # Errors
    /// What the request is to be answered with.
    pub fn new(incoming: Incoming, profile: Arc<Profile>, env: &mut Env<'_>) -> Result<Self, Failure> {
        let view = Standalone::of(&incoming)?;
        let from = Sender::of(&incoming);
        let own = incoming.own.clone();
        let request = view.request.clone();
        let bad = |text: &str| Failure::of(Kind::Protocol, Origin::LegA).because(text);
        super::requests::required(&request.headers)?;
        let max_forwards = match request.headers.max_forwards() {
            Ok(Some(0)) => {
                return Err(Failure::new(Status::TOO_MANY_HOPS, Origin::Local, Kind::Loop));
            }
            Ok(Some(hops)) => (hops - 1).min(70),
            Ok(None) | Err(_) => 70,
        };
        if request.headers.contains("Expires") && subscription::seconds(&request.headers).is_none() {
            return Err(bad("Expires is not a number of seconds"));
        }
        let key = TransactionKey::of(&request).map_err(|error| bad(&error.to_string()))?;
        let cseq = request.headers.cseq().map_err(|error| bad(&error.to_string()))?;
        let tag = env.ids.tag();
        let dialog = Dialog::uas(&request, &tag, first_cseq(env)).map_err(|error| bad(&error.to_string()))?;
        let mut a = Half::new(dialog, None, own, &profile);
        a.note(&request, &from.source);
        let inbound = Inbound::new(key, request.clone(), cseq.number, &from, &a.wire(&profile, env));
        Ok(Self {
            asked: request,
            a,
            b: None,
            crossings: vec![Crossing {
                asker: Side::A,
                inbound: Some(inbound),
                outbound: None,
                last: false,
            }],
            phase: Phase::Asking,
            routes: VecDeque::new(),
            current: None,
            tried: 0,
            max_forwards,
            subscription: None,
            is_known_to_a: false,
            out: VecDeque::from([PassageOutput::Ask(Box::new(view))]),
            profile,
        })
    }

    /// A request that nobody waits for: the application is asked where it goes, and nobody is told what became of it.
    ///
    /// # Errors
    /// When the request has no From, To, Call-ID or CSeq that can be read.
    pub fn originate(view: Standalone, profile: Arc<Profile>, env: &mut Env<'_>) -> Result<Self, ParseError> {
        let dialog = Dialog::uas(&view.request, &env.ids.tag(), first_cseq(env))?;
        Ok(Self {
            asked: view.request.clone(),
            a: Half::new(dialog, None, None, &profile),
            b: None,
            crossings: vec![Crossing {
                asker: Side::A,
                inbound: None,
                outbound: None,
                last: false,
            }],
            phase: Phase::Asking,
            routes: VecDeque::new(),
            current: None,
            tried: 0,
            max_forwards: 70,
            subscription: None,
            is_known_to_a: false,
            out: VecDeque::from([PassageOutput::Ask(Box::new(view))]),
            profile,
        })
    }

    /// The application's answer.
    pub fn handle_decision(&mut self, decision: Decision, env: &mut Env<'_>) {
        if self.phase != Phase::Asking {
            return tracing::debug!("a decision that nobody waits for");
        }
        self.phase = Phase::Crossing;
        match decision {
            Decision::Bridge(routes) => {
                self.routes = routes.into();
                let none = Failure::of(Kind::Internal, Origin::App).because("no route");
                self.try_next(none, env);
            }
            Decision::Decline(failure) => self.refuse(0, &failure, env),
            Decision::Redirect(contacts) => {
                let moved = Failure::new(Status::MOVED_TEMPORARILY, Origin::App, Kind::Declined);
                let failure = contacts.iter().fold(moved, |failure, contact| {
                    failure.with("Contact", contact.0.to_text())
                });
                self.refuse(0, &failure, env);
            }
        }
        self.settle(env);
    }
    /// A message of either side.
    pub fn handle_message(&mut self, side: Side, incoming: Incoming, env: &mut Env<'_>) {
        let from = Sender::of(&incoming);
        match incoming.message {
            Message::Request(request) => self.request(side, request, &from, env),
            Message::Response(response) => self.response(&response, env),
        }
        self.settle(env);
    }
    /// A deadline has passed.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        let mut failed = Vec::new();
        for (at, crossing) in self.crossings.iter_mut().enumerate() {
            let half = match crossing.asker {
                Side::A => self.b.as_mut(),
                Side::B => Some(&mut self.a),
            };
            if let (Some(half), Some(outbound)) = (half, crossing.outbound.as_mut()) {
                let failure = outbound.fire(&mut half.wire(&self.profile, env));
                failed.extend(failure.map(|failure| (at, failure)));
            }
        }
        for (at, failure) in failed {
            self.failed(at, failure, env);
        }
        if let Some(subscription) = &mut self.subscription
            && subscription.until <= env.now
        {
            subscription.over = true;
        }
        self.settle(env);
    }
    /// The server ends it: who subscribed is told that it may ask again elsewhere, who notifies that nobody listens
    /// (RFC 6665 §4.1.3, §4.4.1).
    pub fn end(&mut self, cause: &Cause, env: &mut Env<'_>) {
        match self.phase {
            Phase::Closed => return,
            Phase::Asking | Phase::Crossing => {
                // What the application says now comes too late.
                self.phase = Phase::Crossing;
                self.routes.clear();
                self.refuse(0, &cause.to_failure(), env);
            }
            Phase::Answered => self.end_subscription(env),
        }
        self.settle(env);
    }
    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<PassageOutput> {
        self.out.pop_front()
    }
    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Closed {
            return None;
        }
        let outbound = self
            .crossings
            .iter()
            .filter_map(|crossing| crossing.outbound.as_ref()?.poll_timeout());
        // Once it is over nothing more becomes of that: what is open has timers of its own.
        let lasting = self
            .subscription
            .as_ref()
            .filter(|subscription| !subscription.over);
        let until = lasting.map(|subscription| subscription.until);
        outbound.chain(until).min()
    }
    /// Whether it lasts beyond its first answer.
    pub fn is_subscription(&self) -> bool {
        self.subscription.is_some()
    }

    /// 64*T1: as long as anything may be on its way.
    fn grace(&self) -> Duration {
        self.profile.timers.t1_64()
    }
    /// Hands on what the halves want done, forgets what is over, and closes when nothing is left.
    fn settle(&mut self, env: &mut Env<'_>) {
        let sides = [(Side::A, Some(&mut self.a)), (Side::B, self.b.as_mut())];
        for (side, half) in sides {
            let Some(half) = half else { continue };
            for output in half.out.drain(..) {
                match output {
                    LegOutput::Transmit(transmit) => self.out.push_back(PassageOutput::Transmit(transmit)),
                    LegOutput::Lookup(hop) => self.out.push_back(PassageOutput::Lookup(side, hop)),
                    LegOutput::Tombstone(..)
                    | LegOutput::Dialog(_)
                    | LegOutput::Invited(..)
                    | LegOutput::Signal(_)
                    | LegOutput::Closed
                    | LegOutput::Reopened => {}
                }
            }
        }
        if self.crossings.len() > MAX_CROSSINGS / 2 {
            for crossing in &mut self.crossings {
                if let Some(inbound) = &mut crossing.inbound {
                    inbound.fire(&mut self.a.wire(&self.profile, env));
                }
            }
            // The first one keeps its place.
            let mut first = true;
            self.crossings.retain(|crossing| {
                let over = crossing.inbound.as_ref().is_none_or(Inbound::is_over);
                std::mem::take(&mut first) || !over || crossing.is_open()
            });
        }
        let lasts = self
            .subscription
            .as_ref()
            .is_some_and(|subscription| !subscription.over);
        if self.phase == Phase::Answered && !lasts && !self.crossings.iter().any(Crossing::is_open) {
            self.phase = Phase::Closed;
            for crossing in &self.crossings {
                if let Some(LegOutput::Tombstone(key, words)) =
                    crossing.inbound.as_ref().and_then(Inbound::tombstone)
                {
                    self.out.push_back(PassageOutput::Tombstone(key, words));
                }
            }
            self.out.push_back(PassageOutput::Closed);
        }
    }
}

/// Below 2^31 with room for a long dialog (RFC 3261 §8.1.1.5).
fn first_cseq(env: &mut Env<'_>) -> u32 {
    1 + u32::try_from(env.ids.below(1 << 30)).unwrap_or(0)
}

#[cfg(test)]
mod tests;
