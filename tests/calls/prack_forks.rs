//! Acceptance #19 with PRACK: three forks that answer 183, 180 and 200 in every order, each provisional response reliable.

use super::{
    duo::{Duo, says},
    forks::interleavings,
};
use b2bua::call::Side;

/// What a fork says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Ringing,
    EarlyMedia,
    Answer,
}

const FORKS: [&str; 3] = ["x", "y", "z"];
/// Each takes another codec, so that the caller sees who answered.
const CODECS: [&str; 3] = ["0", "8", "9"];

fn port(fork: usize) -> u16 {
    42_000 + 100 * u16::try_from(fork).unwrap()
}

/// Three forks in that order of events, to a caller that can do this.
fn play(order: &[(usize, Say)], caller: &str) {
    let mut duo = Duo::new(caller, &says(Side::A, 30_000, "0 8 9", ""));
    let mut winner = None;
    let mut early: Option<usize> = None;
    let mut spoke = [false; 3];
    let mut expected = Vec::new();
    let mut answers = 0;
    for &(fork, say) in order {
        let body = says(Side::B, port(fork), CODECS[fork], "");
        // Whoever answered is where it was when it is asked again.
        duo.answers.1 = says(Side::B, port(winner.unwrap_or(fork)), "0", "");
        match say {
            Say::Ringing => duo.respond(180, FORKS[fork], true, ""),
            Say::EarlyMedia => duo.respond(183, FORKS[fork], true, &body),
            // What was answered reliably is not said again.
            Say::Answer => duo.respond(200, FORKS[fork], false, if spoke[fork] { "" } else { &body }),
        }
        if say == Say::Answer {
            answers += 1;
            winner.get_or_insert(fork);
        } else if winner.is_none() {
            expected.push((FORKS[fork], duo.rseq[FORKS[fork]]));
        }
        if say == Say::EarlyMedia {
            spoke[fork] = true;
            early = Some(fork);
        }
        let heard = duo.port(Side::B);
        let place = || format!("{order:?} at {fork} {say:?}\n{}", duo.sim.ladder());
        if let Some(fork) = winner.or(early) {
            assert_eq!(heard, Some(port(fork)), "{}", place());
        }
        if winner.is_some() {
            early = None;
        }
    }
    duo.run(100);
    let place = || format!("{order:?}\n{}", duo.sim.ladder());
    let winner = winner.expect("one answered");
    // Each was acknowledged once, in its own dialog.
    assert_eq!(duo.pracks.len(), expected.len(), "{}", place());
    for ((tag, rack, _), (fork, rseq)) in duo.pracks.iter().zip(&expected) {
        assert!(tag.ends_with(&format!("-{fork}")), "{tag} {fork}\n{}", place());
        assert!(
            rack.starts_with(&format!("{rseq} ")),
            "{rack} {rseq}\n{}",
            place()
        );
        assert!(rack.ends_with(" INVITE"), "{rack}");
    }
    // The caller has the winner's codec, whatever it was answered first.
    assert_eq!(duo.types(Side::A), CODECS[winner], "{}", place());
    // Each 200 was acknowledged in its dialog, and all but the first hung up in theirs.
    let tags = |method: &str| {
        let mut tags: Vec<String> = duo
            .sim
            .wire
            .iter()
            .filter(|(_, side, inwards, bytes)| {
                *side == Side::B && !inwards && bytes.starts_with(method.as_bytes())
            })
            .filter_map(|(_, _, _, bytes)| b2bua::testing::peer::read(bytes).headers().to().ok()?.tag())
            .map(|tag| tag.to_string())
            .collect();
        tags.sort();
        tags.dedup();
        tags
    };
    assert_eq!(tags("ACK").len(), answers, "{}", place());
    let hung_up = tags("BYE");
    assert_eq!(hung_up.len(), answers - 1, "{}", place());
    assert!(
        !hung_up
            .iter()
            .any(|tag| tag.ends_with(&format!("-{}", FORKS[winner]))),
        "{}",
        place()
    );
    duo.end();
}

fn every_order(caller: &str) {
    let says = [Say::EarlyMedia, Say::Ringing, Say::Answer];
    let mut orders = Vec::new();
    let each = (0..3).map(|fork| vec![(fork, says[fork])]).collect();
    interleavings(each, &mut Vec::new(), &mut orders);
    let all = (0..3).map(|fork| says.map(|say| (fork, say)).to_vec()).collect();
    interleavings(all, &mut Vec::new(), &mut orders);
    assert_eq!(orders.len(), 6 + 1_680);
    for order in &orders {
        play(order, caller);
    }
}

#[test]
fn acceptance_19_forks_in_every_order_are_acknowledged_each_in_its_dialog_for_a_caller_without_100rel() {
    every_order("");
}

#[test]
fn acceptance_19_forks_in_every_order_reach_a_caller_with_100rel_that_takes_no_update() {
    every_order("Supported: 100rel\r\n");
}

#[test]
fn acceptance_19_forks_in_every_order_reach_a_caller_with_100rel_and_update() {
    every_order("Require: 100rel\r\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\r\n");
}
