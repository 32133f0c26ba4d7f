//! Where one component of a stream may come from, and where it is sent to (architecture: sources; RFC 7362 §4 on
//! latching and its dangers).

use crate::media::Remote;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// How long after `Connect` an address that was not signalled may still be latched onto.
pub(crate) const LATCHING: Duration = Duration::from_secs(15);

/// RTP or RTCP of one side.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// As signalled last. Kept over a hold by address, so that what the holder still sends is known.
    signalled: Option<SocketAddr>,
    /// It is told nothing for now: the last `Connect` had no address.
    silenced: bool,
    /// Where it turned out to be.
    actual: Option<SocketAddr>,
    also_from: Vec<IpAddr>,
    latch_any: bool,
    /// Until when an unsignalled address may be latched onto.
    latching: Option<Instant>,
}

/// What the source address of a packet is to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Where the peer is known to be.
    Known,
    /// Where it may have moved to; [`Peer::settle`] when the packet is good.
    Eligible,
    /// Anywhere else: only an authenticated packet proves that the peer is there.
    Stranger,
}

impl Peer {
    /// Takes what was signalled. An address that was latched onto stays while the signalled one does. `true`: another
    /// one was known before.
    pub(crate) fn connect(&mut self, address: Option<SocketAddr>, remote: &Remote, now: Instant) -> bool {
        self.silenced = address.is_none();
        let moved = address.is_some_and(|address| self.signalled.is_none_or(|old| !same(old, address)));
        let elsewhere = moved && self.signalled.is_some();
        if moved {
            self.signalled = address;
            self.actual = None;
        }
        let widened = remote.latch_any != self.latch_any || remote.also_from != self.also_from;
        if widened {
            self.also_from.clone_from(&remote.also_from);
            self.latch_any = remote.latch_any;
        }
        if moved || widened || self.actual.is_none() {
            self.latching = Some(now + LATCHING);
        }
        elsewhere
    }

    /// Where packets go to.
    #[inline]
    pub(crate) fn to(&self) -> Option<SocketAddr> {
        if self.silenced {
            None
        } else {
            self.actual.or(self.signalled)
        }
    }

    /// Judges where a packet comes from.
    #[inline]
    pub(crate) fn judge(&self, from: SocketAddr, now: Instant) -> Source {
        match (self.actual, self.signalled) {
            (Some(actual), _) if same(actual, from) => Source::Known,
            // The first one from the signalled address settles where the peer is: nothing is latched onto any more.
            (_, Some(signalled)) if same(signalled, from) => Source::Eligible,
            _ => self.judge_unsignalled(from, now),
        }
    }

    /// Whether that is the address that was signalled.
    pub(crate) fn is_signalled(&self, from: SocketAddr) -> bool {
        self.signalled.is_some_and(|signalled| same(signalled, from))
    }

    #[cold]
    fn judge_unsignalled(&self, from: SocketAddr, now: Instant) -> Source {
        // One address is latched onto once per `Connect`; what follows from elsewhere is somebody else.
        let open = self.latching.is_some_and(|until| now < until);
        if open && (self.latch_any || self.also_from.contains(&from.ip())) {
            Source::Eligible
        } else {
            Source::Stranger
        }
    }

    /// A good packet came from there: that is where the peer is now.
    pub(crate) fn settle(&mut self, from: SocketAddr) {
        self.actual = Some(from);
        self.latching = None;
    }
}

/// The same host and port; flow labels and scopes of IPv6 aside, which differ between signalling and the socket.
#[inline]
fn same(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() == other.port() && one.ip() == other.ip()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a start for virtual time")]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn remote(rtp: Option<&str>, also_from: &[&str], latch_any: bool) -> Remote {
        Remote {
            rtp: rtp.map(address),
            rtcp: None,
            mux: false,
            also_from: also_from.iter().map(|text| text.parse().unwrap()).collect(),
            latch_any,
        }
    }

    fn connected(remote: &Remote, now: Instant) -> Peer {
        let mut peer = Peer::default();
        peer.connect(remote.rtp, remote, now);
        peer
    }

    const SIGNALLED: &str = "192.0.2.1:4000";
    const NAT: &str = "198.51.100.7:61000";
    const NAT_OTHER_PORT: &str = "198.51.100.7:61002";
    const ELSEWHERE: &str = "203.0.113.9:5000";

    #[test]
    fn only_the_signalled_address_is_taken_when_nothing_else_is_said() {
        let now = Instant::now();
        let peer = connected(&remote(Some(SIGNALLED), &[], false), now);
        assert_eq!(peer.judge(address(SIGNALLED), now), Source::Eligible);
        assert_eq!(peer.judge(address("192.0.2.1:4001"), now), Source::Stranger);
        assert_eq!(peer.judge(address(ELSEWHERE), now), Source::Stranger);
        assert_eq!(peer.to(), Some(address(SIGNALLED)));
    }

    #[test]
    fn the_phones_sip_address_is_latched_onto_once() {
        let now = Instant::now();
        let mut peer = connected(&remote(Some(SIGNALLED), &["198.51.100.7"], false), now);
        assert_eq!(peer.judge(address(NAT), now), Source::Eligible);
        peer.settle(address(NAT));
        assert_eq!(peer.to(), Some(address(NAT)));
        assert_eq!(peer.judge(address(NAT), now), Source::Known);
        assert_eq!(peer.judge(address(NAT_OTHER_PORT), now), Source::Stranger);
        assert_eq!(
            peer.judge(address(SIGNALLED), now),
            Source::Eligible,
            "signalled is always right"
        );
    }

    #[test]
    fn latching_ends_with_the_first_packet_from_the_signalled_address() {
        let now = Instant::now();
        let mut peer = connected(&remote(Some(SIGNALLED), &["198.51.100.7"], true), now);
        peer.settle(address(SIGNALLED));
        assert_eq!(peer.judge(address(NAT), now), Source::Stranger);
        assert_eq!(peer.judge(address(ELSEWHERE), now), Source::Stranger);
    }

    #[test]
    fn latching_ends_after_its_time() {
        let now = Instant::now();
        let peer = connected(&remote(Some(SIGNALLED), &["198.51.100.7"], false), now);
        assert_eq!(peer.judge(address(NAT), now + LATCHING), Source::Stranger);
        assert_eq!(peer.judge(address(SIGNALLED), now + LATCHING), Source::Eligible);
    }

    #[test]
    fn latch_any_takes_one_address_from_anywhere() {
        let now = Instant::now();
        let mut peer = connected(&remote(Some(SIGNALLED), &[], true), now);
        assert_eq!(peer.judge(address(ELSEWHERE), now), Source::Eligible);
        peer.settle(address(ELSEWHERE));
        assert_eq!(peer.judge(address(NAT), now), Source::Stranger);
    }

    #[test]
    fn the_same_connect_again_keeps_the_latch_and_a_new_address_drops_it() {
        let now = Instant::now();
        let first = remote(Some(SIGNALLED), &["198.51.100.7"], false);
        let mut peer = connected(&first, now);
        peer.settle(address(NAT));
        peer.connect(first.rtp, &first, now);
        assert_eq!(peer.to(), Some(address(NAT)));
        assert_eq!(peer.judge(address(NAT_OTHER_PORT), now), Source::Stranger);
        let second = remote(Some("192.0.2.1:4100"), &["198.51.100.7"], false);
        peer.connect(second.rtp, &second, now);
        assert_eq!(peer.to(), second.rtp);
        assert_eq!(peer.judge(address(NAT), now), Source::Eligible);
        assert_eq!(
            peer.judge(address(SIGNALLED), now),
            Source::Stranger,
            "the old address is refused"
        );
    }

    #[test]
    fn a_hold_by_address_sends_nothing_and_forgets_nothing() {
        let now = Instant::now();
        let first = remote(Some(SIGNALLED), &[], false);
        let mut peer = connected(&first, now);
        peer.settle(address(SIGNALLED));
        peer.connect(None, &remote(None, &[], false), now);
        assert_eq!(peer.to(), None);
        assert_eq!(peer.judge(address(SIGNALLED), now), Source::Known);
        peer.connect(first.rtp, &first, now);
        assert_eq!(peer.to(), Some(address(SIGNALLED)));
    }

    #[test]
    fn before_an_address_is_known_nothing_is_sent_or_taken() {
        let now = Instant::now();
        let peer = connected(&remote(None, &[], false), now);
        assert_eq!(peer.to(), None);
        assert_eq!(peer.judge(address(ELSEWHERE), now), Source::Stranger);
        let unconnected = Peer::default();
        assert_eq!(unconnected.judge(address(ELSEWHERE), now), Source::Stranger);
    }
}
