//! What a response to REGISTER says.

use super::plan::RegistrationPlan;
use crate::sip::{Headers, NameAddr, Response, Status, Uri};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Hops of Service-Route that are kept: more is no route, but an attack on our memory.
const MAX_HOPS: usize = 8;
/// Bytes of reason phrase that are kept.
const MAX_PHRASE: usize = 80;
/// A grant beyond this is taken for this: nobody should be forgotten for longer by a registrar that has lost its memory.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

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

/// Where the first hop saw our datagram come from (RFC 3581), if that is elsewhere than `sent_by` says.
pub(crate) fn observed(response: &Response, sent_by: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = sent_by.rsplit_once(':')?;
    let host: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    let port: u16 = port.parse().ok()?;
    let via = response.headers.via().ok()?;
    let seen = (
        via.received().map_or(host, |seen| seen.to_canonical()),
        via.rport().unwrap_or(port),
    );
    (seen != (host, port) && seen.1 != 0 && !seen.0.is_unspecified()).then_some(seen)
}

/// Why the registrar refused, in Flexisip's words where it has some.
pub(crate) fn why(response: &Response) -> String {
    match response.status {
        Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED | Status::FORBIDDEN => {
            "Bad credentials".to_owned()
        }
        Status::NOT_FOUND => "User not found".to_owned(),
        status => {
            let phrase = response.reason.to_str();
            let phrase: String = phrase
                .chars()
                .filter(|letter| !letter.is_control())
                .take(MAX_PHRASE)
                .collect();
            let phrase = if phrase.is_empty() {
                status.reason()
            } else {
                &phrase
            };
            format!("{status} {phrase}")
        }
    }
}

/// Whether the registrar itself has refused the account, so that an earlier binding is gone or worthless; what else fails may be
/// the network's fault or a bad moment, and the binding lasts.
pub(crate) fn is_refusal(status: Status) -> bool {
    let passing = [408, 423, 430, 480, 486, 491];
    (400..500).contains(&status.code()) && !passing.contains(&status.code()) || status.code() >= 600
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
