//! Leg A against its caller: what is taken, what is refused, what is repeated (RFC 3261 §8.2, §12.2.2, §13.3, §15).

use super::*;
use crate::call::{Failure, Origin};

pub(super) fn invite(extra: &str, body: &str) -> String {
    format!(
        "INVITE sip:bob@198.51.100.1 SIP/2.0\nVia: SIP/2.0/UDP {ALICE};branch=z9hG4bKa1;rport\nMax-Forwards: 70\n\
         From: <sip:alice@example.org>;tag=alice\nTo: <sip:bob@example.org>\nCall-ID: a-call\nCSeq: 100 INVITE\n\
         {extra}Content-Length: {}\n\n{body}",
        body.len()
    )
}

pub(super) fn plain() -> String {
    let body = String::from_utf8_lossy(&sdp(1).to_bytes()).replace("\r\n", "\n");
    invite(
        "Contact: <sip:alice@192.0.2.10:5070>\nContent-Type: application/sdp\n",
        &body,
    )
}

/// The same INVITE again, as another message of its transaction.
pub(super) fn of_invite(method: &str, to_tag: Option<&str>) -> Message {
    let mut text = invite("Contact: <sip:alice@192.0.2.10:5070>\n", "")
        .replace("CSeq: 100 INVITE", &format!("CSeq: 100 {method}"));
    text = text.replacen("INVITE", method, 1);
    if let Some(tag) = to_tag {
        text = text.replace(
            "To: <sip:bob@example.org>",
            &format!("To: <sip:bob@example.org>;tag={tag}"),
        );
    }
    incoming(&text).message
}

fn refused(text: &str) -> Failure {
    let (now, mut ids) = (start(), Ids::seeded(1));
    let mut env = Env { now, ids: &mut ids };
    match Leg::accept(Side::A, incoming(text), profile(), &mut env) {
        Ok(_) => panic!("accepted: {text}"),
        Err(failure) => failure,
    }
}

fn ring(one: &mut One) -> Message {
    one.tell(Signal::Ring);
    Message::Response(one.response())
}

/// Answered and acknowledged.
pub(super) fn up() -> (One, Message) {
    let mut one = One::accept(&plain());
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    let ok = Message::Response(one.response());
    let tag = ok.headers().to().expect("To").tag().expect("tag").to_string();
    one.hear(of_invite("ACK", Some(&tag)));
    one.sent.clear();
    (one, ok)
}

#[test]
fn it_says_100_at_once_then_what_it_is_told_with_one_tag() {
    let mut one = One::accept(&plain());
    assert_eq!(one.lines(), [format!("100 {ALICE}")]);
    let trying = one.response();
    assert!(trying.headers.to().expect("To").tag().is_none());
    assert!(!trying.headers.contains("Contact"));
    one.tell(Signal::Ring);
    let ringing = one.response();
    let tag = ringing.headers.to().expect("To").tag().expect("a tag");
    assert_eq!(
        one.dialogs.first().map(|key| key.local_tag.clone()),
        Some(tag.clone())
    );
    assert_eq!(
        ringing.headers.get("Contact"),
        Some("<sip:198.51.100.1:5060>".into())
    );
    assert_eq!(ringing.headers.get("User-Agent"), Some("leg/test".into()));
    one.tell(Signal::Progress {
        status: Status::SESSION_PROGRESS,
        body: Body::Answer(sdp(3)),
    });
    assert_eq!(one.response().body, sdp(3).to_bytes());
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    let ok = one.response();
    assert_eq!(ok.headers.to().expect("To").tag(), Some(tag));
    assert!(ok.headers.contains("Allow") && !ok.headers.contains("Require"));
    assert!(crate::sip::reliable::names(&ok.headers, "Supported"));
    assert_eq!(one.take(), ["100", "180", "183", "200"]);
}

#[test]
fn recorded_routes_are_copied_and_the_path_back_is_looked_up_before_it_is_needed() {
    let text = plain().replace("Contact:", "Record-Route: <sip:p2;lr>, <sip:p1;lr>\nContact:");
    let mut one = One::accept(&text);
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    assert_eq!(
        one.response().headers.get("Record-Route"),
        Some("<sip:p2;lr>, <sip:p1;lr>".into())
    );
    assert_eq!(one.lookups, ["sip:p2;lr"]);
    let farewell = one.leg.farewell().expect("a farewell");
    let Message::Request(bye) = message(&farewell.bytes) else {
        panic!("no request");
    };
    assert_eq!(
        (bye.method.clone(), header(&bye, "CSeq")),
        (Method::Bye, "1 BYE".into())
    );
    assert_eq!(bye.uri.as_str(), "sip:alice@192.0.2.10:5070");
    assert_eq!(header(&bye, "Route"), "<sip:p2;lr>");
}

#[test]
fn what_breaks_a_rule_is_refused_with_what_is_wrong() {
    let contact = "Contact: <sip:a@192.0.2.10>\n";
    for (extra, body, code, header) in [
        (
            format!("{contact}Require: 100rel, timer, path\n"),
            "",
            420,
            "Unsupported",
        ),
        (
            format!("{contact}Content-Type: text/html\n"),
            "hello",
            415,
            "Accept",
        ),
        (
            format!("{contact}Content-Type: application/sdp\nContent-Encoding: gzip\n"),
            "hello",
            415,
            "Accept-Encoding",
        ),
        (
            format!("{contact}Content-Type: application/sdp\n"),
            "x=nonsense\n",
            400,
            "",
        ),
        (format!("{contact}Record-Route: <sip:x\n"), "", 400, ""),
    ] {
        let failure = refused(&invite(&extra, body));
        assert_eq!(failure.status.code(), code, "{extra}");
        assert!(header.is_empty() || failure.headers.contains(header), "{extra}");
    }
    let failure = refused(&invite(&format!("{contact}Require: 100rel, timer, path\n"), ""));
    let unsupported: Vec<String> = failure
        .headers
        .all("Unsupported")
        .map(|value| value.to_string())
        .collect();
    assert_eq!(unsupported, ["path"]);
    let text = plain().replace("To: <sip:bob@example.org>", "To: <sip:bob@example.org>;tag=x");
    assert_eq!(refused(&text).status.code(), 481);
    // The response that goes with it.
    let Message::Request(request) = incoming(&invite(contact, "")).message else {
        panic!("no request");
    };
    let transmit = crate::call::leg::refusal(&request, source(), &failure, &"agent".into(), "t1");
    let Message::Response(response) = message(&transmit.bytes) else {
        panic!("no response");
    };
    assert_eq!(response.status.code(), 420);
    assert_eq!(response.headers.to().expect("To").tag(), Some("t1".into()));
    assert_eq!(response.headers.get("Unsupported"), Some("path".into()));
}

#[test]
fn repetitions_get_the_last_response_and_nothing_else_happens() {
    let mut one = One::accept(&plain());
    one.tell(Signal::Ring);
    one.take();
    one.hear(of_invite("INVITE", None));
    assert_eq!(one.take(), ["180"]);
    one.tell(Signal::Fail(Failure::new(
        Status::BUSY_HERE,
        Origin::LegB,
        Kind::Rejected,
    )));
    one.hear(of_invite("INVITE", None));
    assert_eq!(one.take(), ["486", "486"]);
    one.run(600);
    assert_eq!(one.take(), ["486"], "timer G");
    one.hear(of_invite("ACK", None));
    assert!(one.closed && one.leg.poll_timeout().is_none());
    one.hear(of_invite("ACK", None));
    one.run(60_000);
    assert!(one.take().is_empty());
    let (_, grave) = one.graves.first().expect("a tombstone");
    assert!(grave.bytes.starts_with(b"SIP/2.0 486"));
}

#[test]
fn a_refusal_without_ack_is_repeated_for_64_t1_and_no_longer() {
    let mut one = One::accept(&plain());
    one.tell(Signal::Fail(Failure::new(
        Status::BUSY_HERE,
        Origin::LegB,
        Kind::Rejected,
    )));
    one.run(31_900);
    assert!(!one.closed);
    one.run(200);
    assert!(one.closed && one.leg.poll_timeout().is_none());
    assert_eq!(one.take().iter().filter(|word| *word == "486").count(), 11);
}

#[test]
fn a_200_is_repeated_until_its_ack_and_without_one_both_sides_are_told() {
    let mut one = One::accept(&plain());
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    one.take();
    one.run(31_900);
    assert_eq!(
        one.take().len(),
        10,
        "T1 to T2, then every T2 (RFC 3261 §13.3.1.4)"
    );
    assert!(one.words().is_empty());
    one.run(200);
    assert_eq!(one.words(), ["hangup LegA no_ack"]);
    let bye = one.last(&Method::Bye);
    assert!(header(&bye, "Reason").contains("no ACK received"));
    one.hear(reply(&bye, 200, "", &[], None));
    assert!(one.closed && one.leg.poll_timeout().is_none());
}

#[test]
fn a_provisional_response_is_repeated_every_minute_and_nobody_waits_for_ever() {
    let mut one = One::accept(&plain());
    one.run(61_000);
    assert_eq!(one.take(), ["100", "183"], "even where leg B says nothing");
    one.tell(Signal::Progress {
        status: Status::RINGING,
        body: Body::Answer(sdp(4)),
    });
    one.take();
    one.run(60_500);
    assert_eq!(one.response().body, sdp(4).to_bytes());
    assert_eq!(one.take(), ["180"]);
    one.run(200_000);
    assert_eq!(one.words(), ["hangup Local no_answer"]);
    assert_eq!(one.response().status.code(), 480);
}

#[test]
fn cancel_gets_200_and_the_invite_487_and_its_reason_crosses() {
    let mut one = One::accept(&plain());
    one.tell(Signal::Ring);
    one.take();
    let mut cancel = of_invite("CANCEL", None);
    cancel
        .headers_mut()
        .push("Reason", "SIP;cause=200;text=\"Call completed elsewhere\"");
    one.hear(cancel);
    assert_eq!(one.take(), ["200", "487"]);
    let Some(Signal::Hangup(cause)) = one.said.first() else {
        panic!("{:?}", one.said);
    };
    assert_eq!(cause.reasons, ["SIP;cause=200;text=\"Call completed elsewhere\""]);
    assert_eq!(one.words(), ["hangup LegA cancelled"]);
    one.hear(of_invite("CANCEL", None));
    assert_eq!(one.take(), ["200"]);
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    assert!(one.take().is_empty(), "too late");
    one.hear(of_invite("ACK", None));
    assert!(one.closed);
}

#[test]
fn a_cancel_of_nothing_gets_481_and_after_the_answer_changes_nothing() {
    let (mut one, _) = up();
    let mut other = of_invite("CANCEL", None);
    other
        .headers_mut()
        .set("Via", format!("SIP/2.0/UDP {ALICE};branch=z9hG4bKother"));
    one.hear(other);
    assert_eq!(one.take(), ["481"]);
    one.hear(of_invite("CANCEL", None));
    assert_eq!(one.take(), ["200"]);
    assert!(one.words().is_empty() && !one.closed);
}

#[test]
fn bye_in_the_early_dialog_ends_it() {
    let mut one = One::accept(&plain());
    let ringing = ring(&mut one);
    let bye = one.request(&Method::Bye, &ringing, "Reason: Q.850;cause=16\r\n", None);
    one.take();
    one.hear(bye);
    assert_eq!(one.take(), ["200", "487"]);
    assert_eq!(one.words(), ["hangup LegA -"]);
    one.hear(of_invite("ACK", None));
    assert!(one.closed);
}

#[test]
fn offers_before_the_answer_have_to_wait_and_a_refresh_does_not() {
    let mut one = One::accept(&plain());
    let ringing = ring(&mut one);
    for (method, body, code) in [
        (Method::Update, Some(sdp(7)), "500"),
        (Method::Invite, Some(sdp(7)), "500"),
        (Method::Update, None, "200"),
        (Method::Prack, None, "481"),
    ] {
        let request = one.request(&method, &ringing, "", body.as_ref());
        one.take();
        one.hear(request);
        assert_eq!(one.take(), [code], "{method}");
    }
    assert!(one.words().is_empty());
    one.tell(Signal::Offer(Some(sdp(8))));
    assert_eq!(one.words(), ["refuse 491"]);
}

#[test]
fn the_callers_own_time_limit_counts() {
    let mut one = One::accept(&plain().replace("Contact:", "Expires: 20\nContact:"));
    one.run(19_000);
    assert!(one.words().is_empty());
    one.run(2_000);
    assert_eq!(one.words(), ["hangup Local no_answer"]);
}

#[test]
fn a_phone_behind_a_nat_is_reached_where_its_requests_come_from() {
    // Its Via and Contact say 10.0.0.5, its packets come from ALICE.
    let nat = |text: &str| {
        text.replace(&format!("UDP {ALICE}"), "UDP 10.0.0.5:5062")
            .replace("alice@192.0.2.10:5070", "alice@10.0.0.5:5062")
    };
    let mut one = One::accept(&nat(&plain()));
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    assert_eq!(one.lookups, [format!("sip:{ALICE}")]);
    let farewell = one.leg.farewell().expect("a farewell");
    assert!(
        farewell.bytes.starts_with(b"BYE sip:alice@10.0.0.5:5062 "),
        "the Request-URI is its Contact all the same"
    );
    // So is a caller of RFC 2543 that names no Contact.
    let mut one = One::accept(&plain().replace("Contact: <sip:alice@192.0.2.10:5070>\n", ""));
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    assert_eq!(one.lookups, [format!("sip:{ALICE}")]);
    // A proxy between knows better, whether it records its route or adds its Via; and so does a Contact of another host.
    for text in [
        nat(&plain()).replace("Contact:", "Record-Route: <sip:p1;lr>\nContact:"),
        nat(&plain()).replace(
            "Max-Forwards",
            "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKx\nMax-Forwards",
        ),
        nat(&plain()).replace("alice@10.0.0.5:5062", "alice@192.0.2.50"),
        plain(),
    ] {
        let mut one = One::accept(&text);
        one.tell(Signal::Answer(Body::Answer(sdp(2))));
        assert!(!one.lookups.contains(&format!("sip:{ALICE}")), "{text}");
    }
}
