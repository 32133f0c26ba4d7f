//! Leg A when it is up: requests of its dialog, and its end (RFC 3261 §12.2.2, §15; acceptance #17).

use super::{
    uas::{of_invite, plain, up},
    *,
};
use crate::{
    call::{Cause, Origin, signal::Payload},
    sip::Headers,
};

#[test]
fn requests_in_the_dialog_are_checked_and_answered() {
    let (mut one, ok) = up();
    for (method, code) in [
        (Method::Options, "200"),
        (Method::Subscribe, "405"),
        (Method::Prack, "481"),
    ] {
        let request = one.request(&method, &ok, "", None);
        one.hear(request);
        let response = one.response();
        assert_eq!(one.take(), [code], "{method}");
        if matches!(code, "405") || method == Method::Options {
            let allow = response.headers.get("Allow").expect("Allow").to_string();
            assert!(allow.contains("REFER") && allow.contains("PRACK"), "{allow}");
        }
    }
    // CSeq: gaps are fine, going back is not (RFC 3261 §12.2.2).
    one.cseq += 50;
    let request = one.request(&Method::Options, &ok, "", None);
    one.hear(request);
    one.cseq -= 20;
    let late = one.request(&Method::Options, &ok, "", None);
    one.hear(late);
    assert_eq!(one.take(), ["200", "500"]);
    one.cseq += 100;
    // Another dialog's tags.
    let mut foreign = one.request(&Method::Bye, &ok, "", None);
    foreign.headers.set("From", "<sip:alice@example.org>;tag=mallory");
    one.hear(foreign);
    let mut foreign = one.request(&Method::Bye, &ok, "", None);
    foreign.headers.set("To", "<sip:bob@example.org>");
    one.hear(foreign);
    assert_eq!(one.take(), ["481", "481"]);
    assert!(one.words().is_empty());
}

#[test]
fn crossing_requests_are_answered_by_the_other_leg_in_order() {
    let (mut one, ok) = up();
    let mut info = one.request(
        &Method::Info,
        &ok,
        "Info-Package: dtmf\r\nX-Key: 1\r\nContent-Type: application/dtmf-relay\r\n",
        None,
    );
    info.body = "Signal=1".into();
    one.hear(info);
    let Some(Signal::Request(payload)) = one.said.pop() else {
        panic!("nothing crossed");
    };
    let names: Vec<String> = payload
        .headers
        .iter()
        .map(|(name, _)| name.as_text().to_string())
        .collect();
    assert_eq!(names, ["Info-Package", "X-Key", "Content-Type"], "as they came");
    assert!(one.take().is_empty());
    one.tell(Signal::Response(
        Status::UNAUTHORIZED,
        Payload {
            headers: Headers::default(),
            ..payload.clone()
        },
    ));
    assert_eq!(
        one.take(),
        ["403"],
        "a challenge is between the other leg and its peer"
    );
    let unknown = one.request(&Method::Other("FROBNICATE".into()), &ok, "", None);
    one.hear(unknown.clone());
    one.hear(unknown);
    let said = one.said.pop();
    let Some(Signal::Request(payload)) = said else {
        panic!("the repetition crossed, or nothing did: {said:?}");
    };
    assert_eq!(payload.method, Method::Other("FROBNICATE".into()));
    assert!(one.said.is_empty(), "the repetition crossed");
    one.tell(Signal::Response(Status::ACCEPTED, payload));
    assert_eq!(one.take(), ["202"]);

    // The other way: one at a time.
    let payload = Payload {
        method: Method::Info,
        headers: Headers::default(),
        body: "x".into(),
        number: 0,
        cseq: 0,
    };
    for _ in 0..40 {
        one.tell(Signal::Request(payload.clone()));
    }
    assert_eq!(one.take(), ["INFO"]);
    assert_eq!(
        one.words().len(),
        40 - 17,
        "what cannot be queued is refused at once"
    );
    // (Its CSeq was the last of ours.)
}

#[test]
fn a_flood_of_requests_is_bounded() {
    let (mut one, ok) = up();
    for _ in 0..200 {
        let request = one.request(&Method::Info, &ok, "", None);
        one.hear(request);
    }
    assert_eq!(one.words().len(), 16);
    for _ in 0..200 {
        let request = one.request(&Method::Options, &ok, "", None);
        one.hear(request);
    }
    assert!(one.leg.inbound.len() <= crate::call::leg::MAX_INBOUND);
    let bye = one.request(&Method::Bye, &ok, "", None);
    one.hear(bye);
    assert_eq!(one.words(), ["hangup LegA -"]);
    assert!(one.closed && one.leg.poll_timeout().is_none());
}

#[test]
fn after_bye_the_dialog_is_gone() {
    let (mut one, ok) = up();
    let bye = one.request(&Method::Bye, &ok, "Reason: Q.850;cause=16;text=\"bye\"\r\n", None);
    one.hear(bye.clone());
    let Some(Signal::Hangup(cause)) = one.said.pop() else {
        panic!("no hangup");
    };
    assert_eq!(cause.reasons, ["Q.850;cause=16;text=\"bye\""]);
    assert!(one.closed);
    one.take();
    one.hear(bye);
    assert_eq!(one.take(), ["200"], "repeated");
    for method in [Method::Invite, Method::Info, Method::Options, Method::Bye] {
        let request = one.request(&method, &ok, "", None);
        one.hear(request);
        assert_eq!(one.take(), ["481"], "{method}");
    }
    assert_eq!(one.leg.poll_timeout(), None);
    assert!(one.leg.farewell().is_none());
    let codes: Vec<bool> = one
        .graves
        .iter()
        .map(|(_, grave)| grave.bytes.starts_with(b"SIP/2.0 200"))
        .collect();
    assert_eq!(codes, [true, true], "INVITE and BYE");
}

#[test]
fn crossing_byes_both_get_200() {
    let (mut one, ok) = up();
    one.tell(Signal::Hangup(Cause::bye(Origin::LegB)));
    let ours = one.last(&Method::Bye);
    one.take();
    let theirs = one.request(&Method::Bye, &ok, "", None);
    one.hear(theirs);
    assert_eq!(one.take(), ["200"]);
    assert!(one.words().is_empty() && !one.closed);
    one.hear(reply(&ours, 481, "", &[], None));
    assert!(one.closed && one.leg.poll_timeout().is_none());
}

#[test]
fn a_bye_that_nobody_answers_ends_after_64_t1() {
    let (mut one, _) = up();
    one.tell(Signal::Hangup(Cause::bye(Origin::LegB)));
    one.run(31_000);
    assert!(!one.closed);
    one.run(2_000);
    assert!(one.closed && one.leg.poll_timeout().is_none());
    assert_eq!(one.take().len(), 11);
}

#[test]
fn we_do_not_send_bye_before_the_callers_ack() {
    let mut one = One::accept(&plain());
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    let tag = one
        .response()
        .headers
        .to()
        .expect("To")
        .tag()
        .expect("tag")
        .to_string();
    one.take();
    one.tell(Signal::Hangup(Cause::bye(Origin::LegB)));
    assert!(one.take().is_empty(), "RFC 3261 §15");
    one.hear(of_invite("ACK", Some(&tag)));
    assert_eq!(one.take(), ["BYE"]);
    // And should it never come.
    let mut one = One::accept(&plain());
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    one.tell(Signal::Hangup(Cause::bye(Origin::LegB)));
    one.run(33_000);
    assert!(one.take().iter().any(|word| word == "BYE"));
    assert!(one.words().is_empty(), "the other leg was the one to hang up");
}

#[test]
fn our_contact_stays_what_it_was_when_the_dialog_was_made_whatever_way_a_message_takes() {
    let (mut b, ack) = offers::up();
    let (mut a, ok) = up();
    for (one, about, contact) in [
        (&mut b, ack, "<sip:203.0.113.1:5060>"),
        (&mut a, ok, "<sip:198.51.100.1:5060>"),
    ] {
        // From elsewhere, over a connection, to another address of ours.
        let offer = one.request(&Method::Invite, &about, "", Some(&sdp(3)));
        let incoming = Incoming {
            message: offer.into(),
            source: Source {
                transport: Transport::Tcp,
                local: "192.0.2.77:41000".parse().expect("an address"),
                ..source()
            },
            sent_by: "192.0.2.77:5062".into(),
            reached_by: Transport::Tcp,
            own: None,
            trusted: false,
        };
        let mut env = Env {
            now: one.now,
            ids: &mut one.ids,
        };
        one.leg.handle_message(incoming, &mut env);
        one.drain();
        one.tell(Signal::Accept(sdp(4)));
        let ok = one.response();
        assert_eq!(ok.headers.get("Contact").as_deref(), Some(contact.as_bytes()));
        let acked = offers::ack_last(one, None);
        one.hear(acked);
        // And by a way of another family.
        one.to = vec![Target {
            sent_by: "[2001:db8::1]:5060".into(),
            ..udp("[2001:db8::2]:5060")
        }];
        one.leg.resolved.clear();
        one.tell(Signal::Offer(Some(sdp(5))));
        let invite = one.last(&Method::Invite);
        assert!(header(&invite, "Via").starts_with("SIP/2.0/UDP [2001:db8::1]:5060;"));
        assert_eq!(header(&invite, "Contact"), contact);
    }
}

#[test]
fn nothing_is_asked_of_a_caller_that_may_not_know_yet_that_it_is_answered() {
    let mut one = One::accept(&plain());
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    let tag = one
        .response()
        .headers
        .to()
        .expect("To")
        .tag()
        .expect("tag")
        .to_string();
    one.take();
    for method in [Method::Info, Method::Message] {
        one.tell(Signal::Request(Payload {
            method,
            headers: Headers::default(),
            body: "x".into(),
            number: 0,
            cseq: 0,
        }));
    }
    assert!(
        one.take().is_empty(),
        "its 200 may be lost, and a 481 would end the call"
    );
    one.run(600);
    assert_eq!(one.take(), ["200"]);
    one.hear(of_invite("ACK", Some(&tag)));
    let info = one.last(&Method::Info);
    assert_eq!(one.take(), ["INFO"]);
    one.hear(reply(&info, 200, "", &[], None));
    assert_eq!(one.take(), ["MESSAGE"]);
}
