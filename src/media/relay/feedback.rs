//! RTCP feedback (RFC 4585) where only one leg speaks it.

use super::rtcp::{split, types};
use crate::media::PayloadMap;

/// Takes the feedback out of a well-formed compound packet, in place. Returns how much of it is left.
///
/// `None`: nothing that may be sent. Whoever does not speak AVPF has not agreed on reduced-size RTCP either (RFC 5506 §5), so
/// what is left has to begin with a report (RFC 3550 §6.1).
pub(super) fn remove(bytes: &mut [u8]) -> Option<usize> {
    let (mut at, mut left) = (0, 0);
    while let Some((packet, _)) = bytes.get(at..).and_then(split) {
        let length = packet.len();
        if !is_feedback(packet) {
            bytes.copy_within(at..at + length, left);
            left += length;
        }
        at += length;
    }
    let first = bytes.get(..left)?.get(1)?;
    matches!(*first, types::SENDER_REPORT | types::RECEIVER_REPORT).then_some(left)
}

/// Renumbers the payload types that feedback names: reference picture selection (RFC 4585 §6.3.3.2).
pub(super) fn renumber(bytes: &mut [u8], map: &PayloadMap) {
    let mut at = 0;
    while let Some((packet, _)) = bytes.get(at..).and_then(split) {
        let length = packet.len();
        if packet.starts_with(&[0x83, types::PAYLOAD_FEEDBACK])
            && let Some(octet) = bytes.get_mut(at + 13).filter(|_| length > 13)
            && let Some(leaves_as) = map.leaves_as(*octet & 0x7f)
        {
            *octet = *octet & 0x80 | leaves_as;
        }
        at += length;
    }
}

fn is_feedback(packet: &[u8]) -> bool {
    matches!(
        packet,
        [_, types::TRANSPORT_FEEDBACK | types::PAYLOAD_FEEDBACK, ..]
    )
}

#[cfg(test)]
mod tests {
    use super::{super::rtcp::well_formed, *};
    use proptest::prelude::*;

    const REPORT: [u8; 8] = [0x80, 201, 0, 1, 0, 0, 0, 9];
    const NAMES: [u8; 12] = [0x81, 202, 0, 2, 0, 0, 0, 9, 1, 1, b'x', 0];
    const PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 9, 0, 0, 0, 7];
    const NACK: [u8; 16] = [0x81, 205, 0, 3, 0, 0, 0, 9, 0, 0, 0, 7, 0, 1, 0, 0];

    fn removed(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut bytes = bytes.to_vec();
        let left = remove(&mut bytes)?;
        bytes.truncate(left);
        Some(bytes)
    }

    #[test]
    fn feedback_is_taken_out_wherever_it_stands() {
        let plain = [&REPORT[..], &NAMES].concat();
        for compound in [
            plain.clone(),
            [&REPORT[..], &NAMES, &PLI].concat(),
            [&REPORT[..], &NACK, &NAMES].concat(),
            [&REPORT[..], &PLI, &NACK, &NAMES, &PLI].concat(),
        ] {
            assert_eq!(
                removed(&compound),
                Some(plain.clone()),
                "{}",
                hex::encode(&compound)
            );
        }
    }

    #[test]
    fn what_is_left_begins_with_a_report_or_is_not_sent() {
        assert_eq!(removed(&PLI), None);
        assert_eq!(removed(&[&NACK[..], &PLI].concat()), None);
        // Reduced-size.
        assert_eq!(removed(&[&PLI[..], &NAMES].concat()), None);
        assert_eq!(removed(&NAMES), None);
        assert_eq!(removed(&[&PLI[..], &REPORT].concat()), Some(REPORT.to_vec()));
    }

    #[test]
    fn the_payload_type_of_a_reference_picture_selection_is_the_receivers_own() {
        let mut map = PayloadMap::identity();
        map.map(96, 120);
        let rpsi = |number| [0x83, 206, 0, 3, 0, 0, 0, 9, 0, 0, 0, 7, 16, number, 0xab, 0xcd];
        let mut bytes = [&REPORT[..], &rpsi(96), &PLI].concat();
        renumber(&mut bytes, &map);
        assert_eq!(bytes, [&REPORT[..], &rpsi(120), &PLI].concat());
    }

    proptest! {
        #[test]
        fn any_compound_stays_one(picks in proptest::collection::vec(0..4_usize, 0..9)) {
            let all = [&REPORT[..], &NAMES, &PLI, &NACK];
            let kept = picks.iter().filter(|&&pick| pick < 2).map(|&pick| all[pick]);
            let expected: Vec<u8> = kept.flatten().copied().collect();
            let compound: Vec<u8> = picks.iter().flat_map(|&pick| all[pick]).copied().collect();
            match removed(&compound) {
                Some(left) => {
                    prop_assert!(well_formed(&left));
                    prop_assert_eq!(left, expected);
                }
                None => prop_assert!(!expected.starts_with(&REPORT)),
            }
        }
        #[test]
        fn any_octets_are_walked_without_a_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut map = PayloadMap::identity();
            map.map(1, 2);
            renumber(&mut bytes, &map);
            if let Some(left) = remove(&mut bytes) {
                prop_assert!(left <= bytes.len());
            }
        }
    }
}
