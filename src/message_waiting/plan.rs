//! What an application wants subscribed to, and how far that has come.

use crate::sip::{Uri, auth::Credentials, routing::Own};
use std::{fmt, sync::Arc, time::Duration};

/// One mailbox that is to be subscribed to, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxPlan {
    /// The account's address of record: From and To.
    pub aor: Uri,
    /// Who knows of the mailbox: the Request-URI.
    pub server: Uri,
    /// Proxies on the way, the first of which is where SUBSCRIBE goes, before what the registrar has named (RFC 3608); loose routing
    /// is assumed.
    pub route: Vec<Uri>,
    /// For 401 and 407. A realm in them is the only one that is answered.
    pub credentials: Option<Arc<Credentials>>,
    /// What is asked for; the notifier may grant less. Whole seconds.
    pub expires: Duration,
    /// The least time between two operations (subscription, refresh, end) of the pool; zero: all at once.
    pub throttle: Duration,
    /// Whose connection SUBSCRIBE goes by, and by what port NOTIFY comes then; `None`: one that all share.
    pub own: Option<Own>,
    /// Whether the account has to be registered before it subscribes.
    pub after_registration: bool,
}

impl MailboxPlan {
    /// A day, straight to the server, unthrottled, without registration.
    pub fn new(aor: Uri, server: Uri, credentials: Option<Arc<Credentials>>) -> Self {
        Self {
            aor,
            server,
            route: Vec::new(),
            credentials,
            expires: Duration::from_secs(24 * 3600),
            throttle: Duration::ZERO,
            own: None,
            after_registration: false,
        }
    }
    /// Whether the other is of the same mailbox at the same place, and told at the same: then it is updated, else this one is ended and that one begun.
    pub(super) fn is_same_mailbox(&self, other: &Self) -> bool {
        self.aor == other.aor && self.server == other.server && self.own == other.own
    }
}

/// How far a subscription is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MailboxStatus {
    /// It waits for the account's registration, or for its turn.
    Waiting,
    /// It was asked for and not granted or refused yet.
    InProgress,
    /// It was granted, and that time has not passed.
    Subscribed,
    /// The last attempt failed: why. Others follow.
    Failed(Arc<str>),
}

impl fmt::Display for MailboxStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waits"),
            Self::InProgress => f.write_str("in progress"),
            Self::Subscribed => f.write_str("subscribed"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}
