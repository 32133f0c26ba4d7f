//! All connections of stream transports: who may have how many, and which of them carries a message.

mod connect;
mod limits;
mod table;

pub(super) use connect::connect;
pub use limits::Limits;
use table::{Entry, Peer, Table};

use super::{
    Flows, NetEvent,
    admission::Gate,
    connection::{Connection, Seat},
    keep::Keeper,
    layers::Layers,
    tls::{Acceptor, Security, Session, ephemeral},
};
use crate::{
    call::Transmit,
    sip::routing::{Destination, FlowId, Source, Transport},
};
use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

/// A listening address, for what is accepted there.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) transport: Transport,
    /// Its number in the configuration; `None` for one that was opened at need.
    pub(super) index: Option<usize>,
    /// Whose it is; `None`: all share it.
    pub(super) own: Option<Arc<str>>,
}

/// A message on its way to a connection.
pub(super) struct Queued {
    pub(super) transmit: Transmit,
    /// It was on a connection that was lost before; it gets no third.
    pub(super) retried: bool,
}

/// All connections.
pub(super) struct Streams {
    pub(super) limits: Limits,
    flows: Arc<Flows>,
    pub(super) events: mpsc::Sender<NetEvent>,
    pub(super) gate: Arc<Gate>,
    pub(super) keeper: Arc<Keeper>,
    /// Bytes of unfinished messages.
    unfinished: AtomicUsize,
    table: Mutex<Table>,
    security: RwLock<Shared>,
    /// When `last_used` counts from.
    epoch: Instant,
}

/// What TLS and WebSocket are done with now.
#[derive(Default)]
struct Shared {
    security: Security,
    origins: Arc<[String]>,
    /// For ports that were opened at need; made when the first is.
    ephemeral: Option<Acceptor>,
}

impl Streams {
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    pub(super) fn new(
        limits: Limits,
        flows: Arc<Flows>,
        keeper: Arc<Keeper>,
        events: mpsc::Sender<NetEvent>,
    ) -> Self {
        let epoch = Instant::now();
        Self {
            limits,
            flows,
            events,
            gate: Arc::new(Gate::new(epoch)),
            keeper,
            unfinished: AtomicUsize::new(0),
            table: Mutex::default(),
            security: RwLock::default(),
            epoch,
        }
    }
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
    pub(super) fn count(&self) -> usize {
        self.table().by_flow.len()
    }
    pub(super) fn add_local(&self, ip: IpAddr) {
        self.table().locals.insert(ip);
    }
    /// Ends every connection.
    pub(super) fn close_all(&self) {
        self.table().clear();
    }
    /// Notes that a connection carried a message.
    pub(super) fn touch(&self, last_used: &AtomicU64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.epoch).as_millis();
        last_used.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Relaxed);
    }
    /// Takes connections on one listening socket for ever.
    #[expect(clippy::disallowed_methods, reason = "a pause while there are no descriptors")]
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, place: Place) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.take(stream, remote, &place),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    fn take(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr, place: &Place) {
        let now = Instant::now();
        if !self.gate.admits(remote.ip(), now) {
            return;
        }
        let layers = match self.layers(place) {
            Ok(layers) => layers,
            Err(error) => {
                tracing::debug!(from = %remote, %error, "cannot take a connection");
                return;
            }
        };
        let mut table = self.table();
        let from_there = table.accepted_from.get(&remote.ip()).copied().unwrap_or(0);
        if from_there >= self.limits.per_source {
            drop(table);
            self.gate.turned.limited.fetch_add(1, Relaxed);
            tracing::debug!(from = %remote, "too many connections from there, refused");
            return;
        }
        let peer = Peer {
            transport: place.transport,
            remote,
            name: None,
            own: place.own.clone(),
        };
        let seat = self.register(&mut table, peer, true);
        if !self.gate.knows(remote.ip(), now) {
            let cut = table.watch(seat.flow, self.limits.half_open);
            self.gate.turned.cut.fetch_add(cut, Relaxed);
        }
        drop(table);
        let connection = Connection::new(self.clone(), seat, place.transport, remote, layers);
        tokio::spawn(connection.run_accepted(stream));
    }
    /// Makes room for a connection and its place in the table.
    fn register(&self, table: &mut Table, peer: Peer, accepted: bool) -> Seat {
        // What strangers open at a port of somebody's own takes no room from what its owner opens.
        let is_own = peer.own.is_some() && !accepted;
        let most = if is_own {
            self.limits.own
        } else {
            self.limits.connections
        };
        if let Some(idle) = table.to_be_closed_for(is_own, most) {
            // A stranger that has said nothing before anybody who has.
            let silent = table.oldest_silent().filter(|_| !is_own);
            tracing::debug!("too many connections, the one silent or idle longest is closed");
            self.gate.turned.cut.fetch_add(1, Relaxed);
            table.remove(silent.unwrap_or(idle));
        }
        let flow = self.flows.fresh();
        let (sender, receiver) = mpsc::channel(self.limits.queue);
        let last_used = Arc::new(AtomicU64::new(0));
        #[expect(
            clippy::disallowed_methods,
            reason = "transports own sockets and their clocks"
        )]
        self.touch(&last_used, Instant::now());
        table.add(
            flow,
            Entry {
                peer,
                accepted,
                vouched: false,
                is_silent: false,
                queue: sender,
                last_used: last_used.clone(),
            },
        );
        Seat {
            flow,
            queue: receiver,
            last_used,
        }
    }
    /// A connection has brought its first message.
    pub(super) fn spoke(&self, flow: FlowId) {
        let mut table = self.table();
        if let Some(entry) = table.by_flow.get_mut(&flow)
            && std::mem::take(&mut entry.is_silent)
        {
            table.half_open -= 1;
        }
    }
    /// Accepted connections of strangers that have brought no message yet.
    pub(super) fn half_open(&self) -> usize {
        self.table().half_open
    }
    /// A request goes to this host.
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    pub(super) fn called(&self, host: IpAddr) {
        self.gate.called(host, Instant::now());
    }
    /// The bytes that a connection keeps of an unfinished message have become `now` of `before`. Whether there is room for
    /// them, where they are a stranger's.
    pub(super) fn keeps(&self, before: usize, now: usize) -> bool {
        self.unfinished.fetch_add(now, Relaxed);
        self.unfinished.fetch_sub(before, Relaxed);
        now <= before || self.unfinished.load(Relaxed) <= self.limits.unfinished
    }
    /// A connection takes no requests any more: its peer has closed its half.
    pub(super) fn retire(&self, flow: FlowId) {
        self.table().retire(flow);
    }
    /// The peer of a connection is one that may call.
    pub(super) fn vouch(&self, flow: FlowId) {
        if let Some(entry) = self.table().by_flow.get_mut(&flow) {
            entry.vouched = true;
        }
    }
    /// Whether what came from there came from a peer that may call.
    pub(super) fn is_vouched(&self, source: &Source) -> bool {
        matches!(source.transport, Transport::Tls | Transport::Wss)
            && (self.table().by_flow.get(&source.flow)).is_some_and(|entry| entry.vouched)
    }
    /// TLS and WebSocket are done with this from now on.
    pub(super) fn secure(&self, security: Security) {
        let mut shared = self.security.write().unwrap_or_else(PoisonError::into_inner);
        shared.origins = security.origins.clone().into();
        shared.security = security;
    }
    /// What a connection that was accepted there is made of.
    fn layers(&self, place: &Place) -> io::Result<Layers> {
        let is_secure = matches!(place.transport, Transport::Tls | Transport::Wss);
        let (acceptor, origins) = {
            let mut shared = self.security.write().unwrap_or_else(PoisonError::into_inner);
            let acceptor = match place.index {
                _ if !is_secure => None,
                Some(index) => shared.security.acceptors.get(index).cloned().flatten(),
                None => {
                    if shared.ephemeral.is_none() {
                        shared.ephemeral = ephemeral();
                    }
                    shared.ephemeral.clone()
                }
            };
            (acceptor, shared.origins.clone())
        };
        let session = match &acceptor {
            Some(acceptor) => Some(Session::accept(acceptor)?),
            None if is_secure => return Err(io::Error::other("there is no certificate for this address")),
            None => None,
        };
        Ok(match place.transport {
            Transport::Ws | Transport::Wss => Layers::web(session, origins),
            _ => Layers::stream(session),
        })
    }
    /// What a connection of ours is made of.
    fn outgoing(&self, peer: &Peer) -> io::Result<Layers> {
        match peer.transport {
            Transport::Udp | Transport::Tcp => Ok(Layers::stream(None)),
            // Nobody can connect to a browser.
            Transport::Ws | Transport::Wss => Err(io::ErrorKind::NotConnected.into()),
            Transport::Tls => {
                let shared = self.security.read().unwrap_or_else(PoisonError::into_inner);
                let connector = shared.security.connector.clone();
                drop(shared);
                let connector = connector.ok_or_else(|| io::Error::other("TLS is not set up"))?;
                let literal = || peer.remote.ip().to_string();
                let name = peer.name.clone().unwrap_or_else(literal);
                Session::connect(&connector, &name).map(|session| Layers::stream(Some(session)))
            }
        }
    }
    /// Whose a connection is, if it is somebody's own.
    pub(super) fn own_of(&self, flow: FlowId) -> Option<Arc<str>> {
        self.table().by_flow.get(&flow)?.peer.own.clone()
    }
    /// Closes what is that one's own.
    pub(super) fn close_own(&self, own: &str) {
        self.table().close_own(own);
    }
    /// A connection is gone; nothing is queued for it from now on.
    pub(super) fn remove(&self, flow: FlowId) {
        self.table().remove(flow);
    }
    /// Queues a message for the connection that fits it, or for a new one.
    ///
    /// # Errors
    /// The message, when its queue is full or it cannot be connected to.
    pub(super) fn send(self: &Arc<Self>, transmit: Transmit) -> Result<(), Transmit> {
        self.queue(Queued {
            transmit,
            retried: false,
        })
    }
    /// See [`Self::send`].
    pub(super) fn queue(self: &Arc<Self>, queued: Queued) -> Result<(), Transmit> {
        let mut table = self.table();
        let (peer, local, flow) = match &queued.transmit.to {
            Destination::Target(target) => {
                let name = target.server_name.clone();
                let peer = Peer {
                    transport: target.transport,
                    remote: target.remote,
                    name: name.filter(|_| target.transport == Transport::Tls),
                    own: target.own.as_ref().map(|own| own.name().into()),
                };
                // From the port that its owner is reached at: so who answers there needs no other connection.
                let port = if peer.own.is_some() { target.port() } else { 0 };
                (peer, Some(SocketAddr::new(target.local, port)), None)
            }
            // RFC 3261 §18.2.2: the connection that brought the request, else a new one to the sent-by.
            Destination::Reply { source, address } => {
                let peer = Peer {
                    transport: source.transport,
                    remote: *address,
                    name: None,
                    own: None,
                };
                let local = SocketAddr::new(source.local.ip(), 0);
                (peer, Some(local), Some(source.flow))
            }
        };
        let remote = peer.remote;
        let entry = flow
            .and_then(|flow| table.by_flow.get(&flow))
            .or_else(|| table.leading_to(&peer));
        let queued = Box::new(queued);
        let queued = match entry {
            None => queued,
            Some(entry) => match entry.queue.try_send(queued) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(queued)) => {
                    tracing::debug!(to = %remote, "connection does not keep up, message lost");
                    return Err(queued.transmit);
                }
                // Its task has just ended.
                Err(mpsc::error::TrySendError::Closed(queued)) => queued,
            },
        };
        if remote.port() == 0 {
            return Err(queued.transmit);
        }
        let local = local.filter(|local| table.locals.contains(&local.ip()) && reachable(local.ip(), remote));
        let layers = match self.outgoing(&peer) {
            Ok(layers) => layers,
            Err(error) => {
                tracing::debug!(to = %remote, over = peer.transport.as_via(), %error, "cannot connect");
                return Err(queued.transmit);
            }
        };
        let (transport, own) = (peer.transport, peer.own.clone());
        let seat = self.register(&mut table, peer, false);
        if let Some(entry) = table.by_flow.get(&seat.flow) {
            // The queue is new and has room.
            let _ = entry.queue.try_send(queued);
        }
        drop(table);
        let connection = Connection::new(self.clone(), seat, transport, remote, layers);
        tokio::spawn(connection.run_outgoing(local, own));
        Ok(())
    }
}

fn reachable(local: IpAddr, remote: SocketAddr) -> bool {
    local.is_ipv4() == remote.is_ipv4() && (!local.is_loopback() || remote.ip().is_loopback())
}
