//! Where accounts come from: tables in SQLite, PostgreSQL and MySQL, with the columns that Flexisip reads, and Redis, where news of
//! them is published. Knows what an account's record is, not what becomes of it.

mod connection;
pub mod news;
mod query;
mod record;
pub mod shared;
pub mod source;
pub mod sql;
#[cfg(test)]
mod tests;

pub use connection::{Backend, ConnectionError};
pub use news::{Link, RedisSettings, Tidings};
pub use record::Record;
pub use shared::{Caps, Full, Gone, SharedLines, Slot};
pub use source::{Event, Source, Watch};
pub use sql::{SqlAccounts, SqlError, SqlSettings};
