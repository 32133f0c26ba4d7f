//! DTLS-SRTP (RFC 5763, RFC 5764): one DTLS 1.2 handshake for one component of a stream, and the SRTP keys out of it.
//!
//! The handshake itself is webrtc-dtls, which needs somebody to look after it, and that is this module: a deadline, a
//! limit of handshakes ([`Limits`]), a gate before it for what strangers may send, the check of the peer's certificate
//! against its description ([`Fingerprint`]), the split of the keys, and what has to be done once it is over
//! ([`Association`]). It knows no socket and no call: datagrams come in by [`Association::receive`], and go out by the
//! [`Sink`] that the handshake was begun with.
//!
//! Only datagrams of sources that may take part are to be handed in: that check is the relay's. The library makes its
//! cookie for each handshake, so a ClientHello from anywhere would otherwise cost us state.
//!
//! Negotiated is what RFC 5764 and RFC 8827 §6.5 ask for: `TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256`, as a client also
//! `TLS_ECDHE_RSA_…` for servers with an RSA certificate. The suites in CBC mode are left out: the library reads their records
//! in a way that can panic, and takes its time by the padding. Not done: DTLS 1.0 and 1.3, resumption, renegotiation.

mod admission;
mod association;
mod body;
mod error;
mod gate;
mod handshake;
mod identity;
mod keys;
mod pipe;
mod record;
#[cfg(test)]
mod tests;

pub use admission::{Busy, Counts, Limits};
pub use association::Association;
pub use error::DtlsError;
pub use identity::{Identity, IdentityError};
pub use keys::{DtlsKeys, SUITES};

use super::{SrtpKey, Suite};
use crate::sdp::Fingerprint;
use admission::Admission;
use std::{sync::Arc, time::Duration};

/// Longest datagram that is looked at; a handshake's are fragmented to fit the path.
pub const MAX_DATAGRAM: usize = 4096;

/// Which side of the handshake we are (RFC 5763 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// `a=setup:active`: we begin.
    Client,
    /// `a=setup:passive`: we wait for the peer's ClientHello.
    Server,
}

/// What one handshake is to be like.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Our certificate: the one whose fingerprint the peer was told.
    pub identity: Arc<Identity>,
    /// Our side.
    pub role: Role,
    /// Every fingerprint that the peer's description has for this stream, at least one.
    pub fingerprints: Vec<Fingerprint>,
    /// What may be negotiated, best first; suites without a DTLS-SRTP profile are passed over. See [`SUITES`].
    pub suites: Vec<Suite>,
    /// From now until keys have to be there.
    pub deadline: Duration,
    /// After how long without an answer a flight is sent again. RFC 6347 §4.2.4.1 says 1 s and lets real-time
    /// applications take less.
    pub retransmit: Duration,
}

/// What a handshake tells whoever began it.
#[derive(Debug)]
pub enum Event {
    /// Send this to the peer.
    Transmit(Vec<u8>),
    /// The handshake is over and the certificate is the right one. Comes once.
    Keyed(Box<DtlsKeys>),
    /// The handshake is over without keys. Comes once, instead.
    Failed(DtlsError),
}

/// Where the events of a handshake go. Called in its task; must not block.
pub type Sink = Arc<dyn Fn(Event) + Send + Sync>;

/// The DTLS of a server: its limits and counts. Clones share them.
#[derive(Clone, Debug)]
pub struct Dtls {
    admission: Arc<Admission>,
}

impl Dtls {
    /// Nothing is there yet.
    pub fn new(limits: Limits) -> Self {
        handshake::provide_cryptography();
        Self {
            admission: Arc::new(Admission::new(limits)),
        }
    }
    /// What there is and has been.
    pub fn counts(&self) -> &Counts {
        self.admission.counts()
    }
    /// Begins a handshake in a task of its own: as a client with a ClientHello as soon as it is its turn, as a server once
    /// one comes. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When there are too many already.
    pub fn begin(&self, setup: Setup, sink: Sink) -> Result<Association, Busy> {
        let place = self.admission.enter()?;
        Ok(Association::begin(setup, sink, self.admission.clone(), place))
    }
}
