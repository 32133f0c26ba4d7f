//! Where messages come from and go to, and the keys by which a dispatcher finds whose they are. Values only.

use super::{Headers, Method, NameAddr, ParseError, Request, Response, Text, Uri, Via};
use sha1::{Digest as _, Sha1};
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

/// Start of every branch of RFC 3261 (§8.1.1.7); without it the peer is one of RFC 2543.
pub const MAGIC_COOKIE: &[u8] = b"z9hG4bK";

/// A request larger than this does not go by UDP where it can go otherwise (RFC 3261 §18.1.1), in bytes.
pub const DATAGRAM_LIMIT: usize = 1300;

/// How a message travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// RFC 3261 §18
    Udp,
    /// RFC 3261 §18
    Tcp,
    /// RFC 3261 §26.2
    Tls,
    /// RFC 7118
    Ws,
    /// RFC 7118
    Wss,
}

impl Transport {
    /// Whether it retransmits by itself, so that transactions need not (RFC 3261 §17).
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }
    /// The word of Via (RFC 3261 §20.42, RFC 7118 §5.2).
    pub const fn as_via(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }
    /// The `transport` parameter of a URI that leads here; `None` for UDP, which is what a URI means without one, and for
    /// `sips`-less TLS this is the deprecated but universal `tls`.
    pub const fn as_uri_param(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws => Some("ws"),
            Self::Wss => Some("wss"),
        }
    }
}

/// One connection of a stream transport, or one listening datagram socket; never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId(pub u64);

/// Whose connections (by UDP: whose port) these are: requests for one are never sent over another's, nor over those that all share.
/// Two with the same name are one. The transports keep what they have opened for a name as long as anybody holds the [`Own`] that
/// they have given out for it, in a [`Target`] or for a message that came that way.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Own(Arc<str>);

impl Own {
    /// By its name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }
    /// Its name.
    pub fn name(&self) -> &str {
        &self.0
    }
    /// How many hold this very one, not one of the same name.
    pub(crate) fn holders(&self) -> usize {
        Arc::strong_count(&self.0)
    }
}

impl fmt::Debug for Own {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Own({})", self.0)
    }
}

/// Where a message came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    /// How it came.
    pub transport: Transport,
    /// Our address that received it.
    pub local: SocketAddr,
    /// Its sender.
    pub remote: SocketAddr,
    /// The connection or socket.
    pub flow: FlowId,
}

/// One place that a request can be sent to: an answer of RFC 3263, with what we write in our Via and Contact there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// How to go.
    pub transport: Transport,
    /// Where to.
    pub remote: SocketAddr,
    /// The host name that was looked up, for TLS.
    pub server_name: Option<String>,
    /// The address of ours from which it goes: also where media of this leg lives unless configured.
    pub local: IpAddr,
    /// Our sent-by (Via) and Contact address for this target: host (IPv6 in brackets) and port.
    pub sent_by: String,
    /// Whether the URI itself named its transport: then size does not change it (RFC 3261 §18.1.1).
    pub fixed_transport: bool,
    /// Whose connection it goes by; `None`: one that all share.
    pub own: Option<Own>,
}

/// What is to be looked up by RFC 3263 before a request can go: the first Route, else the Request-URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextHop {
    /// What leads there.
    pub uri: Uri,
    /// Whose connection it is to go by; `None`: one that all share.
    pub own: Option<Own>,
}

/// Where to send bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Destination {
    /// A request: to a target, over an existing connection to it if there is one.
    Target(Target),
    /// A response: over the flow that brought the request; if that is gone, to `address` (RFC 3261 §18.2.2, RFC 3581 §4).
    Reply {
        /// Where the request came from.
        source: Source,
        /// `received`/`rport` or sent-by of its top Via.
        address: SocketAddr,
    },
}

/// Identifies a server transaction (RFC 3261 §17.2.3). An ACK has the key of its INVITE; so has a CANCEL.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TransactionKey {
    /// Branch of the top Via (for RFC 2543 peers: a digest of what §17.2.3 names).
    pub branch: Text,
    /// sent-by of the top Via.
    pub sent_by: Text,
    /// Method; INVITE for ACK and CANCEL.
    pub method: Method,
}

/// Identifies a dialog, early or not, by our half of it. Found by exact match only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialogKey {
    /// Call-ID.
    pub call_id: Text,
    /// Our tag.
    pub local_tag: Text,
}

impl Target {
    /// The port that we call ourselves by there; 0: none.
    pub fn port(&self) -> u16 {
        let port = self
            .sent_by
            .rsplit_once(':')
            .and_then(|(_, port)| port.parse().ok());
        port.unwrap_or(0)
    }
    /// The order in which a request of `size` bytes tries `targets` (RFC 3261 §18.1.1): what is too large for a datagram
    /// goes to the same address by TCP first and by UDP when that has failed, unless the URI named UDP itself.
    pub fn by_size(targets: &[Self], size: usize) -> Vec<Self> {
        let mut order = Vec::with_capacity(targets.len());
        for target in targets {
            if size > DATAGRAM_LIMIT && target.transport == Transport::Udp && !target.fixed_transport {
                order.push(Self {
                    transport: Transport::Tcp,
                    ..target.clone()
                });
            }
            order.push(target.clone());
        }
        order
    }
}

/// How a request of a dialog is addressed (RFC 3261 §12.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Request-URI.
    pub uri: Uri,
    /// Route header values.
    pub route: Vec<Text>,
    /// What is looked up (RFC 3261 §8.1.2).
    pub hop: NextHop,
}

impl Path {
    /// Addresses a request for `target` through `route_set`, whose first member may be a strict router of RFC 2543.
    pub fn new(route_set: &[NameAddr], target: &Uri) -> Self {
        match route_set.split_first() {
            None => Self {
                uri: target.without_headers(),
                route: Vec::new(),
                hop: NextHop::towards(target, target),
            },
            Some((first, _)) if first.uri.param("lr").is_some() => Self {
                uri: target.without_headers(),
                route: route_set.iter().map(NameAddr::to_text).collect(),
                hop: NextHop::towards(&first.uri, target),
            },
            Some((strict, rest)) => Self {
                uri: strict.uri.without_headers(),
                route: rest
                    .iter()
                    .map(NameAddr::to_text)
                    .chain([NameAddr::of(target.clone()).to_text()])
                    .collect(),
                hop: NextHop::towards(&strict.uri, target),
            },
        }
    }
}

impl NextHop {
    /// What that URI leads to, by a connection that all share.
    pub const fn to(uri: Uri) -> Self {
        Self { uri, own: None }
    }
    /// The same, by a connection of that one's own.
    #[must_use]
    pub fn by(&self, own: Option<&Own>) -> Self {
        Self {
            uri: self.uri.clone(),
            own: own.cloned(),
        }
    }
    /// Where the first request to `target` through `route` goes: every member is taken for a loose router.
    pub fn first(route: &[Uri], target: &Uri) -> Self {
        Self::towards(route.first().unwrap_or(target), target)
    }
    /// A hop on the way to `target`: where that is `sips`, TLS leads there, whatever the route says (RFC 5630 §4).
    fn towards(hop: &Uri, target: &Uri) -> Self {
        Self::to(if target.is_secure() {
            hop.secured()
        } else {
            hop.clone()
        })
    }
}

impl TransactionKey {
    /// The key of the server transaction that a request belongs to, or opens.
    ///
    /// # Errors
    /// When Via, From, Call-ID or CSeq cannot be read.
    pub fn of(request: &Request) -> Result<Self, ParseError> {
        let via = request.headers.via()?;
        let method = match &request.method {
            Method::Ack | Method::Cancel => Method::Invite,
            other => other.clone(),
        };
        let branch = match via.branch() {
            Some(branch) if has_cookie(&branch) => branch,
            _ => digest_of_2543(request, &via)?,
        };
        Ok(Self {
            branch,
            sent_by: sent_by(&via),
            method,
        })
    }
    /// The key of our INVITE client transaction that a response answers. Its method is ACK, which no request's key has: so a
    /// server that calls itself does not take its own response for a request, and what is kept under it is an ACK.
    ///
    /// # Errors
    /// When it answers no INVITE, Via or CSeq cannot be read, or our branch is missing.
    pub fn of_response(response: &Response) -> Result<Self, ParseError> {
        if response.headers.cseq()?.method != Method::Invite {
            return Err(ParseError {
                what: "not a response to INVITE",
                place: "CSeq",
                status: super::Status::BAD_REQUEST,
            });
        }
        Self::of_client(&response.headers)
    }
    /// The same for an INVITE that we sent.
    ///
    /// # Errors
    /// When its Via cannot be read or has no branch.
    pub fn of_client(headers: &Headers) -> Result<Self, ParseError> {
        let via = headers.via()?;
        let branch = via.branch().ok_or(ParseError {
            what: "branch missing",
            place: "Via",
            status: super::Status::BAD_REQUEST,
        })?;
        Ok(Self {
            branch,
            sent_by: sent_by(&via),
            method: Method::Ack,
        })
    }
}

impl DialogKey {
    /// The dialog that a request asks for: `None` without a To tag (or when Call-ID or To cannot be read), that is, for a
    /// request that opens one.
    pub fn of_request(request: &Request) -> Option<Self> {
        let headers: &Headers = &request.headers;
        Some(Self {
            call_id: headers.call_id().ok()?,
            local_tag: headers.to().ok()?.tag()?,
        })
    }
    /// The dialog, or the dialog to be, of whose request this is the response.
    pub fn of_response(response: &Response) -> Option<Self> {
        let headers: &Headers = &response.headers;
        Some(Self {
            call_id: headers.call_id().ok()?,
            local_tag: headers.from().ok()?.tag()?,
        })
    }
}

fn has_cookie(branch: &[u8]) -> bool {
    branch
        .get(..MAGIC_COOKIE.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(MAGIC_COOKIE))
}

/// `host:port` in lower case, with the port that is meant when none is written.
fn sent_by(via: &Via) -> Text {
    let default = if via.transport.eq_ignore_ascii_case(b"TLS") {
        5061
    } else {
        5060
    };
    let mut text = via.host.to_ascii_lowercase();
    text.extend_from_slice(format!(":{}", via.port.unwrap_or(default)).as_bytes());
    text.into()
}

/// What identifies a transaction of an RFC 2543 peer (RFC 3261 §17.2.3), the same for INVITE, its ACK and its CANCEL:
/// that is why the To tag is left out, which only the ACK has, and `received`, which depends on the path.
fn digest_of_2543(request: &Request, via: &Via) -> Result<Text, ParseError> {
    let headers = &request.headers;
    let mut hash = Sha1::new();
    let from_tag = headers.from()?.tag().unwrap_or_default();
    let number = headers.cseq()?.number.to_string();
    let branch = via.branch().unwrap_or_default();
    for part in [
        request.uri.as_str().as_bytes(),
        &from_tag,
        &headers.call_id()?,
        number.as_bytes(),
        &via.transport,
        &sent_by(via),
        &branch,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(format!("2543-{}", hex::encode(hash.finalize())).into())
}

#[cfg(test)]
mod tests;
