//! Two phones and a [`Sim`] between them; and what must hold whenever both are quiet.

use super::{Phone, Sim, Verdicts, phone::is_key};
use crate::{
    call::{Encryption, EncryptionPolicy, Side, bridge::CallSettings},
    media::Protection,
};
use std::time::{Duration, Instant};

/// Two phones with the server between them.
pub struct Scene {
    /// The server, the clock, the wires.
    pub sim: Sim,
    /// The caller.
    pub a: Phone,
    /// The callee.
    pub b: Phone,
}

impl Scene {
    /// Phones keyed like that, the server told so by its application.
    pub fn new(a: Encryption, b: Encryption) -> Self {
        Self::with(a, b, super::settings(), 1)
    }
    /// The same with settings and seed.
    pub fn with(a: Encryption, b: Encryption, settings: CallSettings, seed: u64) -> Self {
        let sim = Sim::with(Verdicts::direct(EncryptionPolicy::Only(b)), settings, seed);
        let phone = |side, encryption| match encryption {
            Encryption::Zrtp => Phone::new(side, seed).zrtp(seed, sim.now),
            Encryption::Sdes => Phone::new(side, seed).secure(),
            Encryption::DtlsSrtp => Phone::new(side, seed).dtls(),
            _ => Phone::new(side, seed),
        };
        Self {
            a: phone(Side::A, a),
            b: phone(Side::B, b),
            sim,
        }
    }
    /// Calls and runs until both are up.
    ///
    /// # Panics
    /// When they do not get there within ten seconds.
    #[must_use]
    pub fn answered(mut self) -> Self {
        self.call();
        self.run(Duration::from_secs(1));
        assert!(self.a.up && self.b.up, "not answered\n{}", self.sim.ladder());
        self
    }
    /// Alice calls Bob.
    pub fn call(&mut self) {
        self.a.call(&mut self.sim, "sip:bob@example.org");
    }
    /// A phone.
    pub fn phone(&mut self, side: Side) -> (&mut Phone, &mut Sim) {
        match side {
            Side::A => (&mut self.a, &mut self.sim),
            Side::B => (&mut self.b, &mut self.sim),
        }
    }
    /// A phone offers what it wants now.
    pub fn reoffer(&mut self, side: Side) {
        let (phone, sim) = self.phone(side);
        phone.reoffer(sim);
    }
    /// A phone hangs up.
    pub fn hang_up(&mut self, side: Side) {
        let (phone, sim) = self.phone(side);
        phone.hang_up(sim);
    }
    /// Lets time pass; phones react.
    pub fn run(&mut self, time: Duration) {
        let until = self.sim.now + time;
        self.run_until(until);
    }
    /// The same until a moment.
    pub fn run_until(&mut self, until: Instant) {
        loop {
            let due = [self.a.due(), self.b.due(), self.sim.next_event()];
            let Some(next) = due.into_iter().flatten().min().filter(|&at| at <= until) else {
                break;
            };
            let (a, b) = (&mut self.a, &mut self.b);
            self.sim.run_until(next, |sim, side| match side {
                Side::A => a.react(sim),
                Side::B => b.react(sim),
            });
            self.a.tick(&mut self.sim);
            self.b.tick(&mut self.sim);
        }
        self.sim.run_until(until, |_, _| {});
    }
    /// Runs until both phones wait for nothing, at most for that long.
    pub fn settle(&mut self, at_most: Duration) -> bool {
        let end = self.sim.now + at_most;
        while self.sim.now < end {
            self.run(Duration::from_millis(5));
            if self.a.is_quiet() && self.b.is_quiet() {
                self.run(Duration::from_millis(5));
                if self.a.is_quiet() && self.b.is_quiet() {
                    return true;
                }
            }
        }
        false
    }

    /// Whether each phone may send what the other will hear, the relay sends it where that phone is, and both know the key.
    ///
    /// # Panics
    /// When not, with the ladder.
    pub fn assert_media(&self) {
        let count = self.a.views.len().max(self.b.views.len());
        for index in 0..count {
            self.check_flow(&self.a, &self.b, index);
            self.check_flow(&self.b, &self.a, index);
        }
    }
    fn check_flow(&self, from: &Phone, to: &Phone, index: usize) {
        let nothing = super::phone::View::default();
        let sent = from.views.get(index).unwrap_or(&nothing);
        let heard = to.views.get(index).unwrap_or(&nothing);
        let place = || format!("stream {index} from {:?}\n{}", from.side, self.sim.ladder());
        assert_eq!(
            sent.sends,
            heard.receives,
            "one may send, the other listens: {}",
            place()
        );
        if !sent.sends {
            return;
        }
        let relay = &self.sim.relay;
        let entry = relay
            .side(from.side, index)
            .unwrap_or_else(|| panic!("no flow in: {}", place()));
        let exit = relay
            .side(to.side, index)
            .unwrap_or_else(|| panic!("no flow out: {}", place()));
        let port = relay.ports.get(&(from.side, crate::media::StreamId(index)));
        assert_eq!(sent.to.as_ref(), port, "sends to our port: {}", place());
        let home = std::net::SocketAddr::new(to.rtp.ip(), to.rtp.port() + 2 * index as u16);
        assert_eq!(
            exit.remote.rtp,
            Some(home),
            "goes where the other is: {}",
            place()
        );
        let agreed = |phone: &Phone| {
            let place = (
                phone.side,
                crate::media::StreamId(index),
                crate::media::Component::Rtp,
            );
            self.sim.handshakes.keys.get(&place).cloned()
        };
        if from.dtls.is_some() {
            let expected = agreed(from).map(|keys| Protection::Srtp(keys.receive));
            assert_eq!(Some(&entry.receive), expected.as_ref(), "{}", place());
        }
        if to.dtls.is_some() {
            let expected = agreed(to).map(|keys| Protection::Srtp(keys.send));
            assert_eq!(Some(&exit.send), expected.as_ref(), "{}", place());
        }
        match (&entry.receive, &from.secure) {
            _ if from.dtls.is_some() => {}
            (Protection::Srtp(key), _)
                if from
                    .zrtp
                    .as_ref()
                    .is_some_and(|zrtp| zrtp.send.get(&index) == Some(key)) => {}
            (other, _) if from.zrtp.is_some() => panic!("opened with {other:?}: {}", place()),
            (Protection::Clear, None) => {}
            (Protection::Srtp(key), Some(_)) if is_key(key, from.own_key().as_ref()) => {}
            (other, _) => panic!("opened with {other:?}: {}", place()),
        }
        match (&exit.send, &to.secure) {
            _ if to.dtls.is_some() => {}
            (Protection::Srtp(key), _)
                if to
                    .zrtp
                    .as_ref()
                    .is_some_and(|zrtp| zrtp.receive.get(&index) == Some(key)) => {}
            (other, _) if to.zrtp.is_some() => panic!("sealed with {other:?}: {}", place()),
            (Protection::Clear, None) => {}
            (Protection::Srtp(key), Some(_)) if is_key(key, heard.key.as_ref()) => {}
            (other, _) => panic!("sealed with {other:?}: {}", place()),
        }
    }

    /// Lets everything end and checks that nothing is left.
    ///
    /// # Panics
    /// When something is.
    pub fn assert_ends(&mut self) {
        self.run(Duration::from_secs(70));
        assert!(
            self.a.ended && self.b.ended,
            "a phone was not told\n{}",
            self.sim.ladder()
        );
        self.sim.assert_done();
    }
}
