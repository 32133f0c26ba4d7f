//! A request inside a running call as applications see it: read-only.

use super::{Side, TransferMode, signal::Payload};
use crate::sip::{Headers, Method, ReferTo};
use bytes::Bytes;

/// A request of one party that is to cross to the other: INFO, MESSAGE, REFER, methods that nobody knows. Offers, and what belongs
/// to the dialog itself (BYE, UPDATE, PRACK, OPTIONS), are no business of applications.
#[derive(Clone, Debug)]
pub struct InCallRequest {
    /// Whose request it is.
    pub side: Side,
    /// The method.
    pub method: Method,
    /// The headers that would cross: those that describe the body, those of the method itself, `X-…`.
    pub headers: Headers,
    /// The body; empty for a session description, which does not cross so.
    pub body: Bytes,
    /// A REFER that the server executes: its target is going to be routed like that of a call by this party.
    pub executed: bool,
    /// Where a REFER points; the dialog that it may name is the transferor's, until it has been looked for.
    pub refer_to: Option<ReferTo>,
    /// Of a REFER that names a dialog, and whose target the application has left as it is, it is asked again when it is known whether
    /// that dialog is one of this server. If so, `refer_to` has the address of who is at its other end, and that dialog as it is known
    /// there.
    pub found: Option<bool>,
}

impl InCallRequest {
    pub(super) fn of(side: Side, payload: &Payload, refer_to: Option<ReferTo>, mode: TransferMode) -> Self {
        Self {
            side,
            method: payload.method.clone(),
            headers: payload.headers.clone(),
            body: payload.body.clone(),
            executed: refer_to.is_some() && mode == TransferMode::Execute,
            refer_to,
            found: None,
        }
    }
}
