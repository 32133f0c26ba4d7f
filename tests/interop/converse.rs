//! The conversation that every call of these tests holds, and when each part of it was.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::Outcome;
use crate::judge::SPOKEN;
use crate::netns::Side;
use crate::phone::Phone;
use crate::rtp::Span;

/// When what happened.
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    /// Both talk.
    pub(crate) talks: Vec<Span>,
    /// One end holds the other.
    pub(crate) holds: Vec<(Side, Span)>,
}

/// How long the ends talk before, between and after the holds.
const TALK: Duration = Duration::from_millis(2500);
/// How long a key agreement at the media's ports may take.
const AGREE: Duration = Duration::from_secs(2);
/// How long a hold lasts.
const HOLD: Duration = Duration::from_millis(1500);
/// After a change, packets of the old state may still be on their way.
const SETTLE: Duration = Duration::from_millis(350);
/// What was said last is given this time to cross, before the call is changed or ended.
const CROSS: Duration = Duration::from_millis(100);

/// A calls `target`, both talk, A holds and resumes, B holds and resumes, `last` hangs up.
pub(crate) fn converse(a: &mut dyn Phone, b: &mut dyn Phone, target: &str, last: Side) -> Outcome<Timeline> {
    converse_keyed(a, b, target, last, false)
}

/// The same, with time for a key agreement at the media's ports before anybody talks.
pub(crate) fn converse_keyed(
    a: &mut dyn Phone,
    b: &mut dyn Phone,
    target: &str,
    last: Side,
    agree: bool,
) -> Outcome<Timeline> {
    let mut timeline = Timeline::default();
    dial(a, b, target)?;
    if agree {
        thread::sleep(AGREE);
    }
    talk(&mut timeline);
    for side in [Side::A, Side::B] {
        let holder: &mut dyn Phone = if side == Side::A { a } else { b };
        hold(holder, side, &mut timeline).map_err(|e| format!("hold by {side:?}: {e}"))?;
        if let Some(decoded) = talk_counted(a, b, &mut timeline)? {
            return Err(format!("after the resume of {side:?}: {decoded}"));
        }
    }
    if last == Side::A {
        a.hang_up()?
    } else {
        b.hang_up()?
    }
    finish(a, b)?;
    Ok(timeline)
}

/// Waits until both ends know that the call is over.
pub(crate) fn finish(a: &mut dyn Phone, b: &mut dyn Phone) -> Outcome {
    a.await_end()
        .map_err(|e| format!("end of the call at the caller: {e}"))?;
    b.await_end()
        .map_err(|e| format!("end of the call at the callee: {e}"))
}

/// Sets the call up.
pub(crate) fn dial(a: &mut dyn Phone, b: &mut dyn Phone, target: &str) -> Outcome {
    a.dial(target)?;
    a.await_call().map_err(|e| format!("caller: {e}"))?;
    b.await_call().map_err(|e| format!("callee: {e}"))
}

/// Both talk for a while.
pub(crate) fn talk(timeline: &mut Timeline) {
    thread::sleep(SETTLE);
    let from = now();
    thread::sleep(TALK);
    timeline.talks.push(Span { from, to: now() });
    thread::sleep(CROSS);
}

/// Talks, and asks the phones that count decoded audio whether it has kept pace: says what is wrong.
fn talk_counted(a: &mut dyn Phone, b: &mut dyn Phone, timeline: &mut Timeline) -> Outcome<Option<String>> {
    let before = [a.decoded()?, b.decoded()?];
    talk(timeline);
    let after = [a.decoded()?, b.decoded()?];
    let wanted = TALK.as_secs_f64() * SPOKEN;
    for ((who, before), after) in [a.name(), b.name()].into_iter().zip(before).zip(after) {
        if let (Some(before), Some(after)) = (before, after)
            && after - before < wanted
        {
            return Ok(Some(format!(
                "{who} decoded {:.2} s of audio, expected {wanted:.2} s",
                after - before
            )));
        }
    }
    Ok(None)
}

fn hold(holder: &mut dyn Phone, side: Side, timeline: &mut Timeline) -> Outcome {
    holder.hold()?;
    thread::sleep(SETTLE);
    let from = now();
    thread::sleep(HOLD);
    timeline.holds.push((side, Span { from, to: now() }));
    holder.resume()
}

/// Seconds since the epoch: the captures' clock.
pub(crate) fn now() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs_f64()
}
