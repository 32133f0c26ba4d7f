//! Goal R2: whole calls of every kind in rough weather, on virtual time. 10 % of all messages are lost, 5 % arrive twice, and
//! some are overtaken by others that were sent up to 50 ms later, both ways on both legs.
//!
//! Whatever the weather does, each call is answered and agreed on by both ends, or ends by the timers of RFC 3261, and nothing of
//! it is left. `WEATHER_RUNS=10000 cargo test --features testing --test calls weather -- --nocapture` for all of goal R2,
//! `WEATHER_SEED=77` for one of them with its ladder.

#[path = "weather/adoption.rs"]
mod adoption;
#[path = "weather/executed.rs"]
mod executed;
#[path = "weather/judge.rs"]
mod judge;
#[path = "weather/plan.rs"]
mod plan;
#[path = "weather/tally.rs"]
mod tally;

use b2bua::testing::{Stage, agent::Phase};
use plan::{End, Fate, Plan};
use std::time::Duration;
use tally::Tally;

/// 64*T1
const T1_64: Duration = Duration::from_secs(32);
/// Until a message has come through, or is given up: a transaction that begins when another of its leg has just failed, the
/// slowest way on the wire, and an application that thinks.
const SLACK: Duration = Duration::from_secs(5);
/// Of all in every run.
const RUNS: u64 = 2_000;

/// Plays a call to its end; what went wrong is told with its ladder.
fn play(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let plan = Plan::new(seed);
    let mut stage = plan.stage();
    stage.begin();
    let end = match plan.fate {
        Fate::Answered(End::Settled(by)) => {
            settle(&mut stage, &plan, tally)?;
            plan.hang_up(&mut stage, by);
            stage.sim.now + T1_64
        }
        Fate::Answered(End::Vanished(_, at)) => {
            let began = stage.sim.now;
            stage.run(at);
            began + plan.ends_within(stage.caller.phase == Phase::Up)
        }
        _ => stage.sim.now + plan.ends_within(true),
    };
    // The last leg to hear of it has 64*T1 for its BYE.
    stage.run_until(end + T1_64 + SLACK);
    if stage.sim.summary.is_none() {
        return Err(format!("{:?} after its end something is left", T1_64 + SLACK));
    }
    stage.sim.assert_done();
    if !(stage.caller.gone || stage.caller.phase == Phase::Over) {
        return Err(format!("the caller is not told: {:?}", stage.caller.phase));
    }
    for fork in &stage.callee.forks {
        if fork.agent.phase == Phase::Up && !fork.agent.gone {
            return Err(format!("{} was never hung up", fork.agent.tag()));
        }
    }
    stage.run_until(stage.sim.now + 2 * T1_64);
    if let Some(at) = stage.next() {
        return Err(format!(
            "something happens {:?} after the end",
            at - stage.sim.now
        ));
    }
    plan.judge(&stage)?;
    tally.count(&plan, &stage);
    Ok(())
}

/// Until both ends have done what they wanted; then they must agree with each other and with the relay.
fn settle(stage: &mut Stage, plan: &Plan, tally: &mut Tally) -> Result<(), String> {
    stage.run(plan.talks());
    if !stage.settle(3 * T1_64) {
        let state = [&stage.caller, stage.callee.party()].map(|agent| (agent.phase, agent.is_quiet()));
        if plan.is_lost(stage) {
            tally.lost += 1;
            return Ok(());
        }
        return Err(format!("the call does not come to rest: {state:?}"));
    }
    // The server may have a key to tell when the ends have no more to say.
    let end = stage.sim.now + 2 * T1_64;
    while judge::untold(stage).is_some() && stage.sim.now < end {
        stage.run(Duration::from_millis(100));
    }
    if let Some(what) = judge::untold(stage).filter(|_| !plan.is_lost(stage)) {
        return Err(what);
    }
    let (caller, callee) = (&stage.caller, stage.callee.party());
    stage.sim.assert_media(&caller.phone, &callee.phone);
    tally.agreed += 1;
    Ok(())
}

fn run(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut fresh = tally.clone();
    let played = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| play(seed, &mut fresh)));
    *tally = fresh;
    match played {
        Ok(result) => result,
        Err(_) => Err("panicked, see above".to_owned()),
    }
}

fn number(name: &str) -> Option<u64> {
    #[expect(
        clippy::disallowed_methods,
        reason = "how long a test runs is said by who runs it"
    )]
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value}: expected a number")),
    )
}

/// A quarter of the calls, so that they share the cores.
fn quarter(part: u64) {
    let runs = number("WEATHER_RUNS").unwrap_or(RUNS);
    let mut tally = Tally::default();
    let mut failed = Vec::new();
    for seed in (part..runs).step_by(4) {
        if let Err(what) = run(seed, &mut tally) {
            eprintln!("WEATHER_SEED={seed}: {what}\n{:?}", Plan::new(seed));
            failed.push(seed);
        }
    }
    println!("{tally:#?}");
    assert!(failed.is_empty(), "seeds that failed: {failed:?}");
    tally.assert_whole(runs / 4);
}

#[test]
fn calls_of_every_kind_complete_or_end_by_timers_in_rough_weather_0() {
    quarter(0);
}
#[test]
fn calls_of_every_kind_complete_or_end_by_timers_in_rough_weather_1() {
    quarter(1);
}
#[test]
fn calls_of_every_kind_complete_or_end_by_timers_in_rough_weather_2() {
    quarter(2);
}
#[test]
fn calls_of_every_kind_complete_or_end_by_timers_in_rough_weather_3() {
    quarter(3);
}

/// One that is named by `WEATHER_SEED`, with its ladder; the first one else.
#[test]
fn one_call_in_rough_weather_told_by_its_seed() {
    let seed = number("WEATHER_SEED").unwrap_or_default();
    let plan = Plan::new(seed);
    let mut stage = plan.stage();
    stage.begin();
    stage.run(Duration::from_secs(5));
    let played = run(seed, &mut Tally::default());
    if number("WEATHER_SEED").is_some() {
        println!("{plan:#?}");
        Plan::tell(seed);
    }
    assert_eq!(played, Ok(()));
}
