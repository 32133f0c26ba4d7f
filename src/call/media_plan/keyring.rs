//! Keys that were agreed on at the media's ports, with whom.
//!
//! They stay while the peer is the same by its certificate: a new association with it leaves the old keys in use until it has
//! its own. Of several peers, as forks of a call are, each has its keys: whichever answers last is heard with them.

use crate::{
    media::{Component, SrtpKeys},
    sdp::Fingerprint,
};

/// Peers of all streams of a leg whose keys are kept.
const MOST_PEERS: usize = 16;

/// The keys of one leg.
#[derive(Debug, Default)]
pub(super) struct Keyring(Vec<Keys>);

/// The keys of one stream with one peer.
#[derive(Debug)]
pub(super) struct Keys {
    stream: usize,
    peer: Vec<Fingerprint>,
    pub(super) rtp: Option<SrtpKeys>,
    /// Of the RTCP port, where that has an association of its own.
    pub(super) rtcp: Option<SrtpKeys>,
}

impl Keyring {
    /// The keys of a stream with a peer.
    pub(super) fn find(&self, stream: usize, peer: &[Fingerprint]) -> Option<&Keys> {
        self.0
            .iter()
            .find(|keys| keys.stream == stream && keys.peer == peer)
    }

    /// Takes keys in the place of those before.
    pub(super) fn set(
        &mut self,
        stream: usize,
        peer: Vec<Fingerprint>,
        component: Component,
        keys: SrtpKeys,
    ) {
        let known = self
            .0
            .iter()
            .position(|known| known.stream == stream && known.peer == peer);
        // The newest is the last.
        let mut entry = match known {
            Some(place) => self.0.remove(place),
            None => Keys {
                stream,
                peer,
                rtp: None,
                rtcp: None,
            },
        };
        match component {
            Component::Rtp => entry.rtp = Some(keys),
            Component::Rtcp => entry.rtcp = Some(keys),
        }
        if self.0.len() >= MOST_PEERS {
            self.0.remove(0);
        }
        self.0.push(entry);
    }

    /// The stream was taken out: should it come back, with new ports, it is keyed anew.
    pub(super) fn forget(&mut self, stream: usize) {
        self.0.retain(|keys| keys.stream != stream);
    }
}
