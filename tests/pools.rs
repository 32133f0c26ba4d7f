//! The real binary with its accounts in databases, and with Redis: what it registers, whom it lets call, and what becomes of both when
//! what it depends on is gone. Each server is started here, on a port and in a folder of its own. What is not installed is a
//! failure: `tests/run packages`.

#![expect(clippy::disallowed_methods, reason = "these tests watch servers in real time")]

#[path = "pools/callee.rs"]
mod callee;
#[path = "pools/check.rs"]
mod check;
#[path = "accounts/daemon.rs"]
mod daemon;
#[path = "pools/gone.rs"]
mod gone;
#[path = "pools/many.rs"]
mod many;
#[path = "pools/news.rs"]
mod news;
#[path = "loopback/party.rs"]
mod party;
#[path = "config/process.rs"]
mod process;
#[path = "registrations/registrar.rs"]
mod registrar;
#[path = "pools/rig.rs"]
mod rig;
#[path = "loopback/server.rs"]
mod server;
#[path = "pools/share.rs"]
mod share;
#[path = "pools/table.rs"]
mod table;
#[path = "pools/trunks.rs"]
mod trunks;
