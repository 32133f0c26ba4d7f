//! Via (RFC 3261 §20.42, RFC 3581).

use super::{ParseError, Text};

/// One Via value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Via {
    /// `UDP`, `TCP`, `TLS`, `WS`, `WSS` or another word.
    pub transport: Text,
    /// sent-by host, IPv6 without brackets.
    pub host: Text,
    /// sent-by port.
    pub port: Option<u16>,
    /// Parameters as written, with the leading `;`.
    pub params: Text,
}

impl Via {
    /// Reads one value.
    pub fn parse(text: impl Into<Text>) -> Result<Self, ParseError> {
        let _: Text = text.into();
        todo!()
    }
    /// A parameter: `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<Text>> {
        let _ = name;
        todo!()
    }
    /// The `branch`.
    pub fn branch(&self) -> Option<Text> {
        self.param("branch").flatten()
    }
    /// The value for the wire.
    pub fn to_text(&self) -> Text {
        todo!()
    }
}
