//! The initiator's half: Commit, DHPart2 (RFC 6189 §4.4.1.1, §4.4.1.3, §4.4.3.1).

use super::super::cache::Role;
use super::super::digest::sha256;
use super::super::handshake::{self, Agreed, OwnPart, PeerHello};
use super::super::kdf::Context;
use super::super::message::{DhPart, ErrorCode, Mode};
use super::super::{Choice, Env, Failure, KeyAgreement, negotiation};
use super::{Phase, Shared, Stream};

/// After our Commit.
pub(in crate::media::zrtp) struct Committed {
    /// To whom.
    pub(super) peer: PeerHello,
    choice: Choice,
    /// The message.
    commit: Vec<u8>,
    /// hvi or nonce: the greater one of two Commits that cross stands.
    rank: Vec<u8>,
    source: Source,
}

enum Source {
    Dh(OwnPart),
    Multistream(Agreed),
}

/// After our DHPart2.
pub(in crate::media::zrtp) struct Agreeing {
    pub(super) peer: PeerHello,
    /// The peer's DHPart1, which its Confirm1 will prove.
    pub(super) part: Vec<u8>,
    pub(super) h1: [u8; 32],
    pub(super) agreed: Agreed,
}

impl Committed {
    pub(super) fn is_dh(&self) -> bool {
        matches!(self.source, Source::Dh(_))
    }

    /// The keys, which Multistream mode has from the beginning.
    pub(super) fn further(&self) -> Option<&Agreed> {
        match &self.source {
            Source::Multistream(agreed) => Some(agreed),
            Source::Dh(_) => None,
        }
    }

    /// Likewise, for good.
    pub(super) fn into_further(self) -> Option<(PeerHello, Agreed)> {
        match self.source {
            Source::Multistream(agreed) => Some((self.peer, agreed)),
            Source::Dh(_) => None,
        }
    }

    /// Whether the peer's Commit must give way to ours (§4.2).
    pub(super) fn stands_against(&self, peer: &PeerHello, theirs: &Mode) -> bool {
        if peer.bytes != self.peer.bytes {
            // Ours went to somebody else.
            return false;
        }
        match (self.is_dh(), theirs) {
            (true, Mode::Dh { hvi }) => self.rank[..] >= hvi[..],
            (true, Mode::Multistream { .. } | Mode::Preshared { .. }) => true,
            (false, Mode::Dh { .. }) => false,
            (false, Mode::Multistream { nonce } | Mode::Preshared { nonce, .. }) => {
                self.rank[..] >= nonce[..]
            }
        }
    }
}

impl Stream {
    /// Sends our Commit. What the store knows of the peer is there, or the mode does not need it.
    pub(super) fn commit(
        &mut self,
        peer: PeerHello,
        multistream: bool,
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        let mut choice = match negotiation::choose(&shared.settings, &peer.hello) {
            Ok(choice) => choice,
            Err(code) => return self.fail(code, shared, env),
        };
        let (mode, rank, source) = match shared.session.as_ref().filter(|_| multistream) {
            Some(session) => {
                choice.key_agreement = KeyAgreement::Mult;
                let nonce: [u8; 16] = env.array();
                let mode = Mode::Multistream { nonce };
                let commit = handshake::commit(choice, shared.zid, mode, &self.chain);
                let messages: [&[u8]; 2] = [&peer.bytes, &commit];
                let context = Context::new(choice.hash, shared.zid, peer.hello.zid, &messages);
                let agreed = Agreed::further(choice, session, &context);
                (mode, nonce.to_vec(), Source::Multistream(agreed))
            }
            None => {
                let retained = shared.known(peer.hello.zid).cloned().unwrap_or_default();
                let Some(part) = OwnPart::new(choice, Role::Initiator, retained, &self.chain, env) else {
                    return self.fail(ErrorCode::KEY_AGREEMENT, shared, env);
                };
                let hvi = handshake::hvi(choice, &part.bytes, &peer.bytes);
                (Mode::Dh { hvi }, hvi.to_vec(), Source::Dh(part))
            }
        };
        let commit = handshake::commit(choice, shared.zid, mode, &self.chain);
        self.deadline = None;
        self.send_until_answered(commit.clone(), shared, env);
        self.phase = Phase::Committed(Box::new(Committed {
            peer,
            choice,
            commit,
            rank,
            source,
        }));
    }

    pub(super) fn on_dh_part1(&mut self, bytes: &[u8], part: &DhPart, shared: &mut Shared, env: &Env<'_>) {
        // In all other phases it is a repetition, or nothing that we asked for.
        let Phase::Committed(state) = &self.phase else {
            return;
        };
        let Source::Dh(own) = &state.source else {
            return;
        };
        // DHPart1 proves the responder's Hello, which sent no Commit that would have (§9).
        if !state.peer.is_proven_by(&sha256(&part.h1)) {
            return;
        }
        let hash = state.choice.hash;
        let messages: [&[u8]; 4] = [&state.peer.bytes, &state.commit, bytes, &own.bytes];
        let context = Context::new(hash, shared.zid, state.peer.hello.zid, &messages);
        let agreed = match own.agree(part, &context) {
            Ok(agreed) => agreed,
            Err(code) => return self.suspect(Failure::Local(code), env),
        };
        let (peer, answer) = (state.peer.clone(), own.bytes.clone());
        self.proceeded();
        self.candidates.clear();
        self.send_until_answered(answer, shared, env);
        self.phase = Phase::Agreeing(Box::new(Agreeing {
            peer,
            part: bytes.to_vec(),
            h1: part.h1,
            agreed,
        }));
    }
}
