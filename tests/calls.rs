//! Whole calls on virtual time: the rows of the acceptance list, and call scripts (`tests/calls/*.call`).
//!
//! Rows 10, 14, 15 and the forks of 19 are generated exhaustively, because the clock is ours.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps nothing fails, as it should"
)]

#[path = "calls/adoption.rs"]
mod adoption;
#[path = "calls/cancel.rs"]
mod cancel;
#[path = "calls/codecs.rs"]
mod codecs;
#[path = "calls/digits.rs"]
mod digits;
#[path = "calls/drain.rs"]
mod drain;
#[path = "calls/dtls.rs"]
mod dtls;
#[path = "calls/duo.rs"]
mod duo;
#[path = "calls/elsewhere.rs"]
mod elsewhere;
#[path = "calls/encryption.rs"]
mod encryption;
#[path = "calls/executed.rs"]
mod executed;
#[path = "calls/executed_zrtp.rs"]
mod executed_zrtp;
#[path = "calls/faults.rs"]
mod faults;
#[path = "calls/fax.rs"]
mod fax;
#[path = "calls/feedback.rs"]
mod feedback;
#[path = "calls/forked_zrtp.rs"]
mod forked_zrtp;
#[path = "calls/forks.rs"]
mod forks;
#[path = "calls/formats.rs"]
mod formats;
#[path = "calls/glare.rs"]
mod glare;
#[path = "calls/handovers.rs"]
mod handovers;
#[path = "calls/hello.rs"]
mod hello;
#[path = "calls/hold.rs"]
mod hold;
#[path = "calls/limits.rs"]
mod limits;
#[path = "calls/loops.rs"]
mod loops;
#[path = "calls/offers.rs"]
mod offers;
#[path = "calls/pick_up.rs"]
mod pick_up;
#[path = "calls/prack.rs"]
mod prack;
#[path = "calls/prack_forks.rs"]
mod prack_forks;
#[path = "calls/properties.rs"]
mod properties;
#[path = "calls/redirects.rs"]
mod redirects;
#[path = "calls/setup.rs"]
mod setup;
#[path = "calls/streams.rs"]
mod streams;
#[path = "calls/timers.rs"]
mod timers;
#[path = "calls/transfers.rs"]
mod transfers;
#[path = "calls/unkeyed.rs"]
mod unkeyed;
#[path = "calls/video.rs"]
mod video;
#[path = "calls/weather.rs"]
mod weather;
#[path = "calls/zrtp.rs"]
mod zrtp;

/// The applications of the binary, as any author outside would bring theirs.
#[allow(dead_code, unused_imports, reason = "what only the command asks of them")]
#[path = "../apps/mod.rs"]
mod apps;

#[path = "calls/scripts.rs"]
mod scripts;
