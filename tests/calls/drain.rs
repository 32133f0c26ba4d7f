//! The end of a server, and what is known of a call while it runs. Acceptance #34.

use b2bua::{
    call::{Command, Encryption, EncryptionPolicy, Side, Standing, failure::Kind},
    sip::Uri,
    testing::{Scene, Sim, Verdicts, settings},
};
use std::{collections::BTreeSet, time::Duration};

/// Two routes, the first of which refuses or rings too long.
fn hunting(refuses: Option<u16>) -> Scene {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    let verdicts = Verdicts::routes(|invite| {
        let plain = EncryptionPolicy::Only(Encryption::None);
        let mut first = Verdicts::outgoing(invite, plain);
        first.limits.no_answer = Some(Duration::from_secs(2));
        let mut second = Verdicts::outgoing(invite, plain);
        second.target = Uri::sip(Some("second"), "example.org", None);
        vec![first, second]
    });
    scene.sim = Sim::with(verdicts, settings(), 3);
    // Long enough that each step of the set-up can be met.
    scene.sim.think = Duration::from_millis(20);
    scene.b.refuses = refuses;
    scene.b.rings = Duration::from_secs(3);
    scene
}

/// The INVITEs that have left for callees, each once.
fn invites(scene: &Scene) -> BTreeSet<String> {
    let sent = scene
        .sim
        .wire
        .iter()
        .filter(|(_, side, inwards, _)| *side == Side::B && !inwards);
    sent.map(|(_, _, _, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .filter(|text| text.starts_with("INVITE"))
        .filter_map(|text| Some(text.lines().find(|line| line.starts_with("Via"))?.to_owned()))
        .collect()
}

#[test]
fn acceptance_34_whenever_the_server_goes_down_no_new_invite_leaves() {
    let (mut late, mut answered, mut refused) = (0, 0, 0);
    for refuses in [None, Some(486), Some(503)] {
        // Where calls go without it: both routes are tried.
        let mut whole = hunting(refuses);
        whole.call();
        whole.run(Duration::from_secs(12));
        assert_eq!(invites(&whole).len(), 2, "{}", whole.sim.ladder());
        // At each moment that anything happens at, and around.
        for after in (2..110).chain((110..9_000).step_by(130)) {
            let mut scene = hunting(refuses);
            scene.call();
            scene.run(Duration::from_millis(after));
            let before = invites(&scene);
            scene.sim.command(Command::Drain);
            scene.run(Duration::from_secs(20));
            assert_eq!(
                invites(&scene),
                before,
                "after {after} ms\n{}",
                scene.sim.ladder()
            );
            late += usize::from(before.len() == 1);
            match scene.a.failed {
                Some(_) => refused += 1,
                None => {
                    assert!(
                        scene.a.up,
                        "after {after} ms it is neither up nor refused\n{}",
                        scene.sim.ladder()
                    );
                    answered += 1;
                }
            }
            scene.hang_up(Side::A);
            scene.run(Duration::from_secs(70));
            scene.sim.assert_done();
        }
    }
    assert!(
        late > 20 && answered > 20 && refused > 20,
        "{late} {answered} {refused}"
    );
}

#[test]
fn a_call_that_nobody_was_called_for_yet_is_refused_with_when_to_try_again() {
    let mut scene = hunting(None);
    scene.call();
    scene.run(Duration::from_millis(2));
    scene.sim.command(Command::Drain);
    scene.run(Duration::from_secs(2));
    let said = |(_, side, inwards, bytes): &(_, b2bua::testing::Who, bool, bytes::Bytes)| {
        let text = String::from_utf8_lossy(bytes);
        *side == Side::A
            && !inwards
            && text.starts_with("SIP/2.0 503")
            && text.contains("Retry-After: 30\r\n")
    };
    assert!(scene.sim.wire.iter().any(said), "{}", scene.sim.ladder());
    scene.run(Duration::from_secs(70));
    let summary = scene.sim.summary.as_ref().expect("it is over");
    assert_eq!(
        summary.failure.as_ref().map(|failure| failure.kind),
        Some(Kind::Shutdown)
    );
    assert!(summary.b.is_none());
}

#[test]
fn a_report_says_where_a_call_is_and_its_summary_what_became_of_it() {
    let mut scene = hunting(None);
    scene.call();
    scene.run(Duration::from_millis(2));
    let report = |scene: &mut Scene| {
        scene.sim.report = None;
        scene.sim.command(Command::Report);
        scene.run(Duration::from_millis(30));
        scene.sim.report.clone().expect("a report")
    };
    assert_eq!(report(&mut scene).standing, Standing::Routing);
    scene.run(Duration::from_millis(500));
    let ringing = report(&mut scene);
    assert_eq!((ringing.standing, ringing.answered), (Standing::Ringing, None));
    assert_eq!(ringing.attempts.len(), 1);
    scene.run(Duration::from_secs(8));
    assert!(scene.a.up, "{}", scene.sim.ladder());
    let up = report(&mut scene);
    assert_eq!(up.standing, Standing::Up);
    assert_eq!(up.attempts.len(), 2);
    assert!(
        up.attempts[0]
            .failed
            .is_some_and(|(_, _, kind)| kind == Kind::NoAnswer)
    );
    assert_eq!(up.attempts[1].failed, None);
    let party = up.b.as_ref().expect("the callee");
    assert_eq!(party.uri, "sip:second@example.org");
    assert_ne!(party.call_id, up.a.call_id);
    let terms = up.streams[0].as_ref().expect("a voice");
    assert_eq!(terms.kind, "audio");
    assert!(terms.codecs.0.is_some() && terms.codecs.1.is_some(), "{terms:?}");
    assert_eq!(up.media.len(), 2, "both sides have been counted");
    scene.hang_up(Side::B);
    scene.run(Duration::from_secs(70));
    let summary = scene.sim.summary.as_ref().expect("it is over");
    assert_eq!((summary.standing, summary.streams.len()), (Standing::Over, 1));
    assert!(summary.ended > summary.answered.expect("it was up"));
}
