//! From bytes to messages: datagrams and streams (RFC 3261 §7, §18.3).

use super::{Headers, Message, Method, Request, Response, Status, Text, Uri, headers::Found, lex};
use bytes::Bytes;
use memchr::{memchr, memchr_iter, memchr2};

mod framer;
#[cfg(test)]
mod tests;

pub use framer::{Frame, Framer};

/// The largest message that is read: start line, header fields and body.
pub const MAX_MESSAGE: usize = 64 * 1024;
/// The largest start line with header fields.
pub const MAX_HEADER_BLOCK: usize = 32 * 1024;
/// The most header field lines of one message.
pub const MAX_FIELDS: usize = 256;

/// Why bytes are not a message, or a header not what its grammar says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} in {place}")]
pub struct ParseError {
    /// What is wrong: goes out as the reason phrase of the 400, so it is ASCII and short.
    pub what: &'static str,
    /// Where: `start line`, or the header's name.
    pub place: &'static str,
    /// What a UAS answers if it can: 400, 505, 513…
    pub status: Status,
}

impl ParseError {
    /// A fault that is answered with 400.
    pub const fn bad(what: &'static str, place: &'static str) -> Self {
        Self {
            what,
            place,
            status: Status::BAD_REQUEST,
        }
    }
    /// The same with another status.
    #[must_use]
    pub const fn status(self, status: Status) -> Self {
        Self { status, ..self }
    }
    /// The same fault, found in the header of that name.
    #[must_use]
    pub const fn at(self, place: &'static str) -> Self {
        Self { place, ..self }
    }
    /// The reason phrase that tells the sender: `Missing header: CSeq`.
    pub fn reason(&self) -> Text {
        let mut what = self.what.to_owned();
        if let Some(first) = what.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        format!("{what}: {}", self.place).into()
    }
}

/// What a datagram or a stretch of a stream turned out to be.
#[derive(Clone, Debug)]
pub enum Parsed {
    /// A whole message that keeps the rules: [`Request::check`] and [`Response::check`] have seen it.
    Message(Message),
    /// A request with a fault that has enough left to be answered: a Via that says where to, and what it has of From,
    /// To, Call-ID and CSeq.
    Faulty(Message, ParseError),
}

/// Reads one datagram. Bytes after Content-Length are ignored (RFC 3261 §18.3).
///
/// # Errors
/// When it is no SIP message and cannot be answered either.
pub fn datagram(bytes: Bytes) -> Result<Parsed, ParseError> {
    let (message, fault) = message(bytes)?;
    judge(message, fault)
}

/// Sorts what was read by whether it keeps the rules, and if not, whether it can be answered.
fn judge(message: Message, fault: Option<ParseError>) -> Result<Parsed, ParseError> {
    match message {
        Message::Request(request) => match fault.map_or_else(|| request.check(), Err) {
            Ok(()) => Ok(Parsed::Message(request.into())),
            Err(fault) if request.method != Method::Ack && request.headers.via().is_ok() => {
                Ok(Parsed::Faulty(request.into(), fault))
            }
            Err(fault) => Err(fault),
        },
        Message::Response(response) => {
            fault.map_or_else(|| response.check(), Err)?;
            Ok(Parsed::Message(response.into()))
        }
    }
}

/// Reads one datagram without judging header values: the first fault of its form comes beside it.
///
/// # Errors
/// When its start line is not SIP's.
pub fn message(bytes: Bytes) -> Result<(Message, Option<ParseError>), ParseError> {
    let bad = |what| ParseError::bad(what, "start line");
    if bytes.len() > MAX_MESSAGE {
        return Err(bad("message too large").status(Status::MESSAGE_TOO_LARGE));
    }
    // Tolerated before the start line (RFC 3261 §7.5).
    let start = bytes.iter().take_while(|&&b| matches!(b, b'\r' | b'\n')).count();
    let rest = bytes.get(start..).unwrap_or_default();
    let line_end = memchr(b'\n', rest)
        .map(|at| start + at + 1)
        .ok_or(bad("no line end"))?;
    let line = bytes.get(start..line_end).unwrap_or_default();
    let start_line = StartLine::parse(&bytes, line)?;
    let block = HeaderBlock::read(&bytes, line_end);
    let mut headers = block.headers;
    if start_line.is_odd {
        headers.line = Some(bytes.slice(start..line_end));
    }
    let (body, length_fault) = body(&bytes, block.end, &headers);
    let fault = start_line.fault.or(block.fault).or(length_fault);
    Ok((start_line.content.with(headers, body), fault))
}

/// The bytes after the empty line, as many as Content-Length says.
fn body(bytes: &Bytes, start: usize, headers: &Headers) -> (Bytes, Option<ParseError>) {
    let available = bytes.len() - start;
    let (length, fault) = match headers.content_length() {
        Ok(None) => (available, None),
        Ok(Some(length)) if length <= available => (length, None),
        Ok(Some(_)) => (
            available,
            Some(ParseError::bad("larger than the message", "Content-Length")),
        ),
        Err(fault) => (available, Some(fault)),
    };
    (bytes.slice(start..start + length), fault)
}

/// What the start line says.
struct StartLine {
    content: Content,
    /// Not written as we would write it, so it is kept.
    is_odd: bool,
    fault: Option<ParseError>,
}

enum Content {
    Request(Method, Uri),
    Response(Status, Text),
}

impl Content {
    fn with(self, headers: Headers, body: Bytes) -> Message {
        match self {
            Self::Request(method, uri) => Message::Request(Request {
                method,
                uri,
                headers,
                body,
            }),
            Self::Response(status, reason) => Message::Response(Response {
                status,
                reason,
                headers,
                body,
            }),
        }
    }
}

impl StartLine {
    fn parse(bytes: &Bytes, line: &[u8]) -> Result<Self, ParseError> {
        let (text, has_crlf) = match line {
            [text @ .., b'\r', b'\n'] => (text, true),
            [text @ .., b'\n'] => (text, false),
            text => (text, false),
        };
        if text
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
        {
            Self::parse_status_line(bytes, text, has_crlf)
        } else {
            Self::parse_request_line(bytes, text, has_crlf)
        }
    }

    /// `SIP/2.0 code phrase` (RFC 3261 §7.2). The phrase may be empty, and the space before it missing.
    fn parse_status_line(bytes: &Bytes, text: &[u8], has_crlf: bool) -> Result<Self, ParseError> {
        let bad = |what| ParseError::bad(what, "start line");
        let (version, rest) = split_space(text).ok_or(bad("no status code"))?;
        if !version.eq_ignore_ascii_case(b"SIP/2.0") {
            return Err(bad("unknown version").status(Status::VERSION_NOT_SUPPORTED));
        }
        let (code, reason, has_space) = match split_space(rest) {
            Some((code, reason)) => (code, reason, true),
            None => (rest, rest.get(rest.len()..).unwrap_or_default(), false),
        };
        let status = lex::number(code)
            .filter(|_| code.len() == 3)
            .and_then(|code| u16::try_from(code).ok())
            .and_then(Status::new)
            .ok_or(bad("status code not from 100 to 699"))?;
        let fault = memchr2(b'\r', 0, reason).map(|_| bad("CR or NUL"));
        Ok(Self {
            content: Content::Response(status, Text::from_bytes(bytes.slice_ref(reason))),
            is_odd: !has_crlf || !has_space || version != b"SIP/2.0",
            fault,
        })
    }

    /// `METHOD URI SIP/2.0` (RFC 3261 §7.1).
    fn parse_request_line(bytes: &Bytes, text: &[u8], has_crlf: bool) -> Result<Self, ParseError> {
        let bad = |what| ParseError::bad(what, "start line");
        let trimmed = lex::trim(text);
        let (method, rest) = split_space(trimmed).ok_or(bad("not three words"))?;
        let version_at = rest
            .iter()
            .rposition(|&b| b == b' ')
            .ok_or(bad("not three words"))?;
        let (uri, version) = rest.split_at(version_at);
        let version = version.get(1..).unwrap_or_default();
        if !version
            .get(..4)
            .is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/"))
        {
            return Err(bad("not SIP"));
        }
        if !lex::is_token(method) {
            return Err(bad("method not a token"));
        }
        let bytes = Text::from_bytes(bytes.clone());
        let method = Method::within(&bytes, method);
        let uri = bytes.part_of(lex::trim(uri));
        let spaces_fault =
            (trimmed.len() != text.len() || rest.first() == Some(&b' ') || uri.len() != version_at)
                .then_some(bad("white space other than one SP between the words"));
        let version_fault = (!version.eq_ignore_ascii_case(b"SIP/2.0"))
            .then_some(bad("unknown version").status(Status::VERSION_NOT_SUPPORTED));
        let (uri, uri_fault) = match Uri::parse(uri.clone()) {
            Ok(uri) => (uri, None),
            Err(error) => (Uri::unreadable(&uri), Some(error.at("Request-URI"))),
        };
        Ok(Self {
            content: Content::Request(method, uri),
            is_odd: !has_crlf || version != b"SIP/2.0",
            fault: version_fault.or(spaces_fault).or(uri_fault),
        })
    }
}

fn split_space(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = bytes.iter().position(|&b| b == b' ')?;
    let (before, after) = bytes.split_at(space);
    Some((before, after.get(1..)?))
}

/// The header fields up to the empty line.
struct HeaderBlock {
    headers: Headers,
    /// Where the body starts.
    end: usize,
    fault: Option<ParseError>,
}

impl HeaderBlock {
    /// Reads from `start`. Lines that are no fields are kept, and the first fault told.
    fn read(bytes: &Bytes, start: usize) -> Self {
        let mut headers = Headers::of_wire(bytes.clone());
        let mut fault = None;
        let mut ends = memchr_iter(b'\n', bytes.get(start..).unwrap_or_default()).map(|lf| start + lf + 1);
        let (mut at, mut crlfs) = (start, 0);
        let end = loop {
            let Some(mut end) = ends.next() else {
                fault.get_or_insert(ParseError::bad("no empty line at the end", "header block"));
                break bytes.len();
            };
            crlfs += usize::from(ends_crlf(bytes, end));
            match bytes.get(at..end) {
                Some([b'\r', b'\n']) => break end,
                Some([b'\n']) => {
                    headers.bare_lf = true;
                    break end;
                }
                _ => {}
            }
            let mut folded = false;
            while let Some(b' ' | b'\t') = bytes.get(end) {
                let Some(next) = ends.next() else {
                    break;
                };
                folded = true;
                end = next;
                crlfs += usize::from(ends_crlf(bytes, end));
            }
            if headers.len() >= MAX_FIELDS || end - start > MAX_HEADER_BLOCK {
                let large = ParseError::bad("too large", "header block").status(Status::MESSAGE_TOO_LARGE);
                fault.get_or_insert(large);
                break bytes.len();
            }
            let found = field(bytes, at, end, folded);
            if found.name_len == 0 {
                fault.get_or_insert(ParseError::bad("line that is not name: value", "header block"));
            }
            headers.push_found(&found);
            at = end;
        };
        let block = bytes.get(start..end).unwrap_or_default();
        // Counting is cheaper than looking at each line; what does not add up is a CR that ends nothing.
        if memchr_iter(b'\r', block).count() != crlfs {
            fault.get_or_insert(ParseError::bad("CR without LF", "header block"));
        }
        if has_bare_nul(block) {
            fault.get_or_insert(ParseError::bad("NUL", "header block"));
        }
        Self { headers, end, fault }
    }
}

/// A NUL that is not escaped by a backslash, as a quoted pair may be (RFC 3261 §25.1).
fn has_bare_nul(block: &[u8]) -> bool {
    memchr_iter(0, block).any(|at| at.checked_sub(1).and_then(|before| block.get(before)) != Some(&b'\\'))
}

/// Whether the line that ends before `end` ends in CRLF.
fn ends_crlf(bytes: &[u8], end: usize) -> bool {
    end.checked_sub(2).and_then(|at| bytes.get(at)) == Some(&b'\r')
}

/// `name [white space] : value`; the name is a token.
fn field(bytes: &[u8], start: usize, end: usize, folded: bool) -> Found {
    let line = bytes.get(start..end).unwrap_or_default();
    let name_len = line.iter().take_while(|&&b| lex::is_token_byte(b)).count();
    let after = line.get(name_len..).unwrap_or_default();
    let blank = after.iter().take_while(|&&b| matches!(b, b' ' | b'\t')).count();
    let is_field = name_len > 0 && after.get(blank) == Some(&b':');
    Found {
        start,
        end,
        name_len: if is_field { name_len } else { 0 },
        value: if is_field {
            start + name_len + blank + 1
        } else {
            end
        },
        folded,
    }
}
