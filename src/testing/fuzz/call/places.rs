//! A call as an executed transfer finds it, and who calls for a place in it.

use super::body;
use crate::{
    call::Side,
    testing::{Sim, Who},
};
use std::time::Duration;

/// A call that rings.
pub(super) fn begin(sim: &mut Sim) {
    let invite = sim.a.invite("sip:bob@example.org", "", &body(sim, Who::A, 0));
    sim.send(Side::A, invite);
    sim.run(Duration::from_secs(1));
    let ringing = sim.b.respond("INVITE", 180, "", "", "");
    sim.send(Side::B, ringing);
    sim.run(Duration::from_millis(50));
}

/// It is answered.
pub(super) fn answer(sim: &mut Sim) {
    let answer = sim.b.respond("INVITE", 200, "", "", &body(sim, Who::B, 0));
    sim.send(Side::B, answer);
    sim.run(Duration::from_millis(50));
    let ack = sim.a.ack("");
    sim.send(Side::A, ack);
}

/// The third party calls for the place of a side's, by its dialog or by one that has something of it. It has one dialog at a time.
pub(super) fn take_over(sim: &mut Sim, side: Side, byte: u8) {
    if sim.c.has_invited() || sim.c.requests.contains_key("INVITE") {
        return;
    }
    let named = sim.peer(side).replaces();
    let replaces = match byte >> 6 {
        0 => format!("{named};early-only"),
        1 => named.replace(";from-tag=", ";from-tag=x"),
        _ => named,
    };
    let offer = body(sim, Who::C, byte >> 3);
    let invite = sim.c.invite(
        "sip:bob@example.org",
        &format!("Replaces: {replaces}\r\n"),
        &offer,
    );
    sim.send(Who::C, invite);
}
