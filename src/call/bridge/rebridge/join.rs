//! A guest takes its place, and who was there leaves; or it was all for nothing, and he has it again.

use super::*;
use crate::sdp::{Encoding, Media};

/// How often the party that stays may be busy with an offer of its own before it counts as refusal.
pub(super) const MOST_GLARES: u8 = 3;

impl Call {
    /// Joins the guest with the party that stays, once that is not busy with another offer.
    pub(in crate::call::bridge) fn join_if_ready(&mut self, env: &mut Env<'_>) -> bool {
        let busy = self.exchange.is_some() || !matches!(self.phase, Phase::Up);
        let Some(rebridge) = self.rebridge.as_mut().filter(|_| !busy) else {
            return false;
        };
        match rebridge.stage {
            Stage::Answered => {}
            Stage::Calling => {
                self.ask_for_place(env);
                return true;
            }
            _ => return false,
        }
        rebridge.stage = Stage::Joining;
        let by = rebridge.by;
        if let Some(guest) = rebridge.guest.take() {
            self.take_the_place(guest, env);
        }
        let (Some(rebridge), stays) = (&mut self.rebridge, by.other()) else {
            return true;
        };
        let Some(answer) = rebridge.early.clone() else {
            return true;
        };
        let mut session = self.media.agreed().clone();
        let offer = self.media.offer_to(&mut session, stays, &answer, env);
        rebridge.told = Some(offer.clone());
        self.exchange = Some(Exchange {
            asker: by,
            offerer: Some(by),
            offer: Some(answer),
            session,
            ports: false,
            is_refresh: true,
            progress: None,
            void: false,
        });
        self.tell(stays, Signal::Offer(Some(offer)), env);
        true
    }

    /// The guest is the party of its side from now on, and the transferor leaves unless it has gone already.
    fn take_the_place(&mut self, guest: Guest, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let by = rebridge.by;
        let (absent, commands) = self.media.seat(guest);
        rebridge.absent = Some(absent);
        let leg = rebridge.leg.clone();
        for member in &mut self.members {
            if member.is_current(by) {
                member.place = Place::Leaving;
            } else if Some(member.leg.call_id()) == leg.as_ref() {
                member.place = Place::Current;
                self.media.takes_infos(by, member.leg.takes_infos());
            }
        }
        self.put_agreements_aside(by);
        self.command(commands);
        self.agree_on_keys(env);
    }

    /// Whether that side is the one that a guest is being joined with.
    pub(in crate::call::bridge) fn is_joining(&self, stays: Side) -> bool {
        matches!(&self.rebridge, Some(rebridge) if matches!(rebridge.stage, Stage::Joining) && rebridge.by != stays)
    }

    /// The party that stays has accepted: the guest is not one any more.
    pub(in crate::call::bridge) fn joined_by(&mut self, stays: Side, sdp: &Sdp, env: &mut Env<'_>) {
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        if let Err(failure) = self.media.take_answer(&mut exchange.session, stays, sdp) {
            return self.cannot_go_on(&failure, env);
        }
        let Some(mut rebridge) = self.rebridge.take() else {
            return;
        };
        let mut commands = self.media.commit(exchange.session, true);
        commands.extend(self.media.release());
        self.command(commands);
        self.forget_agreements_aside();
        self.note_streams();
        self.agree_on_keys(env);
        self.transfers.succeed(rebridge.by, rebridge.number);
        if let Some(member) = self.member_of(rebridge.by) {
            let of_redirected = rebridge.redirects.lease.take();
            member.lease = member.lease.take().or(of_redirected);
        }
        let duration = rebridge.route.as_ref().and_then(|route| route.limits.duration);
        let longest = duration.map(|duration| env.now + duration);
        let former = self.keep_adopted(&rebridge);
        self.too_long = [longest, former, self.too_long].into_iter().flatten().min();
        self.event(CallEvent::Updated { by: rebridge.by });
        self.report_keys();
        self.transfer_is(rebridge.number, Status::OK, None, env);
        self.handed_over(&rebridge, Status::OK);
        self.see_off(&rebridge.transferor, env);
        // The guest was told what this one said before. What it says now may be something else.
        if !rebridge.told.is_some_and(|told| is_taken_whole(&told, sdp)) {
            self.refresh(rebridge.by, env);
        }
    }

    /// The party that stays does not accept what the guest said.
    pub(in crate::call::bridge) fn join_refused(&mut self, failure: Failure, env: &mut Env<'_>) {
        self.exchange = None;
        if let Some(rebridge) = &mut self.rebridge
            && failure.status == Status::REQUEST_PENDING
            && rebridge.glares < MOST_GLARES
        {
            rebridge.glares += 1;
            rebridge.stage = Stage::Answered;
            return;
        }
        self.go_back(&failure, None, env);
    }

    /// The guest has the place, but cannot keep it: the transferor takes it again. `ended`: the guest has hung up.
    fn go_back(&mut self, failure: &Failure, ended: Option<Cause>, env: &mut Env<'_>) {
        self.send_home(failure.status, ended);
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let (by, leg, absent) = (rebridge.by, rebridge.leg.take(), rebridge.absent.take());
        let transferor = rebridge.transferor.clone();
        if let Some(leg) = leg {
            self.dismiss(&leg, Cause::of(Kind::Rejected, Origin::Local), env);
        }
        if let Some(absent) = absent {
            self.take_agreements_back(by);
            let commands = self.media.unseat(absent);
            self.command(commands);
            if let Some(member) = self.member(&transferor)
                && member.place == Place::Leaving
            {
                member.place = Place::Current;
            }
            self.agree_on_keys(env);
        }
        self.transfer_failed(failure, env);
    }

    /// Whether the call goes on though the party of a side has hung up: a transferor may go before its target is there, and a
    /// guest may go before it has its place for good.
    pub(in crate::call::bridge) fn survives(&mut self, by: Side, cause: &Cause, env: &mut Env<'_>) -> bool {
        let Some(rebridge) = self.rebridge.as_ref().filter(|rebridge| rebridge.by == by) else {
            return false;
        };
        if rebridge.absent.is_none() {
            return self.transferor_is_gone(by, env);
        }
        let transferor = rebridge.transferor.clone();
        let stays = self
            .member(&transferor)
            .is_some_and(|member| member.place == Place::Leaving);
        if !stays {
            return false;
        }
        // The offer that is open leads nowhere.
        if let Some(exchange) = &mut self.exchange {
            exchange.void = true;
            self.tell(by.other(), Signal::Withdraw, env);
        }
        self.go_back(&cause.to_failure(), Some(cause.clone()), env);
        true
    }

    /// The transferor has hung up before there is somebody in its place. The other one hears nothing until there is.
    fn transferor_is_gone(&mut self, by: Side, env: &mut Env<'_>) -> bool {
        let open = self
            .exchange
            .as_ref()
            .map(|exchange| (exchange.asker, exchange.offer.is_some()));
        match open {
            // An answer is owed that nobody can give.
            Some((_, false)) => return false,
            Some((asker, true)) if asker != by => {
                self.exchange = None;
                self.relay.opening.clear();
                let commands = self.media.abandon();
                self.command(commands);
                let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                self.tell(asker, Signal::Refuse(pending), env);
            }
            Some(_) | None => {}
        }
        if let Some(member) = self.member_of(by) {
            member.place = Place::Former;
            member.lease = None;
        }
        self.requests.forget(by);
        let commands = self.media.mute(by);
        self.command(commands);
        true
    }

    /// What a party says whose place another has.
    pub(in crate::call::bridge) fn heard_from_leaving(
        &mut self,
        index: usize,
        signal: Signal,
        env: &mut Env<'_>,
    ) {
        let leg = self.members[index].leg.call_id().clone();
        match signal {
            Signal::Hangup(_) | Signal::Fail(_) => self.guest_is_gone(&leg),
            Signal::Response(status, payload) => {
                let side = self.members[index].leg.side();
                self.request_answered(side, status, payload, env);
                self.see_off(&leg, env);
            }
            Signal::Offer(_) => {
                let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                self.tell_member(&leg, Signal::Refuse(pending), env);
            }
            Signal::Request(payload) => {
                let nobody = Signal::Response(Status::TEMPORARILY_UNAVAILABLE, payload.without_body());
                self.tell_member(&leg, nobody, env);
            }
            signal => tracing::debug!(?signal, "of one who leaves"),
        }
    }

    /// Hangs up whose place another has for good, once it has heard all that it is to hear.
    pub(super) fn see_off(&mut self, leg: &Text, env: &mut Env<'_>) {
        if self
            .rebridge
            .as_ref()
            .is_some_and(|rebridge| rebridge.transferor == *leg)
        {
            return;
        }
        let done = self
            .member(leg)
            .is_some_and(|member| member.place == Place::Leaving && member.leg.has_been_heard());
        if done {
            self.dismiss(leg, Cause::bye(Origin::Local), env);
        }
    }

    /// The call is over for all others, too.
    pub(in crate::call::bridge) fn dismiss_others(&mut self, cause: &Cause, env: &mut Env<'_>) {
        let others = self.members.iter();
        let others: Vec<Text> = others
            .filter(|member| matches!(member.place, Place::Guest | Place::Leaving))
            .map(|member| member.leg.call_id().clone())
            .collect();
        for leg in others {
            self.dismiss(&leg, cause.clone(), env);
        }
    }
}

/// Whether an answer takes all of an offer as it is, so that who offered need not hear of it.
fn is_taken_whole(offer: &Sdp, answer: &Sdp) -> bool {
    let whole = |(offered, said): (&Media, &Media)| {
        if !offered.is_active() || !said.is_active() {
            return offered.is_active() == said.is_active();
        }
        let has = |encoding: &Encoding| {
            said.rtp_formats()
                .iter()
                .any(|format| format.encoding == *encoding)
        };
        offer.direction(offered).reversed() == answer.direction(said)
            && offered.rtp_formats().iter().all(|format| has(&format.encoding))
    };
    offer.media.len() == answer.media.len() && offer.media.iter().zip(&answer.media).all(whole)
}
