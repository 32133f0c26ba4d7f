//! Finds whose each message is. One task; two maps, and what is left of calls that have gone.

use super::{
    Gauges,
    admission::{Load, Policy},
    callers::{Caller, is_too_large},
    cdr::Desk,
    digest::Guard,
    maps::{Census, Maps},
    orders::Control,
    overload::Overload,
    recent::Recent,
    redact::Redacted,
    registrations::Mailbox,
    standalone::{Answerer, reply},
    workload::{Turn, Waiting},
    zid_cache::ZidCache,
};
use crate::{
    app::Registrations,
    call::{Failure, Incoming, Input, Origin, Side, Transmit, Unsent, failure::Kind},
    media::{dtls::Dtls, relay::Relay},
    net::{Net, NetEvent},
    sip::{
        Ids, Message, Method, ParseError, Request, Response, Status,
        parse::{self, Parsed},
        routing::{DialogKey, Source, TransactionKey},
    },
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{mpsc, watch};

/// Events taken at once.
const BATCH: usize = 64;

/// See the module.
pub(super) struct Dispatcher {
    pub(super) net: Net,
    pub(super) relay: Arc<Relay>,
    pub(super) gauges: Arc<Gauges>,
    pub(super) desk: Desk,
    pub(super) recent: Recent,
    pub(super) answerer: Arc<Answerer>,
    pub(super) policy: Policy,
    pub(super) guard: Guard,
    pub(super) dtls: Dtls,
    pub(super) cache: Arc<ZidCache>,
    pub(super) registrations: Registrations,
    pub(super) mailbox: Mailbox,
    /// To whoever subscribes to mailboxes.
    pub(super) mailboxes: super::message_waiting::Mailboxes,
    /// To whoever asks trunks whether they are there.
    pub(super) trunks: super::qualification::Mailbox,
    pub(super) ids: Ids,
    pub(super) control: mpsc::UnboundedSender<Control>,
    pub(super) census: watch::Sender<Census>,
    pub(super) maps: Maps,
    pub(super) overload: Overload,
    pub(super) turn: Turn,
}

impl Dispatcher {
    /// Serves until it is dropped.
    #[expect(
        clippy::disallowed_methods,
        reason = "the dispatcher expires what is left of calls"
    )]
    pub(super) async fn run(
        mut self,
        mut events: mpsc::Receiver<NetEvent>,
        mut control: mpsc::UnboundedReceiver<Control>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut sweep = tokio::time::interval(Duration::from_secs(1));
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                order = control.recv() => {
                    let Some(order) = order else { return };
                    self.obey(order);
                }
                _ = events.recv_many(&mut batch, BATCH) => {}
                _ = sweep.tick() => {
                    self.maps.tombstones.expire(Instant::now());
                    self.recent.tick();
                }
            }
            self.maps.waiting = events.len();
            self.turn = Turn::new();
            self.judge();
            // Whatever a call said before it sent something came before the answer to that.
            while let Ok(order) = control.try_recv() {
                self.obey(order);
            }
            for event in batch.drain(..) {
                self.event(event);
            }
            self.count();
        }
    }
    fn count(&self) {
        let maps = &self.maps;
        self.gauges.calls.set(maps.active);
        self.gauges.tasks.set(maps.calls.len());
        self.gauges.dialogs.set(maps.dialogs.len());
        self.gauges.transactions.set(maps.invites.len());
        self.gauges.tombstones.set(maps.tombstones.len());
        self.gauges.standalone.set(maps.standalone.len());
        let census = maps.census();
        self.census
            .send_if_modified(|known| std::mem::replace(known, census) != census);
    }
    fn event(&mut self, event: NetEvent) {
        match event {
            NetEvent::Message(parsed, source, received) => match *parsed {
                Parsed::Message(message) => {
                    self.turn.received = received;
                    trace(&message, &source);
                    match message {
                        Message::Request(request) => self.request(request, source),
                        Message::Response(response) => self.response(response, source),
                    }
                }
                Parsed::Faulty(message, fault) => {
                    trace(&message, &source);
                    self.gauges.faulty.add();
                    if let Message::Request(request) = message {
                        self.faulty(request, &fault, source);
                    }
                }
            },
            NetEvent::Garbage(_) => self.gauges.faulty.add(),
            NetEvent::Undeliverable(transmit) => self.undeliverable(&transmit),
            NetEvent::Lost(own) => self.mailbox.lost(own),
        }
    }
    fn faulty(&self, mut request: Request, fault: &ParseError, source: Source) {
        tracing::debug!(from = %source.remote, method = %request.method, %fault, "faulty request");
        // Without a readable Via the answer goes back to where the request came from.
        let _ = request.headers.stamp(source.remote);
        let response = self.answerer.fault(&request, fault);
        self.answer(&request, response, source);
    }
    /// Whether this may begin anything: by where it came from, or by what its sender has shown.
    pub(super) fn trusts(&self, source: &Source) -> bool {
        self.policy.trusts(source.remote.ip()) || self.net.is_vouched(source)
    }
    /// Sends an answer of our own. A stranger gets none that is larger than what it sent: the address may be a victim's.
    pub(super) fn answer(&self, request: &Request, response: Response, source: Source) {
        self.answer_to(request, response, source, self.trusts(&source));
    }
    /// The same; `known`: the address is certainly not an invented one.
    fn answer_to(&self, request: &Request, mut response: Response, source: Source, known: bool) {
        if !known {
            response.headers.remove("User-Agent");
            if is_too_large(request, &response, source) {
                return;
            }
        }
        let transmit = reply(request, &response, source);
        tracing::trace!(to = %source.remote, "answered\n{}", Redacted(&transmit.bytes));
        self.net.send(transmit);
    }
    fn request(&mut self, mut request: Request, source: Source) {
        let stamped = request.headers.stamp(source.remote);
        let key = match stamped.and_then(|()| TransactionKey::of(&request)) {
            Ok(key) => key,
            Err(fault) => {
                self.gauges.faulty.add();
                return self.faulty(request, &fault, source);
            }
        };
        // RFC 3261 §17.2.3: repetitions, the ACK of a failure and CANCEL find their INVITE.
        if let Some((number, side)) = self.maps.invites.get(&key).copied() {
            return self.deliver(number, side, request.into(), source);
        }
        let dialog = DialogKey::of_request(&request);
        if let Some((number, side)) = dialog
            .as_ref()
            .and_then(|key| self.maps.dialogs.get(key).copied())
        {
            return self.deliver(number, side, request.into(), source);
        }
        if let Some(words) = self.maps.tombstones.find(&key) {
            match request.method {
                // The end of a transaction whose response this has heard.
                Method::Ack => {}
                // RFC 3261 §9.2: too late, but the transaction was there.
                Method::Cancel => {
                    let response = self.answerer.response(&request, Status::OK);
                    self.answer(&request, response, source);
                }
                _ => self.net.send(words.clone()),
            }
            return;
        }
        if request.method == Method::Ack {
            return self.gauges.stray.add();
        }
        if dialog
            .as_ref()
            .is_some_and(|key| self.maps.mailboxes.contains(key))
        {
            if !self.mailboxes.request(request, key, source) {
                self.gauges.dropped.add();
            }
            return;
        }
        if dialog.is_some() {
            self.gauges.stray.add();
            let response = self.answerer.response(&request, Status::CALL_DOES_NOT_EXIST);
            return self.answer(&request, response, source);
        }
        let Some(caller) = self.caller(&mut request, &key, source) else {
            return;
        };
        if let Some(response) = self.answerer.outside(&request) {
            if request.method == Method::Invite {
                let failure = Failure::new(response.status, Origin::LegA, Kind::Protocol);
                self.record_refusal(&request, &key, source, failure);
            }
            let heard_us = matches!(caller, Caller::User(_)) || self.trusts(&source);
            return self.answer_to(&request, response, source, heard_us);
        }
        match request.method {
            Method::Invite => self.invite(request, key, source, caller),
            _ => self.standalone(request, key, source),
        }
    }
    pub(super) fn load(&self) -> Load {
        Load {
            calls: self.maps.active,
            tasks: self.maps.calls.len(),
            standalone: self.maps.standalone.len(),
            queue: (self.maps.waiting, super::QUEUE),
            late: self.overload.is_late(self.turn.waited(), self.turn.now),
            stopping: self.maps.stopping,
        }
    }
    /// A message of a call waits from now on.
    pub(super) fn waiting(&self) -> Waiting {
        Waiting::new(self.gauges.clone(), self.turn.received)
    }
    fn response(&self, response: Response, source: Source) {
        let found = DialogKey::of_response(&response).and_then(|key| self.maps.dialogs.get(&key).copied());
        if let Some((number, side)) = found {
            return self.deliver(number, side, response.into(), source);
        }
        let of_mailbox =
            || DialogKey::of_response(&response).is_some_and(|key| self.maps.mailboxes.contains(&key));
        let taken = match response.headers.cseq().map(|cseq| cseq.method) {
            Ok(Method::Register) => Some(self.mailbox.response(response.clone())),
            Ok(Method::Options) => Some(self.trunks.response(response.clone())),
            Ok(Method::Subscribe) if of_mailbox() => Some(self.mailboxes.response(response.clone())),
            Ok(_) | Err(_) => None,
        };
        if let Some(taken) = taken {
            if !taken {
                self.gauges.dropped.add();
            }
            return;
        }
        // A final response to an INVITE whose call has gone: its ACK was lost.
        let key = TransactionKey::of_response(&response).ok();
        match key.and_then(|key| self.maps.tombstones.find(&key)) {
            Some(ack) if response.status >= Status::OK => self.net.send(ack.clone()),
            _ => self.gauges.stray.add(),
        }
    }
    pub(super) fn incoming(&self, message: Message, source: Source) -> Incoming {
        let (sent_by, reached_by) = self.net.sent_by(&source);
        Incoming {
            message,
            source,
            sent_by,
            reached_by,
            own: self.net.own_of(&source),
            trusted: self.trusts(&source),
        }
    }
    fn deliver(&self, number: u64, side: Side, message: Message, source: Source) {
        if let Some(entry) = self.maps.calls.get(&number) {
            let incoming = self.incoming(message, source);
            let input = Input::Message(side, incoming);
            if !entry.inbox.deliver(input, self.waiting()) {
                self.gauges.dropped.add();
            }
        }
    }
    fn undeliverable(&self, transmit: &Transmit) {
        let Ok((message, _)) = parse::message(transmit.bytes.clone()) else {
            return;
        };
        // Our tag is in From of what we ask and in To of what we answer.
        let ours = match &message {
            Message::Request(request) => request.headers.from(),
            Message::Response(response) => response.headers.to(),
        };
        let tag = ours.ok().and_then(|ours| ours.tag());
        let (Some(unsent), Some(local_tag)) = (Unsent::of(&message, transmit.to.clone()), tag) else {
            return;
        };
        match &message {
            Message::Request(request) if request.method == Method::Register => {
                return self.mailbox.undeliverable(unsent);
            }
            Message::Request(request) if request.method == Method::Options => {
                return self.trunks.undeliverable(unsent);
            }
            Message::Request(_) | Message::Response(_) => {}
        }
        let key = DialogKey {
            call_id: unsent.call_id.clone(),
            local_tag,
        };
        if self.maps.mailboxes.contains(&key) {
            return self.mailboxes.undeliverable(key, unsent);
        }
        if let Some((number, side)) = self.maps.dialogs.get(&key).copied()
            && let Some(entry) = self.maps.calls.get(&number)
        {
            entry.inbox.push(Input::Undeliverable(side, unsent));
        }
    }
}

fn trace(message: &Message, source: &Source) {
    if tracing::enabled!(tracing::Level::TRACE) {
        tracing::trace!(from = %source.remote, "received\n{}", Redacted(&message.to_bytes()));
    }
}
