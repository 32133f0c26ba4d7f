//! A call that rings is picked up (RFC 3891 §3): an INVITE names an early dialog of leg B. Nothing changes before it is clear that the
//! caller and who picks up can talk; then the callee's INVITE is cancelled, with all its forks, and the two are answered. If the callee
//! answers first, his is the place that is called for, as in any call that is up; if nobody rings any more, there is none.

use super::*;
use crate::call::media_plan::{Offers, not_acceptable};

/// What a callee is told, so that his phone does not count it as a call that he has missed (RFC 3326).
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

impl Call {
    /// Who has been let in takes the place that it called for, or picks up, as the call stands now.
    pub(in crate::call::bridge) fn admit_if_ready(&mut self, env: &mut Env<'_>) -> bool {
        // While caller and callee are agreeing on something, that comes first.
        let is_busy = self.early.is_some() || self.exchange.as_ref().is_some_and(|exchange| exchange.ports);
        let Some(rebridge) = &mut self.rebridge else {
            return false;
        };
        if matches!(self.phase, Phase::Dialling) && is_busy {
            return false;
        }
        let caller = match std::mem::replace(&mut rebridge.stage, Stage::Calling) {
            Stage::Admitted(caller) => caller,
            stage => {
                rebridge.stage = stage;
                return false;
            }
        };
        let refuse = |status| Err(Failure::new(status, Origin::Local, Kind::Protocol));
        let admitted = match self.phase {
            Phase::Up if caller.wants_early_only() => refuse(Status::BUSY_HERE),
            Phase::Up => self.admit(caller, env),
            Phase::Dialling => self.pick_up(caller, env),
            _ => refuse(Status::CALL_DOES_NOT_EXIST),
        };
        if let Err(failure) = admitted {
            self.turn_away(failure, env);
        }
        true
    }

    fn pick_up(&mut self, caller: Box<Caller>, env: &mut Env<'_>) -> Result<(), Failure> {
        let Some((_, call_id)) = self.caller_for_place() else {
            return Ok(());
        };
        let refuse = |why: &str| Err(not_acceptable(Origin::Local, why));
        let Some(Body::Offer(offer)) = self.member(&call_id).map(|member| member.leg.offer()) else {
            return refuse("who picks up a call that rings has to offer a session");
        };
        let Some(exchange) = &self.exchange else {
            return Err(Self::no_body());
        };
        let (Some(Side::A), Some(asked)) = (exchange.offerer, exchange.offer.clone()) else {
            return refuse("the caller has offered no session that could be picked up");
        };
        let offers = Offers {
            caller: &asked,
            picker: &offer,
        };
        let local = caller.local();
        let (mut guest, mut session) = self.media.pick_up(&exchange.session, local, offers, env)?;
        let streams = session.active_streams(Side::B);
        let Some(Next::PickUp(caller)) = self.with_ports(local, &streams, Next::PickUp(caller)) else {
            return Ok(());
        };
        if let Some(address) = caller.source() {
            guest.trust(address);
        }
        let answers = self.media.pick_up_answers(&mut guest, &mut session, offers, env);
        let (to_caller, to_picker) = answers.ok_or_else(Self::no_body)?;
        let Some(rebridge) = self.rebridge.take() else {
            return Ok(());
        };
        self.stop_ringing(env);
        if let Some(member) = self.member(&call_id) {
            member.place = Place::Current;
            let takes = member.leg.takes_infos();
            self.media.takes_infos(Side::B, takes);
        }
        self.exchange = None;
        let commands = self.media.install(guest, session);
        self.command(commands);
        self.tell(Side::B, Signal::Answer(Body::Answer(to_picker)), env);
        self.answered(Body::Answer(to_caller), env);
        self.transfer_is(rebridge.number, Status::OK, None, env);
        self.handed_over(&rebridge, Status::OK);
        Ok(())
    }

    /// The callee is called no more, by whatever way, and nothing of him is left.
    fn stop_ringing(&mut self, env: &mut Env<'_>) {
        let elsewhere = Cause {
            reasons: vec![ELSEWHERE.into()],
            ..Cause::of(Kind::Cancelled, Origin::Local)
        };
        self.record.attempt_failed(&elsewhere.to_failure(), false);
        self.retire(Some(elsewhere), env);
        self.later.clear();
        self.redirects = Redirects::default();
        self.requests.forget(Side::B);
        self.put_agreements_aside(Side::B);
        self.forget_agreements_aside();
    }

    /// It rings no more where somebody wants to pick it up, and nobody has answered.
    pub(in crate::call::bridge) fn nothing_to_pick_up(&mut self, env: &mut Env<'_>) {
        if self.rebridge.is_some() && !matches!(self.phase, Phase::Up) {
            self.stop_asking(env);
            let gone = Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::Local, Kind::Protocol);
            self.turn_away(gone, env);
        }
    }
}
