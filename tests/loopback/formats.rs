//! Payload types and codecs on the wire, by the real server: acceptance #28.

use super::{
    party::{Heard, PATIENCE, Party, fresh},
    server::Server,
};
use rustix::process::Signal;

/// A description with Opus and telephone-event under these numbers, and G.711.
fn sdp(party: &Party, opus: u8, event: u8) -> String {
    party.sdp().replace(
        "RTP/AVP 0\r\n",
        &format!(
            "RTP/AVP {opus} 0 {event}\r\na=rtpmap:{opus} opus/48000/2\r\na=rtpmap:{event} telephone-event/48000\r\n\
             a=fmtp:{event} 0-15\r\n"
        ),
    )
}

/// The formats that a description has.
fn formats(heard: &Heard) -> Vec<&str> {
    let line = heard.0.lines().find(|line| line.starts_with("m=audio "));
    line.map(|line| line.split_whitespace().skip(3).collect())
        .unwrap_or_default()
}

/// A call whose parties have those numbers.
fn answered(caller: &mut Party, callee: &mut Party, a: (u8, u8), b: (u8, u8)) -> (Heard, Heard) {
    let plain = caller.invite(&fresh("call"), "sip:bob@example.org");
    let (head, body) = plain.split_once("\r\n\r\n").expect("a body");
    let own = sdp(caller, a.0, a.1);
    let head = head.replace(
        &format!("Content-Length: {}", body.len()),
        &format!("Content-Length: {}", own.len()),
    );
    caller.send(&format!("{head}\r\n\r\n{own}"));
    let asked = callee.expect("INVITE ");
    let theirs = sdp(callee, b.0, b.1);
    callee.respond(&asked, "200 OK", &theirs);
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");
    (asked, answered)
}

fn packet(second: u8, sequence: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, second, 0, sequence, 0, 0, 0, 7, 1, 2, 3, 4];
    packet.extend_from_slice(payload);
    packet
}

/// Sends packets one by one and returns those that arrive; each must arrive.
fn carry(from: &Party, to: &Heard, other: &Party, packets: &[Vec<u8>]) -> Vec<Vec<u8>> {
    other
        .audio
        .set_read_timeout(Some(PATIENCE))
        .expect("a valid time");
    let mut buffer = [0; 2048];
    let mut carry = |packet: &Vec<u8>| {
        from.audio.send_to(packet, to.audio()).expect("sent");
        let length = other.audio.recv(&mut buffer).expect("it arrives");
        buffer[..length].to_vec()
    };
    packets.iter().map(&mut carry).collect()
}

#[test]
fn acceptance_28_voice_and_digits_are_renumbered_between_the_legs() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let (asked, told) = answered(&mut caller, &mut callee, (96, 101), (120, 97));
    assert_eq!(formats(&asked), ["96", "0", "101"]);
    assert_eq!(formats(&told), ["96", "0", "101"], "{}", told.0);
    // The relay is told of the answer before the caller is: what is sent now finds it ready.
    let spoken = |opus: u8, event: u8| {
        let mut packets = vec![packet(0x80 | opus, 1, b"voice"), packet(0, 2, b"voice")];
        for (place, (marker, payload)) in [
            (0x80, [5, 10, 0, 160]),
            (0, [5, 10, 1, 64]),
            (0, [5, 0x8a, 1, 224]),
            (0, [5, 0x8a, 1, 224]),
            (0, [5, 0x8a, 1, 224]),
        ]
        .into_iter()
        .enumerate()
        {
            packets.push(packet(marker | event, 3 + place as u8, &payload));
        }
        packets
    };
    assert_eq!(carry(&caller, &told, &callee, &spoken(96, 101)), spoken(120, 97));
    assert_eq!(carry(&callee, &asked, &caller, &spoken(96, 101)), spoken(96, 101));
    assert_eq!(
        carry(&callee, &asked, &caller, &spoken(120, 97)),
        spoken(96, 101),
        "by its own numbers"
    );
    caller.send(&caller.within("BYE", 2, &told));
    caller.expect("SIP/2.0 200");
    let bye = callee.expect("BYE ");
    callee.respond(&bye, "200 OK", "");
    server.until_empty();
}

#[test]
fn codecs_that_are_not_wanted_are_offered_to_nobody_from_the_next_call_on() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let proxy = callee.uri();
    let server = Server::start(&proxy, "audio-codec=opus/48000\n");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let (asked, told) = answered(&mut caller, &mut callee, (96, 101), (96, 101));
    assert_eq!(formats(&asked), ["96", "101"]);
    assert_eq!(formats(&told), ["96", "101"]);

    server.service.rewrite(&format!(
        "[b2bua-server]\noutbound-proxy={proxy}\naudio-codec=G722/8000\n"
    ));
    server.service.signal(Signal::HUP);
    server.until(|_| server.service.output().contains("reloaded "));
    let refused = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&refused);
    let no = caller.expect("SIP/2.0 488");
    caller.ack_failure(&refused, &no);
    // The running call keeps what it began with.
    let held = format!("{}a=sendonly\r\n", sdp(&caller, 96, 101));
    caller.send(&caller.within_with("INVITE", 2, &told, &held));
    assert_eq!(formats(&callee.expect("INVITE ")), ["96", "101"]);
}
