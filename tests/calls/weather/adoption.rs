//! Two calls that are joined, in rough weather: whoever asked for it hears what became of it, and then either the target's leg is
//! in the other call, or all is as it was.

use super::{SLACK, T1_64, number};
use crate::scripts;
use b2bua::{
    call::{Side, TransferMode},
    sip::Ids,
    testing::{
        Act, Agent, Callee, Change, Fork, Greeting, Hold, Outcome, Say, Sim, Stage, Switchboard, Weather,
        Who, agent::Phase, settings,
    },
};
use std::time::{Duration, Instant};

const RUNS: u64 = 100;

/// Alice talks to bob, and bob by another line to dora; he joins the two.
struct Pair {
    board: Switchboard,
    alice: Agent,
    bob: Agent,
    second: Agent,
    dora: Agent,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Joined,
    Failed,
    /// Nothing of a whole transaction came through.
    Lost,
}

/// A call that stands, in fair weather.
fn call(seed: u64, names: [&str; 2], callee: Agent, delay: Duration) -> (Sim, Agent, Agent) {
    let mut settings = settings();
    settings.transfer = TransferMode::Execute;
    let rules = scripts::make("trenscrypter", &["outgoing-enc-regex=none .*".to_owned()]);
    let mut sim = Sim::with(rules.expect("a test's own configuration"), settings, seed);
    sim.delay = delay;
    if callee.who == Who::C {
        sim.b.address = "192.0.2.150:5090".parse().expect("an address");
        "dora".clone_into(&mut sim.b.user);
    }
    let mut callee = callee;
    callee.who = Who::B;
    let fork = Fork {
        agent: callee,
        says: vec![(Duration::from_millis(300), Say::Answer)],
    };
    let caller = Agent::new(Side::A, names[0], seed);
    let mut stage = Stage::new(sim, caller, Callee::new(vec![fork], &[Greeting::Proceed]));
    stage.begin();
    stage.run(Duration::from_secs(5));
    assert_eq!(
        stage.caller.phase,
        Phase::Up,
        "{}: {}",
        names[1],
        stage.sim.ladder()
    );
    let fork = stage.callee.forks.remove(0);
    (stage.sim, stage.caller, fork.agent)
}

impl Pair {
    fn new(seed: u64) -> Self {
        let delay = Duration::from_millis(1 + seed % 20);
        let bob = Agent::new(Side::B, "bob", seed);
        let (mut first, alice, bob) = call(seed, ["alice", "bob"], bob, delay);
        let third = Agent::third(Side::B, "dora", seed);
        let (mut second, line, dora) = call(!seed, ["robert", "dora"], third, delay);
        (first.weather, second.weather) = (Weather::ROUGH, Weather::ROUGH);
        first.c.address = "192.0.2.151:5090".parse().expect("an address");
        let mut board = Switchboard::new([first, second], Who::B);
        board.hop = Duration::from_millis(seed % 3);
        Self {
            board,
            alice,
            bob,
            second: line,
            dora,
        }
    }
    fn next(&self) -> Option<Instant> {
        let agents = [&self.alice, &self.bob, &self.second, &self.dora];
        let due = agents.into_iter().filter_map(Agent::due);
        due.chain(self.board.next_event()).min()
    }
    fn run(&mut self, time: Duration) {
        let until = self.board.now() + time;
        while let Some(next) = self.next().filter(|at| *at <= until) {
            self.board.run_until(next, |_, _, _| {});
            self.hear();
            let Self {
                board,
                alice,
                bob,
                second,
                dora,
            } = self;
            dora.who = board.target();
            alice.tick(&mut board.calls[0]);
            bob.tick(&mut board.calls[0]);
            second.tick(&mut board.calls[1]);
            let at = board.at;
            dora.tick(&mut board.calls[at]);
        }
        self.board.run_until(until, |_, _, _| {});
        self.hear();
    }
    fn hear(&mut self) {
        for (call, who) in [(0, Who::A), (0, Who::B), (0, Who::C), (1, Who::A), (1, Who::B)] {
            for message in std::mem::take(&mut self.board.calls[call].party(who).inbox) {
                self.dora.who = self.board.target();
                let (agent, sim) = match (call, who) {
                    (0, Who::A) => (&mut self.alice, 0),
                    (0, Who::B) => (&mut self.bob, 0),
                    (1, Who::A) => (&mut self.second, 1),
                    // Wherever it came from, she answers where her leg is now.
                    _ => (&mut self.dora, self.board.at),
                };
                agent.receive(&mut self.board.calls[sim], &message);
            }
        }
    }
    fn act(&mut self, who: u64, act: Act) {
        self.dora.who = self.board.target();
        let (agent, sim) = match who {
            0 => (&mut self.alice, 0),
            1 => (&mut self.bob, 0),
            2 => (&mut self.second, 1),
            _ => (&mut self.dora, self.board.at),
        };
        agent.act(&mut self.board.calls[sim], act);
    }
    fn ladder(&self) -> String {
        let [first, second] = &self.board.calls;
        format!(
            "{}\n{}\n{:?}",
            first.ladder(),
            second.ladder(),
            self.board.carried
        )
    }
}

fn play(seed: u64) -> Result<Became, String> {
    let dice = &mut Ids::seeded(seed ^ 0xAD07);
    let mut pair = Pair::new(seed);
    pair.bob.names = Some(pair.second.replaces());
    let act = match dice.below(4) {
        0 => Some(Act::Offer(Change::Hold(Hold::SendOnly))),
        1 => Some(Act::Send("INFO")),
        _ => None,
    };
    let (who, before) = ([0, 2, 3][dice.below(3) as usize], dice.below(2) == 0);
    if let Some(act) = act.filter(|_| before) {
        pair.act(who, act);
    }
    pair.act(1, Act::Refer(Outcome::Called(200)));
    pair.run(Duration::from_millis(dice.below(3_000)));
    if let Some(act) = act.filter(|_| !before) {
        pair.act(who, act);
    }
    pair.run(6 * T1_64);
    let agents = [&pair.alice, &pair.bob, &pair.second, &pair.dora];
    let phases = agents.map(|agent| agent.phase);
    let lost = agents
        .iter()
        .any(|agent| agent.facts.timeouts + agent.facts.unacknowledged > 0);
    let told = pair
        .bob
        .referrals()
        .first()
        .and_then(|referral| referral.told.last().copied());
    let found = (told, phases, pair.board.at);
    let became = match found {
        (Some(200), [Phase::Up, Phase::Over, Phase::Over, Phase::Up], 0) => Became::Joined,
        (Some(code), [Phase::Up, Phase::Up, Phase::Up, Phase::Up], 1) if code >= 300 => Became::Failed,
        _ if lost || pair.board.calls.iter().any(|call| call.summary.is_some()) => Became::Lost,
        _ => return Err(format!("{found:?}\n{}", pair.ladder())),
    };
    if became == Became::Joined {
        pair.board.calls[0].assert_media(&pair.alice.phone, &pair.dora.phone);
    }
    for who in [0, 2] {
        pair.act(who, Act::Bye);
    }
    pair.run(3 * T1_64 + SLACK);
    for call in &pair.board.calls {
        if call.summary.is_none() {
            return Err(format!("something is left\n{}", pair.ladder()));
        }
        call.assert_done();
    }
    let agents = [&pair.alice, &pair.bob, &pair.second, &pair.dora];
    if became != Became::Lost && agents.iter().any(|agent| agent.phase != Phase::Over) {
        return Err(format!("somebody was never told\n{}", pair.ladder()));
    }
    Ok(became)
}

#[test]
fn acceptance_27_two_calls_are_joined_or_stay_as_they_were_in_rough_weather() {
    let runs = number("WEATHER_RUNS").map_or(RUNS, |runs| runs / 10);
    let (mut joined, mut failed, mut lost, mut wrong) = (0, 0, 0, Vec::new());
    for seed in 0..runs {
        match std::panic::catch_unwind(|| play(seed)) {
            Ok(Ok(Became::Joined)) => joined += 1,
            Ok(Ok(Became::Failed)) => failed += 1,
            Ok(Ok(Became::Lost)) => lost += 1,
            Ok(Err(what)) => {
                eprintln!("{seed}: {what}");
                wrong.push(seed);
            }
            Err(_) => {
                eprintln!("{seed}: panicked, see above");
                wrong.push(seed);
            }
        }
    }
    println!("{joined} joined, {failed} failed, {lost} lost");
    assert!(wrong.is_empty(), "seeds that failed: {wrong:?}");
    assert!(
        joined * 3 > runs * 2 && lost <= 1 + runs / 50,
        "{joined}, {failed}, {lost}"
    );
}
