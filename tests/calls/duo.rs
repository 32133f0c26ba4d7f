//! Two parties that speak 100rel and UPDATE by themselves, so that a test only says what happens.

use b2bua::{
    call::{Encryption, EncryptionPolicy, Side},
    sdp::Sdp,
    sip::{Message, Method, Request, Response, reliable},
    testing::{Sim, Verdicts, privacy::description, settings},
};
use std::{collections::BTreeMap, time::Duration};

/// A description of a party: its first port, its payload types, its direction.
pub(crate) fn says(side: Side, port: u16, types: &str, more: &str) -> String {
    let (user, host) = match side {
        Side::A => ("alice-login", "192.0.2.10"),
        Side::B => ("bob-device", "192.0.2.200"),
    };
    format!(
        "v=0\r\no={user} {port} 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio {port} RTP/AVP {types}\r\n{more}"
    )
}

/// An answer that takes all formats of the offer's first stream.
fn taking(answer: &str, offer: &Sdp) -> String {
    let (head, rest) = answer.split_once("RTP/AVP ").expect("a test's own answer");
    let (_, rest) = rest.split_once("\r\n").expect("a test's own answer");
    format!("{head}RTP/AVP {}\r\n{rest}", offer.media[0].formats)
}

/// In which message a party was told a description.
pub(crate) type Told = (String, Sdp);

/// A call between parties that a test leads through its set-up.
pub(crate) struct Duo {
    pub(crate) sim: Sim,
    /// The INVITE of leg B.
    pub(crate) invite: Option<Request>,
    /// The caller's next PRACK carries that.
    pub(crate) in_prack: Option<String>,
    /// What the caller answers to an offer of the server, and the callee.
    pub(crate) answers: (String, String),
    /// What each was told, in order: in which message, and the description.
    pub(crate) told: (Vec<Told>, Vec<Told>),
    /// PRACKs that the callee got: tag of the fork, RAck, with a body.
    pub(crate) pracks: Vec<(String, String, bool)>,
    /// Final responses to what a party asked by itself: which method, which status.
    pub(crate) finals: Vec<(Side, Method, u16)>,
    acknowledged: Vec<u32>,
    /// RSeq of the last reliable response of each fork.
    pub(crate) rseq: BTreeMap<String, u32>,
    pub(crate) ended: (bool, bool),
}

impl Duo {
    /// Alice invites Bob; `headers` say what she can do, `offer` what she offers.
    pub(crate) fn new(headers: &str, offer: &str) -> Self {
        let policy = EncryptionPolicy::Only(Encryption::None);
        let sim = Sim::with(Verdicts::direct(policy), settings(), 1);
        let mut duo = Self {
            sim,
            invite: None,
            in_prack: None,
            answers: (says(Side::A, 30_000, "0", ""), says(Side::B, 40_000, "0", "")),
            told: (Vec::new(), Vec::new()),
            pracks: Vec::new(),
            finals: Vec::new(),
            acknowledged: Vec::new(),
            rseq: BTreeMap::new(),
            ended: (false, false),
        };
        let invite = duo.sim.a.invite("sip:bob@example.org", headers, offer);
        duo.sim.send(Side::A, invite);
        duo.run(20);
        assert!(duo.invite.is_some(), "leg B was invited\n{}", duo.sim.ladder());
        duo
    }
    /// Lets time pass; both react.
    pub(crate) fn run(&mut self, milliseconds: u64) {
        let until = self.sim.now + Duration::from_millis(milliseconds);
        while let Some(next) = self.sim.next_event().filter(|at| *at <= until) {
            self.sim.run_until(next, |_, _| {});
            for side in [Side::A, Side::B] {
                for message in std::mem::take(&mut self.sim.peer(side).inbox) {
                    match &message {
                        Message::Request(request) => self.request(side, request, &message),
                        Message::Response(response) => self.response(side, response, &message),
                    }
                }
            }
        }
        self.sim.run_until(until, |_, _| {});
    }
    /// The callee responds to its INVITE, reliably or not.
    pub(crate) fn respond(&mut self, status: u16, fork: &str, reliably: bool, body: &str) {
        let mut headers = "Allow: INVITE, ACK, BYE, PRACK, UPDATE\r\n".to_owned();
        if reliably {
            // No two forks begin with the same.
            let first = 70 + 100 * self.rseq.len() as u32;
            let rseq = self.rseq.entry(fork.to_owned()).or_insert(first);
            *rseq += 1;
            headers += &format!("Require: 100rel\r\nRSeq: {rseq}\r\n");
        }
        let invite = self.invite.clone().unwrap();
        let bytes = self.sim.b.respond_to(&invite, status, fork, &headers, body);
        self.sim.send(Side::B, bytes);
        self.run(40);
    }
    /// A party asks for something in its dialog.
    pub(crate) fn ask(&mut self, side: Side, method: &str, body: &str) {
        let bytes = self.sim.peer(side).request(method, "", body);
        self.sim.send(side, bytes);
        self.run(40);
    }
    /// What a party was told last.
    pub(crate) fn last(&self, side: Side) -> (&str, &Sdp) {
        let told = match side {
            Side::A => &self.told.0,
            Side::B => &self.told.1,
        };
        let (how, sdp) = told
            .last()
            .unwrap_or_else(|| panic!("{side:?} was told nothing\n{}", self.sim.ladder()));
        (how, sdp)
    }
    /// The payload types of what a party was told last.
    pub(crate) fn types(&self, side: Side) -> String {
        self.last(side).1.media[0].formats.to_string()
    }
    /// Where the relay sends what is for that party.
    pub(crate) fn port(&self, side: Side) -> Option<u16> {
        Some(self.sim.relay.side(side, 0)?.remote.rtp?.port())
    }
    /// What a party was told last is this.
    pub(crate) fn assert_told(&self, side: Side, how: &str) {
        assert_eq!(self.last(side).0, how, "{}", self.sim.ladder());
    }
    /// The relay sends what is for either party there.
    pub(crate) fn assert_ports(&self, a: u16, b: u16) {
        let ports = (self.port(Side::A), self.port(Side::B));
        assert_eq!(ports, (Some(a), Some(b)), "{}", self.sim.ladder());
    }
    /// The last final response is this one.
    pub(crate) fn assert_last_final(&self, last: (Side, Method, u16)) {
        assert_eq!(self.finals.last(), Some(&last), "{}", self.sim.ladder());
    }
    /// Hangs up and sees that nothing is left.
    pub(crate) fn end(mut self) {
        self.ask(Side::A, "BYE", "");
        self.run(120_000);
        assert!(self.ended.1, "the callee was not told\n{}", self.sim.ladder());
        self.sim.assert_done();
    }

    fn hear(&mut self, side: Side, how: &str, message: &Message) -> Option<Sdp> {
        let sdp = description(message)?;
        let told = match side {
            Side::A => &mut self.told.0,
            Side::B => &mut self.told.1,
        };
        told.push((how.to_owned(), sdp.clone()));
        Some(sdp)
    }
    fn reply(&mut self, side: Side, request: &Request, status: u16, body: &str) {
        let bytes = self.sim.peer(side).respond_to(request, status, "", "", body);
        self.sim.send(side, bytes);
    }
    fn request(&mut self, side: Side, request: &Request, message: &Message) {
        let heard = self.hear(side, &request.method.to_string(), message);
        match request.method {
            Method::Ack => {}
            Method::Invite if side == Side::B && self.invite.is_none() => self.invite = Some(request.clone()),
            Method::Prack => {
                let tag = request.headers.to().unwrap().tag().unwrap().to_string();
                let rack = request.headers.get("RAck").unwrap().to_string();
                self.pracks.push((tag, rack, heard.is_some()));
                self.reply(side, request, 200, "");
            }
            Method::Invite | Method::Update => {
                let answer = match side {
                    Side::A => self.answers.0.clone(),
                    Side::B => self.answers.1.clone(),
                };
                let answer = heard.map_or(answer.clone(), |offer| taking(&answer, &offer));
                self.reply(side, request, 200, &answer);
            }
            Method::Bye | Method::Cancel => {
                match side {
                    Side::A => self.ended.0 = true,
                    Side::B => self.ended.1 = true,
                }
                self.reply(side, request, 200, "");
                if request.method == Method::Cancel {
                    let invite = self.invite.clone().unwrap();
                    self.reply(side, &invite, 487, "");
                }
            }
            _ => self.reply(side, request, 200, ""),
        }
    }
    fn response(&mut self, side: Side, response: &Response, message: &Message) {
        let method = response.headers.cseq().unwrap().method;
        let code = response.status.code();
        if let Some(rseq) = reliable::rseq(response) {
            if self.acknowledged.contains(&rseq) {
                return;
            }
            self.acknowledged.push(rseq);
            let heard = self.hear(side, &code.to_string(), message);
            let cseq = response.headers.cseq().unwrap().number;
            let mut body = self
                .in_prack
                .take()
                .filter(|_| heard.is_some())
                .unwrap_or_default();
            // Its INVITE had no offer: the PRACK answers.
            if heard.is_some() && body.is_empty() && self.is_offerless() {
                body = heard
                    .map(|offer| taking(&self.answers.0, &offer))
                    .unwrap_or_default();
            }
            let rack = format!("RAck: {rseq} {cseq} INVITE\r\n");
            let prack = self.sim.a.request("PRACK", &rack, &body);
            return self.sim.send(side, prack);
        }
        let heard = self.hear(side, &format!("{code} to {method}"), message);
        if code < 200 {
            return;
        }
        if method != Method::Prack {
            self.finals.push((side, method.clone(), code));
        }
        if method == Method::Invite && code < 300 {
            let body = if heard.is_some() && self.is_offerless() {
                self.answers.0.clone()
            } else {
                String::new()
            };
            let ack = self.sim.peer(side).ack(&body);
            self.sim.send(side, ack);
        } else if method == Method::Invite {
            let ack = self.sim.peer(side).ack_failure();
            self.sim.send(side, ack);
        }
    }
    fn is_offerless(&self) -> bool {
        let mut on_wire = self.sim.wire.iter();
        let first = on_wire.find(|(_, side, inwards, _)| *side == Side::A && *inwards);
        first.is_some_and(|(_, _, _, bytes)| !bytes.windows(7).any(|window| window == b"m=audio"))
    }
}
