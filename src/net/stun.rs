//! Keep-alives of phones behind NATs on our UDP ports: STUN binding requests, answered with the address that they came from
//! (RFC 5626 §4.4.2, RFC 8489).

use std::net::{IpAddr, SocketAddr};

const COOKIE: [u8; 4] = [0x21, 0x12, 0xa4, 0x42];
const HEADER: usize = 20;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;

/// Whether a datagram is STUN: two zero bits, the cookie, and a length that fits (RFC 8489 §5).
pub(super) fn is_stun(datagram: &[u8]) -> bool {
    let length = |high: u8, low: u8| usize::from(u16::from_be_bytes([high, low]));
    matches!(datagram, [first, _, high, low, cookie @ ..] if first & 0xc0 == 0
        && cookie.starts_with(&COOKIE)
        && datagram.len() >= HEADER
        && datagram.len() == HEADER + length(*high, *low))
}

/// The answer to a binding request from `remote`; `None` to anything else.
pub(super) fn answer(request: &[u8], remote: SocketAddr) -> Option<Vec<u8>> {
    if !is_stun(request) || request.get(..2)? != [0, 1] {
        return None;
    }
    let transaction = request.get(8..HEADER)?;
    let key = [&COOKIE, transaction].concat();
    let (family, address) = match remote.ip().to_canonical() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let [cookie_high, cookie_low, ..] = COOKIE;
    let port = remote.port() ^ u16::from_be_bytes([cookie_high, cookie_low]);
    let size = u16::try_from(4 + address.len()).ok()?;
    let mut out = vec![1, 1];
    out.extend((size + 4).to_be_bytes());
    out.extend(&key);
    out.extend(XOR_MAPPED_ADDRESS.to_be_bytes());
    out.extend(size.to_be_bytes());
    out.extend([0, family]);
    out.extend(port.to_be_bytes());
    out.extend(address.iter().zip(&key).map(|(byte, mask)| byte ^ mask));
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_binding_request_is_told_where_it_came_from() {
        let mut request = vec![0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42];
        // The transaction and the addresses of RFC 5769 §2.2 and §2.3.
        request.extend([
            0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae,
        ]);
        let answered = answer(&request, "192.0.2.1:32853".parse().expect("an address")).expect("an answer");
        assert_eq!(answered[..4], [1, 1, 0, 12]);
        assert_eq!(answered[4..20], request[4..20]);
        assert_eq!(
            answered[20..],
            [0, 0x20, 0, 8, 0, 1, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]
        );
        let remote = "[2001:db8:1234:5678:11:2233:4455:6677]:32853";
        let answered = answer(&request, remote.parse().expect("an address")).expect("an answer");
        assert_eq!(
            answered[28..],
            [
                0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79, 0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9,
                0xd9
            ]
        );
    }

    #[test]
    fn what_is_no_binding_request_gets_no_answer() {
        let remote = "192.0.2.1:1".parse().expect("an address");
        let request = [&[0, 1, 0, 0][..], &COOKIE, &[7; 12]].concat();
        assert!(answer(&request, remote).is_some());
        for change in [(0, 0x80), (1, 0x11), (3, 4), (4, 0)] {
            let mut other = request.clone();
            other[change.0] = change.1;
            assert_eq!(answer(&other, remote), None);
        }
        assert_eq!(answer(&request[..19], remote), None);
    }
}
