//! When a leg is to be told that time has passed, and what it does then.

use super::{Env, Leg, Phase, Purpose, inbound::Inbound, outbound::Outbound, wire::wire};
use std::time::Instant;

impl Leg {
    /// A deadline has passed.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        let mut failed = Vec::new();
        for outbound in &mut self.outbound {
            if let Some(failure) = outbound.fire(&mut wire!(self, env)) {
                failed.push((outbound.purpose, outbound.cseq, failure));
            }
        }
        let mut unacknowledged = false;
        for inbound in &mut self.inbound {
            unacknowledged |= inbound.fire(&mut wire!(self, env));
        }
        for (purpose, cseq, failure) in failed {
            self.failed(purpose, cseq, &failure, env);
        }
        if unacknowledged {
            self.never_acknowledged(env);
        }
        if self.reliable.fire(&mut wire!(self, env)) {
            self.never_pracked(env);
        }
        if !matches!(self.phase, Phase::GivenUp | Phase::Ended) {
            self.offer_limit(env);
        }
        match self.phase {
            Phase::Incoming(_) => self.incoming_timeout(env),
            Phase::Calling(_) => self.calling_timeout(env),
            Phase::Up(_) => self.session_due(env),
            Phase::GivenUp | Phase::Ended => {}
        }
        if self.linger.is_some_and(|at| at <= env.now) {
            self.linger = None;
            for outbound in &mut self.outbound {
                if outbound.purpose == Purpose::Offer {
                    outbound.abandon();
                }
            }
        }
        self.settle(env);
    }
    /// When to call `handle_timeout`; may have changed after any `handle_*`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let phase = match &self.phase {
            Phase::Incoming(incoming) => incoming
                .poll_timeout()
                .into_iter()
                .chain(self.reliable.poll_timeout())
                .min(),
            Phase::Calling(calling) => calling.poll_timeout(),
            Phase::Up(_) => self.session.poll_timeout(),
            Phase::GivenUp | Phase::Ended => None,
        };
        let offers = match self.phase {
            Phase::GivenUp | Phase::Ended => None,
            Phase::Incoming(_) | Phase::Calling(_) | Phase::Up(_) => self.offers.poll_timeout(),
        };
        let outbound = self.outbound.iter().filter_map(Outbound::poll_timeout);
        let inbound = self.inbound.iter().filter_map(Inbound::poll_timeout);
        outbound
            .chain(inbound)
            .chain(phase)
            .chain(offers)
            .chain(self.linger)
            .min()
    }
}
