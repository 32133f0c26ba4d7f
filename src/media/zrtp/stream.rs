//! One stream's exchange: what came, what was sent, what is awaited (RFC 6189 §4.1–§4.6). Here is what all phases share;
//! [`discovery`], [`initiator`], [`responder`] and [`confirmation`] are its course.

mod confirmation;
mod discovery;
mod initiator;
mod responder;

use super::cache::{Retained, Update};
use super::chain::Chain;
use super::digest::SecretBytes;
use super::handshake::PeerHello;
use super::message::{ErrorCode, Message};
use super::packet::Packet;
use super::timer::{DOUBT, Timer};
use super::{Env, Failure, HelloHash, Output, Settings, StreamIndex, Zid, negotiation};
use confirmation::{Confirmed, Confirming, Secure};
use initiator::{Agreeing, Committed};
use responder::Responding;
use std::{collections::VecDeque, time::Instant};

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
        let hello = negotiation::hello(&shared.settings, shared.zid, &chain);
        Self::greeting(index, ssrc, (hello, chain), env)
    }

    /// With that Hello, of that chain.
    fn greeting(index: StreamIndex, ssrc: u32, (hello, chain): (Vec<u8>, Chain), env: &mut Env<'_>) -> Self {
        Self {
            index,
            ssrc,
            // Far from the end: Linphone takes a number that wrapped for an old one.
            sequence: u16::from_be_bytes(env.array()) & 0x0fff | 1,
            hello,
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

    /// The same stream with somebody else: what was announced is said again, and nothing has come yet.
    pub(super) fn fork(&self, env: &mut Env<'_>) -> Self {
        let greeting = (self.hello.clone(), self.chain.clone());
        Self::greeting(self.index, self.ssrc, greeting, env)
    }

    /// For `a=zrtp-hash`.
    pub(super) fn hash(&self) -> HelloHash {
        HelloHash::of(&self.hello)
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
