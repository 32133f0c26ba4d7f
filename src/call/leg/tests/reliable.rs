//! Reliable provisional responses of leg A (RFC 3262 §3, §5).

use super::{
    uas::{invite, of_invite, plain},
    *,
};
use crate::call::{Cause, Failure, Origin};

/// Leg A of a caller whose INVITE says this of 100rel, with an offer or without.
fn called(wish: &str, offer: bool) -> One {
    let contact =
        format!("Contact: <sip:alice@192.0.2.10:5070>\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\n{wish}");
    let mut one = if offer {
        One::accept(&plain().replace("Contact: <sip:alice@192.0.2.10:5070>\n", &contact))
    } else {
        One::accept(&invite(&contact, ""))
    };
    one.sent.clear();
    one
}
fn progress(code: u16, body: Body) -> Signal {
    Signal::Progress {
        status: Status::new(code).expect("a code"),
        body,
    }
}
fn early(port: u16) -> Signal {
    progress(183, Body::Answer(sdp(port)))
}
fn rseq(response: &Response) -> Option<u32> {
    crate::sip::reliable::rseq(response)
}
/// The caller's PRACK of a response.
fn prack(one: &mut One, response: &Response, body: Option<&Sdp>) -> Request {
    let rack = format!("RAck: {} 100 INVITE\r\n", rseq(response).expect("RSeq"));
    let about = Message::Response(response.clone());
    one.request(&Method::Prack, &about, &rack, body)
}
fn acknowledge(one: &mut One, response: &Response, body: Option<&Sdp>) {
    let prack = prack(one, response, body);
    one.hear(prack);
}

#[test]
fn what_is_reliable_depends_on_what_the_caller_asks_for_and_on_the_description() {
    // wish, 180 is reliable, 183 with SDP is reliable
    for (wish, ringing, session) in [
        ("", false, false),
        ("Supported: timer\n", false, false),
        ("Supported: timer, 100rel\n", false, true),
        ("k: 100REL\n", false, true),
        ("Require: 100rel\n", true, true),
    ] {
        let mut one = called(wish, true);
        one.tell(Signal::Ring);
        let rung = one.response();
        assert_eq!(rseq(&rung).is_some(), ringing, "{wish}");
        if ringing {
            acknowledge(&mut one, &rung, None);
        }
        one.tell(early(2));
        let response = one.response();
        assert_eq!(response.status.code(), 183, "{wish}");
        assert_eq!(response.body, sdp(2).to_bytes(), "{wish}");
        assert_eq!(rseq(&response).is_some(), session, "{wish}");
        if session {
            let allow = response.headers.get("Allow").expect("Allow").to_string();
            assert!(allow.contains("PRACK") && allow.contains("UPDATE"), "{allow}");
            assert!(response.headers.contains("Contact"));
        }
    }
}

#[test]
fn one_is_repeated_at_doubled_intervals_until_its_prack_and_then_no_more() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    let response = one.response();
    let bytes = response.to_bytes();
    one.run(7_600);
    // At once, and after 500, 1500, 3500, 7500 ms.
    assert_eq!(one.take(), ["183"; 5]);
    assert_eq!(bytes, response.to_bytes());
    let prack = prack(&mut one, &response, None);
    one.hear(prack.clone());
    assert_eq!(one.take(), ["200"]);
    one.hear(prack);
    assert_eq!(
        one.take(),
        ["200"],
        "a PRACK that is repeated gets the same answer"
    );
    one.run(50_000);
    assert_eq!(one.take(), Vec::<String>::new());
}

#[test]
fn a_caller_that_never_acknowledges_gets_504_after_64_t1_and_the_callee_is_told() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    one.run(31_900);
    assert!(one.words().is_empty());
    one.sent.clear();
    one.run(200);
    assert_eq!(one.take(), ["504"]);
    assert_eq!(one.words(), ["hangup LegA no_ack"]);
    one.run(40_000);
    assert!(one.closed);
}

#[test]
fn each_waits_for_the_prack_of_the_one_before_it_and_they_are_numbered_in_order() {
    let mut one = called("Require: 100rel\n", true);
    one.tell(Signal::Ring);
    one.tell(early(2));
    one.tell(progress(181, Body::None));
    assert_eq!(one.lines().len(), 1);
    let mut numbers = Vec::new();
    let mut codes = Vec::new();
    for _ in 0..3 {
        let response = one.response();
        numbers.push(rseq(&response).expect("reliable"));
        codes.push(response.status.code());
        // One that is none of ours, and one of another INVITE.
        for rack in [
            format!(
                "RAck: {} 100 INVITE\r\n",
                numbers[numbers.len() - 1].wrapping_add(1)
            ),
            format!("RAck: {} 99 INVITE\r\n", numbers[numbers.len() - 1]),
            format!("RAck: {} 100 UPDATE\r\n", numbers[numbers.len() - 1]),
        ] {
            let about = Message::Response(response.clone());
            let wrong = one.request(&Method::Prack, &about, &rack, None);
            one.sent.clear();
            one.hear(wrong);
            assert_eq!(one.take(), ["481"], "{rack}");
        }
        let about = Message::Response(response.clone());
        let broken = one.request(&Method::Prack, &about, "RAck: one\r\n", None);
        one.hear(broken);
        assert_eq!(one.take(), ["400"]);
        acknowledge(&mut one, &response, None);
        let again = prack(&mut one, &response, None);
        one.hear(again);
        let other = if numbers.len() == 3 {
            vec!["200", "481"]
        } else {
            vec!["200", "", "481"]
        };
        let lines = one.lines();
        assert_eq!(lines.len(), other.len(), "{lines:?}");
        assert!(
            lines[0].starts_with("200") && lines[lines.len() - 1].starts_with("481"),
            "{lines:?}"
        );
        let next = one.sent.iter().find_map(|(message, _)| match message {
            Message::Response(response) if rseq(response).is_some() => Some(response.clone()),
            _ => None,
        });
        one.sent.clear();
        if let Some(next) = next {
            one.sent
                .push((Message::Response(next), Destination::Target(udp(ALICE))));
        }
    }
    assert_eq!(codes, [180, 183, 181]);
    assert_eq!(numbers[1], numbers[0] + 1);
    assert_eq!(numbers[2], numbers[0] + 2);
}

#[test]
fn the_200_waits_for_the_prack_of_a_description_and_does_not_repeat_it() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    let response = one.response();
    one.sent.clear();
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    assert_eq!(one.take(), Vec::<String>::new());
    acknowledge(&mut one, &response, None);
    let ok = one.response();
    assert_eq!(one.take(), ["200", "200"]);
    assert_eq!(ok.headers.cseq().expect("CSeq").method, Method::Invite);
    assert!(ok.body.is_empty());
    assert!(one.words().is_empty());
    // Not so after one without: that is not repeated once the 2xx has gone, but its PRACK is still answered.
    let mut one = called("Require: 100rel\n", true);
    one.tell(Signal::Ring);
    let ringing = one.response();
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    let ok = one.response();
    assert_eq!((one.take().len(), ok.body), (2, sdp(2).to_bytes()));
    let tag = ringing.headers.to().expect("To").tag().expect("tag").to_string();
    one.hear(of_invite("ACK", Some(&tag)));
    one.run(40_000);
    assert_eq!(one.take(), Vec::<String>::new());
    acknowledge(&mut one, &ringing, None);
    assert_eq!(one.take(), ["200"]);
}

#[test]
fn who_has_answered_and_hangs_up_before_the_200_may_go_does_not_decline() {
    let refused = |kind: Option<Kind>| {
        let mut one = called("Supported: 100rel\n", true);
        one.tell(early(2));
        one.tell(Signal::Answer(Body::Answer(sdp(2))));
        one.sent.clear();
        one.tell(Signal::Hangup(Cause {
            kind,
            ..Cause::bye(Origin::LegB)
        }));
        one.take()
    };
    assert_eq!(refused(None), ["487"]);
    assert_eq!(refused(Some(Kind::Rejected)), ["487"]);
    // What has another reason keeps it.
    assert_eq!(refused(Some(Kind::MediaLost)), ["503"]);
    // Who has not answered declines.
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    one.sent.clear();
    one.tell(Signal::Hangup(Cause::bye(Origin::LegB)));
    assert_eq!(one.take(), ["603"]);
}

#[test]
fn a_final_refusal_does_not_wait_and_a_prack_that_crosses_it_is_answered() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    let response = one.response();
    one.sent.clear();
    one.tell(Signal::Fail(Failure::new(
        Status::BUSY_HERE,
        Origin::LegB,
        Kind::Rejected,
    )));
    assert_eq!(one.take(), ["486"]);
    acknowledge(&mut one, &response, None);
    assert_eq!(one.take(), ["200"]);
    one.run(40_000);
    assert!(
        one.take().iter().all(|line| line == "486"),
        "the 183 is not repeated"
    );
    assert!(one.closed);
}

#[test]
fn an_answer_that_differs_from_the_reliable_one_is_offered_to_the_caller_after_the_200() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    let response = one.response();
    acknowledge(&mut one, &response, None);
    one.sent.clear();
    one.tell(Signal::Answer(Body::Answer(sdp(3))));
    let ok = one.response();
    assert!(ok.body.is_empty(), "RFC 3261 §13.2.1: there is one answer");
    assert_eq!(one.words(), ["refresh"]);
    one.tell(Signal::Offer(Some(sdp(3))));
    assert_eq!(one.take(), ["200"], "not before the ACK");
    let tag = ok.headers.to().expect("To").tag().expect("tag").to_string();
    one.hear(of_invite("ACK", Some(&tag)));
    assert_eq!(one.last(&Method::Invite).body, sdp(3).to_bytes());
}

#[test]
fn another_answer_before_the_200_is_offered_by_update_where_the_caller_takes_it() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    let response = one.response();
    one.tell(early(3));
    assert_eq!(one.words(), ["refresh"]);
    assert!(one.response().body.is_empty(), "the 183 goes without");
    one.tell(Signal::Offer(Some(sdp(3))));
    one.sent.clear();
    one.run(300);
    assert!(!one.take().contains(&"UPDATE".to_owned()), "not before the PRACK");
    acknowledge(&mut one, &response, None);
    let update = one.last(&Method::Update);
    assert_eq!(update.body, sdp(3).to_bytes());
    // The caller's own UPDATE meets it: 491 (RFC 3311 §5.2).
    let about = Message::Response(response.clone());
    let crossing = one.request(&Method::Update, &about, "", Some(&sdp(9)));
    one.sent.clear();
    one.hear(crossing);
    assert_eq!(one.take(), ["491"]);
    one.hear(reply(&update, 200, "alice", &[], Some(&sdp(4))));
    assert_eq!(one.words(), ["accept 4"]);
    // One that cannot: nothing until the answer.
    let mut one = One::accept(&plain().replace("Contact:", "Supported: 100rel\nContact:"));
    one.tell(early(2));
    one.tell(early(3));
    assert!(one.words().is_empty());
    one.tell(Signal::Offer(Some(sdp(3))));
    assert_eq!(one.words(), ["refuse 488"]);
}

#[test]
fn an_offer_in_a_prack_crosses_and_is_answered_in_its_200_before_the_invite() {
    for accepted in [true, false] {
        let mut one = called("Supported: 100rel\n", true);
        one.tell(early(2));
        let response = one.response();
        one.sent.clear();
        acknowledge(&mut one, &response, Some(&sdp(8)));
        assert_eq!(one.take(), Vec::<String>::new());
        assert_eq!(one.words(), ["offer 8"]);
        // Nothing else has its turn (RFC 3311 §5.2), and the answer to the INVITE waits.
        let about = Message::Response(response.clone());
        let update = one.request(&Method::Update, &about, "", Some(&sdp(9)));
        one.hear(update);
        assert_eq!(one.take(), ["500"]);
        one.tell(Signal::Answer(Body::Answer(sdp(2))));
        assert_eq!(one.take(), Vec::<String>::new());
        if accepted {
            one.tell(Signal::Accept(sdp(5)));
            let (Message::Response(answer), _) = &one.sent[0] else {
                panic!("a response");
            };
            assert_eq!(answer.headers.cseq().expect("CSeq").method, Method::Prack);
            assert_eq!(answer.body, sdp(5).to_bytes());
            assert_eq!(one.take(), ["200", "200"]);
        } else {
            one.tell(Signal::Refuse(Failure::new(
                Status::NOT_ACCEPTABLE_HERE,
                Origin::LegB,
                Kind::Rejected,
            )));
            assert_eq!(one.take(), ["488", "200"]);
            // It counts as acknowledged all the same.
            one.run(400);
            assert_eq!(one.take(), Vec::<String>::new());
        }
    }
}

#[test]
fn an_update_before_the_answer_crosses_once_the_answer_went_reliably() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    let response = one.response();
    acknowledge(&mut one, &response, None);
    let about = Message::Response(response);
    let update = one.request(&Method::Update, &about, "", Some(&sdp(8)));
    one.sent.clear();
    one.hear(update);
    assert_eq!(one.words(), ["offer 8"]);
    one.tell(Signal::Accept(sdp(9)));
    assert_eq!(one.response().body, sdp(9).to_bytes());
    assert_eq!(one.take(), ["200"]);
    // A re-INVITE may not come before the answer (RFC 3261 §14.2).
    let again = one.request(&Method::Invite, &about, "", Some(&sdp(8)));
    one.hear(again);
    assert_eq!(one.take(), ["500"]);
    assert!(one.words().is_empty());
}

#[test]
fn an_offer_for_an_invite_without_one_goes_reliably_and_its_prack_brings_the_answer() {
    for (wish, goes) in [("Supported: 100rel\n", true), ("", false)] {
        let mut one = called(wish, false);
        assert_eq!(one.leg.is_reliable(), goes);
        one.tell(progress(183, Body::Offer(sdp(2))));
        let response = one.response();
        assert_eq!(response.body.is_empty(), !goes, "{wish}");
        if !goes {
            continue;
        }
        one.tell(Signal::Answer(Body::None));
        one.sent.clear();
        acknowledge(&mut one, &response, Some(&sdp(8)));
        assert_eq!(one.words(), ["accept 8"]);
        let ok = one.response();
        assert_eq!(ok.headers.cseq().expect("CSeq").method, Method::Invite);
        assert!(ok.body.is_empty());
        assert_eq!(one.take(), ["200", "200"]);
    }
    // A PRACK without an answer.
    let mut one = called("Supported: 100rel\n", false);
    one.tell(progress(183, Body::Offer(sdp(2))));
    let response = one.response();
    acknowledge(&mut one, &response, None);
    assert_eq!(one.words(), ["refuse 400"]);
}

#[test]
fn a_cancel_ends_it_while_a_prack_is_waited_for() {
    let mut one = called("Supported: 100rel\n", true);
    one.tell(early(2));
    one.sent.clear();
    one.hear(of_invite("CANCEL", None));
    assert_eq!(one.take(), ["200", "487"]);
    one.hear(of_invite("ACK", None));
    one.run(40_000);
    assert_eq!(one.take(), Vec::<String>::new());
    assert!(one.closed);
}
