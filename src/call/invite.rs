//! The initial INVITE of leg A as applications see it: read-only.

use super::Encryption;
use crate::sip::{Headers, NameAddr, Request, Uri, routing::Source};

/// The caller's INVITE.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The request as it came.
    pub request: Request,
    /// Where it came from.
    pub source: Source,
    /// From, parsed.
    pub from: NameAddr,
    /// To, parsed.
    pub to: NameAddr,
    /// The encryption that its offer asks for; `None` without SDP.
    pub encryption: Option<Encryption>,
}

impl Invite {
    /// The Request-URI.
    pub fn uri(&self) -> &Uri {
        &self.request.uri
    }
    /// Header fields.
    pub fn headers(&self) -> &Headers {
        &self.request.headers
    }
}
