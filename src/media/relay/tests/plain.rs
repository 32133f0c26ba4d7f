//! Plain RTP on both legs.

use super::rig::{Rig, STREAM, discarded, eventually, rtp, sender_report, socket};
use crate::{
    call::Side,
    media::{MediaCommand, MediaEvent, Protection, StreamKind, relay::Discard},
};
use std::{net::Ipv4Addr, time::Duration};

const CLEAR: Protection = Protection::Clear;

#[test]
fn packets_pass_unchanged_both_ways() {
    let rig = Rig::plain();
    for number in 0..50 {
        rig.a.send(&rtp(1, number));
        assert_eq!(rig.b.receive(), rtp(1, number));
        rig.b.send(&rtp(2, number));
        assert_eq!(rig.a.receive(), rtp(2, number));
    }
    rig.a.send_rtcp(&sender_report(1, 50));
    assert_eq!(rig.b.receive_rtcp(), sender_report(1, 50));
    rig.b.send_rtcp(&sender_report(2, 50));
    assert_eq!(rig.a.receive_rtcp(), sender_report(2, 50));
    for counts in rig.close() {
        assert_eq!(
            (counts.received, counts.sent, counts.octets, counts.lost),
            (50, 50, 8000, 0)
        );
        assert_eq!(counts.discarded, []);
    }
}

#[test]
fn ipv6_on_one_leg_meets_ipv4_on_the_other() {
    let rig = Rig::open_on(
        Ipv4Addr::LOCALHOST.into(),
        "::1".parse().unwrap(),
        StreamKind::Video,
    );
    rig.connect(rig.a.connect(CLEAR, CLEAR));
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    for number in 0..50 {
        rig.a.send(&rtp(1, number));
    }
    for number in 0..50 {
        assert_eq!(rig.b.receive(), rtp(1, number));
    }
    rig.b.send(&rtp(2, 9));
    assert_eq!(rig.a.receive(), rtp(2, 9));
}

#[test]
fn rtcp_mux_on_one_leg_meets_two_ports_on_the_other() {
    let rig = Rig::open();
    let mut a = rig.a.connect(CLEAR, CLEAR);
    a.remote.mux = true;
    a.remote.rtcp = a.remote.rtp;
    rig.connect(a);
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    rig.a.send(&sender_report(1, 1));
    assert_eq!(rig.b.receive_rtcp(), sender_report(1, 1));
    rig.b.send_rtcp(&sender_report(2, 1));
    assert_eq!(rig.a.receive(), sender_report(2, 1));
    rig.a.send(&rtp(1, 1));
    assert_eq!(rig.b.receive(), rtp(1, 1));
}

#[test]
fn what_is_not_media_is_counted_and_goes_nowhere() {
    let rig = Rig::plain();
    let stranger = socket(Ipv4Addr::LOCALHOST.into());
    for bytes in [
        &[0, 1, 0, 0][..],
        &[22, 254, 253],
        &[0x10, 0, 1],
        &[200, 1],
        &[],
        &rtp(1, 1)[..11],
        &[0x81; 2],
        &[0x80; 3],
    ] {
        rig.a.send(bytes);
        stranger.send_to(bytes, rig.a.relay_rtp).unwrap();
    }
    rig.a.send_rtcp(&sender_report(1, 1)[..20]);
    rig.a.send_rtcp(&rtp(1, 1));
    rig.a.send(&rtp(1, 2));
    assert_eq!(rig.b.receive(), rtp(1, 2), "nothing came before it");
    let gauges = rig.relay.gauges();
    assert_eq!(
        (gauges.sessions, gauges.flows, gauges.sockets, gauges.ports),
        (1, 2, 4, 4)
    );
    let [a, _] = rig.close();
    assert_eq!(discarded(&a, Discard::Stun), 1);
    assert_eq!(discarded(&a, Discard::Dtls), 1);
    assert_eq!(discarded(&a, Discard::Zrtp), 1);
    assert_eq!(discarded(&a, Discard::Malformed), 7);
    assert_eq!(discarded(&a, Discard::WrongPeer), 8);
}

#[test]
fn each_leg_waits_until_the_other_is_connected() {
    let rig = Rig::open();
    rig.a.send(&rtp(1, 1));
    rig.handled(1);
    rig.connect(rig.a.connect(CLEAR, CLEAR));
    rig.a.send(&rtp(1, 2));
    rig.handled(2);
    let mut b = rig.b.connect(CLEAR, CLEAR);
    b.remote.rtp = None;
    rig.connect(b);
    rig.a.send(&rtp(1, 3));
    rig.handled(3);
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    rig.a.send(&rtp(1, 4));
    assert_eq!(rig.b.receive(), rtp(1, 4));
    let [a, _] = rig.close();
    assert_eq!(
        discarded(&a, Discard::NotKeyed),
        1,
        "before it was connected itself"
    );
    assert_eq!(
        discarded(&a, Discard::Held),
        2,
        "before the other side had an address"
    );
}

#[test]
fn shutting_a_stream_gives_its_ports_back_and_it_can_come_again() {
    let rig = Rig::plain();
    rig.a.send(&rtp(1, 1));
    assert_eq!(rig.b.receive(), rtp(1, 1));
    rig.session.send(MediaCommand::Shut { stream: STREAM });
    rig.session.send(MediaCommand::Open {
        side: Side::A,
        stream: STREAM,
        kind: StreamKind::Audio,
        address: Ipv4Addr::LOCALHOST.into(),
    });
    assert!(matches!(rig.event(), MediaEvent::Opened { side: Side::A, .. }));
    assert_eq!(rig.relay.gauges().sockets, 2);
    let [a, b] = rig.close();
    assert_eq!((a.received, b.sent), (1, 1), "counts outlive the ports");
    assert_eq!(rig.relay.gauges().sockets, 0);
}

#[test]
fn opening_again_replaces_the_ports() {
    let rig = Rig::plain();
    rig.session.send(MediaCommand::Open {
        side: Side::A,
        stream: STREAM,
        kind: StreamKind::Audio,
        address: Ipv4Addr::LOCALHOST.into(),
    });
    let MediaEvent::Opened { rtp: new, .. } = rig.event() else {
        panic!("not opened")
    };
    assert_ne!(new, rig.a.relay_rtp);
    rig.a.rtp.send_to(&rtp(1, 1), new).unwrap();
    assert_eq!(rig.b.receive(), rtp(1, 1));
    assert_eq!(rig.relay.gauges().sockets, 4);
}

#[test]
fn an_address_that_is_not_ours_fails_to_open_with_a_reason() {
    let rig = Rig::plain();
    rig.session.send(MediaCommand::Open {
        side: Side::B,
        stream: STREAM,
        kind: StreamKind::Audio,
        address: "192.0.2.1".parse().unwrap(),
    });
    let MediaEvent::OpenFailed {
        side: Side::B,
        reason,
        ..
    } = rig.event()
    else {
        panic!("opened")
    };
    assert!(!reason.is_empty());
    rig.a.send(&rtp(1, 1));
    assert_eq!(
        rig.b.receive(),
        rtp(1, 1),
        "the ports that it had are still there"
    );
}

#[test]
fn dropping_a_session_closes_everything() {
    let rig = Rig::plain();
    let Rig {
        relay, session, a, ..
    } = rig;
    drop(session);
    eventually(|| relay.gauges().sockets == 0 && relay.gauges().sessions == 0);
    std::net::UdpSocket::bind(a.relay_rtp).expect("the port is free again");
}

#[test]
fn silence_is_told_once_until_a_packet_comes() {
    let rig = Rig::plain();
    let mut a = rig.a.connect(CLEAR, CLEAR);
    a.silence = Some(Duration::from_millis(300));
    rig.connect(a);
    assert!(matches!(
        rig.event(),
        MediaEvent::Silent {
            side: Side::A,
            stream: STREAM
        }
    ));
    rig.a.send(&rtp(1, 1));
    assert_eq!(rig.b.receive(), rtp(1, 1));
    assert!(matches!(rig.event(), MediaEvent::Silent { side: Side::A, .. }));
    rig.connect(rig.a.connect(CLEAR, CLEAR));
    rig.close();
    assert!(rig.events.is_empty(), "no limit, no report");
}

/// RFC 6263: who is held without music gets something all the same.
#[test]
fn acceptance_11_a_side_that_gets_no_voice_gets_what_keeps_its_path_open() {
    let rig = Rig::plain();
    let mut b = rig.b.connect(CLEAR, CLEAR);
    b.alive = Some(Duration::from_millis(300));
    rig.connect(b);
    let (first, second) = (rig.b.receive(), rig.b.receive());
    for packet in [&first, &second] {
        assert_eq!((packet.len(), packet[0], packet[1]), (12, 0x80, 20));
    }
    assert_eq!(first[8..], second[8..]);
    // Voice is voice.
    rig.a.send(&rtp(1, 1));
    loop {
        let packet = rig.b.receive();
        if packet == rtp(1, 1) {
            break;
        }
        assert_eq!(packet.len(), 12);
    }
    rig.close();
}
