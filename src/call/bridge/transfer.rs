//! REFER (RFC 3515, RFC 5589): what a party wants done with the other, and what it is told of it.
//!
//! The REFER is accepted at once, and its sender learns by NOTIFY what really became of it. With `transfer-mode=relay` the far end
//! gets the REFER and does it: a dialog that it names is named as the far end's own target knows it. With `execute` we do it: see
//! `rebridge`.

mod under_way;

pub(super) use under_way::Transfers;
use under_way::{Stage, Transfer};

use super::*;
use crate::{
    call::{
        InCall,
        signal::Payload,
        subscription::Subscription,
        transfer::{Designation, TransferMode},
    },
    sip::{
        Headers, Method, ReferTo, Replaces,
        refer::wants_no_subscription,
        subscription::{self, Event, SubscriptionState},
    },
};
use std::time::Duration;

/// Transfers under way in one call, of both parties.
const MOST: usize = 4;
/// How long another call may take to say whose a dialog is. It is on this server.
const PATIENCE: Duration = Duration::from_secs(2);
/// Requests that the bridge itself makes are numbered from here on: no CSeq is as high.
const OURS: u32 = 1 << 31;

impl Call {
    /// A REFER that the application lets through.
    pub(super) fn refer(
        &mut self,
        by: Side,
        refer: Payload,
        (refer_to, aimed): (ReferTo, bool),
        env: &mut Env<'_>,
    ) {
        let refused = match self.settings.transfer {
            TransferMode::Refuse => Some(Failure::new(Status::DECLINE, Origin::Local, Kind::Declined)),
            TransferMode::Execute => self.may_not_rebridge(&refer_to),
            TransferMode::Relay => (self.transfers.under_way.len() >= MOST)
                .then(|| Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol)),
        };
        if let Some(failure) = refused {
            return self.refuse_request(by, &refer, &failure, env);
        }
        let Some(leg) = self.leg_of(by).map(|leg| leg.call_id().clone()) else {
            return;
        };
        let silent = wants_no_subscription(&refer.headers);
        let mut accepted = refer.without_body();
        accepted.headers = Headers::default();
        if silent {
            accepted.headers.push("Refer-Sub", "false");
        }
        self.tell(by, Signal::Response(Status::ACCEPTED, accepted), env);
        let again = std::mem::replace(&mut self.transfers.referred[by as usize], true);
        let number = self.transfers.next_number();
        let mut subscription = Subscription::new(again.then_some(refer.number), silent, number, env.now);
        let trying = subscription.tell(Status::TRYING, None, env.now);
        let to = refer_to.target().to_string();
        self.record.referred(number, by, &to);
        self.event(CallEvent::Referred { by, to });
        let named = refer_to.replaces.clone();
        self.transfers.under_way.push(Transfer {
            by,
            leg: leg.clone(),
            number,
            refer,
            refer_to,
            aimed,
            subscription,
            stage: Stage::Identifying(env.now + PATIENCE),
        });
        self.notify(&leg, trying, env);
        match named {
            Some(replaces) => self.put(Output::Identify(replaces)),
            None => self.go_about(number, None, env),
        }
    }
    /// It is known whose the dialog is that somebody named; `None`: of nobody here.
    pub(super) fn identified(&mut self, replaces: &Replaces, found: Option<&Designation>, env: &mut Env<'_>) {
        self.invite_identified(replaces, found);
        let waiting: Vec<u32> = self
            .transfers
            .under_way
            .iter()
            .filter(|transfer| {
                matches!(transfer.stage, Stage::Identifying(_))
                    && transfer.refer_to.replaces.as_ref() == Some(replaces)
            })
            .map(|transfer| transfer.number)
            .collect();
        for number in waiting {
            self.go_about(number, found, env);
        }
    }
    /// It is known what the REFER names.
    fn go_about(&mut self, number: u32, found: Option<&Designation>, env: &mut Env<'_>) {
        match self.settings.transfer {
            TransferMode::Execute => {
                let Some(transfer) = self.transfers.find(number) else {
                    return;
                };
                transfer.stage = Stage::Executed;
                let (by, refer_to, aimed) = (transfer.by, transfer.refer_to.clone(), transfer.aimed);
                let referred_by = transfer.refer.headers.get("Referred-By");
                self.rebridge(number, by, (refer_to, referred_by), (found, aimed), env);
            }
            TransferMode::Relay | TransferMode::Refuse => self.name_target(number, found, env),
        }
    }
    /// What the far end is going to be told, and the application's word on it where it has not said where it goes: who is at the other
    /// end of a dialog may be nobody whom the far end is to hear of.
    fn name_target(&mut self, number: u32, found: Option<&Designation>, env: &mut Env<'_>) {
        let Some(transfer) = self.transfers.find(number) else {
            return;
        };
        let asks_again = !transfer.aimed && transfer.refer_to.replaces.is_some();
        if let Some(found) = found {
            let aimed = if transfer.aimed {
                transfer.refer_to.clone()
            } else {
                transfer.refer_to.aimed_at(&found.address.uri)
            };
            transfer.refer_to = aimed.replacing(&found.peer);
        }
        if !asks_again {
            return self.relay_refer(number, env);
        }
        transfer.stage = Stage::Asking;
        let (by, refer, refer_to) = (transfer.by, transfer.refer.clone(), transfer.refer_to.clone());
        self.requested_again(by, refer, refer_to, (number, found.is_some()));
    }
    /// The application's second word.
    pub(super) fn refer_settled(&mut self, number: u32, decision: InCall, env: &mut Env<'_>) {
        let Some(transfer) = self
            .transfers
            .find(number)
            .filter(|transfer| matches!(transfer.stage, Stage::Asking))
        else {
            return tracing::debug!("a word on a transfer that is over");
        };
        match decision {
            InCall::Forward => {}
            InCall::Rewrite(refer_to) => transfer.refer_to = refer_to,
            InCall::Refuse(failure) => {
                return self.transfer_is(number, failure.status, failure.reason.as_ref(), env);
            }
        }
        self.relay_refer(number, env);
    }
    /// The far end gets the REFER.
    fn relay_refer(&mut self, number: u32, env: &mut Env<'_>) {
        let Some(transfer) = self.transfers.find(number) else {
            return;
        };
        transfer.stage = Stage::Referred(None);
        let (to, refer_to, refer) = (
            transfer.by.other(),
            transfer.refer_to.to_text(),
            transfer.refer.clone(),
        );
        let mut headers = Headers::default();
        for (name, value) in self.crossing(refer.headers).iter() {
            if name == "Refer-To" {
                headers.push("Refer-To", refer_to.clone());
            } else if name == "Referred-By" {
                // Who refers is to the far end whom it talks to, and nobody whom it may never have heard of.
                headers.push("Referred-By", self.name_towards(to).unwrap_or(value));
            } else {
                headers.push(name, value);
            }
        }
        let refer = Payload {
            method: Method::Refer,
            headers,
            body: refer.body,
            number,
            cseq: 0,
        };
        self.tell(to, Signal::Request(refer), env);
    }
    /// As whom the peer of that leg knows the other party.
    fn name_towards(&self, side: Side) -> Option<Text> {
        let leg = self.leg_of(side)?;
        let name = NameAddr::parse(leg.dialog().local.clone()).ok()?;
        Some(NameAddr::of(name.uri.detached()).to_text())
    }
    fn notify(&mut self, to: &Text, payload: Option<Payload>, env: &mut Env<'_>) {
        if let Some(payload) = payload {
            self.tell_member(to, Signal::Request(payload), env);
        }
    }
    /// The answer to a request: to one of the bridge itself, or one that goes back to whose request it was.
    pub(super) fn request_answered(
        &mut self,
        from: Side,
        status: Status,
        mut payload: Payload,
        env: &mut Env<'_>,
    ) {
        payload.headers = self.crossing(self.crossing.sift(&payload.headers));
        if payload.number < OURS {
            return self.tell(from.other(), Signal::Response(status, payload), env);
        }
        let Some(transfer) = self.transfers.find(payload.number) else {
            return;
        };
        match payload.method {
            Method::Notify => {
                let leg = transfer.leg.clone();
                let next = transfer.subscription.answered(status, env.now);
                self.notify(&leg, next, env);
            }
            Method::Refer if status.is_success() => {
                transfer.stage = Stage::Referred(Some(payload.cseq));
                // Nobody will tell us how it goes on.
                if wants_no_subscription(&payload.headers) {
                    let last = transfer.subscription.end(env.now);
                    let leg = transfer.leg.clone();
                    self.notify(&leg, last, env);
                }
            }
            _ => self.transfer_is(payload.number, status, None, env),
        }
        self.forget_transfers();
    }
    /// A transfer has come so far.
    pub(super) fn transfer_is(
        &mut self,
        number: u32,
        status: Status,
        reason: Option<&Text>,
        env: &mut Env<'_>,
    ) {
        if status.is_final() {
            self.record.transferred(number, status);
        }
        let Some(transfer) = self.transfers.find(number) else {
            return;
        };
        let (by, leg) = (transfer.by, transfer.leg.clone());
        let members = &mut self.members.iter();
        let is_stranger = members.any(|member| *member.leg.call_id() == leg && member.stranger);
        let reason = reason.filter(|_| !is_stranger);
        let news = transfer.subscription.tell(status, reason, env.now);
        if status.is_final() {
            self.event(CallEvent::Transferred { by, status });
        }
        self.notify(&leg, news, env);
        self.forget_transfers();
    }
    /// A NOTIFY of the far end about the REFER that it got.
    pub(super) fn notified(&mut self, from: Side, payload: &Payload, env: &mut Env<'_>) {
        let Some(event) = Event::of(&payload.headers).filter(Event::is_refer) else {
            let bad = Failure::new(Status::BAD_EVENT, Origin::Local, Kind::Protocol);
            return self.refuse_request(from, payload, &bad.with("Allow-Events", "refer"), env);
        };
        let Some(transfer) = self.transfers.notified(from.other(), &event) else {
            let gone = Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::Local, Kind::Protocol);
            return self.refuse_request(from, payload, &gone, env);
        };
        let number = transfer.number;
        let mut accepted = payload.without_body();
        accepted.headers = Headers::default();
        self.tell(from, Signal::Response(Status::OK, accepted), env);
        if let Some((status, reason)) = subscription::status_of(&payload.body) {
            self.transfer_is(number, status, Some(&reason), env);
        }
        if SubscriptionState::of(&payload.headers) == Some(SubscriptionState::Terminated)
            && let Some(transfer) = self.transfers.find(number)
        {
            let (last, leg) = (transfer.subscription.end(env.now), transfer.leg.clone());
            self.notify(&leg, last, env);
        }
        self.forget_transfers();
    }
    fn forget_transfers(&mut self) {
        self.transfers
            .under_way
            .retain(|transfer| !transfer.subscription.is_over());
    }
    /// Deadlines of transfers.
    pub(super) fn transfers_due(&mut self, env: &mut Env<'_>) {
        let mut unknown = Vec::new();
        let mut over = Vec::new();
        for transfer in &mut self.transfers.under_way {
            if matches!(transfer.stage, Stage::Identifying(until) if until <= env.now) {
                unknown.push(transfer.number);
            }
            if let Some(last) = transfer.subscription.expire(env.now) {
                over.push((transfer.leg.clone(), last));
            }
        }
        for number in unknown {
            self.go_about(number, None, env);
        }
        for (leg, last) in over {
            self.notify(&leg, Some(last), env);
        }
        self.forget_transfers();
    }

    /// Says as whom the peer of the other leg knows the dialog that `replaces` names, if it is one of this call.
    pub(super) fn designate(&self, replaces: &Replaces) -> Option<Designation> {
        if !matches!(self.phase, Phase::Up) {
            return None;
        }
        let (a, b) = (self.leg_of(Side::A)?, self.leg_of(Side::B)?);
        let other = match (a.is_named_by(replaces), b.is_named_by(replaces)) {
            (true, _) => b,
            (_, true) => a,
            (false, false) => return None,
        };
        let adoptable = self.is_adoptable(other) && !replaces.early_only;
        let other = other.dialog();
        Some(Designation {
            peer: Replaces {
                call_id: other.call_id.clone(),
                to_tag: other.remote_tag.clone()?,
                from_tag: other.local_tag.clone(),
                early_only: replaces.early_only,
            },
            address: NameAddr::parse(other.remote.clone()).ok()?,
            adoptable,
        })
    }
}
