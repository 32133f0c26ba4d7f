//! The initial INVITE of leg A as applications see it: read-only.

use super::{Encryption, Failure, Incoming, Origin, failure::Kind};
use crate::sip::{
    Headers, Message, NameAddr, ParseError, Request, Uri,
    routing::{Own, Source},
};

/// The caller's INVITE.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The request as it came.
    pub request: Request,
    /// Where it came from.
    pub source: Source,
    /// Whose connection it came over; `None`: one that all share.
    pub own: Option<Own>,
    /// From, parsed.
    pub from: NameAddr,
    /// To, parsed.
    pub to: NameAddr,
    /// The encryption that its offer asks for; `None` without SDP.
    pub encryption: Option<Encryption>,
}

impl Invite {
    /// Reads the parts that applications decide on; the offer's encryption is filled in where the offer is read.
    pub(super) fn of(incoming: &Incoming) -> Result<Self, Failure> {
        let (request, from, to) = begun(incoming)?;
        Ok(Self {
            source: incoming.source,
            own: incoming.own.clone(),
            from,
            to,
            request: request.clone(),
            encryption: None,
        })
    }
    /// The Request-URI.
    pub fn uri(&self) -> &Uri {
        &self.request.uri
    }
    /// Header fields.
    pub fn headers(&self) -> &Headers {
        &self.request.headers
    }
}

/// A request that is outside of any dialog, its From and its To; what cannot be read of them refuses it.
pub(super) fn begun(incoming: &Incoming) -> Result<(&Request, NameAddr, NameAddr), Failure> {
    let Message::Request(request) = &incoming.message else {
        return Err(Failure::of(Kind::Protocol, Origin::LegA).because("Not a request"));
    };
    let bad = |error: ParseError| {
        Failure::new(error.status, Origin::LegA, Kind::Protocol).because(&error.to_string())
    };
    let from = request.headers.from().map_err(bad)?;
    let to = request.headers.to().map_err(bad)?;
    Ok((request, from, to))
}
