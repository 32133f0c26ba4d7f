//! What calls of one server say to each other when a leg of one is to be a leg of another: an attended transfer that the server
//! executes joins two calls (RFC 5589 §7), and the target need not know of it.
//!
//! The call that executes the transfer asks for the leg ([`Wish`]). The other one gives it, when nothing is under way on it, and
//! goes on with what it has left until it hears that the leg stays where it is, or has it back. The leg is data and moves with its
//! transactions, its timers and its lease; its media does not: it is offered new ports by re-INVITE.
//!
//! Whoever carries the legs between the calls also decides where messages go. A message that was handed to the call which had
//! the leg before is forwarded by it, so that none is lost and none is heard twice; that it may then come after a later one is what
//! any network may do.

use super::{CallNumber, Side};
use crate::sip::{Replaces, Status};

/// A call wants a leg of another.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Who wants it; whoever carries the wish fills it in.
    pub asker: CallNumber,
    /// The dialog of the other leg of the same call, as its party knows it.
    pub named: Replaces,
    /// The side of the call that wants it on which it would be.
    pub side: Side,
    /// Whom its party is going to talk to.
    pub with: String,
}

/// Why a leg is under way.
#[derive(Clone, Debug)]
pub(in crate::call) enum Errand {
    /// To take a place in the call that wants it.
    Joins,
    /// Back to where it came from.
    Returns(Outcome),
    /// Where it came from is no more: it is hung up.
    Homeless,
}

/// What has become of a leg that did not get the place that it was wanted for.
#[derive(Clone, Debug)]
pub(in crate::call) struct Outcome {
    /// Why it did not.
    pub(in crate::call) status: Status,
    /// Its party has the offer of the other call, and has not answered it.
    pub(in crate::call) is_offered: bool,
    /// Its party believes that its media lives in the other call, or was to be told again what it knows.
    pub(in crate::call) is_stale: bool,
    /// Its party has hung up.
    pub(in crate::call) ended: Option<super::Cause>,
}

impl Outcome {
    /// Its party has heard nothing of it.
    pub(in crate::call) fn untouched(status: Status) -> Self {
        Self {
            status,
            is_offered: false,
            is_stale: false,
            ended: None,
        }
    }
}
