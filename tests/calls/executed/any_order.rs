//! Whatever the parties of an executed transfer do, in any order, leaves nothing (acceptance #27).

use super::{REFER, request, respond, sdp, up};
use b2bua::{
    call::{Encryption, Side},
    testing::Who,
};
use proptest::prelude::*;
use std::time::Duration;

/// What a party, or the clock, may do.
#[derive(Clone, Copy, Debug)]
enum Step {
    Refer(Side, usize),
    Replace(Side, bool),
    Answer(Who, &'static str, u16),
    Offer(Side),
    Ack(Side),
    Bye(Who),
    Wait(u64),
}

const REFERS: [&str; 3] = [
    REFER,
    "Refer-To: <sip:carol@example.org>\r\nRefer-Sub: false\r\n",
    "Refer-To: <sip:carol@example.org?Replaces=un%40known%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
];

fn step() -> impl Strategy<Value = Step> {
    let side = || prop_oneof![Just(Side::A), Just(Side::B)];
    let who = || prop_oneof![1 => Just(Who::A), 1 => Just(Who::B), 2 => Just(Who::C)];
    let status = prop_oneof![
        1 => Just(180_u16),
        1 => Just(183),
        6 => Just(200),
        1 => Just(302),
        1 => Just(486),
        1 => Just(488),
        1 => Just(491),
        1 => Just(481)
    ];
    let method = prop_oneof![5 => Just("INVITE"), 3 => Just("NOTIFY"), 1 => Just("BYE"), 1 => Just("CANCEL")];
    prop_oneof![
        3 => (side(), 0..REFERS.len()).prop_map(|(side, which)| Step::Refer(side, which)),
        2 => (side(), any::<bool>()).prop_map(|(side, offers)| Step::Replace(side, offers)),
        9 => (who(), method, status).prop_map(|(who, method, status)| Step::Answer(who, method, status)),
        2 => side().prop_map(Step::Offer),
        1 => side().prop_map(Step::Ack),
        1 => who().prop_map(Step::Bye),
        2 => prop_oneof![Just(5_u64), Just(600), Just(5_000), Just(40_000), Just(250_000)].prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]
    #[test]
    fn acceptance_27_no_order_of_executed_transfers_leaves_anything(
        seed: u64,
        slow: bool,
        at_a: bool,
        carol in prop_oneof![Just(Encryption::None), Just(Encryption::Sdes), Just(Encryption::DtlsSrtp)],
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut sim = up(Encryption::None, carol, seed);
        if at_a {
            sim.c.server = sim.a.server;
        }
        if slow {
            sim.think = Duration::from_secs(3);
        }
        let mut took_over = false;
        for step in steps {
            let mode = |who| if who == Who::C { carol } else { Encryption::None };
            match step {
                Step::Refer(side, which) => request(&mut sim, side.into(), "REFER", REFERS[which], ""),
                Step::Answer(who, method, status) => respond(&mut sim, who, method, status, mode(who)),
                Step::Offer(side) => {
                    let offer = sdp(side.into(), Encryption::None);
                    request(&mut sim, side.into(), "INVITE", "", &offer);
                }
                Step::Replace(side, offers) => {
                    // One dialog of hers at a time.
                    if !sim.c.has_invited() && !sim.c.requests.contains_key("INVITE") {
                        let replaces = format!("Replaces: {}\r\n", sim.peer(side).replaces());
                        let offer = if offers { sdp(Who::C, carol) } else { String::new() };
                        let invite = sim.c.invite("sip:bob@example.org", &replaces, &offer);
                        sim.send(Who::C, invite);
                        sim.run(Duration::from_millis(5));
                        took_over = true;
                    }
                }
                Step::Ack(side) => {
                    if sim.peer(side).has_invited() {
                        let ack = sim.peer(side).ack("");
                        sim.send(side, ack);
                        sim.run(Duration::from_millis(5));
                    }
                }
                Step::Bye(Who::C) if !sim.c.requests.contains_key("INVITE") => {}
                Step::Bye(who) => request(&mut sim, who, "BYE", "", ""),
                Step::Wait(time) => sim.run(Duration::from_millis(time)),
            }
        }
        request(&mut sim, Who::A, "BYE", "", "");
        request(&mut sim, Who::B, "BYE", "", "");
        if took_over {
            request(&mut sim, Who::C, "BYE", "", "");
        }
        sim.run(Duration::from_secs(400));
        sim.assert_done();
    }
}
