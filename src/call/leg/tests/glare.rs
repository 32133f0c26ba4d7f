//! Offers that meet, wait or are given up (RFC 3261 §14; acceptance #14).

use super::{
    offers::{ack, ack_last, code, up},
    refresh::{calling, timers},
    *,
};
use crate::{
    call::{Failure, Origin, Side},
    testing::{Weather, legs::Legs},
};

#[test]
fn what_collides_gets_491_or_500_and_info_and_bye_get_neither() {
    // Ours is open.
    let (mut one, dialog) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    for method in [Method::Invite, Method::Update] {
        let offer = one.request(&method, &dialog, "", Some(&sdp(21)));
        one.hear(offer);
        assert_eq!(code(&mut one), 491, "{method}");
    }
    // A target refresh is no offer.
    let refresh = one.request(&Method::Update, &dialog, "", None);
    one.hear(refresh);
    assert_eq!(code(&mut one), 200);
    let info = one.request(&Method::Info, &dialog, "", None);
    one.hear(info);
    assert_eq!(one.words(), ["request INFO"]);
    let bye = one.request(&Method::Bye, &dialog, "", None);
    one.hear(bye);
    assert!(one.lines().iter().any(|line| line.starts_with("200 ")));
    assert_eq!(one.words(), ["hangup LegB -"]);

    // Theirs is open.
    let (mut one, dialog) = up();
    let offer = one.request(&Method::Invite, &dialog, "", Some(&sdp(21)));
    one.hear(offer);
    for method in [Method::Invite, Method::Update] {
        let second = one.request(&method, &dialog, "", Some(&sdp(22)));
        one.hear(second);
        let response = one.response();
        assert_eq!(response.status.code(), 500);
        let after: u64 = response
            .headers
            .get("Retry-After")
            .expect("Retry-After")
            .to_str()
            .parse()
            .expect("a number");
        assert!(after <= 10);
    }
    assert_eq!(one.words(), ["offer 21"]);
}

#[test]
fn a_491_is_tried_again_after_the_pause_of_the_call_id_owner_and_nobody_hears_of_it() {
    let mut pauses = Vec::new();
    for round in 0..40 {
        let (mut one, _) = up();
        one.ids = Ids::seeded(round);
        one.tell(Signal::Offer(Some(sdp(11))));
        one.hear(reply(&one.last(&Method::Invite), 491, "b", &[], None));
        one.sent.clear();
        let pause = one
            .leg
            .poll_timeout()
            .expect("a pause")
            .duration_since(one.now)
            .as_millis();
        assert!((2_100..=4_000).contains(&pause) && pause % 10 == 0, "{pause}");
        pauses.push(pause);
        one.run(4_000);
        assert_eq!(one.last(&Method::Invite).body, sdp(11).to_bytes());
        assert!(one.words().is_empty());
    }
    pauses.sort_unstable();
    pauses.dedup();
    assert!(pauses.len() > 20, "not fixed: {pauses:?}");
    // Not for ever.
    let (mut one, _) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    for _ in 0..20 {
        let open = one
            .sent
            .iter()
            .any(|(message, _)| matches!(message, Message::Request(r) if r.method == Method::Invite));
        if open {
            let invite = one.last(&Method::Invite);
            one.sent.clear();
            one.hear(reply(&invite, 491, "b", &[], None));
        }
        one.run(4_000);
    }
    assert_eq!(one.words(), ["refuse 491"]);
}

#[test]
fn the_peers_offer_during_the_pause_goes_first_and_ours_is_refused() {
    let (mut one, dialog) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    one.hear(reply(&one.last(&Method::Invite), 491, "b", &[], None));
    let offer = one.request(&Method::Invite, &dialog, "", Some(&sdp(21)));
    one.hear(offer);
    assert_eq!(one.words(), ["refuse 491", "offer 21"]);
    one.tell(Signal::Accept(sdp(22)));
    let ack = ack_last(&mut one, None);
    one.hear(ack);
    one.sent.clear();
    one.run(10_000);
    assert!(one.take().is_empty(), "ours is not tried again by us");
}

#[test]
fn an_offer_waits_until_our_2xx_is_acknowledged() {
    let (mut one, dialog) = up();
    let offer = one.request(&Method::Invite, &dialog, "", Some(&sdp(21)));
    one.hear(offer);
    one.tell(Signal::Accept(sdp(22)));
    let ok = one.response();
    one.tell(Signal::Offer(Some(sdp(11))));
    assert!(!one.lines().iter().any(|line| line.starts_with("INVITE")));
    let ack = ack(&mut one, &ok, None);
    one.hear(ack);
    assert!(one.lines().iter().any(|line| line.starts_with("INVITE")));
}

#[test]
fn a_withdrawn_offer_is_cancelled_and_the_outcome_still_told() {
    for (code, body, outcome) in [
        (487, None, "refuse 487"),
        (200, Some(sdp(12)), "accept 12"),
        (491, None, "refuse 491"),
    ] {
        let (mut one, _) = up();
        one.tell(Signal::Offer(Some(sdp(11))));
        let invite = one.last(&Method::Invite);
        one.hear(reply(&invite, 100, "", &[], None));
        one.tell(Signal::Withdraw);
        assert_eq!(one.take(), ["INVITE", "CANCEL"]);
        one.hear(reply(&invite, code, "b", &[], body.as_ref()));
        assert_eq!(one.words(), [outcome]);
        one.run(60_000);
        assert!(one.words().is_empty());
    }
    // The peer's CANCEL of its own.
    let (mut one, dialog) = up();
    let offer = one.request(&Method::Invite, &dialog, "", Some(&sdp(21)));
    one.hear(offer.clone());
    one.sent.clear();
    let mut cancel = offer;
    cancel.method = Method::Cancel;
    let number = cancel.headers.cseq().expect("CSeq").number;
    cancel.headers.set("CSeq", format!("{number} CANCEL"));
    one.hear(cancel);
    assert_eq!(one.take(), ["200"]);
    assert_eq!(one.words(), ["offer 21", "withdraw"]);
    one.tell(Signal::Refuse(Failure::of(Kind::Cancelled, Origin::LegA)));
    assert_eq!(one.take(), ["487"]);
}

#[test]
fn a_thousand_simultaneous_re_invites_all_converge() {
    for seed in 0..1_000 {
        let mut legs = Legs::new(Body::Offer(sdp(1)), Weather::default(), seed);
        legs.run(Duration::from_millis(50));
        legs.tell(Side::A, Signal::Answer(Body::Answer(sdp(2))));
        legs.run(Duration::from_millis(50));
        legs.heard();
        // Within 1 ms of each other, either first.
        let (first, second) = if seed % 2 == 0 {
            (Side::A, Side::B)
        } else {
            (Side::B, Side::A)
        };
        let mut wanted = vec![
            (legs.now, first),
            (legs.now + Duration::from_micros(seed % 1_000), second),
        ];
        let mut accepted = Vec::new();
        for _ in 0..10_000 {
            wanted.sort();
            if let Some((_, side)) = wanted.first().copied().filter(|(at, _)| *at <= legs.now) {
                wanted.remove(0);
                legs.tell(
                    side,
                    Signal::Offer(Some(sdp(if side == Side::A { 100 } else { 200 }))),
                );
            }
            for (side, signal) in legs.heard() {
                match signal {
                    Signal::Offer(Some(_)) => legs.tell(side, Signal::Accept(sdp(9))),
                    Signal::Accept(_) => accepted.push(side),
                    // The party behind the other leg got the 491 and keeps its own pause: as Call-ID owner or not.
                    Signal::Refuse(failure) if failure.status == Status::REQUEST_PENDING => {
                        let steps = legs.ids.below(201) + if side == Side::A { 0 } else { 200 };
                        wanted.push((legs.now + Duration::from_millis(10 * steps), side));
                    }
                    other => panic!("seed {seed}: {other:?}"),
                }
            }
            if accepted.len() == 2 {
                break;
            }
            legs.run(Duration::from_millis(5));
        }
        accepted.sort();
        assert_eq!(accepted, [Side::A, Side::B], "seed {seed}");
        let took = legs.now.duration_since(legs.began);
        assert!(took < Duration::from_secs(12), "seed {seed}: {took:?}");
    }
}

#[test]
fn a_peer_that_never_answers_our_re_invite_does_not_block_the_call() {
    let (mut one, dialog) = up();
    one.tell(Signal::Offer(Some(sdp(11))));
    let invite = one.last(&Method::Invite);
    one.hear(reply(&invite, 100, "", &[], None));
    one.sent.clear();
    one.run(121_000);
    let cancel = one.last(&Method::Cancel);
    one.hear(reply(&cancel, 200, "b", &[], None));
    one.hear(reply(&invite, 487, "b", &[], None));
    assert_eq!(one.words(), ["refuse 487"]);
    let offer = one.request(&Method::Invite, &dialog, "", Some(&sdp(21)));
    one.hear(offer);
    assert_eq!(one.words(), ["offer 21"]);
}

#[test]
fn a_refresh_does_not_race_with_a_re_invite_that_nobody_has_heard_of_yet() {
    let said = [
        ("Session-Expires", "90;refresher=uac"),
        ("Allow", "INVITE, UPDATE, BYE"),
    ];
    for heard in [false, true] {
        let mut one = calling(timers(Some(90), 90), &said);
        one.run(44_900);
        one.tell(Signal::Offer(Some(sdp(3))));
        let invite = one.last(&Method::Invite);
        if heard {
            one.hear(reply(&invite, 100, "", &[], None));
        }
        one.run(200);
        let sent = one.take();
        assert_eq!(sent.contains(&"UPDATE".to_owned()), heard, "{sent:?}");
        // Somebody may be asked for long: then the session is refreshed all the same.
        one.hear(reply(&invite, 100, "", &[], None));
        one.run(9_000);
        assert!(heard || one.take().contains(&"UPDATE".to_owned()));
    }
}

/// RFC 3261 §14.2, RFC 3311 §5.2: a peer that is still busy with its former request says for how long.
#[test]
fn a_500_that_says_when_is_tried_again_then_and_any_other_is_told() {
    let refused = |retry: Option<&str>| {
        let (mut one, _) = up();
        one.tell(Signal::Offer(Some(sdp(11))));
        let headers: Vec<_> = retry.iter().map(|value| ("Retry-After", *value)).collect();
        one.hear(reply(&one.last(&Method::Invite), 500, "b", &headers, None));
        assert_eq!(one.take().last().map(String::as_str), Some("ACK"));
        one
    };
    for (retry, pause) in [("7", 7_000), ("10 (busy)", 10_000), ("0", 100)] {
        let mut one = refused(Some(retry));
        one.run(pause - 1);
        assert!(one.take().is_empty() && one.words().is_empty(), "{retry}");
        one.run(1);
        assert_eq!(one.last(&Method::Invite).body, sdp(11).to_bytes(), "{retry}");
    }
    for retry in [None, Some("11"), Some("soon")] {
        let mut one = refused(retry);
        assert_eq!(one.words(), ["refuse 500"], "{retry:?}");
        one.run(20_000);
        assert!(one.take().is_empty(), "{retry:?}");
    }
    // Not for ever.
    let mut one = refused(Some("1"));
    let mut tries = 1;
    while one.words().is_empty() {
        one.run(1_000);
        one.hear(reply(
            &one.last(&Method::Invite),
            500,
            "b",
            &[("Retry-After", "1")],
            None,
        ));
        tries += 1;
    }
    assert_eq!(tries, 9);
}
