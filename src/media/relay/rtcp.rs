//! RTCP in the clear: whether it holds together, and SSRCs and sequence numbers in it, rewritten where a leg's numbering
//! differs from its sources' own.

use super::numbering::Numbering;
use crate::media::packet::{word16, word32};

/// Packet types (RFC 3550 §12.1, RFC 4585 §6.1, RFC 3611 §2).
pub(super) mod types {
    pub(in super::super) const SENDER_REPORT: u8 = 200;
    pub(in super::super) const RECEIVER_REPORT: u8 = 201;
    pub(in super::super) const SOURCE_DESCRIPTION: u8 = 202;
    pub(in super::super) const BYE: u8 = 203;
    pub(in super::super) const TRANSPORT_FEEDBACK: u8 = 205;
    pub(in super::super) const PAYLOAD_FEEDBACK: u8 = 206;
}

/// Whether a compound packet is what its lengths say (RFC 3550 §A.2, and RFC 5506: it need not begin with a report).
pub(crate) fn well_formed(bytes: &[u8]) -> bool {
    let mut rest = bytes;
    while let Some((packet, after)) = split(rest) {
        if packet[0] >> 6 != 2 {
            return false;
        }
        rest = after;
    }
    rest.is_empty() && !bytes.is_empty()
}

/// Rewrites a well-formed compound packet. `towards`: how the sender's own sources leave. `back`: how the sources that it
/// reports on had been numbered for it.
///
/// What names no SSRC or is not known is left as it is; so are extended reports (RFC 3611).
pub(crate) fn rewrite(bytes: &mut [u8], towards: &Numbering, back: &Numbering) {
    let mut at = 0;
    while let Some((packet, _)) = split(&bytes[at..]) {
        let length = packet.len();
        rewrite_one(&mut bytes[at..at + length], towards, back);
        at += length;
    }
}

/// The first packet of a compound one and the rest. `None`: nothing there, or cut short.
pub(super) fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let words = word16(bytes, 2)?;
    bytes.split_at_checked(4 + 4 * usize::from(words))
}

fn rewrite_one(packet: &mut [u8], towards: &Numbering, back: &Numbering) {
    let [first, kind, ..] = *packet else {
        return;
    };
    let count = usize::from(first & 0x1f);
    match kind {
        types::SENDER_REPORT => {
            own(packet, 4, towards);
            reports(packet, 28, count, back);
        }
        types::RECEIVER_REPORT => {
            own(packet, 4, towards);
            reports(packet, 8, count, back);
        }
        types::SOURCE_DESCRIPTION => chunks(packet, count, towards),
        types::BYE => (0..count).for_each(|source| own(packet, 4 + 4 * source, towards)),
        types::TRANSPORT_FEEDBACK | types::PAYLOAD_FEEDBACK => {
            own(packet, 4, towards);
            feedback(packet, kind, count, back);
        }
        _ => own(packet, 4, towards),
    }
}

/// An SSRC of the sender's.
fn own(packet: &mut [u8], at: usize, towards: &Numbering) {
    if let Some(ssrc) = word32(packet, at) {
        put(packet, at, &towards.leaves_as(ssrc).to_be_bytes());
    }
}

/// An SSRC that the sender hears. Returns what had been added to its sequence numbers.
fn heard(packet: &mut [u8], at: usize, back: &Numbering) -> u16 {
    let Some(ssrc) = word32(packet, at) else {
        return 0;
    };
    let (source, offset) = back.source_of(ssrc);
    put(packet, at, &source.to_be_bytes());
    offset
}

/// Report blocks (RFC 3550 §6.4.1): SSRC and extended highest sequence number.
fn reports(packet: &mut [u8], first: usize, count: usize, back: &Numbering) {
    for at in (0..count).map(|block| first + 24 * block) {
        let offset = heard(packet, at, back);
        renumber(packet, at + 10, offset);
    }
}

/// Chunks of a source description (RFC 3550 §6.5): each an SSRC and items up to a zero, padded to a word.
fn chunks(packet: &mut [u8], count: usize, towards: &Numbering) {
    let mut at = 4;
    for _ in 0..count {
        own(packet, at, towards);
        at += 4;
        while let (Some(&item), length) = (packet.get(at), packet.get(at + 1)) {
            if item == 0 {
                break;
            }
            at += 2 + usize::from(length.copied().unwrap_or(0));
        }
        at = (at / 4 + 1) * 4;
    }
}

/// Feedback on a source (RFC 4585 §6.1): its SSRC, in a NACK its sequence numbers, in some formats SSRCs further on.
fn feedback(packet: &mut [u8], kind: u8, format: usize, back: &Numbering) {
    let offset = heard(packet, 8, back);
    let length = packet.len();
    match (kind, format) {
        // Generic NACK (RFC 4585 §6.2.1).
        (types::TRANSPORT_FEEDBACK, 1) => {
            (12..length)
                .step_by(4)
                .for_each(|at| renumber(packet, at, offset));
        }
        // TMMBR and TMMBN (RFC 5104 §4.2.1), FIR, TSTR and TSTN (§4.3.1): entries of two words, SSRC first.
        (types::TRANSPORT_FEEDBACK, 3 | 4) | (types::PAYLOAD_FEEDBACK, 4..=6) => {
            (12..length).step_by(8).for_each(|at| {
                heard(packet, at, back);
            });
        }
        // REMB, in the application layer's format: SSRCs from the sixth word on.
        (types::PAYLOAD_FEEDBACK, 15) if packet.get(12..16) == Some(b"REMB") => {
            (20..length).step_by(4).for_each(|at| {
                heard(packet, at, back);
            });
        }
        _ => {}
    }
}

/// Takes back what had been added to a sequence number.
fn renumber(packet: &mut [u8], at: usize, offset: u16) {
    if let Some(sequence) = word16(packet, at) {
        put(packet, at, &sequence.wrapping_sub(offset).to_be_bytes());
    }
}

fn put(packet: &mut [u8], at: usize, octets: &[u8]) {
    if let Some(place) = packet.get_mut(at..at + octets.len()) {
        place.copy_from_slice(octets);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{
        SrtpKey, Suite,
        packet::{Packet, RtpHeader, rtp_header},
        relay::ports::SplitMix,
        srtp::SrtpOut,
    };
    use proptest::prelude::*;

    #[test]
    fn lengths_must_add_up() {
        let report = [0x80, 201, 0, 1, 0, 0, 0, 9];
        let bye = [0x81, 203, 0, 1, 0, 0, 0, 9];
        let compound = [report, bye].concat();
        assert!(well_formed(&report));
        assert!(well_formed(&compound));
        for cut in (0..compound.len()).filter(|cut| *cut != report.len()) {
            assert!(!well_formed(&compound[..cut]), "{cut}");
        }
        assert!(!well_formed(&[0x40, 201, 0, 1, 0, 0, 0, 9]), "version");
        assert!(!well_formed(&[0x80, 201, 0xff, 0xff, 0, 0, 0, 9]), "length");
    }

    /// A source 7 that left as itself up to index 40,000 and was then replaced: the SSRC that it has now.
    fn replaced() -> (Numbering, u32) {
        let key = SrtpKey {
            suite: Suite::AeadAes128Gcm,
            master: vec![1; 28].into(),
            mki: None,
        };
        let mut out = SrtpOut::new(&key).unwrap();
        let mut numbering = Numbering::new(SplitMix::seeded(1));
        let mut number = |numbering: &mut Numbering, sequence| {
            let header = RtpHeader {
                sequence,
                timestamp: u32::from(sequence),
                ssrc: 7,
                length: 12,
            };
            let numbers = numbering.number(&header, &out).unwrap();
            let mut packet = Packet::new();
            packet.fill(&[0x80; 12]);
            crate::media::packet::set_rtp_numbers(packet.bytes_mut(), numbers.1, numbers.0);
            assert!(rtp_header(packet.bytes()).is_some());
            out.seal_rtp(&mut packet).unwrap();
            numbering.renew(&out);
            numbers
        };
        assert_eq!(number(&mut numbering, 40_000), (7, 40_000));
        let (ssrc, sequence) = number(&mut numbering, 40_001);
        assert_ne!(ssrc, 7);
        assert_eq!(sequence, 40_001 - 32_768);
        (numbering, ssrc)
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn the_senders_own_ssrcs_are_rewritten() {
        let (towards, ssrc) = replaced();
        let back = Numbering::new(SplitMix::seeded(2));
        let compound = |ssrc| {
            words(&[
                0x80c8_0006,
                ssrc,
                1,
                2,
                3,
                4,
                5, // SR
                0x82ca_0006,
                ssrc,
                0x0103_6162,
                0x6300_0000,
                99,
                0x0101_6100,
                ssrc, // SDES, the last word spare
                0x82cb_0002,
                ssrc,
                98, // BYE
                0x80cc_0002,
                ssrc,
                0x6e61_6d65, // APP
            ])
        };
        let mut bytes = compound(7);
        let mut expected = compound(ssrc);
        assert!(well_formed(&bytes));
        rewrite(&mut bytes, &towards, &back);
        expected[4 * 13..4 * 14].copy_from_slice(&7u32.to_be_bytes());
        assert_eq!(hex::encode(bytes), hex::encode(expected));
    }

    #[test]
    fn reports_on_a_replaced_source_are_led_back_to_it() {
        let (back, ssrc) = replaced();
        let towards = Numbering::new(SplitMix::seeded(2));
        let compound = |ssrc, number: u32| {
            words(&[
                0x81c9_0007,
                50,
                ssrc,
                0,
                number,
                1,
                2,
                3, // RR with one block
                0x81cd_0003,
                50,
                ssrc,
                number << 16 | 5, // NACK
                0x84ce_0004,
                50,
                0,
                ssrc,
                0x0100_0000, // FIR
                0x8fce_0005,
                50,
                0,
                0x5245_4d42,
                0x0100_0000,
                ssrc, // REMB
            ])
        };
        let mut bytes = compound(ssrc, 40_001 - 32_768);
        assert!(well_formed(&bytes));
        rewrite(&mut bytes, &towards, &back);
        assert_eq!(hex::encode(bytes), hex::encode(compound(7, 40_001)));
    }

    proptest! {
        #[test]
        fn any_octets_are_walked_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let (numbering, _) = replaced();
            well_formed(&bytes);
            let length = bytes.len();
            rewrite(&mut bytes, &numbering, &numbering);
            prop_assert_eq!(bytes.len(), length);
        }
    }
}
