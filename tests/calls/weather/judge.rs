//! What must be true of how a call went.

use super::plan::{End, Fate, Plan};
use b2bua::{
    call::Side,
    sip::Status,
    testing::{
        Agent, Outcome, Stage,
        agent::{Phase, Referral},
    },
};

impl Plan {
    /// Whether a transaction had no luck: all that was said in 64*T1 was lost.
    pub(super) fn is_lost(&self, stage: &Stage) -> bool {
        let forks = stage.callee.forks.iter().map(|fork| &fork.agent);
        forks
            .chain([&stage.caller])
            .any(|agent| agent.facts.timeouts + agent.facts.unacknowledged > 0)
            || agents_heard(stage, 408)
            || self.is_unrefreshed(stage)
    }
    /// All tries of a refresh of the server's were lost: it has ended the session before it expired (RFC 4028 §10).
    fn is_unrefreshed(&self, stage: &Stage) -> bool {
        let cause = stage
            .sim
            .summary
            .as_ref()
            .and_then(|summary| summary.cause.as_ref());
        let expired = |reason: &b2bua::sip::Text| reason.to_str().contains("Session expired");
        cause.is_some_and(|cause| cause.reasons.iter().any(expired))
    }
    /// What must be true of how it went.
    pub(super) fn judge(&self, stage: &Stage) -> Result<(), String> {
        let summary = stage.sim.summary.as_ref().ok_or("no record")?;
        let lost = self.is_lost(stage);
        let code = summary.status.code();
        let answers = stage
            .callee
            .forks
            .iter()
            .any(|fork| fork.agent.phase == Phase::Up);
        match self.fate {
            _ if lost => {}
            Fate::Answered(End::Abrupt(..)) | Fate::Cancelled(_) => {
                if !matches!(code, 200 | 487) {
                    return Err(format!("the record says {code}"));
                }
            }
            // Who was to answer was gone before.
            Fate::Answered(End::Vanished(..)) if code == 480 && !answers => {}
            Fate::Answered(_) if summary.answered.is_none() => return Err(format!("not answered: {code}")),
            Fate::Answered(_) => {}
            Fate::Refused(expected) if code != expected => return Err(format!("{code} for {expected}")),
            Fate::Unanswered if summary.status != Status::REQUEST_TIMEOUT && code != 480 && code != 487 => {
                return Err(format!("{code} when nobody answers"));
            }
            Fate::Refused(_) | Fate::Unanswered => {}
        }
        digits(stage)?;
        keys(stage)?;
        let forks = stage.callee.forks.iter().map(|fork| &fork.agent);
        for agent in forks.chain([&stage.caller]) {
            let facts = &agent.facts;
            if facts.strange > 0 {
                return Err("two dialogs towards one caller".to_owned());
            }
            if facts.expired && !matches!(self.fate, Fate::Answered(End::Vanished(..))) {
                return Err("a session that nobody refreshed".to_owned());
            }
            news(
                agent,
                lost || !matches!(self.fate, Fate::Answered(End::Settled(_))),
            )?;
            for (method, code) in facts.finals.keys() {
                let offers = matches!(method.as_str(), "INVITE" | "UPDATE");
                let over = matches!(self.fate, Fate::Answered(End::Abrupt(..) | End::Vanished(..)));
                let fine = match *code {
                    200 => true,
                    202 => method == "REFER",
                    // Acceptance #14: nothing but offers is refused for glare.
                    491 => offers,
                    // RFC 3261 §15.1.2: what is open when the call ends.
                    487 => method == "INVITE" || over,
                    480 if self.fate == Fate::Unanswered => true,
                    // It overtook the answer: the caller has no dialog yet that it could cross to.
                    480 if self.fate != Fate::Refused(480) => !offers && method != "BYE",
                    // RFC 3261 §12.2.2: overtaken by a later one; §14.2: an offer too early.
                    500 => true,
                    408 | 481 => lost || over || method == "BYE" || agent.phase == Phase::Over,
                    other => Fate::Refused(other) == self.fate,
                };
                if !fine {
                    return Err(format!("{} heard {code} to its {method}", agent.tag()));
                }
            }
        }
        Ok(())
    }
}

/// Each digit that was taken has come to the other end once, in INFO or (as the relay was told) in its media, and none twice.
fn digits(stage: &Stage) -> Result<(), String> {
    let forks: Vec<_> = stage.callee.forks.iter().map(|fork| &fork.agent).collect();
    let caller = [&stage.caller];
    for (from, to, side) in [
        (&forks[..], &caller[..], Side::A),
        (&caller[..], &forks[..], Side::B),
    ] {
        for (digit, taken) in from.iter().flat_map(|agent| &agent.facts.digits) {
            let said = to.iter().filter_map(|agent| agent.facts.digits_heard.get(digit));
            let sent = stage.sim.relay.digits.iter();
            let sent = sent.filter(|(there, _, sent)| {
                *there == side && *digit == in_info(sent.event, sent.duration.as_millis())
            });
            let heard = said.sum::<u32>() + sent.count() as u32;
            if heard > 1 || (*taken && heard == 0) {
                return Err(format!("{digit:?} was heard {heard} times, taken: {taken}"));
            }
        }
    }
    Ok(())
}

/// No key whose packets the relay has heard is told to the other end more often than it was pressed.
fn keys(stage: &Stage) -> Result<(), String> {
    let twice = told(stage).find(|(_, pressed, heard)| heard > pressed);
    twice.map_or(Ok(()), |key| Err(format!("key, pressed, heard: {key:?}")))
}

/// A key that the other end has not heard of as often as it was pressed.
pub(super) fn untold(stage: &Stage) -> Option<String> {
    let untold = told(stage).find(|(_, pressed, heard)| heard < pressed);
    untold.map(|key| format!("key, pressed, heard: {key:?}"))
}

/// Each key of either end, how often it was pressed, and how often the other end was told of it.
fn told(stage: &Stage) -> impl Iterator<Item = ((Side, u8), u32, u32)> {
    let forks: Vec<_> = stage.callee.forks.iter().map(|fork| &fork.agent).collect();
    let sides = [
        (Side::A, vec![&stage.caller], forks.clone()),
        (Side::B, forks, vec![&stage.caller]),
    ];
    sides.into_iter().flat_map(|(side, from, to)| {
        (0..16).map(move |event| {
            // What the server says has the usual length, what the ends say has none like it.
            let info = in_info(event, 160);
            let pressed = from.iter().filter_map(|agent| agent.facts.pressed.get(&event));
            let heard = to.iter().filter_map(|agent| agent.facts.digits_heard.get(&info));
            ((side, event), pressed.sum(), heard.sum())
        })
    })
}

pub(super) fn in_info(event: u8, milliseconds: u128) -> String {
    let signal = "0123456789*#ABCD".chars().nth(usize::from(event)).unwrap_or('?');
    format!("Signal={signal}\r\nDuration={milliseconds}\r\n")
}

/// Who asked for a transfer was told what really became of it, as far as the call went on.
fn news(agent: &Agent, ended: bool) -> Result<(), String> {
    for referral in agent.referrals() {
        let Referral {
            outcome,
            answered,
            told,
            ..
        } = referral;
        let finals = told.iter().filter(|code| **code >= 200).count();
        let last_is_final = told.last().is_none_or(|code| *code >= 200);
        let fine = match (*outcome, *answered) {
            // RFC 3261 §12.2.2: overtaken by a later one.
            (_, Some(480 | 500)) => told.is_empty(),
            // A fork that had not won, or what was left of a call.
            (_, Some(408 | 481)) => told.is_empty() && agent.phase == Phase::Over,
            (Outcome::CalledInSilence(_), _) => told.is_empty(),
            // It had not won, was told so, and did not wait for the answer to what it asked before.
            (_, None) if agent.facts.finals.contains_key(&("BYE".to_owned(), 481)) => told.is_empty(),
            // Or overtaken on the other leg, or by the answer that makes its dialog there.
            (Outcome::Called(code) | Outcome::Refused(code), Some(202)) => {
                let real = told.last().is_some_and(|told| [code, 480, 500].contains(told));
                finals <= 1 && (ended || (last_is_final && real && referral.over))
            }
            _ => ended && finals <= 1,
        };
        if !fine {
            return Err(format!("{} of {referral:?}", agent.tag()));
        }
    }
    Ok(())
}

fn agents_heard(stage: &Stage, code: u16) -> bool {
    let heard = |agent: &Agent| agent.facts.finals.keys().any(|(_, heard)| *heard == code);
    heard(&stage.caller) || stage.callee.forks.iter().any(|fork| heard(&fork.agent))
}
