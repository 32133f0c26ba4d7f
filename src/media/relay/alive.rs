//! Packets that keep a path open while nothing else goes there (RFC 6263, `rtp-keepalive`): a party that is held by silence may be
//! given up by its carrier, or forgotten by a NAT.
//!
//! An empty packet of a payload type that nobody has agreed to, from a source of its own: whoever gets it drops it, and has got
//! something (RFC 6263 §4.6). Nothing of this looks at packets of media: it is carried out by the sweep.

use super::{end::End, flow::Stream, ports::SplitMix};
use crate::media::{
    Connect,
    packet::{Packet, RTP_HEADER},
};
use std::time::{Duration, Instant};

/// Unassigned (RFC 3551 §6), so no description gives it a meaning.
const NOBODYS: u8 = 20;

/// What one side gets when it gets nothing else.
#[derive(Debug, Default)]
pub(crate) struct Alive {
    every: Option<Duration>,
    /// Packets that had gone there when that was last looked at.
    sent: u64,
    /// When one had last gone.
    last: Option<Instant>,
    source: Option<Source>,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
}

impl Alive {
    /// From now on, as often as `Connect` says.
    pub(super) const fn set(&mut self, connect: &Connect, now: Instant) {
        self.every = connect.alive;
        self.last = Some(now);
    }
    /// Nothing goes there any more.
    pub(super) const fn shut(&mut self) {
        self.every = None;
    }
    /// The packet that is due, where `sent` have gone there so far.
    fn due(&mut self, sent: u64, now: Instant) -> Option<[u8; RTP_HEADER]> {
        let every = self.every?;
        if sent != self.sent {
            self.sent = sent;
            self.last = Some(now);
        }
        if self
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < every)
        {
            return None;
        }
        self.last = Some(now);
        let source = self.source.get_or_insert_with(|| {
            let mut random = SplitMix::from_system();
            let (first, second) = (random.next(), random.next());
            Source {
                ssrc: (first >> 32) as u32,
                // With room above: receivers guess the rollover counter by it (RFC 3711 §3.3.1).
                sequence: (first & 0x7fff) as u16,
                timestamp: (second >> 32) as u32,
            }
        });
        source.sequence = source.sequence.wrapping_add(1);
        let milliseconds = u32::try_from(every.as_millis()).unwrap_or(u32::MAX);
        source.timestamp = source.timestamp.wrapping_add(milliseconds.wrapping_mul(8));
        let mut packet = [0; RTP_HEADER];
        packet[0] = 0x80;
        packet[1] = NOBODYS;
        packet[2..4].copy_from_slice(&source.sequence.to_be_bytes());
        packet[4..8].copy_from_slice(&source.timestamp.to_be_bytes());
        packet[8..12].copy_from_slice(&source.ssrc.to_be_bytes());
        Some(packet)
    }
}

impl End {
    /// Sends what is due. Whoever is on hold by address, or has no key, gets nothing.
    fn keep_alive(&mut self, packet: &mut Packet, now: Instant) {
        let Some(bytes) = self.alive.due(self.counts.sent_so_far(), now) else {
            return;
        };
        self.say_sealed(&bytes, packet);
    }
}

impl Stream {
    /// Sends either side what keeps its path open, where it is due.
    pub(super) fn keep_alive(&mut self, packet: &mut Packet, now: Instant) {
        for end in self.ends() {
            end.keep_alive(packet, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
    fn acceptance_11_something_goes_where_nothing_else_went_for_so_long() {
        let began = Instant::now();
        let at = |seconds| began + Duration::from_secs(seconds);
        let mut alive = Alive::default();
        assert_eq!(alive.due(0, at(100)), None, "not wanted");
        alive.every = Some(Duration::from_secs(15));
        alive.last = Some(began);
        assert_eq!(alive.due(0, at(14)), None);
        let first = alive.due(0, at(15)).expect("due");
        assert_eq!(alive.due(0, at(29)), None);
        let second = alive.due(0, at(30)).expect("due again");
        assert_eq!(first[..2], [0x80, NOBODYS]);
        assert_eq!(first[8..], second[8..], "one source");
        let number = |packet: &[u8]| u16::from_be_bytes([packet[2], packet[3]]);
        assert_eq!(number(&second), number(&first) + 1);
        // Voice goes there again.
        assert_eq!(alive.due(5, at(45)), None);
        assert_eq!(alive.due(9, at(50)), None);
        assert_eq!(alive.due(9, at(64)), None);
        assert!(alive.due(9, at(65)).is_some());
        alive.shut();
        assert_eq!(alive.due(9, at(1_000)), None);
    }
}
