//! Opening a connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use tokio::net::{TcpSocket, TcpStream};

/// Opens a connection, from `local` if that is given.
///
/// # Errors
/// What the kernel says, or that it took too long.
#[expect(
    clippy::disallowed_methods,
    reason = "transports own sockets and their clocks"
)]
pub(in crate::net) async fn connect(
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
