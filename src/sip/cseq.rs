//! CSeq (RFC 3261 §20.16).

use super::{Method, ParseError, Text};

/// A sequence number and the method that it counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads the value.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let _: Text = text.into();
        todo!()
    }
    /// The value for the wire.
    pub fn to_text(&self) -> Text {
        format!("{} {}", self.number, self.method).into()
    }
}
