//! Clients that take their time, from addresses of 127.0.0.0/8 that nobody trusts.

use crate::{address, cores::give_way};
use rustls::{ClientConfig, ClientConnection, pki_types::ServerName};
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// Connections that are opened before those that are there have their turn.
const AT_ONCE: usize = 500;
/// The time from byte to byte.
const PACE: Duration = Duration::from_millis(400);

/// What they do not finish.
#[derive(Clone)]
pub(crate) enum Kind {
    /// A SIP message.
    Words,
    /// A ClientHello.
    Hello,
    /// A SIP message, after a whole handshake.
    Shaken(Arc<ClientConfig>),
}

impl Kind {
    pub(crate) const fn word(&self) -> &'static str {
        match self {
            Self::Words => "TCP, in a message",
            Self::Hello => "TLS, in a ClientHello",
            Self::Shaken(_) => "TLS, in a message",
        }
    }
}

/// What happened to them.
#[derive(Default)]
pub(crate) struct Dribbled {
    pub(crate) opened: usize,
    pub(crate) closed: usize,
    pub(crate) refused: usize,
    /// Open at the same time.
    pub(crate) most: usize,
}

/// Keeps many connections, and opens one anew that the server closes.
pub(crate) struct Dribblers {
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    wanted: usize,
    thread: JoinHandle<Dribbled>,
}

impl Dribblers {
    pub(crate) fn start(servers: &[(SocketAddr, Kind)], wanted: usize, gives_way: bool) -> Self {
        let servers = servers.to_vec();
        let (stop, opened) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (told, count) = (stop.clone(), opened.clone());
        let thread = thread::spawn(move || {
            if gives_way {
                give_way();
            }
            dribble(&servers, wanted, &told, &count)
        });
        Self {
            stop,
            opened,
            wanted,
            thread,
        }
    }
    /// Waits until as many as are wanted have been opened, and have sent something.
    pub(crate) fn until_all_began(&self) {
        let until = Instant::now() + Duration::from_secs(60);
        while self.opened.load(Relaxed) < self.wanted {
            assert!(Instant::now() < until, "{} opened", self.opened.load(Relaxed));
            thread::sleep(Duration::from_millis(10));
        }
    }
    pub(crate) fn stop(self) -> Dribbled {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("it ends")
    }
}

/// One of them.
struct Slow {
    stream: TcpStream,
    tls: Option<Box<ClientConnection>>,
    sent: usize,
}

fn dribble(
    servers: &[(SocketAddr, Kind)],
    wanted: usize,
    stop: &AtomicBool,
    opened: &AtomicUsize,
) -> Dribbled {
    let words = format!(
        "INVITE sip:bob@example.org SIP/2.0\r\nSubject: {}",
        "a".repeat(4_000)
    );
    // The record and the message of a ClientHello that never comes to its end.
    let hello = [&[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3][..], &[7; 400]].concat();
    let mut done = Dribbled::default();
    let mut all: Vec<Option<Slow>> = (0..wanted).map(|_| None).collect();
    let mut number = 0;
    while !stop.load(Relaxed) {
        let began = Instant::now();
        let mut connects = 0;
        for (at, place) in all.iter_mut().enumerate() {
            let (server, kind) = &servers[at % servers.len()];
            if let Some(slow) = place {
                let text = if matches!(kind, Kind::Hello) {
                    &hello[..]
                } else {
                    words.as_bytes()
                };
                if slow.say(&text[slow.sent % text.len()..][..1]).is_err() {
                    done.closed += 1;
                    *place = None;
                }
            } else if connects < AT_ONCE && !stop.load(Relaxed) {
                connects += 1;
                number += 1;
                match connect(*server, address(number), kind) {
                    Some(slow) => {
                        done.opened += 1;
                        *place = Some(slow);
                    }
                    None => done.refused += 1,
                }
            }
        }
        done.most = done.most.max(all.iter().flatten().count());
        opened.store(done.opened, Relaxed);
        let pause = if all.iter().all(Option::is_some) {
            PACE
        } else {
            Duration::from_millis(20)
        };
        thread::sleep(pause.saturating_sub(began.elapsed()));
    }
    done
}

impl Slow {
    /// One byte more; nothing when the kernel has no room.
    fn say(&mut self, byte: &[u8]) -> std::io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.writer().write_all(byte)?;
            tls.write_tls(&mut self.stream)?;
        } else {
            match self.stream.write(byte) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                other => other?,
            };
        }
        self.sent += 1;
        // Closed by the server, perhaps long ago.
        match self.stream.read(&mut [0; 512]) {
            Ok(0) => Err(ErrorKind::ConnectionReset.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
            other => other.map(drop),
        }
    }
}

fn connect(server: SocketAddr, from: Ipv4Addr, kind: &Kind) -> Option<Slow> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP)).ok()?;
    socket.bind(&SocketAddr::from((from, 0)).into()).ok()?;
    let patience = Duration::from_millis(200);
    socket.connect_timeout(&server.into(), patience).ok()?;
    let mut stream: TcpStream = socket.into();
    let tls = match kind {
        Kind::Words | Kind::Hello => None,
        Kind::Shaken(config) => {
            stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            let mut tls = ClientConnection::new(config.clone(), ServerName::from(server.ip())).ok()?;
            tls.complete_io(&mut stream).ok()?;
            Some(Box::new(tls))
        }
    };
    stream.set_nonblocking(true).ok()?;
    let mut slow = Slow { stream, tls, sent: 0 };
    // The server waits for more from the beginning on.
    let first: &[u8] = if matches!(kind, Kind::Hello) { &[22] } else { b"I" };
    slow.say(first).ok()?;
    Some(slow)
}
