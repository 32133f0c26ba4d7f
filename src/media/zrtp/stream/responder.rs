//! The responder's half: Commit taken, DHPart1, Confirm1 (RFC 6189 §4.2, §4.4.1.2, §4.4.3.1).

use super::super::cache::Role;
use super::super::chain;
use super::super::digest::{equal, sha256};
use super::super::handshake::{self, Agreed, OwnPart, PeerHello};
use super::super::kdf::Context;
use super::super::message::{Commit, DhPart, ErrorCode, Mode};
use super::super::timer::PATIENCE;
use super::super::{Choice, Env, Failure, negotiation};
use super::confirmation::Proof;
use super::{Phase, Shared, Stream};

/// After our DHPart1.
pub(in crate::media::zrtp) struct Responding {
    pub(super) peer: PeerHello,
    choice: Choice,
    /// The peer's Commit, which its DHPart2 will prove.
    commit: Vec<u8>,
    h2: [u8; 32],
    hvi: [u8; 32],
    own: OwnPart,
}

impl Stream {
    pub(super) fn on_commit(
        &mut self,
        bytes: &[u8],
        commit: &Commit,
        may_agree: bool,
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        match &self.phase {
            Phase::Discovery => {}
            Phase::Committed(ours) => {
                let theirs = self.proven(commit);
                if theirs.is_none_or(|peer| ours.stands_against(peer, &commit.mode)) {
                    return;
                }
            }
            Phase::Responding(state) => {
                if state.commit == bytes {
                    let answer = state.own.bytes.clone();
                    self.send(&answer, shared);
                }
                return;
            }
            Phase::Confirming(state) => {
                if let Some(answer) = state.answer_to(bytes) {
                    self.send(&answer, shared);
                }
                return;
            }
            // The peer answered our Commit, so it gave up its own; or all is over.
            Phase::Agreeing(_) | Phase::Confirmed(_) | Phase::Secure(_) | Phase::Failed => return,
        }
        let Some(peer) = self.proven(commit).cloned() else {
            return;
        };
        // Only one key agreement at a time, so that each finds what the one before retained; the peer repeats its Commit.
        let was_agreeing = self.is_agreeing();
        if matches!(commit.mode, Mode::Dh { .. }) && !may_agree && !was_agreeing {
            return;
        }
        let choice = match negotiation::accept(&shared.settings, commit) {
            Ok(choice) => choice,
            Err(code) => return self.fail(code, shared, env),
        };
        match commit.mode {
            Mode::Dh { hvi } => self.respond(peer, choice, bytes, commit.h2, hvi, shared, env),
            Mode::Multistream { .. } => self.respond_further(peer, choice, bytes, commit.h2, shared, env),
            // Never offered, so `accept` has refused it.
            Mode::Preshared { .. } => self.fail(ErrorCode::KEY_AGREEMENT, shared, env),
        }
    }

    /// The Hello that a Commit's H2 proves: whose it is.
    fn proven(&self, commit: &Commit) -> Option<&PeerHello> {
        self.candidates
            .iter()
            .find(|candidate| candidate.hello.zid == commit.zid && candidate.is_proven_by(&commit.h2))
    }

    #[expect(clippy::too_many_arguments, reason = "one Commit, taken apart")]
    fn respond(
        &mut self,
        peer: PeerHello,
        choice: Choice,
        bytes: &[u8],
        h2: [u8; 32],
        hvi: [u8; 32],
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        let Some(retained) = shared.known(peer.hello.zid).cloned() else {
            self.held = Some(bytes.to_vec());
            self.deadline.get_or_insert(env.now + PATIENCE);
            return;
        };
        let Some(own) = OwnPart::new(choice, Role::Responder, retained, &self.chain, env) else {
            return self.fail(ErrorCode::KEY_AGREEMENT, shared, env);
        };
        self.begin_response(env);
        self.send(&own.bytes, shared);
        self.phase = Phase::Responding(Box::new(Responding {
            peer,
            choice,
            commit: bytes.to_vec(),
            h2,
            hvi,
            own,
        }));
    }

    fn respond_further(
        &mut self,
        peer: PeerHello,
        choice: Choice,
        bytes: &[u8],
        h2: [u8; 32],
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        let session = shared
            .session
            .as_ref()
            .filter(|_| shared.peer == Some(peer.hello.zid));
        let Some(session) = session else {
            // Not yet, perhaps: the peer is a message ahead of us. It will ask again.
            return;
        };
        let messages: [&[u8]; 2] = [&self.hello, bytes];
        let context = Context::new(choice.hash, peer.hello.zid, shared.zid, &messages);
        let agreed = Agreed::further(choice, session, &context);
        self.begin_response(env);
        let proof = Proof::Commit(bytes.to_vec(), h2);
        self.confirm_first(peer, agreed, bytes.to_vec(), proof, shared, env);
    }

    /// The peer is the initiator: what we repeated is void, and it has our Hello.
    fn begin_response(&mut self, env: &Env<'_>) {
        self.acked = true;
        self.resend = None;
        self.candidates.clear();
        self.ambiguous = None;
        self.deadline = Some(env.now + PATIENCE);
        self.proceeded();
    }

    pub(super) fn on_dh_part2(
        &mut self,
        bytes: &[u8],
        part: &DhPart,
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        let state = match &self.phase {
            Phase::Responding(state) => state,
            Phase::Confirming(state) => {
                // Our Confirm1 was lost.
                if let Some(answer) = state.answer_to(bytes) {
                    self.send(&answer, shared);
                }
                return;
            }
            // Not ours to answer.
            _ => return,
        };
        // DHPart2 proves the Commit (§9).
        if !equal(&sha256(&part.h1), &state.h2) || !chain::is_sealed(&state.commit, &part.h1) {
            return;
        }
        if !equal(&handshake::hvi(state.choice, bytes, &self.hello), &state.hvi) {
            return self.suspect(Failure::Local(ErrorCode::HVI), env);
        }
        let messages: [&[u8]; 4] = [&self.hello, &state.commit, &state.own.bytes, bytes];
        let context = Context::new(state.choice.hash, state.peer.hello.zid, shared.zid, &messages);
        let agreed = match state.own.agree(part, &context) {
            Ok(agreed) => agreed,
            Err(code) => return self.suspect(Failure::Local(code), env),
        };
        let peer = state.peer.clone();
        self.proceeded();
        self.deadline = Some(env.now + PATIENCE);
        let proof = Proof::Part(bytes.to_vec(), part.h1);
        self.confirm_first(peer, agreed, bytes.to_vec(), proof, shared, env);
    }
}
