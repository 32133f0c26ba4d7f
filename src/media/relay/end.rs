//! One side of a stream: its sockets, its peer, its keys, and what is watched there.

use super::{
    alive::Alive,
    control::Gate,
    digits::Digits,
    edit::Edit,
    flow::Opened,
    key_frames::{Fresh, KeyFrames},
    keyed::{Receiving, Sending},
    peer::Peer,
    ports::PortPair,
    stats::Counts,
    watch::{Proof, Silence},
};
use crate::media::{
    Component, Connect, KeyAgreement, StreamKind,
    packet::{Discard, Kind, Packet, rtp_header},
};
use std::{net::SocketAddr, time::Instant};

/// One side of a stream.
#[derive(Debug, Default)]
pub(crate) struct End {
    /// Its sockets; `None` before `Open` and after `Shut`.
    pub(crate) ports: Option<PortPair>,
    /// Others, which carry nothing.
    pub(crate) reserve: Option<PortPair>,
    pub(crate) counts: Counts,
    burst: usize,
    pub(super) rtp: Peer,
    pub(super) rtcp: Peer,
    pub(super) mux: bool,
    pub(super) receiving: Receiving,
    pub(super) sending: Sending,
    /// Of the RTCP port, where it has keys of its own.
    apart: Option<Box<(Receiving, Sending)>>,
    /// Whether it has now. Keys stay meanwhile: should they come back, their numbers go on.
    is_apart: bool,
    agreement: Option<KeyAgreement>,
    pub(super) edit: Edit,
    pub(super) key_frames: KeyFrames,
    /// Where this side has digits in its media and the other has not; kept once it is there.
    pub(super) digits: Option<Box<Digits>>,
    gates: [Gate; 2],
    pub(super) proof: Proof,
    pub(super) silence: Silence,
    pub(super) alive: Alive,
}

impl End {
    /// Takes its sockets; returns those that they replace.
    pub(crate) const fn open(&mut self, ports: PortPair, kind: StreamKind) -> Option<PortPair> {
        // Voice has one packet waiting at a time: asking for a second would cost a system call and find none. Video
        // comes in bursts. Whatever is left keeps the socket readable, after the others had their turn.
        self.burst = match kind {
            StreamKind::Audio => 1,
            StreamKind::Video => 16,
        };
        self.ports.replace(ports)
    }

    /// Closes its sockets and returns them.
    pub(super) fn shut(&mut self) -> Option<PortPair> {
        self.rtp = Peer::default();
        self.rtcp = Peer::default();
        self.agreement = None;
        self.silence = Silence::default();
        self.alive.shut();
        self.counts.shut();
        self.key_frames.shut(&self.counts);
        self.ports.take()
    }

    /// Packets taken from one of its sockets before others have their turn.
    #[inline]
    pub(crate) const fn burst(&self) -> usize {
        self.burst
    }

    /// Takes all that is said of this side. Keys that stay the same keep their state.
    pub(super) fn connect(&mut self, connect: &Connect, now: Instant) -> Fresh {
        let remote = &connect.remote;
        let (reached, same) = (self.is_reachable(), self.sending.has(&connect.send));
        let shows = !self.receiving.has(&connect.receive);
        self.mux = remote.mux;
        let moved = self.rtp.connect(remote.rtp, remote, now);
        self.rtcp.connect(remote.rtcp, remote, now);
        self.proof
            .expect(connect, self.receiving.is_under(&connect.receive));
        let rekeyed = self.receiving.set(&connect.receive, moved, now);
        self.sending.set(&connect.send, moved || rekeyed);
        self.is_apart = connect.rtcp.is_some();
        if let Some(keys) = &connect.rtcp {
            let (receiving, sending) = &mut **self.apart.get_or_insert_default();
            let rekeyed = receiving.set(&keys.receive, moved, now);
            sending.set(&keys.send, moved || rekeyed);
        }
        self.agreement = connect.agreement;
        self.edit.set(connect);
        if connect.events.is_some() || self.digits.is_some() {
            let digits = self.digits.get_or_insert_with(|| Box::new(Digits::new()));
            digits.set(connect.events.as_ref());
        }
        self.counts.clocks(&connect.clocks);
        self.key_frames.set(connect);
        self.silence = Silence::since(connect, now);
        self.alive.set(connect, now);
        Fresh {
            sees: self.is_reachable() && (moved || !reached || !same),
            shows,
        }
    }

    /// Whether the first packet under a key that ZRTP gave has come. Told once for each key.
    #[inline]
    pub(crate) fn has_proved(&mut self) -> bool {
        self.proof.take()
    }

    /// Whether it has just become silent: nothing came for the time that `Connect` gave. Told once.
    pub(crate) fn fell_silent(&mut self, now: Instant) -> bool {
        self.silence.fell(now)
    }

    /// The socket and address that packets to this side take.
    #[inline]
    pub(super) fn destination(&self, rtcp: bool) -> Option<(Component, SocketAddr)> {
        if rtcp && !self.mux {
            Some((Component::Rtcp, self.rtcp.to()?))
        } else {
            Some((Component::Rtp, self.rtp.to()?))
        }
    }

    /// What opens and seals RTCP at a port.
    pub(super) fn rtcp_keys(&mut self, component: Component) -> (&mut Receiving, &mut Sending) {
        match &mut self.apart {
            Some(apart) if self.is_apart && component == Component::Rtcp => (&mut apart.0, &mut apart.1),
            _ => (&mut self.receiving, &mut self.sending),
        }
    }

    /// Whether a packet of a key agreement is for the one that goes on here, and one of so many as one has. `first`: it
    /// comes from where the peer is said to be.
    #[cold]
    pub(super) fn admit(
        &mut self,
        kind: Kind,
        component: Component,
        first: bool,
        now: Instant,
    ) -> Result<Opened, Discard> {
        match (kind, self.agreement) {
            (Kind::Dtls, Some(KeyAgreement::Dtls)) | (Kind::Zrtp, Some(KeyAgreement::Zrtp)) => {}
            (Kind::Zrtp, _) => return Err(Discard::Zrtp),
            _ => return Err(Discard::Dtls),
        }
        let gate = &mut self.gates[component as usize];
        if gate.opens(first, now) {
            Ok(Opened::Control)
        } else {
            Err(Discard::Flood)
        }
    }

    /// Sends an RTP packet of our own; whether somebody is there to take it. Whoever is on hold by address, or has no key, gets
    /// nothing.
    pub(super) fn say_sealed(&mut self, bytes: &[u8], packet: &mut Packet) -> bool {
        packet.fill(bytes);
        let Some(header) = rtp_header(packet.bytes()) else {
            return false;
        };
        let Some((by, to)) = self.destination(false) else {
            return false;
        };
        let sealed = self.sending.seal_rtp(packet, &header).is_ok();
        if sealed {
            self.say(by, packet, to);
        }
        sealed
    }

    /// Sends a datagram of the key agreement. There is nobody to be told when it cannot be sent: it will be repeated.
    pub(crate) fn say(&self, component: Component, datagram: &Packet, to: SocketAddr) {
        if let Some(ports) = &self.ports {
            let _ = ports.socket(component).send(datagram, to);
        }
    }
}
