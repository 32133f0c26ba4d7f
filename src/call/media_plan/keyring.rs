//! Keys that were agreed on at the media's ports, with whom.
//!
//! They stay while the peer is the same: a new DTLS association with the same certificate leaves the old keys in use until it
//! has its own. Of several peers, as forks of a call are, each has its keys: whichever answers last is heard with them.

use crate::{
    media::{Component, Protection, Protections, SrtpKey, SrtpKeys},
    sdp::Fingerprint,
};

/// Peers of all streams of a leg whose keys are kept.
const MOST_PEERS: usize = 16;

/// Who keys were agreed on with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party {
    /// Whoever shows one of these certificates.
    Certificate(Vec<Fingerprint>),
    /// The peer of that ZRTP association of the leg.
    Zrtp(u32),
}

/// The keys of one leg.
#[derive(Debug, Default)]
pub(super) struct Keyring(Vec<Keys>);

/// The keys of one stream with one peer.
#[derive(Debug)]
pub(super) struct Keys {
    stream: usize,
    party: Party,
    rtp: Halves,
    /// Of the RTCP port, where that has an association of its own.
    rtcp: Halves,
}

/// The keys of both directions, each as it comes.
#[derive(Debug, Default)]
struct Halves {
    receive: Option<SrtpKey>,
    send: Option<SrtpKey>,
}

impl Halves {
    /// What has no key passes nothing.
    fn protections(&self) -> Protections {
        let of = |key: &Option<SrtpKey>| key.clone().map_or(Protection::Blocked, Protection::Srtp);
        Protections {
            receive: of(&self.receive),
            send: of(&self.send),
        }
    }
}

impl Keys {
    /// What protects a port.
    pub(super) fn protections(&self, component: Component) -> Protections {
        match component {
            Component::Rtp => self.rtp.protections(),
            Component::Rtcp => self.rtcp.protections(),
        }
    }
    /// Whether both directions of RTP have their keys.
    pub(super) fn are_whole(&self) -> bool {
        self.rtp.receive.is_some() && self.rtp.send.is_some()
    }
}

impl Keyring {
    /// The keys of a stream with a peer.
    pub(super) fn find(&self, stream: usize, party: &Party) -> Option<&Keys> {
        self.0
            .iter()
            .find(|keys| keys.stream == stream && keys.party == *party)
    }

    /// The entry of a stream with a peer, made if need be: the newest.
    fn entry(&mut self, stream: usize, party: Party) -> &mut Keys {
        let known = self
            .0
            .iter()
            .position(|known| known.stream == stream && known.party == party);
        let entry = match known {
            Some(place) => self.0.remove(place),
            None => Keys {
                stream,
                party,
                rtp: Halves::default(),
                rtcp: Halves::default(),
            },
        };
        if self.0.len() >= MOST_PEERS {
            self.0.remove(0);
        }
        self.0.push(entry);
        self.0.last_mut().expect("it was pushed just now")
    }

    /// Takes keys of a port in the place of those before.
    pub(super) fn set(&mut self, stream: usize, party: Party, component: Component, keys: SrtpKeys) {
        let entry = self.entry(stream, party);
        let halves = Halves {
            receive: Some(keys.receive),
            send: Some(keys.send),
        };
        match component {
            Component::Rtp => entry.rtp = halves,
            Component::Rtcp => entry.rtcp = halves,
        }
    }

    /// Takes what there is of the keys of an RTP port.
    pub(super) fn set_halves(
        &mut self,
        stream: usize,
        party: Party,
        receive: Option<SrtpKey>,
        send: Option<SrtpKey>,
    ) {
        let halves = &mut self.entry(stream, party).rtp;
        halves.receive = receive.or(halves.receive.take());
        halves.send = send.or(halves.send.take());
    }

    /// The stream was taken out, or its keys are void: what comes next is keyed anew.
    pub(super) fn forget(&mut self, stream: usize) {
        self.0.retain(|keys| keys.stream != stream);
    }
}
