//! Requests and responses (RFC 3261 §7).

use super::{Headers, Text, Uri};
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

/// A request. Its start line is rebuilt at printing; headers and body are kept to the byte.
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

/// A status code, 100 to 699 (RFC 3261 §7.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(u16);

impl Status {
    /// A code in 100..=699; `None` outside.
    pub const fn new(code: u16) -> Option<Self> {
        if code >= 100 && code <= 699 {
            Some(Self(code))
        } else {
            None
        }
    }
    /// The number.
    pub const fn code(self) -> u16 {
        self.0
    }
    /// 1xx.
    pub const fn is_provisional(self) -> bool {
        self.0 < 200
    }
    /// 2xx.
    pub const fn is_success(self) -> bool {
        self.0 >= 200 && self.0 < 300
    }
    /// 200 and above.
    pub const fn is_final(self) -> bool {
        self.0 >= 200
    }
    /// The phrase that RFC 3261 §21 (or the defining RFC) gives.
    pub fn reason(self) -> &'static str {
        todo!()
    }
}

/// The codes that this server itself sends or tests for: `Status::BUSY_HERE`…
macro_rules! statuses {
    ($($name:ident = $code:literal,)*) => {
        impl Status { $(#[doc = concat!(stringify!($code))] pub const $name: Self = Self($code);)* }
    };
}
statuses! {
    TRYING = 100, RINGING = 180, SESSION_PROGRESS = 183, OK = 200, ACCEPTED = 202,
    MOVED_TEMPORARILY = 302, BAD_REQUEST = 400, UNAUTHORIZED = 401, FORBIDDEN = 403, NOT_FOUND = 404,
    METHOD_NOT_ALLOWED = 405, PROXY_AUTHENTICATION_REQUIRED = 407, REQUEST_TIMEOUT = 408, GONE = 410,
    CONDITIONAL_REQUEST_FAILED = 412, REQUEST_ENTITY_TOO_LARGE = 413, UNSUPPORTED_MEDIA_TYPE = 415,
    UNSUPPORTED_URI_SCHEME = 416, BAD_EXTENSION = 420, EXTENSION_REQUIRED = 421,
    SESSION_INTERVAL_TOO_SMALL = 422, TEMPORARILY_UNAVAILABLE = 480, CALL_DOES_NOT_EXIST = 481,
    LOOP_DETECTED = 482, TOO_MANY_HOPS = 483, BUSY_HERE = 486, REQUEST_TERMINATED = 487,
    NOT_ACCEPTABLE_HERE = 488, REQUEST_PENDING = 491, SERVER_INTERNAL_ERROR = 500, NOT_IMPLEMENTED = 501,
    SERVICE_UNAVAILABLE = 503, SERVER_TIMEOUT = 504, VERSION_NOT_SUPPORTED = 505, MESSAGE_TOO_LARGE = 513,
    DECLINE = 603,
}

impl Message {
    /// Header fields of either kind.
    pub fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }
    /// The bytes for the wire. Content-Length is made true; all else is as it stands.
    pub fn to_bytes(&self) -> Bytes {
        todo!()
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
    /// Answers this request as RFC 3261 §8.2.6.2: Via, From, To (with `to_tag` unless it has a tag), Call-ID and CSeq copied.
    pub fn respond(&self, status: Status, to_tag: Option<&str>) -> Response {
        let _ = (status, to_tag);
        todo!()
    }
}

impl Method {
    /// The word on the wire.
    pub fn as_bytes(&self) -> &[u8] {
        todo!()
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
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
