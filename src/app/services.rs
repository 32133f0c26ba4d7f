//! What the server lends to applications.

use super::Registrations;
use crate::sip::Uri;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// What an application may use of the server. Grows with the applications (DNS, databases, registrations).
#[derive(Clone, Debug)]
pub struct Services {
    /// `[b2bua-server] outbound-proxy`.
    pub outbound_proxy: Option<Uri>,
    /// `[b2bua-server] nat-latching`.
    pub latching: crate::call::NatLatching,
    /// The time of day. Only for what people and other systems read: what is waited for is waited for by the monotonic clock.
    pub clock: Arc<dyn WallClock>,
    /// The directory of the configuration file: what it names by a relative path lies below it.
    pub directory: std::path::PathBuf,
    /// Registrations at other people's registrars.
    pub registrations: Registrations,
    /// Redis, where the configuration names one.
    pub redis: Option<crate::config::Redis>,
    /// `[b2bua-server] one-connection-per-account`: what there may be of them; `None`: there are none.
    pub own_connections: Option<OwnConnections>,
    /// Where an application puts what is odd about its configuration, and no reason to refuse it.
    pub remarks: Remarks,
}

/// Ports and connections of accounts' own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnConnections {
    /// How many accounts may have them at the same time.
    pub most: usize,
    /// How many files the process must be allowed to have open for each of them.
    pub files: usize,
}

/// What is worth saying about a configuration although it is good: a line each. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct Remarks(Arc<Mutex<Vec<String>>>);

impl Remarks {
    /// One more.
    pub fn add(&self, line: impl Into<String>) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lines.push(line.into());
    }
    /// All of them, which are then forgotten.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The time of day, which may jump.
pub trait WallClock: fmt::Debug + Send + Sync {
    /// Now.
    fn now(&self) -> SystemTime;
}

/// The system's.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl WallClock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the place where the time of day enters")]
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }
}
