//! One stream's exchange: what came, what was sent, what is awaited (RFC 6189 §4.1–§4.6). The first part, Hello and all that
//! has no proof, is here; [`initiator`], [`responder`] and [`confirmation`] go on.

mod confirmation;
mod initiator;
mod responder;

use super::cache::{Retained, Update};
use super::chain::Chain;
use super::digest::SecretBytes;
use super::handshake::PeerHello;
use super::message::{ErrorCode, Hello, Message, VERSION};
use super::packet::Packet;
use super::timer::{AMBIGUITY, DOUBT, PATIENCE, Timer};
use super::{Env, Failure, HelloHash, Output, Settings, StreamIndex, Zid, negotiation};
use confirmation::{Confirmed, Confirming, Secure};
use initiator::{Agreeing, Committed};
use responder::Responding;
use std::{collections::VecDeque, time::Instant};

/// Most different Hellos that are kept until one is proven.
const MAX_CANDIDATES: usize = 4;

/// What the streams of an association share.
pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) zid: Zid,
    /// ZRTPSess of the first stream.
    pub(super) session: Option<SecretBytes>,
    /// Answers of the store, by peer; `None` while it is asked.
    pub(super) retained: Vec<(Zid, Option<Retained>)>,
    /// New secrets that wait for the user to compare the SAS (§4.6.1.1).
    pub(super) unconfirmed: Option<Update>,
    /// With whom keys were agreed.
    pub(super) peer: Option<Zid>,
    pub(super) outputs: VecDeque<Output>,
}

impl Shared {
    /// What the store said of a peer.
    fn known(&self, peer: Zid) -> Option<&Retained> {
        let (_, answer) = self.retained.iter().find(|(zid, _)| *zid == peer)?;
        answer.as_ref()
    }
}

/// Where an exchange stands.
pub(super) enum Phase {
    /// Hellos.
    Discovery,
    /// We sent Commit.
    Committed(Box<Committed>),
    /// We, the initiator, sent DHPart2.
    Agreeing(Box<Agreeing>),
    /// We, the responder, sent DHPart1.
    Responding(Box<Responding>),
    /// We, the responder, sent Confirm1.
    Confirming(Box<Confirming>),
    /// We, the initiator, sent Confirm2.
    Confirmed(Box<Confirmed>),
    /// Done.
    Secure(Box<Secure>),
    /// Over.
    Failed,
}

pub(super) struct Stream {
    index: StreamIndex,
    ssrc: u32,
    sequence: u16,
    chain: Chain,
    /// Our Hello.
    hello: Vec<u8>,
    signalled: Option<HelloHash>,
    candidates: Vec<PeerHello>,
    /// Until when several candidates wait for the peer's Commit.
    ambiguous: Option<Instant>,
    /// Our Hello has arrived.
    acked: bool,
    /// The message that is repeated.
    resend: Option<(Timer, Vec<u8>)>,
    /// When waiting ends.
    deadline: Option<Instant>,
    /// A reason to end that nobody has proven, and when it is believed.
    doubt: Option<(Failure, Instant)>,
    /// A Commit that came before the store's answer.
    held: Option<Vec<u8>>,
    /// The Hello of another exchange was reported.
    told: bool,
    pub(super) phase: Phase,
}

impl Stream {
    pub(super) fn new(index: StreamIndex, ssrc: u32, shared: &Shared, env: &mut Env<'_>) -> Self {
        let chain = Chain::new(env);
        Self {
            index,
            ssrc,
            // Far from the end: Linphone takes a number that wrapped for an old one.
            sequence: u16::from_be_bytes(env.array()) & 0x0fff | 1,
            hello: negotiation::hello(&shared.settings, shared.zid, &chain),
            chain,
            signalled: None,
            candidates: Vec::new(),
            ambiguous: None,
            acked: false,
            resend: None,
            deadline: None,
            doubt: None,
            held: None,
            told: false,
            phase: Phase::Discovery,
        }
    }

    /// For `a=zrtp-hash`.
    pub(super) fn hash(&self) -> HelloHash {
        HelloHash::of(&self.hello)
    }

    /// Begins to send Hello.
    pub(super) fn start(&mut self, shared: &mut Shared, env: &Env<'_>) {
        if matches!(self.phase, Phase::Discovery) && !self.acked && self.resend.is_none() {
            self.send_hello(shared, env);
        }
    }

    fn send_hello(&mut self, shared: &mut Shared, env: &Env<'_>) {
        let hello = self.hello.clone();
        self.send(&hello, shared);
        self.resend = Some((Timer::hello(env.now), hello));
    }

    /// Takes what signalling announces.
    pub(super) fn set_signalled(&mut self, hash: HelloHash, shared: &mut Shared, env: &Env<'_>) {
        self.signalled = Some(hash);
        self.candidates.retain_mut(|candidate| {
            candidate.signalled = hash.fits(&candidate.bytes);
            candidate.signalled
        });
        let Some(peer) = self.peer_mut() else {
            return;
        };
        peer.signalled = hash.fits(&peer.bytes);
        if peer.signalled {
            return;
        }
        if matches!(self.phase, Phase::Secure(_)) {
            self.end(Failure::Hash, shared, env);
        } else {
            // We talked to somebody else: begin again, with the same Hello and chain.
            self.phase = Phase::Discovery;
            self.deadline = None;
            self.doubt = None;
            self.acked = false;
            self.send_hello(shared, env);
        }
    }

    fn peer_mut(&mut self) -> Option<&mut PeerHello> {
        match &mut self.phase {
            Phase::Discovery | Phase::Failed => None,
            Phase::Committed(state) => Some(&mut state.peer),
            Phase::Agreeing(state) => Some(&mut state.peer),
            Phase::Responding(state) => Some(&mut state.peer),
            Phase::Confirming(state) => Some(&mut state.peer),
            Phase::Confirmed(state) => Some(&mut state.peer),
            Phase::Secure(state) => Some(&mut state.peer),
        }
    }

    /// Not decided yet: those after it wait.
    pub(super) fn is_pending(&self) -> bool {
        match self.phase {
            Phase::Discovery => self.resend.is_some() || !self.candidates.is_empty(),
            Phase::Secure(_) | Phase::Failed => false,
            _ => true,
        }
    }

    /// In the middle of a key agreement of its own.
    pub(super) fn is_agreeing(&self) -> bool {
        match &self.phase {
            Phase::Committed(state) => state.is_dh(),
            Phase::Confirming(state) => state.is_dh(),
            Phase::Confirmed(state) => state.is_dh(),
            Phase::Agreeing(_) | Phase::Responding(_) => true,
            Phase::Discovery | Phase::Secure(_) | Phase::Failed => false,
        }
    }

    /// A packet came. `may_agree`: no other stream is in a key agreement.
    pub(super) fn handle_packet(
        &mut self,
        datagram: &[u8],
        may_agree: bool,
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        // What is no packet or no message is dropped without an answer: it may come from anybody.
        let Ok(packet) = Packet::parse(datagram) else {
            return;
        };
        let Ok(message) = Message::parse(packet.message) else {
            return;
        };
        let bytes = packet.message;
        match message {
            Message::Hello(hello) => self.on_hello(bytes, hello, shared, env),
            Message::HelloAck => self.on_hello_ack(),
            Message::Commit(commit) => self.on_commit(bytes, &commit, may_agree, shared, env),
            Message::DhPart1(part) => self.on_dh_part1(bytes, &part, shared, env),
            Message::DhPart2(part) => self.on_dh_part2(bytes, &part, shared, env),
            Message::Confirm1(confirm) => self.on_confirm1(&confirm, shared, env),
            Message::Confirm2(confirm) => self.on_confirm2(bytes, &confirm, shared, env),
            Message::Conf2Ack => self.on_conf2_ack(shared),
            Message::Error(code) => self.on_error(code, shared, env),
            Message::ErrorAck => {
                if matches!(self.phase, Phase::Failed) {
                    self.resend = None;
                }
            }
            Message::GoClear(mac) => self.on_go_clear(mac, shared),
            Message::SasRelay(relay) => self.on_sas_relay(&relay, shared),
            Message::Ping { endpoint } => {
                let answer = Message::PingAck {
                    // §5.16 leaves the choice; like others, the beginning of the ZID.
                    endpoint: *shared.zid.0.first_chunk().expect("12 octets"),
                    asker: endpoint,
                    ssrc: packet.ssrc,
                };
                self.send(&answer.encode(), shared);
            }
            // Answers to what we never send.
            Message::ClearAck | Message::RelayAck | Message::PingAck { .. } => {}
        }
    }

    fn on_hello(&mut self, bytes: &[u8], hello: Hello, shared: &mut Shared, env: &Env<'_>) {
        if matches!(self.phase, Phase::Failed) {
            return;
        }
        let expected = self.signalled.is_none_or(|hash| hash.fits(bytes));
        if let Some(peer) = self.peer_mut().map(|peer| &*peer)
            && peer.bytes == bytes
        {
            // Our HelloACK was lost. Once secure it cannot have been.
            if !matches!(self.phase, Phase::Secure(_)) {
                self.send(&Message::HelloAck.encode(), shared);
            }
            return;
        }
        if matches!(self.phase, Phase::Secure(_)) && !self.told {
            // Not the one that was announced for the exchange that we had, which is over: another session's.
            self.told = true;
            shared.outputs.push_back(Output::OtherHello(self.index));
            return;
        }
        if !matches!(self.phase, Phase::Discovery | Phase::Committed(_)) || !expected {
            return;
        }
        // With our ZID (§5.9, 0x90) it is our own come back, or forged: nothing to talk to. Who speaks a later version lowers
        // itself when it sees our Hello (§4.1.1); an earlier one we do not speak. None of them may end what the real peer
        // has not begun, so they are as good as unheard.
        if hello.zid == shared.zid || hello.version[..3] != VERSION[..3] {
            return;
        }
        if !self.candidates.iter().any(|candidate| candidate.bytes == bytes) {
            if self.candidates.len() >= MAX_CANDIDATES {
                return;
            }
            if !shared.retained.iter().any(|(zid, _)| *zid == hello.zid) {
                shared.retained.push((hello.zid, None));
                shared.outputs.push_back(Output::Lookup(hello.zid));
            }
            self.candidates.push(PeerHello {
                bytes: bytes.to_vec(),
                hello,
                signalled: self.signalled.is_some(),
            });
            if self.candidates.len() > 1 {
                self.ambiguous.get_or_insert(env.now + AMBIGUITY);
            }
            self.proceeded();
            // Who only now begins to speak has not heard us.
            if !self.acked && self.resend.is_none() {
                self.send_hello(shared, env);
            }
        }
        self.send(&Message::HelloAck.encode(), shared);
    }

    fn on_hello_ack(&mut self) {
        // Anybody can send it: our Hello is repeated until the peer's has come as well.
        if matches!(self.phase, Phase::Discovery) {
            self.acked = true;
        }
    }

    fn on_error(&mut self, code: ErrorCode, shared: &mut Shared, env: &Env<'_>) {
        if matches!(self.phase, Phase::Failed) {
            return;
        }
        self.send(&Message::ErrorAck.encode(), shared);
        // Anybody can send it. Before Commit nothing can have gone wrong yet, a secured stream needs the peer no more; between,
        // its silence will prove it.
        if !matches!(self.phase, Phase::Discovery | Phase::Secure(_)) {
            self.suspect(Failure::Remote(code), env);
        }
    }

    /// The store answered, or another stream went on.
    pub(super) fn advance(
        &mut self,
        may_agree: bool,
        is_first: bool,
        shared: &mut Shared,
        env: &mut Env<'_>,
    ) {
        if let Some(bytes) = self.held.take()
            && let Ok(Message::Commit(commit)) = Message::parse(&bytes)
        {
            self.on_commit(&bytes, &commit, may_agree, shared, env);
        }
        if !matches!(self.phase, Phase::Discovery) || !self.acked || self.candidates.is_empty() {
            return;
        }
        self.resend = None;
        if self.ambiguous.is_some_and(|until| env.now < until) {
            return;
        }
        // The last one: who forges needs to have seen nothing, and may well have been first.
        let Some(peer) = self.candidates.last().cloned() else {
            return;
        };
        let multistream = shared.peer == Some(peer.hello.zid)
            && shared.session.is_some()
            && negotiation::multistream(&shared.settings, &peer.hello);
        // While a key agreement is not confirmed the peer may not have its keys yet.
        if !may_agree || !(multistream || is_first || shared.session.is_some()) {
            return;
        }
        self.deadline.get_or_insert(env.now + PATIENCE);
        if !shared.settings.passive && (multistream || shared.known(peer.hello.zid).is_some()) {
            self.commit(peer, multistream, shared, env);
        }
    }

    /// A time is over.
    pub(super) fn handle_timeout(&mut self, shared: &mut Shared, env: &Env<'_>) {
        if let Some((failure, until)) = self.doubt
            && env.now >= until
        {
            self.end(failure, shared, env);
        }
        if self.deadline.is_some_and(|deadline| env.now >= deadline) {
            self.fail(ErrorCode::TIMEOUT, shared, env);
        }
        self.ambiguous = self.ambiguous.filter(|until| env.now < *until);
        let Some((mut timer, message)) = self.resend.take() else {
            return;
        };
        if env.now < timer.due() {
            self.resend = Some((timer, message));
        } else if timer.fire(env.now) {
            self.send(&message, shared);
            self.resend = Some((timer, message));
        } else {
            match self.phase {
                Phase::Discovery => shared.outputs.push_back(Output::Unanswered(self.index)),
                Phase::Failed => {}
                _ => self.fail(ErrorCode::TIMEOUT, shared, env),
            }
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let waits = matches!(self.phase, Phase::Discovery) && self.acked;
        [
            self.resend.as_ref().map(|(timer, _)| timer.due()),
            self.deadline,
            self.doubt.map(|(_, until)| until),
            self.ambiguous.filter(|_| waits),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Sends a message, numbered.
    fn send(&mut self, message: &[u8], shared: &mut Shared) {
        let packet = Packet {
            sequence: self.sequence,
            ssrc: self.ssrc,
            message,
        };
        self.sequence = self.sequence.wrapping_add(1);
        let datagram = packet.encode();
        shared.outputs.push_back(Output::Send(self.index, datagram));
    }

    /// Sends a message until it is answered.
    fn send_until_answered(&mut self, message: Vec<u8>, shared: &mut Shared, env: &Env<'_>) {
        self.send(&message, shared);
        self.resend = Some((Timer::message(env.now), message));
    }

    /// The real peer was heard: what strangers said is void.
    fn proceeded(&mut self) {
        self.doubt = None;
    }

    /// Believes a reason to end only if the real peer does not go on.
    fn suspect(&mut self, failure: Failure, env: &Env<'_>) {
        self.doubt.get_or_insert((failure, env.now + DOUBT));
    }

    /// Ends the exchange for a reason of ours.
    fn fail(&mut self, code: ErrorCode, shared: &mut Shared, env: &Env<'_>) {
        self.end(Failure::Local(code), shared, env);
    }

    /// Ends the exchange. Of a reason of ours the peer is told until it confirms (§5.9).
    fn end(&mut self, failure: Failure, shared: &mut Shared, env: &Env<'_>) {
        if matches!(self.phase, Phase::Failed) {
            return;
        }
        self.phase = Phase::Failed;
        self.resend = None;
        self.deadline = None;
        self.doubt = None;
        self.ambiguous = None;
        self.held = None;
        self.candidates.clear();
        shared.outputs.push_back(Output::Failed(self.index, failure));
        if let Failure::Local(code) = failure {
            self.send_until_answered(Message::Error(code).encode(), shared, env);
        }
    }
}
