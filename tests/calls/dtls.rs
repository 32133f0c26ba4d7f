//! DTLS-SRTP: roles, associations and their keys: acceptance #4, #5, #6, #9.

use super::unkeyed::{bob_says, ends_and_nothing_passed};
use b2bua::{
    call::{CallEvent, Encryption, Input, Side, media_plan::Role},
    media::{Component, MediaEvent, Protection, StreamId},
    testing::Scene,
};
use std::time::Duration;

const BOTH: [Side; 2] = [Side::A, Side::B];
const MODES: [Encryption; 3] = [Encryption::None, Encryption::Sdes, Encryption::DtlsSrtp];
const SECOND: Duration = Duration::from_secs(1);

fn begun(scene: &Scene, side: Side) -> Vec<(Component, Role)> {
    let of = scene
        .sim
        .handshakes
        .begun
        .iter()
        .filter(|(id, ..)| id.side == side);
    of.map(|(id, role, _)| (id.component, *role)).collect()
}

/// Up, with keys.
fn keyed(a: Encryption, b: Encryption) -> Scene {
    let mut scene = Scene::new(a, b).answered();
    assert!(scene.settle(SECOND), "{}", scene.sim.ladder());
    scene.run(SECOND);
    scene.assert_media();
    scene
}

#[test]
fn dtls_meets_plain_sdes_and_itself_in_both_directions() {
    for other in MODES {
        for (a, b) in [(Encryption::DtlsSrtp, other), (other, Encryption::DtlsSrtp)] {
            let mut scene = keyed(a, b);
            for (side, mode) in [(Side::A, a), (Side::B, b)] {
                // We never begin: who is offered `actpass` is to be active.
                let both = [(Component::Rtp, Role::Server), (Component::Rtcp, Role::Server)];
                let expected: &[_] = if mode == Encryption::DtlsSrtp { &both } else { &[] };
                assert_eq!(begun(&scene, side), expected, "{a} {b}\n{}", scene.sim.ladder());
                let connect = scene.sim.relay.side(side, 0).unwrap();
                assert_eq!(connect.rtcp.is_some(), mode == Encryption::DtlsSrtp);
                let told = scene.sim.events.iter().filter(
                    |event| matches!(event, CallEvent::Keyed { side: of, encryption, .. } if *of == side && *encryption == mode),
                );
                assert_eq!(told.count(), 1, "{a} {b}");
            }
            scene.hang_up(Side::A);
            scene.assert_ends();
        }
    }
}

#[test]
fn a_callee_that_is_passive_is_greeted_by_us() {
    let mut scene = Scene::new(Encryption::None, Encryption::DtlsSrtp);
    scene.b.dtls.as_mut().unwrap().answers = "passive";
    let mut scene = scene.answered();
    scene.run(SECOND);
    scene.assert_media();
    assert_eq!(
        begun(&scene, Side::B),
        [(Component::Rtp, Role::Client), (Component::Rtcp, Role::Client)]
    );
    scene.hang_up(Side::B);
    scene.assert_ends();
}

#[test]
fn acceptance_4_the_role_stays_on_re_offers_and_audio_never_stops() {
    for dtls in BOTH {
        for answers in ["active", "passive"] {
            for renamed in [false, true] {
                let (a, b) = match dtls {
                    Side::A => (Encryption::DtlsSrtp, Encryption::None),
                    Side::B => (Encryption::None, Encryption::DtlsSrtp),
                };
                let mut scene = Scene::new(a, b);
                scene.phone(dtls).0.dtls.as_mut().unwrap().answers = answers;
                let mut scene = scene.answered();
                scene.run(SECOND);
                scene.assert_media();
                let roles = begun(&scene, dtls);
                for (turn, by) in [dtls, dtls.other(), dtls].into_iter().enumerate() {
                    if renamed && by == dtls {
                        scene.phone(dtls).0.dtls.as_mut().unwrap().id += 1;
                    }
                    // A phone that always answers `actpass` in the other way than it had.
                    if turn == 1 && !renamed {
                        scene.phone(dtls).0.dtls.as_mut().unwrap().answers =
                            if answers == "active" { "passive" } else { "active" };
                    }
                    scene.reoffer(by);
                    let end = scene.sim.now + Duration::from_secs(2);
                    while scene.sim.now < end {
                        scene.run(Duration::from_millis(5));
                        let connect = scene.sim.relay.side(dtls, 0).unwrap();
                        assert!(
                            matches!(
                                (&connect.receive, &connect.send),
                                (Protection::Srtp(_), Protection::Srtp(_))
                            ),
                            "audio stopped\n{}",
                            scene.sim.ladder()
                        );
                    }
                    scene.assert_media();
                }
                let all = begun(&scene, dtls);
                if renamed {
                    assert!(all.len() > roles.len(), "a new name is a new association");
                } else {
                    assert_eq!(
                        all,
                        roles,
                        "no ClientHello for what is there\n{}",
                        scene.sim.ladder()
                    );
                }
                scene.hang_up(Side::A);
                scene.assert_ends();
            }
        }
    }
}

/// The call's part of acceptance #5: of those whom the relay lets through, only who shows the certificate has a say.
#[test]
fn acceptance_5_hellos_from_where_the_peer_might_be_do_not_disturb_it() {
    let mut scene = Scene::new(Encryption::DtlsSrtp, Encryption::None);
    scene.call();
    let hello = |number: u16| {
        let mut bytes = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 60];
        bytes.extend([1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48, 254, 253]);
        bytes.extend([0xEE; 30]);
        bytes.extend(number.to_be_bytes());
        bytes.extend([0; 14]);
        bytes
    };
    let mut number = 0;
    for _ in 0..2000 {
        scene.run(Duration::from_millis(1));
        number += 1;
        scene.sim.feed(Input::Media(MediaEvent::Control {
            side: Side::A,
            stream: StreamId(0),
            component: Component::Rtp,
            from: format!("192.0.2.10:{}", 20_000 + number % 500).parse().unwrap(),
            bytes: hello(number),
        }));
    }
    scene.assert_media();
    let begun = begun(&scene, Side::A).len();
    assert!(begun < 30, "{begun} handshakes\n{}", scene.sim.ladder());
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn acceptance_6_a_leg_that_moves_to_a_new_device_is_keyed_anew_and_the_old_one_is_out() {
    for side in BOTH {
        let mut scene = keyed(Encryption::DtlsSrtp, Encryption::DtlsSrtp);
        let before = scene.sim.relay.side(side, 0).unwrap().clone();
        let (phone, sim) = scene.phone(side);
        phone.rtp.set_port(phone.rtp.port() + 100);
        let dtls = phone.dtls.as_mut().unwrap();
        dtls.certificate += 1;
        dtls.id += 1;
        phone.reoffer(sim);
        let offered = scene.sim.now;
        let mut blocked = false;
        loop {
            scene.run(Duration::from_millis(1));
            let connect = scene.sim.relay.side(side, 0).unwrap();
            if connect.remote == before.remote {
                continue;
            }
            assert_ne!(
                connect.receive, before.receive,
                "the old device is not heard on the new path"
            );
            match connect.receive {
                Protection::Blocked => blocked = true,
                Protection::Srtp(_) => break,
                Protection::Clear => panic!("in the clear"),
            }
        }
        assert!(blocked, "nothing passes between the keys");
        assert!(scene.sim.now - offered < SECOND);
        scene.run(SECOND);
        scene.assert_media();
        scene.hang_up(side);
        scene.assert_ends();
    }
}

#[test]
fn an_address_alone_that_changes_leaves_the_keys_until_there_are_new_ones() {
    let mut scene = keyed(Encryption::DtlsSrtp, Encryption::None);
    let keys = scene.sim.relay.side(Side::A, 0).unwrap().send.clone();
    scene.a.rtp.set_port(scene.a.rtp.port() + 100);
    scene.reoffer(Side::A);
    assert!(scene.settle(SECOND));
    let connect = scene.sim.relay.side(Side::A, 0).unwrap();
    assert!(matches!(connect.send, Protection::Srtp(_)));
    scene.run(SECOND);
    assert_ne!(scene.sim.relay.side(Side::A, 0).unwrap().send, keys);
    scene.assert_media();
}

#[test]
fn a_refused_change_leaves_the_association_as_it_is() {
    let mut scene = keyed(Encryption::DtlsSrtp, Encryption::DtlsSrtp);
    let begun_before = begun(&scene, Side::A);
    let keys = scene.sim.relay.side(Side::A, 0).unwrap().clone();
    scene.b.refuses = Some(488);
    scene.b.up = false;
    scene.a.dtls.as_mut().unwrap().id += 1;
    scene.reoffer(Side::A);
    scene.run(SECOND);
    assert_eq!(scene.a.failed, Some(488));
    assert_eq!(begun(&scene, Side::A), begun_before);
    assert_eq!(scene.sim.relay.side(Side::A, 0).unwrap().send, keys.send);
}

#[test]
fn acceptance_9_without_keys_the_call_ends_and_nothing_was_in_the_clear() {
    for (side, passive) in [(Side::A, false), (Side::B, false), (Side::B, true)] {
        let (a, b) = match side {
            Side::A => (Encryption::DtlsSrtp, Encryption::None),
            Side::B => (Encryption::None, Encryption::DtlsSrtp),
        };
        let mut scene = Scene::new(a, b);
        if passive {
            scene.phone(side).0.dtls.as_mut().unwrap().answers = "passive";
        }
        // Another one is there than the description says.
        scene.sim.handshakes.forged = ("sha-256 ".to_owned() + &["00"; 32].join(":")).parse().ok();
        scene.call();
        ends_and_nothing_passed(&mut scene, side);
    }
}

#[test]
fn acceptance_9_an_answer_without_a_fingerprint_or_in_the_clear_is_refused() {
    let fingerprint = "sha-256 ".to_owned() + &["BB"; 32].join(":");
    for (answer, why) in [
        (
            "m=audio 40000 UDP/TLS/RTP/SAVP 0\r\n".to_owned(),
            "no fingerprint",
        ),
        (
            "m=audio 40000 UDP/TLS/RTP/SAVP 0\r\na=setup:active\r\na=fingerprint:md5 AA\r\n".to_owned(),
            "no usable fingerprint",
        ),
        (
            format!(
                "m=audio 40000 UDP/TLS/RTP/SAVP 0\r\na=setup:holdconn\r\na=fingerprint:{fingerprint}\r\n"
            ),
            "no association",
        ),
        ("m=audio 40000 RTP/AVP 0\r\n".to_owned(), "clear"),
    ] {
        let mut scene = Scene::new(Encryption::None, Encryption::DtlsSrtp);
        scene.call();
        scene.sim.run(Duration::from_millis(20));
        bob_says(&mut scene, 200, &answer);
        scene.run(Duration::from_secs(2));
        assert_eq!(scene.a.failed, Some(488), "{why}\n{}", scene.sim.ladder());
        assert!(scene.sim.relay.connected.is_empty(), "{why}: nothing flows");
        scene.run(Duration::from_secs(70));
        scene.sim.assert_done();
    }
}

#[test]
fn early_media_is_keyed_before_the_answer() {
    let mut scene = Scene::new(Encryption::None, Encryption::DtlsSrtp);
    scene.b.rings = Duration::from_secs(3);
    scene.call();
    scene.sim.run(Duration::from_millis(20));
    let fingerprint = scene.b.dtls.as_ref().unwrap().fingerprint();
    scene.b.show_certificate(&mut scene.sim);
    let media =
        format!("m=audio 40000 UDP/TLS/RTP/SAVP 0\r\na=setup:passive\r\na=fingerprint:{fingerprint}\r\n");
    for status in [183, 200] {
        bob_says(&mut scene, status, &media);
        scene.sim.run(Duration::from_millis(200));
        let connect = scene.sim.relay.side(Side::B, 0).unwrap();
        assert!(
            matches!(connect.receive, Protection::Srtp(_)),
            "{status}\n{}",
            scene.sim.ladder()
        );
    }
    assert_eq!(begun(&scene, Side::B).len(), 2, "the same association");
}

#[test]
fn a_bundled_and_multiplexed_offer_is_answered_with_one_association_and_no_bundle() {
    let mut scene = Scene::new(Encryption::DtlsSrtp, Encryption::None);
    let fingerprint = scene.a.dtls.as_ref().unwrap().fingerprint();
    let body = format!(
        "v=0\r\no=alice-login 770501 1 IN IP4 192.0.2.10\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\n\
         m=audio 30000 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 192.0.2.10\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:0123456789012345678901\r\na=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:0\r\na=rtcp-mux\r\n"
    );
    let invite = scene.sim.a.invite("sip:bob@example.org", "", &body);
    scene.sim.send(Side::A, invite);
    let end = scene.sim.now + SECOND;
    let b = &mut scene.b;
    scene.sim.run_until(end, |sim, side| {
        if side == Side::B {
            b.react(sim);
        }
        b.tick(sim);
    });
    scene.b.tick(&mut scene.sim);
    scene.sim.run(SECOND);
    let ok = scene.sim.a.response(200).expect("an answer");
    let answer = String::from_utf8_lossy(&ok.body).into_owned();
    for line in [
        "UDP/TLS/RTP/SAVPF",
        "a=setup:passive",
        "a=rtcp-mux",
        "a=fingerprint:sha-256 5E:",
    ] {
        assert!(answer.contains(line), "{line} in {answer}");
    }
    assert!(
        !answer.contains("BUNDLE") && !answer.contains("a=mid") && !answer.contains("ice"),
        "{answer}"
    );
    let connect = scene.sim.relay.side(Side::A, 0).unwrap();
    assert!(connect.rtcp.is_none() && connect.remote.mux);
}
