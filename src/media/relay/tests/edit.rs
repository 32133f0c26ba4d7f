//! Payload types and feedback where the legs have agreed on different things.

use super::rig::{Crypto, Rig, discarded, key, quiet, rtp, sender_report};
use crate::media::{PayloadMap, Protection, Suite, relay::Discard};

const CLEAR: Protection = Protection::Clear;

/// From leg A: 96 leaves as 120, 101 as 97, 13 means something else there.
fn map() -> Box<PayloadMap> {
    let mut map = PayloadMap::identity();
    map.map(96, 120);
    map.map(101, 97);
    map.discard(13);
    Box::new(map)
}

fn of_type(second: u8, number: u16) -> Vec<u8> {
    let mut bytes = rtp(1, number);
    bytes[1] = second;
    bytes
}

#[test]
fn acceptance_28_payload_types_are_renumbered_one_way_and_stay_the_other() {
    let rig = Rig::open();
    let mut a = rig.a.connect(CLEAR, CLEAR);
    a.payloads = Some(map());
    rig.connect(a);
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    for (number, (comes, leaves)) in [
        (96, 120),
        (0x80 | 96, 0x80 | 120),
        (0, 0),
        (0x80 | 101, 0x80 | 97),
        (120, 120),
    ]
    .into_iter()
    .enumerate()
    {
        let number = number as u16;
        rig.a.send(&of_type(comes, number));
        assert_eq!(rig.b.receive(), of_type(leaves, number));
        rig.b.send(&of_type(comes, number));
        assert_eq!(rig.a.receive(), of_type(comes, number));
    }
    rig.a.send(&of_type(13, 5));
    rig.handled(11);
    assert!(quiet(&rig.b.rtp));
    let [a, b] = rig.close();
    assert_eq!(discarded(&a, Discard::PayloadType), 1);
    assert_eq!((a.received, b.received, b.discarded), (5, 5, Vec::new()));
}

#[test]
fn acceptance_28_payload_types_are_renumbered_between_opening_and_sealing() {
    for suite in Suite::ALL {
        let (rig, mut crypto) = Rig::keyed(suite);
        let mut b = rig.b.connect(CLEAR, CLEAR);
        b.payloads = Some(map());
        rig.connect(b);
        for number in 0..20 {
            rig.b.send(&of_type(96, number));
            assert_eq!(crypto.open(&rig.a.receive()), of_type(120, number));
            rig.a.send(&crypto.seal(&of_type(96, number)));
            assert_eq!(rig.b.receive(), of_type(96, number));
        }
    }
}

#[test]
fn a_map_can_be_taken_back() {
    let rig = Rig::open();
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    for (number, payloads, leaves) in [(0, Some(map()), 120), (1, None, 96), (2, Some(map()), 120)] {
        let mut a = rig.a.connect(CLEAR, CLEAR);
        a.payloads = payloads;
        rig.connect(a);
        rig.a.send(&of_type(96, number));
        assert_eq!(rig.b.receive(), of_type(leaves, number));
    }
}

const PLI: [u8; 12] = [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2];

#[test]
fn feedback_crosses_to_a_leg_that_speaks_it_and_is_taken_out_for_one_that_does_not() {
    let rig = Rig::open();
    rig.connect(rig.a.connect(CLEAR, CLEAR));
    let mut b = rig.b.connect(CLEAR, CLEAR);
    b.feedback = false;
    rig.connect(b);
    let compound = [sender_report(1, 5), PLI.to_vec()].concat();
    rig.a.send_rtcp(&compound);
    assert_eq!(rig.b.receive_rtcp(), sender_report(1, 5));
    // Alone it is nothing that the other would understand.
    rig.a.send_rtcp(&PLI);
    rig.a.send_rtcp(&sender_report(1, 6));
    assert_eq!(rig.b.receive_rtcp(), sender_report(1, 6));
    for bytes in [&compound, &PLI.to_vec()] {
        rig.b.send_rtcp(bytes);
        assert_eq!(&rig.a.receive_rtcp(), bytes);
    }
    let [a, b] = rig.close();
    assert_eq!(discarded(&a, Discard::Feedback), 1);
    assert_eq!(b.discarded, []);
}

#[test]
fn feedback_is_taken_out_of_what_is_sealed_afterwards() {
    let rig = Rig::open();
    let [own, relays] = [1, 2].map(|seed| key(Suite::AesCm128HmacSha1_80, seed));
    let mut crypto = Crypto::new(&own, &relays);
    let mut a = rig.a.connect(Protection::Srtp(own), Protection::Srtp(relays));
    a.feedback = false;
    rig.connect(a);
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    rig.b.send_rtcp(&[sender_report(2, 5), PLI.to_vec()].concat());
    assert_eq!(crypto.open_rtcp(&rig.a.receive_rtcp()), sender_report(2, 5));
    let compound = [sender_report(1, 5), PLI.to_vec()].concat();
    rig.a.send_rtcp(&crypto.seal_rtcp(&compound));
    assert_eq!(rig.b.receive_rtcp(), compound);
}
