//! Session timers of whole calls (RFC 4028): acceptance #20.

use b2bua::{
    call::{
        CallEvent, Encryption, Side,
        bridge::CallSettings,
        leg::{Profile, Reliability, SessionTimers},
    },
    testing::{Scene, settings},
};
use std::{sync::Arc, time::Duration};

const EVERY: u32 = 90;

fn timed() -> CallSettings {
    let settings = settings();
    CallSettings {
        profile: Arc::new(Profile {
            sessions: SessionTimers {
                expires: Some(EVERY),
                min_se: EVERY,
            },
            reliable: Reliability::default(),
            ..Profile::clone(&settings.profile)
        }),
        ..settings
    }
}

fn count(scene: &Scene, side: Side, start: &str) -> usize {
    let sent = |(_, on, inwards, bytes): &&(_, b2bua::testing::Who, bool, bytes::Bytes)| {
        *on == side && !inwards && bytes.starts_with(start.as_bytes())
    };
    scene.sim.wire.iter().filter(sent).count()
}

/// What the relay does on either leg: where to, and under which keys.
fn connections(scene: &Scene) -> Vec<String> {
    let of = |side| {
        let connect = scene.sim.relay.side(side, 0).expect("a flow");
        format!("{:?}", (&connect.remote, &connect.receive, &connect.send))
    };
    vec![of(Side::A), of(Side::B)]
}

/// These phones know neither session timers nor UPDATE: each leg is asked by an offer of what it knows already.
#[test]
fn acceptance_20_a_call_is_refreshed_on_both_legs_for_ten_minutes_and_nobody_notices() {
    use Encryption::{DtlsSrtp, None, Sdes, Zrtp};
    for (a, b) in [(None, None), (Sdes, None), (DtlsSrtp, Sdes), (Zrtp, DtlsSrtp)] {
        let mut scene = Scene::with(a, b, timed(), 1).answered();
        scene.run(Duration::from_secs(1));
        let begun = scene.sim.handshakes.begun.len();
        let connected = connections(&scene);
        scene.run(Duration::from_secs(600));
        assert!(scene.a.up && scene.b.up, "{a} {b}\n{}", scene.sim.ladder());
        for side in [Side::A, Side::B] {
            let first = usize::from(side == Side::B);
            let refreshes = count(&scene, side, "INVITE ") - first;
            assert!(
                (12..=14).contains(&refreshes),
                "one in 45 s: {refreshes}\n{}",
                scene.sim.ladder()
            );
        }
        let updated = |event: &CallEvent| matches!(event, CallEvent::Updated { .. });
        assert!(!scene.sim.events.iter().any(updated), "nothing changed: {a} {b}");
        assert_eq!(scene.sim.handshakes.begun.len(), begun, "{a} {b}");
        assert_eq!(connections(&scene), connected, "{a} {b}");
        scene.assert_media();
        scene.hang_up(Side::A);
        scene.assert_ends();
    }
}

#[test]
fn acceptance_20_a_refresh_that_nobody_answers_ends_both_legs() {
    for side in [Side::A, Side::B] {
        let mut scene = Scene::with(Encryption::None, Encryption::None, timed(), 1).answered();
        let (phone, _) = scene.phone(side);
        phone.gone = true;
        scene.run(Duration::from_secs(100));
        for leg in [side, side.other()] {
            assert!(count(&scene, leg, "BYE ") > 0, "{leg:?}\n{}", scene.sim.ladder());
        }
        scene.run(Duration::from_secs(40));
        assert!(scene.sim.summary.is_some(), "{}", scene.sim.ladder());
    }
}

/// A phone that has moved says so in its answer to the refresh: the other one hears of it as of any offer.
#[test]
fn what_a_phone_says_anew_in_a_refresh_reaches_the_other() {
    for side in [Side::A, Side::B] {
        let mut scene = Scene::with(Encryption::Sdes, Encryption::None, timed(), 1).answered();
        let (phone, _) = scene.phone(side);
        phone.rtp.set_port(phone.rtp.port() + 100);
        scene.run(Duration::from_secs(60));
        let home = scene.phone(side).0.rtp;
        let connect = scene.sim.relay.side(side, 0).expect("a flow");
        assert_eq!(connect.remote.rtp, Some(home), "{}", scene.sim.ladder());
        scene.assert_media();
        scene.hang_up(side);
        scene.assert_ends();
    }
}
