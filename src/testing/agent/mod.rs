//! A user agent with the transactions of RFC 3261 §17, that lives in any [`Weather`](super::Weather): it repeats what is not
//! answered, tells repetitions from news, and gives up when the RFC's timers do.
//!
//! Its session descriptions are those of a [`Phone`].

mod cancel;
mod client;
mod reliable;
mod server;
mod session;
mod transfer;
mod write;

pub use transfer::{Outcome, Referral};

pub(super) use write::response;

use super::{Hold, Phone, Sim, Who};
use crate::{
    call::Side,
    sip::{Ids, Message, timers::Timers},
};
use bytes::Bytes;
use client::{Client, Purpose};
use reliable::Unpracked;
use server::{Answer, Served, Unacked};
use session::Session;
use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    time::{Duration, Instant},
};
use transfer::Referrals;

/// What an agent does in a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Makes an offer, by re-INVITE or UPDATE.
    Offer(Change),
    /// The same by re-INVITE, and cancels it that long after.
    Regret(Change, Duration),
    /// Any other request in the dialog.
    Send(&'static str),
    /// Says a digit in an INFO.
    Digit(char),
    /// Presses the key of an event (RFC 4733 §3.2), whose packets reach the relay.
    Press(u8),
    /// Sends the other end on to somebody (RFC 3515).
    Refer(Outcome),
    /// Gives up its INVITE, or hangs up where that is answered.
    Cancel,
    /// Hangs up.
    Bye,
    /// Is gone without a word: what comes is lost.
    Vanish,
}

/// What an offer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Hold.
    Hold(Hold),
    /// Resume.
    Resume,
    /// Video on or off.
    Video(bool),
    /// Says what was said last.
    Nothing,
    /// A re-INVITE that asks for an offer.
    Offerless,
}

/// Where phones differ and the RFCs let them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// It offers by UPDATE what it can.
    pub by_update: bool,
    /// It sends no offer while its own 2xx is not acknowledged.
    pub waits_for_ack: bool,
    /// Somebody is asked for that long before an offer is answered.
    pub thinks: Duration,
    /// Session timers: what it asks for, in seconds, and whether it refreshes by itself where it may choose.
    pub timer: Option<(u32, bool)>,
    /// Its INVITE has no offer.
    pub offerless: bool,
    /// Its early media comes reliably, and so do provisional responses that it gets (RFC 3262).
    pub reliable: bool,
}

/// What an agent saw.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Final responses to its requests, by method and code.
    pub finals: BTreeMap<(String, u16), u32>,
    /// Requests that came, by method.
    pub requests: BTreeMap<String, u32>,
    /// Requests of its own that timed out.
    pub timeouts: u32,
    /// 2xx of its own that were never acknowledged.
    pub unacknowledged: u32,
    /// Nobody refreshed the session in time.
    pub expired: bool,
    /// Offers of its own that were taken.
    pub changes: u32,
    /// Provisional responses of its own that were acknowledged.
    pub acknowledged_early: u32,
    /// UPDATEs without offer that came: the server asked whether somebody is there.
    pub refreshed: u32,
    /// Messages of its own that were sent once more.
    pub repeated: u32,
    /// 2xx of a second dialog: nobody may fork towards it.
    pub strange: u32,
    /// Digits that it said, each unlike all others, and those of them that were taken.
    pub digits: BTreeMap<String, bool>,
    /// Keys that it pressed and the relay was to tell of, by their events.
    pub pressed: BTreeMap<u8, u32>,
    /// Digits that it heard, and how often.
    pub digits_heard: BTreeMap<String, u32>,
}

/// How far the call is, for an agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing said yet.
    Idle,
    /// It has sent an INVITE, or got one, that is not answered.
    Setup,
    /// Answered.
    Up,
    /// Over: it answers what comes.
    Over,
}

/// A user agent of one dialog.
#[derive(Debug)]
pub struct Agent {
    /// Which party of the [`Sim`].
    pub who: Who,
    /// Its session descriptions.
    pub phone: Phone,
    /// Where it differs from others.
    pub habits: Habits,
    /// What it saw.
    pub facts: Facts,
    /// How far it is.
    pub phase: Phase,
    /// It is gone.
    pub gone: bool,
    /// The dialog that its REFERs name by Replaces.
    pub names: Option<String>,
    /// Its call has an early dialog.
    early: bool,
    name: String,
    address: SocketAddr,
    call_id: String,
    tag: String,
    /// From or To of the server, with its tag once it is known.
    remote: String,
    target: String,
    cseq: u32,
    remote_cseq: u32,
    calls: bool,
    branches: u32,
    timers: Timers,
    clients: Vec<Client>,
    served: Vec<Served>,
    unacked: Vec<Unacked>,
    /// ACKs of 2xx, by number of their INVITE.
    acks: Vec<(u32, Bytes)>,
    todo: VecDeque<Act>,
    retry: Option<(Instant, Act)>,
    /// When the re-INVITE that is regretted is cancelled.
    regret: Option<Instant>,
    session: Option<Session>,
    /// A provisional response that waits for its PRACK.
    unpracked: Option<Unpracked>,
    /// Of the last provisional response that it has acknowledged, or sent.
    rseq: u32,
    /// Its answer went in a provisional response.
    answered_early: bool,
    referrals: Referrals,
    dice: Ids,
}

impl Agent {
    /// A user agent of that name.
    pub fn new(side: Side, name: &str, seed: u64) -> Self {
        let address = match side {
            Side::A => "192.0.2.10:5070",
            Side::B => "192.0.2.200:5080",
        };
        let mut dice = Ids::seeded(seed ^ ((side as u64 + 1) << 40));
        Self {
            who: side.into(),
            phone: Phone::new(side, seed),
            habits: Habits::default(),
            facts: Facts::default(),
            phase: Phase::Idle,
            gone: false,
            names: None,
            early: false,
            name: name.to_owned(),
            address: address.parse().expect("a test's own address"),
            call_id: format!("{name}-call-{}", dice.tag()),
            tag: format!("{name}-tag-{}", dice.tag()),
            remote: String::new(),
            target: String::new(),
            cseq: 100,
            remote_cseq: 0,
            calls: false,
            branches: 0,
            timers: Timers::default(),
            clients: Vec::new(),
            served: Vec::new(),
            unacked: Vec::new(),
            acks: Vec::new(),
            todo: VecDeque::new(),
            retry: None,
            regret: None,
            session: None,
            unpracked: None,
            rseq: 0,
            answered_early: false,
            referrals: Referrals::default(),
            dice,
        }
    }
    /// Whom a transfer leads to, in place of the party on that side.
    pub fn third(side: Side, name: &str, seed: u64) -> Self {
        let mut third = Self::new(side, name, seed ^ (3 << 40));
        third.who = Who::C;
        third.address = "192.0.2.150:5090".parse().expect("a test's own address");
        third.phone.rtp.set_ip(third.address.ip());
        third
    }
    /// Its tag.
    pub fn tag(&self) -> &str {
        &self.tag
    }
    /// Does something, now or as soon as it may.
    pub fn act(&mut self, sim: &mut Sim, act: Act) {
        if self.gone {
            return;
        }
        match act {
            Act::Vanish => {
                self.gone = true;
                return;
            }
            // Too late: then hanging up is what is meant.
            Act::Cancel if self.phase == Phase::Up => self.todo.push_back(Act::Bye),
            Act::Cancel => self.cancel(sim),
            act => self.todo.push_back(act),
        }
        self.go_on(sim);
    }
    /// Hangs up as soon as it may, and does nothing else before.
    pub fn leave(&mut self, sim: &mut Sim) {
        if !self.gone && self.todo.front() != Some(&Act::Bye) {
            self.todo.push_front(Act::Bye);
            self.go_on(sim);
        }
    }
    /// Whether nothing of it waits for anything but the end of a transaction that is answered.
    pub fn is_quiet(&self) -> bool {
        self.todo.is_empty()
            && self.retry.is_none()
            && self.unacked.is_empty()
            && self.referrals.is_quiet()
            && !self.clients.iter().any(Client::is_pending)
            && !self.served.iter().any(Served::is_pending)
    }
    /// What came for it.
    pub fn receive(&mut self, sim: &mut Sim, message: &Message) {
        if self.gone {
            return;
        }
        match message {
            Message::Request(request) => self.requested(sim, request),
            Message::Response(response) => self.responded(sim, response),
        }
        self.go_on(sim);
    }
    /// When it wants to act by itself.
    pub fn due(&self) -> Option<Instant> {
        if self.gone {
            return None;
        }
        let clients = self.clients.iter().filter_map(Client::due).min();
        let served = self.served.iter().filter_map(Served::due).min();
        let unacked = self.unacked.iter().map(Unacked::due).min();
        let session = self.session.as_ref().map(Session::due);
        let retry = self.retry.map(|(at, _)| at);
        let unpracked = self.unpracked.as_ref().map(Unpracked::due);
        let news = self.referrals.due();
        [
            clients,
            served,
            unacked,
            session,
            retry,
            news,
            self.regret,
            unpracked,
        ]
        .into_iter()
        .flatten()
        .min()
    }
    /// Acts, if it is time.
    pub fn tick(&mut self, sim: &mut Sim) {
        if self.gone {
            return;
        }
        self.fire_clients(sim);
        self.fire_served(sim);
        self.fire_session(sim);
        self.fire_unpracked(sim);
        self.fire_news(sim);
        if self.retry.is_some_and(|(at, _)| at <= sim.now) {
            self.todo.extend(self.retry.take().map(|(_, act)| act));
        }
        if self.regret.is_some_and(|at| at <= sim.now) {
            self.regret = None;
            self.cancel(sim);
        }
        self.go_on(sim);
    }
    /// Does what it wants to do and may do.
    fn go_on(&mut self, sim: &mut Sim) {
        while let Some(act) = self.todo.front().copied() {
            match (self.phase, act) {
                (Phase::Over, _) => self.todo.clear(),
                // RFC 3261 §15: who was called waits for the ACK.
                (Phase::Up, Act::Bye) if self.calls || self.unacked.is_empty() => self.hang_up(sim),
                (Phase::Up, Act::Send(method)) => {
                    self.todo.pop_front();
                    self.request(sim, method, "", "", Purpose::Plain);
                }
                (Phase::Up, Act::Digit(digit)) => {
                    self.todo.pop_front();
                    self.say_digit(sim, digit);
                }
                (Phase::Up, Act::Press(event)) => {
                    self.todo.pop_front();
                    self.press(sim, event);
                }
                (Phase::Up, Act::Refer(outcome)) if self.referrals.may_refer() => {
                    self.todo.pop_front();
                    self.refer(sim, outcome);
                }
                (Phase::Up, Act::Offer(change)) if self.may_offer() => {
                    self.todo.pop_front();
                    self.offer(sim, change, None);
                }
                (Phase::Up, Act::Regret(change, after)) if self.may_offer() => {
                    self.todo.pop_front();
                    self.offer(sim, change, Some(after));
                }
                _ => return,
            }
        }
    }
    /// Nothing is open that an offer could meet, as far as this end knows (RFC 3261 §14.1, RFC 6337 §2).
    fn may_offer(&self) -> bool {
        self.retry.is_none()
            && !self.clients.iter().any(Client::is_offering)
            && !self.served.iter().any(Served::is_open_invite)
            && !self
                .unacked
                .iter()
                .any(|unacked| unacked.offers || self.habits.waits_for_ack)
    }
    /// Hangs up.
    fn hang_up(&mut self, sim: &mut Sim) {
        self.request(sim, "BYE", "", "", Purpose::Bye);
        self.end(sim);
    }
    /// The call is over, for this end.
    fn end(&mut self, sim: &mut Sim) {
        self.phase = Phase::Over;
        self.todo.clear();
        (self.retry, self.regret, self.session) = (None, None, None);
        self.unacked.clear();
        self.unpracked = None;
        // RFC 3261 §15.1.2: what is open is answered.
        for at in 0..self.served.len() {
            if self.served[at].is_open_invite() {
                self.respond(sim, at, Answer::code(487));
            }
        }
    }
}
