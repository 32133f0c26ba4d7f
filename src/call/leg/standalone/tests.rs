//! Requests outside of calls, on virtual time: alice asks, the server asks bob.

use super::*;
use crate::{
    call::leg::SessionTimers,
    sip::{
        Headers, Ids, Response, Status, Text,
        parse::{self, Parsed},
        routing::{Destination, FlowId, Source, Transport},
        timers::Timers,
    },
    testing::legs::plan,
};
use std::net::SocketAddr;

const ALICE: &str = "192.0.2.10:5070";
const BOB: &str = "192.0.2.200:5080";

struct Rig {
    now: Instant,
    ids: Ids,
    passage: Passage,
    /// What was sent and not taken yet.
    sent: Vec<(Message, Destination)>,
    /// Where lookups towards bob lead.
    targets: Result<Vec<Target>, LookupError>,
    graves: Vec<TransactionKey>,
    dialogs: Vec<Side>,
    asked: usize,
    closed: bool,
}

fn address(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}
fn source(side: Side, transport: Transport) -> Source {
    Source {
        transport,
        local: address("203.0.113.1:5060"),
        remote: address(if side == Side::A { ALICE } else { BOB }),
        flow: FlowId(1),
    }
}
fn target(remote: &str) -> Target {
    Target {
        transport: Transport::Udp,
        remote: address(remote),
        server_name: None,
        local: address("203.0.113.1:5060").ip(),
        sent_by: "203.0.113.1:5060".into(),
        fixed_transport: false,
        own: None,
    }
}
fn parsed(bytes: &[u8]) -> Message {
    match parse::datagram(bytes::Bytes::copy_from_slice(bytes)) {
        Ok(Parsed::Message(message)) => message,
        other => panic!("not a message: {other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}
fn incoming(side: Side, message: Message, transport: Transport) -> Incoming {
    Incoming {
        message,
        source: source(side, transport),
        sent_by: "203.0.113.1:5060".into(),
        reached_by: transport,
        own: None,
        trusted: true,
    }
}
/// A request of alice.
fn asks(method: &str, cseq: u32, to_tag: &str, more: &str, body: &str) -> Message {
    parsed(
        format!(
            "{method} sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/UDP {ALICE};branch=z9hG4bK{method}{cseq}\r\n\
             From: <sip:alice@example.org>;tag=alice\r\nTo: <sip:bob@example.org>{to_tag}\r\nCall-ID: of-alice\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 5\r\nContact: <sip:alice@{ALICE}>\r\n{more}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .as_bytes(),
    )
}

impl Rig {
    fn new(message: Message) -> Self {
        Self::over(message, Transport::Udp).expect("taken")
    }
    fn over(message: Message, transport: Transport) -> Result<Self, Failure> {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
        let now = Instant::now();
        let mut ids = Ids::seeded(3);
        let profile = Arc::new(Profile {
            user_agent: "passage".into(),
            timers: Timers::default(),
            sessions: SessionTimers::default(),
            reliable: crate::call::Reliability::default(),
        });
        let mut env = Env { now, ids: &mut ids };
        let passage = Passage::new(incoming(Side::A, message, transport), profile, &mut env)?;
        let mut rig = Self {
            now,
            ids,
            passage,
            sent: Vec::new(),
            targets: Ok(vec![target(BOB)]),
            graves: Vec::new(),
            dialogs: Vec::new(),
            asked: 0,
            closed: false,
        };
        rig.drain();
        assert_eq!(rig.asked, 1);
        Ok(rig)
    }
    fn bridged(message: Message) -> Self {
        let mut rig = Self::new(message);
        rig.decide(Decision::Bridge(vec![plan()]));
        rig
    }
    fn with<T>(&mut self, act: impl FnOnce(&mut Passage, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        let value = act(&mut self.passage, &mut env);
        self.drain();
        value
    }
    fn drain(&mut self) {
        while let Some(output) = self.passage.poll_output() {
            assert!(!self.closed, "nothing after the end: {output:?}");
            match output {
                PassageOutput::Ask(_) => self.asked += 1,
                PassageOutput::Lookup(side, _) => {
                    let found = match side {
                        Side::A => Ok(vec![target(ALICE)]),
                        Side::B => self.targets.clone(),
                    };
                    let mut env = Env {
                        now: self.now,
                        ids: &mut self.ids,
                    };
                    self.passage.handle_targets(side, found, &mut env);
                }
                PassageOutput::Transmit(transmit) => {
                    self.sent.push((parsed(&transmit.bytes), transmit.to));
                }
                PassageOutput::Dialog(side, _) => self.dialogs.push(side),
                PassageOutput::Tombstone(key, _) => self.graves.push(key),
                PassageOutput::Closed => self.closed = true,
            }
        }
    }
    fn decide(&mut self, decision: Decision) {
        self.with(|passage, env| passage.handle_decision(decision, env));
    }
    fn hear(&mut self, side: Side, message: impl Into<Message>) {
        let incoming = incoming(side, message.into(), Transport::Udp);
        self.with(|passage, env| passage.handle_message(side, incoming, env));
    }
    fn run(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.passage.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.with(Passage::handle_timeout);
        }
        self.now = until;
    }
    /// The only thing that was sent, a request.
    fn request(&mut self) -> Request {
        match self.only() {
            Message::Request(request) => request,
            Message::Response(response) => panic!("a response: {response:?}"),
        }
    }
    /// The only thing that was sent, a response.
    fn response(&mut self) -> Response {
        match self.only() {
            Message::Response(response) => response,
            Message::Request(request) => panic!("a request: {request:?}"),
        }
    }
    fn only(&mut self) -> Message {
        assert_eq!(self.sent.len(), 1, "{:?}", self.sent);
        self.sent.remove(0).0
    }
    /// A NOTIFY of bob inside of the dialog of our SUBSCRIBE.
    fn notify(&self, subscribe: &Request, cseq: u32, tag: &str, state: &str) -> Message {
        let field = |name: &str| subscribe.headers.get(name).unwrap_or_default();
        parsed(
            format!(
                "NOTIFY sip:ours SIP/2.0\r\nVia: SIP/2.0/UDP {BOB};branch=z9hG4bKn{tag}{cseq}\r\nFrom: {};tag={tag}\r\n\
                 To: {}\r\nCall-ID: {}\r\nCSeq: {cseq} NOTIFY\r\nMax-Forwards: 70\r\nContact: <sip:bob@{BOB}>\r\n\
                 Event: presence\r\nSubscription-State: {state}\r\nContent-Type: application/pidf+xml\r\nContent-Length: 3\r\n\r\n<p>",
                field("To"),
                field("From"),
                field("Call-ID"),
            )
            .as_bytes(),
        )
    }
}

fn reply(request: &Request, code: u16, headers: &[(&str, &str)]) -> Response {
    let mut response = request.respond(Status::new(code).expect("a code"), Some("bob"));
    for (name, value) in headers {
        response.headers.push(*name, *value);
    }
    response
}
fn text(value: Option<Text>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
fn get(headers: &Headers, name: &str) -> String {
    text(headers.get(name))
}

#[test]
fn a_message_crosses_with_all_that_it_says_and_its_answer_comes_back() {
    let more =
        "Content-Type: text/plain; charset=x-odd\r\nDate: Sat, 21 Nov 2026 13:00:00 GMT\r\nX-Tag: kept\r\n";
    let mut rig = Rig::bridged(asks("MESSAGE", 7, "", more, "Hi\0\u{fe}\r\n"));
    let asked = rig.request();
    assert_eq!(asked.method, Method::Message);
    assert_eq!(asked.body, "Hi\0\u{fe}\r\n".as_bytes());
    assert_eq!(get(&asked.headers, "Content-Type"), "text/plain; charset=x-odd");
    assert_eq!(get(&asked.headers, "X-Tag"), "kept");
    assert!(asked.headers.contains("Date") && !asked.headers.contains("Contact"));
    assert_eq!(get(&asked.headers, "Max-Forwards"), "4");
    assert_ne!(get(&asked.headers, "Call-ID"), "of-alice");
    // It comes again before the answer: nothing is sent twice.
    rig.hear(Side::A, asks("MESSAGE", 7, "", more, "Hi"));
    assert!(rig.sent.is_empty());
    rig.hear(Side::B, reply(&asked, 100, &[]));
    assert!(rig.sent.is_empty(), "no provisional response crosses");
    let mut accepted = reply(&asked, 202, &[("X-Queue", "9"), ("Server", "bob's")]);
    accepted.reason = "Kept For Later".into();
    rig.hear(Side::B, accepted);
    let answer = rig.response();
    assert_eq!(
        (answer.status, answer.reason),
        (Status::ACCEPTED, "Kept For Later".into())
    );
    assert_eq!(get(&answer.headers, "X-Queue"), "9");
    assert!(!answer.headers.contains("Server"));
    assert_eq!(get(&answer.headers, "Call-ID"), "of-alice");
    assert!(rig.closed && rig.graves.len() == 1 && rig.passage.poll_timeout().is_none());
}

#[test]
fn who_does_not_answer_is_asked_again_by_the_timers_and_then_given_up() {
    let mut rig = Rig::bridged(asks("MESSAGE", 1, "", "", ""));
    rig.run(Duration::from_millis(31_900));
    assert_eq!(rig.sent.len(), 11, "timer E (RFC 3261 §17.1.2.2)");
    rig.sent.clear();
    rig.run(Duration::from_millis(200));
    assert_eq!(
        rig.response().status,
        Status::SERVER_TIMEOUT,
        "never 408: RFC 4320 §4.2"
    );
    assert!(rig.closed);
}

#[test]
fn the_next_target_is_asked_where_the_first_is_silent_gone_or_overloaded() {
    let two = || {
        let mut rig = Rig::new(asks("MESSAGE", 1, "", "", ""));
        rig.targets = Ok(vec![target("192.0.2.9:5060"), target(BOB)]);
        rig.decide(Decision::Bridge(vec![plan()]));
        let first = rig.sent.remove(0);
        (rig, first)
    };
    let (mut silent, _) = two();
    silent.run(Duration::from_millis(1400));
    let (mut gone, (message, to)) = two();
    let unsent = Unsent::of(&message, to).expect("ours");
    gone.with(|passage, env| passage.handle_undeliverable(&unsent, env));
    let (mut full, (message, _)) = two();
    let Message::Request(request) = message else {
        panic!("a request")
    };
    full.hear(Side::B, reply(&request, 503, &[]));
    for mut rig in [silent, gone, full] {
        let (message, to) = rig.sent.pop().expect("asked again");
        assert!(
            matches!(&to, Destination::Target(target) if target.remote == address(BOB)),
            "{to:?}"
        );
        rig.sent.clear();
        let Message::Request(request) = message else {
            panic!("a request")
        };
        rig.hear(Side::B, reply(&request, 200, &[]));
        assert_eq!(rig.response().status, Status::OK);
        assert!(rig.closed);
    }
}

#[test]
fn routes_are_tried_in_turn_and_the_last_refusal_counts() {
    let mut rig = Rig::new(asks("PUBLISH", 1, "", "SIP-If-Match: x\r\n", ""));
    let mut stop = plan();
    stop.limits.stop_codes = vec![Status::NOT_FOUND];
    rig.decide(Decision::Bridge(vec![plan(), stop, plan()]));
    let first = rig.request();
    assert_eq!(get(&first.headers, "SIP-If-Match"), "x");
    rig.hear(Side::B, reply(&first, 404, &[]));
    let second = rig.request();
    assert_ne!(get(&first.headers, "Call-ID"), get(&second.headers, "Call-ID"));
    rig.hear(Side::B, reply(&second, 404, &[("Warning", "399 x \"no\"")]));
    let end = rig.response();
    assert_eq!(end.status, Status::NOT_FOUND);
    assert!(end.headers.contains("Warning") && rig.closed);
}

#[test]
fn a_challenge_of_the_far_side_is_nothing_that_who_asked_could_answer() {
    let mut rig = Rig::bridged(asks("MESSAGE", 1, "", "", ""));
    let asked = rig.request();
    rig.hear(
        Side::B,
        reply(
            &asked,
            407,
            &[("Proxy-Authenticate", "Digest realm=\"x\", nonce=\"y\"")],
        ),
    );
    let end = rig.response();
    assert_eq!(end.status, Status::FORBIDDEN);
    assert!(!end.headers.contains("Proxy-Authenticate"));
}

#[test]
fn what_leads_nowhere_is_said_to_who_asked() {
    for (found, code) in [
        (Err(LookupError::NotFound("x".into())), 503),
        (Err(LookupError::Scheme("mailto:x".into())), 416),
        (Ok(Vec::new()), 503),
    ] {
        let mut rig = Rig::new(asks("MESSAGE", 1, "", "", ""));
        rig.targets = found;
        rig.decide(Decision::Bridge(vec![plan()]));
        let answer = rig.response();
        assert_eq!(answer.status.code(), code);
        assert!(rig.closed);
    }
    let mut rig = Rig::new(asks("MESSAGE", 1, "", "", ""));
    rig.decide(Decision::Bridge(Vec::new()));
    assert_eq!(rig.response().status, Status::SERVER_INTERNAL_ERROR);
    let refused = |more: &str| {
        Rig::over(asks("MESSAGE", 1, "", more, ""), Transport::Udp)
            .map(drop)
            .expect_err("refused")
            .status
    };
    assert_eq!(refused("Require: magic\r\n"), Status::BAD_EXTENSION);
    assert_eq!(refused("Expires: soon\r\n"), Status::BAD_REQUEST);
}

mod originated;
mod subscriptions;
