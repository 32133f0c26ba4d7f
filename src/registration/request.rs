//! REGISTER as it goes to one target.

use super::{granted::request_uri, plan::RegistrationPlan};
use crate::sip::{
    CSeq, Headers, Method, NameAddr, Request, Text, Uri,
    routing::{DATAGRAM_LIMIT, Target, Transport},
};
use std::{net::IpAddr, time::Duration};

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
    let loose = |hop: &Uri| {
        if hop.param("lr").is_some() {
            hop.clone()
        } else {
            hop.with_param("lr", None)
        }
    };
    plan.route.iter().map(loose).collect()
}

/// Our Contact: the account's user where we are. `observed` is where a datagram of ours was seen to come from.
pub(crate) fn contact(user: Option<&str>, way: &Way, observed: Option<(IpAddr, u16)>) -> Uri {
    let uri = match observed {
        Some((host, port)) => Uri::sip(user, &host.to_string(), Some(port)),
        None => {
            let sent_by = &way.target.sent_by;
            match sent_by.rsplit_once(':') {
                Some((host, port)) => Uri::sip(user, host, port.parse().ok()),
                None => Uri::sip(user, sent_by, None),
            }
        }
    };
    match way.contact.as_uri_param() {
        Some(transport) => uri.with_param("transport", Some(transport)),
        None => uri,
    }
}

/// Via, on top of what is there.
pub(crate) fn add_via(headers: &mut Headers, target: &Target, branch: &Text) {
    let via = format!(
        "SIP/2.0/{} {};branch={branch};rport",
        target.transport.as_via(),
        target.sent_by
    );
    headers.push_front("Via", via);
}

/// One way to a target.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) target: Target,
    /// What our Contact names: differs from the target's where only size made it TCP (RFC 3261 §18.1.1).
    pub(crate) contact: Transport,
    /// The size has been looked at.
    measured: bool,
}

impl Way {
    /// As the lookup found it.
    pub(crate) fn to(target: &Target) -> Self {
        Self {
            target: target.clone(),
            contact: target.transport,
            measured: false,
        }
    }
    /// What a request of `size` bytes takes instead: TCP, and this way after it (RFC 3261 §18.1.1). `None`: it may go as it is.
    pub(crate) fn for_size(&self, size: usize) -> Option<[Self; 2]> {
        if self.measured || size <= DATAGRAM_LIMIT {
            return None;
        }
        let target = Target::by_size(std::slice::from_ref(&self.target), size)
            .into_iter()
            .next()?;
        let measured = Self {
            measured: true,
            ..self.clone()
        };
        let instead = Self {
            target,
            ..measured.clone()
        };
        (instead.target != self.target).then_some([instead, measured])
    }
}
