//! Calls that stand, for tests of what comes after.

use super::party::{Heard, Party, fresh};

/// A call from its INVITE until both sides talk: what the callee was asked and what the caller was answered.
pub(crate) struct Talk {
    pub(crate) invite: String,
    pub(crate) asked: Heard,
    pub(crate) answered: Heard,
}

/// A call that rings, is answered and stands.
pub(crate) fn answered(caller: &mut Party, callee: &mut Party) -> Talk {
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&invite);
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "180 Ringing", "");
    caller.expect("SIP/2.0 180");
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");
    Talk {
        invite,
        asked,
        answered,
    }
}

/// An INVITE that is on its way is answered at once; what the callee was asked and what the caller was answered.
pub(crate) fn taken(caller: &mut Party, callee: &mut Party) -> (Heard, Heard) {
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");
    (asked, answered)
}
