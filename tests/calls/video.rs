//! Video beside the voice: added, taken out and added again, refused: acceptance #12.

use b2bua::{
    call::{CallEvent, Encryption, Side},
    media::{Connect, Protection},
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

/// The same in bad weather: 20 % of the packets are lost and others overtake each other.
#[test]
fn acceptance_8_video_that_is_added_under_loss_is_keyed_and_nothing_is_clear_before() {
    for side in BOTH {
        for seed in 0..5 {
            let (a, b) = match side {
                Side::A => (Encryption::Zrtp, Encryption::Sdes),
                Side::B => (Encryption::None, Encryption::Zrtp),
            };
            let mut scene = Scene::with(a, b, settings(), seed);
            scene.phone(side).0.zrtp.as_mut().unwrap().loss = 20;
            scene.call();
            scene.run(12 * SECOND);
            (scene.a.video, scene.b.video) = (true, true);
            scene.reoffer(side.other());
            let mut looks = 0;
            for _ in 0..2400 {
                scene.run(Duration::from_millis(5));
                if let Some(connect) = scene.sim.relay.side(side, VIDEO) {
                    let both = [&connect.receive, &connect.send];
                    assert!(!both.contains(&&Protection::Clear), "in the clear");
                    looks += 1;
                }
            }
            assert!(looks > 2000, "{}", scene.sim.ladder());
            both_see(&scene, true);
            scene.hang_up(side);
            scene.assert_ends();
        }
    }
}
