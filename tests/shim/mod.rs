//! A bad network of ours in a datagram's way, for kernels that have no netem: it drops, doubles and delays.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]
#![allow(
    clippy::disallowed_methods,
    reason = "datagrams on real sockets are late in real time"
)]

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// A packet on its way.
pub(crate) struct Flight {
    pub(crate) bytes: Vec<u8>,
    pub(crate) out: Arc<UdpSocket>,
    pub(crate) to: SocketAddr,
}

/// What becomes of packets, in parts of a hundred.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Faults {
    pub(crate) lost: u64,
    pub(crate) twice: u64,
    /// Late by up to `delay`, each for itself, so that others overtake them.
    pub(crate) late: u64,
    pub(crate) delay: Duration,
}

/// What the network has done.
#[derive(Default)]
pub(crate) struct Weather {
    /// All that came, of the kind that is counted.
    pub(crate) seen: AtomicUsize,
    /// Packets of the kind that is counted which were lost.
    pub(crate) lost: AtomicUsize,
    /// Packets that went twice.
    pub(crate) doubled: AtomicUsize,
    /// Packets that another one which came later overtook.
    pub(crate) overtaken: AtomicUsize,
}

/// xorshift64*: the same weather for the same seed, as far as the order of what comes allows.
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % bound.max(1)
    }
}

/// Drops, doubles and delays what comes by `queue`, until `stop`. Losses count where `counts` says so.
pub(crate) fn fly(
    queue: &mpsc::Receiver<Flight>,
    stop: &AtomicBool,
    weather: &Weather,
    faults: Faults,
    seed: u64,
    counts: impl Fn(&[u8]) -> bool,
) {
    let mut dice = Dice::new(seed);
    let mut waiting: BTreeMap<(Instant, u64), Flight> = BTreeMap::new();
    let mut count = 0;
    while !stop.load(Relaxed) {
        let next = waiting.keys().next().map(|(due, _)| *due);
        let pause = next.map_or(Duration::from_millis(50), |due| {
            due.saturating_duration_since(Instant::now())
        });
        if let Ok(flight) = queue.recv_timeout(pause) {
            let counted = usize::from(counts(&flight.bytes));
            weather.seen.fetch_add(counted, Relaxed);
            if dice.below(100) < faults.lost {
                weather.lost.fetch_add(counted, Relaxed);
                continue;
            }
            let copies = 1 + u64::from(dice.below(100) < faults.twice);
            weather.doubled.fetch_add(copies as usize - 1, Relaxed);
            for _ in 0..copies {
                let late = dice.below(100) < faults.late;
                let delay = if late {
                    dice.below(faults.delay.as_millis() as u64)
                } else {
                    0
                };
                let due = Instant::now() + Duration::from_millis(delay);
                let overtaken = waiting.keys().filter(|(other, _)| *other > due).count();
                weather.overtaken.fetch_add(overtaken, Relaxed);
                count += 1;
                let flight = Flight {
                    bytes: flight.bytes.clone(),
                    out: flight.out.clone(),
                    to: flight.to,
                };
                waiting.insert((due, count), flight);
            }
        }
        while let Some(entry) = waiting
            .first_entry()
            .filter(|entry| entry.key().0 <= Instant::now())
        {
            let flight = entry.remove();
            // What the kernel does not take is lost as well.
            let _ = flight.out.send_to(&flight.bytes, flight.to);
        }
    }
}
