//! Goal R8: what the machine gives runs out, calls are refused by 503 with `Retry-After` and counted, those that are up go on,
//! and when it is there again so are calls, without a restart.

use super::{
    observe::{get, http, records, server},
    party::{Heard, Party, fresh},
    server::Server,
};
use rustix::process::{Resource, Rlimit, Signal, prlimit};
use std::{
    net::UdpSocket,
    os::unix::fs::symlink,
    time::{Duration, Instant},
};

fn callee() -> Party {
    Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"))
}

/// A call that is up.
struct Up {
    caller: Party,
    answered: Heard,
}

impl Up {
    fn begin(server: &Server, callee: &mut Party) -> Self {
        let mut caller = Party::udp("127.0.0.1", server.udp());
        caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
        let asked = callee.expect("INVITE ");
        callee.respond(&asked, "200 OK", &callee.sdp());
        let answered = caller.expect("SIP/2.0 200");
        caller.send(&caller.within("ACK", 1, &answered));
        callee.expect("ACK ");
        Self { caller, answered }
    }
    fn talks(&self, callee: &Party) {
        assert_eq!(&self.caller.speak(&self.answered, callee)[12..], [0x55; 160]);
    }
    fn end(mut self, callee: &mut Party) {
        self.caller.send(&self.caller.within("BYE", 2, &self.answered));
        self.caller.expect("SIP/2.0 200");
        let bye = callee.expect("BYE ");
        callee.respond(&bye, "200 OK", "");
    }
}

/// A call that is refused, without a word to the callee.
fn refused(server: &Server, callee: &mut Party) {
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&invite);
    let refusal = caller.expect("SIP/2.0 503");
    let after = refusal.field("Retry-After").parse::<u32>();
    assert!(after.is_ok_and(|seconds| seconds > 0), "{}", refusal.0);
    caller.ack_failure(&invite, &refusal);
    callee.expect_silence();
}

/// The calls that the server has refused because something had run out.
fn counted(server: &Server) -> u64 {
    let metrics = get(http(server), "/metrics");
    let lines = metrics.lines().filter(|line| {
        line.starts_with("b2bua_failures_total{code=\"503\",origin=\"local\"") && line.contains("capacity")
    });
    lines
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// The first of four ports in a row, from an even one, that nobody has.
pub(super) fn four_ports() -> u16 {
    let free = |port: &u16| {
        let all: Vec<_> = (*port..*port + 4)
            .map(|port| UdpSocket::bind(("127.0.0.1", port)))
            .collect();
        all.iter().all(Result::is_ok)
    };
    let first = 24_000 + (std::process::id() % 1_000) as u16 * 4;
    (first..32_000)
        .step_by(4)
        .find(free)
        .expect("four ports in a row")
}

#[test]
fn without_a_port_for_media_a_call_is_refused_and_the_next_has_those_that_were_given_back() {
    let (mut callee, first) = (callee(), four_ports());
    // One call has a pair on each side.
    let server = server(&callee.uri(), &format!("audio-port={first}-{}\n", first + 3));
    for round in 1..=2 {
        let up = Up::begin(&server, &mut callee);
        refused(&server, &mut callee);
        assert_eq!(counted(&server), round);
        up.talks(&callee);
        up.end(&mut callee);
        server.until(|gauges| gauges["media-ports"] == 0);
    }
    assert_eq!(records(&server, 4).len(), 4);
}

#[test]
fn without_descriptors_calls_are_refused_and_come_again_with_them() {
    let mut callee = callee();
    let server = server(&callee.uri(), "");
    let up = Up::begin(&server, &mut callee);
    let none = Rlimit {
        current: Some(3),
        maximum: Some(1_024),
    };
    let former = prlimit(Some(server.service.pid()), Resource::Nofile, none).expect("a process of ours");
    for _ in 0..3 {
        refused(&server, &mut callee);
    }
    // A connection waits meanwhile, and nobody hears of it.
    let mut waiting = Party::tcp(server.tcp());
    waiting.send(&waiting.invite(&fresh("call"), "sip:bob@example.org"));
    callee.expect_silence();
    up.talks(&callee);
    let again = Rlimit {
        current: Some(1_024),
        ..none
    };
    prlimit(Some(server.service.pid()), Resource::Nofile, again).expect("a process of ours");
    assert!(former.current.is_none_or(|limit| limit >= 64), "{former:?}");
    assert_eq!(counted(&server), 3);
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "486 Busy Here", "");
    waiting.expect("SIP/2.0 486");
    callee.expect("ACK ");
    let another = Up::begin(&server, &mut callee);
    for up in [up, another] {
        up.talks(&callee);
        up.end(&mut callee);
    }
    server.until(|gauges| gauges["calls"] == 0);
    assert_eq!((server.gauges()["answered"], server.gauges()["faults"]), (2, 0));
}

#[test]
fn records_wait_while_the_disk_is_full_and_none_is_lost() {
    let mut callee = callee();
    let server = server(&callee.uri(), "");
    let file = server.service.file("cdr");
    // Like a disk that is full: all that is written fails with ENOSPC.
    std::fs::remove_file(&file).expect("it was opened");
    symlink("/dev/full", &file).expect("a folder of ours");
    server.service.signal(Signal::HUP);
    server.until(|_| server.service.output().matches("reloaded ").count() == 2);
    for _ in 0..3 {
        let up = Up::begin(&server, &mut callee);
        up.talks(&callee);
        up.end(&mut callee);
    }
    server.until(|gauges| gauges["calls"] == 0);
    let waiting = |count: u64| {
        let end = Instant::now() + Duration::from_secs(10);
        let line = format!("b2bua_cdr_waiting {count}");
        loop {
            let metrics = get(http(&server), "/metrics");
            if metrics.lines().any(|other| other == line) {
                return;
            }
            assert!(Instant::now() < end, "{line} is not in\n{metrics}");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    waiting(3);
    std::fs::remove_file(&file).expect("a link of ours");
    server.service.signal(Signal::HUP);
    waiting(0);
    let names: std::collections::HashSet<_> = records(&server, 3)
        .iter()
        .map(|record| record["a"]["call_id"].to_string())
        .collect();
    assert_eq!(names.len(), 3, "each of them once");
}
