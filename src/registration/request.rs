//! REGISTER as it goes to one target.

use super::{granted::request_uri, plan::RegistrationPlan};
use crate::sip::{CSeq, Method, NameAddr, Request, Text, Uri};
use std::time::Duration;

/// What stays the same for a registration's life (RFC 3261 §10.2: one Call-ID, CSeq counted up).
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) call_id: Text,
    tag: String,
    cseq: u32,
    user_agent: Text,
}

impl Identity {
    pub(super) fn new(call_id: String, tag: String, user_agent: Text) -> Self {
        Self {
            call_id: call_id.into(),
            tag,
            cseq: 0,
            user_agent,
        }
    }
    /// The number of the last request.
    pub(super) const fn cseq(&self) -> u32 {
        self.cseq
    }
    /// The next REGISTER, without Via, Contact and credentials.
    pub(super) fn next(&mut self, plan: &RegistrationPlan, expires: Duration) -> Request {
        self.cseq = (self.cseq + 1) & 0x7fff_ffff;
        let mut request = Request::new(Method::Register, request_uri(plan));
        let aor = NameAddr::of(plan.aor.without_headers());
        let headers = &mut request.headers;
        for hop in route(plan) {
            headers.push("Route", NameAddr::of(hop).to_text());
        }
        headers.push("Max-Forwards", "70");
        headers.push("From", aor.with_tag(&self.tag).to_text());
        headers.push("To", aor.to_text());
        headers.push("Call-ID", self.call_id.clone());
        let cseq = CSeq {
            number: self.cseq,
            method: Method::Register,
        };
        headers.push("CSeq", cseq.to_text());
        headers.push("Expires", expires.as_secs().to_string());
        // RFC 3327 §5: proxies on the way may ask to be on the way back.
        headers.push("Supported", "path");
        headers.push("User-Agent", self.user_agent.clone());
        request
    }
}

/// The Route headers. One hop that is the registrar itself needs none.
fn route(plan: &RegistrationPlan) -> Vec<Uri> {
    if let [only] = plan.route.as_slice()
        && only.without_param("lr").equivalent(&plan.registrar)
    {
        return Vec::new();
    }
    plan.route.iter().map(Uri::loose).collect()
}
