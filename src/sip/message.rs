//! Requests and responses (RFC 3261 §7).

use super::{Headers, NameAddr, Status, Text, Uri, lex, name::Known, print};
use bytes::Bytes;
use std::fmt;

/// One SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request (RFC 3261 §7.1).
    Request(Request),
    /// A response (RFC 3261 §7.2).
    Response(Response),
}

/// A request. Its start line is rebuilt at printing if it was changed; headers and body are kept to the byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method; open, because new ones are only words.
    pub method: Method,
    /// The Request-URI, kept even where its scheme is unknown.
    pub uri: Uri,
    /// Header fields in order.
    pub headers: Headers,
    /// The body, as long as Content-Length said.
    pub body: Bytes,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: Status,
    /// The reason phrase, as it came; may be empty or not UTF-8.
    pub reason: Text,
    /// Header fields in order.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
}

/// A method: case-sensitive (RFC 3261 §7.1), open.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 3261 §13
    Invite,
    /// RFC 3261 §13.2.2.4
    Ack,
    /// RFC 3261 §15
    Bye,
    /// RFC 3261 §9
    Cancel,
    /// RFC 3261 §11
    Options,
    /// RFC 3261 §10
    Register,
    /// RFC 3262
    Prack,
    /// RFC 3311
    Update,
    /// RFC 6086
    Info,
    /// RFC 3515
    Refer,
    /// RFC 6665
    Subscribe,
    /// RFC 6665
    Notify,
    /// RFC 3428
    Message,
    /// RFC 3903
    Publish,
    /// Any other word.
    Other(Text),
}

impl Message {
    /// Header fields of either kind.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }
    /// Header fields of either kind, to change.
    pub fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => &mut request.headers,
            Self::Response(response) => &mut response.headers,
        }
    }
    /// The body of either kind.
    pub fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }
    /// The bytes for the wire. Content-Length is made true; all else is as it stands.
    ///
    /// A message that came without Content-Length in a datagram and that nobody touched is printed without it.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }
}

impl From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}
impl From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

impl Request {
    /// A request with no headers and no body.
    pub fn new(method: Method, uri: Uri) -> Self {
        Self {
            method,
            uri,
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }
    /// Answers this request as RFC 3261 §8.2.6.2: Via, From, To (with `to_tag` unless it has a tag), Call-ID and CSeq
    /// copied; a 100 gets the Timestamp too (§8.2.6.1). What the request lacks, the response lacks.
    pub fn respond(&self, status: Status, to_tag: Option<&str>) -> Response {
        let mut response = Response::new(status);
        let headers = &mut response.headers;
        headers.copy_known(&self.headers, Known::Via);
        headers.copy_known(&self.headers, Known::From);
        match (to_tag, self.headers.first(Known::To)) {
            (Some(tag), Some(to)) if needs_tag(&to) => {
                headers.push(Known::To, [&to, &b";tag="[..], tag.as_bytes()].concat());
            }
            _ => headers.copy_known(&self.headers, Known::To),
        }
        headers.copy_known(&self.headers, Known::CallId);
        headers.copy_known(&self.headers, Known::CSeq);
        if status == Status::TRYING {
            headers.copy_known(&self.headers, Known::Timestamp);
        }
        response
    }
    /// The bytes for the wire, as [`Message::to_bytes`].
    pub fn to_bytes(&self) -> Bytes {
        print::request(self)
    }
}

/// A To value that can be read (a tag could land inside of anything else) and has no tag.
fn needs_tag(to: &Text) -> bool {
    NameAddr::parse(to.clone()).is_ok_and(|to| to.param("tag").is_none())
}

impl Response {
    /// A response with the code's own phrase, no headers and no body.
    pub fn new(status: Status) -> Self {
        Self {
            status,
            reason: Text::from_static(status.reason()),
            headers: Headers::default(),
            body: Bytes::new(),
        }
    }
    /// The bytes for the wire, as [`Message::to_bytes`].
    pub fn to_bytes(&self) -> Bytes {
        print::response(self)
    }
}

impl Method {
    /// Any word. One that is no token is kept, for a parser to complain of.
    pub fn from_text(text: Text) -> Self {
        Self::registered(&text).unwrap_or(Self::Other(text))
    }
    /// The method that `word`, a part of `text`, names.
    pub(super) fn within(text: &Text, word: &[u8]) -> Self {
        Self::registered(word).unwrap_or_else(|| Self::Other(text.part_of(word)))
    }
    fn registered(word: &[u8]) -> Option<Self> {
        Some(match word {
            b"INVITE" => Self::Invite,
            b"ACK" => Self::Ack,
            b"BYE" => Self::Bye,
            b"CANCEL" => Self::Cancel,
            b"OPTIONS" => Self::Options,
            b"REGISTER" => Self::Register,
            b"PRACK" => Self::Prack,
            b"UPDATE" => Self::Update,
            b"INFO" => Self::Info,
            b"REFER" => Self::Refer,
            b"SUBSCRIBE" => Self::Subscribe,
            b"NOTIFY" => Self::Notify,
            b"MESSAGE" => Self::Message,
            b"PUBLISH" => Self::Publish,
            _ => return None,
        })
    }
    /// The word on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Invite => b"INVITE",
            Self::Ack => b"ACK",
            Self::Bye => b"BYE",
            Self::Cancel => b"CANCEL",
            Self::Options => b"OPTIONS",
            Self::Register => b"REGISTER",
            Self::Prack => b"PRACK",
            Self::Update => b"UPDATE",
            Self::Info => b"INFO",
            Self::Refer => b"REFER",
            Self::Subscribe => b"SUBSCRIBE",
            Self::Notify => b"NOTIFY",
            Self::Message => b"MESSAGE",
            Self::Publish => b"PUBLISH",
            Self::Other(word) => word,
        }
    }
    /// Whether the word is a token, as the grammar wants.
    pub(crate) fn is_token(&self) -> bool {
        lex::is_token(self.as_bytes())
    }
}
impl From<&str> for Method {
    fn from(word: &str) -> Self {
        Self::from_text(word.into())
    }
}
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}
impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
