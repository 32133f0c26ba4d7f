//! The INVITE server transaction (RFC 3261 §17.2.1, figure 7; RFC 6026 §8.5).

use super::{Fired, Repeat, earliest};
use crate::sip::{Status, timers::Timers};
use bytes::Bytes;
use std::time::Instant;

/// An INVITE that we answer.
///
/// A 2xx is repeated by the user until its ACK comes (RFC 3261 §13.3.1.4); this machine repeats what is not 2xx.
#[derive(Clone, Debug)]
pub struct ServerInvite {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// No final response; the last provisional one is repeated to each repeated INVITE.
    Proceeding { last: Option<Bytes> },
    /// A non-2xx final response was sent; timers G and H.
    Completed {
        response: Bytes,
        repeat: Option<Repeat>,
        end: Instant,
    },
    /// Its ACK came; timer I.
    Confirmed { end: Instant },
    /// A 2xx was sent: repeated INVITEs are absorbed, ACKs passed on; timer L.
    Accepted { end: Instant },
    /// Over.
    Terminated,
}

/// What an ACK means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AckIs {
    /// For the transaction alone: it ends a non-2xx, or is a repetition.
    Absorbed,
    /// For the user: it acknowledges a 2xx.
    Passed,
}

impl ServerInvite {
    /// An INVITE came.
    pub fn new(reliable: bool, timers: Timers) -> Self {
        Self {
            state: State::Proceeding { last: None },
            timers,
            reliable,
        }
    }
    /// The user answers: the bytes to send, or `None` where a final response has gone before.
    pub fn respond(&mut self, status: Status, response: Bytes, now: Instant) -> Option<Bytes> {
        match &mut self.state {
            State::Proceeding { last } if status.is_provisional() => {
                *last = Some(response.clone());
                Some(response)
            }
            State::Proceeding { .. } if status.is_success() => {
                self.state = State::Accepted {
                    end: now + self.timers.t1_64(),
                };
                Some(response)
            }
            State::Proceeding { .. } => {
                self.state = State::Completed {
                    response: response.clone(),
                    repeat: Repeat::start(self.reliable, self.timers.t1, now),
                    end: now + self.timers.t1_64(),
                };
                Some(response)
            }
            // RFC 6026 §7.1: the user repeats its 2xx through the transaction.
            State::Accepted { .. } if status.is_success() => Some(response),
            State::Completed { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => None,
        }
    }
    /// The INVITE came again: what to answer.
    pub fn receive_invite(&self) -> Option<Bytes> {
        match &self.state {
            State::Proceeding { last } => last.clone(),
            State::Completed { response, .. } => Some(response.clone()),
            State::Confirmed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }
    /// An ACK came.
    pub fn receive_ack(&mut self, now: Instant) -> AckIs {
        match &self.state {
            State::Completed { .. } => {
                self.state = if self.reliable {
                    State::Terminated
                } else {
                    State::Confirmed {
                        end: now + self.timers.t4,
                    }
                };
                AckIs::Absorbed
            }
            State::Accepted { .. } => AckIs::Passed,
            // An ACK before any final response breaks the protocol; later ones are repetitions.
            State::Proceeding { .. } | State::Confirmed { .. } | State::Terminated => AckIs::Absorbed,
        }
    }
    /// A deadline has passed; call until `None`.
    pub fn fire(&mut self, now: Instant) -> Option<Fired> {
        match &mut self.state {
            State::Completed { end, .. } if *end <= now => {
                self.state = State::Terminated;
                Some(Fired::TimedOut)
            }
            State::Completed { response, repeat, .. } => {
                let due = repeat.filter(|due| due.at <= now)?;
                *repeat = Some(Repeat::again(self.timers.backoff(due.interval), now));
                Some(Fired::Send(response.clone()))
            }
            State::Confirmed { end } | State::Accepted { end } if *end <= now => {
                self.state = State::Terminated;
                None
            }
            State::Proceeding { .. }
            | State::Confirmed { .. }
            | State::Accepted { .. }
            | State::Terminated => None,
        }
    }
    /// When to call [`Self::fire`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Completed { repeat, end, .. } => Some(earliest(*repeat, *end)),
            State::Confirmed { end } | State::Accepted { end } => Some(*end),
            State::Proceeding { .. } | State::Terminated => None,
        }
    }
    /// No final response has been sent.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Proceeding { .. })
    }
    /// A non-2xx final response waits for its ACK.
    pub fn is_awaiting_ack(&self) -> bool {
        matches!(self.state, State::Completed { .. })
    }
    /// Over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
