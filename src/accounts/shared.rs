//! Lines and caps that several servers share: who holds one is counted in Redis, under a lease.
//!
//! A line is a sorted set, `b2bua/lines/POOL/ACCOUNT`, and so are the calls of a provider, `b2bua/providers/NAME`, with a member for each call and the time at which its lease ends, by Redis's
//! clock alone. What is taken is taken by a script, so that no two servers see the same place free. Each server renews what it holds
//! three times in a lease; what a server held that has died falls back when its lease ends. A Redis that has lost its memory is
//! told everything again as soon as it answers.
//!
//! Nobody waits for Redis longer than [`PATIENCE`], and while it is known to be gone nobody waits at all. A connection that breaks
//! is no Redis that is gone: it is asked by another one before a call hears of it.

mod caps;
mod keeper;
mod reach;
mod scripts;

pub use caps::{Caps, Full};

use super::news::RedisSettings;
use keeper::Keeper;
use reach::{Reach, Unanswered, patience};
use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, time::Instant};

/// The longest that a call waits.
pub const PATIENCE: Duration = Duration::from_millis(250);
/// Lines that one script looks at.
const CANDIDATES: usize = 64;
/// Commands that are under way at once.
const BATCH: usize = 256;

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
    reach: Reach,
    work: mpsc::UnboundedSender<Work>,
}

#[derive(Default)]
struct Held {
    last: u64,
    lines: HashMap<Arc<str>, HashSet<u64>>,
}

impl Held {
    /// The number of the next place.
    fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

enum Work {
    /// This place is free again, if it was taken.
    Give(Arc<str>, u64),
    /// By the connection of that number Redis has not answered.
    Lost(u64),
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
    /// Asks Redis something that a call waits for, until `end`. What `command` makes for a number is asked again with another one
    /// where its connection breaks: what became of the first is not known, and is given back.
    async fn ask<T: redis::FromRedisValue>(
        &self,
        lines: &[Arc<str>],
        command: impl Fn(u64) -> redis::Cmd,
        end: Instant,
    ) -> Result<(T, u64), Gone> {
        let mut again = true;
        loop {
            let number = self.held().fresh();
            let attempt = Attempt {
                shared: self,
                lines,
                number,
            };
            let tell = |connection| drop(self.work.send(Work::Lost(connection)));
            match self.reach.ask(&command(number), end, tell).await {
                Ok(answer) => {
                    std::mem::forget(attempt);
                    return Ok((answer, number));
                }
                Err(Unanswered::Broken) if std::mem::take(&mut again) => {}
                Err(why) => return Err(why.into()),
            }
        }
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
                let command = pipeline.cmd("EVAL").arg(scripts::RENEW).arg(1).arg(key(line));
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

/// `lines/POOL/ACCOUNT` or `providers/NAME`, as it stands in Redis.
fn key(line: &str) -> String {
    format!("b2bua/{line}")
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
            reach: Reach::default(),
            work,
        });
        let keeper = Keeper::new(&shared, settings, told);
        tokio::spawn(keeper.run());
        Self(shared)
    }
    /// A place on the first of `lines` that has fewer than `limit` calls of all servers; which, and the place. `None`: they are full.
    ///
    /// # Errors
    /// When Redis cannot be asked, or does not answer within [`PATIENCE`].
    pub async fn take(&self, lines: &[Arc<str>], limit: u32) -> Result<Option<(usize, Slot)>, Gone> {
        let shared = &self.0;
        let end = patience();
        let mut before = 0;
        for lines in lines.chunks(CANDIDATES) {
            let command = |number| {
                let mut command = redis::cmd("EVAL");
                command.arg(scripts::TAKE).arg(lines.len());
                for line in lines {
                    command.arg(key(line));
                }
                command
                    .arg(limit)
                    .arg(shared.milliseconds())
                    .arg(shared.member(number));
                command
            };
            let (taken, number): (usize, _) = shared.ask(lines, command, end).await?;
            let line = taken
                .checked_sub(1)
                .and_then(|index| Some((index, lines.get(index)?)));
            let slot = line.map(|(index, line)| (before + index, self.hold_as(line, number)));
            if slot.is_some() {
                return Ok(slot);
            }
            before += lines.len();
        }
        Ok(None)
    }
    /// A place on a line whether or not it has room: what this server does while Redis is gone. Redis hears of it when it is back.
    pub fn hold(&self, line: &Arc<str>) -> Slot {
        let number = self.0.held().fresh();
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
        self.0.reach.is_there()
    }
}
