//! The relay with real sockets on loopback.
#![expect(
    clippy::disallowed_methods,
    reason = "real sockets have real time; only patience is measured with it"
)]

mod agreement;
mod digits;
mod edit;
mod key_frames;
mod keyed;
mod plain;
mod rekey;
mod reserve;
mod rig;
mod sources;
