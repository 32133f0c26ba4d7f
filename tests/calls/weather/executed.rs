//! Transfers that the server executes, in rough weather: whoever asked for one hears what became of it, and then either the
//! target has its place, or all is as it was.

use super::{SLACK, T1_64, number};
use crate::scripts;
use b2bua::{
    call::{Side, TransferMode},
    sip::Ids,
    testing::{
        Act, Agent, Callee, Change, Fork, Greeting, Hold, Outcome, Say, Sim, Stage, Weather, agent::Phase,
        settings,
    },
};
use std::time::Duration;

const RUNS: u64 = 200;

#[derive(Debug)]
struct Plan {
    seed: u64,
    /// Who asks for the transfer.
    by: Side,
    /// What the target says.
    code: u16,
    /// What the party that stays does meanwhile.
    meanwhile: Option<(Duration, Act)>,
    /// Its own habits, and those of the others.
    by_update: bool,
}

/// What became of the transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Became {
    Joined,
    Failed,
    /// Nothing of a whole transaction came through.
    Lost,
}

impl Plan {
    fn new(seed: u64) -> Self {
        let dice = &mut Ids::seeded(seed ^ 0xE8EC);
        let act = match dice.below(6) {
            0 => Some(Act::Offer(Change::Hold(Hold::SendOnly))),
            1 => Some(Act::Offer(Change::Nothing)),
            2 => Some(Act::Send("INFO")),
            _ => None,
        };
        Self {
            seed,
            by: if dice.below(2) == 0 { Side::A } else { Side::B },
            code: [200, 200, 200, 486, 603][dice.below(5) as usize],
            meanwhile: act.map(|act| (Duration::from_millis(dice.below(4_000)), act)),
            by_update: dice.below(2) == 0,
        }
    }
    fn stage(&self) -> Stage {
        let mut settings = settings();
        settings.transfer = TransferMode::Execute;
        let rules = scripts::make("trenscrypter", &["outgoing-enc-regex=none .*".to_owned()]);
        let mut sim = Sim::with(rules.expect("a test's own configuration"), settings, self.seed);
        sim.weather = Weather::ROUGH;
        sim.delay = Duration::from_millis(1 + self.seed % 20);
        // The target has the ports of whose place it takes, so the server has one address towards both.
        sim.c.server = match self.by {
            Side::A => sim.a.server,
            Side::B => sim.b.server,
        };
        let fork = |agent, says: &[(u64, Say)]| Fork {
            agent,
            says: says
                .iter()
                .map(|(ms, say)| (Duration::from_millis(*ms), *say))
                .collect(),
        };
        let mut caller = Agent::new(Side::A, "alice", self.seed);
        caller.habits.by_update = self.by_update;
        let callee = Agent::new(Side::B, "bob", self.seed);
        let callee = fork(callee, &[(10, Say::Ring), (300, Say::Answer)]);
        let mut third = Agent::third(self.by, "carol", self.seed);
        third.phone.rtp.set_port(third.phone.rtp.port() + 500);
        let last = match self.code {
            200 => Say::Answer,
            code => Say::Refuse(code),
        };
        let third = fork(third, &[(15, Say::Ring), (900, last)]);
        let mut stage = Stage::new(sim, caller, Callee::new(vec![callee], &[Greeting::Proceed]));
        stage.third = Some(Callee::new(vec![third], &[Greeting::Proceed]));
        stage
    }
    fn play(&self) -> Result<Became, String> {
        let mut stage = self.stage();
        stage.begin();
        if !stage.settle(3 * T1_64) {
            return Ok(Became::Lost);
        }
        stage.later(Duration::ZERO, self.by, Act::Refer(Outcome::Called(self.code)));
        if let Some((after, act)) = self.meanwhile {
            stage.later(after, self.by.other(), act);
        }
        // All that can come of it has come by then: two INVITEs, NOTIFYs and a BYE.
        stage.run(6 * T1_64);
        let third = |stage: &Stage| stage.third.as_ref().map_or(0, Callee::up);
        let transferor = stage.party(self.by);
        let timeouts = |agent: &Agent| agent.facts.timeouts + agent.facts.unacknowledged;
        let lost = timeouts(&stage.caller) + timeouts(stage.callee.party()) > 0;
        let referral = transferor.referrals().first().ok_or("it did not ask")?;
        let told = referral.told.last().copied();
        let stays = stage.party(self.by.other()).phase;
        let found = (told, transferor.phase, stays, third(&stage));
        let became = match found {
            (Some(200), Phase::Over, Phase::Up, 1) => Became::Joined,
            // The last word may have been lost with all its tries: the target has its place all the same.
            (Some(code), Phase::Up, Phase::Up, 0) if code >= 300 => Became::Failed,
            _ if lost || stage.sim.summary.is_some() => Became::Lost,
            _ => return Err(format!("{found:?}, {referral:?}\n{}", stage.sim.ladder())),
        };
        if became == Became::Failed && self.code == 200 {
            return Err(format!("{found:?}, {referral:?}\n{}", stage.sim.ladder()));
        }
        if became == Became::Joined {
            let carol = stage.third.as_ref().map(Callee::party).ok_or("nobody")?;
            match self.by {
                Side::A => stage.sim.assert_media(&carol.phone, &stage.callee.party().phone),
                Side::B => stage.sim.assert_media(&stage.caller.phone, &carol.phone),
            }
        } else if became == Became::Failed {
            let (caller, callee) = (&stage.caller, stage.callee.party());
            stage.sim.assert_media(&caller.phone, &callee.phone);
        }
        stage.later(Duration::ZERO, self.by.other(), Act::Bye);
        stage.run(2 * T1_64 + SLACK);
        if stage.sim.summary.is_none() {
            return Err(format!("something is left\n{}", stage.sim.ladder()));
        }
        stage.sim.assert_done();
        if third(&stage) > 0 {
            return Err(format!("the target was never hung up\n{}", stage.sim.ladder()));
        }
        Ok(became)
    }
}

#[test]
fn acceptance_27_executed_transfers_join_or_leave_all_as_it_was_in_rough_weather() {
    let runs = number("WEATHER_RUNS").map_or(RUNS, |runs| runs / 5);
    let (mut joined, mut failed, mut lost, mut wrong) = (0, 0, 0, Vec::new());
    for seed in 0..runs {
        let plan = Plan::new(seed);
        let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| plan.play()));
        match played {
            Ok(Ok(Became::Joined)) => joined += 1,
            Ok(Ok(Became::Failed)) => failed += 1,
            Ok(Ok(Became::Lost)) => lost += 1,
            Ok(Err(what)) => {
                eprintln!("{plan:?}: {what}");
                wrong.push(seed);
            }
            Err(_) => {
                eprintln!("{plan:?}: panicked, see above");
                wrong.push(seed);
            }
        }
    }
    println!("{joined} joined, {failed} failed, {lost} lost");
    assert!(wrong.is_empty(), "seeds that failed: {wrong:?}");
    assert_eq!(joined + failed + lost, runs);
    assert!(
        joined * 2 > runs && failed * 4 > runs && lost <= 1 + runs / 500,
        "{joined}, {failed}, {lost}"
    );
}
