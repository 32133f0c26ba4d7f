//! Forked INVITEs: early dialogs, several 2xx (RFC 3261 §13.2.2.4; acceptance #19).

use super::*;
use crate::call::{Cause, Origin};

#[test]
fn in_every_order_of_three_forks_the_first_200_wins_and_the_others_get_ack_and_bye() {
    // Each fork says 183 with its own SDP, 180, and 200; all 1,680 interleavings.
    let mut order = Vec::new();
    let mut count = 0;
    interleave(&mut [0; 3], &mut order, &mut |order| {
        count += 1;
        run(order);
    });
    assert_eq!(count, 1_680);
}

fn interleave(done: &mut [usize; 3], order: &mut Vec<usize>, each: &mut impl FnMut(&[usize])) {
    if order.len() == 9 {
        return each(order);
    }
    for fork in 0..3 {
        if done[fork] < 3 {
            done[fork] += 1;
            order.push(fork);
            interleave(done, order, each);
            order.pop();
            done[fork] -= 1;
        }
    }
}

fn run(order: &[usize]) {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    let mut said = [0_usize; 3];
    let mut winner = None;
    let mut expected = Vec::new();
    for &fork in order {
        let tag = format!("fork{fork}");
        let contact = format!("<sip:bob@192.0.2.{}>", 30 + fork);
        let contact = [
            ("Contact", contact.as_str()),
            ("Record-Route", &format!("<sip:r{fork}.example;lr>")),
        ];
        let port = u16::try_from(10 + fork).expect("small");
        one.sent.clear();
        match said[fork] {
            0 => one.hear(reply(&invite, 183, &tag, &contact, Some(&sdp(port)))),
            1 => one.hear(reply(&invite, 180, &tag, &contact, None)),
            _ => one.hear(reply(&invite, 200, &tag, &contact, Some(&sdp(port)))),
        }
        match (said[fork], winner) {
            (0, None) => expected.push(format!("progress 183 answer {port}")),
            (1, None) => expected.push("ring".into()),
            (0 | 1, Some(_)) => assert_eq!(one.lines(), Vec::<String>::new()),
            (_, None) => {
                winner = Some(fork);
                expected.push(format!("answered answer {port}"));
                assert_eq!(one.take(), ["ACK"]);
            }
            (_, Some(_)) => {
                let bye = one.last(&Method::Bye);
                assert_eq!(bye.uri.as_str(), format!("sip:bob@192.0.2.{}", 30 + fork));
                assert_eq!(header(&bye, "Route"), format!("<sip:r{fork}.example;lr>"));
                assert!(header(&bye, "To").ends_with(&tag));
                assert_eq!(one.take(), ["ACK", "BYE"]);
                one.hear(reply(&bye, 200, &tag, &[], None));
            }
        }
        said[fork] += 1;
    }
    assert_eq!(one.words(), expected, "{order:?}");
    let winner = winner.expect("each fork said 200");
    // A repeated 200 of any fork is acknowledged again, and nothing else.
    for fork in 0..3 {
        one.hear(reply(&invite, 200, &format!("fork{fork}"), &[], Some(&sdp(9))));
        assert_eq!(one.take(), ["ACK"]);
    }
    one.tell(Signal::Hangup(Cause::bye(Origin::LegA)));
    let bye = one.last(&Method::Bye);
    assert!(header(&bye, "To").ends_with(&format!("fork{winner}")));
    one.hear(reply(&bye, 200, "", &[], None));
    assert!(one.closed && one.leg.poll_timeout().is_none(), "{order:?}");
    assert!(one.words().is_empty());
}

#[test]
fn a_200_without_sdp_after_a_183_with_it_is_answered_by_that_of_its_own_fork() {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    one.hear(reply(&invite, 183, "x", &[], Some(&sdp(5))));
    one.hear(reply(&invite, 183, "y", &[], Some(&sdp(6))));
    one.hear(reply(&invite, 200, "x", &[], None));
    assert_eq!(
        one.words(),
        [
            "progress 183 answer 5",
            "progress 183 answer 6",
            "answered answer 5"
        ]
    );
}

#[test]
fn a_200_without_any_sdp_ends_the_call_as_not_acceptable() {
    for body in [None, Some("v=0\r\nrubbish")] {
        let mut one = One::dial();
        let invite = one.last(&Method::Invite);
        let mut ok = reply(&invite, 200, "x", &[], None);
        if let Some(body) = body {
            ok.headers.push("Content-Type", "application/sdp");
            ok.body = bytes::Bytes::from_static(body.as_bytes());
        }
        one.hear(ok);
        assert_eq!(one.words(), ["fail 488 not_acceptable"]);
        assert_eq!(one.take(), ["INVITE", "ACK", "BYE"]);
    }
}

#[test]
fn repeated_provisional_responses_are_said_once_and_forks_are_bounded() {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    for _ in 0..5 {
        one.hear(reply(&invite, 180, "x", &[], None));
    }
    assert_eq!(one.words(), ["ring"]);
    for fork in 0..100 {
        one.hear(reply(&invite, 180, &format!("f{fork}"), &[], None));
    }
    assert_eq!(one.words().len(), 15);
    // Even a flood of 2xx is bounded: what comes after is repeated by its sender until it gives up.
    for fork in 0..100 {
        one.hear(reply(
            &invite,
            200,
            &format!("f{fork}"),
            &[("Contact", "<sip:b@192.0.2.9>")],
            Some(&sdp(1)),
        ));
    }
    assert_eq!(one.take().iter().filter(|word| *word == "BYE").count(), 16);
}

#[test]
fn an_ack_finds_the_invite_of_its_own_fork_whatever_other_forks_have_numbered_theirs() {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    let contact = [("Contact", "<sip:b@192.0.2.9>")];
    let other = reply(&invite, 200, "loser", &contact, Some(&sdp(3)));
    let ok = reply(&invite, 200, "winner", &contact, Some(&sdp(2)));
    let ours = |ok: &Response| {
        Message::from(Request {
            headers: ok.headers.clone(),
            ..invite.clone()
        })
    };
    one.hear(ok.clone());
    one.hear(other.clone());
    // The fork that lost has not heard of its BYE.
    let stray = one.request(&Method::Invite, &ours(&other), "", Some(&sdp(5)));
    one.hear(stray.clone());
    one.cseq -= 1;
    let mut again = one.request(&Method::Invite, &ours(&ok), "", Some(&sdp(6)));
    again
        .headers
        .set("Via", format!("SIP/2.0/UDP {BOB};branch=z9hG4bKanother"));
    one.hear(again);
    one.tell(Signal::Accept(sdp(7)));
    assert_eq!(one.take(), ["INVITE", "ACK", "ACK", "BYE", "481", "100", "200"]);
    one.cseq -= 1;
    let mut ack = one.request(&Method::Ack, &ours(&ok), "", None);
    ack.headers
        .set("Via", format!("SIP/2.0/UDP {BOB};branch=z9hG4bKack"));
    one.hear(ack);
    one.run(2_000);
    let repeated = one.take();
    assert!(!repeated.contains(&"200".to_owned()), "{repeated:?}");
}

#[test]
fn a_fork_that_answers_when_all_is_over_gets_a_bye_that_is_repeated() {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    let contact = [("Contact", "<sip:b@192.0.2.9>")];
    one.hear(reply(&invite, 200, "winner", &contact, Some(&sdp(2))));
    one.tell(Signal::Hangup(Cause::bye(Origin::LegA)));
    let bye = one.last(&Method::Bye);
    one.hear(reply(&bye, 200, "", &[], None));
    assert!(one.closed && one.leg.poll_timeout().is_none());
    one.sent.clear();
    one.hear(reply(&invite, 200, "late", &contact, Some(&sdp(3))));
    assert!(!one.closed, "its BYE may be lost");
    one.run(1_600);
    let bye = one.last(&Method::Bye);
    assert_eq!(one.take(), ["ACK", "BYE", "BYE", "BYE"]);
    one.hear(reply(&bye, 200, "late", &[], None));
    assert!(one.closed && one.leg.poll_timeout().is_none());
    one.run(40_000);
    assert_eq!(one.take(), Vec::<String>::new());
}

#[test]
fn the_bye_of_a_fork_that_lost_has_a_number_that_its_prack_had_not() {
    let mut one = One::dial();
    let invite = one.last(&Method::Invite);
    let reliable = [
        ("Contact", "<sip:loser@192.0.2.8>"),
        ("Require", "100rel"),
        ("RSeq", "7"),
    ];
    one.hear(reply(&invite, 183, "loser", &reliable, Some(&sdp(3))));
    let prack = one.last(&Method::Prack);
    one.hear(reply(&prack, 200, "loser", &[], None));
    one.hear(reply(
        &invite,
        200,
        "winner",
        &[("Contact", "<sip:b@192.0.2.9>")],
        Some(&sdp(2)),
    ));
    one.hear(reply(&invite, 200, "loser", &reliable[..1], Some(&sdp(3))));
    let bye = one.last(&Method::Bye);
    let number = |request: &Request| request.headers.cseq().expect("CSeq").number;
    assert!(
        number(&bye) > number(&prack),
        "{} after {}",
        number(&bye),
        number(&prack)
    );
}
