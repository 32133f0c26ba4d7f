//! A relayed packet allocates nothing: a counting allocator watches the relay thread while packets pass.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use b2bua::{
    call::Side,
    media::{
        Connect, MediaCommand, MediaEvent, PayloadMap, Protection, Remote, SrtpKey, StreamId, StreamKind,
        Suite,
        packet::Packet,
        relay::{Relay, RelayConfig},
        srtp::SrtpOut,
    },
};
use std::{
    alloc::{GlobalAlloc, Layout, System},
    net::{Ipv4Addr, SocketAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::Duration,
};

/// Counts what is asked of the system's allocator, by every thread.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[allow(
    unsafe_code,
    reason = "an allocator is unsafe by its signature; this one only counts and passes on"
)]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STREAM: StreamId = StreamId(0);

fn phone() -> UdpSocket {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a loopback socket");
    socket
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a loopback socket");
    socket
}

fn rtp(number: u16) -> [u8; 172] {
    let mut bytes = [0x55; 172];
    bytes[..2].copy_from_slice(&[0x80, 0]);
    bytes[2..4].copy_from_slice(&number.to_be_bytes());
    bytes[4..8].copy_from_slice(&(u32::from(number) * 160).to_be_bytes());
    bytes
}

fn payloads() -> PayloadMap {
    let mut map = PayloadMap::identity();
    map.map(0, 96);
    map
}

/// One test in this file: the counter is the process's.
#[test]
fn relaying_allocates_nothing_in_steady_state() {
    for (turn, suite) in Suite::ALL.into_iter().enumerate() {
        // Payload types as they are, and renumbered.
        let renumbers = turn % 2 == 1;
        let relay = Relay::start(RelayConfig {
            threads: 1,
            audio_ports: 0..=0,
            video_ports: 0..=0,
        })
        .unwrap();
        let (sink, events) = mpsc::channel();
        let session = relay.session(Arc::new(move |event| sink.send(event).unwrap_or_default()));
        let phones = [phone(), phone()];
        let [own, relays] = [1, 2].map(|seed| SrtpKey {
            suite,
            master: vec![seed; suite.master_length()].into(),
            mki: None,
        });
        let mut ports = Vec::new();
        for (side, phone) in [Side::A, Side::B].into_iter().zip(&phones) {
            let address = Ipv4Addr::LOCALHOST.into();
            session.send(MediaCommand::Open {
                side,
                stream: STREAM,
                kind: StreamKind::Audio,
                address,
            });
            let Ok(MediaEvent::Opened { rtp, .. }) = events.recv() else {
                panic!("no port")
            };
            ports.push(rtp);
            let protection = |key: &SrtpKey| match side {
                Side::A => Protection::Srtp(key.clone()),
                Side::B => Protection::Clear,
            };
            let (receive, send) = (protection(&own), protection(&relays));
            let at: SocketAddr = phone.local_addr().unwrap();
            let remote = Remote {
                rtp: Some(at),
                rtcp: None,
                mux: true,
                also_from: Vec::new(),
                latch_any: false,
            };
            let connect = Connect {
                side,
                stream: STREAM,
                remote,
                receive,
                send,
                rtcp: None,
                agreement: None,
                payloads: renumbers.then(|| Box::new(payloads())),
                clocks: Box::new([(0, 8000)]),
                feedback: true,
                key_frames: None,
                events: None,
                silence: None,
                alive: None,
            };
            session.send(MediaCommand::Connect(Box::new(connect)));
        }
        let (mut packet, mut out) = (Packet::new(), SrtpOut::new(&own).unwrap());
        let mut buffer = [0; 2048];
        let mut exchange = |number: u16| {
            packet.fill(&rtp(number));
            out.seal_rtp(&mut packet).unwrap();
            phones[0].send_to(packet.bytes(), ports[0]).unwrap();
            assert_eq!(phones[1].recv(&mut buffer).unwrap(), 172);
            assert_eq!(buffer[1], if renumbers { 96 } else { 0 });
            phones[1].send_to(&rtp(number), ports[1]).unwrap();
            assert_eq!(phones[0].recv(&mut buffer).unwrap(), 172 + suite.rtp_tag_length());
        };
        (0..100).for_each(&mut exchange);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        assert!(before > 0, "the counter counts");
        (100..2100).for_each(&mut exchange);
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - before;
        assert_eq!(
            allocations, 0,
            "{allocations} allocations while 4,000 packets passed under {suite}"
        );
    }
}
