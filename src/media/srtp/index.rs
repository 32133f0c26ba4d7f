//! Packet indices: estimating the 48-bit one (RFC 3711 §3.3.1) and never taking one twice (§3.3.2).

use std::ops::RangeInclusive;

/// The last index of an SRTP stream: after it the key is used up (RFC 3711 §9.2).
pub(super) const LAST_RTP: u64 = (1 << 48) - 1;
/// The last index of an SRTCP stream.
pub(super) const LAST_RTCP: u32 = (1 << 31) - 1;
/// Indices below the highest one that are told apart. RFC 3711 §3.3.2 asks for at least 64.
pub(super) const WINDOW: u64 = 128;

/// What was taken of one stream: the highest index and which of those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    highest: u64,
    /// Bit n stands for `highest - n`.
    seen: u128,
}

impl Window {
    /// A stream whose first packet has this index.
    pub(super) const fn starting(index: u64) -> Self {
        Self {
            highest: index,
            seen: 1,
        }
    }

    /// The highest index so far.
    pub(super) const fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether this index is new and not too old to tell.
    #[inline]
    pub(super) const fn is_fresh(&self, index: u64) -> bool {
        if index > self.highest {
            return true;
        }
        let behind = self.highest - index;
        behind < WINDOW && self.seen >> behind & 1 == 0
    }

    /// Takes an index that is fresh and genuine. `true`: it is the highest now.
    #[inline]
    pub(super) const fn take(&mut self, index: u64) -> bool {
        if index > self.highest {
            let ahead = index - self.highest;
            self.seen = if ahead < WINDOW { self.seen << ahead | 1 } else { 1 };
            self.highest = index;
            return true;
        }
        let behind = self.highest - index;
        if behind < WINDOW {
            self.seen |= 1 << behind;
        }
        false
    }

    /// The index that a packet with this sequence number most probably has: the one nearest to the highest. `None`: it
    /// would lie before the stream's beginning or after the key's end.
    #[inline]
    pub(super) const fn estimate(&self, sequence: u16) -> Option<u64> {
        nearest(self.highest, sequence)
    }
}

/// The index nearest to `highest` with this sequence number.
#[inline]
pub(super) const fn nearest(highest: u64, sequence: u16) -> Option<u64> {
    let last = highest as u16;
    let ahead = sequence.wrapping_sub(last);
    // Half the circle away is both ahead and behind: RFC 3711 then leaves the rollover counter as it is.
    let index = if ahead < 1 << 15 || (ahead == 1 << 15 && sequence > last) {
        highest + ahead as u64
    } else {
        let behind = 0x1_0000 - ahead as u64;
        if behind > highest {
            return None;
        }
        highest - behind
    };
    if index > LAST_RTP { None } else { Some(index) }
}

/// The index of a rollover counter and a sequence number.
pub(super) fn index(roc: u64, sequence: u16) -> Option<u64> {
    const ROCS: RangeInclusive<u64> = 0..=0xffff_ffff;
    ROCS.contains(&roc).then_some(roc << 16 | u64::from(sequence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_nearest_index_is_estimated() {
        let rows = [
            (0, 1, Some(1)),
            (0, 0x7fff, Some(0x7fff)),
            // RFC 3711 would roll below zero here; there is nothing before the beginning.
            (0, 0x8000, Some(0x8000)),
            (0, 0x8001, None),
            (5, 0xffff, None),
            (0xffff, 0, Some(0x1_0000)),
            (0x1_0000, 0xffff, Some(0xffff)),
            (0x1_7fff, 0xffff, Some(0x1_ffff)),
            (0x1_8000, 0x0000, Some(0x1_0000)),
            (0x1_8001, 0x0000, Some(0x2_0000)),
            (LAST_RTP, 0xffff, Some(LAST_RTP)),
            (LAST_RTP, 0, None),
        ];
        for (highest, sequence, expected) in rows {
            assert_eq!(nearest(highest, sequence), expected, "{highest:x} {sequence:x}");
        }
    }

    #[test]
    fn a_window_takes_each_index_once() {
        let mut window = Window::starting(1000);
        assert!(!window.is_fresh(1000));
        assert!(window.is_fresh(999) && window.is_fresh(1000 - 127));
        assert!(!window.is_fresh(1000 - 128), "too old to tell");
        assert!(!window.take(999));
        assert!(!window.is_fresh(999));
        assert!(window.take(1001));
        assert!(!window.is_fresh(1000) && !window.is_fresh(999) && window.is_fresh(998));
        assert!(window.take(1001 + 128));
        assert!(!window.is_fresh(1001), "moved out of the window");
        assert!(window.is_fresh(1002));
    }

    proptest! {
        #[test]
        fn a_window_agrees_with_a_set(steps in proptest::collection::vec(0u64..600, 1..400)) {
            let mut window = Window::starting(steps[0]);
            let mut taken = std::collections::HashSet::from([steps[0]]);
            for index in steps {
                let old = index + WINDOW <= window.highest();
                prop_assert_eq!(window.is_fresh(index), !old && !taken.contains(&index));
                if window.is_fresh(index) {
                    window.take(index);
                    taken.insert(index);
                }
            }
        }
    }
}
