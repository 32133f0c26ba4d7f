//! What of the limits depends on the machine.

use super::Limits;
use rustix::process::{Resource, getrlimit};

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
