use super::*;
use crate::media::packet::rtp_header;
use proptest::prelude::*;

#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
fn start() -> Instant {
    Instant::now()
}
fn speaking() -> Digits {
    let mut digits = Digits::new();
    digits.set(Some(&Events {
        hears: 1 << 101,
        says: 97,
        clock: 8000,
    }));
    digits
}
fn digit(event: u8, milliseconds: u64) -> Digit {
    Digit {
        event,
        duration: Duration::from_millis(milliseconds),
    }
}
fn voice(sequence: u16) -> RtpHeader {
    RtpHeader {
        sequence,
        timestamp: u32::from(sequence) * 160,
        ssrc: 7,
        length: RTP_HEADER,
    }
}
/// Voice every 20 ms and digits between; what leaves, as (number, is a digit, timestamp, its four octets).
type Left = (u16, bool, u32, Vec<u8>);
fn run(digits: &mut Digits, now: &mut Instant, voices: impl IntoIterator<Item = u16>) -> Vec<Left> {
    let mut left = Vec::new();
    for sequence in voices {
        if let Ok(number) = digits.pass(&voice(sequence), *now) {
            left.push((
                number.unwrap_or(sequence),
                false,
                voice(sequence).timestamp,
                Vec::new(),
            ));
        }
        tick(digits, *now + Duration::from_millis(1), &mut left);
        *now += STEP;
    }
    left
}
fn tick(digits: &mut Digits, now: Instant, left: &mut Vec<Left>) {
    while digits.due().is_some_and(|due| due <= now) {
        let Some(packet) = digits.tick(now) else { break };
        let header = rtp_header(&packet).expect("RTP");
        assert_eq!((packet[1] & 0x7f, header.length), (97, RTP_HEADER));
        let mut body = packet[RTP_HEADER..].to_vec();
        body.push(packet[1] >> 7);
        left.push((header.sequence, true, header.timestamp, body));
    }
}

#[test]
fn a_digit_takes_the_place_of_the_voice_and_the_voice_goes_on_after_it() {
    let (mut digits, mut now) = (speaking(), start());
    let mut left = run(&mut digits, &mut now, 65_530..=65_533);
    assert!(digits.say(digit(11, 100), now));
    let voices = (65_534..=65_535).chain(0..20);
    left.extend(run(&mut digits, &mut now, voices));
    let numbers: Vec<u16> = left.iter().map(|packet| packet.0).collect();
    let expected: Vec<u16> = (0..numbers.len() as u16)
        .map(|n| 65_530_u16.wrapping_add(n))
        .collect();
    assert_eq!(numbers, expected, "one line, without a gap");
    let train: Vec<&Left> = left.iter().filter(|packet| packet.1).collect();
    // 100 ms are five packets, the last of them three times.
    let durations: Vec<u16> = train
        .iter()
        .map(|packet| u16::from_be_bytes([packet.3[2], packet.3[3]]))
        .collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
    let ends: Vec<bool> = train.iter().map(|packet| packet.3[1] & 0x80 != 0).collect();
    assert_eq!(ends, [false, false, false, false, true, true, true]);
    let markers: Vec<u8> = train.iter().map(|packet| packet.3[4]).collect();
    assert_eq!(markers, [1, 0, 0, 0, 0, 0, 0]);
    assert!(
        train
            .iter()
            .all(|packet| packet.3[0] == 11 && packet.2 == train[0].2)
    );
    assert!(
        left.iter().filter(|packet| !packet.1).count() >= 4 + 13,
        "the voice came back"
    );
    assert!(digits.is_idle() && digits.due().is_none());
}

#[test]
fn digits_come_one_after_another_with_a_pause_and_where_nobody_speaks() {
    let (mut digits, begin) = (speaking(), start());
    for event in [1, 1, 2] {
        assert!(digits.say(digit(event, 60), begin));
    }
    let mut left = Vec::new();
    let mut times = Vec::new();
    for millisecond in 0..1000 {
        let now = begin + Duration::from_millis(millisecond);
        let before = left.len();
        tick(&mut digits, now, &mut left);
        times.extend((before..left.len()).map(|_| millisecond));
    }
    let began: Vec<(u8, u64)> = left
        .iter()
        .zip(&times)
        .filter(|(packet, _)| packet.3[4] == 1)
        .map(|(packet, at)| (packet.3[0], *at))
        .collect();
    // Three packets, two more ends, and 60 ms of silence after the last of them.
    assert_eq!(began, [(1, 0), (1, 140), (2, 280)]);
    let mut stamps: Vec<u32> = left.iter().map(|packet| packet.2).collect();
    stamps.dedup();
    assert_eq!(stamps.len(), 3, "each at its own time");
    assert_eq!(stamps[1].wrapping_sub(stamps[0]), 140 * 8);
    assert!(left.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)));
}

#[test]
fn voice_of_before_a_digit_that_comes_late_is_dropped_and_never_takes_a_number_twice() {
    let (mut digits, mut now) = (speaking(), start());
    let mut left = run(&mut digits, &mut now, [1, 2, 3, 5]);
    assert!(digits.say(digit(3, 40), now));
    left.extend(run(&mut digits, &mut now, [6, 7, 8, 9]));
    left.extend(run(&mut digits, &mut now, [4, 12, 8, 13, 11, 14]));
    let mut numbers: Vec<u16> = left.iter().map(|packet| packet.0).collect();
    let count = numbers.len();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers.len(), count, "{left:?}");
    let voices = left
        .iter()
        .filter(|packet| !packet.1)
        .map(|packet| packet.2 / 160);
    assert_eq!(voices.collect::<Vec<_>>(), [1, 2, 3, 5, 6, 12, 13, 14]);
}

#[test]
fn no_more_digits_wait_than_somebody_dials_and_what_is_none_is_not_sent() {
    let (mut digits, now) = (speaking(), start());
    assert!(!digits.say(digit(16, 100), now));
    let taken = (0..100).filter(|_| digits.say(digit(1, 100), now)).count();
    assert_eq!(taken, MOST);
    digits.set(None);
    assert!(digits.is_idle() && !digits.say(digit(1, 100), now));
}

/// A digit as its packets bring it: each says the same timestamp and another duration.
fn packets(
    ssrc: u32,
    sequence: &mut u16,
    timestamp: u32,
    event: u8,
    steps: u16,
) -> Vec<(RtpHeader, [u8; 4])> {
    let packet = |step: u16| {
        *sequence = sequence.wrapping_add(1);
        let header = RtpHeader {
            sequence: *sequence,
            timestamp,
            ssrc,
            length: RTP_HEADER,
        };
        let [high, low] = (160 * step.min(steps)).to_be_bytes();
        (
            header,
            [event, if step >= steps { 0x8a } else { 0x0a }, high, low],
        )
    };
    (1..=steps + 2).map(packet).collect()
}

#[test]
fn a_digit_longer_than_a_packet_can_say_is_one() {
    let mut digits = speaking();
    let mut sequence = 0;
    let mut heard = Vec::new();
    for segment in 0..3 {
        for (header, body) in packets(5, &mut sequence, 1000 + segment * SEGMENT, 9, 4) {
            heard.extend(digits.hear(&header, &body));
        }
    }
    assert_eq!(heard, [9]);
    // The same key again, at a time of its own.
    for (header, body) in packets(5, &mut sequence, 1000 + 3 * SEGMENT + 800, 9, 4) {
        heard.extend(digits.hear(&header, &body));
    }
    assert_eq!(heard, [9, 9]);
    // Flash is no digit, and what is cut short is nothing.
    let (header, _) = packets(5, &mut sequence, 900_000, 16, 1)[0];
    assert_eq!(digits.hear(&header, &[16, 0, 0, 1]), None);
    assert_eq!(digits.hear(&header, &[1, 0]), None);
}

proptest! {
    /// Acceptance 28: every digit exactly once, whatever the network does, as long as one packet of each arrives.
    #[test]
    fn acceptance_28_each_digit_is_heard_once_however_its_packets_fare(
        dialled in proptest::collection::vec((0..16_u8, 1..12_u16), 1..20),
        fates in proptest::collection::vec(0..100_u8, 400),
        first in any::<u32>(),
    ) {
        let mut digits = speaking();
        let (mut sequence, mut timestamp) = (first as u16, first);
        let mut fates = fates.into_iter().cycle();
        let mut heard = Vec::new();
        for &(event, steps) in &dialled {
            let all = packets(5, &mut sequence, timestamp, event, steps);
            let spared = usize::from(fates.next().unwrap_or(0)) % all.len();
            let mut arrives: Vec<(RtpHeader, [u8; 4])> = Vec::new();
            for (index, packet) in all.into_iter().enumerate() {
                let fate = fates.next().unwrap_or(0);
                if fate < 60 && index != spared {
                    continue;
                }
                arrives.push(packet);
                if fate > 80 {
                    arrives.push(packet);
                }
                if fate % 3 == 0 && arrives.len() > 1 {
                    let last = arrives.len() - 1;
                    arrives.swap(last, last - 1);
                }
            }
            for (header, body) in arrives {
                heard.extend(digits.hear(&header, &body));
            }
            timestamp = timestamp.wrapping_add(u32::from(steps) * 160 + 800);
        }
        let expected: Vec<u8> = dialled.iter().map(|(event, _)| *event).collect();
        prop_assert_eq!(heard, expected);
    }
}
