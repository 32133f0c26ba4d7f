//! A relay that carries no packets: it writes down what it is told, so that tests can ask what a packet would have become.

use super::Carrier;
use crate::{
    call::Side,
    media::{Connect, MediaCommand, MediaEvent, StreamId, StreamStats},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// What the relay of one call was told.
#[derive(Debug, Default)]
pub struct FakeRelay {
    /// Bound ports: RTP.
    pub ports: BTreeMap<(Side, StreamId), SocketAddr>,
    /// Bound ports in reserve: RTP.
    pub reserved: BTreeMap<(Side, StreamId), SocketAddr>,
    /// The last `Connect` of each side and stream.
    pub connected: BTreeMap<(Side, StreamId), Connect>,
    /// All of them, in their order.
    pub connects: Vec<Connect>,
    /// `Close` came.
    pub closed: bool,
    /// Ports left; the next `Open` fails at 0.
    pub free: usize,
    /// Digits that it was to send.
    pub digits: Vec<(Side, StreamId, crate::media::Digit)>,
    /// Key frames that it was to ask for.
    pub pictures: Vec<(Side, StreamId)>,
    /// Datagrams of key agreements that it was to send, and where to: nobody has taken them yet.
    pub sent: Vec<(Side, StreamId, Vec<u8>, SocketAddr)>,
    next: u16,
}

impl FakeRelay {
    /// With that many ports to give.
    pub fn new(free: usize) -> Self {
        Self {
            free,
            next: 20_000,
            ..Self::default()
        }
    }
    /// With ports from there on.
    #[must_use]
    pub fn from_port(mut self, port: u16) -> Self {
        self.next = port;
        self
    }
    /// Obeys; returns what it answers.
    ///
    /// # Panics
    /// When it is told what makes no sense: a stream connected without ports, or anything after `Close`.
    pub fn obey(&mut self, command: MediaCommand) -> Option<MediaEvent> {
        assert!(!self.closed, "{command:?} after Close");
        match command {
            MediaCommand::Open {
                side,
                stream,
                address,
                ..
            } => Some(self.open(side, stream, address)),
            MediaCommand::Reserve {
                side,
                stream,
                address,
                number,
                ..
            } => Some(self.reserve((side, stream), address, number)),
            MediaCommand::Change { side } => {
                let reserved = std::mem::take(&mut self.reserved);
                for (key, port) in reserved {
                    let out = if key.0 == side {
                        self.ports.insert(key, port)
                    } else {
                        Some(port)
                    };
                    self.reserved.extend(out.map(|port| (key, port)));
                }
                None
            }
            MediaCommand::Release { side } => {
                self.reserved.retain(|key, _| key.0 != side);
                None
            }
            MediaCommand::Connect(connect) => {
                let key = (connect.side, connect.stream);
                assert!(self.ports.contains_key(&key), "connected without ports: {key:?}");
                self.connects.push((*connect).clone());
                self.connected.insert(key, *connect);
                None
            }
            MediaCommand::Send {
                side,
                stream,
                bytes,
                to,
                ..
            } => {
                self.sent.push((side, stream, bytes, to));
                None
            }
            MediaCommand::Digit { side, stream, digit } => {
                self.digits.push((side, stream, digit));
                None
            }
            MediaCommand::Picture { side, stream } => {
                self.pictures.push((side, stream));
                None
            }
            MediaCommand::Shut { stream } => {
                self.ports.retain(|key, _| key.1 != stream);
                self.connected.retain(|key, _| key.1 != stream);
                None
            }
            MediaCommand::Count => Some(MediaEvent::Counted(self.counts())),
            MediaCommand::Close => {
                self.closed = true;
                let stats = self.counts();
                self.ports.clear();
                self.reserved.clear();
                self.connected.clear();
                Some(MediaEvent::Closed(stats))
            }
        }
    }
    fn counts(&self) -> Vec<StreamStats> {
        let count = |key: &(Side, StreamId)| StreamStats {
            side: key.0,
            stream: key.1,
            received: 0,
            sent: 0,
            octets: 0,
            lost: 0,
            jitter: Duration::ZERO,
            highest_jitter: Duration::ZERO,
            discarded: Vec::new(),
        };
        self.ports.keys().map(count).collect()
    }
    fn reserve(&mut self, (side, stream): (Side, StreamId), address: IpAddr, number: u32) -> MediaEvent {
        if self.free == 0 {
            return MediaEvent::ReserveFailed {
                side,
                stream,
                number,
                reason: "range exhausted".to_owned(),
            };
        }
        self.free -= 1;
        self.next += 2;
        let rtp = SocketAddr::new(address, self.next);
        self.reserved.insert((side, stream), rtp);
        MediaEvent::Reserved {
            side,
            stream,
            number,
            rtp,
            rtcp: SocketAddr::new(address, self.next + 1),
        }
    }
    fn open(&mut self, side: Side, stream: StreamId, address: IpAddr) -> MediaEvent {
        if self.free == 0 {
            return MediaEvent::OpenFailed {
                side,
                stream,
                reason: "range exhausted".to_owned(),
            };
        }
        self.free -= 1;
        self.next += 2;
        let rtp = SocketAddr::new(address, self.next);
        self.ports.insert((side, stream), rtp);
        // As the real one does, replaced ports forget whom they were connected with.
        self.connected.remove(&(side, stream));
        MediaEvent::Opened {
            side,
            stream,
            rtp,
            rtcp: SocketAddr::new(address, self.next + 1),
        }
    }
    /// A stream that takes packets, as it is connected now.
    pub fn carrier(&self, stream: usize, now: Instant) -> Option<Carrier> {
        Some(Carrier::new(
            self.side(Side::A, stream)?,
            self.side(Side::B, stream)?,
            now,
        ))
    }
    /// What is set for one side of a stream.
    pub fn side(&self, side: Side, stream: usize) -> Option<&Connect> {
        self.connected.get(&(side, StreamId(stream)))
    }
}
