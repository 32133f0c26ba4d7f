//! How packets enter and leave: the only file that knows sockets and the poller.
//!
//! epoll is level-triggered here. A relay has one packet waiting on each of many sockets: with edges every packet would
//! cost a second receive only to learn that there is nothing more.

use crate::media::packet::{MAX_DATAGRAM, Packet};
use rustix::{
    buffer::spare_capacity,
    event::{EventfdFlags, Timespec, epoll, eventfd},
};
use socket2::{Domain, Protocol, Type};
use std::{
    fs::File,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// What is asked of the kernel for packets that have come while the thread was busy; it grants `net.core.rmem_max`.
const RECEIVE_BUFFER: usize = 512 * 1024;
/// Events taken from the kernel at once.
const EVENTS: usize = 1024;

/// A non-blocking UDP socket.
#[derive(Debug)]
pub(crate) struct Socket(UdpSocket);

impl Socket {
    /// Binds exactly this address; port 0 lets the kernel choose.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = Domain::for_address(address);
        let socket = socket2::Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            // Not a second way into IPv4: the SDP says IP6, and mapped addresses would never equal signalled ones.
            socket.set_only_v6(true)?;
        }
        // A smaller buffer than asked for is no reason to refuse a call.
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
        socket.set_nonblocking(true)?;
        socket.bind(&address.into())?;
        Ok(Self(socket.into()))
    }

    /// Where it is bound.
    pub(crate) fn local(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Receives one datagram into `packet`. `None`: nothing is waiting.
    ///
    /// A datagram that fills the whole buffer may have been cut; it is longer than UDP over IP allows, and comes out empty.
    #[inline]
    pub(crate) fn receive(&self, packet: &mut Packet) -> Option<SocketAddr> {
        let (length, from) = self.0.recv_from(packet.receive_buffer()).ok()?;
        packet.set_len(if length == MAX_DATAGRAM { 0 } else { length });
        Some(from)
    }

    /// Sends it. `false`: the kernel refused (its buffer is full, no route, too long).
    #[inline]
    pub(crate) fn send(&self, packet: &Packet, to: SocketAddr) -> bool {
        self.0.send_to(packet.bytes(), to).is_ok()
    }
}

/// Binds an RTP port and the one above for RTCP (RFC 3550 §11): `port` and `port + 1`.
pub(crate) fn bind_pair(address: IpAddr, port: u16) -> io::Result<(Socket, Socket)> {
    let rtp = Socket::bind(SocketAddr::new(address, port))?;
    let rtcp = Socket::bind(SocketAddr::new(address, port + 1))?;
    Ok((rtp, rtcp))
}

/// Waits for sockets of one thread.
pub(crate) struct Poller(OwnedFd);

/// What a wait brought. Stays on its thread.
pub(crate) struct Ready(Vec<epoll::Event>);

impl Poller {
    /// The key under which the [`Waker`] reports.
    const WAKER: u64 = u64::MAX;

    /// A poller, and what wakes it from other threads.
    pub(crate) fn new() -> io::Result<(Self, Waker)> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let event: File = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?.into();
        epoll::add(
            &epoll,
            event.as_fd(),
            epoll::EventData::new_u64(Self::WAKER),
            epoll::EventFlags::IN,
        )?;
        let waker = Waker(Arc::new(Wake {
            event,
            raised: AtomicBool::new(false),
        }));
        Ok((Self(epoll), waker))
    }

    /// Reports `key` whenever the socket has a packet. Closing the socket ends that.
    pub(crate) fn add(&self, socket: &Socket, key: u64) -> io::Result<()> {
        Ok(epoll::add(
            &self.0,
            socket.0.as_fd(),
            epoll::EventData::new_u64(key),
            epoll::EventFlags::IN,
        )?)
    }

    /// Knows the socket, and reports nothing of it before it is [listened to](Self::listen).
    pub(crate) fn add_silent(&self, socket: &Socket, key: u64) -> io::Result<()> {
        Ok(epoll::add(
            &self.0,
            socket.0.as_fd(),
            epoll::EventData::new_u64(key),
            epoll::EventFlags::empty(),
        )?)
    }

    /// Reports a socket that it knows from now on, or does not any more.
    pub(crate) fn listen(&self, socket: &Socket, key: u64, listens: bool) {
        let flags = if listens {
            epoll::EventFlags::IN
        } else {
            epoll::EventFlags::empty()
        };
        // Of a socket that was added and is open the kernel has nothing to refuse here.
        let _ = epoll::modify(&self.0, socket.0.as_fd(), epoll::EventData::new_u64(key), flags);
    }

    /// Waits, at most for `timeout`, and puts into `ready` what has packets.
    pub(crate) fn wait(&self, ready: &mut Ready, timeout: Option<Duration>) {
        let timeout = timeout.map(|time| Timespec {
            tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(time.subsec_nanos()),
        });
        ready.0.clear();
        // An interrupted wait is an empty one; no other error is possible with a poller of our own.
        let _ = epoll::wait(&self.0, spare_capacity(&mut ready.0), timeout.as_ref());
    }
}

impl Ready {
    /// Room for the events of one wait.
    pub(crate) fn new() -> Self {
        Self(Vec::with_capacity(EVENTS))
    }

    /// The keys of the last wait. `None`: the waker's.
    #[inline]
    pub(crate) fn keys(&self) -> impl Iterator<Item = Option<u64>> {
        self.0.iter().map(|event| {
            let key = event.data.u64();
            (key != Poller::WAKER).then_some(key)
        })
    }
}

/// Wakes a [`Poller`]. Cheap when it is already on its way.
#[derive(Clone)]
pub(crate) struct Waker(Arc<Wake>);

struct Wake {
    event: File,
    raised: AtomicBool,
}

impl Waker {
    /// Makes the next, or the present, wait end.
    pub(crate) fn wake(&self) {
        if !self.0.raised.swap(true, Ordering::AcqRel) {
            // It can only fail when the counter is full, and then the wait ends too.
            let _ = (&self.0.event).write(&1u64.to_ne_bytes());
        }
    }

    /// Called by the woken thread before it looks at what it was woken for.
    pub(crate) fn reset(&self) {
        let _ = (&self.0.event).read(&mut [0; 8]);
        // A swap, not a store: whoever found it raised has queued already, and this thread must see what.
        self.0.raised.swap(false, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn socket() -> Socket {
        Socket::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()
    }

    #[test]
    fn a_waiting_packet_is_reported_until_it_is_read() {
        let (poller, _waker) = Poller::new().unwrap();
        let mut ready = Ready::new();
        let (a, b) = (socket(), socket());
        poller.add(&b, 7).unwrap();
        let mut packet = Packet::new();
        packet.fill(b"one");
        assert!(a.send(&packet, b.local().unwrap()));
        packet.fill(b"two");
        assert!(a.send(&packet, b.local().unwrap()));
        for expected in [b"one", b"two"] {
            poller.wait(&mut ready, Some(Duration::from_secs(5)));
            assert_eq!(ready.keys().collect::<Vec<_>>(), [Some(7)]);
            assert_eq!(b.receive(&mut packet), Some(a.local().unwrap()));
            assert_eq!(packet.bytes(), expected);
        }
        poller.wait(&mut ready, Some(Duration::ZERO));
        assert_eq!(ready.keys().count(), 0);
        assert_eq!(b.receive(&mut packet), None);
    }

    #[test]
    fn waking_ends_a_wait_once_and_again_after_reset() {
        let (poller, waker) = Poller::new().unwrap();
        let mut ready = Ready::new();
        for _ in 0..3 {
            waker.wake();
            waker.wake();
            poller.wait(&mut ready, None);
            assert_eq!(ready.keys().collect::<Vec<_>>(), [None]);
            waker.reset();
            poller.wait(&mut ready, Some(Duration::ZERO));
            assert_eq!(ready.keys().count(), 0);
        }
    }

    #[test]
    fn an_address_that_is_not_ours_is_refused() {
        assert!(Socket::bind("192.0.2.1:0".parse().unwrap()).is_err());
    }

    #[test]
    fn a_taken_port_is_refused() {
        let first = socket();
        let address = first.local().unwrap();
        assert_eq!(
            Socket::bind(address).unwrap_err().kind(),
            io::ErrorKind::AddrInUse
        );
    }
}
