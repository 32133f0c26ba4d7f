//! Keep-alives that we send: so that NATs and firewalls between us and those whom we call keep their bindings while nothing else is
//! said (RFC 5626 §3.5.1, `enable-keepalive`). A double CRLF, which everybody ignores or answers with one CRLF (RFC 3261 §7.5);
//! nobody is taken for dead who does not answer.

use crate::sip::routing::{Own, Target};
use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What is sent.
pub(super) const PING: &[u8] = b"\r\n\r\n";
/// Between two to a datagram's target: NATs forget after 30 s, many of them (RFC 5626 §4.4.2).
pub(super) const EVERY: Duration = Duration::from_secs(27);
/// How long a target is kept alive after the last request to it: registrations and sessions are refreshed within an hour.
const KEPT: Duration = Duration::from_secs(3600);
/// Targets that are kept alive.
const MOST: usize = 1024;
/// The same with those to which somebody goes from a port of its own.
const MOST_WITH_OWN: usize = 16_384;

/// Where, and by whose port.
type Place = (SocketAddr, Option<Arc<str>>);

/// Where requests went by UDP lately, and whether anybody is to be kept alive.
#[derive(Default)]
pub(super) struct Keeper {
    on: AtomicBool,
    targets: Mutex<HashMap<Place, (Target, Instant)>>,
}

impl Keeper {
    pub(super) fn switch(&self, on: bool) {
        self.on.store(on, Relaxed);
    }
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }
    /// A request went there by UDP. There is no NAT on the way to ourselves.
    pub(super) fn note(&self, target: &Target, now: Instant) {
        if !self.is_on() || target.remote.ip().is_loopback() {
            return;
        }
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        let own: Option<Arc<str>> = target.own.as_ref().map(|own| own.name().into());
        if let Some((_, used)) = targets.get_mut(&(target.remote, own.clone())) {
            *used = now;
        } else if targets.len() < if own.is_some() { MOST_WITH_OWN } else { MOST } {
            let target = Target {
                // Another of its name: that it is kept alive is no reason for its port to stay.
                own: own.clone().map(Own::new),
                ..target.clone()
            };
            targets.insert((target.remote, own), (target, now));
        }
    }
    /// Who is to be kept alive now.
    pub(super) fn due(&self, now: Instant) -> Vec<Target> {
        let mut targets = self.targets.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_on() {
            targets.clear();
        }
        targets.retain(|_, (_, used)| now.saturating_duration_since(*used) < KEPT);
        targets.values().map(|(target, _)| target.clone()).collect()
    }
}

/// When a connection of ours says something next: 95 to 120 s (RFC 5626 §4.4.1), not all at once.
pub(super) const fn interval(shortest: Duration, flow: u64) -> Duration {
    // A fraction of the shortest, by the number of the connection: 0 to 25 of 95.
    let part = shortest.as_millis() as u64 / 95;
    Duration::from_millis(shortest.as_millis() as u64 + part * (flow % 26))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::routing::Transport;

    fn target(port: u16) -> Target {
        Target {
            transport: Transport::Udp,
            remote: ([192, 0, 2, 1], port).into(),
            server_name: None,
            local: [192, 0, 2, 2].into(),
            sent_by: "192.0.2.2:5060".into(),
            fixed_transport: false,
            own: None,
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "virtual time has to begin somewhere")]
    fn who_was_asked_within_an_hour_is_kept_alive_if_that_is_wanted() {
        let keeper = Keeper::default();
        let now = Instant::now();
        let minutes = |count: u64| now + Duration::from_secs(count * 60);
        keeper.note(&target(1), now);
        assert!(keeper.due(now).is_empty(), "off");
        keeper.switch(true);
        keeper.note(&target(1), now);
        keeper.note(&target(2), minutes(30));
        let local = Target {
            remote: ([127, 0, 0, 1], 1).into(),
            ..target(3)
        };
        keeper.note(&local, now);
        assert_eq!(keeper.due(minutes(59)).len(), 2);
        assert_eq!(keeper.due(minutes(61)), [target(2)]);
        assert!(keeper.due(minutes(91)).is_empty());
        for port in 0..5_000 {
            keeper.note(&target(port), minutes(91));
        }
        assert_eq!(keeper.due(minutes(92)).len(), MOST);
        keeper.switch(false);
        assert!(keeper.due(minutes(92)).is_empty());
    }

    #[test]
    fn connections_ping_after_95_to_120_seconds() {
        let shortest = Duration::from_secs(95);
        let all: Vec<_> = (0..26).map(|flow| interval(shortest, flow)).collect();
        assert_eq!((all[0], all[25]), (shortest, Duration::from_secs(120)));
    }
}
