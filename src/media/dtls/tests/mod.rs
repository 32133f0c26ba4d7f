//! Handshakes of ours with ours. Peers that are not ours: `tests/dtls.rs`.

mod happy;
#[expect(
    clippy::disallowed_methods,
    reason = "virtual time, and dates for certificates"
)]
mod rig;
