//! ZRTP's retained secrets of peers (RFC 6189 §4.9), as long as this process lives.

use crate::{
    media::zrtp::{Lifetime, Retained, Update, Zid},
    sip::Ids,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Peers that are remembered; the one that was stored first makes room. Anyone who may call can bring a new identity.
const MOST_PEERS: usize = 100_000;

/// What is known of all peers, and who we are to them.
#[derive(Debug)]
pub(super) struct Secrets {
    zid: Zid,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    peers: HashMap<Zid, Entry>,
    order: VecDeque<Zid>,
}

#[derive(Debug)]
struct Entry {
    retained: Retained,
    until: Option<Instant>,
}

impl Secrets {
    /// Nothing is known yet, and nobody has met us.
    pub(super) fn new(ids: &mut Ids) -> Self {
        let mut zid = [0; 12];
        ids.fill(&mut zid);
        Self {
            zid: Zid(zid),
            known: Mutex::default(),
        }
    }
    /// Our identity.
    pub(super) fn zid(&self) -> Zid {
        self.zid
    }
    /// What is known of a peer.
    pub(super) fn lookup(&self, peer: Zid, now: Instant) -> Retained {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = known.peers.get(&peer);
        entry
            .filter(|entry| entry.until.is_none_or(|until| now < until))
            .map(|entry| entry.retained.clone())
            .unwrap_or_default()
    }
    /// Takes what a call has agreed on.
    pub(super) fn store(&self, update: Update, now: Instant) {
        let known = &mut *self.known.lock().unwrap_or_else(PoisonError::into_inner);
        match update {
            Update::Secrets {
                peer,
                retained,
                lifetime,
            } => {
                let until = match lifetime {
                    Lifetime::Forever => None,
                    Lifetime::Seconds(seconds) => Some(now + Duration::from_secs(seconds.into())),
                };
                if known.peers.insert(peer, Entry { retained, until }).is_none() {
                    known.order.push_back(peer);
                }
                while known.peers.len() > MOST_PEERS
                    && let Some(first) = known.order.pop_front()
                {
                    known.peers.remove(&first);
                }
            }
            Update::Verified { peer, verified } => {
                if let Some(entry) = known.peers.get_mut(&peer) {
                    entry.retained.verified = verified;
                }
            }
            Update::Forget { peer } => {
                known.peers.remove(&peer);
                known.order.retain(|known| *known != peer);
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
mod tests {
    use super::*;
    use crate::media::zrtp::Secret;

    fn secret(octet: u8) -> Retained {
        Retained {
            rs1: Some(Secret([octet; 32].into())),
            ..Retained::default()
        }
    }

    #[test]
    fn what_was_stored_is_known_until_it_ends_or_is_forgotten() {
        let (now, peer) = (Instant::now(), Zid([7; 12]));
        let secrets = Secrets::new(&mut Ids::seeded(1));
        assert_eq!(secrets.lookup(peer, now), Retained::default());
        let store = |lifetime| {
            let retained = secret(1);
            secrets.store(
                Update::Secrets {
                    peer,
                    retained,
                    lifetime,
                },
                now,
            );
        };
        store(Lifetime::Seconds(10));
        assert_eq!(secrets.lookup(peer, now + Duration::from_secs(9)), secret(1));
        assert_eq!(
            secrets.lookup(peer, now + Duration::from_secs(10)),
            Retained::default()
        );
        store(Lifetime::Forever);
        secrets.store(Update::Verified { peer, verified: true }, now);
        assert!(secrets.lookup(peer, now + Duration::from_secs(100)).verified);
        secrets.store(Update::Forget { peer }, now);
        assert_eq!(secrets.lookup(peer, now), Retained::default());
    }

    #[test]
    fn strangers_do_not_fill_the_memory() {
        let now = Instant::now();
        let secrets = Secrets::new(&mut Ids::seeded(1));
        for number in 0..=MOST_PEERS as u64 {
            let mut zid = [0; 12];
            zid[..8].copy_from_slice(&number.to_be_bytes());
            secrets.store(
                Update::Secrets {
                    peer: Zid(zid),
                    retained: secret(1),
                    lifetime: Lifetime::Forever,
                },
                now,
            );
        }
        assert_eq!(
            secrets.lookup(Zid([0; 12]), now),
            Retained::default(),
            "the first"
        );
        assert_eq!(secrets.known.lock().unwrap().peers.len(), MOST_PEERS);
    }
}
