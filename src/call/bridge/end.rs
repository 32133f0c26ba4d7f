//! Hanging up, and what is left to do after it.

use super::*;

impl Call {
    /// Leg A gets a final failure; an attempt at leg B is cancelled.
    pub(super) fn fail(&mut self, failure: Failure, env: &mut Env<'_>) {
        if matches!(self.phase, Phase::Over) {
            return;
        }
        self.nothing_to_pick_up(env);
        let mut failure = failure.for_caller();
        if self.member_of(Side::A).is_some_and(|caller| caller.stranger) {
            failure = failure.for_stranger();
        }
        let cause = Cause::of(failure.kind, failure.origin);
        self.tell(Side::A, Signal::Fail(failure.clone()), env);
        self.retire(Some(cause), env);
        self.record.status = failure.status;
        self.record.failure = Some(failure);
        self.over(env);
    }

    /// The server goes down: who was not called yet is not called any more.
    pub(super) fn drain(&mut self, env: &mut Env<'_>) {
        self.draining = true;
        self.members.iter_mut().for_each(|member| member.leg.stay());
        match self.phase {
            Phase::Identifying(..)
            | Phase::Routing
            | Phase::LookingUp
            | Phase::Opening(_)
            | Phase::Rescuing(_) => {
                let failure = Failure::of(Kind::Shutdown, Origin::Local).with("Retry-After", "30");
                self.fail(failure, env);
            }
            Phase::Up => self.guest_is_not_called(env),
            Phase::Dialling | Phase::Over => {}
        }
    }

    /// A leg has hung up (`by`), or the call is ended from outside: who does not know yet is told.
    pub(super) fn hang_up(&mut self, by: Option<Side>, mut cause: Cause, env: &mut Env<'_>) {
        if matches!(self.phase, Phase::Over) || by.is_some_and(|by| self.survives(by, &cause, env)) {
            return;
        }
        self.nothing_to_pick_up(env);
        // A leg of another call goes back there, unless it is its party that has hung up.
        let of_guest = self
            .rebridge
            .as_ref()
            .is_some_and(|rebridge| by == Some(rebridge.side()));
        let ended = (of_guest && self.is_seated()).then(|| cause.clone());
        self.send_home(cause.to_failure().status, ended);
        cause.headers = (cause.headers.take()).map(|headers| Box::new(self.crossing.sift(&headers)));
        if self.record.answered.is_none() {
            let mut failure = cause.to_failure();
            if by == Some(Side::A) {
                // CANCEL, or the caller is gone: its leg has answered 487 itself.
                failure.kind = cause.kind.unwrap_or(Kind::Cancelled);
                failure.status = Status::REQUEST_TERMINATED;
            }
            self.record.status = failure.status;
            self.record.failure = Some(failure);
        }
        if by != Some(Side::A) {
            self.tell(Side::A, Signal::Hangup(cause.clone()), env);
        }
        self.retire((by != Some(Side::B)).then(|| cause.clone()), env);
        self.dismiss_others(&cause, env);
        self.record.cause = Some(cause);
        self.over(env);
    }

    /// Nothing is decided any more: questions, timers, routes and media end.
    fn over(&mut self, env: &Env<'_>) {
        if std::mem::take(&mut self.asked) {
            self.put(Output::Withdraw);
        }
        self.phase = Phase::Over;
        self.record.ended = Some(env.now);
        self.exchange = None;
        self.requests.clear();
        self.early_keys.forget();
        self.transfers.clear();
        self.rebridge = None;
        self.adoption_ends();
        self.early = None;
        self.routes.clear();
        self.redirects = Redirects::default();
        self.current = None;
        self.later.clear();
        self.unanswered = None;
        self.no_answer = None;
        self.too_long = None;
        self.relay.opening.clear();
        self.end_agreements();
        if self.relay.used {
            self.put(Output::Media(MediaCommand::Close));
            self.relay.closing = Some(env.now + RELAY_PATIENCE);
        } else {
            self.relay.closed = true;
        }
    }

    /// Whether everything is over: first the record goes out, and when both legs are closed the call. What became of a transfer that
    /// has taken a leg into another call is known when that leg stays there or comes back.
    pub(super) fn finish_if_done(&mut self, env: &Env<'_>) {
        if !(matches!(self.phase, Phase::Over) && self.relay.closed) || self.adoption.has_lent() {
            return;
        }
        if !self.record.reported {
            self.record.reported = true;
            let summary = self.summary(env.now);
            self.event(CallEvent::Ended(Box::new(summary)));
        }
        if self.members.iter().all(|member| member.closed) && !self.record.finished {
            self.record.finished = true;
            let summary = self.summary(env.now);
            self.put(Output::Finished(Box::new(summary)));
        }
    }
}
