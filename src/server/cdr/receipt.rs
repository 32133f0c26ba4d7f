//! What makes sure that each call has its record: made with the call, and closed with it, or by its fall.

use super::{Cdr, Ledger, Outcome, RunningCall, plain};
use crate::{
    app::WallClock,
    call::{CallEvent, Failure, Origin, Party, Standing, Summary, failure::Kind},
    server::Gauges,
    sip::{Request, routing::Source},
};
use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

/// Where records and counts of calls go.
#[derive(Clone, Debug)]
pub(crate) struct Desk {
    pub(crate) ledger: Ledger,
    pub(crate) gauges: Arc<Gauges>,
    pub(crate) clock: Arc<dyn WallClock>,
}

/// Who calls, and from where.
struct Caller {
    party: Party,
    source: Source,
    /// As whom it has authenticated itself.
    user: Option<String>,
}

/// One call's. Dropped before it is closed, it says that the call was lost by a fault of ours.
pub(crate) struct Receipt {
    desk: Desk,
    number: Option<u64>,
    application: &'static str,
    caller: Caller,
    began: (SystemTime, Instant),
    standing: Standing,
    closed: bool,
}

#[expect(
    clippy::disallowed_methods,
    reason = "records of calls that no machine has timed"
)]
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl Desk {
    /// Of a call that begins. `number`: `None` for one that is refused at once.
    pub(crate) fn open(
        &self,
        number: Option<u64>,
        application: &'static str,
        invite: &Request,
        source: Source,
    ) -> Receipt {
        let standing = Standing::Routing;
        self.gauges.standing(standing).up();
        Receipt {
            desk: self.clone(),
            number,
            application,
            caller: Caller {
                party: Party::as_it_came(invite),
                source,
                user: None,
            },
            began: (self.clock.now(), now()),
            standing,
            closed: false,
        }
    }
}

impl Receipt {
    /// The caller is this user.
    pub(crate) fn of(mut self, user: Option<String>) -> Self {
        self.caller.user = user;
        self
    }
    /// Something has happened.
    pub(crate) fn note(&mut self, event: &CallEvent) {
        match event {
            CallEvent::Dialled { .. } if self.standing == Standing::Routing => self.stand(Standing::Calling),
            CallEvent::Ringing(_) if self.standing != Standing::Up => {
                if self.standing != Standing::Ringing {
                    self.waited();
                }
                self.stand(Standing::Ringing);
            }
            CallEvent::Answered => {
                if self.standing != Standing::Ringing {
                    self.waited();
                }
                self.stand(Standing::Up);
            }
            CallEvent::Ended(summary) => self.close(summary),
            CallEvent::Dialled { .. }
            | CallEvent::Ringing(_)
            | CallEvent::Updated { .. }
            | CallEvent::Referred { .. }
            | CallEvent::Transferred { .. }
            | CallEvent::Keyed { .. } => {}
        }
    }
    /// It came to nothing before there was a call.
    pub(crate) fn refuse(&mut self, failure: Failure) {
        let (began, party) = (self.began.1, self.caller.party.clone());
        self.close(&Summary::of_refused(party, began, now(), failure));
    }
    fn stand(&mut self, standing: Standing) {
        let gauges = &self.desk.gauges;
        gauges.standing(self.standing).down();
        gauges.standing(standing).up();
        self.standing = standing;
    }
    fn waited(&self) {
        self.desk
            .gauges
            .post_dial_delay
            .note(now().saturating_duration_since(self.began.1));
    }
    fn close(&mut self, summary: &Summary) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        self.desk.gauges.standing(self.standing).down();
        let outcome = Outcome::of(summary);
        let by = (outcome.by.label(), outcome.why());
        if summary.answered.is_some() {
            self.desk.gauges.ends.add((0, by.0, by.1));
        } else {
            self.desk.gauges.failures.add((summary.status.code(), by.0, by.1));
        }
        if self.desk.ledger.is_on() {
            let (number, began) = (self.number, self.began.0);
            let mut record = Cdr::of(summary, number, began, self.application, self.source());
            record.user = self.caller.user.as_ref().map(|user| plain(user.as_bytes()));
            self.desk.ledger.post(record);
        }
    }
    /// What there is of it so far.
    pub(crate) fn running(&self, summary: &Summary) -> RunningCall {
        RunningCall::of(
            summary,
            self.number,
            self.began.0,
            self.application,
            self.source(),
        )
    }
    fn source(&self) -> String {
        let Source {
            transport, remote, ..
        } = self.caller.source;
        format!("{} {remote}", transport.as_via())
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if !self.closed {
            self.refuse(Failure::of(Kind::Internal, Origin::Local));
        }
    }
}
