//! Who computes where: what is measured is the server, and not how it shares a core with who measures it.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]

use rustix::{
    process::{Pid, setpriority_process},
    thread::{CpuSet, gettid, sched_getaffinity, sched_setaffinity},
};
use std::{fs, process::Command, time::Duration};

/// A core that is kept for the server.
pub(crate) struct Kept(usize);

/// This thread, with those that it starts from now on, leaves one core to the server. `None` where there is no other.
pub(crate) fn keep_one() -> Option<Kept> {
    let mut others = sched_getaffinity(None).expect("this thread runs somewhere");
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| others.is_set(*core));
    let (first, _) = (cores.next()?, cores.next()?);
    others.unset(first);
    sched_setaffinity(None, &others).expect("there are such cores");
    Some(Kept(first))
}

impl Kept {
    /// All threads of the server on that core.
    pub(crate) fn give_to(&self, server: Pid) {
        let mut one = CpuSet::new();
        one.set(self.0);
        let tasks = fs::read_dir(format!("/proc/{}/task", server.as_raw_nonzero())).expect("it runs");
        for task in tasks.flatten() {
            let number = task.file_name().to_string_lossy().parse().ok();
            // A thread may have ended meanwhile.
            let _ = sched_setaffinity(number.and_then(Pid::from_raw), &one);
        }
    }
}

/// This thread and what it starts come before whatever else the machine does. It takes root, and is done without where there is
/// none.
pub(crate) fn come_first() {
    let _ = setpriority_process(None, -10);
}

/// This thread computes where nobody else wants to: a busy one of usual rank would keep those that wake from its core until its turn
/// is over, some milliseconds, whatever their rank.
pub(crate) fn give_way() {
    let thread = gettid().as_raw_nonzero().to_string();
    let ranked = Command::new("chrt")
        .args(["--idle", "--pid", "0", &thread])
        .status();
    assert!(
        ranked.expect("chrt, of util-linux").success(),
        "less is always allowed"
    );
}

/// How long the threads of a process that are still there have been on a core.
pub(crate) fn processor_time(of: Pid) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{}/task", of.as_raw_nonzero())).expect("it runs");
    let times = tasks.flatten().filter_map(|task| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}
