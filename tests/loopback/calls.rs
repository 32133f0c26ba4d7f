//! Whole calls.

use super::{
    party::{Party, fresh},
    server::Server,
    talk::{answered, taken},
};
use std::net::TcpListener;

#[test]
fn a_call_is_set_up_talks_both_ways_and_ends() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let talk = answered(&mut caller, &mut callee);

    let heard = caller.speak(&talk.answered, &callee);
    assert_eq!(
        &heard[12..],
        [0x55; 160],
        "the caller's audio is what the callee hears"
    );
    let heard = callee.speak(&talk.asked, &caller);
    assert_eq!(
        &heard[12..],
        [0x55; 160],
        "the callee's audio is what the caller hears"
    );
    assert_eq!(server.gauges()["calls"], 1);

    caller.send(&caller.within("BYE", 2, &talk.answered));
    caller.expect("SIP/2.0 200");
    let bye = callee.expect("BYE ");
    callee.respond(&bye, "200 OK", "");
    server.until_empty();
    assert_eq!(server.gauges()["answered"], 1);
}

#[test]
fn a_call_over_tcp_ends_by_the_callee_over_the_same_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = format!("sip:{};transport=tcp", listener.local_addr().expect("bound"));
    let server = Server::start(&proxy, "");
    let mut caller = Party::tcp(server.tcp());
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    // In pieces, as streams come.
    let (first, rest) = invite.split_at(100);
    caller.send(first);
    caller.expect_silence();
    caller.send(rest);
    let mut callee = Party::accepted(&listener);
    let (asked, _) = taken(&mut caller, &mut callee);

    callee.send(&callee.within("BYE", 1, &asked));
    callee.expect("SIP/2.0 200");
    let bye = caller.expect("BYE ");
    caller.respond(&bye, "200 OK", "");
    server.until_empty();
    assert_eq!(server.gauges()["connections"], 2, "one connection a side");
}

#[test]
fn a_failure_reaches_the_caller_and_its_repeated_invite_gets_it_again() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&invite);
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "486 Busy Here", "");
    callee.expect("ACK ");
    let busy = caller.expect("SIP/2.0 486");
    caller.ack_failure(&invite, &busy);
    server.until_empty();
    assert!(server.gauges()["tombstones"] > 0);
    caller.send(&invite);
    let again = caller.expect("SIP/2.0 486");
    assert_eq!(again.field("To"), busy.field("To"));
    callee.expect_silence();
}

#[test]
fn a_cancelled_call_is_cancelled_on_the_other_side() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&invite);
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "180 Ringing", "");
    caller.expect("SIP/2.0 180");
    caller.cancel(&invite);
    caller.expect("SIP/2.0 200");
    let terminated = caller.expect("SIP/2.0 487");
    caller.ack_failure(&invite, &terminated);
    let cancel = callee.expect("CANCEL ");
    callee.respond(&cancel, "200 OK", "");
    callee.respond(&asked, "487 Request Terminated", "");
    callee.expect("ACK ");
    server.until_empty();
}

#[test]
fn ipv4_calls_ipv6_and_media_crosses() {
    let mut callee = Party::udp("::1", "[::1]:9".parse().expect("an address"));
    let server = Server::listening_on("sip:127.0.0.1:0 sip:[::1]:0", &callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let talk = answered(&mut caller, &mut callee);
    assert!(talk.asked.field("Via").contains(&format!("{}", server.udp6())));
    assert!(talk.asked.audio().is_ipv6() && talk.answered.audio().is_ipv4());
    caller.speak(&talk.answered, &callee);
    callee.speak(&talk.asked, &caller);
    assert!(talk.invite.contains("127.0.0.1"));
    assert!(
        !talk.asked.0.contains("127.0.0.1"),
        "nothing of the caller's network shows:\n{}",
        talk.asked.0
    );
    callee.send(&callee.within("BYE", 1, &talk.asked));
    callee.expect("SIP/2.0 200");
    let bye = caller.expect("BYE ");
    caller.respond(&bye, "200 OK", "");
    server.until_empty();
}

#[test]
fn keys_and_passwords_are_not_in_the_log_of_a_full_trace() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let key = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    let invite = caller
        .invite(&fresh("call"), "sip:bob@example.org")
        .replace("RTP/AVP 0", "RTP/SAVP 0");
    let (head, body) = invite.split_once("\r\n\r\n").expect("a body");
    let body = format!("{body}a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n");
    let head = head.split("\r\nContent-Length").next().expect("a head");
    caller.send(&format!(
        "{head}\r\nAuthorization: Digest username=\"alice\", response=\"0123456789abcdef0123456789abcdef\"\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    let asked = callee.expect("INVITE ");
    let offered = asked
        .0
        .split("inline:")
        .nth(1)
        .expect("SDES is offered to the callee");
    let offered: String = offered
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || "+/=".contains(*c))
        .collect();
    callee.respond(&asked, "486 Busy Here", "");
    caller.expect("SIP/2.0 486");
    server.gauges();
    let log = server.service.output();
    assert!(log.contains("inline:<hidden>"), "messages are in the log");
    for secret in [key, &offered, "0123456789abcdef0123456789abcdef"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
