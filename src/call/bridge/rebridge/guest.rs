//! What a guest says before it has its place: it rings, answers, refuses or goes.

use super::*;

impl Call {
    /// What a guest says by SIP comes from there.
    pub(in crate::call::bridge) fn guest_is_at(&mut self, address: IpAddr) {
        if let Some(guest) = self
            .rebridge
            .as_mut()
            .and_then(|rebridge| rebridge.guest.as_mut())
        {
            guest.trust(address);
        }
    }

    /// What the leg says that has been dialled.
    pub(in crate::call::bridge) fn heard_from_guest(&mut self, signal: Signal, env: &mut Env<'_>) {
        let Some(signal) = self.heard_from_adoptee(signal, env) else {
            return;
        };
        let Some(rebridge) = &mut self.rebridge else {
            return tracing::debug!(?signal, "a guest of nobody");
        };
        let (number, Some(leg)) = (rebridge.number, rebridge.leg.clone()) else {
            return;
        };
        match signal {
            Signal::Ring => self.transfer_is(number, Status::RINGING, None, env),
            Signal::Progress { status, body } => {
                if let Body::Answer(answer) = body {
                    rebridge.early = Some(answer);
                }
                self.transfer_is(number, status, None, env);
            }
            Signal::Answer(body) => {
                let answer = match body {
                    Body::Answer(answer) => Some(answer),
                    Body::None | Body::Offer(_) => rebridge.early.take(),
                };
                self.guest_answered(&leg, answer, env);
            }
            Signal::Fail(failure) => {
                self.keep_lease_of_redirected(&leg, &failure);
                self.guest_is_gone(&leg);
                self.guest_failed(failure, env);
            }
            Signal::Hangup(cause) => {
                self.guest_is_gone(&leg);
                self.guest_failed(cause.to_failure(), env);
            }
            Signal::Offer(_) => {
                let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                self.tell_member(&leg, Signal::Refuse(pending), env);
            }
            Signal::Request(payload) => {
                let nobody = Signal::Response(Status::TEMPORARILY_UNAVAILABLE, payload.without_body());
                self.tell_member(&leg, nobody, env);
            }
            // The ACK of a guest that has called without an offer.
            Signal::Accept(answer) if matches!(rebridge.stage, Stage::Dialling) => {
                self.guest_answered(&leg, Some(answer), env);
            }
            Signal::Refuse(failure) if matches!(rebridge.stage, Stage::Dialling) => {
                self.dismiss(&leg, Self::unkeyed(), env);
                self.guest_failed(failure, env);
            }
            Signal::Accept(_)
            | Signal::Refuse(_)
            | Signal::Withdraw
            | Signal::Refresh
            | Signal::Response(..) => tracing::debug!(?signal, "a guest says out of turn"),
        }
    }

    pub(super) fn guest_is_gone(&mut self, leg: &Text) {
        if let Some(member) = self.member(leg) {
            member.place = Place::Former;
            member.lease = None;
        }
    }

    pub(super) fn guest_answered(&mut self, leg: &Text, answer: Option<Sdp>, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let Some(guest) = &mut rebridge.guest else { return };
        let taken = match &answer {
            Some(answer) => self.media.guest_answers(guest, answer),
            None => Err(Self::no_body()),
        };
        match taken {
            Ok(()) => {
                rebridge.early = answer;
                rebridge.stage = Stage::Answered;
            }
            Err(failure) if rebridge.adopted.is_some() => {
                // It has what it was offered, and goes on with it.
                rebridge.stage = Stage::Answered;
                self.send_home(failure.status, None);
                self.transfer_failed(&failure, env);
            }
            Err(failure) => {
                self.dismiss(leg, Self::unkeyed(), env);
                self.guest_failed(failure, env);
            }
        }
    }

    /// Who is redirected goes on to use its line of an account for those who are called instead.
    fn keep_lease_of_redirected(&mut self, leg: &Text, failure: &Failure) {
        if !self.is_redirection(failure) {
            return;
        }
        let lease = self.member(leg).and_then(|member| member.lease.take());
        if let Some(rebridge) = &mut self.rebridge {
            let redirects = &mut rebridge.redirects;
            redirects.lease = lease.or(redirects.lease.take());
        }
    }

    /// An attempt at the target failed: its other addresses, then the other routes, then the application.
    pub(super) fn guest_failed(&mut self, failure: Failure, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        tracing::info!(status = %failure.status, kind = failure.kind.label(), "the target of a transfer failed");
        if rebridge.refer_to.is_none() {
            self.stop_asking(env);
            return self.transfer_failed(&failure, env);
        }
        rebridge.guest = None;
        rebridge.leg = None;
        let unreachable = matches!(failure.kind, Kind::Unreachable | Kind::Timeout)
            || failure.status == Status::SERVICE_UNAVAILABLE;
        let again = unreachable && !rebridge.later.is_empty() && !self.draining;
        self.record.attempt_failed(&failure, again);
        if again {
            let targets = std::mem::take(&mut rebridge.later);
            return self.dial_guest(targets, env);
        }
        let stops = |route: &Outgoing| route.limits.stop_codes.contains(&failure.status);
        if rebridge.route.as_ref().is_some_and(stops) {
            rebridge.routes.clear();
        } else if self.follow_target(&failure) {
            return self.try_next_guest(failure, env);
        }
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        if !rebridge.routes.is_empty() || self.draining {
            return self.try_next_guest(failure, env);
        }
        if self.asked {
            return self.transfer_failed(&failure, env);
        }
        rebridge.stage = Stage::Rescuing(failure.clone());
        self.ask(Question::Rescue(failure));
    }
}
