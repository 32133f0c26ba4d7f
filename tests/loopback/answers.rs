//! Each request gets an answer, and the right one (RFC 3261 §8.2, §12.2.2).

use super::{
    party::{Heard, Party, fresh},
    server::Server,
};
use std::time::{Duration, Instant};

const NOWHERE: &str = "sip:127.0.0.1:9";

fn head(call_id: &str, method: &str, to_tag: &str) -> String {
    format!(
        "From: <sip:alice@example.org>;tag=a{call_id}\r\nTo: <sip:bob@example.org>{to_tag}\r\nCall-ID: {call_id}\r\n\
         CSeq: 7 {method}\r\n"
    )
}

fn ask(caller: &mut Party, method: &str, uri: &str, more: &str) -> Heard {
    let text = caller.request(method, uri, &(head(&fresh("c"), method, "") + more), "");
    caller.send(&text);
    caller.hear()
}

#[test]
fn acceptance_17_requests_of_unknown_dialogs_get_481_at_once_and_their_ack_gets_nothing() {
    let server = Server::start(NOWHERE, "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    for method in [
        "BYE", "INVITE", "UPDATE", "INFO", "OPTIONS", "MESSAGE", "NOTIFY", "PRACK", "FOO",
    ] {
        // The best of three: a machine that does more than this may be late, a server that waits for something is so each time.
        let took = (0..3).map(|_| {
            let text = caller.request(
                method,
                "sip:bob@example.org",
                &head(&fresh("c"), method, ";tag=gone"),
                "",
            );
            let began = Instant::now();
            caller.send(&text);
            let answer = caller.hear();
            assert_eq!(answer.start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
            began.elapsed()
        });
        let took = took.min().expect("three");
        assert!(took < Duration::from_millis(100), "{method}: {took:?}");
    }
    let ack = caller.request(
        "ACK",
        "sip:bob@example.org",
        &head(&fresh("c"), "ACK", ";tag=gone"),
        "",
    );
    caller.send(&ack);
    caller.expect_silence();
    let cancel = ask(&mut caller, "CANCEL", "sip:bob@example.org", "");
    assert!(cancel.start().contains(" 481 "), "{}", cancel.start());
    assert!(server.gauges()["stray"] >= 27);
}

#[test]
fn methods_outside_of_a_call_are_refused_with_what_is_allowed() {
    let server = Server::start(NOWHERE, "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    for method in ["REGISTER", "REFER"] {
        let refer = if method == "REFER" {
            "Refer-To: <sip:c@example.org>\r\n"
        } else {
            ""
        };
        let answer = ask(&mut caller, method, "sip:bob@example.org", refer);
        assert_eq!(answer.start(), "SIP/2.0 405 Method Not Allowed", "{method}");
        assert!(answer.field("Allow").contains("INVITE, ACK"), "{}", answer.0);
    }
    let answer = ask(
        &mut caller,
        "SUBSCRIBE",
        "sip:bob@example.org",
        "Event: presence\r\n",
    );
    assert_eq!(answer.start(), "SIP/2.0 488 Not Acceptable Here");
    let answer = ask(
        &mut caller,
        "NOTIFY",
        "sip:bob@example.org",
        "Event: presence\r\n",
    );
    assert_eq!(answer.start(), "SIP/2.0 481 Call/Transaction Does Not Exist");
    let answer = ask(&mut caller, "DANCE", "sip:bob@example.org", "");
    assert_eq!(answer.start(), "SIP/2.0 501 Not Implemented");
    assert!(answer.field("To").contains(";tag="), "{}", answer.0);
    assert!(answer.field("Allow").contains("INVITE, ACK"), "{}", answer.0);
    assert_eq!(server.gauges()["calls"], 0, "none of them is a call");
}

#[test]
fn a_message_crosses_untouched_and_its_answer_comes_back() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let head = head(&fresh("c"), "MESSAGE", "")
        + "Content-Type: message/cpim\r\nUnheard-Of: kept\r\nP-Asserted-Identity: <sip:alice@example.org>\r\n";
    let body = "From: <im:a>\r\n\r\nContent-Type: text/plain\r\n\r\n\u{1f600} hi";
    let text = caller
        .request("MESSAGE", "sip:bob@example.org", &head, body)
        .replace("Content-Type: application/sdp\r\n", "");
    caller.send(&text);
    let asked = callee.expect("MESSAGE ");
    assert!(asked.0.ends_with(&format!("\r\n\r\n{body}")), "{}", asked.0);
    assert_eq!(asked.fields("Content-Type"), ["message/cpim"]);
    assert_eq!(asked.field("Unheard-Of"), "kept");
    assert_eq!(asked.field("P-Asserted-Identity"), "<sip:alice@example.org>");
    assert_eq!(asked.field("Max-Forwards"), "69");
    // Both repeat what they say; each hears the other once.
    caller.send(&text);
    callee.expect_silence();
    callee.respond(&asked, "200 OK", "");
    assert_eq!(caller.hear().start(), "SIP/2.0 200 OK");
    caller.send(&text);
    assert_eq!(caller.hear().start(), "SIP/2.0 200 OK");
    server.until_empty();
    // It is a loop that brings it back.
    caller.send(
        &text
            .replace("branch=", "branch=z9hG4bKother")
            .replace("Max-Forwards: 70", "Max-Forwards: 0"),
    );
    caller.expect("SIP/2.0 483");
    let stranger = asked.field("From");
    let looped = caller.request(
        "MESSAGE",
        "sip:bob@example.org",
        &format!(
            "From: {stranger}\r\nTo: <sip:bob@example.org>\r\nCall-ID: {}\r\nCSeq: 9 MESSAGE\r\n",
            asked.field("Call-ID")
        ),
        "",
    );
    caller.send(&looped);
    let again = callee.expect("MESSAGE ");
    let back = caller.request(
        "MESSAGE",
        "sip:bob@example.org",
        &format!(
            "From: {}\r\nTo: <sip:bob@example.org>\r\nCall-ID: {}\r\nCSeq: 10 MESSAGE\r\n",
            again.field("From"),
            again.field("Call-ID")
        ),
        "",
    );
    caller.send(&back);
    caller.expect("SIP/2.0 482");
    callee.respond(&again, "200 OK", "");
    caller.expect("SIP/2.0 200");
}

#[test]
fn options_says_what_we_can_do_without_a_call() {
    let server = Server::start(NOWHERE, "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let answer = ask(&mut caller, "OPTIONS", "sip:bob@example.org", "");
    assert_eq!(answer.start(), "SIP/2.0 200 OK");
    assert_eq!(answer.field("Accept"), "application/sdp");
    assert!(answer.field("Allow").contains("INVITE"));
    assert_eq!(answer.fields("Supported").len(), 1);
}

#[test]
fn what_cannot_be_understood_is_refused_by_its_own_code() {
    let server = Server::start(NOWHERE, "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let scheme = ask(&mut caller, "INVITE", "im:bob@example.org", "");
    assert_eq!(scheme.start(), "SIP/2.0 416 Unsupported URI Scheme");
    let require = ask(
        &mut caller,
        "INVITE",
        "sip:bob@example.org",
        "Require: nothing, everything\r\n",
    );
    assert_eq!(require.start(), "SIP/2.0 420 Bad Extension");
    assert_eq!(require.field("Unsupported"), "nothing, everything");
    let text = caller
        .request(
            "OPTIONS",
            "sip:bob@example.org",
            &head(&fresh("c"), "OPTIONS", ""),
            "",
        )
        .replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1);
    caller.send(&text);
    assert_eq!(caller.hear().start(), "SIP/2.0 505 Version Not Supported");
    let hops = caller
        .request(
            "INVITE",
            "sip:bob@example.org",
            &head(&fresh("c"), "INVITE", ""),
            &caller.sdp(),
        )
        .replace("Max-Forwards: 70", "Max-Forwards: 0");
    caller.send(&hops);
    caller.expect("SIP/2.0 483 Too Many Hops");
}

#[test]
fn a_faulty_request_is_told_what_is_wrong() {
    let server = Server::start(NOWHERE, "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let good = caller.request("OPTIONS", "sip:bob@example.org", &head("c400", "OPTIONS", ""), "");
    for (from, to, says) in [
        ("CSeq: 7 OPTIONS\r\n", "", "CSeq"),
        ("CSeq: 7 OPTIONS\r\n", "CSeq: 7 INVITE\r\n", "CSeq"),
        ("CSeq: 7 OPTIONS\r\n", "CSeq: 99999999999 OPTIONS\r\n", "CSeq"),
        ("Max-Forwards: 70", "Max-Forwards: many", "Max-Forwards"),
        ("Content-Length: 0", "Content-Length: 100", "Content-Length"),
        ("Call-ID: c400\r\n", "", "Call-ID"),
    ] {
        caller.send(&good.replace(from, to));
        let answer = caller.hear();
        assert!(
            answer.start().starts_with("SIP/2.0 400 "),
            "{to:?}: {}",
            answer.start()
        );
        assert!(answer.start().contains(says), "{to:?}: {}", answer.start());
    }
    assert_eq!(server.gauges()["faulty"], 6);
    // What cannot be answered is not answered, and does no harm.
    caller.send("rubbish");
    caller.send("\r\n\r\n");
    caller.send_bytes(&[0; 4]);
    caller.send("SIP/2.0 200 OK\r\n\r\n");
    caller.expect_silence();
    caller.send(&good);
    assert_eq!(caller.hear().start(), "SIP/2.0 200 OK");
}

#[test]
fn who_is_not_trusted_cannot_begin_anything() {
    let server = Server::start(NOWHERE, "trusted-hosts=192.0.2.1\n");
    // The outbound proxy is trusted, and so 127.0.0.1 is; another loopback address is a stranger's.
    let mut stranger = Party::udp("127.0.0.2", server.udp());
    let invite = stranger.invite(&fresh("c"), "sip:bob@example.org");
    stranger.send(&invite);
    let answer = stranger.hear();
    assert_eq!(answer.start(), "SIP/2.0 403 Forbidden");
    assert!(
        answer.0.len() <= invite.len(),
        "a stranger gets no more than it sent"
    );
    assert!(answer.field("User-Agent").is_empty());
    assert_eq!(server.gauges()["forbidden"], 1);
    assert_eq!(server.gauges()["taken"], 0);
}

#[test]
fn the_same_call_over_two_paths_is_one_and_two_forks_are_two() {
    let mut callee = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&callee.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    let call_id = fresh("call");
    caller.send(&caller.invite(&call_id, "sip:bob@example.org"));
    callee.expect("INVITE ");
    // RFC 3261 §8.2.2.2: another branch, all else the same.
    caller.send(&caller.invite(&call_id, "sip:bob@example.org"));
    caller.expect("SIP/2.0 482 Merged Request");
    // A proxy that forks to two users of ours.
    let fork = caller.invite(&call_id, "sip:bob@example.org").replacen(
        "sip:bob@example.org",
        "sip:robert@example.org",
        1,
    );
    caller.send(&fork);
    callee.expect("INVITE ");
    assert_eq!(server.gauges()["calls"], 2);
}

#[test]
fn our_own_invite_that_comes_back_is_a_loop() {
    let mut proxy = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&proxy.uri(), "");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let asked = proxy.expect("INVITE ");
    let (start, rest) = asked.0.split_once("\r\n").expect("a start line");
    let via = format!("Via: SIP/2.0/UDP {};branch=z9hG4bK{}", proxy.address, fresh("p"));
    let back = format!("{start}\r\n{via}\r\n{rest}");
    proxy.send(&back);
    let answer = proxy.expect("SIP/2.0 482 Loop Detected");
    proxy.ack_failure(&back, &answer);
    proxy.respond(&asked, "482 Loop Detected", "");
    caller.expect("SIP/2.0 482");
}

#[test]
fn our_own_invite_after_a_redirection_is_a_loop_when_it_comes_back_and_none_under_another_name() {
    let mut proxy = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let server = Server::start(&proxy.uri(), "follow-redirects=true\n");
    let mut caller = Party::udp("127.0.0.1", server.udp());
    caller.send(&caller.invite(&fresh("call"), "sip:bob@example.org"));
    let asked = proxy.expect("INVITE ");
    let moved = proxy.response(&asked, "302 Moved Temporarily", "");
    let contact = format!("Contact: <{}>", proxy.uri());
    assert!(moved.contains(&contact), "{moved}");
    proxy.send(&moved.replace(&contact, "Contact: <sip:robert@elsewhere.example;x=y>"));
    proxy.expect("ACK ");
    let asked = proxy.expect("INVITE sip:robert@elsewhere.example;x=y ");
    let (start, rest) = asked.0.split_once("\r\n").expect("a start line");
    let back = |start: &str| {
        let via = format!("Via: SIP/2.0/UDP {};branch=z9hG4bK{}", proxy.address, fresh("p"));
        format!("{start}\r\n{via}\r\n{rest}")
    };
    // The callee's own name for itself: a spiral, which is a call of its own.
    let spiral = back("INVITE sip:bob@elsewhere.example SIP/2.0");
    let looped = back(start);
    proxy.send(&looped);
    let answer = proxy.expect("SIP/2.0 482 Loop Detected");
    proxy.ack_failure(&looped, &answer);
    proxy.send(&spiral);
    // To is what the trenscrypter calls, and here it is bob again.
    let again = proxy.expect("INVITE sip:bob@example.org ");
    assert_ne!(again.field("Call-ID"), asked.field("Call-ID"));
    proxy.respond(&again, "603 Decline", "");
    let declined = proxy.expect("SIP/2.0 603");
    proxy.ack_failure(&spiral, &declined);
    proxy.respond(&asked, "482 Loop Detected", "");
    caller.expect("SIP/2.0 482");
}

#[test]
fn two_servers_pointed_at_each_other_end_a_call_in_a_bounded_number_of_messages() {
    // Each is the other's outbound proxy: the second one's port must be known before it starts.
    let port = std::net::UdpSocket::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a free port")
        .port();
    let first = Server::start(&format!("sip:127.0.0.1:{port}"), "");
    let second = Server::listening_on(
        &format!("sip:127.0.0.1:{port}"),
        &format!("sip:{}", first.udp()),
        "",
    );
    let mut caller = Party::udp("127.0.0.1", first.udp());
    let invite = caller.invite(&fresh("call"), "sip:bob@example.org");
    caller.send(&invite);
    let answer = caller.expect("SIP/2.0 48");
    assert!(
        answer.start().contains(" 483 ") || answer.start().contains(" 482 "),
        "{}",
        answer.start()
    );
    caller.ack_failure(&invite, &answer);
    first.until_empty();
    second.until_empty();
    let taken = first.gauges()["taken"] + second.gauges()["taken"];
    assert!(taken <= 71, "{taken} calls out of one");
}
