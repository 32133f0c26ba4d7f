//! The road of SIP between the server and one other: it stands for each of them towards the other, so that nothing goes by.

use crate::shim::{Faults, Flight, Weather, fly};
use std::{
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc,
    },
    thread,
    time::Duration,
};

/// Two sockets, and the weather between them. Dropping it ends it.
pub(crate) struct Road {
    /// Where the other finds the server.
    pub(crate) server: SocketAddr,
    pub(crate) weather: Arc<Weather>,
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<()>>,
}

/// One end: where it is, and the socket that stands for it.
type End = (SocketAddr, Arc<UdpSocket>);

fn socket() -> (SocketAddr, Arc<UdpSocket>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a time that is not 0");
    (socket.local_addr().expect("bound"), Arc::new(socket))
}

impl Road {
    /// Sockets that nobody uses yet: the ends must be told of them first.
    pub(crate) fn laid() -> Foundation {
        Foundation {
            towards_server: socket(),
            towards_other: socket(),
        }
    }
}

/// A road before its ends are known.
pub(crate) struct Foundation {
    /// The socket that speaks with the server: it stands for the other.
    towards_server: End,
    /// The socket that speaks with the other: it stands for the server.
    towards_other: End,
}

impl Foundation {
    /// Where the server finds the other.
    pub(crate) fn other(&self) -> SocketAddr {
        self.towards_server.0
    }
    /// Between the server there and the other there.
    pub(crate) fn between(self, server: SocketAddr, other: SocketAddr, faults: Faults, seed: u64) -> Road {
        let stop: Arc<AtomicBool> = Arc::default();
        let weather: Arc<Weather> = Arc::default();
        let (flights, queue) = mpsc::channel();
        let mut threads = Vec::new();
        let ((for_other, near), (for_server, far)) = (self.towards_server, self.towards_other);
        for (from, out, to, names) in [
            // From the server: it stands in Contact, and calls the other by our address.
            (
                near.clone(),
                far.clone(),
                other,
                [(server, for_server), (for_other, other)],
            ),
            (far, near, server, [(other, for_other), (for_server, server)]),
        ] {
            let (stop, flights) = (stop.clone(), flights.clone());
            threads.push(thread::spawn(move || {
                let mut buffer = vec![0; 65_536];
                while !stop.load(Relaxed) {
                    let Ok(length) = from.recv(&mut buffer) else {
                        continue;
                    };
                    let bytes = rename(&buffer[..length], names);
                    let out = out.clone();
                    let _ = flights.send(Flight { bytes, out, to });
                }
            }));
        }
        let (over, sky) = (stop.clone(), weather.clone());
        threads.push(thread::spawn(move || {
            fly(&queue, &over, &sky, faults, seed, |_| true);
        }));
        Road {
            server: for_server,
            weather,
            stop,
            threads,
        }
    }
}

/// The sender's own address in its Contact, and the receiver's in the Request-URI.
fn rename(message: &[u8], [own, request]: [(SocketAddr, SocketAddr); 2]) -> Vec<u8> {
    let text = String::from_utf8_lossy(message);
    let swap =
        |line: &str, (from, to): (SocketAddr, SocketAddr)| line.replace(&from.to_string(), &to.to_string());
    let mut out = String::with_capacity(text.len() + 16);
    for (number, line) in text.split_inclusive("\r\n").enumerate() {
        match number {
            0 => out += &swap(line, request),
            _ if line.starts_with("Contact:") => out += &swap(line, own),
            _ => out += line,
        }
    }
    out.into_bytes()
}

impl Drop for Road {
    fn drop(&mut self) {
        self.stop.store(true, Relaxed);
        for thread in self.threads.drain(..) {
            // One that panicked has lost its packets, which the test sees.
            let _ = thread.join();
        }
    }
}
