//! Acceptance #14: both parties re-offer at (nearly) the same moment.

use b2bua::{
    call::{Encryption, Side},
    testing::{Hold, Scene, settings},
};
use std::time::Duration;

/// Both re-offer, B that much later (or earlier); afterwards both offers must have got through.
fn cross(seed: u64, b_after: Duration, wires: Duration, update: (bool, bool)) -> u32 {
    let mut scene = Scene::with(Encryption::Sdes, Encryption::None, settings(), seed).answered();
    scene.sim.delay = wires;
    scene.a.hold = Some(Hold::SendOnly);
    scene.b.hold = Some(Hold::Inactive);
    (scene.a.by_update, scene.b.by_update) = update;
    scene.reoffer(Side::A);
    scene.run(b_after);
    scene.reoffer(Side::B);
    let place = |scene: &Scene| {
        format!(
            "seed {seed}, B after {b_after:?}, wires {wires:?}, {update:?}\n{}",
            scene.sim.ladder()
        )
    };
    assert!(scene.settle(Duration::from_secs(30)), "no end: {}", place(&scene));
    assert_eq!(
        (scene.a.failed, scene.b.failed),
        (None, None),
        "{}",
        place(&scene)
    );
    let (a, b) = (&scene.a.views[0], &scene.b.views[0]);
    assert_eq!(
        (a.sends, a.receives, b.sends, b.receives),
        (false, false, false, false),
        "{}",
        place(&scene)
    );
    scene.assert_media();
    let glares = scene.a.glares + scene.b.glares;
    // And the call still ends.
    scene.hang_up(if seed.is_multiple_of(2) { Side::A } else { Side::B });
    scene.assert_ends();
    glares
}

#[test]
fn acceptance_14_every_crossing_point_in_a_millisecond_grid() {
    let mut glares = 0;
    for wires in [1, 3, 10] {
        for after in 0..=60 {
            glares += cross(
                after,
                Duration::from_millis(after),
                Duration::from_millis(wires),
                (false, false),
            );
        }
    }
    assert!(glares > 20, "only {glares} met: the grid misses the crossing");
}

#[test]
fn acceptance_14_a_thousand_times_within_a_millisecond() {
    let mut met = 0;
    for seed in 0..1_000 {
        let after = Duration::from_micros(seed * 7919 % 1_000);
        met += u32::from(cross(seed, after, Duration::from_millis(1 + seed % 20), (false, false)) > 0);
    }
    assert!(met > 900, "only {met} of 1,000 met");
}

#[test]
fn acceptance_14_updates_and_re_invites_meet_in_every_pair() {
    for update in [(true, false), (false, true), (true, true)] {
        for after in 0..=12 {
            cross(
                after,
                Duration::from_millis(after),
                Duration::from_millis(4),
                update,
            );
        }
    }
}

/// An offer waits for ports while the other side's comes: the bridge itself says 491.
#[test]
fn acceptance_14_offers_that_meet_while_ports_are_being_bound_both_get_through() {
    let mut glares = 0;
    for after in 0..=40 {
        for first in [Side::A, Side::B] {
            let mut scene = Scene::with(Encryption::None, Encryption::Sdes, settings(), after).answered();
            scene.sim.think = Duration::from_millis(12);
            scene.a.video = true;
            scene.b.video = true;
            scene.phone(first.other()).0.hold = Some(Hold::SendOnly);
            scene.reoffer(first);
            scene.run(Duration::from_millis(after));
            scene.reoffer(first.other());
            assert!(
                scene.settle(Duration::from_secs(30)),
                "no end\n{}",
                scene.sim.ladder()
            );
            let place = || format!("{after} ms, first {first:?}\n{}", scene.sim.ladder());
            assert_eq!((scene.a.failed, scene.b.failed), (None, None), "{}", place());
            for view in &scene.phone(first).0.views.clone() {
                assert!(view.receives && !view.sends, "{:?}", scene.sim.ladder());
            }
            assert_eq!(scene.a.views.len(), 2);
            scene.assert_media();
            glares += scene.a.glares + scene.b.glares;
            scene.hang_up(first);
            scene.assert_ends();
        }
    }
    assert!(glares > 20, "{glares}");
}

#[test]
fn acceptance_14_info_and_bye_are_never_refused_with_491() {
    for after in 0..=12 {
        let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
        scene.sim.delay = Duration::from_millis(4);
        scene.reoffer(Side::A);
        scene.reoffer(Side::B);
        scene.run(Duration::from_millis(after));
        let info = scene.sim.a.request("INFO", "", "");
        scene.sim.send(Side::A, info);
        scene.run(Duration::from_millis(1));
        scene.hang_up(Side::B);
        scene.run(Duration::from_secs(40));
        let refused = scene.sim.wire.iter().filter(|(_, _, inwards, bytes)| {
            let text = String::from_utf8_lossy(bytes);
            !inwards
                && text.starts_with("SIP/2.0 491")
                && (text.contains(" INFO\r\n") || text.contains(" BYE\r\n"))
        });
        assert_eq!(refused.count(), 0, "{}", scene.sim.ladder());
        // The server answers both all the same.
        for method in ["INFO", "BYE"] {
            let end = format!(" {method}\r\n");
            let mut answers = scene.sim.wire.iter().filter(|(_, _, inwards, bytes)| {
                let text = String::from_utf8_lossy(bytes);
                !inwards && text.starts_with("SIP/2.0 ") && text.contains(&end)
            });
            assert!(answers.next().is_some(), "{method}\n{}", scene.sim.ladder());
        }
        scene.assert_ends();
    }
}
