//! Answers to requests that begin no call: what is wrong with them, what we can do, where nothing is.

use crate::{
    call::{
        Failure, Transmit,
        leg::{ALLOW, SUPPORTED},
    },
    sip::{
        Method, ParseError, Request, Response, Status, Text,
        routing::{Destination, Source, TransactionKey},
        uri::Scheme,
    },
};
use sha1::{Digest as _, Sha1};

/// Makes answers without remembering anything (RFC 3261 §8.2.7): the same request gets the same answer.
pub(super) struct Answerer {
    /// Makes our tags unpredictable and yet the same for the same request.
    secret: [u8; 16],
    pub(super) user_agent: Text,
}

impl Answerer {
    pub(super) const fn new(secret: [u8; 16], user_agent: Text) -> Self {
        Self { secret, user_agent }
    }
    /// Our tag in answers to this request.
    pub(super) fn tag(&self, request: &Request) -> String {
        let mut hash = Sha1::new();
        hash.update(self.secret);
        if let Ok(key) = TransactionKey::of(request) {
            hash.update(key.branch.as_bytes());
            hash.update([0]);
            hash.update(key.sent_by.as_bytes());
        }
        hex::encode(hash.finalize().get(..10).unwrap_or_default())
    }
    /// An answer with that code, to be dressed further.
    pub(super) fn response(&self, request: &Request, status: Status) -> Response {
        let mut response = request.respond(status, Some(&self.tag(request)));
        response.headers.push("User-Agent", self.user_agent.clone());
        if status == Status::METHOD_NOT_ALLOWED {
            response.headers.push("Allow", ALLOW);
        }
        response
    }
    /// 400 and kin: the phrase says what is wrong.
    pub(super) fn fault(&self, request: &Request, fault: &ParseError) -> Response {
        let mut response = self.response(request, fault.status);
        if fault.status == Status::BAD_REQUEST {
            response.reason = fault.reason();
        }
        response
    }
    /// What a call that could not be made is answered with.
    pub(super) fn failure(&self, request: &Request, failure: &Failure) -> Response {
        let mut response = self.response(request, failure.status);
        if let Some(reason) = &failure.reason {
            let phrase = reason
                .iter()
                .map(|byte| if byte.is_ascii_control() { b' ' } else { *byte });
            response.reason = phrase.take(200).collect::<Vec<u8>>().into();
        }
        for (name, value) in failure.headers.iter() {
            response.headers.push(name, value);
        }
        response
    }
    /// The answer to a request outside of any dialog, in the order of RFC 3261 §8.2; `None` for an INVITE that we can act on,
    /// and for what the application is asked about.
    pub(super) fn outside(&self, request: &Request) -> Option<Response> {
        match request.method {
            // They make no sense without a dialog.
            Method::Bye | Method::Cancel | Method::Update | Method::Info | Method::Prack => {
                return Some(self.response(request, Status::CALL_DOES_NOT_EXIST));
            }
            // We register nobody, and nobody transfers us from outside of a call.
            Method::Register | Method::Refer | Method::Ack => {
                return Some(self.response(request, Status::METHOD_NOT_ALLOWED));
            }
            Method::Invite | Method::Options => {}
            Method::Message | Method::Publish | Method::Subscribe | Method::Notify | Method::Other(_) => {
                return None;
            }
        }
        if !knows_scheme(request) {
            return Some(self.response(request, Status::UNSUPPORTED_URI_SCHEME));
        }
        if let Some(unsupported) = unsupported(request) {
            let mut response = self.response(request, Status::BAD_EXTENSION);
            response.headers.push("Unsupported", unsupported);
            return Some(response);
        }
        (request.method == Method::Options).then(|| {
            let mut response = self.with_allow(request, Status::OK);
            response.headers.push("Accept", "application/sdp");
            response.headers.push("Accept-Encoding", "identity");
            response.headers.push("Accept-Language", "*");
            response.headers.push("Supported", SUPPORTED.join(", "));
            response
        })
    }
    fn with_allow(&self, request: &Request, status: Status) -> Response {
        let mut response = self.response(request, status);
        response.headers.push("Allow", ALLOW);
        response
    }
}

/// Whether the Request-URI is one that a call can be meant for.
fn knows_scheme(request: &Request) -> bool {
    match request.uri.scheme() {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => true,
        // Services, emergency among them (RFC 5031), are for the outbound proxy to find.
        Scheme::Other => {
            let scheme = request.uri.as_str().split(':').next();
            scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("urn"))
        }
    }
}

/// The option tags of Require that we do not know.
fn unsupported(request: &Request) -> Option<String> {
    let unknown: Vec<String> = request
        .headers
        .values("Require")
        .map(|tag| tag.to_string())
        .filter(|tag| !tag.is_empty() && !SUPPORTED.iter().any(|known| known.eq_ignore_ascii_case(tag)))
        .collect();
    (!unknown.is_empty()).then(|| unknown.join(", "))
}

/// A response on the way that its request came.
pub(super) fn reply(request: &Request, response: &Response, source: Source) -> Transmit {
    let via = request.headers.via();
    let address = via.map_or(source.remote, |via| via.reply_address(source.remote));
    Transmit {
        bytes: response.to_bytes(),
        to: Destination::Reply { source, address },
    }
}
