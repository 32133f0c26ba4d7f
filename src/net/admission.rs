//! How much of strangers is heard. A stranger is a host that may not call and that we have not called: what it sends is
//! answered with 403 at best, so it gets little time, and its addresses may be invented.
//!
//! Memory is the same however many addresses send: sources share cells of two tables, by a hash that nobody outside can
//! foresee.

mod called;

use called::Called;
use std::{
    fmt,
    hash::{BuildHasher, RandomState},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Cells of each table.
const CELLS: usize = 1 << 16;
/// How long a host that we have sent a request to is none of the strangers.
const KNOWN: Duration = Duration::from_secs(600);

/// An address and the length of its prefix.
pub type Network = (IpAddr, u8);

/// What strangers may take, and who is none.
#[derive(Clone)]
pub struct Admission {
    /// Whether a host may call.
    pub trusts: Arc<dyn Fn(IpAddr) -> bool + Send + Sync>,
    /// The hosts that may call, as networks with the lengths of their prefixes: for what cannot ask of each.
    pub listed: Arc<dyn Fn() -> Vec<Network> + Send + Sync>,
    /// Messages and connections that one stranger may begin in a second; twice as many at once.
    pub per_source: u32,
    /// The same of all strangers together.
    pub of_strangers: u32,
}

impl Default for Admission {
    fn default() -> Self {
        Self {
            trusts: Arc::new(|_| false),
            listed: Arc::new(Vec::new),
            per_source: 50,
            of_strangers: 2_000,
        }
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Admission")
            .field("per_source", &self.per_source)
            .field("of_strangers", &self.of_strangers)
            .finish_non_exhaustive()
    }
}

/// What has been turned away since the start.
#[derive(Debug, Default)]
pub(super) struct Turned {
    /// Messages and connections beyond what strangers may send, of those that were read.
    pub(super) limited: AtomicU64,
    /// Connections closed because they were slow, silent, or too many.
    pub(super) cut: AtomicU64,
}

/// Counts what comes.
pub(super) struct Gate {
    rules: RwLock<Admission>,
    hasher: RandomState,
    /// What each source has taken.
    sources: Box<[Bucket]>,
    /// When each host was last sent a request, in milliseconds since `epoch`, plus one.
    known: Box<[AtomicU64]>,
    /// The same of the latest, by name.
    called: Mutex<Called>,
    strangers: Bucket,
    pub(super) turned: Turned,
    epoch: Instant,
}

/// Whose a message is, and whether it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admitted {
    /// Of a host that may call, or that we call.
    Known,
    /// Of a stranger that has not taken too much.
    Stranger,
    /// Of a stranger; not taken.
    Refused,
}

/// A leaky bucket in one word: when it will be empty, in microseconds since the epoch.
#[derive(Default)]
struct Bucket(AtomicU64);

impl Bucket {
    /// Takes one of `rate` in a second, of twice as many at once.
    fn take(&self, rate: u32, now: u64) -> bool {
        let rate = u64::from(rate.max(1));
        let (cost, room) = (1_000_000 / rate, 2_000_000);
        let taken = self.0.fetch_update(Relaxed, Relaxed, |empty| {
            let next = empty.max(now) + cost;
            (next <= now + room).then_some(next)
        });
        taken.is_ok()
    }
}

impl Gate {
    pub(super) fn new(epoch: Instant) -> Self {
        Self {
            rules: RwLock::default(),
            hasher: RandomState::new(),
            sources: (0..CELLS).map(|_| Bucket::default()).collect(),
            known: (0..CELLS).map(|_| AtomicU64::new(0)).collect(),
            called: Mutex::default(),
            strangers: Bucket::default(),
            turned: Turned::default(),
            epoch,
        }
    }
    pub(super) fn rule(&self, rules: Admission) {
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = rules;
        self.calls().renew();
    }
    /// Whether a host may call, or is one that we call.
    pub(super) fn knows(&self, host: IpAddr, now: Instant) -> bool {
        let since = self.known_cell(host).load(Relaxed);
        let now = self.since_epoch(now).as_millis();
        let is_called = since > 0 && now.saturating_sub(u128::from(since - 1)) < KNOWN.as_millis();
        is_called || (self.rules.read().unwrap_or_else(PoisonError::into_inner).trusts)(host)
    }
    /// Whether one more message of this host, or one more connection, is taken.
    pub(super) fn admits(&self, host: IpAddr, now: Instant) -> bool {
        self.admit(host, now) != Admitted::Refused
    }
    /// The same, and whether the host is a stranger.
    pub(super) fn admit(&self, host: IpAddr, now: Instant) -> Admitted {
        if self.knows(host, now) {
            return Admitted::Known;
        }
        let (per_source, of_strangers) = {
            let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
            (rules.per_source, rules.of_strangers)
        };
        let at = u64::try_from(self.since_epoch(now).as_micros()).unwrap_or(u64::MAX / 2);
        let taken = self
            .sources
            .get(self.cell(host))
            .is_some_and(|bucket| bucket.take(per_source, at))
            && self.strangers.take(of_strangers, at);
        if taken {
            Admitted::Stranger
        } else {
            self.turned.limited.fetch_add(1, Relaxed);
            Admitted::Refused
        }
    }
    /// Datagrams of strangers that may be read in a second at one socket: twice as many as are taken, so that each source
    /// has its share of them however much another sends.
    pub(super) fn readable(&self) -> u32 {
        let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
        rules.of_strangers.saturating_mul(2).max(1_000)
    }
    /// A request goes to this host: it will answer.
    pub(super) fn called(&self, host: IpAddr, now: Instant) {
        let at = u64::try_from(self.since_epoch(now).as_millis()).unwrap_or(u64::MAX - 1);
        self.known_cell(host).store(at + 1, Relaxed);
        self.calls().add(host.to_canonical(), now);
    }
    fn calls(&self) -> std::sync::MutexGuard<'_, Called> {
        self.called.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Changes when [`Self::known`] does, but for hosts that leave it.
    pub(super) fn version(&self) -> u64 {
        self.calls().version()
    }
    /// Who is no stranger: networks that may call, and the hosts that we have called of late, the latest first.
    pub(super) fn known(&self, now: Instant) -> (Vec<Network>, Vec<IpAddr>) {
        let listed = {
            let rules = self.rules.read().unwrap_or_else(PoisonError::into_inner);
            rules.listed.clone()
        };
        (listed(), self.calls().latest(now))
    }
    fn since_epoch(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }
    fn known_cell(&self, host: IpAddr) -> &AtomicU64 {
        // The index is below CELLS, the length of the table.
        self.known.get(self.cell(host)).unwrap_or(&NOBODY)
    }
    /// An IPv6 network of 64 bits is one source: whoever has one address of it has them all.
    fn cell(&self, host: IpAddr) -> usize {
        let key = match host.to_canonical() {
            IpAddr::V4(ip) => u64::from(u32::from(ip)),
            IpAddr::V6(ip) => (u128::from(ip) >> 64) as u64,
        };
        self.hasher.hash_one(key) as usize % CELLS
    }
}

static NOBODY: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(per_source: u32, of_strangers: u32) -> (Gate, Instant) {
        #[expect(clippy::disallowed_methods, reason = "where time begins; it goes on by hand")]
        let epoch = Instant::now();
        let gate = Gate::new(epoch);
        gate.rule(Admission {
            trusts: Arc::new(|host| host == IpAddr::from([192, 0, 2, 1])),
            listed: Arc::new(|| vec![([192, 0, 2, 1].into(), 32)]),
            per_source,
            of_strangers,
        });
        (gate, epoch)
    }

    fn taken(gate: &Gate, host: [u8; 4], now: Instant, of: usize) -> usize {
        (0..of).filter(|_| gate.admits(host.into(), now)).count()
    }

    #[test]
    fn a_stranger_has_its_rate_and_twice_that_at_once_and_nobody_elses() {
        let (gate, begin) = gate(50, 1_000_000);
        assert_eq!(taken(&gate, [198, 51, 100, 1], begin, 500), 100);
        assert_eq!(
            taken(&gate, [198, 51, 100, 1], begin + Duration::from_secs(1), 500),
            50
        );
        assert_eq!(taken(&gate, [198, 51, 100, 2], begin, 60), 60);
        assert_eq!(gate.turned.limited.load(Relaxed), 400 + 450);
    }

    #[test]
    fn a_million_invented_addresses_have_no_more_than_all_strangers_may_have() {
        let (gate, begin) = gate(50, 2_000);
        let all = (0..1_000_000_u32).filter(|number| gate.admits(IpAddr::from(number.to_be_bytes()), begin));
        assert_eq!(all.count(), 4_000);
        // And those that may call have what they had.
        assert_eq!(taken(&gate, [192, 0, 2, 1], begin, 10_000), 10_000);
    }

    #[test]
    fn who_was_called_is_no_stranger_for_a_while() {
        let (gate, begin) = gate(1, 1);
        let host = [203, 0, 113, 9];
        gate.called(host.into(), begin);
        assert_eq!(taken(&gate, host, begin + KNOWN / 2, 1_000), 1_000);
        assert!(taken(&gate, host, begin + KNOWN * 2, 1_000) <= 2);
    }

    #[test]
    fn an_ipv6_network_is_one_source() {
        let (gate, begin) = gate(10, 1_000_000);
        let address = |last: u16| IpAddr::from([0x2001, 0xdb8, 0, 1, 0, 0, 0, last]);
        let count = (0..1_000)
            .filter(|&last| gate.admits(address(last), begin))
            .count();
        assert_eq!(count, 20);
    }
}
