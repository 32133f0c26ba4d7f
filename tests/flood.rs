//! Acceptance #5: ClientHellos of strangers at every media port, and genuine handshakes among them, on real sockets.
//!
//! 200 handshakes among strangers from elsewhere, half as many among the worse kind; `FLOOD_HANDSHAKES=1000 cargo test --test flood
//! -- --nocapture` for the whole row. A handshake has as long as its messages may be repeated: where ports are flooded, and on a
//! machine that had something else to do, one gets lost.

#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a process and its sockets, in real time; what cannot go on shall fail there"
)]

use std::{
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

/// One flood at a time: ports that are free are so for everybody who looks, until a server has them, and the machine is one.
static TURN: Mutex<()> = Mutex::new(());
/// Calls at a time. Each has four ports.
const CONCURRENT: u16 = 4;
/// Ports that the server may take: a call that has ended gives back its own before the next begins, or a moment later.
const PORTS: u16 = 6 * CONCURRENT;
/// Calls in a second: so many that nearly that many are there at a time.
const RATE_OF_CALLS: &str = "6";
/// ClientHellos in a second at each of them.
const RATE: u64 = 1_000;

/// A range of ports that nobody has.
fn free_range() -> u16 {
    let begin = 20_000 + (std::process::id() % 100) as u16 * 100;
    let free =
        |first: u16| (first..first + PORTS).all(|port| UdpSocket::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    (0..100)
        .map(|step| 20_000 + (begin - 20_000 + step * 100) % 10_000)
        .find(|&first| free(first))
        .unwrap()
}

/// A ClientHello as a WebRTC client sends it, with this random: each is another handshake.
fn client_hello(number: u64) -> Vec<u8> {
    let mut body = vec![0xfe, 0xfd];
    body.extend([7; 24]);
    body.extend(number.to_be_bytes());
    // No session, no cookie; one suite; no compression.
    body.extend([0, 0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let extensions: &[&[u8]] = &[
        &[0, 10, 0, 4, 0, 2, 0, 23],
        &[0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 4, 0, 2, 4, 3],
        &[0, 14, 0, 5, 0, 2, 0, 1, 0],
        &[0, 23, 0, 0],
    ];
    let extensions = extensions.concat();
    body.extend((extensions.len() as u16).to_be_bytes());
    body.extend(extensions);
    let length = (body.len() as u32).to_be_bytes();
    let mut message = vec![
        1, length[1], length[2], length[3], 0, 0, 0, 0, 0, length[1], length[2], length[3],
    ];
    message.extend(body);
    let mut record = vec![22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 0];
    record.extend((message.len() as u16).to_be_bytes());
    record.extend(message);
    record
}

/// Sends ClientHellos to every port until it is told to stop. Returns how many each port got, and in which time.
struct Flood {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    begun: Instant,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    fn begin(sources: Vec<UdpSocket>, first: u16) -> Self {
        let (stop, rounds) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let begun = Instant::now();
        let thread = thread::spawn({
            let (stop, rounds) = (stop.clone(), rounds.clone());
            move || {
                let mut number = 0;
                while !stop.load(Relaxed) {
                    // Whatever the scheduler did, the rate is made up for.
                    let due = begun.elapsed().as_millis() as u64 * (RATE + RATE / 20) / 1_000;
                    while rounds.load(Relaxed) < due {
                        for port in first..first + PORTS {
                            let source = &sources[number as usize % sources.len()];
                            number += 1;
                            let to = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
                            // Nobody is at a port whose call has ended.
                            let _ = source.send_to(&client_hello(number), to);
                        }
                        rounds.fetch_add(1, Relaxed);
                    }
                    thread::sleep(Duration::from_millis(1));
                }
            }
        });
        Self {
            stop,
            rounds,
            begun,
            thread,
        }
    }

    /// ClientHellos in a second at each port.
    fn end(self) -> u64 {
        let rate = self.rounds.load(Relaxed) as f64 / self.begun.elapsed().as_secs_f64();
        self.stop.store(true, Relaxed);
        self.thread.join().unwrap();
        rate as u64
    }
}

/// That many calls whose caller speaks DTLS, with the server flooded; all must be keyed.
fn shake_hands_among(strangers: &[Ipv4Addr], share: u64) {
    let handshakes: u64 =
        std::env::var("FLOOD_HANDSHAKES").map_or(200, |count| count.parse().unwrap()) / share;
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let first = free_range();
    let sources = strangers.iter().map(|ip| UdpSocket::bind((*ip, 0)).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let flood = Flood::begin(sources.collect(), first);
    let output = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .args([
            "load",
            "--spawn",
            "--media",
            "dtls-plain",
            "--hold",
            "0.1",
            "--settle",
            "0",
            "--rate",
            RATE_OF_CALLS,
        ])
        .args([
            "--calls",
            &handshakes.to_string(),
            "--concurrent",
            &CONCURRENT.to_string(),
        ])
        .args([
            "--set",
            &format!("b2bua-server/audio-port={first}-{}", first + PORTS - 1),
        ])
        .arg("--server-log")
        .arg(&log)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let rate = flood.end();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(rate >= RATE, "{rate} ClientHellos in a second at each port");
    let summary: serde_json::Value = serde_json::from_str(&told)
        .unwrap_or_else(|error| panic!("{error}: {told} {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(
        summary["as_planned"],
        serde_json::json!({ "answered": handshakes }),
        "{summary:#}"
    );
    assert_eq!(summary["failed"], serde_json::json!({}), "{summary:#}");
    let log = std::fs::read_to_string(log).unwrap();
    let gauges = log
        .lines()
        .rev()
        .find(|line| line.contains(" dtls-completed="))
        .unwrap();
    let gauge = |name: &str| -> u64 {
        let word = gauges.split_whitespace().find_map(|word| word.strip_prefix(name));
        word.unwrap().parse().unwrap()
    };
    // The strangers complete none.
    assert_eq!(gauge("dtls-completed="), handshakes, "{gauges}");
    let to_keys = &summary["to_keys_ms"];
    eprintln!("{rate} ClientHellos/s at each of {PORTS} ports, keys after (ms) {to_keys}: {gauges}");
}

#[test]
fn acceptance_5_genuine_handshakes_finish_while_strangers_greet_every_port() {
    let strangers: Vec<_> = (2..10).map(|host| Ipv4Addr::new(127, 0, 0, host)).collect();
    shake_hands_among(&strangers, 1);
}

/// Harder than the row: the strangers send from the phone's own address, where it may be behind its NAT, so the relay cannot tell.
#[test]
fn acceptance_5_even_from_the_phones_address_and_other_ports() {
    shake_hands_among(&[Ipv4Addr::LOCALHOST; 4], 2);
}
