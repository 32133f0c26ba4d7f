//! Legs that are to be keyed and get no keys: what every way of keying has in common.

use b2bua::{call::Side, media::Protection, testing::Scene};
use std::time::Duration;

/// Bob, who was invited, says this of his media in a response of this status.
pub(crate) fn bob_says(scene: &mut Scene, status: u16, media: &str) {
    let body = format!(
        "v=0\r\no=bob-login 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\n{media}"
    );
    let response = scene.sim.b.respond("INVITE", status, "", "", &body);
    scene.sim.send(Side::B, response);
}

/// A call that was begun comes to its end by BYE with a reason, for want of keys on a leg, and nothing ever passes there.
pub(crate) fn ends_and_nothing_passed(scene: &mut Scene, side: Side) {
    let mut looks = 0;
    for _ in 0..1700 {
        scene.run(Duration::from_millis(10));
        if let Some(connect) = scene.sim.relay.side(side, 0) {
            let both = (&connect.receive, &connect.send);
            assert_eq!(both, (&Protection::Blocked, &Protection::Blocked));
            looks += 1;
        }
    }
    assert!(looks > 0, "the relay was told of the leg\n{}", scene.sim.ladder());
    assert!(scene.a.ended && scene.b.ended, "{side:?}\n{}", scene.sim.ladder());
    for on in [Side::A, Side::B] {
        let told: Vec<bool> = scene
            .sim
            .wire
            .iter()
            .filter(|(_, of, inwards, bytes)| *of == on && !inwards && bytes.starts_with(b"BYE"))
            .map(|(.., bytes)| String::from_utf8_lossy(bytes).contains("Reason: "))
            .collect();
        assert!(
            !told.is_empty() && told.iter().all(|told| *told),
            "{on:?}\n{}",
            scene.sim.ladder()
        );
    }
    scene.assert_ends();
}
