//! A sieve before a UDP socket. What strangers send faster than it may be heard fills the socket's buffer before anybody
//! looks at it, and those who may call find no room: so while that goes on, the kernel is told to let through only one in
//! 2, 4, 8 … of strangers' datagrams, by chance, and all of the hosts that are trusted or called. It does so where a datagram
//! would enter the buffer, by a program of its classic packet filter (`SO_ATTACH_FILTER`), which needs no privilege. As soon
//! as the flood is over the socket has no filter.
//!
//! Who sends with the invented address of a trusted host is taken for that host: an address is all that there is to tell by.

mod program;

use std::time::{Duration, Instant};

pub(super) use program::program;

/// How often it is looked at what comes through.
pub(super) const PERIOD: Duration = Duration::from_millis(50);
/// How often hosts that are new to the list are let through; a program is made anew for it.
const REFRESH: Duration = Duration::from_millis(20);
/// How often the list is made anew in any case.
const RENEW: Duration = Duration::from_secs(5);
/// The least that is heard: one in so many times two.
const FINEST: u32 = 20;
/// How long what was in the buffer before a change may take to be read.
const BACKLOG: Duration = Duration::from_millis(500);

/// How fine the sieve of one socket is.
#[derive(Debug)]
pub(super) struct Sieve {
    /// One in 2 to the power of this is let through; at 0 there is no filter.
    shift: u32,
    /// Datagrams of strangers since `since`.
    heard: u32,
    since: Instant,
    /// What is read was let through by a coarser sieve than this: no reason for a finer one.
    backlog: Option<Instant>,
    /// When the kernel was told last, and with which list.
    told: (Instant, u64),
    /// The kernel takes no filter.
    is_impossible: bool,
}

/// What the kernel is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Let through all of the hosts listed, and of others one in 2 to the power of this.
    Sift(u32),
    /// Let through everything.
    Open,
}

impl Sieve {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            shift: 0,
            heard: 0,
            since: now,
            backlog: None,
            told: (now, 0),
            is_impossible: false,
        }
    }
    pub(super) const fn is_on(&self) -> bool {
        self.shift > 0
    }
    /// A stranger's datagram was read; whether it is time to [`Self::judge`]. `rate`: how many may come in a second.
    pub(super) fn heard(&mut self, now: Instant, rate: u32) -> bool {
        self.heard = self.heard.saturating_add(1);
        self.is_due(now, rate)
    }
    fn is_due(&self, now: Instant, rate: u32) -> bool {
        now.saturating_duration_since(self.since) >= PERIOD || self.heard >= share(rate).saturating_mul(4)
    }
    /// Everything that was there has been read.
    pub(super) fn emptied(&mut self, now: Instant) {
        if self.backlog.take().is_some() {
            self.begin(now);
        }
    }
    fn begin(&mut self, now: Instant) {
        (self.heard, self.since) = (0, now);
    }
    /// What the kernel is to be told now, if anything. `rate`: how many datagrams of strangers may come in a second.
    /// `version`: of the list of those that are none.
    pub(super) fn judge(&mut self, now: Instant, rate: u32, version: u64) -> Option<Order> {
        if self.is_impossible {
            return None;
        }
        let before = self.shift;
        if self.is_due(now, rate) {
            self.adjust(now, rate);
        }
        let (when, with) = self.told;
        let since_told = now.saturating_duration_since(when);
        let is_stale = self.is_on() && (since_told >= RENEW || (with != version && since_told >= REFRESH));
        if self.shift == before && !is_stale {
            return None;
        }
        self.told = (now, version);
        Some(match self.shift {
            0 => Order::Open,
            shift => Order::Sift(shift),
        })
    }
    fn adjust(&mut self, now: Instant, rate: u32) {
        let rate = u128::from(rate.max(1));
        // Less than a millisecond says little of a second.
        let micros = now.saturating_duration_since(self.since).as_micros().max(1_000);
        let comes = u128::from(self.heard) * 1_000_000 / micros;
        let is_backlog = self
            .backlog
            .is_some_and(|since| now.saturating_duration_since(since) < BACKLOG);
        if comes <= 2 * rate {
            let coarser = match comes {
                few if few < rate / 8 => 3,
                some if some < rate / 2 => 1,
                _ => 0,
            };
            self.shift = self.shift.saturating_sub(coarser);
            self.backlog = None;
        } else if !is_backlog {
            // As many times two as bring it down to the rate.
            let times = (comes / rate).ilog2() + 1;
            self.shift = (self.shift + times).min(FINEST);
            self.backlog = Some(now);
        }
        self.begin(now);
    }
    /// The kernel does not do what it was told: it is not told again.
    pub(super) fn give_up(&mut self) {
        self.is_impossible = true;
        self.shift = 0;
    }
}

/// How many there may be of `rate` in one period.
fn share(rate: u32) -> u32 {
    (rate / 20).max(1)
}

#[cfg(test)]
mod tests;
