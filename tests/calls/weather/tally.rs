//! What was there in all calls together: weather that nothing happens in proves nothing.

use super::{
    judge::in_info,
    plan::{End, Fate, Plan},
};
use b2bua::{
    call::CallEvent,
    testing::{Act, Greeting, Outcome, Stage},
};

/// Counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    calls: u32,
    messages: u64,
    taken_by_the_weather: u64,
    repeated_by_the_ends: u64,
    answered: u32,
    /// Both ends and the relay agreed when all was said.
    pub(super) agreed: u32,
    /// Nothing of a whole transaction came through.
    pub(super) lost: u32,
    refused: u32,
    cancelled: u32,
    cancelled_too_late: u32,
    unanswered: u32,
    vanished: u32,
    late_offers: u32,
    forked: u32,
    second_answers: u32,
    challenged: u32,
    failed_over: u32,
    changes: u32,
    updates: u32,
    glares: u32,
    regretted: u32,
    other_requests: u32,
    byes_of_both: u32,
    long: u32,
    refreshed_by_the_server: u32,
    /// Provisional responses that were acknowledged: by the server, and to it.
    acknowledged_early: u32,
    pracks: u32,
    digits: u32,
    /// Keys that went as packets, those of them that came as INFO, and the other way round.
    keys: u32,
    told: u32,
    packets: u32,
    /// Transfers that were told to their end, and how many of them succeeded.
    transfers: u32,
    transferred: u32,
    untold: u32,
}

impl Tally {
    pub(super) fn count(&mut self, plan: &Plan, stage: &Stage) {
        let answered = stage
            .sim
            .summary
            .as_ref()
            .is_some_and(|summary| summary.answered.is_some());
        let one = |yes: bool| u32::from(yes);
        self.calls += 1;
        self.messages += stage.sim.wire.len() as u64;
        self.taken_by_the_weather += u64::from(stage.sim.lost);
        self.answered += one(answered);
        self.refused += one(matches!(plan.fate, Fate::Refused(_)));
        self.cancelled += one(stage.callee.cancelled > 0);
        self.cancelled_too_late += one(answered && matches!(plan.fate, Fate::Cancelled(_)));
        self.unanswered += one(plan.fate == Fate::Unanswered);
        self.vanished += one(matches!(plan.fate, Fate::Answered(End::Vanished(..))));
        self.late_offers += one(answered && plan.habits.0.offerless);
        self.forked += one(answered && plan.forks.len() > 1);
        let hung_up = |fork: &&b2bua::testing::Fork| fork.agent.facts.requests.contains_key("BYE");
        self.second_answers += one(stage.callee.forks.iter().filter(hung_up).count() > 1);
        self.challenged += one(stage.callee.challenged.1 > 0);
        self.failed_over += one(stage.callee.turned_away > 0 && answered);
        self.long += one(!plan.lasts.is_zero());
        let updated = |event: &&CallEvent| matches!(event, CallEvent::Updated { .. });
        self.updates += stage.sim.events.iter().filter(updated).count() as u32;
        let forks = stage.callee.forks.iter().map(|fork| &fork.agent);
        let mut byes = 0;
        for agent in forks.chain([&stage.caller]) {
            let facts = &agent.facts;
            let heard =
                |method: &str, code| facts.finals.get(&(method.to_owned(), code)).copied().unwrap_or(0);
            self.repeated_by_the_ends += u64::from(facts.repeated);
            self.changes += facts.changes;
            self.glares += heard("INVITE", 491) + heard("UPDATE", 491);
            self.other_requests += ["INFO", "MESSAGE", "OPTIONS"]
                .iter()
                .map(|it| heard(it, 200))
                .sum::<u32>();
            byes += one(facts.finals.keys().any(|(method, _)| method == "BYE"));
            self.refreshed_by_the_server += facts.refreshed;
            self.acknowledged_early += facts.acknowledged_early;
            self.pracks += heard("PRACK", 200);
            self.digits += facts.digits.values().filter(|taken| **taken).count() as u32;
            for referral in agent.referrals() {
                let real =
                    matches!(referral.outcome, Outcome::Called(code) if referral.told.last() == Some(&code));
                let refused =
                    matches!(referral.outcome, Outcome::Refused(code) if referral.told.last() == Some(&code));
                self.transfers += one(real || refused);
                self.transferred += one(real && referral.told.last() == Some(&200));
                self.untold += one(matches!(referral.outcome, Outcome::CalledInSilence(_)) && referral.over);
            }
        }
        let all = stage.callee.forks.iter().map(|fork| &fork.agent);
        let all = all.chain([&stage.caller]).flat_map(|agent| &agent.facts.pressed);
        self.keys += all.map(|(_, times)| times).sum::<u32>();
        let all = stage.callee.forks.iter().map(|fork| &fork.agent);
        let all = all
            .chain([&stage.caller])
            .flat_map(|agent| &agent.facts.digits_heard);
        let told = all.filter(|(info, _)| (0..16).any(|event| **info == in_info(event, 160)));
        self.told += told.map(|(_, times)| times).sum::<u32>();
        self.packets += stage.sim.relay.digits.len() as u32;
        self.byes_of_both += one(byes > 1);
        let regrets = plan.acts.iter().any(|(_, _, act)| matches!(act, Act::Regret(..)));
        self.regretted += one(answered && regrets);
        debug_assert!(!plan.greetings.contains(&Greeting::Refusal(200)));
    }
    /// Each kind was there, in the share that the plans have of it or nearly, and hardly a call was lost.
    pub(super) fn assert_whole(&self, runs: u64) {
        let runs = runs as u32;
        assert_eq!(self.calls, runs, "calls that were judged");
        // 7 tries of an INVITE with 0.19 each: 9e-6 a transaction, some 16 of them in a call of two legs.
        assert!(self.lost <= 1 + runs / 2_000, "{} calls were lost", self.lost);
        let share = self.taken_by_the_weather * 1_000 / self.messages.max(1);
        assert!((90..=115).contains(&share), "{share} of 1,000 messages were lost");
        for (what, count, thousandth) in [
            ("answered", self.answered, 500),
            ("agreed", self.agreed, 400),
            ("refused", self.refused, 50),
            ("cancelled", self.cancelled, 40),
            ("cancelled too late", self.cancelled_too_late, 10),
            ("unanswered", self.unanswered, 10),
            ("vanished", self.vanished, 25),
            ("late offers", self.late_offers, 40),
            ("forked", self.forked, 60),
            ("second answers", self.second_answers, 5),
            ("challenged", self.challenged, 30),
            ("failed over", self.failed_over, 80),
            ("changes", self.changes, 800),
            ("updated", self.updates, 500),
            ("glares", self.glares, 50),
            ("regretted", self.regretted, 80),
            ("other requests", self.other_requests, 100),
            ("BYE from both", self.byes_of_both, 50),
            ("long", self.long, 15),
            ("refreshed by the server", self.refreshed_by_the_server, 40),
            ("acknowledged by the server", self.acknowledged_early, 40),
            ("acknowledged to the server", self.pracks, 40),
            ("digits", self.digits, 50),
            ("keys", self.keys, 100),
            ("keys as packets", self.packets, 100),
            ("transfers", self.transfers, 100),
            ("transferred", self.transferred, 50),
            ("transferred in silence", self.untold, 20),
        ] {
            assert!(
                count * 1_000 >= runs * thousandth,
                "{what}: only {count} in {runs} calls"
            );
        }
        assert!(
            self.told * 5 >= self.keys * 4,
            "{} of {} keys were told",
            self.told,
            self.keys
        );
        assert!(self.repeated_by_the_ends > u64::from(runs), "{self:?}");
    }
}
