//! Acceptance #1 and #2 over the wire: re-INVITEs with the same key, a new key, a new key and port, against peers that
//! begin again at rollover counter 0 and peers that go on.

use super::rig::{Crypto, Rig, key, rtp, socket};
use crate::media::{
    Protection, Suite,
    packet::Packet,
    srtp::{SrtpIn, SrtpOut},
};

/// What a re-INVITE changes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Renewal {
    SameKey,
    PeersKey,
    BothKeys,
    BothKeysAndPort,
}

/// Brings both directions of leg A beyond their first rollover: the phone's stream 1 and ours of source 2.
fn beyond_the_first_wrap(rig: &Rig, phone: &mut Crypto) {
    // In steps that neither side takes for a restart.
    for number in (0..0x1_0100u32).step_by(2000).chain(0x1_0100..0x1_0110) {
        let number = number as u16;
        rig.a.send(&phone.seal(&rtp(1, number)));
        assert_eq!(rig.b.receive(), rtp(1, number));
        rig.b.send(&rtp(2, number));
        assert_eq!(phone.open(&rig.a.receive()), rtp(2, number));
    }
}

fn renewed(renewal: Renewal, goes_on: bool, suite: Suite) {
    let told = format!("{renewal:?}, the peer goes on: {goes_on}, {suite}");
    let (mut rig, mut phone) = Rig::keyed(suite);
    beyond_the_first_wrap(&rig, &mut phone);
    let (own, relays) = match renewal {
        Renewal::SameKey => (key(suite, 1), key(suite, 2)),
        Renewal::PeersKey => (key(suite, 3), key(suite, 2)),
        Renewal::BothKeys | Renewal::BothKeysAndPort => (key(suite, 3), key(suite, 4)),
    };
    if renewal == Renewal::BothKeysAndPort {
        rig.a.rtp = socket(rig.a.relay_rtp.ip());
    }
    rig.connect(
        rig.a
            .connect(Protection::Srtp(own.clone()), Protection::Srtp(relays.clone())),
    );
    // What the peer makes of it.
    let before = std::mem::replace(&mut phone, Crypto::new(&own, &relays));
    if goes_on {
        if own == key(suite, 1) {
            phone.out = before.out;
        } else {
            // A sender that keeps its rollover counter: as if it had sealed the first turn under this key.
            let mut packet = Packet::new();
            for number in [0u16, 30_000, 60_000, 0x0110 - 1] {
                packet.fill(&rtp(1, number));
                phone.out.seal_rtp(&mut packet).unwrap();
            }
        }
        if relays == key(suite, 2) {
            phone.context = before.context;
        } else {
            // A receiver that keeps it believes nothing else: it has opened the first turn under this key.
            phone.context = kept(&relays);
        }
    }
    for number in 0x0110..0x0140 {
        rig.a.send(&phone.seal(&rtp(1, number)));
        assert_eq!(rig.b.receive(), rtp(1, number), "{told}");
        rig.b.send(&rtp(2, number));
        let heard = rig.a.receive();
        let mut packet = Packet::new();
        packet.fill(&heard);
        assert!(
            phone.context.open_rtp(&mut packet).is_ok(),
            "{told}: packet {number:x} is not opened"
        );
        assert_eq!(packet.bytes()[12..], rtp(2, number)[12..], "{told}");
    }
}

/// A receiver that has source 2 beyond its first rollover under this key.
fn kept(key: &crate::media::SrtpKey) -> SrtpIn {
    let (mut out, mut context) = (SrtpOut::new(key).unwrap(), SrtpIn::new(key).unwrap());
    for number in [0u16, 30_000, 60_000, 0x010f] {
        let mut packet = Packet::new();
        packet.fill(&rtp(2, number));
        out.seal_rtp(&mut packet).unwrap();
        context.open_rtp(&mut packet).unwrap();
    }
    context
}

#[test]
fn acceptance_1_audio_goes_on_after_every_renewal_with_either_kind_of_peer() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        for renewal in [
            Renewal::SameKey,
            Renewal::PeersKey,
            Renewal::BothKeys,
            Renewal::BothKeysAndPort,
        ] {
            for goes_on in [true, false] {
                renewed(renewal, goes_on, suite);
            }
        }
    }
}

#[test]
fn until_the_peer_has_our_answer_its_old_key_counts() {
    for suite in [Suite::AesCm128HmacSha1_80, Suite::AeadAes128Gcm] {
        let (rig, mut old) = Rig::keyed(suite);
        rig.a.send(&old.seal(&rtp(1, 1)));
        assert_eq!(rig.b.receive(), rtp(1, 1));
        let (own, relays) = (key(suite, 3), key(suite, 2));
        rig.connect(
            rig.a
                .connect(Protection::Srtp(own.clone()), Protection::Srtp(relays.clone())),
        );
        rig.a.send(&old.seal(&rtp(1, 2)));
        assert_eq!(rig.b.receive(), rtp(1, 2));
        let straggler = old.seal(&rtp(1, 3));
        let mut new = Crypto::new(&own, &relays);
        rig.a.send(&new.seal(&rtp(1, 4)));
        assert_eq!(rig.b.receive(), rtp(1, 4));
        rig.a.send(&straggler);
        rig.a.send(&new.seal(&rtp(1, 5)));
        assert_eq!(
            rig.b.receive(),
            rtp(1, 5),
            "with the new key in use the old one has ended"
        );
    }
}

/// Acceptance #2: a key that comes back goes on where it was, in both directions.
#[test]
fn acceptance_2_a_key_that_comes_back_neither_repeats_nor_takes_what_it_took() {
    let suite = Suite::AesCm128HmacSha1_80;
    let (rig, mut first) = Rig::keyed(suite);
    let recorded = first.seal(&rtp(1, 1));
    rig.a.send(&recorded);
    assert_eq!(rig.b.receive(), rtp(1, 1));
    rig.b.send(&rtp(2, 1));
    assert_eq!(first.open(&rig.a.receive()), rtp(2, 1));
    let other = key(suite, 9);
    rig.connect(
        rig.a
            .connect(Protection::Srtp(other.clone()), Protection::Srtp(other)),
    );
    rig.connect(
        rig.a
            .connect(Protection::Srtp(key(suite, 1)), Protection::Srtp(key(suite, 2))),
    );
    rig.a.send(&recorded);
    rig.a.send(&first.seal(&rtp(1, 2)));
    assert_eq!(rig.b.receive(), rtp(1, 2), "the recorded one is still known");
    // The plain source begins again: our numbers go on.
    for number in [1, 1, 2, 3] {
        let mut bytes = rtp(2, number);
        bytes[4..8].copy_from_slice(&(90_000 + u32::from(number)).to_be_bytes());
        rig.b.send(&bytes);
    }
    let opened = first.open(&rig.a.receive());
    assert_eq!(opened[2..4], 2u16.to_be_bytes());
}
