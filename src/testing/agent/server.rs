//! Requests that an agent gets in its dialog, and how it answers them.

use super::{Agent, Phase, client::status};
use crate::{
    sip::{
        Message, Method, Request,
        routing::TransactionKey,
        transaction::{Fired, Server, ServerInvite},
    },
    testing::{Sim, privacy::description},
};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A server transaction.
#[derive(Debug)]
pub(super) struct Served {
    key: TransactionKey,
    request: Request,
    machine: Machine,
    /// Somebody is being asked until then.
    answer_at: Option<Instant>,
}

#[derive(Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(Server),
}

/// A 2xx to an INVITE, repeated until its ACK comes (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(super) struct Unacked {
    cseq: u32,
    bytes: Bytes,
    at: Instant,
    interval: Duration,
    end: Instant,
    /// It carries an offer, that the ACK answers.
    pub(super) offers: bool,
}

/// A response to be written.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    code: u16,
    pub(super) headers: String,
    body: String,
    offers: bool,
}

impl Answer {
    pub(super) fn code(code: u16) -> Self {
        Self {
            code,
            ..Self::default()
        }
    }
}

impl Served {
    pub(super) fn is_pending(&self) -> bool {
        match &self.machine {
            Machine::Invite(invite) => invite.is_pending(),
            Machine::Other(other) => other.is_pending(),
        }
    }
    pub(super) fn is_open_invite(&self) -> bool {
        matches!(&self.machine, Machine::Invite(invite) if invite.is_pending())
    }
    fn is_over(&self) -> bool {
        match &self.machine {
            Machine::Invite(invite) => invite.is_terminated(),
            Machine::Other(other) => other.is_terminated(),
        }
    }
    pub(super) fn due(&self) -> Option<Instant> {
        let own = match &self.machine {
            Machine::Invite(invite) => invite.poll_timeout(),
            Machine::Other(other) => other.poll_timeout(),
        };
        [own, self.answer_at].into_iter().flatten().min()
    }
}

impl Unacked {
    pub(super) fn due(&self) -> Instant {
        self.at.min(self.end)
    }
}

impl Agent {
    /// Takes an INVITE that begins a call; who answers it for this agent is its [`super::super::Callee`].
    pub(in crate::testing) fn invited(&mut self, invite: &Request) {
        let header = |name| invite.headers.get(name).unwrap_or_default().to_str().into_owned();
        self.call_id = header("Call-ID");
        self.remote = header("From");
        self.move_to(invite.headers.get("Contact"));
        self.remote_cseq = invite.headers.cseq().expect("CSeq").number;
        self.phase = Phase::Setup;
        self.early = true;
    }
    /// Its 180, or 183 with early media.
    pub(in crate::testing) fn rings(&mut self, sim: &Sim, invite: &Request, early: bool) -> (u16, Bytes) {
        let offer = description(&Message::Request(invite.clone()));
        match offer.filter(|_| early) {
            Some(offer) => {
                let body = self.phone.describe(&self.name, Some(&offer));
                self.phone.hear(offer, sim.now);
                let reliable = self.may_be_reliable(invite) && !self.answered_early;
                let headers = if reliable {
                    self.next_reliable()
                } else {
                    String::new()
                };
                let bytes = self.write_response(invite, status(183), &headers, &body);
                if reliable {
                    self.answered_early = true;
                    self.await_prack(sim.now, bytes.clone());
                }
                (183, bytes)
            }
            None => (180, self.write_response(invite, status(180), "", "")),
        }
    }
    /// Its refusal.
    pub(in crate::testing) fn refuses(&self, invite: &Request, code: u16) -> Bytes {
        self.write_response(invite, status(code), "", "")
    }
    /// Its 2xx, that it repeats from now on.
    pub(in crate::testing) fn answers(&mut self, sim: &Sim, invite: &Request) -> Bytes {
        // What was answered reliably is not said again (RFC 6337 §3.1.1).
        let mut answer = match self.answered_early {
            true => Answer::code(200),
            false => self.describe_answer(sim, invite),
        };
        let (agreed, said) = self.session_answer(&invite.headers);
        answer.headers.push_str(&said);
        self.phase = Phase::Up;
        let bytes = self.write_response(invite, status(200), &answer.headers, &answer.body);
        self.keep(sim.now, invite, bytes.clone(), answer.offers);
        self.begin_session(sim.now, agreed);
        bytes
    }
    /// A 2xx is repeated until its ACK comes.
    fn keep(&mut self, now: Instant, invite: &Request, bytes: Bytes, offers: bool) {
        self.unacked.push(Unacked {
            cseq: invite.headers.cseq().expect("CSeq").number,
            bytes,
            at: now + self.timers.t1,
            interval: self.timers.t1,
            end: now + self.timers.t1_64(),
            offers,
        });
    }
    fn describe_answer(&mut self, sim: &Sim, request: &Request) -> Answer {
        let offer = description(&Message::Request(request.clone()));
        let body = self.phone.describe(&self.name, offer.as_ref());
        let offers = offer.is_none();
        if let Some(offer) = offer {
            self.phone.hear(offer, sim.now);
        }
        Answer {
            code: 200,
            body,
            offers,
            ..Answer::default()
        }
    }

    /// A request in the dialog.
    pub(super) fn requested(&mut self, sim: &mut Sim, request: &Request) {
        let key = TransactionKey::of(request).expect("a request of the server");
        let known = self.served.iter().position(|served| served.key == key);
        match (&request.method, known) {
            (Method::Ack, known) => self.acknowledged(sim, request, known),
            (Method::Cancel, Some(at)) => {
                let bytes = self.write_response(request, status(200), "", "");
                sim.send(self.who, bytes);
                if self.served[at].is_open_invite() {
                    self.served[at].answer_at = None;
                    self.respond(sim, at, Answer::code(487));
                }
            }
            (Method::Cancel, None) => {
                let bytes = self.write_response(request, status(481), "", "");
                sim.send(self.who, bytes);
            }
            (_, Some(at)) => {
                let last = match &self.served[at].machine {
                    Machine::Invite(invite) => invite.receive_invite(),
                    Machine::Other(other) => other.receive(),
                };
                if let Some(bytes) = last {
                    sim.send(self.who, bytes);
                }
            }
            (_, None) => self.serve(sim, request, key),
        }
    }
    fn acknowledged(&mut self, sim: &Sim, ack: &Request, known: Option<usize>) {
        if let Some(Machine::Invite(invite)) = known.map(|at| &mut self.served[at].machine) {
            invite.receive_ack(sim.now);
        }
        let cseq = ack.headers.cseq().expect("CSeq").number;
        let Some(at) = self.unacked.iter().position(|unacked| unacked.cseq == cseq) else {
            return;
        };
        let unacked = self.unacked.remove(at);
        if let (true, Some(answer)) = (unacked.offers, description(&Message::Request(ack.clone()))) {
            self.phone.hear(answer, sim.now);
        }
    }
    /// A new request.
    fn serve(&mut self, sim: &mut Sim, request: &Request, key: TransactionKey) {
        *self.facts.requests.entry(request.method.to_string()).or_default() += 1;
        let invite = request.method == Method::Invite;
        self.served.push(Served {
            key,
            request: request.clone(),
            machine: match invite {
                true => Machine::Invite(ServerInvite::new(false, self.timers)),
                false => Machine::Other(Server::new(false, self.timers)),
            },
            answer_at: None,
        });
        let at = self.served.len() - 1;
        let cseq = request.headers.cseq().expect("CSeq").number;
        let early = self.early
            && self.phase == Phase::Setup
            && !matches!(request.method, Method::Invite | Method::Update);
        if !(early || self.phase == Phase::Up || request.method == Method::Bye) {
            return self.respond(sim, at, Answer::code(481));
        }
        // RFC 3261 §12.2.2
        if cseq <= self.remote_cseq {
            return self.respond(sim, at, Answer::code(500));
        }
        self.remote_cseq = cseq;
        match request.method {
            Method::Bye => {
                self.respond(sim, at, Answer::code(200));
                self.end(sim);
            }
            Method::Invite | Method::Update => self.offered(sim, at),
            Method::Prack => {
                let code = if self.take_prack(request) { 200 } else { 481 };
                self.respond(sim, at, Answer::code(code));
            }
            Method::Refer => self.referred(sim, at),
            Method::Notify => self.notified(sim, at),
            Method::Info if !request.body.is_empty() => {
                let digit = String::from_utf8_lossy(&request.body).into_owned();
                *self.facts.digits_heard.entry(digit).or_default() += 1;
                self.respond(sim, at, Answer::code(200));
            }
            _ => self.respond(sim, at, Answer::code(200)),
        }
    }
    pub(super) fn request_at(&self, at: usize) -> Request {
        self.served[at].request.clone()
    }
    fn offered(&mut self, sim: &mut Sim, at: usize) {
        let request = self.served[at].request.clone();
        let invite = request.method == Method::Invite;
        if !invite && request.body.is_empty() {
            self.facts.refreshed += 1;
            let (agreed, headers) = self.session_answer(&request.headers);
            self.begin_session(sim.now, agreed);
            let headers = format!("Contact: {}\r\n{headers}", self.contact());
            return self.respond(
                sim,
                at,
                Answer {
                    headers,
                    ..Answer::code(200)
                },
            );
        }
        // RFC 3261 §14.2, RFC 3311 §5.2: an offer of its own is open.
        let own = self.clients.iter().any(super::Client::is_offering)
            || self.unacked.iter().any(|unacked| unacked.offers);
        if own {
            return self.respond(sim, at, Answer::code(491));
        }
        let open = |(other, served): (usize, &Served)| other != at && served.is_open_invite();
        if self.served.iter().enumerate().any(open) {
            let headers = format!("Retry-After: {}\r\n", self.dice.below(11));
            return self.respond(
                sim,
                at,
                Answer {
                    headers,
                    ..Answer::code(500)
                },
            );
        }
        if invite && !self.habits.thinks.is_zero() {
            self.respond(sim, at, Answer::code(100));
            self.served[at].answer_at = Some(sim.now + self.habits.thinks);
            return;
        }
        self.take_offer(sim, at);
    }
    fn take_offer(&mut self, sim: &mut Sim, at: usize) {
        let request = self.served[at].request.clone();
        let mut answer = self.describe_answer(sim, &request);
        self.move_to(request.headers.get("Contact"));
        let (agreed, headers) = self.session_answer(&request.headers);
        answer.headers.push_str(&headers);
        self.begin_session(sim.now, agreed);
        self.respond(sim, at, answer);
    }
    pub(super) fn respond(&mut self, sim: &mut Sim, at: usize, answer: Answer) {
        let request = self.served[at].request.clone();
        let code = status(answer.code);
        let bytes = self.write_response(&request, code, &answer.headers, &answer.body);
        let sent = match &mut self.served[at].machine {
            Machine::Invite(invite) => invite.respond(code, bytes, sim.now),
            Machine::Other(other) => other.respond(code, bytes, sim.now),
        };
        let Some(bytes) = sent else { return };
        if request.method == Method::Invite && code.is_success() {
            self.keep(sim.now, &request, bytes.clone(), answer.offers);
        }
        sim.send(self.who, bytes);
    }
    /// Deadlines of what it has answered.
    pub(super) fn fire_served(&mut self, sim: &mut Sim) {
        let mut again = Vec::new();
        let mut answers = Vec::new();
        for (at, served) in self.served.iter_mut().enumerate() {
            match &mut served.machine {
                Machine::Invite(invite) => {
                    while let Some(fired) = invite.fire(sim.now) {
                        match fired {
                            Fired::Send(bytes) => again.push(bytes),
                            // A refusal that nobody acknowledges: timer H.
                            Fired::TimedOut => self.facts.unacknowledged += 1,
                        }
                    }
                }
                Machine::Other(other) => other.fire(sim.now),
            }
            if served.answer_at.take_if(|at| *at <= sim.now).is_some() {
                answers.push(at);
            }
        }
        for at in answers {
            if self.served[at].is_open_invite() {
                self.take_offer(sim, at);
            }
        }
        self.served.retain(|served| !served.is_over());
        let mut given_up = false;
        for unacked in &mut self.unacked {
            if unacked.end <= sim.now {
                given_up = true;
            } else if unacked.at <= sim.now {
                again.push(unacked.bytes.clone());
                unacked.interval = self.timers.backoff(unacked.interval);
                unacked.at = sim.now + unacked.interval;
            }
        }
        self.facts.repeated += again.len() as u32;
        for bytes in again {
            sim.send(self.who, bytes);
        }
        if given_up {
            // RFC 3261 §13.3.1.4: the session ends.
            self.unacked.retain(|unacked| unacked.end > sim.now);
            self.facts.unacknowledged += 1;
            if self.phase == Phase::Up {
                self.hang_up(sim);
            }
        }
    }
}
