//! ZRTP of one leg: the association that agrees on its keys, and what descriptions say of it (RFC 6189 §8).
//!
//! The association lives as long as the peer is the same by its `a=zrtp-hash`. Another one is another device, and gets an
//! association of its own: its keys are not those of the device before.

use super::{Encryption, MediaPlan, Side, Voice, keyring::Party, leg::Stream};
use crate::{
    call::{Env, Sas},
    media::{
        SrtpKey, StreamId,
        zrtp::{self, Association, HelloHash, Output, Retained, Settings, StreamIndex, Zid},
    },
    sdp::{Media, Origin, Sdp},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Instant,
};

/// Associations with other forks of a call that are kept: the one that spoke last need not be the one that answers.
const MOST_FORKS: usize = 4;

/// The association of one leg.
#[derive(Debug)]
pub(super) struct Zrtp {
    pub(super) association: Association,
    /// Tells the associations of this leg apart.
    number: u32,
    /// Of the peer's description, when it was met.
    origin: Option<Origin>,
    /// What the peer announced, by stream.
    announced: BTreeMap<usize, HelloHash>,
    /// Where each stream's packets come from, when not from where they are said to.
    sources: BTreeMap<usize, SocketAddr>,
    /// Streams that were taken out. Who takes one in again may go on with its exchange, or begin it anew under another hash;
    /// only for a stream that stayed another hash is another device's.
    out: BTreeSet<usize>,
    /// What its users compare, once it is secured.
    sas: Option<Sas>,
}

/// What a description announces for a stream: its own line, else the session's. Versions that are not ours are passed over.
pub(super) fn announced(sdp: &Sdp, media: &Media) -> Option<HelloHash> {
    let own = media.attributes("zrtp-hash");
    let session = sdp
        .lines
        .iter()
        .filter(|line| line.is_attribute("zrtp-hash"))
        .filter_map(|line| line.as_attribute()?.1);
    own.chain(session)
        .filter_map(|value| value.parse().ok())
        .find(HelloHash::is_ours)
}

/// What the machine may know of the outside.
macro_rules! outside {
    ($env:ident) => {
        &mut zrtp::Env {
            now: $env.now,
            random: &mut |bytes: &mut [u8]| $env.ids.fill(bytes),
        }
    };
}

impl Voice {
    /// What we announce for a stream; its exchange is made ready. `peer`: what the other end announces. `None`: more streams
    /// than an association may have.
    pub(super) fn announce(
        &mut self,
        index: usize,
        peer: Option<HelloHash>,
        zid: Zid,
        env: &mut Env<'_>,
    ) -> Option<HelloHash> {
        self.meet(index, peer, zid);
        let association = &mut self.zrtp.as_mut()?.association;
        let stream = StreamIndex(index);
        if let Some(hash) = association.hash(stream) {
            return Some(hash);
        }
        let mut ssrc = [0; 4];
        env.ids.fill(&mut ssrc);
        association.add_stream(stream, u32::from_be_bytes(ssrc), outside!(env))
    }

    /// Makes sure that the association is the one with this peer.
    fn meet(&mut self, index: usize, peer: Option<HelloHash>, zid: Zid) {
        let stayed = self.zrtp.as_ref().filter(|zrtp| !zrtp.out.contains(&index));
        let known = stayed.and_then(|zrtp| zrtp.announced.get(&index));
        let another = matches!((known, peer), (Some(known), Some(peer)) if *known != peer);
        if self.zrtp.is_none() || another {
            self.zrtp = Some(self.associate(Association::new(zid, Settings::default())));
            // They answered an offer of ours; what we announce now, nobody of them has.
            self.forks.clear();
        }
    }

    fn associate(&mut self, association: Association) -> Zrtp {
        self.associations += 1;
        Zrtp {
            association,
            number: self.associations,
            origin: None,
            announced: BTreeMap::new(),
            sources: BTreeMap::new(),
            out: BTreeSet::new(),
            sas: None,
        }
    }

    /// Who has answered what we announced may be another than the one who did before: each fork of a call answers the same offer.
    /// Each has an association of its own, and all of them the Hello that stood in the offer. They are told apart by what they
    /// announce, and where one announces nothing by their `o=`, as long as forks may answer: later a phone may change it.
    /// `true`: it is another.
    fn turn_to(
        &mut self,
        index: usize,
        (peer, origin): (Option<HelloHash>, &Origin),
        early: bool,
        env: &mut Env<'_>,
    ) -> bool {
        let announces_both = |zrtp: &Zrtp| peer.is_some() && zrtp.announced.contains_key(&index);
        let is = |zrtp: &Zrtp| match zrtp.announced.get(&index).zip(peer) {
            Some((known, peer)) => *known == peer,
            None => zrtp
                .origin
                .as_ref()
                .is_none_or(|known| known.same_session(origin)),
        };
        let Some(current) = &self.zrtp else { return false };
        let stays = is(current) || !early && !announces_both(current);
        if current.out.contains(&index) || stays {
            return false;
        }
        let known = self.forks.iter().position(is);
        let mut next = match known {
            Some(place) => self.forks.remove(place),
            None => {
                let fork = current.association.fork(outside!(env));
                self.associate(fork)
            }
        };
        next.origin = Some(origin.clone());
        if self.forks.len() >= MOST_FORKS {
            self.forks.remove(0);
        }
        self.forks.extend(self.zrtp.replace(next));
        true
    }

    /// A stream is taken out.
    pub(super) fn zrtp_out(&mut self, index: usize) {
        if let Some(zrtp) = &mut self.zrtp {
            zrtp.out.insert(index);
            zrtp.sources.remove(&index);
        }
    }

    /// A stream that was out is there again: begun anew if its peer announces another Hello than it had.
    fn zrtp_back(&mut self, index: usize, peer: Option<HelloHash>, env: &mut Env<'_>) {
        let Some(zrtp) = &mut self.zrtp else { return };
        let before = zrtp.announced.get(&index).copied();
        if zrtp.out.remove(&index) && peer.is_some() && before != peer {
            zrtp.association.renew_stream(StreamIndex(index), outside!(env));
            self.keys.forget(index);
        }
    }

    /// Whose keys a ZRTP stream has now.
    pub(super) fn zrtp_party(&self) -> Option<Party> {
        self.zrtp.as_ref().map(|zrtp| Party::Zrtp(zrtp.number))
    }
}

/// ZRTP of both legs, as the bridge drives it.
impl MediaPlan {
    /// The streams that ZRTP keys, and where each peer is.
    pub fn zrtp_streams(&self) -> Vec<(Side, StreamId)> {
        let of = |side: Side| {
            let leg = self.agreed.leg(side);
            let zrtp = leg.mode == Some(Encryption::Zrtp);
            (0..leg.streams.len())
                .filter(move |&index| {
                    zrtp && leg.is_active(index) && self.agreed.leg(side.other()).is_active(index)
                })
                .map(move |index| (side, StreamId(index)))
        };
        of(Side::A).chain(of(Side::B)).collect()
    }

    /// Whether a stream is there again that was taken out, and nothing was begun for it since.
    pub fn zrtp_is_back(&self, side: Side, stream: StreamId) -> bool {
        let zrtp = self.voice(side).zrtp.as_ref();
        zrtp.is_some_and(|zrtp| zrtp.out.contains(&stream.0))
    }

    /// Turns to the association with the peer that a stream has now. `early`: forks of the call may answer. `true`: it is another than
    /// before, with other keys or none.
    pub fn zrtp_turn(&mut self, side: Side, stream: StreamId, early: bool, env: &mut Env<'_>) -> bool {
        let leg = self.agreed.leg(side);
        let peer = leg.streams.get(stream.0).and_then(Stream::zrtp_peer);
        let Some(origin) = leg.heard.as_ref().map(|heard| heard.origin.clone()) else {
            return false;
        };
        self.voice_mut(side)
            .turn_to(stream.0, (peer, &origin), early, env)
    }

    /// Begins a stream's exchange, with what its peer has announced. Again, when nobody has answered.
    pub fn zrtp_begin(&mut self, side: Side, stream: StreamId, env: &mut Env<'_>) {
        let zid = self.zid;
        let leg = self.agreed.leg(side);
        let Some(known) = leg.streams.get(stream.0) else {
            return;
        };
        let (peer, there) = (known.zrtp_peer(), known.at().is_some());
        let origin = leg.heard.as_ref().map(|heard| heard.origin.clone());
        let voice = self.voice_mut(side);
        if voice.announce(stream.0, peer, zid, env).is_none() {
            return;
        }
        voice.zrtp_back(stream.0, peer, env);
        let Some(zrtp) = &mut voice.zrtp else { return };
        if zrtp.origin.is_none() {
            zrtp.origin = origin;
        }
        let index = StreamIndex(stream.0);
        if let Some(peer) = peer
            && zrtp.announced.insert(stream.0, peer) != Some(peer)
        {
            zrtp.association.set_peer_hash(index, peer, outside!(env));
        }
        if there {
            zrtp.association.start(index, outside!(env));
        }
    }

    /// A packet came.
    pub fn zrtp_packet(
        &mut self,
        side: Side,
        stream: StreamId,
        from: SocketAddr,
        bytes: &[u8],
        env: &mut Env<'_>,
    ) {
        let signalled = self
            .agreed
            .leg(side)
            .streams
            .get(stream.0)
            .and_then(|known| known.at());
        let Some(zrtp) = &mut self.voice_mut(side).zrtp else {
            return tracing::debug!("a ZRTP packet for no association");
        };
        // Once something has come from where the peer is said to be, it is there.
        if signalled == Some(from) {
            zrtp.sources.insert(stream.0, from);
        } else {
            let known = zrtp.sources.entry(stream.0).or_insert(from);
            if Some(*known) != signalled {
                *known = from;
            }
        }
        zrtp.association
            .handle_packet(StreamIndex(stream.0), bytes, outside!(env));
    }

    /// A packet of the peer came under the key that the association gave.
    pub fn zrtp_proved(&mut self, side: Side, stream: StreamId, env: &mut Env<'_>) {
        if let Some(zrtp) = &mut self.voice_mut(side).zrtp {
            zrtp.association
                .handle_media(StreamIndex(stream.0), outside!(env));
        }
    }

    /// Where a stream's packets go to.
    pub fn zrtp_target(&self, side: Side, stream: StreamId) -> Option<SocketAddr> {
        let seen = self.voice(side).zrtp.as_ref()?.sources.get(&stream.0).copied();
        seen.or_else(|| self.agreed.leg(side).streams.get(stream.0)?.at())
    }

    /// What the store knows of a peer.
    pub fn zrtp_retained(&mut self, side: Side, peer: Zid, retained: Retained, env: &mut Env<'_>) {
        if let Some(zrtp) = &mut self.voice_mut(side).zrtp {
            zrtp.association.handle_retained(peer, retained, outside!(env));
        }
    }

    /// Deadlines of both legs' associations.
    pub fn zrtp_timeout(&mut self, env: &mut Env<'_>) {
        for side in [Side::A, Side::B] {
            if let Some(zrtp) = &mut self.voice_mut(side).zrtp
                && zrtp.association.poll_timeout().is_some_and(|at| at <= env.now)
            {
                zrtp.association.handle_timeout(outside!(env));
            }
        }
    }

    /// When to call [`Self::zrtp_timeout`].
    pub fn zrtp_poll_timeout(&self) -> Option<Instant> {
        [Side::A, Side::B]
            .into_iter()
            .filter_map(|side| self.voice(side).zrtp.as_ref()?.association.poll_timeout())
            .min()
    }

    /// What the association of a leg wants done next.
    pub fn zrtp_poll_output(&mut self, side: Side) -> Option<Output> {
        self.voice_mut(side).zrtp.as_mut()?.association.poll_output()
    }

    /// Takes one key of a stream.
    pub fn zrtp_key(
        &mut self,
        side: Side,
        stream: StreamId,
        receive: Option<SrtpKey>,
        send: Option<SrtpKey>,
    ) {
        let voice = self.voice_mut(side);
        if let Some(party) = voice.zrtp_party() {
            voice.keys.set_halves(stream.0, party, receive, send);
        }
    }

    /// A stream's keys must not be used any more.
    pub fn zrtp_forget(&mut self, side: Side, stream: StreamId) {
        self.voice_mut(side).keys.forget(stream.0);
    }

    /// The first stream of a leg's association is secured.
    pub fn zrtp_shows(&mut self, side: Side, sas: Sas) {
        if let Some(zrtp) = &mut self.voice_mut(side).zrtp {
            zrtp.sas = Some(sas);
        }
    }

    /// What the users of a leg compare: those who are there now, or were at the end.
    pub fn sas(&self, side: Side) -> Option<&Sas> {
        let voice = self.voice(side);
        let shown = match &voice.zrtp {
            Some(zrtp) => zrtp.sas.as_ref(),
            None => voice.sas.as_ref(),
        };
        shown.filter(|_| self.agreed.encryption(side) == Some(Encryption::Zrtp))
    }

    /// The call is over.
    pub fn zrtp_end(&mut self) {
        for voice in [&mut self.a, &mut self.b] {
            if let Some(zrtp) = voice.zrtp.take() {
                voice.sas = zrtp.sas;
            }
            voice.forks.clear();
        }
    }
}
