//! URIs (RFC 3261 §19.1, RFC 3966 `tel:`, anything else kept whole).

use super::{ParseError, Text, lex};
pub(super) use layout::split_host;
use layout::{Layout, is_ipv6_byte};
use std::{fmt, hash, net::Ipv6Addr};

mod compare;
mod layout;
mod masked;
#[cfg(test)]
mod tests;

pub use masked::masked;

/// A URI, printed as it came.
///
/// Where its parts lie is found once, at reading; two URIs are `==` when they are written alike
/// ([`Uri::equivalent`] compares as RFC 3261 does).
#[derive(Clone)]
pub struct Uri {
    text: Text,
    scheme: Scheme,
    /// Offsets into `text`, here and below.
    user: Option<(u16, u16)>,
    host: (u16, u16),
    port: Option<u16>,
    /// Parameters reach from here to `headers`.
    params: u16,
    /// Position of the `?`, or the end.
    headers: u16,
}

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Anything else, kept whole.
    Other,
}

impl Uri {
    /// Reads a URI: no `<>`, no white space.
    ///
    /// Of unknown schemes nothing is asked but that. A host in brackets need not be an address that exists:
    /// RFC 5118 §4.10 shows one that a fault in the grammar allows.
    ///
    /// # Errors
    /// When it has no scheme, illegal bytes, no host where the scheme wants one, or a port that is no port.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let text = text.into();
        let (scheme, layout) = Layout::of(&text)?;
        Ok(Self::laid_out(text, scheme, &layout))
    }

    /// Whether [`Uri::parse`] would read it.
    pub(super) fn check(bytes: &[u8]) -> Result<(), ParseError> {
        Layout::of(bytes).map(drop)
    }

    /// Keeps what is no URI, so that the request that carries it can be answered.
    pub(crate) fn unreadable(text: &Text) -> Self {
        let text = match std::str::from_utf8(text) {
            Ok(_) => text.clone(),
            Err(_) => Text::from(text.to_str().into_owned()),
        };
        let layout = Layout::opaque(0);
        Self::laid_out(text, Scheme::Other, &layout)
    }

    fn laid_out(text: Text, scheme: Scheme, layout: &Layout) -> Self {
        // `parse` has refused what is longer; an unreadable text has no parts.
        let offset = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self {
            scheme,
            user: layout.user.map(|(from, to)| (offset(from), offset(to))),
            host: (offset(layout.host.0), offset(layout.host.1)),
            port: layout.port,
            params: offset(layout.params),
            headers: offset(layout.headers),
            text,
        }
    }

    /// `sip:[user@]host[:port]`; `host` may be a name, an IPv4 or an IPv6 literal (brackets are added).
    ///
    /// Bytes of `user` that a user part may not hold are escaped (`%` is not: it is taken for an escape already).
    /// Of `host`, what cannot stand in a host is left out.
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Self {
        let mut text = String::from("sip:");
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            for byte in user.bytes() {
                if lex::is_user_byte(byte) || byte == b'%' {
                    text.push(char::from(byte));
                } else {
                    text.push_str(&format!("%{byte:02X}"));
                }
            }
            text.push('@');
        }
        let bare = host.trim_matches(['[', ']']);
        if bare.contains(':') {
            text.push('[');
            text.extend(bare.chars().filter(|&c| c.is_ascii() && is_ipv6_byte(c as u8)));
            text.push(']');
        } else {
            text.extend(
                bare.chars()
                    .filter(|&c| c.is_ascii() && lex::is_host_byte(c as u8)),
            );
        }
        if text.ends_with([':', '@']) {
            text.push_str("invalid.invalid");
        }
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        let text = Text::from(text);
        Self::parse(text.clone()).unwrap_or_else(|_| Self::unreadable(&text))
    }
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }
    /// The user part as written (escaped), without a password; of `tel:` the number.
    pub fn user(&self) -> Option<&str> {
        let (from, to) = self.user?;
        let user = self.slice(from, to);
        match self.scheme {
            Scheme::Sip | Scheme::Sips => Some(user.split_once(':').map_or(user, |(user, _)| user)),
            Scheme::Tel | Scheme::Other => Some(user),
        }
    }
    /// The user part with its escapes undone (RFC 3261 §19.1.2), for comparison and for people; never cut at `%00`.
    pub fn user_unescaped(&self) -> Option<Vec<u8>> {
        self.user().map(|user| unescape(user.as_bytes()))
    }
    /// The password of the user part, as written. Deprecated by RFC 3261 §19.1.1, but kept.
    pub fn password(&self) -> Option<&str> {
        let (from, to) = self.user?;
        match self.scheme {
            Scheme::Sip | Scheme::Sips => self.slice(from, to).split_once(':').map(|(_, password)| password),
            Scheme::Tel | Scheme::Other => None,
        }
    }
    /// The host as written, IPv6 without brackets; empty for `tel:` and others.
    pub fn host(&self) -> &str {
        self.slice(self.host.0, self.host.1)
    }
    /// The port if written.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
    /// A URI parameter: `Some(None)` when it has no value. Names compare without case.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        let found = lex::param(self.params().as_bytes(), name)?;
        // A part of a `str` cut at ASCII bytes is a `str`.
        Some(found.map(|value| std::str::from_utf8(value).unwrap_or_default()))
    }
    /// The parameters as written, with the leading `;`, or empty.
    pub fn params(&self) -> &str {
        self.slice(self.params, self.headers)
    }
    /// The URI headers as written, without `?`, or empty.
    pub fn headers(&self) -> &str {
        let headers = self.as_str().get(usize::from(self.headers)..).unwrap_or_default();
        match self.scheme {
            Scheme::Sip | Scheme::Sips => headers.strip_prefix('?').unwrap_or_default(),
            Scheme::Tel | Scheme::Other => "",
        }
    }
    /// The same as of a loose router (`lr`, RFC 3261 §19.1.1).
    #[must_use]
    pub fn loose(&self) -> Self {
        match self.param("lr") {
            Some(_) => self.clone(),
            None => self.with_param("lr", None),
        }
    }
    /// The same with a parameter set or replaced. `sip:`, `sips:` and `tel:` only; others stay as they are.
    #[must_use]
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Self {
        let param = match value {
            Some(value) => format!(";{name}={value}"),
            None => format!(";{name}"),
        };
        self.edit_params(name, &param)
    }
    /// The same without a parameter.
    #[must_use]
    pub fn without_param(&self, name: &str) -> Self {
        if self.param(name).is_none() {
            return self.clone();
        }
        self.edit_params(name, "")
    }
    /// Whether it asks for TLS on every hop (RFC 3261 §26.2.2).
    pub fn is_secure(&self) -> bool {
        self.scheme == Scheme::Sips
    }
    /// The same as `sips`, where it is a `sip` URI: what a hop on the way to a `sips` URI has to be (RFC 5630 §4).
    #[must_use]
    pub fn secured(&self) -> Self {
        match (self.scheme, self.as_str().split_once(':')) {
            (Scheme::Sip, Some((_, rest))) => {
                Self::parse(format!("sips:{rest}")).unwrap_or_else(|_| self.clone())
            }
            _ => self.clone(),
        }
    }
    /// The same without any URI parameter.
    #[must_use]
    pub fn without_params(&self) -> Self {
        self.rebuilt("", self.tail())
    }
    /// The same without URI headers (`?…`), which never go into a Request-URI.
    #[must_use]
    pub fn without_headers(&self) -> Self {
        if self.headers().is_empty() && !self.tail().starts_with('?') {
            return self.clone();
        }
        self.rebuilt(self.params(), "")
    }
    /// The same on its own, see [`Text::detached`].
    #[must_use]
    pub fn detached(&self) -> Self {
        Self {
            text: self.text.detached(),
            ..self.clone()
        }
    }
    /// As written.
    pub fn as_str(&self) -> &str {
        // Checked when it was made.
        std::str::from_utf8(&self.text).unwrap_or_default()
    }
    /// As written, counted.
    pub fn as_text(&self) -> &Text {
        &self.text
    }

    fn slice(&self, from: u16, to: u16) -> &str {
        self.as_str()
            .get(usize::from(from)..usize::from(to))
            .unwrap_or_default()
    }
    /// What follows the parameters.
    fn tail(&self) -> &str {
        self.as_str().get(usize::from(self.headers)..).unwrap_or_default()
    }
    /// Everything of that name goes; `param` comes at the end.
    fn edit_params(&self, name: &str, param: &str) -> Self {
        let mut params = String::new();
        for kept in self.params().split(';').skip(1) {
            let kept_name = kept.split_once('=').map_or(kept, |(name, _)| name);
            if !kept_name.eq_ignore_ascii_case(name) {
                params.push(';');
                params.push_str(kept);
            }
        }
        params.push_str(param);
        self.rebuilt(&params, self.tail())
    }
    fn rebuilt(&self, params: &str, tail: &str) -> Self {
        if self.scheme == Scheme::Other {
            return self.clone();
        }
        let before = self.as_str().get(..usize::from(self.params)).unwrap_or_default();
        Self::parse(format!("{before}{params}{tail}")).unwrap_or_else(|_| self.clone())
    }
}

/// Undoes `%HH`, once; a `%` that is no escape stays.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first == b'%'
            && let [high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (char::from(*high).to_digit(16), char::from(*low).to_digit(16))
            && let Ok(byte) = u8::try_from(high * 16 + low)
        {
            plain.push(byte);
            rest = tail;
        } else {
            plain.push(*first);
        }
    }
    plain
}

/// Whether two host parts name the same: as addresses where they are addresses, else without case.
pub(super) fn same_host(one: &str, other: &str) -> bool {
    if one.eq_ignore_ascii_case(other) {
        return true;
    }
    match (one.parse::<Ipv6Addr>(), other.parse::<Ipv6Addr>()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
impl Eq for Uri {}
impl hash::Hash for Uri {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}
