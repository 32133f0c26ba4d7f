//! Datagrams and streams at their edges.

use super::{
    party::{Party, SILENCE, fresh},
    server::Server,
    talk::taken,
};
use std::net::TcpListener;

fn nobody() -> std::net::SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

fn options(party: &Party) -> String {
    let id = fresh("o");
    let more = format!(
        "From: <sip:alice@example.org>;tag={id}\r\nTo: <sip:bob@example.org>\r\nCall-ID: {id}\r\nCSeq: 1 OPTIONS\r\n"
    );
    party.request("OPTIONS", "sip:bob@example.org", &more, "")
}

#[test]
fn several_messages_in_one_segment_are_all_answered() {
    let server = Server::start("sip:127.0.0.1:9", "");
    let mut caller = Party::tcp(server.tcp());
    let text: String = (0..20).map(|_| options(&caller)).collect();
    caller.send(&text);
    for _ in 0..20 {
        assert_eq!(caller.hear().start(), "SIP/2.0 200 OK");
    }
}

#[test]
fn a_ping_is_answered_with_a_pong() {
    let server = Server::start("sip:127.0.0.1:9", "");
    let mut caller = Party::tcp(server.tcp());
    caller.send("\r\n\r\n");
    assert_eq!(caller.raw(), b"\r\n");
    caller.send(&options(&caller));
    assert_eq!(caller.hear().start(), "SIP/2.0 200 OK");
}

#[test]
fn a_stream_that_lost_its_framing_gets_400_and_is_closed() {
    let server = Server::start("sip:127.0.0.1:9", "");
    let mut caller = Party::tcp(server.tcp());
    caller.send(&options(&caller).replace("Content-Length: 0", "Content-Length: none"));
    assert!(caller.hear().start().starts_with("SIP/2.0 400 "));
    assert!(caller.is_closed());
    let mut caller = Party::tcp(server.tcp());
    caller.send(&"x".repeat(100_000));
    assert!(caller.is_closed());
    server.until(|gauges| gauges["connections"] == 0);
}

#[test]
fn who_sends_its_request_and_closes_its_half_is_answered() {
    let server = Server::start("sip:127.0.0.1:9", "");
    let mut caller = Party::tcp(server.tcp());
    caller.send(&options(&caller));
    caller.close_half();
    assert_eq!(caller.hear().start(), "SIP/2.0 200 OK");
    assert!(caller.is_closed());
}

#[test]
fn acceptance_33_a_request_too_large_for_a_datagram_goes_by_tcp_and_comes_back_to_udp_where_there_is_none() {
    // The same port number for both, as a server has.
    let (listener, mut udp) = loop {
        let udp = Party::udp("127.0.0.1", nobody());
        if let Ok(listener) = TcpListener::bind(udp.address) {
            break (listener, udp);
        }
    };
    let server = Server::start(&udp.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let large = |caller: &Party| {
        caller.invite(&fresh("call"), "sip:bob@example.org").replace(
            "Max-Forwards",
            &format!("X-Ballast: {}\r\nMax-Forwards", "x".repeat(1500)),
        )
    };
    caller.send(&large(&caller));
    let mut tcp = Party::accepted(&listener);
    let asked = tcp.expect("INVITE ");
    assert!(asked.field("Via").starts_with("SIP/2.0/TCP "));
    tcp.respond(&asked, "486 Busy Here", "");
    caller.expect("SIP/2.0 486");
    assert!(udp.hear_within(SILENCE).is_none(), "not by UDP as well");

    drop((tcp, listener));
    server.until(|gauges| gauges["connections"] == 0);
    caller.send(&large(&caller));
    let asked = udp.expect("INVITE ");
    assert!(asked.field("Via").starts_with("SIP/2.0/UDP "));
}

#[test]
fn a_response_finds_its_way_when_the_connection_of_the_request_has_gone() {
    let mut callee = Party::udp("127.0.0.1", nobody());
    let server = Server::start(&callee.uri(), "");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let listening = listener.local_addr().expect("bound");
    let mut caller = Party::tcp(server.tcp());
    // RFC 3261 §18.2.2: then a connection to the sent-by.
    let invite = caller
        .invite(&fresh("call"), "sip:bob@example.org")
        .replace(
            &format!("{};branch", caller.address),
            &format!("{listening};branch"),
        )
        .replace(";rport", "");
    caller.send(&invite);
    let asked = callee.expect("INVITE ");
    caller.hear();
    drop(caller);
    server.until(|gauges| gauges["connections"] == 0);
    callee.respond(&asked, "486 Busy Here", "");
    let mut caller = Party::accepted(&listener);
    caller.expect("SIP/2.0 486");
}

#[test]
fn a_transport_that_is_not_listened_on_can_be_called_and_calls_back() {
    let mut callee = Party::udp("127.0.0.1", nobody());
    let server = Server::listening_on("sip:127.0.0.1:0;transport=tcp", &callee.uri(), "");
    let mut caller = Party::tcp(server.tcp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let (asked, _) = taken(&mut caller, &mut callee);
    let contact = asked.field("Contact");
    assert!(
        !contact.contains("transport=tcp") && contact.contains("127.0.0.1:"),
        "{contact}"
    );
    // To the Contact, from a socket that it never wrote to.
    let mut elsewhere = Party::udp("127.0.0.1", callee.peer);
    elsewhere.send(&elsewhere.within("BYE", 1, &asked));
    elsewhere.expect("SIP/2.0 200");
    let bye = caller.expect("BYE ");
    caller.respond(&bye, "200 OK", "");
    server.until_empty();
}

#[test]
fn an_address_that_is_named_is_the_only_one_that_is_bound() {
    let server = Server::start("sip:127.0.0.1:9", "");
    let port = server.tcp().port();
    assert!(std::net::TcpStream::connect(("127.0.0.2", port)).is_err());
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
}

/// Two addresses on one network, of which the kernel would always take the first.
#[test]
fn a_caller_is_spoken_to_from_the_address_that_it_chose_and_learns_of_no_other() {
    let mut callee = Party::udp("127.0.0.3", nobody());
    let server = Server::listening_on(
        "sip:127.0.0.1:0 sip:127.0.0.2:0",
        &callee.uri(),
        "trusted-hosts=127.0.0.0/8\n",
    );
    let mut caller = Party::udp("127.0.0.4", server.udp_of("127.0.0.2"));
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let (asked, answered) = taken(&mut caller, &mut callee);
    callee.send(&callee.within_with("INVITE", 1, &asked, &format!("{}a=sendonly\r\n", callee.sdp())));
    let offered = caller.expect("INVITE ");
    assert_eq!(caller.peer, server.udp_of("127.0.0.2"));
    caller.respond(&offered, "200 OK", &caller.sdp());
    let accepted = callee.expect("SIP/2.0 200");
    callee.send(&callee.within("ACK", 1, &asked));
    caller.expect("ACK ");
    callee.send(&callee.within("BYE", 2, &asked));
    callee.expect("SIP/2.0 200");
    let bye = caller.expect("BYE ");
    caller.respond(&bye, "200 OK", "");
    server.until_empty();
    for (heard, strange) in [
        (&answered, "127.0.0.1"),
        (&offered, "127.0.0.1"),
        (&bye, "127.0.0.1"),
        (&asked, "127.0.0.2"),
        (&accepted, "127.0.0.2"),
    ] {
        assert!(!heard.0.contains(strange), "{}", heard.0);
    }
}
