//! What RTCP says of who sends, made nobody's: most clients put user and host into it (RFC 3550 §6.5.1, RFC 7022 §3), and none of
//! it is for the other leg.

use super::rtcp::{split, types};
use std::{
    hash::{BuildHasher as _, RandomState},
    sync::OnceLock,
};

/// Items of a source description (RFC 3550 §6.5).
mod items {
    pub(super) const END: u8 = 0;
    pub(super) const CNAME: u8 = 1;
    /// NAME, EMAIL, PHONE, LOC, TOOL, NOTE.
    pub(super) const NAME: u8 = 2;
    pub(super) const NOTE: u8 = 7;
    pub(super) const PRIV: u8 = 8;
}

/// What stands in the place of each octet of a text.
const BLANK: u8 = b'-';

/// Takes the texts out of source descriptions and ends of a well-formed compound packet; lengths stay. Streams of one source have one
/// canonical name as before, by which their receiver knows that they belong together, and it says nothing.
pub(crate) fn forget(bytes: &mut [u8]) {
    let mut at = 0;
    while let Some((packet, _)) = bytes.get(at..).and_then(split) {
        let length = packet.len();
        if let Some([first, kind, rest @ ..]) = bytes.get_mut(at..at + length) {
            let count = usize::from(*first & 0x1f);
            match *kind {
                types::SOURCE_DESCRIPTION => describe(rest, count),
                // A reason, after the sources that end (§6.6): its length, then text.
                types::BYE => {
                    if let Some([length, text @ ..]) = rest.get_mut(2 + 4 * count..) {
                        let length = usize::from(*length).min(text.len());
                        blank(text.get_mut(..length).unwrap_or_default());
                    }
                }
                _ => {}
            }
        }
        at += length;
    }
}

/// Chunks after the header's second octet: each an SSRC and items up to a zero, padded to a word.
fn describe(rest: &mut [u8], count: usize) {
    let mut at = 2;
    for _ in 0..count {
        at += 4;
        while let Some(&[item, length]) = rest.get(at..at + 2).and_then(|head| head.first_chunk()) {
            if item == items::END {
                break;
            }
            let end = at + 2 + usize::from(length);
            let cut = end.min(rest.len());
            let text = rest.get_mut(at + 2..cut).unwrap_or_default();
            match item {
                items::CNAME => rename(text),
                items::NAME..=items::NOTE => blank(text),
                // A prefix with its length, then a value (§6.5.8).
                items::PRIV => blank(text.get_mut(1..).unwrap_or_default()),
                // MID and what else identifies a stream (RFC 7941) names nobody.
                _ => {}
            }
            at = end;
        }
        // From the packet's beginning, two octets before.
        at = ((at + 2) / 4 + 1) * 4 - 2;
    }
}

fn blank(text: &mut [u8]) {
    text.fill(BLANK);
}

/// The same letters for the same name, as long as the server runs, and for nobody who does not know its key.
fn rename(name: &mut [u8]) {
    static KEY: OnceLock<RandomState> = OnceLock::new();
    let key = KEY.get_or_init(RandomState::new);
    let whole = key.hash_one(&*name);
    for (block, letters) in name.chunks_mut(8).enumerate() {
        let random = key.hash_one((whole, block)).to_be_bytes();
        for (letter, random) in letters.iter_mut().zip(random) {
            *letter = b'a' + random % 26;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rtcp::well_formed, *};
    use proptest::prelude::*;

    /// A source description of two sources, then an end with a reason.
    fn compound(one: &[u8], two: &[u8]) -> Vec<u8> {
        let chunk = |ssrc: u32, items: &[(u8, &[u8])]| {
            let mut chunk = ssrc.to_be_bytes().to_vec();
            for (item, text) in items {
                chunk.extend([*item, u8::try_from(text.len()).expect("short")]);
                chunk.extend_from_slice(text);
            }
            chunk.push(0);
            chunk.resize(chunk.len().next_multiple_of(4), 0);
            chunk
        };
        let packet = |first: u8, kind: u8, body: Vec<u8>| {
            let words = u16::try_from(body.len() / 4).expect("short").to_be_bytes();
            [&[0x80 | first, kind, words[0], words[1]][..], &body].concat()
        };
        let described = [
            chunk(7, &[(1, one), (6, b"Phone 1 at lair"), (8, b"\x04lairalice")]),
            chunk(8, &[(2, b"alice"), (1, two), (15, b"0")]),
        ];
        let reason = [&7u32.to_be_bytes()[..], &[6], b"lair 1", &[0]].concat();
        let report = packet(0, 201, 7u32.to_be_bytes().to_vec());
        [report, packet(2, 202, described.concat()), packet(1, 203, reason)].concat()
    }

    #[test]
    fn who_sends_is_nobodys_business_and_which_streams_belong_together_is() {
        let (name, other) = (&b"alice@lair.example"[..], &b"bob@lair.example:6000"[..]);
        let said = compound(name, name);
        let mut heard = said.clone();
        forget(&mut heard);
        assert!(well_formed(&heard));
        assert_eq!(heard.len(), said.len());
        for word in [&b"lair"[..], b"alice", b"Phone"] {
            assert!(memchr::memmem::find(&heard, word).is_none(), "{heard:02x?}");
        }
        // Where texts were there are letters, and all else is as it was.
        let texts = said.iter().zip(&heard).filter(|(said, heard)| said != heard);
        assert!(
            texts
                .clone()
                .all(|(_, heard)| *heard == BLANK || heard.is_ascii_lowercase())
        );
        assert!(texts.count() > 40);
        let at: Vec<usize> = memchr::memmem::find_iter(&said, name).collect();
        let [first, second] = at[..] else {
            panic!("two sources of one name: {at:?}")
        };
        assert_eq!(heard[..first], said[..first], "the report, and the first SSRC");
        let first = &heard[first..first + name.len()];
        assert_eq!(*first, heard[second..second + name.len()], "one source still");
        let mut two = compound(name, other);
        forget(&mut two);
        assert!(
            memchr::memmem::find(&two, first).is_some(),
            "and the same in the next packet"
        );
        assert_eq!(
            two.windows(8).filter(|part| **part == first[..8]).count(),
            1,
            "another is another"
        );
    }

    proptest! {
        #[test]
        fn any_octets_are_walked_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let was = well_formed(&bytes);
            forget(&mut bytes);
            prop_assert_eq!(well_formed(&bytes), was);
        }
        #[test]
        fn whatever_stands_in_a_description_it_stays_well_formed(
            items in proptest::collection::vec(any::<u8>(), 0..64), count in 0u8..32,
        ) {
            let mut bytes = vec![0x80 | count, 202, 0, 0];
            bytes.extend(&items);
            bytes.resize(bytes.len().next_multiple_of(4), 0);
            bytes[3] = u8::try_from(bytes.len() / 4 - 1).expect("short");
            forget(&mut bytes);
            prop_assert!(well_formed(&bytes));
            prop_assert_eq!(&bytes[..2], &[0x80 | count, 202]);
        }
    }
}
