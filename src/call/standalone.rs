//! A request outside of any call as applications see it: read-only.

use super::{Failure, Incoming, Origin, failure::Kind, invite::begun, leg::ALLOW};
use crate::sip::{Headers, Method, NameAddr, ParseError, Request, Status, Uri, routing::Source};
use std::sync::Arc;

/// A request that begins no call: MESSAGE, PUBLISH, SUBSCRIBE, NOTIFY, or of a method that nobody here knows.
#[derive(Clone, Debug)]
pub struct Standalone {
    /// The request as it came.
    pub request: Request,
    /// Where it came from.
    pub source: Source,
    /// From, parsed.
    pub from: NameAddr,
    /// To, parsed.
    pub to: NameAddr,
    /// Pool and account whose mailbox this NOTIFY tells of, where it came in a subscription of the server's own. It is answered
    /// already.
    pub mailbox: Option<(Arc<str>, Arc<str>)>,
}

impl Standalone {
    /// Reads the parts that applications decide on.
    pub(super) fn of(incoming: &Incoming) -> Result<Self, Failure> {
        let (request, from, to) = begun(incoming)?;
        Ok(Self {
            source: incoming.source,
            from,
            to,
            mailbox: None,
            request: request.clone(),
        })
    }
    /// News of the mailbox of an account, which came in a subscription of the server's own.
    ///
    /// # Errors
    /// When From or To cannot be read.
    pub fn of_mailbox(
        notify: Request,
        source: Source,
        (pool, account): (Arc<str>, Arc<str>),
    ) -> Result<Self, ParseError> {
        Ok(Self {
            from: notify.headers.from()?,
            to: notify.headers.to()?,
            source,
            mailbox: Some((pool, account)),
            request: notify,
        })
    }
    /// The method.
    pub fn method(&self) -> &Method {
        &self.request.method
    }
    /// The Request-URI.
    pub fn uri(&self) -> &Uri {
        &self.request.uri
    }
    /// Header fields.
    pub fn headers(&self) -> &Headers {
        &self.request.headers
    }
    /// What an application answers that does not know what to do with it: 481 to a NOTIFY, which belongs to a subscription
    /// that is not there (RFC 6665 §4.1.3); 501 to a method that nobody knows (RFC 3261 §8.2.1); 405 to the others.
    pub fn refusal(&self) -> Failure {
        let declined = |status| Failure::new(status, Origin::App, Kind::Declined);
        match self.request.method {
            Method::Notify => declined(Status::CALL_DOES_NOT_EXIST),
            Method::Other(_) => declined(Status::NOT_IMPLEMENTED).with("Allow", ALLOW),
            _ => declined(Status::METHOD_NOT_ALLOWED),
        }
    }
}
