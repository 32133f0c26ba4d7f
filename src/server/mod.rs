//! The drivers: tasks, sockets, clocks.

pub mod gauges;
pub mod settings;

pub use gauges::Gauges;
pub use settings::ServerSettings;

use crate::{app::Bound, sip::routing::Transport};
use std::{io, net::SocketAddr, sync::Arc};

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address that cannot be listened on (named in the error).
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    /// The kernel gives no thread for media.
    #[error("cannot start the media relay: {0}")]
    Relay(io::Error),
    /// No name servers can be read.
    #[error("cannot set up name lookup: {0}")]
    Resolver(String),
}

/// A running server. Dropping it ends it without a word to anyone; see [`Self::drain`].
pub struct Server {}

impl Server {
    /// Binds everything and begins to take calls. To be called within a tokio runtime, on whose threads it then lives.
    ///
    /// # Errors
    /// When an address cannot be bound or the media relay not be started.
    pub async fn start(settings: ServerSettings, app: Bound) -> Result<Self, StartError> {
        let _ = (settings, app);
        todo!()
    }
    /// Where it listens, with the ports that the kernel chose.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        todo!()
    }
    /// New calls are made with these; running ones keep what they began with. Listening addresses, ports, threads and
    /// name servers stay as they are.
    pub fn reload(&self, settings: ServerSettings, app: Bound) {
        let _ = (settings, app);
        todo!()
    }
    /// What there is at this moment.
    pub fn gauges(&self) -> Arc<Gauges> {
        todo!()
    }
    /// Refuses new calls with 503 from now on, waits until the last call has ended or `drain_timeout` has passed, then
    /// ends the rest with BYE and waits until they have been told. Ends at once when there are no calls.
    pub async fn drain(&self) {
        todo!()
    }
    /// Ends all calls now and returns when they have been told, or after some seconds.
    pub async fn stop(&self) {
        todo!()
    }
}
