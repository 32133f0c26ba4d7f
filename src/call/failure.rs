//! The one shape that failures have between wire, legs, applications, CDR and metrics.

use crate::sip::{Headers, Status};

/// Who caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The caller's side.
    LegA,
    /// The callee's side.
    LegB,
    /// The application.
    App,
    /// The server itself: limits, resources, network.
    Local,
}

/// A call that failed, or a request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code that leg A is answered with.
    pub status: Status,
    /// The phrase; the code's own when `None`.
    pub reason: Option<crate::sip::Text>,
    /// Who caused it.
    pub origin: Origin,
    /// What happened, as a metric label and CDR word.
    pub kind: Kind,
    /// What of leg B's response crosses: `Retry-After`, `Warning`, `Reason`.
    pub headers: Headers,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// The peer answered with that code.
    Rejected,
    /// The caller cancelled.
    Cancelled,
    /// No answer within the unanswered time.
    NoAnswer,
    /// Transaction timeout: nothing came back.
    Timeout,
    /// DNS, connection or network.
    Unreachable,
    /// No common media or encryption.
    NotAcceptable,
    /// A request broke a protocol rule.
    Protocol,
    /// A loop.
    Loop,
    /// `max-calls`, ports, sockets.
    Capacity,
    /// Media stopped.
    MediaLost,
    /// `max-call-duration`.
    MaxDuration,
    /// The ACK never came.
    NoAck,
    /// The application said so.
    Declined,
    /// The server is stopping.
    Shutdown,
    /// A fault of ours.
    Internal,
}

impl Failure {
    /// A failure with the code's own phrase and no headers.
    pub fn new(status: Status, origin: Origin, kind: Kind) -> Self {
        Self {
            status,
            reason: None,
            origin,
            kind,
            headers: Headers::default(),
        }
    }
    /// The same with a phrase for people.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.into());
        self
    }
}

/// Why a call that was (or could have been) up ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// Who ended it.
    pub origin: Origin,
    /// What happened; `None` for an ordinary BYE.
    pub kind: Option<Kind>,
    /// `Reason` header values (RFC 3326) that cross to the other leg.
    pub reasons: Vec<crate::sip::Text>,
}
