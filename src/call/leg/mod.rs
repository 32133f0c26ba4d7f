//! One SIP session towards one party: a user agent without socket or clock.
//!
//! `uas` takes a call (`reliable`: its provisional responses), `uac` places one (`early`: its forks); after the answer both are the
//! same (`confirmed`, `update`). What goes over the wire is kept in `inbound` (the peer's requests and our answers), `outbound` (our
//! requests and where they may go) and `ack`. `deadlines` is when time has passed.

mod ack;
mod attempt;
mod auth;
mod confirmed;
mod content;
mod deadlines;
mod early;
mod inbound;
mod moving;
mod nat;
mod offer;
mod outbound;
mod refresh;
mod reliable;
mod requests;
mod standalone;
mod uac;
mod uas;
mod update;
mod wire;

pub use early::Reliability;
pub use inbound::{ALLOW, SUPPORTED, refusal};
pub use refresh::SessionTimers;
pub use standalone::{Passage, PassageOutput};

use self::{
    ack::Acks,
    attempt::Attempt,
    auth::Account,
    inbound::{Inbound, Matter, Sender},
    offer::{Offers, Position},
    outbound::Outbound,
    refresh::Session,
    reliable::Reliable,
    wire::{Wire, wire},
};
use super::{
    Cause, Env, Failure, Incoming, LookupError, Origin, Outgoing, Side, Signal, Transmit, signal::Body,
};
use crate::sip::{
    Message, Method, Text, Uri,
    auth::Credentials,
    dialog::Dialog,
    routing::{Destination, DialogKey, NextHop, Own, Source, Target, TransactionKey},
    timers::Timers,
};
use std::{collections::VecDeque, net::IpAddr, sync::Arc, time::Instant};

/// Requests of a peer that we hold at once, answered or not: the answered ones only to repeat answers.
const MAX_INBOUND: usize = 32;

/// What both legs of all calls of a server have in common.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `User-Agent` of requests and responses.
    pub user_agent: Text,
    /// RFC 3261 timers.
    pub timers: Timers,
    /// RFC 4028 session timers.
    pub sessions: SessionTimers,
    /// RFC 3262 towards callees.
    pub reliable: Reliability,
}

/// What a leg wants done.
#[derive(Debug)]
pub enum LegOutput {
    /// Send this.
    Transmit(Transmit),
    /// Look this up; answered by [`Leg::handle_targets`], lookups in the order in which they were asked for.
    Lookup(NextHop),
    /// Tell the other leg.
    Signal(Signal),
    /// A dialog (early or not) has our tag from now on.
    Dialog(DialogKey),
    /// An INVITE that opens this dialog goes out with that Request-URI.
    Invited(DialogKey, Text),
    /// What to say to repetitions that come after the leg has gone, until 64*T1 from now.
    ///
    /// With the key of a server transaction it is its final response: for the request's repetitions; an ACK with that key is
    /// absorbed, a CANCEL gets 200 by whoever keeps this. With the key of a client transaction
    /// ([`TransactionKey::of_response`]) it is the ACK that a repeated final response gets.
    Tombstone(TransactionKey, Transmit),
    /// Over: no timer left, nothing to send. Messages that still come may be given to it; it answers them without waiting.
    Closed,
    /// After all not over: something came that it answers with a request, whose repetitions it waits for.
    Reopened,
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// The INVITE of leg B.
    Call,
    /// A re-INVITE that carries (or asks for) an offer of the other leg, or an UPDATE before the answer.
    Offer,
    /// The acknowledgement of a reliable provisional response.
    Prack,
    /// An UPDATE that says that we are still there.
    Refresh,
    /// The end of this dialog.
    Bye,
    /// The end of a fork that lost.
    ByeFork,
    /// A request that crossed.
    Passed,
}

/// What a response turned out to be.
#[derive(Debug)]
enum Heard {
    /// Nothing that the leg must know of.
    Nothing,
    /// A provisional response.
    Provisional,
    /// The final response.
    Final,
    /// One more 2xx to an INVITE: of another fork.
    Again,
    /// No target is left.
    Failed(Failure),
}

/// How far a leg is.
#[derive(Debug)]
enum Phase {
    /// Leg A, not answered.
    Incoming(uas::Incoming),
    /// Leg B, not answered.
    Calling(uac::Calling),
    /// Leg B was given up before the answer; its INVITE may still get one.
    GivenUp,
    /// Answered, both ways alike.
    Up(confirmed::Up),
    /// Ended: only what is left is finished.
    Ended,
}

/// Whether a leg says nothing after this, and is told nothing.
const fn is_last_word(signal: &Signal) -> bool {
    matches!(signal, Signal::Fail(_) | Signal::Hangup(_))
}

/// One SIP session.
#[derive(Debug)]
pub struct Leg {
    side: Side,
    profile: Arc<Profile>,
    account: Option<Account>,
    /// Where the INVITE of its peer came from; `None`: we called it.
    came: Option<Source>,
    /// Whose connection its requests go by.
    own: Option<Own>,
    out: VecDeque<LegOutput>,
    phase: Phase,
    /// The dialog; before leg B is answered, what it will have in common with all forks.
    dialog: Dialog,
    outbound: Vec<Outbound>,
    inbound: Vec<Inbound>,
    acks: Acks,
    offers: Offers,
    /// Leg A's provisional responses that wait for PRACK.
    reliable: Reliable,
    session: Session,
    /// Asked for, not answered, in order.
    lookups: VecDeque<NextHop>,
    /// The last answers, so that each request of a dialog does not ask again.
    resolved: Vec<(NextHop, Vec<Target>)>,
    local_ip: Option<IpAddr>,
    /// Our Contact, from the message that made the dialog on. It stays: what the peer could reach once it can reach again, also
    /// where one request is so large that it goes by TCP (RFC 3261 §18.1.1), or leads another way (RFC 3261 §12.2.1.1 asks for
    /// no more than an address that requests come to).
    contact: Option<Text>,
    /// Where the peer's requests come from, where it is behind a NAT and its Contact is not.
    nat: Option<Uri>,
    /// The last word has been said or heard.
    is_silent: bool,
    /// We sent a BYE: one of the peer that crosses it is answered 200.
    bye_sent: bool,
    /// When what is left of open INVITEs is given up after the end.
    linger: Option<Instant>,
    closed: bool,
}

impl Leg {
    /// From the wire.
    pub fn handle_message(&mut self, message: Incoming, env: &mut Env<'_>) {
        let mut from = Sender::of(&message);
        if let Some(contact) = &self.contact {
            from.contact = contact.clone();
        }
        self.session.note_abilities(message.message.headers());
        match message.message {
            Message::Request(request) => self.handle_request(request, &from, env),
            Message::Response(response) => self.handle_response(&response, env),
        }
        self.settle(env);
    }
    /// From the bridge.
    pub fn handle_signal(&mut self, signal: Signal, env: &mut Env<'_>) {
        self.is_silent |= is_last_word(&signal);
        match self.phase {
            Phase::Incoming(_) => self.incoming_signal(signal, env),
            Phase::Calling(_) => self.calling_signal(signal, env),
            Phase::Up(_) => self.up_signal(signal, env),
            Phase::GivenUp | Phase::Ended => tracing::debug!(side = ?self.side, "signal after the end"),
        }
        self.settle(env);
    }
    /// The server goes down: no new attempt at the callee leaves (acceptance #34). The one that is on its way may be answered.
    pub fn stay(&mut self) {
        let calls = |outbound: &&mut Outbound| outbound.purpose == Purpose::Call;
        self.outbound.iter_mut().filter(calls).for_each(Outbound::stay);
    }
    /// From now on challenges of that host to requests of ours are answered.
    pub fn authenticate(&mut self, credentials: Option<Arc<Credentials>>, host: IpAddr) {
        self.account = credentials.map(|credentials| Account::new(credentials, [host]));
    }
    /// The answer to [`LegOutput::Lookup`].
    pub fn handle_targets(&mut self, targets: Result<Vec<Target>, LookupError>, env: &mut Env<'_>) {
        let Some(hop) = self.lookups.pop_front() else {
            tracing::debug!(side = ?self.side, "targets that nobody asked for");
            return;
        };
        match targets {
            Ok(targets) if !targets.is_empty() => {
                self.resolved.truncate(3);
                self.resolved.insert(0, (hop.clone(), targets.clone()));
                self.go(&hop, &targets, env);
            }
            Ok(_) => self.no_way(&hop, &LookupError::NotFound(hop.uri.to_string()), env),
            Err(error) => self.no_way(&hop, &error, env),
        }
        self.settle(env);
    }
    /// The next thing to do; may have changed after any `handle_*`.
    pub fn poll_output(&mut self) -> Option<LegOutput> {
        self.out.pop_front()
    }
    /// The address of ours on this leg's path: where its media lives unless configured.
    pub fn local_ip(&self) -> Option<IpAddr> {
        self.local_ip
    }
    /// The dialog; before leg B is answered, what all its forks have in common.
    pub fn dialog(&self) -> &Dialog {
        &self.dialog
    }
    /// The dialog's Call-ID.
    pub fn call_id(&self) -> &Text {
        &self.dialog.call_id
    }
    /// A BYE that ends this leg from outside should its task die: the farewell (bytes complete, next CSeq). `None` before
    /// the answer, after the end, and while it is not known where a request would go.
    pub fn farewell(&self) -> Option<Transmit> {
        if !matches!(self.phase, Phase::Up(_)) {
            return None;
        }
        let path = self.path();
        let (_, targets) = self.resolved.iter().find(|(hop, _)| *hop == path.hop)?;
        let target = targets.first()?;
        let mut bye = self
            .dialog
            .numbered(Method::Bye, self.dialog.local_cseq.wrapping_add(1), &path);
        bye.headers.push("User-Agent", self.profile.user_agent.clone());
        // One BYE per dialog ever goes this way, so its CSeq and our tag make a branch that no other request has.
        let branch = format!(
            "z9hG4bKfarewell{}{}",
            self.dialog.local_tag, self.dialog.local_cseq
        )
        .into();
        Some(Transmit {
            bytes: attempt::dress(&bye, target, target.transport, &branch, false).to_bytes(),
            to: Destination::Target(target.clone()),
        })
    }
    /// Whether its peer has said that it takes INFO.
    pub fn takes_infos(&self) -> bool {
        self.session.takes_infos()
    }
    /// Whether we called its peer; otherwise its peer called us.
    pub fn has_called(&self) -> bool {
        self.came.is_none()
    }
    /// Where its peer called from; `None`: we called it. Whoever is found in DNS is reached by any way that leads there, a caller by
    /// the one that it came by: over its connection where it has one, and from the address of ours that it chose.
    pub fn came(&self) -> Option<Source> {
        self.came
    }
    /// Which side.
    pub fn side(&self) -> Side {
        self.side
    }

    /// Who the peer of this leg is, for failures and causes.
    fn origin(&self) -> Origin {
        match self.side {
            Side::A => Origin::LegA,
            Side::B => Origin::LegB,
        }
    }
    fn say(&mut self, signal: Signal) {
        if self.is_silent {
            tracing::debug!(side = ?self.side, "nobody listens any more: {signal:?}");
            return;
        }
        self.is_silent = is_last_word(&signal);
        self.out.push_back(LegOutput::Signal(signal));
    }
    /// Forgets what is over, and closes when nothing is left.
    fn settle(&mut self, env: &mut Env<'_>) {
        self.go_on(env);
        self.send_wanted_offer(env);
        for outbound in self.outbound.iter_mut().filter(|outbound| outbound.done) {
            outbound.fire(&mut wire!(self, env));
        }
        self.outbound.retain(|outbound| !outbound.is_over());
        if self.inbound.len() > MAX_INBOUND / 2 {
            for inbound in self.inbound.iter_mut().filter(|inbound| !inbound.is_open()) {
                inbound.fire(&mut wire!(self, env));
            }
            self.inbound.retain(|inbound| !inbound.is_over());
        }
        let over = matches!(self.phase, Phase::Ended | Phase::GivenUp)
            && !self.outbound.iter().any(Outbound::is_open)
            && !self.inbound.iter().any(Inbound::is_open)
            && !self.acks.is_waiting();
        // What came late is answered without waiting, but a request of ours is not given up before it is answered.
        if self.closed && self.outbound.iter().any(Outbound::is_open) {
            self.closed = false;
            self.out.push_back(LegOutput::Reopened);
        } else if over && !self.closed {
            self.closed = true;
            let graves: Vec<_> = self.inbound.iter().filter_map(Inbound::tombstone).collect();
            self.out.extend(graves);
            for outbound in &self.outbound {
                self.out.extend(outbound.acks());
            }
            self.out.push_back(LegOutput::Closed);
        }
    }
}

#[cfg(test)]
mod tests;
