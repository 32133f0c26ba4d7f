//! The four transactions of RFC 3261 §17, with the Accepted states of RFC 6026.
//!
//! A transaction keeps the bytes that it may have to repeat and says when; who owns it knows where they go. It neither parses
//! nor matches: [`super::routing::TransactionKey`] and the branch do that.

mod client;
mod client_invite;
mod server;
mod server_invite;

pub use client::Client;
pub use client_invite::ClientInvite;
pub use server::Server;
pub use server_invite::{AckIs, ServerInvite};

use bytes::Bytes;
use std::time::{Duration, Instant};

/// What became of a response that a client transaction received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Whether the transaction user is to see it: not a repetition.
    pub pass: bool,
    /// An ACK to send (for non-2xx final responses to INVITE).
    pub send: Option<Bytes>,
}

impl Received {
    const ABSORBED: Self = Self {
        pass: false,
        send: None,
    };
    const PASSED: Self = Self {
        pass: true,
        send: None,
    };
}

/// What a deadline brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fired {
    /// Send this again.
    Send(Bytes),
    /// Timer B, F or H: the peer did not react in time. The transaction is over.
    TimedOut,
}

/// A message that is repeated: when next, and at which interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Repeat {
    at: Instant,
    interval: Duration,
}

impl Repeat {
    /// The first repetition; none on transports that are reliable themselves.
    fn start(reliable: bool, interval: Duration, now: Instant) -> Option<Self> {
        (!reliable).then(|| Self {
            at: now + interval,
            interval,
        })
    }
    /// The one after, counted from `now`, so that a late wake-up does not cause a burst.
    fn again(interval: Duration, now: Instant) -> Self {
        Self {
            at: now + interval,
            interval,
        }
    }
}

fn earliest(repeat: Option<Repeat>, end: Instant) -> Instant {
    repeat.map_or(end, |repeat| repeat.at.min(end))
}

#[cfg(test)]
mod tests;
