//! Our Hello, and what two Hellos have in common (RFC 6189 §4.1.2).

use super::algorithm::{Algorithm, Choice, Code, KeyAgreement};
use super::algorithm::{Cipher, Hash};
use super::chain::{self, Chain};
use super::message::{Commit, ErrorCode, Hello, MAX_CODES, Message, VERSION};
use super::{Settings, Zid};

/// Our Hello with its MAC: made once for a stream, the same in every repetition.
pub(super) fn hello(settings: &Settings, zid: Zid, chain: &Chain) -> Vec<u8> {
    fn codes<A: Algorithm>(list: &[A]) -> Vec<Code> {
        list.iter().map(|entry| entry.code()).take(MAX_CODES).collect()
    }
    let mut client = [b' '; 16];
    for (to, from) in client.iter_mut().zip(settings.client.bytes()) {
        *to = from;
    }
    let mut message = Message::Hello(Hello {
        version: VERSION,
        client,
        h3: *chain.h3(),
        zid,
        signature_capable: false,
        mitm: false,
        passive: settings.passive,
        hashes: codes(&settings.hashes),
        ciphers: codes(&settings.ciphers),
        auth_tags: codes(&settings.auth_tags),
        key_agreements: codes(&settings.key_agreements),
        sas_types: codes(&settings.sas_types),
        mac: [0; 8],
    })
    .encode();
    chain::seal(&mut message, chain.h2());
    message
}

/// Whether a peer has an algorithm: its list names it, or every endpoint has it.
fn has<A: Algorithm>(theirs: &[Code], algorithm: A) -> bool {
    theirs.contains(&algorithm.code()) || A::MANDATORY.contains(&algorithm)
}

/// Our best that the peer has too.
fn best<A: Algorithm>(ours: &[A], theirs: &[Code], none: ErrorCode) -> Result<A, ErrorCode> {
    ours.iter().copied().find(|entry| has(theirs, *entry)).ok_or(none)
}

/// What we commit to as the initiator, for a key agreement by Diffie-Hellman.
///
/// # Errors
/// The code of what is not in common.
pub(super) fn choose(settings: &Settings, peer: &Hello) -> Result<Choice, ErrorCode> {
    let key_agreement = key_agreement(settings, peer)?;
    let mut hash = best(&settings.hashes, &peer.hashes, ErrorCode::HASH)?;
    let mut cipher = best(&settings.ciphers, &peer.ciphers, ErrorCode::CIPHER)?;
    if matches!(key_agreement, KeyAgreement::Ec38 | KeyAgreement::X448) {
        // §5.1.5: a hash and a cipher of the curve's strength go with it.
        let strong = settings.hashes.contains(&Hash::S384) && has(&peer.hashes, Hash::S384);
        hash = if strong { Hash::S384 } else { hash };
        let strong = settings.ciphers.contains(&Cipher::Aes3) && has(&peer.ciphers, Cipher::Aes3);
        cipher = if strong { Cipher::Aes3 } else { cipher };
    }
    Ok(Choice {
        hash,
        cipher,
        auth_tag: best(&settings.auth_tags, &peer.auth_tags, ErrorCode::AUTH_TAG)?,
        key_agreement,
        sas: best(&settings.sas_types, &peer.sas_types, ErrorCode::SAS)?,
    })
}

/// The rule of §4.1.2, by which both sides come to the same: of our first that the peer has and of the peer's first that we
/// have, the faster.
fn key_agreement(settings: &Settings, peer: &Hello) -> Result<KeyAgreement, ErrorCode> {
    let ours: Vec<_> = settings
        .key_agreements
        .iter()
        .copied()
        .filter(|entry| *entry != KeyAgreement::Mult)
        .collect();
    let first = best(&ours, &peer.key_agreements, ErrorCode::KEY_AGREEMENT)?;
    let theirs = peer.key_agreements.iter().copied();
    let their_first = theirs
        .filter_map(KeyAgreement::from_code)
        .find(|entry| ours.contains(entry))
        .unwrap_or(first);
    let speed = |agreement| KeyAgreement::KNOWN.iter().position(|known| *known == agreement);
    Ok(if speed(their_first) < speed(first) {
        their_first
    } else {
        first
    })
}

/// Whether further streams can take their keys from the first.
pub(super) fn multistream(settings: &Settings, peer: &Hello) -> bool {
    settings.key_agreements.contains(&KeyAgreement::Mult)
        && peer.key_agreements.contains(&KeyAgreement::Mult.code())
}

/// What the initiator committed to, if we allow it.
///
/// # Errors
/// The code of what we do not have.
pub(super) fn accept(settings: &Settings, commit: &Commit) -> Result<Choice, ErrorCode> {
    fn ours<A: Algorithm>(list: &[A], code: Code, none: ErrorCode) -> Result<A, ErrorCode> {
        A::from_code(code)
            .filter(|entry| list.contains(entry))
            .ok_or(none)
    }
    Ok(Choice {
        hash: ours(&settings.hashes, commit.hash, ErrorCode::HASH)?,
        cipher: ours(&settings.ciphers, commit.cipher, ErrorCode::CIPHER)?,
        auth_tag: ours(&settings.auth_tags, commit.auth_tag, ErrorCode::AUTH_TAG)?,
        key_agreement: ours(
            &settings.key_agreements,
            commit.key_agreement,
            ErrorCode::KEY_AGREEMENT,
        )?,
        sas: ours(&settings.sas_types, commit.sas, ErrorCode::SAS)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use KeyAgreement::{Dh2k, Dh3k, Ec25, Ec38, Mult, X255};

    fn peer(key_agreements: &[KeyAgreement]) -> Hello {
        let mut random = |bytes: &mut [u8]| bytes.fill(1);
        let mut env = super::super::Env {
            #[expect(clippy::disallowed_methods, reason = "any time will do")]
            now: std::time::Instant::now(),
            random: &mut random,
        };
        let settings = Settings {
            key_agreements: key_agreements.to_vec(),
            ..Settings::default()
        };
        let Ok(Message::Hello(hello)) =
            Message::parse(&hello(&settings, Zid([1; 12]), &Chain::new(&mut env)))
        else {
            panic!("our Hello is one");
        };
        hello
    }

    fn chosen(ours: &[KeyAgreement], theirs: &[KeyAgreement]) -> Result<KeyAgreement, ErrorCode> {
        let settings = Settings {
            key_agreements: ours.to_vec(),
            ..Settings::default()
        };
        choose(&settings, &peer(theirs)).map(|choice| choice.key_agreement)
    }

    #[test]
    fn of_the_two_first_choices_the_faster_is_taken() {
        let rows: &[(&[KeyAgreement], &[KeyAgreement], KeyAgreement)] = &[
            (&[X255, Dh3k], &[X255, Dh3k], X255),
            (&[Dh3k, X255], &[X255, Dh3k], X255),
            (&[Ec38, Dh3k, Mult], &[Dh3k, Mult, Ec38], Dh3k),
            (&[Ec38, Ec25], &[Ec38, Ec25, Dh3k], Ec38),
            (&[Mult, Ec25, Dh2k], &[Dh2k, Ec25], Dh2k),
            // DH3k every endpoint has, named or not.
            (&[Dh3k], &[], Dh3k),
            (&[X255, Dh3k], &[Mult], Dh3k),
        ];
        for (ours, theirs, expected) in rows {
            assert_eq!(chosen(ours, theirs), Ok(*expected), "{ours:?} {theirs:?}");
        }
        assert_eq!(
            chosen(&[X255, Mult], &[Dh3k, Mult]),
            Err(ErrorCode::KEY_AGREEMENT)
        );
    }

    #[test]
    fn p_384_comes_with_the_strong_hash_and_cipher() {
        let only = Settings {
            key_agreements: vec![Ec38],
            ..Settings::default()
        };
        let choice = choose(&only, &peer(&[Ec38])).unwrap();
        assert_eq!((choice.key_agreement, choice.hash), (Ec38, Hash::S384));
        assert_eq!(choice.cipher, Cipher::Aes3);
        let weak = Settings {
            hashes: vec![Hash::S256],
            ciphers: vec![Cipher::Aes1],
            ..only
        };
        let choice = choose(&weak, &peer(&[Ec38])).unwrap();
        assert_eq!((choice.hash, choice.cipher), (Hash::S256, Cipher::Aes1));
    }

    #[test]
    fn what_is_not_in_common_is_named() {
        let only = Settings {
            ciphers: vec![Cipher::Aes3],
            ..Settings::default()
        };
        let weak = Hello {
            ciphers: vec![*b"AES1"],
            ..peer(&[X255])
        };
        assert_eq!(choose(&only, &weak), Err(ErrorCode::CIPHER));
    }

    #[test]
    fn our_hello_names_us_and_all_that_we_allow() {
        let hello = peer(&[X255, Mult]);
        assert_eq!(hello.client[..6], *b"b2bua ");
        assert_eq!(hello.client[15], b' ');
        assert_eq!(hello.key_agreements, [*b"X255", *b"Mult"]);
        assert_eq!(hello.auth_tags, [*b"HS80", *b"HS32"]);
        assert!(multistream(&Settings::default(), &hello));
        assert!(!multistream(&Settings::default(), &peer(&[X255])));
    }
}
