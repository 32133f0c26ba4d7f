//! What the phones say to each other, and the judgement of what was heard.
//!
//! A talker sends a tone in G.711 and stamps each packet with who speaks and the packet's number. A listener
//! computes from the stamp which bytes the packet must hold and compares all of them, so that nothing that was
//! changed, lost, repeated or mixed up on the way goes unseen.

use super::crypto::{Protect, Sealed, Unprotect};
use super::tone::{Codec, FRAME, RATE, Tone, strongest};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::AddAssign;
use std::sync::Arc;

/// Bytes of an RTP header without contributors or extensions (RFC 3550 §5.1).
const HEADER: usize = 12;
/// Bytes at the beginning of each payload that say who speaks and which packet it is.
const STAMP: usize = 12;
const MAGIC: [u8; 3] = *b"b2b";
/// Packets kept while the keys to read them are not known yet (RFC 4568 §7.1.2: media may overtake the answer).
const EARLY: usize = 64;

/// One of the two ends of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// It placed the call.
    Caller,
    /// It was called.
    Callee,
}

/// Whose voice a stream is: which call of the run and which end of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Voice {
    /// The number of the call.
    pub call: u32,
    /// The end that speaks.
    pub side: Side,
}

impl Voice {
    fn stamp(self, number: u32) -> [u8; STAMP] {
        let [a, b, c, d] = self.call.to_be_bytes();
        let [e, f, g, h] = number.to_be_bytes();
        [
            MAGIC[0],
            MAGIC[1],
            MAGIC[2],
            u8::from(self.side == Side::Callee),
            a,
            b,
            c,
            d,
            e,
            f,
            g,
            h,
        ]
    }

    /// Reads a stamp: the voice and the packet's number.
    fn read(payload: &[u8]) -> Option<(Self, u32)> {
        let (stamp, _) = payload.split_first_chunk::<STAMP>()?;
        let [m0, m1, m2, side, a, b, c, d, e, f, g, h] = *stamp;
        let side = match side {
            0 => Side::Caller,
            1 => Side::Callee,
            _ => return None,
        };
        let voice = Self {
            call: u32::from_be_bytes([a, b, c, d]),
            side,
        };
        ([m0, m1, m2] == MAGIC).then_some((voice, u32::from_be_bytes([e, f, g, h])))
    }
}

/// The source of one stream of RTP.
pub struct Talker {
    voice: Voice,
    tone: Arc<Tone>,
    ssrc: u32,
    protect: Protect,
    /// Where RTCP has keys of its own.
    protect_reports: Option<Protect>,
    sent: u32,
}

impl Talker {
    /// Speaks `tone` as `voice` under `protect`.
    pub fn new(voice: Voice, tone: Arc<Tone>, ssrc: u32, protect: Protect) -> Self {
        Self {
            voice,
            tone,
            ssrc,
            protect,
            protect_reports: None,
            sent: 0,
        }
    }

    /// Reports go out under another key than the rest: with DTLS and without rtcp-mux, RTCP has its own.
    pub fn protect_reports(&mut self, protect: Protect) {
        self.protect_reports = Some(protect);
    }

    /// The next packet of 20 ms. None if its key is exhausted.
    pub fn speak(&mut self) -> Option<Bytes> {
        let number = self.sent;
        let mut packet = [0; HEADER + FRAME];
        packet[0] = 0x80;
        // The marker begins a talkspurt (RFC 3551 §4.1).
        packet[1] = self.tone.codec().payload_type() | if number == 0 { 0x80 } else { 0 };
        // SSRC-dependent beginnings, so that two streams do not look alike; below 2^15 (RFC 3711 §3.3.1).
        let first = (self.ssrc & 0x7fff) as u16;
        packet[2..4].copy_from_slice(&first.wrapping_add(number as u16).to_be_bytes());
        packet[4..8].copy_from_slice(&self.timestamp().to_be_bytes());
        packet[8..12].copy_from_slice(&self.ssrc.to_be_bytes());
        packet[HEADER..].copy_from_slice(self.tone.frame(number));
        packet[HEADER..HEADER + STAMP].copy_from_slice(&self.voice.stamp(number));
        self.sent += 1;
        self.protect.rtp(&packet)
    }

    /// The RTP timestamp of the next packet.
    fn timestamp(&self) -> u32 {
        self.ssrc
            .rotate_left(16)
            .wrapping_add(self.sent.wrapping_mul(FRAME as u32))
    }

    /// A sender report with a name (RFC 3550 §6.4.1, §6.5); `elapsed` seconds since the phone began stand for
    /// the wall clock, as §4 of that RFC allows.
    pub fn report(&mut self, elapsed: std::time::Duration) -> Option<Bytes> {
        let fraction = (u64::from(elapsed.subsec_nanos()) << 32) / 1_000_000_000;
        let name = b"phone@invalid";
        let mut packet = vec![0x80, 200, 0, 6];
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend((elapsed.as_secs() as u32).to_be_bytes());
        packet.extend((fraction as u32).to_be_bytes());
        packet.extend(self.timestamp().to_be_bytes());
        packet.extend(self.sent.to_be_bytes());
        packet.extend(self.sent.wrapping_mul(FRAME as u32).to_be_bytes());
        // SDES: one chunk, item CNAME, ended by zeros up to the next word.
        let words = (4 + 2 + name.len()) / 4 + 1;
        packet.extend([0x81, 202, 0, words as u8]);
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend([1, name.len() as u8]);
        packet.extend(name);
        packet.resize(28 + 4 + words * 4, 0);
        let protect = self.protect_reports.as_mut().unwrap_or(&mut self.protect);
        protect.rtcp(&packet)
    }

    /// Packets sent so far.
    pub fn sent(&self) -> u32 {
        self.sent
    }
}

/// What was heard, packet by packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// RTP packets that arrived, of whatever worth.
    pub received: u64,
    /// Packets that are byte for byte what the far end sent, each counted once.
    pub good: u64,
    /// Packets of the right voice with anything wrong in header or payload.
    pub wrong: u64,
    /// Packets that had arrived before.
    pub replayed: u64,
    /// Packets of another voice, or of no phone of ours.
    pub unknown: u64,
    /// Packets that did not authenticate on a keyed leg.
    pub unreadable: u64,
    /// Clear packets on a keyed leg.
    pub clear: u64,
    /// Packets dropped by ourselves while no key was known: these are our fault.
    pub dropped: u64,
}

impl Tally {
    /// Packets that should not be there at all.
    pub fn bad(&self) -> u64 {
        self.wrong + self.replayed + self.unknown + self.unreadable + self.clear
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.received += other.received;
        self.good += other.good;
        self.wrong += other.wrong;
        self.replayed += other.replayed;
        self.unknown += other.unknown;
        self.unreadable += other.unreadable;
        self.clear += other.clear;
        self.dropped += other.dropped;
    }
}

/// The far end of one stream of RTP: reads, compares, counts.
pub struct Listener {
    expect: Voice,
    tone: Arc<Tone>,
    open: Option<Unprotect>,
    early: Vec<Box<[u8]>>,
    tally: Tally,
    /// The first good packet's SSRC, and its timestamp and sequence number less what its number accounts for.
    base: Option<(u32, u32, u16)>,
    highest: u32,
    /// Which of the last packets were heard; bit 0 is `highest`.
    window: u128,
    /// The last second that was heard, if anybody wants to hear it again.
    heard: Option<VecDeque<i16>>,
}

impl Listener {
    /// Expects `tone` spoken by `expect`. Packets wait until [`Listener::open`] says how to read them.
    pub fn new(expect: Voice, tone: Arc<Tone>) -> Self {
        Self {
            expect,
            tone,
            open: None,
            early: Vec::new(),
            tally: Tally::default(),
            base: None,
            highest: 0,
            window: 0,
            heard: None,
        }
    }

    /// Keeps the last second of audio for [`Listener::strongest`].
    pub fn recording(mut self) -> Self {
        self.heard = Some(VecDeque::with_capacity(RATE));
        self
    }

    /// From here on packets are read this way; those that came early first.
    pub fn open(&mut self, unprotect: Unprotect) {
        self.open = Some(unprotect);
        for packet in std::mem::take(&mut self.early) {
            self.judge(&packet);
        }
    }

    /// Expects another codec of the same tone: what the answer chose.
    pub fn expect_codec(&mut self, codec: Codec) {
        if self.tone.codec() != codec {
            self.tone = Arc::new(Tone::new(self.tone.hertz(), codec));
        }
    }

    /// Expects this tone from here on.
    pub fn expect_tone(&mut self, tone: Arc<Tone>) {
        self.tone = tone;
    }

    /// A packet arrived.
    pub fn hear(&mut self, packet: &[u8]) {
        self.tally.received += 1;
        if self.open.is_some() {
            self.judge(packet);
        } else if self.early.len() < EARLY {
            self.early.push(packet.into());
        } else {
            self.tally.dropped += 1;
        }
    }

    /// A packet arrived from where this stream does not come from.
    pub fn stranger(&mut self) {
        self.tally.received += 1;
        self.tally.unknown += 1;
    }

    fn judge(&mut self, packet: &[u8]) {
        let Some(open) = &mut self.open else { return };
        match open.rtp(packet) {
            Ok(clear) => self.compare(&clear),
            Err(Sealed::Replayed) => self.tally.replayed += 1,
            Err(Sealed::Unreadable) if packet.get(HEADER..).and_then(Voice::read).is_some() => {
                self.tally.clear += 1
            }
            Err(Sealed::Unreadable) => self.tally.unreadable += 1,
        }
    }

    fn compare(&mut self, packet: &[u8]) {
        let Some((header, payload)) = packet.split_first_chunk::<HEADER>() else {
            self.tally.unknown += 1;
            return;
        };
        let number = match Voice::read(payload) {
            Some((voice, number)) if voice == self.expect => number,
            _ => {
                self.tally.unknown += 1;
                return;
            }
        };
        let [first, kind, s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = *header;
        let base = (
            u32::from_be_bytes([r0, r1, r2, r3]),
            u32::from_be_bytes([t0, t1, t2, t3]).wrapping_sub(number.wrapping_mul(FRAME as u32)),
            u16::from_be_bytes([s0, s1]).wrapping_sub(number as u16),
        );
        let right = first == 0x80
            && kind == self.tone.codec().payload_type() | if number == 0 { 0x80 } else { 0 }
            && payload.get(STAMP..) == self.tone.frame(number).get(STAMP..)
            && *self.base.get_or_insert(base) == base;
        if !right {
            self.tally.wrong += 1;
        } else if !self.first_time(number) {
            self.tally.replayed += 1;
        } else {
            self.tally.good += 1;
            self.record(payload);
        }
    }

    /// Whether the packet of this number was not heard before. Too old to know counts as heard.
    fn first_time(&mut self, number: u32) -> bool {
        if self.tally.good == 0 {
            (self.highest, self.window) = (number, 1);
            return true;
        }
        if number > self.highest {
            self.window = self.window.checked_shl(number - self.highest).unwrap_or(0) | 1;
            self.highest = number;
            return true;
        }
        let Some(bit) = 1_u128.checked_shl(self.highest - number) else {
            return false;
        };
        let new = self.window & bit == 0;
        self.window |= bit;
        new
    }

    fn record(&mut self, payload: &[u8]) {
        let Some(heard) = &mut self.heard else { return };
        // The stamp would only be a click in the ear: the tone is judged by what follows it.
        let codec = self.tone.codec();
        let stamp = self.tone.frame(0).len() - payload[STAMP..].len();
        let samples =
            std::iter::repeat_n(0, stamp).chain(payload[STAMP..].iter().map(|&byte| codec.decode(byte)));
        heard.extend(samples);
        let excess = heard.len().saturating_sub(RATE);
        heard.drain(..excess);
    }

    /// The strongest frequency of the last second with its share, if any was heard and kept.
    pub fn strongest(&mut self) -> Option<(u32, f64)> {
        strongest(self.heard.as_mut()?.make_contiguous())
    }

    /// The frequency that should be heard.
    pub fn expected_hertz(&self) -> u32 {
        self.tone.hertz()
    }

    /// What was heard so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }
}

#[cfg(test)]
#[path = "audio_tests.rs"]
mod tests;
