//! What a run costs the server: read beside the load.

use super::report::{Cost, Summary};
use crate::phone::procfs::{Process, dropped_everywhere};
use std::time::Duration;

/// The figures of the server over the run.
#[derive(Default)]
pub(super) struct Gauges {
    pub(super) cpu_before: Duration,
    pub(super) memory: (u64, u64, u64),
    descriptors: (usize, usize, usize),
    pub(super) dropped_before: u64,
}

impl Gauges {
    pub(super) fn start(&mut self, process: Option<Process>) {
        self.dropped_before = dropped_everywhere().unwrap_or(0);
        let Some(process) = process else { return };
        self.cpu_before = process.cpu().unwrap_or_default();
        let memory = process.memory().map_or(0, |(resident, _)| resident);
        let descriptors = process.descriptors().unwrap_or(0);
        (self.memory, self.descriptors) = ((memory, memory, memory), (descriptors, descriptors, descriptors));
    }

    pub(super) fn sample(&mut self, process: Process) {
        if let Some((resident, _)) = process.memory() {
            self.memory = (self.memory.0, self.memory.1.max(resident), resident);
        }
        if let Some(descriptors) = process.descriptors() {
            self.descriptors = (
                self.descriptors.0,
                self.descriptors.1.max(descriptors),
                descriptors,
            );
        }
    }

    /// What the run cost, whose server has used `cpu` in all its life.
    pub(super) fn cost(&self, cpu: Duration, summary: &Summary) -> Cost {
        let cpu = (cpu - self.cpu_before).as_secs_f64();
        let relayed = summary
            .packets
            .map(|packets| packets.heard.received)
            .filter(|count| *count > 0);
        let ((before, peak, after), (files_before, files_peak, files_after)) =
            (self.memory, self.descriptors);
        Cost {
            cpu_seconds: cpu,
            cpu_us_per_call: cpu * 1e6 / f64::from(summary.attempted.max(1)),
            cpu_us_per_packet: relayed.map(|count| cpu * 1e6 / count as f64),
            memory_before: before,
            memory_peak: peak,
            memory_after: after,
            memory_per_call: (summary.most_at_once > 0)
                .then(|| (peak - before) / u64::from(summary.most_at_once)),
            descriptors_before: files_before,
            descriptors_peak: files_peak,
            descriptors_after: files_after,
        }
    }
}
