use super::super::algorithm::Algorithm;
use super::*;
use rand::{Rng, SeedableRng, rngs::StdRng};

fn with_env<T>(seed: u64, act: impl FnOnce(&mut Env<'_>) -> T) -> T {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut random = |bytes: &mut [u8]| rng.fill_bytes(bytes);
    act(&mut Env {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        now: std::time::Instant::now(),
        random: &mut random,
    })
}

fn pair(agreement: KeyAgreement, cipher: Cipher, seed: u64) -> KeyPair {
    with_env(seed, |env| KeyPair::generate(agreement, cipher, env)).unwrap()
}

fn groups() -> impl Iterator<Item = KeyAgreement> {
    KeyAgreement::KNOWN
        .iter()
        .copied()
        .filter(|known| *known != KeyAgreement::Mult)
}

#[test]
fn both_sides_agree_in_every_group_and_others_do_not() {
    for agreement in groups() {
        for cipher in [Cipher::Aes1, Cipher::Aes3] {
            let (one, two) = (pair(agreement, cipher, 1), pair(agreement, cipher, 2));
            assert_eq!(one.public().len(), agreement.public_length());
            let shared = one.agree(two.public()).unwrap();
            assert_eq!(shared, two.agree(one.public()).unwrap(), "{agreement}");
            assert_ne!(shared, pair(agreement, cipher, 3).agree(one.public()).unwrap());
            let length = match agreement {
                KeyAgreement::Ec25 | KeyAgreement::Ec38 => agreement.public_length() / 2,
                _ => agreement.public_length(),
            };
            assert_eq!(shared.len(), length, "{agreement}");
        }
    }
    assert!(with_env(1, |env| KeyPair::generate(KeyAgreement::Mult, Cipher::Aes1, env)).is_none());
}

#[test]
fn values_that_are_no_public_value_are_refused() {
    for agreement in groups() {
        let own = pair(agreement, Cipher::Aes1, 1);
        let length = agreement.public_length();
        let mut bad = vec![vec![0; length], vec![0; length - 1], vec![0; length + 1], vec![]];
        if matches!(agreement, KeyAgreement::Dh2k | KeyAgreement::Dh3k) {
            let mut one = vec![0; length];
            one[length - 1] = 1;
            // All the primes of RFC 3526 begin and end with 64 ones.
            bad.extend([one, vec![0xff; length]]);
        }
        if matches!(agreement, KeyAgreement::Ec25 | KeyAgreement::Ec38) {
            let mut off = own.public().to_vec();
            off[length - 1] ^= 1;
            bad.push(off);
        }
        for value in bad {
            assert_eq!(own.agree(&value), Err(BadPublicValue), "{agreement} {value:02x?}");
        }
    }
}

#[test]
fn the_prime_less_one_is_refused_and_less_two_is_not() {
    use crypto_bigint::modular::ConstMontyParams;
    let prime = modp::Prime3072::PARAMS.modulus().get();
    let octets = |number: crypto_bigint::U3072| number.to_be_bytes().to_vec();
    let own = pair(KeyAgreement::Dh3k, Cipher::Aes1, 1);
    let less = |by: u8| octets(prime.wrapping_sub(&crypto_bigint::U3072::from_u8(by)));
    assert_eq!(own.agree(&less(0)), Err(BadPublicValue));
    assert_eq!(own.agree(&less(1)), Err(BadPublicValue));
    assert!(own.agree(&less(2)).is_ok());
}

/// Powers that are small enough to write down: 2 to an exponent below the size of the prime is a single bit.
#[test]
fn the_modular_power_is_one() {
    let secret = |bytes: &mut [u8]| {
        bytes.fill(0);
        *bytes.last_mut().unwrap() = 200;
    };
    let mut random = secret;
    let own = KeyPair::generate(
        KeyAgreement::Dh3k,
        Cipher::Aes3,
        &mut Env {
            #[expect(clippy::disallowed_methods, reason = "any time will do")]
            now: std::time::Instant::now(),
            random: &mut random,
        },
    )
    .unwrap();
    let mut expected = vec![0; 384];
    expected[384 - 1 - 200 / 8] = 1;
    assert_eq!(own.public(), expected);
    // (2^15)^200 = 2^3000, still below.
    let mut peer = vec![0; 384];
    peer[384 - 2] = 0x80;
    let mut power = vec![0; 384];
    power[384 - 1 - 3000 / 8] = 1;
    assert_eq!(*own.agree(&peer).unwrap(), power);
    // (2^16)^200 = 2^3200 = 2^128 * 2^3072, and 2^3072 = 2^3008 + 1 - 2^64 * (…) mod p: no single bit any more.
    let mut peer = vec![0; 384];
    peer[384 - 3] = 1;
    assert!(
        own.agree(&peer)
            .unwrap()
            .iter()
            .filter(|byte| **byte != 0)
            .count()
            > 300
    );
}

#[test]
fn a_source_of_zeros_still_gives_a_key() {
    for agreement in [KeyAgreement::Ec25, KeyAgreement::Ec38] {
        let mut random = |bytes: &mut [u8]| bytes.fill(0);
        let mut env = Env {
            #[expect(clippy::disallowed_methods, reason = "any time will do")]
            now: std::time::Instant::now(),
            random: &mut random,
        };
        assert!(KeyPair::generate(agreement, Cipher::Aes1, &mut env).is_some());
    }
}
