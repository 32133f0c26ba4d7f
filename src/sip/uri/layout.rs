//! Where the parts of a URI lie (RFC 3261 §25.1, RFC 3966 §3).

use super::Scheme;
use crate::sip::{ParseError, lex};

const fn bad(what: &'static str) -> ParseError {
    ParseError::bad(what, "URI")
}

impl Scheme {
    /// `None` for what cannot be a scheme (RFC 3986 §3.1).
    fn of(word: &[u8]) -> Option<Self> {
        match word.len() {
            3 if word.eq_ignore_ascii_case(b"sip") => Some(Self::Sip),
            4 if word.eq_ignore_ascii_case(b"sips") => Some(Self::Sips),
            3 if word.eq_ignore_ascii_case(b"tel") => Some(Self::Tel),
            _ => {
                let is_scheme = word.first().is_some_and(u8::is_ascii_alphabetic)
                    && word
                        .iter()
                        .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
                is_scheme.then_some(Self::Other)
            }
        }
    }
}

/// Where the parts of a URI lie, from its first byte.
pub(super) struct Layout {
    pub(super) user: Option<(usize, usize)>,
    pub(super) host: (usize, usize),
    pub(super) port: Option<u16>,
    pub(super) params: usize,
    pub(super) headers: usize,
}

impl Layout {
    pub(super) fn of(bytes: &[u8]) -> Result<(Scheme, Self), ParseError> {
        if bytes.len() > usize::from(u16::MAX) {
            return Err(bad("too long"));
        }
        let classes = bytes.iter().fold(0, |seen, &b| seen | lex::classes(b));
        if classes & lex::NO_URI != 0 {
            return Err(bad("white space, quote or bracket"));
        }
        if classes & lex::HIGH != 0 && std::str::from_utf8(bytes).is_err() {
            return Err(bad("bytes that are not UTF-8"));
        }
        let colon = bytes.iter().position(|&b| b == b':').ok_or(bad("no scheme"))?;
        let (word, rest) = bytes.split_at(colon);
        let rest = rest.get(1..).unwrap_or_default();
        let start = colon + 1;
        let scheme = Scheme::of(word).ok_or(bad("no scheme"))?;
        let layout = match scheme {
            Scheme::Sip | Scheme::Sips => Self::of_sip(rest, start)?,
            Scheme::Tel => Self::of_tel(rest, start)?,
            Scheme::Other if rest.is_empty() => return Err(bad("nothing after the scheme")),
            Scheme::Other => Self::opaque(bytes.len()),
        };
        Ok((scheme, layout))
    }

    /// Of what has no parts that we know.
    pub(super) const fn opaque(end: usize) -> Self {
        Self {
            user: None,
            host: (end, end),
            port: None,
            params: end,
            headers: end,
        }
    }

    /// `[userinfo@]hostport[;params][?headers]`, which begins at `start`.
    fn of_sip(rest: &[u8], start: usize) -> Result<Self, ParseError> {
        let end = start + rest.len();
        // A user part may hold `;`, `?` and `/` (RFC 3261 §25.1), no other part an unescaped `@`.
        let (user, host_start, after_user) = match rest.iter().position(|&b| b == b'@') {
            Some(at) => (
                Some((start, start + at)),
                start + at + 1,
                rest.get(at + 1..).unwrap_or_default(),
            ),
            None => (None, start, rest),
        };
        let (host, after_host) = split_host(after_user)?;
        let host_at = host_start + after_user.len() - after_host.len() - host.len();
        let (host_from, host_to) = match host {
            [b'[', .., b']'] => (host_at + 1, host_at + host.len() - 1),
            _ => (host_at, host_at + host.len()),
        };
        let (port, rest) = split_port(after_host)?;
        if !matches!(rest, [] | [b';' | b'?', ..]) {
            return Err(bad("illegal byte after the host"));
        }
        let params = end - rest.len();
        let headers = rest.iter().position(|&b| b == b'?').map_or(end, |at| params + at);
        Ok(Self {
            user,
            host: (host_from, host_to),
            port,
            params,
            headers,
        })
    }

    /// `number[;params]` (RFC 3966 §3).
    fn of_tel(rest: &[u8], start: usize) -> Result<Self, ParseError> {
        let end = start + rest.len();
        let params = rest.iter().position(|&b| b == b';').unwrap_or(rest.len());
        if params == 0 {
            return Err(bad("no number"));
        }
        Ok(Self {
            user: Some((start, start + params)),
            host: (start + params, start + params),
            port: None,
            params: start + params,
            headers: end,
        })
    }
}

/// Cuts a host (brackets included) off the front of a `hostport`; shared with Via.
pub(in crate::sip) fn split_host(bytes: &[u8]) -> Result<(&[u8], &[u8]), ParseError> {
    if let [b'[', inner @ ..] = bytes {
        let close = inner.iter().position(|&b| b == b']').ok_or(bad("[ without ]"))?;
        let (address, _) = inner.split_at(close);
        if address.is_empty() || !address.iter().all(|&b| is_ipv6_byte(b)) {
            return Err(bad("no IPv6 address between [ and ]"));
        }
        return Ok(bytes.split_at(close + 2));
    }
    let end = bytes
        .iter()
        .position(|&b| !lex::is_host_byte(b))
        .unwrap_or(bytes.len());
    if end == 0 {
        return Err(bad("no host"));
    }
    Ok(bytes.split_at(end))
}

/// Cuts `:port` off the front, if there is one.
fn split_port(bytes: &[u8]) -> Result<(Option<u16>, &[u8]), ParseError> {
    let [b':', rest @ ..] = bytes else {
        return Ok((None, bytes));
    };
    let digits = rest.iter().take_while(|b| b.is_ascii_digit()).count();
    let (port, rest) = rest.split_at(digits);
    let port = lex::number(port)
        .and_then(|port| u16::try_from(port).ok())
        .ok_or(bad("port missing or above 65535"))?;
    Ok((Some(port), rest))
}

/// What may stand between `[` and `]`.
pub(super) const fn is_ipv6_byte(byte: u8) -> bool {
    byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.')
}
