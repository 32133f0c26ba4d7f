//! Who comes for a place and is reached from another address of ours than whose place it takes: it has ports of its own, and none
//! is left whatever becomes of it.

use b2bua::{
    call::{CallEvent, Encryption, EncryptionPolicy, Side, TransferMode, bridge::CallSettings},
    media::StreamId,
    testing::{Phone, Scene, Sim, Verdicts, Who, settings},
};
use std::{net::SocketAddr, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// A call with voice and video that is up. The third party is reached from where the callee is, and comes for the caller's place.
fn up(mode: Encryption) -> Scene {
    let verdicts = Verdicts::direct(EncryptionPolicy::Only(mode));
    let executing = CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    };
    let sim = Sim::with(verdicts, executing, 4);
    assert_ne!(sim.a.server.ip(), sim.c.server.ip());
    let now = sim.now;
    let mut scene = Scene {
        sim,
        a: Phone::new(Side::A, 4).keyed(mode, 4, now),
        b: Phone::new(Side::B, 4).keyed(mode, 4, now),
        c: Some(Phone::third(Side::A, 4).keyed(mode, 4, now)),
    };
    let c = scene.c.as_mut().unwrap();
    for phone in [&mut scene.a, &mut scene.b, c] {
        phone.video = true;
    }
    let mut scene = scene.answered();
    scene.run(SECOND);
    scene.assert_media();
    scene
}

fn refer(scene: &mut Scene) {
    let refer = "Refer-To: <sip:carol@example.org>\r\n";
    let bytes = scene.sim.a.request("REFER", refer, "");
    scene.sim.send(Side::A, bytes);
}

fn takes_over(scene: &mut Scene) {
    let replaces = format!("Replaces: {}\r\n", scene.sim.a.replaces());
    let c = scene.c.as_mut().unwrap();
    c.call_with(&mut scene.sim, "sip:bob@example.org", &replaces);
}

/// How somebody comes for a place.
type Way = fn(&mut Scene);

/// Both ways to a place; the second without an offer, too.
const WAYS: [(Way, bool); 3] = [(refer, false), (takes_over, false), (takes_over, true)];

/// The ports at the caller's side.
fn ports(scene: &Scene) -> Vec<SocketAddr> {
    let all = (0..2).map(|stream| scene.sim.relay.ports[&(Side::A, StreamId(stream))]);
    all.collect()
}

fn became(scene: &Scene) -> Vec<u16> {
    let events = scene.sim.events.iter();
    let transferred = events.filter_map(|event| match event {
        CallEvent::Transferred { status, .. } => Some(status.code()),
        _ => None,
    });
    transferred.collect()
}

/// The call is as it was, and nothing is in reserve.
fn is_as_it_was(mut scene: Scene, before: &[SocketAddr], status: u16) {
    assert_eq!(became(&scene), [status], "{}", scene.sim.ladder());
    assert_eq!(ports(&scene), before);
    assert!(
        scene.sim.relay.reserved.is_empty(),
        "{:?}",
        scene.sim.relay.reserved
    );
    scene.assert_media();
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn it_has_ports_of_its_own_and_those_of_whose_place_it_took_are_given_back() {
    for mode in [
        Encryption::None,
        Encryption::Sdes,
        Encryption::DtlsSrtp,
        Encryption::Zrtp,
    ] {
        for (come, offerless) in WAYS {
            let mut scene = up(mode);
            let before = ports(&scene);
            scene.c.as_mut().unwrap().offerless = offerless;
            come(&mut scene);
            scene.run(3 * SECOND);
            assert_eq!(became(&scene), [200], "{mode}\n{}", scene.sim.ladder());
            let now = ports(&scene);
            assert!(
                now.iter().all(|port| port.ip() == scene.sim.c.server.ip()),
                "{now:?}"
            );
            assert!(now.iter().all(|port| !before.contains(port)));
            assert!(scene.sim.relay.reserved.is_empty());
            let c = scene.c.as_ref().unwrap();
            assert_eq!(c.views.len(), 2);
            scene.sim.assert_media(c, &scene.b);
            assert!(scene.a.ended);
            // Later offers know where it lives.
            scene.reoffer(Side::B);
            assert!(scene.settle(SECOND));
            scene.sim.assert_media(scene.c.as_ref().unwrap(), &scene.b);
            assert_eq!(ports(&scene), now);
            scene.hang_up(Side::B);
            scene.run(70 * SECOND);
            scene.sim.assert_done();
        }
    }
}

#[test]
fn who_is_not_taken_leaves_no_port_and_the_former_ones_are_used_as_before() {
    for (come, offerless) in WAYS {
        let mut scene = up(Encryption::Sdes);
        let before = ports(&scene);
        scene.c.as_mut().unwrap().offerless = offerless;
        scene.b.refuses_changes = Some(488);
        come(&mut scene);
        scene.run(3 * SECOND);
        is_as_it_was(scene, &before, 488);
    }
}

#[test]
fn a_target_that_is_busy_leaves_no_port() {
    let mut scene = up(Encryption::None);
    let before = ports(&scene);
    scene.c.as_mut().unwrap().refuses = Some(486);
    refer(&mut scene);
    scene.run(SECOND);
    is_as_it_was(scene, &before, 486);
}

#[test]
fn without_ports_left_it_is_refused_with_503_and_none_of_those_that_were_bound_is_kept() {
    for (come, offerless) in WAYS {
        // Not for both streams.
        for free in [0, 1] {
            let mut scene = up(Encryption::None);
            let before = ports(&scene);
            scene.sim.relay.free = free;
            scene.c.as_mut().unwrap().offerless = offerless;
            come(&mut scene);
            scene.run(SECOND);
            if scene.sim.c.has_invited() {
                assert_eq!(
                    scene.c.as_ref().unwrap().failed,
                    Some(503),
                    "{}",
                    scene.sim.ladder()
                );
            }
            is_as_it_was(scene, &before, 503);
        }
    }
}

#[test]
fn who_gives_up_while_its_ports_are_being_bound_leaves_none() {
    for (come, offerless) in WAYS {
        let mut scene = up(Encryption::None);
        let before = ports(&scene);
        scene.sim.think = SECOND;
        scene.c.as_mut().unwrap().offerless = offerless;
        come(&mut scene);
        if !scene.sim.c.has_invited() {
            // Of the target's ports nobody has heard yet; the one who refers goes, and the other one after him.
            scene.run(3 * SECOND / 2);
            scene.hang_up(Side::B);
            scene.run(70 * SECOND);
            scene.sim.assert_done();
            continue;
        }
        // The application has thought for a second; then ports are asked for.
        scene.run(3 * SECOND / 2);
        let cancel = scene.sim.c.cancel("");
        scene.sim.send(Who::C, cancel);
        scene.run(4 * SECOND);
        assert_eq!(
            scene.c.as_ref().unwrap().failed,
            Some(487),
            "{}",
            scene.sim.ladder()
        );
        is_as_it_was(scene, &before, 487);
    }
}
