//! Datagrams in (RFC 3261 §18). Sending is done where the socket is chosen, in `homes`.

use super::{NetEvent, admission::Gate, homes::local_towards, stun};
use crate::sip::{
    parse,
    routing::{FlowId, Source, Transport},
};
use bytes::Bytes;
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
    let mut turned_away = 0;
    let mut buffer = vec![0; LARGEST];
    let mut paths = Paths {
        bound: address,
        known: HashMap::new(),
    };
    loop {
        match socket.try_recv_from(&mut buffer) {
            Ok((length, remote)) => {
                let datagram = buffer.get(..length).unwrap_or_default();
                if !takes(datagram, remote, &gate, &socket) {
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
                if let Some(event) = event(datagram, source)
                    && events.send(event).await.is_err()
                {
                    return;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if socket.readable().await.is_err() {
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

/// Whether a datagram is to be read. Keep-alives are answered here, and none of a stranger with more bytes than it sent.
#[expect(
    clippy::disallowed_methods,
    reason = "transports own sockets and their clocks"
)]
fn takes(datagram: &[u8], remote: SocketAddr, gate: &Gate, socket: &UdpSocket) -> bool {
    let now = Instant::now();
    if !gate.admits(remote.ip(), now) {
        return false;
    }
    if !stun::is_stun(datagram) {
        return true;
    }
    if let Some(answer) = stun::answer(datagram, remote)
        && (answer.len() <= datagram.len() || gate.knows(remote.ip(), now))
    {
        // Lost like any datagram where there is no room.
        let _ = socket.try_send_to(&answer, remote);
    }
    false
}

fn event(datagram: Bytes, source: Source) -> Option<NetEvent> {
    // Keep-alives of clients behind NATs: CRLFs, or zero bytes.
    if datagram.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
        return None;
    }
    match parse::datagram(datagram) {
        Ok(parsed) => Some(NetEvent::Message(Box::new(parsed), source)),
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
