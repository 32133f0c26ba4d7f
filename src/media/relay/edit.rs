//! What is changed in a packet between opening and sealing, where the legs have agreed on different things: payload type
//! numbers, and feedback that the receiving leg does not speak. For the common call nothing is.

use super::feedback;
use crate::media::{
    Connect, PayloadMap,
    packet::{Discard, Packet, RtpHeader},
};

/// One side's share of it. Nothing of it allocates while packets pass.
#[derive(Debug, Default)]
pub(crate) struct Edit {
    /// How RTP that comes from this side is renumbered.
    payloads: Option<Box<PayloadMap>>,
    /// RTCP that goes to this side is freed of feedback.
    filters: bool,
}

impl Edit {
    /// Takes what is said of this side.
    pub(crate) fn set(&mut self, connect: &Connect) {
        self.payloads.clone_from(&connect.payloads);
        self.filters = !connect.feedback;
    }

    /// Edits an RTP packet that came from this side.
    #[inline]
    pub(crate) fn rtp(&self, packet: &mut Packet, header: &RtpHeader) -> Result<(), Discard> {
        match &self.payloads {
            None => Ok(()),
            Some(map) => map.apply(packet.bytes_mut(), header),
        }
    }

    /// Edits a well-formed RTCP packet that came from this side and goes to `to`.
    pub(crate) fn rtcp(&self, packet: &mut Packet, to: &Self) -> Result<(), Discard> {
        if to.filters {
            let left = feedback::remove(packet.bytes_mut()).ok_or(Discard::Feedback)?;
            packet.truncate(left);
        } else if let Some(map) = &self.payloads {
            feedback::renumber(packet.bytes_mut(), map);
        }
        Ok(())
    }
}
