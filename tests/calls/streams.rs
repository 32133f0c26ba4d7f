//! Streams of all kinds over RTP, and what is said of their feedback: acceptance #12.

use b2bua::{
    call::{Encryption, Side},
    media::KeyFrameRequest,
    sdp::Sdp,
    testing::{Scene, peer::read, privacy::description},
};
use std::{collections::BTreeSet, time::Duration};

const BOTH: [Side; 2] = [Side::A, Side::B];
const VOICE: usize = 0;
const VIDEO: usize = 1;

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

/// Whoever shows something while the other end still agrees on its keys is asked to begin again when it has them.
#[test]
fn a_caller_is_asked_for_a_key_frame_once_the_callee_has_its_keys() {
    let picture = [&[0x80, 96, 0, 1, 0, 0, 0, 1, 0, 0, 0, 7][..], &[0x10; 30]].concat();
    for mode in [Encryption::DtlsSrtp, Encryption::Zrtp] {
        let mut scene = Scene::new(Encryption::None, mode);
        (scene.a.video, scene.b.video) = (true, true);
        scene.call();
        let connected = |scene: &Scene| scene.sim.relay.carrier(VIDEO, scene.sim.now);
        let mut waits = 0;
        while connected(&scene).is_none() {
            scene.run(Duration::from_millis(1));
            waits += 1;
            assert!(waits < 1000, "{}", scene.sim.ladder());
        }
        let (mut carrier, told) = (connected(&scene).unwrap(), scene.sim.relay.connects.len());
        assert_eq!(carrier.carry(Side::A, &picture), Err("not-keyed"));
        assert_eq!(carrier.asked(Side::A), None, "nobody could see it yet");
        scene.run(Duration::from_secs(2));
        scene.assert_media();
        let later = scene.sim.relay.connects[told..].iter();
        for connect in later.filter(|connect| connect.stream.0 == VIDEO) {
            carrier.connect(connect);
        }
        let asked = carrier.asked(Side::A).expect("a request");
        assert_eq!(asked[36..40], [0x81, 206, 0, 2], "PLI");
        assert_eq!(asked[44..], [0, 0, 0, 7]);
        assert_eq!(carrier.asked(Side::B), None, "the callee has shown nothing");
        scene.hang_up(Side::A);
        scene.assert_ends();
    }
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
