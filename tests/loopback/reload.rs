//! A reload while calls run: what they began with stays theirs, and the next call is made by what is new.

use super::{
    party::{Heard, Party, fresh},
    server::Server,
};
use rustix::process::Signal;

/// The media line that a description has.
fn profile(heard: &Heard) -> &str {
    let line = heard.0.lines().find(|line| line.starts_with("m=audio "));
    line.and_then(|line| line.split(' ').nth(2)).unwrap_or_default()
}

fn reload(server: &Server, number: usize, proxy: &str, max_calls: u32, mode: &str) {
    server.service.rewrite(&format!(
        "[b2bua-server]\noutbound-proxy={proxy}\nmax-calls={max_calls}\n\
         [b2bua-server::trenscrypter]\noutgoing-enc-regex={mode} sip:.*\n"
    ));
    server.service.signal(Signal::HUP);
    server.until(|_| server.service.output().matches("reloaded ").count() == number);
}

#[test]
fn rules_and_limits_of_a_reload_are_for_new_calls_and_running_ones_keep_theirs() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let proxy = callee.uri();
    let server = Server::start(
        &proxy,
        "max-calls=9\n[b2bua-server::trenscrypter]\noutgoing-enc-regex=none sip:.*\n",
    );
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let asked = callee.expect("INVITE ");
    assert_eq!(profile(&asked), "RTP/AVP");
    callee.respond(&asked, "200 OK", &callee.sdp());
    let answered = caller.expect("SIP/2.0 200");
    caller.send(&caller.within("ACK", 1, &answered));
    callee.expect("ACK ");

    // One call is all that there may be now: the one that is there, which nobody asks.
    reload(&server, 1, &proxy, 1, "sdes");
    let refused = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&refused);
    let full = caller.expect("SIP/2.0 503");
    caller.ack_failure(&refused, &full);
    let held = format!("{}a=sendonly\r\n", caller.sdp());
    caller.send(&caller.within_with("INVITE", 2, &answered, &held));
    let offered = callee.expect("INVITE ");
    assert_eq!(
        profile(&offered),
        "RTP/AVP",
        "its rule is the one that it began with"
    );
    callee.respond(&offered, "200 OK", &callee.sdp());
    let accepted = caller.expect("SIP/2.0 200");
    assert_eq!(accepted.field("CSeq"), "2 INVITE");
    caller.send(&caller.within("ACK", 2, &answered));
    callee.expect("ACK ");
    caller.speak(&answered, &callee);

    // The next call has the new rule.
    reload(&server, 2, &proxy, 2, "sdes");
    let mut another = Party::udp("127.0.0.1", server.udp());
    another.send(&another.invite(&fresh("call"), "sip:bob@example.org"));
    let asked = callee.expect("INVITE ");
    assert_eq!(profile(&asked), "RTP/SAVP");
    assert!(asked.0.contains("a=crypto:"), "{}", asked.0);
    callee.respond(&asked, "486 Busy Here", "");
    callee.expect("ACK ");
    another.expect("SIP/2.0 486");

    caller.send(&caller.within("BYE", 3, &answered));
    caller.expect("SIP/2.0 200");
    let bye = callee.expect("BYE ");
    callee.respond(&bye, "200 OK", "");
    server.until(|gauges| gauges["calls"] == 0);
    assert_eq!((server.gauges()["refused"], server.gauges()["answered"]), (1, 1));
}

/// What fails last fails everything: the new file of records is there by then, and no record goes into it.
#[test]
fn a_reload_that_fails_at_its_last_step_has_changed_nothing() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let lines = |records: &str, mode: &str| {
        format!(
            "cdr-file={}\n[b2bua-server::trenscrypter]\noutgoing-enc-regex={mode} sip:.*\n[global]\nlog-directory={}\n",
            file(records).display(),
            file("logs").display()
        )
    };
    let server = Server::start(&callee.uri(), &lines("before", "none"));
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let mut refused = |profile_then: &str| {
        let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
        caller.send(&invite);
        let asked = callee.expect("INVITE ");
        assert_eq!(profile(&asked), profile_then);
        callee.respond(&asked, "486 Busy Here", "");
        callee.expect("ACK ");
        let busy = caller.expect("SIP/2.0 486");
        caller.ack_failure(&invite, &busy);
    };
    refused("RTP/AVP");
    // The log can not be opened anew: where its folder was there is a file.
    std::fs::rename(file("logs"), file("away")).expect("it is there");
    std::fs::write(file("logs"), "in the way").expect("writable");
    let proxy = "outbound-proxy=sip:127.0.0.1:9";
    server
        .service
        .rewrite(&format!("[b2bua-server]\n{proxy}\n{}", lines("after", "sdes")));
    server.service.signal(Signal::HUP);
    server.until_logged("not reloaded");
    refused("RTP/AVP");
    let written = |name: &str| {
        std::fs::read_to_string(file(name))
            .unwrap_or_default()
            .lines()
            .count()
    };
    server.until(|_| written("before") == 2);
    assert_eq!(written("after"), 0);
}
