//! The small lexical pieces that header values share (RFC 3261 §25.1): tokens, quoted strings, lists, parameters.

use super::Text;
use memchr::{memchr, memchr3};

/// What each byte may be, a bit each: tables cost one load where comparisons cost a branch each.
const CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        let mut class = 0;
        if byte.is_ascii_alphanumeric() {
            class |= TOKEN | HOST | USER;
        }
        if matches!(
            byte,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        ) {
            class |= TOKEN;
        }
        if matches!(byte, b'.' | b'-' | b'_') {
            class |= HOST;
        }
        if matches!(
            byte,
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')'
        ) || matches!(byte, b'&' | b'=' | b'+' | b'$' | b',' | b';' | b'?' | b'/')
        {
            class |= USER;
        }
        if matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
            class |= SPACE;
        }
        if byte <= b' ' || matches!(byte, b'<' | b'>' | b'"' | 0x7f) {
            class |= NO_URI;
        }
        if !byte.is_ascii() {
            class |= HIGH;
        }
        classes[at] = class;
        at += 1;
    }
    classes
};
const TOKEN: u8 = 1;
const SPACE: u8 = 1 << 1;
const HOST: u8 = 1 << 2;
const USER: u8 = 1 << 3;
/// Cannot stand in a URI.
pub(crate) const NO_URI: u8 = 1 << 4;
/// Above ASCII.
pub(crate) const HIGH: u8 = 1 << 5;

/// All classes of a byte.
pub(crate) const fn classes(byte: u8) -> u8 {
    CLASSES[byte as usize]
}
/// `token` of RFC 3261 §25.1.
pub(crate) const fn is_token_byte(byte: u8) -> bool {
    classes(byte) & TOKEN != 0
}
/// Of a host name or an IPv4 address; `_` is no legal byte of names, but is used.
pub(crate) const fn is_host_byte(byte: u8) -> bool {
    classes(byte) & HOST != 0
}
/// `unreserved` and `user-unreserved` of RFC 3261 §25.1.
pub(crate) const fn is_user_byte(byte: u8) -> bool {
    classes(byte) & USER != 0
}

/// Whether all of `bytes` is one non-empty token.
pub(crate) fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte))
}

/// White space within a header value: folding has been undone or will be.
pub(crate) const fn is_space(byte: u8) -> bool {
    classes(byte) & SPACE != 0
}

/// Without white space at both ends.
pub(crate) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// The position of the first byte of `wanted` that is outside quoted strings and, with `angles`, outside `<…>`.
///
/// An unterminated quote or bracket reaches to the end, so nothing is found in it.
pub(crate) fn find_outside(bytes: &[u8], wanted: u8, angles: bool) -> Option<usize> {
    let open = if angles { b'<' } else { b'"' };
    let mut from = 0;
    loop {
        let rest = bytes.get(from..)?;
        let at = memchr3(wanted, b'"', open, rest)?;
        let found = rest.get(at..)?;
        from += at;
        match found.first()? {
            b'"' => from += quoted_len(found)?,
            b'<' if angles => from += memchr(b'>', found)? + 1,
            _ => return Some(from),
        }
    }
}

/// The length of the quoted string that starts `bytes`, both quotes counted; `None` when it does not end.
pub(crate) fn quoted_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The content of a quoted string with its escapes undone; anything else as it is.
pub(crate) fn unquote(bytes: &[u8]) -> Vec<u8> {
    let [b'"', inner @ .., b'"'] = bytes else {
        return bytes.to_vec();
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut escaped = false;
    for &byte in inner {
        if !escaped && byte == b'\\' {
            escaped = true;
        } else {
            plain.push(byte);
            escaped = false;
        }
    }
    plain
}

/// A quoted string with this content: quotes and backslashes escaped, line breaks made spaces.
pub(crate) fn quote(plain: &[u8]) -> Vec<u8> {
    let mut quoted = Vec::with_capacity(plain.len() + 2);
    quoted.push(b'"');
    for &byte in plain {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\r' | b'\n' => quoted.push(b' '),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

/// The elements of a comma-separated list, trimmed, empty ones left out: [`List`] without counting.
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(list);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let comma = find_outside(bytes, b',', true);
        rest = comma.and_then(|comma| bytes.get(comma + 1..));
        Some(trim(
            bytes.get(..comma.unwrap_or(bytes.len())).unwrap_or_default(),
        ))
    })
    .filter(|element| !element.is_empty())
}

/// The elements of a comma-separated list, trimmed, empty ones left out (RFC 3261 §7.3.1).
pub(crate) struct List {
    rest: Option<Text>,
}

impl List {
    pub(crate) fn new(text: Text) -> Self {
        Self { rest: Some(text) }
    }
}

impl Iterator for List {
    type Item = Text;
    fn next(&mut self) -> Option<Text> {
        loop {
            let text = self.rest.take()?;
            let item = match find_outside(&text, b',', true) {
                Some(comma) => {
                    self.rest = Some(text.part(comma + 1, text.len()));
                    text.part(0, comma)
                }
                None => text,
            };
            let item = item.trimmed();
            if !item.is_empty() {
                return Some(item);
            }
        }
    }
}

/// One `;name[=value]`, white space around its pieces left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Param<'a> {
    /// The name; empty where two semicolons follow each other.
    pub(crate) name: &'a [u8],
    /// The value as written, quotes included.
    pub(crate) value: Option<&'a [u8]>,
}

/// Walks over `;name=value;name`; quoted values may hold semicolons. What precedes the first `;` is skipped.
pub(crate) struct Params<'a> {
    rest: &'a [u8],
}

impl<'a> Params<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        let start = find_outside(text, b';', true).unwrap_or(text.len());
        Self {
            rest: text.get(start..).unwrap_or_default(),
        }
    }
}

impl<'a> Iterator for Params<'a> {
    type Item = Param<'a>;
    fn next(&mut self) -> Option<Param<'a>> {
        let [b';', rest @ ..] = self.rest else {
            return None;
        };
        let end = find_outside(rest, b';', false).unwrap_or(rest.len());
        let (param, rest) = rest.split_at(end);
        self.rest = rest;
        Some(match find_outside(param, b'=', false) {
            Some(equals) => {
                let (name, value) = param.split_at(equals);
                Param {
                    name: trim(name),
                    value: Some(trim(value.get(1..).unwrap_or_default())),
                }
            }
            None => Param {
                name: trim(param),
                value: None,
            },
        })
    }
}

/// The first parameter of that name (compared without case).
pub(crate) fn param<'a>(params: &'a [u8], name: &str) -> Option<Option<&'a [u8]>> {
    Params::new(params)
        .find(|param| param.name.eq_ignore_ascii_case(name.as_bytes()))
        .map(|param| param.value)
}

/// Whether each parameter has a name that is a token and, where there is a `=`, a value of legal bytes.
///
/// Wider than `gen-value` of RFC 3261 §25.1 in what it lets a value hold (IPv6 addresses, `:` and `/` of real phones).
pub(crate) fn params_are_sound(params: &[u8]) -> bool {
    Params::new(params).all(|param| {
        is_token(param.name)
            && param.value.is_none_or(|value| match value {
                [b'"', ..] => quoted_len(value) == Some(value.len()),
                _ => {
                    !value.is_empty()
                        && value
                            .iter()
                            .all(|&b| b > b' ' && !matches!(b, b'"' | b',' | b';'))
                }
            })
    })
}

/// A decimal number of at most ten digits that fits.
pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 64 {
        return None;
    }
    bytes.iter().try_fold(0_u32, |number, &byte| {
        byte.is_ascii_digit()
            .then(|| number.checked_mul(10)?.checked_add(u32::from(byte - b'0')))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comma_inside_quotes_or_brackets_does_not_split() {
        let list = List::new(Text::from(
            "\"Bell, A\\\"\" <sip:a@b;x=1,2>;q=1 ,, <sip:c>, sip:d",
        ));
        let items: Vec<String> = list.map(|item| item.to_string()).collect();
        assert_eq!(items, ["\"Bell, A\\\"\" <sip:a@b;x=1,2>;q=1", "<sip:c>", "sip:d"]);
    }

    #[test]
    fn parameters_keep_quoted_values_and_tolerate_white_space() {
        let params: Vec<_> = Params::new(b" ; a = 1;b;c=\"x;y=\\\"z\" ;;d=").collect();
        let value = |text: &'static str| Some(text.as_bytes());
        assert_eq!(
            params.iter().map(|p| (p.name, p.value)).collect::<Vec<_>>(),
            [
                (&b"a"[..], value("1")),
                (b"b", None),
                (b"c", value("\"x;y=\\\"z\"")),
                (b"", None),
                (b"d", value("")),
            ]
        );
    }

    #[test]
    fn quoting_is_undone_by_unquoting() {
        for plain in ["", "a", "a\"b", "\\", "a\\\"", "é,;<>"] {
            assert_eq!(unquote(&quote(plain.as_bytes())), plain.as_bytes());
        }
    }

    #[test]
    fn numbers_that_do_not_fit_are_none() {
        assert_eq!(number(b"0009"), Some(9));
        assert_eq!(number(b"4294967295"), Some(u32::MAX));
        for bad in ["4294967296", "", "-1", "1a", " 1"] {
            assert_eq!(number(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn empty_parameters_are_not_sound() {
        assert!(params_are_sound(b";rport;branch=z9;received=2001:db8::1"));
        for bad in [";;", ";a=", ";a=\"x", ";=b", ";a b"] {
            assert!(!params_are_sound(bad.as_bytes()), "{bad}");
        }
    }
}
