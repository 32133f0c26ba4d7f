//! What the kernel knows of a process and of its sockets (`/proc`).

use rustix::process::{Pid, Signal, kill_process};
use std::collections::HashSet;
use std::fs;
use std::time::Duration;

/// The kernel's unit of CPU time in `/proc/…/stat`: 100 a second on every Linux that we know (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

/// A process.
#[derive(Clone, Copy, Debug)]
pub struct Process(u32);

impl Process {
    /// The process of this number.
    pub fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// Sends it a signal. One that has ended hears none.
    pub fn signal(self, signal: Signal) {
        if let Some(pid) = i32::try_from(self.0).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, signal);
        }
    }

    /// The CPU time, user and system, of all its threads so far.
    pub fn cpu(self) -> Option<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).ok()?;
        cpu(&stat)
    }

    /// Its resident memory and the highest that it ever had, in bytes.
    pub fn memory(self) -> Option<(u64, u64)> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0)).ok()?;
        Some((field(&status, "VmRSS:")?, field(&status, "VmHWM:")?))
    }

    /// How many files and sockets it has open.
    pub fn descriptors(self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/fd", self.0)).ok()?.count())
    }

    /// How many threads it has.
    pub fn threads(self) -> Option<usize> {
        Some(fs::read_dir(format!("/proc/{}/task", self.0)).ok()?.count())
    }
}

fn cpu(stat: &str) -> Option<Duration> {
    // The name in brackets may hold anything; user and system time are fields 14 and 15.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let user: u32 = fields.next()?.parse().ok()?;
    let system: u32 = fields.next()?.parse().ok()?;
    Some(TICK * (user + system))
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.split_ascii_whitespace().next()?.parse::<u64>().ok()? * 1_024)
}

/// Datagrams that all sockets of this network namespace together had no room for, so far.
pub fn dropped_everywhere() -> Option<u64> {
    let snmp = fs::read_to_string("/proc/net/snmp").ok()?;
    receive_errors(&snmp)
}

fn receive_errors(snmp: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split(' ').position(|name| name == "RcvbufErrors")?;
    values.split(' ').nth(column)?.parse().ok()
}

/// Datagrams that the open sockets at `ports` and those at other ports had no room for, so far.
pub fn dropped_at(ports: &HashSet<u16>) -> (u64, u64) {
    let tables = ["/proc/net/udp", "/proc/net/udp6"];
    let text: String = tables
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .collect();
    drops(&text, ports)
}

fn drops(table: &str, ports: &HashSet<u16>) -> (u64, u64) {
    let (mut ours, mut others) = (0, 0);
    for line in table.lines() {
        let mut fields = line.split_ascii_whitespace();
        let port = fields
            .nth(1)
            .and_then(|local| u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok());
        let dropped: Option<u64> = fields.next_back().and_then(|drops| drops.parse().ok());
        match (port, dropped) {
            (Some(port), Some(dropped)) if ports.contains(&port) => ours += dropped,
            (Some(_), Some(dropped)) => others += dropped,
            _ => {}
        }
    }
    (ours, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_read_behind_a_name_that_looks_like_fields() {
        let stat = "42 (a) b 1 2) S 1 42 42 0 -1 4194304 100 0 0 0 150 50 0 0 20 0 3 0 12345";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
    }

    #[test]
    fn our_own_figures_are_plausible() {
        let process = Process::of(std::process::id());
        let (resident, highest) = process.memory().unwrap();
        assert!(resident > 100_000 && highest >= resident);
        assert!(process.descriptors().unwrap() >= 3 && process.threads().unwrap() >= 1);
        assert!(process.cpu().is_some() && dropped_everywhere().is_some());
    }

    #[test]
    fn drops_are_counted_by_port() {
        let table = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  12: 0100007F:2710 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 3
  13: 0100007F:2711 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 4
";
        assert_eq!(drops(table, &HashSet::from([10_000])), (3, 4));
    }

    #[test]
    fn receive_errors_are_read_by_name() {
        let snmp = "Tcp: A B\nTcp: 1 2\nUdp: InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors\nUdp: 9 8 7 6 5\n";
        assert_eq!(receive_errors(snmp), Some(5));
    }
}
