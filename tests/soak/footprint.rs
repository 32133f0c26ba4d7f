//! What a process holds, as the kernel counts it.

use rustix::process::Pid;
use std::{fmt, fs, process::Command};

/// A process at one moment.
#[derive(Debug)]
pub(crate) struct Footprint {
    /// Open descriptors.
    pub(crate) files: usize,
    /// Those of them that are sockets.
    pub(crate) sockets: usize,
    /// Its TCP and UDP sockets as `ss` lists them.
    pub(crate) listed: usize,
    /// Resident memory in octets.
    pub(crate) memory: u64,
}

impl Footprint {
    pub(crate) fn of(pid: Pid) -> Self {
        let folder = format!("/proc/{}", pid.as_raw_nonzero());
        let links: Vec<_> = fs::read_dir(format!("{folder}/fd"))
            .expect("a process of ours")
            .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
            .collect();
        let ss = Command::new("ss").args(["-Hantup"]).output();
        let ss = ss.expect("ss is needed for this test: apt install iproute2");
        let owner = format!("pid={},", pid.as_raw_nonzero());
        let listed = String::from_utf8_lossy(&ss.stdout);
        Self {
            files: links.len(),
            sockets: links
                .iter()
                .filter(|link| link.to_string_lossy().starts_with("socket:"))
                .count(),
            listed: listed.lines().filter(|line| line.contains(&owner)).count(),
            memory: memory(pid),
        }
    }
}

/// Resident memory of a process, in octets.
pub(crate) fn memory(pid: Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let status = status.expect("a process of ours");
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes: u64 = resident
        .and_then(|text| text.split_whitespace().next()?.parse().ok())
        .expect("VmRSS is a number");
    kilobytes * 1024
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let megabytes = self.memory as f64 / f64::from(1 << 20);
        write!(
            f,
            "{} descriptors, {} sockets, {} of them listed by ss, {megabytes:.1} MB",
            self.files, self.sockets, self.listed
        )
    }
}
