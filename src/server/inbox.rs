//! How a call's task is told things.

use super::{cdr::RunningCall, workload::Waiting};
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
    Input(Box<Delivery>),
    /// Somebody wants to know what there is of it.
    Report(Listing),
}

/// Something for a call.
pub(super) struct Delivery {
    pub(super) input: Input,
    /// Where it came from the wire, and is the first that waits.
    pub(super) waiting: Option<Waiting>,
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
        self.has_room() && {
            self.push(input);
            true
        }
    }
    /// The same with a message from the wire, which waits for the turn of the call. What comes behind others waits for those too:
    /// a call that is flooded says nothing of how the server keeps up.
    pub(super) fn deliver(&self, input: Input, waiting: Waiting) -> bool {
        let first = self.waiting.load(Relaxed) == 0;
        self.has_room() && {
            self.tell(input, first.then_some(waiting));
            true
        }
    }
    fn has_room(&self) -> bool {
        self.waiting.load(Relaxed) < MOST_WAITING
    }
    /// Something of our own: it always finds room.
    pub(super) fn push(&self, input: Input) {
        self.tell(input, None);
    }
    fn tell(&self, input: Input, waiting: Option<Waiting>) {
        self.waiting.fetch_add(1, Relaxed);
        // The call has ended meanwhile: nobody is left to care.
        let _ = self
            .sender
            .send(Told::Input(Box::new(Delivery { input, waiting })));
    }
    /// A leg for the call, which comes back where nobody is left to take it.
    pub(super) fn hand_over(&self, adoptee: Box<Adoptee>) -> Result<(), Box<Adoptee>> {
        self.waiting.fetch_add(1, Relaxed);
        let told = Told::Input(Box::new(Delivery {
            input: Input::Command(Command::Adopt(adoptee)),
            waiting: None,
        }));
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
        Told::Input(delivery) => match delivery.input {
            Input::Command(Command::Adopt(adoptee)) => Some(adoptee),
            _ => None,
        },
        Told::Report(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call::{Cause, Command, Origin, failure::Kind},
        server::Gauges,
    };

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
    async fn of_a_flooded_call_one_message_waits_for_its_turn_and_the_others_for_that() {
        let gauges = Arc::new(Gauges::default());
        let (inbox, mut receiver) = inbox();
        let input = || Input::Command(Command::Hangup(Cause::of(Kind::Shutdown, Origin::Local)));
        let offer = || inbox.deliver(input(), Waiting::new(gauges.clone(), std::time::Instant::now()));
        assert_eq!((0..1_000).filter(|_| offer()).count(), MOST_WAITING);
        assert_eq!(gauges.workload.waiting(), 1);
        for number in 0..MOST_WAITING {
            let Some(Told::Input(delivery)) = receiver.next().await else {
                panic!("a message");
            };
            assert_eq!(delivery.waiting.is_some(), number == 0);
        }
        assert_eq!(gauges.workload.waiting(), 0);
        assert!(offer());
        assert_eq!(gauges.workload.waiting(), 1);
    }
}
