//! The vocabulary: what one leg says and the other is told.

use super::{Cause, Failure};
use crate::{
    sdp::Sdp,
    sip::{Headers, Method, Status},
};
use bytes::Bytes;

/// What one leg says and the other is told. RFC 3261 and 3264 semantics, no headers, no transactions.
///
/// Hold, resume, video on and off, codec change are one thing: an `Offer` that is passed on and an `Accept` or
/// `Refuse` that comes back. What each side may say, and when:
///
/// | phase | leg A says | leg A is told | leg B says | leg B is told |
/// |---|---|---|---|---|
/// | set-up | `Hangup` (CANCEL, BYE) | `Ring`, `Progress`, `Answer`, `Fail`, `Hangup` | `Ring`, `Progress`, `Answer`, `Fail` | `Hangup` |
/// | after | `Offer`, `Accept`, `Refuse`, `Withdraw`, `Refresh`, `Request`, `Response`, `Hangup` | the same but `Refresh` | as leg A | the same but `Refresh` |
///
/// `Fail` and `Hangup` are last words: after saying or hearing one, a leg only cleans up until it is `Closed`. A leg that is
/// told something which does not fit its state ignores it. Each `Offer` is answered by exactly one `Accept` or `Refuse`,
/// unless the call ends first; a leg that waits for an answer to its peer's offer says no second `Offer`. A leg takes an
/// `Offer` at any time and sends it when it may.
#[derive(Clone, Debug)]
pub enum Signal {
    /// 180 without SDP.
    Ring,
    /// Any other provisional response, or 180 with SDP.
    Progress {
        /// 181 to 199, or 180 with a body.
        status: Status,
        /// Early media: an answer (or an offer, when the INVITE had none and the peer does 100rel).
        body: Body,
    },
    /// 2xx to the initial INVITE.
    Answer(Body),
    /// An offer in mid-call, or `None` for an offerless re-INVITE: "make me an offer".
    Offer(Option<Sdp>),
    /// The answer to the last `Offer`; for `Offer(None)` an offer, whose answer comes back as `Accept` too. After
    /// `Answer(Body::Offer)` the answer that the ACK brought.
    Accept(Sdp),
    /// The last `Offer` was refused; the former session stands. Instead of an `Accept` that is owed for an offer in a 2xx
    /// it says that the ACK brought no answer.
    Refuse(Failure),
    /// Who made the last `Offer` does not want it any more (CANCEL of a re-INVITE). Its `Accept` or `Refuse` still comes.
    Withdraw,
    /// The session of this leg has to be refreshed by an offer that says what was said last (RFC 4028 §7.4): tell it such an
    /// `Offer`. Its `Accept` brings what the peer says now.
    Refresh,
    /// INFO, MESSAGE, unknown methods inside the call: carried as they are.
    Request(Payload),
    /// Its answer.
    Response(Status, Payload),
    /// The initial INVITE failed.
    Fail(Failure),
    /// The leg was hung up: BYE, CANCEL, or a local end.
    Hangup(Cause),
}

/// The SDP that travels with a [`Signal`].
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    /// None.
    None,
    /// An offer.
    Offer(Sdp),
    /// An answer.
    Answer(Sdp),
}

/// A request or response that crosses as it is.
#[derive(Clone, Debug)]
pub struct Payload {
    /// The method.
    pub method: Method,
    /// Headers that belong to the payload: Content-Type and kin, Info-Package, X-….
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// Which request: what a leg says has its CSeq here, and the `Response` that it is told in the end has the same. A request
    /// that a leg is told may have any number; its `Response` comes back with it.
    pub number: u32,
    /// CSeq with which a leg sent what it was told, in the `Response` to it.
    pub cseq: u32,
}

/// Fields that say more of who asks than what is asked for.
const OF_WHO_ASKS: [&str; 5] = ["Date", "In-Reply-To", "Priority", "Reply-To", "Subject"];

impl Signal {
    /// The same as a stranger hears it: what it is about, and no words of the other party but those of a body that is meant for it.
    #[must_use]
    pub(super) fn for_stranger(self) -> Self {
        let bare = |payload: Payload| Payload {
            headers: for_stranger(&payload),
            ..payload
        };
        match self {
            Self::Fail(failure) => Self::Fail(failure.for_stranger()),
            Self::Refuse(failure) => Self::Refuse(failure.for_stranger()),
            Self::Hangup(cause) => Self::Hangup(cause.for_stranger()),
            Self::Request(payload) => Self::Request(bare(payload)),
            Self::Response(status, payload) => Self::Response(status, bare(payload)),
            other => other,
        }
    }
}

/// A REFER has been written anew for whom it goes to, with by whom it is; of anything else that is nobody's business.
fn for_stranger(payload: &Payload) -> Headers {
    let mut headers = without_asker(&payload.headers);
    if payload.method != Method::Refer {
        headers.remove("Referred-By");
    }
    headers.remove("Warning");
    headers
}

/// Without what says more of who asks than what is asked for, and what nobody knows.
pub(super) fn without_asker(headers: &Headers) -> Headers {
    let mut kept = Headers::default();
    for (name, value) in headers.iter() {
        let start = name.as_text().get(..2);
        let is_extension = start.is_some_and(|start| start.eq_ignore_ascii_case(b"X-"));
        if !is_extension && !OF_WHO_ASKS.iter().any(|known| name == *known) {
            kept.push(name, value);
        }
    }
    kept
}

impl Payload {
    /// A request of our own, that none of a peer brought: nobody waits for its answer.
    pub fn new(method: Method, headers: Headers, body: Bytes) -> Self {
        Self {
            method,
            headers,
            body,
            // No request can have this one (RFC 3261 §8.1.1.5).
            number: u32::MAX,
            cseq: 0,
        }
    }
    /// An empty payload of the same method, to answer it without a body.
    #[must_use]
    pub fn without_body(&self) -> Self {
        Self {
            method: self.method.clone(),
            headers: Headers::default(),
            body: Bytes::new(),
            number: self.number,
            cseq: self.cseq,
        }
    }
}
