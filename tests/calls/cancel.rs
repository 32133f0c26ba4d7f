//! Acceptance #15 and #16: CANCEL crosses the answer; the ACK never comes.

use b2bua::{
    call::{CallEvent, Encryption, Side},
    sip::{Message, Method},
    testing::Scene,
};
use std::time::Duration;

/// What the server sent on a side: first lines.
fn sent(scene: &Scene, side: Side) -> Vec<String> {
    let lines = scene
        .sim
        .wire
        .iter()
        .filter(|(_, on, inwards, _)| *on == side && !inwards);
    lines
        .map(|(_, _, _, bytes)| {
            String::from_utf8_lossy(bytes)
                .lines()
                .next()
                .unwrap_or_default()
                .to_owned()
        })
        .collect()
}

/// The proxy before the callee, which wants to be passed through.
const PROXY: &str = "<sip:203.0.113.77;lr>";

fn cancel_at(at: Duration, rings: Duration, encryption: Encryption) {
    let mut scene = Scene::new(encryption, Encryption::None);
    scene.sim.delay = Duration::from_millis(2);
    scene.sim.b.record_route = Some(PROXY.into());
    scene.b.rings = rings;
    scene.call();
    scene.run(at);
    let answered_before = scene.a.up;
    let cancel = scene.sim.a.cancel("");
    scene.sim.send(Side::A, cancel);
    scene.run(Duration::from_secs(1));
    let place = |scene: &Scene| format!("CANCEL after {at:?}, 200 after {rings:?}\n{}", scene.sim.ladder());
    let answered = scene.a.up;
    if answered {
        // The 200 was on its way: the caller ends what it did not want.
        assert!(
            scene
                .sim
                .events
                .iter()
                .any(|event| matches!(event, CallEvent::Answered)),
            "{}",
            place(&scene)
        );
        scene.hang_up(Side::A);
    } else {
        assert!(!answered_before);
        let to_a = sent(&scene, Side::A);
        assert!(
            to_a.iter().any(|line| line.starts_with("SIP/2.0 487")),
            "{}",
            place(&scene)
        );
        assert!(
            !to_a
                .iter()
                .any(|line| line.starts_with("SIP/2.0 200 OK") && line.contains("INVITE")),
            "{}",
            place(&scene)
        );
        assert_eq!(scene.a.failed, Some(487), "{}", place(&scene));
    }
    scene.run(Duration::from_secs(70));
    // A late 200 was acknowledged, then hung up.
    let b_answered = scene.sim.wire.iter().any(|(_, side, inwards, bytes)| {
        *side == Side::B
            && *inwards
            && bytes.starts_with(b"SIP/2.0 200")
            && String::from_utf8_lossy(bytes).contains(" INVITE\r\n")
    });
    let to_b = sent(&scene, Side::B);
    if b_answered {
        assert!(
            to_b.iter().any(|line| line.starts_with("ACK")),
            "no ACK: {}",
            place(&scene)
        );
        assert!(
            to_b.iter().any(|line| line.starts_with("BYE")),
            "no BYE: {}",
            place(&scene)
        );
        for (_, _, _, bytes) in scene
            .sim
            .wire
            .iter()
            .filter(|entry| entry.1 == Side::B && !entry.2)
        {
            let text = String::from_utf8_lossy(bytes);
            if text.starts_with("ACK") || text.starts_with("BYE") {
                assert!(
                    text.contains(&format!("Route: {PROXY}\r\n")),
                    "{text}{}",
                    place(&scene)
                );
            }
        }
    }
    let dialled = to_b.iter().any(|line| line.starts_with("INVITE"));
    assert!(
        !dialled || scene.b.ended,
        "the callee was not told: {}",
        place(&scene)
    );
    // With exactly one record.
    scene.sim.assert_done();
    let summary = scene.sim.summary.as_ref().unwrap();
    assert_eq!(
        (summary.status.code(), summary.answered.is_some()),
        if answered { (200, true) } else { (487, false) },
        "{}",
        place(&scene)
    );
}

/// At every half of a millisecond from 100 ms before to 100 ms after the callee's 200; and at every fiftieth of one while it is on the
/// wires.
#[test]
fn acceptance_15_cancel_crosses_the_answer_at_every_millisecond() {
    let answer = Duration::from_millis(150);
    let from = answer - Duration::from_millis(100);
    for step in 0..=400 {
        cancel_at(from + Duration::from_micros(500) * step, answer, Encryption::None);
    }
    for step in 0..=500 {
        let at = answer + Duration::from_micros(20) * step;
        let encryption = if step % 2 == 0 {
            Encryption::Sdes
        } else {
            Encryption::None
        };
        cancel_at(at, answer, encryption);
    }
}

/// Also before it rings: while the application thinks, names are looked up, ports are bound.
#[test]
fn acceptance_15_cancel_at_every_millisecond_of_the_set_up() {
    for at in 0..=60 {
        let mut scene = Scene::new(Encryption::Sdes, Encryption::Sdes);
        scene.sim.think = Duration::from_millis(9);
        scene.call();
        scene.run(Duration::from_millis(at));
        let cancel = scene.sim.a.cancel("");
        scene.sim.send(Side::A, cancel);
        scene.run(Duration::from_secs(70));
        let place = || format!("CANCEL after {at} ms\n{}", scene.sim.ladder());
        assert_eq!(scene.a.failed, Some(487), "{}", place());
        let invited = sent(&scene, Side::B)
            .iter()
            .any(|line| line.starts_with("INVITE"));
        assert_eq!(invited, scene.b.ended, "{}", place());
        scene.sim.assert_done();
        let summary = scene.sim.summary.as_ref().unwrap();
        assert_eq!(summary.status.code(), 487);
        assert!(summary.answered.is_none());
    }
}

/// The caller's reason ("answered elsewhere") reaches the callee.
#[test]
fn a_reason_in_a_cancel_crosses() {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    scene.b.rings = Duration::from_secs(20);
    scene.call();
    scene.run(Duration::from_millis(500));
    let reason = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n";
    let cancel = scene.sim.a.cancel(reason);
    scene.sim.send(Side::A, cancel);
    scene.run(Duration::from_secs(1));
    let cancels: Vec<_> = scene
        .sim
        .wire
        .iter()
        .filter(|(_, side, inwards, bytes)| *side == Side::B && !inwards && bytes.starts_with(b"CANCEL"))
        .collect();
    assert_eq!(cancels.len(), 1, "{}", scene.sim.ladder());
    assert!(String::from_utf8_lossy(&cancels[0].3).contains("cause=200"));
}

/// The ACK never comes: the 2xx is repeated until 64*T1, then both legs get BYE; the callee was acknowledged at once.
#[test]
fn acceptance_16_a_lost_ack_ends_the_call_on_both_legs() {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    scene.call();
    let end = scene.sim.now + Duration::from_secs(100);
    // Alice is deaf once she has called: nothing that she receives is answered.
    let mut scene_b = Vec::new();
    while scene.sim.now < end {
        let next = [scene.b.due(), scene.sim.next_event()]
            .into_iter()
            .flatten()
            .min();
        let Some(next) = next.filter(|&at| at <= end) else {
            break;
        };
        let b = &mut scene.b;
        scene.sim.run_until(next, |sim, side| {
            if side == Side::B {
                b.react(sim);
            }
        });
        scene.b.tick(&mut scene.sim);
        scene_b.push(next);
    }
    let repeated = sent(&scene, Side::A)
        .iter()
        .filter(|line| line.starts_with("SIP/2.0 200"))
        .count();
    // RFC 3261 §13.3.1.4: at once, after T1, 2*T1, 4*T1, 8*T1 and then each T2, for 64*T1.
    assert_eq!(repeated, 11, "{}", scene.sim.ladder());
    let of = |side, inwards, start: &str| {
        let fits =
            scene.sim.wire.iter().filter(|entry| {
                entry.1 == side && entry.2 == inwards && entry.3.starts_with(start.as_bytes())
            });
        let moments: Vec<_> = fits.map(|entry| entry.0).collect();
        moments
    };
    let answers = of(Side::A, false, "SIP/2.0 200");
    let (first, last) = (answers[0], answers[answers.len() - 1]);
    assert_eq!(last - first, Duration::from_millis(31_500));
    for side in [Side::A, Side::B] {
        let bye = of(side, false, "BYE")[0];
        assert_eq!(
            bye - first,
            Duration::from_secs(32),
            "{side:?}\n{}",
            scene.sim.ladder()
        );
    }
    // The callee does not wait for the caller's.
    assert_eq!(of(Side::B, false, "ACK")[0], of(Side::B, true, "SIP/2.0 200")[0]);
    assert!(
        sent(&scene, Side::A).iter().any(|line| line.starts_with("BYE")),
        "{}",
        scene.sim.ladder()
    );
    assert!(scene.b.ended, "{}", scene.sim.ladder());
    let acks: Vec<_> = scene.sim.b.requests.keys().cloned().collect();
    assert!(acks.contains(&"ACK".to_owned()));
    scene.run(Duration::from_secs(40));
    scene.sim.assert_done();
}

/// The callee repeats its 200 because our ACK was lost: each one is acknowledged.
#[test]
fn acceptance_16_each_repeated_200_of_the_callee_is_acknowledged() {
    let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
    let acks = |scene: &Scene| {
        sent(scene, Side::B)
            .iter()
            .filter(|line| line.starts_with("ACK"))
            .count()
    };
    let before = acks(&scene);
    let invite = scene.sim.b.requests["INVITE"].clone();
    assert_eq!(invite.method, Method::Invite);
    let again = scene
        .sim
        .wire
        .iter()
        .rev()
        .find(|(_, side, inwards, bytes)| *side == Side::B && *inwards && bytes.starts_with(b"SIP/2.0 200"))
        .map(|(_, _, _, bytes)| bytes.clone())
        .unwrap();
    for _ in 0..3 {
        scene.sim.send(Side::B, again.clone());
        scene.run(Duration::from_millis(100));
    }
    assert_eq!(acks(&scene), before + 3, "{}", scene.sim.ladder());
    assert!(matches!(b2bua::testing::peer::read(&again), Message::Response(_)));
}
