//! Confirm1, Confirm2, Conf2ACK and what may come after (RFC 6189 §4.6, §4.7, §5.7–§5.13).

use super::super::algorithm::KeyAgreement;
use super::super::cache::{Lifetime, Retained, Role, Secret, Update};
use super::super::chain;
use super::super::digest::{SecretBytes, equal, sha256};
use super::super::handshake::{self, Agreed, PeerHello};
use super::super::message::{Confirm, ConfirmContent, ErrorCode, Flags, Message};
use super::super::{Choice, Env, Failure, Output, Peer, Sas, Secured};
use super::{Phase, Shared, Stream};

/// What the H0 of the peer's Confirm must prove (§9).
pub(super) enum Proof {
    /// Its DHPart, with the H1 in it.
    Part(Vec<u8>, [u8; 32]),
    /// Its Multistream Commit, with the H2 in it.
    Commit(Vec<u8>, [u8; 32]),
}

impl Proof {
    fn holds(&self, h0: &[u8; 32]) -> bool {
        let image = sha256(h0);
        match self {
            Self::Part(bytes, h1) => equal(&image, h1) && chain::is_sealed(bytes, h0),
            Self::Commit(bytes, h2) => equal(&sha256(&image), h2) && chain::is_sealed(bytes, &image),
        }
    }
}

/// The responder, after Confirm1.
pub(in crate::media::zrtp) struct Confirming {
    pub(super) peer: PeerHello,
    agreed: Agreed,
    /// The message that Confirm1 answered, and Confirm1.
    answered: Vec<u8>,
    confirm1: Vec<u8>,
    proof: Proof,
}

/// The initiator, after Confirm2.
pub(in crate::media::zrtp) struct Confirmed {
    pub(super) peer: PeerHello,
    agreed: Agreed,
    /// What Confirm1 said.
    content: ConfirmContent,
}

/// After everything.
pub(in crate::media::zrtp) struct Secure {
    pub(super) peer: PeerHello,
    choice: Choice,
    /// The peer's, for GoClear and SASrelay.
    mac_key: SecretBytes,
    /// What Conf2ACK answered.
    confirm2: Option<Vec<u8>>,
}

impl Confirming {
    pub(super) fn is_dh(&self) -> bool {
        matches!(self.proof, Proof::Part(..))
    }

    /// Confirm1 again, when this is what it answered.
    pub(super) fn answer_to(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        (self.answered == bytes).then(|| self.confirm1.clone())
    }
}

#[cfg(test)]
impl Secure {
    /// What the peer would write: tests play it.
    pub(in crate::media::zrtp) fn seal_as_peer(&self, bytes: &[u8]) -> [u8; 8] {
        self.choice.hash.mac64(&self.mac_key, &[bytes])
    }
}

impl Confirmed {
    pub(super) fn is_dh(&self) -> bool {
        self.agreed.keys.choice.key_agreement != KeyAgreement::Mult
    }
}

impl Stream {
    /// The responder's Confirm1.
    pub(super) fn confirm_first(
        &mut self,
        peer: PeerHello,
        agreed: Agreed,
        answered: Vec<u8>,
        proof: Proof,
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        let confirm1 = Message::Confirm1(self.confirm(&agreed, Role::Responder, shared, env)).encode();
        self.send(&confirm1, shared);
        self.phase = Phase::Confirming(Box::new(Confirming {
            peer,
            agreed,
            answered,
            confirm1,
            proof,
        }));
    }

    fn confirm(&self, agreed: &Agreed, role: Role, shared: &Shared, env: &mut Env<'_>) -> Confirm {
        let flags = Flags {
            enrollment: false,
            verified: agreed.verified(),
            allow_clear: false,
            disclosure: shared.settings.disclosure,
        };
        let expiry = shared.settings.lifetime.to_wire();
        let (own, _) = agreed.halves(role);
        handshake::confirm(agreed.keys.choice, own, &self.chain, flags, expiry, env)
    }

    pub(super) fn on_confirm1(&mut self, confirm: &Confirm, shared: &mut Shared, env: &mut Env<'_>) {
        // In the phases after it is a repetition: our Confirm2 is on its way again anyhow.
        let (peer, agreed, part) = match &self.phase {
            Phase::Agreeing(state) => (&state.peer, &state.agreed, Some((&state.part, &state.h1))),
            Phase::Committed(state) => match state.further() {
                Some(agreed) => (&state.peer, agreed, None),
                None => return,
            },
            _ => return,
        };
        let (_, responder) = agreed.halves(Role::Initiator);
        let Some(content) = handshake::open_confirm(agreed.keys.choice, responder, confirm) else {
            return self.suspect(Failure::Local(ErrorCode::CONFIRM_MAC), env);
        };
        let proven = match part {
            Some((part, h1)) => equal(&sha256(&content.h0), h1) && chain::is_sealed(part, &content.h0),
            None => peer.is_proven_by(&sha256(&sha256(&content.h0))),
        };
        if !proven {
            // Under the right keys, with a chain that is not the one before: nobody but the peer can have done this.
            return self.fail(ErrorCode::HELLO_MISMATCH, shared, env);
        }
        let (peer, agreed) = match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Agreeing(state) => (state.peer, state.agreed),
            Phase::Committed(state) => match state.into_further() {
                Some(further) => further,
                None => return,
            },
            other => {
                self.phase = other;
                return;
            }
        };
        self.proceeded();
        self.candidates.clear();
        self.ambiguous = None;
        let answer = Message::Confirm2(self.confirm(&agreed, Role::Initiator, shared, env)).encode();
        self.remember_session(&peer, &agreed, shared);
        // The responder may seal media as soon as it has Confirm2, and its Conf2ACK may be lost (§4.6).
        let (_, responder) = agreed.halves(Role::Initiator);
        let key = responder.srtp.clone();
        shared.outputs.push_back(Output::ReceiveKey(self.index, key));
        self.send_until_answered(answer, shared, env);
        self.phase = Phase::Confirmed(Box::new(Confirmed {
            peer,
            agreed,
            content,
        }));
    }

    pub(super) fn on_confirm2(
        &mut self,
        bytes: &[u8],
        confirm: &Confirm,
        shared: &mut Shared,
        env: &Env<'_>,
    ) {
        let state = match &self.phase {
            Phase::Confirming(state) => state,
            Phase::Secure(state) => {
                // Our Conf2ACK was lost.
                if state.confirm2.as_deref() == Some(bytes) {
                    self.send(&Message::Conf2Ack.encode(), shared);
                }
                return;
            }
            // Not ours to answer.
            _ => return,
        };
        let (_, initiator) = state.agreed.halves(Role::Responder);
        let Some(content) = handshake::open_confirm(state.agreed.keys.choice, initiator, confirm) else {
            return self.suspect(Failure::Local(ErrorCode::CONFIRM_MAC), env);
        };
        if !state.proof.holds(&content.h0) {
            return self.fail(ErrorCode::HELLO_MISMATCH, shared, env);
        }
        let Phase::Confirming(state) = std::mem::replace(&mut self.phase, Phase::Failed) else {
            return;
        };
        let Confirming { peer, agreed, .. } = *state;
        self.remember_session(&peer, &agreed, shared);
        self.send(&Message::Conf2Ack.encode(), shared);
        let (_, initiator) = agreed.halves(Role::Responder);
        let key = initiator.srtp.clone();
        shared.outputs.push_back(Output::ReceiveKey(self.index, key));
        let confirm2 = Some(bytes.to_vec());
        self.secure(peer, &agreed, &content, Role::Responder, confirm2, shared);
    }

    /// Conf2ACK, or media under the responder's key, which says the same (§4.6).
    pub(in crate::media::zrtp) fn on_conf2_ack(&mut self, shared: &mut Shared) {
        match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Confirmed(state) => {
                let Confirmed {
                    peer,
                    agreed,
                    content,
                } = *state;
                self.secure(peer, &agreed, &content, Role::Initiator, None, shared);
            }
            // Too early, or again.
            other => self.phase = other,
        }
    }

    /// The keys are proven: further streams may come from them.
    fn remember_session(&self, peer: &PeerHello, agreed: &Agreed, shared: &mut Shared) {
        if agreed.keys.choice.key_agreement != KeyAgreement::Mult {
            shared.session = Some(agreed.keys.session.clone());
            shared.peer = Some(peer.hello.zid);
        }
    }

    fn secure(
        &mut self,
        peer: PeerHello,
        agreed: &Agreed,
        content: &ConfirmContent,
        role: Role,
        confirm2: Option<Vec<u8>>,
        shared: &mut Shared,
    ) {
        self.proceeded();
        self.resend = None;
        self.deadline = None;
        let choice = agreed.keys.choice;
        let (own, theirs) = agreed.halves(role);
        let key = own.srtp.clone();
        shared.outputs.push_back(Output::SendKey(self.index, key));
        let is_dh = choice.key_agreement != KeyAgreement::Mult;
        let sas = is_dh.then(|| Sas {
            text: choice.sas.render(agreed.keys.sas_value),
            verified: agreed.verified() && content.flags.verified,
            cache_mismatch: agreed.cache_mismatch,
        });
        let secured = Secured {
            choice,
            initiator: role == Role::Initiator,
            peer: Peer {
                zid: peer.hello.zid,
                client: client_text(&peer.hello.client),
                mitm: peer.hello.mitm,
                disclosure: content.flags.disclosure,
                signalled: peer.signalled,
            },
            sas,
        };
        let secured = Output::Secured(self.index, Box::new(secured));
        shared.outputs.push_back(secured);
        if is_dh {
            retain(&peer, agreed, content.expiry, shared);
        }
        self.phase = Phase::Secure(Box::new(Secure {
            choice,
            mac_key: theirs.mac_key.clone(),
            confirm2,
            peer,
        }));
    }

    pub(super) fn on_go_clear(&mut self, mac: [u8; 8], shared: &mut Shared) {
        let Phase::Secure(state) = &self.phase else {
            return;
        };
        // §4.7.2: keyed like the sender's Confirm, over the type with its blank, as others do it too (Linphone's bzrtp). Forged ones
        // get no answer. We never allowed it (flag A), so the answer is Error 0x100 (§5.9); the peer stays encrypted or hangs up.
        let expected = state.choice.hash.mac64(&state.mac_key, &[b"GoClear "]);
        if equal(&expected, &mac) {
            self.send(&Message::Error(ErrorCode::GO_CLEAR).encode(), shared);
        }
    }

    /// A PBX passes on the SAS of its other side (§5.13). We enrolled with none, so what it says is not believed (§7.3); RelayACK, which
    /// has nothing but its type (§5.14), keeps it from repeating. ZRTPCPP answers a PBX that it does not trust in the same way.
    /// Its MAC is over what is encrypted, keyed like the sender's Confirm.
    pub(super) fn on_sas_relay(&mut self, relay: &Confirm, shared: &mut Shared) {
        let Phase::Secure(state) = &self.phase else {
            return;
        };
        let expected = state.choice.hash.mac64(&state.mac_key, &[&relay.encrypted]);
        if equal(&expected, &relay.mac) {
            self.send(&Message::RelayAck.encode(), shared);
        }
    }
}

/// Has the new secret kept, or waits for the user's word (§4.6.1).
fn retain(peer: &PeerHello, agreed: &Agreed, expiry: u32, shared: &mut Shared) {
    let zid = peer.hello.zid;
    let lifetime = shared.settings.lifetime.shorter(expiry);
    if lifetime == Lifetime::Seconds(0) {
        shared
            .outputs
            .push_back(Output::Store(Update::Forget { peer: zid }));
        return;
    }
    let retained = Retained {
        rs1: Some(Secret(agreed.keys.retained.clone())),
        // The one that both sides had; after a lost Conf2ACK it may be our rs2.
        rs2: agreed.shared.clone().or_else(|| agreed.retained.rs1.clone()),
        verified: agreed.verified(),
    };
    // A further key agreement of this association finds what this one left.
    if let Some(known) = shared.retained.iter_mut().find(|(known, _)| *known == zid)
        && !agreed.cache_mismatch
    {
        known.1 = Some(retained.clone());
    }
    let update = Update::Secrets {
        peer: zid,
        retained,
        lifetime,
    };
    let proven_by_signalling = shared.settings.signalling_protected && peer.signalled;
    if agreed.cache_mismatch && !proven_by_signalling {
        if agreed.retained.verified {
            let verified = false;
            shared
                .outputs
                .push_back(Output::Store(Update::Verified { peer: zid, verified }));
        }
        shared.unconfirmed = Some(update);
    } else {
        shared.unconfirmed = None;
        shared.outputs.push_back(Output::Store(update));
    }
}

/// The client's name, for logs: without its padding, and nothing unprintable.
fn client_text(client: &[u8; 16]) -> String {
    let printable = |byte: &u8| {
        if (b' '..=b'~').contains(byte) {
            char::from(*byte)
        } else {
            '?'
        }
    };
    let text: String = client
        .iter()
        .take_while(|byte| **byte != 0)
        .map(printable)
        .collect();
    text.trim_end().to_owned()
}
