//! All connections of stream transports: who may have how many, and which of them carries a message.

use super::{Flows, NetEvent, connection::Connection};
use crate::{
    call::Transmit,
    sip::routing::{Destination, FlowId},
};
use std::{
    collections::{HashMap, HashSet},
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    sync::mpsc,
};

/// What strangers can make us hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections in all; at one more, the one that was idle longest goes.
    pub connections: usize,
    /// Accepted connections from one address.
    pub per_source: usize,
    /// Messages that wait for one connection.
    pub queue: usize,
    /// Time to connect.
    pub connect: Duration,
    /// Time from the first byte of a message to its last, and for a write to make progress.
    pub message: Duration,
    /// Time from accepting a connection to its first message.
    pub first_message: Duration,
    /// Time without any message.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            per_source: 256,
            queue: 256,
            connect: Duration::from_secs(4),
            message: Duration::from_secs(10),
            first_message: Duration::from_secs(30),
            idle: Duration::from_secs(3600),
        }
    }
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
    table: Mutex<Table>,
    /// When `last_used` counts from.
    epoch: Instant,
}

#[derive(Default)]
struct Table {
    by_flow: HashMap<FlowId, Entry>,
    /// The newest usable connection to each address.
    by_remote: HashMap<SocketAddr, FlowId>,
    accepted_from: HashMap<IpAddr, usize>,
    /// Addresses that we listen on: connections leave from there.
    locals: HashSet<IpAddr>,
}

struct Entry {
    remote: SocketAddr,
    accepted: bool,
    queue: mpsc::Sender<Queued>,
    last_used: Arc<AtomicU64>,
}

impl Streams {
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    pub(super) fn new(limits: Limits, flows: Arc<Flows>, events: mpsc::Sender<NetEvent>) -> Self {
        Self {
            limits,
            flows,
            events,
            table: Mutex::default(),
            epoch: Instant::now(),
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
        let mut table = self.table();
        table.by_flow.clear();
        table.by_remote.clear();
    }
    /// Notes that a connection carried a message.
    pub(super) fn touch(&self, last_used: &AtomicU64, now: Instant) {
        let elapsed = now.saturating_duration_since(self.epoch).as_millis();
        last_used.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Relaxed);
    }
    /// Takes connections on one listening socket for ever.
    #[expect(clippy::disallowed_methods, reason = "a pause while there are no descriptors")]
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => self.take(stream, remote),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
    fn take(self: &Arc<Self>, stream: TcpStream, remote: SocketAddr) {
        let mut table = self.table();
        let from_there = table.accepted_from.get(&remote.ip()).copied().unwrap_or(0);
        if from_there >= self.limits.per_source {
            drop(table);
            tracing::warn!(from = %remote, "too many connections from there, refused");
            return;
        }
        let (flow, queue, last_used) = self.register(&mut table, remote, true);
        drop(table);
        let connection = Connection::new(self.clone(), flow, remote, last_used, queue);
        tokio::spawn(connection.run_accepted(stream));
    }
    /// Makes room for a connection and its place in the table.
    fn register(
        &self,
        table: &mut Table,
        remote: SocketAddr,
        accepted: bool,
    ) -> (FlowId, mpsc::Receiver<Queued>, Arc<AtomicU64>) {
        if table.by_flow.len() >= self.limits.connections {
            let oldest = table
                .by_flow
                .iter()
                .min_by_key(|(_, entry)| entry.last_used.load(Relaxed));
            if let Some(flow) = oldest.map(|(flow, _)| *flow) {
                tracing::warn!("too many connections, the one idle longest is closed");
                table.remove(flow);
            }
        }
        let flow = self.flows.fresh();
        let (sender, receiver) = mpsc::channel(self.limits.queue);
        let last_used = Arc::new(AtomicU64::new(0));
        #[expect(
            clippy::disallowed_methods,
            reason = "transports own sockets and their clocks"
        )]
        self.touch(&last_used, Instant::now());
        table.by_remote.insert(remote, flow);
        if accepted {
            *table.accepted_from.entry(remote.ip()).or_insert(0) += 1;
        }
        table.by_flow.insert(
            flow,
            Entry {
                remote,
                accepted,
                queue: sender,
                last_used: last_used.clone(),
            },
        );
        (flow, receiver, last_used)
    }
    /// A connection takes no requests any more: its peer has closed its half.
    pub(super) fn retire(&self, flow: FlowId) {
        let mut table = self.table();
        if let Some(remote) = table.by_flow.get(&flow).map(|entry| entry.remote)
            && table.by_remote.get(&remote) == Some(&flow)
        {
            table.by_remote.remove(&remote);
        }
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
        let (remote, local, flow) = match &queued.transmit.to {
            Destination::Target(target) => (target.remote, Some(target.local), None),
            // RFC 3261 §18.2.2: the connection that brought the request, else a new one to the sent-by.
            Destination::Reply { source, address } => (*address, Some(source.local.ip()), Some(source.flow)),
        };
        let entry = flow.and_then(|flow| table.by_flow.get(&flow)).or_else(|| {
            table
                .by_remote
                .get(&remote)
                .and_then(|flow| table.by_flow.get(flow))
        });
        let queued = match entry {
            None => queued,
            Some(entry) => match entry.queue.try_send(queued) {
                Ok(()) => return Ok(()),
                Err(mpsc::error::TrySendError::Full(queued)) => {
                    tracing::debug!(to = %entry.remote, "connection does not keep up, message lost");
                    return Err(queued.transmit);
                }
                // Its task has just ended.
                Err(mpsc::error::TrySendError::Closed(queued)) => queued,
            },
        };
        if remote.port() == 0 {
            return Err(queued.transmit);
        }
        let local = local.filter(|local| table.locals.contains(local) && reachable(*local, remote));
        let (flow, queue, last_used) = self.register(&mut table, remote, false);
        if let Some(entry) = table.by_flow.get(&flow) {
            // The queue is new and has room.
            let _ = entry.queue.try_send(queued);
        }
        drop(table);
        let connection = Connection::new(self.clone(), flow, remote, last_used, queue);
        tokio::spawn(connection.run_outgoing(local));
        Ok(())
    }
}

impl Table {
    fn remove(&mut self, flow: FlowId) {
        let Some(entry) = self.by_flow.remove(&flow) else {
            return;
        };
        if self.by_remote.get(&entry.remote) == Some(&flow) {
            self.by_remote.remove(&entry.remote);
        }
        if entry.accepted
            && let Some(count) = self.accepted_from.get_mut(&entry.remote.ip())
        {
            *count -= 1;
            if *count == 0 {
                self.accepted_from.remove(&entry.remote.ip());
            }
        }
    }
}

fn reachable(local: IpAddr, remote: SocketAddr) -> bool {
    local.is_ipv4() == remote.is_ipv4() && (!local.is_loopback() || remote.ip().is_loopback())
}

/// Opens a connection, from `local` if that is given.
///
/// # Errors
/// What the kernel says, or that it took too long.
#[expect(
    clippy::disallowed_methods,
    reason = "transports own sockets and their clocks"
)]
pub(super) async fn connect(
    remote: SocketAddr,
    local: Option<IpAddr>,
    limit: Duration,
) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(local) = local {
        socket.bind(SocketAddr::new(local, 0))?;
    }
    match tokio::time::timeout(limit, socket.connect(remote)).await {
        Ok(connected) => to_somebody_else(connected?),
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Refuses a connection whose two ends are one socket: towards a port of this machine that nobody listens on, the kernel may
/// choose that very port for our end, and then we hear ourselves.
fn to_somebody_else(stream: TcpStream) -> io::Result<TcpStream> {
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_to_itself_is_no_connection() {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .bind("127.0.0.1:0".parse().expect("an address"))
            .expect("a free port");
        let own = socket.local_addr().expect("bound");
        let itself = socket.connect(own).await.expect("the kernel does that");
        let error = to_somebody_else(itself).expect_err("nobody is there");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
