//! What a response to REGISTER says.

use super::plan::RegistrationPlan;
use crate::{
    roll::LONGEST,
    sip::{Headers, NameAddr, Response, Uri},
};
use std::{sync::Arc, time::Duration};

/// Hops of Service-Route that are kept: more is no route, but an attack on our memory.
const MAX_HOPS: usize = 8;

/// The time that the registrar has granted: of our Contact in its list, else of Expires, else what was asked for
/// (RFC 3261 §10.3, step 8).
pub(super) fn expiry(response: &Response, contact: &Uri, asked: Duration) -> Duration {
    let contacts: Vec<NameAddr> = response
        .headers
        .values("Contact")
        .filter_map(|value| NameAddr::parse(value).ok())
        .collect();
    let ours = contacts.iter().find(|listed| listed.uri.equivalent(contact));
    // Some rewrite the Contact of who is behind a NAT; where there is only one, it is ours.
    let ours = ours.or(match contacts.as_slice() {
        [only] => Some(only),
        _ => None,
    });
    let of_contact = ours
        .and_then(|ours| ours.param("expires").flatten())
        .and_then(|text| text.unquoted().to_str().trim().parse::<u32>().ok());
    let seconds = of_contact.or_else(|| response.headers.number("Expires"));
    seconds
        .map_or(asked, |seconds| Duration::from_secs(seconds.into()))
        .min(LONGEST)
}

/// Service-Route (RFC 3608): the way that calls of this account are to take. Nothing when it cannot be read.
pub(super) fn service_route(headers: &Headers) -> Arc<[Uri]> {
    let hops: Result<Vec<_>, _> = headers
        .values("Service-Route")
        .take(MAX_HOPS + 1)
        .map(NameAddr::parse)
        .collect();
    match hops {
        Ok(hops) if hops.len() <= MAX_HOPS => hops.iter().map(|hop| hop.uri.detached()).collect(),
        _ => {
            tracing::debug!("a Service-Route that cannot be read, or is too long, is not followed");
            Arc::default()
        }
    }
}

/// The Request-URI of REGISTER: a domain, no user, no headers (RFC 3261 §10.2), no route parameter.
pub(super) fn request_uri(plan: &RegistrationPlan) -> Uri {
    let registrar = &plan.registrar;
    let mut uri = Uri::sip(None, registrar.host(), registrar.port());
    if registrar.scheme() == crate::sip::uri::Scheme::Sips {
        let text = uri.as_str().replacen("sip:", "sips:", 1);
        uri = Uri::parse(text).unwrap_or(uri);
    }
    match registrar.param("transport").flatten() {
        Some(transport) => uri.with_param("transport", Some(transport)),
        None => uri,
    }
}
