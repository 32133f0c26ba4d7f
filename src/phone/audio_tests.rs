use super::super::crypto::{Key, Suite};
use super::*;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use std::time::Duration;

const ALICE: Voice = Voice {
    call: 7,
    side: Side::Caller,
};
const BOB: Voice = Voice {
    call: 7,
    side: Side::Callee,
};

fn tone(hertz: u32) -> Arc<Tone> {
    Arc::new(Tone::new(hertz, Codec::Pcmu))
}

fn clear_pair() -> (Talker, Listener) {
    let talker = Talker::new(ALICE, tone(440), 0x1234_5678, Protect::new(None));
    let mut listener = Listener::new(ALICE, tone(440)).recording();
    listener.open(Unprotect::new(None));
    (talker, listener)
}

fn key(seed: u64) -> Key {
    Key::random(1, Suite::AesCm128Sha1_80, &mut StdRng::seed_from_u64(seed))
}

#[test]
fn what_was_said_is_what_was_heard() {
    let (mut talker, mut listener) = clear_pair();
    for _ in 0..60 {
        listener.hear(&talker.speak().unwrap());
    }
    assert_eq!(
        listener.tally(),
        Tally {
            received: 60,
            good: 60,
            ..Tally::default()
        }
    );
    let (hertz, share) = listener.strongest().unwrap();
    assert!(hertz == 440 && share > 0.8, "{hertz} {share}");
}

#[test]
fn sequence_numbers_wrap_without_a_complaint() {
    let (mut talker, mut listener) = clear_pair();
    for _ in 0..70_000 {
        listener.hear(&talker.speak().unwrap());
    }
    assert_eq!(listener.tally().good, 70_000);
}

#[test]
fn each_single_changed_byte_is_noticed() {
    let (mut talker, _) = clear_pair();
    let first = talker.speak().unwrap();
    let second = talker.speak().unwrap();
    for place in 0..second.len() {
        let (_, mut listener) = clear_pair();
        listener.hear(&first);
        let mut changed = second.to_vec();
        changed[place] ^= 1;
        listener.hear(&changed);
        assert_eq!(
            (listener.tally().good, listener.tally().bad()),
            (1, 1),
            "byte {place}"
        );
    }
}

#[test]
fn a_wrong_tone_is_wrong() {
    let mut talker = Talker::new(ALICE, tone(450), 1, Protect::new(None));
    let (_, mut listener) = clear_pair();
    listener.hear(&talker.speak().unwrap());
    assert_eq!(
        listener.tally(),
        Tally {
            received: 1,
            wrong: 1,
            ..Tally::default()
        }
    );
}

#[test]
fn another_voice_is_unknown_and_a_repeated_packet_is_replayed() {
    let (mut talker, mut listener) = clear_pair();
    let mut other = Talker::new(BOB, tone(440), 1, Protect::new(None));
    listener.hear(&other.speak().unwrap());
    listener.hear(b"short");
    let packet = talker.speak().unwrap();
    listener.hear(&packet);
    listener.hear(&packet);
    assert_eq!(
        listener.tally(),
        Tally {
            received: 4,
            good: 1,
            replayed: 1,
            unknown: 2,
            ..Tally::default()
        }
    );
}

#[test]
fn late_packets_count_once() {
    let (mut talker, mut listener) = clear_pair();
    let packets: Vec<_> = (0..10).map(|_| talker.speak().unwrap()).collect();
    for index in [0, 2, 1, 5, 9, 3, 3] {
        listener.hear(&packets[index]);
    }
    assert_eq!(
        listener.tally(),
        Tally {
            received: 7,
            good: 6,
            replayed: 1,
            ..Tally::default()
        }
    );
}

#[test]
fn a_keyed_leg_counts_clear_packets_and_foreign_keys_apart() {
    let (mut clear, _) = clear_pair();
    let mut right = Talker::new(ALICE, tone(440), 5, Protect::new(Some(&key(1))));
    let mut foreign = Talker::new(ALICE, tone(440), 6, Protect::new(Some(&key(2))));
    let mut listener = Listener::new(ALICE, tone(440));
    listener.open(Unprotect::new(Some(&key(1))));
    listener.hear(&right.speak().unwrap());
    listener.hear(&clear.speak().unwrap());
    listener.hear(&foreign.speak().unwrap());
    assert_eq!(
        listener.tally(),
        Tally {
            received: 3,
            good: 1,
            clear: 1,
            unreadable: 1,
            ..Tally::default()
        }
    );
}

#[test]
fn packets_that_overtake_the_answer_are_judged_once_the_key_is_known() {
    let mut talker = Talker::new(ALICE, tone(440), 5, Protect::new(Some(&key(1))));
    let mut listener = Listener::new(ALICE, tone(440));
    for _ in 0..=EARLY {
        listener.hear(&talker.speak().unwrap());
    }
    assert_eq!(listener.tally().good, 0);
    listener.open(Unprotect::new(Some(&key(1))));
    let early = EARLY as u64;
    assert_eq!(
        listener.tally(),
        Tally {
            received: early + 1,
            good: early,
            dropped: 1,
            ..Tally::default()
        }
    );
}

#[test]
fn a_sender_report_is_well_formed_and_survives_its_protection() {
    let mut talker = Talker::new(ALICE, tone(440), 5, Protect::new(Some(&key(1))));
    talker.speak().unwrap();
    let sealed = talker.report(Duration::from_millis(1_500)).unwrap();
    let report = Unprotect::new(Some(&key(1))).rtcp(&sealed).unwrap();
    assert_eq!(report[..4], [0x80, 200, 0, 6]);
    assert_eq!(report[8..16], [0, 0, 0, 1, 0x80, 0, 0, 0]);
    assert_eq!(report[20..28], [0, 0, 0, 1, 0, 0, 0, 160]);
    let words = usize::from(report[31]) + 1;
    assert_eq!(report.len(), 28 + words * 4);
}
