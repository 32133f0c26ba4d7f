//! CANCEL, answers and their crossing (acceptance #15, #16).

use super::*;
use crate::{
    call::{Cause, Failure, Limits, Origin, Side},
    testing::{Weather, legs::Legs},
};

fn cancel(one: &mut One) {
    one.tell(Signal::Hangup(Cause {
        reasons: vec!["SIP;cause=200;text=\"Call completed elsewhere\"".into()],
        ..Cause::of(Kind::Cancelled, Origin::LegA)
    }));
}

#[test]
fn cancel_waits_for_a_provisional_response_and_carries_the_reason() {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    cancel(&mut one);
    assert_eq!(one.take(), ["INVITE"]);
    one.run(300);
    one.hear(reply(&invite, 100, "", &[], None));
    let cancel = one.last(&Method::Cancel);
    assert_eq!(cancel.headers.get("Via"), invite.headers.get("Via"));
    assert_eq!(cancel.uri, invite.uri);
    assert_eq!(
        header(&cancel, "Reason"),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    one.sent.clear();
    one.hear(reply(&cancel, 200, "", &[], None));
    assert!(!one.closed);
    one.hear(reply(&invite, 487, "x", &[], None));
    assert_eq!(one.take(), ["ACK"]);
    assert!(one.closed && one.leg.poll_timeout().is_none() && one.words().is_empty());
    let (key, grave) = one.graves.first().expect("the ACK, for a repeated 487");
    assert!(grave.bytes.starts_with(b"ACK "));
    assert_eq!(
        *key,
        TransactionKey::of_response(&reply(&invite, 487, "x", &[], None)).expect("a key")
    );
}

#[test]
fn a_200_that_crosses_the_cancel_is_acknowledged_and_ended_on_its_route_set() {
    for provisional in [false, true] {
        let mut one = One::dial();
        let invite = one.last(&Method::Invite);
        if provisional {
            one.hear(reply(&invite, 180, "b", &[], None));
        }
        one.words();
        cancel(&mut one);
        one.sent.clear();
        let route = [
            ("Record-Route", "<sip:p.example;lr>"),
            ("Contact", "<sip:bob@192.0.2.9>"),
        ];
        one.hear(reply(&invite, 200, "b", &route, Some(&sdp(2))));
        let bye = one.last(&Method::Bye);
        assert_eq!(
            (header(&bye, "Route"), bye.uri.to_string()),
            ("<sip:p.example;lr>".into(), "sip:bob@192.0.2.9".into())
        );
        assert_eq!(one.take(), ["ACK", "BYE"]);
        one.hear(reply(&invite, 200, "b", &route, Some(&sdp(2))));
        assert_eq!(one.take(), ["ACK"]);
        one.hear(reply(&bye, 200, "b", &[], None));
        assert!(one.closed && one.leg.poll_timeout().is_none() && one.words().is_empty());
    }
}

#[test]
fn a_cancelled_invite_that_is_never_answered_ends() {
    for heard in [false, true] {
        let mut one = One::dial();
        let invite = one.last(&Method::Invite);
        if heard {
            one.hear(reply(&invite, 180, "b", &[], None));
        }
        cancel(&mut one);
        one.run(70_000);
        assert!(one.closed && one.leg.poll_timeout().is_none(), "{heard}");
    }
}

#[test]
fn nobody_answers() {
    let mut plan = plan();
    plan.limits = Limits {
        no_answer: Some(Duration::from_secs(20)),
        ..Limits::default()
    };
    let mut one = One::dial_to(&plan, Body::Offer(sdp(1)), vec![udp(BOB)]);
    let invite = one.last(&Method::Invite);
    one.hear(reply(&invite, 180, "b", &[], None));
    one.run(19_900);
    assert_eq!(one.words(), ["ring"]);
    one.sent.clear();
    one.run(200);
    assert_eq!(one.words(), ["fail 480 no_answer"]);
    assert_eq!(one.take(), ["CANCEL"]);
    one.hear(reply(&invite, 487, "b", &[], None));
    assert!(one.closed && one.words().is_empty());
    // Without a limit of its own: the unanswered time.
    let mut one = One::dial();
    one.hear(reply(&one.last(&Method::Invite), 180, "b", &[], None));
    one.run(241_000);
    assert_eq!(one.words(), ["ring", "fail 480 no_answer"]);
}

#[test]
fn failures_carry_what_crosses() {
    for (code, expected) in [(302, 302), (404, 404), (486, 486), (600, 600), (499, 499)] {
        let mut one = One::dial();
        let headers = [
            ("Contact", "<sip:elsewhere@192.0.2.66>"),
            ("Retry-After", "5"),
            ("Warning", "399 x \"y\""),
            ("Reason", "Q.850;cause=17"),
        ];
        one.hear(reply(&one.last(&Method::Invite), code, "b", &headers, None));
        let Some(Signal::Fail(failure)) = one.said.pop() else {
            panic!("no failure");
        };
        assert_eq!(failure.status.code(), expected);
        assert_eq!(failure.headers.get("Retry-After"), Some("5".into()));
        assert_eq!(failure.headers.contains("Contact"), code == 302);
        assert!(one.closed);
    }
}

#[test]
fn cancel_at_every_point_around_the_answer_ends_both_legs() {
    // The callee answers after 200 ms; the caller cancels at each millisecond from 100 before to 100 after.
    for at in 100..=300 {
        let mut legs = Legs::new(Body::Offer(sdp(1)), Weather::default(), at);
        let mut told = false;
        for millisecond in 0..=400 {
            if millisecond == 50 {
                legs.tell(Side::A, Signal::Ring);
            }
            if millisecond == 200 {
                legs.tell(Side::A, Signal::Answer(Body::Answer(sdp(2))));
            }
            if millisecond == at {
                legs.tell(Side::B, Signal::Hangup(Cause::of(Kind::Cancelled, Origin::LegA)));
            }
            legs.run(Duration::from_millis(1));
            told |= legs
                .heard()
                .iter()
                .any(|(side, signal)| *side == Side::A && matches!(signal, Signal::Hangup(_)));
        }
        legs.run_dry();
        told |= legs
            .heard()
            .iter()
            .any(|(side, signal)| *side == Side::A && matches!(signal, Signal::Hangup(_)));
        assert!(told, "the callee hears of it, at {at}");
        assert_eq!((legs.closed, legs.deadline()), ((true, true), None), "at {at}");
        let ends = legs
            .wire
            .iter()
            .filter(|(_, line)| line.starts_with("BYE") || line.contains("487"))
            .count();
        assert_eq!(ends, 1, "CANCEL or BYE ends it, once, at {at}: {:?}", legs.wire);
    }
}

#[test]
fn a_lost_ack_and_a_lost_200_are_made_good() {
    // The messages of the call: INVITE, 100, 200, ACK. Each is lost once.
    for lost in 0..4 {
        let mut legs = Legs::new(Body::Offer(sdp(1)), Weather::default(), 5);
        legs.lost = vec![lost];
        if lost == 0 {
            // The first INVITE has left already: lose it by beginning in a storm.
            legs = Legs::new(
                Body::Offer(sdp(1)),
                Weather {
                    loss: 100,
                    ..Weather::default()
                },
                5,
            );
            legs.weather = Weather::default();
        }
        legs.run(Duration::from_millis(600));
        legs.tell(Side::A, Signal::Answer(Body::Answer(sdp(2))));
        legs.run(Duration::from_millis(2_000));
        assert!(
            legs.heard()
                .iter()
                .any(|(_, signal)| matches!(signal, Signal::Answer(_))),
            "lost {lost}"
        );
        assert_eq!(legs.deadline(), None, "lost {lost}");
        legs.tell(Side::A, Signal::Hangup(Cause::bye(Origin::LegB)));
        legs.run_dry();
        assert_eq!(legs.closed, (true, true), "lost {lost}");
    }
    let mut legs = Legs::new(Body::Offer(sdp(1)), Weather::default(), 5);
    legs.run(Duration::from_millis(10));
    legs.tell(
        Side::A,
        Signal::Fail(Failure::new(Status::BUSY_HERE, Origin::LegB, Kind::Rejected)),
    );
    legs.run_dry();
    assert_eq!(legs.closed, (true, true));
}

/// A callee may hang up only what it has answered (RFC 3261 §15): its 200 was lost, or it knows no better. Neither leaves the caller
/// ringing.
#[test]
fn a_bye_of_the_callee_before_its_200_has_come_ends_the_leg_and_what_still_rings() {
    for rang in [false, true] {
        let mut one = One::dial();
        let invite = one.last(&Method::Invite);
        one.hear(reply(&invite, 100, "", &[], None));
        if rang {
            one.hear(reply(&invite, 180, "b", &[], None));
        }
        one.words();
        one.sent.clear();
        let lost = reply(
            &invite,
            200,
            "b",
            &[("Contact", "<sip:bob@192.0.2.9>")],
            Some(&sdp(2)),
        );
        let mut about = invite.clone();
        about.headers.set("To", lost.headers.get("To").expect("a To"));
        let bye = one.request(&Method::Bye, &about.into(), "Reason: Q.850;cause=16\r\n", None);
        one.hear(bye.clone());
        let Some(Signal::Fail(failure)) = one.said.pop() else {
            panic!("the caller is not told");
        };
        assert_eq!((failure.status.code(), failure.origin), (480, Origin::LegB));
        assert_eq!(failure.reasons(), ["Q.850;cause=16"]);
        assert_eq!(one.take(), ["200", "CANCEL"]);
        // Its 200 comes after all, and the BYE again.
        one.hear(lost);
        assert_eq!(one.take(), ["ACK", "BYE"]);
        one.hear(bye);
        assert_eq!(one.take(), ["200"]);
        one.run(70_000);
        assert!(one.closed && one.leg.poll_timeout().is_none() && one.said.is_empty());
    }
}
