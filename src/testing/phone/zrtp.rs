//! ZRTP of a phone: the machine itself, on the other end of a network that loses packets.

use super::Phone;
use crate::{
    call::Input,
    media::{
        Component, MediaEvent, SrtpKey, StreamId,
        zrtp::{Association, Env, Output, Sas, Settings, StreamIndex, Zid},
    },
    sdp::Sdp,
    sip::Ids,
    testing::{FakeCache, Sim, Who},
};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// ZRTP of a phone.
#[derive(Debug)]
pub struct ZrtpPhone {
    association: Association,
    zid: Zid,
    dice: Dice,
    now: Instant,
    /// Of so many packets in a hundred nothing is heard any more, in either direction.
    pub loss: u64,
    /// It announces ZRTP and does none.
    pub mute: bool,
    /// It announces nothing.
    pub silent: bool,
    /// It begins anew with a stream that comes back; else it has kept the keys of it, as Linphone does.
    pub forgets: bool,
    /// None of its Conf2ACKs arrives.
    pub unacknowledged: bool,
    /// By which each stream's packets to it are opened.
    pub receive: BTreeMap<usize, SrtpKey>,
    /// By which its own are sealed.
    pub send: BTreeMap<usize, SrtpKey>,
    /// What its user sees.
    pub sas: Option<Sas>,
    /// What it keeps of its peers.
    pub retained: FakeCache,
    /// On their way: to it or from it.
    queue: BTreeMap<(Instant, u64), (bool, usize, Vec<u8>)>,
    count: u64,
}

/// Its randomness; `Debug` shows nothing of it.
struct Dice(Ids);

impl std::fmt::Debug for Dice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Dice")
    }
}

impl ZrtpPhone {
    fn new(zid: u8, seed: u64, now: Instant) -> Self {
        let zid = Zid([zid; 12]);
        Self {
            association: Association::new(zid, Settings::default()),
            zid,
            dice: Dice(Ids::seeded(seed)),
            now,
            loss: 0,
            mute: false,
            silent: false,
            forgets: false,
            unacknowledged: false,
            receive: BTreeMap::new(),
            send: BTreeMap::new(),
            sas: None,
            retained: FakeCache::default(),
            queue: BTreeMap::new(),
            count: 0,
        }
    }
    /// It lets the other end be the initiator.
    pub fn waits(&mut self) {
        let settings = Settings {
            passive: true,
            ..Settings::default()
        };
        self.association = Association::new(self.zid, settings);
    }
    /// Another device from now on.
    pub fn replace(&mut self) {
        let zid = Zid(self.zid.0.map(|octet| octet.wrapping_add(1)));
        let seed = self.dice.0.below(u64::MAX);
        *self = Self {
            loss: self.loss,
            ..Self::new(zid.0[0], seed, self.now)
        };
    }
    fn with<T>(&mut self, act: impl FnOnce(&mut Association, &mut Env<'_>) -> T) -> T {
        let Dice(ids) = &mut self.dice;
        let mut env = Env {
            now: self.now,
            random: &mut |bytes: &mut [u8]| ids.fill(bytes),
        };
        act(&mut self.association, &mut env)
    }
    /// The value of `a=zrtp-hash`.
    fn announce(&mut self, index: usize) -> String {
        let stream = StreamIndex(index);
        let known = self.association.hash(stream);
        let ssrc = 0x5000 + index as u32;
        let hash = known.or_else(|| self.with(|association, env| association.add_stream(stream, ssrc, env)));
        hash.expect("few streams").to_string()
    }
    /// A stream was taken out.
    fn drop_stream(&mut self, index: usize) {
        if self.forgets {
            self.with(|association, env| association.remove_stream(StreamIndex(index), env));
        }
    }
    fn put(&mut self, inwards: bool, stream: usize, bytes: Vec<u8>) {
        let lost = self.unacknowledged && !inwards && bytes.windows(8).any(|word| word == b"Conf2ACK");
        if lost || self.dice.0.below(100) < self.loss {
            return;
        }
        // Up to 30 ms: what is sent later may be there earlier, where packets are lost.
        let delay = if self.loss > 0 { self.dice.0.below(30) } else { 1 };
        self.count += 1;
        let at = self.now + Duration::from_millis(delay + 1);
        self.queue.insert((at, self.count), (inwards, stream, bytes));
    }
    pub(super) fn due(&self) -> Option<Instant> {
        let queued = self.queue.keys().next().map(|key| key.0);
        let timer = self.association.poll_timeout().filter(|_| !self.mute);
        [queued, timer].into_iter().flatten().min()
    }
    fn drain(&mut self) {
        while let Some(output) = self.association.poll_output() {
            match output {
                Output::Send(..) if self.mute => {}
                Output::Send(StreamIndex(index), bytes) => self.put(false, index, bytes),
                Output::Lookup(peer) => {
                    let retained = self.retained.of(peer);
                    self.with(|association, env| association.handle_retained(peer, retained, env));
                }
                Output::ReceiveKey(StreamIndex(index), key) => {
                    self.receive.insert(index, key);
                }
                Output::SendKey(StreamIndex(index), key) => {
                    self.send.insert(index, key);
                }
                Output::Secured(_, secured) => self.sas = secured.sas.or(self.sas.take()),
                Output::Store(update) => self.retained.update(update),
                Output::Unanswered(_) | Output::OtherHello(_) => {}
                Output::Failed(StreamIndex(index), _) if self.loss > 0 => {
                    self.receive.remove(&index);
                    self.send.remove(&index);
                }
                Output::Failed(_, failure) => panic!("the phone's ZRTP failed: {failure}"),
            }
        }
    }
}

impl Phone {
    /// The same with ZRTP.
    #[must_use]
    pub fn zrtp(mut self, seed: u64, now: Instant) -> Self {
        let zid = match self.who {
            Who::A => 0xA1,
            Who::B => 0xB1,
            Who::C => 0xC1,
        };
        self.zrtp = Some(ZrtpPhone::new(zid, seed * 2 + u64::from(zid), now));
        self
    }

    pub(super) fn describe_zrtp(&mut self, out: &mut String, index: usize) {
        if let Some(zrtp) = self.zrtp.as_mut().filter(|zrtp| !zrtp.silent) {
            let _ = write!(out, "a=zrtp-hash:{}\r\n", zrtp.announce(index));
        }
    }

    /// Both descriptions are there: begins.
    pub(super) fn greet_zrtp(&mut self, heard: &Sdp, now: Instant) {
        let (Some(zrtp), Some(said)) = (&mut self.zrtp, &self.said) else {
            return;
        };
        zrtp.now = now;
        for (index, (own, theirs)) in said.media.iter().zip(&heard.media).enumerate() {
            if !(own.is_active() && theirs.is_active()) {
                zrtp.drop_stream(index);
                continue;
            }
            zrtp.announce(index);
            let hash = theirs
                .attribute("zrtp-hash")
                .flatten()
                .and_then(|value| value.parse().ok());
            zrtp.with(|association, env| {
                if let Some(hash) = hash {
                    association.set_peer_hash(StreamIndex(index), hash, env);
                }
                association.start(StreamIndex(index), env);
            });
        }
        zrtp.drain();
    }

    /// What came, what is due, what is to be sent.
    pub(super) fn exchange_zrtp(&mut self, sim: &mut Sim) {
        let (side, home) = (self.side, self.rtp.ip());
        let (sent, others) = std::mem::take(&mut sim.relay.sent)
            .into_iter()
            .partition::<Vec<_>, _>(|sent| sent.0 == side && sent.3.ip() == home);
        sim.relay.sent = others;
        let Some(zrtp) = &mut self.zrtp else { return };
        zrtp.now = sim.now;
        for (_, StreamId(stream), bytes, _) in sent {
            zrtp.put(true, stream, bytes);
        }
        if zrtp.association.poll_timeout().is_some_and(|at| at <= sim.now) {
            zrtp.with(Association::handle_timeout);
            zrtp.drain();
        }
        while let Some(entry) = zrtp.queue.first_entry().filter(|entry| entry.key().0 <= sim.now) {
            let (inwards, stream, bytes) = entry.remove();
            if inwards {
                zrtp.with(|association, env| association.handle_packet(StreamIndex(stream), &bytes, env));
                zrtp.drain();
                continue;
            }
            let from = SocketAddr::new(self.rtp.ip(), self.rtp.port() + 2 * stream as u16);
            sim.feed(Input::Media(MediaEvent::Control {
                side,
                stream: StreamId(stream),
                component: Component::Rtp,
                from,
                bytes,
            }));
        }
    }
}
