//! Bodies of handshake messages (RFC 5246 §7.4), as far as the library's own reading of them fails badly: webrtc-dtls 0.12.0
//! indexes beyond the end of some, allocates what a length field says of others, and takes the identifier of a session for what
//! follows it.

/// Whether the library can be given this message: lengths add up where it does not look.
pub(super) fn is_readable(kind: u8, body: &[u8]) -> bool {
    match kind {
        1 => client_hello(body).is_some(),
        2 => server_hello(body).is_some(),
        11 => certificates(body).is_some(),
        // ServerKeyExchange: type and name of the curve, length of the point.
        12 => body.len() >= 4,
        // ClientKeyExchange: length of the point, and a point.
        16 => body.len() >= 2,
        _ => true,
    }
}

/// `None` when a length does not fit.
fn client_hello(body: &[u8]) -> Option<()> {
    let rest = body.get(2 + 32..)?;
    // The library takes the octets of a session's identifier for what follows it, and taking them out would change what
    // both ends sign. Nobody has one to name: our ServerHello has none, so no session with us can be resumed (RFC 5246 §7.4.1.3), and
    // unlike over TCP no client makes one up (RFC 9147 §5.3).
    let rest = rest.strip_prefix(&[0])?;
    let (_cookie, rest) = counted(rest, 1)?;
    let (_suites, rest) = counted(rest, 2)?;
    let (_compression, rest) = counted(rest, 1)?;
    extensions(rest)
}

fn server_hello(body: &[u8]) -> Option<()> {
    let (_session, rest) = counted(body.get(2 + 32..)?, 1)?;
    // Cipher suite and compression method.
    extensions(rest.get(2 + 1..)?)
}

/// Type and length of each, up to the end. There may be none at all (RFC 5246 §7.4.1.2).
fn extensions(rest: &[u8]) -> Option<()> {
    if rest.is_empty() {
        return Some(());
    }
    let (mut list, _) = counted(rest, 2)?;
    while !list.is_empty() {
        (_, list) = counted(list.get(2..)?, 2)?;
    }
    Some(())
}

fn certificates(body: &[u8]) -> Option<()> {
    let (mut list, _) = counted(body, 3)?;
    while !list.is_empty() {
        (_, list) = counted(list, 3)?;
    }
    Some(())
}

/// What a length field of so many octets counts, and what follows.
fn counted(bytes: &[u8], field: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_at_checked(field)?;
    let length = length
        .iter()
        .fold(0, |length, &octet| length << 8 | usize::from(octet));
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(session: &[u8], after: &[u8]) -> Vec<u8> {
        let session = [&[session.len() as u8], session].concat();
        [&[0xfe, 0xfd][..], &[7; 32], &session, after].concat()
    }

    #[test]
    fn hellos_pass_when_their_lengths_add_up() {
        let common = [0, 0, 2, 0xc0, 0x2b, 1, 0];
        for extensions in [
            &[][..],
            &[0, 0],
            &[0, 4, 0, 23, 0, 0],
            &[0, 9, 0, 23, 0, 0, 0, 14, 0, 1, 5],
        ] {
            assert!(is_readable(1, &hello(&[], &[&common, extensions].concat())));
            assert!(is_readable(
                2,
                &hello(&[1; 32], &[&[0xc0, 0x2b, 0], extensions].concat())
            ));
        }
        for extensions in [&[0][..], &[0, 1, 0], &[0, 3, 0, 23, 0], &[0, 4, 0, 23, 0, 1]] {
            assert!(!is_readable(1, &hello(&[], &[&common, extensions].concat())));
            assert!(!is_readable(
                2,
                &hello(&[], &[&[0xc0, 0x2b, 0], extensions].concat())
            ));
        }
        assert!(!is_readable(1, &hello(&[1; 32], &common)), "a session to resume");
    }

    #[test]
    fn what_is_too_short_for_its_kind_does_not_pass() {
        for (kind, least) in [(1, 41), (2, 38), (11, 3), (12, 4), (16, 2), (14, 0)] {
            for length in 0..=least {
                let readable = is_readable(kind, &vec![0; length]);
                // A ClientHello of zeros has empty lists, one after the other; that of extensions need not be there.
                assert_eq!(
                    readable,
                    length == least || (kind, length) == (1, 39),
                    "{kind} {length}"
                );
            }
        }
    }

    #[test]
    fn a_certificate_is_not_longer_than_its_message() {
        assert!(is_readable(11, &[0, 0, 4, 0, 0, 1, 9]));
        assert!(!is_readable(11, &[0, 0, 4, 0xff, 0xff, 0xff, 9]));
        assert!(!is_readable(11, &[0xff, 0, 4, 0, 0, 1, 9]));
    }
}
