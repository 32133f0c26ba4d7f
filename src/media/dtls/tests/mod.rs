//! Handshakes of ours with ours. Peers that are not ours: `tests/dtls.rs`.

mod afterwards;
mod failing;
mod happy;
#[expect(clippy::disallowed_methods, reason = "on virtual time")]
mod rig;
mod strangers;
mod weather;
