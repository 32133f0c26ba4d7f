//! Requests by UDP from many addresses of 127.0.0.0/8 that nobody trusts, as fast as one thread can send.

use crate::{address, cores::give_way};
use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Instant,
};

/// Addresses that it comes from; each has a socket that hears what it is answered.
const ADDRESSES: usize = 1_000;

/// What it was.
#[derive(Default)]
pub(crate) struct Flooded {
    pub(crate) sent: u64,
    pub(crate) unsent: u64,
    pub(crate) addresses: usize,
    pub(crate) rate: f64,
    /// Datagrams that did not enter the server's socket, by the kernel's count; honest ones may be among them.
    pub(crate) lost: u64,
    pub(crate) answers: u64,
    /// Answers with more bytes than the request that they answer.
    pub(crate) larger: u64,
    /// Bytes of all answers, and of the requests that they answer.
    pub(crate) answered: u64,
    pub(crate) asked: u64,
}

pub(crate) struct Flood {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Flooded>,
}

impl Flood {
    pub(crate) fn start(server: SocketAddr, gives_way: bool) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let thread = thread::spawn(move || {
            if gives_way {
                give_way();
            }
            flood(server, &told)
        });
        Self { stop, thread }
    }
    pub(crate) fn stop(self) -> Flooded {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("it ends")
    }
}

/// A request with a place for its number. Some are so short that a whole answer would be longer.
fn request(number: usize) -> Vec<u8> {
    let method = ["INVITE", "OPTIONS", "REGISTER"][number % 3];
    let more = match number % 4 {
        0 => String::new(),
        1 => "Contact: <sip:m@192.0.2.7>\r\n".into(),
        length => format!("User-Agent: {}\r\n", "x".repeat(length * 100)),
    };
    let text = format!(
        "{method} sip:b@a SIP/2.0\r\nv: SIP/2.0/UDP a;rport;branch=z9hG4bK00000000\r\nf: <sip:m@a>;tag=1\r\n\
         t: <sip:b@a>\r\ni: {number}@m\r\nCSeq: 1 {method}\r\n{more}l: 0\r\n\r\n"
    );
    text.into_bytes()
}

fn flood(server: SocketAddr, stop: &AtomicBool) -> Flooded {
    let mut all: Vec<(UdpSocket, Vec<u8>, usize)> = (0..ADDRESSES)
        .map(|number| {
            let socket = UdpSocket::bind((address(number * 7_919), 0)).expect("loopback has them all");
            socket.connect(server).expect("an address");
            socket.set_nonblocking(true).expect("a socket");
            let text = request(number);
            let place = text
                .windows(8)
                .position(|part| part == b"00000000")
                .expect("a place");
            (socket, text, place)
        })
        .collect();
    let mut done = Flooded {
        addresses: ADDRESSES,
        ..Flooded::default()
    };
    let (began, before) = (Instant::now(), lost(server));
    let mut round = 0_u32;
    while !stop.load(Relaxed) {
        round += 1;
        let digits = format!("{round:08}");
        for (socket, text, place) in &mut all {
            text[*place..*place + 8].copy_from_slice(digits.as_bytes());
            match socket.send(text) {
                Ok(_) => done.sent += 1,
                Err(_) => done.unsent += 1,
            }
        }
        hear(&all, &mut done, round.is_multiple_of(64));
    }
    done.rate = done.sent as f64 / began.elapsed().as_secs_f64();
    done.lost = lost(server) - before;
    thread::sleep(std::time::Duration::from_millis(500));
    hear(&all, &mut done, true);
    done
}

/// Counts what has been answered, so that there is room for more.
fn hear(all: &[(UdpSocket, Vec<u8>, usize)], done: &mut Flooded, is_time: bool) {
    let mut buffer = [0; 4_096];
    for (socket, text, _) in all.iter().filter(|_| is_time) {
        while let Ok(length) = socket.recv(&mut buffer) {
            done.answers += 1;
            done.larger += u64::from(length > text.len());
            done.answered += length as u64;
            done.asked += text.len() as u64;
        }
    }
}

/// The kernel's count of datagrams that did not enter the socket of that address.
fn lost(server: SocketAddr) -> u64 {
    let wanted = format!("0100007F:{:04X}", server.port());
    // A long table is read in parts: a line moves on from one that is still to be read where others are removed meanwhile.
    let count = (0..20).find_map(|_| {
        let table = fs::read_to_string("/proc/net/udp").expect("Linux");
        let line = table
            .lines()
            .find(|line| line.split_whitespace().nth(1) == Some(&wanted))?;
        line.split_whitespace().last()?.parse().ok()
    });
    count.expect("the server's socket is listed")
}
