//! Hashes and MACs.

use super::algorithm::Hash;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha384};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// A secret of variable length.
pub(super) type SecretBytes = Zeroizing<Vec<u8>>;

impl Hash {
    /// Octets of its output.
    pub(super) const fn length(self) -> usize {
        match self {
            Self::S256 => 32,
            Self::S384 => 48,
        }
    }

    /// The hash of the parts, one after the other.
    pub(super) fn digest(self, parts: &[&[u8]]) -> SecretBytes {
        match self {
            Self::S256 => digest::<Sha256>(parts),
            Self::S384 => digest::<Sha384>(parts),
        }
    }

    /// HMAC of the parts, one after the other.
    pub(super) fn mac(self, key: &[u8], parts: &[&[u8]]) -> SecretBytes {
        match self {
            Self::S256 => mac(
                Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length"),
                parts,
            ),
            Self::S384 => mac(
                Hmac::<Sha384>::new_from_slice(key).expect("HMAC takes keys of any length"),
                parts,
            ),
        }
    }

    /// HMAC, its leftmost 64 bits: as it stands in messages and in the identifiers of secrets.
    pub(super) fn mac64(self, key: &[u8], parts: &[&[u8]]) -> [u8; 8] {
        let mac = self.mac(key, parts);
        *mac.first_chunk().expect("every hash here has at least 32 octets")
    }
}

fn digest<D: Digest>(parts: &[&[u8]]) -> SecretBytes {
    let mut hasher = D::new();
    for part in parts {
        hasher.update(part);
    }
    Zeroizing::new(hasher.finalize().to_vec())
}

fn mac<M: Mac>(mut mac: M, parts: &[&[u8]]) -> SecretBytes {
    for part in parts {
        mac.update(part);
    }
    Zeroizing::new(mac.finalize().into_bytes().to_vec())
}

/// SHA-256, which the hash chain and `a=zrtp-hash` always use.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// Whether two MACs or identifiers are equal, in constant time.
pub(super) fn equal(one: &[u8], other: &[u8]) -> bool {
    one.ct_eq(other).into()
}
