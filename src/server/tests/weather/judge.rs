//! What must be true of how it went.

use super::{
    World,
    end::{Asked, End},
    plan::Ask,
};
use crate::sip::routing::Destination;
use std::net::SocketAddr;

pub(super) fn address_of(to: &Destination) -> SocketAddr {
    match to {
        Destination::Target(target) => target.remote,
        Destination::Reply { address, .. } => *address,
    }
}

/// How all went.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sent: u64,
    lost: u64,
    /// Requests with the far end's own answer.
    answered: u64,
    /// With an answer of the server's.
    refused: u64,
    given_up: u64,
    /// Of those that were answered: inside of subscriptions.
    inside: u64,
    overtaken: u64,
    second: u64,
    subscriptions: u64,
}

impl Tally {
    /// All of it was there.
    pub(super) fn assert_whole(&self, runs: u64) {
        let lost = self.lost * 1_000 / (self.sent + self.lost);
        assert!((85..115).contains(&lost), "{lost}/1000 lost");
        assert!(self.answered > runs * 2 && self.inside > runs, "{self:?}");
        assert!(self.refused > runs / 10 && self.given_up > runs / 50, "{self:?}");
        assert!(self.overtaken > runs / 100 && self.second > runs / 50, "{self:?}");
        assert!(self.subscriptions > runs / 4, "{self:?}");
    }
}

/// What becomes of an answer on its way through the server.
fn crossed(code: u16) -> u16 {
    match code {
        401 | 407 => 403,
        408 => 504,
        other => other,
    }
}

impl World {
    pub(super) fn judge(&self, tally: &mut Tally) -> Result<(), String> {
        for end in &self.ends {
            if let Some((id, count)) = end.seen.iter().find(|(id, count)| !id.is_empty() && **count > 1) {
                return Err(format!("{} has seen {id} {count} times", end.name));
            }
            for asked in &end.asked {
                self.answer(end, asked, tally)
                    .map_err(|what| format!("{} {}: {what}: {asked:?}", end.name, asked.id))?;
            }
        }
        if self.ends[0].asked.len() < self.plan.asks.len() {
            return Err("not all was asked".to_owned());
        }
        if let Some((id, count)) = self.hall.begun.iter().find(|(_, count)| **count > 1) {
            return Err(format!("{id} was begun {count} times"));
        }
        tally.sent += self.sent;
        tally.lost += self.lost;
        let notifiers = self.ends.iter().flat_map(|end| &end.dialogues);
        tally.subscriptions += notifiers.filter(|dialogue| dialogue.is_notifier()).count() as u64;
        Ok(())
    }
    fn answer(&self, end: &End, asked: &Asked, tally: &mut Tally) -> Result<(), String> {
        if asked.finals.len() > 1 {
            return Err(format!("{} final answers", asked.finals.len()));
        }
        if asked.over.is_none() {
            return Err("it is open".to_owned());
        }
        // What came only after it was given up is as if it had not come.
        let late = asked.over.is_some_and(|over| over >= asked.at + super::T1_64);
        let answer = asked.answer().filter(|_| !late);
        if let Some((code, Some(by))) = &answer {
            tally.answered += 1;
            tally.inside += u64::from(asked.is_inside());
            tally.second += u64::from(by.starts_with("carol"));
            return self.is_true(asked, *code, by);
        }
        let code = answer.map(|(code, _)| code);
        match code {
            Some(_) => tally.refused += 1,
            None => tally.given_up += 1,
        }
        let fine = if asked.is_inside() {
            tally.overtaken += u64::from(code == Some(500));
            self.may_refuse_inside(end, asked, code)
        } else {
            let ask = self.plan.asks.iter().find(|ask| ask.id == asked.id);
            self.may_refuse(ask.ok_or("nobody asked for it")?, code)
        };
        if fine {
            Ok(())
        } else {
            Err(format!("{code:?} by the server"))
        }
    }
    /// Whether the far end has said that, of this request.
    fn is_true(&self, asked: &Asked, code: u16, by: &str) -> Result<(), String> {
        let mut words = by.split(' ');
        let (name, id) = (words.next(), words.next());
        let far = self.ends.iter().find(|end| Some(end.name) == name);
        let said = far.and_then(|far| far.said.get(&asked.id)).copied();
        if id == Some(&*asked.id) && said.is_some_and(|said| crossed(said) == code) {
            Ok(())
        } else {
            Err(format!("{code} where {by:?} was said"))
        }
    }
    /// Whether the server, or nobody, may have answered a request outside of any dialog.
    fn may_refuse(&self, ask: &Ask, code: Option<u16>) -> bool {
        if ask.method == "OPTIONS" {
            return code == Some(200) && !self.ends[1].seen.contains_key(&ask.id);
        }
        if self.plan.shutdown.is_some_and(|at| at >= ask.at) && code == Some(503) {
            return true;
        }
        if ask.declined.is_some() {
            return code == ask.declined;
        }
        // The first that decides does so in time, unless one before it says that it tries, and goes silent; or the server, which has
        // heard nothing of it for a while, has turned to another (RFC 3263 §4.3), repeats nothing to it any more, and loses the answer.
        for (way, manners) in ask.manners.iter().enumerate() {
            let next_is_silent = ask.manners.get(way + 1).is_some_and(|next| next.code.is_none());
            if manners.decides() && !(next_is_silent && self.ends[way + 2].seen.contains_key(&ask.id)) {
                return false;
            }
            if manners.decides() || (manners.code.is_none() && manners.trying) {
                break;
            }
        }
        let busy = ask.manners.iter().any(|manners| manners.code == Some(503));
        code.is_none() || code == Some(504) || (busy && code == Some(503))
    }
    /// The same inside of a subscription.
    fn may_refuse_inside(&self, end: &End, asked: &Asked, code: Option<u16>) -> bool {
        let over = asked.over.unwrap_or(self.now);
        let own = asked.dialogue.and_then(|at| end.dialogues.get(at));
        let Some(own) = own else { return false };
        let ends = self.ends.iter().flat_map(|end| &end.dialogues);
        let other = ends
            .clone()
            .find(|other| other.ask == own.ask && other.is_notifier() != own.is_notifier());
        let shut = self.plan.shutdown.is_some_and(|at| self.begin + at <= over);
        match code {
            // RFC 3261 §12.2.2: a later one was there first.
            Some(500) => end
                .asked
                .iter()
                .any(|later| later.dialogue == asked.dialogue && later.cseq > asked.cseq && later.at < over),
            Some(481) => {
                let ended = |at: Option<std::time::Instant>| at.is_some_and(|at| at <= over);
                let by_itself = own.is_notifier() && own.ended == Some(asked.at);
                let other = other.is_some_and(|other| {
                    if by_itself {
                        other.failed
                    } else {
                        ended(other.ended)
                    }
                });
                shut || other || (!by_itself && own.is_notifier() && ended(own.ended))
            }
            _ => false,
        }
    }
}
