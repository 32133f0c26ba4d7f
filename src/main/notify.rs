//! What systemd is told (sd_notify(3)): readiness, state, and that we are alive. Without systemd it does nothing.

use sd_notify::NotifyState;
use std::time::Duration;

/// The way to systemd.
pub(crate) struct Notify {
    /// How often to call [`Self::alive`].
    pub(crate) interval: Duration,
    watchdog: bool,
}

impl Notify {
    /// Takes the interval that the configuration asks for, or half of what systemd grants when that is less.
    pub(crate) fn new(asked: Duration) -> Self {
        let granted = sd_notify::watchdog_enabled().map(|limit| limit / 2);
        let least = Duration::from_millis(1);
        Self {
            interval: granted.map_or(asked, |granted| asked.min(granted)).max(least),
            watchdog: granted.is_some(),
        }
    }

    /// Calls are taken.
    pub(crate) fn ready(&self, status: &str) {
        send(&[NotifyState::Ready, NotifyState::Status(status)]);
    }

    /// A reload begins; [`Self::ready`] ends it.
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => send(&[NotifyState::Reloading, now]),
            Err(_) => send(&[NotifyState::Reloading]),
        }
    }

    /// The end begins.
    pub(crate) fn stopping(&self) {
        send(&[
            NotifyState::Stopping,
            NotifyState::Status("waiting for the last calls"),
        ]);
    }

    /// We are alive, and what there is.
    pub(crate) fn alive(&self, status: &str) {
        if self.watchdog {
            send(&[NotifyState::Watchdog, NotifyState::Status(status)]);
        } else {
            send(&[NotifyState::Status(status)]);
        }
    }

    /// The end takes longer, on purpose: systemd is not to kill us within the next intervals.
    pub(crate) fn still_stopping(&self, status: &str) {
        let more = (self.interval * 10).max(Duration::from_secs(10));
        let more = u32::try_from(more.as_micros()).unwrap_or(u32::MAX);
        send(&[NotifyState::ExtendTimeoutUsec(more)]);
        self.alive(status);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!("systemd's notify socket: {error}");
    }
}
