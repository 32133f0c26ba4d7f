//! The load generator against relays that are not the server: a faithful one, and some that are not faithful,
//! which it must notice.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use std::net::{SocketAddr, UdpSocket};
use std::process::{Command, Output, Stdio};
use std::thread;

/// What a relay does with the n-th datagram that it gets: passes it on as it is or changed, or loses it.
type Meddle = fn(usize, String) -> Option<String>;

/// Passes datagrams between callers and callees, as `b2bua load --bare` does, and meddles with them.
fn relay(callees: SocketAddr, meddle: Meddle) -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = socket.local_addr().unwrap();
    thread::spawn(move || {
        let (mut buffer, mut callers, mut count) = ([0; 4_096], at, 0);
        loop {
            let Ok((length, from)) = socket.recv_from(&mut buffer) else {
                continue;
            };
            let to = if from == callees {
                callers
            } else {
                callers = from;
                callees
            };
            count += 1;
            if let Some(text) = meddle(count, String::from_utf8_lossy(&buffer[..length]).into_owned()) {
                let _ = socket.send_to(text.as_bytes(), to);
            }
        }
    });
    at
}

fn load(meddle: Meddle, options: &str) -> (Output, serde_json::Value) {
    // The callees' port must be known to both before either begins.
    let callees = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = relay(callees, meddle);
    let output = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .args([
            "load",
            "--server",
            &server.to_string(),
            "--callee",
            &callees.to_string(),
        ])
        .args(options.split_ascii_whitespace())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let summary = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    });
    (output, summary)
}

#[test]
fn calls_of_each_fate_and_their_packets_are_counted() {
    let mix = "--mix answered=7,rejected=2,cancelled=1 --media sdes-sdes --calls 20 --rate 40 --hold 0.5";
    let (output, summary) = load(|_, text| Some(text), mix);
    assert_eq!(output.status.code(), Some(0), "{summary:#}");
    assert_eq!(
        summary["as_planned"],
        serde_json::json!({"answered": 14, "rejected": 4, "cancelled": 2})
    );
    let packets = &summary["packets"];
    assert!(packets["sent"].as_u64().unwrap() > 14 * 2 * 20, "{summary:#}");
    assert_eq!(
        (&packets["sent"], &packets["lost"]),
        (&packets["good"], &0.into()),
        "{summary:#}"
    );
    // A progress line a second.
    assert!(String::from_utf8_lossy(&output.stderr).lines().count() >= 2);
}

#[test]
fn lost_messages_are_sent_again_and_counted() {
    let lossy: Meddle = |count, text| (count % 5 != 1).then_some(text);
    let (output, summary) = load(lossy, "--calls 10 --rate 50 --hold 0");
    assert_eq!(output.status.code(), Some(0), "{summary:#}");
    assert!(
        summary["retransmissions"]["sent"].as_u64().unwrap() > 0,
        "{summary:#}"
    );
}

#[test]
fn a_changed_key_is_noticed_packet_by_packet() {
    let meddle: Meddle = |_, text| match text.find("inline:") {
        Some(at) if text.starts_with("SIP/2.0 200") => {
            let key = at + "inline:".len();
            let other = if &text[key..=key] == "A" { "B" } else { "A" };
            Some(format!("{}{other}{}", &text[..key], &text[key + 1..]))
        }
        _ => Some(text),
    };
    let (output, summary) = load(meddle, "--media sdes-sdes --calls 4 --rate 40 --hold 0.5");
    assert_eq!(output.status.code(), Some(1), "{summary:#}");
    let packets = &summary["packets"];
    assert!(packets["unreadable"].as_u64().unwrap() >= 4 * 20, "{summary:#}");
    assert!(packets["good"].as_u64().unwrap() >= 4 * 20, "{summary:#}");
}

#[test]
fn a_refusal_that_was_not_planned_is_a_failure() {
    let meddle: Meddle = |_, text| Some(text.replacen("SIP/2.0 486", "SIP/2.0 503", 1));
    let (output, summary) = load(meddle, "--mix rejected=1 --calls 3 --rate 50");
    assert_eq!(output.status.code(), Some(1), "{summary:#}");
    assert_eq!(summary["failed"], serde_json::json!({"rejected: 503": 3}));
}

#[test]
fn a_broken_message_is_a_fault() {
    let meddle: Meddle = |_, text| {
        let broken = text.replacen("Content-Length: 0", "Content-Length: 7", 1);
        Some(if text.starts_with("SIP/2.0 180") {
            broken
        } else {
            text
        })
    };
    let (output, summary) = load(meddle, "--calls 2 --rate 50 --hold 0");
    assert_eq!(output.status.code(), Some(1), "{summary:#}");
    assert!(
        summary["faults"][0].as_str().unwrap().contains("Content-Length"),
        "{summary:#}"
    );
}

#[test]
fn the_server_takes_each_suite_that_a_caller_offers() {
    for suite in b2bua::phone::crypto::Suite::ALL {
        let output = Command::new(env!("CARGO_BIN_EXE_b2bua"))
            .args([
                "load", "--spawn", "--calls", "2", "--rate", "50", "--hold", "0.3", "--settle", "0",
            ])
            .args(["--media", "sdes-plain", "--suite", suite.name()])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let told = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said));
        assert_eq!(output.status.code(), Some(0), "{suite}: {told:?}");
    }
}

/// Calls through a server of its own, none of which may lose a packet.
fn lossless(media: &[&str]) {
    let output = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .args([
            "load", "--spawn", "--calls", "20", "--rate", "10", "--hold", "3", "--settle", "0",
        ])
        .arg("--media")
        .args(media)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let summary: serde_json::Value = serde_json::from_str(&told).unwrap();
    let packets = &summary["packets"];
    assert_eq!(summary["as_planned"]["answered"], 20, "{told}");
    // 20 calls of 3 s, both ways, less what it takes to have keys.
    assert!(packets["sent"].as_u64().unwrap() > 20 * 2 * 50, "{told}");
    assert_eq!(
        (&packets["good"], &packets["lost"]),
        (&packets["sent"], &0.into()),
        "{told}"
    );
}

#[test]
fn calls_with_dtls_lose_no_packet() {
    lossless(&["dtls-plain"]);
}

#[test]
fn calls_with_zrtp_lose_no_packet() {
    lossless(&["zrtp-sdes"]);
    lossless(&["zrtp-sdes", "--zrtp-key-agreement", "DH3k"]);
}

/// Calls of three seconds through a server that is told something meanwhile.
fn told(more: &[&str]) -> serde_json::Value {
    let output = Command::new(env!("CARGO_BIN_EXE_b2bua"))
        .args(["load", "--spawn", "--calls", "40", "--rate", "40", "--hold", "3"])
        .args(["--media", "sdes-plain", "--settle", "0"])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{told}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let summary: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(summary["as_planned"]["answered"], 40, "{told}");
    assert_eq!(summary["records"], 40, "{told}");
    assert_eq!(
        (&summary["packets"]["good"], &summary["packets"]["lost"]),
        (&summary["packets"]["sent"], &0.into()),
        "{told}"
    );
    summary
}

#[test]
fn a_server_that_drains_drops_no_call_and_ends_after_the_last() {
    let summary = told(&["--drain-after", "1.5"]);
    assert_eq!(summary["drained"], true);
}

#[test]
fn a_server_that_reloads_drops_no_call() {
    let summary = told(&["--reload-every", "0.5"]);
    assert!(summary["reloads"].as_u64().unwrap() >= 5, "{summary:#}");
}
