//! Session timers of an agent (RFC 4028).

use super::{Act, Agent, Change, Phase};
use crate::{
    sip::{
        Headers,
        session::{Refresher, SessionExpires},
    },
    testing::Sim,
};
use std::time::{Duration, Instant};

/// A session that expires.
#[derive(Debug)]
pub(super) struct Session {
    /// When it refreshes; `None`: the server does.
    refresh: Option<Instant>,
    end: Instant,
    length: Duration,
    ours: bool,
}

impl Session {
    pub(super) fn due(&self) -> Instant {
        self.refresh.unwrap_or(self.end).min(self.end)
    }
}

/// Who refreshes, and how often.
pub(super) type Agreed = Option<(u32, bool)>;

impl Agent {
    /// What it takes.
    fn allow(&self) -> &'static str {
        match self.habits.by_update {
            true => "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE, UPDATE\r\n",
            false => "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, MESSAGE\r\n",
        }
    }
    /// What an INVITE or UPDATE of its own says.
    pub(super) fn session_headers(&self) -> String {
        let allow = self.allow();
        let Some((seconds, _)) = self.habits.timer else {
            return allow.to_owned();
        };
        let refresher = match &self.session {
            Some(session) if session.ours => ";refresher=uac",
            Some(_) => ";refresher=uas",
            None => "",
        };
        format!("{allow}Supported: timer\r\nSession-Expires: {seconds}{refresher}\r\n")
    }
    /// What it says to an INVITE or UPDATE of the server's.
    pub(super) fn session_answer(&self, asked: &Headers) -> (Agreed, String) {
        let (Some((_, eager)), Some(asked)) = (self.habits.timer, SessionExpires::of(asked)) else {
            return (None, self.allow().to_owned());
        };
        let ours = match asked.refresher {
            Some(refresher) => refresher == Refresher::Uas,
            None => eager,
        };
        let word = if ours { "uas" } else { "uac" };
        let seconds = asked.seconds;
        let headers = format!(
            "{}Require: timer\r\nSession-Expires: {seconds};refresher={word}\r\n",
            self.allow()
        );
        (Some((seconds, ours)), headers)
    }
    /// A 2xx of the server to its own INVITE or UPDATE.
    pub(super) fn agree(&mut self, now: Instant, headers: &Headers) {
        let agreed = SessionExpires::of(headers).filter(|_| self.habits.timer.is_some());
        let agreed = agreed.map(|said| (said.seconds, said.refresher == Some(Refresher::Uac)));
        self.begin_session(now, agreed);
    }
    pub(super) fn begin_session(&mut self, now: Instant, agreed: Agreed) {
        self.session = agreed.map(|(seconds, ours)| {
            let length = Duration::from_secs(seconds.into());
            Session {
                refresh: ours.then_some(now + length / 2),
                end: now + length,
                length,
                ours,
            }
        });
    }
    pub(super) fn fire_session(&mut self, sim: &mut Sim) {
        let Some(session) = &mut self.session else { return };
        if self.phase != Phase::Up {
            self.session = None;
            return;
        }
        if session.end <= sim.now {
            self.session = None;
            self.facts.expired = true;
            return self.hang_up(sim);
        }
        if session.refresh.is_some_and(|at| at <= sim.now) {
            // Should this one fail.
            session.refresh = Some(sim.now + session.length / 10);
            match self.habits.by_update {
                true => self.refresh_by_update(sim),
                false => self.todo.push_back(Act::Offer(Change::Nothing)),
            }
        }
    }
}
