//! Key agreements at the ports of the media: handed up from allowed sources, at a rate, and sent as they are.

use super::rig::{Crypto, Rig, discarded, key, quiet, rtp, sender_report, socket};
use crate::{
    call::Side,
    media::{
        Component, KeyAgreement, MediaCommand, MediaEvent, Protection, Protections, Suite, relay::Discard,
    },
};
use std::net::{IpAddr, Ipv4Addr};

const BLOCKED: Protection = Protection::Blocked;
const CLEAR: Protection = Protection::Clear;
const ELSEWHERE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));

/// Content type 22, DTLS 1.0 as a first ClientHello has it, and a number.
fn hello(number: u16) -> Vec<u8> {
    let mut bytes = vec![22, 254, 255, 0, 0];
    bytes.extend(number.to_be_bytes());
    bytes
}

fn zrtp() -> Vec<u8> {
    let mut bytes = vec![0x10, 0, 0, 1];
    bytes.extend(b"ZRTP");
    bytes
}

/// A call of which leg A has a key agreement to come.
fn rig(agreement: KeyAgreement) -> Rig {
    let rig = Rig::open();
    let mut a = rig.a.connect(BLOCKED, BLOCKED);
    a.agreement = Some(agreement);
    rig.connect(a);
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    rig
}

fn control(rig: &Rig) -> (Component, Vec<u8>) {
    match rig.event() {
        MediaEvent::Control {
            side: Side::A,
            component,
            bytes,
            ..
        } => (component, bytes),
        other => panic!("{other:?}"),
    }
}

#[test]
fn packets_of_the_agreement_that_goes_on_are_handed_up_and_answered_from_the_same_port() {
    for (agreement, packet, other) in [
        (KeyAgreement::Dtls, hello(1), zrtp()),
        (KeyAgreement::Zrtp, zrtp(), hello(1)),
    ] {
        let rig = rig(agreement);
        rig.a.send(&other);
        rig.a.send(&packet);
        rig.a.send_rtcp(&packet);
        rig.b.send(&packet);
        let mut handed = [control(&rig), control(&rig)];
        handed.sort_by_key(|(component, _)| *component);
        assert_eq!(
            handed,
            [
                (Component::Rtp, packet.clone()),
                (Component::Rtcp, packet.clone())
            ]
        );
        for (component, to) in [(Component::Rtp, &rig.a.rtp), (Component::Rtcp, &rig.a.rtcp)] {
            rig.session.send(MediaCommand::Send {
                side: Side::A,
                stream: super::rig::STREAM,
                component,
                bytes: packet.clone(),
                to: to.local_addr().unwrap(),
            });
        }
        assert_eq!(rig.a.receive(), packet);
        assert_eq!(rig.a.receive_rtcp(), packet);
        rig.handled(2);
        assert!(rig.events.is_empty(), "and nothing else");
        let [a, b] = rig.close();
        let why = |agreement| match agreement {
            KeyAgreement::Dtls => Discard::Dtls,
            KeyAgreement::Zrtp => Discard::Zrtp,
        };
        assert_eq!(discarded(&b, why(agreement)), 1, "leg B has none");
        assert_eq!(a.discarded.iter().map(|(_, count)| count).sum::<u64>(), 1);
    }
}

/// The relay's part of acceptance #5: ClientHellos from elsewhere end here, and so does a flood from where the peer may be.
#[test]
fn acceptance_5_stray_hellos_are_not_handed_up_and_a_flood_takes_no_room_from_the_peer() {
    let rig = Rig::open();
    let mut a = rig.a.connect(BLOCKED, BLOCKED);
    a.agreement = Some(KeyAgreement::Dtls);
    a.remote.also_from = vec![Ipv4Addr::LOCALHOST.into()];
    rig.connect(a);
    let strangers = [socket(ELSEWHERE), socket(Ipv4Addr::LOCALHOST.into())];
    for number in 0..1000u16 {
        for stranger in &strangers {
            stranger.send_to(&hello(number), rig.a.relay_rtp).unwrap();
        }
        if number % 50 == 49 {
            let handed = rig.events.len() as u64;
            rig.handled((2 * u64::from(number) + 2).saturating_sub(handed + 100));
        }
    }
    rig.a.send(&hello(7777));
    let mut from_elsewhere = 0;
    loop {
        match rig.event() {
            MediaEvent::Control { from, bytes, .. } if from == rig.a.rtp.local_addr().unwrap() => {
                assert_eq!(bytes, hello(7777));
                break;
            }
            MediaEvent::Control { from, .. } => {
                assert_eq!(from, strangers[1].local_addr().unwrap());
                from_elsewhere += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(from_elsewhere < 500, "{from_elsewhere} of 1,000 handed up");
    let [a, _] = rig.close();
    assert!(discarded(&a, Discard::WrongPeer) > 500, "{a:?}");
    assert!(discarded(&a, Discard::Flood) > 300, "{a:?}");
}

#[test]
fn nothing_passes_before_the_keys_and_rtcp_may_have_its_own() {
    let suite = Suite::AesCm128HmacSha1_80;
    let rig = rig(KeyAgreement::Dtls);
    rig.a.send(&rtp(1, 1));
    rig.a.send_rtcp(&sender_report(1, 1));
    rig.b.send(&rtp(2, 1));
    rig.b.send_rtcp(&sender_report(2, 1));
    rig.handled(4);
    assert!(quiet(&rig.a.rtp) && quiet(&rig.b.rtp) && quiet(&rig.a.rtcp) && quiet(&rig.b.rtcp));
    let keys: Vec<_> = (1..5).map(|seed| key(suite, seed)).collect();
    let mut a = rig.a.connect(
        Protection::Srtp(keys[0].clone()),
        Protection::Srtp(keys[1].clone()),
    );
    a.rtcp = Some(Box::new(Protections {
        receive: Protection::Srtp(keys[2].clone()),
        send: Protection::Srtp(keys[3].clone()),
    }));
    rig.connect(a.clone());
    let mut voice = Crypto::new(&keys[0], &keys[1]);
    let mut reports = Crypto::new(&keys[2], &keys[3]);
    rig.a.send(&voice.seal(&rtp(1, 2)));
    assert_eq!(rig.b.receive(), rtp(1, 2));
    rig.a.send_rtcp(&voice.seal_rtcp(&sender_report(1, 2)));
    rig.a.send_rtcp(&reports.seal_rtcp(&sender_report(1, 3)));
    assert_eq!(
        rig.b.receive_rtcp(),
        sender_report(1, 3),
        "under its own key only"
    );
    rig.b.send(&rtp(2, 2));
    assert_eq!(voice.open(&rig.a.receive()), rtp(2, 2));
    rig.b.send_rtcp(&sender_report(2, 2));
    assert_eq!(reports.open_rtcp(&rig.a.receive_rtcp()), sender_report(2, 2));
    // The same again keeps what has been received and sent under the keys.
    let replayed = reports.seal_rtcp(&sender_report(1, 4));
    rig.a.send_rtcp(&replayed);
    assert_eq!(rig.b.receive_rtcp(), sender_report(1, 4));
    rig.connect(a);
    rig.a.send_rtcp(&replayed);
    rig.b.send_rtcp(&sender_report(2, 3));
    assert_eq!(reports.open_rtcp(&rig.a.receive_rtcp()), sender_report(2, 3));
    let [a, _] = rig.close();
    assert_eq!(discarded(&a, Discard::Replay), 1);
    assert_eq!(discarded(&a, Discard::Auth), 1);
}

/// RFC 6189 §4.6: media under the new key says what a Conf2ACK says.
#[test]
fn the_first_packet_that_authenticates_under_a_key_of_zrtp_is_told_once() {
    let suite = Suite::AesCm128HmacSha1_80;
    let rig = rig(KeyAgreement::Zrtp);
    let connect = |own: u8, agreement| {
        let (own, relays) = (key(suite, own), key(suite, own + 1));
        let crypto = Crypto::new(&own, &relays);
        let mut connect = rig.a.connect(Protection::Srtp(own), Protection::Srtp(relays));
        connect.agreement = agreement;
        rig.connect(connect.clone());
        (connect, crypto)
    };
    let told = || {
        let event = rig.event();
        assert!(
            matches!(event, MediaEvent::Authenticated { side: Side::A, stream } if stream == super::rig::STREAM),
            "{event:?}"
        );
    };
    let (first, mut phone) = connect(1, Some(KeyAgreement::Zrtp));
    let (_, mut stranger) = (0, Crypto::new(&key(suite, 8), &key(suite, 9)));
    rig.a.send(&stranger.seal(&rtp(1, 1)));
    rig.handled(1);
    assert!(rig.events.is_empty(), "forged");
    // Leg B cannot take it yet: that it authenticated is told all the same.
    let mut nowhere = rig.b.connect(BLOCKED, BLOCKED);
    nowhere.remote.rtp = None;
    rig.connect(nowhere);
    rig.a.send(&phone.seal(&rtp(1, 1)));
    told();
    rig.connect(rig.b.connect(CLEAR, CLEAR));
    rig.connect(first);
    for ssrc in 1..4 {
        rig.a.send(&phone.seal(&rtp(ssrc, 2)));
        assert_eq!(rig.b.receive(), rtp(ssrc, 2));
    }
    assert!(rig.events.is_empty(), "once");
    let (_, mut phone) = connect(3, Some(KeyAgreement::Zrtp));
    rig.a.send(&phone.seal(&rtp(1, 3)));
    told();
    // Nobody waits for it where the key is another's.
    let (_, mut phone) = connect(5, None);
    rig.a.send(&phone.seal(&rtp(1, 4)));
    rig.handled(7);
    assert!(rig.events.is_empty());
}
