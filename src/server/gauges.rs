//! What there is and what has been, in one place: for the log, systemd's status line and tests.

use std::{
    fmt,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
};

/// Counts of what exists now, and of what has happened since the start.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Calls that exist.
    pub calls: Level,
    /// Tasks of calls: one for each, and of those that are over but wait for a last ACK or timer.
    pub tasks: Level,
    /// Dialogs that messages are routed to.
    pub dialogs: Level,
    /// Server transactions that messages are routed to.
    pub transactions: Level,
    /// Final responses kept for retransmissions that come after their call.
    pub tombstones: Level,
    /// Connections of stream transports.
    pub connections: Level,
    /// Relay sessions: one for each call with media.
    pub media_sessions: Level,
    /// Bound media ports, each an RTP or an RTCP one.
    pub media_ports: Level,
    /// Directions of streams that can carry packets.
    pub media_flows: Level,
    /// DTLS handshakes that wait for their peer or their turn, or go on.
    pub dtls_handshakes: Level,
    /// DTLS handshakes that gave keys.
    pub dtls_completed: Count,
    /// DTLS handshakes that gave none.
    pub dtls_failed: Count,
    /// DTLS handshakes that were not begun because there were too many.
    pub dtls_refused: Count,
    /// Calls taken.
    pub taken: Count,
    /// Calls that both sides were up in.
    pub answered: Count,
    /// Calls refused because of `max-calls` or full queues.
    pub refused: Count,
    /// Calls from hosts that are not trusted.
    pub forbidden: Count,
    /// Messages that were no SIP, or broke its rules.
    pub faulty: Count,
    /// Messages that belonged to nothing.
    pub stray: Count,
    /// Messages of calls dropped because the call did not keep up.
    pub dropped: Count,
    /// Calls that ended by a fault of ours.
    pub faults: Count,
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

impl Gauges {
    /// Everything by name, in a fixed order.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let level = |level: &Level| level.now() as u64;
        vec![
            ("calls", level(&self.calls)),
            ("dialogs", level(&self.dialogs)),
            ("transactions", level(&self.transactions)),
            ("tombstones", level(&self.tombstones)),
            ("tasks", level(&self.tasks)),
            ("connections", level(&self.connections)),
            ("media-sessions", level(&self.media_sessions)),
            ("media-ports", level(&self.media_ports)),
            ("media-flows", level(&self.media_flows)),
            ("dtls-handshakes", level(&self.dtls_handshakes)),
            ("dtls-completed", self.dtls_completed.total()),
            ("dtls-failed", self.dtls_failed.total()),
            ("dtls-refused", self.dtls_refused.total()),
            ("taken", self.taken.total()),
            ("answered", self.answered.total()),
            ("refused", self.refused.total()),
            ("forbidden", self.forbidden.total()),
            ("faulty", self.faulty.total()),
            ("stray", self.stray.total()),
            ("dropped", self.dropped.total()),
            ("faults", self.faults.total()),
        ]
    }
}

/// One line: `calls=0 dialogs=0 …`.
impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.list().into_iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}
