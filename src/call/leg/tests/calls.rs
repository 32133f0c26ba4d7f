//! Leg B of one server calls leg A of another.

use super::{sdp, word};
use crate::{
    call::{Body, Cause, Failure, Origin, Side, Signal, failure::Kind},
    sip::Status,
    testing::{Weather, legs::Legs},
};
use std::time::Duration;

fn call() -> Legs {
    Legs::new(Body::Offer(sdp(1)), Weather::default(), 1)
}

fn short(time: &mut Legs) {
    time.run(Duration::from_millis(100));
}

/// The first lines that crossed, as `>` from the caller and `<` from the callee.
fn ladder(legs: &Legs) -> Vec<String> {
    let arrow = |side: &Side| if *side == Side::B { ">" } else { "<" };
    legs.wire
        .iter()
        .map(|(side, line)| {
            let word = match line.strip_prefix("SIP/2.0 ") {
                Some(status) => status.split(' ').next().unwrap_or_default(),
                None => line.split(' ').next().unwrap_or_default(),
            };
            format!("{} {word}", arrow(side))
        })
        .collect()
}

fn words(legs: &mut Legs) -> Vec<String> {
    legs.heard()
        .into_iter()
        .map(|(side, signal)| format!("{side:?} {}", word(&signal)))
        .collect()
}

#[test]
fn a_call_rings_is_answered_and_ended_by_the_caller() {
    let mut legs = call();
    short(&mut legs);
    assert!(matches!(
        legs.callee.as_ref().expect("called").offer(),
        Body::Offer(_)
    ));
    legs.tell(Side::A, Signal::Ring);
    short(&mut legs);
    legs.tell(
        Side::A,
        Signal::Progress {
            status: Status::SESSION_PROGRESS,
            body: Body::Answer(sdp(2)),
        },
    );
    short(&mut legs);
    legs.tell(Side::A, Signal::Answer(Body::Answer(sdp(2))));
    short(&mut legs);
    assert_eq!(
        words(&mut legs),
        ["B ring", "B progress 183 answer 2", "B answered answer 2"]
    );
    assert_eq!(legs.deadline(), None, "a call that is up waits for nothing");
    assert!(
        legs.caller.farewell().is_some() && legs.callee.as_ref().and_then(|leg| leg.farewell()).is_some()
    );
    legs.tell(Side::B, Signal::Hangup(Cause::bye(Origin::LegA)));
    short(&mut legs);
    assert_eq!(words(&mut legs), ["A hangup LegA -"]);
    assert_eq!(legs.closed, (true, true), "nothing lingers");
    assert_eq!(legs.deadline(), None);
    assert_eq!(
        ladder(&legs),
        [
            "> INVITE", "< 100", "< 180", "< 183", "> PRACK", "< 200", "< 200", "> ACK", "> BYE", "< 200"
        ]
    );
}

#[test]
fn the_callee_may_end_it_too() {
    let mut legs = call();
    short(&mut legs);
    legs.tell(Side::A, Signal::Answer(Body::Answer(sdp(3))));
    short(&mut legs);
    legs.tell(Side::A, Signal::Hangup(Cause::of(Kind::MediaLost, Origin::Local)));
    short(&mut legs);
    assert_eq!(words(&mut legs), ["B answered answer 3", "B hangup LegB -"]);
    assert_eq!(
        ladder(&legs),
        ["> INVITE", "< 100", "< 200", "> ACK", "< BYE", "> 200"]
    );
    assert_eq!((legs.closed, legs.deadline()), ((true, true), None));
}

#[test]
fn a_refusal_crosses_with_its_code() {
    let mut legs = call();
    short(&mut legs);
    legs.tell(
        Side::A,
        Signal::Fail(Failure::new(Status::BUSY_HERE, Origin::LegB, Kind::Rejected)),
    );
    short(&mut legs);
    assert_eq!(words(&mut legs), ["B fail 486 rejected"]);
    assert_eq!(ladder(&legs), ["> INVITE", "< 100", "< 486", "> ACK"]);
    assert_eq!((legs.closed, legs.deadline()), ((true, true), None));
}

#[test]
fn a_caller_that_cancels_gets_487() {
    let mut legs = call();
    short(&mut legs);
    legs.tell(Side::A, Signal::Ring);
    short(&mut legs);
    legs.tell(Side::B, Signal::Hangup(Cause::of(Kind::Cancelled, Origin::LegA)));
    short(&mut legs);
    assert_eq!(words(&mut legs), ["B ring", "A hangup LegA cancelled"]);
    assert_eq!(
        ladder(&legs),
        [
            "> INVITE", "< 100", "< 180", "> CANCEL", "< 200", "< 487", "> ACK"
        ]
    );
    assert_eq!((legs.closed, legs.deadline()), ((true, true), None));
}
