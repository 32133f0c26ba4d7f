//! One way to a target, and what a request says of it.

use crate::sip::{
    Headers, Text, Uri,
    routing::{DATAGRAM_LIMIT, Target, Transport},
};
use std::net::IpAddr;

/// One way to a target.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) target: Target,
    /// What our Contact names: differs from the target's where only size made it TCP (RFC 3261 §18.1.1).
    contact: Transport,
    /// The size has been looked at.
    measured: bool,
}

impl Way {
    /// As the lookup found it.
    pub(super) fn to(target: &Target) -> Self {
        Self {
            target: target.clone(),
            contact: target.transport,
            measured: false,
        }
    }
    /// Our Contact: `user` where we are. `observed` is where a datagram of ours was seen to come from.
    pub(super) fn contact(&self, user: Option<&str>, observed: Option<(IpAddr, u16)>) -> Uri {
        let uri = match observed {
            Some((host, port)) => Uri::sip(user, &host.to_string(), Some(port)),
            None => {
                let sent_by = &self.target.sent_by;
                match sent_by.rsplit_once(':') {
                    Some((host, port)) => Uri::sip(user, host, port.parse().ok()),
                    None => Uri::sip(user, sent_by, None),
                }
            }
        };
        match self.contact.as_uri_param() {
            Some(transport) => uri.with_param("transport", Some(transport)),
            None => uri,
        }
    }
    /// What a request of `size` bytes takes instead: TCP, and this way after it (RFC 3261 §18.1.1). `None`: it may go as it is.
    pub(super) fn for_size(&self, size: usize) -> Option<[Self; 2]> {
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

/// Via, on top of what is there.
pub(super) fn add_via(headers: &mut Headers, target: &Target, branch: &Text) {
    let via = format!(
        "SIP/2.0/{} {};branch={branch};rport",
        target.transport.as_via(),
        target.sent_by
    );
    headers.push_front("Via", via);
}
