//! Lines that several servers share: who holds one is counted in Redis, under a lease.
//!
//! A line is a sorted set, `b2bua/lines/POOL/ACCOUNT`, with a member for each call and the time at which its lease ends, by Redis's
//! clock alone. What is taken is taken by a script, so that no two servers see the same place free. Each server renews what it holds
//! three times in a lease; what a server held that has died falls back when its lease ends. A Redis that has lost its memory is
//! told everything again as soon as it answers.
//!
//! Nobody waits for Redis longer than [`PATIENCE`], and while it is known to be gone nobody waits at all.

use super::news::{NewsError, RedisSettings, client};
use redis::{RedisError, aio::MultiplexedConnection};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};
use tokio::{
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout, timeout_at},
};

/// The longest that a call waits.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// How long Redis may take for what no call waits for.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(500);
/// Lines that one script looks at.
const CANDIDATES: usize = 64;
/// Commands that are under way at once.
const BATCH: usize = 256;
/// Places to give back that are remembered while Redis is gone: what is forgotten falls back by its lease.
const REMEMBERED: usize = 10_000;

/// The first of KEYS with room for one more, or 0. ARGV: limit, lease in milliseconds, member.
const TAKE: &str = "local t = redis.call('TIME') \
    local now = t[1] * 1000 + math.floor(t[2] / 1000) \
    local lease = tonumber(ARGV[2]) \
    for i, key in ipairs(KEYS) do \
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now) \
    if redis.call('ZCARD', key) < tonumber(ARGV[1]) then \
    redis.call('ZADD', key, now + lease, ARGV[3]) \
    if redis.call('PTTL', key) < lease then redis.call('PEXPIRE', key, lease) end \
    return i end end return 0";
/// Renews, whatever the limit. ARGV: lease in milliseconds, members.
const RENEW: &str = "local t = redis.call('TIME') \
    local now = t[1] * 1000 + math.floor(t[2] / 1000) \
    local lease = tonumber(ARGV[1]) \
    for i = 2, #ARGV do redis.call('ZADD', KEYS[1], now + lease, ARGV[i]) end \
    if redis.call('PTTL', KEYS[1]) < lease then redis.call('PEXPIRE', KEYS[1], lease) end \
    return 1";

/// That Redis could not be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Redis is not there")]
pub struct Gone;

/// All lines that this server shares with others. Cheap to clone; all clones are one, and end with the last of them and of the
/// [`Slot`]s.
#[derive(Clone)]
pub struct SharedLines(Arc<Shared>);

struct Shared {
    /// Begins the name of each member: no other server has it.
    server: String,
    lease: Duration,
    held: Mutex<Held>,
    connection: Mutex<Option<MultiplexedConnection>>,
    work: mpsc::UnboundedSender<Work>,
}

#[derive(Default)]
struct Held {
    last: u64,
    lines: HashMap<Arc<str>, HashSet<u64>>,
}

enum Work {
    /// This place is free again, if it was taken.
    Give(Arc<str>, u64),
    /// Redis has not answered.
    Lost,
}

/// One place on a line. Given back when it is dropped.
pub struct Slot {
    shared: Arc<Shared>,
    line: Arc<str>,
    number: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut held = self.shared.held();
        if let Some(numbers) = held.lines.get_mut(&self.line) {
            numbers.remove(&self.number);
            if numbers.is_empty() {
                held.lines.remove(&self.line);
            }
        }
        drop(held);
        // Without a task there is nobody to tell, and the lease ends by itself.
        let _ = self.shared.work.send(Work::Give(self.line.clone(), self.number));
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({} {})", self.line, self.number)
    }
}

impl fmt::Debug for SharedLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedLines({} held)", self.held())
    }
}

/// What may have been taken: given back unless it is known.
struct Attempt<'a> {
    shared: &'a Shared,
    lines: &'a [Arc<str>],
    number: u64,
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        for line in self.lines {
            let _ = self.shared.work.send(Work::Give(line.clone(), self.number));
        }
    }
}

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn connection(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn member(&self, number: u64) -> String {
        format!("{}:{number}", self.server)
    }
    fn milliseconds(&self) -> u64 {
        u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX)
    }
    /// All that is held, as commands of at most so many.
    fn renewals(&self) -> Vec<redis::Pipeline> {
        let held = self.held();
        let lines: Vec<_> = held.lines.iter().collect();
        let batch = |lines: &[(&Arc<str>, &HashSet<u64>)]| {
            let mut pipeline = redis::pipe();
            for (line, numbers) in lines {
                let command = pipeline.cmd("EVAL").arg(RENEW).arg(1).arg(key(line));
                command.arg(self.milliseconds());
                for number in *numbers {
                    command.arg(self.member(*number));
                }
                command.ignore();
            }
            pipeline
        };
        lines.chunks(BATCH).map(batch).collect()
    }
}

fn key(line: &str) -> String {
    format!("b2bua/lines/{line}")
}

impl SharedLines {
    /// Begins to count lines at that Redis, whenever it is there. `server` is a name that no other server has. To be called within a
    /// tokio runtime.
    pub fn start(settings: &RedisSettings, lease: Duration, server: &str) -> Self {
        let (work, told) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            lease,
            held: Mutex::default(),
            connection: Mutex::default(),
            work,
        });
        let keeper = Keeper {
            shared: Arc::downgrade(&shared),
            server: server.to_owned(),
            settings: settings.clone(),
            lease,
            told,
            free: Vec::new(),
            lost: false,
        };
        tokio::spawn(keeper.run());
        Self(shared)
    }
    /// A place on the first of `lines` that has fewer than `limit` calls of all servers; which, and the place. `None`: they are full.
    ///
    /// # Errors
    /// When Redis cannot be asked, or does not answer within [`PATIENCE`].
    pub async fn take(&self, lines: &[Arc<str>], limit: u32) -> Result<Option<(usize, Slot)>, Gone> {
        let shared = &self.0;
        let mut connection = shared.connection().clone().ok_or(Gone)?;
        #[expect(clippy::disallowed_methods, reason = "no call waits for long")]
        let end = Instant::now() + PATIENCE;
        let mut before = 0;
        for lines in lines.chunks(CANDIDATES) {
            let number = {
                let mut held = shared.held();
                held.last += 1;
                held.last
            };
            let mut command = redis::cmd("EVAL");
            command.arg(TAKE).arg(lines.len());
            for line in lines {
                command.arg(key(line));
            }
            command
                .arg(limit)
                .arg(shared.milliseconds())
                .arg(shared.member(number));
            let attempt = Attempt {
                shared,
                lines,
                number,
            };
            let answer = timeout_at(end, command.query_async::<usize>(&mut connection));
            let Ok(Ok(taken)) = answer.await else {
                *shared.connection() = None;
                let _ = shared.work.send(Work::Lost);
                return Err(Gone);
            };
            let line = taken
                .checked_sub(1)
                .and_then(|index| Some((index, lines.get(index)?)));
            let slot = line.map(|(index, line)| (before + index, self.hold_as(line, number)));
            std::mem::forget(attempt);
            if slot.is_some() {
                return Ok(slot);
            }
            before += lines.len();
        }
        Ok(None)
    }
    /// A place on a line whether or not it has room: what this server does while Redis is gone. Redis hears of it when it is back.
    pub fn hold(&self, line: &Arc<str>) -> Slot {
        let number = {
            let mut held = self.0.held();
            held.last += 1;
            held.last
        };
        self.hold_as(line, number)
    }
    fn hold_as(&self, line: &Arc<str>, number: u64) -> Slot {
        let mut held = self.0.held();
        held.lines.entry(line.clone()).or_default().insert(number);
        Slot {
            shared: self.0.clone(),
            line: line.clone(),
            number,
        }
    }
    /// How many places this server holds.
    pub fn held(&self) -> usize {
        self.0.held().lines.values().map(HashSet::len).sum()
    }
    /// Whether Redis answers.
    pub fn is_there(&self) -> bool {
        self.0.connection().is_some()
    }
}

/// Keeps what is held, and gives back what is not.
struct Keeper {
    shared: Weak<Shared>,
    server: String,
    settings: RedisSettings,
    lease: Duration,
    told: mpsc::UnboundedReceiver<Work>,
    /// To be given back.
    free: Vec<(Arc<str>, u64)>,
    /// Whether the log has said that Redis is gone.
    lost: bool,
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
    async fn run(mut self) {
        loop {
            match self.keep().await {
                End::Over => return,
                End::Redis(error) => {
                    if let Some(shared) = self.shared.upgrade() {
                        *shared.connection() = None;
                    }
                    if !self.lost {
                        tracing::warn!(%error, "Redis is gone: calls of other servers are not known, and new ones follow lines-without-redis");
                    }
                    self.lost = true;
                }
            }
            #[expect(
                clippy::disallowed_methods,
                reason = "what is gone is asked again after a while"
            )]
            sleep(PAUSE).await;
        }
    }
    /// From one loss of the connection to the next.
    async fn keep(&mut self) -> End {
        match self.connected().await {
            Ok(connection) => match self.serve(connection).await {
                Ok(()) => End::Over,
                Err(error) => End::Redis(error),
            },
            Err(end) => end,
        }
    }
    async fn connected(&mut self) -> Result<MultiplexedConnection, End> {
        let client = client(&self.settings)?;
        let opened = answered(client.get_multiplexed_async_connection()).await;
        // What was said of an earlier connection is not about this one.
        loop {
            match self.told.try_recv() {
                Ok(Work::Give(line, number)) => self.free.push((line, number)),
                Ok(Work::Lost) => {}
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
        *shared.connection() = Some(connection.clone());
        drop(shared);
        // And what they took meanwhile without Redis.
        self.renew(&connection).await?;
        let news = if self.lost {
            "Redis is back"
        } else {
            "Redis is there"
        };
        tracing::info!("{news}: lines are counted with those of other servers");
        self.lost = false;
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
                            Work::Lost => lost = true,
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
