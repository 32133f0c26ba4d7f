//! The server's registrations on the wire: at a registrar of our own, and at Kamailio. Thousands register in `tests/pools.rs`.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests watch a server in real time"
)]

#[path = "registrations/bridge.rs"]
mod bridge;
#[path = "registrations/kamailio.rs"]
mod kamailio;
#[path = "registrations/mailbox.rs"]
mod mailbox;
#[path = "registrations/own.rs"]
mod own;
#[path = "registrations/peers.rs"]
mod peers;
#[path = "registrations/presence.rs"]
mod presence;
#[path = "registrations/provider.rs"]
mod provider;
#[path = "registrations/registrar.rs"]
mod registrar;
#[path = "registrations/server.rs"]
mod server;
