//! Readiness, watchdog, reload and stop, as systemd and logrotate see them.

use super::process::Service;
use rustix::process::Signal;
use std::{fs, net::UdpSocket, os::unix::net::UnixDatagram, time::Duration};

#[test]
fn readiness_is_told_once_it_listens_and_the_watchdog_is_fed() {
    let service = Service::start(
        "",
        &["-s", "b2bua-server/transport=sip:127.0.0.1:0;transport=tcp"],
    );
    let ready = service.wait_for("READY=1");
    assert!(ready.contains("STATUS=0 calls"), "{ready}");
    assert!(
        service.output().contains("listening on TCP 127.0.0.1:"),
        "{}",
        service.output()
    );
    for _ in 0..5 {
        service.wait_for("WATCHDOG=1");
    }
    service.stop();
}

#[test]
fn a_manager_that_does_not_read_stops_nothing() {
    let mut service = Service::ready("");
    let other = UnixDatagram::unbound().expect("a socket");
    other.set_nonblocking(true).expect("a valid setting");
    other.connect(service.file("notify")).expect("it is there");
    while other.send(b"full").is_ok() {}
    service.signal(Signal::HUP);
    service.signal(Signal::TERM);
    assert!(service.ended().success(), "{}", service.output());
}

#[test]
fn the_end_is_announced_and_clean() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut service = Service::ready("");
        service.signal(signal);
        service.wait_for("STOPPING=1");
        let status = service.ended();
        assert_eq!(status.code(), Some(0), "{}", service.output());
        assert!(service.output().contains("ends normally"), "{}", service.output());
    }
}

#[test]
fn a_reload_takes_over_what_it_can_and_names_what_takes_a_restart() {
    let service = Service::ready("[b2bua-server]\nmax-calls=5\n");
    service.rewrite("[b2bua-server]\nmax-calls=6\naudio-port=20000-20999\n");
    service.signal(Signal::HUP);
    let reloading = service.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    service.wait_for("READY=1");
    let output = service.output();
    assert!(
        output.contains("b2bua-server/audio-port has changed, which takes a restart"),
        "{output}"
    );
    assert!(!output.contains("max-calls has changed"), "{output}");
    assert!(output.contains("reloaded "), "{output}");
    service.stop();
}

#[test]
fn a_reload_of_a_broken_file_is_refused_with_its_report_and_the_server_goes_on() {
    let service = Service::ready("[b2bua-server]\nmax-calls=5\n");
    service.rewrite("[b2bua-server]\nmax-calls=many\n\nno-such-key=1\n");
    service.signal(Signal::HUP);
    service.wait_for("RELOADING=1");
    service.wait_for("READY=1");
    let output = service.output();
    for part in [
        "b2bua.conf:2: b2bua-server/max-calls",
        "b2bua.conf:4: b2bua-server/no-such-key",
        "stays in force",
    ] {
        assert!(output.contains(part), "{part:?} in {output}");
    }
    service.wait_for("WATCHDOG=1");
    service.stop();
}

#[test]
fn the_log_level_follows_a_reload() {
    let service = Service::ready("[global]\nlog-level=error\n");
    assert_eq!(service.output(), "", "nothing is wrong, so nothing is said");
    service.rewrite("[global]\nlog-level=message\n");
    service.signal(Signal::HUP);
    service.wait_for("RELOADING=1");
    service.wait_for("READY=1");
    assert!(service.output().contains("reloaded "), "{}", service.output());
    service.stop();
}

#[test]
fn the_log_file_is_opened_anew_at_a_reload() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let logs = folder.path().join("made/by/the/server");
    let service = Service::ready(&format!("[global]\nlog-directory={}\n", logs.display()));
    let file = logs.join("flexisip-b2bua.log");
    let before = fs::read_to_string(&file).expect("the log file");
    assert!(before.contains("listening on"), "{before}");
    fs::rename(&file, logs.join("rotated")).expect("what logrotate does");
    service.signal(Signal::HUP);
    service.wait_for("RELOADING=1");
    service.wait_for("READY=1");
    let after = fs::read_to_string(&file).expect("a new log file");
    assert!(
        after.contains("reloaded ") && !after.contains("listening on"),
        "{after}"
    );
    service.stop();
}

#[test]
fn what_there_is_can_be_asked_by_a_signal() {
    let service = Service::ready("");
    service.signal(Signal::USR1);
    // Two later ticks of the watchdog are after it.
    service.wait_for("WATCHDOG=1");
    service.wait_for("WATCHDOG=1");
    let output = service.output();
    assert!(
        output.contains("calls=0 ") && output.contains(" dialogs=0 "),
        "{output}"
    );
    service.stop();
}

#[test]
fn the_process_id_is_written_where_it_is_asked_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("pid");
    let place = path.to_str().expect("a plain path");
    let service = Service::start("", &["-s", "b2bua-server/transport=sip:127.0.0.1:0", "-p", place]);
    service.wait_for("READY=1");
    let written = fs::read_to_string(&path).expect("the pid file");
    assert_eq!(written, service.pid().to_string());
    service.stop();
}

#[test]
fn an_address_in_use_is_a_failure_that_another_try_may_mend() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound");
    let transport = format!("b2bua-server/transport=sip:{address}");
    let mut service = Service::start("", &["-s", &transport]);
    let status = service.ended();
    assert_eq!(status.code(), Some(1), "{}", service.output());
    assert!(
        service.output().contains(&address.to_string()),
        "{}",
        service.output()
    );
}

#[test]
fn calls_may_end_by_themselves_after_one_signal_and_not_after_a_second() {
    let callee = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    let caller = UdpSocket::bind("127.0.0.1:0").expect("a free port");
    for socket in [&callee, &caller] {
        socket
            .set_read_timeout(Some(Duration::from_secs(20)))
            .expect("a valid time");
    }
    let proxy = callee.local_addr().expect("bound");
    let mut service = Service::ready(&format!(
        "[b2bua-server]\noutbound-proxy=sip:{proxy}\ndrain-timeout=1h\n"
    ));
    let port = service.port();

    let server = ("127.0.0.1", port);
    caller
        .send_to(&invite(&caller, port, "one"), server)
        .expect("sent");
    assert!(
        receive(&callee).starts_with("INVITE "),
        "the call is on its way to the callee"
    );
    service.wait_for("STATUS=1 call");
    service.signal(Signal::TERM);
    service.wait_for("STOPPING=1");
    caller
        .send_to(&invite(&caller, port, "two"), server)
        .expect("sent");
    let refusal = until(&caller, |text| {
        let provisional = text.starts_with("SIP/2.0 1");
        assert!(
            provisional || text.contains("Call-ID: two"),
            "the first call goes on: {text}"
        );
        !provisional
    });
    assert!(refusal.starts_with("SIP/2.0 503"), "{refusal}");
    assert!(refusal.contains("Retry-After:"), "{refusal}");
    service.wait_for("WATCHDOG=1");
    assert!(
        !service.output().contains("ends normally"),
        "the first call goes on"
    );

    service.signal(Signal::TERM);
    let end = until(&caller, |text| {
        text.contains("Call-ID: one") && !text.starts_with("SIP/2.0 1")
    });
    assert!(end.starts_with("SIP/2.0 5"), "{end}");
    assert_eq!(service.ended().code(), Some(0), "{}", service.output());
}

fn invite(caller: &UdpSocket, port: u16, call: &str) -> Vec<u8> {
    let own = caller.local_addr().expect("bound");
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
        own.port()
    );
    let text = format!(
        "INVITE sip:bob@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{call}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:alice@example.org>;tag={call}\r\nTo: <sip:bob@example.org>\r\n\
         Call-ID: {call}\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@{own}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    text.into_bytes()
}

fn receive(socket: &UdpSocket) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("something arrives in time");
    String::from_utf8_lossy(&buffer[..length]).into_owned()
}

fn until(socket: &UdpSocket, wanted: impl Fn(&str) -> bool) -> String {
    loop {
        let text = receive(socket);
        if wanted(&text) {
            return text;
        }
    }
}
