//! Cutting messages out of a byte stream.

use super::{MAX_HEADER_BLOCK, MAX_MESSAGE, ParseError, Parsed, judge, message};
use crate::sip::Status;
use bytes::{Buf, Bytes, BytesMut};

/// Cuts messages out of a byte stream (RFC 3261 §7.5, §18.3), leading CRLFs being keep-alives (RFC 5626 §3.5.1).
#[derive(Debug, Default)]
pub struct Framer {
    /// How much of the buffer is known not to hold the end of the header block.
    scanned: usize,
    /// The length of the message at the front of the buffer, once its header block is there.
    length: Option<usize>,
    /// Framing is lost: nothing after this can be read.
    lost: Option<ParseError>,
}

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
    /// A whole message that is neither readable nor answerable is passed over. A request whose length cannot be told is
    /// given out as [`Parsed::Faulty`] once, so that it can be answered before the connection is closed.
    ///
    /// # Errors
    /// When framing is lost (no usable Content-Length, header block or body too large): the connection must be closed.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Option<Frame>, ParseError> {
        loop {
            if let Some(error) = self.lost {
                return Err(error);
            }
            let length = match self.length {
                Some(length) => length,
                None => {
                    let before = buffer.len();
                    let ping = skip_empty_lines(buffer);
                    if buffer.len() < before {
                        self.scanned = 0;
                    }
                    if ping {
                        return Ok(Some(Frame::Ping));
                    }
                    let Some(end) = self.header_end(buffer)? else {
                        return Ok(None);
                    };
                    match self.measure(buffer, end)? {
                        Ok(length) => length,
                        Err(faulty) => return Ok(Some(faulty)),
                    }
                }
            };
            if buffer.len() < length {
                self.length = Some(length);
                return Ok(None);
            }
            self.length = None;
            self.scanned = 0;
            // On its own: what a call keeps of it must not hold the connection's whole buffer.
            let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            buffer.advance(length);
            let parsed = message(bytes).and_then(|(message, fault)| judge(message, fault));
            if let Ok(parsed) = parsed {
                return Ok(Some(Frame::Message(Box::new(parsed))));
            }
        }
    }

    /// Where the body begins; looks at each byte once, however slowly they come.
    fn header_end(&mut self, buffer: &BytesMut) -> Result<Option<usize>, ParseError> {
        let end = self.empty_line(buffer);
        if end.unwrap_or(buffer.len()) > MAX_HEADER_BLOCK {
            let error = ParseError::bad("too large", "header block").status(Status::MESSAGE_TOO_LARGE);
            return Err(self.lose(error));
        }
        Ok(end)
    }

    fn empty_line(&mut self, buffer: &BytesMut) -> Option<usize> {
        let mut from = self.scanned;
        while let Some(at) = memchr::memchr(b'\n', buffer.get(from..).unwrap_or_default()) {
            let lf = from + at;
            match buffer.get(lf + 1..).unwrap_or_default() {
                [b'\n', ..] => return Some(lf + 2),
                [b'\r', b'\n', ..] => return Some(lf + 3),
                // Not enough behind the LF to tell: look at it again.
                [] | [b'\r'] => {
                    self.scanned = lf;
                    return None;
                }
                _ => from = lf + 1,
            }
        }
        self.scanned = buffer.len();
        None
    }

    /// The length of the message whose header block ends at `end`; when it cannot be told, what to answer once.
    fn measure(&mut self, buffer: &BytesMut, end: usize) -> Result<Result<usize, Frame>, ParseError> {
        // A body that has not come yet is no fault of the head's: only its fields count here.
        let head = Bytes::copy_from_slice(buffer.get(..end).unwrap_or_default());
        let (head, _) = message(head).map_err(|error| self.lose(error))?;
        let error = match head.headers().content_length() {
            Ok(Some(length)) if length <= MAX_MESSAGE - end.min(MAX_MESSAGE) => return Ok(Ok(end + length)),
            Ok(Some(_)) => {
                ParseError::bad("too large", "Content-Length").status(Status::REQUEST_ENTITY_TOO_LARGE)
            }
            Ok(None) => ParseError::bad("missing header", "Content-Length"),
            Err(error) => error,
        };
        self.lose(error);
        let faulty = judge(head, Some(error))?;
        Ok(Err(Frame::Message(Box::new(faulty))))
    }

    fn lose(&mut self, error: ParseError) -> ParseError {
        self.lost = Some(error);
        error
    }
}

/// Drops line ends before a start line; true when they were a double CRLF.
fn skip_empty_lines(buffer: &mut BytesMut) -> bool {
    loop {
        match &buffer[..] {
            [b'\r', b'\n', b'\r', b'\n', ..] => {
                buffer.advance(4);
                return true;
            }
            // Perhaps the first half of a double one.
            [b'\r'] | [b'\r', b'\n'] | [b'\r', b'\n', b'\r'] => return false,
            [b'\r', b'\n', ..] => buffer.advance(2),
            [b'\n', ..] => buffer.advance(1),
            _ => return false,
        }
    }
}
