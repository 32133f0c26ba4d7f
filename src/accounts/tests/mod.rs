//! Connection strings, queries, and tables in SQLite. The other databases and Redis: `tests/accounts.rs`.

mod strings;
mod tables;
