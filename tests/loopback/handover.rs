//! A call moves to another device by INVITE with Replaces (RFC 3891), on the wire (acceptance #6).

use super::{
    carriers::{self, Authority},
    exhausted::four_ports,
    party::{Heard, Party, fresh},
    server::Server,
    talk::taken,
};
use std::{
    net::UdpSocket,
    time::{Duration, Instant},
};

/// The dialog that a response to an INVITE of ours made, for whoever is to take our place.
fn replaces(answered: &Heard) -> String {
    let tag = |field: &str| {
        let value = answered.field(field);
        value.split(";tag=").nth(1).expect("a tag").to_owned()
    };
    format!(
        "{};to-tag={};from-tag={}",
        answered.field("Call-ID"),
        tag("To"),
        tag("From")
    )
}

/// An INVITE for the place of that dialog's party.
pub(crate) fn taking_over(device: &Party, replaces: &str) -> String {
    let call_id = fresh("device");
    let more = format!(
        "From: <sip:alice@example.org>;tag=d{call_id}\r\nTo: <sip:bob@example.org>\r\nCall-ID: {call_id}\r\n\
         CSeq: 1 INVITE\r\nReplaces: {replaces}\r\n"
    );
    device.request("INVITE", "sip:bob@example.org", &more, &device.sdp())
}

#[test]
fn acceptance_6_a_call_moves_to_another_device_and_the_former_path_is_refused() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let more = "transfer-mode=execute\ntrusted-hosts=127.0.0.1 127.0.0.2\n";
    let server = Server::start(&callee.uri(), more);
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let mut device = Party::udp("127.0.0.2", server.udp());
    let mut stranger = Party::udp("127.0.0.3", server.udp());

    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let (_, answered) = taken(&mut caller, &mut callee);
    let named = replaces(&answered);

    // Who may not call may not take over either.
    stranger.send(&taking_over(&stranger, &named));
    stranger.expect("SIP/2.0 403");
    // Its call, but not its dialog.
    let wrong = taking_over(&device, &named.replace(";from-tag=", ";from-tag=x"));
    device.send(&wrong);
    let refused = device.expect("SIP/2.0 481");
    device.send(&wrong);
    assert_eq!(
        device.expect("SIP/2.0 481").0,
        refused.0,
        "what is said again is answered again"
    );
    device.ack_failure(&wrong, &refused);
    caller.speak(&answered, &callee);

    // One that the callee refuses leaves the call as it was, and so does one that is cancelled.
    let invite = taking_over(&device, &named);
    device.send(&invite);
    let offered = callee.expect("INVITE ");
    callee.respond(&offered, "488 Not Acceptable Here", "");
    let refused = device.expect("SIP/2.0 488");
    device.ack_failure(&invite, &refused);
    callee.expect("ACK ");
    let invite = taking_over(&device, &named);
    device.send(&invite);
    let offered = callee.expect("INVITE ");
    callee.respond(&offered, "100 Trying", "");
    device.cancel(&invite);
    device.expect("SIP/2.0 200");
    let refused = device.expect("SIP/2.0 487");
    device.ack_failure(&invite, &refused);
    let cancel = callee.expect("CANCEL ");
    callee.respond(&cancel, "200 OK", "");
    callee.respond(&offered, "487 Request Terminated", "");
    callee.expect("ACK ");
    caller.speak(&answered, &callee);

    device.send(&taking_over(&device, &named));
    let offered = callee.expect("INVITE ");
    callee.respond(&offered, "200 OK", &callee.sdp());
    let took = device.expect("SIP/2.0 200");
    let since = Instant::now();
    device.send(&device.within("ACK", 1, &took));
    let heard = device.speak(&took, &callee);
    assert_eq!(&heard[12..], [0x55; 160], "the device is heard");
    let heard = callee.speak(&offered, &device);
    assert_eq!(&heard[12..], [0x55; 160], "and hears");
    assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
    callee.expect("ACK ");
    let bye = caller.expect("BYE ");
    caller.respond(&bye, "200 OK", "");
    caller.expect_not_heard(&answered, &callee);
    assert_eq!(server.gauges()["calls"], 1, "it is one call still");

    device.send(&device.within("BYE", 2, &took));
    device.expect("SIP/2.0 200");
    let bye = callee.expect("BYE ");
    callee.respond(&bye, "200 OK", "");
    server.until_empty();
}

/// A device that the server reaches from another address than the phone whose place it takes, also of the other family: its media
/// lives there, at ports of its own. Where none is left, it is refused, and the call goes on.
#[test]
fn a_device_that_is_reached_from_another_address_has_ports_of_its_own() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let first = four_ports();
    let more = format!(
        "transfer-mode=execute\ntrusted-hosts=127.0.0.1 127.0.0.2 ::1\naudio-port={first}-{}\n",
        first + 3
    );
    let server = Server::listening_on(
        "sip:127.0.0.1:0 sip:127.0.0.2:0 sip:[::1]:0",
        &callee.uri(),
        &more,
    );
    let mut caller = Party::udp("127.0.0.1", server.udp_of("127.0.0.1"));
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let mut offered = callee.expect("INVITE ");
    callee.respond(&offered, "200 OK", &callee.sdp());
    let mut answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");
    let ports = server.gauges()["media-ports"];

    // Another program has all that are left at the other address.
    let taken: Vec<_> = [first, first + 2]
        .map(|port| UdpSocket::bind(("127.0.0.2", port)).expect("nobody has it"))
        .into();
    let mut device = Party::udp("127.0.0.2", server.udp_of("127.0.0.2"));
    let invite = taking_over(&device, &replaces(&answered));
    device.send(&invite);
    let refused = device.expect("SIP/2.0 503");
    assert!(!refused.field("Retry-After").is_empty(), "{}", refused.0);
    device.ack_failure(&invite, &refused);
    callee.expect_silence();
    caller.speak(&answered, &callee);
    assert_eq!(server.gauges()["media-ports"], ports);
    drop(taken);

    // To the other address, to the other family, and back.
    for host in ["127.0.0.2", "::1", "127.0.0.1"] {
        let at = if host == "::1" {
            server.udp6()
        } else {
            server.udp_of(host)
        };
        let mut device = Party::udp(host, at);
        device.send(&taking_over(&device, &replaces(&answered)));
        offered = callee.expect("INVITE ");
        callee.respond(&offered, "200 OK", &callee.sdp());
        let took = device.expect("SIP/2.0 200");
        assert_eq!(took.audio().ip(), at.ip());
        device.send(&device.within("ACK", 1, &took));
        callee.expect("ACK ");
        assert_eq!(
            &device.speak(&took, &callee)[12..],
            [0x55; 160],
            "{host}: the device is heard"
        );
        assert_eq!(
            &callee.speak(&offered, &device)[12..],
            [0x55; 160],
            "{host}: and hears"
        );
        let bye = caller.expect("BYE ");
        caller.respond(&bye, "200 OK", "");
        let used = server.until(|gauges| gauges["media-ports"] == ports);
        assert_eq!(used["calls"], 1);
        (caller, answered) = (device, took);
    }
    caller.send(&caller.within("BYE", 2, &answered));
    caller.expect("SIP/2.0 200");
    let bye = callee.expect("BYE ");
    callee.respond(&bye, "200 OK", "");
    server.until_empty();
}

/// From UDP over connections to a browser, which no address leads to: the callee's BYE finds it by its WebSocket.
#[test]
fn a_call_moves_to_devices_of_other_transports_and_to_a_browser() {
    let authority = Authority::new();
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::listening_on(
        "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp sips:127.0.0.1:0 sip:127.0.0.1:0;transport=wss",
        &callee.uri(),
        &format!("{}transfer-mode=execute\n", authority.lines()),
    );
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let (asked, mut answered) = taken(&mut caller, &mut callee);
    let devices = [
        Party::tcp(server.tcp()),
        carriers::tls(authority.client(false), server.tls()),
        carriers::wss(authority.client(false), server.wss()),
    ];
    for mut device in devices {
        let transport = device.transport();
        device.send(&taking_over(&device, &replaces(&answered)));
        let offered = callee.expect("INVITE ");
        callee.respond(&offered, "200 OK", &callee.sdp());
        let took = device.expect("SIP/2.0 200");
        device.send(&device.within("ACK", 1, &took));
        callee.expect("ACK ");
        let heard = device.speak(&took, &callee);
        assert_eq!(&heard[12..], [0x55; 160], "{transport} is heard");
        let heard = callee.speak(&offered, &device);
        assert_eq!(&heard[12..], [0x55; 160], "{transport} hears");
        let bye = caller.expect("BYE ");
        caller.respond(&bye, "200 OK", "");
        (caller, answered) = (device, took);
    }
    assert_eq!(server.gauges()["calls"], 1);
    callee.send(&callee.within("BYE", 2, &asked));
    callee.expect("SIP/2.0 200");
    let bye = caller.expect("BYE ");
    assert!(bye.start().contains(".invalid;transport=ws "), "{}", bye.0);
    caller.respond(&bye, "200 OK", "");
    server.until_empty();
}
