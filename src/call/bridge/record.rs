//! What the summary will say.

use super::{
    Call, Cause, Env, Failure, Instant, MAX_ATTEMPTS, MediaCommand, Output, Phase, Side, Status, Summary,
    Text,
};
use crate::{
    call::event::{Attempt, Party, Standing, StreamTerms, Transfer},
    media::StreamStats,
};

/// What is written down while a call runs.
pub(super) struct Record {
    a: Party,
    pub(super) b: Option<Party>,
    attempts: Vec<Attempt>,
    /// By their numbers.
    transfers: Vec<(u32, Transfer)>,
    began: Instant,
    ringing: Option<Instant>,
    pub(super) answered: Option<Instant>,
    pub(super) ended: Option<Instant>,
    pub(super) status: Status,
    pub(super) failure: Option<Failure>,
    pub(super) cause: Option<Cause>,
    streams: Vec<Option<StreamTerms>>,
    pub(super) media: Vec<StreamStats>,
    /// `Ended` and `Finished` were put out.
    pub(super) reported: bool,
    pub(super) finished: bool,
    /// Somebody has asked for a report and waits for the relay's counts.
    asked: bool,
}

impl Record {
    pub(super) fn new(a: Party, now: Instant) -> Self {
        Self {
            a,
            b: None,
            attempts: Vec::new(),
            transfers: Vec::new(),
            began: now,
            ringing: None,
            answered: None,
            ended: None,
            status: Status::OK,
            failure: None,
            cause: None,
            streams: Vec::new(),
            media: Vec::new(),
            reported: false,
            finished: false,
            asked: false,
        }
    }

    /// Somebody is tried.
    pub(super) fn tries(&mut self, target: Text) {
        if self.attempts.len() < MAX_ATTEMPTS as usize {
            self.attempts.push(Attempt { target, failed: None });
        }
    }

    /// A party has referred the other. Of very many the first are written down.
    pub(super) fn referred(&mut self, number: u32, by: Side, to: &str) {
        if self.transfers.len() < MAX_ATTEMPTS as usize {
            let transfer = Transfer {
                by,
                to: to.into(),
                status: None,
            };
            self.transfers.push((number, transfer));
        }
    }

    /// It is known what became of that.
    pub(super) fn transferred(&mut self, number: u32, status: Status) {
        let known = self.transfers.iter_mut().find(|(other, _)| *other == number);
        if let Some((_, transfer)) = known {
            transfer.status = Some(status);
        }
    }

    /// The last attempt has failed. `again`: its target is tried at another address.
    pub(super) fn attempt_failed(&mut self, failure: &Failure, again: bool) {
        let Some(last) = self.attempts.last_mut() else {
            return;
        };
        last.failed = Some((failure.status, failure.origin, failure.kind));
        if again {
            let target = last.target.clone();
            self.tries(target);
        }
    }

    /// The caller is told of progress.
    pub(super) fn rings(&mut self, now: Instant) {
        self.ringing.get_or_insert(now);
    }
}

impl Call {
    /// Writes down what is agreed on. Streams that go away again keep what was agreed on for them.
    pub(super) fn note_streams(&mut self) {
        for (index, terms) in self.media.terms() {
            if self.record.streams.len() <= index {
                self.record.streams.resize(index + 1, None);
            }
            self.record.streams[index] = Some(terms);
        }
    }

    /// Says what there is, once the relay has said its part.
    pub(super) fn report(&mut self, env: &Env<'_>) {
        if self.record.asked {
            return;
        }
        self.record.asked = true;
        if self.relay.used && self.relay.closing.is_none() && !self.relay.closed {
            self.put(Output::Media(MediaCommand::Count));
        } else {
            self.reported(env);
        }
    }

    /// The relay's counts are there, or there are none.
    pub(super) fn reported(&mut self, env: &Env<'_>) {
        if std::mem::take(&mut self.record.asked) {
            let summary = self.summary(env.now);
            self.put(Output::Report(Box::new(summary)));
        }
    }

    fn standing(&self) -> Standing {
        match self.phase {
            Phase::Identifying(..)
            | Phase::Routing
            | Phase::LookingUp
            | Phase::Opening(_)
            | Phase::Rescuing(_) => Standing::Routing,
            Phase::Dialling if self.record.ringing.is_some() => Standing::Ringing,
            Phase::Dialling => Standing::Calling,
            Phase::Up => Standing::Up,
            Phase::Over => Standing::Over,
        }
    }

    pub(super) fn summary(&self, now: Instant) -> Summary {
        let encryption = |side| self.media.agreed().encryption(side);
        let sas = |side| self.media.sas(side).cloned();
        let record = &self.record;
        Summary {
            standing: self.standing(),
            a: record.a.clone(),
            b: record.b.clone(),
            attempts: record.attempts.clone(),
            transfers: record
                .transfers
                .iter()
                .map(|(_, transfer)| transfer.clone())
                .collect(),
            began: record.began,
            ringing: record.ringing,
            answered: record.answered,
            ended: record.ended.unwrap_or(now),
            status: record.status,
            failure: record.failure.clone(),
            cause: record.cause.clone(),
            encryption: (encryption(Side::A), encryption(Side::B)),
            sas: (sas(Side::A), sas(Side::B)),
            streams: record.streams.clone(),
            media: record.media.clone(),
        }
    }
}
