use super::*;
use proptest::{collection::vec, prelude::*};

fn confirm(length: usize) -> Confirm {
    Confirm {
        mac: [1; 8],
        iv: [2; 16],
        encrypted: vec![3; length],
    }
}

fn hello() -> Hello {
    Hello {
        version: VERSION,
        client: *b"someone 1.0     ",
        h3: [3; 32],
        zid: Zid([9; 12]),
        signature_capable: false,
        mitm: true,
        passive: false,
        hashes: vec![*b"S384", *b"S256"],
        ciphers: vec![*b"AES3"],
        auth_tags: vec![],
        key_agreements: vec![*b"X255", *b"K255", *b"DH3k"],
        sas_types: vec![*b"B256"],
        mac: [7; 8],
    }
}

fn commit(key_agreement: Code, mode: Mode) -> Commit {
    Commit {
        h2: [2; 32],
        zid: Zid([8; 12]),
        hash: *b"S256",
        cipher: *b"AES1",
        auth_tag: *b"HS80",
        key_agreement,
        sas: *b"B32 ",
        mode,
        mac: [6; 8],
    }
}

use super::super::algorithm::Code;

fn part(length: usize) -> DhPart {
    DhPart {
        h1: [1; 32],
        secret_ids: [[1; 8], [2; 8], [3; 8], [4; 8]],
        public: vec![5; length],
        mac: [6; 8],
    }
}

/// Each type, with its length in words as RFC 6189 §5.2–§5.16 gives it.
fn all() -> Vec<(Message, u16)> {
    let nonce = [4; 16];
    vec![
        (Message::Hello(hello()), 22 + 7),
        (Message::HelloAck, 3),
        (Message::Commit(commit(*b"DH3k", Mode::Dh { hvi: [1; 32] })), 29),
        (Message::Commit(commit(*b"Mult", Mode::Multistream { nonce })), 25),
        (
            Message::Commit(commit(
                *b"Prsh",
                Mode::Preshared {
                    nonce,
                    key_id: [5; 8],
                },
            )),
            27,
        ),
        (Message::DhPart1(part(384)), 117),
        (Message::DhPart2(part(32)), 29),
        (Message::Confirm1(confirm(40)), 19),
        (Message::Confirm2(confirm(48)), 21),
        (Message::Conf2Ack, 3),
        (Message::Error(ErrorCode::HVI), 4),
        (Message::ErrorAck, 3),
        (Message::GoClear([1; 8]), 5),
        (Message::ClearAck, 3),
        (Message::SasRelay(confirm(40)), 19),
        (Message::RelayAck, 3),
        (Message::Ping { endpoint: [1; 8] }, 6),
        (
            Message::PingAck {
                endpoint: [1; 8],
                asker: [2; 8],
                ssrc: 3,
            },
            9,
        ),
    ]
}

#[test]
fn every_message_is_read_back_and_has_the_rfcs_length() {
    for (message, words) in all() {
        let bytes = message.encode();
        assert_eq!(bytes.len(), usize::from(words) * 4, "{message:?}");
        assert_eq!(bytes[2..4], words.to_be_bytes(), "{message:?}");
        assert_eq!(Message::parse(&bytes), Ok(message));
    }
}

#[test]
fn a_message_with_another_length_than_its_own_is_refused() {
    for (message, words) in all() {
        let bytes = message.encode();
        for cut in 0..bytes.len() {
            assert!(Message::parse(&bytes[..cut]).is_err(), "{message:?} {cut}");
        }
        let mut longer = bytes.clone();
        longer.extend([0; 4]);
        assert_eq!(Message::parse(&longer), Err(Malformed::Length), "{message:?}");
        // With a length to match only those of free length stay what they are.
        longer[2..4].copy_from_slice(&(words + 1).to_be_bytes());
        let free = matches!(
            message,
            Message::Confirm1(_) | Message::Confirm2(_) | Message::SasRelay(_) | Message::DhPart2(_)
        );
        assert_eq!(Message::parse(&longer).is_ok(), free, "{message:?}");
    }
}

#[test]
fn a_hello_with_more_names_than_allowed_is_refused() {
    let mut bytes = Message::Hello(Hello {
        hashes: vec![*b"S256"; 7],
        ..hello()
    })
    .encode();
    assert!(Message::parse(&bytes).is_ok());
    // The count of hashes: octet 77 of the message.
    assert_eq!(bytes[77], 7);
    bytes[77] = 8;
    assert_eq!(Message::parse(&bytes), Err(Malformed::Length));
}

#[test]
fn unknown_types_and_preambles_are_refused() {
    let bytes = Message::HelloAck.encode();
    let mut other = bytes.clone();
    other[4] = b'h';
    assert_eq!(Message::parse(&other), Err(Malformed::Type));
    other = bytes;
    other[0] = 0x51;
    assert_eq!(Message::parse(&other), Err(Malformed::Preamble));
}

#[test]
fn what_a_confirm_says_is_read_back() {
    for bits in 0..16_u8 {
        let content = ConfirmContent {
            h0: [9; 32],
            flags: Flags {
                enrollment: bits & 8 != 0,
                verified: bits & 4 != 0,
                allow_clear: bits & 2 != 0,
                disclosure: bits & 1 != 0,
            },
            expiry: u32::from(bits) << 28 | 5,
            signature: vec![7; usize::from(bits) * 100 / 4 * 4],
        };
        let bytes = content.encode();
        assert_eq!(ConfirmContent::parse(&bytes), Ok(content));
        assert!(ConfirmContent::parse(&bytes[..bytes.len() - 1]).is_err());
        assert!(ConfirmContent::parse(&[&bytes[..], &[0; 4]].concat()).is_err());
    }
}

proptest! {
    #[test]
    fn what_is_read_is_written_so_that_it_reads_the_same(kind in 0..18_usize, body in vec(any::<u8>(), 0..480)) {
        let (message, _) = &all()[kind];
        let mut bytes = message.encode();
        for (byte, other) in bytes.iter_mut().skip(12).zip(&body) {
            *byte = *other;
        }
        if let Ok(read) = Message::parse(&bytes) {
            prop_assert_eq!(Message::parse(&read.encode()), Ok(read));
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..600)) {
        let _ = Message::parse(&bytes);
        let _ = ConfirmContent::parse(&bytes);
    }
}
