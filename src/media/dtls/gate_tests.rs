//! What passes and what does not.

use super::*;
use crate::media::dtls::record::FRAGMENT_HEADER;

fn part(kind: u8, message: &[u8], range: std::ops::Range<usize>) -> Vec<u8> {
    Fragment {
        kind,
        length: message.len(),
        sequence: 1,
        offset: range.start,
        part: &message[range],
    }
    .print()
}

/// A Certificate message of that length.
fn message(length: usize) -> Vec<u8> {
    let mut message: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    message[..3].copy_from_slice(&(length as u32 - 3).to_be_bytes()[1..]);
    message[3..6].copy_from_slice(&(length as u32 - 6).to_be_bytes()[1..]);
    message
}

/// The messages in what was passed, put together again.
fn messages(passed: &[Vec<u8>]) -> Vec<(u8, Vec<u8>)> {
    let mut whole: Vec<(u8, Vec<u8>)> = Vec::new();
    for datagram in passed {
        for record in records(datagram) {
            for fragment in record.fragments() {
                if fragment.offset == 0 {
                    whole.push((fragment.kind, Vec::new()));
                }
                let (_, bytes) = whole.last_mut().unwrap();
                assert_eq!(bytes.len(), fragment.offset, "in order");
                bytes.extend(fragment.part);
            }
        }
    }
    whole
}

#[test]
fn fragments_are_put_together_in_any_order_and_number() {
    let whole = message(1000);
    let cuts = [0..300, 200..500, 500..501, 501..999, 999..1000, 0..10];
    for rotation in 0..cuts.len() {
        let mut gate = Gate::new(Role::Server);
        let mut order = cuts.clone();
        order.rotate_left(rotation);
        order[1..].reverse();
        let mut passed = Vec::new();
        for cut in order {
            let datagram = clear_record(22, 9, &part(11, &whole, cut));
            passed.extend(gate.pass(&datagram).unwrap());
        }
        assert!(
            messages(&passed) == [(11, whole.clone())],
            "rotated by {rotation}"
        );
    }
}

#[test]
fn several_messages_and_the_end_of_another_may_share_a_record() {
    let (certificate, exchange) = (message(700), message(66));
    let first = clear_record(22, 0, &part(11, &certificate, 0..400));
    let mut body = part(11, &certificate, 400..700);
    body.extend(part(16, &exchange, 0..66));
    let mut second = clear_record(22, 1, &body);
    second.extend(clear_record(20, 2, &[1]));
    let mut gate = Gate::new(Role::Server);
    let mut passed = gate.pass(&first).unwrap();
    assert!(passed.is_empty());
    passed.extend(gate.pass(&second).unwrap());
    assert_eq!(messages(&passed), [(11, certificate), (16, exchange)]);
    let last = records(passed.last().unwrap()).last();
    assert_eq!(last.unwrap().content, Content::ChangeCipherSpec);
}

#[test]
fn a_long_message_is_handed_on_in_parts_that_fit() {
    let whole = message(MOST_MESSAGE);
    let mut gate = Gate::new(Role::Client);
    let mut passed = Vec::new();
    for from in (0..whole.len()).step_by(1000) {
        let to = (from + 1000).min(whole.len());
        passed.extend(
            gate.pass(&clear_record(22, 0, &part(11, &whole, from..to)))
                .unwrap(),
        );
    }
    assert!(
        passed
            .iter()
            .all(|datagram| datagram.len() <= PART + FRAGMENT_HEADER + 13)
    );
    assert!(messages(&passed) == [(11, whole)]);
}

#[test]
fn a_retransmission_passes_again() {
    let exchange = clear_record(22, 0, &part(16, &message(100), 0..100));
    let mut gate = Gate::new(Role::Server);
    let first = gate.pass(&exchange).unwrap();
    let second = gate.pass(&exchange).unwrap();
    assert_eq!(messages(&first), messages(&second));
    assert_ne!(first, second, "numbered anew, or the library takes it for a copy");
}

#[test]
fn what_cannot_belong_to_the_handshake_is_dropped() {
    let hello = message(50);
    let dropped = |role: Role, datagram: Vec<u8>| Gate::new(role).pass(&datagram).unwrap().is_empty();
    let stray = clear_record(22, 0, &part(1, &hello, 0..50));
    assert!(dropped(Role::Client, stray), "a ClientHello to a client");
    let stray = clear_record(22, 0, &part(2, &hello, 0..50));
    assert!(dropped(Role::Server, stray), "a ServerHello to a server");
    for (what, datagram) in [
        ("nothing", Vec::new()),
        ("garbage", vec![22; 100]),
        ("RTP", vec![0x80; 172]),
        ("application data", clear_record(23, 0, b"hello")),
        ("HelloRequest", clear_record(22, 0, &part(0, &[], 0..0))),
        ("an empty part", clear_record(22, 0, &part(11, &hello, 3..3))),
        ("a warning", clear_record(21, 0, &[1, 41])),
        ("half an alert", clear_record(21, 0, &[2])),
        ("a strange ChangeCipherSpec", clear_record(20, 0, &[2])),
        ("a message too long", {
            let long = message(MOST_MESSAGE + 1);
            clear_record(22, 0, &part(11, &long, 0..100))
        }),
    ] {
        for role in [Role::Client, Role::Server] {
            assert!(dropped(role, datagram.clone()), "{what}");
        }
    }
    let sealed = |length: usize, epoch: u8| {
        let mut record = clear_record(22, 0, &vec![0; length]);
        record[4] = epoch;
        record
    };
    assert!(dropped(Role::Server, sealed(24, 1)), "shorter than nonce and tag");
    assert!(!dropped(Role::Server, sealed(25, 1)));
    assert!(dropped(Role::Server, sealed(25, 2)), "a later epoch");
}

#[test]
fn an_alert_that_ends_the_handshake_is_remembered() {
    let mut gate = Gate::new(Role::Client);
    assert_eq!(gate.alert(), None);
    assert_eq!(gate.pass(&clear_record(21, 0, &[2, 42])).unwrap().len(), 1);
    assert_eq!(gate.alert(), Some(42));
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut gate = Gate::new(Role::Server);
    let whole = message(MOST_MESSAGE);
    let mut flooded = false;
    'flood: for round in 0..u16::MAX {
        for at in (0..whole.len() - 2).step_by(2) {
            let mut fragment = part(11, &whole, at..at + 1);
            let sequence = (round % (MOST_SEQUENCE + 1)).to_be_bytes();
            fragment[4..6].copy_from_slice(&sequence);
            if gate.pass(&clear_record(22, 0, &fragment)) == Err(Flood) {
                flooded = true;
                break 'flood;
            }
            assert!(gate.partial.len() <= MOST_PARTIAL);
            assert!(
                gate.partial
                    .iter()
                    .all(|partial| partial.have.len() <= MOST_RANGES)
            );
        }
    }
    assert!(flooded, "it ends");
}

#[test]
fn what_came_together_goes_on_together_as_far_as_the_library_reads() {
    let certificate = message(3000);
    let part = part(11, &certificate, 0..3000);
    let sealed = [&[22, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 0, 40][..], &[7; 40]].concat();
    let flight = [
        clear_record(22, 0, &part),
        clear_record(22, 1, &part),
        clear_record(20, 2, &[1]),
        sealed.clone(),
    ];
    let passed = Gate::new(Role::Server).pass(&flight.concat()).unwrap();
    assert_eq!(passed, [flight.concat()]);
    // An alert is alone: before there is a handshake it is taken out.
    let alert = clear_record(21, 1, &[2, 40]);
    let passed = Gate::new(Role::Server).pass(&[&flight[0], &alert, &sealed].map(Vec::as_slice).concat());
    assert_eq!(passed.unwrap(), [flight[0].clone(), alert, sealed]);
    let thrice = [0, 1, 2].map(|number| clear_record(22, number, &part)).concat();
    let passed = Gate::new(Role::Server).pass(&thrice).unwrap();
    assert_eq!(passed.len(), 2);
    assert!(passed.iter().all(|datagram| datagram.len() <= MOST_DATAGRAM));
    assert_eq!(passed.concat(), thrice);
}
