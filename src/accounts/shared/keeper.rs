//! The task that renews what is held in Redis, and gives back what is not.

use super::{BATCH, Shared, Work, key};
use crate::accounts::news::{NewsError, RedisSettings, client};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    sync::{Arc, Weak},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};

/// How long Redis may take for what no call waits for.
const ANSWER: Duration = Duration::from_secs(2);
/// From one attempt to reach it to the next, at least.
const PAUSE: Duration = Duration::from_millis(500);
/// The same where it answered: far less than a call waits.
const BREATH: Duration = Duration::from_millis(50);
/// Places to give back that are remembered while Redis is gone: what is forgotten falls back by its lease.
const REMEMBERED: usize = 10_000;

/// See the module.
pub(super) struct Keeper {
    shared: Weak<Shared>,
    server: String,
    settings: RedisSettings,
    lease: Duration,
    told: mpsc::UnboundedReceiver<Work>,
    /// To be given back.
    free: Vec<(Arc<str>, u64)>,
    /// How many connections there have been.
    connections: u64,
    /// Whether it was there once and no more.
    lost: bool,
    /// Whether the log has said that Redis is gone.
    warned: bool,
}

/// Why a keeper has stopped keeping.
enum End {
    /// Nobody holds anything, and nobody will.
    Over,
    Redis(NewsError),
}

impl From<NewsError> for End {
    fn from(error: NewsError) -> Self {
        Self::Redis(error)
    }
}

impl Keeper {
    pub(super) fn new(
        shared: &Arc<Shared>,
        settings: &RedisSettings,
        told: mpsc::UnboundedReceiver<Work>,
    ) -> Self {
        Self {
            shared: Arc::downgrade(shared),
            server: shared.server.clone(),
            settings: settings.clone(),
            lease: shared.lease,
            told,
            free: Vec::new(),
            connections: 0,
            lost: false,
            warned: false,
        }
    }
    pub(super) async fn run(mut self) {
        loop {
            #[expect(
                clippy::disallowed_methods,
                reason = "a driver: it counts how long a connection lasted"
            )]
            let began = Instant::now();
            let pause = match self.connected().await {
                Ok(connection) => match self.serve(connection).await {
                    Ok(()) => return,
                    Err(error) => {
                        // Where one answer came late, or a connection broke, Redis may be there all the same, and calls wait for it.
                        if let Some(shared) = self.shared.upgrade() {
                            shared.reach.lost(self.connections);
                        }
                        self.lost = true;
                        tracing::info!(%error, "the connection to Redis is lost, and it is asked for another one");
                        BREATH
                    }
                },
                Err(End::Over) => return,
                Err(End::Redis(error)) => {
                    if let Some(shared) = self.shared.upgrade() {
                        shared.reach.gone();
                    }
                    self.lost = true;
                    if !std::mem::replace(&mut self.warned, true) {
                        tracing::warn!(%error, "Redis is gone: calls of other servers are not known, and new ones follow lines-without-redis");
                    }
                    PAUSE
                }
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "what is gone is asked again after a while"
            )]
            sleep_until(began + pause).await;
        }
    }
    async fn connected(&mut self) -> Result<MultiplexedConnection, End> {
        let client = client(&self.settings)?;
        let opened = answered(client.get_multiplexed_async_connection()).await;
        // What was said of an earlier connection is not about this one.
        self.connections += 1;
        loop {
            match self.told.try_recv() {
                Ok(Work::Give(line, number)) => self.free.push((line, number)),
                Ok(Work::Lost(_)) => {}
                Err(mpsc::error::TryRecvError::Empty) => break,
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(End::Over),
            }
        }
        if self.free.len() > REMEMBERED {
            self.free.clear();
        }
        let connection = opened?;
        // First what calls hold, lest others take their places.
        self.renew(&connection).await?;
        let Some(shared) = self.shared.upgrade() else {
            return Ok(connection);
        };
        shared.reach.found(connection.clone(), self.connections);
        drop(shared);
        // And what they took meanwhile without Redis.
        self.renew(&connection).await?;
        let news = if self.lost {
            "Redis is back"
        } else {
            "Redis is there"
        };
        tracing::info!("{news}: lines are counted with those of other servers");
        (self.lost, self.warned) = (false, false);
        Ok(connection)
    }
    /// Until the connection is lost, or there is nothing left to do.
    async fn serve(&mut self, connection: MultiplexedConnection) -> Result<(), NewsError> {
        #[expect(clippy::disallowed_methods, reason = "leases are renewed by the clock")]
        let mut due = interval(self.lease / 3);
        due.set_missed_tick_behavior(MissedTickBehavior::Delay);
        due.tick().await;
        self.give(&connection).await?;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let lost = tokio::select! {
                taken = self.told.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return Ok(());
                    }
                    let mut lost = false;
                    for work in batch.drain(..) {
                        match work {
                            Work::Give(line, number) => self.free.push((line, number)),
                            Work::Lost(number) => lost |= number == self.connections,
                        }
                    }
                    lost
                }
                _ = due.tick() => {
                    self.renew(&connection).await?;
                    false
                }
            };
            if lost {
                return Err(NewsError::Silent);
            }
            self.give(&connection).await?;
        }
    }
    async fn renew(&self, connection: &MultiplexedConnection) -> Result<(), NewsError> {
        let Some(renewals) = self.shared.upgrade().map(|shared| shared.renewals()) else {
            return Ok(());
        };
        for renewal in renewals {
            answered(renewal.exec_async(&mut connection.clone())).await?;
        }
        Ok(())
    }
    /// Gives back what is free. What was not given back for want of an answer is tried again.
    async fn give(&mut self, connection: &MultiplexedConnection) -> Result<(), NewsError> {
        while !self.free.is_empty() {
            let some = &self.free[self.free.len().saturating_sub(BATCH)..];
            let mut pipeline = redis::pipe();
            for (line, number) in some {
                pipeline
                    .cmd("ZREM")
                    .arg(key(line))
                    .arg(format!("{}:{number}", self.server))
                    .ignore();
            }
            answered(pipeline.exec_async(&mut connection.clone())).await?;
            let left = self.free.len().saturating_sub(BATCH);
            self.free.truncate(left);
        }
        Ok(())
    }
}

async fn answered<T>(asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, NewsError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a Redis that has vanished does not say so"
    )]
    let answer = timeout(ANSWER, asked).await;
    Ok(answer.map_err(|_| NewsError::Silent)??)
}
