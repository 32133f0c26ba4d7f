//! A book of registrations, a clock, and a network with registrars in it.

use crate::{
    call::{Env, LookupError},
    registration::{AccountKey, Book, BookOutput, RegistrationPlan, RegistrationStatus, View},
    sip::{
        Ids, Message, Request, Response, Text, Uri,
        auth::{Credentials, Secret},
        parse,
        routing::{Destination, Own, Target, Transport},
        timers::Timers,
    },
    testing::Registrar,
};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// The way through the network, each way.
const TRIP: Duration = Duration::from_millis(10);

pub(super) fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

pub(super) fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

pub(super) fn target(last: u8) -> Target {
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

pub(super) fn uri(text: &str) -> Uri {
    Uri::parse(text.to_owned()).unwrap()
}

/// `sip:NAME@example.org` with the password `secret`.
pub(super) fn plan(name: &str) -> RegistrationPlan {
    let credentials = Credentials {
        username: name.to_owned(),
        realm: Some("example.org".to_owned()),
        secret: Secret::Clear("secret".to_owned()),
    };
    RegistrationPlan::new(
        uri(&format!("sip:{name}@example.org")),
        uri("sip:example.org"),
        Some(Arc::new(credentials)),
    )
}

pub(super) fn key(name: &str) -> AccountKey {
    AccountKey::new("pool", name)
}

enum Packet {
    There(SocketAddr, Request),
    Back(Response),
}

pub(super) struct Rig {
    pub(super) book: Book,
    pub(super) now: Instant,
    pub(super) began: Instant,
    pub(super) ids: Ids,
    /// What the next hop's name leads to, in order.
    pub(super) targets: Result<Vec<Target>, LookupError>,
    pub(super) registrars: HashMap<SocketAddr, Registrar>,
    /// Added to the way back of each response.
    pub(super) delay: Duration,
    /// One of so many packets is lost; 0: none.
    pub(super) loses: u64,
    pub(super) views: HashMap<AccountKey, View>,
    /// Each change of status.
    pub(super) history: Vec<(Instant, AccountKey, Option<RegistrationStatus>)>,
    pub(super) dead: Vec<Target>,
    /// When REGISTERs left, those that were repeated by their transaction once.
    pub(super) sent: Vec<(Instant, Request)>,
    /// Whose connection each of them went by.
    pub(super) by: Vec<Option<Own>>,
    /// What a network gives out for each name.
    pub(super) owns: HashMap<String, Own>,
    branches: HashSet<Text>,
    flying: BTreeMap<(Instant, u64), Packet>,
    count: u64,
    chance: Ids,
}

impl Rig {
    /// With one registrar at 192.0.2.1.
    #[expect(clippy::disallowed_methods, reason = "any moment will do for a start")]
    pub(super) fn new() -> Self {
        let now = Instant::now();
        let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
        let passwords: Vec<_> = names.iter().map(|name| (name.as_str(), "secret")).collect();
        let registrar = Registrar::new("example.org", &passwords);
        Self {
            book: Book::new("b2bua".into(), Timers::default()),
            now,
            began: now,
            ids: Ids::seeded(1),
            targets: Ok(vec![target(1)]),
            registrars: HashMap::from([(target(1).remote, registrar)]),
            delay: Duration::ZERO,
            loses: 0,
            views: HashMap::new(),
            history: Vec::new(),
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
    pub(super) fn registrar(&mut self) -> &mut Registrar {
        self.registrars.get_mut(&target(1).remote).unwrap()
    }
    pub(super) fn at(&mut self, last: u8) -> &mut Registrar {
        self.registrars.get_mut(&target(last).remote).unwrap()
    }
    pub(super) fn set(&mut self, plans: Vec<RegistrationPlan>) -> crate::registration::Changes {
        let accounts = plans
            .into_iter()
            .map(|plan| (key(plan.aor.user().unwrap()), plan));
        let accounts = accounts.collect();
        self.with(|book, env| book.set(&"pool".into(), accounts, env))
    }
    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut Book, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        let result = act(&mut self.book, &mut env);
        self.drain();
        result
    }
    /// The status in Flexisip's words, or nothing.
    pub(super) fn status(&self, name: &str) -> String {
        let view = self.views.get(&key(name));
        view.map_or_else(String::new, |view| view.status.to_string())
    }
    /// Lets that much time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        self.pass_while(until, |_| true);
        self.now = until;
    }
    /// Lets time pass until that, at most `time`; whether it came to it.
    pub(super) fn until(&mut self, time: Duration, done: impl Fn(&Self) -> bool) -> bool {
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
                let packet = self.flying.pop_first().map(|(_, packet)| packet);
                match packet {
                    Some(Packet::There(to, request)) => self.arrive(to, request),
                    Some(Packet::Back(response)) => {
                        self.with(|book, env| book.response(&response, env));
                    }
                    None => {}
                }
            } else {
                self.with(Book::handle_timeout);
            }
        }
    }
    fn arrive(&mut self, to: SocketAddr, request: Request) {
        let Some(registrar) = self.registrars.get_mut(&to) else {
            return;
        };
        let source = ([198, 51, 100, 1], 5060).into();
        if let Some(response) = registrar.receive(request, source, self.now) {
            let delay = self.delay;
            self.fly(Packet::Back(response), delay);
        }
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
                BookOutput::Lookup(number, hop) => {
                    let own = hop.own.as_ref().map(|own| {
                        let given = self.owns.entry(own.name().to_owned());
                        given.or_insert_with(|| Own::new(own.name())).clone()
                    });
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
                BookOutput::Transmit(transmit) => {
                    let Ok((Message::Request(request), _)) = parse::message(transmit.bytes.clone()) else {
                        panic!("not a request: {transmit:?}");
                    };
                    let Destination::Target(to) = &transmit.to else {
                        panic!("not to a target");
                    };
                    let branch = request.headers.via().unwrap().branch().unwrap();
                    if self.branches.insert(branch) {
                        self.sent.push((self.now, request.clone()));
                        self.by.push(to.own.clone());
                    }
                    self.fly(Packet::There(to.remote, request), Duration::ZERO);
                }
                BookOutput::Dead(target) => self.dead.push(target),
                BookOutput::Name(..) => {}
                BookOutput::News(_, never) => match never {},
                BookOutput::Account(key, view) => {
                    let status = view.as_ref().map(|view| view.status.clone());
                    let before = self.views.get(&key).map(|view| view.status.clone());
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
    /// What REGISTERs asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        let expires =
            |(_, request): &(_, Request)| request.headers.get("Expires").unwrap().to_str().into_owned();
        self.sent.iter().map(expires).collect()
    }
    /// Nothing that was heard broke a rule.
    pub(super) fn no_complaints(&self) {
        for registrar in self.registrars.values() {
            assert!(registrar.complaints.is_empty(), "{:#?}", registrar.complaints);
        }
    }
}
