//! On what terms an account stands with its server: what is learnt in one operation and counts in the next.

use super::{answers::Answers, way::Way};
use crate::sip::{Response, Uri, routing::Own, timers::Timers};
use std::{net::IpAddr, time::Duration};

/// See the module.
#[derive(Debug)]
pub(crate) struct Terms {
    pub(crate) timers: Timers,
    pub(crate) answers: Answers,
    /// What the server takes at least (423).
    pub(super) least: Duration,
    /// Where our datagrams are seen to come from, where that is not what we call ourselves (RFC 3581).
    observed: Option<(IpAddr, u16)>,
    /// The port that is the account's own, if it has one: it stays open as long as this is held.
    pub(super) own: Option<Own>,
}

impl Terms {
    /// Nothing is known yet.
    pub(crate) fn new(timers: Timers) -> Self {
        Self {
            timers,
            answers: Answers::default(),
            least: Duration::ZERO,
            observed: None,
            own: None,
        }
    }
    /// What to ask for where that much is wanted.
    pub(crate) fn asking(&self, wanted: Duration) -> Duration {
        wanted.max(self.least)
    }
    /// Our Contact: the account's user where we are.
    pub(crate) fn contact(&self, user: Option<&str>, way: &Way) -> Uri {
        way.contact(user, self.observed)
    }
    /// Takes in where the first hop saw our datagram come from (RFC 3581), if that is elsewhere than `sent_by` says.
    pub(super) fn observe(&mut self, response: &Response, sent_by: &str) {
        self.observed = observed(response, sent_by);
    }
}

fn observed(response: &Response, sent_by: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = sent_by.rsplit_once(':')?;
    let host: IpAddr = host.trim_matches(['[', ']']).parse().ok()?;
    let port: u16 = port.parse().ok()?;
    let via = response.headers.via().ok()?;
    let seen = (
        via.received().map_or(host, |seen| seen.to_canonical()),
        via.rport().unwrap_or(port),
    );
    (seen != (host, port) && seen.1 != 0 && !seen.0.is_unspecified()).then_some(seen)
}
