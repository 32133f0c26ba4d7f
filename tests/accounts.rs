//! Accounts in PostgreSQL, MariaDB and SQLite, and news of them by Redis: each server started here, on a port and in a folder of its
//! own. What is not installed is a failure: `tests/run packages`.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests watch databases in real time"
)]

#[path = "accounts/daemon.rs"]
mod daemon;
#[path = "accounts/load.rs"]
mod load;
#[path = "accounts/news.rs"]
mod news;
