//! ACKs of 2xx responses: a matter of the user agent, not of a transaction (RFC 3261 §13.2.2.4). Each is kept and sent again
//! on every repetition of its 2xx, for as long as the leg lives.

use super::{LegOutput, Wire, attempt::Way};
use crate::{
    call::Transmit,
    sip::{
        Request, Text,
        routing::{Destination, NextHop, Target},
    },
};
use std::collections::VecDeque;

/// How many are kept: re-INVITEs and forks of the last half minute.
const MAX_ACKS: usize = 16;

/// All ACKs of a leg.
#[derive(Debug, Default)]
pub(super) struct Acks(VecDeque<Ack>);

/// One ACK.
#[derive(Debug)]
struct Ack {
    cseq: u32,
    remote_tag: Option<Text>,
    request: Request,
    hop: NextHop,
    /// Waits for `hop` to be looked up.
    waiting: bool,
    targets: VecDeque<Way>,
    /// Of `sent`; empty before.
    branch: Text,
    sent: Option<Transmit>,
}

/// What became of a 2xx.
pub(super) enum Repeated {
    /// It has no ACK yet.
    Unknown,
    /// It is acknowledged.
    Done,
    /// There was no way for its ACK: to be looked up again.
    LookUp(NextHop),
}

impl Acks {
    /// Keeps an ACK until its targets are known.
    pub(super) fn push(&mut self, cseq: u32, remote_tag: Option<Text>, request: Request, hop: NextHop) {
        if self.0.len() >= MAX_ACKS {
            self.0.pop_front();
        }
        self.0.push_back(Ack {
            cseq,
            remote_tag,
            request,
            hop,
            waiting: true,
            targets: VecDeque::new(),
            branch: Text::default(),
            sent: None,
        });
    }
    /// The answer to a lookup: sends what waited for it.
    pub(super) fn resolved(&mut self, hop: &NextHop, targets: &[Target], wire: &mut Wire<'_>) {
        for ack in &mut self.0 {
            if ack.waiting && ack.hop == *hop {
                ack.waiting = false;
                ack.targets = targets.iter().map(Way::to).collect();
                ack.next(wire);
            }
        }
    }
    /// A 2xx came (again). If it is one that we acknowledge, that is done once more.
    pub(super) fn repeat(&mut self, cseq: u32, remote_tag: Option<&Text>, wire: &mut Wire<'_>) -> Repeated {
        let found = self
            .0
            .iter_mut()
            .find(|ack| ack.cseq == cseq && ack.remote_tag.as_ref() == remote_tag);
        let Some(ack) = found else {
            return Repeated::Unknown;
        };
        match &ack.sent {
            Some(sent) => wire.out.push_back(LegOutput::Transmit(sent.clone())),
            None if !ack.waiting => {
                ack.waiting = true;
                return Repeated::LookUp(ack.hop.clone());
            }
            None => {}
        }
        Repeated::Done
    }
    /// An ACK could not be sent: on to the next target.
    pub(super) fn undeliverable(&mut self, branch: &Text, wire: &mut Wire<'_>) {
        if let Some(ack) = self.0.iter_mut().find(|ack| ack.branch == *branch) {
            ack.next(wire);
        }
    }
    /// Whether one waits for its lookup.
    pub(super) fn is_waiting(&self) -> bool {
        self.0.iter().any(|ack| ack.waiting)
    }
}

impl Ack {
    fn next(&mut self, wire: &mut Wire<'_>) {
        let Some(way) = self.targets.pop_front() else {
            // Nowhere to go: the peer will repeat its 2xx, then end the call.
            return;
        };
        let branch: Text = wire.ids.branch().into();
        let (way, _, bytes) = way.print(&self.request, &branch, false, &mut self.targets);
        let to = Destination::Target(way.target);
        let transmit = Transmit { bytes, to };
        self.branch = branch;
        self.sent = Some(transmit.clone());
        wire.out.push_back(LegOutput::Transmit(transmit));
    }
}
