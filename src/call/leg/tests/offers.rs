//! Offers in mid-call (RFC 3261 §14, RFC 3311, RFC 6337; acceptance #10, #13, #14).

use super::*;
use crate::{
    call::{Cause, Failure, Origin, Side, signal::Payload},
    sip::Headers,
    testing::{Weather, legs::Legs},
};

/// Leg B that is up, with what it sent forgotten but for its ACK.
pub(super) fn up() -> (One, Message) {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    one.hear(reply(
        &invite,
        200,
        "b",
        &[("Contact", "<sip:bob@192.0.2.200:5080>")],
        Some(&sdp(2)),
    ));
    let ack = one.last(&Method::Ack);
    one.words();
    one.sent.clear();
    (one, Message::Request(ack))
}

/// The answer to the request that was sent last.
pub(super) fn code(one: &mut One) -> u16 {
    let code = one.response().status.code();
    one.sent.clear();
    code
}

pub(super) fn ack(one: &mut One, ok: &Response, body: Option<&Sdp>) -> Request {
    let invite = Message::Response(ok.clone());
    let mut ack = one.request(&Method::Ack, &invite, "", body);
    let number = ok.headers.cseq().expect("CSeq").number;
    ack.headers.set("CSeq", format!("{number} ACK"));
    ack
}

pub(super) fn ack_last(one: &mut One, body: Option<&Sdp>) -> Request {
    let ok = one.response();
    ack(one, &ok, body)
}

#[test]
fn what_could_not_be_sent_ends_its_own_transaction_only() {
    let (mut one, _) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    let invite = one.last(&Method::Invite);
    one.tell(Signal::Request(Payload {
        method: Method::Info,
        headers: Headers::default(),
        body: "x".into(),
        number: 0,
        cseq: 0,
    }));
    // The INFO; the INVITE is on its way to the very same address.
    one.undeliverable();
    assert_eq!(one.words(), ["response 503 to INFO"]);
    one.hear(reply(&invite, 200, "b", &[], Some(&sdp(12))));
    assert_eq!(one.words(), ["accept 12"]);
    // Its ACK goes to where the INVITE went; there is no other way, and the peer will ask for it again.
    one.undeliverable();
    assert_eq!(one.words(), [""; 0]);
}

#[test]
fn our_offer_goes_as_re_invite_and_its_answer_is_acknowledged_each_time_it_comes() {
    let (mut one, _) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    let invite = one.last(&Method::Invite);
    assert_eq!(invite.body, sdp(11).to_bytes());
    assert_eq!(invite.uri.as_str(), "sip:bob@192.0.2.200:5080");
    assert_eq!(header(&invite, "Contact"), "<sip:203.0.113.1:5060>");
    let ok = reply(
        &invite,
        200,
        "b",
        &[("Contact", "<sip:moved@192.0.2.201>")],
        Some(&sdp(12)),
    );
    one.hear(ok.clone());
    assert_eq!(one.words(), ["accept 12"]);
    assert_eq!(
        one.last(&Method::Ack).uri.as_str(),
        "sip:moved@192.0.2.201",
        "target refresh"
    );
    one.sent.clear();
    // Also after a newer request (RFC 3261 §13.2.2.4 has no end but the dialog's).
    one.tell(Signal::Request(Payload {
        method: Method::Info,
        headers: Headers::default(),
        body: "x".into(),
        number: 0,
        cseq: 0,
    }));
    one.hear(ok);
    assert_eq!(one.take(), ["INFO", "ACK"]);
    assert!(one.words().is_empty());
}

#[test]
fn a_refused_offer_leaves_the_call_up() {
    let (mut one, _) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    one.hear(reply(
        &one.last(&Method::Invite),
        488,
        "b",
        &[("Warning", "304 x \"y\"")],
        None,
    ));
    let Some(Signal::Refuse(failure)) = one.said.first() else {
        panic!("{:?}", one.said);
    };
    assert_eq!(failure.headers.get("Warning"), Some("304 x \"y\"".into()));
    assert_eq!(one.words(), ["refuse 488"]);
    assert_eq!(one.take(), ["INVITE", "ACK"]);
    one.tell(Signal::Offer(Some(sdp(13))));
    assert_eq!(one.take(), ["INVITE"]);
}

#[test]
fn a_dialog_that_the_peer_does_not_know_any_more_ends_the_leg() {
    for code in [481, 408] {
        let (mut one, _) = up();
        one.tell(Signal::Offer(Some(sdp(11))));
        one.hear(reply(&one.last(&Method::Invite), code, "b", &[], None));
        assert_eq!(one.take(), ["INVITE", "ACK", "BYE"], "{code}");
        assert!(
            one.words()
                .first()
                .is_some_and(|word| word.starts_with("hangup LegB")),
            "{code}"
        );
    }
    let (mut one, _) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    one.run(32_000);
    assert_eq!(one.words(), ["hangup LegB timeout"], "nothing came back");
}

#[test]
fn the_peers_offer_crosses_and_its_answer_goes_back_until_acknowledged() {
    for method in [Method::Invite, Method::Update] {
        let (mut one, dialog) = up();
        let offer = one.request(&method, &dialog, "", Some(&sdp(21)));
        one.hear(offer.clone());
        assert_eq!(one.words(), ["offer 21"]);
        one.hear(offer.clone());
        assert!(one.words().is_empty(), "repetitions are absorbed");
        one.sent.clear();
        one.tell(Signal::Accept(sdp(22)));
        let ok = one.response();
        assert_eq!((ok.status, ok.body.clone()), (Status::OK, sdp(22).to_bytes()));
        assert!(ok.headers.contains("Contact") && ok.headers.contains("Allow"));
        one.sent.clear();
        if method == Method::Invite {
            one.run(1_600);
            assert_eq!(one.take(), ["200", "200"], "at 500 ms and 1.5 s");
            let ack = ack(&mut one, &ok, None);
            one.hear(ack);
            assert!(one.leg.poll_timeout().is_none());
        } else {
            one.hear(offer);
            assert_eq!(one.take(), ["200"]);
        }
        one.run(60_000);
        assert!(one.take().is_empty() && one.words().is_empty());
    }
}

#[test]
fn an_offer_that_the_other_party_refuses_is_refused_and_the_call_stays() {
    let (mut one, dialog) = up();
    for (said, heard) in [
        (488, 488),
        (606, 606),
        (481, 488),
        (408, 488),
        (407, 488),
        (503, 503),
    ] {
        let offer = one.request(&Method::Invite, &dialog, "", Some(&sdp(21)));
        one.hear(offer.clone());
        let status = Status::new(said).expect("a code");
        one.tell(Signal::Refuse(Failure::new(status, Origin::LegA, Kind::Rejected)));
        let response = one.response();
        assert_eq!(response.status.code(), heard, "{said}");
        let mut ack = offer;
        ack.method = Method::Ack;
        one.hear(ack);
        assert!(one.leg.poll_timeout().is_none());
    }
}

#[test]
fn re_invites_without_offer_ask_the_other_party_for_one_and_the_ack_brings_the_answer() {
    let (mut one, dialog) = up();
    let ask = one.request(&Method::Invite, &dialog, "", None);
    one.hear(ask);
    assert_eq!(one.words(), ["ask"]);
    one.tell(Signal::Accept(sdp(31)));
    let ok = one.response();
    assert_eq!(ok.body, sdp(31).to_bytes());
    let mut answer = ack(&mut one, &ok, Some(&sdp(32)));
    one.hear(answer.clone());
    one.hear(answer.clone());
    assert_eq!(one.words(), ["accept 32"]);
    // And once more, with an ACK that brings none.
    let ask = one.request(&Method::Invite, &dialog, "", None);
    one.hear(ask);
    one.tell(Signal::Accept(sdp(33)));
    answer = ack_last(&mut one, None);
    one.hear(answer);
    assert_eq!(one.words(), ["ask", "refuse 400"]);
}

#[test]
fn we_ask_for_an_offer_and_bring_the_answer_in_our_ack() {
    let (mut one, _) = up();
    one.tell(Signal::Offer(None));
    let invite = one.last(&Method::Invite);
    assert!(invite.body.is_empty());
    let ok = reply(&invite, 200, "b", &[], Some(&sdp(41)));
    one.sent.clear();
    one.hear(ok.clone());
    assert_eq!(one.words(), ["accept 41"]);
    assert!(one.take().is_empty(), "no ACK before the answer is there");
    one.hear(ok.clone());
    assert!(one.take().is_empty() && one.words().is_empty());
    one.tell(Signal::Accept(sdp(42)));
    assert_eq!(one.last(&Method::Ack).body, sdp(42).to_bytes());
    one.sent.clear();
    one.hear(ok);
    assert_eq!(
        one.last(&Method::Ack).body,
        sdp(42).to_bytes(),
        "repeated with its body"
    );
}

#[test]
fn a_call_without_offer_gets_it_from_the_callee_and_the_callers_ack_answers() {
    // Leg B: no offer in the INVITE.
    let mut one = One::dial_to(&plan(), Body::None, vec![udp(BOB)]);
    let invite = one.last(&Method::Invite);
    assert!(invite.body.is_empty());
    one.hear(reply(&invite, 183, "b", &[], Some(&sdp(9))));
    one.sent.clear();
    one.hear(reply(
        &invite,
        200,
        "b",
        &[("Contact", "<sip:bob@192.0.2.200>")],
        Some(&sdp(51)),
    ));
    assert_eq!(one.words(), ["progress 183", "answered offer 51"]);
    one.hear(reply(
        &invite,
        200,
        "b",
        &[("Contact", "<sip:bob@192.0.2.200>")],
        Some(&sdp(51)),
    ));
    assert!(
        one.take().is_empty(),
        "a repeated 200 that has to wait for its ACK is no other fork"
    );
    one.tell(Signal::Accept(sdp(52)));
    assert_eq!(one.last(&Method::Ack).body, sdp(52).to_bytes());
    // The whole, through two of us.
    let mut legs = Legs::new(Body::None, Weather::default(), 3);
    legs.run(Duration::from_millis(100));
    legs.tell(Side::A, Signal::Answer(Body::Offer(sdp(61))));
    legs.run(Duration::from_millis(100));
    legs.tell(Side::B, Signal::Accept(sdp(62)));
    legs.run(Duration::from_millis(100));
    let words: Vec<String> = legs.heard().iter().map(|(_, signal)| word(signal)).collect();
    assert_eq!(words, ["answered offer 61", "accept 62"]);
    assert_eq!(legs.deadline(), None);
}

#[test]
fn hanging_up_while_an_answer_is_owed_acknowledges_first() {
    let mut one = One::dial_to(&plan(), Body::None, vec![udp(BOB)]);
    let invite = one.last(&Method::Invite);
    one.hear(reply(&invite, 200, "b", &[], Some(&sdp(51))));
    one.sent.clear();
    one.tell(Signal::Hangup(Cause::bye(Origin::LegA)));
    assert_eq!(one.take(), ["ACK", "BYE"]);
}

#[test]
fn bodies_that_cannot_be_used_are_refused_and_the_call_stays() {
    let (mut one, dialog) = up();
    let mut offer = one.request(&Method::Invite, &dialog, "", Some(&sdp(21)));
    offer.headers.set("Content-Type", "text/plain");
    one.hear(offer);
    assert_eq!(
        one.response().headers.get("Accept"),
        Some("application/sdp".into())
    );
    assert_eq!(code(&mut one), 415);
    let offer = one.request(
        &Method::Invite,
        &dialog,
        "Require: 100rel, path\r\n",
        Some(&sdp(21)),
    );
    one.hear(offer);
    assert_eq!(one.response().headers.get("Unsupported"), Some("path".into()));
    assert_eq!(code(&mut one), 420);
    assert!(one.words().is_empty());
}

#[test]
fn an_ack_whose_way_was_not_found_is_looked_up_again_when_its_200_comes_again() {
    let mut one = One::dial();
    one.to = Vec::new();
    let invite = one.last(&Method::Invite);
    let ok = reply(
        &invite,
        200,
        "b",
        &[("Contact", "<sip:bob@elsewhere.example>")],
        Some(&sdp(2)),
    );
    one.sent.clear();
    one.hear(ok.clone());
    assert!(one.take().is_empty());
    one.to = vec![udp("192.0.2.99:5060")];
    one.hear(ok);
    assert_eq!(one.lines(), ["ACK UDP/192.0.2.99:5060"]);
    assert_eq!(
        one.lookups,
        ["sip:bob@elsewhere.example", "sip:bob@elsewhere.example"]
    );
}
