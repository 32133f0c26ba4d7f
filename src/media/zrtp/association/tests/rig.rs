//! Two endpoints and a network between them, on virtual time.

use super::super::super::{
    Association, Env, Failure, HelloHash, Lifetime, Output, Packet, Retained, Secured, Settings, StreamIndex,
    Update, Zid,
};
use crate::media::SrtpKey;
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

pub(super) const AUDIO: StreamIndex = StreamIndex(0);
pub(super) const VIDEO: StreamIndex = StreamIndex(1);
/// The SSRC of packets that no end has sent.
pub(super) const STRANGER: u32 = 77;

/// What the network does to a packet.
#[derive(Clone, Copy)]
pub(super) struct Weather {
    pub(super) loss: f64,
    pub(super) duplication: f64,
    /// Shortest and longest time on the way: what is sent later may be there earlier.
    pub(super) delay: (u64, u64),
}

impl Weather {
    pub(super) const FAIR: Self = Self {
        loss: 0.0,
        duplication: 0.0,
        delay: (10, 10),
    };
}

pub(super) struct End {
    pub(super) association: Association,
    pub(super) store: BTreeMap<Zid, Retained>,
    pub(super) updates: Vec<Update>,
    pub(super) receive: BTreeMap<StreamIndex, SrtpKey>,
    pub(super) send: BTreeMap<StreamIndex, SrtpKey>,
    pub(super) secured: BTreeMap<StreamIndex, Secured>,
    pub(super) failed: BTreeMap<StreamIndex, Failure>,
    pub(super) unanswered: Vec<StreamIndex>,
    pub(super) other_hellos: Vec<StreamIndex>,
    /// Whether lookups are answered at once, or by the test.
    pub(super) answers: bool,
    pub(super) lookups: Vec<Zid>,
}

impl End {
    pub(super) fn new(zid: u8, settings: Settings, store: BTreeMap<Zid, Retained>) -> Self {
        Self {
            association: Association::new(Zid([zid; 12]), settings),
            store,
            updates: Vec::new(),
            receive: BTreeMap::new(),
            send: BTreeMap::new(),
            secured: BTreeMap::new(),
            failed: BTreeMap::new(),
            unanswered: Vec::new(),
            other_hellos: Vec::new(),
            answers: true,
            lookups: Vec::new(),
        }
    }

    fn keep(&mut self, update: Update) {
        match &update {
            Update::Secrets {
                peer,
                retained,
                lifetime,
            } => {
                assert_ne!(*lifetime, Lifetime::Seconds(0));
                self.store.insert(*peer, retained.clone());
            }
            Update::Verified { peer, verified } => {
                if let Some(retained) = self.store.get_mut(peer) {
                    retained.verified = *verified;
                }
            }
            Update::Forget { peer } => {
                self.store.remove(peer);
            }
        }
        self.updates.push(update);
    }
}

/// A packet on its way.
#[derive(Clone)]
pub(super) struct Flight {
    pub(super) due: Instant,
    pub(super) to: usize,
    pub(super) stream: StreamIndex,
    pub(super) bytes: Vec<u8>,
}

/// What happens to a packet between: what arrives instead.
pub(super) type Tap = Box<dyn FnMut(Flight) -> Vec<Flight>>;

pub(super) struct Net {
    pub(super) start: Instant,
    pub(super) now: Instant,
    pub(super) rng: StdRng,
    pub(super) ends: [End; 2],
    pub(super) weather: Weather,
    pub(super) flights: Vec<Flight>,
    pub(super) sent: usize,
    pub(super) tap: Option<Tap>,
}

impl Net {
    pub(super) fn new(seed: u64, ends: [End; 2]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
        let now = Instant::now();
        Self {
            start: now,
            now,
            rng: StdRng::seed_from_u64(seed),
            ends,
            weather: Weather::FAIR,
            flights: Vec::new(),
            sent: 0,
            tap: None,
        }
    }

    /// Two of ours that never met, with one stream on each side that has begun.
    pub(super) fn pair(seed: u64, settings: [Settings; 2]) -> Self {
        Self::with_stores(seed, settings, [BTreeMap::new(), BTreeMap::new()])
    }

    /// Hands an end a message that its peer never sent, in a packet as it must be.
    pub(super) fn slip_in(&mut self, to: usize, message: &[u8]) {
        let bytes = Packet {
            sequence: 5,
            ssrc: STRANGER,
            message,
        }
        .encode();
        self.act(to, |association, env| {
            association.handle_packet(AUDIO, &bytes, env)
        });
    }

    pub(super) fn with_stores(
        seed: u64,
        [one, two]: [Settings; 2],
        [store1, store2]: [BTreeMap<Zid, Retained>; 2],
    ) -> Self {
        let ends = [End::new(1, one, store1), End::new(2, two, store2)];
        let mut net = Self::new(seed, ends);
        net.add(AUDIO);
        net
    }

    pub(super) fn act<T>(&mut self, end: usize, act: impl FnOnce(&mut Association, &mut Env<'_>) -> T) -> T {
        let mut random = |bytes: &mut [u8]| self.rng.fill_bytes(bytes);
        let mut env = Env {
            now: self.now,
            random: &mut random,
        };
        let result = act(&mut self.ends[end].association, &mut env);
        self.drain(end);
        result
    }

    /// Adds a stream at both ends and starts it.
    pub(super) fn add(&mut self, stream: StreamIndex) -> [HelloHash; 2] {
        [0, 1].map(|end| {
            let hash = self
                .act(end, |association, env| {
                    association.add_stream(stream, 100 * end as u32 + stream.0 as u32, env)
                })
                .unwrap();
            self.act(end, |association, env| association.start(stream, env));
            hash
        })
    }

    fn drain(&mut self, end: usize) {
        let mut steps = 0;
        while let Some(output) = self.ends[end].association.poll_output() {
            steps += 1;
            assert!(steps < 100, "one input makes few outputs");
            let state = &mut self.ends[end];
            match output {
                Output::Send(stream, bytes) => self.dispatch(1 - end, stream, bytes),
                Output::Lookup(peer) => {
                    state.lookups.push(peer);
                    if state.answers {
                        self.answer(end, peer);
                    }
                }
                Output::ReceiveKey(stream, key) => drop(state.receive.insert(stream, key)),
                Output::SendKey(stream, key) => drop(state.send.insert(stream, key)),
                Output::Secured(stream, secured) => {
                    assert!(state.send.contains_key(&stream) && state.receive.contains_key(&stream));
                    assert!(state.secured.insert(stream, *secured).is_none(), "secured once");
                }
                Output::Store(update) => state.keep(update),
                Output::Unanswered(stream) => state.unanswered.push(stream),
                Output::OtherHello(stream) => state.other_hellos.push(stream),
                Output::Failed(stream, failure) => {
                    assert!(state.failed.insert(stream, failure).is_none(), "failed once");
                }
            }
        }
    }

    pub(super) fn answer(&mut self, end: usize, peer: Zid) {
        let retained = self.ends[end].store.get(&peer).cloned().unwrap_or_default();
        self.act(end, |association, env| {
            association.handle_retained(peer, retained, env)
        });
    }

    fn dispatch(&mut self, to: usize, stream: StreamIndex, bytes: Vec<u8>) {
        self.sent += 1;
        let copies = if self.rng.random_bool(self.weather.duplication) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let (least, most) = self.weather.delay;
            let delay = Duration::from_millis(self.rng.random_range(least..=most));
            let flight = Flight {
                due: self.now + delay,
                to,
                stream,
                bytes: bytes.clone(),
            };
            if self.rng.random_bool(self.weather.loss) {
                continue;
            }
            match &mut self.tap {
                Some(tap) => self.flights.extend(tap(flight)),
                None => self.flights.push(flight),
            }
        }
    }

    /// Lets time pass until nothing more would happen, at most a minute.
    pub(super) fn run(&mut self) {
        self.run_for(Duration::from_secs(60));
        assert!(self.flights.is_empty(), "all quiet after a minute");
        for end in &self.ends {
            assert_eq!(end.association.poll_timeout(), None, "no timer is left");
        }
    }

    pub(super) fn run_for(&mut self, time: Duration) {
        let limit = self.now + time;
        while self.step(limit) {}
        self.now = limit;
    }

    /// The next thing that happens before the limit.
    fn step(&mut self, limit: Instant) -> bool {
        let flight = (0..self.flights.len()).min_by_key(|index| self.flights[*index].due);
        let timer = |end: usize| self.ends[end].association.poll_timeout().map(|due| (due, end));
        let timer = [timer(0), timer(1)].into_iter().flatten().min();
        let arrival = flight.map(|index| self.flights[index].due);
        match (arrival, timer) {
            (Some(due), timer) if timer.is_none_or(|(other, _)| due <= other) => {
                if due > limit {
                    return false;
                }
                self.now = self.now.max(due);
                let flight = self.flights.remove(flight.unwrap());
                self.act(flight.to, |association, env| {
                    association.handle_packet(flight.stream, &flight.bytes, env);
                });
            }
            (_, Some((due, end))) => {
                if due > limit {
                    return false;
                }
                self.now = self.now.max(due);
                self.act(end, |association, env| association.handle_timeout(env));
                let next = self.ends[end].association.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "time goes on");
            }
            _ => return false,
        }
        true
    }

    /// Both ends have what belongs together.
    pub(super) fn assert_secured(&self, stream: StreamIndex) {
        let [one, two] = &self.ends;
        assert_eq!((one.failed.get(&stream), two.failed.get(&stream)), (None, None));
        assert!(one.secured.contains_key(&stream), "the first is secured");
        assert!(two.secured.contains_key(&stream), "the second is secured");
        assert_eq!(one.send[&stream], two.receive[&stream]);
        assert_eq!(two.send[&stream], one.receive[&stream]);
        assert_ne!(one.send[&stream], one.receive[&stream]);
        let (first, second) = (&one.secured[&stream], &two.secured[&stream]);
        assert_eq!(first.choice, second.choice);
        assert_ne!(first.initiator, second.initiator);
        assert_eq!(
            first.sas.as_ref().map(|sas| &sas.text),
            second.sas.as_ref().map(|sas| &sas.text)
        );
        assert_eq!(one.send[&stream].suite, first.choice.suite());
        assert_eq!(
            one.send[&stream].master.len(),
            first.choice.suite().master_length()
        );
    }

    /// Each end has both keys and says so, or says that it has none, or has heard nobody and is left with none.
    pub(super) fn assert_nothing_between(&self, stream: StreamIndex) {
        for end in &self.ends {
            let keys = [end.receive.contains_key(&stream), end.send.contains_key(&stream)];
            let (secured, failed) = (
                end.secured.contains_key(&stream),
                end.failed.contains_key(&stream),
            );
            match (secured, failed) {
                (true, false) => assert_eq!(keys, [true; 2]),
                // Keys that it was given are void by its word.
                (false, true) => assert!(!keys[1], "nothing was sealed"),
                (false, false) => {
                    assert!(end.unanswered.contains(&stream));
                    assert_eq!(keys, [false; 2]);
                }
                (true, true) => panic!("{stream:?} failed after it was secured"),
            }
        }
    }

    /// After the exchange: either both have keys that fit, or whoever has none says why.
    pub(super) fn assert_decided(&self, stream: StreamIndex) -> bool {
        let [one, two] = &self.ends;
        let decided = |end: &End| {
            end.secured.contains_key(&stream)
                != (end.failed.contains_key(&stream) || end.unanswered.contains(&stream))
        };
        assert!(decided(one) && decided(two), "secured, failed or unanswered");
        let both = one.secured.contains_key(&stream) && two.secured.contains_key(&stream);
        if both {
            self.assert_secured(stream);
        }
        both
    }
}
