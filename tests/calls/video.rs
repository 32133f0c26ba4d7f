//! Video beside the voice: added, taken out and added again, refused, and other m-lines: acceptance #12.

use b2bua::{
    call::{CallEvent, Encryption, Side},
    media::{Connect, KeyFrameRequest},
    sdp::Sdp,
    testing::{Scene, peer::read, privacy::description},
};
use std::{collections::BTreeSet, time::Duration};

const BOTH: [Side; 2] = [Side::A, Side::B];
const MODES: [Encryption; 4] = [
    Encryption::None,
    Encryption::Sdes,
    Encryption::DtlsSrtp,
    Encryption::Zrtp,
];
const SECOND: Duration = Duration::from_secs(1);
const VOICE: usize = 0;
const VIDEO: usize = 1;

/// All pairs of modes.
fn pairs() -> impl Iterator<Item = (Encryption, Encryption)> {
    MODES.into_iter().flat_map(|a| MODES.map(|b| (a, b)))
}

/// Up with voice, keyed.
fn speaking(a: Encryption, b: Encryption, forget: bool) -> Scene {
    let mut scene = Scene::new(a, b);
    for phone in [&mut scene.a, &mut scene.b] {
        if let Some(dtls) = &mut phone.dtls {
            dtls.forgets = forget;
        }
        if let Some(zrtp) = &mut phone.zrtp {
            zrtp.forgets = forget;
        }
    }
    let mut scene = scene.answered();
    scene.run(2 * SECOND);
    scene.assert_media();
    scene
}

/// What the relay knows of the voice.
fn voice(scene: &Scene) -> [Connect; 2] {
    BOTH.map(|side| {
        let connect = scene.sim.relay.side(side, VOICE);
        connect.expect("the voice is connected").clone()
    })
}

/// Lets a change be made and its keys be agreed on. The voice stays connected as it was, at every moment.
fn change(scene: &mut Scene) {
    let (before, told) = (voice(scene), scene.sim.relay.connects.len());
    let ports = scene.sim.relay.ports.clone();
    for _ in 0..1500 {
        scene.run(Duration::from_millis(1));
        assert_eq!(
            scene
                .sim
                .relay
                .connected
                .keys()
                .filter(|key| key.1.0 == VOICE)
                .count(),
            2
        );
    }
    let again = &scene.sim.relay.connects[told..];
    assert!(!again.is_empty(), "{}", scene.sim.ladder());
    for connect in again.iter().filter(|connect| connect.stream.0 == VOICE) {
        let was = &before[usize::from(connect.side == Side::B)];
        assert_eq!(
            (&connect.remote, &connect.receive, &connect.send, &connect.rtcp),
            (&was.remote, &was.receive, &was.send, &was.rtcp),
            "the voice was disturbed\n{}",
            scene.sim.ladder()
        );
        assert_eq!((connect.agreement, connect.silence), (was.agreement, was.silence));
    }
    for (place, port) in ports.iter().filter(|(place, _)| place.1.0 == VOICE) {
        assert_eq!(scene.sim.relay.ports.get(place), Some(port));
    }
}

/// No party was ever told of fewer m-lines than before.
fn no_line_is_lost(scene: &Scene) {
    for phone in [&scene.a, &scene.b] {
        let lines: Vec<usize> = phone.heard.iter().map(|sdp| sdp.media.len()).collect();
        assert!(!lines.is_empty());
        assert!(lines.is_sorted(), "{lines:?}\n{}", scene.sim.ladder());
    }
}

/// Both see video, or neither.
fn both_see(scene: &Scene, video: bool) {
    for phone in [&scene.a, &scene.b] {
        let view = &phone.views[VIDEO];
        assert_eq!(
            (view.sends, view.receives),
            (video, video),
            "{:?}\n{}",
            phone.side,
            scene.sim.ladder()
        );
    }
    let flows = scene.sim.relay.connected.keys().filter(|key| key.1.0 == VIDEO);
    assert_eq!(flows.count(), if video { 2 } else { 0 });
    scene.assert_media();
}

fn toggles_five_times(a: Encryption, b: Encryption, by: impl Fn(usize) -> Side, forget: bool) {
    let mut scene = speaking(a, b, forget);
    for turn in 0..5 {
        for video in [true, false] {
            let side = by(turn);
            // Who takes it out does not want it, who is asked has nothing against it.
            scene.phone(side.other()).0.video = true;
            scene.phone(side).0.video = video;
            scene.reoffer(side);
            change(&mut scene);
            let seen = scene.phone(side.other()).0.heard.last().unwrap();
            assert_eq!(seen.media[VIDEO].is_active(), video);
            both_see(&scene, video);
        }
    }
    no_line_is_lost(&scene);
    assert_eq!(scene.sim.relay.connected.len(), 2, "the voice and nothing else");
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn acceptance_12_either_leg_adds_and_removes_video_five_times_and_the_voice_stays() {
    for (a, b) in pairs() {
        for side in BOTH {
            toggles_five_times(a, b, |_| side, false);
        }
    }
}

#[test]
fn acceptance_12_both_legs_take_turns_with_phones_that_agree_on_keys_anew() {
    for (a, b) in pairs() {
        toggles_five_times(a, b, |turn| BOTH[turn % 2], true);
    }
}

/// One takes out what the other has added, and adds it again.
#[test]
fn acceptance_12_who_did_not_add_it_may_remove_it() {
    for (a, b) in pairs() {
        for side in BOTH {
            let mut scene = speaking(a, b, false);
            (scene.a.video, scene.b.video) = (true, true);
            scene.reoffer(side);
            change(&mut scene);
            both_see(&scene, true);
            scene.phone(side.other()).0.video = false;
            scene.reoffer(side.other());
            change(&mut scene);
            both_see(&scene, false);
            scene.phone(side.other()).0.video = true;
            scene.reoffer(side);
            change(&mut scene);
            both_see(&scene, true);
            no_line_is_lost(&scene);
            scene.hang_up(side);
            scene.assert_ends();
        }
    }
}

#[test]
fn acceptance_12_a_video_caller_and_an_audio_only_callee_speak() {
    for (a, b) in pairs() {
        let mut scene = Scene::new(a, b);
        scene.a.video = true;
        let mut scene = scene.answered();
        scene.run(2 * SECOND);
        both_see(&scene, false);
        assert!(scene.a.views[VOICE].sends && scene.b.views[VOICE].sends);
        // It asks again, in vain: in the same words, but it is no refresh.
        let told = scene.b.heard.len();
        scene.reoffer(Side::A);
        change(&mut scene);
        both_see(&scene, false);
        assert_eq!(scene.b.heard.len(), told + 1, "{}", scene.sim.ladder());
        // And the callee finds a camera.
        scene.b.video = true;
        scene.reoffer(Side::B);
        change(&mut scene);
        both_see(&scene, true);
        no_line_is_lost(&scene);
        scene.hang_up(Side::B);
        scene.assert_ends();
    }
}

#[test]
fn acceptance_12_video_that_is_refused_with_a_status_leaves_the_call_as_it_was() {
    for (a, b) in pairs() {
        for side in BOTH {
            let mut scene = speaking(a, b, false);
            let told = scene.sim.relay.connects.len();
            scene.phone(side.other()).0.refuses_changes = Some(488);
            scene.phone(side).0.video = true;
            scene.reoffer(side);
            scene.run(SECOND);
            assert_eq!(scene.phone(side).0.failed, Some(488));
            assert_eq!(scene.sim.relay.connects.len(), told, "nothing was changed");
            scene.assert_media();
            assert_eq!(scene.sim.relay.connected.len(), 2);
            assert_eq!(scene.sim.relay.ports.len(), 2, "what was opened for it is closed");
            assert!(scene.a.up && scene.b.up && !scene.a.ended && !scene.b.ended);
            // It may be asked again.
            scene.phone(side.other()).0.refuses_changes = None;
            scene.phone(side.other()).0.video = true;
            scene.reoffer(side);
            change(&mut scene);
            both_see(&scene, true);
            scene.hang_up(side);
            scene.assert_ends();
        }
    }
}

/// Acceptance #8 with #12: the second stream follows from the first (RFC 6189 §4.4.3), so there is one string, however often it comes.
#[test]
fn acceptance_8_video_that_comes_back_in_zrtp_shows_no_other_string() {
    for forget in [false, true] {
        for side in BOTH {
            let mut scene = speaking(Encryption::Zrtp, Encryption::Zrtp, forget);
            for video in [true, false, true] {
                scene.phone(side.other()).0.video = true;
                scene.phone(side).0.video = video;
                scene.reoffer(side);
                change(&mut scene);
                both_see(&scene, video);
            }
            for of in BOTH {
                let strings = scene.sim.events.iter().filter(
                    |event| matches!(event, CallEvent::Keyed { side, sas: Some(_), .. } if *side == of),
                );
                assert_eq!(strings.count(), 1);
            }
            scene.hang_up(side);
            scene.assert_ends();
        }
    }
}

/// A description with those m-lines.
fn says(user: &str, at: &str, version: u32, lines: &[&str]) -> String {
    let session = format!("v=0\no={user}-login 7705 {version} IN IP4 {at}\ns=-\nc=IN IP4 {at}\nt=0 0\n");
    (session + &lines.concat()).replace('\n', "\r\n")
}

/// Voice, two pictures, a text stream (RFC 4103), an application over RTP, a second voice; files and a fax beside them, which are
/// no RTP. All keep their place, on either leg, and what is RTP and wanted by both is relayed.
#[test]
fn acceptance_12_every_stream_over_rtp_is_relayed_and_what_is_refused_keeps_its_place() {
    let offer = [
        "m=audio 30000 RTP/AVP 0 101\na=rtpmap:101 telephone-event/8000\n",
        "m=video 30002 RTP/AVP 96\na=rtpmap:96 VP8/90000\n",
        "m=text 30004 RTP/AVP 98\na=rtpmap:98 t140/1000\n",
        "m=message 30006 TCP/MSRP *\na=path:msrp://alice.invalid:30006/x;tcp\n",
        "m=application 30008 RTP/AVP 99\na=rtpmap:99 H224/4800\na=sendonly\n",
        "m=video 30010 RTP/AVP 97\na=rtpmap:97 VP8/90000\na=content:slides\n",
        "m=image 30012 udptl t38\n",
        "m=audio 30014 RTP/AVP 8\n",
    ];
    let answer = [
        "m=audio 40000 PROFILE 0 101\na=rtpmap:101 telephone-event/8000\nKEY",
        "m=video 40002 PROFILE 96\na=rtpmap:96 VP8/90000\nKEY",
        "m=text 40004 PROFILE 98\na=rtpmap:98 t140/1000\nKEY",
        "m=message 0 TCP/MSRP *\n",
        "m=application 40008 PROFILE 99\na=rtpmap:99 H224/4800\na=recvonly\nKEY",
        "m=video 0 PROFILE 97\n",
        "m=image 0 udptl t38\n",
        "m=audio 40014 PROFILE 8\nKEY",
    ];
    let relayed = [0, 1, 2, 4, 7];
    for (mode, profile) in [(Encryption::None, "RTP/AVP"), (Encryption::Sdes, "RTP/SAVP")] {
        let key = match mode {
            Encryption::Sdes => {
                "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:BBBBsecretofbobbyxxxxxxxxxxxxxxxxxxxxxxx\n"
            }
            _ => "",
        };
        let mut scene = Scene::new(Encryption::None, mode);
        let body = says("alice", "192.0.2.10", 1, &offer);
        let invite = scene.sim.a.invite("sip:bob@example.org", "", &body);
        scene.sim.send(Side::A, invite);
        scene.sim.run(Duration::from_millis(100));
        let offered = told(&scene, Side::B);
        let kinds = |sdp: &Sdp| -> Vec<(String, bool)> {
            let lines = sdp.media.iter();
            lines
                .map(|media| (media.kind.clone(), media.is_active()))
                .collect()
        };
        let expected: Vec<(String, bool)> = [
            ("audio", true),
            ("video", true),
            ("text", true),
            ("message", false),
            ("application", true),
            ("video", true),
            ("image", false),
            ("audio", true),
        ]
        .map(|(kind, active)| (kind.to_owned(), active))
        .to_vec();
        assert_eq!(kinds(&offered), expected, "{}", scene.sim.ladder());
        let ports: BTreeSet<u16> = offered.media.iter().map(|media| media.port).collect();
        assert_eq!(ports.len(), 7, "each its own, and 0 for two: {ports:?}");
        for media in offered.media.iter().filter(|media| media.is_active()) {
            assert_eq!(media.proto, profile);
            assert_eq!(media.attribute("crypto").is_some(), mode == Encryption::Sdes);
        }
        let answer = answer.map(|line| line.replace("PROFILE", profile).replace("KEY", key));
        let answer = says("bob", "192.0.2.200", 1, &answer.each_ref().map(String::as_str));
        let response = scene.sim.b.respond("INVITE", 200, "", "", &answer);
        scene.sim.send(Side::B, response);
        scene.sim.run(Duration::from_millis(100));
        let answered = told(&scene, Side::A);
        let wanted: Vec<usize> = (0..8)
            .filter(|&index| answered.media[index].is_active())
            .collect();
        assert_eq!(answered.media.len(), 8);
        assert_eq!(wanted, relayed);
        for (media, (kind, _)) in answered.media.iter().zip(&expected) {
            assert_eq!(media.kind, *kind);
        }
        assert_eq!(answered.media[2].formats, "98");
        assert_eq!(answered.media[2].attribute("rtpmap"), Some(Some("98 t140/1000")));
        // Both sides of each, and nothing more.
        let flows: Vec<usize> = scene.sim.relay.connected.keys().map(|key| key.1.0).collect();
        assert_eq!(flows.len(), 2 * relayed.len());
        for index in relayed {
            let side = |side| scene.sim.relay.side(side, index).unwrap().remote.rtp.unwrap();
            assert_eq!(side(Side::A).port(), 30_000 + 2 * index as u16);
            assert_eq!(side(Side::B).port(), 40_000 + 2 * index as u16);
        }
        // Alice leaves out what is at the end: it is taken out, but its place stays.
        let ack = scene.sim.a.ack("");
        scene.sim.send(Side::A, ack);
        scene.sim.run(Duration::from_millis(10));
        let body = says("alice", "192.0.2.10", 2, &offer[..2]);
        let again = scene.sim.a.request("INVITE", "", &body);
        scene.sim.send(Side::A, again);
        scene.sim.run(Duration::from_millis(100));
        let offered = told(&scene, Side::B);
        assert_eq!(offered.media.len(), 8, "{}", scene.sim.ladder());
        let left: Vec<usize> = (0..8).filter(|&index| offered.media[index].is_active()).collect();
        assert_eq!(left, [0, 1]);
    }
}

/// The last description that a party was sent.
fn told(scene: &Scene, side: Side) -> Sdp {
    let messages = scene.sim.wire.iter().rev();
    let mut bodies = messages
        .filter(|(_, of, inwards, _)| *of == side && !inwards)
        .filter_map(|(.., bytes)| description(&read(bytes)));
    bodies.next().expect("a description")
}

/// Each party that sends video is asked for key frames in the way that its own description names, whatever the other one's says.
#[test]
fn key_frames_are_asked_for_as_each_party_understands_it() {
    let lines = |user: &str, at: &str, how: &str| {
        let port = if user == "alice" { 30_000 } else { 40_000 };
        let video = format!("m=video {} RTP/AVP 96\na=rtpmap:96 VP8/90000\n{how}", port + 2);
        says(user, at, 1, &[&format!("m=audio {port} RTP/AVP 0\n"), &video])
    };
    let (pli, fir) = (
        "a=rtcp-fb:96 nack pli\na=rtcp-fb:96 ccm fir\n",
        "a=rtcp-fb:* ccm fir\n",
    );
    let (by_pli, by_fir) = (Some(KeyFrameRequest::Pli), Some(KeyFrameRequest::Fir));
    for (a, b, expected) in [
        (pli, pli, [by_pli, by_pli]),
        (pli, fir, [by_pli, by_fir]),
        (fir, "", [by_fir, None]),
        ("", "", [None, None]),
    ] {
        let mut scene = Scene::new(Encryption::None, Encryption::None);
        let offer = lines("alice", "192.0.2.10", a);
        let invite = scene.sim.a.invite("sip:bob@example.org", "", &offer);
        scene.sim.send(Side::A, invite);
        scene.sim.run(Duration::from_millis(100));
        let answer = lines("bob", "192.0.2.200", b);
        let response = scene.sim.b.respond("INVITE", 200, "", "", &answer);
        scene.sim.send(Side::B, response);
        scene.sim.run(Duration::from_millis(100));
        let asked = |index| BOTH.map(|side| scene.sim.relay.side(side, index).unwrap().key_frames);
        assert_eq!(asked(VIDEO), expected, "{a} {b}");
        assert_eq!(asked(VOICE), [None, None]);
    }
}
