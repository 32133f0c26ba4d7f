//! Which uses of nonces there were: each counts once (RFC 7616 §3.4, `nc`), so that an answer which somebody has overheard is
//! worth nothing. Only who has shown that it knows a password makes us remember anything.

use super::nonce::NonceId;
use std::collections::BTreeMap;

/// Nonces that are remembered, in some 4 MB: those of 200 callers a second, each of whom has its own.
const MOST: usize = 65_536;
/// How far a count may be behind the highest: requests overtake each other.
const WINDOW: u32 = 64;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Uses {
    known: BTreeMap<NonceId, Counts>,
    /// Nonces up to this one, of which nothing is remembered, are good for nothing any more.
    forgotten: Option<NonceId>,
}

#[derive(Debug)]
struct Counts {
    highest: u32,
    /// Bit n: `highest - n` was there.
    seen: u64,
}

impl Uses {
    /// Whether this use is the first with its count. `oldest`: nonces made before that second are not accepted any more.
    pub(super) fn first(&mut self, nonce: NonceId, count: u32, oldest: u32) -> bool {
        while let Some(entry) = self.known.first_entry()
            && entry.key().second < oldest
        {
            entry.remove();
        }
        if let Some(counts) = self.known.get_mut(&nonce) {
            return counts.first(count);
        }
        if self.forgotten.is_some_and(|last| nonce <= last) {
            return false;
        }
        self.known.insert(
            nonce,
            Counts {
                highest: count,
                seen: 1,
            },
        );
        if self.known.len() > MOST
            && let Some((nonce, _)) = self.known.pop_first()
        {
            self.forgotten = Some(nonce);
        }
        true
    }
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }
}

impl Counts {
    fn first(&mut self, count: u32) -> bool {
        if count > self.highest {
            self.seen = self.seen.checked_shl(count - self.highest).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        if behind >= WINDOW {
            return false;
        }
        let bit = 1 << behind;
        let first = self.seen & bit == 0;
        self.seen |= bit;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    const NONCE: NonceId = NonceId { second: 9, number: 1 };

    proptest! {
        #[test]
        fn no_count_is_taken_twice_and_none_in_order_is_lost(
            counts in prop::collection::vec(prop_oneof![1..200_u32, any::<u32>()], 1..200)
        ) {
            let mut uses = Uses::default();
            let mut taken = HashSet::new();
            let mut highest = 0;
            for count in counts {
                let first = uses.first(NONCE, count, 0);
                prop_assert!(!first || taken.insert(count), "{count} twice");
                prop_assert!(first || count <= highest, "{count} is the highest so far");
                let is_near = highest < count.saturating_add(WINDOW);
                prop_assert!(first || taken.contains(&count) || !is_near, "{count} of {highest}");
                highest = highest.max(count);
            }
        }
    }

    #[test]
    fn what_had_to_be_forgotten_is_not_taken_again() {
        let mut uses = Uses::default();
        let nonce = |number: usize| NonceId {
            second: 1,
            number: number as u32,
        };
        for number in 1..=MOST + 2 {
            assert!(uses.first(nonce(number), 1, 0));
        }
        assert_eq!(uses.len(), MOST);
        for number in [1, 2] {
            assert!(!uses.first(nonce(number), 1, 0) && !uses.first(nonce(number), 7, 0));
        }
        assert!(!uses.first(nonce(3), 1, 0) && uses.first(nonce(3), 2, 0));
    }

    #[test]
    fn what_is_too_old_is_not_remembered() {
        let mut uses = Uses::default();
        assert!(uses.first(NonceId { second: 1, number: 1 }, 1, 0));
        assert!(uses.first(NONCE, 1, 2));
        assert_eq!(uses.len(), 1);
    }
}
