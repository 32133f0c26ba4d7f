//! Lines and caps that are counted with those of other servers.

use b2bua::accounts::{Caps, Full, Gone, RedisSettings, SharedLines, Slot};
use std::{
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

/// `lines-without-redis`: what becomes of calls while nobody knows those of other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Without {
    /// This server's own are counted.
    CountOwn,
    /// There are none.
    Refuse,
}

impl Without {
    pub(super) const WORDS: &[&str] = &["count-own", "refuse"];
}

impl FromStr for Without {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "count-own" => Ok(Self::CountOwn),
            "refuse" => Ok(Self::Refuse),
            other => Err(format!("{other:?} is not known")),
        }
    }
}

/// Where and how lines are counted together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SharingPlan {
    pub(super) redis: RedisSettings,
    /// What a server held that has died falls back after this.
    pub(super) lease: Duration,
    pub(super) without: Without,
}

/// The same at work.
#[derive(Clone, Debug)]
pub(super) struct Sharing {
    pub(super) plan: SharingPlan,
    lines: SharedLines,
}

impl Sharing {
    /// Goes on with `before` where that counts at the same place. To be called within the server's runtime; no other server has
    /// the name `server`.
    pub(super) fn start(plan: SharingPlan, before: Option<&Self>, server: &str) -> Self {
        let is_same = |before: &&Self| before.plan.redis == plan.redis && before.plan.lease == plan.lease;
        let lines = match before.filter(is_same) {
            Some(before) => before.lines.clone(),
            None => SharedLines::start(&plan.redis, plan.lease, server),
        };
        Self { plan, lines }
    }
    /// A call within these caps, which all servers keep together.
    ///
    /// # Errors
    /// When the calls of other servers are not known, and none may be placed then.
    pub(super) async fn admit(
        &self,
        name: &Arc<str>,
        caps: Caps,
        now: Instant,
    ) -> Result<Result<Slot, Full>, Gone> {
        match (self.lines.admit(name, caps, now).await, self.plan.without) {
            (Err(Gone), Without::CountOwn) => Ok(Ok(self.lines.hold(name))),
            (answer, _) => answer,
        }
    }
    /// A place on the first of these lines that has one; which, and the place.
    ///
    /// # Errors
    /// When the calls of other servers are not known, and none may be placed then.
    pub(super) async fn take(&self, lines: &[Arc<str>], limit: u32) -> Result<Option<(usize, Slot)>, Gone> {
        match (self.lines.take(lines, limit).await, self.plan.without) {
            (Err(Gone), Without::CountOwn) => Ok(lines.first().map(|line| (0, self.lines.hold(line)))),
            (answer, _) => answer,
        }
    }
}
