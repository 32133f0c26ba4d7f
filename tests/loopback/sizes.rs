//! Messages as large as they come (acceptance #33).

use super::{
    party::{Party, fresh},
    server::Server,
};
use std::net::TcpListener;

/// What no part of is like another: what is cut out or moved shows.
fn ballast(bytes: usize) -> String {
    let mut ballast = String::new();
    let mut number = 0;
    while ballast.len() < bytes {
        ballast.push_str(&format!("{number}."));
        number += 1;
    }
    ballast
}

/// An INVITE with about as many bytes in one header and in a line of its description, and with headers that nobody knows.
struct Large {
    invite: String,
    header: String,
    line: String,
}

impl Large {
    fn of(caller: &Party, header: usize, line: usize) -> Self {
        let (header, line) = (ballast(header), ballast(line));
        let strange: String = (0..40)
            .map(|number| format!("Frobnication-{number}: ;;=,\"{number}\r\n"))
            .collect();
        let small = caller.invite(&fresh("large"), "sip:bob@example.org");
        let (head, sdp) = small.split_once("\r\n\r\n").expect("a description");
        let sdp = format!("{sdp}a=x-ballast:{line}\r\n");
        let head: String = head
            .split("\r\n")
            .filter(|field| !field.starts_with("Content-Length"))
            .map(|field| format!("{field}\r\n"))
            .collect();
        let length = sdp.len();
        let invite = format!("{head}X-Ballast: {header}\r\n{strange}Content-Length: {length}\r\n\r\n{sdp}");
        Self { invite, header, line }
    }
    /// The callee gets the whole of it, and a call comes of it.
    fn becomes_a_call(&self, caller: &mut Party, callee: &mut Party) {
        let asked = callee.expect("INVITE ");
        assert!(asked.field("X-Ballast") == self.header, "the header came whole");
        let line = format!("a=x-ballast:{}\r\n", self.line);
        assert!(asked.0.contains(&line), "the description came whole");
        let sdp = callee.sdp();
        callee.respond(&asked, "200 OK", &sdp);
        let answered = caller.expect("SIP/2.0 200");
        let ack = caller.within("ACK", 1, &answered);
        caller.send(&ack);
        callee.expect("ACK ");
        let bye = caller.within("BYE", 2, &answered);
        caller.send(&bye);
        let ended = callee.expect("BYE ");
        callee.respond(&ended, "200 OK", "");
        caller.expect("SIP/2.0 200");
    }
}

#[test]
fn acceptance_33_an_invite_of_60_kilobytes_crosses_whole_by_tcp() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let server = Server::start(&format!("sip:{address};transport=tcp"), "");
    let mut caller = Party::tcp(server.tcp());
    let large = Large::of(&caller, 28_000, 31_000);
    assert!(large.invite.len() > 60_000, "{}", large.invite.len());
    caller.send(&large.invite);
    // Who is refused is not left waiting for a connection.
    server.until(|gauges| gauges["taken"] == 1);
    let mut callee = Party::accepted(&listener);
    large.becomes_a_call(&mut caller, &mut callee);
    server.until_empty();
}

#[test]
fn acceptance_33_an_invite_of_8_kilobytes_crosses_whole_by_udp() {
    let mut callee = Party::udp("127.0.0.1", ([127, 0, 0, 1], 9).into());
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let large = Large::of(&caller, 6_000, 2_000);
    assert!(large.invite.len() > 8_000, "{}", large.invite.len());
    caller.send(&large.invite);
    large.becomes_a_call(&mut caller, &mut callee);
    server.until_empty();
}
