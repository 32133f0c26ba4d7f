//! DTLS records and handshake fragments as they stand in a datagram (RFC 6347 §4.1, §4.2.2). Reads headers only.

/// Octets of a record's header.
pub(super) const RECORD_HEADER: usize = 13;
/// Octets of a handshake fragment's header.
pub(super) const FRAGMENT_HEADER: usize = 12;

/// What a record carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    ChangeCipherSpec,
    Alert,
    Handshake,
    ApplicationData,
}

/// One record of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) content: Content,
    /// 0 in the clear, 1 under the negotiated keys.
    pub(super) epoch: u16,
    /// With its header.
    pub(super) whole: &'a [u8],
}

/// One fragment of a handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fragment<'a> {
    /// Message type: 1 for ClientHello and so on.
    pub(super) kind: u8,
    /// Octets of the whole message.
    pub(super) length: usize,
    /// Which message of the handshake it is.
    pub(super) sequence: u16,
    /// Where in the message this part begins.
    pub(super) offset: usize,
    pub(super) part: &'a [u8],
}

impl<'a> Record<'a> {
    /// What follows the header.
    pub(super) fn body(&self) -> &'a [u8] {
        self.whole.get(RECORD_HEADER..).unwrap_or_default()
    }
    /// Its fragments of handshake messages, if it is a handshake record in the clear, up to the first that is malformed.
    pub(super) fn fragments(&self) -> impl Iterator<Item = Fragment<'a>> + use<'a> {
        let mut rest = match (self.content, self.epoch) {
            (Content::Handshake, 0) => self.body(),
            _ => &[],
        };
        std::iter::from_fn(move || {
            let (fragment, after) = fragment(rest)?;
            rest = after;
            Some(fragment)
        })
    }
}

/// The records of a datagram, up to the first that is malformed. Records of unknown content or versions are left out.
pub(super) fn records(datagram: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        loop {
            let &[content, major, minor, e0, e1, _, _, _, _, _, _, l0, l1, ..] = rest else {
                return None;
            };
            let length = usize::from(u16::from_be_bytes([l0, l1]));
            let (whole, after) = rest.split_at_checked(RECORD_HEADER + length)?;
            rest = after;
            let content = match content {
                20 => Content::ChangeCipherSpec,
                21 => Content::Alert,
                22 => Content::Handshake,
                23 => Content::ApplicationData,
                _ => continue,
            };
            // DTLS 1.0 in the header of the first flights is allowed (RFC 6347 §4.2.1).
            if !matches!((major, minor), (0xfe, 0xfd | 0xff)) {
                continue;
            }
            let epoch = u16::from_be_bytes([e0, e1]);
            return Some(Record {
                content,
                epoch,
                whole,
            });
        }
    })
}

fn fragment(bytes: &[u8]) -> Option<(Fragment<'_>, &[u8])> {
    let &[kind, l0, l1, l2, s0, s1, o0, o1, o2, p0, p1, p2, ..] = bytes else {
        return None;
    };
    let number = |a, b, c| usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    let (part, after) = bytes
        .get(FRAGMENT_HEADER..)?
        .split_at_checked(number(p0, p1, p2))?;
    let fragment = Fragment {
        kind,
        length: number(l0, l1, l2),
        sequence: u16::from_be_bytes([s0, s1]),
        offset: number(o0, o1, o2),
        part,
    };
    (fragment.offset + part.len() <= fragment.length).then_some((fragment, after))
}

/// Writes a record in the clear. The body is shorter than 2^14 octets, as RFC 6347 §4.1 has it.
pub(super) fn clear_record(content: u8, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut record = Vec::with_capacity(RECORD_HEADER + body.len());
    record.extend([content, 0xfe, 0xfd, 0, 0]);
    record.extend(&sequence.to_be_bytes()[2..]);
    record.extend((body.len() as u16).to_be_bytes());
    record.extend(body);
    record
}

impl Fragment<'_> {
    /// Header and part.
    pub(super) fn print(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FRAGMENT_HEADER + self.part.len());
        let number = |value: usize| {
            let [.., a, b, c] = (value as u32).to_be_bytes();
            [a, b, c]
        };
        bytes.push(self.kind);
        bytes.extend(number(self.length));
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend(number(self.offset));
        bytes.extend(number(self.part.len()));
        bytes.extend(self.part);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(part: &[u8], length: usize, offset: usize) -> Vec<u8> {
        let (kind, sequence) = (1, 0);
        Fragment {
            kind,
            length,
            sequence,
            offset,
            part,
        }
        .print()
    }

    #[test]
    fn records_and_fragments_are_read_as_they_are_written() {
        let mut body = hello(&[7; 10], 10, 0);
        body.extend(hello(&[8; 3], 20, 17));
        let mut datagram = clear_record(22, 5, &body);
        datagram.extend(clear_record(20, 6, &[1]));
        let found: Vec<_> = records(&datagram).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].content, Content::Handshake);
        assert_eq!(found[1].content, Content::ChangeCipherSpec);
        assert_eq!(found[1].body(), [1]);
        let fragments: Vec<_> = found[0].fragments().collect();
        assert_eq!(fragments.len(), 2);
        assert_eq!((fragments[1].offset, fragments[1].length), (17, 20));
        assert_eq!(fragments[1].part, [8; 3]);
        assert_eq!(found[1].fragments().count(), 0);
    }

    #[test]
    fn what_does_not_add_up_is_not_a_record() {
        let good = clear_record(22, 0, &hello(&[7; 10], 10, 0));
        for end in 0..good.len() {
            assert_eq!(records(&good[..end]).count(), 0, "{end} octets");
        }
        let other = |at: usize, byte: u8| {
            let mut bytes = good.clone();
            bytes[at] = byte;
            records(&bytes).count()
        };
        assert_eq!(other(0, 24), 0, "heartbeat");
        assert_eq!(other(1, 3), 0, "TLS over TCP");
        assert_eq!(other(2, 0xff), 1, "DTLS 1.0");
        let beyond = clear_record(22, 0, &hello(&[7; 10], 10, 1));
        let record = records(&beyond).next().unwrap();
        assert_eq!(record.fragments().count(), 0, "beyond its message");
    }
}
