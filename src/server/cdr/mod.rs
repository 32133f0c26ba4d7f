//! Call detail records: one for each call, exactly one, however it ended.

mod csv;
mod ledger;
mod mos;
mod receipt;
mod streams;
mod writer;

pub use ledger::{CdrError, CdrFile, CdrFormat, Ledger, LedgerCounts};
pub(super) use receipt::{Desk, Receipt};
pub use streams::{SideRecord, StreamRecord};

use super::plain::plain;
use crate::{
    call::{
        Encryption, Origin, Sas, Side, Standing, Summary,
        event::{self, Transfer},
        failure::Kind,
    },
    sip::Status,
};
use serde::Serialize;
use std::time::{Instant, SystemTime};
use time::OffsetDateTime;

/// One call. Every word of a stranger in it is plain text of at most some kilobytes; no key and no password is.
#[derive(Clone, Debug, Serialize)]
pub struct Cdr {
    /// Counts the calls of a run of the server, as `call{id=…}` does in its log. `None` where none began.
    pub call: Option<u64>,
    /// When the INVITE came: UTC, as all times here, RFC 3339.
    pub began: String,
    /// When the caller was first told of progress.
    pub ringing: Option<String>,
    /// When it was answered.
    pub answered: Option<String>,
    /// When it ended.
    pub ended: String,
    /// From the answer to the end; zero when it was not answered.
    pub seconds: f64,
    /// From the INVITE to the first progress, or to the answer if there was none, in milliseconds.
    pub post_dial_delay_ms: Option<f64>,
    /// The final code towards the caller.
    pub status: u16,
    /// Who ended it: `leg_a`, `leg_b`, `app`, `local`.
    pub ended_by: &'static str,
    /// Why: `bye`, or the kind of failure, `rejected`, `media_lost` ….
    pub why: &'static str,
    /// `Reason` values (RFC 3326).
    pub reasons: Vec<String>,
    /// The cause of the first of them that has one of Q.850.
    pub q850: Option<u8>,
    /// Who decided where it goes.
    pub application: &'static str,
    /// Where its INVITE came from: transport and address.
    pub source: String,
    /// As whom the caller has authenticated itself by a password (`digest-users`).
    pub user: Option<String>,
    /// The caller's leg.
    pub a: LegRecord,
    /// The last leg towards a callee.
    pub b: Option<LegRecord>,
    /// Who was tried.
    pub attempts: Vec<AttemptRecord>,
    /// Who was to be talked to instead.
    pub transfers: Vec<TransferRecord>,
    /// What was agreed on and carried.
    pub streams: Vec<StreamRecord>,
}

/// A call that runs.
#[derive(Clone, Debug, Serialize)]
pub struct RunningCall {
    /// As in [`Cdr`].
    pub call: Option<u64>,
    /// `routing`, `calling`, `ringing`, `up`.
    pub state: &'static str,
    /// When the INVITE came.
    pub began: String,
    /// When it was answered.
    pub answered: Option<String>,
    /// Since when it is in that state, in seconds.
    pub seconds: f64,
    /// Who decided where it goes.
    pub application: &'static str,
    /// Where its INVITE came from: transport and address.
    pub source: String,
    /// The caller's leg.
    pub a: LegRecord,
    /// The leg towards the callee.
    pub b: Option<LegRecord>,
    /// What was agreed on, and carried so far.
    pub streams: Vec<StreamRecord>,
}

/// One leg.
#[derive(Clone, Debug, Default, Serialize)]
pub struct LegRecord {
    /// From.
    pub from: String,
    /// To.
    pub to: String,
    /// The Request-URI.
    pub uri: String,
    /// Call-ID.
    pub call_id: String,
    /// How its media was keyed: `none`, `sdes`, `dtls-srtp`, `zrtp`.
    pub encryption: Option<String>,
    /// What ZRTP's users compare.
    pub sas: Option<SasRecord>,
}

/// See [`Sas`].
#[derive(Clone, Debug, Serialize)]
pub struct SasRecord {
    /// As it is shown.
    pub text: String,
    /// It was compared in an earlier call.
    pub verified: bool,
    /// Somebody is in the middle, or the peer lost its cache.
    pub mismatch: bool,
}

/// One transfer within the call.
#[derive(Clone, Debug, Serialize)]
pub struct TransferRecord {
    /// Who wanted it: `leg_a`, `leg_b`.
    pub by: &'static str,
    /// To whom.
    pub target: String,
    /// The code of the call to the target; none where nobody has said.
    pub status: Option<u16>,
}

impl TransferRecord {
    fn of(transfer: &Transfer) -> Self {
        let by = match transfer.by {
            Side::A => Origin::LegA,
            Side::B => Origin::LegB,
        };
        Self {
            by: by.label(),
            target: plain(transfer.to.as_bytes()),
            status: transfer.status.map(Status::code),
        }
    }
}

/// One attempt at a callee.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRecord {
    /// The Request-URI.
    pub target: String,
    /// The code that it failed with.
    pub status: Option<u16>,
    /// Who refused.
    pub by: Option<&'static str>,
    /// Why.
    pub why: Option<&'static str>,
}

impl Cdr {
    /// Of a call that has ended. Times are counted from when it began: a clock that jumps makes no call longer.
    fn of(
        summary: &Summary,
        call: Option<u64>,
        began: SystemTime,
        application: &'static str,
        source: String,
    ) -> Self {
        let at = |instant: Instant| stamp(began + instant.saturating_duration_since(summary.began));
        let first = summary.ringing.or(summary.answered);
        let outcome = Outcome::of(summary);
        let reasons = reasons(summary);
        Self {
            call,
            began: stamp(began),
            ringing: summary.ringing.map(at),
            answered: summary.answered.map(at),
            ended: at(summary.ended),
            seconds: summary.answered.map_or(0.0, |answered| {
                thousandths(summary.ended.saturating_duration_since(answered).as_secs_f64())
            }),
            post_dial_delay_ms: first
                .map(|first| thousandths(first.saturating_duration_since(summary.began).as_secs_f64() * 1e3)),
            status: summary.status.code(),
            ended_by: outcome.by.label(),
            why: outcome.why(),
            q850: reasons.iter().find_map(|reason| q850(reason)),
            reasons,
            application,
            source,
            user: None,
            a: LegRecord::a(summary),
            b: LegRecord::b(summary),
            attempts: summary.attempts.iter().map(AttemptRecord::of).collect(),
            transfers: summary.transfers.iter().map(TransferRecord::of).collect(),
            streams: streams::streams(&summary.streams, &summary.media),
        }
    }
}

/// How a call came to its end, in the words of metrics and records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Outcome {
    /// Who.
    pub by: Origin,
    /// What; `None`: an ordinary BYE.
    pub kind: Option<Kind>,
}

impl Outcome {
    /// Of a summary: an answered call by what ended it, another one by what failed.
    pub fn of(summary: &Summary) -> Self {
        let (cause, failure) = (summary.cause.as_ref(), summary.failure.as_ref());
        let cause = cause.map(|cause| (cause.origin, cause.kind));
        let failure = failure.map(|failure| (failure.origin, Some(failure.kind)));
        let of = if summary.answered.is_some() {
            cause.or(failure)
        } else {
            failure.or(cause)
        };
        let (by, kind) = of.unwrap_or((Origin::Local, Some(Kind::Internal)));
        Self { by, kind }
    }
    /// `bye` or the kind.
    pub fn why(self) -> &'static str {
        self.kind.map_or("bye", Kind::label)
    }
}

fn reasons(summary: &Summary) -> Vec<String> {
    let values = match (&summary.cause, &summary.failure) {
        (Some(cause), _) if summary.answered.is_some() => cause.reason_values(),
        (_, Some(failure)) => failure.reasons(),
        (Some(cause), None) => cause.reason_values(),
        (None, None) => Vec::new(),
    };
    values
        .iter()
        .take(8)
        .map(|value| plain(value.as_bytes()))
        .collect()
}

/// The cause of a `Reason` value of Q.850.
fn q850(reason: &str) -> Option<u8> {
    let (protocol, parameters) = reason.split_once(';')?;
    let mut parameters = parameters.split(';').map(str::trim);
    let cause = parameters.find_map(|parameter| parameter.strip_prefix("cause="))?;
    protocol
        .trim()
        .eq_ignore_ascii_case("Q.850")
        .then(|| cause.trim().parse().ok())
        .flatten()
}

impl RunningCall {
    fn of(
        summary: &Summary,
        call: Option<u64>,
        began: SystemTime,
        application: &'static str,
        source: String,
    ) -> Self {
        let after = |instant: Instant| instant.saturating_duration_since(summary.began);
        let since = match summary.standing {
            Standing::Up => summary.answered,
            Standing::Ringing => summary.ringing,
            Standing::Routing | Standing::Calling | Standing::Over => None,
        };
        let since = since.unwrap_or(summary.began);
        Self {
            call,
            state: summary.standing.label(),
            began: stamp(began),
            answered: summary.answered.map(|answered| stamp(began + after(answered))),
            seconds: thousandths(summary.ended.saturating_duration_since(since).as_secs_f64()),
            application,
            source,
            a: LegRecord::a(summary),
            b: LegRecord::b(summary),
            streams: streams::streams(&summary.streams, &summary.media),
        }
    }
}

impl LegRecord {
    fn a(summary: &Summary) -> Self {
        Self::of(&summary.a, summary.encryption.0, summary.sas.0.as_ref())
    }
    fn b(summary: &Summary) -> Option<Self> {
        let party = summary.b.as_ref()?;
        Some(Self::of(party, summary.encryption.1, summary.sas.1.as_ref()))
    }
    fn of(party: &event::Party, encryption: Option<Encryption>, sas: Option<&Sas>) -> Self {
        Self {
            from: plain(party.from.as_bytes()),
            to: plain(party.to.as_bytes()),
            uri: plain(party.uri.as_bytes()),
            call_id: plain(party.call_id.as_bytes()),
            encryption: encryption.map(|encryption| encryption.to_string()),
            sas: sas.map(|sas| SasRecord {
                text: plain(sas.text.as_bytes()),
                verified: sas.verified,
                mismatch: sas.mismatch,
            }),
        }
    }
}

impl AttemptRecord {
    fn of(attempt: &event::Attempt) -> Self {
        Self {
            target: plain(attempt.target.as_bytes()),
            status: attempt.failed.map(|(status, ..)| status.code()),
            by: attempt.failed.map(|(_, by, _)| by.label()),
            why: attempt.failed.map(|(_, _, kind)| kind.label()),
        }
    }
}

/// Three places are enough for all that is measured here.
fn thousandths(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

/// UTC by RFC 3339, with milliseconds: `2026-11-21T13:14:28.003Z`.
pub fn stamp(time: SystemTime) -> String {
    let time = OffsetDateTime::from(time);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        time.year(),
        u8::from(time.month()),
        time.day(),
        time.hour(),
        time.minute(),
        time.second(),
        time.millisecond()
    )
}

#[cfg(test)]
mod tests;
