//! DTLS handshakes that exchange nothing: each comes to the end that the certificate at the other address gives it.

use crate::{
    call::{
        Side,
        handshake::{HandshakeCommand, HandshakeId, HandshakeResult},
        media_plan::Role,
    },
    media::{Component, SrtpKey, SrtpKeys, StreamId, Suite},
    sdp::Fingerprint,
};
use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

/// A client whom nobody answers gives up.
const DEADLINE: Duration = Duration::from_secs(15);

/// The driver of a call's handshakes.
#[derive(Debug)]
pub struct FakeHandshakes {
    /// How long one takes, from its ClientHello.
    pub time: Duration,
    /// Who is at an address, by certificate.
    pub certificates: BTreeMap<SocketAddr, Fingerprint>,
    /// What everybody shows instead.
    pub forged: Option<Fingerprint>,
    /// All that were begun.
    pub begun: Vec<(HandshakeId, Role, SocketAddr)>,
    /// The keys that a stream got last.
    pub keys: BTreeMap<(Side, StreamId, Component), SrtpKeys>,
    running: BTreeMap<HandshakeId, Running>,
    greetings: Vec<(Side, Vec<u8>)>,
}

#[derive(Debug)]
struct Running {
    with: SocketAddr,
    fingerprints: Vec<Fingerprint>,
    /// A ClientHello has come, or was sent.
    greeted: bool,
}

impl Default for FakeHandshakes {
    fn default() -> Self {
        Self {
            time: Duration::from_millis(20),
            certificates: BTreeMap::new(),
            forged: None,
            begun: Vec::new(),
            keys: BTreeMap::new(),
            running: BTreeMap::new(),
            greetings: Vec::new(),
        }
    }
}

impl FakeHandshakes {
    /// Obeys; returns what comes of it, and when.
    ///
    /// # Panics
    /// When it is told what makes no sense: a handshake begun twice, or one that does not exist.
    pub fn obey(&mut self, command: HandshakeCommand) -> Option<(Duration, HandshakeResult)> {
        match command {
            HandshakeCommand::Begin {
                id,
                role,
                with,
                fingerprints,
            } => {
                self.begun.push((id, role, with));
                let running = Running {
                    with,
                    fingerprints,
                    greeted: role == Role::Client,
                };
                assert!(self.running.insert(id, running).is_none(), "{id:?} begun twice");
                (role == Role::Client).then(|| self.end(id))
            }
            HandshakeCommand::Datagram { id, bytes } => {
                if let Some(random) = bytes.get(27..59) {
                    self.greetings.push((id.side, random.to_vec()));
                }
                let running = self.running.get_mut(&id).expect("a handshake that was begun");
                let greeted = std::mem::replace(&mut running.greeted, true);
                (!greeted).then(|| self.end(id))
            }
            HandshakeCommand::End(id) => {
                self.running.remove(&id).expect("a handshake that was begun");
                None
            }
        }
    }

    fn end(&self, id: HandshakeId) -> (Duration, HandshakeResult) {
        let running = &self.running[&id];
        let (time, outcome) = match self.forged.as_ref().or(self.certificates.get(&running.with)) {
            None => (DEADLINE, Err("nobody answers".to_owned())),
            Some(shown) if running.fingerprints.contains(shown) => (self.time, Ok(keys(id.number))),
            Some(_) => (self.time, Err("another certificate".to_owned())),
        };
        (time, HandshakeResult { id, outcome })
    }

    /// Whether a result is still wanted; one that is, is written down.
    pub fn deliver(&mut self, result: &HandshakeResult) -> bool {
        let id = result.id;
        let wanted = self.running.contains_key(&id);
        if let (true, Ok(keys)) = (wanted, &result.outcome) {
            self.keys.insert((id.side, id.stream, id.component), keys.clone());
        }
        if result.outcome.is_err() {
            self.running.remove(&id);
        }
        wanted
    }

    /// Whether a ClientHello with that random has reached a handshake.
    pub(super) fn is_greeted(&self, side: Side, random: [u8; 32]) -> bool {
        self.greetings
            .iter()
            .any(|(of, known)| *of == side && known[..] == random)
    }

    /// Whether none goes on.
    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }
}

/// Keys that no other handshake has.
fn keys(number: u64) -> SrtpKeys {
    let key = |octet| {
        let mut master = vec![octet; Suite::AeadAes128Gcm.master_length()];
        master[..8].copy_from_slice(&number.to_be_bytes());
        SrtpKey {
            suite: Suite::AeadAes128Gcm,
            master: master.into(),
            mki: None,
        }
    };
    SrtpKeys {
        send: key(1),
        receive: key(2),
    }
}
