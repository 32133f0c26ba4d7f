//! Sockets of ours, and where the kernel would send from.

use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

/// The address of ours from which the kernel would send to `remote`. Nothing is sent.
///
/// # Errors
/// When no route leads there.
pub(in crate::net) fn local_towards(remote: SocketAddr) -> io::Result<IpAddr> {
    let any: IpAddr = if remote.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = std::net::UdpSocket::bind((any, 0))?;
    socket.connect(remote)?;
    Ok(socket.local_addr()?.ip())
}

/// A non-blocking socket on exactly that address; `[::]` does not take IPv4 with it. `leaves`: connections of ours leave from there.
pub(super) fn bound(address: SocketAddr, kind: Type, leaves: bool) -> io::Result<Socket> {
    let protocol = if kind == Type::DGRAM {
        Protocol::UDP
    } else {
        Protocol::TCP
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    if kind == Type::STREAM {
        // A restart must not wait for old connections to die.
        socket.set_reuse_address(true)?;
        // Else nothing can be bound to the port while somebody listens there.
        socket.set_reuse_port(leaves)?;
    } else {
        // Bursts wait here; the kernel clamps it to what it allows.
        socket.set_recv_buffer_size(4 << 20)?;
        socket.set_send_buffer_size(1 << 20)?;
    }
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(1024)?;
    }
    Ok(socket)
}
