//! Who may place a call, and how many there may be.

use super::{Gauges, ServerSettings, digest::Users};
use crate::{
    app::Bound,
    call::{Failure, Origin, bridge::CallSettings, failure::Kind},
    config::Networks,
    media::dtls::Identity,
    sip::Status,
};
use std::{net::IpAddr, sync::Arc};

/// What new calls are made by; a reload replaces it as a whole.
pub(super) struct Policy {
    pub(super) trusted: Networks,
    /// Who may call from elsewhere; `None`: nobody.
    pub(super) users: Option<Arc<Users>>,
    max_calls: usize,
    pub(super) calls: Arc<CallSettings>,
    pub(super) identity: Option<Arc<Identity>>,
    pub(super) app: Bound,
}

/// Requests outside of calls, and subscriptions, that there may be at once. Each holds some 10 kB, and a peer that never
/// answers holds one for 32 s.
const MOST_STANDALONE: usize = 8192;

/// Why a request that would begin something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// From a host that is not trusted.
    Forbidden,
    /// `max-calls` are there, or messages that nobody has looked at yet.
    Full,
    /// The server does not keep up: what there is to do for calls waits too long.
    Late,
    /// The server is going down.
    Stopping,
}

/// How much there is at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    /// Calls that have not ended.
    pub(super) calls: usize,
    /// Tasks, of calls and of what is left to do after them.
    pub(super) tasks: usize,
    /// Requests outside of calls, and subscriptions; part of `tasks`.
    pub(super) standalone: usize,
    /// Messages that wait for the dispatcher, and how many may.
    pub(super) queue: (usize, usize),
    /// What there is to do for calls waits too long.
    pub(super) late: bool,
    pub(super) stopping: bool,
}

impl Policy {
    pub(super) fn new(settings: &ServerSettings, app: Bound) -> Self {
        Self {
            trusted: settings.trusted_hosts.clone(),
            users: settings.users.clone(),
            max_calls: settings.max_calls,
            calls: settings.calls.clone(),
            identity: settings.identity.clone(),
            app,
        }
    }
    /// Whether a host may begin anything.
    pub(super) fn trusts(&self, host: IpAddr) -> bool {
        self.trusted.contain(host)
    }
    /// Whether one more call is taken.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admit(&self, load: Load) -> Result<(), Refusal> {
        if load.stopping {
            return Err(Refusal::Stopping);
        }
        let tasks = load.tasks.saturating_sub(load.standalone);
        // Calls that are over may have to wait half a minute for an ACK that never comes.
        let lingering_allowed = self.max_calls.saturating_mul(4).saturating_add(1024);
        let (waiting, room) = load.queue;
        if load.calls >= self.max_calls || tasks >= lingering_allowed || waiting > room / 2 {
            return Err(Refusal::Full);
        }
        if load.late { Err(Refusal::Late) } else { Ok(()) }
    }
    /// Whether one more request outside of calls is taken. They leave the calls their room.
    ///
    /// # Errors
    /// Why not.
    pub(super) fn admit_standalone(&self, load: Load) -> Result<(), Refusal> {
        if load.stopping {
            return Err(Refusal::Stopping);
        }
        let (waiting, room) = load.queue;
        if load.standalone >= MOST_STANDALONE || waiting > room / 2 {
            return Err(Refusal::Full);
        }
        if load.late { Err(Refusal::Late) } else { Ok(()) }
    }
}

impl Refusal {
    /// The answer: code and, where another try makes sense, after how many seconds (RFC 3261 §20.33).
    pub(super) const fn answer(self) -> (Status, Option<u32>) {
        match self {
            Self::Forbidden => (Status::FORBIDDEN, None),
            Self::Full => (Status::SERVICE_UNAVAILABLE, Some(5)),
            // The least that can be said. Who sends us all its calls stays away for so long (RFC 3261 §21.5.4), and longer than
            // an overload is not to be stayed away.
            Self::Late => (Status::SERVICE_UNAVAILABLE, Some(1)),
            Self::Stopping => (Status::SERVICE_UNAVAILABLE, Some(30)),
        }
    }
    /// The same for records.
    pub(super) fn failure(self) -> Failure {
        let kind = match self {
            Self::Forbidden => Kind::Declined,
            Self::Full | Self::Late => Kind::Capacity,
            Self::Stopping => Kind::Shutdown,
        };
        Failure::new(self.answer().0, Origin::Local, kind)
    }
    pub(super) fn count(self, gauges: &Gauges) {
        match self {
            Self::Forbidden => gauges.forbidden.add(),
            Self::Full | Self::Stopping => gauges.refused.add(),
            Self::Late => {
                gauges.refused.add();
                gauges.shed.add();
            }
        }
    }
}
