//! What operators see of a running server: records, metrics, health, the list of calls.

use super::{
    party::{PATIENCE, Party, fresh},
    server::Server,
};
use crate::process::b2bua;
use rustix::process::Signal;
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// Where its HTTP is answered.
pub(super) fn http(server: &Server) -> SocketAddr {
    let output = server.service.output();
    let after = output.split("metrics and calls at http://").nth(1);
    let address = after.and_then(|after| after.split('/').next()?.parse().ok());
    address.unwrap_or_else(|| panic!("no HTTP in {output}"))
}

fn ask(at: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(at).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer and its end");
    answer
}

pub(super) fn get(at: SocketAddr, path: &str) -> String {
    ask(
        at,
        &format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"),
    )
}

fn status(answer: &str) -> &str {
    answer.split(' ').nth(1).unwrap_or_default()
}

pub(super) fn records(server: &Server, count: usize) -> Vec<serde_json::Value> {
    let end = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(server.service.file("cdr")).expect("the records");
        if text.lines().count() >= count || Instant::now() > end {
            let read = |line| serde_json::from_str(line).expect("an object a line");
            let all: Vec<_> = text.lines().map(read).collect();
            assert_eq!(all.len(), count, "{text}");
            return all;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A server that keeps records in its own folder.
pub(super) fn server(proxy: &str, more: &str) -> Server {
    // The folder is known only when it runs: a reload names the file.
    let config = format!("outbound-proxy={proxy}\nhttp-listen=127.0.0.1:0\n{more}");
    let server = Server::start(proxy, &format!("http-listen=127.0.0.1:0\n{more}"));
    let file = server.service.file("cdr");
    server.service.rewrite(&format!(
        "[b2bua-server]\ndata-directory=none\n{config}cdr-file={}\n",
        file.display()
    ));
    server.service.signal(Signal::HUP);
    server.until_logged("reloaded ");
    server
}

#[test]
fn a_call_is_seen_while_it_runs_counted_and_recorded_once() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let mut server = server(&callee.uri(), "max-calls=1\ndrain-timeout=1h\n");
    let at = http(&server);
    assert_eq!(status(&get(at, "/readyz")), "200");
    assert!(get(at, "/calls").ends_with("\r\n\r\n[]"));

    let mut caller = Party::udp("127.0.0.1", server.udp());
    let name = fresh("call");
    caller.send(&caller.invite(&name, "sip:bob@example.org"));
    let asked = callee.expect("INVITE ");
    callee.respond(&asked, "180 Ringing", "");
    caller.expect("SIP/2.0 180");
    assert!(get(at, "/calls").contains("\"state\":\"ringing\""));
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");
    caller.speak(&answered, &callee);

    // One call is all that there may be; a repeated INVITE is no other call.
    assert_eq!(status(&get(at, "/readyz")), "503");
    assert_eq!(status(&get(at, "/healthz")), "200");
    let refused = caller.invite(&fresh("call"), "sip:bob@example.org");
    for _ in 0..2 {
        caller.send(&refused);
        caller.expect("SIP/2.0 503");
    }
    let full = &records(&server, 1)[0];
    assert_eq!(
        (&full["status"], &full["why"], &full["call"]),
        (&503.into(), &"capacity".into(), &serde_json::Value::Null)
    );

    let calls = get(at, "/calls");
    let body = calls.split_once("\r\n\r\n").expect("a body").1;
    let calls: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let call = &calls[0];
    assert_eq!(call["state"], "up");
    assert_eq!(call["a"]["call_id"], name.as_str());
    assert_eq!(call["b"]["encryption"], "none");
    assert!(call["streams"][0]["a"]["received"].as_u64() > Some(0), "{call:#}");
    let listed = b2bua()
        .args(["calls", "--server", &at.to_string()])
        .output()
        .expect("it runs");
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(
        listed.contains(" up ") && listed.ends_with("1 call\n"),
        "{listed}"
    );

    let metrics = get(at, "/metrics");
    for line in [
        "b2bua_calls 1",
        "b2bua_calls_by_state{state=\"up\"} 1",
        "b2bua_failures_total{code=\"503\",origin=\"local\",kind=\"capacity\"} 1",
        "b2bua_post_dial_delay_seconds_count 1",
        "b2bua_cdr_written_total 1",
        "# EOF",
    ] {
        assert!(
            metrics.lines().any(|other| other == line),
            "{line} is not in\n{metrics}"
        );
    }

    // It goes down: that is said, and the call goes on.
    server.service.signal(Signal::TERM);
    server.until_logged("told to stop");
    let draining = get(at, "/readyz");
    assert!(
        status(&draining) == "503" && draining.ends_with("draining\n"),
        "{draining}"
    );
    assert_eq!(status(&get(at, "/healthz")), "200");
    caller.send(&caller.within("BYE", 2, &answered));
    caller.expect("SIP/2.0 200");
    callee.expect("BYE ");
    assert!(server.service.ended().success(), "{}", server.service.output());
    let records = records(&server, 2);
    let call = &records[1];
    for (path, expected) in [
        ("/status", serde_json::json!(200)),
        ("/ended_by", "leg_a".into()),
        ("/why", "bye".into()),
        ("/a/call_id", name.as_str().into()),
        ("/application", "trenscrypter".into()),
        ("/streams/0/a/codec", "pcmu/8000".into()),
    ] {
        assert_eq!(call.pointer(path), Some(&expected), "{path} in {call:#}");
    }
    assert_eq!(call["source"], format!("UDP {}", caller.address));
    assert!(call["streams"][0]["b"]["sent"].as_u64() > Some(0), "{call:#}");
}

#[test]
fn strangers_and_those_who_only_want_to_write_get_nothing() {
    // The proxy is trusted, so it must be another host.
    let server = server("sip:192.0.2.1", "trusted-hosts=192.0.2.1\n");
    let at = http(&server);
    let mut stranger = Party::udp("127.0.0.1", server.udp());
    // Acceptance #29: what it writes of itself stays within its record.
    let invite = stranger.invite(&fresh("call"), "sip:bob%0d%0a@example.org");
    let name = "\"x\u{1b}[2J\u{85}, \\\"y\"";
    let invite = invite.replacen("\"Alice\"", name, 1);
    assert!(invite.contains(name));
    stranger.send(&invite);
    stranger.expect("SIP/2.0 403");
    let record = &records(&server, 1)[0];
    assert_eq!(
        (&record["status"], &record["ended_by"]),
        (&403.into(), &"local".into())
    );
    let text = fs::read_to_string(server.service.file("cdr")).expect("the records");
    assert!(!text.trim_end().contains(char::is_control), "{text:?}");

    assert_eq!(
        status(&ask(
            at,
            &format!("POST /calls HTTP/1.1\r\nHost: {at}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        )),
        "405"
    );
    assert_eq!(status(&get(at, "/nothing")), "404");
    // A web page whose name leads to our address.
    let rebound = ask(
        at,
        "GET /calls HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    );
    assert_eq!(status(&rebound), "403");
    let long = format!("GET /{} HTTP/1.1\r\n", "x".repeat(40_000));
    assert!(
        matches!(status(&ask(at, &long)), "414" | "431"),
        "a line without end"
    );
    // Who says nothing is not listened to for long.
    let mut silent = TcpStream::connect(at).expect("it listens");
    silent.write_all(b"GET /metr").expect("sent");
    silent
        .set_read_timeout(Some(Duration::from_secs(15)))
        .expect("a valid time");
    let mut rest = Vec::new();
    silent.read_to_end(&mut rest).expect("it is closed in time");
    assert_eq!(status(&get(at, "/healthz")), "200");
}
