//! The edit that keyed legs need: SSRCs and sequence numbers that never make an (SSRC, index) pair repeat.
//!
//! A source may start its numbers again, change its SSRC, or share one with another source; hold and resume do all of
//! that. Under a key every pair may be sealed once, so what leaves here goes on where its SSRC was (acceptance #2).
//! While sources behave, nothing is changed.
//!
//! It also decides acceptance #1 for what we send. A peer that begins again at rollover counter 0 after a re-INVITE and
//! one that goes on disagree about every packet beyond index 65,535, and neither says which it is. Under a *new* SSRC
//! they agree: both begin at 0. So when keys or addresses change and an SSRC has come halfway, it is replaced, and
//! likewise when the peer's own packets show that it has begun again. RTCP is rewritten to match.

use super::ports::SplitMix;
use crate::media::{packet::RtpHeader, srtp::SrtpOut};

/// Sources that are told apart. The one unused for longest makes room.
const MAX_SOURCES: usize = 32;
/// From this index on a peer that begins again and one that goes on might come to disagree before the next chance to
/// change the SSRC: a gap of less than half a turn must not lead past the first rollover.
const HALFWAY: u64 = 1 << 15;
/// A step ahead by more than this is not loss but a source that started its numbers again (RFC 3550 §A.1 MAX_DROPOUT).
/// Passed on as it is, it might lead a receiver that lost a few packets more to guess the wrong rollover counter.
const MAX_STEP: i16 = 3000;
/// A late or doubled packet is never older than this, in timestamp units: 11 s of video, two minutes of voice.
const LATEST: i32 = 1 << 20;

/// The numbers under which sources leave towards one side.
#[derive(Debug)]
pub(crate) struct Numbering {
    sources: Vec<Source>,
    clock: u64,
    changes: bool,
    random: SplitMix,
}

#[derive(Clone, Copy, Debug)]
struct Source {
    from: u32,
    to: u32,
    /// Added to its sequence numbers.
    offset: u16,
    /// The highest sequence number that left.
    highest: u16,
    timestamp: u32,
    /// The next sequence number, should the source have started its numbers again.
    suspect: Option<u16>,
    /// Its SSRC is to be replaced with its next packet.
    stale: bool,
    used: u64,
}

impl Numbering {
    /// Nothing is known of any source.
    pub(crate) const fn new(random: SplitMix) -> Self {
        Self {
            sources: Vec::new(),
            clock: 0,
            changes: false,
            random,
        }
    }

    /// Whether any source leaves under other numbers than its own.
    #[inline]
    pub(crate) const fn changes(&self) -> bool {
        self.changes
    }

    /// Replaces the SSRCs that have come halfway, each with its next packet.
    pub(crate) fn renew(&mut self, out: &SrtpOut) {
        for source in &mut self.sources {
            source.stale |= out.position(source.to).is_some_and(|index| index >= HALFWAY);
        }
    }

    /// The SSRC and sequence number under which a packet leaves. `None`: it may be a stray; the next one will tell.
    #[inline]
    pub(crate) fn number(&mut self, header: &RtpHeader, out: &SrtpOut) -> Option<(u32, u16)> {
        self.clock += 1;
        let place = self
            .sources
            .iter()
            .position(|source| source.from == header.ssrc && !source.stale);
        let place = place.unwrap_or_else(|| self.admit(header, out));
        let source = &mut self.sources[place];
        source.used = self.clock;
        let sequence = header.sequence.wrapping_add(source.offset);
        let ahead = sequence.wrapping_sub(source.highest).cast_signed();
        if (1..=MAX_STEP).contains(&ahead) {
            source.highest = sequence;
            source.timestamp = header.timestamp;
            source.suspect = None;
            return Some((source.to, sequence));
        }
        if source.began_again(header, ahead) {
            self.changes = true;
            return Some((source.to, source.go_on(header)));
        }
        // Late or doubled: whether it may be sealed is not decided here.
        (ahead <= 0).then_some((source.to, sequence))
    }

    /// Where a source's RTCP leaves as: the reverse of [`Self::source_of`].
    pub(crate) fn leaves_as(&self, ssrc: u32) -> u32 {
        self.sources
            .iter()
            .find(|source| source.from == ssrc)
            .map_or(ssrc, |source| source.to)
    }

    /// The SSRC, and what was added to its numbers, of the source that left under this SSRC: for reports that come back.
    pub(crate) fn source_of(&self, ssrc: u32) -> (u32, u16) {
        self.sources
            .iter()
            .find(|source| source.to == ssrc)
            .map_or((ssrc, 0), |source| (source.from, source.offset))
    }

    #[cold]
    fn admit(&mut self, header: &RtpHeader, out: &SrtpOut) -> usize {
        let stale = self.sources.iter().position(|source| source.from == header.ssrc);
        if let Some(place) = stale {
            if !out.has_room() {
                // As many SSRCs as a key may have: the old one goes on.
                self.sources[place].stale = false;
                return place;
            }
            self.sources.swap_remove(place);
        }
        let known = out.position(header.ssrc).is_some();
        let free = self.sources.iter().all(|source| source.to != header.ssrc) && (known || out.has_room());
        let to = if stale.is_none() && free {
            header.ssrc
        } else if out.has_room() {
            self.fresh(out)
        } else {
            self.oldest().map_or(header.ssrc, |place| self.sources[place].to)
        };
        self.sources.retain(|source| source.to != to);
        if self.sources.len() >= MAX_SOURCES
            && let Some(oldest) = self.oldest()
        {
            self.sources.swap_remove(oldest);
        }
        let mut source = Source {
            from: header.ssrc,
            to,
            offset: 0,
            highest: header.sequence.wrapping_sub(1),
            timestamp: header.timestamp,
            suspect: None,
            stale: false,
            used: self.clock,
        };
        if let Some(position) = out.position(to) {
            source.highest = position as u16;
            source.go_on(header);
            source.highest = source.highest.wrapping_sub(1);
        } else if to != header.ssrc && u64::from(header.sequence) >= HALFWAY {
            // RFC 3711 §3.3.1: not near the wrap, or a receiver that misses the first packets is lost for good.
            source.offset = 1 << 15;
            source.highest = source.highest.wrapping_add(source.offset);
        }
        self.changes |= source.to != source.from || source.offset != 0;
        self.sources.push(source);
        self.sources.len() - 1
    }

    fn oldest(&self) -> Option<usize> {
        (0..self.sources.len()).min_by_key(|&place| self.sources[place].used)
    }

    /// An SSRC that no source has or had under this key.
    fn fresh(&mut self, out: &SrtpOut) -> u32 {
        loop {
            let ssrc = (self.random.next() >> 32) as u32;
            let taken = self
                .sources
                .iter()
                .any(|source| source.to == ssrc || source.from == ssrc);
            if ssrc != 0 && !taken && out.position(ssrc).is_none() {
                return ssrc;
            }
        }
    }
}

impl Source {
    /// Whether a packet that is not a small step ahead is neither late nor doubled, but of a source that started its
    /// numbers again: two in sequence show that (RFC 3550 §A.1), beyond what can be late, or with timestamps that
    /// cannot be.
    fn began_again(&mut self, header: &RtpHeader, ahead: i16) -> bool {
        let later = header.timestamp.wrapping_sub(self.timestamp).cast_signed();
        let plausible = (-127..=0).contains(&ahead) && later <= 0 && later > -LATEST;
        if plausible {
            return false;
        }
        let confirmed = self.suspect == Some(header.sequence);
        self.suspect = Some(header.sequence.wrapping_add(1));
        confirmed
    }

    /// Makes the packet the next one of what has left.
    const fn go_on(&mut self, header: &RtpHeader) -> u16 {
        let sequence = self.highest.wrapping_add(1);
        self.offset = sequence.wrapping_sub(header.sequence);
        self.highest = sequence;
        self.timestamp = header.timestamp;
        self.suspect = None;
        sequence
    }
}

#[cfg(test)]
mod tests;
