//! What a run found, for people line by line and for programs as one JSON object.

use crate::phone::audio::Tally;
use crate::phone::ua::Again;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// The JSON summary of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Summary {
    /// How the run was asked to be.
    pub(super) asked: Asked,
    /// How long it took, in seconds, from the first INVITE to the end of the last call.
    pub(super) seconds: f64,
    /// Calls placed.
    pub(super) attempted: u32,
    /// Calls whose callee answered.
    pub(super) answered: u32,
    /// Calls that went as they should, by how that was.
    pub(super) as_planned: BTreeMap<&'static str, u32>,
    /// Calls that did not, by what happened.
    pub(super) failed: BTreeMap<String, u32>,
    /// The most calls that were up at one time.
    pub(super) most_at_once: u32,
    /// From INVITE to 180 and to 200, in milliseconds.
    pub(super) to_ringing_ms: Quantiles,
    pub(super) to_answer_ms: Quantiles,
    /// From 200 to the caller's keys, in steps of 20 ms; only where its media agree on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to_keys_ms: Option<Quantiles>,
    /// Messages sent again by the phones, and by the server.
    pub(super) retransmissions: Again,
    /// What the phones objected to in the server's messages; the first few of them.
    pub(super) faults: Vec<String>,
    /// Packets of audio; none without media.
    pub(super) packets: Option<Packets>,
    /// What the generator itself did badly: anything here makes a run void.
    pub(super) own: Own,
    /// The server, where it was started by us.
    pub(super) server: Option<Cost>,
    /// How often the server was told to read its configuration anew, and whether it was told to end.
    pub(super) reloads: u32,
    pub(super) drained: bool,
    /// Call detail records that the server wrote: one for each call.
    pub(super) records: usize,
    /// What the server said of itself at the end: after 35 s of rest nothing may be left.
    pub(super) gauges: BTreeMap<String, u64>,
    /// Whether the figures may be used.
    pub(super) void: bool,
    /// Whether all went well.
    pub(super) passed: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Asked {
    pub(super) calls: u32,
    pub(super) rate: f64,
    pub(super) hold_seconds: f64,
    pub(super) media: String,
    pub(super) packet_interval_ms: u64,
    pub(super) suite: String,
    /// Only with ZRTP.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) zrtp_key_agreement: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Quantiles {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) highest: f64,
}

impl Quantiles {
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: f64| {
            let index = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
            times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1_000.0)
        };
        Self {
            p50: at(0.5),
            p99: at(0.99),
            highest: at(1.0),
        }
    }
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Packets {
    pub(super) sent: u64,
    /// Sent and never heard.
    pub(super) lost: u64,
    #[serde(flatten)]
    pub(super) heard: Tally,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Own {
    /// Packets that our kernel did not take from us.
    pub(super) unsent: u64,
    /// Datagrams for which our sockets had no room.
    pub(super) dropped: u64,
    /// Datagrams for which the sockets of others had no room, the server's among them: no fault of ours.
    pub(super) dropped_by_others: u64,
    /// Milliseconds in which sending was more than 20 ms late, and the worst of them.
    pub(super) late_slots: u64,
    pub(super) latest_ms: u64,
    /// Milliseconds of sending that were left out because there was no CPU for them.
    pub(super) skipped_slots: u64,
    /// CPU time of the generator.
    pub(super) cpu_seconds: f64,
    /// Calls that were placed more than 100 ms after their time.
    pub(super) late_calls: u32,
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Cost {
    pub(super) cpu_seconds: f64,
    pub(super) cpu_us_per_call: f64,
    /// Per packet relayed, all CPU counted, signalling too.
    pub(super) cpu_us_per_packet: Option<f64>,
    pub(super) memory_before: u64,
    pub(super) memory_peak: u64,
    pub(super) memory_after: u64,
    /// What the peak was above the beginning, by the most calls at once.
    pub(super) memory_per_call: Option<u64>,
    pub(super) descriptors_before: usize,
    pub(super) descriptors_peak: usize,
    pub(super) descriptors_after: usize,
}

impl Summary {
    /// Judges the run by what was counted.
    pub(super) fn judge(&mut self) {
        let bad = self
            .packets
            .map_or(0, |packets| packets.lost + packets.heard.bad());
        self.void = self.own.unsent + self.own.dropped > 0
            || self.packets.is_some_and(|packets| packets.heard.dropped > 0);
        self.passed = self.failed.is_empty() && self.faults.is_empty() && bad == 0 && !self.void;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_taken_from_the_sorted_times() {
        let times = (1..=100).rev().map(Duration::from_millis).collect();
        let quantiles = Quantiles::of(times);
        assert_eq!(
            (quantiles.p50, quantiles.p99, quantiles.highest),
            (50.0, 99.0, 100.0)
        );
        assert_eq!(Quantiles::of(Vec::new()).p99, 0.0);
    }

    #[test]
    fn a_run_passes_only_without_any_blemish() {
        let clean = Summary::default();
        let mut judged = clean.clone();
        judged.judge();
        assert!(judged.passed);
        let blemishes: [fn(&mut Summary); 5] = [
            |summary| summary.failed = BTreeMap::from([("answered: 503".into(), 1)]),
            |summary| summary.faults.push("no branch".into()),
            |summary| {
                summary.packets = Some(Packets {
                    lost: 1,
                    ..Packets::default()
                })
            },
            |summary| {
                let heard = Tally {
                    clear: 1,
                    ..Tally::default()
                };
                summary.packets = Some(Packets {
                    heard,
                    ..Packets::default()
                });
            },
            |summary| summary.own.dropped = 1,
        ];
        for blemish in blemishes {
            let mut judged = clean.clone();
            blemish(&mut judged);
            judged.judge();
            assert!(!judged.passed, "{judged:?}");
        }
    }
}
