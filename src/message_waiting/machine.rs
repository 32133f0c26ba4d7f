//! One subscription to a mailbox, from its first SUBSCRIBE to its end (RFC 6665 §4.1).

mod hearing;
mod setback;

use super::{
    dialog::Usage,
    plan::{MailboxPlan, MailboxStatus},
};
use crate::{
    call::{Env, LookupError},
    roll::{Enrolled, EnrolledOutput, LONGEST, Operation, Step, Terms, Trouble, Way, refresh},
    sip::{
        Method, NameAddr, Request, Response, Text, Uri,
        routing::{DialogKey, NextHop, Target},
        timers::Timers,
    },
};
use std::{collections::VecDeque, sync::Arc, time::Duration, time::Instant};

/// What a [`MailboxSubscription`] wants done. Its news are NOTIFYs.
pub type MailboxOutput = EnrolledOutput<MailboxSubscription>;

/// See the module. Contract as of [`Enrolled`].
#[derive(Debug)]
pub struct MailboxSubscription {
    plan: Arc<MailboxPlan>,
    user_agent: Text,
    terms: Terms,
    state: State,
    /// The account may subscribe.
    ready: bool,
    /// The way that its registrar has named.
    service_route: Arc<[Uri]>,
    usage: Option<Usage>,
    /// Until when it was granted.
    lapses: Option<Instant>,
    /// Since when there is this one.
    since: Option<Instant>,
    /// By when its first NOTIFY should have come.
    silent_until: Option<Instant>,
    failed: Option<Arc<str>>,
    failures: u32,
    ending: bool,
    out: VecDeque<MailboxOutput>,
}

#[derive(Debug)]
enum State {
    /// The account is not registered.
    Unready,
    /// Waits for its turn.
    Queued,
    /// Nothing to do until then: refresh, or another attempt.
    Resting(Instant),
    /// On its way.
    Busy(Box<Operation>),
    /// It was ended; until then its last NOTIFY is answered.
    Leaving(Instant),
    /// Nothing follows.
    Over,
}

impl Enrolled for MailboxSubscription {
    type Plan = MailboxPlan;
    type Name = DialogKey;
    type View = MailboxStatus;
    type News = Box<Request>;

    // It waits for [`Self::ready`], or wants its first turn where its account need not be registered.
    fn new(plan: Arc<MailboxPlan>, user_agent: Text, timers: Timers, _env: &mut Env<'_>) -> Self {
        let ready = !plan.after_registration;
        let mut new = Self {
            plan,
            user_agent,
            terms: Terms::new(timers),
            state: State::Unready,
            ready,
            service_route: Arc::default(),
            usage: None,
            lapses: None,
            since: None,
            silent_until: None,
            failed: None,
            failures: 0,
            ending: false,
            out: VecDeque::new(),
        };
        if ready {
            new.queue();
        }
        new
    }
    fn plan(&self) -> &Arc<MailboxPlan> {
        &self.plan
    }
    fn throttle(&self) -> Duration {
        self.plan.throttle
    }
    fn view(&self) -> MailboxStatus {
        match (self.lapses, &self.failed, &self.state) {
            (Some(_), ..) => MailboxStatus::Subscribed,
            (None, Some(why), _) => MailboxStatus::Failed(why.clone()),
            (None, None, State::Unready | State::Queued) => MailboxStatus::Waiting,
            (None, None, _) => MailboxStatus::InProgress,
        }
    }
    fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued)
    }
    fn is_urgent(&self) -> bool {
        self.lapses.is_some() || self.ending
    }
    // Only a last NOTIFY may come.
    fn is_done(&self) -> bool {
        matches!(self.state, State::Leaving(_) | State::Over)
    }
    fn can_become(&self, plan: &MailboxPlan) -> bool {
        self.plan.is_same_mailbox(plan)
    }
    // With other credentials at once, where the last attempt has failed.
    fn update(&mut self, plan: Arc<MailboxPlan>) {
        let answers_differ = plan.credentials != self.plan.credentials;
        let after = plan.after_registration;
        let newly_free = self.plan.after_registration && !after;
        self.plan = plan;
        if newly_free {
            self.ready = true;
        }
        if answers_differ {
            self.terms.answers.clear();
        }
        let waits = matches!(self.state, State::Unready) && self.ready;
        let tries_again = answers_differ && self.failed.is_some() && matches!(self.state, State::Resting(_));
        if (waits || tries_again) && !self.ending {
            self.failures = 0;
            self.queue();
        }
    }
    fn turn(&mut self, env: &mut Env<'_>) {
        if !matches!(self.state, State::Queued) {
            return;
        }
        if self.usage.is_none() && !self.ready {
            self.failed = None;
            self.state = State::Unready;
            return self.out.push_back(MailboxOutput::Changed);
        }
        let usage = match self.usage.take() {
            Some(usage) => usage,
            None => {
                let usage = Usage::new(&self.plan, &self.service_route, env.ids);
                self.out.push_back(MailboxOutput::Named(usage.key()));
                usage
            }
        };
        self.terms.answers.begin();
        let expires = if self.ending {
            Duration::ZERO
        } else {
            self.terms.asking(self.plan.expires)
        };
        let hop = usage.hop().by(self.plan.own.as_ref());
        self.usage = Some(usage);
        self.state = State::Busy(Box::new(Operation::new(expires, hop.clone())));
        self.out.push_back(MailboxOutput::Lookup(hop));
        self.out.push_back(MailboxOutput::Changed);
    }
    fn resolved(&mut self, hop: &NextHop, found: Result<Vec<Target>, LookupError>, env: &mut Env<'_>) {
        if let State::Busy(operation) = &mut self.state {
            let step = operation.resolved(hop, found, &mut self.terms);
            self.take(step, env);
        }
    }
    fn handle_timeout(&mut self, env: &mut Env<'_>) {
        if self.silent_until.is_some_and(|until| until <= env.now) {
            self.silent_until = None;
            // RFC 6665 would have us give it up. Some tell nothing before something changes.
            tracing::warn!(account = %self.plan.aor, "the mailbox is subscribed to, and no NOTIFY has come");
        }
        if self.lapses.is_some_and(|until| until <= env.now) {
            match self.state {
                // What is on its way may still renew it.
                State::Busy(_) => self.lapses = None,
                State::Unready | State::Queued | State::Resting(_) | State::Leaving(_) | State::Over => {
                    self.lose()
                }
            }
            self.out.push_back(MailboxOutput::Changed);
        }
        match &mut self.state {
            State::Resting(until) if *until <= env.now => self.queue(),
            State::Leaving(until) if *until <= env.now => self.finish(),
            State::Busy(operation) => {
                let step = operation.handle_timeout(&mut self.out, env.now);
                self.take(step, env);
            }
            State::Unready | State::Resting(_) | State::Queued | State::Leaving(_) | State::Over => {}
        }
    }
    // RFC 6665 §4.1.2.3.
    fn end(&mut self) {
        self.ending = true;
        match &self.state {
            // What is on its way may begin one.
            State::Busy(_) | State::Leaving(_) | State::Over => {}
            State::Unready | State::Queued | State::Resting(_) if self.usage.is_none() => self.finish(),
            State::Queued => {}
            State::Unready | State::Resting(_) => self.queue(),
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let state = match &self.state {
            State::Unready | State::Queued | State::Over => None,
            State::Resting(until) | State::Leaving(until) => Some(*until),
            State::Busy(operation) => operation.poll_timeout(),
        };
        [state, self.lapses, self.silent_until]
            .into_iter()
            .flatten()
            .min()
    }
    fn poll_output(&mut self) -> Option<MailboxOutput> {
        self.out.pop_front()
    }
}

impl MailboxSubscription {
    /// The account is registered, and its requests are to take this way (RFC 3608); `None`: it is not. What was granted stays.
    pub fn ready(&mut self, service_route: Option<Arc<[Uri]>>) {
        if !self.plan.after_registration {
            return;
        }
        self.ready = service_route.is_some();
        if let Some(route) = service_route {
            self.service_route = route;
            if matches!(self.state, State::Unready) {
                self.queue();
            }
        } else if self.usage.is_none() && matches!(self.state, State::Queued | State::Resting(_)) {
            self.failed = None;
            self.state = State::Unready;
            self.out.push_back(MailboxOutput::Changed);
        }
    }
    /// A response to a SUBSCRIBE of its dialog.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) {
        if let (State::Busy(operation), Some(usage)) = (&mut self.state, &self.usage) {
            let request = (Method::Subscribe, usage.cseq());
            let credentials = self.plan.credentials.as_deref();
            let step = operation.response(response, request, credentials, &mut self.terms, env.now);
            self.take(step, env);
        }
    }
    fn take(&mut self, step: Step<'_>, env: &mut Env<'_>) {
        match step {
            Step::Wait => {}
            Step::Send(way) => self.send(way, env),
            Step::Granted(response) => self.granted(response, env),
            Step::Failed(trouble) => self.fail(trouble, env),
        }
    }
    fn granted(&mut self, response: &Response, env: &mut Env<'_>) {
        let State::Busy(operation) = &mut self.state else {
            return;
        };
        let asked = operation.expires;
        let Some(usage) = &mut self.usage else { return };
        if asked.is_zero() {
            self.lapses = None;
            self.state = State::Leaving(env.now + self.terms.timers.t1_64());
            return self.out.push_back(MailboxOutput::Changed);
        }
        usage.granted(response);
        let seconds = response.headers.number("Expires");
        let time = seconds.map_or(asked, |seconds| Duration::from_secs(seconds.into()));
        let time = time.min(LONGEST);
        if time.is_zero() {
            return self.fail(Trouble::passing("the notifier granted no time"), env);
        }
        if self.since.is_none() {
            self.since = Some(env.now);
            // RFC 6665 §4.1.2.4, timer N.
            self.silent_until = (!usage.has_spoken).then(|| env.now + self.terms.timers.t1_64());
        } else {
            self.failures = 0;
        }
        self.lapses = Some(env.now + time);
        self.failed = None;
        if self.ending {
            self.queue();
        } else {
            self.state = State::Resting(env.now + refresh(time, env.ids));
        }
        self.out.push_back(MailboxOutput::Changed);
    }
    fn send(&mut self, way: Way, env: &mut Env<'_>) {
        let (State::Busy(operation), Some(usage)) = (&mut self.state, &mut self.usage) else {
            return;
        };
        let mut request = usage.subscribe(operation.expires, &self.user_agent);
        let ours = self.terms.contact(self.plan.aor.user(), &way);
        request
            .headers
            .push("Contact", NameAddr::of(ours.clone()).to_text());
        let credentials = self.plan.credentials.as_deref();
        match operation.send(way, (request, ours), credentials, &mut self.terms, env) {
            Ok(transmit) => self.out.push_back(MailboxOutput::Transmit(transmit)),
            Err(instead) => self.send(instead, env),
        }
    }
    /// The SUBSCRIBE with this branch could not be sent to its target.
    pub fn undeliverable(&mut self, branch: &[u8], env: &mut Env<'_>) {
        if let State::Busy(operation) = &mut self.state {
            let step = operation.undeliverable(branch);
            self.take(step, env);
        }
    }
    /// There is no subscription any more.
    fn lose(&mut self) {
        self.lapses = None;
        self.since = None;
        self.silent_until = None;
        if let Some(usage) = self.usage.take() {
            self.out.push_back(MailboxOutput::Unnamed(usage.key()));
        }
    }
    fn queue(&mut self) {
        if !self.ready && self.usage.is_none() {
            self.failed = None;
            self.state = State::Unready;
            return self.out.push_back(MailboxOutput::Changed);
        }
        self.state = State::Queued;
        self.out.push_back(MailboxOutput::Turn);
    }
    fn finish(&mut self) {
        self.lose();
        self.state = State::Over;
        self.out.push_back(MailboxOutput::Changed);
        self.out.push_back(MailboxOutput::Finished);
    }
}
