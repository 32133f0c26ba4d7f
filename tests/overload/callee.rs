//! Who is called, at a port that is always the same, and restarts now and then.

use crate::{
    caller::{GONE, LIFE},
    party::Heard,
};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// Answers every call.
pub(crate) struct Callee {
    pub(crate) address: SocketAddr,
    restarts: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Callee {
    pub(crate) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("bound");
        let restarts: Arc<AtomicBool> = Arc::default();
        let count: Arc<AtomicUsize> = Arc::default();
        let (wanted, counted) = (restarts.clone(), count.clone());
        thread::spawn(move || {
            let mut born = Instant::now();
            loop {
                serve(&socket, address);
                if wanted.load(Relaxed) && born.elapsed() > LIFE {
                    deaf(&socket, GONE);
                    born = Instant::now();
                    counted.fetch_add(1, Relaxed);
                }
            }
        });
        Self {
            address,
            restarts,
            count,
        }
    }
    pub(crate) fn restart_now_and_then(&self, does: bool) {
        self.restarts.store(does, Relaxed);
    }
    pub(crate) fn restarts(&self) -> usize {
        self.count.load(Relaxed)
    }
}

/// What comes meanwhile is lost. It keeps its port, which another process might take.
fn deaf(socket: &UdpSocket, time: Duration) {
    let back = Instant::now() + time;
    while Instant::now() < back {
        let _ = socket.recv(&mut [0; 65_535]);
    }
}

/// Some hundred messages, or those of a tenth of a second.
fn serve(socket: &UdpSocket, own: SocketAddr) {
    socket
        .set_read_timeout(Some(Duration::from_millis(100)))
        .expect("a valid time");
    let mut buffer = vec![0; 65_535];
    for _ in 0..200 {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else {
            return;
        };
        let heard = Heard(String::from_utf8_lossy(&buffer[..length]).into_owned());
        let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n";
        let answers: &[(&str, &str)] = match heard.0.split(' ').next().unwrap_or_default() {
            "INVITE" => &[("200 OK", sdp)],
            "BYE" | "CANCEL" => &[("200 OK", "")],
            _ => &[],
        };
        for (status, body) in answers {
            // Where it cannot be sent it is lost like other datagrams.
            let _ = socket.send_to(response(&heard, own, status, body).as_bytes(), from);
        }
    }
}

fn response(request: &Heard, own: SocketAddr, status: &str, body: &str) -> String {
    let to = request.field("To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    let kind = if body.is_empty() {
        ""
    } else {
        "Content-Type: application/sdp\r\n"
    };
    format!(
        "SIP/2.0 {status}\r\nVia: {}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:{own}>\r\n{kind}\
         Content-Length: {}\r\n\r\n{body}",
        request.field("Via"),
        request.field("From"),
        request.field("Call-ID"),
        request.field("CSeq"),
        body.len()
    )
}
