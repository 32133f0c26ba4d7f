//! The transfers of one call that are under way.

use super::OURS;
use crate::{
    call::{Side, signal::Payload, subscription::Subscription},
    sip::{ReferTo, Text, subscription::Event},
};
use std::time::Instant;

/// Transfers under way.
#[derive(Debug, Default)]
pub(in crate::call::bridge) struct Transfers {
    pub(super) under_way: Vec<Transfer>,
    /// Which parties have referred before: from then on their subscriptions have an id.
    pub(super) referred: [bool; 2],
    pub(super) last: u32,
}

#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) by: Side,
    /// The Call-ID of its leg.
    pub(super) leg: Text,
    pub(super) number: u32,
    pub(super) refer: Payload,
    pub(super) refer_to: ReferTo,
    /// The application has said where it goes: the target stays.
    pub(super) aimed: bool,
    pub(super) subscription: Subscription,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) enum Stage {
    /// Whose the dialog in Refer-To is, is being asked until then.
    Identifying(Instant),
    /// The application is asked whether the far end may be told so.
    Asking,
    /// We do it.
    Executed,
    /// The far end has the REFER; with this CSeq, once it has answered.
    Referred(Option<u32>),
}

impl Transfers {
    pub(in crate::call::bridge) fn clear(&mut self) {
        self.under_way.clear();
    }
    /// Whether one is under way.
    pub(in crate::call::bridge) fn is_any(&self) -> bool {
        let mut under_way = self.under_way.iter();
        under_way.any(|transfer| !transfer.subscription.has_ended())
    }
    /// Another party is there on that side: what the one before it wanted is its own affair.
    pub(in crate::call::bridge) fn succeed(&mut self, side: Side, number: u32) {
        self.under_way
            .retain(|transfer| transfer.by != side || transfer.number == number);
        self.referred[side as usize] = false;
    }
    pub(in crate::call::bridge) fn poll_timeout(&self) -> Option<Instant> {
        let subscriptions = self
            .under_way
            .iter()
            .filter_map(|transfer| transfer.subscription.poll_timeout());
        let identities = self.under_way.iter().filter_map(|transfer| match transfer.stage {
            Stage::Identifying(until) => Some(until),
            Stage::Asking | Stage::Executed | Stage::Referred(_) => None,
        });
        subscriptions.chain(identities).min()
    }
    /// A number that no other has.
    pub(in crate::call::bridge) fn next_number(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1) % OURS;
        OURS + self.last
    }
    pub(super) fn find(&mut self, number: u32) -> Option<&mut Transfer> {
        self.under_way
            .iter_mut()
            .find(|transfer| transfer.number == number)
    }
    /// The transfer of which the far end's NOTIFY tells: by its id, which is the CSeq of our REFER, or the oldest.
    pub(super) fn notified(&mut self, by: Side, event: &Event) -> Option<&mut Transfer> {
        let id = event.id.as_ref().map(|id| id.to_str().parse::<u32>().ok());
        self.under_way.iter_mut().find(|transfer| {
            let fits = match (&transfer.stage, id) {
                (Stage::Identifying(_) | Stage::Asking | Stage::Executed, _) => false,
                // The NOTIFY has overtaken the answer to the REFER.
                (Stage::Referred(None), _) | (Stage::Referred(Some(_)), None) => true,
                (Stage::Referred(Some(cseq)), Some(id)) => id == Some(*cseq),
            };
            transfer.by == by && fits && !transfer.subscription.has_ended()
        })
    }
}
