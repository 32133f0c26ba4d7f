//! The hash chain H0–H3 (RFC 6189 §9). Each message reveals one more preimage, and with it the key of the MAC of the message
//! before: so each message proves the one before it, and at last Confirm proves them all.

use super::digest::{equal, sha256};
use super::{Env, algorithm::Hash};
use zeroize::Zeroizing;

/// Octets of the MAC that ends Hello, Commit and DHPart.
pub(super) const MAC: usize = 8;

/// Our own chain of one stream.
#[derive(Clone)]
pub(super) struct Chain {
    h0: Zeroizing<[u8; 32]>,
    h1: Zeroizing<[u8; 32]>,
    h2: Zeroizing<[u8; 32]>,
    h3: [u8; 32],
}

impl Chain {
    /// A new chain.
    pub(super) fn new(env: &mut Env<'_>) -> Self {
        let h0 = Zeroizing::new(env.array());
        let h1 = Zeroizing::new(sha256(&h0[..]));
        let h2 = Zeroizing::new(sha256(&h1[..]));
        let h3 = sha256(&h2[..]);
        Self { h0, h1, h2, h3 }
    }

    /// For Confirm; key of DHPart.
    pub(super) fn h0(&self) -> &[u8; 32] {
        &self.h0
    }

    /// For DHPart; key of Commit.
    pub(super) fn h1(&self) -> &[u8; 32] {
        &self.h1
    }

    /// For Commit; key of Hello.
    pub(super) fn h2(&self) -> &[u8; 32] {
        &self.h2
    }

    /// For Hello.
    pub(super) fn h3(&self) -> &[u8; 32] {
        &self.h3
    }
}

/// Writes the MAC of a message into its last eight octets, where the printer left room.
pub(super) fn seal(message: &mut [u8], key: &[u8; 32]) {
    let (signed, tag) = message.split_at_mut(message.len() - MAC);
    tag.copy_from_slice(&Hash::S256.mac64(key, &[signed]));
}

/// Whether a message ends with its MAC under this key.
pub(super) fn is_sealed(message: &[u8], key: &[u8; 32]) -> bool {
    message
        .split_last_chunk::<MAC>()
        .is_some_and(|(signed, tag)| equal(&Hash::S256.mac64(key, &[signed]), tag))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn each_image_is_the_hash_of_the_one_before() {
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let chain = Chain::new(&mut Env {
            #[expect(clippy::disallowed_methods, reason = "any time will do")]
            now: Instant::now(),
            random: &mut random,
        });
        assert_eq!(chain.h0(), &[7; 32]);
        assert_eq!(chain.h1(), &sha256(&[7; 32]));
        assert_eq!(chain.h2(), &sha256(chain.h1()));
        assert_eq!(chain.h3(), &sha256(chain.h2()));
    }

    #[test]
    fn a_sealed_message_holds_until_a_bit_changes() {
        let mut message = *b"some message........";
        seal(&mut message, &[1; 32]);
        assert!(is_sealed(&message, &[1; 32]));
        assert!(!is_sealed(&message, &[2; 32]));
        message[0] ^= 1;
        assert!(!is_sealed(&message, &[1; 32]));
        assert!(!is_sealed(b"short", &[1; 32]));
    }
}
