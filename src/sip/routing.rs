//! Where messages come from and go to, and the keys by which a dispatcher finds whose they are. Values only.

use super::{Text, Uri};
use std::net::{IpAddr, SocketAddr};

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

/// One connection of a stream transport, or one listening datagram socket; never reused within a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId(pub u64);

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
}

/// What is to be looked up by RFC 3263 before a request can go: the first Route, else the Request-URI.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NextHop(pub Uri);

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
    pub method: super::Method,
}

/// Identifies a dialog, early or not, by our half of it. Found by exact match only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct DialogKey {
    /// Call-ID.
    pub call_id: Text,
    /// Our tag.
    pub local_tag: Text,
}
