//! What is said to repetitions of requests and responses whose call has gone.

use crate::{call::Transmit, sip::routing::TransactionKey};
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// 64 * T1: after that nobody repeats anything (RFC 3261 §17).
const LIFE: Duration = Duration::from_secs(32);
/// How long words are gathered in one yard, and so how much longer than [`LIFE`] some of them may stay.
const SPAN: Duration = Duration::from_secs(8);
/// How many words one yard takes: what a table of 8,192 buckets holds.
const YARD: usize = 7_168;
/// How many yards there may be; beyond it the oldest goes early.
const YARDS: usize = 9;

/// Last words by transaction, each for 32 s and at most 8 s more.
///
/// They are kept in yards by age, and a yard goes as a whole. In one table for all, from which each is taken when its time is
/// over, the slots of those that went are used up sooner or later; it then doubles while somebody waits, although there are no
/// more in it than before.
#[derive(Default)]
pub(super) struct Tombstones {
    /// From the oldest to the newest.
    yards: VecDeque<Yard>,
}

/// The words of some seconds.
struct Yard {
    opened: Instant,
    last: Instant,
    words: HashMap<TransactionKey, Transmit>,
}

impl Tombstones {
    /// How many there are. Words that replace older ones of the same transaction count beside those.
    pub(super) fn len(&self) -> usize {
        self.yards.iter().map(|yard| yard.words.len()).sum()
    }
    pub(super) fn set(&mut self, key: TransactionKey, words: Transmit, now: Instant) {
        // Copies of exactly their size: both are parts of whole messages, and 32 s at 300 calls a second are 20,000 of them.
        let key = TransactionKey {
            branch: key.branch.detached(),
            sent_by: key.sent_by.detached(),
            ..key
        };
        let words = Transmit {
            bytes: Bytes::copy_from_slice(&words.bytes),
            ..words
        };
        let yard = self.open_at(now);
        yard.last = now;
        yard.words.insert(key, words);
    }
    /// The newest yard, as long as it takes more.
    fn open_at(&mut self, now: Instant) -> &mut Yard {
        let takes = |yard: &Yard| yard.words.len() < YARD && now < yard.opened + SPAN;
        if !self.yards.back().is_some_and(takes) {
            if self.yards.len() >= YARDS {
                self.yards.pop_front();
            }
            // As many as in the last seconds are to be expected.
            let room = self.yards.back().map_or(0, |yard| yard.words.len());
            self.yards.push_back(Yard {
                opened: now,
                last: now,
                words: HashMap::with_capacity(room),
            });
        }
        let newest = self.yards.len() - 1;
        &mut self.yards[newest]
    }
    pub(super) fn find(&self, key: &TransactionKey) -> Option<&Transmit> {
        self.yards.iter().rev().find_map(|yard| yard.words.get(key))
    }
    /// When the next ones go.
    pub(super) fn next(&self) -> Option<Instant> {
        self.yards.front().map(|yard| yard.last + LIFE)
    }
    /// Forgets those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.next().is_some_and(|expiry| expiry <= now) {
            self.yards.pop_front();
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a point in time to count from")]
mod tests {
    use super::*;
    use crate::sip::{
        Method,
        routing::{Destination, FlowId, Source, Transport},
    };

    fn key(branch: usize) -> TransactionKey {
        TransactionKey {
            branch: format!("z9hG4bK{branch}").into(),
            sent_by: "192.0.2.1:5060".into(),
            method: Method::Invite,
        }
    }
    fn words(text: &'static str) -> Transmit {
        let address = ([192, 0, 2, 1], 5060).into();
        let source = Source {
            transport: Transport::Udp,
            local: address,
            remote: address,
            flow: FlowId(0),
        };
        Transmit {
            bytes: text.into(),
            to: Destination::Reply { source, address },
        }
    }

    #[test]
    fn last_words_are_kept_for_32_seconds_after_they_were_last_set() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut stones = Tombstones::default();
        stones.set(key(1), words("486"), start);
        stones.set(key(1), words("487"), start + 10 * second);
        stones.expire(start + 40 * second);
        assert_eq!(stones.find(&key(1)), Some(&words("487")));
        stones.expire(start + 42 * second);
        assert_eq!(stones.find(&key(1)), None);
        assert_eq!((stones.len(), stones.next()), (0, None));
    }

    #[test]
    fn words_stay_as_long_as_they_must_and_little_longer_however_many_follow() {
        let start = Instant::now();
        let second = Duration::from_secs(1);
        let mut stones = Tombstones::default();
        let mut most = 0;
        for at in 0..600 {
            let now = start + at * second;
            stones.expire(now);
            for branch in 0..700 {
                stones.set(key(at as usize * 1_000 + branch), words("200"), now);
            }
            most = most.max(stones.len());
            let of = |ago: u32| at.checked_sub(ago).map(|then| key(then as usize * 1_000));
            assert!(of(31).is_none_or(|key| stones.find(&key).is_some()), "{at}");
            assert!(of(40).is_none_or(|key| stones.find(&key).is_none()), "{at}");
        }
        assert!((32 * 700..=40 * 700).contains(&most), "{most}");
        let room: usize = stones.yards.iter().map(|yard| yard.words.capacity()).sum();
        assert!(room <= 5 * YARD, "{room}");
    }

    #[test]
    fn a_storm_pushes_the_oldest_out() {
        let now = Instant::now();
        let mut stones = Tombstones::default();
        for branch in 0..YARDS * YARD + 10 {
            stones.set(key(branch), words("200"), now);
        }
        assert_eq!(stones.len(), (YARDS - 1) * YARD + 10);
        assert!(stones.find(&key(YARD - 1)).is_none() && stones.find(&key(YARD)).is_some());
    }
}
