//! The messages of one exchange, made and checked: what depends on keys and hashes, not on time or order.

use super::algorithm::{Algorithm, Choice};
use super::cache::{Retained, Role, Secret};
use super::chain::{self, Chain};
use super::dh::KeyPair;
use super::digest::{equal, sha256};
use super::kdf::{Context, Half, Keys};
use super::message::{Commit, Confirm, ConfirmContent, DhPart, ErrorCode, Flags, Hello, Message, Mode};
use super::{Env, Zid};

/// A Hello that may be the peer's.
#[derive(Clone)]
pub(super) struct PeerHello {
    /// The message.
    pub(super) bytes: Vec<u8>,
    /// What it says.
    pub(super) hello: Hello,
    /// `a=zrtp-hash` announced it.
    pub(super) signalled: bool,
}

impl PeerHello {
    /// Whether this H2 belongs to it: it is the preimage of its H3 and the key of its MAC.
    pub(super) fn is_proven_by(&self, h2: &[u8; 32]) -> bool {
        equal(&sha256(h2), &self.hello.h3) && chain::is_sealed(&self.bytes, h2)
    }
}

/// Our DHPart, and what must be kept for the other's.
pub(super) struct OwnPart {
    /// The message, sealed.
    pub(super) bytes: Vec<u8>,
    pair: KeyPair,
    retained: Retained,
    role: Role,
    choice: Choice,
}

impl OwnPart {
    /// Makes it. `None` when the choice is Multistream, where there is none.
    pub(super) fn new(
        choice: Choice,
        role: Role,
        retained: Retained,
        chain: &Chain,
        env: &mut Env<'_>,
    ) -> Option<Self> {
        let pair = KeyPair::generate(choice.key_agreement, choice.cipher, env)?;
        let part = DhPart {
            h1: *chain.h1(),
            secret_ids: retained.ids(choice.hash, role, env),
            public: pair.public().to_vec(),
            mac: [0; 8],
        };
        let mut bytes = match role {
            Role::Initiator => Message::DhPart2(part),
            Role::Responder => Message::DhPart1(part),
        }
        .encode();
        chain::seal(&mut bytes, chain.h0());
        Some(Self {
            bytes,
            pair,
            retained,
            role,
            choice,
        })
    }

    /// s0 and everything from it, with the peer's part.
    ///
    /// # Errors
    /// When the peer's public value is none.
    pub(super) fn agree(&self, peer: &DhPart, context: &Context) -> Result<Agreed, ErrorCode> {
        let hash = self.choice.hash;
        let result = self
            .pair
            .agree(&peer.public)
            .map_err(|_| ErrorCode::BAD_PUBLIC_VALUE)?;
        let shared = self.retained.shared(hash, self.role, &peer.secret_ids).cloned();
        let s1: &[u8] = shared.as_ref().map_or(&[], |secret| &secret.0[..]);
        let s0 = context.s0_from_dh(hash, &result, [s1, &[], &[]]);
        Ok(Agreed {
            keys: Keys::derive(self.choice, &s0, context),
            cache_mismatch: shared.is_none() && !self.retained.is_empty(),
            shared,
            retained: self.retained.clone(),
        })
    }
}

/// What a key agreement gave.
pub(super) struct Agreed {
    pub(super) keys: Keys,
    /// s1.
    pub(super) shared: Option<Secret>,
    /// There were secrets, and none fits (§4.3.2).
    pub(super) cache_mismatch: bool,
    /// What was retained until now.
    pub(super) retained: Retained,
}

impl Agreed {
    /// Without a key agreement of its own: a further stream.
    pub(super) fn further(choice: Choice, session: &[u8], context: &Context) -> Self {
        let s0 = context.s0_from_session(choice.hash, session);
        Self {
            keys: Keys::derive(choice, &s0, context),
            shared: None,
            cache_mismatch: false,
            retained: Retained::default(),
        }
    }

    /// Our keys and the peer's, in this role of ours.
    pub(super) fn halves(&self, role: Role) -> (&Half, &Half) {
        let Keys {
            initiator, responder, ..
        } = &self.keys;
        match role {
            Role::Initiator => (initiator, responder),
            Role::Responder => (responder, initiator),
        }
    }

    /// Whether the SAS was verified before, and nothing says otherwise: our flag V.
    pub(super) fn verified(&self) -> bool {
        self.retained.verified && self.shared.is_some()
    }
}

/// hvi (§4.4.1.1): the hash of DHPart2 and the responder's Hello, cut to 256 bits.
pub(super) fn hvi(choice: Choice, dh_part2: &[u8], responder_hello: &[u8]) -> [u8; 32] {
    let hash = choice.hash.digest(&[dh_part2, responder_hello]);
    *hash
        .first_chunk()
        .expect("every hash here has at least 32 octets")
}

/// Our Commit, sealed.
pub(super) fn commit(choice: Choice, zid: Zid, mode: Mode, chain: &Chain) -> Vec<u8> {
    let mut bytes = Message::Commit(Commit {
        h2: *chain.h2(),
        zid,
        hash: choice.hash.code(),
        cipher: choice.cipher.code(),
        auth_tag: choice.auth_tag.code(),
        key_agreement: choice.key_agreement.code(),
        sas: choice.sas.code(),
        mode,
        mac: [0; 8],
    })
    .encode();
    chain::seal(&mut bytes, chain.h1());
    bytes
}

/// Encrypts and seals a Confirm under its sender's keys (§5.7).
pub(super) fn confirm(
    choice: Choice,
    sender: &Half,
    chain: &Chain,
    flags: Flags,
    expiry: u32,
    env: &mut Env<'_>,
) -> Confirm {
    let iv = env.array();
    let mut encrypted = ConfirmContent {
        h0: *chain.h0(),
        flags,
        expiry,
        signature: Vec::new(),
    }
    .encode();
    choice.cipher.encrypt(&sender.zrtp_key, &iv, &mut encrypted);
    Confirm {
        mac: choice.hash.mac64(&sender.mac_key, &[&encrypted]),
        iv,
        encrypted,
    }
}

/// Checks and decrypts a Confirm. `None` when it is not of that sender.
pub(super) fn open_confirm(choice: Choice, sender: &Half, confirm: &Confirm) -> Option<ConfirmContent> {
    let mac = choice.hash.mac64(&sender.mac_key, &[&confirm.encrypted]);
    if !equal(&mac, &confirm.mac) {
        return None;
    }
    let mut content = confirm.encrypted.clone();
    choice.cipher.decrypt(&sender.zrtp_key, &confirm.iv, &mut content);
    ConfirmContent::parse(&content).ok()
}
