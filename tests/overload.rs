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
#[path = "overload/caller.rs"]
mod caller;
#[path = "loopback/cores.rs"]
mod cores;
#[path = "loopback/machine.rs"]
mod machine;
#[path = "loopback/party.rs"]
mod party;
#[path = "config/process.rs"]
mod process;
#[path = "loopback/server.rs"]
mod server;

use callee::Callee;
use caller::{Caller, Known, Pace, T1, Tally, known_by};
use machine::Machine;
use server::Server;
use std::{
    collections::{HashMap, HashSet},
    fs::File,
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
/// The part of its capacity that is to be answered meanwhile. What is missing is the price of refusing the others, which an
/// unoptimized build pays dearly: 0.51 to 1.05 were measured there, and 1.15 to 1.21 in release.
const GOODPUT: f64 = if cfg!(debug_assertions) { 0.5 } else { 0.75 };
/// How often that is compared: a machine that others use as well may be half as fast a second later.
const ROUNDS: usize = 3;

#[test]
fn acceptance_26_overload_with_retransmissions_and_restarts_of_peers_loses_no_record() {
    let seconds = std::env::var("OVERLOAD_SECONDS").map_or(6.0, |text| text.parse().expect("a number"));
    let folder = tempfile::tempdir().expect("a folder");
    let records = folder.path().join("cdr.jsonl");
    cores::come_first();
    let machine = Machine::watch();
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
    let mut known = HashSet::new();
    let mut rounds = Vec::new();
    let capacity = loop {
        let before = machine.reading();
        let capacity = capacity(&mut caller);
        let found = goodput(&server, &mut caller, capacity, &mut known);
        let kept_back = before.until(&machine.reading());
        match found {
            Ok(part) if part > GOODPUT || kept.is_none() => break capacity,
            Ok(part) => rounds.push(format!(
                "too few answered: {part:.2} of its capacity ({kept_back})"
            )),
            // How many came, were refused and were answered is judged wherever the machine lets it be told.
            Err(wrong) if kept_back.spoils_rates() => rounds.push(format!("{wrong} ({kept_back})")),
            Err(wrong) => panic!("{wrong} ({kept_back})"),
        }
        assert!(rounds.len() < ROUNDS, "{rounds:#?}");
        all_over(&server, &mut caller);
        known.extend(std::mem::take(&mut caller.tally).finals);
    };

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

    let gauges = all_over(&server, &mut caller);
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

/// The calls a second that it takes when none comes before another has ended.
fn capacity(caller: &mut Caller) -> f64 {
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
    capacity
}

/// Twice its capacity, and then half of it. Returns the part of its capacity that was answered of the former, or what was wrong.
fn goodput(
    server: &Server,
    caller: &mut Caller,
    capacity: f64,
    known: &mut HashSet<Known>,
) -> Result<f64, String> {
    let must = |holds: bool, otherwise: &str, tally: &Tally| match holds {
        true => Ok(()),
        false => Err(format!("{otherwise}: {tally}")),
    };
    let mut next = |caller: &mut Caller, seconds: f64, part: f64| {
        known.extend(std::mem::take(&mut caller.tally).finals);
        caller.drive(seconds, Pace::Steady(part * capacity));
        println!("{part} of that for {seconds} s: {}", caller.tally);
    };
    let refused_before = server.gauges()["shed"];
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
    must(
        placed > 1.5 * capacity * STEADY,
        "that was no overload",
        &caller.tally,
    )?;
    let refused = server.gauges()["shed"] - refused_before;
    must(refused > 0, "nobody was refused because of it", &caller.tally)?;
    // As soon as it can take all of them, it does.
    next(caller, 0.5, 0.5);
    next(caller, 2.0, 0.5);
    caller.linger(Duration::from_millis(300));
    let told = &caller.tally;
    must(
        told.placed as f64 > 0.9 * capacity && told.answered * 20 > told.placed * 19,
        "half of what it can take",
        told,
    )?;
    known.extend(std::mem::take(&mut caller.tally).finals);
    Ok(part)
}

/// Waits until nothing is left of the calls. Whoever still waits is told, and repeats until then (RFC 3261 §17.1.1.2).
fn all_over(server: &Server, caller: &mut Caller) -> HashMap<String, u64> {
    // A call whose caller forgot it before it was acknowledged lives for 64 T1, one without packets for five seconds; an INVITE
    // is repeated for 64 T1 at most, and as long may it take until a BYE is given up.
    let end = Instant::now() + 3 * 64 * T1;
    loop {
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
            return gauges;
        }
        assert!(
            Instant::now() < end,
            "something is left: {gauges:?}, {} wait",
            caller.open.len()
        );
    }
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
