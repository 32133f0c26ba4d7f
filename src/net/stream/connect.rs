//! Opening a connection.

use std::{
    io::{self, ErrorKind},
    net::SocketAddr,
    time::Duration,
};
use tokio::net::{TcpSocket, TcpStream};

/// Opens a connection, from `local` if that is given: from its port where that is not 0 and the kernel lets us have it, though we
/// listen there too; else from any.
///
/// # Errors
/// What the kernel says, or that it took too long.
#[expect(
    clippy::disallowed_methods,
    reason = "transports own sockets and their clocks"
)]
pub(in crate::net) async fn connect(
    remote: SocketAddr,
    local: Option<SocketAddr>,
    limit: Duration,
) -> io::Result<TcpStream> {
    let opened = async {
        if let Some(local) = local.filter(|local| local.port() != 0) {
            match opened(remote, Some(local)).await {
                // The last connection from this port to there is not forgotten yet (RFC 9293 §3.6.1).
                Err(error) if matches!(error.kind(), ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable) => {
                    tracing::debug!(%local, to = %remote, %error, "connected from another port");
                }
                other => return other,
            }
        }
        opened(remote, local.map(|local| SocketAddr::new(local.ip(), 0))).await
    };
    match tokio::time::timeout(limit, opened).await {
        Ok(connected) => to_somebody_else(connected?),
        Err(_) => Err(ErrorKind::TimedOut.into()),
    }
}

async fn opened(remote: SocketAddr, local: Option<SocketAddr>) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(local) = local {
        if local.port() != 0 {
            socket.set_reuseaddr(true)?;
            socket.set_reuseport(true)?;
        }
        socket.bind(local)?;
    }
    socket.connect(remote).await
}

/// Refuses a connection whose two ends are one socket: towards a port of this machine that nobody listens on, the kernel may
/// choose that very port for our end, and then we hear ourselves.
fn to_somebody_else(stream: TcpStream) -> io::Result<TcpStream> {
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(ErrorKind::ConnectionRefused.into());
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
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
