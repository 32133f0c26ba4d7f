//! Key agreements as a call sees what it does not do itself: DTLS handshakes, which are begun, fed and ended, and the store of
//! ZRTP's retained secrets. What does them is a driver's.

use super::{Side, media_plan::Role};
use crate::{
    media::{
        Component, SrtpKeys, StreamId,
        zrtp::{Retained, Update, Zid},
    },
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

/// What a call wants of the store of ZRTP's retained secrets.
#[derive(Clone, Debug)]
pub enum ZrtpCommand {
    /// Look up what is known of a peer; answered by `Input::Retained`.
    Lookup {
        /// Whose association asks.
        side: Side,
        /// Who the peer is.
        peer: Zid,
    },
    /// Keep this.
    Store(Update),
}

/// What the store knows.
#[derive(Clone, Debug)]
pub struct ZrtpRetained {
    /// Who asked.
    pub side: Side,
    /// Of whom.
    pub peer: Zid,
    /// Empty when nothing is known.
    pub retained: Retained,
}

/// How a handshake ended: with keys, or why not. After its keys it stays, to repeat its last words, until `End`.
#[derive(Clone, Debug)]
pub struct HandshakeResult {
    /// Which.
    pub id: HandshakeId,
    /// Its outcome.
    pub outcome: Result<SrtpKeys, String>,
}
