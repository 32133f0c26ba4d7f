//! What there is to do for calls, and how long it waits for its turn.

use super::{Gauges, gauges::Histogram, overload::Work};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Counts the messages of calls, but those behind others of the same call: those that wait, how long others waited, how long calls
/// were busy with them.
#[derive(Debug, Default)]
pub struct Workload {
    waiting: AtomicUsize,
    waits: Histogram,
    busy: AtomicU64,
}

/// The times of what is being done.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    /// When the dispatcher's turn came.
    pub(super) now: Instant,
    /// When the message was received.
    pub(super) received: Instant,
}

impl Turn {
    #[expect(
        clippy::disallowed_methods,
        reason = "the dispatcher knows how long messages have waited"
    )]
    pub(super) fn new() -> Self {
        let now = Instant::now();
        Self { now, received: now }
    }
    pub(super) fn waited(self) -> Duration {
        self.now.saturating_duration_since(self.received)
    }
}

/// A message on its way to its call.
pub(super) struct Waiting {
    gauges: Arc<Gauges>,
    came: Instant,
}

/// A message that its call is busy with.
pub(super) struct Busy {
    gauges: Arc<Gauges>,
    began: Instant,
}

impl Workload {
    /// Messages that wait for their call's turn.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }
    /// How long messages waited, from their receipt to their call's turn.
    pub const fn waits(&self) -> &Histogram {
        &self.waits
    }
    /// What has become of all messages until now.
    pub(super) fn work(&self) -> Work {
        let (done, waited) = self.waits.total();
        Work {
            done,
            waited,
            busy: Duration::from_nanos(self.busy.load(Relaxed)),
            waiting: self.waiting(),
        }
    }
}

impl Waiting {
    /// A message that was received then waits from now on.
    pub(super) fn new(gauges: Arc<Gauges>, came: Instant) -> Self {
        gauges.workload.waiting.fetch_add(1, Relaxed);
        Self { gauges, came }
    }
    /// Its call has it.
    pub(super) fn begin(self, now: Instant) -> Busy {
        let waited = now.saturating_duration_since(self.came);
        self.gauges.workload.waits.note(waited);
        Busy {
            gauges: self.gauges.clone(),
            began: now,
        }
    }
}

/// Also where the call has ended before it was its turn.
impl Drop for Waiting {
    fn drop(&mut self) {
        self.gauges.workload.waiting.fetch_sub(1, Relaxed);
    }
}

impl Busy {
    /// Its call has done what there was to do.
    pub(super) fn end(self, now: Instant) {
        let busy = now.saturating_duration_since(self.began).as_nanos();
        let busy = u64::try_from(busy).unwrap_or(u64::MAX);
        self.gauges.workload.busy.fetch_add(busy, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "any instant will do to count from")]
    fn what_waits_is_counted_until_its_turn_and_no_longer_when_its_call_has_gone() {
        let gauges = Arc::new(Gauges::default());
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let first = Waiting::new(gauges.clone(), start);
        let forgotten = Waiting::new(gauges.clone(), start);
        assert_eq!(gauges.workload.waiting(), 2);
        first.begin(after(20)).end(after(23));
        drop(forgotten);
        let work = gauges.workload.work();
        assert_eq!((work.done, work.waiting), (1, 0));
        assert_eq!(
            (work.waited, work.busy),
            (Duration::from_millis(20), Duration::from_millis(3))
        );
    }
}
