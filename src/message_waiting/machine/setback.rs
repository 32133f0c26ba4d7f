//! What becomes of it when something goes wrong.

use super::{super::dialog::Usage, MailboxOutput, MailboxSubscription, State};
use crate::{
    call::Env,
    roll::{Trouble, delay, random_part},
    sip::Status,
};
use std::time::Duration;

/// When somebody is asked again who said that there is nothing to subscribe to, before chance shortens it.
const HOUR: Duration = Duration::from_secs(3600);

impl MailboxSubscription {
    /// An operation has failed.
    pub(super) fn fail(&mut self, trouble: Trouble, env: &mut Env<'_>) {
        let known = self.usage.as_ref().is_some_and(Usage::is_known);
        if self.ending {
            let was_end = matches!(&self.state, State::Busy(operation) if operation.expires.is_zero());
            return if was_end || !known {
                self.finish()
            } else {
                self.queue()
            };
        }
        let is_refresh = self.since.is_some();
        if is_refresh && trouble.status.is_some_and(ends_subscription) {
            // The notifier knows nothing of it: it is asked for anew at once, and not again and again.
            self.lose();
            self.failed = Some(trouble.why.clone());
            if self.failures == 0 {
                self.failures = 1;
                self.queue();
                return self.out.push_back(MailboxOutput::Changed);
            }
            return self.rest(&trouble.why, trouble.retry_after, false, env);
        }
        if !is_refresh || self.lapses.is_none() {
            self.lose();
        }
        let refused = trouble.refused || trouble.status == Some(Status::NOT_IMPLEMENTED);
        let for_good = refused && self.usage.is_none();
        self.rest(&trouble.why, trouble.retry_after, for_good, env);
    }
    /// Waits before the next attempt.
    pub(super) fn rest(&mut self, why: &str, asked: Option<Duration>, for_good: bool, env: &mut Env<'_>) {
        self.failures = self.failures.saturating_add(1);
        self.failed = Some(why.into());
        let wait = if for_good {
            random_part(HOUR, env.ids)
        } else {
            // What the notifier asks for is kept to for longer than of a registrar: no call depends on it.
            let least = asked.unwrap_or_default().min(HOUR);
            delay(self.failures, asked, env.ids).max(least)
        };
        self.state = State::Resting(env.now + wait);
        self.out.push_back(MailboxOutput::Changed);
    }
}

/// Answers to a refresh that say that there is no subscription (RFC 6665 §4.1.2.2, RFC 5057 §5.1).
fn ends_subscription(status: Status) -> bool {
    matches!(status.code(), 404 | 405 | 410 | 416 | 480..=485 | 489 | 501 | 604)
}
