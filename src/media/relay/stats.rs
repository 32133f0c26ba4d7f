//! Counts: of one side of one stream, and of all relay threads together.

use super::jitter::Jitter;
use crate::{
    call::Side,
    media::{
        StreamId, StreamStats,
        packet::{Discard, RtpHeader},
    },
};
use std::{
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    time::Instant,
};

/// What one side of one stream counted. Plain numbers: only its thread touches them.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    received: u64,
    sent: u64,
    octets: u64,
    discarded: [u64; Discard::ALL.len()],
    sequence: Sequence,
    jitter: Jitter,
}

impl Counts {
    /// A good RTP packet of that payload type came from this side.
    #[inline]
    pub(crate) fn came(&mut self, header: &RtpHeader, payload: u8, now: Instant) {
        if self.sequence.note(header) {
            self.jitter.begin();
        }
        self.jitter.note(payload, header.timestamp, now);
    }

    /// Takes the clock rates of what comes from this side, by payload type.
    pub(crate) fn clocks(&mut self, clocks: &[(u8, u32)]) {
        self.jitter.set(clocks);
    }

    /// The source of the last good packet, since the stream was there.
    pub(crate) fn source(&self) -> Option<u32> {
        self.sequence.started.then_some(self.sequence.ssrc)
    }

    /// The stream is gone; should it come back, it is another run.
    pub(crate) const fn shut(&mut self) {
        self.sequence.started = false;
    }

    /// Packets that came from this side before it was known, while they could not be opened, or when nobody was there for them.
    pub(crate) fn lost_unseen(&self) -> u64 {
        [
            Discard::WrongPeer,
            Discard::Held,
            Discard::NotKeyed,
            Discard::Auth,
        ]
        .map(|why| self.discarded[why.index()])
        .iter()
        .sum()
    }

    /// It was passed on, with that much payload.
    #[inline]
    pub(crate) const fn received(&mut self, payload: usize) {
        self.received += 1;
        self.octets += payload as u64;
    }

    /// An RTP packet was sent to this side.
    #[inline]
    pub(crate) const fn sent(&mut self) {
        self.sent += 1;
    }

    /// How many.
    pub(crate) const fn sent_so_far(&self) -> u64 {
        self.sent
    }

    /// A packet from this side was discarded.
    #[inline]
    pub(crate) const fn discarded(&mut self, why: Discard) {
        self.discarded[why.index()] += 1;
    }

    /// The counts as the call gets them.
    pub(crate) fn report(&self, side: Side, stream: StreamId) -> StreamStats {
        let (jitter, highest_jitter) = self.jitter.read();
        StreamStats {
            side,
            stream,
            received: self.received,
            sent: self.sent,
            octets: self.octets,
            lost: self.sequence.lost(),
            jitter,
            highest_jitter,
            discarded: Discard::ALL
                .iter()
                .map(|why| (why.name(), self.discarded[why.index()]))
                .filter(|(_, count)| *count > 0)
                .collect(),
        }
    }
}

/// Loss by sequence numbers (RFC 3550 §A.3): what the numbers promised and what came.
#[derive(Debug, Default)]
struct Sequence {
    ssrc: u32,
    started: bool,
    /// Of the present source, counted from its first packet.
    highest: u16,
    expected: u64,
    came: u64,
    /// Of earlier sources and runs.
    lost_before: u64,
}

impl Sequence {
    /// A jump that is further than this is a new run of numbers, not loss (RFC 3550 §A.1 MAX_DROPOUT).
    const MAX_DROPOUT: u16 = 3000;
    /// Older than this is a new run too (MAX_MISORDER).
    const MAX_MISORDER: u16 = 100;

    /// Counts a packet; `true`: with it a new run of numbers begins.
    #[inline]
    fn note(&mut self, header: &RtpHeader) -> bool {
        let ahead = header.sequence.wrapping_sub(self.highest);
        if !self.started || header.ssrc != self.ssrc {
            self.begin(header);
            return true;
        } else if ahead <= Self::MAX_DROPOUT {
            self.expected += u64::from(ahead);
            self.highest = header.sequence;
            self.came += 1;
        } else if ahead.wrapping_neg() <= Self::MAX_MISORDER {
            self.came += 1;
        } else {
            self.begin(header);
            return true;
        }
        false
    }

    fn begin(&mut self, header: &RtpHeader) {
        *self = Self {
            ssrc: header.ssrc,
            started: true,
            highest: header.sequence,
            expected: 1,
            came: 1,
            lost_before: self.lost(),
        };
    }

    /// Duplicates count as come, so that a run never has lost less than nothing.
    const fn lost(&self) -> u64 {
        self.lost_before + self.expected.saturating_sub(self.came)
    }
}

/// What is open and what has passed, of all relay threads together. Read by whoever shows metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Calls with media.
    pub sessions: usize,
    /// Directions of streams that can carry packets: two per stream.
    pub flows: usize,
    /// Open sockets.
    pub sockets: usize,
    /// Bound ports, each an RTP or an RTCP one.
    pub ports: usize,
    /// Packets that were passed on, RTP and RTCP.
    pub forwarded: u64,
    /// Packets that were not, in the order of [`Discard::ALL`].
    pub discarded: [u64; Discard::ALL.len()],
}

/// What the threads add to. Per batch of packets, not per packet.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) sessions: AtomicUsize,
    pub(crate) flows: AtomicUsize,
    pub(crate) sockets: AtomicUsize,
    forwarded: AtomicU64,
    discarded: [AtomicU64; Discard::ALL.len()],
}

impl Totals {
    /// Adds what one batch counted, and empties it.
    pub(crate) fn add(&self, batch: &mut Batch) {
        if batch.forwarded > 0 {
            self.forwarded.fetch_add(batch.forwarded, Ordering::Relaxed);
        }
        if batch.any_discarded {
            for (total, count) in self.discarded.iter().zip(batch.discarded) {
                total.fetch_add(count, Ordering::Relaxed);
            }
        }
        *batch = Batch::default();
    }

    /// Adds these totals to a picture of all threads.
    pub(crate) fn read(&self, gauges: &mut Gauges) {
        let sockets = self.sockets.load(Ordering::Relaxed);
        gauges.sessions += self.sessions.load(Ordering::Relaxed);
        gauges.flows += self.flows.load(Ordering::Relaxed);
        gauges.sockets += sockets;
        gauges.ports += sockets;
        gauges.forwarded += self.forwarded.load(Ordering::Relaxed);
        for (sum, total) in gauges.discarded.iter_mut().zip(&self.discarded) {
            *sum += total.load(Ordering::Relaxed);
        }
    }
}

/// The counts of the batch under way.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    forwarded: u64,
    discarded: [u64; Discard::ALL.len()],
    any_discarded: bool,
}

impl Batch {
    /// Counts what became of a packet.
    #[inline]
    pub(crate) const fn count(&mut self, outcome: Result<(), Discard>) {
        match outcome {
            Ok(()) => self.forwarded += 1,
            Err(why) => {
                self.discarded[why.index()] += 1;
                self.any_discarded = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn lost(packets: &[(u32, u16)]) -> u64 {
        let mut counts = Counts::default();
        for &(ssrc, sequence) in packets {
            let header = RtpHeader {
                sequence,
                timestamp: 0,
                ssrc,
                length: 12,
            };
            counts.came(&header, 0, Instant::now());
        }
        counts.report(Side::A, StreamId(0)).lost
    }

    #[test]
    fn loss_is_what_the_numbers_promised_and_did_not_come() {
        assert_eq!(lost(&[]), 0);
        assert_eq!(lost(&[(1, 10), (1, 11), (1, 12)]), 0);
        assert_eq!(lost(&[(1, 10), (1, 13)]), 2);
        assert_eq!(lost(&[(1, 65_534), (1, 1)]), 2, "over the wrap");
        assert_eq!(lost(&[(1, 10), (1, 12), (1, 11)]), 0, "reordered is not lost");
        assert_eq!(
            lost(&[(1, 10), (1, 10), (1, 12)]),
            0,
            "a duplicate hides a loss, it never makes one negative"
        );
        assert_eq!(lost(&[(1, 10), (1, 12), (2, 500), (2, 502)]), 2, "per source");
        assert_eq!(
            lost(&[(1, 10), (1, 12), (1, 40_000), (1, 40_001)]),
            1,
            "a restart is not loss"
        );
    }

    #[test]
    fn a_report_names_only_what_happened() {
        let mut counts = Counts::default();
        counts.received(160);
        counts.sent();
        counts.discarded(Discard::Auth);
        counts.discarded(Discard::Auth);
        let report = counts.report(Side::B, StreamId(3));
        assert_eq!((report.received, report.sent, report.octets), (1, 1, 160));
        assert_eq!(report.discarded, [("auth", 2)]);
    }
}
