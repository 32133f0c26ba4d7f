//! The client transaction of all other requests (RFC 3261 §17.1.2, figure 6).

use super::{Fired, Received, Repeat, earliest};
use crate::sip::{Status, timers::Timers};
use bytes::Bytes;
use std::time::Instant;

/// A request other than INVITE and ACK, on its way to one target.
#[derive(Clone, Debug)]
pub struct Client {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Sent, no final response; timers E and F. `heard` after a provisional response, when E runs at T2.
    Waiting {
        request: Bytes,
        repeat: Option<Repeat>,
        end: Instant,
        heard: bool,
    },
    /// A final response came; timer K.
    Completed { end: Instant },
    /// Over.
    Terminated,
}

impl Client {
    /// The request has just been sent.
    pub fn start(request: Bytes, reliable: bool, timers: Timers, now: Instant) -> Self {
        Self {
            state: State::Waiting {
                request,
                repeat: Repeat::start(reliable, timers.t1, now),
                end: now + timers.t1_64(),
                heard: false,
            },
            timers,
            reliable,
        }
    }
    /// A response came.
    pub fn receive(&mut self, status: Status, now: Instant) -> Received {
        match &mut self.state {
            State::Waiting { heard, repeat, .. } if status.is_provisional() => {
                *heard = true;
                // RFC 3261 §17.1.2.2: timer E is T2 in Proceeding, from its next firing on.
                if let Some(repeat) = repeat {
                    repeat.interval = self.timers.t2;
                }
                Received::PASSED
            }
            State::Waiting { .. } => {
                self.state = if self.reliable {
                    State::Terminated
                } else {
                    State::Completed {
                        end: now + self.timers.t4,
                    }
                };
                Received::PASSED
            }
            State::Completed { .. } | State::Terminated => Received::ABSORBED,
        }
    }
    /// A deadline has passed; call until `None`.
    pub fn fire(&mut self, now: Instant) -> Option<Fired> {
        match &mut self.state {
            State::Waiting { end, .. } if *end <= now => {
                self.state = State::Terminated;
                Some(Fired::TimedOut)
            }
            State::Waiting {
                request,
                repeat,
                heard,
                ..
            } => {
                let due = repeat.filter(|due| due.at <= now)?;
                let interval = if *heard {
                    self.timers.t2
                } else {
                    self.timers.backoff(due.interval)
                };
                *repeat = Some(Repeat::again(interval, now));
                Some(Fired::Send(request.clone()))
            }
            State::Completed { end } if *end <= now => {
                self.state = State::Terminated;
                None
            }
            State::Completed { .. } | State::Terminated => None,
        }
    }
    /// When to call [`Self::fire`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Waiting { repeat, end, .. } => Some(earliest(*repeat, *end)),
            State::Completed { end } => Some(*end),
            State::Terminated => None,
        }
    }
    /// Nothing has come back yet, not even a provisional response.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Waiting { heard: false, .. })
    }
    /// No final response has come, and none is given up on.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }
    /// Over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
