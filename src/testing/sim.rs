//! One call on virtual time.

mod afterwards;
mod judge;
mod media;
mod place;
mod settings;
mod switchboard;
mod wishes;

pub use place::Who;
pub use settings::settings;
pub use switchboard::Switchboard;

use super::{
    FakeCache, FakeHandshakes, Peer, Verdicts, Weather, peer::read, privacy::Privacy, relay::FakeRelay,
};
use crate::{
    call::{
        Call, CallEvent, Command, Designation, Env, Failure, Incoming, Input, LookupError, Origin, Output,
        Side, Summary, Transmit, Verdict,
        bridge::CallSettings,
        failure::Kind,
        handshake::{HandshakeResult, ZrtpRetained},
    },
    media::{MediaEvent, zrtp::Zid},
    sip::{
        Ids, Message, Replaces, Status,
        routing::{DialogKey, FlowId, NextHop, Source, Target, TransactionKey, Transport},
    },
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Who the server is in ZRTP.
pub const ZID: Zid = Zid([0x5E; 12]);

/// Something that is under way.
#[derive(Debug)]
enum Event {
    ToServer(Who, Bytes),
    ToPeer(Who, Message, SocketAddr),
    Lookup(Side, NextHop),
    /// To the question of that number.
    Verdict(u64, Verdict),
    Media(MediaEvent),
    Handshake(HandshakeResult),
    Retained(ZrtpRetained),
    Identified(Replaces, Option<Box<Designation>>),
    Withheld(Replaces),
}

/// One call, two parties, a clock.
pub struct Sim {
    /// Now.
    pub now: Instant,
    /// When it began.
    pub began: Instant,
    /// Identifiers of the server.
    pub ids: Ids,
    /// The caller.
    pub a: Peer,
    /// The callee (all forks of it).
    pub b: Peer,
    /// Whom a transfer leads to.
    pub c: Peer,
    /// The call; there after the INVITE has come.
    pub call: Option<Call>,
    /// The relay.
    pub relay: FakeRelay,
    /// The driver of DTLS handshakes.
    pub handshakes: FakeHandshakes,
    /// How long a message is under way.
    pub delay: Duration,
    /// What becomes of messages on the way.
    pub weather: Weather,
    /// To which address of a party the message went that it got last.
    pub reached: SocketAddr,
    /// Messages that the weather has taken.
    pub lost: u32,
    /// How long an application thinks, the relay binds, a name is looked up.
    pub think: Duration,
    /// Whether the senders are trusted proxies.
    pub trusted: bool,
    /// Where each lookup leads, instead of to the callee.
    pub targets: Option<Result<Vec<Target>, LookupError>>,
    /// The store of ZRTP's secrets.
    pub retained: FakeCache,
    /// Dialogs of other calls of the server.
    pub designations: HashMap<Replaces, Designation>,
    /// What the call said last of its own.
    pub designated: Option<Designation>,
    /// No other call is there.
    pub is_alone: bool,
    /// What the call wants of others, or tells them.
    errands: Vec<Output>,
    /// What came, where somebody decides first whose it is.
    arrivals: Vec<(Who, Bytes)>,
    /// INVITEs that began dialogs of the call.
    invites: HashSet<TransactionKey>,
    /// What happened.
    pub events: Vec<CallEvent>,
    /// The last output.
    pub summary: Option<Summary>,
    /// The last report of what there is.
    pub report: Option<Summary>,
    /// Each message that crossed a wire: when, which wire, towards the server or from it.
    pub wire: Vec<(Instant, Who, bool, Bytes)>,
    /// On which side of the call each dialog is.
    dialogs: HashMap<DialogKey, Side>,
    verdicts: Verdicts,
    settings: Arc<CallSettings>,
    /// The weather's own, so that the server's identifiers do not depend on it.
    dice: Ids,
    graves: HashMap<TransactionKey, Transmit>,
    /// INVITEs that are nothing of the call, by what they were answered.
    refused: HashMap<TransactionKey, Transmit>,
    /// INVITEs that came for a place in the call.
    replacing: HashSet<TransactionKey>,
    asking: bool,
    /// How many questions were asked.
    questions: u64,
    queue: BTreeMap<(Instant, u64), Event>,
    order: u64,
    /// What of one party no other may hear.
    pub privacy: Privacy,
    /// What may cross though it was seen on the other leg.
    pub allowed: Vec<String>,
}

/// Our addresses: one towards callers, another towards callees, so that a leak shows.
pub const SERVER_A: &str = "198.51.100.1:5060";
/// Towards callees.
pub const SERVER_B: &str = "203.0.113.1:5060";

impl Sim {
    /// Alice and Bob and nothing said yet.
    pub fn new(verdicts: Verdicts) -> Self {
        Self::with(verdicts, settings(), 1)
    }
    /// The same with other settings and another seed.
    pub fn with(verdicts: Verdicts, settings: CallSettings, seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
        let now = Instant::now();
        Self {
            now,
            began: now,
            ids: Ids::seeded(seed),
            a: Peer::new("alice", "192.0.2.10:5070", SERVER_A),
            b: Peer::new("bob", "192.0.2.200:5080", SERVER_B),
            c: Peer::new("carol", "192.0.2.150:5090", SERVER_B),
            dialogs: HashMap::new(),
            call: None,
            relay: FakeRelay::new(1_000),
            handshakes: FakeHandshakes::default(),
            delay: Duration::from_millis(1),
            weather: Weather::default(),
            reached: SocketAddr::from(([0, 0, 0, 0], 0)),
            lost: 0,
            think: Duration::ZERO,
            trusted: false,
            targets: None,
            retained: FakeCache::default(),
            designations: HashMap::new(),
            designated: None,
            is_alone: true,
            errands: Vec::new(),
            arrivals: Vec::new(),
            invites: HashSet::new(),
            events: Vec::new(),
            summary: None,
            report: None,
            wire: Vec::new(),
            verdicts,
            settings: Arc::new(settings),
            dice: Ids::seeded(!seed),
            graves: HashMap::new(),
            refused: HashMap::new(),
            replacing: HashSet::new(),
            asking: false,
            questions: 0,
            queue: BTreeMap::new(),
            order: 0,
            privacy: Privacy::default(),
            allowed: Vec::new(),
        }
    }
    /// One of the parties.
    pub fn peer(&mut self, side: Side) -> &mut Peer {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
    /// Puts a message of a party on its wire.
    pub fn send(&mut self, side: impl Into<Who>, bytes: Bytes) {
        let delay = self.delay;
        self.send_after(side, bytes, delay);
    }
    /// The same, under way for that long.
    pub fn send_after(&mut self, side: impl Into<Who>, bytes: Bytes, delay: Duration) {
        let side = side.into();
        for late in self.deliveries() {
            self.schedule(delay + late, Event::ToServer(side, bytes.clone()));
        }
    }
    /// What the weather makes of one message.
    fn deliveries(&mut self) -> Vec<Duration> {
        let deliveries = self.weather.deliveries(&mut self.dice);
        self.lost += u32::from(deliveries.is_empty());
        deliveries
    }
    fn schedule(&mut self, after: Duration, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + after, self.order), event);
    }
    /// Feeds the call and carries out what it wants.
    pub fn feed(&mut self, input: Input) {
        if let Some(call) = &mut self.call {
            call.handle(
                input,
                &mut Env {
                    now: self.now,
                    ids: &mut self.ids,
                },
            );
        }
        self.carry_out();
    }
    /// An order from outside.
    pub fn command(&mut self, command: Command) {
        self.feed(Input::Command(command));
    }

    /// Whether the application has been asked and has not answered.
    pub fn is_asked(&self) -> bool {
        self.asking
    }

    /// When something happens next: a message arrives or a timer fires.
    pub fn next_event(&self) -> Option<Instant> {
        let queued = self.queue.keys().next().map(|key| key.0);
        let timer = self.call.as_ref().and_then(Call::poll_timeout);
        [queued, timer].into_iter().flatten().min()
    }
    /// Lets time pass until `until`. Returns what parties received, in order, to those who run them.
    pub fn run_until(&mut self, until: Instant, mut react: impl FnMut(&mut Self, Side)) {
        while let Some(at) = self.next_event().filter(|&at| at <= until) {
            self.now = self.now.max(at);
            if let Some(side) = self.step() {
                react(self, side);
            }
        }
        self.now = self.now.max(until);
    }
    /// Lets time pass; nobody reacts.
    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now + time, |_, _| {});
    }
    /// Handles what is due now: one thing. Says who received a message.
    fn step(&mut self) -> Option<Side> {
        let due = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now);
        let Some(event) = due.map(|entry| entry.remove()) else {
            if let Some(call) = &mut self.call {
                call.handle_timeout(&mut Env {
                    now: self.now,
                    ids: &mut self.ids,
                });
            }
            self.carry_out();
            return None;
        };
        match event {
            Event::ToPeer(side, message, address) => {
                self.reached = address;
                self.party(side).receive(message);
                return side.side();
            }
            Event::ToServer(side, bytes) => self.comes(side, bytes),
            Event::Lookup(side, hop) => {
                let targets = self
                    .targets
                    .clone()
                    .unwrap_or_else(|| Ok(vec![self.target_of(self.found(side, &hop))]));
                self.feed(Input::Targets(side, targets));
            }
            Event::Verdict(number, verdict) => {
                // A question that was withdrawn gets no answer.
                if number == self.questions && std::mem::take(&mut self.asking) {
                    self.feed(Input::Verdict(verdict));
                }
            }
            Event::Identified(replaces, found) => self.feed(Input::Identified(replaces, found)),
            Event::Withheld(named) => {
                let gone = Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::Local, Kind::Protocol);
                self.feed(Input::Withheld(named, gone));
            }
            Event::Media(event) => self.feed(Input::Media(event)),
            Event::Retained(answer) => self.feed(Input::Retained(answer)),
            Event::Handshake(result) => {
                if self.handshakes.deliver(&result) {
                    self.feed(Input::Handshake(result));
                }
            }
        }
        None
    }

    fn receive(&mut self, who: Who, bytes: &Bytes) {
        self.wire.push((self.now, who, true, bytes.clone()));
        let message = read(bytes);
        self.privacy.learn(who, &message);
        let side = who.side().or_else(|| self.side_of(&message)).unwrap_or(Side::B);
        let peer = match who {
            Who::A => &self.a,
            Who::B => &self.b,
            Who::C => &self.c,
        };
        let incoming = Incoming {
            message,
            source: Source {
                transport: Transport::Udp,
                local: peer.server,
                remote: peer.address,
                flow: FlowId(who as u64),
            },
            sent_by: peer.server.to_string().into(),
            reached_by: Transport::Udp,
            own: None,
            trusted: self.trusted,
        };
        if self.summary.is_some() {
            return self.afterwards(who, &incoming.message);
        }
        if self.call.is_some() && self.comes_for_a_place(who, &incoming) {
            return;
        }
        if self.call.is_some() || who != Who::A {
            return self.feed(Input::Message(side, incoming));
        }
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        if let Message::Request(invite) = &incoming.message {
            self.invites.extend(TransactionKey::of(invite));
        }
        match Call::new(incoming, self.settings.clone(), ZID, &mut env) {
            Ok(mut call) => {
                call.let_cross(self.verdicts.forwarded());
                self.call = Some(call);
            }
            Err(failure) => panic!("the INVITE breaks a rule: {failure:?}"),
        }
        self.carry_out();
    }
}
