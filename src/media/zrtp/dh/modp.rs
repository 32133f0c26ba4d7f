//! Diffie-Hellman modulo the primes of RFC 3526, with generator 2.

use super::super::{Env, algorithm::Cipher, digest::SecretBytes};
use super::BadPublicValue;
use crypto_bigint::{U512, U2048, U3072, Uint, modular::ConstMontyForm, modular::ConstMontyParams};
use zeroize::Zeroizing;

crypto_bigint::const_monty_params!(
    Prime2048,
    U2048,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
     EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
     83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
     15728E5A8AACAA68FFFFFFFFFFFFFFFF"
);
crypto_bigint::const_monty_params!(
    Prime3072,
    U3072,
    "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DD\
     EF9519B3CD3A431B302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7ED\
     EE386BFB5A899FA5AE9F24117C4B1FE649286651ECE45B3DC2007CB8A163BF0598DA48361C55D39A69163FA8FD24CF5F\
     83655D23DCA3AD961C62F356208552BB9ED529077096966D670C354E4ABC9804F1746C08CA18217C32905E462E36CE3B\
     E39E772C180E86039B2783A2EC07A28FB5C55DF06F4C52C9DE2BCBF6955817183995497CEA956AE515D2261898FA0510\
     15728E5A8AAAC42DAD33170D04507A33A85521ABDF1CBA64ECFB850458DBEF0A8AEA71575D060C7DB3970F85A6E1E4C7\
     ABF5AE8CDB0933D71E8C94E04A25619DCEE3D2261AD2EE6BF12FFA06D98A0864D87602733EC86A64521F2B18177B200C\
     BBE117577A615D6C770988C0BAD946E208E24FA074E5AB3143DB5BFCE0FD108E4B82D120A93AD2CAFFFFFFFFFFFFFFFF"
);

/// A secret exponent in the group of 2048 bits.
pub(super) type Modp2048 = Exponent<Prime2048, { U2048::LIMBS }>;
/// A secret exponent in the group of 3072 bits.
pub(super) type Modp3072 = Exponent<Prime3072, { U3072::LIMBS }>;

/// A secret exponent: twice as long as the cipher's key (RFC 6189 §5.1.5).
pub(super) struct Exponent<P, const LIMBS: usize> {
    secret: Zeroizing<U512>,
    bits: u32,
    group: std::marker::PhantomData<P>,
}

impl<P: ConstMontyParams<LIMBS>, const LIMBS: usize> Exponent<P, LIMBS> {
    pub(super) fn generate(cipher: Cipher, env: &mut Env<'_>) -> Self {
        let mut bytes = Zeroizing::new([0_u8; 64]);
        let length = cipher.key_length() * 2;
        (env.random)(&mut bytes[64 - length..]);
        Self {
            secret: Zeroizing::new(U512::from_be_slice(&bytes[..])),
            bits: length as u32 * 8,
            group: std::marker::PhantomData,
        }
    }

    pub(super) fn public(&self) -> Vec<u8> {
        octets(&self.power(&Uint::from_u8(2)))
    }

    pub(super) fn agree(&self, peer: &[u8]) -> Result<SecretBytes, BadPublicValue> {
        if peer.len() != LIMBS * 8 {
            return Err(BadPublicValue);
        }
        let peer = Uint::<LIMBS>::from_be_slice(peer);
        let last = P::PARAMS.modulus().get().wrapping_sub(&Uint::ONE);
        // 0, 1, p−1 and what is no number of the group (RFC 6189 §5.9, code 0x61). The value is public: no care for time.
        if peer <= Uint::ONE || peer >= last {
            return Err(BadPublicValue);
        }
        let shared = Zeroizing::new(self.power(&peer));
        Ok(Zeroizing::new(octets(&shared)))
    }

    fn power(&self, base: &Uint<LIMBS>) -> Uint<LIMBS> {
        ConstMontyForm::<P, LIMBS>::new(base)
            .pow_bounded_exp(&self.secret, self.bits)
            .retrieve()
    }
}

/// Highest first.
fn octets<const LIMBS: usize>(number: &Uint<LIMBS>) -> Vec<u8> {
    number
        .to_words()
        .iter()
        .rev()
        .flat_map(|word| word.to_be_bytes())
        .collect()
}
