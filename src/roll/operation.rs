//! One request on its way to an account's server: targets tried in order (RFC 3263 §4.3), each by a transaction of its own, and what is
//! asked of it on the way (401, 407, 423) met there.

use super::{
    Enrolled, EnrolledOutput, Terms, Trouble,
    way::{Way, add_via},
};
use crate::{
    call::{Env, LookupError, Transmit},
    sip::{
        Method, Request, Response, Status, Text, Uri,
        auth::Credentials,
        routing::{Destination, NextHop, Target, Transport},
        transaction::{Client, Fired},
    },
};
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a target may stay silent while there are others to try: three failing ones cost less than 3 s (acceptance #25).
const PATIENCE: Duration = Duration::from_millis(1300);
/// Targets that one operation tries.
const MAX_WAYS: usize = 16;
/// How often a longer time is asked for (423) in one operation.
const MAX_RAISED: u8 = 2;

/// From a turn to its outcome.
#[derive(Debug)]
pub(crate) struct Operation {
    /// What is asked for; zero ends what was granted.
    pub(crate) expires: Duration,
    /// What must be looked up before anything can go.
    hop: Option<NextHop>,
    /// Everyone that the lookup named.
    pub(crate) peers: Arc<[IpAddr]>,
    ways: VecDeque<Way>,
    pub(crate) trial: Option<Trial>,
    raised: u8,
    /// What an earlier target said: better than "no response" of the last.
    refusal: Option<Trouble>,
}

/// One request at one target.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) way: Way,
    branch: Text,
    pub(crate) contact: Uri,
    transaction: Client,
    /// Until when it may be silent.
    patience: Option<Instant>,
}

/// What follows from what has happened.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// Nothing but to wait.
    Wait,
    /// Write the request, and [`Operation::send`] it this way.
    Send(Way),
    /// The server has granted it.
    Granted(&'a Response),
    /// It has failed.
    Failed(Trouble),
}

impl Operation {
    pub(crate) fn new(expires: Duration, hop: NextHop) -> Self {
        Self {
            expires,
            hop: Some(hop),
            peers: Arc::default(),
            ways: VecDeque::new(),
            trial: None,
            raised: 0,
            refusal: None,
        }
    }
    /// The answer to the lookup of `hop`.
    pub(crate) fn resolved(
        &mut self,
        hop: &NextHop,
        found: Result<Vec<Target>, LookupError>,
        terms: &mut Terms,
    ) -> Step<'static> {
        if self.hop.as_ref() != Some(hop) {
            return Step::Wait;
        }
        let targets = match found {
            Ok(targets) => targets,
            Err(error) => return Step::Failed(Trouble::passing(error.to_string())),
        };
        self.hop = None;
        terms.own = targets.first().and_then(|target| target.own.clone());
        let tried = || targets.iter().take(MAX_WAYS);
        self.peers = tried().map(|target| target.remote.ip().to_canonical()).collect();
        self.ways = tried().map(Way::to).collect();
        self.next("no address")
    }
    /// Sends it, without Via and credentials as yet.
    ///
    /// # Errors
    /// The way that one of this size has to go instead: it has to be written anew for that.
    pub(crate) fn send(
        &mut self,
        way: Way,
        (mut request, contact): (Request, Uri),
        credentials: Option<&Credentials>,
        terms: &mut Terms,
        env: &mut Env<'_>,
    ) -> Result<Transmit, Way> {
        if let Some(credentials) = credentials {
            terms.answers.dress(credentials, &mut request, env.ids);
        }
        let branch: Text = env.ids.branch().into();
        add_via(&mut request.headers, &way.target, &branch);
        let bytes = request.to_bytes();
        if let Some([instead, after]) = way.for_size(bytes.len()) {
            self.ways.push_front(after);
            return Err(instead);
        }
        let reliable = way.target.transport.is_reliable();
        let to = Destination::Target(way.target.clone());
        self.trial = Some(Trial {
            branch,
            contact,
            transaction: Client::start(bytes.clone(), reliable, terms.timers, env.now),
            patience: (!self.ways.is_empty()).then_some(env.now + PATIENCE),
            way,
        });
        Ok(Transmit { bytes, to })
    }
    /// A response; ours when it is to the request of that method and number.
    pub(crate) fn response<'a>(
        &mut self,
        response: &'a Response,
        (method, number): (Method, u32),
        credentials: Option<&Credentials>,
        terms: &mut Terms,
        now: Instant,
    ) -> Step<'a> {
        let (Ok(via), Ok(cseq), Some(trial)) =
            (response.headers.via(), response.headers.cseq(), &mut self.trial)
        else {
            return Step::Wait;
        };
        let is_ours = via.branch().as_ref() == Some(&trial.branch)
            && cseq.number == number
            && cseq.method == method
            && response.headers.values("Via").count() == 1;
        if !is_ours || !trial.transaction.receive(response.status, now).pass {
            return Step::Wait;
        }
        trial.patience = None;
        if response.status.is_provisional() {
            return Step::Wait;
        }
        let way = trial.way.clone();
        if way.target.transport == Transport::Udp && (via.rport().is_some() || via.received().is_some()) {
            terms.observe(response, &way.target.sent_by);
        }
        self.settle(response, way, credentials, terms)
    }
    /// A final response.
    fn settle<'a>(
        &mut self,
        response: &'a Response,
        way: Way,
        credentials: Option<&Credentials>,
        terms: &mut Terms,
    ) -> Step<'a> {
        let status = response.status;
        if status.is_success() {
            return Step::Granted(response);
        }
        if matches!(
            status,
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
        ) {
            // The answer goes to the member that asked, and to no other (acceptance #25, S8).
            if credentials.is_some_and(|credentials| terms.answers.take(response, credentials)) {
                return Step::Send(way);
            }
            terms.answers.clear();
        }
        if status.code() == 423
            && let Some(least) = response.headers.number("Min-Expires")
            && self.raise(Duration::from_secs(least.into()).min(super::LONGEST))
        {
            terms.least = self.expires;
            return Step::Send(way);
        }
        let trouble = Trouble::of(response);
        if status == Status::SERVICE_UNAVAILABLE && !self.ways.is_empty() {
            self.refusal = Some(trouble);
            return self.next("no response");
        }
        Step::Failed(trouble)
    }
    /// The request with this branch could not be sent to its target.
    pub(crate) fn undeliverable(&mut self, branch: &[u8]) -> Step<'static> {
        match &self.trial {
            Some(trial) if trial.branch.as_bytes() == branch && trial.transaction.is_calling() => {
                self.next("I/O error")
            }
            _ => Step::Wait,
        }
    }
    /// A deadline has passed: repeats the request, or goes on to the next target.
    pub(crate) fn handle_timeout<M: Enrolled>(
        &mut self,
        out: &mut VecDeque<EnrolledOutput<M>>,
        now: Instant,
    ) -> Step<'static> {
        let Some(trial) = &mut self.trial else {
            return Step::Wait;
        };
        let mut silent = trial.patience.is_some_and(|until| until <= now);
        while let Some(fired) = trial.transaction.fire(now) {
            match fired {
                Fired::Send(_) if silent => {}
                Fired::Send(bytes) => {
                    let to = Destination::Target(trial.way.target.clone());
                    out.push_back(EnrolledOutput::Transmit(Transmit { bytes, to }));
                }
                Fired::TimedOut => silent = true,
            }
        }
        if !silent {
            return Step::Wait;
        }
        out.push_back(EnrolledOutput::Dead(trial.way.target.clone()));
        self.next("No response")
    }
    /// When to call [`Self::handle_timeout`].
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let trial = self.trial.as_ref()?;
        [trial.transaction.poll_timeout(), trial.patience]
            .into_iter()
            .flatten()
            .min()
    }
    /// On to the next target, if there is one.
    fn next(&mut self, otherwise: &str) -> Step<'static> {
        match self.ways.pop_front() {
            Some(way) => Step::Send(way),
            None => Step::Failed(self.refusal.take().unwrap_or_else(|| Trouble::passing(otherwise))),
        }
    }
    /// 423: asks for that much from now on. `false` when that is no more than was asked, or it was raised often enough.
    fn raise(&mut self, least: Duration) -> bool {
        if self.expires.is_zero() || least <= self.expires || self.raised >= MAX_RAISED {
            return false;
        }
        self.raised += 1;
        self.expires = least;
        true
    }
}
