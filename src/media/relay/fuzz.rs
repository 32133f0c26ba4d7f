//! What the fuzzers do to the relay's inner parts; see `testing::fuzz`.

use super::{
    flow::{Leaves, Stream},
    numbering::Numbering,
    ports::SplitMix,
    rtcp,
};
use crate::{
    call::Side,
    media::{
        Component, Connect, KeyAgreement, KeyFrameRequest, PayloadMap, Protection, Remote, SrtpKey, StreamId,
        Suite,
        packet::{self, Packet},
        srtp::SrtpIn,
    },
};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};

/// Any datagram: what is read without a key stays within it.
pub(crate) fn demux(data: &[u8]) {
    let _ = packet::classify(data);
    if let Some(header) = packet::rtp_header(data) {
        assert!(
            header.length <= data.len(),
            "the payload begins within the packet"
        );
    }
    let _ = packet::rtcp_sender(data);
    if rtcp::well_formed(data) {
        let numbering = Numbering::new(SplitMix::from_system());
        let mut bytes = data.to_vec();
        rtcp::rewrite(&mut bytes, &numbering, &numbering);
        assert_eq!(bytes, data, "nothing to rewrite, nothing rewritten");
    }
}

/// Two legs, leg A keyed now and then: signalling and packets in any order. Nothing from a stranger passes in the clear,
/// nothing leaves in the clear towards a keyed leg, nothing leaves for an address that was not signalled or proved.
#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
pub(crate) fn flow(data: &[u8]) {
    let mut stream = Stream::default();
    let mut now = Instant::now();
    let mut packet = Packet::new();
    let mut phone: Option<SrtpIn> = None;
    let mut rest = data;
    while let [operation, choice, length, after @ ..] = rest {
        let (bytes, after) = after.split_at(after.len().min(usize::from(*length)));
        rest = after;
        let side = if operation & 1 == 0 { Side::A } else { Side::B };
        now += Duration::from_millis(u64::from(*choice) * 10);
        if operation & 2 == 0 {
            let connect = connect(side, *choice);
            if side == Side::A {
                phone = match &connect.send {
                    Protection::Srtp(key) => SrtpIn::new(key).ok(),
                    Protection::Clear | Protection::Blocked => None,
                };
            }
            stream.connect(&connect, now);
            let _ = stream.end(side).fell_silent(now);
            for asked in [Side::A, Side::B] {
                let Some((_, to)) = stream.end(asked).request(&mut packet, now) else {
                    continue;
                };
                assert_ne!(to, stranger(), "nobody else is asked");
                match (asked, &mut phone) {
                    (Side::A, Some(phone)) => {
                        let opened = phone.open_rtcp(&mut packet);
                        assert!(opened.is_ok(), "a keyed leg is asked under its key");
                    }
                    (Side::A, None) => assert!(rtcp::well_formed(packet.bytes())),
                    // Keyed now and then, too; nobody has its keys here.
                    (Side::B, _) => {}
                }
            }
            continue;
        }
        let component = if operation & 4 == 0 {
            Component::Rtp
        } else {
            Component::Rtcp
        };
        let source = if operation & 8 == 0 {
            address(side, choice & 1)
        } else {
            stranger()
        };
        packet.fill(bytes);
        let Ok(leaves) = stream.flow(side).forward(&mut packet, component, source, now) else {
            continue;
        };
        assert_ne!(
            source,
            stranger(),
            "nothing is taken from a stranger who proved nothing"
        );
        let Leaves::Across { to, payload, .. } = leaves else {
            assert!((16..64).contains(&packet.bytes()[0]), "no RTP is handed up");
            continue;
        };
        assert_ne!(to, stranger(), "nothing is sent to one");
        if let (Side::B, Some(phone)) = (side, &mut phone) {
            let opened = match payload {
                Some(_) => phone.open_rtp(&mut packet).map(|_| ()),
                None => phone.open_rtcp(&mut packet).map(|_| ()),
            };
            assert_eq!(
                opened,
                Ok(()),
                "what leaves for a keyed leg is sealed with its key"
            );
        }
    }
}

fn address(side: Side, choice: u8) -> SocketAddr {
    let port = if side == Side::A { 4000 } else { 5000 };
    (Ipv4Addr::new(192, 0, 2, 1 + choice), port).into()
}

fn stranger() -> SocketAddr {
    (Ipv4Addr::new(203, 0, 113, 9), 666).into()
}

/// Renumbers, discards, and takes something for RED.
fn payloads(choice: u8) -> PayloadMap {
    let mut map = PayloadMap::identity();
    (0..128)
        .step_by(3)
        .for_each(|number| map.map(number, number ^ (choice & 0x7f)));
    map.discard(choice);
    map.mark_redundant(choice.wrapping_mul(5), choice & 1 == 0);
    map
}

fn connect(side: Side, choice: u8) -> Connect {
    let suite = Suite::ALL[usize::from(choice >> 2) % Suite::ALL.len()];
    let protection = |seed| match choice & 3 {
        0 => Protection::Blocked,
        1 => Protection::Clear,
        _ => Protection::Srtp(SrtpKey {
            suite,
            master: vec![seed; suite.master_length()].into(),
            mki: None,
        }),
    };
    let at = (choice & 0x80 == 0).then(|| address(side, choice >> 6 & 1));
    Connect {
        side,
        stream: StreamId(0),
        remote: Remote {
            rtp: at,
            rtcp: at,
            mux: choice & 0x20 != 0,
            also_from: vec![address(side, 1).ip()],
            latch_any: false,
        },
        receive: protection(1),
        send: protection(2),
        rtcp: None,
        agreement: match choice % 3 {
            0 => None,
            1 => Some(KeyAgreement::Dtls),
            _ => Some(KeyAgreement::Zrtp),
        },
        payloads: (choice & 0x10 != 0).then(|| Box::new(payloads(choice))),
        clocks: Box::new([(0, 8000)]),
        feedback: choice & 0x08 == 0,
        key_frames: match choice & 3 {
            0 => None,
            1 => Some(KeyFrameRequest::Fir),
            _ => Some(KeyFrameRequest::Pli),
        },
        events: None,
        silence: Some(Duration::from_secs(1)),
        alive: (choice & 0x04 != 0).then(|| Duration::from_millis(100)),
    }
}
