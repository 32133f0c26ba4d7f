//! What somebody can do who sees the packets and can send his own, but cannot take any away or make the keys.

use super::super::super::{
    Confirm, Failure, Hello, Message, Packet, Retained, Settings, Zid, chain, digest::sha256,
    message::ErrorCode, stream::Phase,
};
use super::rig::{AUDIO, End, Flight, Net};
use std::{collections::BTreeMap, time::Duration};

fn pair(seed: u64) -> Net {
    Net::pair(seed, [Settings::default(), Settings::default()])
}

fn message_of(flight: &Flight) -> Message {
    Message::parse(Packet::parse(&flight.bytes).unwrap().message).unwrap()
}

fn with_message(flight: &Flight, message: &[u8]) -> Flight {
    let packet = Packet::parse(&flight.bytes).unwrap();
    Flight {
        bytes: Packet { message, ..packet }.encode(),
        ..flight.clone()
    }
}

/// A message with one bit changed, the CRC made right again.
fn twisted(flight: &Flight, bit: usize) -> Flight {
    let packet = Packet::parse(&flight.bytes).unwrap();
    let mut message = packet.message.to_vec();
    let bit = bit % (message.len() * 8);
    message[bit / 8] ^= 1 << (bit % 8);
    with_message(flight, &message)
}

fn is_hello(flight: &Flight) -> bool {
    matches!(message_of(flight), Message::Hello(_))
}

/// Announces each Hello to the other side, as signalling does.
fn announce(net: &mut Net) {
    for end in [0, 1] {
        let hash = net.ends[1 - end].association.hash(AUDIO).unwrap();
        net.act(end, |association, env| {
            association.set_peer_hash(AUDIO, hash, env)
        });
    }
}

#[test]
fn changed_messages_after_the_real_ones_change_nothing() {
    for bit in (0..4_000).step_by(37) {
        let mut net = pair(bit as u64);
        net.tap = Some(Box::new(move |flight| {
            let forged = Flight {
                due: flight.due + Duration::from_millis(1),
                ..twisted(&flight, bit)
            };
            vec![flight, forged]
        }));
        net.run();
        net.assert_secured(AUDIO);
    }
}

/// Only a Hello has nothing before it that proves it. With `a=zrtp-hash` even one that is changed before the real one arrives
/// does no harm.
#[test]
fn changed_hellos_before_the_real_ones_are_known_by_their_hash() {
    for bit in (0..900).step_by(13) {
        let mut net = pair(bit as u64);
        net.flights.clear();
        announce(&mut net);
        net.tap = Some(Box::new(move |flight| {
            if is_hello(&flight) {
                vec![twisted(&flight, bit), flight]
            } else {
                vec![flight]
            }
        }));
        net.run();
        net.assert_secured(AUDIO);
        assert!(net.ends.iter().all(|end| end.secured[&AUDIO].peer.signalled));
    }
}

#[test]
fn without_the_hash_forged_hellos_are_told_apart_by_the_commit() {
    for seed in 0..20 {
        let mut net = pair(seed);
        // Three strangers speak before the real peer is heard.
        net.flights.clear();
        for stranger in 0..3 {
            for end in [0, 1] {
                let message = strange_hello(stranger);
                net.slip_in(end, &message);
            }
        }
        net.run();
        // Each may have committed to a stranger; if so it gives way to the real Commit, or nobody has a key.
        if net.ends.iter().all(|end| end.secured.contains_key(&AUDIO)) {
            net.assert_secured(AUDIO);
        } else {
            assert!(net.ends.iter().all(|end| end.send.is_empty()));
        }
    }
}

fn strange_hello(seed: u8) -> Vec<u8> {
    let h2 = sha256(&[seed; 3]);
    let hello = Hello {
        version: *b"1.10",
        client: *b"stranger        ",
        h3: sha256(&h2),
        zid: Zid([seed + 50; 12]),
        signature_capable: false,
        mitm: false,
        passive: false,
        hashes: vec![],
        ciphers: vec![],
        auth_tags: vec![],
        key_agreements: vec![*b"X255"],
        sas_types: vec![],
        mac: [0; 8],
    };
    let mut message = Message::Hello(hello).encode();
    chain::seal(&mut message, &h2);
    message
}

#[test]
fn messages_without_proof_end_nothing_while_the_real_peer_goes_on() {
    let junk = [
        Message::Error(ErrorCode::UNAVAILABLE),
        Message::ErrorAck,
        Message::HelloAck,
        Message::ClearAck,
        Message::RelayAck,
        Message::GoClear([0; 8]),
        Message::Ping { endpoint: [0; 8] },
    ];
    for (index, message) in junk.into_iter().enumerate() {
        for early in [false, true] {
            let mut net = pair(index as u64);
            let message = message.encode();
            let mut left = 100;
            net.tap = Some(Box::new(move |flight| {
                // Some of it is answered, and the answers would call for more of it.
                if left == 0 {
                    return vec![flight];
                }
                left -= 1;
                let forged = with_message(&flight, &message);
                if early {
                    vec![forged, flight]
                } else {
                    vec![flight, forged]
                }
            }));
            net.run();
            net.assert_secured(AUDIO);
        }
    }
}

/// The initiator believes a forged Conf2ACK, but its Confirm2 is on its way already.
#[test]
fn a_forged_conf2ack_is_harmless() {
    let mut net = pair(1);
    let forged = Message::Conf2Ack.encode();
    net.tap = Some(Box::new(move |flight| {
        vec![with_message(&flight, &forged), flight]
    }));
    net.run();
    net.assert_secured(AUDIO);
}

#[test]
fn an_error_ends_the_exchange_when_the_peer_then_stays_silent() {
    let mut net = pair(2);
    // After the Hellos the second end falls silent, and an Error comes.
    net.tap = Some(Box::new(|flight| {
        let silent = flight.to == 0 && !matches!(message_of(&flight), Message::Hello(_) | Message::HelloAck);
        if silent {
            vec![with_message(
                &flight,
                &Message::Error(ErrorCode::UNAVAILABLE).encode(),
            )]
        } else {
            vec![flight]
        }
    }));
    net.run_for(Duration::from_secs(4));
    assert_eq!(
        net.ends[0].failed.get(&AUDIO),
        Some(&Failure::Remote(ErrorCode::UNAVAILABLE))
    );
}

#[test]
fn a_forged_go_clear_is_not_even_answered() {
    let mut net = pair(1);
    net.run();
    net.assert_secured(AUDIO);
    let message = Message::GoClear([1; 8]).encode();
    net.slip_in(0, &message);
    assert!(net.flights.is_empty() && net.ends[0].failed.is_empty());
}

#[test]
fn the_peers_own_go_clear_is_refused_and_its_relayed_sas_taken_for_nothing() {
    let mut net = pair(1);
    net.run();
    let Phase::Secure(state) = &net.ends[0].association.streams[&AUDIO].phase else {
        panic!("it is secured");
    };
    let relay = Confirm {
        mac: state.seal_as_peer(&[3; 40]),
        iv: [2; 16],
        encrypted: vec![3; 40],
    };
    let rows = [
        (
            Message::GoClear(state.seal_as_peer(b"GoClear ")),
            Message::Error(ErrorCode::GO_CLEAR),
        ),
        (Message::SasRelay(relay), Message::RelayAck),
    ];
    for (message, answer) in rows {
        let message = message.encode();
        net.slip_in(0, &message);
        let answered = net.flights.pop().unwrap();
        assert_eq!(message_of(&answered), answer);
        assert!(net.flights.is_empty() && net.ends[0].failed.is_empty());
    }
    // The refusal is an Error, which the other side, secured, lives with.
    let refusal = Message::Error(ErrorCode::GO_CLEAR).encode();
    net.slip_in(1, &refusal);
    net.run();
    net.assert_secured(AUDIO);
}

#[test]
fn our_own_packets_come_back_are_nobodys() {
    let mut net = pair(3);
    net.tap = Some(Box::new(|flight| {
        let back = Flight {
            to: 1 - flight.to,
            ..flight.clone()
        };
        vec![back, flight]
    }));
    net.run();
    net.assert_secured(AUDIO);
}

/// Another session's Hello on a secured stream is reported once, and changes nothing.
#[test]
fn a_new_hello_after_all_is_reported_once() {
    let mut net = pair(4);
    net.run();
    for stranger in [1, 2, 2] {
        let message = strange_hello(stranger);
        net.slip_in(0, &message);
    }
    assert_eq!(net.ends[0].other_hellos, [AUDIO]);
    assert!(net.ends[0].failed.is_empty());
}

#[test]
fn a_hash_that_comes_late_ends_what_was_agreed_with_somebody_else() {
    let mut net = pair(5);
    let wrong = net.ends[0].association.hash(AUDIO).unwrap();
    net.run();
    net.assert_secured(AUDIO);
    // The right one changes nothing.
    let right = net.ends[1].association.hash(AUDIO).unwrap();
    net.act(0, |association, env| association.set_peer_hash(AUDIO, right, env));
    assert!(net.ends[0].failed.is_empty());
    net.act(0, |association, env| association.set_peer_hash(AUDIO, wrong, env));
    assert_eq!(net.ends[0].failed[&AUDIO], Failure::Hash);
}

/// Somebody between who makes both exchanges his own: the SAS differs, and so do the retained secrets.
#[test]
fn a_man_in_the_middle_shows_in_sas_and_cache() {
    let mut first = pair(6);
    first.run();
    let [one, two] = first.ends;
    let left = Net::with_stores(
        7,
        [Settings::default(), Settings::default()],
        [one.store, BTreeMap::new()],
    );
    let right = Net::with_stores(
        8,
        [Settings::default(), Settings::default()],
        [BTreeMap::new(), two.store],
    );
    // He says to each that he is the other.
    let [mut left, mut right] = [left, right];
    left.run();
    right.run();
    let sas = |end: &End| end.secured[&AUDIO].sas.clone().unwrap();
    let (at_one, at_two) = (sas(&left.ends[0]), sas(&right.ends[1]));
    assert_ne!(at_one.text, at_two.text);
    assert!(at_one.cache_mismatch && at_two.cache_mismatch);
    assert!(!at_one.verified && !at_two.verified);
    let kept = left.ends[0].store.values().next();
    assert_eq!(
        kept.map(|kept: &Retained| kept.rs2.is_none()),
        Some(true),
        "what was retained stays"
    );
}
