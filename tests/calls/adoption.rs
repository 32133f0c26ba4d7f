//! Attended transfers that join two calls of the server: the target's leg moves from one to the other, and comes back where the
//! transfer fails (acceptance #27).

#[path = "adoption/crossings.rs"]
mod crossings;
#[path = "adoption/two.rs"]
mod two;

use self::{
    crossings::Crossing,
    two::{Habits, Kind, MS, SECOND, Two, WILLING, port},
};
use b2bua::{
    call::{Command, Destined, Encryption, Side},
    media::{Protection, StreamId},
    sdp::Sdp,
    testing::{Who, peer::read, privacy::description},
};

const SIDES: [[Side; 2]; 4] = [
    [Side::A, Side::A],
    [Side::A, Side::B],
    [Side::B, Side::A],
    [Side::B, Side::B],
];

#[test]
fn acceptance_27_a_target_without_replaces_is_joined_by_its_own_leg() {
    for by in SIDES {
        let mut two = Two::new(by, WILLING);
        let target = two.board.target;
        let stays = two.seen.stays;
        two.refer();
        two.run(SECOND);
        assert_eq!(two.board.at, 0, "{by:?}\n{}", two.ladder());
        // One offer to each: the target's of the other call, in the session that it knows.
        let offers: Vec<(usize, Who)> = two
            .seen
            .offers
            .iter()
            .map(|(call, who, _)| (*call, *who))
            .collect();
        assert_eq!(offers, [(0, Who::C), (0, stays)], "{}", two.ladder());
        let told = two.board.calls[1]
            .wire
            .iter()
            .filter(|(_, who, inwards, _)| *who == target && !inwards);
        let known: Vec<Sdp> = told
            .filter_map(|(_, _, _, bytes)| description(&read(bytes)))
            .collect();
        let (was, is) = (&known.last().unwrap().origin, &two.seen.offers[0].2);
        assert_eq!(is.origin.id, was.id);
        let number = |version: &str| version.parse::<u64>().unwrap();
        assert_eq!(number(&is.origin.version), number(&was.version) + 1);
        let place = (by[0], StreamId(0));
        assert_eq!(is.media[0].port, two.board.calls[0].relay.ports[&place].port());
        // Both ways.
        assert_eq!(
            two.sent_to(0, by[0]),
            Some(port(1, target)),
            "{by:?}\n{}",
            two.ladder()
        );
        assert_eq!(two.sent_to(0, by[0].other()), Some(port(0, stays)));
        assert_eq!(two.seen.told, ["100 Trying", "200 OK"]);
        // The transferor is out of both.
        let mut byes = two.seen.byes.clone();
        byes.sort_by_key(|(call, _)| *call);
        assert_eq!(byes, [(0, by[0].into()), (1, by[1].into())], "{}", two.ladder());
        assert!(two.board.calls[0].call.is_some());

        two.ask(0, Who::C, "INFO", "", "");
        two.run(SECOND);
        assert!(
            two.board.calls[0].party(stays).requests.contains_key("INFO"),
            "{}",
            two.ladder()
        );
        two.bye(0, Who::C);
        two.run(SECOND);
        assert!(two.seen.byes.contains(&(0, stays)), "{}", two.ladder());
        two.end();
        let (remaining, second) = match by[0] {
            Side::A => ("bob", by[1]),
            Side::B => ("alice", by[1]),
        };
        assert_eq!(
            two.transfers(0),
            [format!("{:?} sip:dora@example.org 200", by[0])]
        );
        assert_eq!(
            two.transfers(1),
            [format!("{second:?} sip:{remaining}@example.org 200")]
        );
    }
}

#[test]
fn acceptance_27_where_the_target_refuses_both_calls_go_on() {
    for by in SIDES {
        let mut two = Two::new(
            by,
            Habits {
                target: 488,
                stays: 200,
                ..WILLING
            },
        );
        two.refer();
        two.run(SECOND);
        assert_eq!(
            two.seen.told,
            ["100 Trying", "488 Not Acceptable Here"],
            "{}",
            two.ladder()
        );
        let ways: Vec<bool> = two.board.carried.iter().map(|(_, arrived)| *arrived).collect();
        assert_eq!(ways, [true, true]);
        assert!(matches!(two.board.carried[1].0, Destined::Home(..)));
        two.assert_as_before();
        assert_eq!(two.seen.offers.len(), 1, "nobody but the target was asked");
        two.end();
        assert_eq!(two.transfers(0).len(), 1);
        assert!(two.transfers(0)[0].ends_with(" 488"));
        assert!(two.transfers(1)[0].ends_with(" 488"));
    }
}

/// It answers the other call's offer with none, from a new address whose way has to be looked up: it is sent back at once, and the way
/// of the ACK is found by the call that it comes back to.
#[test]
fn a_target_that_goes_home_while_its_way_is_looked_up_is_acknowledged_and_hung_up_in_the_end() {
    for by in SIDES {
        let mut two = Two::new(
            by,
            Habits {
                target: 202,
                ..WILLING
            },
        );
        let target = two.board.target;
        "dory".clone_into(&mut two.board.calls[1].party(target).user);
        two.board.calls[0].think = SECOND;
        two.refer();
        two.run(5 * SECOND);
        assert_eq!(two.board.at, 1, "{by:?}\n{}", two.ladder());
        assert!(two.board.carried.len() == 2, "{}", two.ladder());
        let wire = two.board.calls[1].wire.iter();
        let acknowledged =
            wire.filter(|(_, _, inwards, bytes)| !inwards && bytes.starts_with(b"ACK sip:dory-device"));
        assert_eq!(acknowledged.count(), 1, "{by:?}\n{}", two.ladder());
        two.end();
    }
}

#[test]
fn acceptance_27_where_who_stays_refuses_the_target_is_told_again_what_it_had() {
    for by in SIDES {
        let mut two = Two::new(
            by,
            Habits {
                target: 200,
                stays: 488,
                ..WILLING
            },
        );
        two.refer();
        two.run(SECOND);
        assert_eq!(
            two.seen.told,
            ["100 Trying", "488 Not Acceptable Here"],
            "{}",
            two.ladder()
        );
        two.assert_as_before();
        let target = two.board.target;
        let offers: Vec<(usize, Who)> = two
            .seen
            .offers
            .iter()
            .map(|(call, who, _)| (*call, *who))
            .collect();
        assert_eq!(
            offers,
            [(0, Who::C), (0, two.seen.stays), (1, target)],
            "{}",
            two.ladder()
        );
        // In one session: each description has the next number.
        let number = |at: usize| two.seen.offers[at].2.origin.version.parse::<u64>().unwrap();
        assert_eq!(number(2), number(0) + 1);
        let back = (by[1].other(), StreamId(0));
        assert_eq!(
            two.seen.offers[2].2.media[0].port,
            two.board.calls[1].relay.ports[&back].port()
        );
        two.end();
    }
}

#[test]
fn acceptance_27_a_leg_that_is_busy_is_waited_for_but_not_for_ever() {
    for (held, told) in [(200, "200 OK"), (488, "200 OK"), (0, "491 Request Pending")] {
        let mut two = Two::new([Side::A, Side::A], Habits { held, ..WILLING });
        two.crosses(Crossing::Hold);
        two.run(MS);
        two.refer();
        let asked = two.board.now();
        while two.seen.told.len() < 2 && two.board.now() - asked < 20 * SECOND {
            two.run(100 * MS);
        }
        assert_eq!(two.seen.told, ["100 Trying", told], "{held}\n{}", two.ladder());
        assert!(two.board.now() - asked < 6 * SECOND);
        two.end();
    }
}

#[test]
fn acceptance_27_a_call_is_not_joined_with_itself() {
    let mut two = Two::new([Side::B, Side::A], WILLING);
    for who in [Who::A, Who::B] {
        let named = two.board.calls[0].party(who).replaces();
        let named = named.replace(';', "%3B").replace('=', "%3D");
        let headers = format!("Refer-To: <sip:dora@example.org?Replaces={named}>\r\n");
        two.ask(0, Who::B, "REFER", &headers, "");
        two.run(SECOND);
    }
    assert_eq!(two.seen.referred, [603, 603], "{}", two.ladder());
    two.assert_as_before();
    two.end();
}

#[test]
fn acceptance_27_calls_that_want_each_others_legs_both_stay_as_they_are() {
    let mut two = Two::new([Side::B, Side::A], WILLING);
    two.board.hop = MS;
    two.refer();
    let named = two.board.calls[0].b.replaces();
    let named = named.replace(';', "%3B").replace('=', "%3D");
    let headers = format!("Refer-To: <sip:alice@example.org?Replaces={named}>\r\n");
    two.ask(1, Who::A, "REFER", &headers, "");
    two.run(10 * SECOND);
    assert_eq!(
        two.seen.told,
        ["100 Trying", "491 Request Pending"],
        "{}",
        two.ladder()
    );
    two.assert_as_before();
    two.end();
    assert!(two.transfers(1)[0].ends_with(" 491"), "{:?}", two.transfers(1));
}

#[test]
fn acceptance_27_a_target_that_knows_replaces_is_told_by_it_whom_it_talks_to() {
    for (kind, says) in [
        (Kind::Audio, "Supported: path, Replaces\r\n"),
        // Its keys are of the ports where they were agreed on.
        (Kind::Keyed(Encryption::Zrtp), ""),
    ] {
        for by in [[Side::B, Side::A], [Side::B, Side::B]] {
            if kind != Kind::Audio && by[1] == Side::B {
                continue;
            }
            let mut two = Two::with(by, WILLING, kind, says);
            let replaces = two.board.calls[1].party(two.board.target).replaces();
            two.refer();
            two.run(SECOND);
            let sent = two.board.calls[0].wire.iter().filter(|(_, _, inwards, bytes)| {
                let text = String::from_utf8_lossy(bytes);
                !inwards && text.starts_with("INVITE ") && text.contains("\r\nReplaces: ")
            });
            let sent: Vec<String> = sent
                .map(|(_, _, _, bytes)| String::from_utf8_lossy(bytes).into_owned())
                .collect();
            assert_eq!(sent.len(), 1, "{}", two.ladder());
            assert!(
                sent[0].contains(&format!("Replaces: {}", swapped(&replaces))),
                "{replaces} {}",
                sent[0]
            );
            assert!(two.board.carried.is_empty());
        }
    }
}

/// A dialog as the other end of it names it.
fn swapped(replaces: &str) -> String {
    let mut parts = replaces.split(';');
    let (id, to, from) = (parts.next(), parts.next(), parts.next());
    let tag = |part: Option<&str>| part.unwrap().split_once('=').unwrap().1.to_owned();
    format!("{};to-tag={};from-tag={}", id.unwrap(), tag(from), tag(to))
}

#[test]
fn acceptance_6_a_leg_is_keyed_anew_for_its_new_ports_and_as_it_was() {
    for mode in [Encryption::Sdes, Encryption::DtlsSrtp] {
        let mut two = Two::with([Side::B, Side::A], WILLING, Kind::Keyed(mode), "");
        let invite = two.board.calls[1]
            .wire
            .iter()
            .find(|(_, who, inwards, _)| *who == Who::B && !inwards);
        let before = description(&read(&invite.unwrap().3)).unwrap();
        two.refer();
        two.run(20 * MS);
        let offer = &two.seen.offers[0].2;
        assert_eq!(offer.media[0].proto, before.media[0].proto, "{}", two.ladder());
        let keys = |sdp: &Sdp| match mode {
            Encryption::Sdes => sdp.media[0].attribute("crypto").flatten().map(str::to_owned),
            _ => sdp.media[0].attribute("tls-id").flatten().map(str::to_owned),
        };
        assert!(keys(offer).is_some() && keys(offer) != keys(&before), "{offer:?}");
        if mode == Encryption::DtlsSrtp {
            assert_eq!(offer.media[0].attribute("setup").flatten(), Some("actpass"));
        }
        two.run(SECOND);
        assert_eq!(two.board.at, 0, "{}", two.ladder());
        let connect = two.board.calls[0].relay.side(Side::B, 0).unwrap();
        match mode {
            Encryption::Sdes => assert!(matches!(connect.send, Protection::Srtp(_)), "{connect:?}"),
            // Until she has greeted.
            _ => assert_eq!(connect.send, Protection::Blocked),
        }
        two.end();
    }
}

#[test]
fn acceptance_27_no_line_of_a_session_goes_away_with_the_call_that_it_was_in() {
    let mut two = Two::with([Side::B, Side::A], WILLING, Kind::WithVideo, "");
    two.refer();
    two.run(SECOND);
    assert_eq!(two.board.at, 0, "{}", two.ladder());
    let offer = &two.seen.offers[0].2;
    let lines: Vec<(&str, bool)> = offer
        .media
        .iter()
        .map(|media| (&*media.kind, media.is_active()))
        .collect();
    assert_eq!(lines, [("audio", true), ("video", false)]);
    two.end();
}

#[test]
fn acceptance_34_a_server_that_goes_down_joins_what_it_has_begun_to_join() {
    for at in 0..12 {
        let mut two = Two::new(SIDES[at % 4], WILLING);
        two.board.hop = MS;
        two.refer();
        two.run(5 * MS + at as u32 * MS);
        for call in &mut two.board.calls {
            call.command(Command::Drain);
        }
        two.run(SECOND);
        assert_eq!(two.seen.told, ["100 Trying", "200 OK"], "{at}\n{}", two.ladder());
        two.end();
    }
    let mut two = Two::new(SIDES[0], WILLING);
    two.board.calls[0].command(Command::Drain);
    two.refer();
    two.run(SECOND);
    assert_eq!(two.seen.referred, [503]);
    two.end();
}
