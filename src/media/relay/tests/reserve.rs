//! Ports in reserve: they carry nothing before they are changed for those in use, and what is given back is given back.

use super::rig::{Phone, Rig, STREAM, quiet, rtp, socket};
use crate::{
    call::Side,
    media::{MediaCommand, MediaEvent, Protection, StreamKind},
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Reserves ports for a side at that address; which they are.
fn reserve(rig: &Rig, side: Side, address: IpAddr, order: u32) -> (SocketAddr, SocketAddr) {
    rig.session.send(MediaCommand::Reserve {
        side,
        stream: STREAM,
        kind: StreamKind::Audio,
        address,
        number: order,
    });
    match rig.event() {
        MediaEvent::Reserved {
            side: of,
            number,
            rtp,
            rtcp,
            ..
        } => {
            assert_eq!((of, number), (side, order));
            (rtp, rtcp)
        }
        other => panic!("{other:?}"),
    }
}

/// A phone that takes the place of another, at those ports.
fn guest(side: Side, ip: IpAddr, (relay_rtp, relay_rtcp): (SocketAddr, SocketAddr)) -> Phone {
    Phone {
        side,
        rtp: socket(ip),
        rtcp: socket(ip),
        relay_rtp,
        relay_rtcp,
    }
}

#[test]
fn ports_in_reserve_carry_nothing_and_then_everything_and_the_former_ones_nothing() {
    let rig = Rig::plain();
    let other = IpAddr::from([127, 0, 0, 2]);
    let reserved = reserve(&rig, Side::A, other, 7);
    assert_eq!(reserved.0.ip(), other);
    assert_eq!(rig.relay.gauges().sockets, 6);
    let guest = guest(Side::A, other, reserved);
    // It speaks before it is there: that was for nobody, later too.
    for number in 1..5 {
        guest.send(&rtp(9, number));
    }
    rig.a.send(&rtp(1, 1));
    assert_eq!(rig.b.receive(), rtp(1, 1), "who is there is heard");
    assert!(quiet(&rig.b.rtp));

    rig.session.send(MediaCommand::Change { side: Side::A });
    rig.connect(guest.connect(Protection::Clear, Protection::Clear));
    rig.b.send(&rtp(2, 1));
    assert_eq!(guest.receive(), rtp(2, 1), "from the port that it was told");
    guest.send(&rtp(9, 5));
    assert_eq!(rig.b.receive(), rtp(9, 5), "and nothing that it had said before");
    rig.a.send(&rtp(1, 2));
    assert!(quiet(&rig.b.rtp), "who has left is not heard");

    // It comes back.
    rig.session.send(MediaCommand::Change { side: Side::A });
    rig.connect(rig.a.connect(Protection::Clear, Protection::Clear));
    rig.b.send(&rtp(2, 2));
    assert_eq!(rig.a.receive(), rtp(2, 2));
    rig.a.send(&rtp(1, 3));
    assert_eq!(rig.b.receive(), rtp(1, 3));
    guest.send(&rtp(9, 6));
    assert!(quiet(&rig.b.rtp));
    rig.session.send(MediaCommand::Release { side: Side::A });
    rig.a.send(&rtp(1, 4));
    assert_eq!(rig.b.receive(), rtp(1, 4));
    assert_eq!(rig.relay.gauges().sockets, 4);
    rig.close();
    assert_eq!(rig.relay.gauges().sockets, 0);
}

#[test]
fn what_is_in_reserve_is_closed_with_the_call_and_what_replaces_it_closes_it() {
    let rig = Rig::plain();
    let home = Ipv4Addr::LOCALHOST.into();
    let first = reserve(&rig, Side::B, home, 1);
    let second = reserve(&rig, Side::B, home, 2);
    assert_ne!(first, second);
    assert_eq!(rig.relay.gauges().sockets, 6);
    // A stream that is shut keeps what is in reserve for it: it may be taken in again.
    rig.session.send(MediaCommand::Shut { stream: STREAM });
    rig.session.send(MediaCommand::Count);
    assert!(matches!(rig.event(), MediaEvent::Counted(_)));
    assert_eq!(rig.relay.gauges().sockets, 2);
    rig.close();
    assert_eq!(rig.relay.gauges().sockets, 0);
}

#[test]
fn what_cannot_be_reserved_is_said_with_its_number_and_nothing_is_lost() {
    let rig = Rig::plain();
    rig.session.send(MediaCommand::Reserve {
        side: Side::A,
        stream: STREAM,
        kind: StreamKind::Audio,
        address: "192.0.2.1".parse().unwrap(),
        number: 3,
    });
    match rig.event() {
        MediaEvent::ReserveFailed { number, reason, .. } => assert!(number == 3 && !reason.is_empty()),
        other => panic!("{other:?}"),
    }
    // Nothing to change for: nothing changes.
    rig.session.send(MediaCommand::Change { side: Side::A });
    rig.a.send(&rtp(1, 1));
    assert_eq!(rig.b.receive(), rtp(1, 1));
    assert_eq!(rig.relay.gauges().sockets, 4);
}
