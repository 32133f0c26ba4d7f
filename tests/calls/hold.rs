//! Acceptance #10: hold and resume, from both sides, in every order and in every way that phones say it.

use b2bua::{
    call::{Encryption, Side},
    testing::{Hold, Scene},
};
use std::time::Duration;

/// One step of a sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    side: Side,
    /// `None` resumes.
    hold: Option<Hold>,
    /// A resume that writes `a=sendrecv`.
    written: bool,
}

/// The ten things that can happen at each step: each side holds in three ways or resumes in two.
fn steps() -> Vec<Step> {
    let holds = [Some(Hold::SendOnly), Some(Hold::Inactive), Some(Hold::BlackHole)];
    let mut steps = Vec::new();
    for side in [Side::A, Side::B] {
        steps.extend(holds.map(|hold| Step {
            side,
            hold,
            written: true,
        }));
        steps.extend([true, false].map(|written| Step {
            side,
            hold: None,
            written,
        }));
    }
    steps
}

/// Runs a sequence; after each step both phones must agree with what was asked for.
fn play(scene: &mut Scene, sequence: &[Step]) {
    for (done, step) in sequence.iter().enumerate() {
        let (phone, sim) = scene.phone(step.side);
        phone.hold = step.hold;
        phone.writes_sendrecv = step.written;
        phone.reoffer(sim);
        assert!(
            scene.settle(Duration::from_secs(2)),
            "stuck after {:?}\n{}",
            &sequence[..=done],
            scene.sim.ladder()
        );
        let (a, b) = (&scene.a, &scene.b);
        let sends = |hold: Option<Hold>| hold != Some(Hold::Inactive);
        let hears = |hold: Option<Hold>| hold.is_none();
        let view = |phone: &b2bua::testing::Phone| (phone.views[0].sends, phone.views[0].receives);
        let a_to_b = sends(a.hold) && hears(b.hold);
        let b_to_a = sends(b.hold) && hears(a.hold);
        let place = || format!("after {:?}\n{}", &sequence[..=done], scene.sim.ladder());
        assert_eq!(view(a), (a_to_b, b_to_a), "leg A, {}", place());
        assert_eq!(view(b), (b_to_a, a_to_b), "leg B, {}", place());
        scene.assert_media();
        // Who was told of a hold was told with an attribute and a real address.
        for sdp in a.heard.iter().chain(&b.heard) {
            let media = &sdp.media[0];
            assert!(!sdp.is_black_hole(media), "0.0.0.0 was passed on, {}", place());
            let written = ["sendrecv", "sendonly", "recvonly", "inactive"];
            assert_eq!(
                written
                    .iter()
                    .filter(|name| media.attribute(name).is_some())
                    .count(),
                1,
                "{}",
                place()
            );
        }
    }
}

fn all_sequences_of(length: usize, first: Option<Step>) -> impl Iterator<Item = Vec<Step>> {
    let steps = steps();
    let count = steps.len();
    (0..count.pow(length as u32)).filter_map(move |mut number| {
        let mut sequence = Vec::with_capacity(length);
        for _ in 0..length {
            sequence.push(steps[number % count]);
            number /= count;
        }
        first.is_none_or(|first| sequence[0] == first).then_some(sequence)
    })
}

fn every_sequence(first: usize) {
    let first = steps()[first];
    let mut played = 0;
    for sequence in all_sequences_of(4, Some(first)) {
        let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
        play(&mut scene, &sequence);
        played += 1;
    }
    assert_eq!(played, 1_000);
}

/// All 10,000 mixed sequences of length 4, in ten parts so that they share the cores.
macro_rules! acceptance_10 {
    ($($name:ident = $first:literal,)*) => { $(#[test] fn $name() { every_sequence($first); })* };
}
acceptance_10! {
    acceptance_10_sequences_that_begin_with_a_sendonly = 0,
    acceptance_10_sequences_that_begin_with_a_inactive = 1,
    acceptance_10_sequences_that_begin_with_a_black_hole = 2,
    acceptance_10_sequences_that_begin_with_a_written_resume = 3,
    acceptance_10_sequences_that_begin_with_a_silent_resume = 4,
    acceptance_10_sequences_that_begin_with_b_sendonly = 5,
    acceptance_10_sequences_that_begin_with_b_inactive = 6,
    acceptance_10_sequences_that_begin_with_b_black_hole = 7,
    acceptance_10_sequences_that_begin_with_b_written_resume = 8,
    acceptance_10_sequences_that_begin_with_b_silent_resume = 9,
}

#[test]
fn acceptance_10_keys_survive_hold_and_resume_of_every_length_2() {
    for (a, b) in [
        (Encryption::Sdes, Encryption::None),
        (Encryption::None, Encryption::Sdes),
        (Encryption::Sdes, Encryption::Sdes),
    ] {
        for sequence in all_sequences_of(2, None) {
            let mut scene = Scene::new(a, b).answered();
            let sealed = |scene: &Scene| {
                [Side::A, Side::B].map(|side| scene.sim.relay.side(side, 0).unwrap().send.clone())
            };
            let before = sealed(&scene);
            play(&mut scene, &sequence);
            // Acceptance #1, #2: our own keys stay, so nobody loses a rollover counter.
            assert_eq!(sealed(&scene), before, "{sequence:?}");
        }
    }
}

#[test]
fn acceptance_10_simultaneous_hold_from_both_sides_ends_with_both_on_hold() {
    let mut scene = Scene::new(Encryption::Sdes, Encryption::None).answered();
    scene.a.hold = Some(Hold::SendOnly);
    scene.b.hold = Some(Hold::SendOnly);
    scene.reoffer(Side::A);
    scene.reoffer(Side::B);
    assert!(scene.settle(Duration::from_secs(20)), "{}", scene.sim.ladder());
    assert!(!scene.a.views[0].receives && !scene.b.views[0].receives);
    scene.assert_media();
    scene.hang_up(Side::B);
    scene.assert_ends();
}

#[test]
fn either_side_may_hang_up_a_call_that_both_hold() {
    for side in [Side::A, Side::B] {
        let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
        for holder in [Side::A, Side::B] {
            let (phone, sim) = scene.phone(holder);
            phone.hold = Some(Hold::SendOnly);
            phone.reoffer(sim);
            assert!(scene.settle(Duration::from_secs(2)));
        }
        scene.hang_up(side);
        scene.assert_ends();
    }
}

#[test]
fn a_hold_sends_no_offer_back_to_the_holder() {
    for hold in [Hold::SendOnly, Hold::Inactive] {
        let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
        let before = scene.sim.wire.len();
        scene.a.hold = Some(hold);
        scene.reoffer(Side::A);
        scene.run(Duration::from_secs(5));
        let to_a: Vec<_> = scene.sim.wire[before..]
            .iter()
            .filter(|(_, side, inwards, bytes)| *side == Side::A && !inwards && bytes.starts_with(b"INVITE"))
            .collect();
        assert!(to_a.is_empty(), "{}", scene.sim.ladder());
    }
}
