//! What is to be known of a ClientHello before anybody takes part in its handshake.

/// The random of a ClientHello (RFC 6347 §4.2.1) that begins a datagram: who repeats it repeats that handshake, with a
/// cookie or without; who sends another one begins anew.
pub(super) fn random(datagram: &[u8]) -> Option<[u8; 32]> {
    // Record header: type, version, epoch, number, length. Handshake header: type, length, number, offset, length.
    let begins = *datagram.first()? == 22
        && datagram.get(3..5)? == [0, 0]
        && *datagram.get(13)? == 1
        && datagram.get(19..22)? == [0, 0, 0];
    let random = datagram.get(27..)?.first_chunk()?;
    begins.then_some(*random)
}

#[cfg(test)]
mod tests {
    use super::random;

    #[test]
    fn a_client_hello_is_known_by_its_random() {
        let mut datagram = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 60];
        datagram.extend([1, 0, 0, 48, 0, 1, 0, 0, 0, 0, 0, 48, 254, 253]);
        datagram.extend([7; 32]);
        datagram.extend([0; 14]);
        assert_eq!(random(&datagram), Some([7; 32]));
        for (at, octet) in [(0, 23), (4, 1), (13, 2), (21, 1)] {
            let mut other = datagram.clone();
            other[at] = octet;
            assert_eq!(random(&other), None, "{at}");
        }
        for length in 0..59 {
            assert_eq!(random(&datagram[..length]), None, "{length}");
        }
    }
}
