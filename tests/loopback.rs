//! The server on the wire: the real binary on loopback, against sockets that speak SIP and RTP by hand.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests watch a process in real time"
)]

#[path = "config/process.rs"]
mod process;

mod loopback {
    mod adoption;
    mod answers;
    mod bridge;
    mod calls;
    pub(crate) mod carriers;
    mod digest;
    pub(crate) mod dns;
    mod executed;
    mod exhausted;
    mod faults;
    mod formats;
    mod handover;
    mod keyed;
    mod limits;
    mod lookup;
    mod lost;
    mod observe;
    pub(crate) mod party;
    mod pick_up;
    mod reload;
    mod routes;
    mod secure;
    pub(crate) mod server;
    mod sizes;
    mod talk;
    mod transports;
    mod trunks;
    mod twice;
}
