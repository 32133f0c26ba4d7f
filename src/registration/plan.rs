//! What an application wants registered, and how far that has come.

use crate::sip::{Uri, auth::Credentials, routing::Own};
use std::{fmt, sync::Arc, time::Duration};

/// One account that is to be registered, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistrationPlan {
    /// The address of record: From and To.
    pub aor: Uri,
    /// The registrar's domain: the Request-URI, without a user part (RFC 3261 §10.2).
    pub registrar: Uri,
    /// Proxies on the way, the first of which is where REGISTER goes; loose routing is assumed. Empty: straight to the registrar.
    pub route: Vec<Uri>,
    /// For 401 and 407. A realm in them is the only one that is answered.
    pub credentials: Option<Arc<Credentials>>,
    /// What is asked for; the registrar may grant less. Whole seconds.
    pub expires: Duration,
    /// The least time between two operations (registration, refresh, removal) of the pool; zero: all at once.
    pub throttle: Duration,
    /// Whose connection REGISTER goes by, and by what port the account is reached then; `None`: one that all share.
    pub own: Option<Own>,
    /// Whether the binding is removed when the server ends. One that leaves its pool is removed in any case.
    pub unregister: bool,
}

impl RegistrationPlan {
    /// 3600 s, straight to the registrar, unthrottled, removed at the end.
    pub fn new(aor: Uri, registrar: Uri, credentials: Option<Arc<Credentials>>) -> Self {
        Self {
            aor,
            registrar,
            route: Vec::new(),
            credentials,
            expires: Duration::from_secs(3600),
            throttle: Duration::ZERO,
            own: None,
            unregister: true,
        }
    }
    /// Whether the other names the same binding: then it is updated, else this one is removed and that one made.
    pub(super) fn is_same_binding(&self, other: &Self) -> bool {
        self.aor == other.aor && self.registrar == other.registrar
    }
    /// Whether changing from the other takes a REGISTER.
    pub(super) fn needs_register(&self, other: &Self) -> bool {
        self.credentials != other.credentials || self.route != other.route || self.own != other.own
    }
}

/// How far a registration is. `Display` gives Flexisip's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistrationStatus {
    /// It waits for its turn.
    Waiting,
    /// It was asked for and not granted or refused yet.
    InProgress,
    /// The registrar has granted it, and that time has not passed.
    Registered,
    /// The last attempt failed: why. Others follow.
    Failed(Arc<str>),
}

impl RegistrationStatus {
    /// Whether calls can be expected to arrive.
    pub const fn is_registered(&self) -> bool {
        matches!(self, Self::Registered)
    }
}

impl fmt::Display for RegistrationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("Should register"),
            Self::InProgress => f.write_str("Registration in progress"),
            Self::Registered => f.write_str("OK"),
            Self::Failed(why) => write!(f, "Registration failed: {why}"),
        }
    }
}
