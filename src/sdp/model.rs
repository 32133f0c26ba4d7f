//! The line model of a session description (RFC 8866 §5): every line in its place.

use bytes::Bytes;
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// One line, `k=value`, without its end.
#[derive(Clone, PartialEq, Eq)]
pub struct Line {
    /// The letter before `=`.
    pub kind: u8,
    /// What follows `=`, to the byte.
    pub value: Bytes,
}

impl Line {
    /// A line of our own. CR, LF and NUL cannot be part of a value (RFC 8866 §5) and are left out.
    pub fn new(kind: u8, value: impl Into<String>) -> Self {
        let mut value: String = value.into();
        value.retain(|c| !matches!(c, '\r' | '\n' | '\0'));
        Self {
            kind,
            value: value.into(),
        }
    }
    /// An `a=` line.
    pub fn attribute(value: impl Into<String>) -> Self {
        Self::new(b'a', value)
    }
    /// The value as text; `None` when it is not UTF-8: then it is something that only passes through.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.value).ok()
    }
    /// Of an `a=` line its name and value: `a=rtcp:53` is `("rtcp", Some("53"))`.
    pub fn as_attribute(&self) -> Option<(&str, Option<&str>)> {
        if self.kind != b'a' {
            return None;
        }
        let text = self.text()?;
        Some(match text.split_once(':') {
            Some((name, value)) => (name, Some(value)),
            None => (text.trim_end(), None),
        })
    }
    /// Whether this is the attribute of that name. Names compare without case: RFC 8866 §6 wants them exact, but clients
    /// write `a=SendRecv`, and taking a key for an unknown attribute would leak it.
    pub fn is_attribute(&self, name: &str) -> bool {
        self.kind == b'a'
            && self.value.len() >= name.len()
            && self.value[..name.len()].eq_ignore_ascii_case(name.as_bytes())
            && matches!(self.value.get(name.len()), None | Some(b':' | b' '))
    }
}

/// Keys (`a=crypto`, `k=`) never show.
impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = char::from(self.kind);
        if self.kind == b'k'
            || ["crypto", "acap", "key-mgmt"]
                .iter()
                .any(|name| self.is_attribute(name))
        {
            return write!(f, "{kind}=<secret>");
        }
        write!(f, "{kind}={}", String::from_utf8_lossy(&self.value))
    }
}

/// `o=` (RFC 8866 §5.2). Ids are kept as text: clients write numbers beyond 64 bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// User name, or `-`.
    pub username: String,
    /// Session id.
    pub id: String,
    /// Session version.
    pub version: String,
    /// Network type, address type and address as written: `IN IP4 192.0.2.1`.
    pub address: String,
}

impl Origin {
    pub(super) fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split(' ').filter(|field| !field.is_empty());
        let origin = Self {
            username: fields.next()?.to_owned(),
            id: fields.next()?.to_owned(),
            version: fields.next()?.to_owned(),
            address: fields.collect::<Vec<_>>().join(" "),
        };
        (origin.address.split(' ').count() == 3).then_some(origin)
    }
    /// Whether both name the same session (RFC 8866 §5.2: all fields but the version).
    pub fn same_session(&self, other: &Self) -> bool {
        (&self.username, &self.id, &self.address) == (&other.username, &other.id, &other.address)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {}",
            self.username, self.id, self.version, self.address
        )
    }
}

/// One media description: an `m=` line and the lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, …
    pub kind: String,
    /// The port; 0 refuses the stream or takes it out (RFC 3264 §6, §8.2).
    pub port: u16,
    /// `/number of ports`, where written.
    pub ports: Option<u16>,
    /// The transport: `RTP/SAVP`.
    pub proto: String,
    /// Formats, as written: `0 8 101`.
    pub formats: String,
    /// The lines up to the next `m=`.
    pub lines: Vec<Line>,
}

/// A session description. Lines that are not understood are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp {
    /// `o=`
    pub origin: Origin,
    /// The lines between `v=0` and the first `m=`, in their order; `o=` is written before them.
    pub lines: Vec<Line>,
    /// The media descriptions.
    pub media: Vec<Media>,
}

/// The value of the first attribute of that name in `lines`: `Some(None)` when it has none.
fn find<'a>(lines: &'a [Line], name: &str) -> Option<Option<&'a str>> {
    lines
        .iter()
        .filter(|line| line.is_attribute(name))
        .find_map(Line::as_attribute)
        .map(|(_, value)| value)
}

/// The address of a `c=` line; `None` for names and what is not `IN`.
fn connection(lines: &[Line]) -> Option<IpAddr> {
    let value = lines.iter().find(|line| line.kind == b'c')?.text()?;
    let mut fields = value.split_ascii_whitespace();
    let (nettype, _addrtype, address) = (fields.next()?, fields.next()?, fields.next()?);
    if !nettype.eq_ignore_ascii_case("IN") {
        return None;
    }
    // A TTL (`/127`) belongs to multicast only.
    address.split('/').next()?.parse().ok()
}

impl Media {
    /// The value of an attribute: `Some(None)` when it has none.
    pub fn attribute(&self, name: &str) -> Option<Option<&str>> {
        find(&self.lines, name)
    }
    /// All values of an attribute that has values.
    pub fn attributes<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.lines
            .iter()
            .filter(move |line| line.is_attribute(name))
            .filter_map(|line| line.as_attribute()?.1)
    }
    /// Whether the stream is offered or accepted.
    pub const fn is_active(&self) -> bool {
        self.port != 0
    }
    /// A media description that stands in a refused stream's place.
    #[must_use]
    pub fn refused(&self) -> Self {
        Self {
            port: 0,
            ports: None,
            lines: Vec::new(),
            ..self.clone()
        }
    }
}

impl Sdp {
    /// The value of a session attribute: `Some(None)` when it has none.
    pub fn attribute(&self, name: &str) -> Option<Option<&str>> {
        find(&self.lines, name)
    }
    /// Where a stream's packets are to go by `c=`: the media's own, else the session's. `None` where that is no IP address.
    pub fn address(&self, media: &Media) -> Option<IpAddr> {
        if media.lines.iter().any(|line| line.kind == b'c') {
            connection(&media.lines)
        } else {
            connection(&self.lines)
        }
    }
    /// Whether `c=` says "send me nothing": `0.0.0.0` (RFC 3264 §8.4, the old way to hold), `::` likewise, or the name
    /// below `.invalid` that RFC 6157 §4.1 gives for IPv6.
    pub fn is_black_hole(&self, media: &Media) -> bool {
        match self.address(media) {
            Some(address) => address.is_unspecified(),
            None => {
                let own = media.lines.iter().find(|line| line.kind == b'c');
                own.or_else(|| self.lines.iter().find(|line| line.kind == b'c'))
                    .and_then(Line::text)
                    .is_some_and(|value| value.trim_end().to_ascii_lowercase().ends_with(".invalid"))
            }
        }
    }
    /// Where RTP goes; `None` while the stream is refused, held by `c=0.0.0.0`, or its address is no IP address.
    pub fn rtp(&self, media: &Media) -> Option<SocketAddr> {
        let address = self.address(media)?;
        (media.is_active() && !address.is_unspecified()).then(|| SocketAddr::new(address, media.port))
    }
    /// Where RTCP goes while it has a port of its own: `a=rtcp` (RFC 3605), else the next port.
    pub fn rtcp(&self, media: &Media) -> Option<SocketAddr> {
        let rtp = self.rtp(media)?;
        let Some(Some(value)) = media.attribute("rtcp") else {
            return Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?));
        };
        let mut fields = value.split_ascii_whitespace();
        let port = fields.next()?.parse().ok()?;
        // `53020 IN IP4 126.16.64.4`; without an address it is that of RTP.
        let address = match fields.nth(2) {
            None => rtp.ip(),
            Some(text) => text.parse().ok()?,
        };
        Some(SocketAddr::new(address, port)).filter(|to| !address.is_unspecified() && to.port() != 0)
    }
}

/// `IN IP4 …` or `IN IP6 …`.
pub(crate) fn network(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("IN IP4 {address}"),
        IpAddr::V6(address) => format!("IN IP6 {address}"),
    }
}

/// The unspecified address of the same family.
pub(crate) const fn unspecified(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    }
}
