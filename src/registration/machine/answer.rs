//! What the registrar says.

use super::{Binding, Output, Registration, State};
use crate::{
    call::Env,
    registration::{
        backoff::random_part,
        granted,
        operation::Trouble,
        request::{Way, contact},
    },
    sip::{Method, Response, Status, routing::Transport},
};
use std::time::Duration;

/// A refresh comes no sooner, however little was granted.
const SOONEST: Duration = Duration::from_secs(1);
/// The most that a 423 may make us ask for.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

impl Registration {
    /// A response to a REGISTER with our Call-ID.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) {
        let State::Busy(operation) = &mut self.state else {
            return;
        };
        let (Ok(via), Ok(cseq), Some(trial)) = (
            response.headers.via(),
            response.headers.cseq(),
            &mut operation.trial,
        ) else {
            return;
        };
        let is_ours = via.branch().as_ref() == Some(&trial.branch)
            && cseq.number == self.identity.cseq()
            && cseq.method == Method::Register
            && response.headers.values("Via").count() == 1;
        if !is_ours || !trial.transaction.receive(response.status, env.now).pass {
            return;
        }
        trial.patience = None;
        if response.status.is_provisional() {
            return;
        }
        let way = trial.way.clone();
        if way.target.transport == Transport::Udp && (via.rport().is_some() || via.received().is_some()) {
            self.observed = granted::observed(response, &way.target.sent_by);
        }
        self.settle(response, way, env);
    }
    /// A final response.
    fn settle(&mut self, response: &Response, way: Way, env: &mut Env<'_>) {
        let State::Busy(operation) = &mut self.state else {
            return;
        };
        let status = response.status;
        if status.is_success() {
            return self.granted(response, env);
        }
        if matches!(
            status,
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
        ) {
            // The answer goes to the member that asked, and to no other (acceptance #25, S8).
            if let Some(credentials) = &self.plan.credentials
                && self.answers.take(response, credentials)
            {
                return self.send(way, env);
            }
            self.answers.clear();
        }
        if status.code() == 423
            && let Some(least) = response.headers.number("Min-Expires")
            && operation.raise(Duration::from_secs(least.into()).min(LONGEST))
        {
            self.least = operation.expires;
            return self.send(way, env);
        }
        let trouble = Trouble {
            why: granted::why(response).into(),
            retry_after: response.headers.retry_after(),
            refused: granted::is_refusal(status),
        };
        if status == Status::SERVICE_UNAVAILABLE && operation.has_more() {
            operation.refusal = Some(trouble);
            return self.next("no response", env);
        }
        self.fail(trouble, env);
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
        let calls_us = contact(self.plan.aor.user(), &trial.way, self.observed);
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
            self.state = State::Resting(env.now + random_part(time, env.ids).max(SOONEST));
        }
        self.out.push_back(Output::Changed);
    }
}
