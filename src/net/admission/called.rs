//! The hosts that we have called of late, by name: the table of the gate tells whether a given host is one, and cannot list
//! them.

use super::KNOWN;
use std::{collections::HashMap, net::IpAddr, time::Instant};

/// Hosts that are listed; the one that was called longest ago goes first.
const MOST: usize = 512;

#[derive(Default)]
pub(super) struct Called {
    since: HashMap<IpAddr, Instant>,
    version: u64,
}

impl Called {
    pub(super) fn add(&mut self, host: IpAddr, now: Instant) {
        if self.since.insert(host, now).is_some() {
            return;
        }
        self.version += 1;
        if self.since.len() > MOST {
            let oldest = self.since.iter().min_by_key(|(_, since)| **since);
            if let Some(oldest) = oldest.map(|(host, _)| *host) {
                self.since.remove(&oldest);
            }
        }
    }
    /// Something else has changed that belongs to the list.
    pub(super) fn renew(&mut self) {
        self.version += 1;
    }
    /// Grows when a host comes in.
    pub(super) const fn version(&self) -> u64 {
        self.version
    }
    /// All of them, the latest first; those that are strangers again are forgotten.
    pub(super) fn latest(&mut self, now: Instant) -> Vec<IpAddr> {
        self.since
            .retain(|_, since| now.saturating_duration_since(*since) < KNOWN);
        let mut all: Vec<_> = self.since.iter().map(|(host, since)| (*since, *host)).collect();
        all.sort_unstable_by(|one, other| other.cmp(one));
        all.into_iter().map(|(_, host)| host).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn of_many_hosts_the_latest_are_listed_and_none_for_ever() {
        #[expect(clippy::disallowed_methods, reason = "where time begins; it goes on by hand")]
        let begin = Instant::now();
        let mut called = Called::default();
        let host = |number: u32| IpAddr::from(number.to_be_bytes());
        for number in 0..1_000_u32 {
            called.add(host(number), begin + Duration::from_millis(u64::from(number)));
        }
        let now = begin + Duration::from_secs(1);
        let latest = called.latest(now);
        assert_eq!(latest.len(), MOST);
        assert_eq!(
            (latest[0], latest[MOST - 1]),
            (host(999), host(1_000 - MOST as u32))
        );
        // One that is called again is no news, and is not the next to go.
        let version = called.version();
        called.add(host(999), now);
        assert_eq!(called.version(), version);
        called.add(host(5_000), now);
        assert!(called.version() > version);
        assert_eq!(called.latest(now + KNOWN / 2).len(), MOST);
        assert_eq!(called.latest(now + KNOWN).len(), 0);
    }
}
