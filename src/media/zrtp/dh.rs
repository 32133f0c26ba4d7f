//! Key agreement (RFC 6189 §4.4.1, §5.1.5). Every operation on a secret takes the same time whatever its value.

mod modp;

use super::Env;
use super::algorithm::{Cipher, KeyAgreement};
use super::digest::SecretBytes;
use modp::{Modp2048, Modp3072};
use p256::elliptic_curve::sec1::ToSec1Point;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// The peer's public value is none: out of range, not on the curve, or of small order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPublicValue;

/// Our part of one agreement. Made for it, used once.
pub(super) struct KeyPair {
    public: Vec<u8>,
    secret: Secret,
}

enum Secret {
    Modp2048(Modp2048),
    Modp3072(Modp3072),
    X25519(x25519_dalek::StaticSecret),
    X448(x448::StaticSecret),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
}

impl KeyPair {
    /// A fresh pair; `None` for [`KeyAgreement::Mult`], which agrees on nothing.
    pub(super) fn generate(agreement: KeyAgreement, cipher: Cipher, env: &mut Env<'_>) -> Option<Self> {
        let (public, secret) = match agreement {
            KeyAgreement::Dh2k => {
                let secret = Modp2048::generate(cipher, env);
                (secret.public(), Secret::Modp2048(secret))
            }
            KeyAgreement::Dh3k => {
                let secret = Modp3072::generate(cipher, env);
                (secret.public(), Secret::Modp3072(secret))
            }
            KeyAgreement::X255 => {
                let secret = x25519_dalek::StaticSecret::from(env.array());
                let public = x25519_dalek::PublicKey::from(&secret);
                (public.as_bytes().to_vec(), Secret::X25519(secret))
            }
            KeyAgreement::X448 => {
                let secret = x448::StaticSecret::from(env.array());
                let public = x448::PublicKey::from(&secret);
                (public.as_bytes().to_vec(), Secret::X448(secret))
            }
            KeyAgreement::Ec25 => {
                let secret = points::scalar(env, |bytes: &[u8; 32]| p256::SecretKey::from_slice(bytes).ok());
                let point = secret.public_key().to_sec1_point(false);
                (point.as_bytes()[1..].to_vec(), Secret::P256(secret))
            }
            KeyAgreement::Ec38 => {
                let secret = points::scalar(env, |bytes: &[u8; 48]| p384::SecretKey::from_slice(bytes).ok());
                let point = secret.public_key().to_sec1_point(false);
                (point.as_bytes()[1..].to_vec(), Secret::P384(secret))
            }
            KeyAgreement::Mult => return None,
        };
        debug_assert_eq!(public.len(), agreement.public_length());
        Some(Self { public, secret })
    }

    /// pvi or pvr.
    pub(super) fn public(&self) -> &[u8] {
        &self.public
    }

    /// DHResult: as long as the group's elements, or the curve's x, are.
    ///
    /// # Errors
    /// When the peer's value must not be used (RFC 6189 §4.4.1.2, §5.1.5).
    pub(super) fn agree(&self, peer: &[u8]) -> Result<SecretBytes, BadPublicValue> {
        match &self.secret {
            Secret::Modp2048(secret) => secret.agree(peer),
            Secret::Modp3072(secret) => secret.agree(peer),
            Secret::X25519(secret) => {
                let peer: [u8; 32] = peer.try_into().map_err(|_| BadPublicValue)?;
                let shared = secret.diffie_hellman(&peer.into());
                // RFC 7748 §6.1: all zero tells that the peer's value has small order.
                if !shared.was_contributory() {
                    return Err(BadPublicValue);
                }
                Ok(Zeroizing::new(shared.as_bytes().to_vec()))
            }
            Secret::X448(secret) => {
                let peer = x448::PublicKey::from_bytes(peer).ok_or(BadPublicValue)?;
                let shared = secret.diffie_hellman(&peer);
                // RFC 7748 §6.2: as for X25519. The crate knows the values of small order by their usual spelling only.
                if shared.as_bytes().ct_eq(&[0; 56]).into() {
                    return Err(BadPublicValue);
                }
                Ok(Zeroizing::new(shared.as_bytes().to_vec()))
            }
            Secret::P256(secret) => {
                let peer = points::uncompressed::<64>(peer)?;
                let peer = p256::PublicKey::from_sec1_bytes(&peer).map_err(|_| BadPublicValue)?;
                let shared = secret.diffie_hellman(&peer);
                Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
            }
            Secret::P384(secret) => {
                let peer = points::uncompressed::<96>(peer)?;
                let peer = p384::PublicKey::from_sec1_bytes(&peer).map_err(|_| BadPublicValue)?;
                let shared = secret.diffie_hellman(&peer);
                Ok(Zeroizing::new(shared.raw_secret_bytes().to_vec()))
            }
        }
    }
}

/// Points of the NIST curves: ZRTP writes x and y, without the octet that SEC 1 puts before them.
mod points {
    use super::{BadPublicValue, Env};
    use zeroize::Zeroizing;

    /// A random scalar of the curve.
    pub(super) fn scalar<K, const N: usize>(env: &mut Env<'_>, key: impl Fn(&[u8; N]) -> Option<K>) -> K {
        let mut bytes = Zeroizing::new(env.array());
        key(&bytes).unwrap_or_else(|| {
            // Zero, or not below the order: of 2³² numbers hardly one. Without its highest bit it is below, for both
            // curves; with its lowest it is not zero.
            bytes[0] &= 0x7f;
            bytes[N - 1] |= 1;
            key(&bytes).expect("a number between zero and half the order")
        })
    }

    /// The SEC 1 form.
    pub(super) fn uncompressed<const N: usize>(bytes: &[u8]) -> Result<Vec<u8>, BadPublicValue> {
        if bytes.len() != N {
            return Err(BadPublicValue);
        }
        Ok([&[4], bytes].concat())
    }
}

#[cfg(test)]
mod tests;
