//! Whether trunks are there: each is asked by OPTIONS from time to time (RFC 3261 §11), and one that does not answer is down until
//! it does. Without sockets or clocks; `server::qualification` drives it.
//!
//! Any final response says that somebody is there who speaks SIP, but for 503 and 408: those are of a server that does not serve,
//! or of a proxy whose server is gone. Of the targets of a name (RFC 3263) one that answers is enough.

mod probe;
#[cfg(test)]
mod tests;

use crate::{
    call::{Env, LookupError, Transmit},
    sip::{
        Response, Text, Uri,
        routing::{NextHop, Target},
        timers::Timers,
    },
};
use probe::{Outcome, Probe};
use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

/// Trunks that are asked; more are taken for there.
const MOST: usize = 1024;
/// How soon one that is down is asked again, at the latest.
const SOON: Duration = Duration::from_secs(10);
/// Trunks are first asked one after another, so that a start is no burst.
const APART: Duration = Duration::from_millis(20);

/// How a trunk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrunkState {
    /// It has not been heard of yet: calls go there.
    Unknown,
    /// It has answered.
    Up,
    /// It has not, or not well: why.
    Down(String),
}

/// What a [`Watch`] wants done.
#[derive(Debug)]
pub enum WatchOutput {
    /// Resolve this; answered by [`Watch::resolved`].
    Lookup(NextHop),
    /// Send this.
    Transmit(Transmit),
    /// A trunk has become this.
    State(Uri, TrunkState),
}

/// All trunks that are asked.
#[derive(Debug)]
pub struct Watch {
    user_agent: Text,
    timers: Timers,
    trunks: HashMap<Uri, Trunk>,
    out: VecDeque<WatchOutput>,
}

#[derive(Debug)]
struct Trunk {
    interval: Duration,
    state: TrunkState,
    /// When it is asked next.
    next: Instant,
    probe: Option<Probe>,
}

impl Watch {
    /// Of nobody yet.
    pub fn new(user_agent: Text, timers: Timers) -> Self {
        Self {
            user_agent,
            timers,
            trunks: HashMap::new(),
            out: VecDeque::new(),
        }
    }
    /// These are all trunks, each with the time between two questions. What is known of those that were there before stays.
    pub fn set(&mut self, trunks: Vec<(Uri, Duration)>, env: &mut Env<'_>) {
        let mut before = std::mem::take(&mut self.trunks);
        let mut next = env.now;
        for (uri, interval) in trunks {
            if self.trunks.contains_key(&uri) {
                continue;
            }
            if self.trunks.len() >= MOST {
                tracing::warn!(trunk = %uri, "there are more than {MOST} trunks: this one is not asked whether it is there");
                continue;
            }
            let known = before.remove(&uri);
            let trunk = known.unwrap_or_else(|| {
                next += APART;
                Trunk {
                    interval,
                    state: TrunkState::Unknown,
                    next,
                    probe: None,
                }
            });
            self.trunks.insert(uri, Trunk { interval, ..trunk });
        }
        for uri in before.into_keys() {
            self.out.push_back(WatchOutput::State(uri, TrunkState::Unknown));
        }
    }
    /// The answer to [`WatchOutput::Lookup`].
    pub fn resolved(&mut self, hop: &NextHop, targets: Result<Vec<Target>, LookupError>, env: &mut Env<'_>) {
        let Some(probe) = self
            .trunks
            .get_mut(&hop.uri)
            .and_then(|trunk| trunk.probe.as_mut())
        else {
            return;
        };
        let outcome = match targets {
            Ok(targets) => probe.begin(&targets, &mut self.out, self.timers, env),
            Err(error) => Some(Outcome::Silent(error.to_string())),
        };
        self.conclude(&hop.uri, outcome, env);
    }
    /// A response to an OPTIONS. `false` when it is nobody's.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) -> bool {
        let Ok(call_id) = response.headers.call_id() else {
            return false;
        };
        let asked = |trunk: &Trunk| trunk.probe.as_ref().is_some_and(|probe| probe.call_id == call_id);
        let Some((uri, trunk)) = self.trunks.iter_mut().find(|(_, trunk)| asked(trunk)) else {
            return false;
        };
        let uri = uri.clone();
        let outcome = trunk
            .probe
            .as_mut()
            .and_then(|probe| probe.response(response, &mut self.out, self.timers, env));
        self.conclude(&uri, outcome, env);
        true
    }
    /// An OPTIONS with this Call-ID and branch could not be sent.
    pub fn undeliverable(&mut self, call_id: &Text, branch: &Text, env: &mut Env<'_>) {
        let asked = |trunk: &Trunk| {
            trunk
                .probe
                .as_ref()
                .is_some_and(|probe| probe.call_id == *call_id)
        };
        let Some((uri, trunk)) = self.trunks.iter_mut().find(|(_, trunk)| asked(trunk)) else {
            return;
        };
        let uri = uri.clone();
        let outcome = trunk
            .probe
            .as_mut()
            .and_then(|probe| probe.undeliverable(branch, &mut self.out, self.timers, env));
        self.conclude(&uri, outcome, env);
    }
    /// Deadlines that have passed.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        let due = |trunk: &Trunk| match &trunk.probe {
            Some(probe) => probe.poll_timeout().is_some_and(|at| at <= env.now),
            None => trunk.next <= env.now,
        };
        let due: Vec<Uri> = self
            .trunks
            .iter()
            .filter(|(_, trunk)| due(trunk))
            .map(|(uri, _)| uri.clone())
            .collect();
        for uri in due {
            let Some(trunk) = self.trunks.get_mut(&uri) else {
                continue;
            };
            match &mut trunk.probe {
                Some(probe) => {
                    let outcome = probe.handle_timeout(&mut self.out, self.timers, env);
                    self.conclude(&uri, outcome, env);
                }
                None => {
                    trunk.probe = Some(Probe::new(&uri, self.user_agent.clone(), env));
                    self.out.push_back(WatchOutput::Lookup(NextHop::to(uri)));
                }
            }
        }
    }
    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<WatchOutput> {
        self.out.pop_front()
    }
    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let next = |trunk: &Trunk| match &trunk.probe {
            Some(probe) => probe.poll_timeout(),
            None => Some(trunk.next),
        };
        self.trunks.values().filter_map(next).min()
    }

    fn conclude(&mut self, uri: &Uri, outcome: Option<Outcome>, env: &Env<'_>) {
        let (Some(outcome), Some(trunk)) = (outcome, self.trunks.get_mut(uri)) else {
            return;
        };
        trunk.probe = None;
        let state = match outcome {
            Outcome::There => TrunkState::Up,
            Outcome::Silent(why) => TrunkState::Down(why),
        };
        trunk.next = env.now
            + match state {
                TrunkState::Down(_) => trunk.interval.min(SOON),
                TrunkState::Up | TrunkState::Unknown => trunk.interval,
            };
        if trunk.state != state {
            trunk.state = state.clone();
            self.out.push_back(WatchOutput::State(uri.clone(), state));
        }
    }
}
