//! `name-addr` / `addr-spec` with parameters: From, To, Contact, Route and kin (RFC 3261 §20.10, §25.1).

use super::{ParseError, Text, Uri};

/// An address with its display name and header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAddr {
    /// The display name as written, quotes included, or empty. May hold Latin-1.
    pub display: Text,
    /// The URI.
    pub uri: Uri,
    /// Header parameters as written, with the leading `;`, or empty.
    pub params: Text,
}

impl NameAddr {
    /// Reads one address.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let _: Text = text.into();
        todo!()
    }
    /// A bare URI.
    pub fn of(uri: Uri) -> Self {
        Self {
            display: Text::default(),
            uri,
            params: Text::default(),
        }
    }
    /// The `tag` parameter.
    pub fn tag(&self) -> Option<Text> {
        self.param("tag").flatten()
    }
    /// A header parameter: `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Text>> {
        let _ = name;
        todo!()
    }
    /// The same with no header parameters but this tag.
    pub fn with_tag(&self, tag: &str) -> Self {
        let _ = tag;
        todo!()
    }
    /// The same without header parameters.
    pub fn without_params(&self) -> Self {
        Self {
            params: Text::default(),
            ..self.clone()
        }
    }
    /// For the wire: always with `<>`.
    pub fn to_text(&self) -> Text {
        todo!()
    }
}
