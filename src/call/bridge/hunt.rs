//! Leg B's progress, answer or failure; further routes; rescue.

use super::*;
use crate::call::signal::Body;

impl Call {
    pub(super) fn heard_from_b(&mut self, signal: Signal, env: &mut Env<'_>) {
        match (signal, &self.phase) {
            (signal, Phase::Over) => tracing::debug!(?signal, "leg B says after the end"),
            (signal, Phase::Up) => match signal {
                Signal::Hangup(cause) => self.hang_up(Some(Side::B), cause, env),
                Signal::Fail(failure) => {
                    let cause = Cause {
                        reasons: failure.reasons(),
                        ..Cause::of(failure.kind, failure.origin)
                    };
                    self.hang_up(Some(Side::B), cause, env);
                }
                signal => self.in_call(Side::B, signal, env),
            },
            (signal, _) => self.in_setup(signal, env),
        }
    }

    pub(super) fn in_setup(&mut self, signal: Signal, env: &mut Env<'_>) {
        let about_invite = matches!(
            signal,
            Signal::Answer(_)
                | Signal::Progress {
                    body: Body::Answer(_) | Body::Offer(_),
                    ..
                }
        );
        let signal = if about_invite {
            match self.hold_back(signal) {
                Some(signal) => signal,
                None => return,
            }
        } else {
            signal
        };
        match signal {
            Signal::Ring => {
                self.record.rings(env.now);
                self.event(CallEvent::Ringing(Status::RINGING));
                self.tell(Side::A, Signal::Ring, env);
            }
            Signal::Progress { status, body } => self.progress(status, body, env),
            Signal::Answer(body) => self.answer(body, env),
            Signal::Fail(failure) => {
                let failure = self.sifted(failure);
                if self.is_redirection(&failure) {
                    self.redirects.lease = self.take_lease().or(self.redirects.lease.take());
                }
                self.retire(None, env);
                self.attempt_failed(failure, env);
            }
            // BYE by the callee before its answer, or the network is gone: for the caller a failed attempt.
            Signal::Hangup(cause) => {
                self.retire(None, env);
                self.attempt_failed(cause.to_failure(), env);
            }
            Signal::Request(payload) => self.tell(Side::A, Signal::Request(payload), env),
            Signal::Response(status, payload) => self.tell(Side::A, Signal::Response(status, payload), env),
            signal @ (Signal::Offer(_)
            | Signal::Accept(_)
            | Signal::Refuse(_)
            | Signal::Withdraw
            | Signal::Refresh) => self.early(Side::B, signal, env),
        }
    }

    /// A provisional response. With SDP it brings early media, both ways; of several forks the last one that spoke is heard.
    fn progress(&mut self, status: Status, body: Body, env: &mut Env<'_>) {
        self.record.rings(env.now);
        self.event(CallEvent::Ringing(status));
        let body = match body {
            Body::Answer(answer) => match self.connect(&answer, false, env) {
                Ok(answer) => Body::Answer(answer),
                // Not the answer yet: the 2xx may still bring one that can be used.
                Err(failure) => {
                    tracing::debug!(?failure, "early answer ignored");
                    Body::None
                }
            },
            Body::Offer(offer) => {
                if let Err(failure) = self.late_offer(offer, Some(status), env) {
                    self.retire(Some(Self::unkeyed()), env);
                    self.attempt_failed(failure, env);
                }
                return;
            }
            Body::None => Body::None,
        };
        self.tell(Side::A, Signal::Progress { status, body }, env);
    }

    /// Takes leg B's answer to the caller's offer and makes ours; the relay learns of it.
    ///
    /// Each answer is taken afresh, because the next fork may accept what this one refused.
    fn connect(&mut self, answer: &Sdp, answered: bool, env: &mut Env<'_>) -> Result<Sdp, Failure> {
        let Some(exchange) = &self.exchange else {
            return Err(Self::no_body());
        };
        let mut session = exchange.session.clone();
        self.media.take_answer(&mut session, Side::B, answer)?;
        let answer = self
            .media
            .answer_to(&mut session, Side::A, answer, env)
            .ok_or_else(Self::no_body)?;
        let commands = if answered {
            self.media.commit(session, true)
        } else {
            self.media.preview(session)
        };
        self.command(commands);
        self.agree_on_keys(env);
        Ok(answer)
    }

    /// 2xx.
    fn answer(&mut self, body: Body, env: &mut Env<'_>) {
        let offered = self
            .exchange
            .as_ref()
            .is_some_and(|exchange| exchange.offer.is_some());
        let taken = match body {
            Body::Answer(answer) if offered => self
                .connect(&answer, true, env)
                .map(|answer| self.joined(Some(answer), env)),
            Body::Offer(offer) if !offered => self.late_offer(offer, None, env),
            // The answer came early and is not repeated (RFC 6337 §3.1.1).
            Body::None if offered && self.media.is_previewed() => {
                let answer = self.early_answer(env);
                let commands = self.media.commands(true);
                self.command(commands);
                self.joined(answer, env);
                Ok(())
            }
            Body::None | Body::Offer(_) | Body::Answer(_) => Err(Self::no_body()),
        };
        if let Err(failure) = taken {
            // What the callee said cannot be had: hang it up, and never in clear instead.
            self.retire(Some(Self::unkeyed()), env);
            self.attempt_failed(failure, env);
        }
    }

    /// What the caller's offer is answered by what the callee said last. Where the offer was the callee's, the caller has it.
    fn early_answer(&mut self, env: &mut Env<'_>) -> Option<Sdp> {
        let exchange = self.exchange.as_ref()?;
        let said = self.media.heard(Side::B)?;
        if exchange.offerer != Some(Side::A) {
            return self.media.said(Side::A);
        }
        let mut session = self.media.agreed().clone();
        let answer = self.media.answer_to(&mut session, Side::A, &said, env)?;
        let commands = self.media.preview(session);
        self.command(commands);
        Some(answer)
    }

    /// Both legs have answers.
    fn joined(&mut self, answer: Option<Sdp>, env: &mut Env<'_>) {
        self.exchange = None;
        self.answered(answer.map_or(Body::None, Body::Answer), env);
    }

    /// The call is up: leg A gets its 2xx.
    pub(super) fn answered(&mut self, body: Body, env: &mut Env<'_>) {
        self.phase = Phase::Up;
        self.unanswered = None;
        self.no_answer = None;
        self.routes.clear();
        self.record.answered = Some(env.now);
        self.note_streams();
        let route = self.current.as_ref().and_then(|route| route.limits.duration);
        let longest = [route, self.settings.max_duration].into_iter().flatten().min();
        self.too_long = longest.map(|longest| env.now + longest);
        self.tell(Side::A, Signal::Answer(body), env);
        self.event(CallEvent::Answered);
        self.tell_early_keys(env);
        self.report_keys();
        // From now on keys are owed.
        self.agree_on_keys(env);
    }

    /// A callee that was invited without offer, and made one, is gone before ports for it were open: it goes no further, and
    /// whoever is tried next is asked for an offer as well.
    fn forget_late_offer(&mut self) {
        if let Some(exchange) = &mut self.exchange
            && exchange.offerer == Some(Side::B)
        {
            exchange.offerer = None;
            exchange.offer = None;
            exchange.ports = false;
            self.relay.opening.clear();
        }
    }

    /// The current leg B is no longer leg A's other end. With a cause it is hung up; it cleans up by itself.
    pub(super) fn retire(&mut self, cause: Option<Cause>, env: &mut Env<'_>) {
        if let Some(member) = self.member_of(Side::B) {
            member.place = Place::Former;
            member.lease = None;
            if let Some(cause) = cause {
                member.tell(Signal::Hangup(cause), env);
            }
        }
    }

    /// The current route rang long enough.
    pub(super) fn give_up_ringing(&mut self, env: &mut Env<'_>) {
        if !matches!(self.phase, Phase::Dialling) {
            return;
        }
        self.retire(Some(Cause::of(Kind::NoAnswer, Origin::Local)), env);
        self.attempt_failed(Failure::of(Kind::NoAnswer, Origin::Local), env);
    }

    /// An attempt failed: the route's other addresses, then the other routes, then the application.
    pub(super) fn attempt_failed(&mut self, failure: Failure, env: &mut Env<'_>) {
        tracing::info!(status = %failure.status, kind = failure.kind.label(), "leg B failed");
        self.nothing_to_pick_up(env);
        self.no_answer = None;
        self.early_keys.forget();
        self.forget_early(env);
        self.forget_late_offer();
        // RFC 3263 §4.3: a transport failure, a timeout or a 503 sends the request to the next address.
        let unreachable = matches!(failure.kind, Kind::Unreachable | Kind::Timeout)
            || failure.status == Status::SERVICE_UNAVAILABLE;
        let again = unreachable && !self.later.is_empty() && !self.draining;
        self.record.attempt_failed(&failure, again);
        if again {
            let targets = std::mem::take(&mut self.later);
            return self.dial_first_of(targets, env);
        }
        self.later.clear();
        let stop = self
            .current
            .as_ref()
            .is_some_and(|route| route.limits.stop_codes.contains(&failure.status));
        if !stop && self.follow(&failure) {
            return self.try_next(failure, env);
        }
        if !stop && !self.routes.is_empty() {
            return self.try_next(failure, env);
        }
        self.routes.clear();
        if self.draining {
            return self.fail(failure, env);
        }
        self.phase = Phase::Rescuing(failure.clone());
        self.ask(Question::Rescue(failure));
    }
}
