//! What is done for the parties of a call whose task has failed: a fault of ours costs one call, and nobody is left
//! waiting.

use super::standalone::{Answerer, reply};
use crate::{
    call::{Incoming, Side, Transmit},
    net::Net,
    sip::{Message, Method, Request, Status, Text, parse},
};

/// What is known of a call outside of its machine.
pub(super) struct Remains {
    /// The caller's INVITE.
    pub(super) invite: Incoming,
    /// Our tag towards the caller, once it has heard one.
    pub(super) tag: Option<Text>,
    /// The last INVITE towards a callee.
    pub(super) invited: Option<Transmit>,
}

impl Remains {
    pub(super) const fn new(invite: Incoming) -> Self {
        Self {
            invite,
            tag: None,
            invited: None,
        }
    }
    /// Ends what is left: a dialog by its BYE, an INVITE that has no answer yet by 500 or CANCEL.
    pub(super) fn bury(&self, net: &Net, answerer: &Answerer, byes: Vec<(Side, Transmit)>) {
        let has_bye = |side| byes.iter().any(|(of, _)| *of == side);
        let (a, b) = (has_bye(Side::A), has_bye(Side::B));
        if !a && let Message::Request(request) = &self.invite.message {
            let mut response = match &self.tag {
                Some(tag) => request.respond(Status::SERVER_INTERNAL_ERROR, Some(&tag.to_str())),
                None => request.respond(Status::SERVER_INTERNAL_ERROR, Some(&answerer.tag(request))),
            };
            response.headers.push("User-Agent", answerer.user_agent.clone());
            net.send(reply(request, &response, self.invite.source));
        }
        if !b
            && let Some(invited) = &self.invited
            && let Some(cancel) = cancel(invited)
        {
            net.send(cancel);
        }
        for (_, bye) in byes {
            net.send(bye);
        }
    }
}

/// Says so in the log.
pub(super) fn log() {
    tracing::error!("a fault in this call's task; both parties were told that it is over");
}

/// The CANCEL of an INVITE (RFC 3261 §9.1).
fn cancel(invited: &Transmit) -> Option<Transmit> {
    let (Message::Request(invite), None) = parse::message(invited.bytes.clone()).ok()? else {
        return None;
    };
    let mut cancel = Request::new(Method::Cancel, invite.uri.clone());
    cancel.headers.push("Via", invite.headers.via().ok()?.to_text());
    for name in ["Route", "Max-Forwards", "From", "To", "Call-ID"] {
        cancel.headers.copy_from(&invite.headers, name);
    }
    let number = invite.headers.cseq().ok()?.number;
    cancel.headers.push("CSeq", format!("{number} CANCEL"));
    Some(Transmit {
        bytes: cancel.to_bytes(),
        to: invited.to.clone(),
    })
}
