//! What there is and what has been, in one place: for the log, systemd's status line and tests.

mod instruments;

pub use instruments::{Count, Counts, Histogram, Label, Level};

use super::Workload;
use crate::call::Standing;
use std::fmt;

/// Counts of what exists now, and of what has happened since the start.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Calls that exist.
    pub calls: Level,
    /// Tasks of calls: one for each, and of those that are over but wait for a last ACK or timer.
    pub tasks: Level,
    /// Dialogs that messages are routed to.
    pub dialogs: Level,
    /// Server transactions that messages are routed to.
    pub transactions: Level,
    /// Final responses kept for retransmissions that come after their call.
    pub tombstones: Level,
    /// Connections of stream transports.
    pub connections: Level,
    /// Connections of strangers that have brought no message yet.
    pub half_open: Level,
    /// Messages and connections of strangers beyond what they may send.
    pub limited: Count,
    /// Connections cut because they were slow, silent, or too many.
    pub cut: Count,
    /// Relay sessions: one for each call with media.
    pub media_sessions: Level,
    /// Bound media ports, each an RTP or an RTCP one.
    pub media_ports: Level,
    /// Directions of streams that can carry packets.
    pub media_flows: Level,
    /// DTLS handshakes that wait for their peer or their turn, or go on.
    pub dtls_handshakes: Level,
    /// DTLS handshakes that gave keys.
    pub dtls_completed: Count,
    /// DTLS handshakes that gave none.
    pub dtls_failed: Count,
    /// DTLS handshakes that were not begun because there were too many.
    pub dtls_refused: Count,
    /// Requests outside of calls that wait for their answers, and subscriptions.
    pub standalone: Level,
    /// Accounts that are registered.
    pub registered: Level,
    /// Accounts that wait for their turn to register, or for the registrar.
    pub registering: Level,
    /// Accounts that were refused, or got no answer.
    pub registrations_failed: Level,
    /// Mailboxes that are subscribed to.
    pub mailboxes: Level,
    /// Mailboxes that are not, because that was refused or not answered.
    pub mailboxes_failed: Level,
    /// Calls taken.
    pub taken: Count,
    /// Calls that both sides were up in.
    pub answered: Count,
    /// Calls refused because of `max-calls`, an overload, or the end.
    pub refused: Count,
    /// Calls and other requests refused because messages waited too long for their turn.
    pub shed: Count,
    /// Calls from hosts that are not trusted.
    pub forbidden: Count,
    /// Requests that were answered with a question for a password.
    pub challenged: Count,
    /// Requests with a wrong one.
    pub unauthenticated: Count,
    /// Messages that were no SIP, or broke its rules.
    pub faulty: Count,
    /// Messages that belonged to nothing.
    pub stray: Count,
    /// Messages of calls dropped because the call did not keep up.
    pub dropped: Count,
    /// Calls that ended by a fault of ours.
    pub faults: Count,
    /// Calls of strangers that were refused and got no record, because there were too many in a second.
    pub unrecorded: Count,
    /// Records in their file.
    pub cdr_written: Count,
    /// Records that wait for it.
    pub cdr_waiting: Level,
    /// Times that the file did not take what it should.
    pub cdr_failed: Count,
    /// Records that went to the log instead.
    pub cdr_diverted: Count,
    /// Calls by where they are, in the order of [`Standing::ALL`].
    pub standing: [Level; Standing::ALL.len()],
    /// Calls that were not answered, by final code, who and why.
    pub failures: Counts,
    /// Calls that were answered and have ended, by who and why; the code is 0.
    pub ends: Counts,
    /// From the INVITE to the first progress, or to the answer.
    pub post_dial_delay: Histogram,
    /// What there is to do for calls.
    pub workload: Workload,
}

/// What each name of [`Gauges::list`] is: whether it comes and goes, and what it counts.
const ABOUT: &[(&str, bool, &str)] = &[
    ("calls", true, "Calls that exist."),
    ("dialogs", true, "Dialogs that messages are routed to."),
    (
        "transactions",
        true,
        "Server transactions that messages are routed to.",
    ),
    (
        "tombstones",
        true,
        "Final responses kept for retransmissions that come after their call.",
    ),
    (
        "tasks",
        true,
        "Tasks of calls, those that wait for a last ACK or timer included.",
    ),
    (
        "standalone",
        true,
        "Requests outside of calls that wait for their answers, and subscriptions.",
    ),
    ("connections", true, "Connections of stream transports."),
    (
        "half-open",
        true,
        "Connections of strangers that have brought no message yet.",
    ),
    (
        "limited",
        false,
        "Messages and connections of strangers beyond what they may send.",
    ),
    (
        "cut",
        false,
        "Connections cut because they were slow, silent, or too many.",
    ),
    ("media-sessions", true, "Calls with media."),
    (
        "media-ports",
        true,
        "Bound media ports, each an RTP or an RTCP one.",
    ),
    (
        "media-flows",
        true,
        "Directions of streams that can carry packets.",
    ),
    (
        "dtls-handshakes",
        true,
        "DTLS handshakes that wait for their peer or their turn, or go on.",
    ),
    ("dtls-completed", false, "DTLS handshakes that gave keys."),
    ("dtls-failed", false, "DTLS handshakes that gave none."),
    (
        "dtls-refused",
        false,
        "DTLS handshakes that were not begun because there were too many.",
    ),
    ("registered", true, "Accounts that are registered."),
    (
        "registering",
        true,
        "Accounts that wait for their turn to register, or for the registrar.",
    ),
    (
        "registrations-failed",
        true,
        "Accounts that were refused, or got no answer.",
    ),
    ("mailboxes", true, "Mailboxes that are subscribed to."),
    (
        "mailboxes-failed",
        true,
        "Mailboxes that are not subscribed to, because that was refused or not answered.",
    ),
    ("taken", false, "Calls taken."),
    ("answered", false, "Calls that both sides were up in."),
    (
        "refused",
        false,
        "Calls refused because of max-calls or an overload, or at the end.",
    ),
    (
        "shed",
        false,
        "Calls and other requests refused because messages waited too long for their turn.",
    ),
    ("waiting", true, "Calls with messages that wait for their turn."),
    ("forbidden", false, "Requests from hosts that are not trusted."),
    (
        "challenged",
        false,
        "Requests that were answered with a question for a password (digest-users).",
    ),
    (
        "unauthenticated",
        false,
        "Requests with a wrong password, or of a user who is not there.",
    ),
    ("faulty", false, "Messages that were no SIP, or broke its rules."),
    ("stray", false, "Messages that belonged to nothing."),
    (
        "dropped",
        false,
        "Messages of calls dropped because the call did not keep up.",
    ),
    ("faults", false, "Calls that ended by a fault of ours."),
    (
        "unrecorded",
        false,
        "Refused calls of strangers without a record, because there were too many in a second.",
    ),
    ("cdr-written", false, "Call detail records in their file."),
    (
        "cdr-waiting",
        true,
        "Call detail records that wait for their file.",
    ),
    (
        "cdr-failed",
        false,
        "Times that the file of call detail records did not take what it should.",
    ),
    (
        "cdr-diverted",
        false,
        "Call detail records that went to the log instead of their file.",
    ),
];

impl Gauges {
    /// Whether what has that name in [`Self::list`] comes and goes; otherwise it only grows.
    pub fn is_level(name: &str) -> bool {
        ABOUT.iter().any(|about| about.0 == name && about.1)
    }
    /// What is counted by that name, in a sentence.
    pub fn help(name: &str) -> &'static str {
        ABOUT
            .iter()
            .find(|about| about.0 == name)
            .map_or("", |about| about.2)
    }
    /// Calls that are there.
    pub fn standing(&self, standing: Standing) -> &Level {
        &self.standing[standing as usize]
    }
    /// Everything by name, in a fixed order.
    pub fn list(&self) -> Vec<(&'static str, u64)> {
        let level = |level: &Level| level.now() as u64;
        vec![
            ("calls", level(&self.calls)),
            ("dialogs", level(&self.dialogs)),
            ("transactions", level(&self.transactions)),
            ("tombstones", level(&self.tombstones)),
            ("tasks", level(&self.tasks)),
            ("standalone", level(&self.standalone)),
            ("connections", level(&self.connections)),
            ("half-open", level(&self.half_open)),
            ("limited", self.limited.total()),
            ("cut", self.cut.total()),
            ("media-sessions", level(&self.media_sessions)),
            ("media-ports", level(&self.media_ports)),
            ("media-flows", level(&self.media_flows)),
            ("dtls-handshakes", level(&self.dtls_handshakes)),
            ("dtls-completed", self.dtls_completed.total()),
            ("dtls-failed", self.dtls_failed.total()),
            ("dtls-refused", self.dtls_refused.total()),
            ("registered", level(&self.registered)),
            ("registering", level(&self.registering)),
            ("registrations-failed", level(&self.registrations_failed)),
            ("mailboxes", level(&self.mailboxes)),
            ("mailboxes-failed", level(&self.mailboxes_failed)),
            ("taken", self.taken.total()),
            ("answered", self.answered.total()),
            ("refused", self.refused.total()),
            ("shed", self.shed.total()),
            ("waiting", self.workload.waiting() as u64),
            ("forbidden", self.forbidden.total()),
            ("challenged", self.challenged.total()),
            ("unauthenticated", self.unauthenticated.total()),
            ("faulty", self.faulty.total()),
            ("stray", self.stray.total()),
            ("dropped", self.dropped.total()),
            ("faults", self.faults.total()),
            ("unrecorded", self.unrecorded.total()),
            ("cdr-written", self.cdr_written.total()),
            ("cdr-waiting", level(&self.cdr_waiting)),
            ("cdr-failed", self.cdr_failed.total()),
            ("cdr-diverted", self.cdr_diverted.total()),
        ]
    }
}

/// One line: `calls=0 dialogs=0 …`.
impl fmt::Display for Gauges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, value)) in self.list().into_iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{name}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_says_what_it_counts() {
        let listed: Vec<_> = Gauges::default()
            .list()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let mut known: Vec<_> = ABOUT.iter().map(|about| about.0).collect();
        for name in &listed {
            assert!(
                !Gauges::help(name).is_empty(),
                "{name}: what does it count? see ABOUT"
            );
            known.retain(|other| other != name);
        }
        assert!(known.is_empty(), "nobody lists {known:?}");
        assert!(Gauges::is_level("calls") && !Gauges::is_level("taken"));
    }
}
