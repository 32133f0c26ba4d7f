//! DTLS handshakes as a call sees them: begun, fed, ended, and their result. What runs one is a driver's.

use super::{Side, media_plan::Role};
use crate::{
    media::{Component, SrtpKeys, StreamId},
    sdp::Fingerprint,
};
use std::net::SocketAddr;

/// One handshake of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HandshakeId {
    /// Which leg.
    pub side: Side,
    /// Which stream.
    pub stream: StreamId,
    /// At which port.
    pub component: Component,
    /// Counts the handshakes of this call.
    pub number: u64,
}

/// What a call wants of its handshakes.
#[derive(Clone, Debug)]
pub enum HandshakeCommand {
    /// Begin one. Its datagrams go to the relay as they are; its result comes back as `Input::Handshake`.
    Begin {
        /// Names it from now on.
        id: HandshakeId,
        /// As client it begins at once, as server it waits for a ClientHello.
        role: Role,
        /// The only address that it speaks with.
        with: SocketAddr,
        /// The certificate that the peer shows must have one of these.
        fingerprints: Vec<Fingerprint>,
    },
    /// A datagram for it.
    Datagram {
        /// For which.
        id: HandshakeId,
        /// As it came.
        bytes: Vec<u8>,
    },
    /// Forget it: no result follows, though one may be under way.
    End(HandshakeId),
}

/// How a handshake ended: with keys, or why not. After its keys it stays, to repeat its last words, until `End`.
#[derive(Clone, Debug)]
pub struct HandshakeResult {
    /// Which.
    pub id: HandshakeId,
    /// Its outcome.
    pub outcome: Result<SrtpKeys, String>,
}
