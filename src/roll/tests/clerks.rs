//! A roll of machines that do nothing but take turns.

use super::rig::{key, seconds};
use crate::{
    call::{Env, LookupError},
    roll::{AccountKey, Changes, Enrolled, EnrolledOutput, Roll, RollOutput, Said},
    sip::{
        Ids, Text, Uri,
        routing::{NextHop, Target},
        timers::Timers,
    },
};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a turn lasts.
const TERM: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Plan {
    name: &'static str,
    /// Another seat takes another machine.
    seat: u8,
    throttle: Duration,
}

/// Has something to lose after its first turn, and wants a last one before it ends.
#[derive(Debug)]
struct Clerk {
    plan: Arc<Plan>,
    queued: bool,
    turns: usize,
    until: Option<Instant>,
    ending: bool,
    out: VecDeque<EnrolledOutput<Self>>,
}

impl Clerk {
    fn queue(&mut self) {
        self.queued = true;
        self.until = None;
        self.out.push_back(EnrolledOutput::Turn);
    }
    fn finish(&mut self) {
        let last = [EnrolledOutput::Unnamed(self.plan.name), EnrolledOutput::Finished];
        self.out.extend(last);
    }
}

impl Enrolled for Clerk {
    type Plan = Plan;
    type Name = &'static str;
    type View = usize;
    type News = &'static str;

    fn new(plan: Arc<Plan>, _: Text, _: Timers, _: &mut Env<'_>) -> Self {
        let out = VecDeque::from([EnrolledOutput::Named(plan.name), EnrolledOutput::Turn]);
        Self {
            plan,
            queued: true,
            turns: 0,
            until: None,
            ending: false,
            out,
        }
    }
    fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }
    fn throttle(&self) -> Duration {
        self.plan.throttle
    }
    fn view(&self) -> usize {
        self.turns
    }
    fn is_queued(&self) -> bool {
        self.queued
    }
    fn is_urgent(&self) -> bool {
        self.turns > 0
    }
    fn is_done(&self) -> bool {
        false
    }
    fn can_become(&self, plan: &Plan) -> bool {
        plan.seat == self.plan.seat
    }
    fn update(&mut self, plan: Arc<Plan>) {
        self.out.push_back(EnrolledOutput::Unnamed(self.plan.name));
        self.out.push_back(EnrolledOutput::Named(plan.name));
        self.plan = plan;
    }
    fn turn(&mut self, env: &mut Env<'_>) {
        self.queued = false;
        if self.ending {
            return self.finish();
        }
        self.turns += 1;
        self.until = Some(env.now + TERM);
        self.out.push_back(EnrolledOutput::Changed);
    }
    fn resolved(&mut self, _: &NextHop, _: Result<Vec<Target>, LookupError>, _: &mut Env<'_>) {
        self.out.push_back(EnrolledOutput::News("found"));
    }
    fn handle_timeout(&mut self, env: &mut Env<'_>) {
        assert!(self.until.is_some_and(|until| until <= env.now), "too early");
        self.queue();
    }
    fn end(&mut self) {
        self.ending = true;
        if self.turns == 0 {
            self.finish();
        } else if !self.queued {
            self.queue();
        }
    }
    fn close(&mut self) {
        self.finish();
    }
    fn poll_timeout(&self) -> Option<Instant> {
        self.until
    }
    fn poll_output(&mut self) -> Option<EnrolledOutput<Self>> {
        self.out.pop_front()
    }
}

struct Rig {
    roll: Roll<Clerk>,
    now: Instant,
    ids: Ids,
    /// Turns that were taken: when, and by whom.
    turns: Vec<(Instant, String)>,
    /// Accounts that have gone.
    gone: Vec<String>,
    names: Vec<(&'static str, bool)>,
    news: Vec<String>,
}

impl Rig {
    #[expect(clippy::disallowed_methods, reason = "any moment will do for a start")]
    fn new() -> Self {
        Self {
            roll: Roll::new("b2bua".into(), Timers::default()),
            now: Instant::now(),
            ids: Ids::seeded(1),
            turns: Vec::new(),
            gone: Vec::new(),
            names: Vec::new(),
            news: Vec::new(),
        }
    }
    fn with<T>(&mut self, act: impl FnOnce(&mut Roll<Clerk>, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            now: self.now,
            ids: &mut self.ids,
        };
        let result = act(&mut self.roll, &mut env);
        while let Some(output) = self.roll.poll_output() {
            let RollOutput::Said(said) = output else {
                panic!("a clerk wants none of that: {output:?}");
            };
            match said {
                Said::Account(key, Some(turns)) if turns > 0 => {
                    self.turns.push((self.now, key.account.to_string()));
                }
                Said::Account(_, Some(_)) => {}
                Said::Account(key, None) => self.gone.push(key.account.to_string()),
                Said::Name(name, mine) => self.names.push((name, mine)),
                Said::News(key, news) => self.news.push(format!("{key} {news}")),
            }
        }
        result
    }
    fn set(&mut self, plans: Vec<Plan>) -> Changes {
        let accounts = plans.into_iter().map(|plan| (key(plan.name), plan)).collect();
        self.with(|roll, env| roll.set(&"pool".into(), accounts, env))
    }
    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(next) = self.roll.poll_timeout().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            self.with(Roll::handle_timeout);
        }
        self.now = until;
    }
    fn who(&self) -> Vec<&str> {
        self.turns.iter().map(|(_, name)| name.as_str()).collect()
    }
    fn is_known(&mut self, name: &'static str) -> bool {
        self.with(|roll, env| roll.act_named(&name, env, |_, _| ()))
            .is_some()
    }
}

fn plan(name: &'static str) -> Plan {
    Plan {
        name,
        seat: 0,
        throttle: Duration::from_secs(1),
    }
}

#[test]
fn turns_come_at_the_rate_of_the_pool_and_deadlines_are_kept() {
    let mut rig = Rig::new();
    let start = rig.now;
    rig.set(vec![plan("a"), plan("b"), plan("c")]);
    assert_eq!(rig.roll.waiting().map(|(_, count)| count).sum::<usize>(), 3);
    rig.pass(seconds(30));
    let times: Vec<_> = rig.turns.iter().map(|(at, _)| (*at - start).as_secs()).collect();
    assert_eq!(times, [0, 1, 2, 10, 11, 12, 20, 21, 22, 30]);
    assert_eq!(rig.who(), ["a", "b", "c", "a", "b", "c", "a", "b", "c", "a"]);
}

#[test]
fn who_has_something_to_lose_goes_first() {
    let mut rig = Rig::new();
    rig.set(vec![plan("old")]);
    rig.pass(seconds(9));
    let mut list: Vec<_> = ["a", "b", "c", "d"].map(plan).into();
    list.push(plan("old"));
    rig.set(list);
    rig.pass(seconds(4));
    assert_eq!(rig.who(), ["old", "a", "old", "b", "c", "d"]);
}

#[test]
fn a_list_changes_what_it_changes_and_of_the_same_key_twice_the_first_counts() {
    let mut rig = Rig::new();
    rig.set(vec![plan("a"), plan("b"), plan("c"), plan("d")]);
    rig.pass(seconds(5));
    let quicker = Plan {
        throttle: Duration::ZERO,
        ..plan("b")
    };
    let moved = Plan { seat: 1, ..plan("c") };
    let changes = rig.set(vec![plan("a"), quicker, moved, plan("e"), plan("e")]);
    let expected = Changes {
        kept: 1,
        updated: 2,
        added: 1,
        removed: 1,
    };
    assert_eq!(changes, expected);
    assert_eq!(rig.roll.len(), 6, "two have their end still to say");
    let mut gone = rig.gone.clone();
    gone.sort();
    assert_eq!(gone, ["c", "d"]);
    rig.pass(seconds(4));
    assert_eq!(rig.roll.len(), 4);
    assert_eq!(rig.gone.len(), 2, "an end is told once");
    assert_eq!(rig.who()[4..], ["c", "e"], "the others still rest");
}

#[test]
fn a_pool_that_is_named_no_more_ends_and_nothing_of_it_remains() {
    let mut rig = Rig::new();
    rig.set(vec![plan("a"), plan("b")]);
    let other = AccountKey::new("other", "x");
    rig.with(|roll, env| roll.put(&other, plan("x"), env));
    rig.pass(seconds(5));
    rig.with(|roll, env| roll.retain(&["other".into()], env));
    rig.pass(seconds(5));
    assert_eq!(rig.roll.len(), 1);
    assert!(!rig.is_known("a") && !rig.is_known("b") && rig.is_known("x"));
    let removed = rig.with(|roll, env| roll.remove(&other, env));
    assert_eq!(removed.removed, 1);
    assert_eq!(rig.with(|roll, env| roll.remove(&other, env)).removed, 0);
    rig.pass(seconds(5));
    assert!(rig.roll.is_empty());
    rig.with(Roll::handle_timeout);
    assert_eq!(rig.roll.poll_timeout(), None);
    assert!(rig.roll.pools.is_empty() && rig.roll.names.is_empty() && rig.roll.deadlines.is_empty());
}

#[test]
fn a_name_is_of_who_took_it_last_and_is_not_lost_when_the_other_goes() {
    let mut rig = Rig::new();
    rig.set(vec![plan("a")]);
    rig.pass(seconds(1));
    let moved = Plan { seat: 1, ..plan("a") };
    rig.set(vec![moved]);
    assert_eq!(rig.roll.len(), 2);
    rig.pass(seconds(5));
    assert_eq!(rig.roll.len(), 1, "the first has said its end");
    assert!(rig.is_known("a"));
    assert_eq!(rig.names, [("a", true)]);
    rig.with(|roll, env| roll.put(&key("a"), Plan { seat: 1, ..plan("z") }, env));
    assert!(rig.is_known("z") && !rig.is_known("a"));
    assert_eq!(rig.names[1..], [("a", false), ("z", true)]);
}

#[test]
fn news_are_of_accounts_that_are_there() {
    let mut rig = Rig::new();
    let hop = NextHop::first(&[], &Uri::sip(None, "example.org", None));
    let found = |roll: &mut Roll<Clerk>, env: &mut Env<'_>| {
        roll.resolved(1, &hop, Ok(Vec::new()), env);
    };
    rig.set(vec![plan("a")]);
    rig.pass(seconds(1));
    rig.with(found);
    assert_eq!(rig.news, ["pool/a found"]);
    rig.set(Vec::new());
    assert_eq!(rig.roll.len(), 1, "it waits for its last turn");
    rig.with(found);
    assert_eq!(rig.news.len(), 1);
}

#[test]
fn the_end_of_the_server_is_the_machines_own_affair() {
    let mut rig = Rig::new();
    rig.set(vec![plan("a"), plan("b")]);
    rig.pass(seconds(5));
    assert!(!rig.roll.is_done());
    rig.with(Roll::end);
    assert!(rig.roll.is_done() && rig.roll.is_empty());
    assert_eq!(rig.gone.len(), 2);
    assert_eq!(rig.who(), ["a", "b"], "no turn was needed");
}
