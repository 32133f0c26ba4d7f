//! What a leg puts on the wire, and what comes back: next hops, targets, responses to our requests.

use super::{
    Env, Failure, Heard, Leg, LegOutput, Outbound, Phase, Profile, Purpose, Session, ack::Repeated,
    auth::Account, inbound::ALLOW,
};
use crate::{
    call::{LookupError, Unsent},
    sip::{
        Ids, Method, Request, Response, Text,
        dialog::Dialog,
        routing::{Destination, NextHop, Path, Target},
    },
};
use std::{collections::VecDeque, time::Instant};

/// What requests and responses need of the leg to get on the wire.
pub(super) struct Wire<'a> {
    pub(super) out: &'a mut VecDeque<LegOutput>,
    pub(super) profile: &'a Profile,
    pub(super) account: Option<&'a Account>,
    /// The last CSeq that we used.
    pub(super) cseq: &'a mut u32,
    pub(super) session: &'a mut Session,
    pub(super) now: Instant,
    pub(super) ids: &'a mut Ids,
}

/// Borrows the parts of a leg that a [`Wire`] is made of, and leaves the others free.
macro_rules! wire {
    ($leg:expr, $env:expr) => {
        $crate::call::leg::wire::Wire {
            out: &mut $leg.out,
            profile: &$leg.profile,
            account: $leg.account.as_ref(),
            cseq: &mut $leg.dialog.local_cseq,
            session: &mut $leg.session,
            now: $env.now,
            ids: &mut *$env.ids,
        }
    };
}
pub(super) use wire;

impl Leg {
    /// How requests of the dialog are addressed, and where they go first.
    pub(super) fn path(&self) -> Path {
        let mut path = self.dialog.path();
        if let Some(nat) = self.nat.as_ref().filter(|_| path.route.is_empty()) {
            path.hop = NextHop::to(nat.clone());
        }
        path
    }
    /// Sends a request of the dialog, when it is known where to.
    pub(super) fn request(&mut self, mut outbound: Outbound, env: &mut Env<'_>) {
        outbound
            .request
            .headers
            .push("User-Agent", self.profile.user_agent.clone());
        let known = outbound.hop.as_ref().and_then(|hop| self.known(hop));
        match (known, outbound.hop.clone()) {
            (Some(targets), _) => {
                let failed = outbound.begin(&targets, &mut wire!(self, env));
                let (purpose, cseq) = (outbound.purpose, outbound.cseq);
                self.outbound.push(outbound);
                if let Some(failure) = failed {
                    self.failed(purpose, cseq, &failure, env);
                }
            }
            (None, hop) => {
                self.outbound.push(outbound);
                if let Some(hop) = hop {
                    self.look_up(hop);
                }
            }
        }
    }
    /// A request that says where we are, and that we still are (RFC 3261 §12.2.1.1, RFC 4028 §7.1).
    pub(super) fn target_refresh(&mut self, method: Method, purpose: Purpose) -> Outbound {
        let path = self.path();
        let request = self.dialog.request(method, &path);
        let mut outbound = self.with_contact(request, purpose, path.hop);
        self.session.dress(&mut outbound.request.headers);
        outbound
    }
    /// An offer before the answer, to the caller or to the fork that spoke last: it refreshes no session yet.
    pub(super) fn early_update(&mut self) -> Outbound {
        let early = match &self.phase {
            Phase::Calling(calling) => calling.active().cloned(),
            Phase::Incoming(_) | Phase::GivenUp | Phase::Up(_) | Phase::Ended => None,
        };
        let path = early.as_ref().map_or_else(|| self.path(), Dialog::path);
        // All dialogs of an INVITE count together: a gap is no fault.
        let mut request = self.dialog.request(Method::Update, &path);
        if let Some(early) = early {
            request = early.numbered(Method::Update, self.dialog.local_cseq, &path);
        }
        self.with_contact(request, Purpose::Offer, path.hop)
    }
    fn with_contact(&self, mut request: Request, purpose: Purpose, hop: NextHop) -> Outbound {
        let contact = self.contact.clone();
        let per_target = contact.is_none();
        request
            .headers
            .push("Contact", contact.unwrap_or(Text::from_static("<sip:invalid>")));
        request.headers.push("Allow", ALLOW);
        let cseq = self.dialog.local_cseq;
        Outbound::new(purpose, request, cseq, per_target, Some(hop))
    }
    pub(super) fn known(&self, hop: &NextHop) -> Option<Vec<Target>> {
        self.resolved
            .iter()
            .find(|(known, _)| known == hop)
            .map(|(_, targets)| targets.clone())
    }
    pub(super) fn look_up(&mut self, hop: NextHop) {
        if !self.lookups.contains(&hop) {
            self.lookups.push_back(hop.clone());
            self.out.push_back(LegOutput::Lookup(hop.by(self.own.as_ref())));
        }
    }
    /// A hop has been found: what waited for it goes, ACKs first.
    pub(super) fn go(&mut self, hop: &NextHop, targets: &[Target], env: &mut Env<'_>) {
        self.acks.resolved(hop, targets, &mut wire!(self, env));
        let mut failed = Vec::new();
        for outbound in &mut self.outbound {
            if outbound.hop.as_ref() == Some(hop)
                && let Some(failure) = outbound.begin(targets, &mut wire!(self, env))
            {
                failed.push((outbound.purpose, outbound.cseq, failure));
            }
        }
        for (purpose, cseq, failure) in failed {
            self.failed(purpose, cseq, &failure, env);
        }
    }
    /// A hop leads nowhere.
    pub(super) fn no_way(&mut self, hop: &NextHop, error: &LookupError, env: &mut Env<'_>) {
        tracing::debug!(side = ?self.side, %error, "no way to the next hop");
        self.acks.resolved(hop, &[], &mut wire!(self, env));
        let mut failed = Vec::new();
        for outbound in &mut self.outbound {
            if outbound.hop.as_ref() == Some(hop) {
                outbound.abandon();
                outbound.hop = None;
                failed.push((outbound.purpose, outbound.cseq, Failure::of_lookup(error)));
            }
        }
        for (purpose, cseq, failure) in failed {
            self.failed(purpose, cseq, &failure, env);
        }
    }
    /// Sending failed: the request goes on to its next target, and nothing becomes of the others at that address.
    pub fn handle_undeliverable(&mut self, Unsent { branch, to, .. }: &Unsent, env: &mut Env<'_>) {
        let by_contact = self.leave_nat(to).then(|| self.path().hop);
        if let Destination::Target(target) = to {
            // Ask again before the next request: where it was may not be where it is.
            self.resolved
                .retain(|(_, targets)| targets.first() != Some(target));
        }
        self.acks.undeliverable(branch, &mut wire!(self, env));
        let (mut failed, mut again) = (Vec::new(), None);
        let concerned = |outbound: &&mut Outbound| outbound.has_branch(branch);
        for outbound in self.outbound.iter_mut().filter(concerned) {
            let failure = outbound.undeliverable(to, &mut wire!(self, env));
            match (failure, &by_contact) {
                (Some(_), Some(hop)) => {
                    outbound.go_elsewhere(hop.clone());
                    again = Some(hop.clone());
                }
                (Some(failure), None) => failed.push((outbound.purpose, outbound.cseq, failure)),
                (None, _) => {}
            }
        }
        if let Some(hop) = again {
            self.look_up(hop);
        }
        for (purpose, cseq, failure) in failed {
            self.failed(purpose, cseq, &failure, env);
        }
        self.settle(env);
    }
    pub(super) fn handle_response(&mut self, response: &Response, env: &mut Env<'_>) {
        let (Ok(via), Ok(cseq)) = (response.headers.via(), response.headers.cseq()) else {
            return;
        };
        if response.headers.values("Via").count() != 1 {
            tracing::debug!(side = ?self.side, "response that is for somebody else (RFC 3261 §8.1.3.3)");
            return;
        }
        let branch = via.branch().unwrap_or_default();
        if cseq.method == Method::Invite && response.status.is_success() {
            let tag = response.headers.to().ok().and_then(|to| to.tag());
            match self.acks.repeat(cseq.number, tag.as_ref(), &mut wire!(self, env)) {
                Repeated::Unknown => {}
                Repeated::Done => return,
                Repeated::LookUp(hop) => return self.look_up(hop),
            }
        }
        let Some(at) = self
            .outbound
            .iter()
            .position(|outbound| outbound.has_branch(&branch))
        else {
            tracing::debug!(side = ?self.side, status = %response.status, "response to no request of ours");
            return;
        };
        let Some(outbound) = self.outbound.get_mut(at) else {
            return;
        };
        let heard = outbound.receive(&branch, &cseq, response, &mut wire!(self, env));
        let (purpose, number) = (outbound.purpose, outbound.cseq);
        match (heard, purpose) {
            (Heard::Nothing, _) => {}
            (Heard::Failed(failure), _) => self.failed(purpose, number, &failure, env),
            (heard, Purpose::Call) => self.call_response(&heard, response, at, env),
            (Heard::Final, Purpose::Offer) => self.offer_response(response, at, env),
            (Heard::Final, Purpose::Refresh) => self.refresh_response(response, env),
            (Heard::Final, Purpose::Passed) => self.passed_response(response, at, env),
            // A BYE or PRACK is over with any final response; 2xx of another fork to a re-INVITE cannot be.
            (Heard::Final | Heard::Provisional | Heard::Again, _) => {}
        }
    }
    /// A request of ours got no response that counts.
    pub(super) fn failed(&mut self, purpose: Purpose, cseq: u32, failure: &Failure, env: &mut Env<'_>) {
        match purpose {
            Purpose::Call => self.call_failed(failure.clone(), env),
            Purpose::Offer => self.offer_failed(failure.clone(), env),
            Purpose::Refresh => self.refresh_failed(failure, env),
            Purpose::Passed => self.passed_failed(failure, env),
            // What it acknowledged will be repeated, or the callee gives up.
            Purpose::Prack => tracing::debug!(side = ?self.side, cseq, "PRACK not answered"),
            Purpose::Bye | Purpose::ByeFork => tracing::debug!(side = ?self.side, cseq, "BYE not answered"),
        }
    }
}
