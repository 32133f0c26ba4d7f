//! Keys and the refusal to go without: acceptance #1, #7, #9.

use super::{offers::requests, unkeyed::bob_says};
use b2bua::{
    call::{Encryption, Side},
    media::Protection,
    sip::Message,
    testing::{Hold, Scene, privacy::description},
};
use std::time::Duration;

const BOTH: [Side; 2] = [Side::A, Side::B];

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
fn our_offers_inside_a_call_fit_into_a_datagram_whatever_suite_the_party_has() {
    for suite in ["AES_CM_128_HMAC_SHA1_32", "AES_CM_128_HMAC_SHA1_80"] {
        for side in BOTH {
            let mut scene = Scene::new(Encryption::Sdes, Encryption::Sdes);
            // Who is called has what everybody has; `_32` is not offered to it.
            scene.a.suite = suite;
            let mut scene = scene.answered();
            for hold in [Some(Hold::SendOnly), None] {
                scene.phone(side.other()).0.hold = hold;
                scene.reoffer(side.other());
                assert!(scene.settle(Duration::from_secs(2)));
                scene.assert_media();
            }
            // A stream that comes later is keyed with the suite that the party is known to have.
            scene.phone(side).0.video = true;
            scene.phone(side.other()).0.video = true;
            scene.reoffer(side.other());
            assert!(scene.settle(Duration::from_secs(2)));
            scene.assert_media();
            assert!(scene.sim.relay.side(side, 1).is_some(), "{}", scene.sim.ladder());
            let offers =
                scene.sim.wire.iter().filter(|(_, on, inwards, bytes)| {
                    *on == side && !inwards && bytes.starts_with(b"INVITE ")
                });
            let sizes: Vec<usize> = offers.map(|(_, _, _, bytes)| bytes.len()).collect();
            let inside = if side == Side::B { &sizes[1..] } else { &sizes };
            assert_eq!(inside.len(), 3);
            assert!(inside.iter().all(|size| *size < 1300), "{side:?}: {sizes:?}");
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
        bob_says(&mut scene, 200, answer);
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
fn what_cannot_be_keyed_is_refused_with_488_before_anyone_is_called() {
    for line in [
        "m=audio 30000 UDP/TLS/RTP/SAVPF 0\r\na=fingerprint:sha-256 AA\r\na=setup:actpass\r\n",
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
