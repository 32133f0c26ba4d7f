//! Requests that begin nothing: what they are answered, and what is kept of them.

use super::{admission::Refusal, dispatch::Dispatcher, overload::Change};
use crate::{
    call::Failure,
    sip::{
        Method, Request,
        routing::{Source, TransactionKey},
    },
};

impl Dispatcher {
    /// A call that is refused at once has its record too; a repetition of its INVITE has no other.
    pub(super) fn record_refusal(
        &mut self,
        request: &Request,
        key: &TransactionKey,
        source: Source,
        failure: Failure,
    ) {
        if self.recent.is_new(key) {
            self.desk.open(None, "", request, source).refuse(failure);
        }
    }
    /// Looks whether calls get their messages in time.
    pub(super) fn judge(&mut self) {
        let change = self.overload.judge(self.gauges.workload.work(), self.turn.now);
        self.tell_overload(change);
    }
    fn refused_late(&mut self) {
        let change = self.overload.refused(self.turn.now);
        self.tell_overload(change);
    }
    fn tell_overload(&self, change: Option<Change>) {
        match change {
            Some(Change::Began) => tracing::warn!(
                waiting = self.gauges.workload.waiting(),
                "the server does not keep up: new calls are refused as far as it takes"
            ),
            Some(Change::Ended(lasted, refused)) => {
                tracing::warn!(?lasted, refused, "the server keeps up again");
            }
            None => {}
        }
    }
    pub(super) fn refuse(
        &mut self,
        request: &Request,
        key: &TransactionKey,
        source: Source,
        refusal: Refusal,
    ) {
        let stranger = refusal == Refusal::Forbidden;
        if stranger || request.method != Method::Invite || !self.recent.knows(key) {
            refusal.count(&self.gauges);
        }
        let late = refusal == Refusal::Late;
        if late {
            self.refused_late();
        }
        // Who floods us fills no disk, neither with records nor with the log.
        let noted = !stranger || self.recent.takes_stranger();
        match (request.method == Method::Invite, noted) {
            (true, true) => self.record_refusal(request, key, source, refusal.failure()),
            (true, false) => self.gauges.unrecorded.add(),
            (false, _) => {}
        }
        // In an overload one line says how many there were.
        if noted && !late {
            tracing::info!(from = %source.remote, method = %request.method, ?refusal, "refused");
        } else {
            tracing::debug!(from = %source.remote, method = %request.method, ?refusal, "refused");
        }
        let (status, retry_after) = refusal.answer();
        let mut response = self.answerer.response(request, status);
        if let Some(seconds) = retry_after {
            response.headers.push("Retry-After", seconds.to_string());
        }
        self.answer(request, response, source);
    }
}
