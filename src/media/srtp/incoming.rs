//! Opening what a peer sends.

use super::{
    KeyError,
    index::{self, Window},
    transform::Transform,
};
use crate::media::{
    SrtpKey,
    packet::{self, Discard, Packet, RtpHeader},
};
use std::fmt;

/// SSRCs that are remembered at a time.
const MAX_STREAMS: usize = 32;
/// SSRCs that were remembered once and may not come back under the same key. When they are this many too, no further
/// SSRC is taken: only who has the key gets that far.
const MAX_RETIRED: usize = 4096;
/// Candidates for the index of a first packet.
type Candidates = [Option<u64>; 5];

/// The receiving side of one master key.
///
/// Nothing changes before a packet is authenticated, so a stranger's packets cost time and nothing else.
pub struct SrtpIn {
    transform: Transform,
    streams: Vec<Stream>,
    retired: Vec<u32>,
    /// Highest indices that SSRCs had under the key before this one: some peers keep their rollover counter when they
    /// change the key, some begin again at 0.
    kept: Vec<(u32, u64)>,
    clock: u64,
    /// A copy of the packet while several indices are tried.
    spare: Vec<u8>,
}

/// What is known of one SSRC.
struct Stream {
    ssrc: u32,
    used: u64,
    rtp: Option<Received>,
    rtcp: Option<Window>,
}

/// RTP of one SSRC.
#[derive(Clone, Copy)]
struct Received {
    window: Window,
    /// Of the packet with the highest index.
    timestamp: u32,
    /// Signalling was renewed under the same key, and no packet came since.
    renewed: bool,
    restart: Option<Restart>,
}

/// An SSRC began again at rollover counter 0 under the same key. Until it is beyond where it was, indices repeat, and
/// only timestamps, which are authenticated, tell new packets from recorded ones.
#[derive(Clone, Copy)]
struct Restart {
    /// The highest index before.
    highest: u64,
    /// What was recorded before the restart is earlier than this.
    earliest: u32,
}

/// An RTP packet that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// Its header.
    pub header: RtpHeader,
    /// It is the newest of its SSRC: not late.
    pub newest: bool,
    /// The peer began again at rollover counter 0 with an SSRC that was beyond it: it will expect the same of us.
    pub restarted: bool,
    /// It is the first of its SSRC.
    pub first: bool,
}

impl SrtpIn {
    /// A context for this key.
    ///
    /// # Errors
    /// When its length is not the suite's.
    pub fn new(key: &SrtpKey) -> Result<Self, KeyError> {
        Ok(Self {
            transform: Transform::new(key)?,
            streams: Vec::new(),
            retired: Vec::new(),
            kept: Vec::new(),
            clock: 0,
            spare: Vec::new(),
        })
    }

    /// Says which key this one follows: its SSRCs may go on where they were, or begin again.
    pub fn follow(&mut self, previous: &Self) {
        self.kept = previous
            .streams
            .iter()
            .filter_map(|s| Some((s.ssrc, s.rtp?.window.highest())))
            .collect();
    }

    /// Signalling was renewed and the key stayed. Some peers then begin again at rollover counter 0 although they must
    /// not; until the next packet of an SSRC shows what this one does, both are tried.
    pub fn renew(&mut self) {
        for received in self.streams.iter_mut().filter_map(|stream| stream.rtp.as_mut()) {
            received.renewed = received.window.highest() > u64::from(u16::MAX);
        }
    }

    /// Opens an SRTP packet in place.
    ///
    /// # Errors
    /// `Malformed`, `Replay` or `Auth`; the packet's octets are then of no use.
    pub fn open_rtp(&mut self, packet: &mut Packet) -> Result<Accepted, Discard> {
        let header = packet::rtp_header(packet.bytes()).ok_or(Discard::Malformed)?;
        if packet.len() < header.length + self.transform.rtp_overhead() {
            return Err(Discard::Malformed);
        }
        let place = self.find(header.ssrc);
        let received = place.and_then(|place| self.streams[place].rtp.as_ref());
        let Some(received) = received.copied() else {
            return self.open_first(packet, header);
        };
        let likely = received.likely(&header);
        let renewed = received.renewed_index(&header);
        if renewed.is_some() {
            self.spare(packet);
        }
        let first = likely.and_then(|index| self.attempt(packet, &header, index));
        let (length, index, restarted) = match first {
            Some((length, index)) => (length, index, false),
            None => {
                let why = if likely.is_none() {
                    Discard::Replay
                } else {
                    Discard::Auth
                };
                let (length, index) = self.again(packet, &header, renewed).ok_or(why)?;
                (length, index, true)
            }
        };
        packet.truncate(length);
        self.clock += 1;
        let mut newest = false;
        if let Some(stream) = place.and_then(|place| self.streams.get_mut(place)) {
            stream.used = self.clock;
            if let Some(received) = &mut stream.rtp {
                newest = received.take(index, &header, restarted);
            }
        }
        Ok(Accepted {
            header,
            newest,
            restarted,
            first: false,
        })
    }

    /// Opens an SRTCP packet in place. `true`: it is the newest of its sender, not late.
    ///
    /// # Errors
    /// `Malformed`, `Replay`, `Auth`, or `NotKeyed` when it says that it is not encrypted.
    pub fn open_rtcp(&mut self, packet: &mut Packet) -> Result<bool, Discard> {
        let ssrc = packet::rtcp_sender(packet.bytes()).ok_or(Discard::Malformed)?;
        let (index, encrypted) = self
            .transform
            .rtcp_index(packet.bytes())
            .ok_or(Discard::Malformed)?;
        if !encrypted {
            return Err(Discard::NotKeyed);
        }
        let place = self.find(ssrc);
        let window = place.and_then(|place| self.streams[place].rtcp.as_ref());
        if window.is_some_and(|window| !window.is_fresh(u64::from(index))) {
            return Err(Discard::Replay);
        }
        let place = self.admit(place, ssrc)?;
        let length = self
            .transform
            .open_rtcp(packet, ssrc, index)
            .ok_or(Discard::Auth)?;
        packet.truncate(length);
        let stream = self.stream(place, ssrc);
        Ok(match &mut stream.rtcp {
            Some(window) => window.take(u64::from(index)),
            none => {
                *none = Some(Window::starting(u64::from(index)));
                true
            }
        })
    }

    /// Opens the first packet of an SSRC: its rollover counter is not known.
    #[cold]
    fn open_first(&mut self, packet: &mut Packet, header: RtpHeader) -> Result<Accepted, Discard> {
        let place = self.admit(self.find(header.ssrc), header.ssrc)?;
        let kept = self
            .kept
            .iter()
            .find(|(ssrc, _)| *ssrc == header.ssrc)
            .map(|(_, highest)| *highest);
        let candidates = candidates(kept, header.sequence);
        self.spare(packet);
        for candidate in candidates.into_iter().flatten() {
            let Some((length, index)) = self.attempt(packet, &header, candidate) else {
                self.restore(packet);
                continue;
            };
            packet.truncate(length);
            self.kept.retain(|(ssrc, _)| *ssrc != header.ssrc);
            let received = Received {
                window: Window::starting(index),
                timestamp: header.timestamp,
                renewed: false,
                restart: None,
            };
            self.stream(place, header.ssrc).rtp = Some(received);
            let beyond = kept.is_some_and(|highest| highest > u64::from(u16::MAX));
            let restarted = beyond && index <= u64::from(u16::MAX);
            return Ok(Accepted {
                header,
                newest: true,
                restarted,
                first: true,
            });
        }
        Err(Discard::Auth)
    }

    /// Tries one index. The length of the plain packet, and the index.
    #[inline]
    fn attempt(&self, packet: &mut Packet, header: &RtpHeader, index: u64) -> Option<(usize, u64)> {
        let length = self.transform.open_rtp(packet, header, index)?;
        Some((length, index))
    }

    /// Tries the index of a sender that may have begun again, after another has failed.
    #[cold]
    fn again(&self, packet: &mut Packet, header: &RtpHeader, index: Option<u64>) -> Option<(usize, u64)> {
        let index = index?;
        self.restore(packet);
        self.attempt(packet, header, index)
    }

    /// Keeps a copy for a second attempt, where the first would spoil the packet.
    fn spare(&mut self, packet: &Packet) {
        if self.transform.spoils() {
            self.spare.clear();
            self.spare.extend_from_slice(packet.bytes());
        }
    }

    fn restore(&self, packet: &mut Packet) {
        if self.transform.spoils() {
            packet.fill(&self.spare);
        }
    }

    #[inline]
    fn find(&self, ssrc: u32) -> Option<usize> {
        self.streams.iter().position(|stream| stream.ssrc == ssrc)
    }

    /// Whether this SSRC may get, or has, a place. Nothing changes yet.
    fn admit(&self, place: Option<usize>, ssrc: u32) -> Result<Option<usize>, Discard> {
        let full = self.streams.len() >= MAX_STREAMS && self.retired.len() >= MAX_RETIRED;
        // What it sent before has been forgotten: it could all be sent again.
        if place.is_none() && (full || self.retired.contains(&ssrc)) {
            return Err(Discard::Replay);
        }
        Ok(place)
    }

    /// The state of an SSRC of which a packet was authenticated. The one unused for longest makes room.
    fn stream(&mut self, place: Option<usize>, ssrc: u32) -> &mut Stream {
        self.clock += 1;
        let place = place.unwrap_or_else(|| {
            if self.streams.len() >= MAX_STREAMS {
                let oldest = (0..self.streams.len()).min_by_key(|&place| self.streams[place].used);
                self.retired
                    .extend(oldest.map(|place| self.streams.swap_remove(place).ssrc));
            }
            self.streams.push(Stream {
                ssrc,
                used: 0,
                rtp: None,
                rtcp: None,
            });
            self.streams.len() - 1
        });
        let stream = &mut self.streams[place];
        stream.used = self.clock;
        stream
    }
}

impl Received {
    /// The index that a packet most probably has. `None`: it has come before, or is too old to tell.
    #[inline]
    fn likely(&self, header: &RtpHeader) -> Option<u64> {
        let index = self.window.estimate(header.sequence)?;
        if !self.window.is_fresh(index) {
            return None;
        }
        let recorded = self
            .restart
            .is_some_and(|restart| index <= restart.highest && is_ahead(restart.earliest, header.timestamp));
        (!recorded).then_some(index)
    }

    /// The index that a packet has if its sender began again at rollover counter 0 when signalling was renewed.
    ///
    /// That index was used before under this key, so a recorded packet has it too. What tells them apart is the
    /// timestamp, which is authenticated: all that was recorded lies before the newest one.
    #[inline]
    fn renewed_index(&self, header: &RtpHeader) -> Option<u64> {
        (self.renewed && is_ahead(header.timestamp, self.timestamp)).then_some(u64::from(header.sequence))
    }

    /// Takes a genuine packet. `true`: it is the newest.
    #[inline]
    fn take(&mut self, index: u64, header: &RtpHeader, restarted: bool) -> bool {
        self.renewed = false;
        if restarted {
            let before = self.restart.map_or(0, |restart| restart.highest);
            self.restart = Some(Restart {
                highest: self.window.highest().max(before),
                earliest: header.timestamp,
            });
            self.window = Window::starting(index);
            self.timestamp = header.timestamp;
            return true;
        }
        let newest = self.window.take(index);
        if newest {
            self.timestamp = header.timestamp;
            if let Some(restart) = &mut self.restart {
                // Stay within the half of the circle that comparing needs.
                if header.timestamp.wrapping_sub(restart.earliest).cast_signed() > 1 << 30 {
                    restart.earliest = header.timestamp.wrapping_sub(1 << 29);
                }
            }
        }
        newest
    }
}

/// Whether a timestamp is later than another (RFC 3550 §5.1: they wrap).
const fn is_ahead(timestamp: u32, of: u32) -> bool {
    timestamp.wrapping_sub(of).cast_signed() > 0
}

/// The indices that the first packet of an SSRC may have: rollover counter 0, or where the SSRC was under the key
/// before. Without that, 1 is tried too: early media may have wrapped before the key was here.
fn candidates(kept: Option<u64>, sequence: u16) -> Candidates {
    let begin = index::index(0, sequence);
    let Some(highest) = kept else {
        let wrapped = if sequence < 1 << 15 {
            index::index(1, sequence)
        } else {
            None
        };
        return [begin, wrapped, None, None, None];
    };
    let roc = index::nearest(highest, sequence).map_or(highest >> 16, |index| index >> 16);
    let mut candidates = [Some(roc), Some(0), Some(roc + 1), roc.checked_sub(1), Some(1)]
        .map(|roc| roc.and_then(|roc| index::index(roc, sequence)));
    for at in 1..candidates.len() {
        if candidates[..at].contains(&candidates[at]) {
            candidates[at] = None;
        }
    }
    candidates
}

impl fmt::Debug for SrtpIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpIn")
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}
