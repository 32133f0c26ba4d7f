//! What the streams of a call carried, for its record.

use super::{mos, thousandths};
use crate::{
    call::{Side, event::StreamTerms},
    media::StreamStats,
    server::plain::plain,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// One stream.
#[derive(Clone, Debug, Serialize)]
pub struct StreamRecord {
    /// `audio`, `video` …; empty where it was never agreed on.
    pub kind: String,
    /// The caller's side.
    pub a: SideRecord,
    /// The callee's side.
    pub b: SideRecord,
}

/// One side of a stream.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SideRecord {
    /// `opus/48000/2`
    pub codec: Option<String>,
    /// RTP packets from this side that were passed on.
    pub received: u64,
    /// RTP packets sent to this side.
    pub sent: u64,
    /// Octets of payload received.
    pub octets: u64,
    /// Lost on the way to us (RFC 3550 A.3).
    pub lost: u64,
    /// Interarrival jitter at the end (RFC 3550 A.8), and the highest that it was, in milliseconds.
    pub jitter_ms: f64,
    /// The highest that it was.
    pub highest_jitter_ms: f64,
    /// How a listener would judge this side's voice by loss and jitter, from 1 to 4.5: the E-model of G.107, simplified (no
    /// network delay, random loss). Only of audio.
    pub mos: Option<f64>,
    /// Discarded packets by reason.
    pub discarded: BTreeMap<&'static str, u64>,
}

/// What was agreed on and what went through, by stream.
pub(super) fn streams(terms: &[Option<StreamTerms>], media: &[StreamStats]) -> Vec<StreamRecord> {
    let counted = media.iter().map(|stats| stats.stream.0 + 1).max().unwrap_or(0);
    (0..terms.len().max(counted))
        .map(|index| {
            let terms = terms.get(index).and_then(Option::as_ref);
            let side = |side| {
                let stats = media
                    .iter()
                    .find(|stats| stats.stream.0 == index && stats.side == side);
                SideRecord::of(side, terms, stats)
            };
            StreamRecord {
                kind: terms.map_or_else(String::new, |terms| plain(terms.kind.as_bytes())),
                a: side(Side::A),
                b: side(Side::B),
            }
        })
        .collect()
}

impl SideRecord {
    fn of(side: Side, terms: Option<&StreamTerms>, stats: Option<&StreamStats>) -> Self {
        let codec = terms.and_then(|terms| match side {
            Side::A => terms.codecs.0.as_ref(),
            Side::B => terms.codecs.1.as_ref(),
        });
        let codec = codec.map(|codec| plain(codec.as_bytes()));
        let Some(stats) = stats else {
            return Self {
                codec,
                ..Self::default()
            };
        };
        let voice = terms.is_some_and(|terms| terms.kind == "audio");
        let jitter_ms = thousandths(stats.jitter.as_secs_f64() * 1e3);
        Self {
            mos: voice
                .then(|| {
                    mos::estimate(
                        codec.as_deref().unwrap_or_default(),
                        stats.received,
                        stats.lost,
                        jitter_ms,
                    )
                })
                .flatten(),
            codec,
            received: stats.received,
            sent: stats.sent,
            octets: stats.octets,
            lost: stats.lost,
            jitter_ms,
            highest_jitter_ms: thousandths(stats.highest_jitter.as_secs_f64() * 1e3),
            discarded: stats.discarded.iter().copied().collect(),
        }
    }
}
