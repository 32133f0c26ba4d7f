//! Many short calls through the real binary, and then nothing must be left of them: not in the server's own gauges, not in
//! its descriptors, sockets and memory as the kernel counts them.
//!
//! Calls are answered, held, given video, transferred, refused, cancelled, not answered, not even heard of, and their callers
//! vanish. A reload every other second changes who does the transfers: the far end (`transfer-mode=relay`) or the server itself
//! (`execute`), each for the calls that begin meanwhile. After a warm-up as fast as it goes they come at half of that rate. A plain run takes three minutes;
//! `SOAK_SECONDS=3600 cargo test --release --test soak -- --nocapture` takes an hour.

#![expect(
    clippy::disallowed_methods,
    reason = "this test watches a process in real time"
)]

#[path = "soak/callee.rs"]
mod callee;
#[path = "soak/caller.rs"]
mod caller;
#[path = "soak/done.rs"]
mod done;
#[path = "soak/footprint.rs"]
mod footprint;
#[path = "soak/modes.rs"]
mod modes;
#[path = "loopback/party.rs"]
mod party;
#[path = "config/process.rs"]
mod process;
#[path = "loopback/server.rs"]
mod server;
#[path = "soak/stayer.rs"]
mod stayer;
#[path = "soak/transferee.rs"]
mod transferee;

use callee::Callee;
use footprint::Footprint;
use modes::Modes;
use server::{Server, nothing_is_left};
use std::{
    fs::File,
    io::{BufRead, BufReader},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// Calls as fast as they go, first.
const WARM_UP: usize = 1_000;
/// How much more memory may be in use in the last third of the time than in the second one, in MB.
const FLAT: u64 = 4;

/// How much memory may be there afterwards that was not there at the start, however many the calls: code that was paged in,
/// tables at the size that they reached, what the allocator has not given back.
const SLACK: u64 = 40 << 20;

#[test]
fn nothing_is_left_of_many_short_calls() {
    let seconds = std::env::var("SOAK_SECONDS").map_or(180.0, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("cdr.jsonl");
    let callee = Callee::start();
    let proxy = format!("sip:{}", callee.address);
    // No call lasts that long without packets but those whose caller is gone; virtual machines have stood still for five seconds.
    let settings = format!(
        "max-calls=5000\nunanswered-timeout=1\nno-rtp-timeout=20\ntrusted-hosts=127.0.0.0/8\ncdr-file={}\n",
        records.display()
    );
    let server = Server::quiet(&proxy, &settings);
    let pid = server.service.pid();
    let fresh = Footprint::of(pid);
    // What lingers half a minute after each call reaches its full number in the first part of what is measured.
    let began = Instant::now();
    let mut all = caller::run(&server, WARM_UP, f64::INFINITY);
    let rate = all.taken() as f64 / began.elapsed().as_secs_f64() / 2.0;
    let watch = Watch::start(pid);
    let settings = format!("[b2bua-server]\ndata-directory=none\noutbound-proxy={proxy}\n{settings}");
    let modes = Modes::start(pid, server.service.file("b2bua.conf"), settings);
    let paced = caller::run(&server, (rate * seconds) as usize, rate);
    let (reloads, (early, late)) = (modes.finish(), watch.finish());
    println!("{rate:.0} calls/s: {paced}; {early} MB, then {late} MB");
    settle(&server);
    let after = Footprint::of(pid);
    println!("at start {fresh}\nafter    {after}");
    assert!(late <= early + FLAT, "memory grows: {early} MB, then {late} MB");
    // A descriptor or two of the start itself may have been closed since.
    assert!(
        after.files <= fresh.files && after.sockets <= fresh.sockets,
        "{fresh} to {after}"
    );
    assert_eq!(after.listed, fresh.listed, "what ss lists");
    assert!(
        after.memory < fresh.memory + SLACK,
        "memory grew: {fresh} to {after}"
    );
    let gauges = server.gauges();
    // Each transfer has led to one call more, or to one leg more of the call that it was asked for in.
    let (placed, placed_and_answered, placed_and_shed) = callee.placed();
    let (executed, executed_and_joined) = callee.executed();
    println!(
        "{reloads} reloads; of the transfers {placed} were made by the far end, {executed} by the server"
    );
    assert!(paced.each_kind_happened(), "{paced}");
    assert!(
        paced.shed * 10 < paced.taken(),
        "at half of what it took: {paced}"
    );
    all.add(paced);
    assert_eq!(placed_and_answered + executed_and_joined, all.transferred);
    // Of who was not reached in time the INVITE may have been lost.
    let certain = all.transferred + all.not_transferred;
    assert!(
        (certain..=certain + all.transferred_late).contains(&(placed + executed)),
        "{placed} and {executed}: {all}"
    );
    assert!(
        0 < placed_and_answered && placed_and_answered < placed,
        "{placed}"
    );
    assert!(
        0 < executed_and_joined && executed_and_joined < executed,
        "{executed}"
    );
    let taken = (all.taken() + placed - placed_and_shed) as u64;
    let refused = (all.shed + placed_and_shed) as u64;
    assert_eq!(gauges["taken"], taken);
    assert_eq!(gauges["answered"], (all.up() + placed_and_answered) as u64);
    let told = ["faults", "dropped", "refused", "shed"].map(|name| gauges[name]);
    assert_eq!(told, [0, 0, refused, refused]);
    // Exactly one record of each call, and in it what became of each transfer.
    let expected = Written {
        calls: taken + refused,
        transferred: all.transferred as u64,
        not_transferred: all.not_transferred as u64,
        transferred_late: all.transferred_late as u64,
    };
    assert_eq!(Written::read(&records), expected);
}

/// What the records say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Written {
    calls: u64,
    transferred: u64,
    not_transferred: u64,
    transferred_late: u64,
}

impl Written {
    /// An hour's records are read one by one.
    fn read(path: &Path) -> Self {
        let mut written = Self::default();
        let file = File::open(path).expect("a file of records");
        for line in BufReader::new(file).lines() {
            let record: serde_json::Value =
                serde_json::from_str(&line.expect("text")).expect("each line is a whole record");
            written.calls += 1;
            for transfer in record["transfers"].as_array().expect("a list") {
                match transfer["status"]
                    .as_u64()
                    .and_then(|code| u16::try_from(code).ok())
                {
                    Some(200) => written.transferred += 1,
                    Some(486) => written.not_transferred += 1,
                    Some(code) if done::is_late(code) => written.transferred_late += 1,
                    _ => panic!("a transfer that came to nothing known: {record}"),
                }
            }
        }
        written
    }
}

/// Looks at the memory of a process while others work.
struct Watch {
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<Vec<u64>>,
}

impl Watch {
    fn start(pid: rustix::process::Pid) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let over = stop.clone();
        let thread = thread::spawn(move || {
            let mut seen = Vec::new();
            while !over.load(Ordering::Relaxed) {
                seen.push(footprint::memory(pid) >> 20);
                thread::sleep(Duration::from_secs(1));
            }
            seen
        });
        Self { stop, thread }
    }
    /// The mean of the second and of the last third of the time, in MB. In the first one what lingers gathers.
    fn finish(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("it only looks");
        let third = seen.len() / 3;
        assert!(third > 0, "nothing was seen");
        let mean = |part: &[u64]| part.iter().sum::<u64>() / part.len() as u64;
        (mean(&seen[third..2 * third]), mean(&seen[2 * third..]))
    }
}

/// Waits until all that lingers by RFC 3261's timers has gone, and sees that nothing else has stayed.
fn settle(server: &Server) {
    server.until_within(Duration::from_secs(90), |gauges| {
        nothing_is_left(gauges) && gauges["connections"] == 0
    });
}
