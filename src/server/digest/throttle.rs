//! How often a host may try wrong passwords.

use std::{
    hash::{BuildHasher as _, RandomState},
    net::IpAddr,
    time::{Duration, Instant},
};

/// Cells; hosts share them by a hash that nobody outside can foresee, so that no number of hosts takes more memory.
const CELLS: usize = 1 << 14;
/// Wrong passwords at once.
pub(super) const AT_ONCE: u32 = 10;
/// After how long there may be one more.
pub(super) const EACH: Duration = Duration::from_secs(6);

/// Failures of late.
#[derive(Debug)]
pub(super) struct Failures {
    hasher: RandomState,
    /// When each is forgiven all.
    until: Box<[Option<Instant>]>,
}

impl Default for Failures {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            until: vec![None; CELLS].into(),
        }
    }
}

impl Failures {
    /// Whether a host may try once more.
    pub(super) fn allows(&self, host: IpAddr, now: Instant) -> bool {
        let until = self.until.get(self.cell(host)).copied().flatten();
        until.is_none_or(|until| until.saturating_duration_since(now) + EACH <= EACH * AT_ONCE)
    }
    /// A host has failed.
    pub(super) fn add(&mut self, host: IpAddr, now: Instant) {
        let cell = self.cell(host);
        if let Some(until) = self.until.get_mut(cell) {
            *until = Some(until.map_or(now, |until| until.max(now)) + EACH);
        }
    }
    /// An IPv6 network of 64 bits is one host: whoever has one address of it has them all.
    fn cell(&self, host: IpAddr) -> usize {
        let key = match host.to_canonical() {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64,
        };
        self.hasher.hash_one(key) as usize % CELLS
    }
}
