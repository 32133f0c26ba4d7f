//! The ladder of the calls: each message as it passes, in three columns.

use crate::phone::handset::Passed;
use crate::phone::message::Inbound;
use crate::phone::session::{Described, Direction};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Characters between two columns.
const WIDTH: usize = 36;
/// Who stands right; everybody else calls and stands left.
pub(super) const CALLEE: &str = "bob";

/// Prints messages as they pass.
pub(super) struct Ladder {
    began: Mutex<Option<Instant>>,
}

impl Ladder {
    pub(super) fn new() -> Self {
        Self {
            began: Mutex::new(None),
        }
    }

    /// Begins a call: the names above the columns, the clock at zero.
    pub(super) fn begin(&self, caller: &str) {
        *self.began.lock().unwrap_or_else(PoisonError::into_inner) = None;
        println!("       ms  {caller:<WIDTH$} {:<WIDTH$} {CALLEE}", "b2bua");
    }

    /// A message passed a phone.
    pub(super) fn passed(&self, passed: &Passed, now: Instant) {
        let began = *self
            .began
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(now);
        let label = label(&passed.message);
        let left = passed.phone != CALLEE;
        // The callee's column is on the right: what it sends goes left.
        let arrow = arrow(&label, passed.sent == left);
        let blank = " ".repeat(WIDTH - 1);
        let (first, second) = if left { (&arrow, &blank) } else { (&blank, &arrow) };
        let time = (now - began).as_secs_f64() * 1_000.0;
        println!("{time:>9.1}  │{first}│{second}│");
    }
}

fn arrow(label: &str, rightwards: bool) -> String {
    let room = (WIDTH - 1).saturating_sub(label.chars().count() + 4);
    let (before, after) = (room / 2, room - room / 2);
    if rightwards {
        format!("─{} {label} {}▶", "─".repeat(before), "─".repeat(after))
    } else {
        format!("◀{} {label} {}─", "─".repeat(before), "─".repeat(after))
    }
}

/// The method or the status, and what the session says in a word.
fn label(message: &Inbound) -> String {
    let mut words = message.start.split(' ');
    let first = words.next().unwrap_or_default();
    let mut label = if first == "SIP/2.0" {
        words.collect::<Vec<_>>().join(" ")
    } else {
        first.to_owned()
    };
    // What CSeq says is worth telling where it is not plain.
    if message.status().is_some() && message.cseq.1 != rsip::Method::Invite {
        label += &format!(" ({})", message.cseq.1);
    }
    if let Some(Ok(described)) = message.body().map(Described::read) {
        label += match (&described.dtls, described.secure, &described.zrtp) {
            (Some(_), ..) => ", DTLS",
            (None, true, _) => ", SDES",
            (None, false, Some(_)) => ", ZRTP",
            (None, false, None) => ", plain",
        };
        label += match described.direction {
            Direction::SendRecv => "",
            Direction::SendOnly => ", sendonly",
            Direction::RecvOnly => ", recvonly",
            Direction::Inactive => ", inactive",
        };
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrows_are_as_wide_as_the_gap_between_columns() {
        for label in ["BYE", "180 Ringing", "INVITE, SDES, sendonly", ""] {
            for rightwards in [true, false] {
                assert_eq!(arrow(label, rightwards).chars().count(), WIDTH - 1, "{label}");
            }
        }
    }

    #[test]
    fn a_label_tells_the_message_and_its_session() {
        let text = "SIP/2.0 200 Fine\r\nVia: SIP/2.0/UDP 1.1.1.1;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=a\r\nTo: <sip:b@b>;tag=b\r\nCall-ID: c\r\nCSeq: 1 BYE\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(label(&Inbound::read(text.as_bytes()).unwrap()), "200 Fine (BYE)");
    }
}
