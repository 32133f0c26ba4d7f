//! The INVITE client transaction (RFC 3261 §17.1.1, figure 5; RFC 6026 §8.4).

use super::{Fired, Received, Repeat, earliest};
use crate::sip::{Status, timers::Timers};
use bytes::Bytes;
use std::time::Instant;

/// An INVITE on its way to one target.
#[derive(Clone, Debug)]
pub struct ClientInvite {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// Sent; nothing has come back. Timers A and B.
    Calling {
        request: Bytes,
        repeat: Option<Repeat>,
        end: Instant,
    },
    /// A provisional response came. No timer: how long it may ring is the user's matter.
    Proceeding,
    /// A non-2xx final response was acknowledged; timer D.
    Completed { ack: Bytes, end: Instant },
    /// A 2xx came: further ones, of other forks too, are passed on; timer M.
    Accepted { end: Instant },
    /// Over.
    Terminated,
}

impl ClientInvite {
    /// The request has just been sent.
    pub fn start(request: Bytes, reliable: bool, timers: Timers, now: Instant) -> Self {
        Self {
            state: State::Calling {
                request,
                repeat: Repeat::start(reliable, timers.t1, now),
                end: now + timers.t1_64(),
            },
            timers,
            reliable,
        }
    }
    /// A response came. `ack` builds the ACK of a non-2xx final response (RFC 3261 §17.1.1.3).
    pub fn receive(&mut self, status: Status, now: Instant, ack: impl FnOnce() -> Bytes) -> Received {
        match &self.state {
            State::Calling { .. } | State::Proceeding if status.is_provisional() => {
                self.state = State::Proceeding;
                Received::PASSED
            }
            State::Calling { .. } | State::Proceeding if status.is_success() => {
                self.state = State::Accepted {
                    end: now + self.timers.t1_64(),
                };
                Received::PASSED
            }
            State::Calling { .. } | State::Proceeding => {
                let ack = ack();
                self.state = if self.reliable {
                    State::Terminated
                } else {
                    State::Completed {
                        ack: ack.clone(),
                        end: now + self.timers.d(),
                    }
                };
                Received {
                    pass: true,
                    send: Some(ack),
                }
            }
            State::Completed { ack, .. } if status.is_final() && !status.is_success() => Received {
                pass: false,
                send: Some(ack.clone()),
            },
            // RFC 6026 §7.2: every 2xx goes to the user, who acknowledges it, whichever fork sent it.
            State::Accepted { .. } if status.is_success() => Received::PASSED,
            // A provisional response that was overtaken, or a second final response of another kind: RFC 3261 has no arrow.
            State::Completed { .. } | State::Accepted { .. } | State::Terminated => Received::ABSORBED,
        }
    }
    /// A deadline has passed; call until `None`.
    pub fn fire(&mut self, now: Instant) -> Option<Fired> {
        match &mut self.state {
            State::Calling { end, .. } if *end <= now => {
                self.state = State::Terminated;
                Some(Fired::TimedOut)
            }
            State::Calling { request, repeat, .. } => {
                let due = repeat.filter(|due| due.at <= now)?;
                *repeat = Some(Repeat::again(due.interval * 2, now));
                Some(Fired::Send(request.clone()))
            }
            State::Completed { end, .. } | State::Accepted { end } if *end <= now => {
                self.state = State::Terminated;
                None
            }
            State::Proceeding | State::Completed { .. } | State::Accepted { .. } | State::Terminated => None,
        }
    }
    /// When to call [`Self::fire`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Calling { repeat, end, .. } => Some(earliest(*repeat, *end)),
            State::Completed { end, .. } | State::Accepted { end } => Some(*end),
            State::Proceeding | State::Terminated => None,
        }
    }
    /// Nothing has come back yet.
    pub fn is_calling(&self) -> bool {
        matches!(self.state, State::Calling { .. })
    }
    /// No final response has come, and none is given up on: CANCEL makes sense.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling { .. } | State::Proceeding)
    }
    /// Over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
    /// The ACK that repeated final responses are answered with.
    pub fn ack(&self) -> Option<&Bytes> {
        match &self.state {
            State::Completed { ack, .. } => Some(ack),
            _ => None,
        }
    }
}
