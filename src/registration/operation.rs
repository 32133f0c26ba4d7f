//! One REGISTER on its way: targets tried in order (RFC 3263 §4.3), each by a transaction of its own.

use super::request::Way;
use crate::sip::{
    Text, Uri,
    routing::{NextHop, Target},
    transaction::Client,
};
use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a target may stay silent while there are others to try: three failing ones cost less than 3 s (acceptance #25).
pub(crate) const PATIENCE: Duration = Duration::from_millis(1300);
/// Targets that one operation tries.
const MAX_WAYS: usize = 16;
/// How often a longer time is asked for (423) in one operation.
const MAX_RAISED: u8 = 2;

/// From a turn to its outcome.
#[derive(Debug)]
pub(crate) struct Operation {
    /// What is asked for; zero removes the binding.
    pub(crate) expires: Duration,
    /// What must be looked up before anything can go.
    pub(crate) hop: Option<NextHop>,
    /// Everyone that the lookup named.
    pub(crate) peers: Arc<[IpAddr]>,
    ways: VecDeque<Way>,
    pub(crate) trial: Option<Trial>,
    raised: u8,
    /// What an earlier target said: better than "no response" of the last.
    pub(crate) refusal: Option<Trouble>,
}

/// One request at one target.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(crate) way: Way,
    pub(crate) branch: Text,
    pub(crate) contact: Uri,
    pub(crate) transaction: Client,
    /// Until when it may be silent.
    pub(crate) patience: Option<Instant>,
}

/// Why an operation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    pub(crate) why: Arc<str>,
    pub(crate) retry_after: Option<Duration>,
    /// By the registrar's own word: no binding is left.
    pub(crate) refused: bool,
}

impl Trouble {
    /// Of the network, or of the moment.
    pub(crate) fn passing(why: impl Into<Arc<str>>) -> Self {
        Self {
            why: why.into(),
            retry_after: None,
            refused: false,
        }
    }
}

impl Operation {
    pub(crate) fn new(expires: Duration, hop: NextHop) -> Self {
        Self {
            expires,
            hop: Some(hop),
            peers: Arc::default(),
            ways: VecDeque::new(),
            trial: None,
            raised: 0,
            refusal: None,
        }
    }
    /// The lookup has found these.
    pub(crate) fn found(&mut self, targets: &[Target]) {
        self.hop = None;
        self.peers = targets
            .iter()
            .take(MAX_WAYS)
            .map(|target| target.remote.ip().to_canonical())
            .collect();
        self.ways = targets.iter().take(MAX_WAYS).map(Way::to).collect();
    }
    pub(crate) fn next_way(&mut self) -> Option<Way> {
        self.ways.pop_front()
    }
    /// To be tried before the others.
    pub(crate) fn put_first(&mut self, way: Way) {
        self.ways.push_front(way);
    }
    pub(crate) fn has_more(&self) -> bool {
        !self.ways.is_empty()
    }
    /// 423: asks for that much from now on. `false` when that is no more than was asked, or it was raised often enough.
    pub(crate) fn raise(&mut self, least: Duration) -> bool {
        if self.expires.is_zero() || least <= self.expires || self.raised >= MAX_RAISED {
            return false;
        }
        self.raised += 1;
        self.expires = least;
        true
    }
    /// What to say of it when no target is left.
    pub(crate) fn outcome(&mut self, otherwise: &str) -> Trouble {
        self.refusal.take().unwrap_or_else(|| Trouble::passing(otherwise))
    }
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        let trial = self.trial.as_ref()?;
        [trial.transaction.poll_timeout(), trial.patience]
            .into_iter()
            .flatten()
            .min()
    }
}
