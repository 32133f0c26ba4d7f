//! Calls in which something goes wrong.

use b2bua::{
    call::{Cause, Command, Encryption, LookupError, Origin, Side, bridge::CallSettings, failure::Kind},
    media::{MediaEvent, StreamId},
    testing::{Hold, Scene, settings},
};
use std::{sync::Arc, time::Duration};

pub(super) fn plain() -> Scene {
    Scene::new(Encryption::None, Encryption::None)
}

pub(super) enum Fate {
    Silent,
    Rings,
}

/// A callee that has its INVITE, and does by itself no more than that.
pub(super) fn ringing(fate: Fate) -> Scene {
    let mut scene = plain();
    scene.b.gone = true;
    scene.call();
    scene.run(Duration::from_millis(50));
    if matches!(fate, Fate::Rings) {
        let rings = scene.sim.b.respond("INVITE", 180, "", "", "");
        scene.sim.send(Side::B, rings);
        scene.run(Duration::from_millis(50));
    }
    scene
}

pub(super) fn refused(status: u16, headers: &str) -> Scene {
    let mut scene = ringing(Fate::Rings);
    let mut refusal = scene.sim.b.respond("INVITE", status, "", headers, "");
    if headers.contains("Contact") {
        // Instead of its own.
        let text = String::from_utf8(refusal.to_vec()).unwrap();
        let own: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with("Contact: <sip:bob-"))
            .collect();
        refusal = text.replace(&format!("{}\r\n", own[0]), "").into();
        scene.sim.allowed.push("192.0.2.77".into());
        scene.sim.allowed.push("carol".into());
    }
    scene.sim.send(Side::B, refusal);
    scene
}

pub(super) fn without_way(error: LookupError) -> Scene {
    let mut scene = plain();
    scene.sim.targets = Some(Err(error));
    scene.call();
    scene
}

pub(super) fn hung_up(side: Side, headers: &str) -> Scene {
    let mut scene = plain().answered();
    let bye = scene.sim.peer(side).request("BYE", headers, "");
    scene.sim.send(side, bye);
    scene
}

pub(super) fn silenced(mut scene: Scene) -> Scene {
    scene.sim.feed(b2bua::call::Input::Media(MediaEvent::Silent {
        side: Side::A,
        stream: StreamId(0),
    }));
    scene
}

pub(super) fn ordered(kind: Kind) -> Scene {
    let mut scene = plain().answered();
    scene.sim.command(Command::Hangup(Cause::of(kind, Origin::Local)));
    scene
}

/// The caller offers; the callee says that.
pub(super) fn offered_to(status: Option<u16>) -> Scene {
    let mut scene = plain().answered();
    scene.b.refuses_changes = status;
    scene.a.hold = Some(Hold::SendOnly);
    scene.reoffer(Side::A);
    scene
}

/// A party that is gone without a word, where sessions are refreshed.
pub(super) fn dead(side: Side) -> Scene {
    let settings = settings();
    let mut profile = b2bua::call::leg::Profile::clone(&settings.profile);
    profile.sessions.expires = Some(90);
    profile.sessions.min_se = 90;
    let settings = CallSettings {
        profile: Arc::new(profile),
        ..settings
    };
    let mut scene = Scene::with(Encryption::None, Encryption::None, settings, 1).answered();
    scene.phone(side).0.gone = true;
    scene
}
