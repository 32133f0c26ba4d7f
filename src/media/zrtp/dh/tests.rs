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

/// RFC 7748 §6.2.
#[test]
fn x448_agrees_as_the_rfc_shows() {
    let octets = |text: &str| hex::decode(text.replace(char::is_whitespace, "")).unwrap();
    let alice = octets(
        "9a8f4925d1519f5775cf46b04b5800d4ee9ee8bae8bc5565d498c28d\
         d9c9baf574a9419744897391006382a6f127ab1d9ac2d8c0a598726b",
    );
    let alices_public = octets(
        "9b08f7cc31b7e3e67d22d5aea121074a273bd2b83de09c63faa73d2c\
         22c5d9bbc836647241d953d40c5b12da88120d53177f80e532c41fa0",
    );
    let bobs_public = octets(
        "3eb7a829b0cd20f5bcfc0b599b6feccf6da4627107bdb0d4f345b430\
         27d8b972fc3e34fb4232a13ca706dcb57aec3dae07bdc1c67bf33609",
    );
    let shared = octets(
        "07fff4181ac6cc95ec1c16a94a0f74d12da232ce40a77552281d282b\
         b60c0b56fd2464c335543936521c24403085d59a449a5037514a879d",
    );
    let mut random = |bytes: &mut [u8]| bytes.copy_from_slice(&alice);
    let mut env = Env {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        now: std::time::Instant::now(),
        random: &mut random,
    };
    let own = KeyPair::generate(KeyAgreement::X448, Cipher::Aes1, &mut env).unwrap();
    assert_eq!(own.public(), alices_public);
    assert_eq!(*own.agree(&bobs_public).unwrap(), shared);
}

/// Values of small order, also where they are written as no sender would: zero as the prime, one as the prime and one.
#[test]
fn x448_refuses_values_of_small_order_in_any_spelling() {
    let own = pair(KeyAgreement::X448, Cipher::Aes1, 1);
    // 2^448 - 2^224 - 1, least octet first.
    let mut prime = [0xff; 56];
    prime[28] = 0xfe;
    let mut less_one = prime;
    less_one[0] = 0xfe;
    let mut zero_again = [0; 56];
    zero_again.copy_from_slice(&prime);
    let mut one = [0; 56];
    one[0] = 1;
    let mut one_again = [0; 56];
    one_again[28..].fill(0xff);
    for value in [[0; 56], one, less_one, zero_again, one_again] {
        assert_eq!(own.agree(&value), Err(BadPublicValue), "{value:02x?}");
    }
}
