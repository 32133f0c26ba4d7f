//! INVITEs with Replaces (RFC 3891) where the server executes transfers itself: to the call whose dialog they name.

use super::{dispatch::Dispatcher, maps::Owner};
use crate::{
    call::{Failure, Input, Origin, TransferMode, failure::Kind},
    sip::{
        Replaces, Request, Status, Uri,
        routing::{Source, TransactionKey},
    },
};

impl Dispatcher {
    /// Hands an INVITE to the call in which it is to take a place, or refuses it. What comes back begins a call: it has no Replaces,
    /// or one for whoever is called.
    pub(super) fn replace(
        &mut self,
        request: Request,
        key: &TransactionKey,
        source: Source,
    ) -> Option<Request> {
        if self.policy.calls.transfer != TransferMode::Execute {
            return Some(request);
        }
        // What cannot be read is refused by the call that it begins.
        let Ok(Some(replaces)) = Replaces::of(&request.headers) else {
            return Some(request);
        };
        let status = match self.maps.owner(&replaces.key()) {
            Owner::Call(number, side) => {
                let incoming = self.incoming(request.into(), source);
                let taken = self.maps.calls.get(&number).is_some_and(|entry| {
                    let input = Input::Replace(replaces.detached(), incoming);
                    entry.inbox.deliver(input, self.waiting())
                });
                if taken {
                    self.maps.add_invite(number, side, key.clone());
                } else {
                    self.gauges.dropped.add();
                }
                return None;
            }
            Owner::Gone => Status::DECLINE,
            Owner::Nobody if names(&request.uri, &self.net.sent_by(&source).0.to_str()) => {
                Status::CALL_DOES_NOT_EXIST
            }
            Owner::Nobody => return Some(request),
        };
        tracing::info!(from = %source.remote, %status, "an INVITE with Replaces is refused");
        let failure = Failure::new(status, Origin::LegA, Kind::Protocol);
        self.record_refusal(&request, key, source, failure);
        let response = self.answerer.response(&request, status);
        self.answer(&request, response, source);
        None
    }
}

/// Whether a URI names the server itself, and nobody behind it.
fn names(uri: &Uri, server: &str) -> bool {
    let port = uri.port().map_or(String::new(), |port| format!(":{port}"));
    let at = format!("{}{port}", uri.host());
    uri.user().is_none()
        && (at.eq_ignore_ascii_case(server) || format!("{at}:5060").eq_ignore_ascii_case(server))
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::sip::Uri;

    #[test]
    fn only_a_uri_without_user_names_the_server_itself() {
        let named = |uri: &str| names(&Uri::parse(uri).unwrap(), "192.0.2.1:5060");
        assert!(named("sip:192.0.2.1:5060"));
        assert!(named("sip:192.0.2.1"));
        assert!(named("sip:192.0.2.1:5060;transport=udp"));
        assert!(!named("sip:bob@192.0.2.1:5060"));
        assert!(!named("sip:192.0.2.1:5070"));
        assert!(!named("sip:192.0.2.2"));
    }
}
