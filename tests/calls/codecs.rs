//! `audio-codec` and `video-codec`: what may be offered, on both legs.

use super::{
    formats::{answered, asked, pause},
    offers::requests,
};
use b2bua::{
    call::{Encryption, EncryptionPolicy, Side, bridge::CallSettings},
    sdp::{Codecs, Sdp},
    testing::{Scene, Sim, Verdicts},
};
use std::time::Duration;

const POLICY: EncryptionPolicy = EncryptionPolicy::Only(Encryption::None);

fn settings(audio: &str, video: &str) -> CallSettings {
    let list = |words: &str| {
        words
            .split_whitespace()
            .map(|word| word.parse().unwrap())
            .collect()
    };
    CallSettings {
        codecs: Codecs {
            audio: list(audio),
            video: list(video),
        },
        ..b2bua::testing::settings()
    }
}

fn body(user: &str, audio: &str, video: &str) -> String {
    let (host, port) = match user {
        "alice" => ("192.0.2.10", 30_000),
        _ => ("192.0.2.200", 40_000),
    };
    let mut text = format!(
        "v=0\r\no={user}-login 77 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP {audio}\r\na=rtpmap:96 opus/48000/2\r\na=rtpmap:97 speex/8000\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=rtpmap:110 telephone-event/48000\r\n"
    );
    if !video.is_empty() {
        text += &format!(
            "m=video {} RTP/AVP {video}\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n\
             a=rtpmap:98 H264/90000\r\n",
            port + 2
        );
    }
    text
}

fn lists(sdp: &Sdp) -> Vec<(bool, String)> {
    sdp.media
        .iter()
        .map(|media| (media.port != 0, media.formats.clone()))
        .collect()
}

/// What the callee is offered, and what the caller is answered when it takes all that it can.
fn call(settings: CallSettings, offer: &str, answer: &str) -> [Vec<(bool, String)>; 2] {
    let mut sim = Sim::with(Verdicts::direct(POLICY), settings, 1);
    let invite = sim.a.invite("sip:bob@example.org", "", offer);
    sim.send(Side::A, invite);
    pause(&mut sim);
    let offered = asked(sim.b.take_request("INVITE").unwrap());
    let response = sim.b.respond("INVITE", 200, "", "", answer);
    sim.send(Side::B, response);
    pause(&mut sim);
    let answer = answered(sim.a.response(200).unwrap());
    if offer.contains(" 97 0 101") {
        for sdp in [&offered, &answer] {
            let text = String::from_utf8(sdp.to_bytes().to_vec()).unwrap();
            assert!(!text.contains("speex"), "{text}");
        }
    }
    [lists(&offered), lists(&answer)]
}

#[test]
fn what_is_not_wanted_is_neither_offered_nor_answered() {
    let offer = body("alice", "96 97 0 101 110", "96 97 98");
    let yes = |formats: &str| (true, formats.to_owned());
    // The callee answers with more than it was offered, as some do.
    let all = body("bob", "0 97 96 110 101", "98 96 97");
    let told = call(settings("OPUS/48000 pcmu/8000", "vp8"), &offer, &all);
    assert_eq!(told[0], [yes("96 0 101 110"), yes("96 97")]);
    assert_eq!(told[1], [yes("0 96 110 101"), yes("96 97")]);
}

#[test]
fn video_of_which_nothing_is_left_is_refused_and_the_call_goes_on() {
    let offer = body("alice", "0 101", "96 97");
    let told = call(settings("", "h264"), &offer, &body("bob", "0 101", "96 97"));
    for lists in told {
        assert_eq!(lists[0], (true, "0 101".to_owned()));
        assert!(!lists[1].0);
    }
}

#[test]
fn an_offer_of_which_no_audio_is_left_gets_488_and_nobody_is_called() {
    for (codecs, audio) in [
        ("speex/16000", "96 97 0 101"),
        ("pcma/8000", "0 101 110"),
        ("G729/8000", "101"),
    ] {
        let mut scene = Scene::with(Encryption::None, Encryption::None, settings(codecs, ""), 1);
        let invite = scene
            .sim
            .a
            .invite("sip:bob@example.org", "", &body("alice", audio, "96"));
        scene.sim.send(Side::A, invite);
        scene.sim.run(Duration::from_millis(100));
        assert!(
            scene.sim.a.response(488).is_some(),
            "{codecs}\n{}",
            scene.sim.ladder()
        );
        let ack = scene.sim.a.ack_failure();
        scene.sim.send(Side::A, ack);
        scene.sim.run(Duration::from_secs(70));
        assert_eq!(requests(&scene, Side::B, "INVITE"), 0);
        scene.sim.assert_done();
    }
}

#[test]
fn an_answer_that_takes_only_what_was_not_offered_fails_the_call() {
    let mut sim = Sim::with(Verdicts::direct(POLICY), settings("opus/48000", ""), 1);
    let invite = sim
        .a
        .invite("sip:bob@example.org", "", &body("alice", "96 0 101", ""));
    sim.send(Side::A, invite);
    pause(&mut sim);
    assert_eq!(
        lists(&asked(sim.b.take_request("INVITE").unwrap()))[0].1,
        "96 101"
    );
    let response = sim.b.respond("INVITE", 200, "", "", &body("bob", "0 101", ""));
    sim.send(Side::B, response);
    pause(&mut sim);
    assert!(sim.a.response(488).is_some(), "{}", sim.ladder());
    assert!(sim.b.take_request("BYE").is_some(), "{}", sim.ladder());
}

#[test]
fn a_session_refresh_is_still_known_for_one() {
    for side in [Side::A, Side::B] {
        let mut scene =
            Scene::with(Encryption::None, Encryption::None, settings("pcmu/8000", ""), 1).answered();
        scene.reoffer(side);
        assert!(scene.settle(Duration::from_secs(2)));
        let passed = requests(&scene, side.other(), "INVITE");
        scene.reoffer(side);
        assert!(scene.settle(Duration::from_secs(2)));
        assert_eq!(
            requests(&scene, side.other(), "INVITE"),
            passed,
            "{}",
            scene.sim.ladder()
        );
        scene.assert_media();
    }
}

#[test]
fn a_late_offer_and_a_re_offer_are_restricted_too() {
    let mut sim = Sim::with(Verdicts::direct(POLICY), settings("pcmu/8000", ""), 1);
    let invite = sim.a.invite("sip:bob@example.org", "", "");
    sim.send(Side::A, invite);
    pause(&mut sim);
    sim.b.take_request("INVITE").unwrap();
    let offer = sim.b.respond("INVITE", 200, "", "", &body("bob", "96 0 101", ""));
    sim.send(Side::B, offer);
    pause(&mut sim);
    assert_eq!(lists(&answered(sim.a.response(200).unwrap()))[0].1, "0 101");
    let ack = sim.a.ack(&body("alice", "0 101", ""));
    sim.send(Side::A, ack);
    pause(&mut sim);
    assert_eq!(lists(&asked(sim.b.take_request("ACK").unwrap()))[0].1, "0 101");
    let connected = sim.relay.side(Side::A, 0).unwrap().remote.clone();

    // Nothing of it may be used: the change is refused, and the call stays as it is.
    let invite = sim.b.request("INVITE", "", &body("bob", "96 101", ""));
    sim.send(Side::B, invite);
    pause(&mut sim);
    assert!(sim.b.response(488).is_some(), "{}", sim.ladder());
    let ack = sim.b.ack_failure();
    sim.send(Side::B, ack);
    pause(&mut sim);
    assert!(sim.a.take_request("INVITE").is_none());
    assert_eq!(sim.relay.side(Side::A, 0).unwrap().remote, connected);

    // Some of it may.
    let invite = sim.a.request("INVITE", "", &body("alice", "97 0 96", ""));
    sim.send(Side::A, invite);
    pause(&mut sim);
    assert_eq!(lists(&asked(sim.b.take_request("INVITE").unwrap()))[0].1, "0");
}
