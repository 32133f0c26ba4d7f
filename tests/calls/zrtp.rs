//! ZRTP on either leg, between the server and phones that have the machine itself: acceptance #8, #9.

use super::unkeyed::ends_and_nothing_passed;
use b2bua::{
    call::{CallEvent, Encryption, Input, Sas, Side},
    media::{MediaEvent, Protection, StreamId},
    testing::{Scene, settings},
};
use std::time::Duration;

const BOTH: [Side; 2] = [Side::A, Side::B];
const MODES: [Encryption; 4] = [
    Encryption::None,
    Encryption::Sdes,
    Encryption::DtlsSrtp,
    Encryption::Zrtp,
];
const SECOND: Duration = Duration::from_secs(1);

/// What the call told of a leg.
fn sas(scene: &Scene, side: Side) -> Option<Sas> {
    scene.sim.events.iter().rev().find_map(|event| match event {
        CallEvent::Keyed {
            side: of,
            sas: Some(sas),
            ..
        } if *of == side => Some(sas.clone()),
        _ => None,
    })
}

fn keyed(a: Encryption, b: Encryption) -> Scene {
    let mut scene = Scene::new(a, b).answered();
    scene.run(2 * SECOND);
    scene.assert_media();
    scene
}

/// The other mode on the other leg.
fn only(side: Side, mode: Encryption) -> (Encryption, Encryption) {
    match side {
        Side::A => (mode, Encryption::None),
        Side::B => (Encryption::None, mode),
    }
}

#[test]
fn zrtp_meets_every_other_mode_and_both_see_the_same_string() {
    for other in MODES {
        for (a, b) in [(Encryption::Zrtp, other), (other, Encryption::Zrtp)] {
            let mut scene = keyed(a, b);
            for (side, mode) in [(Side::A, a), (Side::B, b)] {
                let told = sas(&scene, side);
                assert_eq!(told.is_some(), mode == Encryption::Zrtp, "{a} {b}");
                let (phone, _) = scene.phone(side);
                let seen = phone.zrtp.as_ref().and_then(|zrtp| zrtp.sas.clone());
                assert_eq!(told.map(|sas| sas.text), seen.map(|sas| sas.text), "{a} {b}");
            }
            scene.hang_up(Side::A);
            scene.assert_ends();
        }
    }
}

/// Acceptance #8, first part: 20 % loss and reordering, audio and video, and never anything in the clear.
#[test]
fn acceptance_8_under_loss_audio_and_video_are_keyed_and_nothing_is_clear_before() {
    for side in BOTH {
        for seed in 0..10 {
            let (a, b) = only(side, Encryption::Zrtp);
            let mut scene = Scene::with(a, b, settings(), seed);
            (scene.a.video, scene.b.video) = (true, true);
            scene.phone(side).0.zrtp.as_mut().unwrap().loss = 20;
            scene.call();
            for _ in 0..2400 {
                scene.run(Duration::from_millis(5));
                for stream in 0..2 {
                    if let Some(connect) = scene.sim.relay.side(side, stream) {
                        assert!(
                            !matches!(connect.receive, Protection::Clear)
                                && !matches!(connect.send, Protection::Clear),
                            "in the clear"
                        );
                    }
                }
            }
            assert_eq!(scene.a.views.len(), 2);
            scene.assert_media();
            scene.hang_up(side);
            scene.assert_ends();
        }
    }
}

/// Acceptance #8 and bar 3: whatever is lost, an exchange completes or fails by its timers, and nothing is left in between: a stream
/// has both keys or none, a call without those of its voice has ended with a reason, and nothing was ever clear.
#[test]
fn acceptance_8_every_exchange_completes_or_ends_and_nothing_is_left_between() {
    // Loss in percent, seeds, and how many of their calls may end for want of keys.
    for (loss, seeds, may_end) in [(20, 75, 1), (55, 40, 40)] {
        let (mut keyed, mut ended) = (0, 0);
        for side in BOTH {
            for seed in 0..seeds {
                let (a, b) = only(side, Encryption::Zrtp);
                let mut scene = Scene::with(a, b, settings(), 1_000 + seed);
                (scene.a.video, scene.b.video) = (true, true);
                scene.phone(side).0.zrtp.as_mut().unwrap().loss = loss;
                scene.call();
                for _ in 0..700 {
                    scene.run(Duration::from_millis(50));
                    for stream in 0..2 {
                        if let Some(connect) = scene.sim.relay.side(side, stream) {
                            let both = [&connect.receive, &connect.send];
                            assert!(!both.contains(&&Protection::Clear), "{side:?} {loss} {seed}");
                        }
                    }
                }
                if scene.a.ended {
                    ended += 1;
                    assert!(scene.b.ended, "{side:?} {loss} {seed}\n{}", scene.sim.ladder());
                    let byes = scene
                        .sim
                        .wire
                        .iter()
                        .filter(|(_, _, inwards, bytes)| !inwards && bytes.starts_with(b"BYE"));
                    let told = byes.filter(|(_, _, _, bytes)| {
                        String::from_utf8_lossy(bytes).contains("Reason: SIP;cause=488")
                    });
                    assert!(
                        told.count() >= 2,
                        "{side:?} {loss} {seed}\n{}",
                        scene.sim.ladder()
                    );
                } else {
                    keyed += 1;
                    assert!(sas(&scene, side).is_some(), "{side:?} {loss} {seed}");
                    for stream in 0..2 {
                        let connect = scene.sim.relay.side(side, stream).unwrap();
                        let has =
                            [&connect.receive, &connect.send].map(|key| matches!(key, Protection::Srtp(_)));
                        assert_eq!(has[0], has[1], "{side:?} {loss} {seed}: stream {stream}");
                        assert!(has[0] || stream == 1, "{side:?} {loss} {seed}: its voice");
                    }
                    scene.hang_up(side);
                }
                scene.assert_ends();
            }
        }
        assert_eq!(keyed + ended, 2 * seeds);
        assert!(
            ended <= may_end && keyed > 0,
            "{loss} %: {keyed} keyed, {ended} ended"
        );
    }
}

/// Acceptance #8, second part: the peer is replaced by another device.
#[test]
fn acceptance_8_a_leg_that_moves_to_a_new_device_is_keyed_anew() {
    for side in BOTH {
        let (a, b) = only(side, Encryption::Zrtp);
        let mut scene = keyed(a, b);
        let before = scene.sim.relay.side(side, 0).unwrap().clone();
        let (phone, sim) = scene.phone(side);
        phone.zrtp.as_mut().unwrap().replace();
        phone.rtp.set_port(phone.rtp.port() + 100);
        phone.reoffer(sim);
        let end = scene.sim.now + 2 * SECOND;
        let mut blocked = false;
        while scene.sim.now < end {
            scene.run(Duration::from_millis(1));
            let connect = scene.sim.relay.side(side, 0).unwrap();
            if connect.remote != before.remote {
                assert_ne!(connect.receive, before.receive, "the old device is out");
                blocked |= connect.receive == Protection::Blocked;
            }
        }
        assert!(blocked);
        scene.assert_media();
        scene.hang_up(side);
        scene.assert_ends();
    }
}

#[test]
fn hold_and_resume_leave_the_keys_as_they_are() {
    for side in BOTH {
        let mut scene = keyed(Encryption::Zrtp, Encryption::Zrtp);
        let before = scene.sim.relay.side(side, 0).unwrap().clone();
        for hold in [Some(b2bua::testing::Hold::SendOnly), None] {
            scene.phone(side).0.hold = hold;
            scene.reoffer(side);
            assert!(scene.settle(SECOND));
            scene.assert_media();
            let now = scene.sim.relay.side(side, 0).unwrap();
            assert_eq!((&now.receive, &now.send), (&before.receive, &before.send));
        }
        scene.hang_up(side);
        scene.assert_ends();
    }
}

#[test]
fn video_that_is_added_in_mid_call_is_keyed_without_a_second_string() {
    let mut scene = keyed(Encryption::Zrtp, Encryption::Sdes);
    (scene.a.video, scene.b.video) = (true, true);
    scene.reoffer(Side::A);
    scene.run(2 * SECOND);
    assert_eq!(scene.a.views.len(), 2);
    scene.assert_media();
    let strings = scene
        .sim
        .events
        .iter()
        .filter(|event| matches!(event, CallEvent::Keyed { sas: Some(_), .. }));
    assert_eq!(strings.count(), 1);
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn acceptance_9_a_peer_that_announces_zrtp_and_does_none_is_hung_up_and_hears_nothing() {
    for side in BOTH {
        let (a, b) = only(side, Encryption::Zrtp);
        let mut scene = Scene::new(a, b);
        scene.phone(side).0.zrtp.as_mut().unwrap().mute = true;
        scene.call();
        ends_and_nothing_passed(&mut scene, side);
    }
}

#[test]
fn a_callee_that_does_zrtp_without_announcing_it_is_keyed_by_its_hello() {
    let mut scene = Scene::new(Encryption::None, Encryption::Zrtp);
    scene.b.zrtp.as_mut().unwrap().silent = true;
    let mut scene = scene.answered();
    scene.run(2 * SECOND);
    scene.assert_media();
    scene.hang_up(Side::A);
    scene.assert_ends();
}

/// RFC 6189 §4.6: the first packet under the new keys counts as Conf2ACK.
#[test]
fn a_conf2ack_that_never_arrives_is_made_up_for_by_media() {
    for side in BOTH {
        let (a, b) = only(side, Encryption::Zrtp);
        let mut scene = Scene::new(a, b);
        let zrtp = scene.phone(side).0.zrtp.as_mut().unwrap();
        zrtp.waits();
        zrtp.unacknowledged = true;
        let mut scene = scene.answered();
        scene.run(SECOND);
        let phone = scene.phone(side).0.zrtp.as_ref().unwrap();
        let sealed = Protection::Srtp(phone.send[&0].clone());
        let connect = scene.sim.relay.side(side, 0).unwrap();
        assert_eq!(connect.receive, sealed, "what it sends can be opened already");
        assert_eq!(connect.send, Protection::Blocked);
        assert_eq!(sas(&scene, side), None);
        let stream = StreamId(0);
        scene
            .sim
            .feed(Input::Media(MediaEvent::Authenticated { side, stream }));
        scene.assert_media();
        assert!(sas(&scene, side).is_some());
        scene.run(30 * SECOND);
        scene.assert_media();
        scene.hang_up(side);
        scene.assert_ends();
    }
}
