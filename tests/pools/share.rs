//! Two servers that share lines through Redis, one of which is killed.

use crate::{
    daemon::Daemon,
    rig::{Setup, Up, call, redis},
    server::Server,
};
use rustix::process::Signal;
use std::{
    thread,
    time::{Duration, Instant},
};

/// The lease of these tests, in seconds.
const LEASE: u64 = 3;
const ACCOUNTS: usize = 5;
const LINES: usize = 2;

/// Five accounts of two lines each, which need no registrar.
fn setup(port: u16, policy: &str) -> Setup {
    let accounts: Vec<_> = (0..ACCOUNTS)
        .map(|number| format!(r#"{{"uri": "sip:line{number}@example.org"}}"#))
        .collect();
    let nobody = "127.0.0.1:9".parse().expect("an address");
    let mut setup = Setup::new(nobody, format!("[{}]", accounts.join(", ")));
    setup.registers = false;
    setup.limit = u32::try_from(LINES).expect("few");
    setup.more = format!(
        "line-lease={LEASE}\nlines-without-redis={policy}\n{}",
        redis(port)
    );
    setup
}

/// As many calls as there is room for.
fn fill(server: &Server) -> Vec<Up> {
    let mut up = Vec::new();
    loop {
        match call(server.udp()) {
            Ok(one) => up.push(one),
            Err(code) => {
                assert_eq!(code, 488);
                return up;
            }
        }
        assert!(up.len() <= ACCOUNTS * LINES, "more calls than lines");
    }
}

/// Redis is asked from the first call on, once it is known to be there.
fn counting(server: &Server) {
    server.until_logged("lines are counted with those of other servers");
}

#[test]
fn limits_hold_to_the_call_over_two_servers_and_a_killed_ones_lines_come_back() {
    let redis = Daemon::redis();
    let setup = setup(redis.port, "refuse");
    let (one, two) = (setup.start(), setup.start());
    counting(&one);
    counting(&two);
    let mut mine: Vec<_> = (0..4).map(|_| call(one.udp()).expect("a free line")).collect();
    let theirs = fill(&two);
    assert_eq!(theirs.len(), ACCOUNTS * LINES - 4, "to the call");
    assert_eq!(call(one.udp()).err(), Some(488));
    assert_eq!(call(two.udp()).err(), Some(488));
    // What is given back on one is free on both.
    mine.pop().expect("there").end();
    let mut moved = call(two.udp()).or_else(|_| {
        thread::sleep(Duration::from_millis(500));
        call(two.udp())
    });
    assert!(moved.is_ok(), "the line that the other gave back");
    assert_eq!(call(one.udp()).err(), Some(488));
    // For longer than a lease: who lives keeps what it holds.
    thread::sleep(Duration::from_millis(LEASE * 1000 + 1500));
    assert_eq!(call(two.udp()).err(), Some(488), "leases are renewed");

    let killed = Instant::now();
    one.service.signal(Signal::KILL);
    drop(mine);
    assert_eq!(call(two.udp()).err(), Some(488), "its lines are not free at once");
    let mut back = Vec::new();
    while back.len() < 3 {
        match call(two.udp()) {
            Ok(up) => back.push(up),
            Err(code) => assert_eq!(code, 488),
        }
        let since = killed.elapsed();
        assert!(
            since < Duration::from_millis(LEASE * 1000 + 1500),
            "{since:?} and {} back",
            back.len()
        );
        thread::sleep(Duration::from_millis(50));
    }
    println!(
        "the lines of the killed server came back after {:?}",
        killed.elapsed()
    );
    assert_eq!(
        call(two.udp()).err(),
        Some(488),
        "exactly those of the killed server came back"
    );
    if let Ok(up) = &mut moved {
        up.is_up();
    }
    for up in theirs.into_iter().chain(back).chain(moved.ok()) {
        up.end();
    }
    two.until_empty();
    assert_eq!(fill(&two).len(), ACCOUNTS * LINES, "nothing has leaked");
}

/// The same of what a provider's `limits` say: five calls at once, where lines would take ten.
#[test]
fn a_providers_calls_are_counted_over_two_servers_and_a_killed_ones_come_back() {
    const CAP: usize = 5;
    let redis = Daemon::redis();
    let mut setup = setup(redis.port, "refuse");
    setup.caps = format!(r#"{{"concurrentCalls": {CAP}}}"#);
    let (one, two) = (setup.start(), setup.start());
    counting(&one);
    counting(&two);
    let mut mine: Vec<_> = (0..3).map(|_| call(one.udp()).expect("below the cap")).collect();
    let theirs = fill(&two);
    assert_eq!(theirs.len(), CAP - 3, "to the call");
    assert_eq!(call(one.udp()).err(), Some(488));
    mine.pop().expect("there").end();
    one.until(|gauges| gauges["calls"] == 2);
    thread::sleep(Duration::from_millis(300));
    let moved = fill(&two);
    assert_eq!(moved.len(), 1, "the one that the other gave back");
    thread::sleep(Duration::from_millis(LEASE * 1000 + 1500));
    assert_eq!(call(two.udp()).err(), Some(488), "leases are renewed");
    assert_eq!(call(one.udp()).err(), Some(488));

    let killed = Instant::now();
    one.service.signal(Signal::KILL);
    drop(mine);
    assert_eq!(call(two.udp()).err(), Some(488), "its calls are not over at once");
    let mut back = Vec::new();
    while back.is_empty() {
        back = fill(&two);
        let since = killed.elapsed();
        assert!(since < Duration::from_millis(LEASE * 1000 + 1500), "{since:?}");
        thread::sleep(Duration::from_millis(50));
    }
    println!(
        "the calls of the killed server came back after {:?}",
        killed.elapsed()
    );
    back.extend(fill(&two));
    // Both were taken within a few milliseconds of each other, and may fall back apart.
    thread::sleep(Duration::from_millis(300));
    back.extend(fill(&two));
    assert_eq!(back.len(), 2, "exactly those of the killed server");
    for up in theirs.into_iter().chain(moved).chain(back) {
        up.end();
    }
    two.until_empty();
    assert_eq!(fill(&two).len(), CAP, "nothing has leaked");
}

/// Calls that begin within a second: two servers that are asked for as much as they can take.
#[test]
fn no_second_has_more_calls_of_two_servers_than_a_provider_may_have() {
    const RATE: usize = 4;
    let redis = Daemon::redis();
    let mut setup = setup(redis.port, "refuse");
    setup.caps = format!(r#"{{"callsPerSecond": {RATE}}}"#);
    let servers = [setup.start(), setup.start()];
    servers.iter().for_each(counting);
    let lasts = Duration::from_secs(5);
    let began = Instant::now();
    let callers = servers.each_ref().map(Server::udp).map(|address| {
        thread::spawn(move || {
            let mut taken = Vec::new();
            while began.elapsed() < lasts {
                let asked = Instant::now();
                match call(address) {
                    Ok(up) => {
                        taken.push((asked, Instant::now()));
                        up.end();
                    }
                    Err(code) => assert_eq!(code, 488),
                }
            }
            taken
        })
    });
    let by_server = callers.map(|caller| caller.join().expect("no panic"));
    let counts = by_server.each_ref().map(Vec::len);
    let mut taken: Vec<_> = by_server.into_iter().flatten().collect();
    // Each was counted somewhere between its two times.
    taken.sort_unstable();
    for window in taken.windows(RATE + 1) {
        let first = window.iter().map(|(asked, _)| *asked).min().expect("some");
        let last = window.iter().map(|(_, up)| *up).max().expect("some");
        assert!(last - first >= Duration::from_secs(1), "{window:?}");
    }
    println!("{counts:?} calls in {lasts:?} at {RATE} a second");
    assert!(
        taken.len() >= RATE * 4,
        "and no less than it may have: {counts:?}"
    );
    assert!(taken.len() <= RATE * 6, "{counts:?}");
}

/// What Redis has forgotten it is told again.
#[test]
fn a_redis_that_has_lost_its_memory_is_told_what_calls_hold() {
    let mut redis = Daemon::redis();
    let setup = setup(redis.port, "refuse");
    let (one, two) = (setup.start(), setup.start());
    counting(&one);
    counting(&two);
    let mine: Vec<_> = (0..4).map(|_| call(one.udp()).expect("a free line")).collect();
    let port = redis.port;
    redis.end();
    let end = Instant::now() + Duration::from_secs(10);
    while call(two.udp()).map(Up::end).is_ok() {
        assert!(Instant::now() < end, "calls are refused while Redis is gone");
    }
    let _redis = Daemon::redis_at(port);
    one.until_logged("Redis is back");
    two.until_logged("Redis is back");
    assert_eq!(fill(&two).len(), ACCOUNTS * LINES - 4);
    for mut up in mine {
        up.is_up();
        up.end();
    }
}
