//! The server transaction of all other requests (RFC 3261 §17.2.2, figure 8).

use crate::sip::{Status, timers::Timers};
use bytes::Bytes;
use std::time::Instant;

/// A request other than INVITE and ACK that we answer.
#[derive(Clone, Debug)]
pub struct Server {
    state: State,
    timers: Timers,
    reliable: bool,
}

#[derive(Clone, Debug)]
enum State {
    /// No response sent.
    Trying,
    /// A provisional response was sent.
    Proceeding { last: Bytes },
    /// The final response was sent, and is sent again to each repetition; timer J.
    Completed { response: Bytes, end: Instant },
    /// Over.
    Terminated,
}

impl Server {
    /// A request came.
    pub fn new(reliable: bool, timers: Timers) -> Self {
        Self {
            state: State::Trying,
            timers,
            reliable,
        }
    }
    /// The user answers: the bytes to send, or `None` where a final response has gone before.
    pub fn respond(&mut self, status: Status, response: Bytes, now: Instant) -> Option<Bytes> {
        match &self.state {
            State::Trying | State::Proceeding { .. } if status.is_provisional() => {
                self.state = State::Proceeding {
                    last: response.clone(),
                };
                Some(response)
            }
            State::Trying | State::Proceeding { .. } => {
                self.state = if self.reliable {
                    State::Terminated
                } else {
                    State::Completed {
                        response: response.clone(),
                        end: now + self.timers.t1_64(),
                    }
                };
                Some(response)
            }
            State::Completed { .. } | State::Terminated => None,
        }
    }
    /// The request came again: what to answer.
    pub fn receive(&self) -> Option<Bytes> {
        match &self.state {
            State::Trying | State::Terminated => None,
            State::Proceeding { last } => Some(last.clone()),
            State::Completed { response, .. } => Some(response.clone()),
        }
    }
    /// A deadline has passed.
    pub fn fire(&mut self, now: Instant) {
        if let State::Completed { end, .. } = &self.state
            && *end <= now
        {
            self.state = State::Terminated;
        }
    }
    /// When to call [`Self::fire`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.state {
            State::Completed { end, .. } => Some(*end),
            State::Trying | State::Proceeding { .. } | State::Terminated => None,
        }
    }
    /// No final response has been sent.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Trying | State::Proceeding { .. })
    }
    /// Over.
    pub fn is_terminated(&self) -> bool {
        matches!(self.state, State::Terminated)
    }
}
