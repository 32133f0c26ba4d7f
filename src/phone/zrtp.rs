//! ZRTP as the phones speak it (RFC 6189), without socket and clock: one call's association.
//!
//! It is this server's own machine, the one thing that the phones have in common with what they judge: there is no other
//! in Rust. Linphone judges it (`tests/interop`, `tests/zrtp`). What becomes of its keys goes through the phones' SRTP,
//! and its string is held against the one that the server shows.

use super::Error;
use super::crypto::{Key, Suite};
use super::dtls::Keys;
use crate::media::zrtp::{
    Algorithm as _, Association, Env, HelloHash, Output, Retained, Settings, StreamIndex, Zid,
};
use rand::Rng as _;
use rand::rngs::StdRng;
use std::fmt;
use std::time::Instant;

pub use crate::media::zrtp::KeyAgreement;

/// The only stream of a phone: its audio.
const AUDIO: StreamIndex = StreamIndex(0);

/// What a call's ZRTP wants done, or tells.
#[derive(Debug)]
pub enum Event {
    /// Send this on the way of RTP.
    Send(Vec<u8>),
    /// The keys are confirmed: ours, then theirs.
    Keyed(Box<Keys>),
    /// There will be no keys.
    Failed(Error),
}

/// One call's ZRTP. The phone is a new device in each call: it retains nothing.
pub struct Zrtp {
    association: Association,
    hash: HelloHash,
    random: StdRng,
    now: Instant,
    /// What the far end announced, once there is somebody to speak to.
    peer: Option<HelloHash>,
    ours: Option<Key>,
    theirs: Option<Key>,
    sas: Option<String>,
}

/// Whether a datagram is one of ZRTP (RFC 6189 §5, RFC 7983 §7).
pub fn is_zrtp(datagram: &[u8]) -> bool {
    matches!(datagram.first(), Some(16..=19))
}

/// The key agreement of this name, as Hellos write it: `X255`, `DH3k` …
pub fn agreement(name: &str) -> Option<KeyAgreement> {
    let code = name.as_bytes().try_into().ok()?;
    KeyAgreement::from_code(code).filter(|agreement| *agreement != KeyAgreement::Mult)
}

impl Zrtp {
    /// A device of its own, which allows this key agreement alone (and DH3k, as everybody must), or else all.
    pub fn new(agreement: Option<KeyAgreement>, now: Instant) -> Self {
        let mut random: StdRng = rand::make_rng();
        let mut zid = [0; 12];
        random.fill_bytes(&mut zid);
        let mut settings = Settings {
            client: "b2bua phone".into(),
            ..Settings::default()
        };
        if let Some(agreement) = agreement {
            settings.key_agreements = vec![agreement];
        }
        let mut association = Association::new(Zid(zid), settings);
        let ssrc = random.next_u32();
        let mut env = Env {
            now,
            random: &mut |bytes: &mut [u8]| random.fill_bytes(bytes),
        };
        let hash = association.add_stream(AUDIO, ssrc, &mut env);
        Self {
            association,
            hash: hash.expect("the first stream"),
            random,
            now,
            peer: None,
            ours: None,
            theirs: None,
            sas: None,
        }
    }

    /// The value of the phone's `a=zrtp-hash` line.
    pub fn hash(&self) -> String {
        self.hash.to_string()
    }

    /// What the phone shows for its user to compare, once there are keys.
    pub fn sas(&self) -> Option<&str> {
        self.sas.as_deref()
    }

    /// Both descriptions are there, the far end's with this `a=zrtp-hash`: says Hello. Nothing else is believed. Saying
    /// it again in a later description changes nothing.
    ///
    /// # Errors
    /// [`Error::Session`] if the value is none that we know, or not the one of before: the far end is another device,
    /// which calls of these phones are not passed on to.
    pub fn begin(&mut self, announced: &str, now: Instant) -> Result<(), Error> {
        let hash = announced.parse::<HelloHash>().ok().filter(HelloHash::is_ours);
        let wrong = || Error::Session(format!("a=zrtp-hash:{announced} is not one of ZRTP 1.10"));
        let hash = hash.ok_or_else(wrong)?;
        match self.peer {
            Some(known) if known == hash => Ok(()),
            Some(_) => Err(Error::Session("another a=zrtp-hash than before".into())),
            None => {
                self.peer = Some(hash);
                self.with(now, |association, env| {
                    association.set_peer_hash(AUDIO, hash, env);
                    association.start(AUDIO, env);
                });
                Ok(())
            }
        }
    }

    /// Takes a packet of it.
    pub fn take(&mut self, datagram: &[u8], now: Instant) {
        // Before the far end's description is here nobody can say whose it is: it will be repeated.
        if self.peer.is_some() {
            self.with(now, |association, env| {
                association.handle_packet(AUDIO, datagram, env)
            });
        }
    }

    /// When to call [`Zrtp::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout()
    }

    /// Its time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.with(now, Association::handle_timeout);
    }

    /// What to do next; `None` when there is nothing.
    pub fn poll(&mut self) -> Option<Event> {
        loop {
            match self.association.poll_output()? {
                Output::Send(_, datagram) => return Some(Event::Send(datagram)),
                Output::Lookup(peer) => self.with(self.now, |association, env| {
                    association.handle_retained(peer, Retained::default(), env);
                }),
                Output::ReceiveKey(_, key) => self.theirs = Some(exported(key.suite.name(), &key.master)),
                Output::SendKey(_, key) => self.ours = Some(exported(key.suite.name(), &key.master)),
                Output::Secured(_, secured) => {
                    if !secured.peer.signalled {
                        return Some(Event::Failed(failed("the Hello was not the announced one")));
                    }
                    self.sas = secured.sas.map(|sas| sas.text);
                    let (ours, theirs) = self.ours.clone().zip(self.theirs.clone())?;
                    return Some(Event::Keyed(Box::new((ours, theirs))));
                }
                Output::Failed(_, failure) => return Some(Event::Failed(failed(&failure.to_string()))),
                // Nothing is retained, and who does not answer may still say Hello.
                Output::Store(_) | Output::Unanswered(_) | Output::OtherHello(_) => {}
            }
        }
    }

    fn with<T>(&mut self, now: Instant, act: impl FnOnce(&mut Association, &mut Env<'_>) -> T) -> T {
        self.now = now;
        let random = &mut self.random;
        let mut env = Env {
            now,
            random: &mut |bytes: &mut [u8]| random.fill_bytes(bytes),
        };
        act(&mut self.association, &mut env)
    }
}

/// Shows no secret.
impl fmt::Debug for Zrtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zrtp")
            .field("sas", &self.sas)
            .finish_non_exhaustive()
    }
}

fn exported(suite: &str, master: &[u8]) -> Key {
    let suite = Suite::named(suite).expect("the phones know the four suites of ZRTP");
    Key::exported(suite, master.to_vec())
}

fn failed(what: &str) -> Error {
    Error::Session(format!("ZRTP: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn now() -> Instant {
        Instant::now()
    }

    /// Carries packets to and fro until nobody has any. Gives each phone's keys and faults.
    fn talk(ends: &mut [Zrtp; 2], now: Instant) -> [(Option<Keys>, Option<Error>); 2] {
        let mut results = [(None, None), (None, None)];
        loop {
            let mut quiet = true;
            for at in [0, 1] {
                while let Some(event) = ends[at].poll() {
                    quiet = false;
                    match event {
                        Event::Send(datagram) => {
                            assert!(is_zrtp(&datagram));
                            ends[1 - at].take(&datagram, now);
                        }
                        Event::Keyed(keys) => results[at].0 = Some(*keys),
                        Event::Failed(error) => results[at].1 = Some(error),
                    }
                }
            }
            if quiet {
                return results;
            }
        }
    }

    #[test]
    fn two_phones_agree_on_keys_and_show_the_same_string() {
        for agreement in [None, Some(KeyAgreement::X255), Some(KeyAgreement::Dh3k)] {
            let now = now();
            let mut ends = [Zrtp::new(agreement, now), Zrtp::new(agreement, now)];
            let hashes = [ends[0].hash(), ends[1].hash()];
            ends[0].begin(&hashes[1], now).unwrap();
            ends[1].begin(&hashes[0], now).unwrap();
            let [a, b] = talk(&mut ends, now);
            let ((a_ours, a_theirs), (b_ours, b_theirs)) = (a.0.unwrap(), b.0.unwrap());
            assert!(a_ours == b_theirs && a_theirs == b_ours && a_ours != a_theirs);
            assert!(ends[0].sas().is_some_and(|sas| !sas.is_empty()));
            assert_eq!(ends[0].sas(), ends[1].sas());
            // A hold says the same again.
            ends[0].begin(&hashes[1], now).unwrap();
            assert!(ends[0].poll().is_none());
            assert!(ends[0].begin(&hashes[0], now).is_err());
        }
    }

    #[test]
    fn a_hello_that_was_not_announced_gives_no_keys() {
        let now = now();
        let mut ends = [Zrtp::new(None, now), Zrtp::new(None, now)];
        let (other, first) = (Zrtp::new(None, now).hash(), ends[0].hash());
        ends[0].begin(&other, now).unwrap();
        ends[1].begin(&first, now).unwrap();
        let [a, b] = talk(&mut ends, now);
        assert!(a.0.is_none() && b.0.is_none());
        assert_eq!((ends[0].sas(), ends[1].sas()), (None, None));
    }

    #[test]
    fn what_is_no_hash_is_refused() {
        assert!(Zrtp::new(None, now()).begin("1.10 0123", now()).is_err());
    }

    #[test]
    fn agreements_have_their_names() {
        assert_eq!(agreement("X255"), Some(KeyAgreement::X255));
        assert_eq!(agreement("DH3k"), Some(KeyAgreement::Dh3k));
        assert_eq!((agreement("Mult"), agreement("DH")), (None, None));
    }
}
