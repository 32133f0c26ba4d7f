//! Several targets, digest, size: where requests of leg B go (RFC 3263 §4.3, RFC 3261 §18.1.1, §22; acceptance #25).

use super::*;
use crate::{
    call::{Cause, Origin},
    sip::auth::{Credentials, Secret},
};

const DEAD: &str = "192.0.2.101:5060";
const BUSY: &str = "192.0.2.102:5060";
const GOOD: &str = "192.0.2.103:5060";

fn three() -> Vec<Target> {
    vec![udp(DEAD), udp(BUSY), udp(GOOD)]
}

fn branch(request: &Request) -> String {
    let via = request.headers.via().expect("Via");
    via.branch().expect("branch").to_string()
}

#[test]
fn of_a_dead_a_503_and_a_good_target_the_good_one_is_reached_in_under_3_seconds() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), three());
    while one.lines().last().is_some_and(|line| line.ends_with(DEAD)) {
        one.run(10);
    }
    let second = one.last(&Method::Invite);
    assert!(one.lines().last().is_some_and(|line| line.ends_with(BUSY)));
    one.hear(reply(&second, 100, "", &[], None));
    one.hear(reply(&second, 503, "x", &[("Retry-After", "60")], None));
    assert!(one.elapsed() < 3_000, "{} ms", one.elapsed());
    let lines = one.lines();
    let (ack, invite) = (lines.len() - 2, lines.len() - 1);
    assert_eq!(
        lines[ack],
        format!("ACK UDP/{BUSY}"),
        "the 503 is acknowledged where it came from"
    );
    assert_eq!(lines[invite], format!("INVITE UDP/{GOOD}"));
    let ack = one.last(&Method::Ack);
    assert_eq!(branch(&ack), branch(&second));
    let third = one.last(&Method::Invite);
    assert_ne!(branch(&third), branch(&second));
    assert_eq!(header(&third, "CSeq"), header(&second, "CSeq"));
    one.hear(reply(
        &third,
        200,
        "g",
        &[("Contact", "<sip:bob@192.0.2.103>")],
        Some(&sdp(2)),
    ));
    assert_eq!(one.words(), ["answered answer 2"]);
    // Repeated responses of the 503 are still acknowledged there.
    one.hear(reply(&second, 503, "x", &[], None));
    assert_eq!(one.lines().last(), Some(&format!("ACK UDP/{BUSY}")));
}

#[test]
fn a_target_that_cannot_be_reached_is_passed_over_at_once() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), three());
    for next in [BUSY, GOOD] {
        one.undeliverable();
        assert!(one.lines().last().is_some_and(|line| line.ends_with(next)));
    }
    one.undeliverable();
    assert_eq!(one.words(), ["fail 503 unreachable"]);
    assert!(one.closed && one.leg.poll_timeout().is_none());
}

#[test]
fn a_slow_first_target_that_reacts_after_all_is_taken_and_the_others_are_cancelled() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(DEAD), udp(GOOD)]);
    let first = one.last(&Method::Invite);
    one.run(1_400);
    let second = one.last(&Method::Invite);
    assert_ne!(branch(&first), branch(&second));
    one.hear(reply(&first, 180, "slow", &[], None));
    one.hear(reply(&second, 180, "other", &[], None));
    assert_eq!(one.words(), ["ring"], "the other one is not listened to");
    let cancel = one.last(&Method::Cancel);
    assert_eq!(branch(&cancel), branch(&second));
    one.hear(reply(&second, 487, "other", &[], None));
    one.hear(reply(&first, 200, "slow", &[], Some(&sdp(2))));
    assert_eq!(one.words(), ["answered answer 2"]);
}

#[test]
fn a_target_that_has_had_the_request_by_another_way_is_not_the_last_word() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(DEAD), udp(GOOD)]);
    let first = one.last(&Method::Invite);
    one.run(1_400);
    let second = one.last(&Method::Invite);
    // Both lead to the same phone (RFC 3261 §8.2.2.2).
    one.hear(reply(&second, 482, "merged", &[], None));
    assert_eq!(one.words(), [""; 0]);
    one.hear(reply(&first, 200, "slow", &[], Some(&sdp(2))));
    assert_eq!(one.words(), ["answered answer 2"]);
}

#[test]
fn a_target_that_has_had_the_request_is_the_last_word_when_the_other_way_stays_silent() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(DEAD), udp(GOOD)]);
    one.run(1_400);
    let second = one.last(&Method::Invite);
    one.hear(reply(&second, 482, "merged", &[], None));
    one.run(33_000);
    assert_eq!(one.words(), ["fail 482 rejected"]);
}

#[test]
fn a_call_that_is_given_up_while_targets_are_silent_leaves_nothing_behind() {
    // Before the first target is passed over, and after: nobody ever says a word.
    for given_up_after in [500, 1_400, 2_700] {
        let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), three());
        one.run(given_up_after);
        let invites = one.lines().len();
        one.tell(Signal::Hangup(Cause::of(Kind::NoAnswer, Origin::Local)));
        one.run(40_000);
        assert!(one.closed, "given up after {given_up_after} ms");
        assert_eq!(one.leg.poll_timeout(), None);
        let silent = one.lines().split_off(invites);
        let last = silent.first().cloned().unwrap_or_default();
        assert!(
            silent.iter().all(|line| *line == last),
            "no further target is tried: {silent:?}"
        );
    }
}

#[test]
fn silence_everywhere_is_a_timeout_and_503_everywhere_a_503() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(DEAD), udp(GOOD)]);
    one.run(60_000);
    assert_eq!(one.words(), ["fail 408 timeout"]);
    assert!(one.closed);

    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(DEAD), udp(BUSY)]);
    let first = one.last(&Method::Invite);
    one.hear(reply(&first, 503, "x", &[], None));
    let second = one.last(&Method::Invite);
    one.hear(reply(&second, 503, "x", &[("Retry-After", "9")], None));
    let Some(Signal::Fail(failure)) = one.said.first() else {
        panic!("{:?}", one.said);
    };
    assert_eq!(failure.headers.get("Retry-After"), Some("9".into()));
    assert_eq!(one.words(), ["fail 503 rejected"]);
}

pub(super) fn account(realm: &str) -> Outgoing {
    Outgoing {
        credentials: Some(Arc::new(Credentials {
            username: "alice".into(),
            realm: Some(realm.into()),
            secret: Secret::Clear("secret".into()),
        })),
        ..plan()
    }
}

pub(super) fn challenge(nonce: &str, stale: bool) -> String {
    format!("Digest realm=\"example.org\", nonce=\"{nonce}\", algorithm=MD5, qop=\"auth\", stale={stale}")
}

#[test]
fn a_challenge_is_answered_at_the_member_that_made_it_and_the_ack_carries_the_answer() {
    let mut one = One::dial_to(&account("example.org"), Body::Offer(sdp(1)), three());
    let first = one.last(&Method::Invite);
    one.hear(reply(&first, 503, "x", &[], None));
    let second = one.last(&Method::Invite);
    one.hear(reply(
        &second,
        407,
        "x",
        &[("Proxy-Authenticate", &challenge("n1", false))],
        None,
    ));
    let third = one.last(&Method::Invite);
    assert!(
        one.lines().last().is_some_and(|line| line.ends_with(BUSY)),
        "the same member"
    );
    assert!(header(&third, "Proxy-Authorization").contains("nonce=\"n1\""));
    assert_eq!(header(&third, "Call-ID"), header(&second, "Call-ID"));
    assert_eq!(header(&third, "From"), header(&second, "From"));
    let number = |request: &Request| request.headers.cseq().expect("CSeq").number;
    assert_eq!(number(&third), number(&second) + 1);
    // A stale nonce is not a wrong secret; a server behind the proxy may ask, too.
    one.hear(reply(
        &third,
        407,
        "x",
        &[("Proxy-Authenticate", &challenge("n2", true))],
        None,
    ));
    let fourth = one.last(&Method::Invite);
    assert!(header(&fourth, "Proxy-Authorization").contains("nonce=\"n2\""));
    one.hear(reply(
        &fourth,
        401,
        "y",
        &[("WWW-Authenticate", &challenge("n3", false))],
        None,
    ));
    one.to = vec![udp(BUSY)];
    let fifth = one.last(&Method::Invite);
    assert!(header(&fifth, "Authorization").contains("nonce=\"n3\""));
    assert!(header(&fifth, "Proxy-Authorization").contains("nc=00000002"));
    one.hear(reply(
        &fifth,
        200,
        "b",
        &[("Contact", "<sip:b@192.0.2.9>")],
        Some(&sdp(2)),
    ));
    let ack = one.last(&Method::Ack);
    assert_eq!(number(&ack), number(&fifth));
    assert_eq!(header(&ack, "Authorization"), header(&fifth, "Authorization"));
    assert_eq!(one.words(), ["answered answer 2"]);

    // Requests of the dialog are challenged and answered as well.
    one.tell(Signal::Hangup(Cause::bye(Origin::LegA)));
    let bye = one.last(&Method::Bye);
    assert_eq!(header(&bye, "Authorization"), "");
    one.hear(reply(
        &bye,
        407,
        "b",
        &[("Proxy-Authenticate", &challenge("n4", false))],
        None,
    ));
    let again = one.last(&Method::Bye);
    assert!(header(&again, "Proxy-Authorization").contains("nonce=\"n4\""));
    assert_eq!(number(&again), number(&bye) + 1);
    assert!(!one.closed);
    one.hear(reply(&again, 200, "b", &[], None));
    assert!(one.closed);
}

#[test]
fn a_foreign_realm_a_wrong_secret_and_no_account_get_no_credentials() {
    for plan in [plan(), account("other.example")] {
        let mut one = One::dial_to(&plan, Body::Offer(sdp(1)), vec![udp(GOOD)]);
        let first = one.last(&Method::Invite);
        one.hear(reply(
            &first,
            401,
            "x",
            &[("WWW-Authenticate", &challenge("n1", false))],
            None,
        ));
        assert_eq!(one.words(), ["fail 401 rejected"]);
        assert!(
            one.sent
                .iter()
                .all(|(message, _)| !message.headers().contains("Authorization"))
        );
        assert!(one.closed);
    }
    let mut one = One::dial_to(&account("example.org"), Body::Offer(sdp(1)), vec![udp(GOOD)]);
    for nonce in ["n1", "n2"] {
        let invite = one.last(&Method::Invite);
        one.hear(reply(
            &invite,
            401,
            "x",
            &[("WWW-Authenticate", &challenge(nonce, false))],
            None,
        ));
    }
    assert_eq!(
        one.words(),
        ["fail 401 rejected"],
        "a second challenge means that the secret is wrong"
    );
    // Nonces that are stale for ever end, too.
    let mut one = One::dial_to(&account("example.org"), Body::Offer(sdp(1)), vec![udp(GOOD)]);
    for nonce in 0..20 {
        let invite = one.last(&Method::Invite);
        one.hear(reply(
            &invite,
            401,
            "x",
            &[("WWW-Authenticate", &challenge(&nonce.to_string(), true))],
            None,
        ));
    }
    assert_eq!(one.words(), ["fail 401 rejected"]);
    assert_eq!(one.take().iter().filter(|word| *word == "INVITE").count(), 5);
}

#[test]
fn a_large_invite_goes_by_tcp_and_by_udp_when_that_fails_and_its_via_says_so() {
    let mut large = plan();
    large.headers.push("X-Large", "x".repeat(1_300));
    let mut one = One::dial_to(&large, Body::Offer(sdp(1)), vec![udp(GOOD)]);
    assert_eq!(one.lines(), [format!("INVITE TCP/{GOOD}")]);
    let invite = one.last(&Method::Invite);
    assert!(header(&invite, "Via").starts_with("SIP/2.0/TCP 203.0.113.1:5060;"));
    assert_eq!(header(&invite, "Contact"), "<sip:203.0.113.1:5060>");
    one.undeliverable();
    assert_eq!(one.lines().last(), Some(&format!("INVITE UDP/{GOOD}")));
    assert!(header(&one.last(&Method::Invite), "Via").starts_with("SIP/2.0/UDP "));

    let fixed = Target {
        fixed_transport: true,
        own: None,
        ..udp(GOOD)
    };
    let one = One::dial_to(&large, Body::Offer(sdp(1)), vec![fixed]);
    assert_eq!(one.lines(), [format!("INVITE UDP/{GOOD}")]);
}

#[test]
fn no_target_at_all_fails_at_once() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), Vec::new());
    assert_eq!(one.words(), ["fail 503 unreachable"]);
    assert!(one.closed && one.sent.is_empty() && one.leg.poll_timeout().is_none());
}

#[test]
fn requests_of_the_dialog_go_by_its_route_set_and_to_the_member_that_answered() {
    let mut one = One::dial_to(&plan(), Body::Offer(sdp(1)), vec![udp(DEAD), udp(GOOD)]);
    one.run(1_400);
    let invite = one.last(&Method::Invite);
    // No Contact and no Record-Route: the name that was called is where requests go, and there the member that lives.
    one.hear(reply(&invite, 200, "b", &[], Some(&sdp(2))));
    assert_eq!(one.lines().last(), Some(&format!("ACK UDP/{GOOD}")));
    assert!(one.lookups.is_empty());

    let mut one = One::dial();
    one.to = vec![udp("192.0.2.77:5060")];
    let invite = one.last(&Method::Invite);
    let recorded = [
        ("Record-Route", "<sip:p2.example;lr>, <sip:p1.example;lr>"),
        ("Contact", "<sip:bob@10.0.0.1>"),
    ];
    one.hear(reply(&invite, 200, "b", &recorded, Some(&sdp(2))));
    assert_eq!(one.lookups, ["sip:p1.example;lr"]);
    let ack = one.last(&Method::Ack);
    assert_eq!(ack.uri.as_str(), "sip:bob@10.0.0.1");
    let routes: Vec<String> = ack.headers.all("Route").map(|route| route.to_string()).collect();
    assert_eq!(routes, ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]);
    assert_eq!(one.lines().last(), Some(&"ACK UDP/192.0.2.77:5060".to_owned()));
}

#[test]
fn a_target_that_answers_at_once_with_a_challenge_is_not_passed_over_for_silence() {
    let mut one = One::dial_to(&account("example.org"), Body::Offer(sdp(1)), three());
    let first = one.last(&Method::Invite);
    one.hear(reply(
        &first,
        407,
        "x",
        &[("Proxy-Authenticate", &challenge("n1", false))],
        None,
    ));
    let second = one.last(&Method::Invite);
    one.hear(reply(&second, 180, "x", &[], None));
    one.run(5_000);
    assert_eq!(one.take(), ["INVITE", "ACK", "INVITE"]);
}

#[test]
fn responses_for_somebody_else_are_dropped() {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    let mut foreign = reply(&invite, 180, "x", &[], None);
    foreign
        .headers
        .push("Via", "SIP/2.0/UDP other.example;branch=z9hG4bKother");
    one.hear(foreign);
    let mut unknown = reply(&invite, 180, "x", &[], None);
    unknown
        .headers
        .set("Via", "SIP/2.0/UDP 203.0.113.1:5060;branch=z9hG4bKnotours");
    one.hear(unknown);
    let mut other_method = reply(&invite, 200, "x", &[], None);
    other_method.headers.set("CSeq", "1 OPTIONS");
    one.hear(other_method);
    assert!(one.words().is_empty());
}
