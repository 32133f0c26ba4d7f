//! Acceptance #2, and what a receiver makes of it.

use super::*;
use crate::media::{
    SrtpKey, Suite,
    packet::{Discard, Packet, rtp_header, set_rtp_numbers},
    srtp::SrtpIn,
};
use proptest::prelude::*;
use std::collections::HashSet;

fn key() -> SrtpKey {
    SrtpKey {
        suite: Suite::AesCm128HmacSha1_80,
        master: vec![3; 30].into(),
        mki: None,
    }
}

/// A sender with numbering and a receiver that notes what it got.
struct Rig {
    numbering: Numbering,
    out: SrtpOut,
    receiver: SrtpIn,
    packet: Packet,
    seen: HashSet<(u32, u16)>,
}

impl Rig {
    fn new() -> Self {
        Self {
            numbering: Numbering::new(SplitMix::seeded(5)),
            out: SrtpOut::new(&key()).unwrap(),
            receiver: SrtpIn::new(&key()).unwrap(),
            packet: Packet::new(),
            seen: HashSet::new(),
        }
    }

    /// Sends one; the numbers under which it arrived.
    fn send(&mut self, ssrc: u32, sequence: u16, timestamp: u32) -> Result<(u32, u16), Discard> {
        let mut plain = vec![0x80, 0];
        plain.extend(sequence.to_be_bytes());
        plain.extend(timestamp.to_be_bytes());
        plain.extend(ssrc.to_be_bytes());
        plain.extend([1; 20]);
        self.packet.fill(&plain);
        let header = rtp_header(&plain).unwrap();
        let (to, number) = self
            .numbering
            .number(&header, &self.out)
            .ok_or(Discard::IndexReuse)?;
        if !self.numbering.changes() {
            assert_eq!((to, number), (ssrc, sequence));
        }
        set_rtp_numbers(self.packet.bytes_mut(), number, to);
        self.out.seal_rtp(&mut self.packet)?;
        self.receiver
            .open_rtp(&mut self.packet)
            .expect("whatever is sealed is opened");
        assert_eq!(self.packet.bytes()[12..], plain[12..]);
        Ok((to, number))
    }

    /// Sends a run of packets; how many arrived.
    fn run(&mut self, ssrc: u32, first: u16, count: u16, timestamp: u32) -> usize {
        (0..count)
            .filter(|&n| {
                self.send(
                    ssrc,
                    first.wrapping_add(n),
                    timestamp.wrapping_add(u32::from(n) * 160),
                )
                .is_ok()
            })
            .count()
    }
}

#[test]
fn a_well_behaved_source_is_left_alone() {
    let mut rig = Rig::new();
    assert_eq!(rig.run(7, 65_000, 2000, 0), 2000);
    assert!(!rig.numbering.changes());
    assert_eq!(rig.numbering.leaves_as(7), 7);
    assert_eq!(rig.numbering.source_of(7), (7, 0));
}

#[test]
fn late_packets_pass_once() {
    let mut rig = Rig::new();
    for sequence in [10, 12, 11, 14, 13] {
        assert_eq!(
            rig.send(7, sequence, u32::from(sequence) * 160),
            Ok((7, sequence))
        );
        assert_eq!(
            rig.send(7, sequence, u32::from(sequence) * 160),
            Err(Discard::IndexReuse)
        );
    }
    assert!(!rig.numbering.changes());
}

#[test]
fn runs_of_doubled_packets_are_not_a_restart() {
    let mut rig = Rig::new();
    for block in 0..20u16 {
        for _ in 0..2 {
            for n in block * 5..block * 5 + 5 {
                let _ = rig.send(7, n, u32::from(n) * 160);
            }
        }
    }
    assert!(!rig.numbering.changes());
    assert_eq!(rig.out.position(7), Some(99));
}

#[test]
fn a_source_that_starts_its_numbers_again_goes_on() {
    for (restart, timestamp) in [
        (0, 500_000),
        (4950, 500_000),
        (4950, 4_000_000_000),
        (40_000, 7),
        (9000, 9),
    ] {
        let mut rig = Rig::new();
        assert_eq!(rig.run(7, 4000, 1000, 1_000_000 - 160_000), 1000);
        let arrived = rig.run(7, restart, 1000, 1_000_000 + timestamp);
        assert!(arrived >= 999, "{arrived} of 1000 after a restart at {restart}");
        assert_eq!(
            rig.out.position(7),
            Some(4999 + arrived as u64),
            "no gap and no repetition"
        );
    }
}

#[test]
fn a_source_that_changes_its_ssrc_and_comes_back_goes_on() {
    let mut rig = Rig::new();
    for round in 0..3 {
        assert!(rig.run(7, 100, 50, round * 1_000_000) >= 49);
        assert!(rig.run(8, 100, 50, round * 1_000_000) >= 49);
    }
}

#[test]
fn one_stray_packet_does_not_move_the_numbers() {
    let mut rig = Rig::new();
    rig.run(7, 100, 50, 0);
    assert!(rig.send(7, 20_000, 1).is_err());
    assert!(rig.send(7, 60_000, 1).is_err());
    assert_eq!(rig.send(7, 150, 50 * 160), Ok((7, 150)));
}

#[test]
fn ssrcs_without_end_share_those_that_a_key_may_have() {
    let mut rig = Rig::new();
    let mut used = HashSet::new();
    for ssrc in 0..300 {
        for sequence in 0..5 {
            if let Ok((to, number)) = rig.send(ssrc, sequence, u32::from(sequence) * 160) {
                used.insert(to);
                assert!(rig.seen.insert((to, number)), "{to} {number}");
            }
        }
    }
    assert_eq!(rig.seen.len(), 1500, "all arrived, none twice");
    assert_eq!(used.len(), 64);
}

#[test]
fn an_ssrc_that_another_source_leaves_under_is_replaced() {
    let mut rig = Rig::new();
    rig.run(7, 40_000, 2, 0);
    rig.numbering.renew(&rig.out);
    let (replaced, _) = rig.send(7, 40_002, 320).unwrap();
    let (other, _) = rig.send(replaced, 1, 0).unwrap();
    assert_ne!(other, replaced);
    assert_eq!(rig.numbering.source_of(other).0, replaced);
    assert_eq!(rig.numbering.source_of(replaced).0, 7);
}

#[test]
fn only_what_has_come_halfway_is_renewed() {
    let mut rig = Rig::new();
    rig.run(7, 100, 10, 0);
    rig.run(8, 32_760, 20, 0);
    rig.numbering.renew(&rig.out);
    assert_eq!(rig.send(7, 110, 1600), Ok((7, 110)));
    let (to, number) = rig.send(8, 32_780, 3200).unwrap();
    assert_ne!(to, 8);
    assert_eq!(number, 32_780 - 32_768, "far from the wrap");
    assert_eq!(rig.send(8, 32_781, 3360), Ok((to, number + 1)));
}

proptest! {
    /// Whatever sources do, no pair repeats, and whatever is sealed is opened (the rig asserts it).
    #[test]
    fn no_pair_repeats(
        steps in proptest::collection::vec((0u32..40, any::<u16>(), any::<u32>(), 1u16..30, any::<bool>()), 1..60)
    ) {
        let mut rig = Rig::new();
        let mut next = 0u16;
        for (ssrc, jump, timestamp, run, renew) in steps {
            next = if jump % 3 == 0 { jump } else { next };
            if renew {
                rig.numbering.renew(&rig.out);
            }
            for step in 0..run {
                let sequence = next.wrapping_add(step);
                let _ = rig.send(ssrc % 5, sequence, timestamp.wrapping_add(u32::from(step) * 160));
            }
            next = next.wrapping_add(run);
        }
    }
}
