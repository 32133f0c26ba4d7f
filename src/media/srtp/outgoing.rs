//! Sealing what is sent to a peer.

use super::{
    KeyError,
    index::{LAST_RTCP, Window, nearest},
    transform::Transform,
};
use crate::media::{
    SrtpKey,
    packet::{self, Discard, Packet},
};
use std::fmt;

/// SSRCs that are sealed under one key. None is ever forgotten: its indices must not come again.
const MAX_STREAMS: usize = 64;

/// The sending side of one master key. It never seals the same (SSRC, index) twice, whatever it is given.
pub struct SrtpOut {
    transform: Transform,
    streams: Vec<(u32, Window)>,
    /// The next SRTCP index, of all SSRCs together.
    next_rtcp: u32,
}

impl SrtpOut {
    /// A context for this key.
    ///
    /// # Errors
    /// When its length is not the suite's.
    pub fn new(key: &SrtpKey) -> Result<Self, KeyError> {
        Ok(Self {
            transform: Transform::new(key)?,
            streams: Vec::new(),
            next_rtcp: 0,
        })
    }

    /// Seals an RTP packet in place.
    ///
    /// # Errors
    /// `Malformed`, or `IndexReuse` when its number was used, is too old to tell, would lie beyond the last one, or its
    /// SSRC is one too many.
    #[inline]
    pub fn seal_rtp(&mut self, packet: &mut Packet) -> Result<(), Discard> {
        let header = packet::rtp_header(packet.bytes()).ok_or(Discard::Malformed)?;
        let room = self.has_room();
        let index = match self.streams.iter_mut().find(|(ssrc, _)| *ssrc == header.ssrc) {
            Some((_, window)) => {
                let index = window.estimate(header.sequence).ok_or(Discard::IndexReuse)?;
                if !window.is_fresh(index) {
                    return Err(Discard::IndexReuse);
                }
                window.take(index);
                index
            }
            None if room => {
                let index = u64::from(header.sequence);
                self.streams.push((header.ssrc, Window::starting(index)));
                index
            }
            None => return Err(Discard::IndexReuse),
        };
        if self.transform.seal_rtp(packet, &header, index) {
            Ok(())
        } else {
            Err(Discard::Malformed)
        }
    }

    /// Seals an RTCP packet in place.
    ///
    /// # Errors
    /// `Malformed`, or `IndexReuse` when the key is used up.
    pub fn seal_rtcp(&mut self, packet: &mut Packet) -> Result<(), Discard> {
        let ssrc = packet::rtcp_sender(packet.bytes()).ok_or(Discard::Malformed)?;
        let index = self.next_rtcp;
        if index > LAST_RTCP {
            return Err(Discard::IndexReuse);
        }
        self.next_rtcp += 1;
        if self.transform.seal_rtcp(packet, ssrc, index) {
            Ok(())
        } else {
            Err(Discard::Malformed)
        }
    }

    /// The highest index that was sealed for an SSRC.
    pub fn position(&self, ssrc: u32) -> Option<u64> {
        self.streams
            .iter()
            .find(|(known, _)| *known == ssrc)
            .map(|(_, window)| window.highest())
    }

    /// Whether a further SSRC may be sealed.
    pub const fn has_room(&self) -> bool {
        self.streams.len() < MAX_STREAMS
    }

    /// Whether the index of this packet would be new.
    pub fn is_fresh(&self, ssrc: u32, sequence: u16) -> bool {
        self.streams
            .iter()
            .find(|(known, _)| *known == ssrc)
            .is_none_or(|(_, window)| {
                nearest(window.highest(), sequence).is_some_and(|index| window.is_fresh(index))
            })
    }

    /// Continues behind these numbers: for an SSRC whose packets were sealed elsewhere under this key.
    #[cfg(test)]
    pub(super) fn resume(&mut self, ssrc: u32, index: u64, next_rtcp: u32) {
        self.streams.retain(|(known, _)| *known != ssrc);
        self.streams.push((ssrc, Window::starting(index)));
        self.next_rtcp = next_rtcp;
    }
}

impl fmt::Debug for SrtpOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SrtpOut")
            .field("streams", &self.streams.len())
            .finish_non_exhaustive()
    }
}
