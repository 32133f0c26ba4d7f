//! The one shape that failures have between wire, legs, applications, CDR and metrics.

mod stranger;

use super::LookupError;
use crate::sip::{Headers, Response, Status, Text};

/// Who caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

impl Origin {
    /// The word for metrics and CDR.
    pub const fn label(self) -> &'static str {
        match self {
            Self::LegA => "leg_a",
            Self::LegB => "leg_b",
            Self::App => "app",
            Self::Local => "local",
        }
    }
}

/// A call that failed, or a request that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code that leg A is answered with.
    pub status: Status,
    /// The phrase; the code's own when `None`.
    pub reason: Option<Text>,
    /// Who caused it.
    pub origin: Origin,
    /// What happened, as a metric label and CDR word.
    pub kind: Kind,
    /// What goes with the response: `Retry-After`, `Warning`, `Reason`, `Contact` of a redirection from leg B; `Unsupported`,
    /// `Accept`, `Allow` from ourselves.
    pub headers: Headers,
    /// Other fields of the response, of which only those cross that the application names; empty from then on.
    pub others: Option<Box<Headers>>,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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

impl Kind {
    /// Every kind, for tables.
    pub const ALL: [Self; 15] = [
        Self::Rejected,
        Self::Cancelled,
        Self::NoAnswer,
        Self::Timeout,
        Self::Unreachable,
        Self::NotAcceptable,
        Self::Protocol,
        Self::Loop,
        Self::Capacity,
        Self::MediaLost,
        Self::MaxDuration,
        Self::NoAck,
        Self::Declined,
        Self::Shutdown,
        Self::Internal,
    ];

    /// The table: metric label and CDR word, code where no response brought one, `Reason` value (RFC 3326) where no response
    /// brought one; `None` where the code itself says all (see [`q850`]) or there is nothing to say.
    const fn row(self) -> (&'static str, Status, Option<&'static str>) {
        match self {
            Self::Rejected => ("rejected", Status::DECLINE, None),
            Self::Cancelled => ("cancelled", Status::REQUEST_TERMINATED, None),
            Self::NoAnswer => (
                "no_answer",
                Status::TEMPORARILY_UNAVAILABLE,
                Some("Q.850;cause=19;text=\"No answer from user\""),
            ),
            Self::Timeout => ("timeout", Status::REQUEST_TIMEOUT, None),
            Self::Unreachable => (
                "unreachable",
                Status::SERVICE_UNAVAILABLE,
                Some("Q.850;cause=38;text=\"Network out of order\""),
            ),
            Self::NotAcceptable => ("not_acceptable", Status::NOT_ACCEPTABLE_HERE, None),
            Self::Protocol => (
                "protocol",
                Status::BAD_REQUEST,
                Some("Q.850;cause=111;text=\"Protocol error\""),
            ),
            Self::Loop => ("loop", Status::LOOP_DETECTED, None),
            Self::Capacity => (
                "capacity",
                Status::SERVICE_UNAVAILABLE,
                Some("Q.850;cause=42;text=\"Switching equipment congestion\""),
            ),
            Self::MediaLost => (
                "media_lost",
                Status::SERVICE_UNAVAILABLE,
                Some("SIP;cause=503;text=\"Media lost\""),
            ),
            Self::MaxDuration => (
                "max_duration",
                Status::TEMPORARILY_UNAVAILABLE,
                Some("Q.850;cause=102;text=\"Maximum call duration reached\""),
            ),
            Self::NoAck => (
                "no_ack",
                Status::REQUEST_TIMEOUT,
                Some("SIP;cause=408;text=\"no ACK received\""),
            ),
            Self::Declined => ("declined", Status::DECLINE, None),
            Self::Shutdown => (
                "shutdown",
                Status::SERVICE_UNAVAILABLE,
                Some("Q.850;cause=41;text=\"Temporary failure\""),
            ),
            Self::Internal => ("internal", Status::SERVER_INTERNAL_ERROR, None),
        }
    }
    /// The word for metrics and CDR.
    pub const fn label(self) -> &'static str {
        self.row().0
    }
    /// The code that leg A gets where no response of leg B brought one.
    pub const fn status(self) -> Status {
        self.row().1
    }
}

/// The `Reason` value that says a code in the words of the telephone network: RFC 3398 §8.2.6.1; 488 and 606 as
/// "incompatible destination". `None` for what has no mapping.
pub fn q850(status: Status) -> Option<Text> {
    let (cause, text) = match status.code() {
        404 | 485 | 604 => (1, "Unallocated number"),
        486 | 600 => (17, "User busy"),
        480 => (18, "No user responding"),
        401..=403 | 407 | 603 => (21, "Call rejected"),
        410 => (22, "Number changed"),
        482 | 483 => (25, "Exchange routing error"),
        484 => (28, "Invalid number format"),
        502 => (38, "Network out of order"),
        400 | 481 | 500 | 503 => (41, "Temporary failure"),
        405 => (63, "Service or option not available"),
        406 | 415 | 501 => (79, "Service or option not implemented"),
        488 | 606 => (88, "Incompatible destination"),
        408 | 504 => (102, "Recovery on timer expiry"),
        413 | 414 | 416 | 420 | 421 | 423 | 505 | 513 => (127, "Interworking, unspecified"),
        _ => return None,
    };
    Some(format!("Q.850;cause={cause};text=\"{text}\"").into())
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
            others: None,
        }
    }
    /// A failure with the code that its kind has in the table.
    pub fn of(kind: Kind, origin: Origin) -> Self {
        Self::new(kind.status(), origin, kind)
    }
    /// The same with a phrase for people.
    #[must_use]
    pub fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.into());
        self
    }
    /// The same with one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Text>) -> Self {
        self.headers.push(name, value);
        self
    }
    /// What a non-2xx final response of leg `origin` says, with the headers that cross.
    pub fn of_response(response: &Response, origin: Origin) -> Self {
        let phrase = !response.reason.is_empty() && response.reason != response.status.reason();
        let mut failure = Self {
            reason: phrase.then(|| response.reason.clone()),
            others: Some(Box::new(super::crossing::of_end(&response.headers))),
            ..Self::new(response.status, origin, Kind::Rejected)
        };
        for name in ["Retry-After", "Warning", "Reason"] {
            failure.headers.copy_from(&response.headers, name);
        }
        if (300..400).contains(&response.status.code()) {
            failure.headers.copy_from(&response.headers, "Contact");
        }
        failure
    }
    /// What the caller is told of it. A challenge is between leg B and its peer: a caller that gets the code without it has
    /// nothing to answer (RFC 3261 §22.1), so it gets 403, and `Reason` says what it was.
    #[must_use]
    pub(super) fn for_caller(mut self) -> Self {
        let is_challenge = matches!(
            self.status,
            Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED
        );
        if is_challenge && self.origin == Origin::LegB {
            let (code, phrase) = (self.status.code(), self.status.reason());
            let of_network = self.reasons();
            self.headers.remove("Reason");
            self.headers
                .push("Reason", format!("SIP;cause={code};text=\"{phrase}\""));
            for reason in of_network {
                self.headers.push("Reason", reason);
            }
            self.status = Status::FORBIDDEN;
            self.reason = None;
        }
        self
    }
    /// What a next hop that led nowhere means for the call.
    pub fn of_lookup(error: &LookupError) -> Self {
        match error {
            LookupError::Scheme(_) => {
                Self::new(Status::UNSUPPORTED_URI_SCHEME, Origin::Local, Kind::Unreachable)
            }
            LookupError::NotFound(_)
            | LookupError::Failed(..)
            | LookupError::Unavailable(_)
            | LookupError::NoPort(_) => Self::of(Kind::Unreachable, Origin::Local),
        }
    }
    /// The `Reason` values of the response: those that crossed, else the table's.
    pub fn reasons(&self) -> Vec<Text> {
        let crossed: Vec<Text> = self.headers.all("Reason").collect();
        if !crossed.is_empty() {
            return crossed;
        }
        match (self.kind, self.kind.row().2) {
            (Kind::Cancelled, _) => Vec::new(),
            (_, Some(reason)) => vec![reason.into()],
            (_, None) => q850(self.status).into_iter().collect(),
        }
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
    pub reasons: Vec<Text>,
    /// Other fields of the BYE, of which only those cross that the application names.
    pub headers: Option<Box<Headers>>,
}

impl Cause {
    /// An ordinary hang-up: BYE without a word.
    pub fn bye(origin: Origin) -> Self {
        Self {
            origin,
            kind: None,
            reasons: Vec::new(),
            headers: None,
        }
    }
    /// A hang-up for a reason of the table.
    pub fn of(kind: Kind, origin: Origin) -> Self {
        Self {
            kind: Some(kind),
            ..Self::bye(origin)
        }
    }
    /// The `Reason` values of the BYE or CANCEL that it causes: those that crossed, else the table's, else those of its code.
    pub fn reason_values(&self) -> Vec<Text> {
        match self.kind {
            _ if !self.reasons.is_empty() => self.reasons.clone(),
            Some(kind) => Failure::of(kind, self.origin).reasons(),
            None => Vec::new(),
        }
    }
    /// What an unanswered INVITE is refused with for the same reason; an ordinary hang-up is a decline.
    pub fn to_failure(&self) -> Failure {
        let mut failure = Failure::of(self.kind.unwrap_or(Kind::Declined), self.origin);
        for reason in &self.reasons {
            failure.headers.push("Reason", reason.clone());
        }
        failure
    }
}

#[cfg(test)]
mod tests;
