//! Datagrams in (RFC 3261 §18). Sending is done where the socket is chosen, in `homes`.

use super::{
    NetEvent,
    admission::{Admitted, Gate},
    homes::local_towards,
    sieve::{self, Order, Sieve},
    stun,
};
use crate::sip::{
    parse,
    routing::{FlowId, Source, Transport},
};
use bytes::Bytes;
use socket2::SockRef;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Instant,
};
use tokio::{net::UdpSocket, sync::mpsc};

/// The largest datagram that UDP can carry.
const LARGEST: usize = 65_535;
/// Datagrams that are turned away before somebody else has a turn.
const TURNED_AWAY: usize = 64;
/// The same of those that are taken. It is many: where calls have so much to do that this task's turn seldom comes, all of
/// what came meanwhile is to be seen, or it waits where nobody knows how long, and is lost when there is no more room.
const TAKEN: usize = 1024;
/// Remotes whose path is remembered, on a wildcard address.
const REMEMBERED: usize = 1024;

/// Reads datagrams until the socket or the server is gone. Many are taken at each wake-up; while the dispatcher does not
/// keep up, they wait in the kernel.
pub(super) async fn receive(
    socket: Arc<UdpSocket>,
    address: SocketAddr,
    flow: FlowId,
    gate: Arc<Gate>,
    events: mpsc::Sender<NetEvent>,
) {
    let (mut turned_away, mut taken) = (0, 0);
    let mut buffer = vec![0; LARGEST];
    let mut paths = Paths {
        bound: address,
        known: HashMap::new(),
    };
    let mut door = Door {
        sieve: Sieve::new(now()),
        is_ipv6: address.is_ipv6(),
        socket,
        gate,
    };
    loop {
        match door.socket.try_recv_from(&mut buffer) {
            Ok((length, remote)) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                // Strangers leave most of the queue to others.
                let room = events.capacity() > events.max_capacity() / 4 * 3;
                let received = now();
                if !door.takes(datagram, remote, room, received) {
                    turned_away += 1;
                    if turned_away == TURNED_AWAY {
                        turned_away = 0;
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                let source = Source {
                    transport: Transport::Udp,
                    local: paths.local(remote),
                    remote,
                    flow,
                };
                // A copy of exactly the message's size: a call may keep parts of it for hours.
                let datagram = Bytes::copy_from_slice(datagram);
                if let Some(event) = event(datagram, source, received)
                    && events.send(event).await.is_err()
                {
                    return;
                }
                taken += 1;
                if taken == TAKEN {
                    taken = 0;
                    tokio::task::yield_now().await;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                taken = 0;
                if door.readable().await.is_err() {
                    return;
                }
            }
            Err(error) => {
                // An ICMP error about something sent earlier; the socket itself is well.
                tracing::debug!(%error, "receiving a datagram");
                tokio::task::yield_now().await;
            }
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "transports own sockets and their clocks"
)]
fn now() -> Instant {
    Instant::now()
}

/// A socket, and who comes in there.
struct Door {
    socket: Arc<UdpSocket>,
    gate: Arc<Gate>,
    sieve: Sieve,
    is_ipv6: bool,
}

impl Door {
    /// Whether a datagram is to be read; that of a stranger only where there is room. Keep-alives are answered here, and none
    /// of a stranger with more bytes than it sent.
    fn takes(&mut self, datagram: &[u8], remote: SocketAddr, room: bool, now: Instant) -> bool {
        let admitted = self.gate.admit(remote.ip(), now);
        if admitted != Admitted::Known {
            if self.sieve.heard(now, self.gate.readable()) {
                self.sift(now);
            }
            if admitted == Admitted::Refused || !room {
                return false;
            }
        }
        if !stun::is_stun(datagram) {
            return true;
        }
        if let Some(answer) = stun::answer(datagram, remote)
            && (answer.len() <= datagram.len() || admitted == Admitted::Known)
        {
            // Lost like any datagram where there is no room.
            let _ = self.socket.try_send_to(&answer, remote);
        }
        false
    }
    /// Waits until there is something to read.
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    async fn readable(&mut self) -> io::Result<()> {
        self.sieve.emptied(now());
        while self.sieve.is_on() {
            self.sift(now());
            if let Ok(ready) = tokio::time::timeout(sieve::PERIOD, self.socket.readable()).await {
                return ready;
            }
        }
        self.socket.readable().await
    }
    /// Lets the kernel keep from us as many of strangers' datagrams as is right now.
    fn sift(&mut self, now: Instant) {
        let Some(order) = (self.sieve).judge(now, self.gate.readable(), self.gate.version()) else {
            return;
        };
        let socket = SockRef::from(&*self.socket);
        let done = match order {
            Order::Sift(shift) => {
                let (networks, hosts) = self.gate.known(now);
                let program = sieve::program(self.is_ipv6, shift, &networks, &hosts);
                socket.attach_filter(&program)
            }
            Order::Open => socket.detach_filter(),
        };
        match done {
            Ok(()) => tracing::debug!(?order, "what the kernel lets through of strangers"),
            Err(error) => {
                tracing::warn!(%error, "the kernel keeps no flood from us: calls over UDP may suffer from one");
                self.sieve.give_up();
                let _ = socket.detach_filter();
            }
        }
    }
}

fn event(datagram: Bytes, source: Source, received: Instant) -> Option<NetEvent> {
    // Keep-alives of clients behind NATs: CRLFs, or zero bytes.
    if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return None;
    }
    match parse::datagram(datagram) {
        Ok(parsed) => Some(NetEvent::Message(Box::new(parsed), source, received)),
        Err(error) => {
            tracing::debug!(from = %source.remote, %error, "datagram dropped");
            Some(NetEvent::Garbage(source))
        }
    }
}

/// Which address of ours a remote speaks to, when the socket is bound to all of them.
struct Paths {
    bound: SocketAddr,
    known: HashMap<IpAddr, IpAddr>,
}

impl Paths {
    fn local(&mut self, remote: SocketAddr) -> SocketAddr {
        if !self.bound.ip().is_unspecified() {
            return self.bound;
        }
        let ip = match self.known.get(&remote.ip()) {
            Some(ip) => *ip,
            None => {
                let ip = local_towards(remote).unwrap_or(self.bound.ip());
                if self.known.len() >= REMEMBERED {
                    // Strangers fill it and routes change: begin anew.
                    self.known.clear();
                }
                self.known.insert(remote.ip(), ip);
                ip
            }
        };
        SocketAddr::new(ip, self.bound.port())
    }
}
