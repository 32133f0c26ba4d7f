//! One message: sending it and seeing what comes of it.

use super::message::Raw;
use crate::party::{Heard, Party};
use serde::Deserialize;
use std::{
    fmt, fs,
    path::Path,
    time::{Duration, Instant},
};

/// Longer than any answer takes, shorter than the first repetition.
const PATIENCE: Duration = Duration::from_millis(450);

#[derive(Deserialize)]
struct Entry {
    name: String,
    file: String,
    kind: String,
    good: Vec<String>,
    tolerated: Vec<String>,
    checks: Vec<String>,
}

/// A message of the collection.
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) good: Vec<String>,
    pub(crate) tolerated: Vec<String>,
    pub(crate) checks: Vec<String>,
    pub(crate) is_request: bool,
    pub(crate) message: Raw,
}

/// What came of it.
pub(crate) struct Outcome {
    /// The final answer.
    pub(crate) answer: Option<Raw>,
    /// Requests that reached the callee, ACK and the like left out.
    pub(crate) reached: Vec<Raw>,
    /// The sender's own port: it must not be seen at the callee.
    pub(crate) port: u16,
}

impl Case {
    /// All messages that `index.json` of that directory names.
    pub(crate) fn all(directory: &Path) -> Vec<Self> {
        let index = fs::read(directory.join("index.json"))
            .unwrap_or_else(|error| panic!("{}/index.json: {error}", directory.display()));
        let entries: Vec<Entry> = serde_json::from_slice(&index).unwrap();
        entries
            .into_iter()
            .map(|entry| Self {
                message: Raw(fs::read(directory.join(&entry.file)).unwrap()),
                name: entry.name,
                good: entry.good,
                tolerated: entry.tolerated,
                checks: entry.checks,
                is_request: entry.kind == "request",
            })
            .collect()
    }

    /// Whether a connection can carry it: Content-Length is there and says where the message ends.
    pub(crate) fn suits_streams(&self) -> bool {
        let length = self.message.field("Content-Length", "l");
        let length = String::from_utf8_lossy(&length).parse::<usize>();
        length.is_ok_and(|length| length == self.message.body().len())
    }

    /// Sends it from a party that sends nothing else. The callee is busy for all that reaches it.
    pub(crate) fn send(&self, mut caller: Party, callee: &mut Party) -> Outcome {
        let address = caller.address;
        let sent = Raw(match self.is_request {
            true => self.message.as_from(caller.transport(), &address.to_string()),
            false => self.message.0.clone(),
        });
        caller.send_bytes(&sent.0);
        let mut outcome = Outcome {
            answer: None,
            reached: Vec::new(),
            port: address.port(),
        };
        let mut end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Some(bytes) = callee.bytes_within(Duration::from_millis(5)) {
                end = Instant::now() + PATIENCE;
                let heard = Heard(String::from_utf8_lossy(&bytes).into_owned());
                if !heard.0.starts_with("ACK ") {
                    callee.respond(&heard, "486 Busy Here", "");
                    outcome.reached.push(Raw(bytes));
                }
            }
            let Some(answer) = caller.hear_within(Duration::from_millis(5)) else {
                continue;
            };
            let answer = Raw(answer.0.into_bytes());
            if answer.status().is_some_and(|status| status >= 200) {
                if sent.start().starts_with("INVITE ") {
                    caller.send_bytes(&ack(&sent, &answer));
                }
                outcome.answer.get_or_insert(answer);
                // A second message behind the first would show soon.
                end = end.min(Instant::now() + Duration::from_millis(60));
            }
        }
        outcome
    }
}

/// The ACK of a failure (RFC 3261 §17.1.1.3).
fn ack(invite: &Raw, answer: &Raw) -> Vec<u8> {
    let uri = invite
        .start()
        .split_whitespace()
        .nth(1)
        .unwrap_or_default()
        .to_owned();
    let cseq = String::from_utf8_lossy(&invite.field("CSeq", "CSeq")).into_owned();
    let number = cseq.split_whitespace().next().unwrap_or_default().to_owned();
    let via = invite.field("Via", "v");
    let top = via.split(|&b| b == b',').next().unwrap_or_default();
    [
        format!("ACK {uri} SIP/2.0\r\nVia: ").as_bytes(),
        top,
        b"\r\nFrom: ",
        &invite.field("From", "f"),
        b"\r\nTo: ",
        &answer.field("To", "t"),
        b"\r\nCall-ID: ",
        &invite.field("Call-ID", "i"),
        format!("\r\nCSeq: {number} ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n").as_bytes(),
    ]
    .concat()
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.answer {
            Some(answer) => f.write_str(&answer.start())?,
            None => f.write_str("no answer")?,
        }
        for reached in &self.reached {
            write!(f, "; the callee got {}", reached.start())?;
        }
        Ok(())
    }
}
