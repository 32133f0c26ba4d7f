//! Offers in mid-call: video, keys, late offers, refreshes, refusals. Acceptance #1, #7, #9, #12, #13.

use b2bua::{
    call::{CallEvent, Encryption, Side},
    media::{Protection, StreamId},
    sip::Message,
    testing::{Scene, peer::read, privacy::description},
};
use std::time::Duration;

const PAIRS: [(Encryption, Encryption); 4] = [
    (Encryption::None, Encryption::None),
    (Encryption::Sdes, Encryption::None),
    (Encryption::None, Encryption::Sdes),
    (Encryption::Sdes, Encryption::Sdes),
];
const BOTH: [Side; 2] = [Side::A, Side::B];

fn requests(scene: &Scene, side: Side, method: &str) -> usize {
    let sent = scene
        .sim
        .wire
        .iter()
        .filter(|(_, on, inwards, _)| *on == side && !inwards);
    sent.filter(|(_, _, _, bytes)| bytes.starts_with(method.as_bytes()))
        .count()
}

#[test]
fn audio_is_joined_with_every_pair_of_encryptions() {
    for (a, b) in PAIRS {
        let mut scene = Scene::new(a, b).answered();
        scene.assert_media();
        assert!(scene.a.views[0].sends && scene.b.views[0].sends);
        let keyed: Vec<_> = scene
            .sim
            .events
            .iter()
            .filter_map(|event| match event {
                CallEvent::Keyed { side, encryption } => Some((*side, *encryption)),
                _ => None,
            })
            .collect();
        assert_eq!(keyed, [(Side::A, a), (Side::B, b)]);
        scene.hang_up(Side::A);
        scene.assert_ends();
        let summary = scene.sim.summary.as_ref().unwrap();
        assert_eq!(summary.encryption, (Some(a), Some(b)));
        assert_eq!(summary.status.code(), 200);
    }
}

#[test]
fn acceptance_12_video_comes_and_goes_five_times_from_either_side() {
    for (a, b) in PAIRS {
        for side in BOTH {
            let mut scene = Scene::new(a, b).answered();
            // The other one takes video when it is offered.
            scene.a.video = true;
            scene.b.video = true;
            let mut lines = 1;
            for turn in 0..5 {
                for on in [true, false] {
                    let (phone, sim) = scene.phone(side);
                    phone.video = on;
                    phone.reoffer(sim);
                    assert!(scene.settle(Duration::from_secs(2)), "{}", scene.sim.ladder());
                    scene.phone(side.other()).0.video = true;
                    scene.assert_media();
                    for phone in [&scene.a, &scene.b] {
                        let place = || {
                            format!(
                                "turn {turn}, {side:?} {on}, at {:?}\n{}",
                                phone.side,
                                scene.sim.ladder()
                            )
                        };
                        assert!(phone.views[0].sends && phone.views[0].receives, "{}", place());
                        assert_eq!(
                            phone.views.get(1).is_some_and(|view| view.sends),
                            on,
                            "{}",
                            place()
                        );
                        let count = phone.heard.last().unwrap().media.len();
                        assert!(count >= lines, "m-lines went away: {}", place());
                    }
                    lines = scene.b.heard.last().unwrap().media.len();
                    let video = scene.sim.relay.side(Side::A, 1).is_some();
                    assert_eq!(video, on, "the relay's video");
                }
            }
            scene.hang_up(side);
            scene.assert_ends();
        }
    }
}

#[test]
fn video_that_the_callee_refuses_is_refused_to_the_caller() {
    let mut scene = Scene::new(Encryption::Sdes, Encryption::None);
    scene.a.video = true;
    let mut scene = scene.answered();
    let answer = scene.a.heard.last().unwrap().clone();
    assert_eq!((answer.media.len(), answer.media[1].port), (2, 0));
    assert!(
        !scene.sim.relay.ports.contains_key(&(Side::A, StreamId(1))),
        "its ports are given back"
    );
    scene.assert_media();
    scene.hang_up(Side::B);
    scene.assert_ends();
}

#[test]
fn acceptance_1_whatever_the_peer_does_with_its_key_ours_stays_and_its_new_one_is_taken() {
    for side in BOTH {
        for (new_key, new_port) in [(false, false), (true, false), (true, true)] {
            let mut scene = Scene::new(Encryption::Sdes, Encryption::Sdes).answered();
            let ours = scene.sim.relay.side(side, 0).unwrap().send.clone();
            let theirs = scene.sim.relay.side(side, 0).unwrap().receive.clone();
            let (phone, sim) = scene.phone(side);
            if new_key {
                phone.rekey();
            }
            if new_port {
                phone.rtp.set_port(phone.rtp.port() + 100);
            }
            phone.reoffer(sim);
            assert!(scene.settle(Duration::from_secs(2)));
            scene.assert_media();
            let after = scene.sim.relay.side(side, 0).unwrap();
            assert_eq!(after.send, ours);
            assert_eq!(after.receive == theirs, !new_key);
        }
    }
}

#[test]
fn acceptance_7_every_accepted_line_has_crypto_after_three_re_invites() {
    let mut scene = Scene::new(Encryption::Sdes, Encryption::None).answered();
    let key = "AAAAsecretofalicexxxxxxxxxxxxxxxxxxxxxxx";
    let long = "AAAAsecretofalicexxxxxxxxxxxxxxxxxxxxxxxAAAAsecretofalicexxxxA==";
    let offer = |version: u32, alternative: &str| {
        format!(
            "v=0\r\no=alice-login 770501 {version} IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
             m=audio 30000 RTP/SAVP 0 101\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n\
             a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{key}\r\na=crypto:3 AES_256_CM_HMAC_SHA1_80 inline:{long}\r\n\
             a=crypto:4 AES_256_CM_HMAC_SHA1_32 inline:{long}\r\nm=video 0 RTP/SAVP 96\r\n{alternative}"
        )
    };
    // The optional second m-line: the same audio in clear, for those who cannot encrypt.
    for turn in 0..3 {
        let body = offer(10 + turn, "m=audio 30004 RTP/AVP 0\r\n");
        let invite = scene.sim.a.request("INVITE", "", &body);
        scene.sim.send(Side::A, invite);
        let mut answer = None;
        let end = scene.sim.now + Duration::from_secs(1);
        let b = &mut scene.b;
        scene.sim.run_until(end, |sim, side| match side {
            Side::B => b.react(sim),
            Side::A => {
                if let Some(response) = sim.a.response(200) {
                    answer = description(&Message::Response(response));
                    let ack = sim.a.ack("");
                    sim.send(Side::A, ack);
                }
            }
        });
        let answer = answer.unwrap_or_else(|| panic!("no answer\n{}", scene.sim.ladder()));
        let lines: Vec<_> = answer
            .media
            .iter()
            .map(|media| {
                (
                    media.kind.as_str(),
                    media.port != 0,
                    media.attributes("crypto").count(),
                )
            })
            .collect();
        assert_eq!(
            lines,
            [("audio", true, 1), ("video", false, 0), ("audio", false, 0)],
            "turn {turn}"
        );
        assert!(
            answer.media[0]
                .attribute("crypto")
                .flatten()
                .unwrap()
                .starts_with("1 AES_CM_128_HMAC_SHA1_80")
        );
    }
}

#[test]
fn acceptance_9_a_leg_that_is_encrypted_is_encrypted_or_fails() {
    // The callee must be called with SDES and can only do plain: 488, and nothing is sent in clear.
    let mut scene = Scene::new(Encryption::None, Encryption::Sdes);
    scene.b.secure = None;
    scene.call();
    scene.run(Duration::from_secs(2));
    assert_eq!(scene.a.failed, Some(488), "{}", scene.sim.ladder());
    scene.run(Duration::from_secs(70));
    scene.sim.assert_done();

    // An answer that takes the secure profile and brings no key.
    for (answer, why) in [
        ("m=audio 40000 RTP/SAVP 0\r\n", "no key"),
        ("m=audio 40000 RTP/AVP 0\r\n", "clear"),
        (
            "m=audio 40000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAAA\r\n",
            "short key",
        ),
        (
            "m=audio 40000 RTP/SAVP 0\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:BBBBsecretofbobbyxxxxxxxxxxxxxxxxxxxxxxx UNENCRYPTED_SRTP\r\n",
            "unencrypted",
        ),
    ] {
        let mut scene = Scene::new(Encryption::None, Encryption::Sdes);
        scene.call();
        scene.sim.run(Duration::from_millis(20));
        let body = format!(
            "v=0\r\no=bob-login 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\n{answer}"
        );
        let ok = scene.sim.b.respond("INVITE", 200, "", "", &body);
        scene.sim.send(Side::B, ok);
        scene.run(Duration::from_secs(2));
        assert_eq!(scene.a.failed, Some(488), "{why}\n{}", scene.sim.ladder());
        assert!(
            requests(&scene, Side::B, "BYE") > 0,
            "{why}: the callee is hung up"
        );
        assert!(scene.sim.relay.connected.is_empty(), "{why}: nothing flows");
        scene.run(Duration::from_secs(70));
        scene.sim.assert_done();
    }
}

#[test]
fn acceptance_9_an_encrypted_leg_does_not_become_clear_later() {
    for side in BOTH {
        let mut scene = Scene::new(Encryption::Sdes, Encryption::Sdes).answered();
        let (phone, sim) = scene.phone(side);
        phone.secure = None;
        phone.reoffer(sim);
        scene.run(Duration::from_secs(2));
        let failed = scene.phone(side).0.failed;
        assert_eq!(failed, Some(488), "{}", scene.sim.ladder());
        assert!(
            matches!(scene.sim.relay.side(side, 0).unwrap().send, Protection::Srtp(_)),
            "the former session stands"
        );
    }
}

#[test]
fn what_this_build_cannot_encrypt_is_refused_with_488_before_anyone_is_called() {
    for line in [
        "m=audio 30000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 AA\r\na=setup:actpass\r\n",
        "m=audio 30000 RTP/AVP 0\r\na=zrtp-hash:1.10 00\r\n",
        "m=audio 30000 RTP/SAVP 0\r\n",
        "m=image 30000 udptl t38\r\n",
    ] {
        let mut scene = Scene::new(Encryption::None, Encryption::None);
        let body = format!(
            "v=0\r\no=alice-login 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n{line}"
        );
        let invite = scene.sim.a.invite("sip:bob@example.org", "", &body);
        scene.sim.send(Side::A, invite);
        scene.sim.run(Duration::from_millis(100));
        assert!(
            scene.sim.a.response(488).is_some(),
            "{line}\n{}",
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
fn acceptance_13_offerless_invite_and_re_invite_from_either_side() {
    // Without an offer nobody knows what the caller speaks: it is offered what the callee speaks.
    for encryption in [Encryption::None, Encryption::Sdes] {
        let mut scene = Scene::new(encryption, encryption);
        scene.a.offerless = true;
        scene.call();
        scene.run(Duration::from_secs(1));
        assert!(scene.a.up && scene.b.up, "{}", scene.sim.ladder());
        scene.assert_media();
        assert!(
            scene.a.views[0].sends && scene.b.views[0].sends,
            "{}",
            scene.sim.ladder()
        );
        scene.hang_up(Side::A);
        scene.assert_ends();
    }
    for (a, b) in PAIRS {
        for side in BOTH {
            let mut scene = Scene::new(a, b).answered();
            scene.phone(side).0.offerless = true;
            scene.reoffer(side);
            assert!(scene.settle(Duration::from_secs(2)));
            scene.run(Duration::from_secs(1));
            scene.assert_media();
            assert!(
                scene.a.views[0].sends && scene.b.views[0].sends,
                "{}",
                scene.sim.ladder()
            );
            scene.hang_up(side);
            scene.assert_ends();
        }
    }
}

#[test]
fn a_session_refresh_is_answered_from_what_is_agreed() {
    for side in BOTH {
        let mut scene = Scene::new(Encryption::Sdes, Encryption::None).answered();
        // The first re-offer of the callee says more than its answer did; the second says the same again.
        scene.reoffer(side);
        assert!(scene.settle(Duration::from_secs(2)));
        let passed = requests(&scene, side.other(), "INVITE");
        for _ in 0..3 {
            scene.reoffer(side);
            assert!(scene.settle(Duration::from_secs(2)));
        }
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
fn a_refused_change_leaves_both_legs_as_they_were() {
    for side in BOTH {
        let mut scene = Scene::new(Encryption::Sdes, Encryption::Sdes).answered();
        let flows = |scene: &Scene| {
            BOTH.map(|side| {
                let connect = scene.sim.relay.side(side, 0).unwrap();
                (
                    connect.remote.clone(),
                    connect.send.clone(),
                    connect.receive.clone(),
                )
            })
        };
        let (before, ports) = (flows(&scene), scene.sim.relay.ports.clone());
        let (phone, sim) = scene.phone(side);
        phone.video = true;
        phone.rekey();
        phone.reoffer(sim);
        // The other says no, in person.
        let end = scene.sim.now + Duration::from_secs(1);
        scene.sim.run_until(end, |sim, to| {
            let peer = sim.peer(to);
            if to != side && peer.take_request("INVITE").is_some() {
                let no = peer.respond(
                    "INVITE",
                    488,
                    "",
                    "Warning: 304 example.org \"Media type not available\"\r\n",
                    "",
                );
                sim.send(to, no);
            }
        });
        let inbox = scene
            .sim
            .peer(side)
            .response(488)
            .unwrap_or_else(|| panic!("refused\n{}", scene.sim.ladder()));
        assert!(
            inbox
                .headers
                .get("Warning")
                .is_some_and(|warning| warning.to_str().contains("304"))
        );
        let ack = scene.sim.peer(side).ack_failure();
        scene.sim.send(side, ack);
        scene.sim.run(Duration::from_millis(50));
        assert_eq!(flows(&scene), before);
        assert_eq!(
            scene.sim.relay.ports, ports,
            "ports of the refused stream are given back"
        );
    }
}

#[test]
fn info_and_message_cross_with_their_bodies_and_so_do_the_answers() {
    let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
    for (from, method) in [
        (Side::A, "INFO"),
        (Side::B, "MESSAGE"),
        (Side::B, "INFO"),
        (Side::A, "UNHEARD"),
    ] {
        let headers = "Content-Type: text/x-digits\r\nInfo-Package: digits\r\n";
        let bytes = scene.sim.peer(from).request(method, headers, "");
        let text = String::from_utf8(bytes.to_vec())
            .unwrap()
            .replace("Content-Length: 0\r\n\r\n", "Content-Length: 3\r\n\r\n1 #");
        scene.sim.send(from, text.into());
        scene.sim.run(Duration::from_millis(50));
        let to = from.other();
        let request = scene
            .sim
            .peer(to)
            .take_request(method)
            .unwrap_or_else(|| panic!("{method}\n{}", scene.sim.ladder()));
        assert_eq!(&request.body[..], b"1 #");
        assert_eq!(request.headers.get("Content-Type").unwrap(), "text/x-digits");
        let response = scene.sim.peer(to).respond(method, 202, "", "", "");
        scene.sim.send(to, response);
        scene.sim.run(Duration::from_millis(50));
        assert!(
            scene.sim.peer(from).response(202).is_some(),
            "{method}\n{}",
            scene.sim.ladder()
        );
    }
}

#[test]
fn nothing_of_one_leg_s_description_is_on_the_other() {
    // The sim looks at every message; here is the proof that it looks at the right things.
    let scene = Scene::new(Encryption::Sdes, Encryption::Sdes).answered();
    let invite = scene
        .sim
        .wire
        .iter()
        .find(|(_, side, inwards, _)| *side == Side::A && *inwards)
        .unwrap();
    let mut privacy = b2bua::testing::privacy::Privacy::default();
    privacy.learn(Side::A, &invite.3);
    for word in [
        "192.0.2.10",
        "alice-login",
        "AAAAsecretofalice",
        "alice-call",
        "alice-tag",
        "alice-device",
        "z9hG4bK-alice-1",
    ] {
        let sample = bytes::Bytes::from(format!("INVITE sip:x SIP/2.0\r\nSubject: {word}\r\n\r\n"));
        let whole = String::from_utf8_lossy(&invite.3)
            .split([' ', ';', '=', '<', '>', ':', '@', '\r'])
            .find(|part| part.contains(word))
            .map(str::to_owned);
        let sample = match whole {
            Some(whole) => bytes::Bytes::from(format!("Subject: {whole}\r\n")),
            None => sample,
        };
        assert!(privacy.leaks(Side::B, &sample).is_some(), "{word} would pass");
    }
    assert!(matches!(read(&invite.3), Message::Request(_)));
}
