//! Many short calls through the real binary, and then nothing must be left of them: not in the server's own gauges, not in
//! its descriptors, sockets and memory as the kernel counts them.
//!
//! `SOAK_CALLS=100000 cargo test --release --test soak -- --nocapture` does as many as that; a plain run does 2,000.

#![expect(
    clippy::disallowed_methods,
    reason = "this test watches a process in real time"
)]

#[path = "soak/callee.rs"]
mod callee;
#[path = "soak/caller.rs"]
mod caller;
#[path = "soak/footprint.rs"]
mod footprint;
#[path = "loopback/party.rs"]
mod party;
#[path = "config/process.rs"]
mod process;
#[path = "loopback/server.rs"]
mod server;

use callee::Callee;
use footprint::Footprint;
use server::Server;
use std::time::{Duration, Instant};

/// How much memory may be there afterwards that was not there at the start, however many the calls: code that was paged in,
/// tables at the size that they reached, what the allocator has not given back.
const SLACK: u64 = 40 << 20;

#[test]
fn nothing_is_left_of_many_short_calls() {
    let calls: usize = std::env::var("SOAK_CALLS").map_or(2_000, |text| text.parse().expect("a number"));
    let callee = Callee::start();
    let server = Server::quiet(
        &format!("sip:{}", callee.address),
        "max-calls=5000\nunanswered-timeout=1\ntrusted-hosts=127.0.0.0/8\n",
    );
    let pid = server.service.pid();
    let fresh = Footprint::of(pid);
    // Long enough for what lingers half a minute after each call to have reached its full number.
    let warm_up = caller::run(&server, (calls / 4).max(500));
    settle(&server);
    let before = Footprint::of(pid);
    let began = Instant::now();
    let done = caller::run(&server, calls);
    let took = began.elapsed();
    println!(
        "{done} in {took:.1?}, {:.0} calls/s",
        calls as f64 / took.as_secs_f64()
    );
    settle(&server);
    let after = Footprint::of(pid);
    println!("at start {fresh}\nwarm     {before}\nafter    {after}");
    // A descriptor or two of the start itself may have been closed since.
    assert!(
        after.files <= fresh.files && after.sockets <= fresh.sockets,
        "{fresh} to {after}"
    );
    assert_eq!(after.listed, fresh.listed, "what ss lists");
    assert!(
        after.memory < fresh.memory + SLACK,
        "memory grew: {fresh} to {after}"
    );
    let gauges = server.gauges();
    let taken = (warm_up.total() + done.total()) as u64;
    assert_eq!(gauges["taken"], taken);
    assert_eq!(gauges["answered"], (warm_up.answered + done.answered) as u64);
    assert_eq!(
        (gauges["faults"], gauges["refused"], gauges["dropped"]),
        (0, 0, 0)
    );
    assert!(done.each_kind_happened(), "{done}");
}

/// Waits until all that lingers by RFC 3261's timers has gone, and sees that nothing else has stayed.
fn settle(server: &Server) {
    server.until_within(Duration::from_secs(90), |gauges| {
        [
            "calls",
            "tasks",
            "dialogs",
            "transactions",
            "tombstones",
            "media-sessions",
            "media-ports",
            "media-flows",
        ]
        .iter()
        .all(|name| gauges[*name] == 0)
            && gauges["connections"] == 0
    });
}
