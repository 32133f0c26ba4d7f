//! Requests outside of calls in rough weather, on virtual time: 10 % of all messages are lost, 5 % arrive twice, and some are
//! overtaken by others that were sent up to 50 ms later, both ways on both sides. What the dispatcher does with them is done by
//! [`hall`]; maps, last words, answers and passages are the server's own.
//!
//! Whatever the weather does, each request has one final answer, which is what the far end said, or ends by the timers of RFC 3261;
//! no application sees it twice, and nothing is left. `WEATHER_RUNS=10000 cargo test --lib server::tests::weather -- --nocapture` for more
//! than every run has, `WEATHER_SEED=77` for one with all that was sent.

mod dialogue;
mod end;
mod hall;
mod judge;
mod plan;

use crate::{
    sip::Ids,
    testing::{Weather, weather::LATEST},
};
use bytes::Bytes;
use end::End;
use hall::{ENDS, Hall, address};
use judge::Tally;
use plan::Plan;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Of all in every run.
const RUNS: u64 = 600;
/// 64*T1
const T1_64: Duration = Duration::from_secs(32);
/// Until everything must have come to its end: who never subscribes again has asked for a minute, and hears of its end by the timers.
const LONGEST: Duration = Duration::from_secs(240);

/// Where a datagram is going.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// From that end to the server.
    In(usize),
    /// To that end.
    Out(usize),
}

struct World {
    now: Instant,
    begin: Instant,
    dice: Ids,
    plan: Plan,
    hall: Hall,
    ends: [End; 3],
    air: BTreeMap<(Instant, u64), (Way, Bytes)>,
    sent: u64,
    lost: u64,
    log: Vec<(Duration, Way, Bytes)>,
    /// Of the plan, what was not done yet.
    asks: usize,
    is_shut: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
        let now = Instant::now();
        let mut plan = Plan::new(seed);
        plan.asks.sort_by_key(|ask| ask.at);
        let names = ["alice", "bob", "carol"];
        let mut ends = [0, 1, 2].map(|at| End::new(names[at], address(ENDS[at]), now));
        for ask in &plan.asks {
            if let Some(life) = &ask.life {
                ends[1].lives.insert(ask.id.clone(), life.clone());
            }
        }
        Self {
            now,
            begin: now,
            dice: Ids::seeded(seed),
            hall: Hall::new(plan.clone(), !seed, now),
            plan,
            ends,
            air: BTreeMap::new(),
            sent: 0,
            lost: 0,
            log: Vec::new(),
            asks: 0,
            is_shut: false,
        }
    }
    fn next(&self) -> Option<Instant> {
        let ask = self.plan.asks.get(self.asks).map(|ask| self.begin + ask.at);
        let shutdown = self.plan.shutdown.filter(|_| !self.is_shut);
        self.ends
            .iter()
            .filter_map(End::due)
            .chain(self.hall.due())
            .chain(self.air.keys().next().map(|(at, _)| *at))
            .chain(ask)
            .chain(shutdown.map(|after| self.begin + after))
            .min()
    }
    /// Until nobody has anything to say.
    fn run(&mut self) -> Result<(), String> {
        while let Some(next) = self.next() {
            if next > self.begin + LONGEST {
                return Err("it does not come to rest".to_owned());
            }
            self.at(next);
        }
        Ok(())
    }
    fn at(&mut self, now: Instant) {
        self.now = now;
        self.hall.now = now;
        self.ends.iter_mut().for_each(|end| end.now = now);
        while let Some(entry) = self.air.first_entry().filter(|entry| entry.key().0 <= now) {
            let (way, bytes) = entry.remove();
            match way {
                Way::In(from) => self.hall.receive(end::read(&bytes), address(ENDS[from])),
                Way::Out(to) => self.ends[to].receive(&bytes),
            }
            self.carry();
        }
        while let Some(ask) = self
            .plan
            .asks
            .get(self.asks)
            .filter(|ask| self.begin + ask.at <= now)
        {
            self.asks += 1;
            self.ends[0].ask(ask);
        }
        if self.plan.shutdown.is_some_and(|after| self.begin + after <= now) && !self.is_shut {
            self.is_shut = true;
            self.hall.shut_down();
        }
        self.hall.tick();
        self.ends.iter_mut().for_each(End::tick);
        self.carry();
    }
    /// What was sent goes into the air.
    fn carry(&mut self) {
        for at in 0..self.ends.len() {
            for bytes in std::mem::take(&mut self.ends[at].out) {
                self.post(Way::In(at), bytes);
            }
        }
        for transmit in std::mem::take(&mut self.hall.out) {
            let to = judge::address_of(&transmit.to);
            let at = ENDS.iter().position(|end| address(end) == to);
            self.post(Way::Out(at.expect("nobody else is there")), transmit.bytes);
        }
    }
    fn post(&mut self, way: Way, bytes: Bytes) {
        let copies = Weather::ROUGH.deliveries(&mut self.dice);
        self.lost += u64::from(copies.is_empty());
        self.log.push((self.now - self.begin, way, bytes.clone()));
        for late in copies {
            self.sent += 1;
            let at = self.now + Duration::from_millis(10) + late;
            self.air.insert((at, self.sent), (way, bytes.clone()));
        }
    }
    fn tell(&self) {
        println!("{:#?}", self.plan);
        for (at, way, bytes) in &self.log {
            let text = String::from_utf8_lossy(bytes);
            let line = |name: &str| {
                text.lines()
                    .find(|line| line.starts_with(name))
                    .unwrap_or_default()
            };
            println!(
                "{:>6} ms {way:?} {} ({}, {}, {})",
                at.as_millis(),
                text.lines().next().unwrap_or_default(),
                line("CSeq"),
                line("X-Id"),
                line("X-Answer")
            );
        }
    }
}

fn play(world: &mut World, tally: &mut Tally) -> Result<(), String> {
    world.run()?;
    // Last words are kept for as long as anybody may ask for them.
    world.hall.maps.tombstones.expire(world.now + T1_64 + LATEST);
    if !world.hall.is_empty() {
        return Err("something is left".to_owned());
    }
    world.judge(tally)
}

fn number(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test runs is said by who runs it"
    )]
    let value = std::env::var(name).ok()?;
    Some(value.parse().expect("a number"))
}

#[test]
fn requests_outside_of_calls_have_one_answer_each_in_rough_weather() {
    let runs = number("WEATHER_RUNS").unwrap_or(RUNS);
    let (mut tally, mut failed) = (Tally::default(), Vec::new());
    for seed in 0..runs {
        let mut world = World::new(seed);
        if let Err(what) = play(&mut world, &mut tally) {
            eprintln!("WEATHER_SEED={seed}: {what}");
            failed.push(seed);
        }
    }
    println!("{tally:#?}");
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    tally.assert_whole(runs);
}

/// One that is named by `WEATHER_SEED`, with all that was sent; the first one else.
#[test]
fn one_run_of_requests_in_rough_weather_told_by_its_seed() {
    let seed = number("WEATHER_SEED");
    let mut world = World::new(seed.unwrap_or_default());
    let played = play(&mut world, &mut Tally::default());
    if seed.is_some() {
        world.tell();
    }
    assert_eq!(played, Ok(()));
    assert!(world.sent > 0);
}
