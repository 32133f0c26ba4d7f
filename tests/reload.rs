//! Bar of *Call control*: certificates and rules are replaced, again and again, while many calls are up that came over TLS: none
//! is dropped, no connection is, and each goes on to talk and to renegotiate. Goal R5.
//!
//! `RELOAD_CALLS=500 cargo test --release --test reload -- --nocapture` for all of them; a plain run has 40.

#![expect(
    clippy::disallowed_methods,
    reason = "this test watches a process in real time"
)]

#[path = "config/process.rs"]
mod process;

mod loopback {
    pub(crate) mod carriers;
    pub(crate) mod party;
    pub(crate) mod server;
}

use loopback::{
    carriers::{self, Authority},
    party::{Heard, Party, fresh},
    server::Server,
};
use rustix::process::Signal;
use std::{
    thread,
    time::{Duration, Instant},
};

/// How often all is replaced.
const ROUNDS: usize = 4;

/// Calls over one connection, as behind a proxy. One source may have 256 connections.
const SHARED: usize = 5;

/// A connection, and the calls that are up on it.
struct Line {
    caller: Party,
    calls: Vec<Call>,
}

struct Call {
    answered: Heard,
    cseq: u32,
}

impl Line {
    fn begin(authority: &Authority, server: &Server, callee: &mut Party) -> Self {
        let mut caller = carriers::tls(authority.client(false), server.tls());
        let mut calls = Vec::new();
        for _ in 0..SHARED {
            caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
            let asked = callee.expect("INVITE ");
            callee.respond(&asked, "200 OK", &callee.sdp());
            let answered = caller.expect("SIP/2.0 200");
            caller.send(&caller.within("ACK", 1, &answered));
            callee.expect("ACK ");
            calls.push(Call { answered, cseq: 1 });
        }
        Self { caller, calls }
    }
    /// In each call audio crosses, and an offer, over the connection that was there before.
    fn goes_on(&mut self, callee: &mut Party) {
        let caller = &mut self.caller;
        for Call { answered, cseq } in &mut self.calls {
            assert_eq!(&caller.speak(answered, callee)[12..], [0x55; 160]);
            *cseq += 1;
            let holds = cseq.is_multiple_of(2);
            let direction = if holds { "a=sendonly\r\n" } else { "" };
            let version = format!("00 {cseq} IN");
            let held = format!("{}{direction}", caller.sdp()).replacen("00 1 IN", &version, 1);
            caller.send(&caller.within_with("INVITE", *cseq, answered, &held));
            let asked = callee.expect("INVITE ");
            assert_eq!(asked.0.contains("a=sendonly"), holds, "{}", asked.0);
            callee.respond(&asked, "200 OK", &callee.sdp());
            let accepted = caller.expect("SIP/2.0 200");
            assert_eq!(accepted.field("CSeq"), format!("{cseq} INVITE"));
            caller.send(&caller.within("ACK", *cseq, answered));
            callee.expect("ACK ");
        }
    }
    fn end(mut self, callee: &mut Party) {
        for Call { answered, cseq } in &self.calls {
            let bye = self.caller.within("BYE", cseq + 1, answered);
            self.caller.send(&bye);
            let bye = callee.expect("BYE ");
            callee.respond(&bye, "200 OK", "");
            let over = self.caller.expect("SIP/2.0 200");
            assert!(over.field("CSeq").ends_with(" BYE"), "{}", over.0);
        }
    }
}

fn rules(authority: &Authority, proxy: &str, calls: usize, mode: &str) -> String {
    format!(
        "[b2bua-server]\ndata-directory=none\noutbound-proxy={proxy}\nmax-calls={}\nno-rtp-timeout=3600\n{}\
         [b2bua-server::trenscrypter]\noutgoing-enc-regex={mode} sip:.*\n",
        calls + 10,
        authority.lines()
    )
}

#[test]
fn certificates_and_rules_are_replaced_under_calls_and_none_is_dropped() {
    let calls: usize = std::env::var("RELOAD_CALLS").map_or(40, |text| text.parse().expect("a number"));
    let authority = Authority::new();
    let mut callee = Party::udp("127.0.0.1", ([127, 0, 0, 1], 9).into());
    let proxy = callee.uri();
    let server = Server::quiet_on(
        "sip:127.0.0.1:0 sips:127.0.0.1:0",
        &proxy,
        &format!(
            "max-calls={}\nno-rtp-timeout=3600\n{}[b2bua-server::trenscrypter]\noutgoing-enc-regex=none sip:.*\n",
            calls + 10,
            authority.lines()
        ),
    );
    let mut up: Vec<Line> = (0..calls / SHARED)
        .map(|_| Line::begin(&authority, &server, &mut callee))
        .collect();
    let before = server.gauges();
    assert!(calls >= SHARED, "no calls, no test");
    let calls = calls - calls % SHARED;
    assert_eq!(before["calls"], calls as u64);
    for round in 1..=ROUNDS {
        // Another authority altogether, so that a certificate of before would be noticed; and another rule.
        let next = Authority::new();
        for name in ["server.pem", "server.key", "ca.pem"] {
            std::fs::copy(next.file(name), authority.file(name)).expect("writable");
        }
        let mode = if round % 2 == 1 { "sdes" } else { "none" };
        server.service.rewrite(&rules(&authority, &proxy, calls, mode));
        server.service.signal(Signal::HUP);
        let began = Instant::now();
        // Calls go on while it reads, and after.
        for line in &mut up {
            line.goes_on(&mut callee);
        }
        while server.service.output().matches("reloaded ").count() < round {
            assert!(began.elapsed() < Duration::from_secs(20), "not reloaded");
            thread::sleep(Duration::from_millis(10));
        }
        // Who connects now is shown the new certificate, and a new call has the new rule.
        let mut newcomer = carriers::tls(next.client(false), server.tls());
        let invite = newcomer.invite(&fresh("new"), "sip:carol@example.org");
        newcomer.send(&invite);
        let asked = callee.expect("INVITE ");
        assert_eq!(asked.0.contains(" RTP/SAVP "), mode == "sdes", "{}", asked.0);
        callee.respond(&asked, "486 Busy Here", "");
        newcomer.expect("SIP/2.0 486");
        callee.expect("ACK ");
        println!("round {round}: {calls} calls went on in {:?}", began.elapsed());
    }
    let after = server.gauges();
    assert_eq!(after["calls"], calls as u64);
    assert_eq!((after["answered"], after["faults"]), (calls as u64, 0));
    for line in up {
        line.end(&mut callee);
    }
    server.until(|gauges| gauges["calls"] == 0);
}
