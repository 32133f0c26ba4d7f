//! How many handshakes there may be: at once, and begun in a second.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

/// Limits of a server. A handshake costs about a millisecond of a core and, while it lasts, some tens of kilobytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Handshakes that exist, those included that wait for their peer or their turn. Beyond it none is begun.
    pub most: usize,
    /// Handshakes that go on at once; others wait for their turn within their deadline.
    pub at_once: usize,
    /// Handshakes begun in a second, evenly; others wait likewise. 0: no limit.
    pub per_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            most: 10_000,
            at_once: 1000,
            per_second: 500,
        }
    }
}

/// There are as many handshakes as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DTLS: {0} handshakes are open, no more are begun")]
pub struct Busy(pub usize);

/// What there is and has been, of all handshakes of a server.
#[derive(Debug, Default)]
pub struct Counts {
    open: AtomicUsize,
    completed: AtomicU64,
    failed: AtomicU64,
    mismatched: AtomicU64,
    timed_out: AtomicU64,
    refused: AtomicU64,
    faults: AtomicU64,
}

impl Counts {
    /// Handshakes that are not over.
    pub fn open(&self) -> usize {
        self.open.load(Relaxed)
    }
    /// Those that gave keys.
    pub fn completed(&self) -> u64 {
        self.completed.load(Relaxed)
    }
    /// Those that did not, for whatever reason; includes all that follow but [`Self::refused`].
    pub fn failed(&self) -> u64 {
        self.failed.load(Relaxed)
    }
    /// Those whose peer had another certificate than announced.
    pub fn mismatched(&self) -> u64 {
        self.mismatched.load(Relaxed)
    }
    /// Those that met their deadline.
    pub fn timed_out(&self) -> u64 {
        self.timed_out.load(Relaxed)
    }
    /// Those that were not begun because there were too many.
    pub fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }
    /// Those that ended by a panic.
    pub fn faults(&self) -> u64 {
        self.faults.load(Relaxed)
    }
    pub(super) fn note(&self, result: Result<(), &super::DtlsError>) {
        let add = |count: &AtomicU64| {
            count.fetch_add(1, Relaxed);
        };
        let Err(error) = result else {
            return add(&self.completed);
        };
        add(&self.failed);
        match error {
            super::DtlsError::Fingerprint { .. } => add(&self.mismatched),
            super::DtlsError::Timeout { .. } | super::DtlsError::Busy(_) => add(&self.timed_out),
            super::DtlsError::Fault => add(&self.faults),
            _ => {}
        }
    }
}

/// The doorkeeper.
#[derive(Debug)]
pub(super) struct Admission {
    limits: Limits,
    counts: Arc<Counts>,
    at_once: Arc<Semaphore>,
    /// When the next handshake may begin.
    next: Mutex<Option<Instant>>,
}

/// One of the handshakes that exist; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place(Arc<Counts>);

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        let at_once = limits.at_once.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            limits,
            counts: Arc::default(),
            at_once: Arc::new(Semaphore::new(at_once)),
            next: Mutex::new(None),
        }
    }
    pub(super) fn counts(&self) -> &Counts {
        &self.counts
    }
    /// Takes a place for one more.
    pub(super) fn enter(&self) -> Result<Place, Busy> {
        // Taken first and given back when it was one too many, so that two who come at once do not both see the last.
        let place = Place(self.counts.clone());
        let open = self.counts.open.fetch_add(1, Relaxed);
        if open >= self.limits.most {
            self.counts.refused.fetch_add(1, Relaxed);
            return Err(Busy(open));
        }
        Ok(place)
    }
    /// Waits until the handshake may go on. What it holds it gives back when the permit is dropped.
    #[expect(clippy::disallowed_methods, reason = "a driver: it waits for its turn")]
    pub(super) async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        let permit = self.at_once.clone().acquire_owned().await.ok();
        if let Some(begin) = self.slot(Instant::now()) {
            sleep_until(begin).await;
        }
        permit
    }
    /// When this one may begin, if not now: one after the other, as far apart as the rate says, but for a tenth of a second's
    /// worth at once after a pause.
    fn slot(&self, now: Instant) -> Option<Instant> {
        let per_second = self.limits.per_second;
        if per_second == 0 {
            return None;
        }
        let apart = Duration::from_secs(1) / per_second;
        let burst = Duration::from_millis(100);
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let earliest = next.unwrap_or(now).max(now.checked_sub(burst).unwrap_or(now));
        *next = Some(earliest + apart);
        (earliest > now).then_some(earliest)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "on virtual time")]
mod tests {
    use super::*;

    fn admission(most: usize, at_once: usize, per_second: u32) -> Admission {
        Admission::new(Limits {
            most,
            at_once,
            per_second,
        })
    }

    #[test]
    fn beyond_the_limit_none_is_begun_until_one_is_over() {
        let admission = admission(2, 1, 0);
        let first = admission.enter().unwrap();
        let _second = admission.enter().unwrap();
        assert_eq!(admission.enter().unwrap_err(), Busy(2));
        assert_eq!(admission.counts().open(), 2);
        assert_eq!(admission.counts().refused(), 1);
        drop(first);
        assert!(admission.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn handshakes_begin_evenly_after_a_burst() {
        let admission = admission(100, 100, 50);
        let start = Instant::now();
        let mut held = Vec::new();
        // Long idle: the burst of 100 ms is 5 handshakes.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let idle = start + Duration::from_secs(10);
        let mut begun = Vec::new();
        for _ in 0..55 {
            held.push(admission.turn().await);
            begun.push(Instant::now() - idle);
        }
        let at_once = begun.iter().filter(|at| at.is_zero()).count();
        assert!((1..=6).contains(&at_once), "{begun:?}");
        let last = begun.last().unwrap();
        assert!((980..=1100).contains(&last.as_millis()), "50 a second: {last:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_late_waits_until_another_is_over() {
        let admission = admission(10, 1, 0);
        let first = admission.turn().await;
        let second = admission.turn();
        tokio::pin!(second);
        let waited = tokio::time::timeout(Duration::from_secs(1), second.as_mut()).await;
        assert!(waited.is_err(), "there is one already");
        drop(first);
        assert!(second.await.is_some());
    }
}
