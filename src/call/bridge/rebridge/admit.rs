//! Who has called for a place is let in, if the application allows it.

use super::*;
use crate::{
    call::{Handover, media_plan::asked},
    sip::routing::Source,
};

/// Who has called for a place, and waits to be let in.
#[derive(Debug)]
pub(super) struct Caller {
    handover: Handover,
    /// Our address on the way to it.
    local: IpAddr,
    /// A further address that its media may come from.
    source: Option<IpAddr>,
}

impl Caller {
    /// Of its INVITE and the leg that this has made.
    pub(super) fn new(
        incoming: &Incoming,
        leg: &Leg,
        (by, replaced): (Side, Option<Source>),
    ) -> Result<Self, Failure> {
        let mut invite = Invite::of(incoming)?;
        if let Body::Offer(offer) = leg.offer() {
            invite.encryption = Some(asked(&offer));
        }
        Ok(Self {
            handover: Handover { invite, by, replaced },
            local: leg.local_ip().unwrap_or(incoming.source.local.ip()),
            source: setup::media_source(incoming, false),
        })
    }
    /// Who it says it is.
    pub(super) fn address(&self) -> String {
        self.handover.invite.from.uri.without_headers().to_string()
    }
}

impl Call {
    /// Asks whether who has called may have the place.
    pub(super) fn ask_to_admit(&mut self) {
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        match std::mem::replace(&mut rebridge.stage, Stage::Wanted) {
            Stage::Knocking(caller) => {
                let handover = Box::new(caller.handover.clone());
                rebridge.stage = Stage::Admitting(caller);
                self.ask(Question::Handover(handover));
            }
            stage => rebridge.stage = stage,
        }
    }

    /// The application has said whether it may.
    pub(in crate::call::bridge) fn guest_judged(&mut self, verdict: Result<(), Failure>, env: &mut Env<'_>) {
        let Some(rebridge) = &mut self.rebridge else {
            return tracing::debug!("a verdict that nobody waits for");
        };
        let caller = match std::mem::replace(&mut rebridge.stage, Stage::Calling) {
            Stage::Admitting(caller) => caller,
            stage => {
                rebridge.stage = stage;
                return tracing::debug!("a verdict that nobody waits for");
            }
        };
        if let Err(failure) = verdict.and_then(|()| self.admit(&caller, env)) {
            self.turn_away(failure, env);
        }
    }

    /// It may: it is joined with who stays, by what it offers or by what it is offered now.
    fn admit(&mut self, caller: &Caller, env: &mut Env<'_>) -> Result<(), Failure> {
        let Some((by, call_id)) = self
            .rebridge
            .as_ref()
            .and_then(|rebridge| Some((rebridge.by, rebridge.leg.clone()?)))
        else {
            return Ok(());
        };
        if self.leg_of(by.other()).is_none() {
            let nobody = Status::TEMPORARILY_UNAVAILABLE;
            return Err(Failure::new(nobody, Origin::Local, Kind::Protocol));
        }
        let offer = self.member(&call_id).map(|member| member.leg.offer());
        let (mut guest, offer, stage) = match offer {
            Some(Body::Offer(offer)) => {
                let guest = self.media.admit_guest(by, caller.local, &offer, env)?;
                (guest, offer, Stage::Calling)
            }
            Some(Body::None | Body::Answer(_)) | None => {
                let suites = self.settings.suites.clone();
                let (guest, offer) = self.media.offer_guest(by, caller.local, &suites, env)?;
                (guest, offer, Stage::Dialling)
            }
        };
        if let Some(address) = caller.source {
            guest.trust(address);
        }
        let is_offered = matches!(stage, Stage::Dialling);
        if let Some(rebridge) = &mut self.rebridge {
            rebridge.stage = stage;
            rebridge.guest = Some(guest);
            rebridge.early = (!is_offered).then(|| offer.clone());
        }
        if is_offered {
            self.tell_member(&call_id, Signal::Answer(Body::Offer(offer)), env);
        }
        Ok(())
    }

    /// Who has called does not get the place, and nobody else has heard of it.
    pub(super) fn turn_away(&mut self, failure: Failure, env: &mut Env<'_>) {
        tracing::info!(status = %failure.status, reason = ?failure.reason, "a handover is refused");
        let leg = self.rebridge.as_ref().and_then(|rebridge| rebridge.leg.clone());
        if let Some(leg) = leg {
            self.tell_member(&leg, Signal::Fail(failure.clone()), env);
            self.guest_is_gone(&leg);
        }
        self.transfer_failed(&failure, env);
    }
}
