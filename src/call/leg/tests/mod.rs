//! Legs on virtual time.

mod calls;
mod dialog;
mod digest;
mod early;
mod failover;
mod forks;
mod glare;
mod nat;
mod offers;
mod races;
mod refresh;
mod refresh_refused;
mod reliable;
mod uas;
mod weather;

use crate::{
    call::{
        Body, Env, Incoming, Leg, LookupError, Outgoing, Side, Signal, Transmit, Unsent,
        failure::Kind,
        leg::{LegOutput, Profile, Reliability, SessionTimers},
    },
    sdp::Sdp,
    sip::{
        Ids, Message, Method, Request, Response, Status,
        parse::{self, Parsed},
        routing::{Destination, DialogKey, FlowId, NextHop, Source, Target, TransactionKey, Transport},
        timers::Timers,
    },
    testing::legs::plan,
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// A description that is told apart by its port.
fn sdp(port: u16) -> Sdp {
    let text = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    );
    Sdp::parse(text.as_bytes()).expect("SDP")
}

/// A signal in few words.
fn word(signal: &Signal) -> String {
    let port = |sdp: &Sdp| {
        let text = String::from_utf8_lossy(&sdp.to_bytes()).into_owned();
        let port = text
            .split("m=audio ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next());
        port.unwrap_or_default().to_owned()
    };
    let body = |body: &Body| match body {
        Body::None => String::new(),
        Body::Offer(sdp) => format!(" offer {}", port(sdp)),
        Body::Answer(sdp) => format!(" answer {}", port(sdp)),
    };
    match signal {
        Signal::Ring => "ring".into(),
        Signal::Progress { status, body: sdp } => format!("progress {status}{}", body(sdp)),
        Signal::Answer(sdp) => format!("answered{}", body(sdp)),
        Signal::Offer(Some(sdp)) => format!("offer {}", port(sdp)),
        Signal::Offer(None) => "ask".into(),
        Signal::Accept(sdp) => format!("accept {}", port(sdp)),
        Signal::Refuse(failure) => format!("refuse {}", failure.status),
        Signal::Withdraw => "withdraw".into(),
        Signal::Refresh => "refresh".into(),
        Signal::Request(payload) => format!("request {}", payload.method),
        Signal::Response(status, payload) => format!("response {status} to {}", payload.method),
        Signal::Fail(failure) => format!("fail {} {}", failure.status, failure.kind.label()),
        Signal::Hangup(cause) => format!(
            "hangup {:?} {}",
            cause.origin,
            cause.kind.map_or("-", Kind::label)
        ),
    }
}

fn profile() -> Arc<Profile> {
    Arc::new(Profile {
        user_agent: "leg/test".into(),
        timers: Timers::default(),
        sessions: SessionTimers::default(),
        reliable: Reliability::default(),
    })
}

#[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
fn start() -> Instant {
    Instant::now()
}

fn udp(remote: &str) -> Target {
    Target {
        transport: Transport::Udp,
        remote: remote.parse().expect("an address"),
        server_name: None,
        local: "203.0.113.1".parse().expect("an address"),
        sent_by: "203.0.113.1:5060".into(),
        fixed_transport: false,
        own: None,
    }
}

/// One leg, and a test that is its peer.
struct One {
    now: Instant,
    began: Instant,
    ids: Ids,
    leg: Leg,
    /// Where a lookup leads: to one address per host name or literal, by default `bob`.
    to: Vec<Target>,
    /// What was sent and not taken yet.
    sent: Vec<(Message, Destination)>,
    said: Vec<Signal>,
    lookups: Vec<String>,
    graves: Vec<(TransactionKey, Transmit)>,
    dialogs: Vec<DialogKey>,
    closed: bool,
    cseq: u32,
    /// The INVITE of leg B, where a test answers it more than once.
    invite: Option<Request>,
}

const BOB: &str = "192.0.2.200:5080";
const ALICE: &str = "192.0.2.10:5070";

impl One {
    /// Leg B on its way to these.
    fn dial_to(plan: &Outgoing, body: Body, targets: Vec<Target>) -> Self {
        Self::dial_with(plan, body, targets, profile())
    }
    fn dial_with(plan: &Outgoing, body: Body, targets: Vec<Target>, profile: Arc<Profile>) -> Self {
        let (now, mut ids) = (start(), Ids::seeded(7));
        let mut env = Env { now, ids: &mut ids };
        let leg = Leg::dial(Side::B, plan, body, targets, 69, profile, &mut env);
        Self::with(leg, now, ids)
    }
    /// Leg B on its way to bob, of a server with that profile.
    fn dial_as(profile: Arc<Profile>) -> Self {
        Self::dial_with(&plan(), Body::Offer(sdp(1)), vec![udp(BOB)], profile)
    }
    /// Leg B on its way to bob.
    fn dial() -> Self {
        Self::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(BOB)])
    }
    /// Leg A with an INVITE of alice.
    fn accept(invite: &str) -> Self {
        let (now, mut ids) = (start(), Ids::seeded(7));
        let mut env = Env { now, ids: &mut ids };
        let leg = Leg::accept(Side::A, incoming(invite), profile(), &mut env);
        let leg = leg.unwrap_or_else(|failure| panic!("INVITE refused: {failure:?}"));
        Self::with(leg, now, ids)
    }
    fn with(leg: Leg, now: Instant, ids: Ids) -> Self {
        let mut one = Self {
            now,
            began: now,
            ids,
            leg,
            to: vec![udp(BOB)],
            sent: Vec::new(),
            said: Vec::new(),
            lookups: Vec::new(),
            graves: Vec::new(),
            dialogs: Vec::new(),
            closed: false,
            cseq: 100,
            invite: None,
        };
        one.drain();
        one
    }
    fn drain(&mut self) {
        while let Some(output) = self.leg.poll_output() {
            match output {
                LegOutput::Transmit(transmit) => self.sent.push((message(&transmit.bytes), transmit.to)),
                LegOutput::Lookup(NextHop { uri, .. }) => {
                    self.lookups.push(uri.to_string());
                    let targets: Result<_, LookupError> = Ok(self.to.clone());
                    let mut env = Env {
                        now: self.now,
                        ids: &mut self.ids,
                    };
                    self.leg.handle_targets(targets, &mut env);
                }
                LegOutput::Signal(signal) => self.said.push(signal),
                LegOutput::Dialog(key) => self.dialogs.push(key),
                LegOutput::Invited(key, _) => assert!(self.dialogs.contains(&key)),
                LegOutput::Tombstone(key, transmit) => self.graves.push((key, transmit)),
                LegOutput::Closed => {
                    assert!(!self.closed, "closed once");
                    self.closed = true;
                }
                LegOutput::Reopened => {
                    assert!(self.closed, "open already");
                    self.closed = false;
                }
            }
        }
    }
    fn tell(&mut self, signal: Signal) {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        self.leg.handle_signal(signal, &mut env);
        self.drain();
    }
    /// The last message could not be sent.
    fn undeliverable(&mut self) {
        let (message, to) = self.sent.last().expect("sent");
        let unsent = Unsent::of(message, to.clone()).expect("a message of ours");
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        self.leg.handle_undeliverable(&unsent, &mut env);
        self.drain();
    }
    fn hear(&mut self, message: impl Into<Message>) {
        let incoming = Incoming {
            message: message.into(),
            source: source(),
            sent_by: "203.0.113.1:5060".into(),
            reached_by: Transport::Udp,
            own: None,
            trusted: false,
        };
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        self.leg.handle_message(incoming, &mut env);
        self.drain();
    }
    /// Lets time pass, deadline by deadline.
    fn run(&mut self, milliseconds: u64) {
        let until = self.now + Duration::from_millis(milliseconds);
        while let Some(at) = self.leg.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            let mut env = Env {
                now: self.now,
                ids: &mut self.ids,
            };
            self.leg.handle_timeout(&mut env);
            self.drain();
        }
        self.now = until;
    }
    /// What was said, in words.
    fn words(&mut self) -> Vec<String> {
        std::mem::take(&mut self.said).iter().map(word).collect()
    }
    /// What was sent: `METHOD address` or `CODE address`.
    fn lines(&self) -> Vec<String> {
        self.sent
            .iter()
            .map(|(message, to)| {
                let to = match to {
                    Destination::Target(target) => format!("{}/{}", target.transport.as_via(), target.remote),
                    Destination::Reply { address, .. } => address.to_string(),
                };
                match message {
                    Message::Request(request) => format!("{} {to}", request.method),
                    Message::Response(response) => format!("{} {to}", response.status),
                }
            })
            .collect()
    }
    /// Takes all that was sent, as first words.
    fn take(&mut self) -> Vec<String> {
        let lines = self.lines();
        self.sent.clear();
        lines
            .iter()
            .map(|line| line.split(' ').next().unwrap_or_default().to_owned())
            .collect()
    }
    /// The last request of that method that was sent.
    fn last(&self, method: &Method) -> Request {
        let found = self.sent.iter().rev().find_map(|(message, _)| match message {
            Message::Request(request) if request.method == *method => Some(request.clone()),
            _ => None,
        });
        found.unwrap_or_else(|| panic!("no {method} among {:?}", self.lines()))
    }
    /// The last response that was sent.
    fn response(&self) -> Response {
        let found = self.sent.iter().rev().find_map(|(message, _)| match message {
            Message::Response(response) => Some(response.clone()),
            Message::Request(_) => None,
        });
        found.unwrap_or_else(|| panic!("no response among {:?}", self.lines()))
    }
    /// A request of the peer inside the dialog that `about` (a message of ours) belongs to.
    fn request(&mut self, method: &Method, about: &Message, extra: &str, body: Option<&Sdp>) -> Request {
        self.cseq += 1;
        let headers = about.headers();
        // From our request: the peer speaks as its To. From our response: as its From.
        let (from, to) = match about {
            Message::Request(_) => ("To", "From"),
            Message::Response(_) => ("From", "To"),
        };
        let get = |name: &str| headers.get(name).unwrap_or_default();
        let body = body
            .map(|sdp| String::from_utf8_lossy(&sdp.to_bytes()).into_owned())
            .unwrap_or_default();
        let content = if body.is_empty() {
            ""
        } else {
            "Content-Type: application/sdp\r\n"
        };
        let text = format!(
            "{method} sip:us SIP/2.0\r\nVia: SIP/2.0/UDP {BOB};branch=z9hG4bKpeer{}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\n\
             CSeq: {} {method}\r\nContact: <sip:peer@{BOB}>\r\nMax-Forwards: 70\r\n{extra}{content}Content-Length: {}\r\n\r\n{body}",
            self.cseq,
            get(from),
            get(to),
            get("Call-ID"),
            self.cseq,
            body.len()
        );
        match message(text.as_bytes()) {
            Message::Request(request) => request,
            Message::Response(_) => unreachable!("a request was written"),
        }
    }
    /// Milliseconds since it began.
    fn elapsed(&self) -> u128 {
        self.now.duration_since(self.began).as_millis()
    }
}

fn source() -> Source {
    let remote: SocketAddr = BOB.parse().expect("an address");
    Source {
        transport: Transport::Udp,
        local: "203.0.113.1:5060".parse().expect("an address"),
        remote,
        flow: FlowId(1),
    }
}

fn message(bytes: &[u8]) -> Message {
    match parse::datagram(bytes::Bytes::copy_from_slice(bytes)) {
        Ok(Parsed::Message(message) | Parsed::Faulty(message, _)) => message,
        other => panic!("not a message: {other:?}: {}", String::from_utf8_lossy(bytes)),
    }
}

/// An INVITE as it comes from alice: lines may end with `\n`.
fn incoming(text: &str) -> Incoming {
    let mut message = message(text.replace("\r\n", "\n").replace('\n', "\r\n").as_bytes());
    let remote: SocketAddr = ALICE.parse().expect("an address");
    message.headers_mut().stamp(remote).expect("a Via");
    Incoming {
        message,
        source: Source {
            remote,
            local: "198.51.100.1:5060".parse().expect("an address"),
            ..source()
        },
        sent_by: "198.51.100.1:5060".into(),
        reached_by: Transport::Udp,
        own: None,
        trusted: false,
    }
}

/// A response to a request of ours, from `tag`, with further header lines and a body.
fn reply(request: &Request, code: u16, tag: &str, headers: &[(&str, &str)], body: Option<&Sdp>) -> Response {
    let mut response = request.respond(Status::new(code).expect("a code"), Some(tag));
    for (name, value) in headers {
        response.headers.push(*name, *value);
    }
    if let Some(sdp) = body {
        response.headers.push("Content-Type", "application/sdp");
        response.body = sdp.to_bytes();
    }
    response
}

fn header(request: &Request, name: &str) -> String {
    request.headers.get(name).unwrap_or_default().to_string()
}
