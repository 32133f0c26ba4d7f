//! Hello and HelloACK, until there is a Commit (RFC 6189 §4.1).

use super::super::handshake::PeerHello;
use super::super::message::{Hello, Message};
use super::super::timer::{AMBIGUITY, PATIENCE, Timer};
use super::super::{Env, Failure, HelloHash, Output, negotiation};
use super::{Phase, Shared, Stream};

/// Most different Hellos that are kept until one is proven.
const MAX_CANDIDATES: usize = 4;
/// Most peers that the store is asked for, whatever strangers and new descriptions bring.
const MAX_LOOKUPS: usize = 32;

impl Stream {
    /// Begins to send Hello.
    pub(in crate::media::zrtp) fn start(&mut self, shared: &mut Shared, env: &Env<'_>) {
        if matches!(self.phase, Phase::Discovery) && !self.acked && self.resend.is_none() {
            self.send_hello(shared, env);
        }
    }

    fn send_hello(&mut self, shared: &mut Shared, env: &Env<'_>) {
        let hello = self.hello.clone();
        self.send(&hello, shared);
        self.resend = Some((Timer::hello(env.now), hello));
    }

    /// Takes what signalling announces.
    pub(in crate::media::zrtp) fn set_signalled(
        &mut self,
        hash: HelloHash,
        shared: &mut Shared,
        env: &Env<'_>,
    ) {
        self.signalled = Some(hash);
        self.candidates.retain_mut(|candidate| {
            candidate.signalled = hash.fits(&candidate.bytes);
            candidate.signalled
        });
        let Some(peer) = self.peer_mut() else {
            return;
        };
        peer.signalled = hash.fits(&peer.bytes);
        if peer.signalled {
            return;
        }
        if matches!(self.phase, Phase::Secure(_)) {
            self.end(Failure::Hash, shared, env);
        } else {
            // We talked to somebody else: begin again, with the same Hello and chain.
            self.phase = Phase::Discovery;
            self.deadline = None;
            self.doubt = None;
            self.acked = false;
            self.send_hello(shared, env);
        }
    }

    pub(super) fn on_hello(&mut self, bytes: &[u8], hello: Hello, shared: &mut Shared, env: &Env<'_>) {
        if matches!(self.phase, Phase::Failed) {
            return;
        }
        let expected = self.signalled.is_none_or(|hash| hash.fits(bytes));
        if let Some(peer) = self.peer_mut().map(|peer| &*peer)
            && peer.bytes == bytes
        {
            // Our HelloACK was lost. Once secure it cannot have been.
            if !matches!(self.phase, Phase::Secure(_)) {
                self.send(&Message::HelloAck.encode(), shared);
            }
            return;
        }
        if matches!(self.phase, Phase::Secure(_)) && !self.told {
            // Not the one that was announced for the exchange that we had, which is over: another session's.
            self.told = true;
            shared.outputs.push_back(Output::OtherHello(self.index));
            return;
        }
        if !matches!(self.phase, Phase::Discovery | Phase::Committed(_)) || !expected {
            return;
        }
        // With our ZID (§5.9, 0x90) it is our own come back, or forged: nothing to talk to. Nor is another version. None of
        // them may end what the real peer has not begun, so they are as good as unheard.
        if hello.zid == shared.zid || !hello.is_ours() {
            return;
        }
        if !self.candidates.iter().any(|candidate| candidate.bytes == bytes) {
            if self.candidates.len() >= MAX_CANDIDATES {
                return;
            }
            if !shared.retained.iter().any(|(zid, _)| *zid == hello.zid) {
                if shared.retained.len() >= MAX_LOOKUPS {
                    return;
                }
                shared.retained.push((hello.zid, None));
                shared.outputs.push_back(Output::Lookup(hello.zid));
            }
            self.candidates.push(PeerHello {
                bytes: bytes.to_vec(),
                hello,
                signalled: self.signalled.is_some(),
            });
            if self.candidates.len() > 1 {
                self.ambiguous.get_or_insert(env.now + AMBIGUITY);
            }
            self.proceeded();
            // Who only now begins to speak has not heard us.
            if !self.acked && self.resend.is_none() {
                self.send_hello(shared, env);
            }
        }
        self.send(&Message::HelloAck.encode(), shared);
    }

    /// Whether anybody has said Hello.
    pub(in crate::media::zrtp) fn has_met(&self) -> bool {
        !matches!(self.phase, Phase::Discovery) || !self.candidates.is_empty()
    }

    pub(super) fn on_hello_ack(&mut self) {
        // Anybody can send it: our Hello is repeated until the peer's has come as well.
        if matches!(self.phase, Phase::Discovery) {
            self.acked = true;
        }
    }

    /// The store answered, or another stream went on.
    pub(in crate::media::zrtp) fn advance(
        &mut self,
        may_agree: bool,
        is_first: bool,
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        if let Some(bytes) = self.held.take()
            && let Ok(Message::Commit(commit)) = Message::parse(&bytes)
        {
            self.on_commit(&bytes, &commit, may_agree, shared, env);
        }
        if !matches!(self.phase, Phase::Discovery) || !self.acked || self.candidates.is_empty() {
            return;
        }
        self.resend = None;
        if self.ambiguous.is_some_and(|until| env.now < until) {
            return;
        }
        // The last one: who forges needs to have seen nothing, and may well have been first.
        let Some(peer) = self.candidates.last().cloned() else {
            return;
        };
        let multistream = shared.peer == Some(peer.hello.zid)
            && shared.session.is_some()
            && negotiation::multistream(&shared.settings, &peer.hello);
        // While a key agreement is not confirmed the peer may not have its keys yet.
        if !may_agree || !(multistream || is_first || shared.session.is_some()) {
            return;
        }
        self.deadline.get_or_insert(env.now + PATIENCE);
        if !shared.settings.passive && (multistream || shared.known(peer.hello.zid).is_some()) {
            self.commit(peer, multistream, shared, env);
        }
    }
}
