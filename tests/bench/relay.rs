//! Processor time of one relayed packet, SDES to plain, beside a do-nothing relay in the same run.
//!
//! `cargo bench --bench relay [-- --gate]`. The do-nothing relay has the same sockets and only receives, looks up and
//! sends; what counts is the ratio: at most 1.25, aim 1.10. With `--gate` the exit status says whether.
//!
//! 300 calls send one packet every 20 ms, a few calls together every 2 ms, each sealed before the measured phase. Rounds
//! are interleaved; time is what the kernel accounts to the relay's own thread, user and system. A round in which a packet
//! was lost is void.

use b2bua::{
    call::Side,
    media::{
        Connect, MediaCommand, MediaEvent, Protection, Remote, SrtpKey, StreamId, StreamKind, Suite,
        packet::Packet,
        relay::{Relay, RelayConfig, Session},
        srtp::SrtpOut,
    },
};
use rustix::{buffer::spare_capacity, event::epoll};
use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

const CALLS: usize = 300;
/// Packets of each call in a round, and rounds that count.
const PACKETS: usize = 15;
const ROUNDS: usize = 21;
const TICK: Duration = Duration::from_millis(20);
/// Parts that a tick's calls are sent in.
const PARTS: usize = 10;
const BAR: f64 = 1.25;
const AIM: f64 = 1.10;
const SUITE: Suite = Suite::AesCm128HmacSha1_80;

fn udp() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(4 << 20);
    socket
}

/// Nanoseconds that the thread of this name has been on a processor, exact while it sleeps.
fn on_processor(name: &str) -> u64 {
    fs::read_dir("/proc/self/task")
        .expect("Linux")
        .flatten()
        .find(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim_end() == name))
        .and_then(|task| fs::read_to_string(task.path().join("schedstat")).ok())
        .and_then(|status| status.split(' ').next()?.parse().ok())
        .expect("the relay's thread, and a kernel with schedstat")
}

/// A relay under test: the ports that each call sends to.
struct Candidate {
    thread: &'static str,
    ports: Vec<SocketAddr>,
}

/// The real one.
fn real(sender: SocketAddr, receiver: SocketAddr, keys: &[SrtpKey]) -> (Candidate, Relay, Vec<Session>) {
    let relay = Relay::start(RelayConfig {
        threads: 1,
        audio_ports: 0..=0,
        video_ports: 0..=0,
    })
    .expect("a relay");
    let (sink, events) = mpsc::channel();
    let mut ports = Vec::new();
    let mut sessions = Vec::new();
    for key in keys {
        let sink = sink.clone();
        let session = relay.session(Arc::new(move |event| sink.send(event).unwrap_or_default()));
        for (side, at) in [(Side::A, sender), (Side::B, receiver)] {
            let stream = StreamId(0);
            let address = Ipv4Addr::LOCALHOST.into();
            session.send(MediaCommand::Open {
                side,
                stream,
                kind: StreamKind::Audio,
                address,
            });
            let Ok(MediaEvent::Opened { rtp, .. }) = events.recv() else {
                panic!("no ports: raise the limit of open files to {}", 8 * CALLS + 100)
            };
            let protection = match side {
                Side::A => {
                    ports.push(rtp);
                    Protection::Srtp(key.clone())
                }
                Side::B => Protection::Clear,
            };
            let remote = Remote {
                rtp: Some(at),
                rtcp: None,
                mux: false,
                also_from: Vec::new(),
                latch_any: false,
            };
            let silence = Some(Duration::from_secs(60));
            let (receive, send) = (protection.clone(), protection);
            session.send(MediaCommand::Connect(Box::new(Connect {
                side,
                stream,
                remote,
                receive,
                send,
                rtcp: None,
                agreement: None,
                payloads: None,
                clocks: Box::new([(0, 8000)]),
                feedback: true,
                key_frames: None,
                events: None,
                silence,
                alive: None,
            })));
        }
        sessions.push(session);
    }
    (
        Candidate {
            thread: "relay-0",
            ports,
        },
        relay,
        sessions,
    )
}

/// The one that does nothing but receive, look up and send: the same four sockets a call, the same poller.
fn bare(receiver: SocketAddr, stop: &Arc<AtomicBool>) -> (Candidate, thread::JoinHandle<()>) {
    let sockets: Vec<UdpSocket> = (0..4 * CALLS).map(|_| udp()).collect();
    let ports = sockets
        .iter()
        .step_by(4)
        .map(|socket| socket.local_addr().expect("bound"))
        .collect();
    let poller = epoll::create(epoll::CreateFlags::CLOEXEC).expect("a poller");
    for (place, socket) in sockets.iter().enumerate() {
        socket.set_nonblocking(true).expect("a socket");
        let data = epoll::EventData::new_u64(place as u64);
        epoll::add(&poller, socket, data, epoll::EventFlags::IN).expect("a watched socket");
    }
    let stop = Arc::clone(stop);
    let run = move || {
        let mut buffer = vec![0; 65_536];
        let mut events = Vec::with_capacity(1024);
        let timeout = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 250_000_000,
        };
        while !stop.load(Ordering::Relaxed) {
            events.clear();
            epoll::wait(&poller, spare_capacity(&mut events), Some(&timeout)).expect("a wait");
            for event in &events {
                let place = event.data.u64() as usize;
                if let Ok((length, _)) = sockets[place].recv_from(&mut buffer) {
                    // From leg A's RTP to leg B's.
                    let _ = sockets[place ^ 2].send_to(&buffer[..length], receiver);
                }
            }
        }
    };
    let thread = thread::Builder::new()
        .name("bare".to_owned())
        .spawn(run)
        .expect("a thread");
    (
        Candidate {
            thread: "bare",
            ports,
        },
        thread,
    )
}

/// Sends one round through a relay; processor time a packet, or `None` when one was lost.
fn round(
    candidate: &Candidate,
    sender: &UdpSocket,
    packets: &[Vec<Vec<u8>>],
    first: usize,
    received: &AtomicU64,
) -> Option<f64> {
    let expected = received.load(Ordering::Relaxed) + (CALLS * PACKETS) as u64;
    let before = on_processor(candidate.thread);
    let part = CALLS / PARTS;
    for number in first..first + PACKETS {
        for (packets, ports) in packets.chunks(part).zip(candidate.ports.chunks(part)) {
            for (packets, port) in packets.iter().zip(ports) {
                sender.send_to(&packets[number], port).expect("sent");
            }
            wait(TICK / PARTS as u32);
        }
    }
    wait(TICK);
    let spent = on_processor(candidate.thread) - before;
    (received.load(Ordering::Relaxed) == expected).then(|| spent as f64 / (CALLS * PACKETS) as f64)
}

#[allow(clippy::disallowed_methods, reason = "a generator has a pace")]
fn wait(time: Duration) {
    thread::sleep(time);
}

/// Each call's packets, sealed with its key.
fn sealed(keys: &[SrtpKey], count: usize) -> Vec<Vec<Vec<u8>>> {
    let mut packet = Packet::new();
    let mut seal = |key: &SrtpKey| {
        let mut out = SrtpOut::new(key).expect("a key");
        (0..count)
            .map(|number| {
                let mut bytes = vec![0x80, 0];
                bytes.extend((number as u16).to_be_bytes());
                bytes.extend((number as u32 * 160).to_be_bytes());
                bytes.extend([1, 2, 3, 4]);
                bytes.extend([0x55; 160]);
                packet.fill(&bytes);
                out.seal_rtp(&mut packet).expect("sealed");
                packet.bytes().to_vec()
            })
            .collect()
    };
    keys.iter().map(&mut seal).collect()
}

fn spread(figures: &mut [f64]) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [0, figures.len() / 2, figures.len() - 1].map(|place| figures[place])
}

fn main() -> ExitCode {
    let gate = std::env::args().any(|argument| argument == "--gate");
    raise_limit();
    let (sender, receiver) = (udp(), udp());
    let (from, to) = (
        sender.local_addr().expect("bound"),
        receiver.local_addr().expect("bound"),
    );
    let keys: Vec<SrtpKey> = (0..CALLS)
        .map(|call| SrtpKey {
            suite: SUITE,
            master: (0..SUITE.master_length())
                .map(|octet| (octet ^ call) as u8)
                .collect::<Vec<_>>()
                .into(),
            mki: None,
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let (real, relay, sessions) = real(from, to, &keys);
    let (bare, bare_thread) = bare(to, &stop);
    let received = Arc::new(AtomicU64::new(0));
    let count = {
        let (stop, received) = (Arc::clone(&stop), Arc::clone(&received));
        receiver
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("a socket");
        thread::spawn(move || {
            let mut buffer = [0; 2048];
            while !stop.load(Ordering::Relaxed) {
                if receiver.recv(&mut buffer).is_ok() {
                    received.fetch_add(1, Ordering::Relaxed);
                }
            }
        })
    };
    // One round more than count: the first warms up.
    let packets = sealed(&keys, (ROUNDS + 1) * PACKETS);
    let (mut ours, mut theirs, mut ratios, mut void) = (Vec::new(), Vec::new(), Vec::new(), 0);
    #[allow(clippy::disallowed_methods, reason = "a benchmark measures time")]
    let start = Instant::now();
    for number in 0..=ROUNDS {
        let through = |candidate| round(candidate, &sender, &packets, number * PACKETS, &received);
        // Who comes first changes.
        let (relayed, nothing) = if number % 2 == 0 {
            (through(&real), through(&bare))
        } else {
            let nothing = through(&bare);
            (through(&real), nothing)
        };
        match (relayed, nothing) {
            _ if number == 0 => {}
            (Some(relayed), Some(nothing)) => {
                ours.push(relayed);
                theirs.push(nothing);
                ratios.push(relayed / nothing);
            }
            _ => void += 1,
        }
    }
    let took = start.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    let _ = (count.join(), bare_thread.join());
    drop((sessions, relay));
    if ratios.len() <= ROUNDS / 2 {
        println!("VOID: packets were lost in {void} of {ROUNDS} rounds");
        return ExitCode::FAILURE;
    }
    println!(
        "{CALLS} calls, {SUITE} to plain, {ROUNDS} rounds in {took:.0} s, {void} void; median (fastest-slowest):"
    );
    for (name, figures) in [("relay", &mut ours), ("do-nothing", &mut theirs)] {
        let [fastest, median, slowest] = spread(figures);
        println!("{name:<11} {median:5.0} ns of processor time a packet ({fastest:.0}-{slowest:.0})");
    }
    let [least, ratio, most] = spread(&mut ratios);
    let passed = ratio <= BAR;
    let verdict = if passed { "PASS" } else { "FAIL" };
    println!("{verdict}: {ratio:.2} x the do-nothing relay ({least:.2}-{most:.2}); bar {BAR}, aim {AIM}");
    if gate && !passed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// Eight sockets a call.
fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    );
}
