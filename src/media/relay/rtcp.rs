//! RTCP in the clear: whether it holds together.

use crate::media::packet::word16;

/// Whether a compound packet is what its lengths say (RFC 3550 §A.2, and RFC 5506: it need not begin with a report).
pub(crate) fn well_formed(mut bytes: &[u8]) -> bool {
    if bytes.is_empty() {
        return false;
    }
    while !bytes.is_empty() {
        let (Some(&first), Some(words)) = (bytes.first(), word16(bytes, 2)) else {
            return false;
        };
        let length = 4 + 4 * usize::from(words);
        if first >> 6 != 2 || length > bytes.len() {
            return false;
        }
        bytes = &bytes[length..];
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
