//! What is said to repetitions of requests and responses whose call has gone.

use crate::{call::Transmit, sip::routing::TransactionKey};
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// 64 * T1: after that nobody repeats anything (RFC 3261 §17).
const LIFE: Duration = Duration::from_secs(32);
/// How many are kept; beyond it the oldest go early.
const MOST: usize = 65_536;

/// Last words by transaction, each for 32 s.
#[derive(Default)]
pub(super) struct Tombstones {
    by_key: HashMap<TransactionKey, (Transmit, Instant)>,
    /// In the order of their expiry. A key that was set again stands here twice.
    order: VecDeque<(Instant, TransactionKey)>,
}

impl Tombstones {
    pub(super) fn len(&self) -> usize {
        self.by_key.len()
    }
    pub(super) fn set(&mut self, key: TransactionKey, words: Transmit, now: Instant) {
        if self.order.len() >= MOST {
            self.pop();
        }
        // Copies of exactly their size: the key is a part of the whole request, and 32 s at 300 calls a second are
        // 20,000 of them.
        let key = TransactionKey {
            branch: key.branch.detached(),
            sent_by: key.sent_by.detached(),
            ..key
        };
        let words = Transmit {
            bytes: Bytes::copy_from_slice(&words.bytes),
            ..words
        };
        let expiry = now + LIFE;
        // A key cut out of a message would keep the whole of it.
        let key = TransactionKey {
            branch: key.branch.detached(),
            sent_by: key.sent_by.detached(),
            method: key.method,
        };
        self.by_key.insert(key.clone(), (words, expiry));
        self.order.push_back((expiry, key));
    }
    pub(super) fn find(&self, key: &TransactionKey) -> Option<&Transmit> {
        self.by_key.get(key).map(|(words, _)| words)
    }
    /// When the next one goes.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.front().map(|(expiry, _)| *expiry)
    }
    /// Forgets those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.next().is_some_and(|expiry| expiry <= now) {
            self.pop();
        }
        if self.order.is_empty() {
            // After a storm the room is given back.
            self.order.shrink_to(1024);
            self.by_key.shrink_to(1024);
        }
    }
    fn pop(&mut self) {
        if let Some((expiry, key)) = self.order.pop_front()
            && self.by_key.get(&key).is_some_and(|(_, last)| *last == expiry)
        {
            self.by_key.remove(&key);
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
    fn a_storm_pushes_the_oldest_out() {
        let now = Instant::now();
        let mut stones = Tombstones::default();
        for branch in 0..MOST + 10 {
            stones.set(key(branch), words("200"), now);
        }
        assert_eq!(stones.len(), MOST);
        assert!(stones.find(&key(9)).is_none() && stones.find(&key(10)).is_some());
    }
}
