//! Any messages, answers and failures around one request outside of calls: no panic, and an end that leaves nothing.

use crate::{
    call::{
        Cause, Decision, Env, Failure, Incoming, LookupError, Origin, Side, Unsent,
        failure::Kind,
        leg::{Passage, PassageOutput, Profile, Reliability, SessionTimers},
    },
    sip::{
        Ids, Message, Request, Status,
        parse::{self, Parsed},
        routing::{Destination, FlowId, Source, Target, Transport},
        timers::Timers,
    },
    testing::legs::plan,
};
use bytes::Bytes;
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

const ALICE: &str = "192.0.2.10:5070";
const BOB: &str = "192.0.2.200:5080";
const US: &str = "203.0.113.1:5060";
const METHODS: [&str; 6] = ["MESSAGE", "SUBSCRIBE", "SUBSCRIBE", "PUBLISH", "NOTIFY", "FOO"];
/// Operations of one run.
const MOST: usize = 200;
/// How long it may take from its end until nothing is left.
const LAST: Duration = Duration::from_secs(200);

fn address(text: &str) -> SocketAddr {
    text.parse().expect("a literal address")
}

fn read(bytes: Bytes) -> Option<Message> {
    match parse::datagram(bytes) {
        Ok(Parsed::Message(message)) => Some(message),
        _ => None,
    }
}

/// A passage, and who is around it.
struct Rig {
    now: Instant,
    ids: Ids,
    passage: Passage,
    /// The last requests that went to either side, and the last message of all.
    asked: [Option<Request>; 2],
    sent: Option<(Message, Destination)>,
    /// What alice said last.
    heard: Bytes,
    /// How the next lookup ends.
    lost: bool,
    questions: usize,
    closed: bool,
    cseq: u32,
}

impl Rig {
    fn feed(&mut self, act: impl FnOnce(&mut Passage, &mut Env<'_>)) {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        act(&mut self.passage, &mut env);
        self.drain();
    }
    /// Carries out what it wants; lookups are answered at once.
    fn drain(&mut self) {
        let mut outputs = 0;
        while let Some(output) = self.passage.poll_output() {
            outputs += 1;
            assert!(outputs < 500, "one input made more than 500 outputs");
            match output {
                PassageOutput::Ask(_) => self.questions += 1,
                PassageOutput::Lookup(side, _) => {
                    let found = if self.lost {
                        Err(LookupError::NotFound("bob".into()))
                    } else {
                        Ok(vec![target(side)])
                    };
                    let mut env = Env {
                        now: self.now,
                        ids: &mut self.ids,
                    };
                    self.passage.handle_targets(side, found, &mut env);
                }
                PassageOutput::Transmit(transmit) => {
                    let message = read(transmit.bytes).expect("what we send can be read");
                    if let Message::Request(request) = &message {
                        let bob = address(BOB);
                        let to_bob = matches!(&transmit.to, Destination::Target(to) if to.remote == bob);
                        self.asked[usize::from(to_bob)] = Some(request.clone());
                    }
                    self.sent = Some((message, transmit.to));
                }
                PassageOutput::Dialog(..) | PassageOutput::Tombstone(..) => {}
                PassageOutput::Closed => {
                    assert!(!self.closed, "closed once");
                    self.closed = true;
                }
            }
        }
    }
    fn hear(&mut self, side: Side, message: Message) {
        let incoming = incoming(side, message);
        self.feed(|passage, env| passage.handle_message(side, incoming, env));
    }
    fn decide(&mut self, value: u8) {
        let decision = match value % 4 {
            0 => Decision::Decline(Failure::new(Status::FORBIDDEN, Origin::App, Kind::Declined)),
            1 => Decision::Bridge(vec![plan(), plan()]),
            _ => Decision::Bridge(vec![plan()]),
        };
        self.feed(|passage, env| passage.handle_decision(decision, env));
    }
    /// Somebody answers the last request that went there.
    fn answer(&mut self, side: Side, value: u8) {
        let Some(request) = &self.asked[usize::from(side == Side::B)] else {
            return;
        };
        let status = Status::new(100 + u16::from(value) * 2).unwrap_or(Status::OK);
        let mut response = request.respond(status, Some("peer"));
        response
            .headers
            .push("Contact", format!("<sip:peer@{}>", of(side)));
        response
            .headers
            .push("Expires", (u32::from(value) * 20).to_string());
        self.hear(side, response.into());
    }
    /// Somebody asks inside what has begun.
    fn ask(&mut self, side: Side, value: u8) {
        self.cseq += u32::from(value % 3);
        let method = match value % 4 {
            0 => "SUBSCRIBE",
            1 => "FOO",
            _ => "NOTIFY",
        };
        let state = match value % 5 {
            0 => "terminated;reason=noresource",
            1 => "pending",
            _ => "active;expires=60",
        };
        // From whom and to whom is as the last request that went there has it.
        let (from, to, call_id) = match &self.asked[usize::from(side == Side::B)] {
            Some(request) => {
                let get = |name: &str| request.headers.get(name).unwrap_or_default().to_string();
                let from = get("To");
                let tag = if from.contains("tag=") { "" } else { ";tag=peer" };
                (format!("{from}{tag}"), get("From"), get("Call-ID"))
            }
            None => ("<sip:x@y>;tag=x".into(), "<sip:z@y>".into(), "of-nobody".into()),
        };
        let text = format!(
            "{method} sip:us SIP/2.0\r\nVia: SIP/2.0/UDP {0};branch=z9hG4bK{1}\r\nFrom: {from}\r\nTo: {to}\r\n\
             Call-ID: {call_id}\r\nCSeq: {1} {method}\r\nContact: <sip:peer@{0}>\r\nEvent: presence\r\n\
             Subscription-State: {state}\r\nExpires: {value}\r\nContent-Length: 0\r\n\r\n",
            of(side),
            self.cseq
        );
        self.heard = Bytes::from(text);
        if let Some(message) = read(self.heard.clone()) {
            self.hear(side, message);
        }
    }
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.passage.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.feed(Passage::handle_timeout);
        }
        self.now = until;
    }
}

const fn of(side: Side) -> &'static str {
    match side {
        Side::A => ALICE,
        Side::B => BOB,
    }
}

fn target(side: Side) -> Target {
    Target {
        transport: Transport::Udp,
        remote: address(of(side)),
        server_name: None,
        local: address(US).ip(),
        sent_by: US.into(),
        fixed_transport: false,
        own: None,
    }
}

fn incoming(side: Side, message: Message) -> Incoming {
    Incoming {
        message,
        source: Source {
            transport: Transport::Udp,
            local: address(US),
            remote: address(of(side)),
            flow: FlowId(1),
        },
        sent_by: US.into(),
        reached_by: Transport::Udp,
        own: None,
        trusted: true,
    }
}

/// Reads operations from bytes and carries them out: the first request, then three bytes each (what, value, time): answers, requests
/// of either side, changed ones, failures of the network. At the end it is ended.
///
/// # Panics
/// When what it sends cannot be read, or it does not come to an end.
pub fn passage(bytes: &[u8]) {
    let mut bytes = bytes.iter().copied();
    let mut next = || bytes.next();
    let (Some(seed), Some(method)) = (next(), next()) else {
        return;
    };
    let method = METHODS[usize::from(method) % METHODS.len()];
    let first = format!(
        "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {ALICE};branch=z9hG4bKfirst\r\n\
         From: <sip:alice@example.org>;tag=alice\r\nTo: <sip:bob@example.org>\r\nCall-ID: of-alice\r\nCSeq: 1 {method}\r\n\
         Max-Forwards: {seed}\r\nContact: <sip:alice@{ALICE}>\r\nEvent: presence\r\nExpires: 600\r\nContent-Length: 0\r\n\r\n"
    );
    let heard = Bytes::from(first);
    let Some(message) = read(heard.clone()) else {
        return;
    };
    #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
    let now = Instant::now();
    let mut ids = Ids::seeded(u64::from(seed));
    let profile = Arc::new(Profile {
        user_agent: "passage".into(),
        timers: Timers::default(),
        sessions: SessionTimers::default(),
        reliable: Reliability::default(),
    });
    let mut env = Env { now, ids: &mut ids };
    let Ok(passage) = Passage::new(incoming(Side::A, message), profile, &mut env) else {
        return;
    };
    let mut rig = Rig {
        now,
        ids,
        passage,
        asked: [None, None],
        sent: None,
        heard,
        lost: false,
        questions: 0,
        closed: false,
        cseq: 1,
    };
    rig.feed(|_, _| {});
    assert_eq!(rig.questions, 1, "the application is asked once");
    let mut steps = 0;
    while let (Some(what), Some(value), Some(time)) = (next(), next(), next()) {
        steps += 1;
        if steps > MOST {
            break;
        }
        let side = if what & 0x80 == 0 { Side::A } else { Side::B };
        match what % 8 {
            0 => rig.decide(value),
            1 | 2 => rig.answer(side, value),
            3 | 4 => rig.ask(side, value),
            5 => {
                // What was said last, again, with a bit of it changed.
                let mut changed = rig.heard.to_vec();
                let at = usize::from(value) * 3;
                if let Some(byte) = changed.get_mut(at) {
                    *byte ^= 1 << (time % 8);
                }
                if let Some(message) = read(changed.into()) {
                    rig.hear(side, message);
                }
            }
            6 => {
                let unsent = rig
                    .sent
                    .clone()
                    .and_then(|(message, to)| Unsent::of(&message, to));
                if let Some(unsent) = unsent {
                    rig.feed(|passage, env| passage.handle_undeliverable(&unsent, env));
                }
            }
            _ => rig.lost = value.is_multiple_of(2),
        }
        rig.run(Duration::from_millis(match time % 8 {
            0 => u64::from(time) * 400,
            1..=4 => u64::from(time),
            _ => 0,
        }));
    }
    let cause = Cause::of(Kind::Shutdown, Origin::Local);
    rig.feed(|passage, env| passage.end(&cause, env));
    rig.run(LAST);
    assert!(rig.closed, "it does not end");
    assert_eq!(rig.passage.poll_timeout(), None, "a timer is left");
}
