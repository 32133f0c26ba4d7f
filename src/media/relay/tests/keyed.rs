//! Keys on one leg or both: trenscrypting, no clear fallback, forged and replayed packets.

use super::rig::{Crypto, Rig, discarded, key, quiet, rtp, sender_report};
use crate::media::{Protection, Suite, relay::Discard};

const SUITE: Suite = Suite::AesCm128HmacSha1_80;

#[test]
fn a_keyed_leg_meets_a_plain_one_under_every_suite() {
    for suite in Suite::ALL {
        let (rig, mut phone) = Rig::keyed(suite);
        for number in 0..30 {
            rig.a.send(&phone.seal(&rtp(1, number)));
            assert_eq!(rig.b.receive(), rtp(1, number), "{suite}");
            rig.b.send(&rtp(2, number));
            assert_eq!(phone.open(&rig.a.receive()), rtp(2, number), "{suite}");
        }
        rig.a.send_rtcp(&phone.seal_rtcp(&sender_report(1, 30)));
        assert_eq!(rig.b.receive_rtcp(), sender_report(1, 30), "{suite}");
        rig.b.send_rtcp(&sender_report(2, 30));
        assert_eq!(
            phone.open_rtcp(&rig.a.receive_rtcp()),
            sender_report(2, 30),
            "{suite}"
        );
        for counts in rig.close() {
            assert_eq!((counts.received, counts.sent, counts.octets), (30, 30, 30 * 160));
            assert_eq!(counts.discarded, []);
        }
    }
}

#[test]
fn two_keyed_legs_have_keys_of_their_own() {
    let rig = Rig::open();
    let keys = [
        (SUITE, 1),
        (SUITE, 2),
        (Suite::AeadAes256Gcm, 3),
        (Suite::AeadAes256Gcm, 4),
    ]
    .map(|(suite, seed)| key(suite, seed));
    let [a_own, a_relays, b_own, b_relays] = &keys;
    let srtp = |key: &crate::media::SrtpKey| Protection::Srtp(key.clone());
    rig.connect(rig.a.connect(srtp(a_own), srtp(a_relays)));
    rig.connect(rig.b.connect(srtp(b_own), srtp(b_relays)));
    let (mut a, mut b) = (Crypto::new(a_own, a_relays), Crypto::new(b_own, b_relays));
    for number in 65_500..=65_535 {
        rig.a.send(&a.seal(&rtp(1, number)));
        assert_eq!(b.open(&rig.b.receive()), rtp(1, number));
        rig.b.send(&b.seal(&rtp(2, number)));
        assert_eq!(a.open(&rig.a.receive()), rtp(2, number));
    }
    for number in 0..30 {
        rig.a.send(&a.seal(&rtp(1, number)));
        assert_eq!(b.open(&rig.b.receive()), rtp(1, number), "over the wrap");
    }
}

/// Acceptance #9: what a keyed leg takes and sends in the clear is nothing.
#[test]
fn a_keyed_leg_takes_and_sends_nothing_in_the_clear() {
    let (rig, mut phone) = Rig::keyed(SUITE);
    for number in 0..100 {
        rig.a.send(&rtp(1, number));
        rig.a.send_rtcp(&sender_report(1, u32::from(number)));
    }
    rig.a.send(&phone.seal(&rtp(1, 100)));
    assert_eq!(rig.b.receive(), rtp(1, 100), "nothing came before it");
    assert!(quiet(&rig.b.rtcp));
    for number in 0..100 {
        rig.b.send(&rtp(2, number));
        let sent = rig.a.receive();
        assert_ne!(sent[12..172], rtp(2, number)[12..]);
        assert_eq!(phone.open(&sent), rtp(2, number));
    }
    let [a, _] = rig.close();
    assert_eq!(a.received, 1);
    assert_eq!(
        discarded(&a, Discard::Auth) + discarded(&a, Discard::NotKeyed),
        200
    );
}

/// Acceptance #9, before the keys are there.
#[test]
fn a_leg_without_its_keys_passes_nothing() {
    let rig = Rig::open();
    rig.connect(rig.a.connect(Protection::Blocked, Protection::Blocked));
    rig.connect(rig.b.connect(Protection::Clear, Protection::Clear));
    for number in 0..50 {
        rig.a.send(&rtp(1, number));
        rig.b.send(&rtp(2, number));
        rig.b.send_rtcp(&sender_report(2, 1));
    }
    rig.handled(150);
    assert!(quiet(&rig.a.rtp) && quiet(&rig.b.rtp) && quiet(&rig.a.rtcp));
    let [a, b] = rig.close();
    assert_eq!(
        (discarded(&a, Discard::NotKeyed), discarded(&b, Discard::NotKeyed)),
        (50, 100)
    );
    assert_eq!((a.sent, b.sent), (0, 0));
}

#[test]
fn a_key_that_does_not_fit_its_suite_closes_the_direction() {
    let rig = Rig::open();
    let mut short = key(SUITE, 1);
    short.master.pop();
    rig.connect(
        rig.a
            .connect(Protection::Srtp(short.clone()), Protection::Srtp(short)),
    );
    rig.connect(rig.b.connect(Protection::Clear, Protection::Clear));
    rig.a.send(&rtp(1, 1));
    rig.b.send(&rtp(2, 1));
    rig.handled(2);
    assert!(quiet(&rig.a.rtp) && quiet(&rig.b.rtp));
}

/// S3 with 20,000 of the goal's recorded packets a suite, in order and shuffled, RTP and RTCP; the context's own tests
/// and the wire together.
#[test]
fn recorded_packets_are_not_passed_on() {
    const RECORDED: u16 = 5000;
    for suite in [SUITE, Suite::AeadAes128Gcm] {
        let (rig, mut phone) = Rig::keyed(suite);
        let mut recorded = Vec::new();
        for number in 0..RECORDED {
            let sealed = phone.seal(&rtp(1, number));
            rig.a.send(&sealed);
            assert_eq!(rig.b.receive(), rtp(1, number));
            let report = phone.seal_rtcp(&sender_report(1, u32::from(number)));
            rig.a.send_rtcp(&report);
            assert_eq!(rig.b.receive_rtcp(), sender_report(1, u32::from(number)));
            recorded.push((sealed, report));
        }
        let mut handled = 2 * u64::from(RECORDED);
        for shuffled in [false, true] {
            for place in 0..recorded.len() {
                // 3,571 is prime to the count: every packet comes once, in another order.
                let (sealed, report) = &recorded[if shuffled {
                    place * 3571 % recorded.len()
                } else {
                    place
                }];
                rig.a.send(sealed);
                rig.a.send_rtcp(report);
                handled += 2;
                if place % 50 == 0 {
                    // No more than the socket's buffer holds.
                    rig.handled(handled);
                }
            }
        }
        rig.handled(handled);
        rig.a.send(&phone.seal(&rtp(1, RECORDED)));
        assert_eq!(rig.b.receive(), rtp(1, RECORDED), "the first packet since");
        assert!(quiet(&rig.b.rtcp));
        let [a, _] = rig.close();
        assert_eq!(discarded(&a, Discard::Replay), 4 * u64::from(RECORDED));
    }
}
