//! How a message travels: header, message, CRC (RFC 6189 §5).

use super::message::Malformed;

/// `ZRTP`, where an RTP packet has its timestamp.
pub(super) const MAGIC: [u8; 4] = *b"ZRTP";
/// Octets before the message.
pub(super) const HEADER: usize = 12;
/// Octets of the CRC after it.
const CRC: usize = 4;
/// No packet may be longer. The longest that we know, DHPart with a value of 3072 bits, has 484 octets; Hello with all its lists
/// full 240.
pub const MAX_PACKET: usize = 3072;
/// The shortest message: preamble, length, type.
const MIN_MESSAGE: usize = 12;

/// A packet whose length and CRC are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Counts the sender's packets, from a random number.
    pub sequence: u16,
    /// Source of the RTP stream that this is about.
    pub ssrc: u32,
    /// The message, from its preamble on.
    pub message: &'a [u8],
}

impl<'a> Packet<'a> {
    /// Takes a datagram apart.
    ///
    /// # Errors
    /// When it is no ZRTP packet, is cut or too long, or its CRC is wrong.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, Malformed> {
        let length = datagram.len();
        if !(HEADER + MIN_MESSAGE + CRC..=MAX_PACKET).contains(&length) || !length.is_multiple_of(4) {
            return Err(Malformed::Length);
        }
        let (signed, crc) = datagram.split_at(length - CRC);
        let (header, message) = signed.split_at(HEADER);
        let [first, _, sequence @ .., z, r, t, p, s0, s1, s2, s3] = header else {
            return Err(Malformed::Length);
        };
        // The upper four bits are 0001; the other twelve of the first half word are not used (RFC 6189 §5). Linphone's
        // fragments have the lowest of them set, and are none of ours: nothing that we take needs them.
        if *first != 0x10 || [*z, *r, *t, *p] != MAGIC {
            return Err(Malformed::Header);
        }
        if crc32c(signed).to_le_bytes() != *crc {
            return Err(Malformed::Crc);
        }
        let [high, low] = sequence else {
            return Err(Malformed::Length);
        };
        Ok(Self {
            sequence: u16::from_be_bytes([*high, *low]),
            ssrc: u32::from_be_bytes([*s0, *s1, *s2, *s3]),
            message,
        })
    }

    /// The datagram.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER + self.message.len() + CRC);
        bytes.extend([0x10, 0]);
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(MAGIC);
        bytes.extend(self.ssrc.to_be_bytes());
        bytes.extend(self.message);
        let crc = crc32c(&bytes);
        bytes.extend(crc.to_le_bytes());
        bytes
    }
}

/// CRC-32C (RFC 9260 appendix A), which SCTP and ZRTP write with its lowest octet first.
fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0_u32; 256];
        let mut index = 0;
        while index < 256 {
            let mut crc = index as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
                bit += 1;
            }
            table[index] = crc;
            index += 1;
        }
        table
    };
    !bytes.iter().fold(!0_u32, |crc, byte| {
        (crc >> 8) ^ TABLE[usize::from(crc as u8 ^ byte)]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A HelloACK.
    const MESSAGE: &[u8] = b"\x50\x5a\x00\x03HelloACK";

    #[test]
    fn the_crc_is_castagnolis() {
        // The check value of CRC-32C's catalogue entry; and RFC 3720 appendix B.4's vectors.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_packet_is_read_back() {
        let packet = Packet {
            sequence: 0xfffe,
            ssrc: 0x0102_0304,
            message: MESSAGE,
        };
        let bytes = packet.encode();
        assert_eq!(bytes.len(), 28);
        assert_eq!(Packet::parse(&bytes), Ok(packet));
    }

    #[test]
    fn every_changed_bit_is_seen() {
        let bytes = Packet {
            sequence: 7,
            ssrc: 8,
            message: MESSAGE,
        }
        .encode();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Packet::parse(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn cut_and_overlong_packets_are_refused() {
        let bytes = Packet {
            sequence: 7,
            ssrc: 8,
            message: MESSAGE,
        }
        .encode();
        for length in 0..bytes.len() {
            assert!(Packet::parse(&bytes[..length]).is_err(), "{length}");
        }
        let long = Packet {
            sequence: 7,
            ssrc: 8,
            message: &[0; MAX_PACKET],
        }
        .encode();
        assert_eq!(Packet::parse(&long), Err(Malformed::Length));
    }
}
