//! The byte string that messages are made of.

use super::lex;
use bytes::Bytes;
use std::{borrow::Cow, fmt, ops::Deref};

/// Bytes of a message, cheap to clone, often a slice of the datagram that carried them.
///
/// Usually UTF-8; Latin-1 bytes of old clients are kept as they are.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Bytes);

impl Text {
    /// Wraps bytes that are already counted.
    pub fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }
    /// Wraps a literal.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
    /// The counted bytes, to slice further without copying.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
    /// Bytes `from..to` of it, without copying. Out of bounds is cut to what is there.
    pub(crate) fn part(&self, from: usize, to: usize) -> Self {
        let to = to.min(self.0.len());
        Self(self.0.slice(from.min(to)..to))
    }
    /// The part of it that `part`, a slice borrowed from it, denotes; without copying.
    pub(crate) fn part_of(&self, part: &[u8]) -> Self {
        Self(self.0.slice_ref(part))
    }
    /// The same bytes on their own: what is kept for long must not hold the whole datagram that it came in.
    #[must_use]
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
    /// Without white space at both ends.
    pub fn trimmed(&self) -> Self {
        let inner = lex::trim(&self.0);
        if inner.len() == self.0.len() {
            self.clone()
        } else {
            self.part_of(inner)
        }
    }
    /// The content of a quoted string (RFC 3261 §25.1) with its escapes undone; anything else as it is.
    pub fn unquoted(&self) -> Self {
        match &*self.0 {
            [b'"', .., b'"'] => Self::from(lex::unquote(&self.0)),
            _ => self.clone(),
        }
    }
    /// A quoted string with this content.
    pub fn quoted(&self) -> Self {
        Self::from(lex::quote(&self.0))
    }
    /// The text, with what is not UTF-8 replaced: for people and for comparison, not for the wire.
    pub fn to_str(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.0)
    }
}

impl Deref for Text {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}
impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}
impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(Bytes::from(text))
    }
}
impl From<Vec<u8>> for Text {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Bytes::from(bytes))
    }
}
impl From<Bytes> for Text {
    fn from(bytes: Bytes) -> Self {
        Self(bytes)
    }
}
impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        self.0 == other.as_bytes()
    }
}
impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        self.0 == other.as_bytes()
    }
}
impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_str())
    }
}
impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_str())
    }
}
