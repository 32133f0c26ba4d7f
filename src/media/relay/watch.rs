//! What one side is watched for besides its packets: that nothing comes any more, and that the first one came under a key.

use crate::media::{Connect, KeyAgreement, Protection};
use std::time::{Duration, Instant};

/// Watches for the silence of a side.
#[derive(Debug, Default)]
pub(super) struct Silence {
    limit: Option<Duration>,
    heard: Option<Instant>,
    reported: bool,
}

impl Silence {
    /// From now on, for the time that `Connect` gives.
    pub(super) const fn since(connect: &Connect, now: Instant) -> Self {
        Self {
            limit: connect.silence,
            heard: Some(now),
            reported: false,
        }
    }

    /// Something came.
    #[inline]
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard = Some(now);
        self.reported = false;
    }

    /// Whether nothing came for that time. Told once.
    pub(super) fn fell(&mut self, now: Instant) -> bool {
        let (Some(limit), Some(heard), false) = (self.limit, self.heard, self.reported) else {
            return false;
        };
        self.reported = now.saturating_duration_since(heard) >= limit;
        self.reported
    }
}

/// Whether the peer has shown that it has the key that ZRTP gave: its first packet does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Proof {
    /// Told, or nobody waits for it.
    #[default]
    Told,
    /// Nothing has come under the key yet.
    Awaited,
    /// Something has.
    Given,
}

impl Proof {
    /// What `Connect` says is there from now on; `known`: its key was there before.
    pub(super) const fn expect(&mut self, connect: &Connect, known: bool) {
        match (connect.agreement, &connect.receive) {
            (Some(KeyAgreement::Zrtp), _) if known => {}
            (Some(KeyAgreement::Zrtp), Protection::Srtp(_)) => *self = Self::Awaited,
            _ => *self = Self::Told,
        }
    }

    /// The first packet under the key came.
    #[inline]
    pub(super) const fn give(&mut self) {
        if matches!(self, Self::Awaited) {
            *self = Self::Given;
        }
    }

    /// Whether it was given. Told once for each key.
    #[inline]
    pub(super) const fn take(&mut self) -> bool {
        let given = matches!(self, Self::Given);
        if given {
            *self = Self::Told;
        }
        given
    }
}
