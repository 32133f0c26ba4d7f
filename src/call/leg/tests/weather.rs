//! Two legs over a network that loses, repeats and reorders (goal R2), and under any operations.

use super::*;
use crate::{
    call::{Cause, Origin, Side},
    testing::{Weather, fuzz::leg_operations, legs::Legs},
};
use proptest::prelude::*;

#[test]
fn calls_in_rough_weather_complete_or_end_by_timers_and_leave_nothing() {
    let mut complete = 0;
    for seed in 0..1_000 {
        let mut legs = Legs::new(Body::Offer(sdp(1)), Weather::ROUGH, seed);
        for _ in 0..40 {
            if legs.callee.is_some() {
                break;
            }
            legs.run(Duration::from_secs(1));
        }
        legs.tell(Side::A, Signal::Ring);
        legs.run(Duration::from_secs(2));
        legs.tell(Side::A, Signal::Answer(Body::Answer(sdp(2))));
        legs.run(Duration::from_secs(35));
        let answered = legs
            .heard()
            .iter()
            .any(|(_, signal)| matches!(signal, Signal::Answer(_)));
        let up = legs.caller.farewell().is_some()
            && legs.callee.as_ref().is_some_and(|leg| leg.farewell().is_some());
        // A hold, then the end from either side.
        let (holder, other) = if seed % 2 == 0 {
            (Side::A, Side::B)
        } else {
            (Side::B, Side::A)
        };
        legs.tell(holder, Signal::Offer(Some(sdp(3))));
        legs.run(Duration::from_secs(15));
        let offered = legs
            .heard()
            .iter()
            .any(|(side, signal)| *side == other && matches!(signal, Signal::Offer(_)));
        legs.tell(other, Signal::Accept(sdp(4)));
        legs.run(Duration::from_secs(20));
        let held = legs
            .heard()
            .iter()
            .any(|(side, signal)| *side == holder && matches!(signal, Signal::Accept(_)));
        legs.tell(other, Signal::Hangup(Cause::bye(Origin::LegA)));
        legs.run_dry();
        complete += u32::from(answered && up && offered && held);
        for side in [Side::A, Side::B] {
            legs.tell(side, Signal::Hangup(Cause::bye(Origin::Local)));
        }
        legs.run_dry();
        assert!(
            legs.closed.1 && (legs.callee.is_none() || legs.closed.0),
            "seed {seed}"
        );
        assert_eq!(legs.deadline(), None, "seed {seed}");
    }
    assert!(complete >= 998, "{complete} of 1,000 complete");
}

#[test]
fn seeds_of_operations_hold() {
    for seed in [
        &[0, 0, 1, 2, 5, 1, 0x83, 7, 2, 5, 8, 2][..],
        &[1, 0xff, 0, 2, 4, 1, 0x85, 8, 3, 0x83, 3, 3, 5, 9, 1],
        &[2, 0x15, 1, 0, 0, 0, 0x8b, 1, 0, 2, 5, 0],
        &[3, 0, 1, 2, 2, 5, 0x41, 30, 77, 0x83, 4, 3, 0xc2, 9, 50, 5, 5, 2],
    ] {
        leg_operations(seed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_operations_end_closed_with_no_timer(bytes in proptest::collection::vec(any::<u8>(), 3..200)) {
        leg_operations(&bytes);
    }
}
