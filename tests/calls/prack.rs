//! Reliable provisional responses and offers before the answer, through whole calls: RFC 3262, RFC 3311, RFC 6337 §2.

use super::duo::{Duo, says};
use b2bua::{call::Side, sip::Method};

const UPDATES: &str = "Allow: INVITE, ACK, BYE, PRACK, UPDATE\r\n";
const SUPPORTED: &str = "Supported: 100rel\r\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\r\n";

fn offer() -> String {
    says(Side::A, 30_000, "0 8 9", "")
}
/// A call whose early media went reliably on both legs, or on those that are named.
fn early(a: bool, b: bool) -> Duo {
    let mut duo = Duo::new(if a { SUPPORTED } else { UPDATES }, &offer());
    duo.respond(183, "", b, &says(Side::B, 40_000, "0 8", ""));
    assert_eq!(duo.last(Side::A).0, if a { "183" } else { "183 to INVITE" });
    assert_eq!(duo.pracks.len(), usize::from(b));
    duo
}

#[test]
fn each_leg_is_reliable_for_itself() {
    for wish in ["", "Supported: 100rel\r\n", "Require: 100rel\r\n"] {
        for by_callee in [false, true] {
            for early in [false, true] {
                let mut duo = Duo::new(wish, &offer());
                duo.respond(180, "", by_callee, "");
                let answer = says(Side::B, 40_000, "0", "");
                if early {
                    duo.respond(183, "", by_callee, &answer);
                    assert_eq!(duo.port(Side::B), Some(40_000), "early media goes on");
                }
                let again = early && by_callee;
                duo.respond(200, "", false, if again { "" } else { &answer });
                let place = || format!("{wish:?} {by_callee} {early}\n{}", duo.sim.ladder());
                assert_eq!(duo.finals, [(Side::A, Method::Invite, 200)], "{}", place());
                assert_eq!(
                    duo.pracks.len(),
                    if by_callee { 1 + usize::from(early) } else { 0 },
                    "{}",
                    place()
                );
                let reliable_a = duo.told.0.iter().any(|(how, _)| how == "183");
                assert_eq!(reliable_a, early && !wish.is_empty(), "{}", place());
                // Once it was reliable, the 200 does not say it again.
                let in_200 = duo.told.0.iter().any(|(how, _)| how == "200 to INVITE");
                assert_eq!(in_200, !reliable_a, "{}", place());
                assert_eq!(
                    (duo.port(Side::A), duo.port(Side::B)),
                    (Some(30_000), Some(40_000))
                );
                duo.end();
            }
        }
    }
}

#[test]
fn an_update_before_the_answer_crosses_in_both_directions() {
    let mut duo = early(true, true);
    // Alice holds.
    duo.answers.1 = says(Side::B, 40_000, "0 8", "a=recvonly\r\n");
    duo.ask(
        Side::A,
        "UPDATE",
        &says(Side::A, 30_100, "0 8 9", "a=sendonly\r\n"),
    );
    let (how, sdp) = duo.last(Side::B);
    assert_eq!(how, "UPDATE", "{}", duo.sim.ladder());
    assert!(sdp.media[0].attribute("sendonly").is_some());
    let (how, sdp) = duo.last(Side::A);
    assert_eq!(how, "200 to UPDATE", "{}", duo.sim.ladder());
    assert!(sdp.media[0].attribute("recvonly").is_some());
    assert_eq!(duo.port(Side::A), Some(30_100));
    // Bob moves.
    duo.answers.0 = says(Side::A, 30_100, "0 8", "");
    duo.ask(Side::B, "UPDATE", &says(Side::B, 40_200, "0 8", ""));
    duo.assert_told(Side::A, "UPDATE");
    duo.assert_told(Side::B, "200 to UPDATE");
    duo.assert_ports(30_100, 40_200);
    duo.respond(200, "", false, "");
    duo.assert_last_final((Side::A, Method::Invite, 200));
    duo.assert_ports(30_100, 40_200);
    // Nothing is left to be said: no re-INVITE follows.
    duo.run(5_000);
    let invited = duo
        .told
        .0
        .iter()
        .chain(&duo.told.1)
        .filter(|(how, _)| how == "INVITE");
    assert_eq!(invited.count(), 1, "{}", duo.sim.ladder());
    duo.end();
}

#[test]
fn an_update_that_the_other_leg_cannot_take_is_refused_and_the_call_goes_on() {
    // Bob said nothing reliably: alice has to wait until he answers.
    let mut duo = early(true, false);
    duo.ask(Side::A, "UPDATE", &says(Side::A, 30_100, "0", ""));
    assert_eq!(
        duo.finals,
        [(Side::A, Method::Update, 491)],
        "{}",
        duo.sim.ladder()
    );
    assert_eq!(duo.port(Side::A), Some(30_000), "what was agreed stands");
    duo.respond(200, "", false, &says(Side::B, 40_000, "0 8", ""));
    duo.end();
    // And before any answer of the server's own.
    let mut duo = Duo::new(SUPPORTED, &offer());
    duo.respond(180, "", true, "");
    duo.ask(Side::A, "UPDATE", &says(Side::A, 30_100, "0", ""));
    assert_eq!(duo.finals, [(Side::A, Method::Update, 500)], "RFC 3311 §5.2");
    duo.respond(200, "", false, &says(Side::B, 40_000, "0 8", ""));
    duo.end();
}

#[test]
fn a_callee_that_moves_before_the_answer_is_answered_even_if_the_caller_cannot_be_told() {
    let mut duo = early(false, true);
    duo.ask(Side::B, "UPDATE", &says(Side::B, 40_200, "8", ""));
    assert_eq!(
        duo.finals,
        [(Side::B, Method::Update, 200)],
        "{}",
        duo.sim.ladder()
    );
    assert_eq!(duo.port(Side::B), Some(40_200));
    duo.respond(200, "", false, "");
    assert_eq!(
        duo.types(Side::A),
        "8",
        "the 200 says what stands by now\n{}",
        duo.sim.ladder()
    );
    duo.end();
}

#[test]
fn an_offer_in_the_callers_prack_crosses_as_update() {
    let mut duo = Duo::new(SUPPORTED, &offer());
    duo.in_prack = Some(says(Side::A, 30_100, "8", ""));
    duo.answers.1 = says(Side::B, 40_100, "8", "");
    duo.respond(183, "", true, &says(Side::B, 40_000, "0 8", ""));
    duo.assert_told(Side::B, "UPDATE");
    duo.assert_told(Side::A, "200 to PRACK");
    duo.assert_ports(30_100, 40_100);
    duo.respond(200, "", false, "");
    duo.assert_last_final((Side::A, Method::Invite, 200));
    duo.assert_ports(30_100, 40_100);
    duo.end();
}

#[test]
fn acceptance_13_an_offer_in_a_reliable_response_is_answered_in_the_prack_of_each_leg() {
    let mut duo = Duo::new(SUPPORTED, "");
    duo.respond(183, "", true, &says(Side::B, 40_000, "0 8", ""));
    duo.assert_told(Side::A, "183");
    duo.assert_told(Side::B, "PRACK");
    duo.assert_ports(30_000, 40_000);
    duo.respond(200, "", false, "");
    assert_eq!(
        duo.told.0.len(),
        1,
        "the 200 says nothing more\n{}",
        duo.sim.ladder()
    );
    duo.end();
}

#[test]
fn acceptance_13_a_callee_is_not_asked_for_100rel_where_the_caller_could_not_answer_its_offer() {
    let mut duo = Duo::new("", "");
    let invite = duo.invite.clone().unwrap();
    assert!(!b2bua::sip::reliable::names(&invite.headers, "Supported"));
    duo.respond(180, "", false, "");
    duo.respond(200, "", false, &says(Side::B, 40_000, "0 8", ""));
    assert_eq!(duo.last(Side::A).0, "200 to INVITE");
    duo.assert_told(Side::B, "ACK");
    duo.end();
}

#[test]
fn updates_that_meet_before_the_answer_are_both_told_491_and_nothing_is_lost() {
    let mut duo = early(true, true);
    let a = duo.sim.a.request("UPDATE", "", &says(Side::A, 30_100, "0", ""));
    let b = duo.sim.b.request("UPDATE", "", &says(Side::B, 40_100, "0", ""));
    duo.sim.send(Side::A, a);
    duo.sim.send(Side::B, b);
    duo.run(40);
    let codes: Vec<u16> = duo.finals.iter().map(|(_, _, code)| *code).collect();
    assert_eq!(codes.len(), 2, "{}", duo.sim.ladder());
    assert!(codes.contains(&491), "{codes:?}\n{}", duo.sim.ladder());
    duo.ask(Side::A, "UPDATE", &says(Side::A, 30_200, "0", ""));
    duo.assert_last_final((Side::A, Method::Update, 200));
    assert_eq!(duo.port(Side::A), Some(30_200));
    duo.respond(200, "", false, "");
    duo.end();
}

#[test]
fn a_200_that_comes_while_an_update_is_open_waits_for_its_end() {
    let mut duo = early(true, true);
    // The callee answers the INVITE just before the UPDATE reaches it.
    let update = duo.sim.a.request("UPDATE", "", &says(Side::A, 30_100, "0", ""));
    duo.sim.send(Side::A, update);
    let invite = duo.invite.clone().unwrap();
    let ok = duo.sim.b.respond_to(&invite, 200, "", "", "");
    duo.sim
        .send_after(Side::B, ok, std::time::Duration::from_micros(1_500));
    duo.run(60);
    assert_eq!(
        duo.finals,
        [(Side::A, Method::Update, 200), (Side::A, Method::Invite, 200)],
        "{}",
        duo.sim.ladder()
    );
    assert_eq!(duo.port(Side::A), Some(30_100));
    duo.end();
}

#[test]
fn a_callee_that_refuses_ends_an_early_exchange_with_it() {
    let mut duo = early(true, true);
    duo.answers.1.clear();
    duo.ask(Side::B, "UPDATE", &says(Side::B, 40_100, "0", ""));
    duo.respond(486, "", false, "");
    duo.assert_last_final((Side::A, Method::Invite, 486));
    duo.run(120_000);
    duo.sim.assert_done();
}

/// RFC 6337 §2: the six patterns of offer and answer, on leg A and on leg B, in a dialog that is early and in one that is up.
#[test]
fn every_pattern_of_rfc_6337_is_passed_on() {
    let b = |port| says(Side::B, port, "0 8", "");
    // 1: offer in INVITE, answer in 2xx.
    let mut duo = Duo::new(SUPPORTED, &offer());
    duo.respond(200, "", false, &b(40_000));
    assert_eq!(
        (duo.last(Side::B).0, duo.last(Side::A).0),
        ("INVITE", "200 to INVITE")
    );
    // 6: UPDATE, in mid-call, from either side: the other one gets a re-INVITE, which all phones know.
    for (side, other) in [(Side::A, Side::B), (Side::B, Side::A)] {
        let body = says(side, if side == Side::A { 30_300 } else { 40_300 }, "0", "");
        duo.ask(side, "UPDATE", &body);
        duo.run(200);
        assert_eq!(
            (duo.last(other).0, duo.last(side).0),
            ("INVITE", "200 to UPDATE"),
            "{}",
            duo.sim.ladder()
        );
    }
    // 2, in mid-call: a re-INVITE without offer, the offer in the 2xx, the answer in ACK.
    duo.end();
    let mut duo = Duo::new(SUPPORTED, "");
    duo.respond(200, "", false, &b(40_000));
    assert_eq!(
        (duo.last(Side::A).0, duo.last(Side::B).0),
        ("200 to INVITE", "ACK")
    );
    duo.end();
    // 3: offer in INVITE, answer in a reliable 1xx; 5: another offer in PRACK, answered in its 200.
    let mut duo = Duo::new(SUPPORTED, &offer());
    duo.in_prack = Some(says(Side::A, 30_000, "8", ""));
    duo.respond(183, "", true, &b(40_000));
    assert_eq!(
        duo.told.0.iter().map(|(how, _)| how.as_str()).collect::<Vec<_>>(),
        ["183", "200 to PRACK"]
    );
    // 6: UPDATE before the answer.
    duo.ask(Side::A, "UPDATE", &says(Side::A, 30_400, "8", ""));
    assert_eq!(
        (duo.last(Side::B).0, duo.last(Side::A).0),
        ("UPDATE", "200 to UPDATE"),
        "{}",
        duo.sim.ladder()
    );
    duo.respond(200, "", false, "");
    duo.end();
    // 4: offer in a reliable 1xx, answer in PRACK.
    let mut duo = Duo::new(SUPPORTED, "");
    duo.respond(183, "", true, &b(40_000));
    assert_eq!(
        (duo.last(Side::A).0, duo.last(Side::B).0),
        ("183", "PRACK"),
        "{}",
        duo.sim.ladder()
    );
    duo.ask(Side::B, "UPDATE", &b(40_400));
    assert_eq!(
        (duo.last(Side::A).0, duo.last(Side::B).0),
        ("UPDATE", "200 to UPDATE"),
        "{}",
        duo.sim.ladder()
    );
    assert_eq!(duo.port(Side::B), Some(40_400));
    duo.respond(200, "", false, "");
    duo.end();
}
