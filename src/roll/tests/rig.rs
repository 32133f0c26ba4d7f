//! A roll, a clock, and a network with the servers of its accounts in it.

use crate::{
    call::{Env, LookupError},
    roll::{AccountKey, Changes, Enrolled, Roll, RollOutput, Said},
    sip::{
        Ids, Message, Request, Response, Text, Uri,
        auth::{Credentials, Secret},
        parse,
        routing::{Destination, NextHop, Own, Target, Transport},
        timers::Timers,
    },
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fmt::Display,
    net::SocketAddr,
    ops::{Deref, DerefMut},
    sync::Arc,
    time::{Duration, Instant},
};

/// The way through the network, each way.
const TRIP: Duration = Duration::from_millis(10);

pub(crate) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(crate) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(crate) fn uri(text: &str) -> Uri {
    Uri::parse(text.to_owned()).unwrap()
}

pub(crate) fn target(last: u8) -> Target {
    Target {
        transport: Transport::Udp,
        remote: ([192, 0, 2, last], 5060).into(),
        server_name: None,
        local: [198, 51, 100, 1].into(),
        sent_by: "198.51.100.1:5060".into(),
        fixed_transport: false,
        own: None,
    }
}

/// Where requests come from.
pub(crate) fn source() -> SocketAddr {
    ([198, 51, 100, 1], 5060).into()
}

/// The password `secret` at `example.org`.
pub(crate) fn credentials(name: &str) -> Arc<Credentials> {
    Arc::new(Credentials {
        username: name.to_owned(),
        realm: Some("example.org".to_owned()),
        secret: Secret::Clear("secret".to_owned()),
    })
}

/// Who the servers know, by these names and the password `secret`.
pub(crate) fn users() -> Vec<String> {
    (0..10).map(|n| format!("user{n}")).collect()
}

pub(crate) fn key(name: &str) -> AccountKey {
    AccountKey::new("pool", name)
}

/// The servers of the accounts, and how they and we speak with each other.
pub(crate) trait FarEnd<M: Enrolled> {
    /// How far an account is.
    type Status: Clone + Display + PartialEq;

    /// The account that a plan is of.
    fn user(plan: &M::Plan) -> &str;
    fn status(view: &M::View) -> Self::Status;
    /// By what name its answer finds us.
    fn name(request: &Request) -> M::Name;
    fn words(news: M::News) -> String;
    /// What comes back when this arrives there, and how much later than at once.
    fn receive(&mut self, to: SocketAddr, request: Request, now: Instant) -> Vec<(Duration, Message)>;
    /// This has come back: gives what is answered.
    fn take(book: &mut Roll<M>, message: Message, env: &mut Env<'_>) -> Option<Response>;
    /// That has been answered.
    fn answered(&mut self, answer: Response);
}

enum Packet {
    There(SocketAddr, Request),
    Back(Message),
}

/// See the module. What it has not itself is of its far end.
pub(crate) struct Rig<M: Enrolled, F: FarEnd<M>> {
    pub(crate) book: Roll<M>,
    far: F,
    pub(crate) now: Instant,
    pub(crate) began: Instant,
    ids: Ids,
    /// What the next hop's name leads to, in order.
    pub(crate) targets: Result<Vec<Target>, LookupError>,
    /// What was looked up.
    pub(crate) hops: Vec<NextHop>,
    /// One of so many packets is lost; 0: none.
    pub(crate) loses: u64,
    pub(crate) views: HashMap<AccountKey, M::View>,
    /// Each change of status.
    pub(crate) history: Vec<(Instant, AccountKey, Option<F::Status>)>,
    /// What the wire can find us by.
    pub(crate) names: HashSet<M::Name>,
    pub(crate) news: Vec<(AccountKey, String)>,
    pub(crate) dead: Vec<Target>,
    /// When requests left, those that were repeated by their transaction once.
    pub(crate) sent: Vec<(Instant, Request)>,
    /// Whose connection each of them went by.
    pub(crate) by: Vec<Option<Own>>,
    /// What a network gives out for each name.
    pub(crate) owns: HashMap<String, Own>,
    branches: HashSet<Text>,
    flying: BTreeMap<(Instant, u64), Packet>,
    count: u64,
    chance: Ids,
}

impl<M: Enrolled, F: FarEnd<M>> Rig<M, F> {
    /// With all names leading to 192.0.2.1.
    #[expect(clippy::disallowed_methods, reason = "any moment will do for a start")]
    pub(crate) fn of(far: F) -> Self {
        let now = Instant::now();
        Self {
            book: Roll::new("b2bua".into(), Timers::default()),
            far,
            now,
            began: now,
            ids: Ids::seeded(1),
            targets: Ok(vec![target(1)]),
            hops: Vec::new(),
            loses: 0,
            views: HashMap::new(),
            history: Vec::new(),
            names: HashSet::new(),
            news: Vec::new(),
            dead: Vec::new(),
            sent: Vec::new(),
            by: Vec::new(),
            owns: HashMap::new(),
            branches: HashSet::new(),
            flying: BTreeMap::new(),
            count: 0,
            chance: Ids::seeded(99),
        }
    }
    pub(crate) fn set(&mut self, plans: Vec<M::Plan>) -> Changes {
        let accounts = plans.into_iter().map(|plan| (key(F::user(&plan)), plan));
        let accounts = accounts.collect();
        self.with(|book, env| book.set(&"pool".into(), accounts, env))
    }
    pub(crate) fn with<T>(&mut self, act: impl FnOnce(&mut Roll<M>, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        let result = act(&mut self.book, &mut env);
        self.drain();
        result
    }
    /// The status in words, or nothing.
    pub(crate) fn status(&self, name: &str) -> String {
        let view = self.views.get(&key(name));
        view.map_or_else(String::new, |view| F::status(view).to_string())
    }
    /// Lets that much time pass.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.pass_while(until, |_| true);
        self.now = until;
    }
    /// Lets time pass until that, at most `time`; whether it came to it.
    pub(crate) fn until(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let until = self.now + time;
        self.pass_while(until, |rig| !done(rig));
        done(self)
    }
    fn pass_while(&mut self, until: Instant, go_on: impl Fn(&Self) -> bool) {
        let mut steps = 0;
        while go_on(self) {
            let packet = self.flying.keys().next().map(|(at, _)| *at);
            let next = [packet, self.book.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = self.now.max(until);
                return;
            };
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < 100_000, "time stands still");
            self.now = self.now.max(next);
            if packet.is_some_and(|at| at <= self.now) {
                if let Some((_, packet)) = self.flying.pop_first() {
                    self.arrive(packet);
                }
            } else {
                self.with(Roll::handle_timeout);
            }
        }
    }
    fn arrive(&mut self, packet: Packet) {
        match packet {
            Packet::There(to, request) => {
                for (delay, message) in self.far.receive(to, request, self.now) {
                    self.fly(Packet::Back(message), delay);
                }
            }
            Packet::Back(message) => {
                let answer = self.with(|book, env| F::take(book, message, env));
                answer.into_iter().for_each(|answer| self.far.answered(answer));
            }
        }
    }
    /// A server sends this of its own accord.
    pub(crate) fn send_back(&mut self, message: Message) {
        self.fly(Packet::Back(message), Duration::ZERO);
    }
    fn fly(&mut self, packet: Packet, delay: Duration) {
        if self.loses > 0 && self.chance.below(self.loses) == 0 {
            return;
        }
        self.count += 1;
        self.flying.insert((self.now + TRIP + delay, self.count), packet);
    }
    fn drain(&mut self) {
        while let Some(output) = self.book.poll_output() {
            match output {
                RollOutput::Lookup(number, hop) => {
                    let own = hop.own.as_ref().map(|own| {
                        let given = self.owns.entry(own.name().to_owned());
                        given.or_insert_with(|| Own::new(own.name())).clone()
                    });
                    self.hops.push(hop.clone());
                    let mut found = self.targets.clone();
                    found
                        .iter_mut()
                        .flatten()
                        .for_each(|target| target.own = own.clone());
                    let mut env = Env {
                        now: self.now,
                        ids: &mut self.ids,
                    };
                    self.book.resolved(number, &hop, found, &mut env);
                }
                RollOutput::Transmit(transmit) => {
                    let Ok((Message::Request(request), _)) = parse::message(transmit.bytes.clone()) else {
                        panic!("not a request: {transmit:?}");
                    };
                    let Destination::Target(to) = &transmit.to else {
                        panic!("not to a target");
                    };
                    let name = F::name(&request);
                    assert!(self.names.contains(&name), "its answer would find nobody");
                    let branch = request.headers.via().unwrap().branch().unwrap();
                    if self.branches.insert(branch) {
                        self.sent.push((self.now, request.clone()));
                        self.by.push(to.own.clone());
                    }
                    self.fly(Packet::There(to.remote, request), Duration::ZERO);
                }
                RollOutput::Dead(target) => self.dead.push(target),
                RollOutput::Said(said) => self.said(said),
            }
        }
        assert!(
            !self.book.is_empty() || self.names.is_empty(),
            "nobody is there, and these would be for somebody: {:?}",
            self.names
        );
    }
    fn said(&mut self, said: Said<M>) {
        match said {
            Said::Name(name, true) => assert!(self.names.insert(name)),
            Said::Name(name, false) => assert!(self.names.remove(&name)),
            Said::News(key, news) => self.news.push((key, F::words(news))),
            Said::Account(key, view) => {
                let status = view.as_ref().map(F::status);
                let before = self.views.get(&key).map(F::status);
                if status != before {
                    self.history.push((self.now, key.clone(), status));
                }
                match view {
                    Some(view) => self.views.insert(key, view),
                    None => self.views.remove(&key),
                };
            }
        }
    }
}

impl<M: Enrolled, F: FarEnd<M>> Deref for Rig<M, F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.far
    }
}

impl<M: Enrolled, F: FarEnd<M>> DerefMut for Rig<M, F> {
    fn deref_mut(&mut self) -> &mut F {
        &mut self.far
    }
}
