//! What a script says of the relay.

use super::{Play, Who};
use crate::{
    call::Side,
    media::{Connect, Protection},
};
use std::time::Duration;

impl Play<'_> {
    /// `media c is b`: on that side of the call the relay has that party's address, and none else.
    pub(super) fn media_is(&mut self, who: Who, place: Side) -> Result<(), String> {
        let home = match who {
            Who::A => "192.0.2.10",
            Who::B => "192.0.2.200",
            Who::C => "192.0.2.150",
        };
        let sim = self.sim()?;
        sim.run(Duration::from_millis(10));
        let connect = sim.relay.side(place, 0).ok_or("no stream")?;
        let rtp = connect.remote.rtp.ok_or("it is sent nothing")?;
        let others = connect.remote.also_from.iter().find(|ip| ip.to_string() != home);
        if rtp.ip().to_string() != home || others.is_some() {
            return Err(format!("it is at {rtp}, or at {others:?}"));
        }
        Ok(())
    }

    /// `media both`, `media a>b`, `media b>a`, `media none`: what the relay would do with a packet of the first stream.
    pub(super) fn media(&mut self, flows: &[&str]) -> Result<(), String> {
        let sim = self.sim()?;
        sim.run(Duration::from_millis(10));
        let goes = |from: Side| {
            let (entry, exit) = (sim.relay.side(from, 0), sim.relay.side(from.other(), 0));
            let enters = entry.is_some_and(|entry| entry.receive != Protection::Blocked);
            let leaves = |exit: &Connect| exit.remote.rtp.is_some() && exit.send != Protection::Blocked;
            enters && exit.is_some_and(leaves)
        };
        let found = match (goes(Side::A), goes(Side::B)) {
            (true, true) => "both",
            (true, false) => "a>b",
            (false, true) => "b>a",
            (false, false) => "none",
        };
        if flows == [found] {
            Ok(())
        } else {
            Err(format!("media flows: {found}"))
        }
    }
}
