//! ZRTP with Linphone, replayed from recordings: everything random that our end drew, all packets that Linphone sent, and the
//! first of its SRTP. The replay comes to the SAS that Linphone showed, and to keys under which its media authenticates.
//!
//! A recording is a list of what happened to our end: `add`, `start`, a peer's `hash` and `packet` for a stream, `retained` (the
//! store knew nothing), `timeout`, each `at` so many milliseconds. `random` is what was drawn in the order of drawing: an
//! association that draws in another order needs new recordings.

use b2bua::media::{
    SrtpKey,
    packet::Packet,
    srtp::SrtpIn,
    zrtp::{Association, Env, KeyAgreement, Output, Retained, Secured, Settings, StreamIndex, Update, Zid},
};
use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

const AUDIO: StreamIndex = StreamIndex(0);
const VIDEO: StreamIndex = StreamIndex(1);

struct Replay {
    association: Association,
    random: VecDeque<Vec<u8>>,
    start: Instant,
    now: Instant,
    lookups: Vec<Zid>,
    receive: BTreeMap<StreamIndex, SrtpKey>,
    send: BTreeMap<StreamIndex, SrtpKey>,
    open: BTreeMap<StreamIndex, SrtpIn>,
    secured: BTreeMap<StreamIndex, Secured>,
    authenticated: usize,
    stored: usize,
}

fn bytes(text: &str) -> Vec<u8> {
    hex::decode(text).expect("hexadecimal digits")
}

/// What our Hello said when the runs were recorded: its octets are part of every hash.
fn as_recorded() -> Settings {
    use KeyAgreement::{Dh3k, Ec25, Ec38, Mult, X255};
    Settings {
        key_agreements: vec![X255, Ec25, Dh3k, Ec38, Mult],
        ..Settings::default()
    }
}

impl Replay {
    fn new(recording: &str) -> Self {
        #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
        let start = Instant::now();
        let drawn = recording.lines().filter_map(|line| line.strip_prefix("random "));
        Self {
            association: Association::new(Zid(*b"b2bua-test-1"), as_recorded()),
            random: drawn.map(bytes).collect(),
            start,
            now: start,
            lookups: Vec::new(),
            receive: BTreeMap::new(),
            send: BTreeMap::new(),
            open: BTreeMap::new(),
            secured: BTreeMap::new(),
            authenticated: 0,
            stored: 0,
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Association, &mut Env<'_>)) {
        let mut random = |to: &mut [u8]| {
            let drawn = self.random.pop_front().expect("no more is drawn than was");
            to.copy_from_slice(&drawn);
        };
        let mut env = Env {
            now: self.now,
            random: &mut random,
        };
        act(&mut self.association, &mut env);
        while let Some(output) = self.association.poll_output() {
            match output {
                Output::Send(..) => {}
                Output::Lookup(zid) => self.lookups.push(zid),
                Output::ReceiveKey(stream, key) => {
                    let context = SrtpIn::new(&key).expect("a key of the right length");
                    self.open.insert(stream, context);
                    self.receive.insert(stream, key);
                }
                Output::SendKey(stream, key) => drop(self.send.insert(stream, key)),
                Output::Secured(stream, secured) => drop(self.secured.insert(stream, *secured)),
                Output::Store(Update::Secrets { .. }) => self.stored += 1,
                other => panic!("nothing goes wrong: {other:?}"),
            }
        }
    }

    fn line(&mut self, line: &str) {
        let mut words = line.split(' ');
        let verb = words.next().unwrap_or_default();
        let number: usize = words
            .next()
            .and_then(|word| word.parse().ok())
            .unwrap_or_default();
        let stream = StreamIndex(number);
        let rest = words.collect::<Vec<_>>().join(" ");
        match verb {
            "add" => self.act(|association, env| {
                association.add_stream(stream, 0x1000 + number as u32, env);
            }),
            "start" => self.act(|association, env| association.start(stream, env)),
            "hash" => {
                let hash = rest.parse().expect("Linphone's line");
                self.act(|association, env| association.set_peer_hash(stream, hash, env));
            }
            "at" => self.now = self.start + Duration::from_millis(number as u64),
            "packet" => {
                let datagram = bytes(&rest);
                self.act(|association, env| association.handle_packet(stream, &datagram, env));
            }
            "retained" => {
                let peer = self.lookups.pop().expect("it was asked");
                self.act(|association, env| association.handle_retained(peer, Retained::default(), env));
            }
            "timeout" => self.act(|association, env| association.handle_timeout(env)),
            "media" => self.act(|association, env| association.handle_media(stream, env)),
            "srtp" => {
                let context = self
                    .open
                    .get_mut(&stream)
                    .expect("the key comes before media does");
                let mut packet = Packet::new();
                packet.fill(&bytes(&rest));
                assert!(context.open_rtp(&mut packet).is_ok(), "it authenticates");
                self.authenticated += 1;
            }
            "#" | "sas" | "random" | "secured" => {}
            other => panic!("a recording has no `{other}`"),
        }
    }
}

fn replay(recording: &str, initiator: bool) {
    let mut replay = Replay::new(recording);
    for line in recording.lines() {
        replay.line(line);
    }
    assert!(replay.random.is_empty(), "all that was drawn is drawn again");
    let audio = &replay.secured[&AUDIO];
    let expected = recording.lines().find_map(|line| line.strip_prefix("sas "));
    let sas = audio.sas.as_ref().expect("the first stream has one");
    assert_eq!(Some(&*sas.text), expected);
    assert!(!sas.verified && !sas.cache_mismatch);
    assert_eq!(audio.initiator, initiator);
    assert_eq!(audio.choice.key_agreement, KeyAgreement::Dh3k);
    assert!(audio.peer.signalled);
    assert_eq!(audio.peer.client, "BZRTPv1.1");
    assert_eq!(replay.secured[&VIDEO].choice.key_agreement, KeyAgreement::Mult);
    for stream in [AUDIO, VIDEO] {
        assert_ne!(replay.send[&stream], replay.receive[&stream]);
    }
    assert!(replay.authenticated >= 6, "{}", replay.authenticated);
    assert_eq!(replay.stored, 1);
}

#[test]
fn linphone_as_the_responder_shows_our_sas_and_its_media_authenticates() {
    replay(include_str!("zrtp/linphone_we_are_the_initiator.recording"), true);
}

#[test]
fn linphone_as_the_initiator_shows_our_sas_and_its_media_authenticates() {
    replay(
        include_str!("zrtp/linphone_we_are_the_responder.recording"),
        false,
    );
}
