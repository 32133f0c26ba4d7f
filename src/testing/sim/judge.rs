//! What a [`Sim`] has seen, told and judged.

use super::{Sim, Who};
use crate::call::{Call, CallEvent};

impl Sim {
    /// Asserts that the call is over and nothing of it is left.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_done(&self) {
        assert!(
            self.summary.is_some(),
            "not finished; next timer in {:?}\n{}",
            self.call
                .as_ref()
                .and_then(Call::poll_timeout)
                .map(|at| at - self.now),
            self.ladder()
        );
        assert!(
            self.relay.ports.is_empty() && self.relay.connected.is_empty(),
            "flows left: {:?}",
            self.relay
        );
        assert!(
            self.handshakes.is_empty(),
            "handshakes left: {:?}",
            self.handshakes
        );
        let ended = self
            .events
            .iter()
            .filter(|event| matches!(event, CallEvent::Ended(_)))
            .count();
        assert_eq!(ended, 1, "one record a call");
    }

    /// What crossed the wires, for messages of tests that failed.
    pub fn ladder(&self) -> String {
        let mut out = String::new();
        for (at, side, inwards, bytes) in &self.wire {
            let line = String::from_utf8_lossy(bytes);
            let first = line.lines().next().unwrap_or_default();
            let cseq = line
                .lines()
                .find(|line| line.starts_with("CSeq"))
                .unwrap_or_default();
            let arrow = match (side, inwards) {
                (Who::A, true) => "a ->      ",
                (Who::A, false) => "a <-      ",
                (Who::B, true) => "      <- b",
                (Who::B, false) => "      -> b",
                (Who::C, true) => "            <- c",
                (Who::C, false) => "            -> c",
            };
            let ms = at.duration_since(self.began).as_millis();
            out.push_str(&format!("{ms:>8} ms {arrow} {first} ({cseq})\n"));
        }
        out
    }
}
