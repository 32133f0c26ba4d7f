//! Digits between a leg that has them in its media (RFC 4733) and one that says them in INFO.
//!
//! Towards the leg that has them a digit takes the place of the voice for as long as it lasts: a train of packets of its own
//! that goes on with the numbers and the time of the stream that it interrupts. The voice then goes on where the train has
//! ended. Instead of the voice and not beside it, as RFC 4733 §3.1 has it of gateways: who turns the events into tones again plays
//! one of the two, and a tone under a voice may not be recognised. From that leg each digit is told once, however many of its packets are lost or doubled, and none of them crosses.

use super::{end::End, flow::Stream, ports::SplitMix};
use crate::media::{
    Digit, Events,
    packet::{Discard, Packet, RTP_HEADER, RtpHeader, set_rtp_numbers},
};
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// From one packet of a digit to the next (RFC 4733 §2.5.1.2 wants the voice's own; 20 ms is that of most).
const STEP: Duration = Duration::from_millis(20);
/// How often the last packet is sent (RFC 4733 §2.5.1.4).
const ENDS: u8 = 3;
/// Between two digits: less is heard as one where they are the same.
const PAUSE: Duration = Duration::from_millis(60);
/// Digits that wait for their turn. Somebody who dials has no more.
const MOST: usize = 32;
/// -10 dBm0 (RFC 4733 §2.3.3), what most phones say.
const VOLUME: u8 = 10;
/// The longest that one packet can say, in timestamp units; a longer digit goes on in a new segment (RFC 4733 §2.5.1.3).
const SEGMENT: u32 = 0xffff;
/// A packet of a digit is never later than this, in timestamp units: ten seconds at 48 kHz.
const LATEST: i32 = 480_000;
/// The voice of before a digit is never later than this, in packets.
const LATE: u16 = 512;

/// One side's share of it.
#[derive(Debug)]
pub(crate) struct Digits {
    /// Bit n: number n brings digits.
    hears: u128,
    heard: Option<Heard>,
    says: Option<(u8, u32)>,
    waiting: VecDeque<Digit>,
    train: Option<Train>,
    /// When the first of those that wait came.
    asked: Option<Instant>,
    /// Not before that another digit begins.
    rests: Option<Instant>,
    line: Option<Line>,
    random: SplitMix,
}

/// The last digit that came.
#[derive(Clone, Copy, Debug)]
struct Heard {
    ssrc: u32,
    timestamp: u32,
    event: u8,
}

/// What leaves towards this side besides digits.
#[derive(Clone, Copy, Debug)]
struct Line {
    ssrc: u32,
    /// The number of the last packet that left.
    highest: u16,
    timestamp: u32,
    at: Instant,
    /// Added to the numbers of the source.
    shift: u16,
    /// As the source numbers them: what is not after it has been replaced by digits.
    replaced: Option<u16>,
    /// A digit has ended: the next packet of the source is the next one that leaves.
    resumes: bool,
}

/// A digit that is being sent.
#[derive(Clone, Copy, Debug)]
struct Train {
    event: u8,
    ssrc: u32,
    timestamp: u32,
    /// In timestamp units, of one packet and of the whole digit.
    step: u32,
    length: u32,
    elapsed: u32,
    ends: u8,
    next: Instant,
}

impl Digits {
    pub(crate) fn new() -> Self {
        Self {
            hears: 0,
            heard: None,
            says: None,
            waiting: VecDeque::new(),
            train: None,
            asked: None,
            rests: None,
            line: None,
            random: SplitMix::from_system(),
        }
    }
    /// Takes what is agreed; `None`: nothing is to be converted any more. The numbers go on from where they are.
    pub(crate) fn set(&mut self, events: Option<&Events>) {
        self.hears = events.map_or(0, |events| events.hears);
        self.says = events.map(|events| (events.says, events.clock));
        if events.is_none() {
            self.waiting.clear();
            self.train = None;
        }
    }
    /// Whether a packet that comes from this side is one of a digit.
    #[inline]
    pub(crate) const fn is_event(&self, packet: &[u8]) -> bool {
        match packet {
            [_, second, ..] => self.hears >> (*second & 0x7f) & 1 == 1,
            _ => false,
        }
    }
    /// The digit that a packet is the first one of.
    pub(crate) fn hear(&mut self, header: &RtpHeader, payload: &[u8]) -> Option<u8> {
        let &[event, _, _, _, ..] = payload else {
            return None;
        };
        if let Some(heard) = &mut self.heard
            && heard.ssrc == header.ssrc
        {
            let later = header.timestamp.wrapping_sub(heard.timestamp).cast_signed();
            if (-LATEST..=0).contains(&later) {
                return None;
            }
            let segment = later.cast_unsigned().is_multiple_of(SEGMENT);
            if segment && event == heard.event && later < LATEST {
                heard.timestamp = header.timestamp;
                return None;
            }
        }
        self.heard = Some(Heard {
            ssrc: header.ssrc,
            timestamp: header.timestamp,
            event,
        });
        // Others than the sixteen digits (RFC 4733 §3.2) have no word in an INFO.
        (event < 16).then_some(event)
    }
    /// A digit is to be sent to this side. `false` when it has no number for it, or too many wait.
    pub(crate) fn say(&mut self, digit: Digit, now: Instant) -> bool {
        let takes = self.says.is_some() && self.waiting.len() < MOST && digit.event < 16;
        if takes {
            self.waiting.push_back(digit);
            self.asked.get_or_insert(now);
        }
        takes
    }
    /// When something is to be sent; `None`: nothing is.
    pub(crate) fn due(&self) -> Option<Instant> {
        match &self.train {
            Some(train) => Some(train.next),
            None if self.waiting.is_empty() => None,
            None => self.rests.or(self.asked),
        }
    }
    /// Whether nothing is being sent and nothing waits.
    pub(crate) fn is_idle(&self) -> bool {
        self.train.is_none() && self.waiting.is_empty()
    }
    /// The number under which a packet of voice leaves to this side; `None`: its own.
    ///
    /// # Errors
    /// A digit is sent in its place.
    #[inline]
    pub(crate) fn pass(&mut self, header: &RtpHeader, now: Instant) -> Result<Option<u16>, Discard> {
        let known = self.line.as_mut().filter(|line| line.ssrc == header.ssrc);
        if self.train.is_some() {
            if let Some(line) = known {
                let after = line
                    .replaced
                    .is_none_or(|last| header.sequence.wrapping_sub(last).cast_signed() > 0);
                if after {
                    line.replaced = Some(header.sequence);
                }
            }
            return Err(Discard::Digit);
        }
        let Some(line) = known else {
            self.line = Some(Line {
                ssrc: header.ssrc,
                highest: header.sequence,
                timestamp: header.timestamp,
                at: now,
                shift: 0,
                replaced: None,
                resumes: false,
            });
            return Ok(None);
        };
        if let Some(last) = line.replaced {
            // What comes so late would stand before the digit, or in it.
            match header.sequence.wrapping_sub(last) {
                1..=LATE => {}
                after if after.cast_signed() <= 0 => return Err(Discard::Digit),
                _ if line.resumes => {}
                _ => line.replaced = None,
            }
        }
        if line.resumes {
            line.shift = line.highest.wrapping_add(1).wrapping_sub(header.sequence);
            line.replaced = Some(header.sequence.wrapping_sub(1));
            line.resumes = false;
        }
        let sequence = header.sequence.wrapping_add(line.shift);
        if sequence.wrapping_sub(line.highest).cast_signed() > 0 {
            line.highest = sequence;
            line.timestamp = header.timestamp;
            line.at = now;
        }
        Ok((line.shift != 0).then_some(sequence))
    }
    /// The packet of a digit that is due now.
    pub(crate) fn tick(&mut self, now: Instant) -> Option<[u8; RTP_HEADER + 4]> {
        let (number, clock) = self.says?;
        if self.train.is_none() {
            if self.rests.is_some_and(|until| until > now) {
                return None;
            }
            let digit = self.waiting.pop_front()?;
            self.rests = None;
            self.asked = None;
            let random = &mut self.random;
            let line = self.line.get_or_insert_with(|| {
                // Nothing has left towards this side yet: the digit begins its own stream.
                let (first, second) = (random.next(), random.next());
                Line {
                    ssrc: (first >> 32) as u32,
                    highest: (first & 0x7fff) as u16,
                    timestamp: (second >> 32) as u32,
                    at: now,
                    shift: 0,
                    replaced: None,
                    resumes: false,
                }
            });
            let units = |time: Duration| {
                u32::try_from(time.as_micros() * u128::from(clock) / 1_000_000).unwrap_or(u32::MAX)
            };
            let step = units(STEP).max(1);
            let since = units(
                now.saturating_duration_since(line.at)
                    .min(Duration::from_secs(3600)),
            );
            if !line.resumes {
                line.replaced = Some(line.highest.wrapping_sub(line.shift));
            }
            self.train = Some(Train {
                event: digit.event,
                ssrc: line.ssrc,
                timestamp: line.timestamp.wrapping_add(since),
                step,
                length: units(digit.duration).clamp(step, SEGMENT),
                elapsed: 0,
                ends: 0,
                next: now,
            });
        }
        let train = self.train.as_mut().filter(|train| train.next <= now)?;
        let first = train.elapsed == 0;
        train.elapsed = (train.elapsed + train.step).min(train.length);
        let over = train.elapsed == train.length;
        train.ends += u8::from(over);
        // From now, not from when it was due: a thread that was late sends no burst.
        train.next = now + STEP;
        let sent = *train;
        if sent.ends >= ENDS {
            self.train = None;
            self.rests = Some(now + PAUSE);
        }
        let line = self.line.as_mut().filter(|line| line.ssrc == sent.ssrc);
        let sequence = match line {
            Some(line) => {
                line.highest = line.highest.wrapping_add(1);
                line.resumes = true;
                line.highest
            }
            None => return None,
        };
        let mut packet = [0; RTP_HEADER + 4];
        packet[0] = 0x80;
        packet[1] = number | if first { 0x80 } else { 0 };
        packet[2..4].copy_from_slice(&sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&sent.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&sent.ssrc.to_be_bytes());
        packet[12] = sent.event;
        packet[13] = VOLUME | if over { 0x80 } else { 0 };
        packet[14..16].copy_from_slice(&(sent.elapsed as u16).to_be_bytes());
        Some(packet)
    }
}

impl End {
    /// A digit is to be sent to this side. `false`: it cannot have it.
    pub(crate) fn dial(&mut self, digit: Digit, now: Instant) -> bool {
        let takes = self.digits.as_mut().is_some_and(|digits| digits.say(digit, now));
        if !takes {
            tracing::debug!(event = digit.event, "a digit that cannot be sent");
        }
        takes
    }
    /// Numbers a packet of voice that goes to this side, where digits have moved it; its header then.
    ///
    /// # Errors
    /// A digit is sent in its place.
    #[inline]
    pub(super) fn make_room(
        &mut self,
        packet: &mut Packet,
        header: &RtpHeader,
        now: Instant,
    ) -> Result<RtpHeader, Discard> {
        let Some(digits) = &mut self.digits else {
            return Ok(*header);
        };
        match digits.pass(header, now)? {
            None => Ok(*header),
            Some(sequence) => {
                set_rtp_numbers(packet.bytes_mut(), sequence, header.ssrc);
                Ok(RtpHeader { sequence, ..*header })
            }
        }
    }
    /// Sends what is due of a digit. Whoever is on hold by address, or has no key, misses it.
    fn send_digit(&mut self, packet: &mut Packet, now: Instant) {
        let Some(bytes) = self.digits.as_mut().and_then(|digits| digits.tick(now)) else {
            return;
        };
        if self.say_sealed(&bytes, packet) {
            self.counts.sent();
        }
    }
}

impl Stream {
    /// When something of a digit is to be sent.
    pub(crate) fn dial_due(&mut self) -> Option<Instant> {
        let due = |end: &End| end.digits.as_ref().and_then(|digits| digits.due());
        self.ends().iter().filter_map(due).min()
    }
    /// Sends what is due of digits; whether there is more to come.
    pub(crate) fn send_digits(&mut self, packet: &mut Packet, now: Instant) -> bool {
        let mut more = false;
        for end in self.ends() {
            if end
                .digits
                .as_ref()
                .and_then(|digits| digits.due())
                .is_some_and(|due| due <= now)
            {
                end.send_digit(packet, now);
            }
            more |= end.digits.as_ref().is_some_and(|digits| !digits.is_idle());
        }
        more
    }
}

#[cfg(test)]
#[path = "digits_tests.rs"]
mod tests;
