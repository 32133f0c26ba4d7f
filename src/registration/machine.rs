//! One registration, from its first REGISTER to the removal of its binding.

use super::{
    View, granted,
    plan::{RegistrationPlan, RegistrationStatus},
    request::Identity,
};
use crate::{
    call::{Env, LookupError},
    roll::{CAP, Enrolled, EnrolledOutput, Operation, Step, Terms, Trouble, Way, delay, refresh},
    sip::{
        Method, NameAddr, Response, Text, Uri,
        routing::{NextHop, Own, Target},
        timers::Timers,
    },
};
use std::{
    collections::VecDeque, convert::Infallible, net::IpAddr, sync::Arc, time::Duration, time::Instant,
};

/// What a [`Registration`] wants done.
pub type Output = EnrolledOutput<Registration>;

/// What the wire knows a [`Registration`] by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Name {
    /// The Call-ID, the same for its whole life.
    Call(Text),
    /// Its own connections.
    Own(Own),
}

/// What the registrar has granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Our Contact.
    pub contact: Uri,
    /// Where the registrar and its proxies are: who may call.
    pub peers: Arc<[IpAddr]>,
    /// The way that requests of this account are to take (RFC 3608); empty: none was named.
    pub service_route: Arc<[Uri]>,
}

/// See the module. Contract as of [`Enrolled`].
#[derive(Debug)]
pub struct Registration {
    plan: Arc<RegistrationPlan>,
    identity: Identity,
    terms: Terms,
    state: State,
    binding: Option<Binding>,
    /// Until when it was granted.
    lapses: Option<Instant>,
    failed: Option<Arc<str>>,
    failures: u32,
    /// How often its connection was lost since it last held from one refresh to the next.
    losses: u32,
    /// The next REGISTER comes for such a loss.
    mending: bool,
    /// The present binding was made anew because of where we are seen: not twice in a row.
    moved: bool,
    /// The plan has changed meanwhile.
    again: bool,
    ending: bool,
    out: VecDeque<Output>,
}

#[derive(Debug)]
enum State {
    /// Waits for its turn.
    Queued,
    /// Nothing to do until then: refresh, or another attempt.
    Resting(Instant),
    /// On its way.
    Busy(Box<Operation>),
    /// Nothing follows.
    Over,
}

impl Enrolled for Registration {
    type Plan = RegistrationPlan;
    type Name = Name;
    type View = View;
    type News = Infallible;

    fn new(plan: Arc<RegistrationPlan>, user_agent: Text, timers: Timers, env: &mut Env<'_>) -> Self {
        let identity = Identity::new(env.ids.call_id(), env.ids.tag(), user_agent);
        let names = [
            Some(Name::Call(identity.call_id.clone())),
            plan.own.clone().map(Name::Own),
        ];
        let mut out: VecDeque<_> = names.into_iter().flatten().map(Output::Named).collect();
        out.push_back(Output::Turn);
        Self {
            plan,
            identity,
            terms: Terms::new(timers),
            state: State::Queued,
            binding: None,
            lapses: None,
            failed: None,
            failures: 0,
            losses: 0,
            mending: false,
            moved: false,
            again: false,
            ending: false,
            out,
        }
    }
    fn plan(&self) -> &Arc<RegistrationPlan> {
        &self.plan
    }
    fn throttle(&self) -> Duration {
        self.plan.throttle
    }
    fn view(&self) -> View {
        View {
            status: self.status(),
            binding: self.binding.clone(),
        }
    }
    fn is_queued(&self) -> bool {
        matches!(self.state, State::Queued)
    }
    fn is_urgent(&self) -> bool {
        self.binding.is_some() || self.ending
    }
    fn is_done(&self) -> bool {
        matches!(self.state, State::Over)
    }
    fn can_become(&self, plan: &RegistrationPlan) -> bool {
        self.plan.is_same_binding(plan)
    }
    // With other credentials or another route, at once.
    fn update(&mut self, plan: Arc<RegistrationPlan>) {
        let now = plan.needs_register(&self.plan);
        if plan.own != self.plan.own {
            let old = self.plan.own.clone();
            self.out.extend(old.map(Name::Own).map(Output::Unnamed));
            let new = plan.own.clone();
            self.out.extend(new.map(Name::Own).map(Output::Named));
        }
        if plan.credentials != self.plan.credentials {
            self.terms.answers.clear();
        }
        self.plan = plan;
        if now && !self.ending {
            self.failures = 0;
            match self.state {
                State::Resting(_) => self.queue(),
                State::Busy(_) => self.again = true,
                State::Queued | State::Over => {}
            }
        }
    }
    fn turn(&mut self, _env: &mut Env<'_>) {
        if !matches!(self.state, State::Queued) {
            return;
        }
        self.again = false;
        self.mending = false;
        self.terms.answers.begin();
        let expires = if self.ending {
            Duration::ZERO
        } else {
            self.terms.asking(self.plan.expires)
        };
        let hop = NextHop::first(&self.plan.route, &self.plan.registrar).by(self.plan.own.as_ref());
        self.state = State::Busy(Box::new(Operation::new(expires, hop.clone())));
        self.out.push_back(Output::Lookup(hop));
        self.out.push_back(Output::Changed);
    }
    fn resolved(&mut self, hop: &NextHop, found: Result<Vec<Target>, LookupError>, env: &mut Env<'_>) {
        if let State::Busy(operation) = &mut self.state {
            let step = operation.resolved(hop, found, &mut self.terms);
            self.take(step, env);
        }
    }
    fn handle_timeout(&mut self, env: &mut Env<'_>) {
        if self.lapses.is_some_and(|until| until <= env.now) {
            self.lose();
            self.out.push_back(Output::Changed);
        }
        match &mut self.state {
            State::Resting(until) if *until <= env.now => {
                if !self.mending {
                    self.losses = 0;
                }
                self.queue();
            }
            State::Busy(operation) => {
                let step = operation.handle_timeout(&mut self.out, env.now);
                self.take(step, env);
            }
            State::Resting(_) | State::Queued | State::Over => {}
        }
    }
    // Removes the binding (RFC 3261 §10.2.2).
    fn end(&mut self) {
        self.ending = true;
        match (&self.state, &self.binding) {
            // What is on its way may make a binding: RFC 3261 §10.2 has us wait.
            (State::Busy(_) | State::Over, _) => {}
            (_, None) => self.finish(),
            (State::Queued, Some(_)) => {}
            (State::Resting(_), Some(_)) => self.queue(),
        }
    }
    fn close(&mut self) {
        if self.ending || self.plan.unregister {
            self.end();
        } else {
            self.finish();
        }
    }
    fn poll_timeout(&self) -> Option<Instant> {
        let state = match &self.state {
            State::Queued | State::Over => None,
            State::Resting(until) => Some(*until),
            State::Busy(operation) => operation.poll_timeout(),
        };
        [state, self.lapses].into_iter().flatten().min()
    }
    fn poll_output(&mut self) -> Option<Output> {
        self.out.pop_front()
    }
}

impl Registration {
    /// How far it is.
    fn status(&self) -> RegistrationStatus {
        match (&self.binding, &self.failed, &self.state) {
            (Some(_), ..) => RegistrationStatus::Registered,
            (None, Some(why), _) => RegistrationStatus::Failed(why.clone()),
            (None, None, State::Queued) => RegistrationStatus::Waiting,
            (None, None, _) => RegistrationStatus::InProgress,
        }
    }
    /// A response to a REGISTER with our Call-ID.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) {
        if let State::Busy(operation) = &mut self.state {
            let request = (Method::Register, self.identity.cseq());
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
    fn send(&mut self, way: Way, env: &mut Env<'_>) {
        let State::Busy(operation) = &mut self.state else {
            return;
        };
        let mut request = self.identity.next(&self.plan, operation.expires);
        let is_removal = operation.expires.is_zero();
        let bound = self.binding.as_ref().map(|binding| &binding.contact);
        let ours = match bound.filter(|_| is_removal) {
            Some(bound) => bound.clone(),
            None => self.terms.contact(self.plan.aor.user(), &way),
        };
        request
            .headers
            .push("Contact", NameAddr::of(ours.clone()).to_text());
        if let Some(old) = bound.filter(|old| **old != ours) {
            let old = NameAddr::of(old.clone()).to_text();
            request
                .headers
                .push("Contact", [old.as_bytes(), b";expires=0"].concat());
        }
        let credentials = self.plan.credentials.as_deref();
        match operation.send(way, (request, ours), credentials, &mut self.terms, env) {
            Ok(transmit) => self.out.push_back(Output::Transmit(transmit)),
            Err(instead) => self.send(instead, env),
        }
    }
    fn granted(&mut self, response: &Response, env: &mut Env<'_>) {
        let State::Busy(operation) = &mut self.state else {
            return;
        };
        if operation.expires.is_zero() {
            self.lose();
            return self.finish();
        }
        let Some(trial) = operation.trial.take() else {
            return;
        };
        let time = granted::expiry(response, &trial.contact, operation.expires);
        if time.is_zero() {
            return self.fail(Trouble::passing("the registrar granted no time"), env);
        }
        let calls_us = self.terms.contact(self.plan.aor.user(), &trial.way);
        let elsewhere = calls_us != trial.contact && !self.moved;
        self.binding = Some(Binding {
            contact: trial.contact,
            peers: operation.peers.clone(),
            service_route: granted::service_route(&response.headers),
        });
        self.lapses = Some(env.now + time);
        self.failed = None;
        self.failures = 0;
        self.moved = elsewhere;
        if self.ending || self.again || elsewhere {
            self.queue();
        } else {
            self.state = State::Resting(env.now + refresh(time, env.ids));
        }
        self.out.push_back(Output::Changed);
    }
    /// The connection of its own is lost: whoever calls finds it again when there is another, which the next REGISTER opens. One that
    /// is lost again and again is opened ever later.
    pub fn lost(&mut self, env: &mut Env<'_>) {
        if let (State::Resting(until), Some(_)) = (&mut self.state, &self.binding) {
            self.losses = self.losses.saturating_add(1);
            self.mending = true;
            *until = (*until).min(env.now + delay(self.losses, None, env.ids));
        }
    }
    /// The REGISTER with this branch could not be sent to this target.
    pub fn undeliverable(&mut self, branch: &[u8], env: &mut Env<'_>) {
        if let State::Busy(operation) = &mut self.state {
            let step = operation.undeliverable(branch);
            self.take(step, env);
        }
    }
    /// There is no binding any more.
    fn lose(&mut self) {
        self.binding = None;
        self.lapses = None;
    }
    fn queue(&mut self) {
        self.state = State::Queued;
        self.out.push_back(Output::Turn);
    }
    fn finish(&mut self) {
        self.state = State::Over;
        self.out
            .push_back(Output::Unnamed(Name::Call(self.identity.call_id.clone())));
        let own = self.plan.own.clone();
        self.out.extend(own.map(Name::Own).map(Output::Unnamed));
        self.out.push_back(Output::Changed);
        self.out.push_back(Output::Finished);
    }
    fn fail(&mut self, trouble: Trouble, env: &mut Env<'_>) {
        let was_removal = matches!(&self.state, State::Busy(operation) if operation.expires.is_zero());
        if was_removal {
            tracing::debug!(aor = %self.plan.aor, why = %trouble.why, "not unregistered");
            self.lose();
            return self.finish();
        }
        if trouble.refused {
            self.lose();
        }
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(trouble.why);
        if self.ending && self.binding.is_none() {
            return self.finish();
        }
        if self.ending || self.again {
            self.queue();
        } else {
            let wait = delay(self.failures, trouble.retry_after, env.ids).min(CAP);
            self.state = State::Resting(env.now + wait);
        }
        self.out.push_back(Output::Changed);
    }
}
