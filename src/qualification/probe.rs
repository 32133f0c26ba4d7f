//! One question at a trunk: OPTIONS to its targets, one after another, until one answers well.

use super::WatchOutput;
use crate::{
    call::{Env, Transmit},
    sip::{
        CSeq, Method, NameAddr, Request, Response, Status, Text, Uri,
        routing::{Destination, Target},
        timers::Timers,
        transaction::{Client, Fired},
    },
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// How long a target may be silent: four datagrams.
const PATIENCE: Duration = Duration::from_secs(4);
/// Targets of one name that are asked.
const MOST: usize = 8;

/// What has come of it.
#[derive(Debug)]
pub(super) enum Outcome {
    There,
    /// Why not.
    Silent(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) call_id: Text,
    tag: String,
    trunk: Uri,
    user_agent: Text,
    targets: VecDeque<Target>,
    trial: Option<Trial>,
    /// What the last target has said, or has not.
    why: String,
}

#[derive(Debug)]
struct Trial {
    branch: Text,
    target: Target,
    transaction: Client,
    until: Instant,
}

impl Probe {
    /// Waits for [`Self::begin`].
    pub(super) fn new(trunk: &Uri, user_agent: Text, env: &mut Env<'_>) -> Self {
        Self {
            call_id: env.ids.call_id().into(),
            tag: env.ids.tag(),
            trunk: trunk.clone(),
            user_agent,
            targets: VecDeque::new(),
            trial: None,
            why: "it has no address that can be reached".to_owned(),
        }
    }
    /// Where the trunk is.
    pub(super) fn begin(
        &mut self,
        targets: &[Target],
        out: &mut VecDeque<WatchOutput>,
        timers: Timers,
        env: &mut Env<'_>,
    ) -> Option<Outcome> {
        self.targets = targets.iter().take(MOST).cloned().collect();
        self.next(out, timers, env)
    }
    fn next(
        &mut self,
        out: &mut VecDeque<WatchOutput>,
        timers: Timers,
        env: &mut Env<'_>,
    ) -> Option<Outcome> {
        self.trial = None;
        let Some(target) = self.targets.pop_front() else {
            return Some(Outcome::Silent(std::mem::take(&mut self.why)));
        };
        let branch: Text = env.ids.branch().into();
        let bytes = self.request(&target, &branch).to_bytes();
        let reliable = target.transport.is_reliable();
        out.push_back(WatchOutput::Transmit(Transmit {
            bytes: bytes.clone(),
            to: Destination::Target(target.clone()),
        }));
        self.trial = Some(Trial {
            branch,
            target,
            transaction: Client::start(bytes, reliable, timers, env.now),
            until: env.now + PATIENCE,
        });
        None
    }
    /// From nobody in particular where we are, to nobody in particular where the trunk is: some look for names in From and Contact
    /// that they know, and there is no user of whom this would be.
    fn request(&self, target: &Target, branch: &Text) -> Request {
        let trunk = self.trunk.without_headers().without_param("lr");
        let mut request = Request::new(Method::Options, trunk.clone());
        let (host, port) = match target.sent_by.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()),
            _ => (target.sent_by.as_str(), None),
        };
        let own = Uri::sip(None, host, port);
        let contact = match target.transport.as_uri_param() {
            Some(transport) => own.with_param("transport", Some(transport)),
            None => own,
        };
        let headers = &mut request.headers;
        let via = format!(
            "SIP/2.0/{} {};branch={branch};rport",
            target.transport.as_via(),
            target.sent_by
        );
        headers.push("Via", via);
        headers.push("Max-Forwards", "70");
        let from = NameAddr::of(Uri::sip(None, host, None));
        headers.push("From", from.with_tag(&self.tag).to_text());
        headers.push("To", NameAddr::of(trunk).to_text());
        headers.push("Call-ID", self.call_id.clone());
        let cseq = CSeq {
            number: 1,
            method: Method::Options,
        };
        headers.push("CSeq", cseq.to_text());
        headers.push("Contact", NameAddr::of(contact).to_text());
        headers.push("Accept", "application/sdp");
        headers.push("User-Agent", self.user_agent.clone());
        request
    }
    /// A response to it.
    pub(super) fn response(
        &mut self,
        response: &Response,
        out: &mut VecDeque<WatchOutput>,
        timers: Timers,
        env: &mut Env<'_>,
    ) -> Option<Outcome> {
        let branch = response.headers.via().ok().and_then(|via| via.branch());
        let trial = self.trial.as_mut()?;
        if branch.as_ref() != Some(&trial.branch) {
            return None;
        }
        let received = trial.transaction.receive(response.status, env.now);
        if !received.pass || response.status.is_provisional() {
            return None;
        }
        if matches!(
            response.status,
            Status::SERVICE_UNAVAILABLE | Status::REQUEST_TIMEOUT
        ) {
            self.why = format!("{} says {}", trial.target.remote, response.status);
            return self.next(out, timers, env);
        }
        Some(Outcome::There)
    }
    /// It could not be sent.
    pub(super) fn undeliverable(
        &mut self,
        branch: &Text,
        out: &mut VecDeque<WatchOutput>,
        timers: Timers,
        env: &mut Env<'_>,
    ) -> Option<Outcome> {
        let trial = self.trial.as_ref().filter(|trial| trial.branch == *branch)?;
        self.why = format!("{} cannot be reached", trial.target.remote);
        self.next(out, timers, env)
    }
    /// Repeats it, or gives the target up.
    pub(super) fn handle_timeout(
        &mut self,
        out: &mut VecDeque<WatchOutput>,
        timers: Timers,
        env: &mut Env<'_>,
    ) -> Option<Outcome> {
        let trial = self.trial.as_mut()?;
        let mut over = trial.until <= env.now;
        while let Some(fired) = trial.transaction.fire(env.now) {
            match fired {
                Fired::Send(bytes) if !over => out.push_back(WatchOutput::Transmit(Transmit {
                    bytes,
                    to: Destination::Target(trial.target.clone()),
                })),
                Fired::Send(_) => {}
                Fired::TimedOut => over = true,
            }
        }
        if !over {
            return None;
        }
        self.why = format!("{} does not answer", trial.target.remote);
        self.next(out, timers, env)
    }
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let trial = self.trial.as_ref()?;
        let repeats = trial.transaction.poll_timeout();
        Some(repeats.map_or(trial.until, |at| at.min(trial.until)))
    }
}
