//! Whose turn it is in one pool: never more often than the set rate.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Timers are good to a millisecond, and a machine that is busy wakes nobody in time: below this interval, turns that came late are made
/// up for within [`SLACK`], lest a rate of 500 a second become one of 300. Longer intervals are kept from one turn to the next.
const FINE: Duration = Duration::from_millis(10);
/// No second has more turns than the rate says.
const SECOND: Duration = Duration::from_secs(1);
/// See [`FINE`]: at once there are never more turns than a tenth of a second has.
const SLACK: Duration = Duration::from_millis(100);

/// Those who wait.
#[derive(Debug)]
pub(crate) struct Turns {
    /// A binding would lapse, or is to be removed.
    urgent: VecDeque<u64>,
    patient: VecDeque<u64>,
    /// When the next turn would be if none had been late.
    due: Instant,
    /// When it may be.
    next: Instant,
    /// Nobody has waited since the last turn: there is nothing to make up for.
    idle: bool,
    /// Turns of a fine interval: at most as many as a second may have.
    recent: VecDeque<Instant>,
}

impl Turns {
    /// The first turn is at once.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            urgent: VecDeque::new(),
            patient: VecDeque::new(),
            due: now,
            next: now,
            idle: true,
            recent: VecDeque::new(),
        }
    }
    /// Joins the queue.
    pub(crate) fn push(&mut self, number: u64, urgent: bool) {
        if urgent {
            self.urgent.push_back(number);
        } else {
            self.patient.push_back(number);
        }
    }
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.urgent.len() + self.patient.len()
    }
    /// The first of those who wait, if it may go now. [`Self::taken`] follows when it did.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<u64> {
        if now < self.next {
            return None;
        }
        self.urgent.pop_front().or_else(|| self.patient.pop_front())
    }
    /// The turn was taken: the next comes `interval` later.
    pub(crate) fn taken(&mut self, interval: Duration, now: Instant) {
        let from = if interval < FINE {
            let slack = if self.idle { Duration::ZERO } else { SLACK };
            self.due.max(now.checked_sub(slack).unwrap_or(now))
        } else {
            now
        };
        self.due = from + interval;
        self.next = self.due;
        self.idle = self.len() == 0;
        if interval >= FINE || interval.is_zero() {
            return self.recent.clear();
        }
        // What is made up for must not make a second of more turns than the rate has. That a turn is late for this does not make the
        // following ones later.
        let most = usize::try_from(SECOND.as_nanos() / interval.as_nanos()).unwrap_or(usize::MAX);
        self.recent.push_back(now);
        while self.recent.len() > most {
            self.recent.pop_front();
        }
        if self.recent.len() == most
            && let Some(first) = self.recent.front()
        {
            self.next = self.next.max(*first + SECOND);
        }
    }
    /// Nobody waits, and who came now would not have to.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        self.len() == 0 && self.next <= now
    }
    /// When somebody's turn is.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        (self.len() > 0).then_some(self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Turns that are taken within `lasts` by who looks every `step`.
    fn taken(interval: Duration, step: Duration, lasts: Duration) -> Vec<Instant> {
        let start = Instant::now_for_tests();
        let mut turns = Turns::new(start);
        (0..100_000).for_each(|number| turns.push(number, false));
        let mut times = Vec::new();
        let mut now = start;
        while now < start + lasts {
            while turns.pop(now).is_some() {
                turns.taken(interval, now);
                times.push(now);
            }
            now += step;
        }
        times
    }

    trait ForTests {
        fn now_for_tests() -> Self;
    }
    impl ForTests for Instant {
        #[expect(clippy::disallowed_methods, reason = "any moment will do")]
        fn now_for_tests() -> Self {
            Self::now()
        }
    }

    #[test]
    fn a_fine_interval_is_kept_on_average_by_a_coarse_clock_and_never_exceeded() {
        let millis = Duration::from_millis;
        let times = taken(millis(2), Duration::from_micros(1300), millis(10_000));
        assert!((4950..=5001).contains(&times.len()), "{}", times.len());
        for window in times.windows(101) {
            let span = *window.last().unwrap() - *window.first().unwrap();
            assert!(span + millis(4) >= millis(200), "{span:?}");
        }
        never_above_500(&times);
    }

    /// In no second are there more than 500.
    fn never_above_500(times: &[Instant]) {
        assert!(times.len() > 501);
        for window in times.windows(501) {
            let span = *window.last().unwrap() - *window.first().unwrap();
            assert!(span >= SECOND, "{span:?}");
        }
    }

    #[test]
    fn who_is_woken_late_again_and_again_keeps_the_rate_and_never_exceeds_it() {
        let start = Instant::now_for_tests();
        let (interval, lasts) = (Duration::from_millis(2), Duration::from_secs(20));
        for seed in 0..20 {
            let mut ids = crate::sip::Ids::seeded(seed);
            let mut turns = Turns::new(start);
            (0..20_000).for_each(|number| turns.push(number, false));
            let (mut now, mut times) = (start, Vec::new());
            while now < start + lasts {
                while turns.pop(now).is_some() {
                    turns.taken(interval, now);
                    times.push(now);
                }
                // Mostly in time by a clock of a millisecond; one time in fifty by up to 40 ms too late.
                let late = if ids.below(50) == 0 { ids.below(40_000) } else { 0 };
                now = turns.poll_timeout().expect("there are more").max(now);
                now += Duration::from_micros(ids.below(1_000) + late);
            }
            never_above_500(&times);
            let at_most = 20 * 500 + 1;
            assert!(
                (at_most * 97 / 100..=at_most).contains(&times.len()),
                "{}",
                times.len()
            );
        }
    }

    #[test]
    fn who_looks_away_for_long_makes_up_for_no_more_than_the_slack() {
        let millis = Duration::from_millis;
        let times = taken(millis(2), millis(250), millis(1000));
        assert_eq!(times.len(), 1 + 3 * 51, "fifty made up for, and one on time");
    }

    #[test]
    fn time_in_which_nobody_waited_is_not_made_up_for() {
        let millis = Duration::from_millis;
        let start = Instant::now_for_tests();
        let mut turns = Turns::new(start);
        for began in [start + millis(90), start + millis(90_000)] {
            (0..1_000).for_each(|number| turns.push(number, false));
            let (mut now, mut times) = (began, Vec::new());
            while turns.len() > 0 {
                while turns.pop(now).is_some() {
                    turns.taken(millis(2), now);
                    times.push(now);
                }
                now += millis(1);
            }
            assert_eq!(times.len(), 1_000);
            assert_eq!(times[0], began);
            assert!(times[999] - began >= millis(2) * 999, "{:?}", times[999] - began);
        }
    }

    #[test]
    fn a_long_interval_lies_between_any_two() {
        let millis = Duration::from_millis;
        let times = taken(millis(100), millis(7), millis(10_000));
        assert!(times.len() > 90);
        for pair in times.windows(2) {
            assert!(pair[1] - pair[0] >= millis(100));
        }
    }

    #[test]
    fn no_interval_lets_all_go_at_once() {
        let times = taken(Duration::ZERO, Duration::from_millis(1), Duration::from_millis(1));
        assert_eq!(times.len(), 100_000);
    }

    #[test]
    fn urgent_ones_go_first() {
        let start = Instant::now_for_tests();
        let mut turns = Turns::new(start);
        turns.push(1, false);
        turns.push(2, true);
        turns.push(3, false);
        let order: Vec<_> = std::iter::from_fn(|| turns.pop(start)).collect();
        assert_eq!(order, [2, 1, 3]);
        assert_eq!(turns.poll_timeout(), None);
    }
}
