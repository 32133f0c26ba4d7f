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
    /// It wants nobody's place who has answered.
    early_only: bool,
}

impl Caller {
    /// Of its INVITE and the leg that this has made.
    pub(super) fn new(
        incoming: &Incoming,
        leg: &Leg,
        (by, replaced): (Side, Option<Source>),
        early_only: bool,
    ) -> Result<Self, Failure> {
        let mut invite = Invite::of(incoming)?;
        if let Body::Offer(offer) = leg.offer() {
            invite.encryption = Some(asked(&offer));
        }
        Ok(Self {
            handover: Handover { invite, by, replaced },
            local: leg.local_ip().unwrap_or(incoming.source.local.ip()),
            source: setup::media_source(incoming, false),
            early_only,
        })
    }
    /// Our address on the way to it.
    pub(super) fn local(&self) -> IpAddr {
        self.local
    }
    /// A further address that its media may come from.
    pub(super) fn source(&self) -> Option<IpAddr> {
        self.source
    }
    /// Whether it wants nobody's place who has answered (RFC 3891 §6.1).
    pub(super) fn wants_early_only(&self) -> bool {
        self.early_only
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
        match verdict {
            Ok(()) => rebridge.stage = Stage::Admitted(caller),
            Err(failure) => self.turn_away(failure, env),
        }
    }

    /// It may: it is joined with who stays, by what it offers or by what it is offered now.
    pub(super) fn admit(&mut self, caller: Box<Caller>, env: &mut Env<'_>) -> Result<(), Failure> {
        let Some((by, call_id)) = self.caller_for_place() else {
            return Ok(());
        };
        if self.leg_of(by.other()).is_none() {
            let nobody = Status::TEMPORARILY_UNAVAILABLE;
            return Err(Failure::new(nobody, Origin::Local, Kind::Protocol));
        }
        let Some(Body::Offer(offer)) = self.member(&call_id).map(|member| member.leg.offer()) else {
            self.offer_to_guest(caller, env);
            return Ok(());
        };
        let mut guest = self.media.admit_guest(by, caller.local, &offer, env)?;
        if let Some(address) = caller.source {
            guest.trust(address);
        }
        if let Some(rebridge) = &mut self.rebridge {
            rebridge.stage = Stage::Calling;
            rebridge.guest = Some(guest);
            rebridge.early = Some(offer);
        }
        Ok(())
    }

    /// Whose place a guest is to take, and the Call-ID of its leg.
    pub(super) fn caller_for_place(&self) -> Option<(Side, Text)> {
        let rebridge = self.rebridge.as_ref()?;
        Some((rebridge.by, rebridge.leg.clone()?))
    }

    /// Offers what the party that stays said last, in the 2xx, once there are ports for it.
    pub(super) fn offer_to_guest(&mut self, caller: Box<Caller>, env: &mut Env<'_>) {
        let Some((by, call_id)) = self.caller_for_place() else {
            return;
        };
        let local = caller.local;
        let streams = self.media.streams_to_offer(by);
        let Some(Next::Offer(caller)) = self.with_ports(local, &streams, Next::Offer(caller)) else {
            return;
        };
        let suites = self.settings.suites.clone();
        let (mut guest, offer) = match self.media.offer_guest(by, local, &suites, env) {
            Ok(offered) => offered,
            Err(failure) => return self.turn_away(failure, env),
        };
        if let Some(address) = caller.source {
            guest.trust(address);
        }
        if let Some(rebridge) = &mut self.rebridge {
            rebridge.stage = Stage::Dialling;
            rebridge.guest = Some(guest);
        }
        self.tell_member(&call_id, Signal::Answer(Body::Offer(offer)), env);
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
