//! Targets of ZRTP: single packets, and whole exchanges with somebody between who changes them.

use crate::{
    media::zrtp::{
        Association, ConfirmContent, Env, KeyAgreement, Message, Output, Packet, Retained, Settings,
        StreamIndex, Zid,
    },
    sip::Ids,
};
use std::time::{Duration, Instant};

/// Any datagram, and any message in a packet that is right: what is read is written so that it reads the same.
pub fn zrtp_packet(data: &[u8]) {
    if let Ok(packet) = Packet::parse(data) {
        assert_eq!(
            packet.encode().get(4..),
            data.get(4..),
            "all but the bits that are not used"
        );
        message(packet.message);
    }
    message(data);
    let packet = Packet {
        sequence: 1,
        ssrc: 2,
        message: data,
    };
    let bytes = packet.encode();
    assert!(Packet::parse(&bytes).is_err() || Packet::parse(&bytes) == Ok(packet));
    if let Ok(content) = ConfirmContent::parse(data) {
        assert_eq!(ConfirmContent::parse(&content.encode()), Ok(content));
    }
}

fn message(bytes: &[u8]) {
    if let Ok(message) = Message::parse(bytes) {
        let written = message.encode();
        assert_eq!(written.len(), bytes.len());
        assert_eq!(Message::parse(&written), Ok(message));
    }
}

const STREAMS: [StreamIndex; 2] = [StreamIndex(0), StreamIndex(1)];
/// More outputs than this for one input would be a flood.
const MOST_OUTPUTS: usize = 40;
/// More inputs than this tell nothing new.
const MOST_STEPS: usize = 300;

struct Pair {
    now: Instant,
    ids: Ids,
    ends: [Association; 2],
    /// Packets on their way: to whom, on which stream.
    flights: Vec<(usize, StreamIndex, Vec<u8>)>,
    /// Send and receive key of each end and stream.
    keys: [[[Option<crate::media::SrtpKey>; 2]; 2]; 2],
    secured: [[bool; 2]; 2],
}

impl Pair {
    fn act(&mut self, end: usize, act: impl FnOnce(&mut Association, &mut Env<'_>)) {
        let mut random = |bytes: &mut [u8]| self.ids.fill(bytes);
        let mut env = Env {
            now: self.now,
            random: &mut random,
        };
        act(&mut self.ends[end], &mut env);
        let mut count = 0;
        while let Some(output) = self.ends[end].poll_output() {
            count += 1;
            assert!(count < MOST_OUTPUTS, "one input makes few outputs");
            match output {
                Output::Send(stream, bytes) => self.flights.push((1 - end, stream, bytes)),
                Output::Lookup(zid) => {
                    let mut random = |bytes: &mut [u8]| self.ids.fill(bytes);
                    let mut env = Env {
                        now: self.now,
                        random: &mut random,
                    };
                    self.ends[end].handle_retained(zid, Retained::default(), &mut env);
                }
                Output::SendKey(stream, key) => self.keys[end][stream.0][0] = Some(key),
                Output::ReceiveKey(stream, key) => self.keys[end][stream.0][1] = Some(key),
                Output::Secured(stream, _) => self.secured[end][stream.0] = true,
                Output::Failed(stream, _) => {
                    self.secured[end][stream.0] = false;
                    self.keys[end][stream.0] = [None, None];
                }
                Output::Store(_) | Output::Unanswered(_) | Output::OtherHello(_) => {}
            }
        }
    }
}

/// Two endpoints, two streams, and a network that the input rules: it delivers in any order, drops, doubles, sends back,
/// changes bits (and makes the CRC right again), and lets time pass. No panic, no flood; and whoever is secured has the
/// same keys as the other, if that one is secured too.
pub fn zrtp_sequence(data: &[u8]) {
    #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
    let now = Instant::now();
    let settings = Settings {
        key_agreements: vec![KeyAgreement::X255, KeyAgreement::Mult],
        ..Settings::default()
    };
    let end = |zid| Association::new(Zid([zid; 12]), settings.clone());
    let mut pair = Pair {
        now,
        ids: Ids::seeded(1),
        ends: [end(1), end(2)],
        flights: Vec::new(),
        keys: Default::default(),
        secured: Default::default(),
    };
    for end in [0, 1] {
        for stream in STREAMS {
            pair.act(end, |association, env| {
                association.add_stream(stream, 1, env);
                association.start(stream, env);
            });
        }
    }
    for step in data.chunks(3).take(MOST_STEPS) {
        let [what, which, how] = [0, 1, 2].map(|index: usize| step.get(index).copied().unwrap_or(0));
        let index = usize::from(which) % pair.flights.len().max(1);
        match what % 8 {
            // Three in eight arrive as they are; the oldest first when `which` is 0.
            0..=2 if !pair.flights.is_empty() => {
                let (end, stream, bytes) = pair.flights.remove(index);
                pair.act(end, |association, env| {
                    association.handle_packet(stream, &bytes, env)
                });
            }
            3 if !pair.flights.is_empty() => drop(pair.flights.remove(index)),
            4 if !pair.flights.is_empty() => {
                let (end, stream, bytes) = pair.flights[index].clone();
                // Doubled, on the other stream or sent back.
                let end = if how & 1 == 0 { end } else { 1 - end };
                let stream = if how & 2 == 0 {
                    stream
                } else {
                    STREAMS[1 - stream.0]
                };
                pair.act(end, |association, env| {
                    association.handle_packet(stream, &bytes, env)
                });
            }
            5 if !pair.flights.is_empty() => {
                let (end, stream, bytes) = pair.flights[index].clone();
                if let Ok(packet) = Packet::parse(&bytes) {
                    let mut message = packet.message.to_vec();
                    let at = usize::from(how) * 2 % message.len();
                    message[at] ^= 1 << (which % 8);
                    let message = &message[..];
                    let bytes = Packet { message, ..packet }.encode();
                    pair.act(end, |association, env| {
                        association.handle_packet(stream, &bytes, env)
                    });
                }
            }
            6 => pair.act(usize::from(which & 1), |association, env| {
                association.handle_media(STREAMS[usize::from(how & 1)], env);
            }),
            _ => {
                pair.now += Duration::from_millis(u64::from(how) * 8);
                for end in [0, 1] {
                    if pair.ends[end].poll_timeout().is_some_and(|due| due <= pair.now) {
                        pair.act(end, |association, env| association.handle_timeout(env));
                    }
                }
            }
        }
        // What nobody takes away is lost some day.
        let surplus = pair.flights.len().saturating_sub(200);
        pair.flights.drain(..surplus);
    }
    for stream in STREAMS {
        if pair.secured.iter().all(|end| end[stream.0]) {
            let [one, two] = &pair.keys;
            assert!(one[stream.0][0].is_some() && one[stream.0][0] == two[stream.0][1]);
            assert!(two[stream.0][0].is_some() && two[stream.0][0] == one[stream.0][1]);
        }
    }
}
