//! The server as far as requests outside of calls go: what the dispatcher and the tasks do, on virtual time. What decides is theirs.

use super::plan::Plan;
use crate::{
    call::{
        Cause, Decision, Env, Failure, Incoming, Origin, Outgoing, Side, Transmit,
        failure::Kind,
        leg::{Passage, PassageOutput, Profile, SessionTimers},
    },
    server::{
        inbox::inbox,
        maps::Maps,
        standalone::{Answerer, reply},
    },
    sip::{
        Ids, Message, Request, Status,
        routing::{DialogKey, FlowId, NextHop, Source, Target, TransactionKey, Transport},
        timers::Timers,
    },
    testing::legs,
};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    net::SocketAddr,
    sync::Arc,
    time::Instant,
};

pub(super) const SERVER: &str = "203.0.113.1:5060";
/// The asker, and whom the server may ask.
pub(super) const ENDS: [&str; 3] = ["192.0.2.10:5070", "192.0.2.200:5080", "192.0.2.201:5080"];

pub(super) fn address(text: &str) -> SocketAddr {
    text.parse().expect("a test's own address")
}
fn source(remote: SocketAddr) -> Source {
    Source {
        transport: Transport::Udp,
        local: address(SERVER),
        remote,
        flow: FlowId(1),
    }
}
fn target(remote: SocketAddr) -> Target {
    Target {
        transport: Transport::Udp,
        remote,
        server_name: None,
        local: address(SERVER).ip(),
        sent_by: SERVER.into(),
        fixed_transport: false,
        own: None,
    }
}

pub(super) struct Hall {
    pub(super) now: Instant,
    pub(super) maps: Maps,
    answerer: Answerer,
    profile: Arc<Profile>,
    ids: Ids,
    plan: Plan,
    passages: BTreeMap<u64, Passage>,
    /// Where the first request of each leads.
    ways: HashMap<u64, usize>,
    /// What applications will say.
    thinking: Vec<(Instant, u64, Decision)>,
    pub(super) out: Vec<Transmit>,
    /// Passages that were begun, by the `X-Id` of what was asked.
    pub(super) begun: BTreeMap<String, u32>,
}

impl Hall {
    pub(super) fn new(plan: Plan, seed: u64, now: Instant) -> Self {
        Self {
            now,
            maps: Maps::default(),
            answerer: Answerer::new([7; 16], "hall".into()),
            profile: Arc::new(Profile {
                user_agent: "hall".into(),
                timers: Timers::default(),
                sessions: SessionTimers::default(),
                reliable: crate::call::Reliability::default(),
            }),
            ids: Ids::seeded(seed),
            plan,
            passages: BTreeMap::new(),
            ways: HashMap::new(),
            thinking: Vec::new(),
            out: Vec::new(),
            begun: BTreeMap::new(),
        }
    }
    pub(super) fn due(&self) -> Option<Instant> {
        let passages = self.passages.values().filter_map(Passage::poll_timeout);
        passages.chain(self.thinking.iter().map(|(at, ..)| *at)).min()
    }
    pub(super) fn tick(&mut self) {
        let now = self.now;
        self.maps.tombstones.expire(now);
        while let Some(at) = self.thinking.iter().position(|(at, ..)| *at <= now) {
            let (_, number, decision) = self.thinking.remove(at);
            self.with(number, |passage, env| passage.handle_decision(decision, env));
        }
        let due = |passage: &Passage| passage.poll_timeout().is_some_and(|at| at <= now);
        let all: Vec<u64> = self.passages.keys().copied().collect();
        for number in all {
            if self.passages.get(&number).is_some_and(due) {
                self.with(number, Passage::handle_timeout);
            }
        }
    }
    pub(super) fn shut_down(&mut self) {
        let all: Vec<u64> = self.passages.keys().copied().collect();
        for number in all {
            let cause = Cause::of(Kind::Shutdown, Origin::Local);
            self.with(number, |passage, env| passage.end(&cause, env));
        }
    }
    /// Nothing is left of any request.
    pub(super) fn is_empty(&self) -> bool {
        let maps = &self.maps;
        self.passages.is_empty()
            && self.thinking.is_empty()
            && maps.census() == crate::server::maps::Census::default()
            && maps.dialogs.is_empty()
            && maps.invites.is_empty()
            && maps.standalone.is_empty()
            && maps.tombstones.len() == 0
    }

    /// As the dispatcher takes what comes.
    pub(super) fn receive(&mut self, message: Message, from: SocketAddr) {
        match message {
            Message::Request(request) => self.request(request, from),
            Message::Response(response) => {
                let known = DialogKey::of_response(&response);
                let known = known.and_then(|key| self.maps.dialogs.get(&key).copied());
                if let Some((number, side)) = known {
                    self.deliver(number, side, response.into(), from);
                }
            }
        }
    }
    fn request(&mut self, mut request: Request, from: SocketAddr) {
        request.headers.stamp(from).expect("a Via of our own making");
        let key = TransactionKey::of(&request).expect("a Via of our own making");
        if let Some((number, side)) = self.maps.invites.get(&key).copied() {
            return self.deliver(number, side, request.into(), from);
        }
        let dialog = DialogKey::of_request(&request);
        let known = dialog
            .as_ref()
            .and_then(|key| self.maps.dialogs.get(key).copied());
        if let Some((number, side)) = known {
            return self.deliver(number, side, request.into(), from);
        }
        if let Some(words) = self.maps.tombstones.find(&key) {
            return self.out.push(words.clone());
        }
        if dialog.is_some() {
            let response = self.answerer.response(&request, Status::CALL_DOES_NOT_EXIST);
            return self.out.push(reply(&request, &response, source(from)));
        }
        if let Some(response) = self.answerer.outside(&request) {
            return self.out.push(reply(&request, &response, source(from)));
        }
        let id = request.headers.get("X-Id").unwrap_or_default().to_string();
        *self.begun.entry(id).or_default() += 1;
        let (inbox, _) = inbox();
        let number = self.maps.begin_standalone(inbox, Some(key));
        let incoming = self.incoming(request.into(), from);
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        let passage =
            Passage::new(incoming, self.profile.clone(), &mut env).expect("nothing is wrong with it");
        self.passages.insert(number, passage);
        self.drain(number);
    }
    fn incoming(&self, message: Message, from: SocketAddr) -> Incoming {
        Incoming {
            message,
            source: source(from),
            sent_by: SERVER.into(),
            reached_by: Transport::Udp,
            own: None,
            trusted: true,
        }
    }
    fn deliver(&mut self, number: u64, side: Side, message: Message, from: SocketAddr) {
        let incoming = self.incoming(message, from);
        self.with(number, |passage, env| {
            passage.handle_message(side, incoming, env);
        });
    }
    fn with(&mut self, number: u64, act: impl FnOnce(&mut Passage, &mut Env<'_>)) {
        if let Some(passage) = self.passages.get_mut(&number) {
            let mut env = Env {
                now: self.now,
                ids: &mut self.ids,
            };
            act(passage, &mut env);
        }
        self.drain(number);
    }
    /// As the passage's task does what it wants done.
    fn drain(&mut self, number: u64) {
        let mut lookups = VecDeque::new();
        loop {
            while let Some(output) = self.passages.get_mut(&number).and_then(Passage::poll_output) {
                match output {
                    PassageOutput::Ask(view) => {
                        let id = view.headers().get("X-Id").unwrap_or_default().to_string();
                        let asks = &self.plan.asks;
                        let ask = asks.iter().find(|ask| ask.id == id).expect("one of the plan");
                        self.ways.insert(number, ask.manners.len());
                        let decision = match ask.declined.and_then(Status::new) {
                            Some(status) => {
                                Decision::Decline(Failure::new(status, Origin::App, Kind::Declined))
                            }
                            None => Decision::Bridge(vec![Outgoing {
                                target: legs::plan().target,
                                ..legs::plan()
                            }]),
                        };
                        self.thinking.push((self.now + ask.thinks, number, decision));
                    }
                    PassageOutput::Lookup(side, hop) => lookups.push_back((side, hop)),
                    PassageOutput::Transmit(transmit) => self.out.push(transmit),
                    PassageOutput::Dialog(side, key) => self.maps.add_dialog(number, side, key),
                    PassageOutput::Tombstone(key, words) => {
                        self.maps.tombstones.set(key, words, self.now);
                    }
                    PassageOutput::Closed => {
                        self.passages.remove(&number);
                        self.maps.gone(number);
                    }
                }
            }
            let Some((side, hop)) = lookups.pop_front() else {
                return;
            };
            let targets = self.resolve(number, &hop);
            if let Some(passage) = self.passages.get_mut(&number) {
                let mut env = Env {
                    now: self.now,
                    ids: &mut self.ids,
                };
                passage.handle_targets(side, Ok(targets), &mut env);
            }
        }
    }
    /// Parties are at their contacts; the route leads to who is asked.
    fn resolve(&self, number: u64, hop: &NextHop) -> Vec<Target> {
        let uri = hop.uri.to_string();
        let at = ENDS.iter().find(|end| uri.ends_with(&format!("@{end}")));
        match at {
            Some(end) => vec![target(address(end))],
            None => {
                let ways = self.ways.get(&number).copied().unwrap_or_default();
                let ends = ENDS.iter().skip(1).take(ways);
                ends.map(|end| target(address(end))).collect()
            }
        }
    }
}
