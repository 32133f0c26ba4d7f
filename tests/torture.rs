//! Messages made to break SIP elements, sent to the real binary: what it answers, what reaches the callee, and whether a
//! normal call still works after each.
//!
//! By default the messages of `tests/wire`. `tests/torture-run DIRECTORY` runs those of another collection whose
//! `index.json` has the same fields: `good` and `tolerated` outcomes, and `checks` of what reached the callee.

#![allow(clippy::disallowed_methods, reason = "real sockets live in real time")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

#[path = "config/process.rs"]
mod process;

#[path = "loopback/party.rs"]
mod party;
#[path = "loopback/server.rs"]
mod server;

mod torture {
    pub(crate) mod case;
    pub(crate) mod judge;
    pub(crate) mod message;
}

use party::{Party, fresh};
use server::Server;
use std::path::PathBuf;
use torture::{case::Case, judge::Verdict};

fn directory() -> PathBuf {
    std::env::var_os("B2BUA_TORTURE").map_or_else(|| process::repository().join("tests/wire"), PathBuf::from)
}

/// One call that is answered and ended, from end to end.
fn normal_call(server: &Server, callee: &mut Party) {
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let call_id = fresh("normal");
    let invite = caller.invite(&call_id, "sip:callee@example.org");
    caller.send(&invite);
    let offered = callee.expect("INVITE ");
    let sdp = callee.sdp();
    callee.respond(&offered, "200 OK", &sdp);
    let answered = caller.expect("SIP/2.0 200");
    let ack = caller.within("ACK", 1, &answered);
    caller.send(&ack);
    callee.expect("ACK ");
    let bye = caller.within("BYE", 2, &answered);
    caller.send(&bye);
    let ended = callee.expect("BYE ");
    callee.respond(&ended, "200 OK", "");
    caller.expect("SIP/2.0 200");
}

/// Sends each message, with a normal call after it, and judges what came of it.
fn run(cases: &[Case], caller: impl Fn(&Server) -> Party) {
    // The server sends every call to the callee, whatever the message says.
    let mut callee = Party::udp("127.0.0.1", ([127, 0, 0, 1], 9).into());
    let server = Server::start(&callee.uri(), "");
    normal_call(&server, &mut callee);
    let (mut failed, mut tolerated) = (Vec::new(), 0);
    for case in cases {
        server.service.drain();
        let outcome = case.send(caller(&server), &mut callee);
        normal_call(&server, &mut callee);
        let verdict = case.judge(&outcome);
        println!("{:32} {:9} {outcome}", case.name, verdict.word());
        match verdict {
            Verdict::Good => {}
            Verdict::Tolerated => tolerated += 1,
            Verdict::Wrong(why) => failed.push(format!("{}: {why}; {outcome}", case.name)),
        }
    }
    println!(
        "{} messages: {} good, {tolerated} tolerated, {} wrong",
        cases.len(),
        cases.len() - tolerated - failed.len(),
        failed.len()
    );
    assert!(!cases.is_empty(), "there are no messages");
    server.service.drain();
    assert_eq!(
        server.gauges()["faults"],
        0,
        "a call's task failed:\n{}",
        server.service.output()
    );
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn each_datagram_is_answered_as_it_should_be_and_a_call_works_after_it() {
    run(&Case::all(&directory()), |server| {
        Party::udp("127.0.0.1", server.udp())
    });
}

#[test]
fn each_message_of_true_length_fares_the_same_on_a_connection() {
    let mut cases = Case::all(&directory());
    cases.retain(Case::suits_streams);
    run(&cases, |server| Party::tcp(server.tcp()));
}
