//! A ZRTP cache that forgets nothing and writes nothing down.

use crate::media::zrtp::{Retained, Update, Zid};
use std::collections::BTreeMap;

/// What one side retains of its ZRTP peers (RFC 6189 §4.9).
#[derive(Clone, Debug, Default)]
pub struct FakeCache(pub BTreeMap<Zid, Retained>);

impl FakeCache {
    /// What is retained of a peer; nothing of a stranger.
    pub fn of(&self, peer: Zid) -> Retained {
        self.0.get(&peer).cloned().unwrap_or_default()
    }
    /// Keeps what came of an exchange.
    pub fn update(&mut self, update: Update) {
        match update {
            Update::Secrets { peer, retained, .. } => {
                self.0.insert(peer, retained);
            }
            Update::Verified { peer, verified } => {
                if let Some(retained) = self.0.get_mut(&peer) {
                    retained.verified = verified;
                }
            }
            Update::Forget { peer } => {
                self.0.remove(&peer);
            }
        }
    }
}
