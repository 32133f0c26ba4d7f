//! Honest parties: one that answers every call, one that places them and repeats what is not answered, as RFC 3261 says.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "wires are watched in real time")]

use crate::{
    party::{Heard, Party, fresh},
    server::Server,
};
use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

/// Of so many calls one goes over a TCP connection of its own.
const OVER_TCP: usize = 20;
/// How long a request is repeated.
const GIVE_UP: Duration = Duration::from_secs(16);

/// Answers every honest call, and refuses others, for as long as the test runs.
pub(crate) struct Callee {
    pub(crate) address: SocketAddr,
}

impl Callee {
    pub(crate) fn start() -> Self {
        let mut party = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
        let address = party.address;
        thread::spawn(move || {
            loop {
                let Some(heard) = party.hear_within(Duration::from_secs(60)) else {
                    continue;
                };
                let sdp = party.sdp();
                match heard.start().split(' ').next() {
                    Some("INVITE") if heard.start().contains("sip:honest@") => {
                        party.respond(&heard, "200 OK", &sdp);
                    }
                    Some("INVITE") => party.respond(&heard, "486 Busy Here", ""),
                    Some("BYE") => party.respond(&heard, "200 OK", ""),
                    _ => {}
                }
            }
        });
        Self { address }
    }
}

/// Sends a request until its final answer comes; by UDP it is repeated.
fn ask(party: &mut Party, request: &str, cseq: &str, call_id: &str) -> Option<Heard> {
    let began = Instant::now();
    let mut wait = Duration::from_millis(500);
    while began.elapsed() < GIVE_UP {
        if !party.try_send(request.as_bytes()) {
            return None;
        }
        let until = Instant::now() + if party.transport() == "UDP" { wait } else { GIVE_UP };
        while let Some(left) = until
            .checked_duration_since(Instant::now())
            .filter(|left| !left.is_zero())
        {
            let Some(heard) = party.hear_within(left) else {
                break;
            };
            let is_final = heard.start().starts_with("SIP/2.0 ") && !heard.start().starts_with("SIP/2.0 1");
            if is_final && heard.field("CSeq") == cseq && heard.field("Call-ID") == call_id {
                return Some(heard);
            }
        }
        wait *= 2;
    }
    None
}

/// Places that many calls, one after the other: how long each successful one took from INVITE to 200, in microseconds.
pub(crate) fn calls(server: &Server, count: usize) -> Vec<u128> {
    let mut udp = Party::udp("127.0.0.1", server.udp());
    (0..count)
        .filter_map(|number| {
            if number % OVER_TCP == 0 {
                call(&mut Party::tcp(server.tcp()))
            } else {
                call(&mut udp)
            }
        })
        .collect()
}

/// One call by that way: how long it took from INVITE to 200, in microseconds; `None` when it failed.
pub(crate) fn call(party: &mut Party) -> Option<u128> {
    let id = fresh("honest");
    let invite = party.invite(&id, "sip:honest@example.org");
    let began = Instant::now();
    let answered = ask(party, &invite, "1 INVITE", &id)?;
    let took = began.elapsed().as_micros();
    if !answered.start().starts_with("SIP/2.0 200") {
        return None;
    }
    let ack = party.within("ACK", 1, &answered);
    if !party.try_send(ack.as_bytes()) {
        return None;
    }
    let bye = party.within("BYE", 2, &answered);
    let ended = ask(party, &bye, "2 BYE", &id)?;
    ended.start().starts_with("SIP/2.0 200").then_some(took)
}
