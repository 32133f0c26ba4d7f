//! Acceptance #26: twice as many calls as the server can take. As many as it can take are answered and the others refused; when
//! fewer come, all are answered again. Then the same with retransmissions, and with peers that restart in the middle of their calls:
//! no exit, no panic, no record of a call lost; and afterwards nothing is left and a call goes through.
//!
//! The server has a core of its own, where there are two: its capacity is what it can take, and not what is left of a core by who
//! measures it. A plain run overloads it twice for six seconds, and then waits for the timers of calls whose peers have forgotten
//! them; `OVERLOAD_SECONDS=3600 cargo test --release --test overload -- --nocapture` for an hour.

#![expect(
    clippy::disallowed_methods,
    reason = "this test watches a process in real time"
)]

#[path = "overload/callee.rs"]
mod callee;
#[path = "loopback/cores.rs"]
mod cores;
#[path = "loopback/party.rs"]
mod party;
#[path = "config/process.rs"]
mod process;
#[path = "loopback/server.rs"]
mod server;

use callee::Callee;
use party::{Heard, Party, fresh};
use server::Server;
use std::{
    collections::{HashMap, HashSet},
    fmt,
    fs::File,
    hash::{DefaultHasher, Hash, Hasher},
    io::{BufRead, BufReader},
    path::Path,
    thread,
    time::{Duration, Instant},
};

/// How long its capacity is measured, several times: what else this machine does is in the way at times.
const MEASURED: f64 = 0.6;
/// Calls at one time meanwhile: enough that it never waits for anybody, and no more than it answers at once.
const AT_ONCE: [usize; 5] = [8, 16, 24, 32, 48];
/// How long twice as many calls come before it is measured how many are answered; and how long that is measured.
const SETTLING: f64 = 1.0;
const STEADY: f64 = 5.0;
/// The part of its capacity that is to be answered meanwhile. What is missing is the price of refusing the others.
const GOODPUT: f64 = 0.75;
/// How long a peer lives before it restarts.
const LIFE: Duration = Duration::from_millis(1_300);
/// How long it is gone.
const GONE: Duration = Duration::from_millis(300);
/// RFC 3261's T1.
const T1: Duration = Duration::from_millis(500);

#[test]
fn acceptance_26_overload_with_retransmissions_and_restarts_of_peers_loses_no_record() {
    let seconds = std::env::var("OVERLOAD_SECONDS").map_or(6.0, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("cdr.jsonl");
    cores::come_first();
    let kept = cores::keep_one();
    let callee = Callee::start();
    let server = Server::quiet(
        &format!("sip:{}", callee.address),
        &format!(
            "max-calls=4000\nunanswered-timeout=5\nno-rtp-timeout=5\ncdr-file={}\n",
            records.display()
        ),
    );
    if let Some(kept) = &kept {
        kept.give_to(server.service.pid());
    }
    let began = Instant::now();
    let mut caller = Caller::new(&server);
    let capacity = AT_ONCE
        .iter()
        .map(|at_once| {
            let before = caller.tally.answered;
            caller.drive(MEASURED, Pace::AtOnce(*at_once));
            (caller.tally.answered - before) as f64 / MEASURED
        })
        .fold(0.0, f64::max);
    println!("{capacity:.0} calls/s: {}", caller.tally);
    assert!(
        capacity > 1.0 && caller.tally.answered == caller.tally.placed,
        "{}",
        caller.tally
    );
    let mut known = HashSet::new();
    goodput(&server, &mut caller, capacity, kept.is_some(), &mut known);

    callee.restart_now_and_then(true);
    caller.drive(seconds, Pace::Rate(2.0 * capacity));
    callee.restart_now_and_then(false);
    let pushed = &caller.tally;
    println!("twice that: {pushed}; {} of the callee", callee.restarts());
    assert!(
        pushed.placed as f64 > 1.5 * capacity * seconds,
        "that was no overload: {pushed}"
    );
    assert!(
        pushed.repeated > 0 && pushed.restarts > 1 && callee.restarts() > 1,
        "{pushed}"
    );

    // Whoever still waits is told, and repeats until then (RFC 3261 §17.1.1.2).
    // A call whose caller forgot it before it was acknowledged lives for 64 T1, one without packets for five seconds; an INVITE
    // is repeated for 64 T1 at most, and as long may it take until a BYE is given up.
    let end = Instant::now() + 3 * 64 * T1;
    let gauges = loop {
        caller.repeat();
        caller.linger(Duration::from_millis(100));
        let gauges = server.gauges();
        let names = [
            "calls",
            "tasks",
            "dialogs",
            "media-sessions",
            "media-ports",
            "media-flows",
        ];
        if caller.open.is_empty() && names.iter().all(|name| gauges[*name] == 0) {
            break gauges;
        }
        assert!(
            Instant::now() < end,
            "something is left: {gauges:?}, {} wait",
            caller.open.len()
        );
    };
    let told = &caller.tally;
    println!(
        "after {:.0} s all is over: {told}",
        (Instant::now() - began).as_secs_f64()
    );
    assert!(told.answered > 0, "nobody was served: {told}");
    assert_eq!(gauges["faults"], 0, "{gauges:?}");
    let said = server.service.output();
    assert!(!said.contains("panicked"), "{said}");
    let written = recorded(&records, gauges["taken"] + gauges["refused"]);
    known.extend(std::mem::take(&mut caller.tally).finals);
    let without: Vec<_> = known.iter().filter(|call| !written.contains_key(*call)).collect();
    assert!(
        without.is_empty(),
        "{} calls of {} have no record",
        without.len(),
        known.len()
    );
    let twice = written.values().filter(|times| **times != 1).count();
    assert_eq!(twice, 0, "not one record each");

    // It has not ended, and takes calls as before.
    let mut caller = Caller::new(&server);
    caller.drive(0.5, Pace::AtOnce(1));
    let after = &caller.tally;
    assert!(after.answered > 0 && after.answered == after.placed, "{after}");
}

/// Twice its capacity, and then half of it.
fn goodput(server: &Server, caller: &mut Caller, capacity: f64, alone: bool, known: &mut HashSet<Known>) {
    let mut next = |caller: &mut Caller, seconds: f64, part: f64| {
        known.extend(std::mem::take(&mut caller.tally).finals);
        caller.drive(seconds, Pace::Steady(part * capacity));
        println!("{part} of that for {seconds} s: {}", caller.tally);
    };
    next(caller, SETTLING, 2.0);
    let before = cores::processor_time(server.service.pid());
    next(caller, STEADY, 2.0);
    let busy = cores::processor_time(server.service.pid()) - before;
    let (placed, answered) = (caller.tally.placed as f64, caller.tally.answered as f64);
    let part = answered / STEADY / capacity;
    println!(
        "{:.0} calls/s answered, {part:.2} of its capacity; its core was busy for {:.2} of the time",
        answered / STEADY,
        busy.as_secs_f64() / STEADY
    );
    assert!(
        placed > 1.5 * capacity * STEADY,
        "that was no overload: {}",
        caller.tally
    );
    let refused = server.gauges()["shed"];
    assert!(refused > 0, "nobody was refused because of it: {}", caller.tally);
    assert!(
        part > GOODPUT || !alone,
        "{part:.2} of its capacity: {}",
        caller.tally
    );
    // As soon as it can take all of them, it does.
    next(caller, 0.5, 0.5);
    next(caller, 2.0, 0.5);
    caller.linger(Duration::from_millis(300));
    let told = &caller.tally;
    assert!(
        told.placed as f64 > 0.9 * capacity && told.answered * 20 > told.placed * 19,
        "half of what it can take: {told}"
    );
    known.extend(std::mem::take(&mut caller.tally).finals);
}

/// How often each caller's call stands in the records, once there are as many as are owed. An hour's are read as they come.
fn recorded(path: &Path, owed: u64) -> HashMap<Known, u32> {
    let mut records = BufReader::new(File::open(path).expect("a file of records"));
    let end = Instant::now() + Duration::from_secs(10);
    let mut written = HashMap::new();
    let (mut lines, mut line) = (0, String::new());
    loop {
        let read = records.read_line(&mut line).expect("lines of text");
        if read > 0 && line.ends_with('\n') {
            let record: serde_json::Value = serde_json::from_str(&line).expect("a record is JSON");
            let call_id = record["a"]["call_id"].as_str().expect("the caller's leg");
            *written.entry(known_by(call_id)).or_default() += 1;
            lines += 1;
            line.clear();
        } else if lines < owed && Instant::now() < end {
            thread::sleep(Duration::from_millis(50));
        } else {
            assert_eq!(line, "", "the last record is half of one");
            assert_eq!(lines, owed, "one record for each call, taken or refused");
            return written;
        }
    }
}

/// What is kept of a Call-ID: an hour has millions, of which two are alike once in a hundred thousand hours.
type Known = u64;

fn known_by(call_id: &str) -> Known {
    let mut hasher = DefaultHasher::new();
    call_id.hash(&mut hasher);
    hasher.finish()
}

/// How calls are placed.
#[derive(Clone, Copy)]
enum Pace {
    /// A new one when one of so many has ended.
    AtOnce(usize),
    /// So many a second, whatever becomes of them.
    Steady(f64),
    /// The same by callers that restart.
    Rate(f64),
}

/// What became of calls.
#[derive(Default)]
struct Tally {
    placed: usize,
    answered: usize,
    refused: usize,
    /// INVITEs that were sent again.
    repeated: usize,
    restarts: usize,
    /// Those that were told how they ended, or that they are up.
    finals: HashSet<Known>,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} placed, {} answered, {} refused, {} INVITEs repeated, {} restarts of the caller",
            self.placed, self.answered, self.refused, self.repeated, self.restarts
        )
    }
}

/// An INVITE without a final response.
struct Open {
    invite: String,
    sent: Instant,
    /// How often.
    times: u32,
}

/// A caller of many calls.
struct Caller {
    party: Party,
    open: HashMap<String, Open>,
    /// Whose 200 it acknowledges whenever that comes.
    up: HashSet<String>,
    born: Instant,
    tally: Tally,
}

impl Caller {
    fn new(server: &Server) -> Self {
        Self {
            party: Party::udp("127.0.0.1", server.udp()),
            open: HashMap::new(),
            up: HashSet::new(),
            born: Instant::now(),
            tally: Tally::default(),
        }
    }
    /// Places calls for that long; each is acknowledged and hung up as soon as it is answered.
    fn drive(&mut self, seconds: f64, pace: Pace) {
        let began = Instant::now();
        let mut owed = 0.0;
        let mut last = began;
        self.born = began;
        loop {
            let running = began.elapsed().as_secs_f64() < seconds;
            match pace {
                Pace::AtOnce(most) if running => {
                    while self.open.len() < most {
                        self.place();
                    }
                }
                Pace::Steady(rate) | Pace::Rate(rate) if running => {
                    owed += rate * last.elapsed().as_secs_f64();
                    last = Instant::now();
                    while owed >= 1.0 {
                        owed -= 1.0;
                        self.place();
                    }
                    if matches!(pace, Pace::Rate(_)) && self.born.elapsed() > LIFE {
                        self.restart();
                    }
                }
                Pace::AtOnce(_) if !self.open.is_empty() => {}
                Pace::AtOnce(_) | Pace::Steady(_) | Pace::Rate(_) => return,
            }
            self.repeat();
            self.linger(Duration::from_millis(1));
        }
    }
    fn place(&mut self) {
        let call_id = fresh("over");
        let invite = self.party.invite(&call_id, "sip:bob@example.org");
        self.party.send(&invite);
        let open = Open {
            invite,
            sent: Instant::now(),
            times: 0,
        };
        self.open.insert(call_id, open);
        self.tally.placed += 1;
    }
    /// Datagrams get lost where a buffer is full (RFC 3261 §17.1.1.2, timer A).
    fn repeat(&mut self) {
        for open in self.open.values_mut() {
            if open.times < 6 && open.sent.elapsed() > T1 * 2_u32.pow(open.times) {
                open.sent = Instant::now();
                open.times += 1;
                self.tally.repeated += 1;
                self.party.send(&open.invite);
            }
        }
    }
    /// It is gone for a while, and knows nothing of its calls when it comes back.
    fn restart(&mut self) {
        let back = Instant::now() + GONE;
        while Instant::now() < back {
            let _ = self.party.hear_within(Duration::from_millis(1));
        }
        self.open.clear();
        self.up.clear();
        self.born = Instant::now();
        self.tally.restarts += 1;
    }
    /// Hears what there is to hear, and for so long at least.
    fn linger(&mut self, time: Duration) {
        let end = Instant::now() + time;
        for _ in 0..200 {
            let left = end.saturating_duration_since(Instant::now());
            let Some(heard) = self.party.hear_within(left.max(Duration::from_micros(1))) else {
                return;
            };
            self.react(&heard);
        }
    }
    fn react(&mut self, heard: &Heard) {
        let call_id = heard.field("Call-ID");
        let status = heard.start().strip_prefix("SIP/2.0 ");
        let Some(status) = status.and_then(|rest| rest.get(..3)?.parse::<u16>().ok()) else {
            // The server ends a call of ours, or one that we have forgotten.
            let known = self.up.contains(&call_id);
            let said = if known { "200 OK" } else { "481 Unknown" };
            return self.party.respond(heard, said, "");
        };
        if heard.field("CSeq") != "1 INVITE" || status < 200 {
            return;
        }
        let open = self.open.remove(&call_id);
        if open.is_some() {
            self.tally.finals.insert(known_by(&call_id));
        }
        match (status, open) {
            (..300, open) => {
                if open.is_some() {
                    self.tally.answered += 1;
                    self.up.insert(call_id.clone());
                }
                if self.up.contains(&call_id) {
                    self.party.send(&self.party.within("ACK", 1, heard));
                    self.party.send(&self.party.within("BYE", 2, heard));
                }
            }
            (_, Some(open)) => {
                self.party.ack_failure(&open.invite, heard);
                self.tally.refused += 1;
            }
            (_, None) => {}
        }
    }
}
