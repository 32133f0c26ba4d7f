//! A pool's accounts as they change.
//!
//! What cannot be asked changes nothing: while a database or Redis is gone, the accounts that are known stay, and everything is read
//! anew when it is back. Unlike Flexisip, a server that starts without Redis has its accounts all the same.

use super::{
    news::{RedisSettings, Subscription, Tidings},
    record::Record,
    sql::SqlAccounts,
};
use std::time::Duration;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout_at},
};

/// The wait before the second attempt; it doubles.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait between attempts.
const LONGEST: Duration = Duration::from_secs(30);

/// Where a pool's accounts come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// They stand in the configuration.
    Static(Vec<Record>),
    /// A database that is read again after each such time; zero: only once.
    Sql(SqlAccounts, Duration),
    /// A database, and Redis, where its changes are published.
    Redis(SqlAccounts, RedisSettings),
}

/// What has become known.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// These are all accounts.
    All(Vec<Record>),
    /// This one is new or has changed.
    Changed(Box<Record>),
    /// The account of this URI has gone.
    Gone(String),
}

/// Watches a source for as long as it is kept.
#[derive(Debug)]
pub struct Watch(JoinHandle<()>);

impl Drop for Watch {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Watch {
    /// Begins to tell of the accounts of `pool`. To be called within a tokio runtime.
    pub fn start(pool: &str, source: Source, tell: impl FnMut(Event) + Send + 'static) -> Self {
        let watcher = Watcher {
            pool: pool.to_owned(),
            tell: Box::new(tell),
            failures: 0,
        };
        Self(tokio::spawn(watcher.run(source)))
    }
}

struct Watcher {
    pool: String,
    tell: Box<dyn FnMut(Event) + Send>,
    failures: u32,
}

impl Watcher {
    async fn run(mut self, source: Source) {
        match source {
            Source::Static(records) => (self.tell)(Event::All(records)),
            Source::Sql(accounts, every) => loop {
                self.load(&accounts).await;
                if every.is_zero() {
                    return;
                }
                pause(every).await;
            },
            Source::Redis(accounts, settings) => {
                self.load(&accounts).await;
                loop {
                    match Subscription::open(&settings).await {
                        Ok(subscription) => {
                            self.failures = 0;
                            tracing::info!(pool = self.pool, "hears news of accounts");
                            self.listen(subscription, &accounts).await;
                        }
                        Err(error) => self.failed("redis", &error).await,
                    }
                }
            }
        }
    }
    /// All accounts, as soon as the database gives them.
    async fn load(&mut self, accounts: &SqlAccounts) {
        loop {
            match accounts.all().await {
                Ok(records) => {
                    self.failures = 0;
                    tracing::info!(pool = self.pool, accounts = records.len(), "accounts read");
                    return (self.tell)(Event::All(records));
                }
                Err(error) => self.failed("sql", &error).await,
            }
        }
    }
    /// Until the connection is lost. What was published before it was there is in the database.
    async fn listen(&mut self, mut subscription: Subscription, accounts: &SqlAccounts) {
        self.load(accounts).await;
        let mut missed = None;
        loop {
            let next = subscription.next();
            let heard = match missed {
                Some(at) => timeout_at(at, next).await,
                None => Ok(next.await),
            };
            match heard {
                Ok(Ok(tidings)) => {
                    if let Err(error) = self.one(&tidings, accounts).await {
                        tracing::warn!(pool = self.pool, uri = tidings.username, %error, "an account's change cannot be read, all will be");
                        missed.get_or_insert_with(soon);
                    }
                }
                Ok(Err(error)) => {
                    tracing::warn!(pool = self.pool, %error, "no news of accounts any more: what is known stays");
                    return pause(FIRST).await;
                }
                Err(_) => {
                    missed = None;
                    self.load(accounts).await;
                }
            }
        }
    }
    async fn one(&mut self, tidings: &Tidings, accounts: &SqlAccounts) -> Result<(), super::SqlError> {
        let uri = format!("sip:{}@{}", tidings.username, tidings.domain);
        match accounts.find(&tidings.identifier).await? {
            None => (self.tell)(Event::Gone(uri)),
            Some(record) if record.uri() == uri => (self.tell)(Event::Changed(Box::new(record))),
            Some(record) => tracing::error!(
                pool = self.pool,
                published = uri,
                found = record.uri(),
                "the account found is another than was published: ignored"
            ),
        }
        Ok(())
    }
    async fn failed(&mut self, what: &str, error: &(dyn std::error::Error + Sync)) {
        self.failures = self.failures.saturating_add(1);
        let wait = (FIRST * (1 << (self.failures - 1).min(5))).min(LONGEST);
        tracing::warn!(pool = self.pool, what, %error, again_in = ?wait, "accounts cannot be read: what is known stays");
        pause(wait).await;
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what is gone is asked again after a while"
)]
async fn pause(time: Duration) {
    sleep(time).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "what could not be read is read a little later"
)]
fn soon() -> Instant {
    Instant::now() + FIRST
}
