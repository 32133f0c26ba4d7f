//! An attack while honest calls go on (goals S2 and S6): connections that dribble a byte at a time, by TCP and into TLS
//! handshakes, and requests from invented addresses as fast as this machine can send. Memory stays bounded, strangers get no
//! answer that is larger than what they sent, and honest calls work.
//!
//! A plain run is small. `ATTACK_CONNECTIONS=10000 cargo test --release --test attack -- --nocapture` keeps so many
//! connections, places 4,000 calls, pins the server to one core and all others to the other, and prints the figures that stand in
//! `tests/bench/README.md`.

#![expect(
    clippy::disallowed_methods,
    reason = "a process and its sockets, in real time"
)]

#[path = "attack/bounds.rs"]
mod bounds;
#[path = "loopback/carriers.rs"]
mod carriers;
#[path = "loopback/cores.rs"]
mod cores;
#[path = "attack/dribble.rs"]
mod dribble;
#[path = "attack/flood.rs"]
mod flood;
#[path = "malformed/honest.rs"]
mod honest;
#[path = "loopback/party.rs"]
mod party;
#[path = "config/process.rs"]
mod process;
#[path = "loopback/server.rs"]
mod server;

use carriers::Authority;
use dribble::{Dribblers, Kind};
use flood::Flood;
use rustix::process::{Pid, Resource, getrlimit, setrlimit};
use server::Server;
use std::{
    fs,
    net::Ipv4Addr,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Connections of strangers that have said nothing, of all together.
const HALF_OPEN: u64 = 2_048;
/// Memory that the server may take beyond what it took in the quiet time: the connections that it keeps with 40 kB each,
/// and as much again for what waits in its queues and for what its allocator keeps.
const MORE_KB: u64 = 2 * HALF_OPEN * 40;

/// These tests take the machine to its limits: one after the other.
static MACHINE: Mutex<()> = Mutex::new(());

/// How much of everything.
struct Size {
    connections: usize,
    calls: usize,
    /// `strangers-rate`: in a small run so few that a machine with other work to do still makes a flood of it.
    strangers: u64,
    pinned: bool,
}

impl Size {
    fn of_this_run() -> Self {
        match std::env::var("ATTACK_CONNECTIONS") {
            Ok(number) => Self {
                connections: number.parse().expect("ATTACK_CONNECTIONS is a number"),
                calls: 4_000,
                strangers: 2_000,
                pinned: true,
            },
            Err(_) => Self {
                connections: 400,
                calls: 150,
                strangers: 200,
                pinned: false,
            },
        }
    }
}

/// One of many addresses that are not 127.0.0.1.
fn address(number: usize) -> Ipv4Addr {
    let number = u32::try_from(number % 0x00f0_0000).expect("it is less") + 0x0001_0000;
    Ipv4Addr::from(0x7f00_0000 | number)
}

/// What `/proc` says of a process: its resident memory in kB, and how many descriptors it has open.
fn held(pid: Pid) -> (u64, usize) {
    let folder = format!("/proc/{}", pid.as_raw_nonzero());
    let status = fs::read_to_string(format!("{folder}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    let resident = number
        .and_then(|number| number.parse().ok())
        .expect("a number of kB");
    (
        resident,
        fs::read_dir(format!("{folder}/fd")).expect("it runs").count(),
    )
}

fn allow_many_files() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files).expect("as many as are allowed");
}

fn quantile(times: &[u128], part: f64) -> f64 {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() as f64 * part) as usize;
    sorted
        .get(at.min(sorted.len().saturating_sub(1)))
        .map_or(0.0, |micros| *micros as f64 / 1000.0)
}

fn described(word: &str, times: &[u128], calls: usize) -> String {
    let (half, most) = (quantile(times, 0.5), quantile(times, 0.99));
    format!(
        "{word}: {} of {calls} calls, set-up p50 {half:.2} ms, p99 {most:.2} ms",
        times.len()
    )
}

const TRANSPORTS: &str = "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp sips:127.0.0.1:0";

fn server(authority: &Authority, callee: &honest::Callee, strangers: u64) -> Server {
    let lines = format!(
        "{}trusted-hosts=127.0.0.1\nmax-calls=10000\nstrangers-rate={strangers}\n",
        authority.lines()
    );
    Server::quiet_on(TRANSPORTS, &format!("sip:{}", callee.address), &lines)
}

#[test]
fn honest_calls_work_while_strangers_dribble_and_flood() {
    let _alone = MACHINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let size = Size::of_this_run();
    allow_many_files();
    if size.pinned {
        cores::come_first();
    }
    // Before anybody else is there: threads begin on the cores of who starts them.
    let kept = (size.pinned).then(|| cores::keep_one().expect("there are two cores"));
    let authority = Authority::new();
    let callee = honest::Callee::start();
    let server = server(&authority, &callee, size.strangers);
    let pid = server.service.pid();
    if let Some(kept) = kept {
        kept.give_to(pid);
    }
    honest::calls(&server, size.calls / 4);
    let quiet = honest::calls(&server, size.calls);
    let before = held(pid);

    let dribblers = Dribblers::start(
        &[(server.tcp(), Kind::Words), (server.tls(), Kind::Hello)],
        size.connections,
        size.pinned,
    );
    dribblers.until_all_began();
    let dribbled_on = honest::calls(&server, size.calls);
    let under_dribble = held(pid);
    let began = Instant::now();
    let flood = Flood::start(server.udp(), size.pinned);
    let attacked = honest::calls(&server, size.calls);
    let during = held(pid);
    let gauges = server.gauges();
    let flood = flood.stop();
    let lasted = began.elapsed();
    let dribbled = dribblers.stop();
    // Then it is as before.
    server.until_within(Duration::from_secs(60), |gauges| gauges["connections"] == 0);
    let after = held(pid);
    let recovered = honest::calls(&server, 20);

    println!("{}", described("quiet", &quiet, size.calls));
    println!(
        "{}",
        described("connections that dribble", &dribbled_on, size.calls)
    );
    println!("{}", described("these and a flood", &attacked, size.calls));
    println!(
        "flood: {} requests in {:.1} s from {} addresses, {:.0}/s; the generator could not send {}; {} did not reach the server \
         (sifted by the kernel, or no room); answers: {}, of {} bytes for {}",
        flood.sent,
        lasted.as_secs_f64(),
        flood.addresses,
        flood.rate,
        flood.unsent,
        flood.lost,
        flood.answers,
        flood.answered,
        flood.asked,
    );
    println!(
        "dribbling: {} connections opened, {} kept at most by us, {} closed by the server, {} refused",
        dribbled.opened, dribbled.most, dribbled.closed, dribbled.refused
    );
    for (word, (resident, files)) in [
        ("quiet", before),
        ("dribbling", under_dribble),
        ("flood", during),
        ("after", after),
    ] {
        println!("{word}: {resident} kB resident, {files} descriptors");
    }
    println!("{gauges:?}");

    assert!(flood.sent > 10_000, "that is no flood: {}", flood.sent);
    assert!(
        dribbled.opened >= size.connections,
        "that is no attack: {}",
        dribbled.opened
    );
    assert!(gauges["limited"] > 1_000, "they were not noticed: {gauges:?}");
    assert_eq!(quiet.len(), size.calls, "honest calls in the quiet time");
    for (word, times) in [("dribble", &dribbled_on), ("flood", &attacked)] {
        let done = times.len();
        assert!(
            done * 1_000 >= size.calls * 999,
            "{word}: {done} of {} honest calls",
            size.calls
        );
    }
    // T1: whatever is lost is sent again only then. Calls that live by their repetitions alone find no room.
    let (most, repeated) = (quantile(&attacked, 0.95), 500.0);
    assert!(
        most < repeated,
        "a call in 20 takes {most:.0} ms: requests are lost"
    );
    assert_eq!(recovered.len(), 20, "honest calls after it");
    assert!(
        during.0 < before.0 + MORE_KB,
        "{} kB, then {} kB",
        before.0,
        during.0
    );
    assert!(gauges["half-open"] <= HALF_OPEN, "{gauges:?}");
    assert_eq!(gauges["faults"], 0);
    // S6: some are answered, none with more than it sent, and no more than strangers are heard; they had room for twice the
    // rate at the start.
    assert!(flood.answers > 0, "nobody was answered");
    assert_eq!(flood.larger, 0, "answers that are larger than their requests");
    let allowed = size.strangers * (lasted.as_secs() + 3);
    assert!(
        flood.answers <= allowed,
        "{} answers, {allowed} allowed",
        flood.answers
    );
}

#[test]
fn a_dribbling_connection_takes_less_than_8_kb_and_with_tls_40() {
    const COUNT: usize = 1_000;
    let _alone = MACHINE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    allow_many_files();
    let authority = Authority::new();
    let callee = honest::Callee::start();
    for (kind, most) in [
        (Kind::Words, 8.0),
        (Kind::Hello, 40.0),
        (Kind::Shaken(authority.client(false)), 40.0),
    ] {
        let word = kind.word();
        let server = server(&authority, &callee, 2_000);
        let target = if matches!(kind, Kind::Words) {
            server.tcp()
        } else {
            server.tls()
        };
        // What is made once, at the first connection, is there.
        let first = Dribblers::start(&[(target, kind.clone())], 100, false);
        first.until_all_began();
        first.stop();
        server.until(|gauges| gauges["connections"] == 0);
        let before = held(server.service.pid());
        let dribblers = Dribblers::start(&[(target, kind)], COUNT, false);
        dribblers.until_all_began();
        let gauges = server.until(|gauges| gauges["connections"] >= COUNT as u64);
        let during = held(server.service.pid());
        dribblers.stop();
        let each = (during.0 - before.0) as f64 / gauges["connections"] as f64;
        println!("{word}: {each:.1} kB each, {} descriptors", during.1);
        assert!(each > 0.1, "{word}: they are not there: {each:.1} kB each");
        assert!(each < most, "{word}: {each:.1} kB each");
    }
}
