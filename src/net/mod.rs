//! Transports: sockets to messages and back. Knows nothing of calls.
//!
//! Datagrams leave from the sockets that we listen on. Connections are reused in both directions (RFC 3261 §18,
//! RFC 5923). Towards a transport or an address family that we do not listen on, a socket of its own is opened at the
//! first need, on the address that the kernel routes from and a port that it chooses, so that the peer's requests inside a
//! call find their way back.

mod admission;
mod connection;
mod homes;
mod keep;
mod layers;
mod order;
mod resolve;
mod sieve;
mod stream;
mod stun;
#[cfg(test)]
mod tests;
pub mod tls;
mod udp;
mod websocket;

use crate::{
    call::{LookupError, Transmit},
    sip::{
        Text,
        parse::Parsed,
        routing::{Destination, NextHop, Own, Source, Target, Transport},
    },
};
use homes::Homes;
use keep::Keeper;
use resolve::{Place, Resolver};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use stream::Streams;
use tls::Security;
use tokio::sync::mpsc;

pub use admission::{Admission, Network};
pub use stream::Limits;

/// What transports report.
#[derive(Debug)]
pub enum NetEvent {
    /// A message, or a faulty request that can still be answered; and when it was received.
    Message(Box<Parsed>, Source, Instant),
    /// Bytes that were no SIP message and could not be answered; said so that they can be counted.
    Garbage(Source),
    /// Sending this failed after `send` had returned.
    Undeliverable(Transmit),
    /// A connection of that one's own that was open is lost.
    Lost(Own),
}

/// One `transport` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// What is spoken there.
    pub transport: Transport,
    /// Exactly this address; port 0 lets the kernel choose.
    pub address: SocketAddr,
    /// Host to write in Via and Contact when the address is a wildcard or was a name.
    pub advertised: Option<String>,
}

/// All sockets of the server. Cheap to clone. Dropping the last clone closes them.
#[derive(Clone)]
pub struct Net(Arc<Inner>);

struct Inner {
    homes: Arc<Homes>,
    streams: Arc<Streams>,
    keeper: Arc<Keeper>,
    resolver: Resolver,
    events: mpsc::Sender<NetEvent>,
}

/// Says something to those whom requests went to by UDP, until the sockets are gone.
#[expect(
    clippy::disallowed_methods,
    reason = "transports own sockets and their clocks"
)]
async fn keep_alive(inner: Weak<Inner>) {
    let mut tick = tokio::time::interval(keep::EVERY);
    loop {
        tick.tick().await;
        let Some(inner) = inner.upgrade() else {
            return;
        };
        inner.homes.sweep(Instant::now());
        for target in inner.keeper.due(Instant::now()) {
            let ping = Transmit {
                bytes: keep::PING.into(),
                to: Destination::Target(target),
            };
            // Lost like any datagram.
            let _ = inner.homes.send_datagram(&ping);
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.streams.close_all();
    }
}

/// Numbers for [`crate::sip::routing::FlowId`], shared by all sockets.
#[derive(Default)]
struct Flows(AtomicU64);

impl Flows {
    fn fresh(&self) -> crate::sip::routing::FlowId {
        crate::sip::routing::FlowId(self.0.fetch_add(1, Relaxed))
    }
}

impl Net {
    /// Binds every listening address. `name_servers` are asked instead of those of `/etc/resolv.conf`.
    ///
    /// # Errors
    /// The first address that cannot be bound, named in the error.
    pub async fn bind(
        listen: &[Listen],
        name_servers: &[SocketAddr],
        limits: Limits,
        events: mpsc::Sender<NetEvent>,
    ) -> io::Result<Self> {
        let flows = Arc::new(Flows::default());
        let keeper = Arc::new(Keeper::default());
        let streams = Arc::new(Streams::new(
            limits,
            flows.clone(),
            keeper.clone(),
            events.clone(),
        ));
        let homes = Arc::new(Homes::new(flows, streams.clone(), events.clone()));
        for listen in listen {
            homes.listen(listen)?;
        }
        let inner = Arc::new(Inner {
            homes,
            streams,
            keeper,
            resolver: Resolver::new(name_servers),
            events,
        });
        tokio::spawn(keep_alive(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }
    /// Whether those whom we send requests to are kept alive while nothing is said: over connections of ours, and by UDP.
    pub fn keep_alive(&self, on: bool) {
        self.0.keeper.switch(on);
    }
    /// Where we listen, ports filled in.
    pub fn local(&self) -> Vec<(Transport, SocketAddr)> {
        self.0.homes.local()
    }
    /// Our own address towards the sender of a message, for Contact: host (IPv6 in brackets) and port, and the transport that
    /// we are reached by there. It is the sender's own, except over a connection that we opened only for the size of a request
    /// (RFC 3261 §18.1.1): what we listen on then is UDP.
    pub fn sent_by(&self, source: &Source) -> (Text, Transport) {
        self.0.homes.called_by(source)
    }
    /// Whose port or connection a message came by, if that was somebody's own.
    pub fn own_of(&self, source: &Source) -> Option<Own> {
        self.0.homes.own_of(source)
    }
    /// How many ports are somebody's own.
    pub fn own_ports(&self) -> usize {
        self.0.homes.owned()
    }
    /// TLS and WebSocket are done with this from now on. Connections that exist keep what they began with. Until it is called
    /// nobody is served by TLS, and no web page by WebSocket.
    pub fn secure(&self, security: Security) {
        self.0.streams.secure(security);
    }
    /// This is what strangers may take from now on.
    pub fn admit(&self, admission: Admission) {
        self.0.streams.gate.rule(admission);
    }
    /// Messages and connections of strangers that were turned away, and connections that were cut.
    pub fn turned_away(&self) -> (u64, u64) {
        let turned = &self.0.streams.gate.turned;
        (turned.limited.load(Relaxed), turned.cut.load(Relaxed))
    }
    /// Accepted connections that have brought no message yet.
    pub fn half_open(&self) -> usize {
        self.0.streams.half_open()
    }
    /// This host has shown that it hears us, and is none of the strangers for a while, as one that was called.
    pub fn known(&self, host: IpAddr, now: Instant) {
        self.0.streams.gate.called(host, now);
    }
    /// Whether a message came over a connection whose peer has shown a certificate of the authority that vouches for callers.
    pub fn is_vouched(&self, source: &Source) -> bool {
        self.0.streams.is_vouched(source)
    }
    /// Connections that are open or being opened.
    pub fn connections(&self) -> usize {
        self.0.streams.count()
    }
    /// Sends without waiting; failures come back as [`NetEvent::Undeliverable`].
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    pub fn send(&self, transmit: Transmit) {
        if let Destination::Target(target) = &transmit.to {
            self.0.streams.called(target.remote.ip());
        }
        let transport = match &transmit.to {
            Destination::Target(target) => target.transport,
            Destination::Reply { source, .. } => source.transport,
        };
        match transport {
            Transport::Udp => {
                if let Destination::Target(target) = &transmit.to {
                    self.0.keeper.note(target, Instant::now());
                }
                if let Err(error) = self.0.homes.send_datagram(&transmit) {
                    tracing::debug!(%error, to = ?transmit.to, "cannot send a datagram");
                    self.undeliverable(transmit);
                }
            }
            _ => {
                if let Err(transmit) = self.0.streams.send(transmit) {
                    self.undeliverable(transmit);
                }
            }
        }
    }
    /// A target did not answer: for half a minute it is tried after all others (RFC 3263 §4.3).
    pub fn note_dead(&self, target: &Target) {
        self.0.resolver.note_dead(target.transport, target.remote);
    }
    /// Whoever answered from there does not want requests for that time: it is tried after all others (RFC 3261 §21.5.4).
    pub fn note_busy(&self, source: &Source, time: Duration) {
        self.0.resolver.note_busy(source.transport, source.remote, time);
    }
    /// RFC 3263: targets in the order to try them. `came` is where the INVITE of that leg came from, if it was not ours: back
    /// there we go from the address that it came to, as far as we listen on it.
    ///
    /// # Errors
    /// When there is none.
    pub async fn resolve(&self, hop: &NextHop, came: Option<&Source>) -> Result<Vec<Target>, LookupError> {
        match self.resolve_now(hop, came) {
            Some(found) => found,
            None => {
                let places = self.0.resolver.places(&hop.uri).await?;
                self.targets(hop, places, came)
            }
        }
    }
    /// The same without waiting, for literals; `None` when DNS must be asked.
    pub fn resolve_now(
        &self,
        hop: &NextHop,
        came: Option<&Source>,
    ) -> Option<Result<Vec<Target>, LookupError>> {
        if let Some(place) = came.and_then(|came| by_flow(hop, came)) {
            return Some(self.targets(hop, vec![place], came));
        }
        match self.0.resolver.numeric(&hop.uri) {
            Err(error) => Some(Err(error)),
            Ok(Some(place)) => Some(self.targets(hop, vec![place], came)),
            Ok(None) => None,
        }
    }
    /// Adds to each place what we are called there; places that we cannot send to are left out.
    fn targets(
        &self,
        hop: &NextHop,
        places: Vec<Place>,
        came: Option<&Source>,
    ) -> Result<Vec<Target>, LookupError> {
        let places = self.0.resolver.dead_last(places);
        let from = |place: &Place| {
            came.filter(|came| came.remote.ip() == place.remote.ip())
                .map(|came| came.local.ip())
        };
        let homes = &self.0.homes;
        let mut trouble = None;
        let target = |place: Place| {
            let (transport, remote, from) = (place.transport, place.remote, from(&place));
            let found = match &hop.own {
                None => homes.towards(transport, remote, from).map(|home| (None, home)),
                Some(own) => (homes.own_towards(own, transport, remote, from))
                    .map(|(own, home)| (Some(own), home))
                    .inspect_err(|error| trouble = Some(error.to_string())),
            };
            match found {
                Ok((own, home)) => Some(Target {
                    transport,
                    remote,
                    server_name: place.server_name,
                    local: home.local,
                    sent_by: home.sent_by,
                    fixed_transport: place.fixed_transport,
                    own,
                }),
                Err(error) => {
                    tracing::debug!(%error, to = %remote, "cannot be reached from here");
                    None
                }
            }
        };
        let targets: Vec<Target> = places.into_iter().filter_map(target).collect();
        match trouble {
            _ if !targets.is_empty() => Ok(targets),
            Some(what) => Err(LookupError::NoPort(what)),
            None => Err(LookupError::Unavailable(hop.uri.host().to_owned())),
        }
    }
    fn undeliverable(&self, transmit: Transmit) {
        if let Destination::Target(target) = &transmit.to {
            self.note_dead(target);
        }
        // A full queue is no place to wait in; the transaction's timer says the same later.
        let _ = self.0.events.try_send(NetEvent::Undeliverable(transmit));
    }
}

/// Where somebody is who is reached only over the connection that he opened: a browser (RFC 7118 §5.1).
fn by_flow(hop: &NextHop, came: &Source) -> Option<Place> {
    let word = hop.uri.param("transport").flatten()?;
    let is_web = word.eq_ignore_ascii_case("ws") || word.eq_ignore_ascii_case("wss");
    (is_web && matches!(came.transport, Transport::Ws | Transport::Wss)).then_some(Place {
        transport: came.transport,
        remote: came.remote,
        server_name: None,
        fixed_transport: true,
    })
}

/// A host as it stands in Via and URIs: IPv6 literals in brackets.
fn bracketed(host: &str) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}
