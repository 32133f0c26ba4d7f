//! The dialog of one subscription: made by a SUBSCRIBE of ours, known by its answer or by the NOTIFY that overtakes it.

use super::plan::MailboxPlan;
use crate::sip::{
    Ids, Method, NameAddr, Request, Response, Status, Text, Uri,
    dialog::Dialog,
    message_summary::{MESSAGE_SUMMARY, SIMPLE_MESSAGE_SUMMARY},
    routing::{DialogKey, NextHop},
};
use std::time::Duration;

/// See the module.
#[derive(Debug)]
pub(super) struct Usage {
    dialog: Dialog,
    /// A NOTIFY has come in it.
    pub(super) has_spoken: bool,
}

/// What a request in the dialog is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// The next one.
    New,
    /// One that was answered before: its answer was lost.
    Again,
}

impl Usage {
    /// A new one: its first request goes to the mailbox's server, by the account's way.
    pub(super) fn new(plan: &MailboxPlan, service_route: &[Uri], ids: &mut Ids) -> Self {
        let tag = ids.tag();
        let aor = NameAddr::of(plan.aor.without_headers());
        let loose = |hop: &Uri| NameAddr::of(hop.loose());
        let dialog = Dialog {
            call_id: ids.call_id().into(),
            local_tag: tag.as_str().into(),
            remote_tag: None,
            local: aor.with_tag(&tag).to_text(),
            remote: aor.to_text(),
            route_set: plan.route.iter().chain(service_route).map(loose).collect(),
            remote_target: plan.server.without_headers(),
            local_cseq: 0,
            remote_cseq: None,
        };
        Self {
            dialog,
            has_spoken: false,
        }
    }
    /// What finds it.
    pub(super) fn key(&self) -> DialogKey {
        DialogKey {
            call_id: self.dialog.call_id.clone(),
            local_tag: self.dialog.local_tag.clone(),
        }
    }
    /// Where the next request goes first.
    pub(super) fn hop(&self) -> NextHop {
        self.dialog.path().hop
    }
    /// The number of the last request.
    pub(super) const fn cseq(&self) -> u32 {
        self.dialog.local_cseq
    }
    /// Whether the notifier is known.
    pub(super) const fn is_known(&self) -> bool {
        self.dialog.remote_tag.is_some()
    }
    /// The next SUBSCRIBE, without Via, Contact and credentials.
    pub(super) fn subscribe(&mut self, expires: Duration, user_agent: &Text) -> Request {
        let path = self.dialog.path();
        let mut request = self.dialog.request(Method::Subscribe, &path);
        let headers = &mut request.headers;
        headers.push("Event", MESSAGE_SUMMARY);
        headers.push("Accept", SIMPLE_MESSAGE_SUMMARY);
        headers.push("Expires", expires.as_secs().to_string());
        headers.push("User-Agent", user_agent.clone());
        request
    }
    /// A SUBSCRIBE was granted.
    pub(super) fn granted(&mut self, response: &Response) {
        let headers = &response.headers;
        let tag = headers.to().ok().and_then(|to| to.tag());
        if self.dialog.remote_tag.is_none() {
            let mut routes = headers.routes("Record-Route").unwrap_or_default();
            routes.reverse();
            self.dialog.route_set = routes;
            self.dialog.remote = headers.get("To").unwrap_or_default();
            self.dialog.remote_tag = tag;
        } else if tag != self.dialog.remote_tag {
            // RFC 3842 §3.9: of several forks there is one; the NOTIFY that came first is its.
            return;
        }
        self.dialog.refresh(headers);
    }
    /// A NOTIFY: whether it is of the notifier that is known, and comes in order.
    ///
    /// # Errors
    /// What it is answered with.
    pub(super) fn hear(&mut self, request: &Request) -> Result<Heard, Status> {
        let peer = request.headers.from().ok().and_then(|from| from.tag());
        if self.dialog.remote_tag.is_none() {
            self.dialog.remote_tag = peer.clone();
            self.dialog.settle(&request.headers);
        }
        if peer != self.dialog.remote_tag {
            return Err(Status::CALL_DOES_NOT_EXIST);
        }
        let number = request.headers.cseq().map_err(|_| Status::BAD_REQUEST)?.number;
        match self.dialog.receive(number) {
            Ok(()) => {
                self.has_spoken = true;
                self.dialog.refresh(&request.headers);
                Ok(Heard::New)
            }
            Err(error) if error.got == error.seen => Ok(Heard::Again),
            Err(_) => Err(Status::SERVER_INTERNAL_ERROR),
        }
    }
}
