//! URIs (RFC 3261 §19.1, RFC 3966 `tel:`, anything else kept whole).

use super::{ParseError, Text};
use std::fmt;

/// A URI, printed as it came.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Uri(Text);

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
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let _: Text = text.into();
        todo!()
    }
    /// `sip:[user@]host[:port]`; `host` may be a name, an IPv4 or an IPv6 literal (brackets are added).
    pub fn sip(user: Option<&str>, host: &str, port: Option<u16>) -> Self {
        let _ = (user, host, port);
        todo!()
    }
    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        todo!()
    }
    /// The user part as written (escaped); of `tel:` the number.
    pub fn user(&self) -> Option<&str> {
        todo!()
    }
    /// The host as written, IPv6 without brackets; empty for `tel:` and others.
    pub fn host(&self) -> &str {
        todo!()
    }
    /// The port if written.
    pub fn port(&self) -> Option<u16> {
        todo!()
    }
    /// A URI parameter: `Some(None)` when it has no value. Names compare without case.
    pub fn param(&self, name: &str) -> Option<Option<&str>> {
        let _ = name;
        todo!()
    }
    /// The parameters as written, with the leading `;`, or empty.
    pub fn params(&self) -> &str {
        todo!()
    }
    /// The URI headers as written, without `?`, or empty.
    pub fn headers(&self) -> &str {
        todo!()
    }
    /// The same with a parameter set or replaced.
    pub fn with_param(&self, name: &str, value: Option<&str>) -> Self {
        let _ = (name, value);
        todo!()
    }
    /// The same without a parameter.
    pub fn without_param(&self, name: &str) -> Self {
        let _ = name;
        todo!()
    }
    /// The same without URI headers (`?…`), which never go into a Request-URI.
    pub fn without_headers(&self) -> Self {
        todo!()
    }
    /// Equality of RFC 3261 §19.1.4.
    pub fn equivalent(&self, other: &Self) -> bool {
        let _ = other;
        todo!()
    }
    /// As written.
    pub fn as_str(&self) -> &str {
        todo!()
    }
}
impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
