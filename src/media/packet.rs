//! One datagram in a reused buffer, and what can be said of it without a key: RFC 7983 demultiplexing, RTP and RTCP
//! headers (RFC 3550, RFC 5761 §4).

/// Longest datagram that is taken in. UDP carries no more than 65,507 octets.
pub const MAX_DATAGRAM: usize = 65_536;
/// Room behind a packet for what SRTP adds: tag, SRTCP index and the longest MKI.
pub const TAIL_ROOM: usize = 16 + 4 + MAX_MKI;
/// Longest master key identifier (RFC 4568 §6.1 allows 128).
pub const MAX_MKI: usize = 128;
/// Octets of an RTP header without CSRCs and extension.
pub const RTP_HEADER: usize = 12;
/// Octets of the RTCP header with the SSRC of its sender.
pub const RTCP_HEADER: usize = 8;

/// A datagram in a buffer that is allocated once, with room behind it for what sealing adds.
pub struct Packet {
    buffer: Box<[u8]>,
    length: usize,
}

/// What the first octets of a datagram say that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RTP or SRTP.
    Rtp,
    /// RTCP or SRTCP.
    Rtcp,
    /// First octet 0–3.
    Stun,
    /// First octet 16–19.
    Zrtp,
    /// First octet 20–63.
    Dtls,
    /// None of them, TURN channels included: we never open one.
    Unknown,
}

/// The fixed RTP header (RFC 3550 §5.1) of a packet whose lengths have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// Sequence number.
    pub sequence: u16,
    /// Timestamp.
    pub timestamp: u32,
    /// Synchronisation source.
    pub ssrc: u32,
    /// Octets up to the payload: CSRCs and extension included.
    pub length: usize,
}

/// Why a packet went no further. Counted, never logged: a stranger decides how many there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Discard {
    /// Not RTP, RTCP or anything else of RFC 7983, or lengths that do not fit.
    Malformed,
    /// From an address that this stream does not take packets from.
    WrongPeer,
    /// The other side has nowhere to receive: it is on hold by address, or not connected yet.
    Held,
    /// Keys are agreed on but not there yet, or it is in the clear where keys are.
    NotKeyed,
    /// Its authentication tag is wrong.
    Auth,
    /// It has come before, or it is too old to tell.
    Replay,
    /// Its number has been used under the sending key, or the key is used up.
    IndexReuse,
    /// STUN: there is no ICE on this stream.
    Stun,
    /// DTLS: there is no handshake on this stream.
    Dtls,
    /// ZRTP: there is no key agreement on this stream.
    Zrtp,
    /// Packets of a key agreement, more than one has.
    Flood,
    /// Its payload type was not agreed on and means something else on the other leg.
    PayloadType,
    /// RTCP feedback, for a leg that does not speak it.
    Feedback,
    /// The kernel did not take it.
    NotSent,
    /// Voice that a digit was sent in the place of.
    Digit,
}

impl Discard {
    /// All of them, in the order of [`Self::index`].
    pub const ALL: [Self; 15] = [
        Self::Malformed,
        Self::WrongPeer,
        Self::Held,
        Self::NotKeyed,
        Self::Auth,
        Self::Replay,
        Self::IndexReuse,
        Self::Stun,
        Self::Dtls,
        Self::Zrtp,
        Self::Flood,
        Self::PayloadType,
        Self::Feedback,
        Self::NotSent,
        Self::Digit,
    ];

    /// Its position in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Its name in statistics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::WrongPeer => "wrong-peer",
            Self::Held => "held",
            Self::NotKeyed => "not-keyed",
            Self::Auth => "auth",
            Self::Replay => "replay",
            Self::IndexReuse => "index-reuse",
            Self::Stun => "stun",
            Self::Dtls => "dtls",
            Self::Zrtp => "zrtp",
            Self::Flood => "flood",
            Self::PayloadType => "payload-type",
            Self::Feedback => "feedback",
            Self::NotSent => "not-sent",
            Self::Digit => "digit",
        }
    }
}

impl Packet {
    /// An empty buffer.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; MAX_DATAGRAM + TAIL_ROOM].into_boxed_slice(),
            length: 0,
        }
    }

    /// The datagram.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer[..self.length]
    }

    /// The datagram, to be changed in place.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[..self.length]
    }

    /// The datagram and all the room behind it: [`TAIL_ROOM`] octets at least.
    pub fn room_mut(&mut self) -> &mut [u8] {
        &mut self.buffer
    }

    /// Octets of the datagram.
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether nothing is in it.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Where a datagram is received into; [`Self::set_len`] follows.
    pub fn receive_buffer(&mut self) -> &mut [u8] {
        &mut self.buffer[..MAX_DATAGRAM]
    }

    /// Says how much was received; never more than the buffer holds.
    pub fn set_len(&mut self, length: usize) {
        self.length = length.min(MAX_DATAGRAM);
    }

    /// Replaces the datagram; what does not fit is cut.
    pub fn fill(&mut self, bytes: &[u8]) {
        self.set_len(bytes.len());
        self.buffer[..self.length].copy_from_slice(&bytes[..self.length]);
    }

    /// Cuts the end off. No effect when it is not longer than `length`.
    pub fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Puts octets behind. `false`, and nothing done, when there is no room.
    #[must_use]
    pub fn append(&mut self, bytes: &[u8]) -> bool {
        let Some(room) = self.buffer.get_mut(self.length..self.length + bytes.len()) else {
            return false;
        };
        room.copy_from_slice(bytes);
        self.length += bytes.len();
        true
    }
}

impl Default for Packet {
    fn default() -> Self {
        Self::new()
    }
}

/// Tells a datagram's protocol by its first octets (RFC 7983 §7). RTP and RTCP are told apart by the packet type that
/// stands where RTP has marker and payload type: 64–95 with the marker bit, that is 192–223 (RFC 5761 §4).
pub fn classify(bytes: &[u8]) -> Kind {
    match bytes {
        [0..=3, ..] => Kind::Stun,
        [16..=19, ..] => Kind::Zrtp,
        [20..=63, ..] => Kind::Dtls,
        [128..=191, 192..=223, ..] => Kind::Rtcp,
        [128..=191, _, ..] => Kind::Rtp,
        _ => Kind::Unknown,
    }
}

/// Reads an RTP header and checks that CSRCs and extension lie within the packet. `None`: malformed.
///
/// The payload may be empty: RFC 3550 does not forbid it and RFC 6263 §4.1 uses it as keepalive.
pub fn rtp_header(bytes: &[u8]) -> Option<RtpHeader> {
    let fixed: &[u8; RTP_HEADER] = bytes.first_chunk()?;
    if fixed[0] >> 6 != 2 {
        return None;
    }
    let mut length = RTP_HEADER + 4 * usize::from(fixed[0] & 0x0f);
    if fixed[0] & 0x10 != 0 {
        let words = word16(bytes, length + 2)?;
        length += 4 + 4 * usize::from(words);
    }
    if length > bytes.len() {
        return None;
    }
    let [_, _, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *fixed;
    Some(RtpHeader {
        sequence: u16::from_be_bytes([s0, s1]),
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        length,
    })
}

/// The SSRC of the sender of a (compound) RTCP or SRTCP packet: all that is in the clear of it. `None`: malformed.
pub fn rtcp_sender(bytes: &[u8]) -> Option<u32> {
    let fixed: &[u8; RTCP_HEADER] = bytes.first_chunk()?;
    (fixed[0] >> 6 == 2 && (192..=223).contains(&fixed[1]))
        .then(|| u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]))
}

/// Writes sequence number and SSRC into an RTP packet that [`rtp_header`] has read.
pub(crate) fn set_rtp_numbers(bytes: &mut [u8], sequence: u16, ssrc: u32) {
    if let Some(fixed) = bytes.first_chunk_mut::<RTP_HEADER>() {
        fixed[2..4].copy_from_slice(&sequence.to_be_bytes());
        fixed[8..12].copy_from_slice(&ssrc.to_be_bytes());
    }
}

/// Two octets at `at`, big-endian.
pub(crate) fn word16(bytes: &[u8], at: usize) -> Option<u16> {
    let word: &[u8; 2] = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*word))
}

/// Four octets at `at`, big-endian.
pub(crate) fn word32(bytes: &[u8], at: usize) -> Option<u32> {
    let word: &[u8; 4] = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_octets_tell_the_protocol() {
        let rows: [(&[u8], Kind); 14] = [
            (&[], Kind::Unknown),
            (&[0, 1], Kind::Stun),
            (&[3, 255], Kind::Stun),
            (&[4, 0], Kind::Unknown),
            (&[16, 0], Kind::Zrtp),
            (&[20, 254], Kind::Dtls),
            (&[63, 254], Kind::Dtls),
            (&[64, 0], Kind::Unknown),
            (&[127], Kind::Unknown),
            (&[128], Kind::Unknown),
            (&[128, 0], Kind::Rtp),
            (&[0x81, 200], Kind::Rtcp),
            (&[0x80, 0x80 | 96], Kind::Rtp),
            (&[192, 200], Kind::Unknown),
        ];
        for (bytes, kind) in rows {
            assert_eq!(classify(bytes), kind, "{bytes:?}");
        }
    }

    #[test]
    fn discards_are_where_their_index_says() {
        for (position, discard) in Discard::ALL.into_iter().enumerate() {
            assert_eq!(discard.index(), position, "{}", discard.name());
        }
    }

    #[test]
    fn an_rtp_header_with_csrcs_and_extension_is_measured() {
        let mut bytes = vec![0x92, 0x60, 1, 2, 0, 0, 0, 3, 0xde, 0xad, 0xbe, 0xef];
        bytes.extend([0; 8]);
        bytes.extend([0xbe, 0xde, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
        let header = rtp_header(&bytes).unwrap();
        assert_eq!(
            header,
            RtpHeader {
                sequence: 0x0102,
                timestamp: 3,
                ssrc: 0xdead_beef,
                length: 32
            }
        );
        for cut in 0..bytes.len() {
            assert_eq!(rtp_header(&bytes[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn wrong_versions_are_malformed() {
        assert_eq!(rtp_header(&[0x40; 12]), None);
        assert_eq!(rtcp_sender(&[0x40, 200, 0, 1, 0, 0, 0, 1]), None);
        assert_eq!(rtcp_sender(&[0x80, 200, 0, 1, 0, 0, 0, 1]), Some(1));
        assert_eq!(rtcp_sender(&[0x80, 100, 0, 1, 0, 0, 0, 1]), None);
        assert_eq!(rtcp_sender(&[0x80, 200, 0, 1, 0, 0, 0]), None);
    }

    #[test]
    fn a_packet_never_outgrows_its_buffer() {
        let mut packet = Packet::new();
        packet.fill(&vec![7; MAX_DATAGRAM + 5]);
        assert_eq!(packet.len(), MAX_DATAGRAM);
        assert!(packet.append(&[1; TAIL_ROOM]));
        assert!(!packet.append(&[1]));
        packet.truncate(3);
        assert_eq!(packet.bytes(), [7, 7, 7]);
        packet.truncate(30);
        assert_eq!(packet.len(), 3);
    }
}
