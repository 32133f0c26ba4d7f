//! Requests of an agent, and what comes back.

use super::{Act, Agent, Change, Phase, cancel::Cancel};
use crate::{
    sip::{
        Method, Response, Status,
        transaction::{Client as ClientOther, ClientInvite, Fired},
    },
    testing::{Sim, phone::Stand, privacy::description},
};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A client transaction.
#[derive(Debug)]
pub(super) struct Client {
    method: String,
    pub(super) branch: String,
    pub(super) cseq: u32,
    /// Request-URI.
    pub(super) uri: String,
    pub(super) purpose: Purpose,
    pub(super) machine: Machine,
    pub(super) cancel: Cancel,
}

#[derive(Debug)]
pub(super) enum Machine {
    Invite(ClientInvite),
    Other(ClientOther),
}

/// What a request is for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// The INVITE that begins the call.
    Call,
    /// An offer; what stands if it is refused.
    Offer(Change, Box<Stand>),
    /// An UPDATE without offer.
    Refresh,
    /// INFO and the like.
    Plain,
    /// An INFO with this digit.
    Digit(String),
    /// A REFER; its CSeq says which.
    Refer,
    /// What has become of the REFER with that CSeq.
    News(u32, u16),
    Prack,
    Bye,
}

impl Client {
    pub(super) fn is_pending(&self) -> bool {
        match &self.machine {
            Machine::Invite(invite) => invite.is_pending(),
            Machine::Other(other) => other.is_pending(),
        }
    }
    pub(super) fn is_offering(&self) -> bool {
        self.is_pending() && matches!(self.purpose, Purpose::Call | Purpose::Offer(..))
    }
    fn is_over(&self) -> bool {
        let cancelled = match &self.cancel {
            Cancel::Sent(cancel) => cancel.is_terminated(),
            Cancel::No | Cancel::Wanted => true,
        };
        cancelled
            && match &self.machine {
                Machine::Invite(invite) => invite.is_terminated(),
                Machine::Other(other) => other.is_terminated(),
            }
    }
    pub(super) fn due(&self) -> Option<Instant> {
        let own = match &self.machine {
            Machine::Invite(invite) => invite.poll_timeout(),
            Machine::Other(other) => other.poll_timeout(),
        };
        let cancel = match &self.cancel {
            Cancel::Sent(cancel) => cancel.poll_timeout(),
            Cancel::No | Cancel::Wanted => None,
        };
        [own, cancel].into_iter().flatten().min()
    }
}

impl Agent {
    /// Calls.
    pub fn call(&mut self, sim: &mut Sim, uri: &str) {
        self.calls = true;
        self.phase = Phase::Setup;
        self.remote = format!("<{uri}>");
        uri.clone_into(&mut self.target);
        let body = match self.habits.offerless {
            true => String::new(),
            false => self.phone.describe(&self.name, None),
        };
        let mut headers = self.session_headers();
        if self.habits.reliable {
            headers.push_str("Supported: 100rel\r\n");
        }
        self.request(sim, "INVITE", &headers, &body, Purpose::Call);
    }
    pub(super) fn request(
        &mut self,
        sim: &mut Sim,
        method: &str,
        headers: &str,
        body: &str,
        purpose: Purpose,
    ) {
        self.cseq += 1;
        let (branch, uri) = (self.branch(), self.target.clone());
        let bytes = self.write((method, self.cseq, &uri), &branch, None, headers, body);
        let machine = match method {
            "INVITE" => Machine::Invite(ClientInvite::start(bytes.clone(), false, self.timers, sim.now)),
            _ => Machine::Other(ClientOther::start(bytes.clone(), false, self.timers, sim.now)),
        };
        self.clients.push(Client {
            method: method.to_owned(),
            branch,
            cseq: self.cseq,
            uri,
            purpose,
            machine,
            cancel: Cancel::No,
        });
        sim.send(self.who, bytes);
    }
    /// Makes an offer; with a time it is cancelled then.
    pub(super) fn offer(&mut self, sim: &mut Sim, change: Change, regret: Option<Duration>) {
        let stand = Box::new(self.phone.stand());
        match change {
            Change::Hold(hold) => self.phone.hold = Some(hold),
            Change::Resume => self.phone.hold = None,
            Change::Video(on) => self.phone.video = on,
            Change::Nothing | Change::Offerless => {}
        }
        let offerless = change == Change::Offerless;
        let body = match offerless {
            true => String::new(),
            false => self.phone.describe(&self.name, None),
        };
        let by_update = self.habits.by_update && !offerless && regret.is_none();
        let method = if by_update { "UPDATE" } else { "INVITE" };
        let headers = self.session_headers();
        self.regret = regret.map(|after| sim.now + after);
        self.request(sim, method, &headers, &body, Purpose::Offer(change, stand));
    }
    pub(super) fn refresh_by_update(&mut self, sim: &mut Sim) {
        let headers = self.session_headers();
        self.request(sim, "UPDATE", &headers, "", Purpose::Refresh);
    }
    /// A response.
    pub(super) fn responded(&mut self, sim: &mut Sim, response: &Response) {
        let headers = &response.headers;
        let cseq = headers.cseq().expect("CSeq");
        let branch = headers
            .via()
            .expect("Via")
            .branch()
            .unwrap_or_default()
            .to_str()
            .into_owned();
        let repeated = self.acks.iter().find(|(number, _)| *number == cseq.number);
        if let (Method::Invite, true, Some((_, ack))) = (&cseq.method, response.status.is_success(), repeated)
        {
            let tag = headers.to().ok().and_then(|to| to.tag()).unwrap_or_default();
            self.facts.strange += u32::from(!self.remote.contains(&*tag.to_str()));
            return sim.send(self.who, ack.clone());
        }
        let Some(at) = self.clients.iter().position(|client| client.branch == branch) else {
            return;
        };
        if cseq.method == Method::Cancel {
            if let Cancel::Sent(cancel) = &mut self.clients[at].cancel {
                cancel.receive(response.status, sim.now);
            }
            return;
        }
        let ack = self.ack_of_failure(at, response);
        let client = &mut self.clients[at];
        let received = match &mut client.machine {
            Machine::Invite(invite) => invite.receive(response.status, sim.now, || ack),
            Machine::Other(other) => other.receive(response.status, sim.now),
        };
        if let Some(ack) = received.send {
            sim.send(self.who, ack);
        }
        if received.pass {
            if response.status.is_provisional() {
                self.provisional(sim, at, response);
            } else {
                self.finished(sim, at, response);
            }
        }
    }
    fn ack_of_failure(&self, at: usize, response: &Response) -> Bytes {
        let client = &self.clients[at];
        let to = response.headers.get("To").expect("To").to_str().into_owned();
        let line = ("ACK", client.cseq, client.uri.as_str());
        self.write(line, &client.branch, Some(&to), "", "")
    }
    fn provisional(&mut self, sim: &mut Sim, at: usize, response: &Response) {
        if matches!(self.clients[at].cancel, Cancel::Wanted) {
            self.send_cancel(sim, at);
        }
        if !matches!(self.clients[at].purpose, Purpose::Call) {
            return;
        }
        self.early |= response.headers.to().is_ok_and(|to| to.tag().is_some());
        self.prack(sim, response);
        if let Some(sdp) = description(&response.clone().into()) {
            self.phone.hear(sdp, sim.now);
        }
    }
    /// A final response.
    fn finished(&mut self, sim: &mut Sim, at: usize, response: &Response) {
        let client = &self.clients[at];
        let (method, purpose) = (client.method.clone(), client.purpose.clone());
        let regretted = !matches!(client.cancel, Cancel::No);
        let code = response.status.code();
        *self.facts.finals.entry((method.clone(), code)).or_default() += 1;
        let cseq = client.cseq;
        match purpose {
            Purpose::Call if response.status.is_success() => {
                let header = |name| response.headers.get(name).map(|text| text.to_str().into_owned());
                self.remote = header("To").expect("To");
                self.move_to(response.headers.get("Contact"));
                let over = regretted || self.phase == Phase::Over;
                self.phase = Phase::Up;
                self.take_answer(sim, cseq, response);
                self.agree(sim.now, &response.headers);
                if over {
                    self.hang_up(sim);
                }
            }
            Purpose::Call => self.end(sim),
            Purpose::Offer(..) if response.status.is_success() => {
                self.facts.changes += 1;
                self.regret = None;
                self.move_to(response.headers.get("Contact"));
                match method.as_str() {
                    "INVITE" => self.take_answer(sim, cseq, response),
                    _ => {
                        if let Some(sdp) = description(&response.clone().into()) {
                            self.phone.hear(sdp, sim.now);
                        }
                    }
                }
                self.agree(sim.now, &response.headers);
            }
            Purpose::Offer(change, stand) => {
                self.phone.stand_back(*stand);
                self.regret = None;
                self.refused(sim, change, response, regretted);
            }
            Purpose::Refresh if response.status.is_success() => self.agree(sim.now, &response.headers),
            // RFC 3261 §12.2.1.2: the dialog is no more.
            Purpose::Refresh | Purpose::Plain | Purpose::Digit(_) | Purpose::Refer
                if matches!(code, 408 | 481) && self.phase == Phase::Up =>
            {
                self.hang_up(sim);
            }
            Purpose::Digit(digit) => {
                self.facts.digits.insert(digit, response.status.is_success());
            }
            Purpose::Refer => self.refer_answered(cseq, code),
            Purpose::News(refer, news) => self.news_answered(sim.now, refer, news, code),
            Purpose::Refresh | Purpose::Plain | Purpose::Prack | Purpose::Bye => {}
        }
    }
    /// A 2xx to an INVITE of ours is acknowledged; when it brings an offer, the ACK answers that.
    fn take_answer(&mut self, sim: &mut Sim, cseq: u32, response: &Response) {
        let offered = self.is_offerless(cseq);
        let mut body = String::new();
        match description(&response.clone().into()) {
            Some(offer) if offered => {
                body = self.phone.describe(&self.name, Some(&offer));
                self.phone.hear(offer, sim.now);
            }
            Some(answer) => self.phone.hear(answer, sim.now),
            None => {}
        }
        let (branch, uri) = (self.branch(), self.target.clone());
        let ack = self.write(("ACK", cseq, &uri), &branch, None, "", &body);
        self.acks.push((cseq, ack.clone()));
        sim.send(self.who, ack);
    }
    fn is_offerless(&self, cseq: u32) -> bool {
        self.clients.iter().any(|client| {
            client.cseq == cseq
                && match client.purpose {
                    Purpose::Call => self.habits.offerless,
                    Purpose::Offer(change, _) => change == Change::Offerless,
                    _ => false,
                }
        })
    }
    fn refused(&mut self, sim: &mut Sim, change: Change, response: &Response, regretted: bool) {
        if self.phase != Phase::Up || regretted {
            return;
        }
        let after = response
            .headers
            .get("Retry-After")
            .and_then(|text| text.to_str().parse().ok());
        let wait = match (response.status.code(), after) {
            // RFC 3261 §14.1: the owner of the Call-ID waits longer.
            (491, _) if self.calls => Duration::from_millis(2_100 + 10 * self.dice.below(191)),
            (491, _) => Duration::from_millis(10 * self.dice.below(201)),
            // RFC 3261 §14.2
            (500, Some(seconds)) => Duration::from_secs(seconds),
            (408 | 481, _) => return self.hang_up(sim),
            _ => return,
        };
        self.retry = Some((sim.now + wait, Act::Offer(change)));
    }
    /// Deadlines of what it has sent.
    pub(super) fn fire_clients(&mut self, sim: &mut Sim) {
        let mut again = Vec::new();
        let mut silent = Vec::new();
        for client in &mut self.clients {
            while let Some(fired) = match &mut client.machine {
                Machine::Invite(invite) => invite.fire(sim.now),
                Machine::Other(other) => other.fire(sim.now),
            } {
                match fired {
                    Fired::Send(bytes) => again.push(bytes),
                    Fired::TimedOut => silent.push(client.purpose.clone()),
                }
            }
            if let Cancel::Sent(cancel) = &mut client.cancel {
                while let Some(fired) = cancel.fire(sim.now) {
                    if let Fired::Send(bytes) = fired {
                        again.push(bytes);
                    }
                }
            }
        }
        self.clients.retain(|client| !client.is_over());
        self.facts.repeated += again.len() as u32;
        for bytes in again {
            sim.send(self.who, bytes);
        }
        for purpose in silent {
            self.facts.timeouts += 1;
            match purpose {
                Purpose::Call => self.end(sim),
                Purpose::Offer(_, stand) => {
                    self.phone.stand_back(*stand);
                    self.lost(sim);
                }
                Purpose::Refresh | Purpose::Plain | Purpose::Digit(_) | Purpose::Refer => self.lost(sim),
                Purpose::News(refer, news) => self.news_answered(sim.now, refer, news, 408),
                Purpose::Prack | Purpose::Bye => {}
            }
        }
    }
    /// RFC 3261 §12.2.1.2: no answer is 408, and the dialog is over.
    fn lost(&mut self, sim: &mut Sim) {
        if self.phase == Phase::Up {
            self.hang_up(sim);
        }
    }
    /// Where the server wants requests.
    pub(super) fn move_to(&mut self, contact: Option<crate::sip::Text>) {
        let Some(contact) = contact else { return };
        let contact = contact.to_str();
        if let Some((uri, _)) = contact.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
            uri.clone_into(&mut self.target);
        }
    }
}

/// A status that an agent says.
pub(super) fn status(code: u16) -> Status {
    Status::new(code).expect("a test's own status")
}
