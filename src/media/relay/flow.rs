//! One stream between two legs. A packet that comes in at one end is opened, edited and sealed in place, and leaves at
//! the other.

use super::{end::End, keyed::Open, names, peer::Source, rtcp};
use crate::{
    call::Side,
    media::{
        Component, StreamId,
        packet::{self, Discard, Kind, Packet, RtpHeader},
    },
};
use std::{net::SocketAddr, time::Instant};

/// One m-line: its two ends.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    /// Whose it is: what is handed up goes there.
    pub(crate) session: u64,
    pub(crate) id: StreamId,
    ends: [End; 2],
}

/// What became of a packet that was not discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passed {
    /// It went to the other side.
    Relayed,
    /// It is for the key agreement, still as it came.
    Control,
    /// It is of a digit, and the first one of it if that is named.
    Digit(Option<u8>),
}

/// One direction of a stream.
pub(crate) struct Flow<'a> {
    from: &'a mut End,
    to: &'a mut End,
}

/// A packet that was opened.
pub(super) enum Opened {
    Rtp(RtpHeader),
    Rtcp,
    /// One of the key agreement: nothing to open.
    Control,
}

/// Where a packet leaves to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaves {
    /// The other side.
    Across {
        by: Component,
        to: SocketAddr,
        /// Octets of payload, if it is RTP.
        payload: Option<usize>,
    },
    /// The key agreement.
    Up,
    /// Nowhere: it is of a digit, which is told where it is its first.
    Told(Option<u8>),
}

impl Stream {
    /// A stream of a call.
    pub(crate) fn new(session: u64, id: StreamId) -> Self {
        Self {
            session,
            id,
            ..Self::default()
        }
    }

    /// One side.
    pub(crate) const fn end(&mut self, side: Side) -> &mut End {
        let [a, b] = &mut self.ends;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }

    /// Both sides.
    pub(super) const fn ends(&mut self) -> &mut [End; 2] {
        &mut self.ends
    }

    /// Closes the sockets of both sides and says how many sides had some. Keys stay: should the stream come back under
    /// the same ones, its numbers go on.
    pub(crate) fn shut(&mut self) -> usize {
        self.ends.iter_mut().filter_map(End::shut).count()
    }

    /// The direction of packets that come from `side`.
    #[inline]
    pub(crate) const fn flow(&mut self, side: Side) -> Flow<'_> {
        let [a, b] = &mut self.ends;
        match side {
            Side::A => Flow { from: a, to: b },
            Side::B => Flow { from: b, to: a },
        }
    }
}

impl Flow<'_> {
    /// Passes a packet on that came from `source` to that component: opened, edited and sealed in place, then sent.
    ///
    /// # Errors
    /// Why it was not passed on; it is counted already.
    #[inline]
    pub(crate) fn relay(
        &mut self,
        packet: &mut Packet,
        component: Component,
        source: SocketAddr,
        now: Instant,
    ) -> Result<Passed, Discard> {
        let outcome = self.pass(packet, component, source, now);
        if let Err(why) = outcome {
            self.from.counts.discarded(why);
        }
        outcome
    }

    #[inline]
    fn pass(
        &mut self,
        packet: &mut Packet,
        component: Component,
        source: SocketAddr,
        now: Instant,
    ) -> Result<Passed, Discard> {
        let (by, to, payload) = match self.forward(packet, component, source, now)? {
            Leaves::Across { by, to, payload } => (by, to, payload),
            Leaves::Up => return Ok(Passed::Control),
            Leaves::Told(digit) => {
                self.from
                    .counts
                    .received(packet.len().saturating_sub(packet::RTP_HEADER));
                return Ok(Passed::Digit(digit));
            }
        };
        let ports = self.to.ports.as_ref().ok_or(Discard::Held)?;
        if !ports.socket(by).send(packet, to) {
            return Err(Discard::NotSent);
        }
        if let Some(payload) = payload {
            self.from.counts.received(payload);
            self.to.counts.sent();
        }
        Ok(Passed::Relayed)
    }

    /// Opens, edits and seals a packet in place, and says how it leaves. No socket is touched.
    ///
    /// # Errors
    /// Why it does not leave.
    #[inline]
    pub(crate) fn forward(
        &mut self,
        packet: &mut Packet,
        component: Component,
        source: SocketAddr,
        now: Instant,
    ) -> Result<Leaves, Discard> {
        let header = match self.open(packet, component, source, now)? {
            Opened::Rtp(header) => Some(header),
            Opened::Rtcp => None,
            Opened::Control => return Ok(Leaves::Up),
        };
        self.from.silence.heard(now);
        if let Some(header) = &header {
            let payload = packet.bytes().get(1).map_or(0, |octet| octet & 0x7f);
            self.from.counts.came(header, payload, now);
            if let Some(digits) = &mut self.from.digits
                && digits.is_event(packet.bytes())
            {
                let payload = packet.bytes().get(header.length..).unwrap_or_default();
                return Ok(Leaves::Told(digits.hear(header, payload)));
            }
        }
        let payload = header.map(|header| packet.len() - header.length);
        let to = &mut *self.to;
        let (by, address) = to.destination(header.is_none()).ok_or(Discard::Held)?;
        match &header {
            Some(header) => {
                self.from.edit.rtp(packet, header)?;
                let header = to.make_room(packet, header, now)?;
                to.sending.seal_rtp(packet, &header)?;
            }
            None => {
                self.from.edit.rtcp(packet, &to.edit)?;
                let (towards, back) = (&to.sending.numbering, &self.from.sending.numbering);
                if towards.changes() || back.changes() {
                    rtcp::rewrite(packet.bytes_mut(), towards, back);
                }
                names::forget(packet.bytes_mut());
                to.rtcp_keys(by).1.seal_rtcp(packet)?;
            }
        }
        Ok(Leaves::Across {
            by,
            to: address,
            payload,
        })
    }

    /// Checks where the packet is from, takes its protection off, and follows a peer that has moved.
    #[inline]
    fn open(
        &mut self,
        packet: &mut Packet,
        component: Component,
        source: SocketAddr,
        now: Instant,
    ) -> Result<Opened, Discard> {
        let end = &mut *self.from;
        let peer = match component {
            Component::Rtp => &end.rtp,
            Component::Rtcp => &end.rtcp,
        };
        let standing = peer.judge(source, now);
        let rtcp = match (packet::classify(packet.bytes()), component) {
            (Kind::Rtp, Component::Rtp) => false,
            // Without rtcp-mux these are payload types like others (RFC 5761 §4 keeps them free only for mux).
            (Kind::Rtcp, Component::Rtp) => end.mux,
            (Kind::Rtcp, Component::Rtcp) => true,
            (_, _) if standing == Source::Stranger => return Err(Discard::WrongPeer),
            (Kind::Stun, _) => return Err(Discard::Stun),
            (kind @ (Kind::Dtls | Kind::Zrtp), _) => {
                let first = standing == Source::Known || peer.is_signalled(source);
                return end.admit(kind, component, first, now);
            }
            (Kind::Rtp | Kind::Unknown, _) => return Err(Discard::Malformed),
        };
        let keys = if rtcp {
            end.rtcp_keys(component).0
        } else {
            &mut end.receiving
        };
        let (opened, moves) = match &keys.open {
            Open::Blocked => return Err(Discard::NotKeyed),
            Open::Clear if standing == Source::Stranger => return Err(Discard::WrongPeer),
            Open::Clear if rtcp => (Opened::Rtcp, true),
            Open::Clear => (
                Opened::Rtp(packet::rtp_header(packet.bytes()).ok_or(Discard::Malformed)?),
                true,
            ),
            Open::Srtp(_) if rtcp => (Opened::Rtcp, keys.open_rtcp(packet, now)?),
            Open::Srtp(_) => {
                let (header, accepted) = keys.open_rtp(packet, now)?;
                if accepted.is_some_and(|accepted| accepted.restarted) {
                    end.sending.peer_began_again();
                }
                if accepted.is_some_and(|accepted| accepted.first) {
                    end.proof.give();
                }
                (
                    Opened::Rtp(header),
                    accepted.is_some_and(|accepted| accepted.newest),
                )
            }
        };
        if matches!(opened, Opened::Rtcp) && !rtcp::well_formed(packet.bytes()) {
            return Err(Discard::Malformed);
        }
        // Keyed, it has proved itself by now, wherever it came from; late packets of the old place do not move it back.
        if standing != Source::Known && moves {
            match component {
                Component::Rtp => end.rtp.settle(source),
                Component::Rtcp => end.rtcp.settle(source),
            }
        }
        Ok(opened)
    }
}
