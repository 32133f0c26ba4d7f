//! Why a pool has no account for a call.

use std::fmt;

/// Why a pool has no account for a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum NoLine {
    /// The pool is empty.
    Empty,
    /// `maxCallsPerLine` is 0.
    NotForCalls,
    /// `Random` found none that is available.
    NoneAvailable,
    /// `FindInPool` found none by this.
    NotFound(String),
    /// `FindInPool` found one that has as many calls as it may.
    Busy { account: String, calls: u32 },
    /// `FindInPool` found one that is not registered.
    Unregistered { account: String, status: String },
    /// `FindInPool` found one that was tried before.
    Tried(String),
    /// What other servers have is not known, and none may be placed then.
    Uncounted,
}

impl NoLine {
    /// Whether the search found nobody, as opposed to somebody who cannot be used.
    pub(in super::super) fn is_not_found(&self) -> bool {
        !matches!(
            self,
            Self::Busy { .. } | Self::Unregistered { .. } | Self::Uncounted
        )
    }
}

impl fmt::Display for NoLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("its pool has no accounts"),
            Self::NotForCalls => f.write_str("its pool has maxCallsPerLine 0, so it is not for calls"),
            Self::NoneAvailable => f.write_str("no account of its pool is available"),
            Self::NotFound(key) => write!(f, "no account of its pool is found by {key:?}"),
            Self::Busy { account, calls } => {
                write!(f, "the account {account} has {calls} calls, and no free line")
            }
            Self::Unregistered { account, status } => {
                write!(f, "the account {account} is not registered: {status}")
            }
            Self::Uncounted => f.write_str(
                "the calls of other servers are not known while Redis is gone, and lines-without-redis is refuse",
            ),
            Self::Tried(account) => write!(f, "the account {account} has been tried"),
        }
    }
}
