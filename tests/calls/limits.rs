//! Limits: silence, duration, unanswered, ports. Acceptance #11, #17, #18.

use b2bua::{
    call::{CallEvent, Cause, Command, Encryption, Origin, Side, failure::Kind},
    media::{MediaEvent, StreamId},
    testing::{FakeRelay, Hold, Scene, Verdicts, settings},
};
use std::time::Duration;

const BOTH: [Side; 2] = [Side::A, Side::B];

fn silence(scene: &Scene, side: Side) -> Option<Duration> {
    scene.sim.relay.side(side, 0).unwrap().silence
}

#[test]
fn acceptance_11_silence_counts_only_while_both_are_to_send() {
    let watched = Some(Duration::from_secs(30));
    // However one holds the other, nobody's silence counts: who says that he plays music may play none.
    for (hold, counts) in [
        (None, true),
        (Some(Hold::SendOnly), false),
        (Some(Hold::BlackHole), false),
        (Some(Hold::Inactive), false),
    ] {
        for holder in BOTH {
            let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
            let (phone, sim) = scene.phone(holder);
            phone.hold = hold;
            phone.reoffer(sim);
            assert!(scene.settle(Duration::from_secs(2)));
            assert_eq!(
                silence(&scene, holder),
                watched.filter(|_| counts),
                "{hold:?} by {holder:?}: the holder"
            );
            assert_eq!(
                silence(&scene, holder.other()),
                watched.filter(|_| counts),
                "{hold:?} by {holder:?}: the held"
            );
            let (phone, sim) = scene.phone(holder);
            phone.hold = None;
            phone.reoffer(sim);
            assert!(scene.settle(Duration::from_secs(2)));
            assert_eq!(
                BOTH.map(|side| silence(&scene, side)),
                [watched; 2],
                "after the resume"
            );
        }
    }
}

#[test]
fn acceptance_11_a_call_on_hold_for_ten_minutes_survives() {
    for hold in [Hold::SendOnly, Hold::BlackHole, Hold::Inactive] {
        for holder in BOTH {
            let mut scene = Scene::new(Encryption::Sdes, Encryption::None).answered();
            let (phone, sim) = scene.phone(holder);
            phone.hold = Some(hold);
            phone.reoffer(sim);
            assert!(scene.settle(Duration::from_secs(2)));
            for _ in 0..60 {
                // What the relay would say when no packet comes from anybody.
                for side in BOTH {
                    if silence(&scene, side).is_none() {
                        continue;
                    }
                    let stream = StreamId(0);
                    let silent = MediaEvent::Silent { side, stream };
                    scene.sim.feed(b2bua::call::Input::Media(silent));
                }
                scene.run(Duration::from_secs(10));
            }
            assert!(!scene.a.ended && !scene.b.ended, "{hold:?} by {holder:?}");
            let (phone, sim) = scene.phone(holder);
            phone.hold = None;
            phone.reoffer(sim);
            assert!(scene.settle(Duration::from_secs(2)));
            scene.assert_media();
            assert!(scene.a.views[0].sends && scene.a.views[0].receives);
            scene.hang_up(Side::B);
            scene.assert_ends();
        }
    }
}

#[test]
fn acceptance_11_dead_media_ends_the_call_and_the_record_says_so() {
    for side in BOTH {
        let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
        scene.sim.feed(b2bua::call::Input::Media(MediaEvent::Silent {
            side,
            stream: StreamId(0),
        }));
        scene.run(Duration::from_secs(1));
        assert!(scene.a.ended && scene.b.ended, "{}", scene.sim.ladder());
        let byes: Vec<_> = scene
            .sim
            .wire
            .iter()
            .filter(|entry| !entry.2 && entry.3.starts_with(b"BYE"))
            .collect();
        assert_eq!(byes.len(), 2);
        for bye in byes {
            assert!(String::from_utf8_lossy(&bye.3).contains("Reason: SIP;cause=503;text=\"Media lost\""));
        }
        scene.assert_ends();
        let cause = scene.sim.summary.as_ref().unwrap().cause.clone().unwrap();
        assert_eq!((cause.kind, cause.origin), (Some(Kind::MediaLost), Origin::Local));
    }
}

#[test]
fn the_longest_duration_ends_the_call_whoever_set_it() {
    for (server, route, ends) in [
        (Some(100), None, 100),
        (None, Some(60), 60),
        (Some(100), Some(60), 60),
    ] {
        let mut limits = settings();
        limits.max_duration = server.map(Duration::from_secs);
        let mut scene = Scene::with(Encryption::None, Encryption::None, limits.clone(), 1);
        scene.sim = b2bua::testing::Sim::with(
            Verdicts::routes(move |invite| {
                let mut out = Verdicts::outgoing(invite, b2bua::call::EncryptionPolicy::AsCaller);
                out.limits.duration = route.map(Duration::from_secs);
                vec![out]
            }),
            limits,
            1,
        );
        let mut scene = scene.answered();
        scene.run(Duration::from_secs(ends - 2));
        assert!(!scene.a.ended && !scene.b.ended);
        scene.run(Duration::from_secs(3));
        assert!(scene.a.ended && scene.b.ended, "{}", scene.sim.ladder());
        scene.assert_ends();
        let summary = scene.sim.summary.as_ref().unwrap();
        assert_eq!(summary.cause.as_ref().unwrap().kind, Some(Kind::MaxDuration));
        let lasted = summary.ended - summary.answered.unwrap();
        assert_eq!(lasted, Duration::from_secs(ends));
    }
}

#[test]
fn a_call_that_nobody_answers_ends_after_the_unanswered_time() {
    // It rings for ever.
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    scene.b.rings = Duration::from_secs(1_000);
    scene.call();
    scene.run(Duration::from_secs(241));
    assert_eq!(scene.a.failed, Some(480), "{}", scene.sim.ladder());
    assert!(scene.b.ended, "the callee's phone stops ringing");
    scene.run(Duration::from_secs(70));
    scene.sim.assert_done();

    // The application never answers: the question is withdrawn.
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    scene.sim = b2bua::testing::Sim::new(Verdicts::Fixed(Box::new(|_| None)));
    scene.call();
    scene.run(Duration::from_secs(241));
    assert_eq!(scene.a.failed, Some(480));
    scene.run(Duration::from_secs(70));
    scene.sim.assert_done();
}

#[test]
fn without_a_port_the_call_gets_503_and_the_change_is_refused() {
    for free in 0..4 {
        let mut scene = Scene::new(Encryption::None, Encryption::None);
        scene.sim.relay = FakeRelay::new(free);
        scene.call();
        scene.run(Duration::from_secs(1));
        if free < 2 {
            assert_eq!(scene.a.failed, Some(503), "{free} ports\n{}", scene.sim.ladder());
            let refusal = scene
                .sim
                .wire
                .iter()
                .find(|entry| entry.3.starts_with(b"SIP/2.0 503"))
                .unwrap();
            assert!(String::from_utf8_lossy(&refusal.3).contains("Retry-After:"));
            scene.run(Duration::from_secs(70));
            scene.sim.assert_done();
            continue;
        }
        // Audio has its two; there is at most one left where video needs two.
        scene.a.video = true;
        scene.b.video = true;
        scene.reoffer(Side::A);
        scene.run(Duration::from_secs(1));
        assert_eq!(scene.a.failed, Some(503), "{}", scene.sim.ladder());
        assert_eq!(scene.sim.relay.ports.len(), 2, "{:?}", scene.sim.relay.ports);
        assert!(!scene.a.ended && !scene.b.ended, "the call goes on");
        scene.hang_up(Side::B);
        scene.assert_ends();
    }
}

#[test]
fn an_order_from_outside_ends_a_call_in_any_state() {
    for after in [0, 1, 5, 12, 20, 40, 80, 120] {
        let mut scene = Scene::new(Encryption::Sdes, Encryption::None);
        scene.sim.think = Duration::from_millis(6);
        scene.call();
        scene.run(Duration::from_millis(after));
        if scene.sim.call.is_none() {
            continue;
        }
        scene
            .sim
            .command(Command::Hangup(Cause::of(Kind::Shutdown, Origin::Local)));
        scene.run(Duration::from_secs(80));
        assert!(
            scene.a.ended || scene.a.failed == Some(503),
            "after {after} ms\n{}",
            scene.sim.ladder()
        );
        scene.sim.assert_done();
        let invited = scene.sim.b.requests.contains_key("INVITE");
        assert_eq!(invited, scene.b.ended, "after {after} ms\n{}", scene.sim.ladder());
    }
}

#[test]
fn acceptance_17_two_byes_that_cross_get_200_or_481_each() {
    for apart in 0..=8 {
        let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
        scene.sim.delay = Duration::from_millis(3);
        scene.hang_up(Side::A);
        scene.run(Duration::from_millis(apart));
        if !scene.b.ended {
            scene.hang_up(Side::B);
        }
        scene.run(Duration::from_secs(70));
        let answered = |side: Side| {
            scene.sim.wire.iter().any(|(_, on, inwards, bytes)| {
                let text = String::from_utf8_lossy(bytes);
                *on == side
                    && !inwards
                    && text.contains(" BYE\r\n")
                    && (text.starts_with("SIP/2.0 200") || text.starts_with("SIP/2.0 481"))
            })
        };
        let said_bye = |side: Side| {
            scene
                .sim
                .wire
                .iter()
                .any(|entry| entry.1 == side && entry.2 && entry.3.starts_with(b"BYE"))
        };
        for side in BOTH {
            assert_eq!(
                said_bye(side),
                answered(side),
                "{side:?}, {apart} ms apart\n{}",
                scene.sim.ladder()
            );
        }
        scene.sim.assert_done();
    }
}

/// 1,000 mixed calls: answered, refused, given up, raced, timed out, of peers that crash. Whatever happens to them, 64*T1 later
/// nothing of them is left (the sim looks), and each leaves one record. `ZOMBIE_CALLS=1000000` for the whole row.
#[test]
fn acceptance_18_calls_of_every_kind_leave_nothing_behind() {
    #[expect(clippy::disallowed_methods, reason = "how many is for who runs it to say")]
    let calls = std::env::var("ZOMBIE_CALLS").map_or(1_000, |text| text.parse().unwrap());
    let mut ends = std::collections::BTreeMap::new();
    for seed in 0..calls {
        let mut scene = Scene::with(
            if seed % 2 == 0 {
                Encryption::Sdes
            } else {
                Encryption::None
            },
            if seed % 3 == 0 {
                Encryption::Sdes
            } else {
                Encryption::None
            },
            settings(),
            seed,
        );
        let crash = match seed % 7 {
            0 => {
                scene.b.refuses = Some(486);
                None
            }
            1 => {
                scene.b.rings = Duration::from_secs(500);
                None
            }
            // Never heard of.
            2 => {
                scene.b.gone = true;
                None
            }
            3 => Some(Side::A),
            4 => Some(Side::B),
            _ => None,
        };
        scene.sim.think = Duration::from_millis(seed % 7);
        scene.call();
        // As long as a phone may ring, and longer.
        scene.run(Duration::from_millis(20 + seed * 1_013 % 300_000));
        match (scene.a.up, scene.a.failed) {
            (true, _) if crash.is_some() => {
                // From now on there is nothing but silence.
                let side = crash.unwrap();
                scene.phone(side).0.gone = true;
                scene.run(Duration::from_secs(30));
                let stream = StreamId(0);
                scene
                    .sim
                    .feed(b2bua::call::Input::Media(MediaEvent::Silent { side, stream }));
            }
            // It will time out.
            (false, None) if scene.b.gone && seed % 2 == 0 => scene.run(Duration::from_secs(40)),
            (true, _) => {
                scene.a.hold = Some(Hold::SendOnly);
                scene.reoffer(Side::A);
                scene.run(Duration::from_millis(seed % 5));
                scene.hang_up(if seed % 4 == 0 { Side::B } else { Side::A });
            }
            (false, None) => {
                let cancel = scene.sim.a.cancel("");
                scene.sim.send(Side::A, cancel);
                scene.run(Duration::from_millis(20));
                if scene.a.up {
                    scene.hang_up(Side::A);
                }
            }
            (false, Some(_)) => {}
        }
        scene.run(Duration::from_secs(110));
        scene.sim.assert_done();
        let records = scene
            .sim
            .events
            .iter()
            .filter(|event| matches!(event, CallEvent::Ended(_)))
            .count();
        assert_eq!(records, 1);
        let status = scene.sim.summary.as_ref().unwrap().status;
        *ends.entry(status.code()).or_insert(0) += 1;
    }
    println!("{ends:?}");
    let all = [200, 408, 480, 486, 487];
    assert_eq!(ends.keys().copied().collect::<Vec<_>>(), all, "{ends:?}");
}
