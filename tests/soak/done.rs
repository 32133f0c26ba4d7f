//! What became of calls.

use std::fmt;

/// How calls ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    pub(crate) answered: usize,
    pub(crate) rejected: usize,
    pub(crate) cancelled: usize,
    pub(crate) timed_out: usize,
    /// Answered, then held, resumed with video, and ended.
    pub(crate) changed: usize,
    /// Answered, and then the caller was never heard of again.
    pub(crate) vanished: usize,
    /// Answered, and then the callee was sent on to somebody who answered, or who did not want to.
    pub(crate) transferred: usize,
    pub(crate) not_transferred: usize,
    /// Answered, and then sent on to somebody who was not reached in time: on a busy machine both of the others may be.
    pub(crate) transferred_late: usize,
    /// Refused because the server did not keep up: a machine that is busy with something else is slower than it was.
    pub(crate) shed: usize,
    /// How often the server hung up on who had asked for a transfer: it does so where it executes it. No calls of their own.
    pub(crate) seen_off: usize,
}

impl Done {
    /// Those that the server has taken.
    pub(crate) fn taken(&self) -> usize {
        self.up() + self.rejected + self.cancelled + self.timed_out
    }
    /// Those that were answered.
    pub(crate) fn up(&self) -> usize {
        let sent_on = self.transferred + self.not_transferred + self.transferred_late;
        self.answered + self.changed + self.vanished + sent_on
    }
    pub(crate) fn each_kind_happened(&self) -> bool {
        let counts = [
            self.answered,
            self.rejected,
            self.cancelled,
            self.timed_out,
            self.changed,
            self.vanished,
            self.transferred,
            self.not_transferred,
            self.seen_off,
        ];
        counts.iter().all(|count| *count > 0)
    }
    pub(crate) fn add(&mut self, other: Self) {
        self.transferred += other.transferred;
        self.not_transferred += other.not_transferred;
        self.transferred_late += other.transferred_late;
        self.shed += other.shed;
        self.seen_off += other.seen_off;
        self.changed += other.changed;
        self.vanished += other.vanished;
        self.answered += other.answered;
        self.rejected += other.rejected;
        self.cancelled += other.cancelled;
        self.timed_out += other.timed_out;
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            answered,
            rejected,
            cancelled,
            timed_out,
            changed,
            vanished,
            transferred,
            not_transferred,
            transferred_late,
            shed,
            seen_off,
        } = self;
        write!(
            f,
            "{answered} answered, {changed} held and with video, {vanished} with a caller that was gone, {transferred} \
             transferred ({seen_off} BYEs to who asked for it), {not_transferred} to one who refused, {transferred_late} to one who was not reached in time, {rejected} rejected, \
             {cancelled} cancelled, {timed_out} timed out, {shed} refused because of too many"
        )
    }
}

/// Whether a transfer that came to this was only too slow: the target did not answer in time, or the server did not keep up.
pub(crate) fn is_late(status: u16) -> bool {
    matches!(status, 408 | 480 | 503)
}
