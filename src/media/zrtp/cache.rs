//! What is retained from session to session (RFC 6189 §4.3, §4.6.1, §4.9). The store itself is outside.

use super::algorithm::Hash;
use super::digest::equal;
use super::{Env, Zid};
use zeroize::Zeroizing;

/// A retained secret, 256 bits. Zeroised when dropped; `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub Zeroizing<[u8; 32]>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a store knows of one peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// From the last session.
    pub rs1: Option<Secret>,
    /// From the one before.
    pub rs2: Option<Secret>,
    /// The user compared the SAS (flag V).
    pub verified: bool,
}

/// For how long a secret may be kept (§4.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is replaced.
    Forever,
    /// So many seconds; 0: not at all.
    Seconds(u32),
}

/// What a store is told to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Keep these for the peer, instead of what was kept.
    Secrets {
        /// Whose.
        peer: Zid,
        /// All of it.
        retained: Retained,
        /// From now on.
        lifetime: Lifetime,
    },
    /// Change the flag of what is kept, if there is anything.
    Verified {
        /// Whose.
        peer: Zid,
        /// Whether the user compared the SAS.
        verified: bool,
    },
    /// One side wants nothing kept.
    Forget {
        /// Whose.
        peer: Zid,
    },
}

impl Lifetime {
    /// As a Confirm carries it.
    pub(super) fn to_wire(self) -> u32 {
        match self {
            Self::Forever => u32::MAX,
            Self::Seconds(seconds) => seconds.min(u32::MAX - 1),
        }
    }

    /// The shorter of ours and of what the peer's Confirm says.
    pub(super) fn shorter(self, peer: u32) -> Self {
        match self.to_wire().min(peer) {
            u32::MAX => Self::Forever,
            seconds => Self::Seconds(seconds),
        }
    }
}

/// Whose identifiers: each side sends those with its own role in them (§4.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Initiator,
    Responder,
}

impl Role {
    const fn text(self) -> &'static [u8] {
        match self {
            Self::Initiator => b"Initiator",
            Self::Responder => b"Responder",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

impl Retained {
    /// rs1ID, rs2ID, auxsecretID and pbxsecretID for our DHPart; random where there is no secret, so that nobody sees
    /// which there are. We have neither auxiliary nor PBX secrets.
    pub(super) fn ids(&self, hash: Hash, role: Role, env: &mut Env<'_>) -> [[u8; 8]; 4] {
        let mut id = |secret: &Option<Secret>| match secret {
            Some(secret) => hash.mac64(&secret.0[..], &[role.text()]),
            None => env.array(),
        };
        [id(&self.rs1), id(&self.rs2), id(&None), id(&None)]
    }

    /// s1 (§4.3): the initiator's rs1 if the responder has it as rs1 or rs2, else the initiator's rs2 likewise. `role` is ours,
    /// `peer` what the other's DHPart says.
    pub(super) fn shared(&self, hash: Hash, role: Role, peer: &[[u8; 8]; 4]) -> Option<&Secret> {
        let [peer_rs1, peer_rs2, ..] = peer;
        let is =
            |secret: &Secret, id: &[u8; 8]| equal(&hash.mac64(&secret.0[..], &[role.other().text()]), id);
        let ours = || self.rs1.iter().chain(&self.rs2);
        match role {
            Role::Initiator => ours().find(|secret| is(secret, peer_rs1) || is(secret, peer_rs2)),
            Role::Responder => [peer_rs1, peer_rs2]
                .into_iter()
                .find_map(|id| ours().find(|secret| is(secret, id))),
        }
    }

    /// Whether there is anything that the peer could share.
    pub(super) fn is_empty(&self) -> bool {
        self.rs1.is_none() && self.rs2.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn secret(value: u8) -> Option<Secret> {
        (value != 0).then(|| Secret(Zeroizing::new([value; 32])))
    }

    fn retained(rs1: u8, rs2: u8) -> Retained {
        Retained {
            rs1: secret(rs1),
            rs2: secret(rs2),
            verified: false,
        }
    }

    fn ids(retained: &Retained, role: Role) -> [[u8; 8]; 4] {
        let mut next = 100;
        let mut random = |bytes: &mut [u8]| {
            next += 1;
            bytes.fill(next);
        };
        let mut env = Env {
            #[expect(clippy::disallowed_methods, reason = "any time will do")]
            now: Instant::now(),
            random: &mut random,
        };
        retained.ids(Hash::S256, role, &mut env)
    }

    /// All caches that a lost Conf2ACK, a lost cache or a stranger can leave; both sides find the same secret.
    #[test]
    fn both_sides_find_the_same_secret() {
        // Initiator's rs1, rs2; responder's rs1, rs2; the shared one.
        let rows = [
            (0, 0, 0, 0, 0),
            (1, 0, 1, 0, 1),
            (1, 0, 0, 0, 0),
            (0, 0, 1, 0, 0),
            (2, 1, 2, 1, 2),
            (2, 1, 1, 0, 1),
            (1, 0, 2, 1, 1),
            (3, 2, 2, 1, 2),
            (2, 1, 3, 2, 2),
            (3, 1, 4, 1, 1),
            (1, 2, 2, 1, 1),
            (1, 2, 3, 4, 0),
        ];
        for (i1, i2, r1, r2, expected) in rows {
            let (initiator, responder) = (retained(i1, i2), retained(r1, r2));
            let from_responder = ids(&responder, Role::Responder);
            let from_initiator = ids(&initiator, Role::Initiator);
            let one = initiator.shared(Hash::S256, Role::Initiator, &from_responder);
            let two = responder.shared(Hash::S256, Role::Responder, &from_initiator);
            assert_eq!(one, two, "{i1} {i2} {r1} {r2}");
            assert_eq!(one.cloned(), secret(expected), "{i1} {i2} {r1} {r2}");
        }
    }

    #[test]
    fn missing_secrets_look_like_secrets() {
        let [rs1, rs2, aux, pbx] = ids(&retained(1, 0), Role::Initiator);
        assert_eq!(rs1, Hash::S256.mac64(&[1; 32], &[b"Initiator"]));
        assert!(rs2 != aux && aux != pbx && rs2 != pbx);
    }

    #[test]
    fn the_shorter_lifetime_counts() {
        use Lifetime::{Forever, Seconds};
        assert_eq!(Forever.shorter(u32::MAX), Forever);
        assert_eq!(Forever.shorter(5), Seconds(5));
        assert_eq!(Seconds(5).shorter(u32::MAX), Seconds(5));
        assert_eq!(Seconds(5).shorter(0), Seconds(0));
        assert_eq!(Seconds(u32::MAX).shorter(u32::MAX), Seconds(u32::MAX - 1));
    }
}
