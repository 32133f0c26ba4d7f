//! One request at one target: its transaction, and its CANCEL.

use super::{LegOutput, Wire};
use crate::{
    call::Transmit,
    sip::{
        CSeq, Headers, Method, Request, Response, Status, Text, Uri,
        routing::{DATAGRAM_LIMIT, Destination, Target, TransactionKey, Transport},
        transaction::{Client, ClientInvite, Fired},
    },
};
use bytes::Bytes;
use std::{collections::VecDeque, time::Instant};

/// A request that was sent.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) branch: Text,
    pub(super) way: Way,
    /// Until when it may be silent.
    pub(super) patience: Option<Instant>,
    /// It was silent for too long, and another was tried: it is not repeated any more, but may still answer.
    pub(super) quiet: bool,
    request: Request,
    transaction: Transaction,
    cancel: Cancel,
}

#[derive(Debug)]
enum Transaction {
    Invite(ClientInvite),
    Other(Client),
    Over,
}

#[derive(Debug)]
enum Cancel {
    /// Nobody wants it.
    No,
    /// As soon as a provisional response comes.
    Wanted(Vec<Text>),
    /// On its way; the INVITE is given up at `end` (RFC 3261 §9.1).
    Sent { transaction: Client, end: Instant },
}

/// One way to a target.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) target: Target,
    /// What our Contact names: may differ from the target's when only size made it TCP.
    contact: Transport,
    /// The size has been looked at.
    measured: bool,
}

impl Way {
    /// As the lookup found it.
    pub(super) fn to(target: &Target) -> Self {
        Self {
            contact: target.transport,
            target: target.clone(),
            measured: false,
        }
    }
    /// Our Contact on this way, in a request to `uri`.
    pub(super) fn contact(&self, uri: &Uri) -> Text {
        contact_value(&self.target.sent_by, self.contact, uri.is_secure()).into()
    }
    /// Prints a request for this way. What is too large for a datagram goes by TCP instead; then the way by UDP becomes the next
    /// of `others` (RFC 3261 §18.1.1).
    pub(super) fn print(
        self,
        request: &Request,
        branch: &Text,
        with_contact: bool,
        others: &mut VecDeque<Self>,
    ) -> (Self, Request, Bytes) {
        let dressed = dress(request, &self.target, self.contact, branch, with_contact);
        let bytes = dressed.to_bytes();
        if self.measured || bytes.len() <= DATAGRAM_LIMIT {
            return (self, dressed, bytes);
        }
        let by_size = Target::by_size(std::slice::from_ref(&self.target), bytes.len());
        match by_size.into_iter().next() {
            Some(target) if target != self.target => {
                let measured = Self {
                    measured: true,
                    ..self
                };
                others.push_front(measured.clone());
                Self { target, ..measured }.print(request, branch, with_contact, others)
            }
            _ => (self, dressed, bytes),
        }
    }
}

/// The request as it goes to one target: Via, and Contact where it has one.
pub(super) fn dress(
    request: &Request,
    target: &Target,
    contact: Transport,
    branch: &Text,
    with_contact: bool,
) -> Request {
    let mut request = request.clone();
    let via = format!(
        "SIP/2.0/{} {};branch={branch};rport",
        target.transport.as_via(),
        target.sent_by
    );
    request.headers.push_front("Via", via);
    if with_contact {
        let contact = contact_value(&target.sent_by, contact, request.uri.is_secure());
        request.headers.set("Contact", contact);
    }
    request
}

/// Makes room for our Contact, which each target puts in its place.
pub(super) fn dress_contact(headers: &mut Headers) {
    headers.push("Contact", "<sip:invalid>");
}

/// Our Contact: where we are, and nothing of whose call it is. A `sips` request is answered, and sent, with a `sips` Contact
/// (RFC 5630 §5.1.1.1, §5.2).
pub(super) fn contact_value(sent_by: &str, transport: Transport, is_secure: bool) -> String {
    match (is_secure, transport) {
        (true, Transport::Ws | Transport::Wss) => format!("<sips:{sent_by};transport=ws>"),
        (true, _) => format!("<sips:{sent_by}>"),
        (false, transport) => match transport.as_uri_param() {
            Some(param) => format!("<sip:{sent_by};transport={param}>"),
            None => format!("<sip:{sent_by}>"),
        },
    }
}

/// ACK of a non-2xx response (RFC 3261 §17.1.1.3) or CANCEL (§9.1): same Request-URI, top Via, Route, From, Call-ID, number.
fn companion(request: &Request, method: Method, to: Option<Text>) -> Request {
    let mut companion = Request::new(method.clone(), request.uri.clone());
    let (from, into) = (&request.headers, &mut companion.headers);
    if let Some(via) = from.get("Via") {
        into.push("Via", via);
    }
    into.copy_from(from, "Route");
    into.push("Max-Forwards", "70");
    into.copy_from(from, "From");
    match to {
        Some(to) => into.push("To", to),
        None => into.copy_from(from, "To"),
    }
    into.copy_from(from, "Call-ID");
    if let Ok(CSeq { number, .. }) = from.cseq() {
        into.push("CSeq", CSeq { number, method }.to_text());
    }
    into.copy_from(from, "User-Agent");
    companion
}

impl Attempt {
    /// Sends it.
    pub(super) fn start(
        (way, request, bytes): (Way, Request, Bytes),
        branch: Text,
        patience: Option<Instant>,
        wire: &mut Wire<'_>,
    ) -> Self {
        let reliable = way.target.transport.is_reliable();
        let timers = wire.profile.timers;
        let transaction = if request.method == Method::Invite {
            Transaction::Invite(ClientInvite::start(bytes.clone(), reliable, timers, wire.now))
        } else {
            Transaction::Other(Client::start(bytes.clone(), reliable, timers, wire.now))
        };
        let attempt = Self {
            branch,
            way,
            patience,
            quiet: false,
            request,
            transaction,
            cancel: Cancel::No,
        };
        attempt.transmit(bytes, wire);
        attempt
    }
    fn to(&self) -> Destination {
        Destination::Target(self.way.target.clone())
    }
    fn transmit(&self, bytes: Bytes, wire: &mut Wire<'_>) {
        wire.out
            .push_back(LegOutput::Transmit(Transmit { bytes, to: self.to() }));
    }
    /// A response to the request itself; whether it is news.
    pub(super) fn receive(&mut self, response: &Response, wire: &mut Wire<'_>) -> bool {
        let received = match &mut self.transaction {
            Transaction::Invite(invite) => invite.receive(response.status, wire.now, || {
                companion(&self.request, Method::Ack, response.headers.get("To")).to_bytes()
            }),
            Transaction::Other(other) => other.receive(response.status, wire.now),
            Transaction::Over => return false,
        };
        if let Some(ack) = received.send {
            self.transmit(ack, wire);
        }
        received.pass
    }
    /// A response to our CANCEL.
    pub(super) fn receive_cancel(&mut self, status: Status, wire: &Wire<'_>) {
        if let Cancel::Sent { transaction, .. } = &mut self.cancel {
            transaction.receive(status, wire.now);
        }
    }
    /// Cancels an INVITE that has no final response: now, or when a provisional one has come.
    pub(super) fn cancel(&mut self, reasons: &[Text], wire: &mut Wire<'_>) {
        let Transaction::Invite(invite) = &self.transaction else {
            return;
        };
        if !invite.is_pending() || matches!(self.cancel, Cancel::Sent { .. }) {
            return;
        }
        if invite.is_calling() {
            self.cancel = Cancel::Wanted(reasons.to_vec());
            return;
        }
        let reasons = match &self.cancel {
            Cancel::Wanted(earlier) => earlier.clone(),
            _ => reasons.to_vec(),
        };
        let mut cancel = companion(&self.request, Method::Cancel, None);
        for reason in reasons {
            cancel.headers.push("Reason", reason);
        }
        let bytes = cancel.to_bytes();
        let timers = wire.profile.timers;
        self.cancel = Cancel::Sent {
            transaction: Client::start(
                bytes.clone(),
                self.way.target.transport.is_reliable(),
                timers,
                wire.now,
            ),
            end: wire.now + timers.t1_64(),
        };
        self.transmit(bytes, wire);
    }
    /// Deadlines; whether the request has timed out.
    pub(super) fn fire(&mut self, wire: &mut Wire<'_>) -> bool {
        let mut timed_out = false;
        while let Some(fired) = match &mut self.transaction {
            Transaction::Invite(invite) => invite.fire(wire.now),
            Transaction::Other(other) => other.fire(wire.now),
            Transaction::Over => None,
        } {
            match fired {
                Fired::Send(_) if self.quiet => {}
                Fired::Send(bytes) => self.transmit(bytes, wire),
                Fired::TimedOut => timed_out = true,
            }
        }
        if let Cancel::Sent { transaction, end } = &mut self.cancel {
            if *end <= wire.now {
                timed_out |= self.is_live();
                self.abandon();
                return timed_out;
            }
            let mut again = Vec::new();
            while let Some(fired) = transaction.fire(wire.now) {
                if let Fired::Send(bytes) = fired {
                    again.push(bytes);
                }
            }
            for bytes in again {
                self.transmit(bytes, wire);
            }
        }
        timed_out
    }
    /// Whether nothing has come back.
    pub(super) fn is_calling(&self) -> bool {
        match &self.transaction {
            Transaction::Invite(invite) => invite.is_calling(),
            Transaction::Other(other) => other.is_calling(),
            Transaction::Over => false,
        }
    }
    /// A message to its target could not be sent; whether that ends it.
    pub(super) fn undeliverable(&mut self, target: &Target) -> bool {
        let hit = self.is_calling() && self.way.target == *target;
        if hit {
            self.abandon();
        }
        hit
    }
    /// Waits for nothing any more.
    pub(super) fn abandon(&mut self) {
        self.quiet = true;
        self.patience = None;
        if self.is_live() {
            self.transaction = Transaction::Over;
        }
        self.cancel = Cancel::No;
    }
    /// Whether a final response may still come.
    pub(super) fn is_live(&self) -> bool {
        match &self.transaction {
            Transaction::Invite(invite) => invite.is_pending(),
            Transaction::Other(other) => other.is_pending(),
            Transaction::Over => false,
        }
    }
    /// Whether it is live and was not passed over for its silence.
    pub(super) fn is_waiting(&self) -> bool {
        self.is_live() && !self.quiet
    }
    /// Whether it was cancelled and its end is not known.
    pub(super) fn is_cancelling(&self) -> bool {
        self.is_live() && matches!(self.cancel, Cancel::Sent { .. })
    }
    /// Whether nothing can come that would have to be reacted to.
    pub(super) fn is_over(&self) -> bool {
        match &self.transaction {
            Transaction::Invite(invite) => invite.is_terminated(),
            Transaction::Other(other) => other.is_terminated(),
            Transaction::Over => true,
        }
    }
    /// Deadlines that bring something about; what only forgets is done in passing.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let transaction = match &self.transaction {
            // One that was passed over sends nothing more, but it must still end: a leg that is given up waits for it.
            Transaction::Invite(invite) if invite.is_pending() => invite.poll_timeout(),
            Transaction::Other(other) if other.is_pending() => other.poll_timeout(),
            _ => None,
        };
        let cancel = match &self.cancel {
            Cancel::Sent { transaction, end } if self.is_live() => Some(
                transaction
                    .poll_timeout()
                    .filter(|_| transaction.is_pending())
                    .map_or(*end, |at| at.min(*end)),
            ),
            _ => None,
        };
        [transaction, cancel, self.patience].into_iter().flatten().min()
    }
    /// The ACK for repetitions of the final response.
    pub(super) fn tombstone(&self) -> Option<LegOutput> {
        let Transaction::Invite(invite) = &self.transaction else {
            return None;
        };
        let key = TransactionKey::of_client(&self.request.headers).ok()?;
        Some(LegOutput::Tombstone(
            key,
            Transmit {
                bytes: invite.ack()?.clone(),
                to: self.to(),
            },
        ))
    }
}
