//! Equality of URIs (RFC 3261 §19.1.4, RFC 3966 §5).

use super::{Scheme, Uri, same_host, unescape};

/// Parameters that matter even when only one of the two URIs has them.
const NEVER_IGNORED: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

impl Uri {
    /// Equality of RFC 3261 §19.1.4 (`tel:`: RFC 3966 §5; unknown schemes: as written, scheme without case).
    pub fn equivalent(&self, other: &Self) -> bool {
        if self == other {
            return true;
        }
        if self.scheme != other.scheme {
            return false;
        }
        match self.scheme {
            Scheme::Sip | Scheme::Sips => {
                same_part(self.user(), other.user())
                    && same_part(self.password(), other.password())
                    && same_host(self.host(), other.host())
                    && self.port == other.port
                    && same_params(self, other)
                    && same_headers(self.headers(), other.headers())
            }
            Scheme::Tel => digits(self) == digits(other) && tel_params(self) == tel_params(other),
            Scheme::Other => match (self.as_str().split_once(':'), other.as_str().split_once(':')) {
                (Some((scheme, rest)), Some((other_scheme, other_rest))) => {
                    scheme.eq_ignore_ascii_case(other_scheme) && rest == other_rest
                }
                _ => false,
            },
        }
    }
}

/// Case-sensitive, but an escaped character equals the character.
fn same_part(one: Option<&str>, other: Option<&str>) -> bool {
    one.map(|part| unescape(part.as_bytes())) == other.map(|part| unescape(part.as_bytes()))
}

/// Without case, escapes undone.
fn folded(text: &str) -> Vec<u8> {
    unescape(text.as_bytes()).to_ascii_lowercase()
}

fn params(uri: &Uri) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_ {
    uri.params()
        .split(';')
        .skip(1)
        .map(|param| param.split_once('=').unwrap_or((param, "")))
        .map(|(name, value)| (folded(name), folded(value)))
}

/// A parameter that both have must match; one that only one has is ignored, but for [`NEVER_IGNORED`].
fn same_params(one: &Uri, other: &Uri) -> bool {
    let agrees = |one: &Uri, other: &Uri| {
        params(one).all(
            |(name, value)| match params(other).find(|(other_name, _)| *other_name == name) {
                Some((_, other_value)) => value == other_value,
                None => !NEVER_IGNORED.iter().any(|never| never.as_bytes() == name),
            },
        )
    };
    agrees(one, other) && agrees(other, one)
}

/// URI headers are never ignored; their order does not matter.
fn same_headers(one: &str, other: &str) -> bool {
    let sorted = |headers: &str| {
        let mut headers: Vec<_> = headers
            .split('&')
            .filter(|header| !header.is_empty())
            .map(|header| header.split_once('=').unwrap_or((header, "")))
            .map(|(name, value)| (folded(name), unescape(value.as_bytes())))
            .collect();
        headers.sort();
        headers
    };
    sorted(one) == sorted(other)
}

/// A number without its visual separators.
fn digits(uri: &Uri) -> Vec<u8> {
    uri.user()
        .unwrap_or_default()
        .bytes()
        .filter(|byte| !matches!(byte, b'-' | b'.' | b'(' | b')'))
        .map(|byte| byte.to_ascii_lowercase())
        .collect()
}

fn tel_params(uri: &Uri) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut params: Vec<_> = params(uri).collect();
    params.sort();
    params
}
