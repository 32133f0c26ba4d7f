//! Where a peer really is whose Contact cannot tell: phones behind NATs (acceptance #24).

use super::{Leg, Phase};
use crate::sip::{
    Request, Response, Uri,
    routing::{Destination, NextHop, Source, Target, Transport},
};
use std::net::{IpAddr, SocketAddr};

impl Leg {
    /// Notes where the sender of a request that says where it is really is.
    pub(super) fn note_nat(&mut self, request: &Request, source: &Source) {
        self.nat = caller(request, source);
    }
    /// A phone behind a NAT that speaks from elsewhere is there now: its connection was lost and made anew, or the NAT has given
    /// it another port.
    pub(super) fn follow_nat(&mut self, request: &Request, source: &Source) {
        let headers = &request.headers;
        let is_direct = headers.values("Via").count() == 1 && !headers.contains("Record-Route");
        if self.nat.is_some() && is_direct && matches!(self.phase, Phase::Up(_)) {
            self.nat = Some(seen_at(source.transport, source.remote));
        }
    }
    /// Nothing can be sent to `to`. If that was the connection of a peer that we took to be behind a NAT, all that is left is what
    /// its Contact says; whether it is so.
    pub(super) fn leave_nat(&mut self, to: &Destination) -> bool {
        let Destination::Target(target) = to else {
            return false;
        };
        let lost = matches!(target.transport, Transport::Tcp | Transport::Tls)
            && self
                .nat
                .as_ref()
                .and_then(|nat| self.known(&NextHop::to(nat.clone())))
                .is_some_and(|targets| targets.first().is_some_and(|first| first.remote == target.remote));
        if lost {
            self.nat = None;
        }
        lost
    }
}

/// A callee whose 2xx names a private address, though it answered from a public one and no proxy wants to be passed through, is
/// behind a NAT: it is reached where it answered. A proxy on our own machine proves nothing: the phones may be in our network.
pub(super) fn callee(response: &Response, target: &Target) -> Option<Uri> {
    let contact = response.headers.contacts().ok()?.into_iter().next()?;
    let claimed: IpAddr = contact
        .uri
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse()
        .ok()?;
    let seen = target.remote.ip().to_canonical();
    let is_behind = is_private(claimed)
        && !is_private(seen)
        && !seen.is_loopback()
        && !response.headers.contains("Record-Route")
        // By its address alone nobody can prove to be whom we called.
        && target.server_name.is_none();
    is_behind.then(|| seen_at(target.transport, target.remote))
}

/// RFC 1918, 3927, 4193, 4291, 6598: addresses that mean something in their own network only.
fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [first, second, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (first == 100 && second & 0xc0 == 64)
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// A URI that leads back to where something came from.
fn seen_at(transport: Transport, remote: SocketAddr) -> Uri {
    let uri = Uri::sip(None, &remote.ip().to_canonical().to_string(), Some(remote.port()));
    match transport.as_uri_param() {
        Some(transport) => uri.with_param("transport", Some(transport)),
        None => uri,
    }
}

/// The address that a request came from, if its sender is a phone behind a NAT that does not know it: no proxy is between, and
/// its Contact is the very address of its Via, which is not where the request came from (acceptance #24). A connection is left
/// to what Contact says where only the port differs: nobody knows how long the connection lasts. A caller of RFC 2543 that names
/// no Contact is reached there too. A phone that came by TLS has no certificate to be connected to with, and a browser takes no
/// connections at all: both are always reached over the connection that they opened.
pub(super) fn caller(request: &Request, source: &Source) -> Option<Uri> {
    let headers = &request.headers;
    if headers.contains("Record-Route") || headers.values("Via").count() != 1 {
        return None;
    }
    let via = headers.via().ok()?;
    let remote = source.remote;
    let is_web = matches!(source.transport, Transport::Ws | Transport::Wss);
    if !is_web
        && let Some(contact) = headers
            .contacts()
            .ok()?
            .into_iter()
            .next()
            .map(|contact| contact.uri)
    {
        let host = String::from_utf8_lossy(&via.host).into_owned();
        let claimed = host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .ok()?;
        let port = via.port.unwrap_or(5060);
        let is_same = contact.host().parse() == Ok(claimed) && contact.port().unwrap_or(5060) == port;
        let moved = claimed != remote.ip().to_canonical()
            || (source.transport != Transport::Tcp && port != remote.port());
        if !is_same || !moved {
            return None;
        }
    }
    Some(seen_at(source.transport, remote))
}
