//! The connection to Redis that calls ask by, and what they do while there is none.

use super::{Gone, PATIENCE};
use redis::{FromRedisValue, aio::MultiplexedConnection};
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};

/// Where it is, told to all that wait for it.
pub(super) struct Reach {
    now: watch::Sender<Way>,
}

#[derive(Clone)]
enum Way {
    /// The connection of that number.
    There(MultiplexedConnection, u64),
    /// The last one is lost and Redis is asked for another: whoever calls until then may wait for it.
    Again(Instant),
    /// It does not answer.
    Gone,
}

/// Why a question has no answer.
pub(super) enum Unanswered {
    /// The connection broke: Redis may well be there by another one.
    Broken,
    /// It is not there, or is silent.
    Gone,
}

impl From<Unanswered> for Gone {
    fn from(_: Unanswered) -> Self {
        Self
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what calls wait for at most is by the clock"
)]
pub(super) fn patience() -> Instant {
    Instant::now() + PATIENCE
}

impl Default for Reach {
    fn default() -> Self {
        Self {
            now: watch::Sender::new(Way::Gone),
        }
    }
}

impl Reach {
    /// Calls ask by this one from now on.
    pub(super) fn found(&self, connection: MultiplexedConnection, number: u64) {
        self.now.send_replace(Way::There(connection, number));
    }
    /// Nobody waits for it any more, until it is found. Not about a loss that calls wait out ([`Self::lost`]).
    pub(super) fn gone(&self) {
        self.now.send_replace(Way::Gone);
    }
    /// The connection of that number is lost, whoever says so first. Not about one that came after it: many calls may hear at
    /// different times that one connection was lost, the last of them when there is another long since.
    pub(super) fn lost(&self, number: u64) -> bool {
        self.now.send_if_modified(|now| {
            let is_it = matches!(now, Way::There(_, there) if *there == number);
            if is_it {
                *now = Way::Again(patience());
            }
            is_it
        })
    }
    /// Whether Redis answers.
    pub(super) fn is_there(&self) -> bool {
        matches!(*self.now.borrow(), Way::There(..))
    }
    /// The connection; one that was lost just now is waited for, until `end`.
    async fn connection(&self, end: Instant) -> Result<(MultiplexedConnection, u64), Gone> {
        let mut heard = self.now.subscribe();
        loop {
            let way = heard.borrow_and_update().clone();
            match way {
                Way::There(connection, number) => return Ok((connection, number)),
                Way::Gone => return Err(Gone),
                Way::Again(until) => {
                    let changed = timeout_at(end.min(until), heard.changed());
                    changed.await.map_err(|_| Gone)?.map_err(|_| Gone)?;
                }
            }
        }
    }
    /// Asks Redis something that a call waits for, until `end`. `tell` hears which connection is lost by that.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        command: &redis::Cmd,
        end: Instant,
        tell: impl FnOnce(u64),
    ) -> Result<T, Unanswered> {
        let asked = self.connection(end).await;
        let (mut connection, number) = asked.map_err(|Gone| Unanswered::Gone)?;
        let answer = timeout_at(end, command.query_async::<T>(&mut connection)).await;
        let why = match answer {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(_)) => Unanswered::Broken,
            Err(_) => Unanswered::Gone,
        };
        if self.lost(number) {
            tell(number);
        }
        Err(why)
    }
}
