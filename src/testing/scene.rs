//! Two phones and a [`Sim`] between them; and what must hold whenever both are quiet.

use super::{Phone, Sim, Verdicts};
use crate::call::{Encryption, EncryptionPolicy, Side, bridge::CallSettings};
use std::time::{Duration, Instant};

/// Two phones with the server between them.
pub struct Scene {
    /// The server, the clock, the wires.
    pub sim: Sim,
    /// The caller.
    pub a: Phone,
    /// The callee.
    pub b: Phone,
    /// Who is to take the place of one of them.
    pub c: Option<Phone>,
}

impl Scene {
    /// Phones keyed like that, the server told so by its application.
    pub fn new(a: Encryption, b: Encryption) -> Self {
        Self::with(a, b, super::settings(), 1)
    }
    /// The same with settings and seed.
    pub fn with(a: Encryption, b: Encryption, settings: CallSettings, seed: u64) -> Self {
        let sim = Sim::with(Verdicts::direct(EncryptionPolicy::Only(b)), settings, seed);
        Self {
            a: Phone::new(Side::A, seed).keyed(a, seed, sim.now),
            b: Phone::new(Side::B, seed).keyed(b, seed, sim.now),
            c: None,
            sim,
        }
    }
    /// Calls and runs until both are up.
    ///
    /// # Panics
    /// When they do not get there within ten seconds.
    #[must_use]
    pub fn answered(mut self) -> Self {
        self.call();
        self.run(Duration::from_secs(1));
        assert!(self.a.up && self.b.up, "not answered\n{}", self.sim.ladder());
        self
    }
    /// Alice calls Bob.
    pub fn call(&mut self) {
        self.a.call(&mut self.sim, "sip:bob@example.org");
    }
    /// A phone.
    pub fn phone(&mut self, side: Side) -> (&mut Phone, &mut Sim) {
        match side {
            Side::A => (&mut self.a, &mut self.sim),
            Side::B => (&mut self.b, &mut self.sim),
        }
    }
    /// A phone offers what it wants now.
    pub fn reoffer(&mut self, side: Side) {
        let (phone, sim) = self.phone(side);
        phone.reoffer(sim);
    }
    /// A phone hangs up.
    pub fn hang_up(&mut self, side: Side) {
        let (phone, sim) = self.phone(side);
        phone.hang_up(sim);
    }
    /// Lets time pass; phones react.
    pub fn run(&mut self, time: Duration) {
        let until = self.sim.now + time;
        self.run_until(until);
    }
    /// The same until a moment.
    pub fn run_until(&mut self, until: Instant) {
        loop {
            let third = self.c.as_ref().and_then(Phone::due);
            let due = [self.a.due(), self.b.due(), third, self.sim.next_event()];
            let Some(next) = due.into_iter().flatten().min().filter(|&at| at <= until) else {
                break;
            };
            let (a, b) = (&mut self.a, &mut self.b);
            self.sim.run_until(next, |sim, side| match side {
                Side::A => a.react(sim),
                Side::B => b.react(sim),
            });
            self.a.tick(&mut self.sim);
            self.b.tick(&mut self.sim);
            if let Some(c) = &mut self.c {
                c.react(&mut self.sim);
                c.tick(&mut self.sim);
            }
        }
        self.sim.run_until(until, |_, _| {});
    }
    /// Runs until both phones wait for nothing, at most for that long.
    pub fn settle(&mut self, at_most: Duration) -> bool {
        let end = self.sim.now + at_most;
        while self.sim.now < end {
            self.run(Duration::from_millis(5));
            if self.a.is_quiet() && self.b.is_quiet() {
                self.run(Duration::from_millis(5));
                if self.a.is_quiet() && self.b.is_quiet() {
                    return true;
                }
            }
        }
        false
    }

    /// Whether each phone may send what the other will hear, the relay sends it where that phone is, and both know the key.
    ///
    /// # Panics
    /// When not, with the ladder.
    pub fn assert_media(&self) {
        self.sim.assert_media(&self.a, &self.b);
    }

    /// Lets everything end and checks that nothing is left.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_ends(&mut self) {
        self.run(Duration::from_secs(70));
        assert!(
            self.a.ended && self.b.ended,
            "a phone was not told\n{}",
            self.sim.ladder()
        );
        self.sim.assert_done();
    }
}
