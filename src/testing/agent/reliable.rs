//! Reliable provisional responses of an agent, both ways (RFC 3262).

use super::{Agent, Phase, client::Purpose};
use crate::{
    sip::{Headers, Request, Response},
    testing::Sim,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// A provisional response of its own that is repeated until its PRACK comes (RFC 3262 §3).
#[derive(Debug)]
pub(super) struct Unpracked {
    bytes: Bytes,
    at: Instant,
    interval: Duration,
    end: Instant,
}

impl Unpracked {
    pub(super) fn due(&self) -> Instant {
        self.at.min(self.end)
    }
}

fn number(headers: &Headers, name: &str) -> Option<u32> {
    let value = headers.get(name)?.to_str().into_owned();
    value.split(' ').next()?.parse().ok()
}

impl Agent {
    /// Whether a provisional response to this INVITE may be a reliable one.
    pub(super) fn may_be_reliable(&self, invite: &Request) -> bool {
        let knows = |name| invite.headers.values(name).any(|tag| tag.as_bytes() == b"100rel");
        self.habits.reliable && (knows("Supported") || knows("Require"))
    }
    /// The headers of the next one.
    pub(super) fn next_reliable(&mut self) -> String {
        self.rseq += 1;
        format!("Require: 100rel\r\nRSeq: {}\r\n", self.rseq)
    }
    /// It has been sent.
    pub(super) fn await_prack(&mut self, now: Instant, bytes: Bytes) {
        self.unpracked = Some(Unpracked {
            bytes,
            at: now + self.timers.t1,
            interval: self.timers.t1,
            end: now + self.timers.t1_64(),
        });
    }
    /// Whether its 2xx has to wait: what it answered early is not acknowledged (RFC 3262 §3).
    pub(in crate::testing) fn is_unpracked(&self) -> bool {
        self.unpracked.is_some()
    }
    /// A PRACK came; whether it acknowledges something.
    pub(super) fn take_prack(&mut self, prack: &Request) -> bool {
        let fits = number(&prack.headers, "RAck") == Some(self.rseq);
        self.facts.acknowledged_early += u32::from(fits && self.unpracked.take().is_some());
        fits
    }
    pub(super) fn fire_unpracked(&mut self, sim: &mut Sim) {
        let Some(unpracked) = &mut self.unpracked else {
            return;
        };
        if unpracked.end <= sim.now || self.phase != Phase::Setup {
            self.unpracked = None;
        } else if unpracked.at <= sim.now {
            // It doubles without end.
            unpracked.interval *= 2;
            unpracked.at = sim.now + unpracked.interval;
            self.facts.repeated += 1;
            sim.send(self.who, unpracked.bytes.clone());
        }
    }
    /// Acknowledges a provisional response to its INVITE, where that is asked for and is the next one.
    pub(super) fn prack(&mut self, sim: &mut Sim, response: &Response) {
        let headers = &response.headers;
        let asked = headers.values("Require").any(|tag| tag.as_bytes() == b"100rel");
        let (true, Some(rseq)) = (asked, number(headers, "RSeq")) else {
            return;
        };
        if self.rseq != 0 && rseq != self.rseq + 1 {
            return;
        }
        self.rseq = rseq;
        self.remote = headers.get("To").expect("To").to_str().into_owned();
        self.move_to(headers.get("Contact"));
        let cseq = headers.cseq().expect("CSeq").number;
        let line = format!("RAck: {rseq} {cseq} INVITE\r\n");
        self.request(sim, "PRACK", &line, "", Purpose::Prack);
    }
}
