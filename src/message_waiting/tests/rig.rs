//! A book of subscriptions, a clock, and a network with a notifier in it.

use crate::{
    call::Env,
    message_waiting::{MailboxBook, MailboxBookOutput, MailboxPlan, MailboxStatus},
    registration::{AccountKey, Changes},
    sip::{
        Ids, Message, Method, Request, Response, Text, Uri,
        auth::{Credentials, Secret},
        parse,
        routing::{Destination, DialogKey, NextHop, Target, Transport},
        timers::Timers,
    },
    testing::Notifier,
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

pub(super) fn uri(text: &str) -> Uri {
    Uri::parse(text.to_owned()).unwrap()
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

/// `sip:NAME@example.org` with the password `secret`, at `sip:mwi.example.org`.
pub(super) fn plan(name: &str) -> MailboxPlan {
    let credentials = Credentials {
        username: name.to_owned(),
        realm: Some("example.org".to_owned()),
        secret: Secret::Clear("secret".to_owned()),
    };
    MailboxPlan::new(
        uri(&format!("sip:{name}@example.org")),
        uri("sip:mwi.example.org"),
        Some(Arc::new(credentials)),
    )
}

pub(super) fn key(name: &str) -> AccountKey {
    AccountKey::new("pool", name)
}

enum Packet {
    There(SocketAddr, Request),
    Back(Message),
}

pub(super) struct Rig {
    pub(super) book: MailboxBook,
    pub(super) now: Instant,
    ids: Ids,
    pub(super) notifier: Notifier,
    /// Where the lookups lead, in order; the notifier is at 192.0.2.1.
    pub(super) targets: Vec<Target>,
    pub(super) hops: Vec<NextHop>,
    pub(super) dialogs: HashSet<DialogKey>,
    pub(super) statuses: HashMap<AccountKey, MailboxStatus>,
    /// Summaries that were to be passed on.
    pub(super) news: Vec<(AccountKey, String)>,
    /// When SUBSCRIBEs left, those that were repeated by their transaction once.
    pub(super) sent: Vec<(Instant, Request)>,
    pub(super) dead: Vec<Target>,
    branches: HashSet<Text>,
    flying: BTreeMap<(Instant, u64), Packet>,
    count: u64,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "any moment will do for a start")]
    pub(super) fn new() -> Self {
        let names: Vec<String> = (0..10).map(|n| format!("user{n}")).collect();
        let passwords: Vec<_> = names.iter().map(|name| (name.as_str(), "secret")).collect();
        Self {
            book: MailboxBook::new("b2bua".into(), Timers::default()),
            now: Instant::now(),
            ids: Ids::seeded(1),
            notifier: Notifier::new("example.org", &passwords),
            targets: vec![target(1)],
            hops: Vec::new(),
            dialogs: HashSet::new(),
            statuses: HashMap::new(),
            news: Vec::new(),
            sent: Vec::new(),
            dead: Vec::new(),
            branches: HashSet::new(),
            flying: BTreeMap::new(),
            count: 0,
        }
    }
    pub(super) fn set(&mut self, plans: Vec<MailboxPlan>) -> Changes {
        let accounts = plans
            .into_iter()
            .map(|plan| (key(plan.aor.user().unwrap()), plan));
        let accounts = accounts.collect();
        self.with(|book, env| book.set(&"pool".into(), accounts, env))
    }
    /// The account is registered, and the registrar named that way.
    pub(super) fn registered(&mut self, name: &str, route: &[&str]) {
        let route = route.iter().map(|hop| uri(hop)).collect();
        self.with(|book, env| book.ready(&key(name), Some(route), env));
    }
    pub(super) fn unregistered(&mut self, name: &str) {
        self.with(|book, env| book.ready(&key(name), None, env));
    }
    pub(super) fn with<T>(&mut self, act: impl FnOnce(&mut MailboxBook, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        let result = act(&mut self.book, &mut env);
        self.drain();
        result
    }
    pub(super) fn status(&self, name: &str) -> String {
        let status = self.statuses.get(&key(name));
        status.map_or_else(String::new, ToString::to_string)
    }
    /// The notifier says this of all subscriptions now.
    pub(super) fn tell(&mut self, summary: &str, state: &str) {
        summary.clone_into(&mut self.notifier.summary);
        for (_, notify) in self.notifier.tell(state) {
            self.fly(Packet::Back(notify.into()));
        }
    }
    /// This comes, and is answered so.
    pub(super) fn hear(&mut self, request: &Request) -> Option<Response> {
        self.with(|book, env| book.request(request, env))
    }
    /// Lets that much time pass.
    pub(super) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        let mut steps = 0;
        loop {
            let packet = self.flying.keys().next().map(|(at, _)| *at);
            let next = [packet, self.book.poll_timeout()].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= until) else {
                self.now = until;
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
                self.with(MailboxBook::handle_timeout);
            }
        }
    }
    fn arrive(&mut self, packet: Packet) {
        match packet {
            Packet::There(to, request) if to == target(1).remote => {
                let source = ([198, 51, 100, 1], 5060).into();
                let (response, notify) = self.notifier.receive(request, source, self.now);
                let mut back: Vec<Message> = response.into_iter().map(Message::from).collect();
                back.extend(notify.map(Message::from));
                if self.notifier.hurries {
                    back.reverse();
                }
                back.into_iter()
                    .for_each(|message| self.fly(Packet::Back(message)));
            }
            Packet::There(..) => {}
            Packet::Back(Message::Response(response)) => {
                self.with(|book, env| book.response(&response, env));
            }
            Packet::Back(Message::Request(request)) => {
                let answer = self.hear(&request);
                let answer =
                    answer.unwrap_or_else(|| request.respond(crate::sip::Status::CALL_DOES_NOT_EXIST, None));
                self.notifier.told.push(answer);
            }
        }
    }
    fn fly(&mut self, packet: Packet) {
        self.count += 1;
        self.flying.insert((self.now + TRIP, self.count), packet);
    }
    fn drain(&mut self) {
        while let Some(output) = self.book.poll_output() {
            match output {
                MailboxBookOutput::Lookup(number, hop) => {
                    self.hops.push(hop.clone());
                    let found = Ok(self.targets.clone());
                    let mut env = Env {
                        now: self.now,
                        ids: &mut self.ids,
                    };
                    self.book.resolved(number, &hop, found, &mut env);
                }
                MailboxBookOutput::Transmit(transmit) => {
                    let Ok((Message::Request(request), _)) = parse::message(transmit.bytes.clone()) else {
                        panic!("not a request: {transmit:?}");
                    };
                    let Destination::Target(to) = &transmit.to else {
                        panic!("not to a target");
                    };
                    assert_eq!(request.method, Method::Subscribe);
                    let key = DialogKey {
                        call_id: request.headers.call_id().unwrap(),
                        local_tag: request.headers.from().unwrap().tag().unwrap(),
                    };
                    assert!(self.dialogs.contains(&key), "its answer would find nobody");
                    let branch = request.headers.via().unwrap().branch().unwrap();
                    if self.branches.insert(branch) {
                        self.sent.push((self.now, request.clone()));
                    }
                    self.fly(Packet::There(to.remote, request));
                }
                MailboxBookOutput::Name(key, true) => assert!(self.dialogs.insert(key)),
                MailboxBookOutput::Name(key, false) => assert!(self.dialogs.remove(&key)),
                MailboxBookOutput::Dead(target) => self.dead.push(target),
                MailboxBookOutput::News(key, notify) => {
                    let body = String::from_utf8_lossy(&notify.body).into_owned();
                    self.news.push((key, body));
                }
                MailboxBookOutput::Account(key, status) => {
                    match status {
                        Some(status) => self.statuses.insert(key, status),
                        None => self.statuses.remove(&key),
                    };
                }
            }
        }
    }
    /// What SUBSCRIBEs asked for, in order.
    pub(super) fn asked(&self) -> Vec<u32> {
        self.sent
            .iter()
            .map(|(_, request)| request.headers.number("Expires").unwrap())
            .collect()
    }
    /// Codes of the answers to NOTIFYs.
    pub(super) fn told(&self) -> Vec<u16> {
        self.notifier
            .told
            .iter()
            .map(|answer| answer.status.code())
            .collect()
    }
    /// Nothing that was heard broke a rule.
    pub(super) fn no_complaints(&self) {
        let all = [&self.notifier.complaints, &self.notifier.guard.complaints];
        assert!(all.iter().all(|some| some.is_empty()), "{all:#?}");
    }
}
