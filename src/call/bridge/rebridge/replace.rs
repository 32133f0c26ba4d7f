//! A party calls for the place of another (RFC 3891): the INVITE names a dialog of this call by Replaces. The party that stays is
//! offered what the new one offers, and nothing changes before it has accepted; then the new one is answered and whose place it
//! takes is hung up. A new one without an offer gets one in its 2xx, and is joined like one that was called.

use super::{join::MOST_GLARES, *};

impl Call {
    /// An INVITE for the place of one whose dialog this call has.
    pub(in crate::call::bridge) fn replace(
        &mut self,
        replaces: &Replaces,
        invite: Incoming,
        env: &mut Env<'_>,
    ) {
        if let Err(failure) = self.receive_guest(replaces, &invite, env) {
            tracing::info!(status = %failure.status, reason = ?failure.reason, "an INVITE with Replaces is refused");
            self.put(Output::Refused(Box::new(invite), failure));
        }
    }

    /// Whose place is to be taken (RFC 3891 §3).
    fn replaced_by(&self, replaces: &Replaces) -> Result<(Side, Text), Failure> {
        let refuse = |status| Err(Failure::new(status, Origin::Local, Kind::Protocol));
        let is = |member: &&Member| {
            let dialog = member.leg.dialog();
            dialog.call_id == replaces.call_id
                && dialog.local_tag == replaces.to_tag
                && dialog.remote_tag.as_ref() == Some(&replaces.from_tag)
        };
        if let Some(ringing) = self.members.iter().find(|member| member.leg.rings_as(replaces)) {
            let is_callee = ringing.is_current(Side::B) && matches!(self.phase, Phase::Dialling);
            return if is_callee {
                Ok((Side::B, ringing.leg.call_id().clone()))
            } else {
                // Of a transfer that is not done.
                refuse(Status::BUSY_HERE)
            };
        }
        let Some(member) = self.members.iter().find(is) else {
            return refuse(Status::CALL_DOES_NOT_EXIST);
        };
        let gone = matches!(member.place, Place::Former | Place::Leaving) || member.closed;
        if gone || matches!(self.phase, Phase::Over) {
            return refuse(Status::DECLINE);
        }
        let confirmed = member.place == Place::Current && matches!(self.phase, Phase::Up);
        match (confirmed, member.leg.has_called()) {
            (true, _) if replaces.early_only => refuse(Status::BUSY_HERE),
            (true, _) => Ok((member.leg.side(), member.leg.call_id().clone())),
            // Just being answered, or of a transfer that is not done. Whose call it is could not be picked up.
            (false, true) => refuse(Status::BUSY_HERE),
            (false, false) => refuse(Status::CALL_DOES_NOT_EXIST),
        }
    }

    fn receive_guest(
        &mut self,
        replaces: &Replaces,
        invite: &Incoming,
        env: &mut Env<'_>,
    ) -> Result<(), Failure> {
        let refuse = |status| Err(Failure::new(status, Origin::Local, Kind::Protocol));
        let (by, replaced) = self.replaced_by(replaces)?;
        if self.draining {
            return Err(Failure::of(Kind::Shutdown, Origin::Local).with("Retry-After", "30"));
        }
        if self.rebridge.is_some() || self.transfers.is_any() {
            return refuse(Status::REQUEST_PENDING);
        }
        if self.leg_of(by.other()).is_none() {
            return refuse(Status::TEMPORARILY_UNAVAILABLE);
        }
        if self.members.len() >= MOST_LEGS {
            return Err(Failure::of(Kind::Capacity, Origin::Local));
        }
        let leg = Leg::accept(by, invite.clone(), self.settings.profile.clone(), env)?;
        // It may have tried before.
        let is_former = |member: &Member| member.closed && member.place == Place::Former;
        self.members
            .retain(|member| !(is_former(member) && member.leg.call_id() == leg.call_id()));
        if self.member(leg.call_id()).is_some() {
            let failure = Failure::new(Status::BAD_REQUEST, Origin::Local, Kind::Protocol);
            return Err(failure.because("Call-ID of another dialog of this call"));
        }
        let source = self.member(&replaced).and_then(|member| member.source);
        let caller = Caller::new(invite, &leg, (by, source), replaces.early_only)?;
        let call_id = leg.call_id().clone();
        let number = self.transfers.next_number();
        let to = caller.address();
        self.record.referred(number, by, &to);
        self.event(CallEvent::Referred { by, to });
        tracing::debug!(?by, guest = %call_id, "called for the place of a party");
        self.rebridge = Some(Rebridge {
            number,
            by,
            transferor: replaced,
            stage: Stage::Knocking(Box::new(caller)),
            refer_to: None,
            referred_by: None,
            replaces: None,
            routes: VecDeque::new(),
            route: None,
            redirects: Redirects::default(),
            later: Vec::new(),
            attempts: 0,
            leg: Some(call_id),
            guest: None,
            early: None,
            adopted: None,
            glares: 0,
            absent: None,
            told: None,
        });
        let mut member = Member::caller(leg, invite.source);
        member.place = Place::Guest;
        self.members.push(member);
        if !self.asked {
            self.ask_to_admit();
        }
        Ok(())
    }

    /// The party that stays is offered what the guest offers.
    pub(super) fn ask_for_place(&mut self, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        rebridge.stage = Stage::Asking;
        let by = rebridge.by;
        let (Some(guest), Some(offer)) = (&mut rebridge.guest, rebridge.early.clone()) else {
            return;
        };
        let home = guest.address();
        // Something else may be agreed than when it called.
        match self.media.hear_guest(guest, &offer, env) {
            Ok(session) => {
                let streams = session.active_streams(by);
                if home.is_some_and(|home| self.with_ports(home, &streams, Next::Ask).is_none()) {
                    return;
                }
                self.exchange = Some(Exchange {
                    asker: by,
                    offerer: Some(by),
                    offer: Some(offer),
                    session,
                    ports: false,
                    is_refresh: false,
                    progress: None,
                    void: false,
                });
                self.open_ports(env);
            }
            Err(failure) => self.refuse_guest(failure, env),
        }
    }

    /// Whether the offer that is open is that of a guest.
    pub(in crate::call::bridge) fn is_asking_for_guest(&self) -> bool {
        matches!(&self.rebridge, Some(rebridge) if matches!(rebridge.stage, Stage::Asking))
    }
    /// Whether that side is the one that it is for.
    pub(in crate::call::bridge) fn is_asked_for_guest(&self, stays: Side) -> bool {
        self.is_asking_for_guest()
            && self
                .rebridge
                .as_ref()
                .is_some_and(|rebridge| rebridge.by != stays)
    }

    /// The party that stays has accepted: the guest has the place.
    pub(in crate::call::bridge) fn guest_taken_by(&mut self, stays: Side, sdp: &Sdp, env: &mut Env<'_>) {
        let (Some(mut exchange), Some(rebridge)) = (self.exchange.take(), &mut self.rebridge) else {
            return;
        };
        let Some(mut guest) = rebridge.guest.take() else {
            return;
        };
        let taken = self.media.take_answer(&mut exchange.session, stays, sdp);
        let answer = taken.and_then(|()| {
            let answer = self
                .media
                .answer_guest(&mut guest, &mut exchange.session, sdp, env);
            answer.ok_or_else(Self::no_body)
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) => {
                self.refuse_guest(failure, env);
                // It believes that the guest is there.
                if matches!(self.phase, Phase::Up) {
                    self.refresh(stays, env);
                }
                return;
            }
        };
        let Some(rebridge) = self.rebridge.take() else {
            return;
        };
        let (by, leg) = (rebridge.by, rebridge.leg.clone());
        for member in &mut self.members {
            if member.is_current(by) {
                member.place = Place::Leaving;
            } else if Some(member.leg.call_id()) == leg.as_ref() {
                member.place = Place::Current;
                self.media.takes_infos(by, member.leg.takes_infos());
            }
        }
        self.put_agreements_aside(by);
        self.forget_agreements_aside();
        self.requests.forget(by);
        let commands = self.media.install(guest, exchange.session);
        self.command(commands);
        self.note_streams();
        self.transfers.succeed(by, rebridge.number);
        self.tell(by, Signal::Answer(Body::Answer(answer)), env);
        self.agree_on_keys(env);
        self.event(CallEvent::Updated { by });
        self.report_keys();
        self.transfer_is(rebridge.number, Status::OK, None, env);
        self.handed_over(&rebridge, Status::OK);
        self.see_off(&rebridge.transferor, env);
    }

    /// The party that stays does not take the guest's offer.
    pub(in crate::call::bridge) fn guest_not_taken(&mut self, failure: Failure, env: &mut Env<'_>) {
        if let Some(rebridge) = &mut self.rebridge
            && failure.status == Status::REQUEST_PENDING
            && rebridge.glares < MOST_GLARES
        {
            rebridge.glares += 1;
            rebridge.stage = Stage::Calling;
            return self.give_exchange_up();
        }
        self.refuse_guest(failure, env);
    }

    /// The guest does not get the place; all is as it was.
    pub(in crate::call::bridge) fn refuse_guest(&mut self, failure: Failure, env: &mut Env<'_>) {
        self.give_exchange_up();
        let leg = self.rebridge.as_ref().and_then(|rebridge| rebridge.leg.clone());
        if let Some(leg) = leg {
            self.tell_member(&leg, Signal::Fail(failure.clone()), env);
            self.guest_is_gone(&leg);
        }
        self.transfer_failed(&failure, env);
    }

    /// What became of it, where no REFER began it, and so nobody is told by NOTIFY.
    pub(super) fn handed_over(&mut self, rebridge: &Rebridge, status: Status) {
        if rebridge.refer_to.is_none() {
            let by = rebridge.by;
            self.event(CallEvent::Transferred { by, status });
        }
    }

    fn give_exchange_up(&mut self) {
        self.exchange = None;
        self.relay.opening.clear();
        let commands = self.media.abandon();
        self.command(commands);
    }

    /// The guest has gone while the application, or the party that stays, was asked to take it.
    pub(super) fn stop_asking(&mut self, env: &mut Env<'_>) {
        if matches!(&self.rebridge, Some(rebridge) if matches!(rebridge.stage, Stage::Admitting(_))) {
            self.asked = false;
            return self.put(Output::Withdraw);
        }
        let Some(rebridge) = self.rebridge.as_ref().filter(|_| self.is_asking_for_guest()) else {
            return;
        };
        let stays = rebridge.by.other();
        match &mut self.exchange {
            Some(exchange) if !exchange.ports => {
                exchange.void = true;
                self.tell(stays, Signal::Withdraw, env);
            }
            _ => self.give_exchange_up(),
        }
    }

    /// Ends an exchange of which nothing is to come, once that side has answered. Whether it was one.
    pub(in crate::call::bridge) fn ends_void(&mut self, from: Side) -> bool {
        let is_void = |exchange: &mut Exchange| exchange.void && exchange.asker != from;
        if self.exchange.take_if(is_void).is_none() {
            return false;
        }
        let commands = self.media.abandon();
        self.command(commands);
        true
    }
}
