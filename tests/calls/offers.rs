//! Offers in mid-call: video, keys, late offers, refreshes, refusals. Acceptance #12, #13.

use b2bua::{
    call::{CallEvent, Encryption, EncryptionPolicy, Side},
    media::StreamId,
    sip::Message,
    testing::{Scene, Sim, Verdicts, peer::read},
};
use std::time::Duration;

const PAIRS: [(Encryption, Encryption); 4] = [
    (Encryption::None, Encryption::None),
    (Encryption::Sdes, Encryption::None),
    (Encryption::None, Encryption::Sdes),
    (Encryption::Sdes, Encryption::Sdes),
];
const BOTH: [Side; 2] = [Side::A, Side::B];

/// How many requests of that method the server sent on a side.
pub(crate) fn requests(scene: &Scene, side: Side, method: &str) -> usize {
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
                CallEvent::Keyed { side, encryption, .. } => Some((*side, *encryption)),
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
fn acceptance_13_offerless_invite_and_re_invite_from_either_side() {
    // Without an offer nobody knows what the caller speaks: it is offered what the callee speaks.
    for encryption in [
        Encryption::None,
        Encryption::Sdes,
        Encryption::DtlsSrtp,
        Encryption::Zrtp,
    ] {
        let mut scene = Scene::new(encryption, encryption);
        scene.a.offerless = true;
        scene.call();
        // A ClientHello that is ahead of the ACK comes again.
        scene.run(Duration::from_secs(4));
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
fn a_callee_that_hangs_up_while_ports_open_for_its_late_offer_was_never_there() {
    for routes in [1, 2] {
        let mut sim = Sim::new(Verdicts::routes(move |invite| {
            let route = || Verdicts::outgoing(invite, EncryptionPolicy::Only(Encryption::None));
            (0..routes).map(|_| route()).collect()
        }));
        sim.think = Duration::from_millis(100);
        let invite = sim.a.invite("sip:bob@example.org", "", "");
        sim.send(Side::A, invite);
        sim.run(Duration::from_millis(500));
        for attempt in 0..routes {
            let invite = sim.b.take_request("INVITE").expect("the next route is tried");
            assert_eq!(&invite.body[..], b"", "attempt {attempt} is asked for an offer");
            let offer = "v=0\r\no=bob-device 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\n\
                         m=audio 40000 RTP/AVP 0\r\n";
            let answer = sim.b.respond_to(&invite, 200, "", "", offer);
            sim.send(Side::B, answer);
            let bye = sim.b.request("BYE", "", "");
            sim.send(Side::B, bye);
            sim.run(Duration::from_millis(1_000));
            assert!(sim.b.response(200).is_some(), "its BYE is answered");
        }
        assert!(sim.a.response(200).is_none(), "nobody is there to talk to");
        assert!(sim.a.response(603).is_some());
        let ack = sim.a.ack_failure();
        sim.send(Side::A, ack);
        sim.run(Duration::from_secs(100));
        sim.assert_done();
    }
}

#[test]
fn a_description_outside_of_offer_and_answer_stays_on_its_leg() {
    let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
    let description = |host: &str| {
        format!("v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=audio 9 RTP/AVP 0\r\n")
    };
    let message = scene
        .sim
        .a
        .request("MESSAGE", "X-Note: kept\r\n", &description("192.0.2.10"));
    scene.sim.send(Side::A, message);
    scene.sim.run(Duration::from_millis(50));
    let crossed = scene.sim.b.take_request("MESSAGE").expect("the request crosses");
    assert_eq!(&crossed.body[..], b"");
    assert_eq!(crossed.headers.get("Content-Type"), None);
    assert_eq!(crossed.headers.get("X-Note").expect("kept"), "kept");
    let response = scene
        .sim
        .b
        .respond("MESSAGE", 302, "", "", &description("192.0.2.200"));
    scene.sim.send(Side::B, response);
    scene.sim.run(Duration::from_millis(50));
    let answer = scene.sim.a.response(302).expect("the answer crosses");
    assert_eq!(&answer.body[..], b"");
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
    privacy.learn(Side::A, &read(&invite.3));
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
