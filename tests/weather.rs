//! Goal R2 on the wire: a thousand calls through the real binary, where 10 % of all datagrams are lost, 5 % go twice and others
//! overtake them by up to 50 ms, both ways on both legs. All complete: a try fails with 1 - 0.9^2 = 0.19, and seven tries of an
//! INVITE give 9e-6 a leg. The same calls on virtual time, of more kinds and ten times as many, are in `tests/calls/weather.rs`.
//!
//! `WEATHER_CALLS=1000 cargo test --test weather -- --nocapture` is the goal; a plain run does 200.

#![expect(
    clippy::disallowed_methods,
    reason = "this test watches processes in real time"
)]

#[path = "config/process.rs"]
mod process;
#[path = "weather/road.rs"]
mod road;
#[path = "loopback/server.rs"]
mod server;
mod shim;

use road::Road;
use server::{Server, nothing_is_left};
use shim::Faults;
use std::{
    net::{SocketAddr, UdpSocket},
    process::{Command, Stdio},
    sync::atomic::Ordering::Relaxed,
    time::Duration,
};

const ROUGH: Faults = Faults {
    lost: 10,
    twice: 5,
    late: 30,
    delay: Duration::from_millis(50),
};

/// An address that was free a moment ago: both ends of a road must be known before either begins.
fn free() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("bound")
}

#[test]
fn all_calls_complete_in_rough_weather_on_the_wire() {
    let calls: u64 = std::env::var("WEATHER_CALLS").map_or(200, |text| text.parse().expect("a number"));
    let (caller, callee) = (free(), free());
    let (to_callers, to_callees) = (Road::laid(), Road::laid());
    let server = Server::quiet(
        &format!("sip:{}", to_callees.other()),
        "max-calls=5000\ntrusted-hosts=127.0.0.0/8\n",
    );
    let roads = [
        to_callers.between(server.udp(), caller, ROUGH, 1),
        to_callees.between(server.udp(), callee, ROUGH, 2),
    ];
    let output = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .args([
            "load", "--rate", "40", "--hold", "1", "--settle", "0", "--media", "none",
        ])
        .args(["--server", &roads[0].server.to_string()])
        .args(["--callee-server", &roads[1].server.to_string()])
        .args(["--caller", &caller.to_string(), "--callee", &callee.to_string()])
        .args(["--calls", &calls.to_string()])
        .stdin(Stdio::null())
        .output()
        .expect("the load generator runs");
    let told = String::from_utf8_lossy(&output.stdout);
    let summary: serde_json::Value = serde_json::from_str(&told).expect("a summary");
    for road in &roads {
        let weather = &road.weather;
        let [seen, lost, doubled, overtaken] =
            [&weather.seen, &weather.lost, &weather.doubled, &weather.overtaken]
                .map(|count| count.load(Relaxed));
        println!("{seen} datagrams, {lost} lost, {doubled} doubled, {overtaken} overtaken");
        // INVITE, 100, 180, 200, ACK, BYE, 200: the weather was there, on each leg.
        assert!(seen as u64 > 7 * calls, "{seen} datagrams of {calls} calls");
        assert!(
            (70..130).contains(&(lost * 1_000 / seen)),
            "{lost} of {seen} lost"
        );
        assert!(
            doubled * 1_000 / seen > 25 && overtaken > 0,
            "{doubled}, {overtaken}"
        );
    }
    println!("{summary:#}");
    assert_eq!(summary["as_planned"]["answered"], calls, "{summary:#}");
    assert_eq!(summary["failed"], serde_json::json!({}), "{summary:#}");
    assert_eq!(summary["faults"], serde_json::json!([]), "{summary:#}");
    assert!(
        summary["retransmissions"]["sent"].as_u64() > Some(calls / 10),
        "{summary:#}"
    );
    assert_eq!(output.status.code(), Some(0), "{summary:#}");
    // Nothing is left of them by the RFC's timers.
    server.until_within(Duration::from_secs(100), nothing_is_left);
    let gauges = server.gauges();
    assert_eq!(
        (gauges["taken"], gauges["answered"], gauges["faults"]),
        (calls, calls, 0)
    );
}
