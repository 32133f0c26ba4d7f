//! Session descriptions (RFC 8866) and the offer/answer rewriting of a B2BUA (RFC 3264). Pure.

/// A session description. Lines that are not understood are kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Sdp {}

/// Why a body is no SDP.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("SDP line {line}: {what}")]
pub struct ParseError {
    /// What is wrong.
    pub what: String,
    /// Line number, from 1.
    pub line: usize,
}

impl Sdp {
    /// Reads a body of type `application/sdp`.
    pub fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let _ = bytes;
        todo!()
    }
    /// The body, CRLF line ends.
    pub fn to_bytes(&self) -> bytes::Bytes {
        todo!()
    }
}
