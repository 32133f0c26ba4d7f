//! Video through the server: VP8 of a static picture, from the start of a call, added and taken out again by either side, while
//! the voice goes on.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crate::capture::Wire;
use crate::converse::now;
use crate::daemon::Daemon;
use crate::judge::{Leg, SPOKEN};
use crate::netns::Side;
use crate::phone::{Keys, Make};
use crate::picture::{self, Film};
use crate::rtp::{self, Span, Stream};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::tone::{CALLEE, CALLER};
use crate::{Outcome, Test, privacy};

/// Its name, how each leg is keyed, whether the call begins with video, and who toggles it then.
macro_rules! videos {
    ($($name:literal: $a:ident => $b:ident, $course:expr),* $(,)?) => {
        &[$(Test {
            name: $name,
            body: |scene| shows(scene, [Keys::$a, Keys::$b], &$course),
            limit: Duration::from_secs(120),
        }),*]
    };
}

/// A call as it goes: with or without video from the start, and who changes that, one after the other.
struct Course {
    video: bool,
    toggles: &'static [Side],
}

/// Video from the start. The callee takes it out, the caller adds it again.
const FROM_THE_START: Course = Course {
    video: true,
    toggles: &[Side::B, Side::A],
};
/// Voice alone at first. The caller adds video and takes it out, then the callee does.
const IN_MID_CALL: Course = Course {
    video: false,
    toggles: &[Side::A, Side::A, Side::B, Side::B],
};

pub(crate) const TESTS: &[Test] = videos! {
    "video::sdes_to_zrtp_from_the_start": Sdes => Zrtp, FROM_THE_START,
    "video::dtls_to_sdes_from_the_start": Dtls => Sdes, FROM_THE_START,
    "video::zrtp_to_dtls_from_the_start": Zrtp => Dtls, FROM_THE_START,
    "video::none_to_zrtp_from_the_start": None => Zrtp, FROM_THE_START,
    "video::sdes_to_zrtp_added_and_removed": Sdes => Zrtp, IN_MID_CALL,
    "video::dtls_to_sdes_added_and_removed": Dtls => Sdes, IN_MID_CALL,
    "video::zrtp_to_dtls_added_and_removed": Zrtp => Dtls, IN_MID_CALL,
    "video::none_to_zrtp_added_and_removed": None => Zrtp, IN_MID_CALL,
};

/// How long a key agreement at the media's ports may take, of the call or of a stream that was added.
const AGREE: Duration = Duration::from_secs(2);
/// After a change, packets of the old state may still be on their way.
const SETTLE: Duration = Duration::from_millis(350);
/// How long there is video, and how long there is none.
const SHOWN: Duration = Duration::from_millis(3500);
const DARK: Duration = Duration::from_millis(1500);
/// The longest gap in the voice that the server may make.
const GAP: f64 = 0.1;

/// When there was video and when not.
#[derive(Default)]
struct Timeline {
    shown: Vec<Span>,
    dark: Vec<Span>,
}

fn shows(scene: &Scene, keys: [Keys; 2], course: &Course) -> Outcome {
    let a = scene
        .caller(Make::Linphone)
        .keyed(keys[0])
        .through(&server::uri(Side::A));
    let b = scene
        .callee(Make::Linphone)
        .keyed(keys[1])
        .through(&server::uri(Side::B));
    let config = Config::new(&format!("sip:{}:{}", b.ip(), b.sip_port())).leg_b(keys[1].mode());
    let captures = scene.capture()?;
    let server = Server::start_promptly(scene, &config)?;
    let mut phones = [Daemon::start(&a, course.video)?, Daemon::start(&b, course.video)?];
    let timeline = call(&mut phones, course)?;
    let (wire_a, wire_b) = captures.finish()?;
    let wires = [&wire_a, &wire_b];
    let legs = [Leg::of(Side::A, keys[0]), Leg::of(Side::B, keys[1])];
    for (leg, wire) in legs.iter().zip(wires) {
        no_line_is_lost(wire).map_err(|e| format!("leg {:?}: {e}", leg.side))?;
    }
    video(wires, legs, &timeline)?;
    voice(wires, legs, &timeline)?;
    counted(&phones, &timeline)?;
    privacy::scan(&wire_a, &wire_b, &[])?;
    server.finish()
}

/// Holds the call.
fn call(phones: &mut [Daemon; 2], course: &Course) -> Outcome<Timeline> {
    let [a, b] = phones;
    a.dial("sip:bob@example.net")?;
    a.await_running(1).map_err(|e| format!("caller: {e}"))?;
    b.await_running(1).map_err(|e| format!("callee: {e}"))?;
    a.speak()?;
    b.speak()?;
    let mut timeline = Timeline::default();
    let mut video = course.video;
    pass(&mut timeline, video);
    for side in course.toggles {
        video = !video;
        let (changes, follows) = if *side == Side::A {
            (&mut *a, &mut *b)
        } else {
            (&mut *b, &mut *a)
        };
        let runs = follows.runs();
        let changed = changes
            .set_video(video)
            .and_then(|()| follows.await_running(runs + 1));
        changed.map_err(|e| format!("video to {video} by {side:?}: {e}"))?;
        pass(&mut timeline, video);
    }
    a.hang_up()?;
    a.await_end()?;
    b.await_end()?;
    Ok(timeline)
}

/// Lets the call be as it is for a while.
fn pass(timeline: &mut Timeline, video: bool) {
    let first = timeline.shown.is_empty() && timeline.dark.is_empty();
    thread::sleep(if video || first { AGREE } else { SETTLE });
    let from = now();
    thread::sleep(if video { SHOWN } else { DARK });
    let spans = if video {
        &mut timeline.shown
    } else {
        &mut timeline.dark
    };
    spans.push(Span { from, to: now() });
}

impl Timeline {
    /// From when both talk to the end of the last part, with all that was changed in between.
    fn whole(&self) -> Span {
        let all = || self.shown.iter().chain(&self.dark);
        Span {
            from: all().map(|span| span.from).fold(f64::MAX, f64::min),
            to: all().map(|span| span.to).fold(0.0, f64::max),
        }
    }
}

/// Both ways on both legs while there is video, nothing while there is none, and what comes in goes out.
fn video(wires: [&Wire; 2], legs: [Leg; 2], timeline: &Timeline) -> Outcome {
    let watch =
        |n: usize| picture::watch(wires[n], legs[n]).map_err(|e| format!("leg {:?}: {e}", legs[n].side));
    let (a, b) = (watch(0)?, watch(1)?);
    let ways: [(&Film, &Film); 2] = [(&a.0, &b.1), (&b.0, &a.1)];
    for (said, passed_on) in ways {
        for span in &timeline.shown {
            said.must_show(*span)?;
            passed_on.must_show(*span)?;
            said.must_come_out(*span, passed_on)?;
        }
        for span in &timeline.dark {
            said.must_be_dark(*span)?;
            passed_on.must_be_dark(*span)?;
        }
    }
    Ok(())
}

/// The voice is heard all the time, through every change, without loss and without a gap that is ours.
fn voice(wires: [&Wire; 2], legs: [Leg; 2], timeline: &Timeline) -> Outcome {
    let listen = |n: usize| {
        let leg = legs[n];
        let heard = match leg.hidden {
            None => rtp::listen(wires[n], leg.phone, leg.suite),
            Some(profile) => rtp::overhear(wires[n], leg.phone, profile),
        };
        heard.map_err(|e| format!("leg {:?}: {e}", leg.side))
    };
    let (a, b) = (listen(0)?, listen(1)?);
    let span = timeline.whole();
    let ways: [(&Stream, &Stream, f64); 2] = [(&a.0, &b.1, CALLER), (&b.0, &a.1, CALLEE)];
    for (n, (said, passed_on, tone)) in ways.into_iter().enumerate() {
        for (stream, leg) in [(said, legs[n]), (passed_on, legs[1 - n])] {
            if leg.hidden.is_some() {
                stream.must_flow(span, SPOKEN)?;
            } else {
                stream.must_be(tone, span, SPOKEN)?;
            }
        }
        let missing = said.missing(span, passed_on);
        if missing > 0 {
            return Err(format!(
                "of {} packets of voice from {:?}, {missing} were not passed on",
                said.count(span),
                legs[n].side
            ));
        }
        let gap = said.longest_gap(span, passed_on)?;
        println!(
            "voice from {:?}: longest gap {:.1} ms",
            legs[n].side,
            gap * 1000.0
        );
        if gap >= GAP {
            return Err(format!(
                "the voice from {:?} has a gap of {:.0} ms that its phone did not make",
                legs[n].side,
                gap * 1000.0
            ));
        }
    }
    Ok(())
}

/// What the phones have decrypted: enough of every time that there was video, and nothing that they could not read. They count on
/// from one time to the next, and tell once more at the end.
fn counted(phones: &[Daemon; 2], timeline: &Timeline) -> Outcome {
    for (phone, side) in phones.iter().zip([Side::A, Side::B]) {
        let told = phone.received("VIDEO")?;
        if told.len() < timeline.shown.len() {
            return Err(format!(
                "{side:?}'s phone had video {} times, expected {}",
                told.len(),
                timeline.shown.len()
            ));
        }
        let mut before = 0;
        for (received, span) in told.iter().zip(&timeline.shown) {
            let least = (span.to - span.from).floor() as usize;
            if received.packets < before + least || received.bad > 0 {
                return Err(format!(
                    "{side:?}'s phone: {told:?}, expected {least} packets or more each time"
                ));
            }
            before = received.packets;
        }
    }
    Ok(())
}

/// M-lines never go away: each description of a party has as many as its last one, or more (RFC 3264 §8).
fn no_line_is_lost(wire: &Wire) -> Outcome {
    let mut seen = BTreeMap::new();
    for message in &wire.messages {
        let lines = message.sdp("m=").count();
        if lines == 0 {
            continue;
        }
        let most = seen.entry(message.from.ip()).or_insert(0);
        if lines < *most {
            return Err(format!("{lines} m-lines after {most} in:\n{}", message.body));
        }
        *most = lines;
    }
    match seen.values().copied().collect::<Vec<usize>>()[..] {
        [2, 2] => Ok(()),
        ref other => Err(format!("m-lines of both ends: {other:?}, expected two each")),
    }
}
