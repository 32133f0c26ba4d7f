//! The ports of a call's audio.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::UdpSocket;

/// How often a free pair of ports is looked for.
const PAIR_TRIES: usize = 64;

/// The ports of one call: RTP at an even one, RTCP at the next (RFC 3550 §11).
pub(in crate::phone) struct Pair {
    pub(super) rtp: Arc<UdpSocket>,
    pub(super) rtcp: Arc<UdpSocket>,
}

impl Pair {
    pub(in crate::phone) async fn bind(at: IpAddr) -> std::io::Result<Self> {
        let mut last = std::io::Error::other("no pair of ports is free");
        for _ in 0..PAIR_TRIES {
            let rtp = UdpSocket::bind((at, 0)).await?;
            let port = rtp.local_addr()?.port();
            if port % 2 == 0 {
                match UdpSocket::bind((at, port + 1)).await {
                    Ok(rtcp) => {
                        return Ok(Self {
                            rtp: Arc::new(rtp),
                            rtcp: Arc::new(rtcp),
                        });
                    }
                    Err(error) => last = error,
                }
            }
        }
        Err(last)
    }

    pub(in crate::phone) fn address(&self) -> std::io::Result<SocketAddr> {
        self.rtp.local_addr()
    }
}
