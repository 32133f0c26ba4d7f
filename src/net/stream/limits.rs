//! What connections may take, and what of that depends on the machine.

use rustix::process::{Resource, getrlimit};
use std::time::Duration;

/// What strangers can make us hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections that all share; at one more, the one that was idle longest goes.
    pub connections: usize,
    /// Ports of somebody's own ([`crate::sip::routing::Own`]), and connections of theirs; at one more connection, the one that was
    /// idle longest goes, and there is no port more.
    pub own: usize,
    /// Accepted connections from one address.
    pub per_source: usize,
    /// Accepted connections of strangers that have brought no message yet; at one more, the oldest goes.
    pub half_open: usize,
    /// Bytes of unfinished messages of all connections together; beyond it strangers' connections are cut.
    pub unfinished: usize,
    /// Messages that wait for one connection.
    pub queue: usize,
    /// Time to connect.
    pub connect: Duration,
    /// Time from the first byte of a message to its last, and for a write to make progress.
    pub message: Duration,
    /// Time from accepting a connection to the end of all handshakes.
    pub handshake: Duration,
    /// Time from accepting a connection to its first message.
    pub first_message: Duration,
    /// Time without any message.
    pub idle: Duration,
    /// Between two keep-alives on a connection of ours, where they are wanted; up to a quarter more (RFC 5626 §4.4.1).
    pub ping: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            own: 16_384,
            per_source: 256,
            half_open: 2048,
            unfinished: 64 << 20,
            queue: 256,
            connect: Duration::from_secs(4),
            message: Duration::from_secs(10),
            handshake: Duration::from_secs(10),
            first_message: Duration::from_secs(30),
            idle: Duration::from_secs(3600),
            ping: Duration::from_secs(95),
        }
    }
}

impl Limits {
    /// Open files that a process must be allowed for each port of somebody's own: those of all of them are an eighth, and so are
    /// those of their connections.
    pub const FILES_OF_OWN: usize = 8;
    /// As far as this process may have files open.
    pub fn of_process() -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        Self::default().within(files)
    }
    /// The same for a process that may have so many files open: at most half of them are connections that all share, an eighth
    /// of them are those of strangers that have said nothing, and two eighths are ports of somebody's own with a connection each.
    /// The rest is for calls: media takes two to four of a leg.
    #[must_use]
    pub fn within(mut self, files: u64) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        self.connections = self.connections.min(files / 2).max(16);
        self.half_open = self.half_open.min(files / 8).max(4);
        self.own = self.own.min(files / Self::FILES_OF_OWN).max(4);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_open_files_to_calls() {
        for (files, connections, half_open, own) in [
            (u64::MAX, 8_192, 2_048, 16_384),
            (262_144, 8_192, 2_048, 16_384),
            (4_096, 2_048, 512, 512),
            (1_024, 512, 128, 128),
            (8, 16, 4, 4),
        ] {
            let limits = Limits::default().within(files);
            assert_eq!(
                (limits.connections, limits.half_open, limits.own),
                (connections, half_open, own),
                "{files}"
            );
        }
    }
}
