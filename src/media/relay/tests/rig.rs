//! A call through the relay between two phones on loopback.

use crate::{
    call::Side,
    media::{
        Connect, MediaCommand, MediaEvent, Protection, Remote, SrtpKey, StreamId, StreamKind, StreamStats,
        Suite,
        packet::Packet,
        relay::{Relay, RelayConfig, Session},
        srtp::{SrtpIn, SrtpOut},
    },
};
use crossbeam_channel::Receiver;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) const STREAM: StreamId = StreamId(0);
/// How long a packet or an event may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long nothing must come for nothing to have come. Only what was sent before a packet that did arrive counts, so
/// this need not be long.
const QUIET: Duration = Duration::from_millis(30);

/// A relay with one thread and one call with one audio stream.
pub(super) struct Rig {
    pub(super) relay: Relay,
    pub(super) session: Session,
    pub(super) events: Receiver<MediaEvent>,
    pub(super) a: Phone,
    pub(super) b: Phone,
}

/// What one phone has: its sockets, and the relay's ports that it sends to.
pub(super) struct Phone {
    pub(super) side: Side,
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    pub(super) relay_rtp: SocketAddr,
    pub(super) relay_rtcp: SocketAddr,
}

pub(super) fn socket(ip: IpAddr) -> UdpSocket {
    let socket = UdpSocket::bind((ip, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

pub(super) fn relay() -> Relay {
    Relay::start(RelayConfig {
        threads: 1,
        audio_ports: 0..=0,
        video_ports: 0..=0,
    })
    .unwrap()
}

impl Phone {
    fn new(side: Side, ip: IpAddr, (relay_rtp, relay_rtcp): (SocketAddr, SocketAddr)) -> Self {
        Self {
            side,
            rtp: socket(ip),
            rtcp: socket(ip),
            relay_rtp,
            relay_rtcp,
        }
    }

    /// Where it is, as its SDP would say.
    pub(super) fn remote(&self) -> Remote {
        Remote {
            rtp: Some(self.rtp.local_addr().unwrap()),
            rtcp: Some(self.rtcp.local_addr().unwrap()),
            mux: false,
            also_from: Vec::new(),
            latch_any: false,
        }
    }

    pub(super) fn connect(&self, receive: Protection, send: Protection) -> Connect {
        Connect {
            side: self.side,
            stream: STREAM,
            remote: self.remote(),
            receive,
            send,
            rtcp: None,
            agreement: None,
            payloads: None,
            clocks: Box::new([(0, 8000)]),
            feedback: true,
            key_frames: None,
            events: None,
            silence: None,
            alive: None,
        }
    }

    pub(super) fn send(&self, bytes: &[u8]) {
        self.rtp.send_to(bytes, self.relay_rtp).unwrap();
    }

    pub(super) fn send_rtcp(&self, bytes: &[u8]) {
        self.rtcp.send_to(bytes, self.relay_rtcp).unwrap();
    }

    /// The next RTP datagram, and that it came from the port that SDP named.
    pub(super) fn receive(&self) -> Vec<u8> {
        let mut bytes = vec![0; 2048];
        let (length, from) = self.rtp.recv_from(&mut bytes).expect("a packet within 5 s");
        assert_eq!(from, self.relay_rtp);
        bytes.truncate(length);
        bytes
    }

    /// The next RTCP datagram.
    pub(super) fn receive_rtcp(&self) -> Vec<u8> {
        let mut bytes = vec![0; 2048];
        let (length, from) = self.rtcp.recv_from(&mut bytes).expect("a packet within 5 s");
        assert_eq!(from, self.relay_rtcp);
        bytes.truncate(length);
        bytes
    }
}

/// Whether nothing waits on a socket.
pub(super) fn quiet(socket: &UdpSocket) -> bool {
    socket.set_read_timeout(Some(QUIET)).unwrap();
    let quiet = socket.recv(&mut [0; 2048]).is_err();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    quiet
}

/// Waits for what another thread is about to bring about.
pub(super) fn eventually(mut done: impl FnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < patience, "not within 5 s");
        std::thread::yield_now();
    }
}

impl Rig {
    /// Ports are open on both sides, nothing is connected yet.
    pub(super) fn open() -> Self {
        Self::open_on(
            Ipv4Addr::LOCALHOST.into(),
            Ipv4Addr::LOCALHOST.into(),
            StreamKind::Audio,
        )
    }

    pub(super) fn open_on(a: IpAddr, b: IpAddr, kind: StreamKind) -> Self {
        let relay = relay();
        let (sink, events) = crossbeam_channel::unbounded();
        let session = relay.session(Arc::new(move |event| sink.send(event).unwrap_or_default()));
        let ports = [(Side::A, a), (Side::B, b)].map(|(side, address)| {
            session.send(MediaCommand::Open {
                side,
                stream: STREAM,
                kind,
                address,
            });
            match events.recv_timeout(PATIENCE) {
                Ok(MediaEvent::Opened { rtp, rtcp, .. }) => (rtp, rtcp),
                other => panic!("{other:?}"),
            }
        });
        Self {
            a: Phone::new(Side::A, a, ports[0]),
            b: Phone::new(Side::B, b, ports[1]),
            relay,
            session,
            events,
        }
    }

    /// A plain call.
    pub(super) fn plain() -> Self {
        let rig = Self::open();
        rig.connect(rig.a.connect(Protection::Clear, Protection::Clear));
        rig.connect(rig.b.connect(Protection::Clear, Protection::Clear));
        rig
    }

    /// A call that is keyed on leg A and plain on leg B, and what phone A does with the keys.
    pub(super) fn keyed(suite: Suite) -> (Self, Crypto) {
        let rig = Self::open();
        let (own, relays) = (key(suite, 1), key(suite, 2));
        let crypto = Crypto::new(&own, &relays);
        rig.connect(rig.a.connect(Protection::Srtp(own), Protection::Srtp(relays)));
        rig.connect(rig.b.connect(Protection::Clear, Protection::Clear));
        (rig, crypto)
    }

    pub(super) fn connect(&self, connect: Connect) {
        self.session.send(MediaCommand::Connect(Box::new(connect)));
    }

    /// Waits until the relay has passed on or discarded that many packets since its start.
    pub(super) fn handled(&self, packets: u64) {
        eventually(|| {
            let gauges = self.relay.gauges();
            gauges.forwarded + gauges.discarded.iter().sum::<u64>() >= packets
        });
    }

    pub(super) fn event(&self) -> MediaEvent {
        self.events.recv_timeout(PATIENCE).expect("an event within 5 s")
    }

    /// Closes the call and returns what each side counted.
    pub(super) fn close(&self) -> [StreamStats; 2] {
        self.session.send(MediaCommand::Close);
        match self.event() {
            MediaEvent::Closed(counts) => counts.try_into().expect("one stream, two sides"),
            other => panic!("{other:?}"),
        }
    }
}

/// What a side discarded for a reason.
pub(super) fn discarded(counts: &StreamStats, why: super::super::Discard) -> u64 {
    counts
        .discarded
        .iter()
        .find(|(name, _)| *name == why.name())
        .map_or(0, |(_, count)| *count)
}

/// A key made from one octet.
pub(super) fn key(suite: Suite, seed: u8) -> SrtpKey {
    SrtpKey {
        suite,
        master: vec![seed; suite.master_length()].into(),
        mki: None,
    }
}

/// What a phone does with its keys.
pub(super) struct Crypto {
    pub(super) out: SrtpOut,
    pub(super) context: SrtpIn,
}

impl Crypto {
    /// It seals with the first key and opens with the second.
    pub(super) fn new(own: &SrtpKey, relays: &SrtpKey) -> Self {
        Self {
            out: SrtpOut::new(own).unwrap(),
            context: SrtpIn::new(relays).unwrap(),
        }
    }

    pub(super) fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut packet = Packet::new();
        packet.fill(plain);
        self.out.seal_rtp(&mut packet).unwrap();
        packet.bytes().to_vec()
    }

    pub(super) fn seal_rtcp(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut packet = Packet::new();
        packet.fill(plain);
        self.out.seal_rtcp(&mut packet).unwrap();
        packet.bytes().to_vec()
    }

    pub(super) fn open(&mut self, sealed: &[u8]) -> Vec<u8> {
        let mut packet = Packet::new();
        packet.fill(sealed);
        self.context.open_rtp(&mut packet).expect("the phone has the key");
        packet.bytes().to_vec()
    }

    pub(super) fn open_rtcp(&mut self, sealed: &[u8]) -> Vec<u8> {
        let mut packet = Packet::new();
        packet.fill(sealed);
        self.context
            .open_rtcp(&mut packet)
            .expect("the phone has the key");
        packet.bytes().to_vec()
    }
}

/// A voice packet.
pub(super) fn rtp(ssrc: u32, sequence: u16) -> Vec<u8> {
    let mut bytes = vec![0x80, 0];
    bytes.extend(sequence.to_be_bytes());
    bytes.extend((u32::from(sequence) * 160).to_be_bytes());
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend((0..160u8).map(|octet| octet ^ sequence.to_be_bytes()[1]));
    bytes
}

/// A sender report.
pub(super) fn sender_report(ssrc: u32, packets: u32) -> Vec<u8> {
    let mut bytes = vec![0x80, 200, 0, 6];
    bytes.extend(ssrc.to_be_bytes());
    bytes.extend([0; 12]);
    bytes.extend(packets.to_be_bytes());
    bytes.extend((packets * 160).to_be_bytes());
    bytes
}
