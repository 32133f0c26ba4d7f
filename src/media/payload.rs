//! Payload type numbers of packets that cross from one leg to the other (RFC 3550 §5.1; RFC 3264 §5.1: each leg has its own).

use super::packet::{Discard, RtpHeader};
use std::fmt;

/// What stands in a table where a number has to be discarded.
const NOT_AGREED: u8 = 0xff;
/// Octets before the original payload of a retransmission (RFC 4588 §4).
const ORIGINAL_SEQUENCE: usize = 2;

/// What becomes of the payload types of one direction of a stream: a table, so that a packet costs one look.
///
/// The marker bit, sequence number and timestamp stay as they are. The blocks inside redundant audio (RFC 2198) are
/// renumbered as well, also in retransmissions of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PayloadMap {
    leaves_as: [u8; 128],
    /// Bit n: number n is RED as it comes in.
    red: u128,
    /// Bit n: number n is a retransmission of RED.
    red_again: u128,
}

impl PayloadMap {
    /// Every number leaves as it comes.
    pub fn identity() -> Self {
        Self {
            leaves_as: std::array::from_fn(|number| number as u8),
            red: 0,
            red_again: 0,
        }
    }
    /// Whether nothing changes: then no map is needed.
    pub fn is_identity(&self) -> bool {
        (0..)
            .zip(self.leaves_as)
            .all(|(number, leaves_as)| number == leaves_as)
    }
    /// `number` leaves as `leaves_as`. Without effect unless both are payload types, below 128.
    pub fn map(&mut self, number: u8, leaves_as: u8) {
        if let (Some(entry), 0..=127) = (self.leaves_as.get_mut(usize::from(number)), leaves_as) {
            *entry = leaves_as;
        }
    }
    /// `number` would be taken for something else: its packets are discarded.
    pub fn discard(&mut self, number: u8) {
        if let Some(entry) = self.leaves_as.get_mut(usize::from(number)) {
            *entry = NOT_AGREED;
        }
    }
    /// Packets that come in as `number` have blocks with numbers of their own; `again`: behind what a retransmission has
    /// in front.
    pub const fn mark_redundant(&mut self, number: u8, again: bool) {
        let bit = 1 << (number & 0x7f);
        if again {
            self.red_again |= bit;
        } else {
            self.red |= bit;
        }
    }
    /// What a number leaves as; `None`: its packets are discarded.
    pub fn leaves_as(&self, number: u8) -> Option<u8> {
        let entry = self.leaves_as.get(usize::from(number)).copied();
        entry.filter(|&leaves_as| leaves_as != NOT_AGREED)
    }

    /// Renumbers an RTP packet in place.
    ///
    /// # Errors
    /// [`Discard::PayloadType`]: on the other leg the number means something else.
    #[inline]
    pub fn apply(&self, packet: &mut [u8], header: &RtpHeader) -> Result<(), Discard> {
        let octet = packet.get_mut(1).ok_or(Discard::Malformed)?;
        let number = *octet & 0x7f;
        let leaves_as = self.leaves_as(number).ok_or(Discard::PayloadType)?;
        *octet = *octet & 0x80 | leaves_as;
        let redundant = self.red | self.red_again;
        if redundant >> number & 1 == 1 {
            let again = self.red_again >> number & 1 == 1;
            let first = header.length + if again { ORIGINAL_SEQUENCE } else { 0 };
            return self.blocks(packet, first);
        }
        Ok(())
    }

    /// The chain of block headers (RFC 2198 §3): while the first bit is set another one follows, four octets further on.
    fn blocks(&self, packet: &mut [u8], first: usize) -> Result<(), Discard> {
        for at in (first..).step_by(4) {
            // Cut short: nothing that a receiver could use, and nothing of ours to judge.
            let Some(octet) = packet.get_mut(at) else {
                return Ok(());
            };
            let number = *octet & 0x7f;
            let leaves_as = self.leaves_as(number).ok_or(Discard::PayloadType)?;
            let more = *octet & 0x80;
            *octet = more | leaves_as;
            if more == 0 {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// What changes, and nothing else.
impl fmt::Debug for PayloadMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let changes = (0_u8..)
            .zip(self.leaves_as)
            .filter(|(number, leaves_as)| number != leaves_as);
        f.debug_map()
            .entries(changes.map(|(number, _)| (number, self.leaves_as(number))))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::packet::rtp_header;
    use proptest::prelude::*;

    fn through(map: &PayloadMap, mut packet: Vec<u8>) -> Result<Vec<u8>, Discard> {
        let header = rtp_header(&packet).expect("a test's own packet");
        map.apply(&mut packet, &header).map(|()| packet)
    }
    fn packet(second: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x80, second, 0, 7, 0, 0, 0, 9, 1, 2, 3, 4];
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn a_number_is_replaced_and_nothing_else() {
        let mut map = PayloadMap::identity();
        assert!(map.is_identity());
        map.map(96, 120);
        assert!(!map.is_identity());
        assert_eq!(through(&map, packet(96, b"voice")), Ok(packet(120, b"voice")));
        assert_eq!(
            through(&map, packet(0x80 | 96, b"voice")),
            Ok(packet(0x80 | 120, b"voice")),
            "the marker stays"
        );
        assert_eq!(through(&map, packet(0, b"voice")), Ok(packet(0, b"voice")));
    }

    #[test]
    fn a_number_that_means_something_else_there_is_discarded() {
        let mut map = PayloadMap::identity();
        map.discard(101);
        assert_eq!(through(&map, packet(101, b"digit")), Err(Discard::PayloadType));
        assert_eq!(through(&map, packet(102, b"digit")), Ok(packet(102, b"digit")));
    }

    #[test]
    fn blocks_of_redundant_audio_are_renumbered_too() {
        let mut map = PayloadMap::identity();
        map.map(63, 121);
        map.map(111, 96);
        map.mark_redundant(63, false);
        let chain = |number: u8| [0x80 | number, 1, 2, 3, 0x80 | number, 4, 5, 6, number, 0xff, 0xff];
        assert_eq!(
            through(&map, packet(63, &chain(111))),
            Ok(packet(121, &chain(96)))
        );
        // What is no RED is not looked into.
        assert_eq!(
            through(&map, packet(111, &chain(111))),
            Ok(packet(96, &chain(111)))
        );
        // A chain that is cut short stays within the packet.
        assert_eq!(
            through(&map, packet(63, &[0x80 | 111, 1])),
            Ok(packet(121, &[0x80 | 96, 1]))
        );
    }

    #[test]
    fn a_retransmission_of_redundant_data_has_its_original_sequence_number_first() {
        let mut map = PayloadMap::identity();
        map.map(97, 100);
        map.map(96, 110);
        map.mark_redundant(97, true);
        assert_eq!(
            through(&map, packet(97, &[96, 96, 96, 96])),
            Ok(packet(100, &[96, 96, 110, 96]))
        );
    }

    proptest! {
        #[test]
        fn any_packet_keeps_its_length_and_all_but_payload_types(
            bytes in proptest::collection::vec(any::<u8>(), 12..80),
            table in proptest::collection::vec((any::<u8>(), any::<u8>()), 0..40),
            red in any::<u8>(),
            again in any::<bool>(),
        ) {
            let mut map = PayloadMap::identity();
            for (number, leaves_as) in table {
                if leaves_as == 255 { map.discard(number) } else { map.map(number, leaves_as) }
            }
            map.mark_redundant(red, again);
            let Some(header) = rtp_header(&bytes) else { return Ok(()) };
            let mut edited = bytes.clone();
            if map.apply(&mut edited, &header).is_ok() {
                prop_assert_eq!(edited.len(), bytes.len());
                prop_assert_eq!(edited[0], bytes[0]);
                prop_assert_eq!(edited[1] & 0x80, bytes[1] & 0x80);
                prop_assert_eq!(&edited[2..header.length], &bytes[2..header.length]);
                if bytes[1] & 0x7f != red & 0x7f {
                    prop_assert_eq!(&edited[2..], &bytes[2..]);
                }
            }
        }
    }
}
