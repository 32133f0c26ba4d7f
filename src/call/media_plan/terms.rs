//! What was agreed on for each stream, for records.

use super::{MediaPlan, Side};
use crate::{
    call::event::StreamTerms,
    sdp::{Encoding, Format},
};

/// Formats that carry no voice or picture of their own.
const BESIDE: [&str; 6] = ["telephone-event", "cn", "rtx", "red", "ulpfec", "flexfec-03"];

impl MediaPlan {
    /// The streams that are up on both legs, each with its place.
    pub fn terms(&self) -> impl Iterator<Item = (usize, StreamTerms)> + '_ {
        (0..self.agreed.a.streams.len()).filter_map(|index| {
            let up = self.agreed.a.is_active(index) && self.agreed.b.is_active(index);
            let media = self.agreed.a.heard.as_ref()?.media.get(index)?;
            up.then(|| {
                let terms = StreamTerms {
                    kind: media.kind.to_ascii_lowercase(),
                    codecs: (self.codec(Side::A, index), self.codec(Side::B, index)),
                };
                (index, terms)
            })
        })
    }

    /// The first codec that both we and a leg's peer have named. Whose list is an answer is the shorter one, and its order counts
    /// (RFC 3264 §6.1).
    fn codec(&self, side: Side, index: usize) -> Option<String> {
        let said = self.voice(side).said.as_ref()?.media.get(index)?.rtp_formats();
        let heard = self
            .agreed
            .leg(side)
            .heard
            .as_ref()?
            .media
            .get(index)?
            .rtp_formats();
        let (answer, offer) = if heard.len() <= said.len() {
            (heard, said)
        } else {
            (said, heard)
        };
        let common = |format: &&Format| offer.iter().any(|other| other.encoding == format.encoding);
        let codec = |format: &&Format| !format.encoding.name().is_some_and(|name| BESIDE.contains(&name));
        let first = answer.iter().filter(common).find(codec);
        first.map(|format| match &format.encoding {
            Encoding::Named {
                name,
                clock,
                channels: 1,
            } => format!("{name}/{clock}"),
            Encoding::Named {
                name,
                clock,
                channels,
            } => format!("{name}/{clock}/{channels}"),
            Encoding::Number(number) => number.to_string(),
        })
    }
}
