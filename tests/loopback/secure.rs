//! Calls over TLS and secure WebSocket: who may place them, how they come back, and that `sips` keeps its word.

use super::{
    carriers::{self, Authority},
    party::{Heard, Party, fresh},
    server::Server,
    talk::taken,
};
use rustix::process::Signal;
use std::net::{SocketAddr, TcpListener};

const ALL: &str =
    "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp sips:127.0.0.1:0 sip:127.0.0.1:0;transport=wss";

fn nobody() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// What the callee was asked, what the caller was answered.
fn talk(caller: &mut Party, callee: &mut Party, to: &str) -> (Heard, Heard) {
    caller.send(&caller.invite(&fresh("call"), to));
    taken(caller, callee)
}

/// The callee hangs up; the caller hears of it where it is.
fn hung_up_by_callee(caller: &mut Party, callee: &mut Party, asked: &Heard) -> Heard {
    callee.send(&callee.within("BYE", 2, asked));
    callee.expect("SIP/2.0 200");
    let bye = caller.expect("BYE ");
    caller.respond(&bye, "200 OK", "");
    bye
}

#[test]
fn a_call_by_tls_on_both_legs_talks_and_comes_back_over_the_callers_own_connection() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let proxy = format!("sip:{};transport=tls", listener.local_addr().expect("bound"));
    let server = Server::listening_on(ALL, &proxy, &authority.lines());
    let mut caller = carriers::tls(authority.client(false), server.tls());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let mut callee = carriers::accepted_tls(&authority, &listener);
    let asked = callee.expect("INVITE ");
    assert!(asked.field("Via").starts_with("SIP/2.0/TLS "), "{}", asked.0);
    assert!(
        asked
            .field("Contact")
            .contains(&format!("{};transport=tls", server.tls()))
    );
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");
    assert_eq!(&caller.speak(&answered, &callee)[12..], [0x55; 160]);
    let bye = hung_up_by_callee(&mut caller, &mut callee, &asked);
    assert!(
        bye.start().starts_with(&format!("BYE {}", caller.uri())),
        "{}",
        bye.0
    );
    server.until_empty();
    // One connection of the caller, one to the callee.
    assert_eq!(server.gauges()["connections"], 2);
}

#[test]
fn a_browser_places_a_call_and_is_reached_over_its_websocket_alone() {
    let authority = Authority::new();
    let mut callee = Party::udp("127.0.0.1", nobody());
    let server = Server::listening_on(ALL, &callee.uri(), &authority.lines());
    let mut caller = carriers::wss(authority.client(false), server.wss());
    let (asked, _) = talk(&mut caller, &mut callee, "sip:bob@example.org");
    let bye = hung_up_by_callee(&mut caller, &mut callee, &asked);
    assert!(
        bye.start().contains(".invalid;transport=ws "),
        "its Contact, letter for letter: {}",
        bye.0
    );
    assert!(bye.field("Via").starts_with("SIP/2.0/WSS "), "{}", bye.0);
    server.until_empty();
}

#[test]
fn a_sips_call_is_sips_on_both_legs_and_goes_nowhere_without_tls() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    // A route that says TCP: TLS leads there all the same (RFC 5630 §4).
    let proxy = format!("sip:{};transport=tcp", listener.local_addr().expect("bound"));
    let server = Server::listening_on(ALL, &proxy, &authority.lines());
    let mut caller = carriers::tls(authority.client(false), server.tls());
    caller.send(&caller.invite(&fresh("call"), "sips:bob@example.org"));
    let mut callee = carriers::accepted_tls(&authority, &listener);
    let asked = callee.expect("INVITE sips:bob@example.org ");
    assert!(asked.field("Contact").starts_with("<sips:"), "{}", asked.0);
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    assert!(answered.field("Contact").starts_with("<sips:"), "{}", answered.0);
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");

    let mut plain = Party::udp("127.0.0.1", nobody());
    let server = Server::listening_on(ALL, &plain.uri(), &authority.lines());
    let mut caller = carriers::tls(authority.client(false), server.tls());
    caller.send(&caller.invite(&fresh("call"), "sips:bob@example.org"));
    caller.expect("SIP/2.0 5");
    plain.expect_silence();
}

#[test]
fn who_shows_a_certificate_of_our_authority_may_call_from_anywhere() {
    let authority = Authority::new();
    let mut callee = Party::udp("127.0.0.2", nobody());
    let lines = format!(
        "{}tls-verify=optional\ntrusted-hosts=127.0.0.2\n",
        authority.lines()
    );
    let server = Server::listening_on(ALL, &callee.uri(), &lines);
    let mut nameless = carriers::tls(authority.client(false), server.tls());
    nameless.send(&nameless.invite(&fresh("call"), "sip:bob@example.org"));
    nameless.expect("SIP/2.0 403");
    let known = authority.client(true);
    let callers = [
        carriers::tls(known.clone(), server.tls()),
        carriers::wss(known, server.wss()),
    ];
    for mut caller in callers {
        let (asked, _) = talk(&mut caller, &mut callee, "sip:bob@example.org");
        hung_up_by_callee(&mut caller, &mut callee, &asked);
    }
    server.until_empty();
}

#[test]
fn a_reload_shows_the_new_certificate_and_drops_no_call() {
    let authority = Authority::new();
    let mut callee = Party::udp("127.0.0.1", nobody());
    let lines = authority.lines();
    let server = Server::listening_on(ALL, &callee.uri(), &lines);
    let mut caller = carriers::tls(authority.client(false), server.tls());
    let (asked, _) = talk(&mut caller, &mut callee, "sip:bob@example.org");

    // Files that cannot be used change nothing.
    std::fs::write(authority.file("server.key"), "no key").expect("writable");
    server.service.signal(Signal::HUP);
    server.until_logged("server.key holds no unencrypted private key");
    server.until_logged("not reloaded");
    carriers::tls(authority.client(false), server.tls()).send("\r\n\r\n");

    // Another authority altogether: who knows only the old one is not fooled.
    let other = Authority::new();
    for name in ["server.pem", "server.key", "ca.pem"] {
        std::fs::copy(other.file(name), authority.file(name)).expect("writable");
    }
    server.service.signal(Signal::HUP);
    server.until(|_| server.service.output().contains("reloaded "));
    let mut after = carriers::tls(other.client(false), server.tls());
    let (second, _) = talk(&mut after, &mut callee, "sip:carol@example.org");
    hung_up_by_callee(&mut after, &mut callee, &second);
    hung_up_by_callee(&mut caller, &mut callee, &asked);
    server.until_empty();
}
