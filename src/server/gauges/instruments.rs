//! What counts: levels, counts, and how long something took.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

/// Something that happens, by code, who and why.
#[derive(Debug, Default)]
pub struct Counts(Mutex<BTreeMap<Label, u64>>);

/// A code, who and why.
pub type Label = (u16, &'static str, &'static str);

impl Counts {
    /// It has happened once more. There are as many labels as there are codes of SIP, by fewer than a hundred words of ours.
    pub fn add(&self, label: Label) {
        *self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(label)
            .or_default() += 1;
    }
    /// How often each has happened.
    pub fn list(&self) -> Vec<(Label, u64)> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.iter().map(|(label, count)| (*label, *count)).collect()
    }
}

/// How long something took, in steps.
#[derive(Debug, Default)]
pub struct Histogram {
    steps: [AtomicU64; Self::BOUNDS.len() + 1],
    microseconds: AtomicU64,
}

impl Histogram {
    /// The upper bounds of the steps in seconds; what is longer comes after them.
    pub const BOUNDS: [f64; 14] = [
        0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0,
    ];
    /// It took that long once.
    pub fn note(&self, time: Duration) {
        let seconds = time.as_secs_f64();
        let step = Self::BOUNDS.iter().position(|bound| seconds <= *bound);
        if let Some(step) = self.steps.get(step.unwrap_or(Self::BOUNDS.len())) {
            step.fetch_add(1, Relaxed);
        }
        let microseconds = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        self.microseconds.fetch_add(microseconds, Relaxed);
    }
    /// How often there was one, and how long all together.
    pub fn total(&self) -> (u64, Duration) {
        let count = self.steps.iter().map(|step| step.load(Relaxed)).sum();
        (count, Duration::from_micros(self.microseconds.load(Relaxed)))
    }
    /// How often each step was taken, and the sum of all in seconds.
    pub fn read(&self) -> (Vec<u64>, f64) {
        let steps = self.steps.iter().map(|step| step.load(Relaxed)).collect();
        (steps, self.microseconds.load(Relaxed) as f64 / 1e6)
    }
}

/// Something that comes and goes.
#[derive(Debug, Default)]
pub struct Level(AtomicUsize);

impl Level {
    /// How many there are.
    pub fn now(&self) -> usize {
        self.0.load(Relaxed)
    }
    /// As many as that.
    pub fn set(&self, count: usize) {
        self.0.store(count, Relaxed);
    }
    /// One more.
    pub fn up(&self) {
        self.0.fetch_add(1, Relaxed);
    }
    /// One less.
    pub fn down(&self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Something that happens.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// How often it has happened.
    pub fn total(&self) -> u64 {
        self.0.load(Relaxed)
    }
    /// As often as somebody else has counted.
    pub fn set(&self, total: u64) {
        self.0.store(total, Relaxed);
    }
    /// It has happened once more.
    pub fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_counted_in_the_step_whose_bound_it_does_not_pass() {
        let histogram = Histogram::default();
        for milliseconds in [5, 6, 1000, 1001, 100_000] {
            histogram.note(Duration::from_millis(milliseconds));
        }
        let (steps, sum) = histogram.read();
        let at = |bound: f64| {
            Histogram::BOUNDS
                .iter()
                .position(|other| *other == bound)
                .expect("a bound")
        };
        assert_eq!(
            (steps[at(0.005)], steps[at(0.01)], steps[at(1.0)], steps[at(2.5)]),
            (1, 1, 1, 1)
        );
        assert_eq!(steps.last(), Some(&1), "longer than all");
        assert!((sum - 102.012).abs() < 1e-6, "{sum}");
    }
}
