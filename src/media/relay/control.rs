//! How many packets of a key agreement one port may hand up.
//!
//! They cost more than a packet of voice does: a copy, a place in the call's inbox, a look at a handshake. Whoever sends
//! from where the peer may be shall not be able to send more of them than a key agreement has.

use std::time::{Duration, Instant};

/// From the signalled address: at once, and then one in each [`Bucket::EACH`]. A handshake with a large RSA certificate
/// over a small MTU has some thirty packets, a lossy one some more.
const SIGNALLED: u8 = 100;
/// From other addresses that the peer may have (behind NAT), all together.
const OTHERS: u8 = 40;

/// The limits of one port.
#[derive(Debug)]
pub(crate) struct Gate {
    /// Where the peer is said to be has room of its own: whoever floods from elsewhere takes nothing from it.
    signalled: Bucket,
    others: Bucket,
}

/// Room for packets, that grows with time up to where it began.
#[derive(Debug)]
struct Bucket {
    size: u8,
    room: u8,
    /// When it last grew.
    grew: Option<Instant>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            signalled: Bucket::new(SIGNALLED),
            others: Bucket::new(OTHERS),
        }
    }
}

impl Gate {
    /// Whether one more packet may pass.
    pub(crate) fn opens(&mut self, signalled: bool, now: Instant) -> bool {
        if signalled {
            self.signalled.take(now)
        } else {
            self.others.take(now)
        }
    }
}

impl Bucket {
    const EACH: Duration = Duration::from_millis(20);

    const fn new(size: u8) -> Self {
        Self {
            size,
            room: size,
            grew: None,
        }
    }

    fn take(&mut self, now: Instant) -> bool {
        let grew = *self.grew.get_or_insert(now);
        let steps = now.saturating_duration_since(grew).as_nanos() / Self::EACH.as_nanos();
        if steps > 0 {
            let steps = u8::try_from(steps).unwrap_or(u8::MAX);
            self.room = self.room.saturating_add(steps).min(self.size);
            self.grew = Some(now);
        }
        let passes = self.room > 0;
        self.room = self.room.saturating_sub(1);
        passes
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_to_a_rate_and_takes_nothing_from_the_signalled_address() {
        let begin = Instant::now();
        let mut gate = Gate::default();
        let passed = |gate: &mut Gate, signalled, range: std::ops::Range<u64>| {
            range
                .filter(|ms| gate.opens(signalled, begin + Duration::from_millis(*ms)))
                .count()
        };
        // 1,000 in one second: those at once, and fifty more.
        let others = passed(&mut gate, false, 0..1000);
        assert!(
            (usize::from(OTHERS)..=usize::from(OTHERS) + 50).contains(&others),
            "{others}"
        );
        assert!(gate.opens(true, begin + Duration::from_millis(999)));
        let signalled = passed(&mut gate, true, 1000..2000);
        assert!((140..=150).contains(&signalled), "{signalled}");
    }

    #[test]
    fn a_pause_makes_room_again_and_no_more_than_there_was() {
        let begin = Instant::now();
        let mut gate = Gate::default();
        while gate.opens(true, begin) {}
        let later = begin + Duration::from_secs(3600);
        assert_eq!(
            (0..500).filter(|_| gate.opens(true, later)).count(),
            usize::from(SIGNALLED)
        );
    }
}
