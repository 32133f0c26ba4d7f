//! The timer values of RFC 3261 (table 4) and RFC 6026.
//!
//! | timer | value | what for |
//! |---|---|---|
//! | A | T1, doubling | INVITE request, unreliable transport |
//! | B | 64*T1 | INVITE without any response |
//! | D | 32 s, 0 if reliable | client INVITE: repeats ACK to repeated final responses |
//! | E | T1, doubling to T2 | other requests, unreliable |
//! | F | 64*T1 | other requests without final response |
//! | G | T1, doubling to T2 | final response to INVITE, unreliable |
//! | H | 64*T1 | wait for ACK |
//! | I | T4, 0 if reliable | absorbs repeated ACKs |
//! | J | 64*T1, 0 if reliable | repeats final responses to other requests |
//! | K | T4, 0 if reliable | absorbs repeated responses to other requests |
//! | L | 64*T1 | server INVITE accepted (RFC 6026) |
//! | M | 64*T1 | client INVITE accepted (RFC 6026) |

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

impl Timers {
    /// 64*T1: timers B, F, H, J, L and M, in which a message had time to come through seven times.
    pub fn t1_64(&self) -> Duration {
        self.t1 * 64
    }
    /// Timer D: at least 32 s (RFC 3261 §17.1.1.2).
    pub fn d(&self) -> Duration {
        self.t1_64().max(Duration::from_secs(32))
    }
    /// The interval that follows `interval`: doubled, at most T2.
    pub fn backoff(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2)
    }
}
