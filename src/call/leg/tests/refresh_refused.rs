//! Refreshes of a session that fail (RFC 4028 §10): which end the leg, and when.

use super::{
    refresh::{calling, timers},
    *,
};

/// RFC 4028 §10.
#[test]
fn a_refresh_that_fails_for_good_ends_the_leg() {
    for (code, how) in [(Some(481), "rejected"), (Some(408), "timeout"), (None, "timeout")] {
        let mut one = calling(timers(Some(600), 90), &[("Allow", "UPDATE")]);
        one.run(300_000);
        let update = one.last(&Method::Update);
        match code {
            Some(code) => one.hear(reply(&update, code, "b", &[], None)),
            None => one.run(32_000),
        }
        assert_eq!(one.words(), [format!("hangup LegB {how}")], "{code:?}");
        assert!(one.take().contains(&"BYE".to_owned()), "{code:?}");
    }
}

/// Refuses each UPDATE (or re-INVITE, where `updates` is false) with that code for an hour; how often, and what was said at last.
fn refused_for_an_hour(agreed: bool, updates: bool, code: u16) -> (usize, One) {
    let mut said = vec![("Allow", if updates { "UPDATE" } else { "INVITE" })];
    if agreed {
        said.push(("Session-Expires", "600;refresher=uac"));
    }
    let mut one = calling(timers(Some(600), 90), &said);
    let mut tries = 0;
    while one.said.is_empty() && one.elapsed() < 3_600_000 {
        one.run(1_000);
        if one.said.iter().any(|signal| matches!(signal, Signal::Refresh)) {
            one.words();
            one.tell(Signal::Offer(Some(sdp(1))));
        }
        for (message, _) in std::mem::take(&mut one.sent) {
            if let Message::Request(request) = message
                && matches!(request.method, Method::Invite | Method::Update)
            {
                tries += 1;
                one.hear(reply(&request, code, "b", &[], None));
            }
        }
        one.said.retain(|signal| !matches!(signal, Signal::Refuse(_)));
    }
    (tries, one)
}

#[test]
fn any_other_refusal_is_not_the_end_while_there_is_time() {
    for updates in [true, false] {
        for code in [500, 488] {
            let (tries, mut one) = refused_for_an_hour(true, updates, code);
            assert!(tries >= 3, "{tries}");
            assert_eq!(one.words(), ["hangup LegB timeout"], "{code}");
            assert!((560_000..600_000).contains(&one.elapsed()), "{}", one.elapsed());
        }
    }
}

/// Whoever has agreed to nothing owes no more than a sign of life.
#[test]
fn a_peer_without_session_timers_that_refuses_is_there() {
    for updates in [true, false] {
        for code in [500, 488, 403] {
            let (tries, mut one) = refused_for_an_hour(false, updates, code);
            assert_eq!((tries, one.words()), (12, Vec::new()), "once in 300 s: {code}");
        }
        // But not where somebody else says that it is gone.
        for code in [404, 480, 503] {
            let (_, mut one) = refused_for_an_hour(false, updates, code);
            assert_eq!(one.words(), ["hangup LegB timeout"], "{code}");
        }
    }
}
