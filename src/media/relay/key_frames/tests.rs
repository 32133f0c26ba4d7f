#![expect(clippy::disallowed_methods, reason = "a start for virtual time")]

use super::*;
use crate::{
    call::Side,
    media::{
        Protection, Remote, SrtpKey, StreamId, Suite,
        packet::{Discard, word32},
        relay::rtcp::well_formed,
        srtp::SrtpIn,
    },
};
use std::net::Ipv4Addr;

const SOURCE: u32 = 0x0102_0304;
const PLI: Option<KeyFrameRequest> = Some(KeyFrameRequest::Pli);
const FIR: Option<KeyFrameRequest> = Some(KeyFrameRequest::Fir);
const CLEAR: Protection = Protection::Clear;
const BLOCKED: Protection = Protection::Blocked;

fn at(side: Side, port: u16) -> SocketAddr {
    let host = if side == Side::A { 1 } else { 2 };
    (Ipv4Addr::new(192, 0, 2, host), port).into()
}

fn key(seed: u8) -> Protection {
    Protection::Srtp(SrtpKey {
        suite: Suite::AesCm128HmacSha1_80,
        master: vec![seed; Suite::AesCm128HmacSha1_80.master_length()].into(),
        mki: None,
    })
}

fn connect(side: Side, receive: Protection, send: Protection, how: Option<KeyFrameRequest>) -> Connect {
    Connect {
        side,
        stream: StreamId(0),
        remote: Remote {
            rtp: Some(at(side, 4000)),
            rtcp: Some(at(side, 4001)),
            mux: false,
            also_from: Vec::new(),
            latch_any: false,
        },
        receive,
        send,
        rtcp: None,
        agreement: None,
        payloads: None,
        clocks: Box::new([(0, 8000)]),
        feedback: true,
        key_frames: how,
        events: None,
        silence: None,
        alive: None,
    }
}

/// A stream, a clock, and what its sides are asked.
struct Rig {
    stream: Stream,
    now: Instant,
    sequence: u16,
    packet: Packet,
}

impl Rig {
    fn new() -> Self {
        Self {
            stream: Stream::default(),
            now: Instant::now(),
            sequence: 0,
            packet: Packet::new(),
        }
    }
    fn connect(&mut self, connect: &Connect) {
        self.stream.connect(connect, self.now);
    }
    /// Alice shows something.
    fn show(&mut self) -> Result<(), Discard> {
        self.sequence += 1;
        let mut bytes = vec![0x80, 96];
        bytes.extend(self.sequence.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(SOURCE.to_be_bytes());
        bytes.extend([7; 40]);
        self.packet.fill(&bytes);
        let mut flow = self.stream.flow(Side::A);
        let outcome = flow.relay(&mut self.packet, Component::Rtp, at(Side::A, 4000), self.now);
        // There are no sockets: what was to be sent is held.
        match outcome {
            Err(Discard::Held) | Ok(_) => Ok(()),
            Err(why) => Err(why),
        }
    }
    /// What a side is asked in so many seconds, looked at every 250 ms: when, and what.
    fn asked(&mut self, side: Side, seconds: u32) -> Vec<(u32, Vec<u8>)> {
        let mut all = Vec::new();
        for turn in 0..4 * seconds {
            if let Some(leaves) = self.stream.end(side).request(&mut self.packet, self.now) {
                assert_eq!(leaves, (Component::Rtcp, at(side, 4001)));
                all.push((turn * 250, self.packet.bytes().to_vec()));
            }
            self.now += Duration::from_millis(250);
        }
        all
    }
    fn times(&mut self, seconds: u32) -> Vec<u32> {
        self.asked(Side::A, seconds)
            .into_iter()
            .map(|(at, _)| at)
            .collect()
    }
}

/// Alice shows herself in the clear and Bob, who is keyed, has no key yet.
fn waiting(how: Option<KeyFrameRequest>) -> Rig {
    let mut rig = Rig::new();
    rig.connect(&connect(Side::A, CLEAR, CLEAR, how));
    rig.connect(&connect(Side::B, BLOCKED, BLOCKED, PLI));
    assert_eq!(rig.show(), Err(Discard::NotKeyed));
    assert_eq!(rig.times(5), [0_u32; 0], "nobody could see it yet");
    rig
}

#[test]
fn a_receiver_that_is_keyed_late_has_the_sender_asked_a_few_times() {
    let mut rig = waiting(PLI);
    rig.connect(&connect(Side::B, key(1), key(2), PLI));
    let asked = rig.asked(Side::A, 10);
    assert_eq!(
        asked.iter().map(|(at, _)| *at).collect::<Vec<_>>(),
        [0, 500, 1000]
    );
    for (_, bytes) in &asked {
        assert!(well_formed(bytes));
        assert_eq!(bytes[..4], [0x80, 201, 0, 1], "a report first");
        assert_eq!(bytes[8..12], [0x81, 202, 0, 6], "then a name");
        assert_eq!(bytes[36..40], [0x81, 206, 0, 2], "then PLI");
        assert_eq!(word32(bytes, 44), Some(SOURCE));
        for own in [4, 12, 40] {
            assert_eq!(
                word32(bytes, own),
                word32(&asked[0].1, 4),
                "one source all the time"
            );
        }
        assert_eq!(bytes.len(), 48);
    }
    assert_eq!(rig.asked(Side::B, 5), [], "the other one has shown nothing");
    // Said again, nothing has changed.
    rig.connect(&connect(Side::B, key(1), key(2), PLI));
    rig.connect(&connect(Side::A, CLEAR, CLEAR, PLI));
    assert_eq!(rig.times(5), [0_u32; 0]);
}

#[test]
fn a_full_intra_request_has_a_number_for_each_reason() {
    let mut rig = waiting(FIR);
    for turn in [1, 2] {
        rig.connect(&connect(Side::B, key(turn), key(turn + 10), PLI));
        let asked = rig.asked(Side::A, 10);
        assert_eq!(asked.len(), 3);
        for (_, bytes) in asked {
            assert!(well_formed(&bytes));
            assert_eq!(bytes[36..40], [0x84, 206, 0, 4]);
            assert_eq!(word32(&bytes, 44), Some(0), "RFC 5104 §4.3.1.2");
            assert_eq!(word32(&bytes, 48), Some(SOURCE));
            assert_eq!(bytes[52..], [turn, 0, 0, 0], "the same for its repetitions");
        }
    }
}

#[test]
fn new_keys_another_place_and_the_end_of_a_hold_are_reasons() {
    let mut rig = waiting(PLI);
    let keyed = connect(Side::B, key(1), key(2), PLI);
    rig.connect(&keyed);
    assert_eq!(rig.times(5).len(), 3);
    rig.connect(&connect(Side::B, key(1), key(3), PLI));
    assert_eq!(rig.times(5).len(), 3, "new keys");
    let mut moved = connect(Side::B, key(1), key(3), PLI);
    moved.remote.rtp = Some(at(Side::B, 4444));
    rig.connect(&moved);
    assert_eq!(rig.times(5).len(), 3, "another place");
    let mut held = moved.clone();
    held.remote.rtp = None;
    rig.connect(&held);
    assert_eq!(rig.times(5).len(), 0, "nobody is there");
    rig.connect(&moved);
    assert_eq!(rig.times(5).len(), 3, "there again");
}

#[test]
fn reasons_that_follow_each_other_are_not_asked_for_more_often() {
    let mut rig = waiting(PLI);
    let mut all = 0;
    for turn in 0..20 {
        rig.connect(&connect(Side::B, key(turn), key(turn + 100), PLI));
        all += rig.times(1).len();
    }
    assert!((20..=40).contains(&all), "{all} in 20 s");
}

#[test]
fn who_has_shown_nothing_yet_or_cannot_be_asked_is_not() {
    let mut rig = Rig::new();
    rig.connect(&connect(Side::A, CLEAR, CLEAR, PLI));
    rig.connect(&connect(Side::B, BLOCKED, BLOCKED, PLI));
    rig.connect(&connect(Side::B, key(1), key(2), PLI));
    assert_eq!(rig.show(), Ok(()));
    assert_eq!(rig.times(5), [0_u32; 0], "it begins with a new picture");
    let mut rig = waiting(None);
    rig.connect(&connect(Side::B, key(1), key(2), PLI));
    assert_eq!(rig.times(5), [0_u32; 0]);
    // A stream that comes back begins anew, too.
    let mut rig = waiting(PLI);
    rig.stream.shut();
    rig.connect(&connect(Side::A, CLEAR, CLEAR, PLI));
    rig.connect(&connect(Side::B, key(1), key(2), PLI));
    assert_eq!(rig.show(), Ok(()));
    assert_eq!(rig.times(5), [0_u32; 0]);
}

#[test]
fn what_a_sender_showed_before_its_own_key_was_there_is_asked_for_again_under_that_key() {
    let mut rig = Rig::new();
    rig.connect(&connect(Side::A, BLOCKED, BLOCKED, PLI));
    rig.connect(&connect(Side::B, CLEAR, CLEAR, PLI));
    assert_eq!(rig.show(), Err(Discard::NotKeyed));
    let Protection::Srtp(ours) = key(9) else {
        unreachable!()
    };
    let mut phone = SrtpIn::new(&ours).unwrap();
    rig.connect(&connect(Side::A, CLEAR, key(9), PLI));
    assert_eq!(rig.times(2), [0_u32; 0], "its source is not known yet");
    assert_eq!(rig.show(), Ok(()));
    for (_, bytes) in rig.asked(Side::A, 2) {
        rig.packet.fill(&bytes);
        assert_eq!(phone.open_rtcp(&mut rig.packet), Ok(true));
        assert_eq!(word32(rig.packet.bytes(), 44), Some(SOURCE));
        rig.sequence = 0;
    }
    assert_eq!(rig.sequence, 0, "it was asked");
}
