//! A request of the peer: its server transaction, our answers, and a 2xx that is repeated until its ACK comes.

use super::{LegOutput, Wire, attempt, refresh::Agreed};
use crate::{
    call::{Failure, Incoming, Transmit},
    sdp::Sdp,
    sip::{
        Message, Method, Request, Response, Status, Text,
        refer::NOREFERSUB,
        reliable::RELIABLE,
        replaces::REPLACES,
        routing::{Destination, Source, TransactionKey},
        session::TIMER,
        transaction::{AckIs, Fired, Server, ServerInvite},
    },
};
use std::time::{Duration, Instant};

/// Methods that a leg takes.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, PRACK, OPTIONS, UPDATE, INFO, MESSAGE, REFER, NOTIFY";
/// Option tags that a request may require of us (RFC 3261 §20.32).
pub const SUPPORTED: [&str; 4] = [RELIABLE, TIMER, REPLACES, NOREFERSUB];

/// Why a request is open: what its answer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Matter {
    /// The INVITE that began leg A.
    Call,
    /// A re-INVITE or UPDATE whose answer the other leg gives.
    Offer,
    /// A request that crossed (INFO, MESSAGE).
    Passed,
    /// Answered at once by ourselves.
    Local,
}

/// A request that came, and its transaction.
#[derive(Debug)]
pub(super) struct Inbound {
    pub(super) key: TransactionKey,
    pub(super) matter: Matter,
    pub(super) cseq: u32,
    pub(super) request: Request,
    /// What a 2xx to it says of the session timer.
    pub(super) session: Option<Agreed>,
    source: Source,
    to: Destination,
    contact: Text,
    transaction: Transaction,
    /// The final response, for tombstones.
    last: Option<Transmit>,
    /// A 2xx to INVITE that waits for its ACK (RFC 3261 §13.3.1.4).
    unacknowledged: Option<Unacknowledged>,
}

#[derive(Debug)]
enum Transaction {
    Invite(ServerInvite),
    Other(Server),
}

#[derive(Debug)]
struct Unacknowledged {
    at: Instant,
    interval: Duration,
    end: Instant,
}

impl Inbound {
    /// Takes a request.
    pub(super) fn new(
        key: TransactionKey,
        request: Request,
        cseq: u32,
        from: &Sender,
        wire: &Wire<'_>,
    ) -> Self {
        let timers = wire.profile.timers;
        let reliable = from.source.transport.is_reliable();
        let address = match request.headers.via() {
            Ok(via) => via.reply_address(from.source.remote),
            Err(_) => from.source.remote,
        };
        Self {
            key,
            matter: Matter::Local,
            cseq,
            source: from.source,
            to: Destination::Reply {
                source: from.source,
                address,
            },
            contact: from.contact.clone(),
            transaction: if request.method == Method::Invite {
                Transaction::Invite(ServerInvite::new(reliable, timers))
            } else {
                Transaction::Other(Server::new(reliable, timers))
            },
            request,
            session: None,
            last: None,
            unacknowledged: None,
        }
    }
    /// Answers with a description or without. Nothing happens where a final response has gone before.
    pub(super) fn respond(&mut self, status: Status, tag: &str, body: Option<&Sdp>, wire: &mut Wire<'_>) {
        let mut response = self.response(status, tag, wire);
        if let Some(sdp) = body {
            response.headers.push("Content-Type", "application/sdp");
            response.body = sdp.to_bytes();
        }
        self.send(&response, wire);
    }
    /// Answers with a failure and the headers that go with it.
    pub(super) fn refuse(&mut self, failure: &Failure, tag: &str, wire: &mut Wire<'_>) {
        let mut response = self.response(failure.status, tag, wire);
        dress_refusal(&mut response, failure);
        self.send(&response, wire);
    }
    /// The head of a response (RFC 3261 §8.2.6, §12.1.1).
    pub(super) fn response(&self, status: Status, tag: &str, wire: &Wire<'_>) -> Response {
        let tag = (status != Status::TRYING).then_some(tag);
        let mut response = self.request.respond(status, tag);
        let headers = &mut response.headers;
        let refreshes = matches!(self.request.method, Method::Invite | Method::Update);
        if refreshes && status != Status::TRYING && status.code() < 300 {
            headers.copy_from(&self.request.headers, "Record-Route");
            headers.push("Contact", self.contact.clone());
        }
        // RFC 3515 §2.2.
        if status.is_success() && self.request.method == Method::Refer {
            headers.push("Contact", self.contact.clone());
        }
        if status.is_success() && (refreshes || self.request.method == Method::Options)
            || status == Status::METHOD_NOT_ALLOWED
        {
            headers.push("Allow", ALLOW);
        }
        if self.request.method == Method::Subscribe && status.is_success() {
            headers.copy_from(&self.request.headers, "Record-Route");
            headers.push("Contact", self.contact.clone());
        }
        if refreshes && status.is_success() {
            headers.push("Supported", TIMER);
            headers.push("Supported", RELIABLE);
            headers.push("Supported", REPLACES);
            if let Some(agreed) = self.session {
                agreed.dress(headers);
            }
        }
        if self.request.method == Method::Options && status.is_success() {
            headers.push("Accept", "application/sdp");
            headers.push("Supported", SUPPORTED.join(", "));
        }
        headers.push("User-Agent", wire.profile.user_agent.clone());
        response
    }
    /// Sends a response through the transaction; what was sent comes back.
    pub(super) fn send(&mut self, response: &Response, wire: &mut Wire<'_>) -> Option<Transmit> {
        let status = response.status;
        let bytes = response.to_bytes();
        let sent = match &mut self.transaction {
            Transaction::Invite(invite) => invite.respond(status, bytes, wire.now),
            Transaction::Other(other) => other.respond(status, bytes, wire.now),
        };
        let bytes = sent?;
        let transmit = Transmit {
            bytes,
            to: self.to.clone(),
        };
        if status.is_final() {
            self.last = Some(transmit.clone());
        }
        if status.is_success() && matches!(self.request.method, Method::Invite | Method::Update) {
            wire.session.agree(self.session, wire.now);
        }
        if status.is_success() && self.is_invite() {
            let timers = &wire.profile.timers;
            self.unacknowledged = Some(Unacknowledged {
                at: wire.now + timers.t1,
                interval: timers.t1,
                end: wire.now + timers.t1_64(),
            });
        }
        wire.out.push_back(LegOutput::Transmit(transmit.clone()));
        Some(transmit)
    }
    /// The request came again.
    pub(super) fn repeat(&self, wire: &mut Wire<'_>) {
        let again = match &self.transaction {
            Transaction::Invite(invite) => invite.receive_invite(),
            Transaction::Other(other) => other.receive(),
        };
        let to = self.to.clone();
        if let Some(bytes) = again {
            wire.out.push_back(LegOutput::Transmit(Transmit { bytes, to }));
        }
    }
    /// An ACK with this transaction's key; whether it ended a non-2xx.
    pub(super) fn receive_ack(&mut self, wire: &Wire<'_>) -> bool {
        match &mut self.transaction {
            Transaction::Invite(invite) if invite.is_awaiting_ack() => {
                invite.receive_ack(wire.now) == AckIs::Absorbed
            }
            _ => false,
        }
    }
    /// The ACK of our 2xx came; whether it was waited for.
    pub(super) fn acknowledge(&mut self) -> bool {
        self.unacknowledged.take().is_some()
    }
    /// Whether a 2xx of ours waits for its ACK.
    pub(super) fn is_unacknowledged(&self) -> bool {
        self.unacknowledged.is_some()
    }
    /// Deadlines; `true` when the ACK of a 2xx never came.
    pub(super) fn fire(&mut self, wire: &mut Wire<'_>) -> bool {
        if let Some(waiting) = &mut self.unacknowledged {
            if waiting.end <= wire.now {
                self.unacknowledged = None;
                return true;
            }
            if waiting.at <= wire.now {
                waiting.interval = wire.profile.timers.backoff(waiting.interval);
                waiting.at = wire.now + waiting.interval;
                if let Some(last) = &self.last {
                    wire.out.push_back(LegOutput::Transmit(last.clone()));
                }
            }
        }
        match &mut self.transaction {
            Transaction::Invite(invite) => {
                while let Some(fired) = invite.fire(wire.now) {
                    if let Fired::Send(bytes) = fired {
                        let to = self.to.clone();
                        wire.out.push_back(LegOutput::Transmit(Transmit { bytes, to }));
                    }
                }
            }
            Transaction::Other(other) => other.fire(wire.now),
        }
        false
    }
    /// Deadlines that bring something about.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waiting = self
            .unacknowledged
            .as_ref()
            .map(|waiting| waiting.at.min(waiting.end));
        let repeats = match &self.transaction {
            Transaction::Invite(invite)
                if invite.is_awaiting_ack() && !self.source.transport.is_reliable() =>
            {
                invite.poll_timeout()
            }
            _ => None,
        };
        [waiting, repeats].into_iter().flatten().min()
    }
    /// Whether something will still be sent that nobody has to ask for.
    pub(super) fn is_open(&self) -> bool {
        self.is_pending() || self.poll_timeout().is_some()
    }
    /// Whether no final response has been given.
    pub(super) fn is_pending(&self) -> bool {
        match &self.transaction {
            Transaction::Invite(invite) => invite.is_pending(),
            Transaction::Other(other) => other.is_pending(),
        }
    }
    /// Whether nothing can come that would have to be reacted to.
    pub(super) fn is_over(&self) -> bool {
        self.unacknowledged.is_none()
            && match &self.transaction {
                Transaction::Invite(invite) => invite.is_terminated(),
                Transaction::Other(other) => other.is_terminated(),
            }
    }
    /// Whether it is an INVITE.
    pub(super) fn is_invite(&self) -> bool {
        matches!(self.transaction, Transaction::Invite(_))
    }
    /// The final response, for repetitions of the request that come after the leg has gone. Over a connection there are none.
    pub(super) fn tombstone(&self) -> Option<LegOutput> {
        let last = self
            .last
            .clone()
            .filter(|_| !self.source.transport.is_reliable())?;
        Some(LegOutput::Tombstone(self.key.clone(), last))
    }
}

/// Where a message came from and our Contact there.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) source: Source,
    pub(super) contact: Text,
}

impl Sender {
    pub(super) fn of(incoming: &Incoming) -> Self {
        let is_secure = matches!(&incoming.message, Message::Request(request) if request.uri.is_secure());
        let sent_by = incoming.sent_by.to_str();
        Self {
            source: incoming.source,
            contact: attempt::contact_value(&sent_by, incoming.reached_by, is_secure).into(),
        }
    }
}

/// What a failure adds to a response: its phrase, its headers, its `Reason`.
fn dress_refusal(response: &mut Response, failure: &Failure) {
    if let Some(reason) = &failure.reason {
        response.reason = phrase(reason);
    }
    for (name, value) in failure.headers.iter() {
        if !name.as_text().eq_ignore_ascii_case(b"Reason") {
            response.headers.push(name, value);
        }
    }
    for reason in failure.reasons() {
        response.headers.push("Reason", reason);
    }
}

/// A reason phrase cannot hold line ends.
fn phrase(text: &Text) -> Text {
    text.iter()
        .map(|byte| if byte.is_ascii_control() { b' ' } else { *byte })
        .take(200)
        .collect::<Vec<u8>>()
        .into()
}

/// Answers an INVITE that became no leg, statelessly (RFC 3261 §8.2.7). Its repetitions are answered the same by whoever
/// keeps the bytes.
pub fn refusal(
    invite: &Request,
    source: Source,
    failure: &Failure,
    user_agent: &Text,
    tag: &str,
) -> Transmit {
    let mut response = invite.respond(failure.status, Some(tag));
    if failure.status == Status::METHOD_NOT_ALLOWED {
        response.headers.push("Allow", ALLOW);
    }
    response.headers.push("User-Agent", user_agent.clone());
    dress_refusal(&mut response, failure);
    let address = match invite.headers.via() {
        Ok(via) => via.reply_address(source.remote),
        Err(_) => source.remote,
    };
    Transmit {
        bytes: response.to_bytes(),
        to: Destination::Reply { source, address },
    }
}
