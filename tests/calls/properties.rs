//! Anything in any order: nothing panics, outputs are bounded, and when both sides have hung up nothing is left (the rig looks).

use b2bua::testing::fuzz;
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_sequence_of_inputs_ends_with_nothing_left(decisions in proptest::collection::vec(any::<u8>(), 1..200)) {
        fuzz::call(&decisions);
    }

    #[test]
    fn any_sequence_of_inputs_after_a_refer_that_is_executed_ends_with_nothing_left(
        decisions in proptest::collection::vec(any::<u8>(), 1..200),
    ) {
        fuzz::executed_transfer(&decisions);
    }
}
