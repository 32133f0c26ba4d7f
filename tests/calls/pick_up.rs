//! A call that still rings is picked up by a third device: its INVITE names the early dialog of leg B by Replaces (RFC 3891 §3).

#[path = "pick_up/crossings.rs"]
mod crossings;
#[path = "pick_up/early.rs"]
mod early;
#[path = "pick_up/refused.rs"]
mod refused;

use b2bua::{
    call::{
        CallEvent, Decision, Encryption, EncryptionPolicy, Failure, InCall, Lease, Origin, Question, Rescue,
        Side, TransferMode, Verdict, bridge::CallSettings, failure::Kind,
    },
    sip::Status,
    testing::{Phone, Scene, Sim, Verdicts, Who, settings},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
/// What the callee is told.
const ELSEWHERE: &str = "Reason: SIP;cause=200;text=\"Call completed elsewhere\"";

/// How a call is set up.
#[derive(Clone, Copy)]
struct Setup {
    a: Encryption,
    b: Encryption,
    c: Encryption,
    /// How long everybody whom the call asks thinks: the application, DNS, the relay.
    think: Duration,
    /// What the application says of who picks up.
    refuses: Option<u16>,
    /// Fields of the caller's INVITE.
    headers: &'static str,
    /// Who has video.
    video: [bool; 3],
}

impl Setup {
    fn keyed(mode: Encryption) -> Self {
        Self {
            a: mode,
            b: mode,
            c: mode,
            think: Duration::ZERO,
            refuses: None,
            headers: "",
            video: [false; 3],
        }
    }
    fn plain() -> Self {
        Self::keyed(Encryption::None)
    }
}

/// A call whose callee rings for ten seconds, and a third party that is not there yet. The callee's leg uses a line of an account.
struct Ringing {
    scene: Scene,
    /// How many lines are used.
    lines: Arc<AtomicUsize>,
}

/// A line of an account, until it is given back.
struct Line(Arc<AtomicUsize>);

impl Drop for Line {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The route to the callee, with a line of an account.
fn verdicts(setup: Setup, lines: &Arc<AtomicUsize>) -> Verdicts {
    let lines = lines.clone();
    Verdicts::Fixed(Box::new(move |question| {
        Some(match question {
            Question::Route(invite) => {
                let mut route = Verdicts::outgoing(&invite, EncryptionPolicy::Only(setup.b));
                lines.fetch_add(1, Ordering::Relaxed);
                route.lease = Some(Lease(Box::new(Line(lines.clone()))));
                Verdict::Route(Decision::Bridge(vec![route]))
            }
            Question::Rescue(_) => Verdict::Rescue(Rescue::Relay),
            Question::InCall(_) => Verdict::InCall(InCall::Forward),
            Question::Handover(_) => Verdict::Handover(match setup.refuses {
                None => Ok(()),
                Some(code) => Err(Failure::new(
                    Status::new(code).unwrap(),
                    Origin::App,
                    Kind::Declined,
                )),
            }),
        })
    }))
}

fn ringing(setup: Setup) -> Ringing {
    let lines = Arc::new(AtomicUsize::new(0));
    let executing = CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    };
    let sim = Sim::with(verdicts(setup, &lines), executing, 3);
    let now = sim.now;
    let mut scene = Scene {
        sim,
        a: Phone::new(Side::A, 3).keyed(setup.a, 3, now),
        b: Phone::new(Side::B, 3).keyed(setup.b, 3, now),
        c: Some(Phone::third(Side::B, 3).keyed(setup.c, 3, now)),
    };
    let [a, b, c] = setup.video;
    (scene.a.video, scene.b.video) = (a, b);
    scene.c.as_mut().unwrap().video = c;
    scene.b.rings = 10 * SECOND;
    scene
        .a
        .call_with(&mut scene.sim, "sip:bob@example.org", setup.headers);
    scene.run(SECOND);
    assert!(
        !scene.a.up && !scene.sim.b.remote.is_empty(),
        "{}",
        scene.sim.ladder()
    );
    scene.sim.think = setup.think;
    Ringing { scene, lines }
}

impl Ringing {
    /// The third party calls for the callee's early dialog.
    fn picks_up(&mut self, more: &str) {
        let replaces = format!("Replaces: {}{more}\r\n", self.scene.sim.b.replaces());
        let c = self.scene.c.as_mut().unwrap();
        c.call_with(&mut self.scene.sim, "sip:bob@example.org", &replaces);
    }
    fn c(&self) -> &Phone {
        self.scene.c.as_ref().unwrap()
    }
    fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }
    fn ladder(&self) -> String {
        self.scene.sim.ladder()
    }
    /// What became of those who called for a place, as observers hear.
    fn became(&self) -> Vec<u16> {
        let events = self.scene.sim.events.iter();
        let transferred = events.filter_map(|event| match event {
            CallEvent::Transferred { status, .. } => Some(status.code()),
            _ => None,
        });
        transferred.collect()
    }
    /// How often the caller heard that it is answered, and the callee that he is not wanted any more.
    fn count(&self, who: Who, start: &str) -> usize {
        let wire = self.scene.sim.wire.iter();
        wire.filter(|(_, to, inwards, bytes)| *to == who && !inwards && bytes.starts_with(start.as_bytes()))
            .count()
    }
    /// The CANCEL that the callee got.
    fn cancel(&self) -> String {
        let mut wire = self.scene.sim.wire.iter();
        let found =
            wire.find(|(_, to, inwards, bytes)| *to == Who::B && !inwards && bytes.starts_with(b"CANCEL "));
        let (.., bytes) = found.unwrap_or_else(|| panic!("no CANCEL\n{}", self.ladder()));
        String::from_utf8_lossy(bytes).into_owned()
    }
    /// The caller talks to who picked up, and the callee is called no more.
    fn assert_picked_up(&self) {
        let scene = &self.scene;
        assert!(scene.a.up && self.c().up, "{}", self.ladder());
        assert!(!scene.b.up && scene.b.ended, "{}", self.ladder());
        scene.sim.assert_media(&scene.a, self.c());
        assert!(
            scene
                .a
                .views
                .first()
                .is_some_and(|view| view.sends && view.receives),
            "{:?}",
            scene.a.views
        );
        assert!(self.cancel().contains(ELSEWHERE), "{}", self.cancel());
        assert_eq!(self.became(), [200], "{}", self.ladder());
        assert_eq!(self.lines(), 0, "the callee's line is free again");
        assert!(scene.sim.relay.reserved.is_empty());
    }
    /// All is as if nobody had called: the callee rings, and is talked to when he answers.
    fn assert_rings_on(mut self, status: u16) {
        assert_eq!(self.c().failed, Some(status), "{}", self.ladder());
        assert_eq!(self.became(), [status]);
        assert_eq!(
            (self.count(Who::B, "CANCEL "), self.lines()),
            (0, 1),
            "{}",
            self.ladder()
        );
        assert!(!self.scene.a.up && self.scene.sim.relay.reserved.is_empty());
        self.scene.run(10 * SECOND);
        assert!(self.scene.a.up && self.scene.b.up, "{}", self.ladder());
        self.scene.assert_media();
        self.scene.hang_up(Side::A);
        self.scene.assert_ends();
        let summary = self.scene.sim.summary.clone().unwrap();
        assert!(summary.answered.is_some() && summary.attempts[0].failed.is_none());
        assert_eq!(self.lines(), 0);
    }
    /// It ends, and nothing is left.
    fn ends(&mut self) {
        self.scene.run(70 * SECOND);
        assert!(
            self.scene.a.ended && self.scene.b.ended && self.c().ended,
            "{}",
            self.ladder()
        );
        self.scene.sim.assert_done();
        assert_eq!(self.lines(), 0);
    }
}

#[test]
fn acceptance_27_a_call_that_rings_is_picked_up_and_the_callee_is_told_that_it_was_answered_elsewhere() {
    for mode in [
        Encryption::None,
        Encryption::Sdes,
        Encryption::DtlsSrtp,
        Encryption::Zrtp,
    ] {
        for more in ["", ";early-only"] {
            let mut call = ringing(Setup::keyed(mode));
            call.picks_up(more);
            call.scene.run(5 * SECOND);
            call.assert_picked_up();
            let summary = |call: &Ringing| call.scene.sim.summary.clone().unwrap();
            // It is a call like any other: either changes it, and either ends it.
            call.scene.reoffer(Side::A);
            call.scene.run(SECOND);
            call.scene.sim.assert_media(&call.scene.a, call.c());
            let (c, sim) = (call.scene.c.as_mut().unwrap(), &mut call.scene.sim);
            c.reoffer(sim);
            call.scene.run(SECOND);
            call.scene.sim.assert_media(&call.scene.a, call.c());
            let (c, sim) = (call.scene.c.as_mut().unwrap(), &mut call.scene.sim);
            c.hang_up(sim);
            call.ends();
            let record = summary(&call);
            let failed: Vec<_> = record.attempts.iter().map(|attempt| attempt.failed).collect();
            let cancelled = (Status::REQUEST_TERMINATED, Origin::Local, Kind::Cancelled);
            assert_eq!(failed, [Some(cancelled)], "{mode}");
            assert_eq!((record.status, record.failure), (Status::OK, None));
            assert!(record.answered > record.ringing && record.ringing.is_some());
            assert_eq!(record.transfers.len(), 1);
            let transfer = &record.transfers[0];
            assert_eq!(transfer.to.to_str(), "sip:carol@example.org");
            assert_eq!((transfer.by, transfer.status), (Side::B, Some(Status::OK)));
            assert_eq!(record.encryption, (Some(mode), Some(mode)));
            let answered = call.scene.sim.events.iter();
            let answered = answered.filter(|event| matches!(event, CallEvent::Answered));
            assert_eq!(answered.count(), 1);
        }
    }
}

#[test]
fn legs_that_are_keyed_otherwise_each_keep_to_their_own() {
    let modes = [
        Encryption::None,
        Encryption::Sdes,
        Encryption::DtlsSrtp,
        Encryption::Zrtp,
    ];
    for a in modes {
        for c in modes {
            let mut call = ringing(Setup {
                a,
                c,
                ..Setup::plain()
            });
            call.picks_up("");
            call.scene.run(5 * SECOND);
            call.assert_picked_up();
            call.scene.hang_up(Side::A);
            call.ends();
        }
    }
}

#[test]
fn a_stream_that_only_one_of_them_has_is_not_had() {
    for video in [[true, true, false], [false, false, true], [true, false, true]] {
        let mut call = ringing(Setup {
            video,
            ..Setup::keyed(Encryption::Sdes)
        });
        call.picks_up("");
        call.scene.run(SECOND);
        call.assert_picked_up();
        let [a, _, c] = video;
        let seen = call
            .c()
            .views
            .get(1)
            .is_some_and(|view| view.sends && view.receives);
        assert_eq!(seen, a && c, "{}", call.ladder());
        let flows = call.scene.sim.relay.ports.len();
        assert_eq!(
            flows,
            if seen { 4 } else { 2 },
            "{:?}",
            call.scene.sim.relay.ports
        );
        call.scene.hang_up(Side::A);
        call.ends();
    }
}

#[test]
fn who_is_reached_from_another_address_has_ports_of_its_own() {
    for answers_meanwhile in [false, true] {
        let mut call = ringing(Setup {
            think: SECOND,
            ..Setup::keyed(Encryption::Sdes)
        });
        call.scene.sim.c.server = call.scene.sim.a.server;
        call.picks_up("");
        if answers_meanwhile {
            // The application has thought; ports are being bound.
            call.scene.b.rings = SECOND;
            call.scene.run(3 * SECOND / 2);
        }
        call.scene.run(4 * SECOND);
        call.assert_picked_up();
        let port = call.scene.sim.relay.ports[&(Side::B, b2bua::media::StreamId(0))];
        assert_eq!(port.ip(), call.scene.sim.c.server.ip());
        call.scene.hang_up(Side::A);
        call.ends();
    }
}
