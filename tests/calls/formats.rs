//! Payload types that differ per leg: acceptance #28.

use b2bua::{
    call::{Encryption, EncryptionPolicy, Side},
    sdp::Sdp,
    sip::{Message, Request, Response},
    testing::{Carrier, Scene, Sim, Verdicts, privacy::description},
};
use std::time::Duration;

/// Opus, and telephone-event at both clock rates.
type Numbers = [u8; 3];

const A: Numbers = [96, 101, 110];
/// Other numbers, some of which mean something else on leg A.
const B: Numbers = [110, 120, 97];

pub(crate) fn audio(user: &str, version: u32, [opus, narrow, wide]: Numbers, more: &str) -> String {
    let (host, port) = match user {
        "alice" => ("192.0.2.10", 30_000),
        _ => ("192.0.2.200", 40_000),
    };
    format!(
        "v=0\r\no={user}-login 77 {version} IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {opus} 0 {narrow} {wide}\r\na=rtpmap:{opus} opus/48000/2\r\n\
         a=fmtp:{opus} useinbandfec=1\r\na=rtpmap:{narrow} telephone-event/8000\r\na=fmtp:{narrow} 0-15\r\n\
         a=rtpmap:{wide} telephone-event/48000\r\na=fmtp:{wide} 0-16\r\n{more}"
    )
}

/// Which numbers a description has, as its `rtpmap` lines say.
pub(crate) fn numbers(sdp: &Sdp) -> Numbers {
    let media = &sdp.media[0];
    let of = |name: &str| {
        let lines: Vec<&str> = media
            .attributes("rtpmap")
            .filter(|line| line.ends_with(name))
            .collect();
        assert_eq!(lines.len(), 1, "{name} once in {media:?}");
        lines[0].split_once(' ').unwrap().0.parse().unwrap()
    };
    let found = [
        of("opus/48000/2"),
        of("telephone-event/8000"),
        of("telephone-event/48000"),
    ];
    // The parameters went along.
    for (number, parameters) in found.iter().zip(["useinbandfec=1", "0-15", "0-16"]) {
        assert!(
            media
                .attributes("fmtp")
                .any(|line| line == format!("{number} {parameters}"))
        );
    }
    let list = format!("{} 0 {} {}", found[0], found[1], found[2]);
    assert_eq!(media.formats, list);
    found
}

pub(crate) fn asked(request: Request) -> Sdp {
    description(&Message::Request(request)).expect("a description")
}
pub(crate) fn answered(response: Response) -> Sdp {
    description(&Message::Response(response)).expect("a description")
}

pub(crate) fn sim() -> Sim {
    Sim::new(Verdicts::direct(EncryptionPolicy::Only(Encryption::None)))
}
pub(crate) fn pause(sim: &mut Sim) {
    sim.run(Duration::from_millis(20));
}

/// A call whose callee answers with numbers of its own: what each leg was told.
fn talking(b: Numbers) -> (Sim, [Numbers; 2]) {
    let mut sim = sim();
    let invite = sim.a.invite("sip:bob@example.org", "", &audio("alice", 1, A, ""));
    sim.send(Side::A, invite);
    pause(&mut sim);
    let offered = numbers(&asked(sim.b.take_request("INVITE").unwrap()));
    let answer = sim.b.respond("INVITE", 200, "", "", &audio("bob", 1, b, ""));
    sim.send(Side::B, answer);
    pause(&mut sim);
    let told = numbers(&answered(sim.a.response(200).unwrap()));
    let ack = sim.a.ack("");
    sim.send(Side::A, ack);
    pause(&mut sim);
    (sim, [told, offered])
}

/// Everything that one phone sends: voice, and each digit at both clock rates, as RFC 4733 §2.5 has them: the beginning
/// marked, then its growing duration, then the end three times over.
fn speech([opus, narrow, wide]: Numbers) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut send = |second: u8, timestamp: u32, payload: &[u8]| {
        let number = u16::try_from(packets.len()).unwrap();
        let mut packet = vec![0x80, second];
        packet.extend(number.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend([1, 2, 3, 4]);
        packet.extend(payload);
        packets.push(packet);
    };
    for (index, (number, step)) in [(narrow, 160_u16), (wide, 960)].into_iter().enumerate() {
        for digit in 0..16_u8 {
            let timestamp = 1_000_000 * (index as u32 + 1) + 48_000 * u32::from(digit);
            send(opus, timestamp - 960, b"voice");
            for turn in 1..=5 {
                let marker = if turn == 1 { 0x80 } else { 0 };
                let [high, low] = (turn * step).to_be_bytes();
                send(marker | number, timestamp, &[digit, 10, high, low]);
            }
            let [high, low] = (6 * step).to_be_bytes();
            (0..3).for_each(|_| send(number, timestamp, &[digit, 0x80 | 10, high, low]));
        }
    }
    packets
}

/// The digits that a phone hears: an event counts when its end comes for the first time (RFC 4733 §2.5.1.4).
fn digits(packets: &[Vec<u8>], number: u8) -> Vec<(u8, u16)> {
    let mut heard: Vec<(u32, u8, u16)> = Vec::new();
    for packet in packets.iter().filter(|packet| packet[1] & 0x7f == number) {
        let timestamp = u32::from_be_bytes(packet[4..8].try_into().unwrap());
        let (digit, ends) = (packet[12], packet[13] & 0x80 != 0);
        let duration = u16::from_be_bytes([packet[14], packet[15]]);
        if ends && !heard.iter().any(|event| event.0 == timestamp) {
            heard.push((timestamp, digit, duration));
        }
    }
    heard
        .into_iter()
        .map(|(_, digit, duration)| (digit, duration))
        .collect()
}

/// A phone that sends by `sends` is heard by one that takes `takes`: each packet with the other number and nothing else
/// changed, each digit once.
fn check(carrier: &mut Carrier, from: Side, sends: Numbers, takes: Numbers) {
    let sent = speech(sends);
    assert_eq!(sent.len(), 2 * 16 * 9);
    let heard: Vec<Vec<u8>> = sent
        .iter()
        .map(|packet| {
            carrier
                .carry(from, packet)
                .unwrap_or_else(|why| panic!("{why}: {packet:?}"))
        })
        .collect();
    for (sent, heard) in sent.iter().zip(&heard) {
        let place = sends.iter().position(|number| *number == sent[1] & 0x7f).unwrap();
        let mut expected = sent.clone();
        expected[1] = sent[1] & 0x80 | takes[place];
        assert_eq!(heard, &expected, "{from:?} {sends:?} {takes:?}");
    }
    for (number, step) in [(takes[1], 160), (takes[2], 960)] {
        let expected: Vec<_> = (0..16).map(|digit| (digit, 6 * step)).collect();
        assert_eq!(digits(&heard, number), expected);
    }
    // G.711 has its number everywhere.
    let plain = [&[0x80, 0][..], &sent[0][2..]].concat();
    assert_eq!(carrier.carry(from, &plain), Ok(plain.clone()));
}

#[test]
fn acceptance_28_every_packet_is_renumbered_and_every_digit_arrives_exactly_once() {
    for b in [A, B, [120, 121, 122], [101, 110, 96]] {
        let (mut sim, [told_a, told_b]) = talking(b);
        assert_eq!((told_a, told_b), (A, A), "the caller hears its own numbers");
        let mut carrier = sim.relay.carrier(0, sim.now).unwrap();
        check(&mut carrier, Side::A, A, b);
        check(&mut carrier, Side::B, told_b, A);
        if b == [120, 121, 122] {
            // Many phones send by their own numbers, not by those that they were offered.
            check(&mut carrier, Side::B, b, A);
        }
        assert_eq!(sim.relay.side(Side::A, 0).unwrap().payloads.is_none(), b == A);
        let bye = sim.a.request("BYE", "", "");
        sim.send(Side::A, bye);
        pause(&mut sim);
        let ok = sim.b.respond("BYE", 200, "", "", "");
        sim.send(Side::B, ok);
        sim.run(Duration::from_secs(70));
        sim.assert_done();
    }
}

#[test]
fn acceptance_28_numbers_of_both_legs_stay_through_re_offers_of_either_side() {
    let (mut sim, _) = talking(B);
    for (turn, side) in [Side::B, Side::A, Side::B].into_iter().enumerate() {
        let version = 2 + u32::try_from(turn).unwrap();
        let (own, others) = if side == Side::A {
            (("alice", A), ("bob", B))
        } else {
            (("bob", B), ("alice", A))
        };
        let hold = if turn == 1 {
            "a=sendonly\r\n"
        } else {
            "a=ptime:20\r\n"
        };
        let offer = audio(own.0, version, own.1, hold);
        let invite = sim.peer(side).request("INVITE", "", &offer);
        sim.send(side, invite);
        pause(&mut sim);
        let asked = numbers(&asked(sim.peer(side.other()).take_request("INVITE").unwrap()));
        let answer =
            sim.peer(side.other())
                .respond("INVITE", 200, "", "", &audio(others.0, version, others.1, ""));
        sim.send(side.other(), answer);
        pause(&mut sim);
        let told = numbers(&answered(sim.peer(side).response(200).unwrap()));
        let ack = sim.peer(side).ack("");
        sim.send(side, ack);
        pause(&mut sim);
        assert_eq!(told, own.1, "answered in its own numbers, turn {turn}");
        assert_eq!(asked, others.1, "asked in its own numbers, turn {turn}");
        let mut carrier = sim.relay.carrier(0, sim.now).unwrap();
        check(&mut carrier, Side::A, A, B);
        check(&mut carrier, Side::B, B, A);
    }
}

#[test]
fn acceptance_28_a_late_offer_is_answered_with_numbers_of_the_callers_own() {
    let mut sim = sim();
    let invite = sim.a.invite("sip:bob@example.org", "", "");
    sim.send(Side::A, invite);
    pause(&mut sim);
    sim.b.take_request("INVITE").unwrap();
    let offer = sim.b.respond("INVITE", 200, "", "", &audio("bob", 1, B, ""));
    sim.send(Side::B, offer);
    pause(&mut sim);
    assert_eq!(numbers(&answered(sim.a.response(200).unwrap())), B);
    let ack = sim.a.ack(&audio("alice", 1, [120, 121, 122], ""));
    sim.send(Side::A, ack);
    pause(&mut sim);
    let told = numbers(&asked(sim.b.take_request("ACK").unwrap()));
    assert_eq!(told, B, "who offers hears its own numbers");
    let mut carrier = sim.relay.carrier(0, sim.now).unwrap();
    check(&mut carrier, Side::B, B, [120, 121, 122]);
    check(&mut carrier, Side::A, B, B);
}

#[test]
fn acceptance_28_each_fork_has_its_own_numbers_and_the_caller_hears_of_none() {
    let mut sim = sim();
    let invite = sim.a.invite("sip:bob@example.org", "", &audio("alice", 1, A, ""));
    sim.send(Side::A, invite);
    pause(&mut sim);
    sim.b.take_request("INVITE").unwrap();
    for (fork, theirs) in [("x", B), ("y", A), ("z", [120, 121, 122])] {
        let early = sim
            .b
            .respond("INVITE", 183, fork, "", &audio("bob", 1, theirs, ""));
        sim.send(Side::B, early);
        pause(&mut sim);
        assert_eq!(numbers(&answered(sim.a.response(183).unwrap())), A, "{fork}");
        let mut carrier = sim.relay.carrier(0, sim.now).unwrap();
        check(&mut carrier, Side::A, A, theirs);
        check(&mut carrier, Side::B, A, A);
    }
    let answer = sim.b.respond("INVITE", 200, "x", "", &audio("bob", 1, B, ""));
    sim.send(Side::B, answer);
    pause(&mut sim);
    assert_eq!(numbers(&answered(sim.a.response(200).unwrap())), A);
    check(&mut sim.relay.carrier(0, sim.now).unwrap(), Side::A, A, B);
}

#[test]
fn acceptance_28_a_refused_re_offer_changes_no_number() {
    let (mut sim, _) = talking(B);
    let before = [Side::A, Side::B].map(|side| sim.relay.side(side, 0).unwrap().payloads.clone());
    // Another codec under the number that opus had: against RFC 3264 §8.3.2, and refused.
    let offer = audio("bob", 2, [99, 98, 97], "");
    let invite = sim.b.request("INVITE", "", &offer);
    sim.send(Side::B, invite);
    pause(&mut sim);
    assert_eq!(numbers(&asked(sim.a.take_request("INVITE").unwrap())), A);
    let no = sim.a.respond("INVITE", 488, "", "", "");
    sim.send(Side::A, no);
    pause(&mut sim);
    assert!(sim.b.response(488).is_some());
    let after = [Side::A, Side::B].map(|side| sim.relay.side(side, 0).unwrap().payloads.clone());
    assert_eq!(before, after);
    check(&mut sim.relay.carrier(0, sim.now).unwrap(), Side::A, A, B);
}

#[test]
fn a_number_that_nobody_agreed_on_passes_unless_it_means_something_else_there() {
    let (sim, _) = talking(B);
    let mut carrier = sim.relay.carrier(0, sim.now).unwrap();
    let packet = |number: u8| [&[0x80, number][..], &speech(A)[0][2..]].concat();
    assert_eq!(carrier.carry(Side::A, &packet(13)), Ok(packet(13)));
    assert_eq!(carrier.carry(Side::A, &packet(120)), Err("payload-type"));
    assert_eq!(carrier.carry(Side::B, &packet(13)), Ok(packet(13)));
}

#[test]
fn phones_with_the_same_numbers_cost_no_map() {
    let scene = Scene::new(Encryption::Sdes, Encryption::None).answered();
    for side in [Side::A, Side::B] {
        let connect = scene.sim.relay.side(side, 0).unwrap();
        assert!(connect.payloads.is_none() && connect.feedback);
    }
}
