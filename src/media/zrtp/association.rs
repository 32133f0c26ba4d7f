//! All streams with one peer.

use super::cache::{Retained, Update};
use super::stream::{Shared, Stream};
use super::{Env, HelloHash, Output, Settings, StreamIndex, Zid};
use std::{
    collections::{BTreeMap, VecDeque},
    time::Instant,
};

/// Most streams of one association.
pub const MAX_STREAMS: usize = 16;

/// One endpoint's talk with one peer. `Debug` shows no secret.
pub struct Association {
    /// Boxed: a node of the map has room for eleven, and most have one or two.
    streams: BTreeMap<StreamIndex, Box<Stream>>,
    shared: Shared,
}

impl Association {
    /// An association of the endpoint with this ZID. Another peer, or the same one in another session, needs another one.
    pub fn new(zid: Zid, settings: Settings) -> Self {
        Self {
            streams: BTreeMap::new(),
            shared: Shared {
                settings,
                zid,
                session: None,
                retained: Vec::new(),
                unconfirmed: None,
                peer: None,
                outputs: VecDeque::new(),
            },
        }
    }

    /// An association with somebody else who has got what this one announced: a fork of a call, whose description came as another
    /// answer to the same offer (RFC 3261 §13.2.1). The Hellos must be those that were announced, so their hash chains are the
    /// same too: who has completed with one fork could then forge our messages to another, but not the keys or the SAS.
    #[must_use]
    pub fn fork(&self, env: &mut Env<'_>) -> Self {
        let mut other = Self::new(self.shared.zid, self.shared.settings.clone());
        for (index, stream) in &self.streams {
            other.streams.insert(*index, Box::new(stream.fork(env)));
        }
        other
    }

    /// Whether the peer has said Hello for any of its streams: whether it does ZRTP at all.
    pub fn has_met(&self) -> bool {
        self.streams.values().any(|stream| stream.has_met())
    }

    /// Adds a stream, whose packets carry this source. Nothing is sent before [`Self::start`]; what comes before is answered.
    /// Returns the value for `a=zrtp-hash`; `None` when there are [`MAX_STREAMS`] already. A stream that was there is
    /// replaced.
    pub fn add_stream(&mut self, index: StreamIndex, ssrc: u32, env: &mut Env<'_>) -> Option<HelloHash> {
        if self.streams.len() >= MAX_STREAMS && !self.streams.contains_key(&index) {
            return None;
        }
        let stream = Stream::new(index, ssrc, &self.shared, env);
        let hash = stream.hash();
        self.streams.insert(index, Box::new(stream));
        Some(hash)
    }

    /// Begins a stream anew, with the Hello that was announced for it: its peer has done so.
    pub fn renew_stream(&mut self, index: StreamIndex, env: &mut Env<'_>) {
        if let Some(stream) = self.streams.get_mut(&index) {
            **stream = stream.fork(env);
            self.advance(env);
        }
    }

    /// Takes a stream out. The keys that it gave stay good, and others may still follow from it.
    pub fn remove_stream(&mut self, index: StreamIndex, env: &mut Env<'_>) {
        self.streams.remove(&index);
        self.advance(env);
    }

    /// The value for `a=zrtp-hash` of a stream: the same as long as it lives.
    pub fn hash(&self, index: StreamIndex) -> Option<HelloHash> {
        self.streams.get(&index).map(|stream| stream.hash())
    }

    /// Sends the first Hello: there is an address to send to, and somebody who may answer.
    pub fn start(&mut self, index: StreamIndex, env: &mut Env<'_>) {
        if let Some(stream) = self.streams.get_mut(&index) {
            stream.start(&mut self.shared, env);
        }
    }

    /// Takes the peer's `a=zrtp-hash` for a stream. Hellos that do not fit are ignored from now on; an exchange with another
    /// one begins again, or fails if it was done already. A hash of a version that is not ours is ignored.
    pub fn set_peer_hash(&mut self, index: StreamIndex, hash: HelloHash, env: &mut Env<'_>) {
        if let Some(stream) = self.streams.get_mut(&index)
            && hash.is_ours()
        {
            stream.set_signalled(hash, &mut self.shared, env);
            self.advance(env);
        }
    }

    /// A ZRTP packet came for a stream. One that is none, or not the peer's, changes nothing.
    pub fn handle_packet(&mut self, index: StreamIndex, datagram: &[u8], env: &mut Env<'_>) {
        let may_agree = self.may_agree(index);
        if let Some(stream) = self.streams.get_mut(&index) {
            stream.handle_packet(datagram, may_agree, &mut self.shared, env);
            self.advance(env);
        }
    }

    /// SRTP of the peer was opened with the key of [`Output::ReceiveKey`]: that says what a Conf2ACK says (RFC 6189 §4.6), which
    /// may have been lost. Needed once a stream, for its first packet.
    pub fn handle_media(&mut self, index: StreamIndex, env: &mut Env<'_>) {
        if let Some(stream) = self.streams.get_mut(&index) {
            stream.on_conf2_ack(&mut self.shared);
            self.advance(env);
        }
    }

    /// What the store knows of a peer, as [`Output::Lookup`] asked; nothing is [`Retained::default`].
    pub fn handle_retained(&mut self, peer: Zid, retained: Retained, env: &mut Env<'_>) {
        let asked = self.shared.retained.iter_mut();
        if let Some((_, answer)) = asked.into_iter().find(|(zid, _)| *zid == peer)
            && answer.is_none()
        {
            *answer = Some(retained);
            self.advance(env);
        }
    }

    /// The time of [`Self::poll_timeout`] has come.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        for stream in self.streams.values_mut() {
            stream.handle_timeout(&mut self.shared, env);
        }
        self.advance(env);
    }

    /// The user compared the SAS and found it right, or takes that back. What a cache mismatch held up is kept now.
    pub fn set_verified(&mut self, verified: bool) {
        let unconfirmed = self.shared.unconfirmed.take();
        let update = match (self.shared.peer, unconfirmed) {
            (
                Some(_),
                Some(Update::Secrets {
                    peer,
                    mut retained,
                    lifetime,
                }),
            ) if verified => {
                retained.verified = true;
                Update::Secrets {
                    peer,
                    retained,
                    lifetime,
                }
            }
            (Some(peer), unconfirmed) => {
                self.shared.unconfirmed = unconfirmed;
                Update::Verified { peer, verified }
            }
            (None, _) => return,
        };
        self.shared.outputs.push_back(Output::Store(update));
    }

    /// What to do next; `None` when there is nothing.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.shared.outputs.pop_front()
    }

    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.streams
            .values()
            .filter_map(|stream| stream.poll_timeout())
            .min()
    }

    /// Lets streams go on that waited for another one, or for the store.
    fn advance(&mut self, env: &mut Env<'_>) {
        let indices: Vec<_> = self.streams.keys().copied().collect();
        for index in indices {
            let may_agree = self.may_agree(index);
            let is_first = !self.streams.range(..index).any(|(_, stream)| stream.is_pending());
            if let Some(stream) = self.streams.get_mut(&index) {
                stream.advance(may_agree, is_first, &mut self.shared, env);
            }
        }
    }

    /// No other stream is in the middle of a key agreement.
    fn may_agree(&self, index: StreamIndex) -> bool {
        !self
            .streams
            .iter()
            .any(|(other, stream)| *other != index && stream.is_agreeing())
    }
}

impl std::fmt::Debug for Association {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Association")
            .field("zid", &self.shared.zid)
            .field("streams", &self.streams.keys())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
