//! What of the limits depends on the machine.

use super::Limits;

impl Limits {
    /// The same for a process that may have so many files open: at most half of them are connections, and an eighth are those of
    /// strangers that have said nothing. The rest is for calls: media takes two to four of a leg.
    #[must_use]
    pub fn within(mut self, files: u64) -> Self {
        let files = usize::try_from(files).unwrap_or(usize::MAX);
        self.connections = self.connections.min(files / 2).max(16);
        self.half_open = self.half_open.min(files / 8).max(4);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_open_files_to_calls() {
        for (files, connections, half_open) in [
            (u64::MAX, 8_192, 2_048),
            (262_144, 8_192, 2_048),
            (4_096, 2_048, 512),
            (1_024, 512, 128),
            (8, 16, 4),
        ] {
            let limits = Limits::default().within(files);
            assert_eq!(
                (limits.connections, limits.half_open),
                (connections, half_open),
                "{files}"
            );
        }
    }
}
