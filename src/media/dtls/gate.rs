//! What of a peer's datagrams reaches the DTLS library.
//!
//! Until the keys are there everything is in the clear, and anyone who can send from the peer's address can send
//! anything. RFC 6347 §4.1.2.7 wants invalid records discarded in silence; webrtc-dtls 0.12.0 instead gives up on some
//! of them, panics on others, keeps fragments and early records without end, and puts fragments together by recursion. So it gets only
//! what can belong to this handshake, handshake messages whole and in records of our own numbering, and a bounded amount
//! of it all.

use super::{
    Role,
    body::is_readable,
    record::{Content, Fragment, clear_record, records},
};
use std::collections::VecDeque;

/// Octets that one handshake may bring, retransmissions included. A usual one has 4 kB.
const MOST_OCTETS: usize = 256 * 1024;
/// Octets of one handshake message; only certificates come near.
const MOST_MESSAGE: usize = 16 * 1024;
/// Messages in pieces at a time: a flight has no more than six.
const MOST_PARTIAL: usize = 8;
/// Separate ranges of one message: what arrives in order has one.
const MOST_RANGES: usize = 64;
/// Handshake messages are numbered from 0, a handshake has about ten from each side.
const MOST_SEQUENCE: u16 = 32;
/// Longest part of a message that is handed on in one record, shorter than a datagram.
const PART: usize = 4096;
/// Longest datagram that is handed on: the library's buffer.
const MOST_DATAGRAM: usize = 8192;
/// Explicit nonce, at least one octet, tag: AES-GCM is the only cipher that we negotiate.
const LEAST_SEALED: usize = 8 + 1 + 16;

/// Sorts the datagrams of one peer.
#[derive(Debug)]
pub(super) struct Gate {
    role: Role,
    octets: usize,
    /// Number of the next record in the clear that the library gets.
    sequence: u64,
    partial: VecDeque<Partial>,
    alert: Option<u8>,
}

/// The peer has sent more than a handshake can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Flood;

/// A handshake message of which parts are missing.
#[derive(Debug)]
struct Partial {
    kind: u8,
    sequence: u16,
    message: Vec<u8>,
    /// What is there, from..to, in order and apart.
    have: Vec<(usize, usize)>,
}

impl Gate {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role,
            octets: 0,
            sequence: 0,
            partial: VecDeque::new(),
            alert: None,
        }
    }
    /// Description of the last alert that came in the clear and ends the handshake.
    pub(super) fn alert(&self) -> Option<u8> {
        self.alert
    }
    /// Takes a datagram; gives the datagrams that the library gets instead. What came together goes on together: the library
    /// looks through its whole flight for each datagram that it reads.
    ///
    /// # Errors
    /// When the peer has sent too much.
    pub(super) fn pass(&mut self, datagram: &[u8]) -> Result<Vec<Vec<u8>>, Flood> {
        self.octets = self.octets.saturating_add(datagram.len());
        if self.octets > MOST_OCTETS {
            return Err(Flood);
        }
        let mut passed = Vec::new();
        for record in records(datagram) {
            match (record.content, record.epoch, record.body()) {
                (Content::ChangeCipherSpec, 0, [1]) => append(&mut passed, &self.clear(20, &[1])),
                // A warning in the clear means nothing, but for close_notify.
                (Content::Alert, 0, &[level, description]) if level == 2 || description == 0 => {
                    self.alert = Some(description);
                    // Alone, so that it can be taken out.
                    passed.push(self.clear(21, &[2, description]));
                }
                (Content::Handshake, 0, _) => {
                    for fragment in record.fragments() {
                        self.fragment(fragment, &mut passed);
                    }
                }
                (Content::Alert | Content::Handshake, 1, body) if body.len() >= LEAST_SEALED => {
                    append(&mut passed, record.whole);
                }
                // Later epochs, application data, and what is malformed.
                _ => {}
            }
        }
        Ok(passed)
    }
    fn clear(&mut self, content: u8, body: &[u8]) -> Vec<u8> {
        let record = clear_record(content, self.sequence, body);
        self.sequence += 1;
        record
    }
    fn fragment(&mut self, fragment: Fragment<'_>, passed: &mut Vec<Vec<u8>>) {
        let possible = from_peer(self.role, fragment.kind)
            && fragment.length <= MOST_MESSAGE
            && fragment.sequence <= MOST_SEQUENCE
            && (!fragment.part.is_empty() || fragment.length == 0);
        if !possible {
            return;
        }
        if fragment.part.len() == fragment.length {
            self.message(fragment.kind, fragment.sequence, fragment.part, passed);
            return;
        }
        let same = |partial: &Partial| {
            partial.sequence == fragment.sequence
                && partial.kind == fragment.kind
                && partial.message.len() == fragment.length
        };
        let at = self.partial.iter().position(same).unwrap_or_else(|| {
            if self.partial.len() >= MOST_PARTIAL {
                self.partial.pop_front();
            }
            self.partial.push_back(Partial {
                kind: fragment.kind,
                sequence: fragment.sequence,
                message: vec![0; fragment.length],
                have: Vec::new(),
            });
            self.partial.len() - 1
        });
        let whole = self
            .partial
            .get_mut(at)
            .is_some_and(|partial| partial.add(&fragment));
        if whole && let Some(partial) = self.partial.remove(at) {
            self.message(partial.kind, partial.sequence, &partial.message, passed);
        }
    }
    /// Hands a whole message on, in parts that fit into the library's buffer.
    fn message(&mut self, kind: u8, sequence: u16, message: &[u8], passed: &mut Vec<Vec<u8>>) {
        if !is_readable(kind, message) {
            return;
        }
        let mut offset = 0;
        loop {
            let rest = message.get(offset..).unwrap_or_default();
            let part = rest.get(..PART).unwrap_or(rest);
            let fragment = Fragment {
                kind,
                length: message.len(),
                sequence,
                offset,
                part,
            };
            append(passed, &self.clear(22, &fragment.print()));
            offset += part.len();
            if offset >= message.len() {
                return;
            }
        }
    }
}

/// Adds a record to the last datagram, if it has room and does not end the handshake, or else to a new one.
fn append(passed: &mut Vec<Vec<u8>>, record: &[u8]) {
    match passed.last_mut() {
        Some(last) if last.first() != Some(&21) && last.len() + record.len() <= MOST_DATAGRAM => {
            last.extend_from_slice(record);
        }
        _ => passed.push(record.to_vec()),
    }
}

impl Partial {
    /// Whether it is whole with this. What is there already is not replaced.
    fn add(&mut self, fragment: &Fragment<'_>) -> bool {
        let (mut from, mut to) = (fragment.offset, fragment.offset + fragment.part.len());
        let covered = self.have.iter().any(|&(a, b)| a <= from && to <= b);
        let touches = |&(a, b): &(usize, usize), from, to| a <= to && from <= b;
        if covered
            || (self.have.len() >= MOST_RANGES && !self.have.iter().any(|range| touches(range, from, to)))
        {
            return false;
        }
        if let Some(place) = self.message.get_mut(from..to) {
            place.copy_from_slice(fragment.part);
        }
        self.have.retain(|range| {
            let apart = !touches(range, from, to);
            if !apart {
                from = from.min(range.0);
                to = to.max(range.1);
            }
            apart
        });
        self.have.push((from, to));
        (from, to) == (0, self.message.len())
    }
}

/// Whether a message of this type can come from the peer of one in that role (RFC 5246 §7.4): a ClientHello that strays to
/// a client, or HelloRequest, cannot.
fn from_peer(role: Role, kind: u8) -> bool {
    match role {
        // ClientHello, Certificate, CertificateVerify, ClientKeyExchange.
        Role::Server => matches!(kind, 1 | 11 | 15 | 16),
        // ServerHello, HelloVerifyRequest, Certificate, ServerKeyExchange, CertificateRequest,
        // ServerHelloDone.
        Role::Client => matches!(kind, 2 | 3 | 11 | 12 | 13 | 14),
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
