//! Key frames for whoever begins to see: a receiver whose keys or place are new can make nothing of video until its sender
//! begins a new picture. The sender is asked for one by RTCP (RFC 4585 §6.3.1, RFC 5104 §4.3.1), as a receiver would.
//!
//! Nothing of this looks at packets of media: it is decided when signalling says something, and carried out by the sweep.

use super::{end::End, flow::Stream, ports::SplitMix, stats::Counts};
use crate::media::{Component, Connect, KeyFrameRequest, Protection, packet::Packet};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A sender is asked at most that often.
const EACH: Duration = Duration::from_millis(500);
/// And so often for each reason: nothing says whether a request has arrived.
const TIMES: u8 = 3;

/// What one side, as a sender of video, is asked for.
#[derive(Debug, Default)]
pub(crate) struct KeyFrames {
    how: Option<KeyFrameRequest>,
    /// Who we are in RTCP that is our own.
    identity: Option<Identity>,
    /// Requests to come.
    left: u8,
    /// Not before that.
    next: Option<Instant>,
    /// Numbers reasons: repetitions of a FIR are told from a new one by it (RFC 5104 §4.3.1.1).
    number: u8,
    /// Packets of this side that had been lost when that was last looked at.
    lost: u64,
}

/// A source that sends nothing but requests.
#[derive(Clone, Copy, Debug)]
struct Identity {
    ssrc: u32,
    /// Random, so that it says nothing of us or of the other leg (RFC 7022 §4.2).
    name: [u8; 16],
}

impl Identity {
    fn new() -> Self {
        let mut random = SplitMix::from_system();
        let mut name = [0; 16];
        for octets in name.chunks_exact_mut(8) {
            // Letters only.
            for (octet, random) in octets.iter_mut().zip(random.next().to_be_bytes()) {
                *octet = b'a' + random % 26;
            }
        }
        Self {
            ssrc: (random.next() >> 32) as u32,
            name,
        }
    }
}

/// What a `Connect` has changed for video.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fresh {
    /// This side receives from now on, or under another key, or elsewhere.
    pub(crate) sees: bool,
    /// What this side sends can be opened from now on.
    pub(crate) shows: bool,
}

impl KeyFrames {
    /// Takes what is said of this side.
    pub(crate) const fn set(&mut self, connect: &Connect) {
        self.how = connect.key_frames;
    }

    /// The stream is gone, with all that was waited for.
    pub(super) fn shut(&mut self, counts: &Counts) {
        self.left = 0;
        self.lost = counts.lost_unseen();
    }

    /// Somebody waits for a new picture.
    pub(super) fn want(&mut self) {
        // What is said of this side may come just after what is said of the other.
        self.left = TIMES;
        self.number = self.number.wrapping_add(1);
    }

    fn is_due(&self, now: Instant) -> bool {
        self.how.is_some() && self.left > 0 && self.next.is_none_or(|next| next <= now)
    }

    /// Writes a request to a source.
    fn write(&mut self, source: u32, packet: &mut Packet) -> bool {
        let Identity { ssrc, name } = *self.identity.get_or_insert_with(Identity::new);
        let words = |words: &[u32]| {
            words
                .iter()
                .flat_map(|word| word.to_be_bytes())
                .collect::<Vec<u8>>()
        };
        // RFC 3550 §6.1: an empty report and our name come first. Not everybody takes less (RFC 5506 §5).
        let mut bytes = words(&[0x80c9_0001, ssrc, 0x81ca_0006, ssrc]);
        bytes.extend([1, 16]);
        bytes.extend(name);
        bytes.extend([0, 0]);
        bytes.extend(match self.how {
            Some(KeyFrameRequest::Pli) => words(&[0x81ce_0002, ssrc, source]),
            Some(KeyFrameRequest::Fir) => {
                words(&[0x84ce_0004, ssrc, 0, source, u32::from(self.number) << 24])
            }
            None => return false,
        });
        packet.fill(&bytes);
        true
    }

    fn asked(&mut self, now: Instant) {
        self.left -= 1;
        self.next = Some(now + EACH);
    }
}

impl End {
    /// Whether something sent to this side would arrive.
    pub(super) fn is_reachable(&self) -> bool {
        self.destination(false).is_some() && !self.sending.has(&Protection::Blocked)
    }

    /// Somebody is ready for what this side sends. `whole`: and has seen nothing of it so far; else it only matters if something
    /// of it was lost for want of a key.
    fn show_anew(&mut self, whole: bool) {
        let lost = self.counts.lost_unseen();
        let missed = std::mem::replace(&mut self.key_frames.lost, lost) != lost;
        // Who has not sent anything yet begins with a new picture anyway.
        if missed || whole && self.counts.source().is_some() {
            self.key_frames.want();
            tracing::debug!(how = ?self.key_frames.how, "whoever receives this begins to see, its sender is asked for a key frame");
        }
    }

    /// A request to the sender at this side that is due, sealed, and how it leaves.
    pub(crate) fn request(&mut self, packet: &mut Packet, now: Instant) -> Option<(Component, SocketAddr)> {
        if !self.key_frames.is_due(now) {
            return None;
        }
        let source = self.counts.source()?;
        let (by, to) = self.destination(true)?;
        let sealed = self.key_frames.write(source, packet) && self.rtcp_keys(by).1.seal_rtcp(packet).is_ok();
        sealed.then(|| {
            self.key_frames.asked(now);
            (by, to)
        })
    }
}

impl Stream {
    /// Takes all that is said of one side, and sees who waits for a key frame now.
    pub(crate) fn connect(&mut self, connect: &Connect, now: Instant) {
        let fresh = self.end(connect.side).connect(connect, now);
        if fresh.shows {
            self.end(connect.side).show_anew(false);
        }
        if fresh.sees {
            self.end(connect.side.other()).show_anew(true);
        }
    }

    /// Asks those senders for key frames who are to be asked now. There is nobody to be told when that cannot be sent.
    pub(crate) fn ask(&mut self, packet: &mut Packet, now: Instant) {
        for end in self.ends() {
            if let Some((by, to)) = end.request(packet, now) {
                end.say(by, packet, to);
            }
        }
    }
}

#[cfg(test)]
mod tests;
