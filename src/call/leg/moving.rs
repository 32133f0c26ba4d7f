//! A leg that leaves its call for another one: it is data, and nothing of it knows its call but the side that it is on.

use super::{Inbound, Leg, LegOutput, Matter, Phase, Position, Side};
use crate::sip::{
    Replaces,
    routing::{DialogKey, TransactionKey},
};

impl Leg {
    /// Whether nothing is under way between it and its peer, or between it and its call, that anybody waits for.
    pub fn is_at_rest(&self) -> bool {
        let Phase::Up(up) = &self.phase else { return false };
        let is_settled = self.offers.position == Position::Settled && self.offers.wanted.is_none();
        let waits = self.outbound.iter().any(|outbound| !outbound.done)
            || self.inbound.iter().any(Inbound::is_pending)
            || self.is_unacknowledged()
            || self.acks.is_waiting();
        is_settled && !waits && !up.is_hanging() && self.has_been_heard() && self.lookups.is_empty()
    }
    /// Whether it has an offer that its peer has not answered, or was not sent.
    pub fn is_offering(&self) -> bool {
        self.offers.position != Position::Settled || self.offers.wanted.is_some()
    }
    /// It is in another call than before, which knows nothing of what it has asked: what is still to be looked up is asked for anew.
    pub fn asks_again(&mut self) {
        self.out.retain(|output| !matches!(output, LegOutput::Lookup(_)));
        let hops = self.lookups.iter();
        let again = hops.map(|hop| LegOutput::Lookup(hop.clone().by(self.own.as_ref())));
        self.out.extend(again);
    }
    /// From now on it is that side's.
    pub fn change_to(&mut self, side: Side) {
        self.side = side;
    }
    /// Whether somebody means this dialog (RFC 3891 §3).
    pub fn is_named_by(&self, replaces: &Replaces) -> bool {
        self.dialog.call_id == replaces.call_id
            && self.dialog.local_tag == replaces.to_tag
            && self.dialog.remote_tag.as_ref() == Some(&replaces.from_tag)
    }
    /// Whether somebody means an early dialog of an INVITE of ours that nobody has answered (RFC 3891 §3).
    pub fn rings_as(&self, replaces: &Replaces) -> bool {
        let Phase::Calling(calling) = &self.phase else {
            return false;
        };
        self.dialog.call_id == replaces.call_id
            && self.dialog.local_tag == replaces.to_tag
            && calling
                .forks
                .iter()
                .any(|fork| fork.is_tagged(&replaces.from_tag))
    }
    /// By which the messages of its dialog find it.
    pub fn key(&self) -> DialogKey {
        DialogKey {
            call_id: self.dialog.call_id.clone(),
            local_tag: self.dialog.local_tag.clone(),
        }
    }
    /// By which repetitions of its peer's first INVITE find it, as long as there can be any.
    pub fn invite_key(&self) -> Option<TransactionKey> {
        let mut inbound = self.inbound.iter();
        let first = inbound.find(|inbound| inbound.matter == Matter::Call)?;
        Some(first.key.clone())
    }
    /// Whether its peer has said that it takes an INVITE with Replaces (RFC 3891 §6).
    pub fn takes_replaces(&self) -> bool {
        self.session.takes_replaces()
    }
}
