//! A [`Sim`] between [`Agent`]s: a caller, and a callee that may be several behind a proxy that forks.

mod callee;

pub use callee::{Callee, Fork, Greeting, Say};

use super::{Act, Agent, Sim, agent::Phase};
use crate::call::Side;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A call, those who are in it, and what they are going to do.
pub struct Stage {
    /// The server, the clock, the wires.
    pub sim: Sim,
    /// Who calls.
    pub caller: Agent,
    /// Who is called.
    pub callee: Callee,
    /// Whom a transfer leads to that the server executes.
    pub third: Option<Callee>,
    acts: BTreeMap<(Instant, usize), (Side, Act)>,
}

impl Stage {
    /// Nobody has said anything.
    pub fn new(sim: Sim, caller: Agent, callee: Callee) -> Self {
        Self {
            sim,
            caller,
            callee,
            third: None,
            acts: BTreeMap::new(),
        }
    }
    /// A party is going to do that, so long from now. What it may not do then it does as soon as it may.
    pub fn later(&mut self, after: Duration, side: Side, act: Act) {
        let order = self.acts.len();
        self.acts.insert((self.sim.now + after, order), (side, act));
    }
    /// The caller calls.
    pub fn begin(&mut self) {
        self.caller.call(&mut self.sim, "sip:bob@example.org");
    }
    /// Who is in the call with the caller, or was.
    pub fn party(&self, side: Side) -> &Agent {
        match side {
            Side::A => &self.caller,
            Side::B => self.callee.party(),
        }
    }
    /// When something happens next.
    pub fn next(&self) -> Option<Instant> {
        let acts = self.acts.keys().next().map(|(at, _)| *at);
        let third = self.third.as_ref().and_then(Callee::due);
        let own = self.sim.next_event();
        [acts, self.caller.due(), self.callee.due(), third, own]
            .into_iter()
            .flatten()
            .min()
    }
    /// Lets time pass until a moment, or until nothing happens any more.
    pub fn run_until(&mut self, until: Instant) {
        while let Some(next) = self.next().filter(|&at| at <= until) {
            let (caller, callee) = (&mut self.caller, &mut self.callee);
            self.sim.run_until(next, |sim, side| match side {
                Side::A => {
                    for message in std::mem::take(&mut sim.a.inbox) {
                        caller.receive(sim, &message);
                    }
                }
                Side::B => callee.react(sim),
            });
            self.caller.tick(&mut self.sim);
            self.callee.tick(&mut self.sim);
            if let Some(third) = &mut self.third {
                third.react(&mut self.sim);
                third.tick(&mut self.sim);
            }
            while let Some(entry) = self
                .acts
                .first_entry()
                .filter(|entry| entry.key().0 <= self.sim.now)
            {
                let (side, act) = entry.remove();
                match side {
                    Side::A => self.caller.act(&mut self.sim, act),
                    Side::B => self.callee.act(&mut self.sim, act),
                }
            }
        }
        self.sim.run_until(until, |_, _| {});
    }
    /// Lets that much time pass.
    pub fn run(&mut self, time: Duration) {
        self.run_until(self.sim.now + time);
    }
    /// Runs until both parties are up and wait for nothing, at most for that long.
    pub fn settle(&mut self, at_most: Duration) -> bool {
        let end = self.sim.now + at_most;
        while self.sim.now < end {
            self.run(Duration::from_millis(100));
            let quiet = |agent: &Agent| agent.phase == Phase::Up && agent.is_quiet();
            if self.acts.is_empty()
                && self.callee.up() == 1
                && quiet(&self.caller)
                && quiet(self.callee.party())
            {
                return true;
            }
        }
        false
    }
}
