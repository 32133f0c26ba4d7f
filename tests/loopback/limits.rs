//! What there may be at most, and what happens beyond it.

use super::{
    party::{Party, fresh},
    server::Server,
    talk::taken,
};
use rustix::process::Signal;

#[test]
fn beyond_max_calls_there_is_503_with_retry_after_until_a_call_ends() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "max-calls=1\n");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let first = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&first);
    let asked = callee.expect("INVITE ");
    let second = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&second);
    let full = caller.expect("SIP/2.0 503");
    assert!(full.field("Retry-After").parse::<u32>().is_ok(), "{}", full.0);
    caller.ack_failure(&second, &full);
    assert_eq!(server.gauges()["refused"], 1);
    // The call that exists is served all the same.
    callee.respond(&asked, "486 Busy Here", "");
    callee.expect("ACK ");
    let busy = caller.expect("SIP/2.0 486");
    caller.ack_failure(&first, &busy);
    server.until_empty();
    // A repetition that was on its way is of a call that its caller has given up, though there would be room by now.
    caller.send(&second);
    caller.expect("SIP/2.0 503");
    callee.expect_silence();
    let gauges = server.gauges();
    assert_eq!((gauges["refused"], gauges["taken"]), (1, 1));
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    callee.expect("INVITE ");
}

#[test]
fn a_server_that_stops_refuses_calls_and_tells_both_parties_of_the_rest() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let mut server = Server::start(&callee.uri(), "drain-timeout=1\n");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let (_, answered) = taken(&mut caller, &mut callee);

    server.service.signal(Signal::TERM);
    server.until_logged("told to stop");
    let mut late = Party::udp("127.0.0.1", server.udp());
    late.send(&late.invite(&fresh("call"), "sip:bob@example.org"));
    let refused = late.expect("SIP/2.0 503");
    assert!(!refused.field("Retry-After").is_empty());
    // In-dialog traffic goes on meanwhile.
    caller.send(&caller.within("OPTIONS", 2, &answered));
    caller.expect("SIP/2.0 200");

    for party in [&mut caller, &mut callee] {
        let bye = party.expect("BYE ");
        assert!(!bye.field("Reason").is_empty(), "the BYE says why:\n{}", bye.0);
        party.respond(&bye, "200 OK", "");
    }
    let status = server.service.ended();
    assert!(status.success(), "{status}");
}

#[test]
fn a_party_that_floods_its_own_call_hurts_nobody_else() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&invite);
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "180 Ringing", "");
    caller.expect("SIP/2.0 180");
    for _ in 0..3000 {
        caller.send(&invite);
    }
    let mut honest = Party::udp("127.0.0.1", server.udp());
    honest.send(&honest.invite(&fresh("call"), "sip:carol@example.org"));
    callee.expect("INVITE sip:carol@");
    honest.expect("SIP/2.0 100");
    assert_eq!(server.gauges()["calls"], 2);
}

#[test]
fn a_callee_that_answers_after_it_was_given_up_leaves_nothing_behind() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "unanswered-timeout=1\n");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    for late in ["486 Busy Here", "200 OK", "180 Ringing"] {
        let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
        caller.send(&invite);
        let asked = callee.expect("INVITE ");
        let failed = caller.expect("SIP/2.0 480");
        caller.ack_failure(&invite, &failed);
        callee.respond(&asked, "180 Ringing", "");
        let cancel = callee.expect("CANCEL ");
        callee.respond(
            &asked,
            late,
            &if late.starts_with('2') {
                callee.sdp()
            } else {
                String::new()
            },
        );
        callee.respond(&cancel, "200 OK", "");
        match late {
            "180 Ringing" => callee.respond(&asked, "487 Request Terminated", ""),
            "200 OK" => {
                callee.expect("ACK ");
                let bye = callee.expect("BYE ");
                callee.respond(&bye, "200 OK", "");
                continue;
            }
            _ => {}
        }
        callee.expect("ACK ");
    }
    server.until_empty();
}
