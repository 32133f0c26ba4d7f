//! How a request that crosses is answered.

use super::{Passage, Phase, content, subscription};
use crate::{
    call::{Env, Failure, Origin, Side, leg::Heard},
    sip::{Method, Response, Status},
};

impl Passage {
    pub(super) fn response(&mut self, response: &Response, env: &mut Env<'_>) {
        let (Ok(via), Ok(cseq)) = (response.headers.via(), response.headers.cseq()) else {
            return;
        };
        let branch = via.branch().unwrap_or_default();
        let found = self.crossings.iter().position(|crossing| {
            crossing
                .outbound
                .as_ref()
                .is_some_and(|outbound| outbound.has_branch(&branch))
        });
        let Some((at, crossing)) = found.and_then(|at| Some((at, self.crossings.get_mut(at)?))) else {
            return tracing::debug!(status = %response.status, "response to no request of this passage");
        };
        let half = match crossing.asker {
            Side::A => self.b.as_mut(),
            Side::B => Some(&mut self.a),
        };
        let (Some(half), Some(outbound)) = (half, crossing.outbound.as_mut()) else {
            return;
        };
        match outbound.receive(&branch, &cseq, response, &mut half.wire(&self.profile, env)) {
            // Who asked is not told of provisional responses: most are forbidden (RFC 4320 §4.1).
            Heard::Nothing | Heard::Provisional | Heard::Again => {}
            Heard::Failed(failure) => self.failed(at, failure, env),
            Heard::Final => self.answered(at, response, env),
        }
    }
    /// A final response: it crosses, or sends the first request to the next route.
    fn answered(&mut self, at: usize, response: &Response, env: &mut Env<'_>) {
        if self.phase == Phase::Crossing && at == 0 && !response.status.is_success() {
            let failure = Failure::of_response(response, Origin::LegB);
            if self.goes_on(&failure) {
                return self.try_next(failure, env);
            }
        }
        self.note_answer(at, response, env);
        let is_stranger = self.answers_a_stranger(at);
        let (a, b) = (&mut self.a, self.b.as_mut());
        let Some(crossing) = self.crossings.get_mut(at) else {
            return;
        };
        let half = match crossing.asker {
            Side::A => Some(a),
            Side::B => b,
        };
        let (Some(half), Some(inbound)) = (half, crossing.inbound.as_mut()) else {
            tracing::info!(status = %response.status, "the request of our own is answered");
            return self.crossed(at);
        };
        let tag = half.dialog.local_tag.to_string();
        let mut wire = half.wire(&self.profile, env);
        let status = match response.status {
            // A challenge is between the other side and its peer: who asked could not answer it.
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED => Status::FORBIDDEN,
            // RFC 4320 §4.2: nobody sends 408 to what is no INVITE.
            Status::REQUEST_TIMEOUT => Status::SERVER_TIMEOUT,
            // Where else somebody is found is not for strangers.
            other if is_stranger && (300..400).contains(&other.code()) => Status::TEMPORARILY_UNAVAILABLE,
            other => other,
        };
        let mut answer = inbound.response(status, &tag, &wire);
        if status == response.status && !response.reason.is_empty() && !is_stranger {
            answer.reason = response.reason.clone();
        }
        if is_stranger {
            content::for_stranger(&response.headers, &mut answer.headers);
        } else {
            content::of_response(&response.headers, &mut answer.headers);
        }
        if (300..400).contains(&status.code()) {
            answer.headers.copy_from(&response.headers, "Contact");
        }
        if status.is_success() && inbound.request.method == Method::Subscribe {
            // What was agreed may be longer than we hold it.
            if let Some(seconds) = subscription::seconds(&answer.headers) {
                answer.headers.set("Expires", seconds.to_string());
            }
        }
        answer.body = response.body.clone();
        inbound.send(&answer, &mut wire);
        self.crossed(at);
    }
    /// Whether a first request that failed so is tried on the next route: not after a word for all of them.
    fn goes_on(&self, failure: &Failure) -> bool {
        let stop = self
            .current
            .as_ref()
            .is_some_and(|route| route.limits.stop_codes.contains(&failure.status));
        !stop && !self.routes.is_empty() && failure.status.code() < 600
    }
    /// A request got no answer that counts.
    pub(super) fn failed(&mut self, at: usize, mut failure: Failure, env: &mut Env<'_>) {
        if self.phase == Phase::Crossing && at == 0 && self.goes_on(&failure) {
            return self.try_next(failure, env);
        }
        let of_subscription = self.phase == Phase::Answered;
        if failure.status == Status::REQUEST_TIMEOUT {
            // RFC 4320 §4.2.
            failure.status = Status::SERVER_TIMEOUT;
        }
        let asker = self.crossings.get(at).map(|crossing| crossing.asker);
        if of_subscription && asker == Some(Side::B) {
            // Who subscribed is gone: RFC 6665 §4.2.2 ends the subscription, and 481 says so to who notifies.
            failure.status = Status::CALL_DOES_NOT_EXIST;
            self.is_over();
        }
        if self.answers_a_stranger(at) {
            failure = failure.for_stranger();
        }
        self.refuse(at, &failure, env);
    }
    /// Whether who asked is a stranger to who answers.
    fn answers_a_stranger(&self, at: usize) -> bool {
        let asker = self.crossings.get(at).map(|crossing| crossing.asker);
        let stranger = self.current.as_ref().and_then(|route| route.stranger);
        stranger.is_some() && asker == stranger
    }
    /// Answers a crossing with a failure.
    pub(super) fn refuse(&mut self, at: usize, failure: &Failure, env: &mut Env<'_>) {
        let (a, b) = (&mut self.a, self.b.as_mut());
        let Some(crossing) = self.crossings.get_mut(at) else {
            return;
        };
        if let Some(outbound) = crossing.outbound.as_mut().filter(|outbound| !outbound.done) {
            outbound.abandon();
        }
        let half = match crossing.asker {
            Side::A => Some(a),
            Side::B => b,
        };
        if let (Some(half), Some(inbound)) = (half, crossing.inbound.as_mut()) {
            let tag = half.dialog.local_tag.to_string();
            inbound.refuse(failure, &tag, &mut half.wire(&self.profile, env));
        } else {
            tracing::info!(status = %failure.status, reason = ?failure.reason, "the request of our own goes nowhere");
        }
        self.crossed(at);
    }
    /// A crossing has its answer.
    fn crossed(&mut self, at: usize) {
        if at == 0 && self.phase == Phase::Crossing {
            self.phase = Phase::Answered;
        }
        if self.crossings.get(at).is_some_and(|crossing| crossing.last) {
            self.is_over();
        }
    }
    pub(super) fn is_over(&mut self) {
        if let Some(subscription) = &mut self.subscription {
            subscription.over = true;
        }
    }
}
