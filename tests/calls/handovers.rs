//! A device calls for the place of a party by INVITE with Replaces (RFC 3891): the application is asked first.

use b2bua::{
    call::{
        CallEvent, Decision, Encryption, EncryptionPolicy, Failure, Handover, InCall, Origin, Question,
        Rescue, Side, TransferMode, Verdict, bridge::CallSettings, failure::Kind,
    },
    sip::Status,
    testing::{Phone, Scene, Sim, Verdicts, Who, settings},
};
use std::{cell::RefCell, rc::Rc, time::Duration};

const SECOND: Duration = Duration::from_secs(1);

/// What the application was asked.
type Asked = Rc<RefCell<Vec<Handover>>>;

/// A call that is up, whose application thinks for that long and then says that of a handover.
fn up(think: Duration, verdict: Result<(), u16>) -> (Scene, Asked) {
    let asked = Asked::default();
    let heard = asked.clone();
    let verdicts = Verdicts::Fixed(Box::new(move |question| {
        Some(match question {
            Question::Route(invite) => {
                let policy = EncryptionPolicy::Only(Encryption::None);
                Verdict::Route(Decision::Bridge(vec![Verdicts::outgoing(&invite, policy)]))
            }
            Question::Rescue(_) => Verdict::Rescue(Rescue::Relay),
            Question::InCall(_) => Verdict::InCall(InCall::Forward),
            Question::Handover(handover) => {
                heard.borrow_mut().push(*handover);
                Verdict::Handover(verdict.map_err(|code| {
                    let status = Status::new(code).unwrap();
                    Failure::new(status, Origin::App, Kind::Declined)
                }))
            }
        })
    }));
    let executing = CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    };
    let sim = Sim::with(verdicts, executing, 9);
    let mut scene = Scene {
        sim,
        a: Phone::new(Side::A, 9),
        b: Phone::new(Side::B, 9),
        c: Some(Phone::third(Side::B, 9)),
    }
    .answered();
    scene.sim.think = think;
    (scene, asked)
}

fn takes_over(scene: &mut Scene) {
    let replaces = format!("Replaces: {}\r\n", scene.sim.b.replaces());
    let c = scene.c.as_mut().unwrap();
    c.call_with(&mut scene.sim, "sip:bob@example.org", &replaces);
}

/// What became of it, as observers hear.
fn became(scene: &Scene) -> Vec<u16> {
    let events = scene.sim.events.iter();
    let transferred = events.filter_map(|event| match event {
        CallEvent::Transferred { status, .. } => Some(status.code()),
        _ => None,
    });
    transferred.collect()
}

/// How many messages have gone to the two parties of the call.
fn told(scene: &Scene) -> usize {
    let outwards = scene.sim.wire.iter().filter(|(_, _, inwards, _)| !inwards);
    outwards.filter(|(_, who, ..)| *who != Who::C).count()
}

#[test]
fn the_application_allows_a_handover_before_anybody_hears_of_it() {
    let (mut scene, asked) = up(SECOND, Ok(()));
    let before = told(&scene);
    takes_over(&mut scene);
    scene.run(SECOND / 2);
    {
        let asked = asked.borrow();
        assert_eq!(asked.len(), 1);
        let handover = &asked[0];
        assert_eq!(handover.by, Side::B);
        assert_eq!(handover.invite.from.uri.to_string(), "sip:carol@example.org");
        assert_eq!(handover.invite.encryption, Some(Encryption::None));
        assert_eq!(handover.invite.source.remote, scene.sim.c.address);
        assert_eq!(
            handover.replaced.map(|source| source.remote),
            Some(scene.sim.b.address)
        );
    }
    assert_eq!(told(&scene), before, "nobody has heard of it");
    scene.assert_media();
    scene.run(SECOND);
    assert_eq!(became(&scene), [200], "{}", scene.sim.ladder());
    scene.sim.assert_media(&scene.a, scene.c.as_ref().unwrap());
    assert!(scene.b.ended);
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn one_that_the_application_refuses_is_told_so_and_nobody_else_hears_of_it() {
    let (mut scene, asked) = up(Duration::ZERO, Err(403));
    let before = told(&scene);
    for _ in 0..2 {
        takes_over(&mut scene);
        scene.run(SECOND);
        assert_eq!(
            scene.c.as_ref().unwrap().failed,
            Some(403),
            "{}",
            scene.sim.ladder()
        );
        assert_eq!(told(&scene), before);
        scene.assert_media();
        scene.c = Some(Phone::third(Side::B, 10));
        scene.sim.c.call_id += "-again";
    }
    assert_eq!((asked.borrow().len(), became(&scene)), (2, vec![403, 403]));
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn who_gives_up_or_has_nobody_left_to_talk_to_while_the_application_thinks_leaves_nothing() {
    for leaves in [Who::A, Who::B, Who::C] {
        let (mut scene, asked) = up(SECOND, Ok(()));
        takes_over(&mut scene);
        scene.run(SECOND / 4);
        assert_eq!(asked.borrow().len(), 1);
        match leaves {
            Who::A => scene.hang_up(Side::A),
            Who::B => scene.hang_up(Side::B),
            Who::C => {
                let cancel = scene.sim.c.cancel("");
                scene.sim.send(Who::C, cancel);
            }
        }
        scene.run(2 * SECOND);
        let c = scene.c.as_ref().unwrap();
        match leaves {
            Who::A => assert!(c.ended && scene.b.ended, "{}", scene.sim.ladder()),
            // It comes in his place still.
            Who::B => scene.sim.assert_media(&scene.a, c),
            Who::C => {
                assert_eq!(c.failed, Some(487), "{}", scene.sim.ladder());
                scene.assert_media();
            }
        }
        if leaves != Who::A {
            scene.hang_up(Side::A);
        }
        scene.assert_ends();
    }
}
