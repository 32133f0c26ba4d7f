//! What the machine kept from those that run on it. Phones count on their time: one that had none for a second has not said what a
//! test listens for, and that tells nothing about the server. Neither does what a server answered that had none.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Watches the machine for as long as the process lives.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// For how many microseconds each CPU stood still, since it has been watched.
    stood: Vec<Arc<AtomicU64>>,
}

/// How long a watcher sleeps, and how late it wakes at least where its CPU stood still: whoever has just slept comes before who
/// computes, so that even a machine with much to do wakes it within a few milliseconds.
const NAP: Duration = Duration::from_millis(20);
const LATE: Duration = Duration::from_millis(100);

impl Machine {
    /// Starts a watcher on each CPU that this process may run on.
    pub(crate) fn watch() -> Self {
        let mine = sched_getaffinity(None).unwrap_or_else(|_| CpuSet::new());
        let cpus = (0..CpuSet::MAX_CPU).filter(|cpu| mine.is_set(*cpu));
        let stood = cpus.map(|cpu| {
            let stood = Arc::new(AtomicU64::new(0));
            let counted = Arc::clone(&stood);
            thread::spawn(move || {
                let mut one = CpuSet::new();
                one.set(cpu);
                // A watcher that is not bound to its CPU sees less, and nothing that is not so.
                let _ = sched_setaffinity(None, &one);
                loop {
                    let before = Instant::now();
                    thread::sleep(NAP);
                    let late = before.elapsed().saturating_sub(NAP);
                    if late > LATE {
                        counted.fetch_add(late.as_micros() as u64, Ordering::Relaxed);
                    }
                }
            });
            stood
        });
        Self {
            stood: stood.collect(),
        }
    }

    /// What it has kept from everybody until now. What the kernel does not say is nothing.
    pub(crate) fn reading(&self) -> Reading {
        let (stolen, all) = stolen();
        Reading {
            at: Instant::now(),
            waited: pressure("cpu", "some"),
            disk: pressure("io", "full"),
            stood: self.stood.iter().map(|cpu| cpu.load(Ordering::Relaxed)).collect(),
            stolen,
            all,
        }
    }
}

/// What had been kept at one time.
#[derive(Debug)]
pub(crate) struct Reading {
    at: Instant,
    waited: f64,
    disk: f64,
    stood: Vec<u64>,
    stolen: f64,
    all: f64,
}

impl Reading {
    /// What was kept between that time and this.
    pub(crate) fn until(&self, now: &Self) -> Kept {
        let took = (now.at - self.at).as_secs_f64().max(0.001);
        let stood = self.stood.iter().zip(&now.stood);
        Kept {
            waited: (now.waited - self.waited) / took * 100.0,
            stolen: (now.stolen - self.stolen) / (now.all - self.all).max(1.0) * 100.0,
            stood: stood.map(|(before, now)| now - before).max().unwrap_or_default() as f64 / 1e6,
            disk: now.disk - self.disk,
        }
    }
}

/// What was kept from everybody in a stretch of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kept {
    /// For how much of the time some task waited for a CPU, in percent.
    waited: f64,
    /// How much of all CPUs' time went to other machines of the same host, in percent.
    stolen: f64,
    /// For how many seconds that CPU stood still that did so for longest.
    stood: f64,
    /// For how many seconds nobody computed and somebody waited for a disk.
    disk: f64,
}

impl Kept {
    /// Whether phones stutter for want of it. The suite alone makes tasks wait in 10 to 40 % of the time on two cores; a talk is
    /// judged by 2.5 s of which 0.7 may be missing.
    pub(crate) fn makes_phones_stutter(&self) -> bool {
        self.waited > 75.0 || self.stolen > 15.0 || self.stood > 0.4 || self.disk > 0.8
    }

    /// Whether what was done in that time says little of how fast it is done: for so long nothing was, and then all at once.
    pub(crate) fn spoils_rates(&self) -> bool {
        self.stolen > 15.0 || self.stood > 0.15
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "some task waited for a CPU in {:.0} % of the time, {:.0} % of it was stolen; a CPU stood still for {:.2} s, everybody \
             waited for a disk for {:.2} s",
            self.waited, self.stolen, self.stood, self.disk
        )
    }
}

/// For how many seconds, since the machine was started, tasks have waited for `what` (`/proc/pressure`).
fn pressure(what: &str, whose: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/pressure/{what}")).unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with(whose));
    line.and_then(|line| line.split_once("total="))
        .and_then(|(_, micros)| micros.trim().parse::<f64>().ok())
        .unwrap_or_default()
        / 1e6
}

/// The time of all CPUs that went to other machines, and all of it, in ticks (`/proc/stat`, proc(5)).
fn stolen() -> (f64, f64) {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = text.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|ticks| ticks.parse().ok())
        .collect();
    // user nice system idle iowait irq softirq steal; a guest's time is in that of user and nice.
    (
        ticks.get(7).copied().unwrap_or_default(),
        ticks.iter().take(8).sum(),
    )
}
