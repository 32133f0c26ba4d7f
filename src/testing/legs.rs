//! Two legs on one wire: leg B of one server calls leg A of another, over a network that loses, repeats and reorders.

use crate::{
    call::{
        Body, Encryption, Env, Incoming, Leg, Limits, LookupError, MediaPolicy, Outgoing, Side, Signal,
        Transmit,
        leg::{LegOutput, Profile, Reliability, SessionTimers},
    },
    sip::{
        Headers, Ids, Message, NameAddr, Uri,
        parse::{self, Parsed},
        routing::{Destination, FlowId, Source, Target, TransactionKey, Transport},
        timers::Timers,
    },
    testing::Weather,
};
use bytes::Bytes;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Two legs and a network.
pub struct Legs {
    /// Now.
    pub now: Instant,
    /// When it began.
    pub began: Instant,
    /// Identifiers of both.
    pub ids: Ids,
    /// The one that calls.
    pub caller: Leg,
    /// The one that is called, once the INVITE has come.
    pub callee: Option<Leg>,
    /// What both said and was not taken yet.
    pub said: Vec<(Side, Signal)>,
    /// Which have closed.
    pub closed: (bool, bool),
    /// Each message in the order in which it was sent: from whom, first line.
    pub wire: Vec<(Side, String)>,
    /// What the network does.
    pub weather: Weather,
    /// Messages that `weather` does not touch but a test drops: by the number in `wire`.
    pub lost: Vec<usize>,
    /// The callee takes no call any more.
    pub deaf: bool,
    /// Messages of late, and to whom: what a tamperer has seen.
    seen: VecDeque<(Side, Bytes)>,
    /// Somebody tampers: then nothing is promised of where messages go.
    tampered: bool,
    profile: Arc<Profile>,
    graves: HashMap<TransactionKey, Transmit>,
    queue: BTreeMap<(Instant, u64), Event>,
    order: u64,
}

enum Event {
    Message(Side, Bytes),
    Lookup(Side),
}

/// Addresses of both.
const CALLER: &str = "192.0.2.1:5060";
const CALLEE: &str = "192.0.2.2:5060";
const DELAY: Duration = Duration::from_millis(5);

fn address(side: Side) -> SocketAddr {
    match side {
        Side::B => CALLER,
        Side::A => CALLEE,
    }
    .parse()
    .expect("a literal address")
}

fn target(to: Side) -> Target {
    Target {
        transport: Transport::Udp,
        remote: address(to),
        server_name: None,
        local: address(to.other()).ip(),
        sent_by: address(to.other()).to_string(),
        fixed_transport: false,
        own: None,
    }
}

/// A plan that calls the other one.
pub fn plan() -> Outgoing {
    let uri = |text: &str| Uri::parse(text).expect("a literal URI");
    Outgoing {
        target: uri("sip:bob@192.0.2.2"),
        route: Vec::new(),
        from: NameAddr::of(uri("sip:alice@example.org")),
        to: NameAddr::of(uri("sip:bob@example.org")),
        headers: Headers::default(),
        credentials: None,
        caller_credentials: None,
        own: None,
        private: false,
        stranger: None,
        body: None,
        media: MediaPolicy {
            encryption: crate::call::EncryptionPolicy::Only(Encryption::None),
            ..MediaPolicy::default()
        },
        limits: Limits::default(),
        lease: None,
    }
}

impl Legs {
    /// Sends the INVITE. In this rig `Side::B` is the caller (a leg B) and `Side::A` the callee (a leg A).
    pub fn new(body: Body, weather: Weather, seed: u64) -> Self {
        let profile = Arc::new(Profile {
            user_agent: "legs".into(),
            timers: Timers::default(),
            sessions: SessionTimers::default(),
            reliable: Reliability::default(),
        });
        Self::between(body, weather, seed, [profile.clone(), profile])
    }
    /// The same between servers with these profiles: that of the caller, that of the callee.
    pub fn between(body: Body, weather: Weather, seed: u64, [own, other]: [Arc<Profile>; 2]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
        let now = Instant::now();
        let mut ids = Ids::seeded(seed);
        let mut env = Env { now, ids: &mut ids };
        let caller = Leg::dial(Side::B, &plan(), body, vec![target(Side::A)], 70, own, &mut env);
        let mut legs = Self {
            now,
            began: now,
            ids,
            caller,
            callee: None,
            said: Vec::new(),
            closed: (false, false),
            wire: Vec::new(),
            weather,
            lost: Vec::new(),
            deaf: false,
            seen: VecDeque::new(),
            tampered: false,
            profile: other,
            graves: HashMap::new(),
            queue: BTreeMap::new(),
            order: 0,
        };
        legs.drain();
        legs
    }
    /// Tells one leg something.
    pub fn tell(&mut self, side: Side, signal: Signal) {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        match (side, &mut self.callee) {
            (Side::B, _) => self.caller.handle_signal(signal, &mut env),
            (Side::A, Some(callee)) => callee.handle_signal(signal, &mut env),
            (Side::A, None) => {}
        }
        self.drain();
    }
    /// Lets time pass, event by event.
    pub fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.next_event().filter(|at| *at <= until) {
            self.now = self.now.max(next);
            self.step();
        }
        self.now = until;
    }
    /// Lets pass all that is under way or waits for a deadline; how long that took.
    pub fn run_dry(&mut self) -> Duration {
        let began = self.now;
        for _ in 0..100_000 {
            let Some(next) = self.next_event() else {
                return self.now - began;
            };
            self.now = self.now.max(next);
            self.step();
        }
        panic!("two legs that never come to rest");
    }
    /// Sends a message of late again, with one byte of it changed, or two parts of it swapped, to either.
    pub fn tamper(&mut self, pick: u8, place: u8, value: u8) {
        let Some((to, bytes)) = self.seen.get(usize::from(pick) % self.seen.len().max(1)).cloned() else {
            return;
        };
        self.tampered = true;
        let mut bytes = bytes.to_vec();
        // Most of a message is its first half kilobyte; a prime spreads the places over it.
        let at = usize::from(place) * 7 % bytes.len().max(1);
        match value % 8 {
            0 => bytes.rotate_left(at),
            1 => bytes.truncate(at),
            2 => {
                let copy = bytes.clone();
                bytes.splice(at..at, copy.into_iter().take(64));
            }
            _ => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
        }
        let to = if pick & 0x80 == 0 { to } else { to.other() };
        self.deliver(to, bytes.into());
        self.drain();
    }
    /// What was said since the last time.
    pub fn heard(&mut self) -> Vec<(Side, Signal)> {
        std::mem::take(&mut self.said)
    }
    /// The earliest deadline of either leg.
    pub fn deadline(&self) -> Option<Instant> {
        let callee = self.callee.as_ref().and_then(Leg::poll_timeout);
        self.caller.poll_timeout().into_iter().chain(callee).min()
    }
    fn next_event(&self) -> Option<Instant> {
        let queued = self.queue.keys().next().map(|(at, _)| *at);
        self.deadline().into_iter().chain(queued).min()
    }
    fn step(&mut self) {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        if self.caller.poll_timeout().is_some_and(|at| at <= self.now) {
            self.caller.handle_timeout(&mut env);
        }
        if let Some(callee) = &mut self.callee
            && callee.poll_timeout().is_some_and(|at| at <= self.now)
        {
            callee.handle_timeout(&mut env);
        }
        self.drain();
        let due = self
            .queue
            .keys()
            .next()
            .copied()
            .filter(|(at, _)| *at <= self.now);
        if let Some(event) = due.and_then(|key| self.queue.remove(&key)) {
            match event {
                Event::Message(to, bytes) => self.deliver(to, bytes),
                Event::Lookup(side) => self.resolve(side),
            }
            self.drain();
        }
    }
    fn resolve(&mut self, side: Side) {
        let targets: Result<_, LookupError> = Ok(vec![target(side.other())]);
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        match (side, &mut self.callee) {
            (Side::B, _) => self.caller.handle_targets(targets, &mut env),
            (Side::A, Some(callee)) => callee.handle_targets(targets, &mut env),
            (Side::A, None) => {}
        }
    }
    fn deliver(&mut self, to: Side, bytes: Bytes) {
        let message = match parse::datagram(bytes) {
            Ok(Parsed::Message(message)) => message,
            Ok(Parsed::Faulty(..)) | Err(_) if self.tampered => return,
            other => panic!("a leg sent what cannot be read: {other:?}"),
        };
        let key = match &message {
            Message::Request(request) => TransactionKey::of(request),
            Message::Response(response) => TransactionKey::of_response(response),
        };
        let gone = match to {
            Side::A => self.closed.0,
            Side::B => self.closed.1,
        };
        if gone {
            // What a dispatcher does for a call that has gone.
            let ack =
                matches!(&message, Message::Request(request) if request.method == crate::sip::Method::Ack);
            if let Some(transmit) = key
                .ok()
                .filter(|_| !ack)
                .and_then(|key| self.graves.get(&key).cloned())
            {
                self.send(to, &transmit);
            }
            return;
        }
        let incoming = Incoming {
            message,
            source: Source {
                transport: Transport::Udp,
                local: address(to),
                remote: address(to.other()),
                flow: FlowId(0),
            },
            sent_by: address(to).to_string().into(),
            reached_by: Transport::Udp,
            own: None,
            trusted: false,
        };
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        match (to, &mut self.callee) {
            (Side::B, _) => self.caller.handle_message(incoming, &mut env),
            (Side::A, Some(callee)) => callee.handle_message(incoming, &mut env),
            (Side::A, None) => {
                let is_invite = matches!(&incoming.message, Message::Request(request) if request.method == crate::sip::Method::Invite);
                if is_invite && !self.deaf {
                    match Leg::accept(Side::A, incoming, self.profile.clone(), &mut env) {
                        Ok(leg) => self.callee = Some(leg),
                        Err(failure) => assert!(self.tampered, "INVITE refused: {failure:?}"),
                    }
                }
            }
        }
    }
    fn drain(&mut self) {
        while let Some(output) = self.caller.poll_output() {
            self.perform(Side::B, output);
        }
        while let Some(output) = self.callee.as_mut().and_then(Leg::poll_output) {
            self.perform(Side::A, output);
        }
    }
    fn perform(&mut self, side: Side, output: LegOutput) {
        match output {
            LegOutput::Transmit(transmit) => self.send(side, &transmit),
            LegOutput::Lookup(_) => self.schedule(Duration::from_millis(1), Event::Lookup(side)),
            LegOutput::Signal(signal) => self.said.push((side, signal)),
            LegOutput::Dialog(_) | LegOutput::Invited(..) => {}
            LegOutput::Tombstone(key, transmit) => {
                self.graves.insert(key, transmit);
            }
            LegOutput::Closed => match side {
                Side::A => self.closed.0 = true,
                Side::B => self.closed.1 = true,
            },
            LegOutput::Reopened => match side {
                Side::A => self.closed.0 = false,
                Side::B => self.closed.1 = false,
            },
        }
    }
    fn send(&mut self, from: Side, transmit: &Transmit) {
        let to = match &transmit.to {
            Destination::Target(target) => target.remote,
            Destination::Reply { address, .. } => *address,
        };
        if to != address(from.other()) {
            assert!(self.tampered, "sent to where nobody is");
            return;
        }
        if self.seen.len() >= 16 {
            self.seen.pop_front();
        }
        self.seen.push_back((from.other(), transmit.bytes.clone()));
        let line = transmit
            .bytes
            .split(|byte| *byte == b'\r')
            .next()
            .unwrap_or_default();
        let number = self.wire.len();
        self.wire.push((from, String::from_utf8_lossy(line).into_owned()));
        if self.lost.contains(&number) {
            return;
        }
        for late in self.weather.deliveries(&mut self.ids) {
            let message = Event::Message(from.other(), transmit.bytes.clone());
            self.schedule(DELAY + late, message);
        }
    }
    fn schedule(&mut self, delay: Duration, event: Event) {
        self.order += 1;
        self.queue.insert((self.now + delay, self.order), event);
    }
}
