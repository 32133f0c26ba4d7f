//! Digits that one leg has in its media (RFC 4733) and the other says in INFO (acceptance #28).

use b2bua::{
    call::{Encryption, Input, Side},
    media::{MediaEvent, StreamId},
    sip::Request,
    testing::Scene,
};
use bytes::Bytes;
use std::time::Duration;

const EVENTS: &str = "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n";
const OF_B: &str = "a=rtpmap:97 telephone-event/8000\r\n";
const INFOS: &str = "Allow: INVITE, ACK, CANCEL, BYE, INFO\r\n";

fn sdp(side: Side, formats: &str, lines: &str) -> String {
    let (user, ip) = match side {
        Side::A => ("alice", "192.0.2.10"),
        Side::B => ("bob", "192.0.2.200"),
    };
    format!(
        "v=0\r\no={user} 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 30000 RTP/AVP {formats}\r\n\
         a=rtpmap:0 PCMU/8000\r\n{lines}"
    )
}

/// A call that is up: what bob was offered and what alice was answered. Each is headers and formats with lines.
fn call(a: (&str, &str, &str), b: (&str, &str, &str)) -> (Scene, String, String) {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    let invite = scene
        .sim
        .a
        .invite("sip:bob@example.org", a.0, &sdp(Side::A, a.1, a.2));
    scene.sim.send(Side::A, invite);
    scene.sim.run(Duration::from_millis(30));
    let offered = scene.sim.b.take_request("INVITE").unwrap();
    let ok = scene
        .sim
        .b
        .respond("INVITE", 200, "", b.0, &sdp(Side::B, b.1, b.2));
    scene.sim.send(Side::B, ok);
    scene.sim.run(Duration::from_millis(30));
    let answered = scene.sim.a.response(200).unwrap();
    let ack = scene.sim.a.ack("");
    scene.sim.send(Side::A, ack);
    scene.sim.run(Duration::from_millis(30));
    let text = |body: &Bytes| String::from_utf8_lossy(body).into_owned();
    (scene, text(&offered.body), text(&answered.body))
}

fn info(scene: &mut Scene, from: Side, kind: &str, body: &str) {
    let peer = scene.sim.peer(from);
    let head = format!("Content-Type: {kind}\r\n");
    let request = peer.request("INFO", &head, body);
    let text = String::from_utf8(request.to_vec()).unwrap();
    let text = text.replace("Content-Type: application/sdp\r\n", "");
    scene.sim.send(from, Bytes::from(text));
    scene.sim.run(Duration::from_millis(30));
}

fn hang_up(mut scene: Scene) {
    let bye = scene.sim.a.request("BYE", "", "");
    scene.sim.send(Side::A, bye);
    scene.sim.run(Duration::from_millis(30));
    let ok = scene.sim.b.respond("BYE", 200, "", "", "");
    scene.sim.send(Side::B, ok);
    scene.sim.run(Duration::from_secs(70));
    scene.sim.assert_done();
}

#[test]
fn acceptance_28_where_both_have_them_digits_cross_as_packets_and_infos_as_they_are() {
    let (mut scene, offered, answered) = call((INFOS, "0 101", EVENTS), (INFOS, "0 97", OF_B));
    assert_eq!(offered.matches("telephone-event").count(), 1);
    assert_eq!(answered.matches("telephone-event").count(), 1);
    for side in [Side::A, Side::B] {
        assert_eq!(scene.sim.relay.side(side, 0).unwrap().events, None);
    }
    info(
        &mut scene,
        Side::A,
        "application/dtmf-relay",
        "Signal=5\r\nDuration=160\r\n",
    );
    let crossed = scene.sim.b.take_request("INFO").unwrap();
    assert_eq!(crossed.body, "Signal=5\r\nDuration=160\r\n");
    assert_eq!(
        crossed.headers.get("Content-Type").unwrap(),
        "application/dtmf-relay"
    );
    assert!(scene.sim.relay.digits.is_empty());
}

#[test]
fn acceptance_28_a_caller_with_infos_only_presses_keys_that_the_callee_gets_as_packets() {
    let (mut scene, offered, answered) = call((INFOS, "0", ""), (INFOS, "0 101", EVENTS));
    assert!(offered.contains("a=rtpmap:101 telephone-event/8000"), "{offered}");
    assert!(
        !answered.contains("telephone-event"),
        "who has none is told of none: {answered}"
    );
    let events = scene.sim.relay.side(Side::B, 0).unwrap().events.unwrap();
    assert_eq!((events.hears, events.says, events.clock), (1 << 101, 101, 8000));
    assert_eq!(scene.sim.relay.side(Side::A, 0).unwrap().events, None);
    info(
        &mut scene,
        Side::A,
        "application/dtmf-relay",
        "Signal=#\r\nDuration=250\r\n",
    );
    assert!(scene.sim.a.response(200).is_some(), "{}", scene.sim.ladder());
    info(&mut scene, Side::A, "application/dtmf", "7");
    assert!(scene.sim.a.response(200).is_some(), "{}", scene.sim.ladder());
    let digits: Vec<_> = scene
        .sim
        .relay
        .digits
        .iter()
        .map(|(side, stream, digit)| (*side, stream.0, digit.event, digit.duration.as_millis()))
        .collect();
    assert_eq!(digits, [(Side::B, 0, 11, 250), (Side::B, 0, 7, 160)]);
    assert!(scene.sim.b.take_request("INFO").is_none(), "each digit once");
    // What is no digit crosses.
    info(&mut scene, Side::A, "application/json", "{}");
    assert_eq!(scene.sim.b.take_request("INFO").unwrap().body, "{}");
    let ok = scene.sim.b.respond("INFO", 200, "", "", "");
    scene.sim.send(Side::B, ok);
    scene.sim.run(Duration::from_millis(30));
    // And the callee's keys come as INFO.
    let event = MediaEvent::Digit {
        side: Side::B,
        stream: StreamId(0),
        event: 10,
    };
    scene.sim.feed(Input::Media(event));
    scene.sim.run(Duration::from_millis(30));
    let told = scene.sim.a.take_request("INFO").unwrap();
    assert_eq!(
        told.headers.get("Content-Type").unwrap(),
        "application/dtmf-relay"
    );
    assert_eq!(told.body, "Signal=*\r\nDuration=160\r\n");
    let ok = scene.sim.a.respond("INFO", 200, "", "", "");
    scene.sim.send(Side::A, ok);
    scene.sim.run(Duration::from_millis(30));
    hang_up(scene);
}

#[test]
fn acceptance_28_a_callee_with_infos_only_is_told_the_caller_s_keys_in_infos() {
    let (mut scene, _, answered) = call((INFOS, "0 101", EVENTS), (INFOS, "0", ""));
    assert!(answered.contains("RTP/AVP 0 101\r\n"), "{answered}");
    assert!(
        answered.contains("a=rtpmap:101 telephone-event/8000"),
        "{answered}"
    );
    assert!(scene.sim.relay.side(Side::A, 0).unwrap().events.is_some());
    for event in [1, 15] {
        let event = MediaEvent::Digit {
            side: Side::A,
            stream: StreamId(0),
            event,
        };
        scene.sim.feed(Input::Media(event));
    }
    scene.sim.run(Duration::from_millis(30));
    for body in ["Signal=1\r\nDuration=160\r\n", "Signal=D\r\nDuration=160\r\n"] {
        let told = scene.sim.b.take_request("INFO").unwrap();
        assert_eq!(told.body, body, "one after another, in their order");
        let ok = scene.sim.b.respond("INFO", 200, "", "", "");
        scene.sim.send(Side::B, ok);
        scene.sim.run(Duration::from_millis(30));
    }
    assert!(scene.sim.b.take_request("INFO").is_none());
    hang_up(scene);
}

#[test]
fn acceptance_28_who_says_nothing_of_infos_is_told_of_no_digits_that_would_be_lost() {
    let (scene, _, answered) = call(("", "0 101", EVENTS), ("", "0", ""));
    assert!(!answered.contains("telephone-event"), "{answered}");
    assert_eq!(scene.sim.relay.side(Side::A, 0).unwrap().events, None);
    let (scene, offered, _) = call(("", "0", ""), (INFOS, "0", ""));
    assert!(!offered.contains("telephone-event"), "{offered}");
    assert_eq!(scene.sim.relay.side(Side::B, 0).unwrap().events, None);
    // Both say INFO and neither has packets: they cross.
    let (mut scene, offered, answered) = call((INFOS, "0", ""), (INFOS, "0", ""));
    assert!(offered.contains("telephone-event") && !answered.contains("telephone-event"));
    info(&mut scene, Side::B, "application/dtmf-relay", "Signal=2\r\n");
    assert_eq!(scene.sim.a.take_request("INFO").unwrap().body, "Signal=2\r\n");
}

/// A call whose callee has INFO only, and keys that the caller presses.
fn pressed(events: &[u8]) -> Scene {
    let (mut scene, ..) = call((INFOS, "0 101", EVENTS), (INFOS, "0", ""));
    for &event in events {
        press(&mut scene, Side::A, event);
    }
    scene.sim.run(Duration::from_millis(30));
    scene
}

fn press(scene: &mut Scene, side: Side, event: u8) {
    let stream = StreamId(0);
    scene
        .sim
        .feed(Input::Media(MediaEvent::Digit { side, stream, event }));
}

fn respond(scene: &mut Scene, to: &Request, status: u16, more: &str, body: &str) {
    let response = scene.sim.b.respond_to(to, status, "", more, body);
    scene.sim.send(Side::B, response);
    scene.sim.run(Duration::from_millis(30));
}

/// The caller's hold (or resume: an odd one) overtakes what the callee is told, and is answered.
fn overtake(scene: &mut Scene, version: u32) {
    let (says, hears) = if version.is_multiple_of(2) {
        ("a=sendonly\r\n", "a=recvonly\r\n")
    } else {
        ("a=sendrecv\r\n", "a=sendrecv\r\n")
    };
    let offer = sdp(Side::A, "0 101", &format!("{EVENTS}{says}"));
    let offer = offer.replace("o=alice 1 1", &format!("o=alice 1 {version}"));
    let hold = scene.sim.a.request("INVITE", "", &offer);
    scene.sim.send(Side::A, hold);
    scene.sim.run(Duration::from_millis(30));
    let Some(invite) = scene.sim.b.take_request("INVITE") else {
        panic!("no re-INVITE\n{}", scene.sim.ladder());
    };
    respond(scene, &invite, 200, INFOS, &sdp(Side::B, "0", hears));
    let ack = scene.sim.a.ack("");
    scene.sim.send(Side::A, ack);
    scene.sim.run(Duration::from_millis(30));
}

#[test]
fn a_key_whose_info_was_overtaken_by_a_later_request_is_told_again_before_the_next_one() {
    let mut scene = pressed(&[1, 2]);
    let first = scene.sim.b.take_request("INFO").unwrap();
    overtake(&mut scene, 2);
    respond(&mut scene, &first, 500, "", "");
    let again = scene.sim.b.take_request("INFO").expect("it is told again");
    assert_eq!(again.body, "Signal=1\r\nDuration=160\r\n");
    let number = |request: &Request| request.headers.cseq().unwrap().number;
    assert!(
        number(&again) > number(&first) + 1,
        "after the re-INVITE\n{}",
        scene.sim.ladder()
    );
    respond(&mut scene, &again, 200, "", "");
    let second = scene.sim.b.take_request("INFO").unwrap();
    assert_eq!(second.body, "Signal=2\r\nDuration=160\r\n");
    respond(&mut scene, &second, 200, "", "");
    assert!(scene.sim.b.take_request("INFO").is_none(), "none twice");
    hang_up(scene);
}

#[test]
fn a_key_that_the_peer_refuses_for_another_reason_is_not_told_again() {
    // Nothing has overtaken it.
    let mut scene = pressed(&[1]);
    let info = scene.sim.b.take_request("INFO").unwrap();
    respond(&mut scene, &info, 500, "", "");
    assert!(scene.sim.b.take_request("INFO").is_none());
    hang_up(scene);
    // It says when to come again: it has heard of it.
    let mut scene = pressed(&[1]);
    let info = scene.sim.b.take_request("INFO").unwrap();
    overtake(&mut scene, 2);
    respond(&mut scene, &info, 500, "Retry-After: 5\r\n", "");
    assert!(scene.sim.b.take_request("INFO").is_none());
    hang_up(scene);
}

#[test]
fn a_key_that_is_overtaken_again_and_again_is_told_a_few_times_and_no_more() {
    let mut scene = pressed(&[1, 2]);
    let mut told = 0;
    loop {
        let info = scene.sim.b.take_request("INFO").unwrap();
        if info.body == "Signal=2\r\nDuration=160\r\n" {
            respond(&mut scene, &info, 200, "", "");
            break;
        }
        told += 1;
        overtake(&mut scene, 1 + told);
        respond(&mut scene, &info, 500, "", "");
    }
    assert_eq!(told, 5, "once, and four times again");
    hang_up(scene);
}

#[test]
fn what_the_callee_presses_while_its_answer_is_on_its_way_is_told_as_soon_as_the_caller_has_it() {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    let offer = sdp(Side::A, "0", "");
    let invite = scene.sim.a.invite("sip:bob@example.org", INFOS, &offer);
    scene.sim.send(Side::A, invite);
    scene.sim.run(Duration::from_millis(30));
    let invite = scene.sim.b.take_request("INVITE").unwrap();
    // Of forty keys the first are kept.
    for event in (0..40).map(|key| key % 10) {
        press(&mut scene, Side::B, event);
    }
    scene.sim.run(Duration::from_secs(1));
    respond(&mut scene, &invite, 200, INFOS, &sdp(Side::B, "0 101", EVENTS));
    assert!(
        scene.sim.a.take_request("INFO").is_none(),
        "not before the caller has acknowledged"
    );
    let ack = scene.sim.a.ack("");
    scene.sim.send(Side::A, ack);
    scene.sim.run(Duration::from_millis(30));
    for key in (0..16).map(|key| key % 10) {
        let info = scene.sim.a.take_request("INFO").unwrap();
        assert_eq!(info.body, format!("Signal={key}\r\nDuration=160\r\n"));
        let ok = scene.sim.a.respond_to(&info, 200, "", "", "");
        scene.sim.send(Side::A, ok);
        scene.sim.run(Duration::from_millis(30));
    }
    assert!(scene.sim.a.take_request("INFO").is_none());
    hang_up(scene);
}

#[test]
fn what_the_callee_presses_while_its_answer_waits_for_a_prack_is_told_as_soon_as_the_caller_has_it() {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    let offer = sdp(Side::A, "0", "");
    let reliable = format!("Supported: 100rel\r\n{INFOS}");
    let invite = scene.sim.a.invite("sip:bob@example.org", &reliable, &offer);
    scene.sim.send(Side::A, invite);
    scene.sim.run(Duration::from_millis(30));
    let invite = scene.sim.b.take_request("INVITE").unwrap();
    let answer = sdp(Side::B, "0 101", EVENTS);
    respond(&mut scene, &invite, 183, INFOS, &answer);
    let rseq = scene.sim.a.response(183).unwrap().headers.get("RSeq").unwrap();
    respond(&mut scene, &invite, 200, INFOS, &answer);
    let ack = scene.sim.b.take_request("ACK");
    assert!(ack.is_some(), "the callee is answered");
    press(&mut scene, Side::B, 5);
    // More than are kept.
    for _ in 0..40 {
        press(&mut scene, Side::B, 6);
    }
    scene.sim.run(Duration::from_millis(200));
    assert!(scene.sim.a.response(200).is_none(), "not before the PRACK");
    let rack = format!("RAck: {rseq} 101 INVITE\r\n");
    let prack = scene.sim.a.request("PRACK", &rack, "");
    scene.sim.send(Side::A, prack);
    scene.sim.run(Duration::from_millis(30));
    assert!(scene.sim.a.take_request("INFO").is_none(), "not before the ACK");
    let ack = scene.sim.a.ack("");
    scene.sim.send(Side::A, ack);
    scene.sim.run(Duration::from_millis(30));
    for key in std::iter::once(5).chain([6; 15]) {
        let Some(info) = scene.sim.a.take_request("INFO") else {
            panic!("no INFO\n{}", scene.sim.ladder());
        };
        assert_eq!(info.body, format!("Signal={key}\r\nDuration=160\r\n"));
        let ok = scene.sim.a.respond_to(&info, 200, "", "", "");
        scene.sim.send(Side::A, ok);
        scene.sim.run(Duration::from_millis(30));
    }
    assert!(scene.sim.a.take_request("INFO").is_none());
    hang_up(scene);
}
