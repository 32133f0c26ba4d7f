//! What was refused lately, so that an INVITE which is repeated is one call and no more.

use crate::sip::routing::TransactionKey;
use std::{
    collections::{HashSet, VecDeque, hash_map::RandomState},
    hash::BuildHasher as _,
};

/// Transactions that are remembered, in some 2 MB: those of the 32 s in which an INVITE may be repeated (RFC 3261 §17.1.1.2,
/// timer B) at 2,000 refusals a second.
const MOST: usize = 65_536;
/// Refusals of strangers in a second that get a line of the log and, if they are calls, a record each; how many more there are
/// stands in the metrics.
const STRANGERS: u32 = 100;

/// Remembers the last transactions, and how many strangers there were in this second.
#[derive(Default)]
pub(super) struct Recent {
    hasher: RandomState,
    known: HashSet<u64>,
    order: VecDeque<u64>,
    strangers: u32,
}

impl Recent {
    /// Whether it is the first time.
    pub(super) fn is_new(&mut self, key: &TransactionKey) -> bool {
        let hash = self.hasher.hash_one(key);
        if !self.known.insert(hash) {
            return false;
        }
        self.order.push_back(hash);
        if self.order.len() > MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
    /// Whether it was there before.
    pub(super) fn knows(&self, key: &TransactionKey) -> bool {
        self.known.contains(&self.hasher.hash_one(key))
    }
    /// Whether one more stranger gets a record: who floods us shall not fill the disk.
    pub(super) const fn takes_stranger(&mut self) -> bool {
        self.strangers += 1;
        self.strangers <= STRANGERS
    }
    /// A second has passed.
    pub(super) const fn tick(&mut self) {
        self.strangers = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::{Message, parse};

    fn key(number: usize) -> TransactionKey {
        let text = format!(
            "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK{number}\r\nFrom: <sip:a@h>;tag=1\r\n\
             To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        );
        match parse::message(text.into()).expect("a message").0 {
            Message::Request(request) => TransactionKey::of(&request).expect("a key"),
            Message::Response(_) => unreachable!("it is a request"),
        }
    }

    #[test]
    fn a_repetition_is_known_and_what_is_remembered_is_bounded() {
        let mut recent = Recent::default();
        assert!(!recent.knows(&key(0)));
        assert!(recent.is_new(&key(0)));
        assert!(recent.knows(&key(0)));
        assert!(!recent.is_new(&key(0)));
        for number in 1..=MOST {
            assert!(recent.is_new(&key(number)));
        }
        assert_eq!((recent.known.len(), recent.order.len()), (MOST, MOST));
        assert!(recent.is_new(&key(0)), "long ago");
        assert!(!recent.is_new(&key(MOST)));
    }

    #[test]
    fn strangers_get_so_many_records_a_second() {
        let mut recent = Recent::default();
        let taken = |recent: &mut Recent| (0..1000).filter(|_| recent.takes_stranger()).count();
        assert_eq!(taken(&mut recent), STRANGERS as usize);
        recent.tick();
        assert_eq!(taken(&mut recent), STRANGERS as usize);
    }
}
