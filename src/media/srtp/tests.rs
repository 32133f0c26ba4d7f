//! Contexts: round trips, replay, rollover, forged packets, re-keying, the ends of keys.

mod oracle;
mod rekey;

use super::{
    SrtpIn, SrtpOut,
    index::{LAST_RTCP, LAST_RTP},
};
use crate::media::{
    SrtpKey, Suite,
    packet::{Discard, Packet},
};
use proptest::prelude::*;
use zeroize::Zeroizing;

pub(super) const SSRC: u32 = 0x1234_5678;

/// A key made from one octet.
pub(super) fn key(suite: Suite, seed: u8) -> SrtpKey {
    let master = (0..suite.master_length())
        .map(|n| (n as u8).wrapping_mul(31) ^ seed)
        .collect();
    SrtpKey {
        suite,
        master: Zeroizing::new(master),
        mki: None,
    }
}

pub(super) fn contexts(key: &SrtpKey) -> (SrtpOut, SrtpIn) {
    (SrtpOut::new(key).unwrap(), SrtpIn::new(key).unwrap())
}

/// An RTP packet whose payload depends on its number and whose clock runs with its index.
pub(super) fn rtp(ssrc: u32, index: u64) -> Vec<u8> {
    let mut bytes = vec![0x80, 0];
    bytes.extend((index as u16).to_be_bytes());
    bytes.extend((index as u32).wrapping_mul(160).to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend((0..160u64).map(|octet| (octet * 7 + index) as u8));
    bytes
}

pub(super) fn rtcp(ssrc: u32, count: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend([7; 16]);
    bytes.extend(count.to_be_bytes());
    bytes
}

pub(super) fn seal(out: &mut SrtpOut, plain: &[u8]) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.fill(plain);
    out.seal_rtp(&mut packet).unwrap();
    packet.bytes().to_vec()
}

pub(super) fn seal_rtcp(out: &mut SrtpOut, plain: &[u8]) -> Vec<u8> {
    let mut packet = Packet::new();
    packet.fill(plain);
    out.seal_rtcp(&mut packet).unwrap();
    packet.bytes().to_vec()
}

pub(super) fn open(context: &mut SrtpIn, sealed: &[u8]) -> Result<Vec<u8>, Discard> {
    let mut packet = Packet::new();
    packet.fill(sealed);
    context.open_rtp(&mut packet)?;
    Ok(packet.bytes().to_vec())
}

pub(super) fn open_rtcp(context: &mut SrtpIn, sealed: &[u8]) -> Result<Vec<u8>, Discard> {
    let mut packet = Packet::new();
    packet.fill(sealed);
    context.open_rtcp(&mut packet)?;
    Ok(packet.bytes().to_vec())
}

#[test]
fn what_is_sealed_is_opened_under_every_suite() {
    for suite in Suite::ALL {
        for mki in [None, Some(vec![9]), Some(vec![3; 128])] {
            let key = SrtpKey { mki, ..key(suite, 1) };
            let (mut out, mut context) = contexts(&key);
            let overhead = suite.rtp_tag_length() + key.mki.as_ref().map_or(0, Vec::len);
            for index in 0..300 {
                let sealed = seal(&mut out, &rtp(SSRC, index));
                assert_eq!(sealed.len(), 172 + overhead);
                assert_ne!(sealed[12..172], rtp(SSRC, index)[12..]);
                assert_eq!(open(&mut context, &sealed), Ok(rtp(SSRC, index)), "{suite}");
                let sealed = seal_rtcp(&mut out, &rtcp(SSRC, 5));
                assert_eq!(open_rtcp(&mut context, &sealed), Ok(rtcp(SSRC, 5)), "{suite}");
            }
        }
    }
}

#[test]
fn a_packet_with_another_mki_or_none_is_not_authentic() {
    for suite in Suite::ALL {
        let ours = SrtpKey {
            mki: Some(vec![1]),
            ..key(suite, 1)
        };
        let other = SrtpKey {
            mki: Some(vec![2]),
            ..key(suite, 1)
        };
        let (mut out, _) = contexts(&other);
        let (_, mut context) = contexts(&ours);
        let sealed = seal(&mut out, &rtp(SSRC, 1));
        assert_eq!(open(&mut context, &sealed), Err(Discard::Auth), "{suite}");
        let sealed = seal_rtcp(&mut out, &rtcp(SSRC, 1));
        assert_eq!(open_rtcp(&mut context, &sealed), Err(Discard::Auth), "{suite}");
    }
}

#[test]
fn keys_of_the_wrong_length_are_refused() {
    for suite in Suite::ALL {
        for length in [0, suite.master_length() - 1, suite.master_length() + 1] {
            let key = SrtpKey {
                suite,
                master: Zeroizing::new(vec![1; length]),
                mki: None,
            };
            let error = SrtpIn::new(&key).unwrap_err().to_string();
            assert!(error.contains(suite.name()), "{error}");
            assert!(SrtpOut::new(&key).is_err());
        }
    }
    for length in [0, 129] {
        let key = SrtpKey {
            mki: Some(vec![1; length]),
            ..key(Suite::AesCm128HmacSha1_80, 1)
        };
        assert!(SrtpIn::new(&key).is_err(), "{length}");
    }
}

#[test]
fn nothing_is_taken_twice() {
    for suite in Suite::ALL {
        let (mut out, mut context) = contexts(&key(suite, 1));
        let sealed: Vec<_> = (0..500).map(|index| seal(&mut out, &rtp(SSRC, index))).collect();
        let reports: Vec<_> = (0..500)
            .map(|count| seal_rtcp(&mut out, &rtcp(SSRC, count)))
            .collect();
        for (rtp, rtcp) in sealed.iter().zip(&reports) {
            assert!(open(&mut context, rtp).is_ok());
            assert!(open_rtcp(&mut context, rtcp).is_ok());
        }
        for (rtp, rtcp) in sealed.iter().zip(&reports) {
            assert_eq!(open(&mut context, rtp), Err(Discard::Replay));
            assert_eq!(open_rtcp(&mut context, rtcp), Err(Discard::Replay));
        }
    }
}

#[test]
fn the_rollover_counter_goes_on_over_wraps_with_loss_and_reordering() {
    for suite in Suite::ALL {
        let (mut out, mut context) = contexts(&key(suite, 1));
        // Between the runs, gaps.
        let runs = [
            0xff80..0x1_0080,
            0x1_7f00..0x1_7f20,
            0x1_e000..0x1_e020,
            0x1_ff80..0x2_0100,
        ];
        for run in runs {
            let mut late = Vec::new();
            for index in run {
                let sealed = seal(&mut out, &rtp(SSRC, index));
                match index % 7 {
                    3 => {}
                    5 => late.push((index, sealed)),
                    _ => assert_eq!(
                        open(&mut context, &sealed),
                        Ok(rtp(SSRC, index)),
                        "{suite} {index:x}"
                    ),
                }
                if late.len() == 3 {
                    for (index, sealed) in late.drain(..).rev() {
                        assert_eq!(
                            open(&mut context, &sealed),
                            Ok(rtp(SSRC, index)),
                            "{suite} {index:x}"
                        );
                    }
                }
            }
        }
        assert_eq!(out.position(SSRC), Some(0x2_00ff));
    }
}

/// Acceptance #3, with a hundredth of the row's packets: each suite, RTP and RTCP.
#[test]
fn acceptance_3_forged_packets_leave_no_trace() {
    const FORGED: u32 = 10_000;
    for suite in Suite::ALL {
        let (mut out, mut context) = contexts(&key(suite, 1));
        for index in 0..10 {
            open(&mut context, &seal(&mut out, &rtp(SSRC, index))).unwrap();
            open_rtcp(&mut context, &seal_rtcp(&mut out, &rtcp(SSRC, 1))).unwrap();
        }
        let mut packet = Packet::new();
        let mut random = 1u32;
        for number in 0..FORGED {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let mut forged = rtp(
                if number % 4 == 0 { random } else { SSRC },
                u64::from(random >> 16),
            );
            forged.extend(random.to_be_bytes().repeat(4));
            packet.fill(&forged);
            assert!(context.open_rtp(&mut packet).is_err());
            let mut forged = rtcp(if number % 4 == 0 { random } else { SSRC }, number);
            forged.extend(random.to_be_bytes().repeat(5));
            if suite.is_aead() {
                forged.extend((0x8000_0000 | random >> 8).to_be_bytes());
            }
            packet.fill(&forged);
            assert!(context.open_rtcp(&mut packet).is_err());
        }
        assert_eq!(
            open(&mut context, &seal(&mut out, &rtp(SSRC, 10))),
            Ok(rtp(SSRC, 10)),
            "{suite}"
        );
        assert!(open_rtcp(&mut context, &seal_rtcp(&mut out, &rtcp(SSRC, 1))).is_ok());
        let recorded = seal(&mut SrtpOut::new(&key(suite, 1)).unwrap(), &rtp(SSRC, 9));
        assert_eq!(
            open(&mut context, &recorded),
            Err(Discard::Replay),
            "the window is as it was"
        );
    }
}

#[test]
fn an_srtcp_packet_that_says_that_it_is_not_encrypted_is_refused() {
    for suite in Suite::ALL {
        let (mut out, mut context) = contexts(&key(suite, 1));
        let mut sealed = seal_rtcp(&mut out, &rtcp(SSRC, 1));
        let word = if suite.is_aead() {
            sealed.len() - 4
        } else {
            sealed.len() - 14
        };
        sealed[word] &= 0x7f;
        assert_eq!(
            open_rtcp(&mut context, &sealed),
            Err(Discard::NotKeyed),
            "{suite}"
        );
    }
}

#[test]
fn sources_are_capped_and_one_that_was_forgotten_does_not_come_back() {
    let key = key(Suite::AesCm128HmacSha1_80, 1);
    let (_, mut context) = contexts(&key);
    let sealed: Vec<_> = (0..40)
        .map(|ssrc| seal(&mut SrtpOut::new(&key).unwrap(), &rtp(ssrc, 1)))
        .collect();
    for sealed in &sealed {
        assert!(open(&mut context, sealed).is_ok());
    }
    for sealed in &sealed {
        assert_eq!(open(&mut context, sealed), Err(Discard::Replay));
    }
}

#[test]
fn a_first_packet_that_wrapped_before_the_key_was_here_is_opened() {
    for suite in Suite::ALL {
        let (mut out, mut context) = contexts(&key(suite, 1));
        seal(&mut out, &rtp(SSRC, 0xfff0));
        let sealed = seal(&mut out, &rtp(SSRC, 0x1_0003));
        assert_eq!(open(&mut context, &sealed), Ok(rtp(SSRC, 0x1_0003)), "{suite}");
    }
}

/// Acceptance #2: whatever is asked for, an index is sealed once.
#[test]
fn acceptance_2_an_index_is_sealed_once() {
    let (mut out, _) = contexts(&key(Suite::AesCm128HmacSha1_80, 1));
    let mut packet = Packet::new();
    let mut again = |index, expected| {
        packet.fill(&rtp(SSRC, index));
        assert_eq!(out.seal_rtp(&mut packet), expected, "{index}");
    };
    again(1000, Ok(()));
    again(1000, Err(Discard::IndexReuse));
    again(990, Ok(()));
    again(990, Err(Discard::IndexReuse));
    again(1000 - 128, Err(Discard::IndexReuse));
    again(1001, Ok(()));
    again(0xffff, Err(Discard::IndexReuse));
}

#[test]
fn keys_end_at_the_last_index() {
    for suite in Suite::ALL {
        let (mut out, _) = contexts(&key(suite, 1));
        let mut packet = Packet::new();
        out.resume(SSRC, LAST_RTP - 1, LAST_RTCP);
        packet.fill(&rtp(SSRC, LAST_RTP));
        assert_eq!(out.seal_rtp(&mut packet), Ok(()));
        packet.fill(&rtp(SSRC, LAST_RTP + 1));
        assert_eq!(out.seal_rtp(&mut packet), Err(Discard::IndexReuse), "{suite}");
        packet.fill(&rtcp(SSRC, 1));
        assert_eq!(out.seal_rtcp(&mut packet), Ok(()));
        for _ in 0..3 {
            packet.fill(&rtcp(SSRC, 1));
            assert_eq!(out.seal_rtcp(&mut packet), Err(Discard::IndexReuse), "{suite}");
        }
    }
}

#[test]
fn debug_output_shows_no_key() {
    let key = SrtpKey {
        mki: Some(vec![200, 201]),
        ..key(Suite::AesCm128HmacSha1_80, 0xaa)
    };
    let (out, context) = contexts(&key);
    assert_eq!(
        format!("{key:?} {out:?} {context:?}"),
        "SrtpKey { suite: AesCm128HmacSha1_80, .. } SrtpOut { streams: 0, .. } SrtpIn { streams: 0, .. }"
    );
}

fn any_suite() -> impl Strategy<Value = Suite> {
    proptest::sample::select(Suite::ALL.to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_octets_are_refused_without_a_panic(
        suite in any_suite(),
        mut octets in proptest::collection::vec(any::<u8>(), 0..120),
        first in prop_oneof![Just(0x80u8), Just(0x90), any::<u8>()],
        second in prop_oneof![Just(0u8), Just(200)],
    ) {
        if octets.len() > 1 {
            octets[0] = first;
            octets[1] = second;
        }
        let (mut out, mut context) = contexts(&key(suite, 1));
        prop_assert!(open(&mut context, &octets).is_err());
        prop_assert!(open_rtcp(&mut context, &octets).is_err());
        let mut packet = Packet::new();
        packet.fill(&octets);
        if out.seal_rtp(&mut packet).is_ok() {
            let sealed = packet.bytes().to_vec();
            prop_assert_eq!(open(&mut context, &sealed), Ok(octets.clone()));
        }
        packet.fill(&octets);
        if out.seal_rtcp(&mut packet).is_ok() {
            let sealed = packet.bytes().to_vec();
            prop_assert_eq!(open_rtcp(&mut context, &sealed), Ok(octets));
        }
    }

    #[test]
    fn a_changed_octet_is_noticed(suite in any_suite(), at in 0usize..200, bit in 0u8..8) {
        let (mut out, mut context) = contexts(&key(suite, 1));
        let mut sealed = seal(&mut out, &rtp(SSRC, 3));
        let at = at % sealed.len();
        sealed[at] ^= 1 << bit;
        prop_assert!(open(&mut context, &sealed).is_err());
        let mut sealed = seal_rtcp(&mut out, &rtcp(SSRC, 3));
        let at = at % sealed.len();
        sealed[at] ^= 1 << bit;
        prop_assert!(open_rtcp(&mut context, &sealed).is_err());
    }
}
