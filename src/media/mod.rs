//! Media: keys, SRTP, and the relay that carries RTP between the legs on threads of its own.

pub mod dtls;
pub mod keying;
pub mod packet;
mod payload;
pub mod relay;
pub mod sdes;
pub mod srtp;
pub mod suite;
pub mod zrtp;

pub use keying::{KeyAgreement, Protection, Protections, SrtpKey, SrtpKeys};
pub use payload::PayloadMap;
pub use suite::Suite;

use crate::call::Side;
use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// One m-line of a call: its position, the same on both legs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub usize);

/// Which of the two ports of one side of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Component {
    /// The even one; with rtcp-mux for RTCP too.
    Rtp,
    /// The one above.
    Rtcp,
}

/// Which port range a stream takes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamKind {
    /// `audio-port`
    Audio,
    /// `video-port`, and everything else.
    Video,
}

/// What a call tells its relay thread.
#[derive(Debug)]
pub enum MediaCommand {
    /// Bind an RTP and an RTCP port for one stream of one leg; answered by `Opened` or `OpenFailed`. Repeated for the
    /// same side and stream it replaces the ports.
    Open {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// From which range the ports come.
        kind: StreamKind,
        /// What to bind.
        address: IpAddr,
    },
    /// Bind such ports beside those that one side of a stream has, for whoever may take the place of that side; answered by
    /// `Reserved` or `ReserveFailed`. They carry nothing before `Change`. Repeated, it replaces them.
    Reserve {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// From which range the ports come.
        kind: StreamKind,
        /// What to bind.
        address: IpAddr,
        /// Comes back with the answer.
        number: u32,
    },
    /// In all streams of a side that have ports in reserve, those and the ones in use change places.
    Change {
        /// Which leg.
        side: Side,
    },
    /// Close what one side has in reserve.
    Release {
        /// Which leg.
        side: Side,
    },
    /// Set everything about one side of one stream. May be repeated: keys that stay the same keep their state.
    Connect(Box<Connect>),
    /// Send a datagram of a key agreement as it is.
    Send {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// From which port.
        component: Component,
        /// The datagram.
        bytes: Vec<u8>,
        /// Where to.
        to: SocketAddr,
    },
    /// Send a digit to one side, which has them in its media (`Connect::events`), in the place of the voice.
    Digit {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// What.
        digit: Digit,
    },
    /// Ask the sender of video at one side for a key frame.
    Picture {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
    },
    /// Stop both directions of a stream (port 0 in SDP); its ports are given back, but for those in reserve.
    Shut {
        /// Which stream.
        stream: StreamId,
    },
    /// Say what went through so far; answered by `Counted`.
    Count,
    /// Close everything; answered by `Closed`.
    Close,
}

/// One side of one stream.
#[derive(Clone, Debug)]
pub struct Connect {
    /// Which leg.
    pub side: Side,
    /// Which stream.
    pub stream: StreamId,
    /// Where its packets go to and may come from.
    pub remote: Remote,
    /// How packets from this side are opened.
    pub receive: Protection,
    /// How packets to this side are sealed.
    pub send: Protection,
    /// Of the RTCP port, where it has keys of its own: DTLS without rtcp-mux makes two associations (RFC 5764 §3).
    pub rtcp: Option<Box<Protections>>,
    /// The key agreement that goes on at these ports: its packets are handed up as `Control`, others are discarded.
    pub agreement: Option<KeyAgreement>,
    /// How the payload types of packets that come from this side are renumbered for the other; `None`: they are not.
    pub payloads: Option<Box<PayloadMap>>,
    /// Clock rates in Hz by payload type, of what comes from this side: its jitter is measured by them.
    pub clocks: Box<[(u8, u32)]>,
    /// This side speaks RTCP feedback (RFC 4585); where it does not, feedback is taken out of what goes to it.
    pub feedback: bool,
    /// How its peer, as a sender of video, can be asked for a key frame; `None`: it cannot, or it is no video.
    pub key_frames: Option<KeyFrameRequest>,
    /// Its digits are no packets on the other leg: those that come are told, those that are said to it are sent.
    pub events: Option<Events>,
    /// Report `Silent` when nothing came from this side for that long; `None` while it is on hold or before answer.
    pub silence: Option<Duration>,
    /// Send something to this side when nothing has gone there for that long (RFC 6263); `None`: nothing.
    pub alive: Option<Duration>,
}

/// Digits in the media of one side (RFC 4733).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Events {
    /// Bit n: its peer sends them under payload type n.
    pub hears: u128,
    /// Under which payload type it gets them.
    pub says: u8,
    /// Clock rate of its timestamps in Hz: the voice's.
    pub clock: u32,
}

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digit {
    /// 0 to 9, 10 for `*`, 11 for `#`, 12 to 15 for `A` to `D` (RFC 4733 §3.2).
    pub event: u8,
    /// For how long.
    pub duration: Duration,
}

/// What a sender of video begins a new picture for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFrameRequest {
    /// Picture Loss Indication (RFC 4585 §6.3.1).
    Pli,
    /// Full Intra Request (RFC 5104 §4.3.1).
    Fir,
}

/// Where the peer of one stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// RTP, as signalled. `None`: it is told nothing (c=0.0.0.0, or not known yet).
    pub rtp: Option<SocketAddr>,
    /// RTCP: `a=rtcp`, else port + 1; the same as `rtp` with rtcp-mux.
    pub rtcp: Option<SocketAddr>,
    /// RTCP shares the RTP port.
    pub mux: bool,
    /// Further addresses it may send from: where a trusted proxy, or we ourselves, saw the phone's SIP come from.
    pub also_from: Vec<IpAddr>,
    /// `nat-latching=any`.
    pub latch_any: bool,
}

/// What a relay thread tells a call.
#[derive(Clone, Debug)]
pub enum MediaEvent {
    /// Ports are bound.
    Opened {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// Where RTP is received.
        rtp: SocketAddr,
        /// Where RTCP is received.
        rtcp: SocketAddr,
    },
    /// No port could be bound.
    OpenFailed {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// Why, for the log.
        reason: String,
    },
    /// Ports are bound and in reserve.
    Reserved {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// Of the order.
        number: u32,
        /// Where RTP will be received.
        rtp: SocketAddr,
        /// Where RTCP will be received.
        rtcp: SocketAddr,
    },
    /// No port could be bound for that.
    ReserveFailed {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// Of the order.
        number: u32,
        /// Why, for the log.
        reason: String,
    },
    /// A datagram of the key agreement that `Connect` named, from where the peer may be. Never more of them than a key
    /// agreement needs: beyond a rate they are discarded.
    Control {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// At which port.
        component: Component,
        /// Where it came from.
        from: SocketAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// The first packet came that authenticates under a key which ZRTP gave: who sealed it has confirmed (RFC 6189 §4.6).
    /// Once for each such key.
    Authenticated {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
    },
    /// A digit came from a side whose `Connect` has `events`: once for each, at its first packet.
    Digit {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
        /// Which: below 16.
        event: u8,
    },
    /// Nothing came for the time that `Connect` gave. Reported once, until a packet comes again.
    Silent {
        /// Which leg.
        side: Side,
        /// Which stream.
        stream: StreamId,
    },
    /// The counts so far.
    Counted(Vec<StreamStats>),
    /// All is closed; the counts.
    Closed(Vec<StreamStats>),
}

/// What went through one side of one stream, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamStats {
    /// Leg.
    pub side: Side,
    /// Stream.
    pub stream: StreamId,
    /// RTP packets from this side that were passed on.
    pub received: u64,
    /// RTP packets sent to this side.
    pub sent: u64,
    /// Octets of payload received.
    pub octets: u64,
    /// RTP lost on the way to us, by sequence numbers.
    pub lost: u64,
    /// Interarrival jitter of what came (RFC 3550 §6.4.1) at the end; zero where no clock rate is known.
    pub jitter: Duration,
    /// The highest that it was.
    pub highest_jitter: Duration,
    /// Discarded, by reason (order of `relay::Discard`).
    pub discarded: Vec<(&'static str, u64)>,
}
