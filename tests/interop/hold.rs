//! Hold and resume by either side and by both, in all orders, with voice, and with voice and video. What is skipped upstream because
//! of a bug (`basicCallOnHoldThenResume`) is here; so is that either may hang up while both hold. With video alone the call scripts
//! do it: Linphone 5.1 dies of a call without audio.

use std::thread;
use std::time::Duration;

use crate::capture::Wire;
use crate::converse::now;
use crate::daemon::Daemon;
use crate::judge::{AES_128, Leg, SPOKEN};
use crate::netns::Side;
use crate::phone::Make;
use crate::picture;
use crate::rtp::{self, Span};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::through::CALLEE;
use crate::tone;
use crate::{Outcome, Test, privacy};

pub(crate) const TESTS: &[Test] = &[
    Test::new("hold::by_each_side_and_both_in_all_orders", |scene| {
        holds(scene, false, "ABab ABba BAab BAba AB", Side::A)
    }),
    Test::new("hold::by_each_side_and_both_with_voice_and_video", |scene| {
        holds(scene, true, "Aa Bb ABab BAba BA", Side::B)
    }),
];

/// After a change, packets of the old state may still be on their way.
const SETTLE: Duration = Duration::from_millis(350);
/// How long it stays as it is while somebody holds, and while nobody does. A static picture comes once a second, and whoever sees
/// it anew needs a key frame, which Linphone repeats after two seconds.
const HELD: Duration = Duration::from_millis(800);
const TALK: Duration = Duration::from_millis(1500);
const SHOWN: Duration = Duration::from_millis(3000);

/// A part of the call: when, and which of the sides hold.
struct Part {
    span: Span,
    held_by: [bool; 2],
}

impl Part {
    fn is_talk(&self) -> bool {
        self.held_by == [false, false]
    }
}

/// A call of which `course` says what happens: A and B are holds by those sides, a and b resumes. At its end `last` hangs up.
fn holds(scene: &Scene, with_video: bool, course: &str, last: Side) -> Outcome {
    let a = scene.caller(Make::Linphone).through(&server::uri(Side::A));
    let b = scene.callee(Make::Linphone).through(&server::uri(Side::B));
    let config = Config::new(&format!("sip:{}:{}", b.ip(), b.sip_port())).leg_b("sdes");
    let captures = scene.capture()?;
    let server = Server::start(scene, &config)?;
    let phones = [
        Daemon::start(&a, with_video)?,
        Daemon::start(&b.encrypted(), with_video)?,
    ];
    let parts = call(phones, with_video, course, last)?;
    let (wire_a, wire_b) = captures.finish()?;
    let wires = [&wire_a, &wire_b];
    let legs = [Leg::plain(Side::A), Leg::keyed(Side::B, AES_128)];
    let talks = parts.iter().filter(|part| part.is_talk()).count();
    let both = parts.iter().filter(|part| part.held_by == [true, true]).count();
    if talks < 2 || both < 2 {
        return Err(format!(
            "{talks} talks and {both} holds by both: nothing was tried"
        ));
    }
    voice(wires, legs, &parts)?;
    if with_video {
        video(wires, legs, &parts)?;
    }
    privacy::scan(&wire_a, &wire_b, &[])?;
    server.finish()
}

/// Holds the call.
fn call(mut phones: [Daemon; 2], video: bool, course: &str, last: Side) -> Outcome<Vec<Part>> {
    phones[0].dial(CALLEE)?;
    for phone in &mut phones {
        phone.await_state("StreamsRunning")?;
    }
    for phone in &mut phones {
        phone.speak()?;
    }
    let mut held_by = [false, false];
    let mut parts = vec![pass(held_by, video)];
    for step in course.chars().filter(|step| *step != ' ') {
        let who = usize::from(step.eq_ignore_ascii_case(&'b'));
        held_by[who] = step.is_ascii_uppercase();
        phones[who].say(if held_by[who] {
            "call-pause"
        } else {
            "call-resume 1"
        })?;
        for (n, phone) in phones.iter_mut().enumerate() {
            let state = match (held_by[n], held_by[1 - n]) {
                (true, _) => "Paused",
                (false, true) => "PausedByRemote",
                (false, false) => "StreamsRunning",
            };
            phone
                .await_state(state)
                .map_err(|e| format!("{step} of {course:?}: {e}"))?;
        }
        if held_by == [false, false] {
            // The pause has ended the playing, too.
            for phone in &mut phones {
                phone.speak()?;
            }
        }
        parts.push(pass(held_by, video));
    }
    phones[usize::from(last == Side::B)].hang_up()?;
    for phone in &mut phones {
        phone.await_end()?;
    }
    Ok(parts)
}

/// Lets the call be as it is for a while.
fn pass(held_by: [bool; 2], video: bool) -> Part {
    thread::sleep(SETTLE);
    let from = now();
    thread::sleep(match (held_by, video) {
        ([false, false], false) => TALK,
        ([false, false], true) => SHOWN,
        _ => HELD,
    });
    let span = Span { from, to: now() };
    Part { span, held_by }
}

/// Whoever holds hears nothing; when nobody does, each hears the other, and nothing is lost.
fn voice(wires: [&Wire; 2], legs: [Leg; 2], parts: &[Part]) -> Outcome {
    let listen = |n: usize| {
        let leg: Leg = legs[n];
        rtp::listen(wires[n], leg.phone, leg.suite).map_err(|e| format!("leg {:?}: {e}", leg.side))
    };
    let streams = [listen(0)?, listen(1)?];
    let tones = [tone::CALLER, tone::CALLEE];
    for part in parts {
        for n in [0, 1] {
            let (said, passed_on) = (&streams[n].0, &streams[1 - n].1);
            if part.held_by[n] {
                streams[n].1.must_be_still(part.span)?;
            }
            if !part.is_talk() {
                continue;
            }
            said.must_be(tones[n], part.span, SPOKEN)?;
            passed_on.must_be(tones[n], part.span, SPOKEN)?;
            let missing = said.missing(part.span, passed_on);
            if missing > 0 {
                let of = said.count(part.span);
                return Err(format!("of {of} packets of voice {missing} were not passed on"));
            }
        }
    }
    Ok(())
}

/// The same of the pictures.
fn video(wires: [&Wire; 2], legs: [Leg; 2], parts: &[Part]) -> Outcome {
    let watch = |n: usize| {
        let leg: Leg = legs[n];
        picture::watch(wires[n], leg).map_err(|e| format!("leg {:?}: {e}", leg.side))
    };
    let films = [watch(0)?, watch(1)?];
    for part in parts {
        for n in [0, 1] {
            let (said, passed_on) = (&films[n].0, &films[1 - n].1);
            if part.held_by[n] {
                films[n].1.must_be_dark(part.span)?;
            }
            if part.is_talk() {
                said.must_show(part.span)?;
                passed_on.must_show(part.span)?;
                said.must_come_out(part.span, passed_on)?;
            }
        }
    }
    Ok(())
}
