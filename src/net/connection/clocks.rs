//! When a connection is too slow.

use super::{Connection, LINGER};
use std::{io, sync::atomic::Ordering::Relaxed, time::Instant};

/// What the clock says about a connection.
pub(super) struct Clocks {
    pub(super) opened: Instant,
    /// We opened it.
    pub(super) ours: bool,
    /// A message has come.
    pub(super) spoke: bool,
    /// When the first byte of an unfinished message came.
    pub(super) began: Option<Instant>,
    pub(super) last_message: Instant,
    /// Since when nothing could be written although something waits.
    pub(super) stuck: Option<Instant>,
    /// Nothing is read any more.
    pub(super) closing: Option<Instant>,
    /// When the next keep-alive goes, over a connection of ours.
    pub(super) ping: Instant,
}

impl Clocks {
    /// When something must have happened.
    pub(super) fn deadline(&self, connection: &Connection) -> Instant {
        let limits = &connection.streams.limits;
        let deadlines = [
            self.closing.map(|since| since + LINGER),
            self.began.map(|since| since + limits.message),
            self.stuck.map(|since| since + limits.message),
            (!connection.open).then(|| {
                let limit = if self.ours {
                    limits.connect
                } else {
                    limits.handshake
                };
                self.opened + limit
            }),
            (!self.spoke).then(|| self.opened + limits.first_message),
            (!connection.is_own).then_some(self.last_message + limits.idle),
            (self.ours && self.closing.is_none()).then_some(self.ping),
        ];
        deadlines.into_iter().flatten().min().unwrap_or(self.last_message)
    }
    pub(super) fn expired(&self, connection: &Connection, deadline: Instant) -> io::Result<()> {
        if self.closing.is_none() && deadline != self.last_message + connection.streams.limits.idle {
            tracing::debug!(peer = %connection.remote, "connection too slow");
            connection.streams.gate.turned.cut.fetch_add(1, Relaxed);
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}
