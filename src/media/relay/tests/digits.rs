//! Digits that one leg has in its media and the other says otherwise (acceptance #28).

use super::rig::{Crypto, Rig, STREAM, key, quiet, rtp};
use crate::{
    call::Side,
    media::{Digit, Events, MediaCommand, MediaEvent, Protection, Suite},
};
use std::time::Duration;

const EVENTS: Events = Events {
    hears: 1 << 101,
    says: 101,
    clock: 8000,
};

#[test]
fn acceptance_28_a_digit_is_sealed_into_the_stream_and_the_voice_goes_on_behind_it() {
    let rig = Rig::open();
    let (own, relays) = (key(Suite::ALL[0], 1), key(Suite::ALL[0], 2));
    let mut crypto = Crypto::new(&own, &relays);
    let mut a = rig.a.connect(Protection::Srtp(own), Protection::Srtp(relays));
    a.events = Some(EVENTS);
    rig.connect(a);
    rig.connect(rig.b.connect(Protection::Clear, Protection::Clear));
    rig.b.send(&rtp(7, 100));
    assert_eq!(crypto.open(&rig.a.receive()), rtp(7, 100));
    let duration = Duration::from_millis(60);
    for event in [5, 11] {
        let digit = Digit { event, duration };
        rig.session.send(MediaCommand::Digit {
            side: Side::A,
            stream: STREAM,
            digit,
        });
    }
    let mut heard = Vec::new();
    for number in 101..111 {
        let packet = crypto.open(&rig.a.receive());
        assert_eq!(packet[2..4], u16::to_be_bytes(number), "the numbers go on");
        assert_eq!((packet[1] & 0x7f, packet.len()), (101, 16));
        if packet[1] & 0x80 != 0 {
            heard.push(packet[12]);
        }
    }
    assert_eq!(heard, [5, 11]);
    rig.b.send(&rtp(7, 101));
    let voice = crypto.open(&rig.a.receive());
    assert_eq!(voice[2..4], 111_u16.to_be_bytes());
    assert_eq!(voice[12..], rtp(7, 101)[12..]);
    let [_, b] = rig.close();
    assert_eq!(b.received, 2);
}

#[test]
fn acceptance_28_a_digit_that_comes_is_told_once_and_crosses_not() {
    let rig = Rig::open();
    let mut a = rig.a.connect(Protection::Clear, Protection::Clear);
    a.events = Some(EVENTS);
    rig.connect(a);
    rig.connect(rig.b.connect(Protection::Clear, Protection::Clear));
    let event = |number: u16, timestamp: u32, duration: u16, end: u8| {
        let mut bytes = vec![0x80, 101];
        bytes.extend(number.to_be_bytes());
        bytes.extend(timestamp.to_be_bytes());
        bytes.extend(9_u32.to_be_bytes());
        bytes.extend([3, end << 7 | 10]);
        bytes.extend(duration.to_be_bytes());
        bytes
    };
    rig.a.send(&rtp(9, 1));
    assert_eq!(rig.b.receive(), rtp(9, 1));
    for (number, duration, end) in [
        (2, 160, 0),
        (3, 320, 0),
        (3, 320, 0),
        (4, 480, 1),
        (5, 480, 1),
        (6, 480, 1),
    ] {
        rig.a.send(&event(number, 320, duration, end));
    }
    let told = rig.event();
    assert!(
        matches!(
            told,
            MediaEvent::Digit {
                side: Side::A,
                event: 3,
                ..
            }
        ),
        "{told:?}"
    );
    rig.a.send(&rtp(9, 7));
    assert_eq!(rig.b.receive(), rtp(9, 7));
    rig.handled(8);
    assert!(rig.events.try_recv().is_err(), "told once");
    assert!(quiet(&rig.b.rtp));
}
