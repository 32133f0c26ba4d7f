//! How a call's task is told things.

use super::cdr::RunningCall;
use crate::call::{Adoptee, Command, Input};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::mpsc;

/// Messages from the wire that may wait for one call. Who sends faster than that is not waiting for answers.
const MOST_WAITING: usize = 256;
/// What a call's task is told.
pub(super) enum Told {
    /// For the call.
    Input(Box<Input>),
    /// Somebody wants to know what there is of it.
    Report(Listing),
}

/// Where calls that are asked say what there is of them.
pub(super) type Listing = mpsc::UnboundedSender<Box<RunningCall>>;

/// The way into a call. What waits is boxed: the channel keeps room for 32 at a time, and for as many more where key agreements
/// have passed through it, which by value is 11 kB each.
#[derive(Clone)]
pub(super) struct Inbox {
    sender: mpsc::UnboundedSender<Told>,
    waiting: Arc<AtomicUsize>,
}

/// Its other end.
pub(super) struct InboxReceiver {
    receiver: mpsc::UnboundedReceiver<Told>,
    waiting: Arc<AtomicUsize>,
}

/// A new inbox.
pub(super) fn inbox() -> (Inbox, InboxReceiver) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    (
        Inbox {
            sender,
            waiting: waiting.clone(),
        },
        InboxReceiver { receiver, waiting },
    )
}

impl Inbox {
    /// Something that strangers can send; `false` when the call has too much of it already.
    pub(super) fn offer(&self, input: Input) -> bool {
        if self.waiting.load(Relaxed) >= MOST_WAITING {
            return false;
        }
        self.push(input);
        true
    }
    /// Something of our own: it always finds room.
    pub(super) fn push(&self, input: Input) {
        self.waiting.fetch_add(1, Relaxed);
        // The call has ended meanwhile: nobody is left to care.
        let _ = self.sender.send(Told::Input(Box::new(input)));
    }
    /// A leg for the call, which comes back where nobody is left to take it.
    pub(super) fn hand_over(&self, adoptee: Box<Adoptee>) -> Result<(), Box<Adoptee>> {
        self.waiting.fetch_add(1, Relaxed);
        let told = Told::Input(Box::new(Input::Command(Command::Adopt(adoptee))));
        match self.sender.send(told) {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendError(told)) => match leg(told) {
                Some(adoptee) => Err(adoptee),
                None => Ok(()),
            },
        }
    }
    /// Asks what there is of the call.
    pub(super) fn ask(&self, listing: Listing) {
        self.waiting.fetch_add(1, Relaxed);
        let _ = self.sender.send(Told::Report(listing));
    }
}

impl InboxReceiver {
    /// The next thing to know. Never `None` while the task has a sender itself.
    pub(super) async fn next(&mut self) -> Option<Told> {
        let told = self.receiver.recv().await;
        self.waiting.fetch_sub(usize::from(told.is_some()), Relaxed);
        told
    }
    /// The task has ended: takes nothing any more. Returns the legs that have come too late.
    pub(super) fn close(&mut self) -> Vec<Adoptee> {
        self.receiver.close();
        let mut late = Vec::new();
        while let Ok(told) = self.receiver.try_recv() {
            late.extend(leg(told).map(|adoptee| *adoptee));
        }
        late
    }
}

/// The leg that somebody was handed.
fn leg(told: Told) -> Option<Box<Adoptee>> {
    match told {
        Told::Input(input) => match *input {
            Input::Command(Command::Adopt(adoptee)) => Some(adoptee),
            _ => None,
        },
        Told::Report(_) => None,
    }
}
