//! What the dispatcher is told by calls and by the server, and what it does then.

use super::{
    Readiness,
    admission::{Policy, Refusal},
    dispatch::Dispatcher,
    inbox::Listing,
    message_waiting::Delivery,
};
use crate::{
    call::{
        Adoptee, CallNumber, Cause, Command, Designation, Input, Origin, Side, Standalone, Transmit,
        adoption::Wish, failure::Kind,
    },
    sip::{
        Replaces, Text,
        routing::{DialogKey, TransactionKey},
    },
};
use std::time::Instant;
use tokio::sync::oneshot;

/// What calls and the server tell the dispatcher.
pub(super) enum Control {
    /// Messages of this dialog belong to that side of that call from now on.
    Dialog(u64, Side, DialogKey),
    /// The INVITE of that call which opens this dialog has that Request-URI.
    Invited(u64, DialogKey, Text),
    /// A call asks what a dialog is to the other end of whichever call has it.
    Identify(CallNumber, Replaces),
    /// That call's answer.
    Designated(CallNumber, Replaces, Option<Box<Designation>>),
    /// A call wants a leg of another.
    Adopt(Box<Wish>),
    /// A leg has left that call for another.
    Move(u64, Box<Adoptee>),
    /// A message of a dialog that has left the call which was handed it.
    Forward(DialogKey, Box<Input>),
    /// What one call tells another.
    Tell(CallNumber, Box<Input>),
    /// An INVITE that was to take a place in that call is answered so, and is nothing of it.
    Refused(u64, TransactionKey, Transmit),
    /// A subscription to a mailbox has this dialog from now on, or has it no more.
    Mailbox(DialogKey, bool),
    /// News of a mailbox are to be passed on.
    News(Box<Standalone>, Delivery),
    /// Words for repetitions.
    Tombstone(TransactionKey, Transmit),
    /// A call has ended; what is left of it are timers.
    Over(u64),
    /// A call's task has ended.
    Gone(u64),
    /// New calls are made by this.
    Reload(Policy),
    /// No new calls any more.
    Refuse,
    /// Every call ends now.
    HangUpAll,
    /// Every call that has not ended says what there is of it.
    List(Listing),
    /// Answered at once by a dispatcher that lives.
    Ping(oneshot::Sender<Readiness>),
}

impl Dispatcher {
    #[expect(
        clippy::disallowed_methods,
        reason = "the dispatcher expires what is left of calls"
    )]
    /// Does what it is told.
    pub(super) fn obey(&mut self, order: Control) {
        match order {
            Control::Dialog(number, side, key) => self.maps.add_dialog(number, side, key),
            Control::Mailbox(key, true) => drop(self.maps.mailboxes.insert(key)),
            Control::Mailbox(key, false) => drop(self.maps.mailboxes.remove(&key)),
            Control::News(news, delivery) => self.news(*news, delivery),
            Control::Invited(number, key, uri) => self.maps.invited(number, key, uri),
            Control::Tombstone(key, words) => self.maps.tombstones.set(key, words, Instant::now()),
            Control::Refused(number, key, words) => {
                self.maps.remove_invite(number, &key);
                self.maps.tombstones.set(key, words, Instant::now());
            }
            Control::Identify(asker, replaces) => {
                let owner = self.maps.dialogs.get(&replaces.key());
                let entry = owner.and_then(|(number, _)| self.maps.calls.get(number));
                match entry {
                    Some(entry) => entry.inbox.push(Input::Designate(asker, replaces)),
                    None => self.tell(asker, Input::Identified(replaces, None)),
                }
            }
            Control::Designated(asker, replaces, found) => {
                self.tell(asker, Input::Identified(replaces, found));
            }
            Control::Adopt(wish) => self.wants_leg(*wish),
            Control::Move(from, adoptee) => self.carry(from, adoptee),
            Control::Forward(dialog, input) => self.forward(&dialog, *input),
            Control::Tell(to, input) => self.tell(to, *input),
            Control::Over(number) => self.maps.over(number),
            Control::Gone(number) => self.leaves(number),
            Control::Reload(policy) => self.policy = policy,
            Control::Refuse => {
                if !std::mem::replace(&mut self.maps.stopping, true) {
                    for entry in self.maps.calls.values() {
                        entry.inbox.push(Input::Command(Command::Drain));
                    }
                }
                self.end_standalone();
            }
            // Who asked may have lost patience.
            Control::Ping(answer) => drop(answer.send(self.readiness())),
            Control::List(listing) => {
                for entry in self.maps.calls.values().filter(|entry| !entry.over) {
                    entry.inbox.ask(listing.clone());
                }
            }
            Control::HangUpAll => {
                for entry in self.maps.calls.values() {
                    let cause = Cause::of(Kind::Shutdown, Origin::Local);
                    entry.inbox.push(Input::Command(Command::Hangup(cause)));
                }
            }
        }
    }
    /// What one call tells another.
    pub(super) fn tell(&self, to: CallNumber, input: Input) {
        if let Some(entry) = self.maps.calls.get(&to.0) {
            entry.inbox.push(input);
        }
    }
    /// What an INVITE would meet now.
    fn readiness(&self) -> Readiness {
        match self.policy.admit(self.load()) {
            Ok(()) => Readiness::Ready,
            Err(Refusal::Stopping) => Readiness::Stopping,
            Err(Refusal::Full | Refusal::Late | Refusal::Forbidden) => Readiness::Full,
        }
    }
}
