//! When to send again (RFC 6189 §6).

use std::time::{Duration, Instant};

/// What the initiator needs at most for one message, with all its repetitions: 10.65 s. Whoever waits for it and does not
/// send anything itself gives up a little later.
pub(super) const PATIENCE: Duration = Duration::from_millis(11_000);
/// For how long an unproven reason to end may be disproved by the real peer: longer than the longest pause between two of its
/// repetitions.
pub(super) const DOUBT: Duration = Duration::from_millis(2_000);
/// For how long the peer may show by its Commit which of several Hellos is its own.
pub(super) const AMBIGUITY: Duration = Duration::from_millis(500);

/// Repeats a message, more and more seldom, until its limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timer {
    due: Instant,
    pause: Duration,
    longest: Duration,
    left: u32,
}

impl Timer {
    /// T1, for Hello: 50 ms, doubled up to 200 ms, 20 repetitions.
    pub(super) fn hello(now: Instant) -> Self {
        Self::new(now, 50, 200, 20)
    }

    /// T2, for everything else: 150 ms, doubled up to 1,200 ms, 10 repetitions.
    pub(super) fn message(now: Instant) -> Self {
        Self::new(now, 150, 1_200, 10)
    }

    fn new(now: Instant, pause: u64, longest: u64, left: u32) -> Self {
        let pause = Duration::from_millis(pause);
        Self {
            due: now + pause,
            pause,
            longest: Duration::from_millis(longest),
            left,
        }
    }

    /// When to call [`Self::fire`].
    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Whether to send again, now that it is due; `false` when the last repetition remained without an answer.
    pub(super) fn fire(&mut self, now: Instant) -> bool {
        let Some(left) = self.left.checked_sub(1) else {
            return false;
        };
        self.left = left;
        self.pause = (self.pause * 2).min(self.longest);
        self.due = now + self.pause;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut timer: Timer, start: Instant) -> Vec<u128> {
        let mut times = Vec::new();
        loop {
            let now = timer.due();
            times.push((now - start).as_millis());
            if !timer.fire(now) {
                return times;
            }
        }
    }

    #[test]
    fn the_timers_are_the_rfcs() {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        let now = Instant::now();
        let hello = run(Timer::hello(now), now);
        assert_eq!(hello[..5], [50, 150, 350, 550, 750]);
        assert_eq!((hello.len(), hello[20]), (21, 3_950));
        let message = run(Timer::message(now), now);
        assert_eq!(message[..5], [150, 450, 1_050, 2_250, 3_450]);
        assert_eq!((message.len(), message[10]), (11, 10_650));
        assert!(PATIENCE > Duration::from_millis(10_650));
    }
}
