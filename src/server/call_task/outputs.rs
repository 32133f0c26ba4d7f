//! What a call wants done.

use super::{CallTask, Drained};
use crate::{
    call::{CallEvent, CallNumber, Input, Output, Side, Summary, Transmit},
    media::{MediaCommand, MediaEvent},
    server::{orders::Control, redact::Redacted, retained, standalone::reply},
    sip::{
        Message,
        routing::{NextHop, Source, TransactionKey},
    },
};
use std::sync::Arc;

impl CallTask {
    /// Does what the call wants done, until it wants nothing or what it wants concerns its question.
    pub(super) fn drain(&mut self, observe: &mut dyn FnMut(&CallEvent)) -> Drained {
        loop {
            while let Some(output) = self.call.poll_output() {
                match output {
                    Output::Transmit(side, transmit) => self.transmit(side, transmit),
                    Output::Lookup(side, hop, came) => self.look_up(side, hop, came),
                    Output::Media(command) => self.media(command),
                    Output::Handshake(command) => {
                        self.handshakes
                            .obey(command, self.session.as_ref(), &self.seat.inbox);
                    }
                    Output::Event(event) => {
                        self.note(&event);
                        self.seat.receipt.note(&event);
                        observe(&event);
                    }
                    Output::Zrtp(command) => retained::obey(&self.seat.cache, command, &self.seat.inbox),
                    Output::Dialog(side, key) => {
                        // The first is the caller's; a party that takes its place has another dialog.
                        if side == Side::A && self.remains.tag.is_none() {
                            self.remains.tag = Some(key.local_tag.clone());
                        }
                        self.control(Control::Dialog(self.seat.number, side, key));
                    }
                    Output::Invited(key, uri) => self.control(Control::Invited(self.seat.number, key, uri)),
                    Output::Tombstone(key, words) => self.control(Control::Tombstone(key, words)),
                    Output::Report(summary) => self.report(&summary),
                    Output::Refused(invite, failure) => {
                        if let Message::Request(request) = &invite.message {
                            let response = self.seat.answerer.failure(request, &failure);
                            let words = reply(request, &response, invite.source);
                            if let Ok(key) = TransactionKey::of(request) {
                                self.control(Control::Refused(self.seat.number, key, words.clone()));
                            }
                            self.seat.net.send(words);
                        }
                    }
                    Output::Identify(replaces) => {
                        self.control(Control::Identify(CallNumber(self.seat.number), replaces));
                    }
                    Output::Designated(asker, replaces, found) => {
                        self.control(Control::Designated(asker, replaces, found));
                    }
                    Output::Adopt(mut wish) => {
                        wish.asker = CallNumber(self.seat.number);
                        self.control(Control::Adopt(wish));
                    }
                    Output::Give(mut adoptee) => {
                        adoptee.leaves(CallNumber(self.seat.number));
                        self.control(Control::Move(self.seat.number, adoptee));
                    }
                    Output::Withheld(asker, named, failure) => {
                        self.control(Control::Tell(asker, Box::new(Input::Withheld(named, failure))));
                    }
                    Output::Kept(home, dialog) => {
                        self.control(Control::Tell(home, Box::new(Input::Kept(dialog))));
                    }
                    Output::Forward(dialog, input) => self.control(Control::Forward(dialog, input)),
                    Output::Finished(_) => self.finished = true,
                    Output::Ask(question) => return Drained::Asked(question),
                    Output::Withdraw => return Drained::Withdrawn,
                }
            }
            match self.replies.pop_front() {
                Some(input) => self.take(input),
                None => return Drained::Idle,
            }
        }
    }
    pub(super) fn control(&self, control: Control) {
        // The dispatcher may have gone before its calls.
        let _ = self.seat.control.send(control);
    }
    fn transmit(&mut self, side: Side, transmit: Transmit) {
        tracing::trace!(leg = ?side, to = ?transmit.to, "sent\n{}", Redacted(&transmit.bytes));
        if side == Side::B && transmit.bytes.starts_with(b"INVITE ") {
            if let Some(dead) = self.watch.invited(&transmit) {
                tracing::debug!(target = %dead.remote, "did not answer, tried last for a while");
                self.seat.net.note_dead(&dead);
            }
            self.remains.invited = Some(transmit.clone());
        }
        self.seat.net.send(transmit);
    }
    fn look_up(&mut self, side: Side, hop: NextHop, came: Option<Source>) {
        if let Some(found) = self.seat.net.resolve_now(&hop, came.as_ref()) {
            self.replies.push_back(Input::Targets(side, found));
            return;
        }
        let (net, inbox) = (self.seat.net.clone(), self.seat.inbox.clone());
        tokio::spawn(async move {
            let found = net.resolve(&hop, came.as_ref()).await;
            inbox.push(Input::Targets(side, found));
        });
    }
    fn media(&mut self, command: MediaCommand) {
        let inbox = &self.seat.inbox;
        let session = self.session.get_or_insert_with(|| {
            let inbox = inbox.clone();
            Arc::new(self.seat.relay.session(Arc::new(move |event| {
                if matches!(event, MediaEvent::Control { .. }) {
                    // Strangers can send them; what finds no room will be repeated.
                    inbox.offer(Input::Media(event));
                } else {
                    inbox.push(Input::Media(event));
                }
            })))
        });
        session.send(command);
    }
    /// One line for each phase.
    fn note(&self, event: &CallEvent) {
        match event {
            CallEvent::Answered => {
                self.seat.gauges.answered.add();
                tracing::info!("answered");
            }
            CallEvent::Ended(summary) => {
                tracing::info!(
                    status = %summary.status,
                    failure = summary.failure.as_ref().map(|failure| tracing::field::debug(failure.kind)),
                    by = summary.cause.as_ref().map(|cause| tracing::field::debug(cause.origin)),
                    why = summary.cause.as_ref().and_then(|cause| cause.kind).map(tracing::field::debug),
                    encryption_a = summary.encryption.0.map(tracing::field::display),
                    encryption_b = summary.encryption.1.map(tracing::field::display),
                    sas_a = summary.sas.0.as_ref().map(|sas| sas.text.as_str()),
                    sas_b = summary.sas.1.as_ref().map(|sas| sas.text.as_str()),
                    lasted = ?summary.ended.saturating_duration_since(summary.began),
                    "ended"
                );
                self.control(Control::Over(self.seat.number));
            }
            CallEvent::Keyed {
                side,
                encryption,
                sas: Some(sas),
            } => {
                tracing::info!(leg = ?side, %encryption, sas = sas.text, verified = sas.verified, mismatch = sas.mismatch, "keyed")
            }
            CallEvent::Referred { by, to } => tracing::info!(?by, to, "transfer asked for"),
            CallEvent::Transferred { by, status } => tracing::info!(?by, %status, "transfer"),
            CallEvent::Dialled { target } => tracing::info!(target, "calling"),
            CallEvent::Ringing(status) => tracing::info!(%status, "ringing"),
            other => tracing::debug!(?other, "call"),
        }
    }
    /// Says what there is of the call to all who have asked.
    fn report(&mut self, summary: &Summary) {
        for listing in std::mem::take(&mut self.listings) {
            // Who asked may have lost patience.
            let _ = listing.send(Box::new(self.seat.receipt.running(summary)));
        }
    }
}
