//! The timer values of RFC 3261 (table 4) and RFC 6026.

use std::time::Duration;

/// Base values, from which all others follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate, 500 ms.
    pub t1: Duration,
    /// Longest retransmission interval of non-INVITE requests and 2xx, 4 s.
    pub t2: Duration,
    /// How long a message lives in the network, 5 s.
    pub t4: Duration,
    /// Longest wait for a final response after a provisional one: the unanswered time (240 s as Flexisip).
    pub unanswered: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            unanswered: Duration::from_secs(240),
        }
    }
}
