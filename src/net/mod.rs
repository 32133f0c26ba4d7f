//! Transports: sockets to messages and back. Knows nothing of calls.

use crate::{
    call::{LookupError, Transmit},
    sip::{
        parse::Parsed,
        routing::{Destination, NextHop, Source, Target, Transport},
    },
};
use std::{io, net::SocketAddr};
use tokio::sync::mpsc;

/// What transports report.
#[derive(Debug)]
pub enum NetEvent {
    /// A message (or a faulty request that can still be answered).
    Message(Parsed, Source),
    /// Sending failed after `send` had returned.
    Undeliverable(Destination),
}

/// One `transport` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// UDP or TCP here.
    pub transport: Transport,
    /// Exactly this address; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Host to write in Via and Contact when the address is a wildcard or was a name.
    pub advertised: Option<String>,
}

/// All sockets of the server. Cheap to clone.
#[derive(Clone)]
pub struct Net {}

impl Net {
    /// Binds every listening address.
    ///
    /// # Errors
    /// The first address that cannot be bound, named in the error.
    pub async fn bind(listen: &[Listen], events: mpsc::Sender<NetEvent>) -> io::Result<Self> {
        let _ = (listen, events);
        todo!()
    }
    /// Where we listen, ports filled in.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        todo!()
    }
    /// Sends without waiting; failures come back as [`NetEvent::Undeliverable`].
    pub fn send(&self, transmit: Transmit) {
        let _ = transmit;
        todo!()
    }
    /// RFC 3263: targets in the order to try them.
    ///
    /// # Errors
    /// When there is none.
    pub async fn resolve(&self, hop: &NextHop) -> Result<Vec<Target>, LookupError> {
        let _ = hop;
        todo!()
    }
    /// The same without waiting, for literals and for what is cached; `None` when DNS must be asked.
    pub fn resolve_now(&self, hop: &NextHop) -> Option<Result<Vec<Target>, LookupError>> {
        let _ = hop;
        todo!()
    }
}
