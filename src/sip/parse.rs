//! From bytes to messages: datagrams and streams (RFC 3261 §7, §18.3).

use super::{Message, Status};
use bytes::{Bytes, BytesMut};

/// Why bytes are not a message, or a header not what its grammar says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} in {place}")]
pub struct ParseError {
    /// What is wrong: goes out as the reason phrase of the 400, so it is ASCII and short.
    pub what: &'static str,
    /// Where: `start line`, or the header's name.
    pub place: &'static str,
    /// What a UAS answers if it can: 400, 505, 513…
    pub status: Status,
}

/// What a datagram or a stretch of a stream turned out to be.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// A whole message.
    Message(Message),
    /// A request with a fault that has enough left (Via, From, To, Call-ID, CSeq) to be answered.
    Faulty(Message, ParseError),
}

/// Reads one datagram. Bytes after Content-Length are ignored (RFC 3261 §18.3).
///
/// # Errors
/// When it is no SIP message and cannot be answered either.
pub fn datagram(bytes: Bytes) -> Result<Parsed, ParseError> {
    let _ = bytes;
    todo!()
}

/// Cuts messages out of a byte stream (RFC 3261 §7.5, §18.3), leading CRLFs being keep-alives (RFC 5626 §3.5.1).
#[derive(Debug, Default)]
pub struct Framer {}

/// What the framer found.
#[derive(Clone, Debug)]
pub enum Frame {
    /// A message.
    Message(Box<Parsed>),
    /// A double CRLF: answer with one CRLF (RFC 5626 §4.4.1).
    Ping,
}

impl Framer {
    /// Takes the next frame out of `buffer`; `Ok(None)` when more bytes are needed.
    ///
    /// # Errors
    /// When framing is lost (no usable Content-Length, header block or body too large): the connection must be closed.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, ParseError> {
        let _ = buffer;
        todo!()
    }
}
