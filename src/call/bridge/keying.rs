//! Key agreements at the media's ports: begun and ended as descriptions say, fed with what the relay hands up, and their
//! keys given to the relay.

use super::{Call, Cause, Env, Kind, Origin, Output, Phase, Side, StreamId, client_hello};
use crate::{
    call::{
        CallEvent, Encryption,
        handshake::{HandshakeCommand, HandshakeId, HandshakeResult},
        media_plan::{Association, Role},
    },
    media::{Component, SrtpKeys, StreamKind, packet},
};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// How long an answered call may be without the keys of its voice. DTLS repeats its flights after 1, 2, 4 and 8 s (RFC 6347
/// §4.2.4.1).
const PATIENCE: Duration = Duration::from_secs(15);
/// Handshakes at one port at the same time: with the peer where it is said to be, and where it may be besides.
const MOST_HANDSHAKES: usize = 4;

/// All of a call.
#[derive(Debug, Default)]
pub(super) struct Agreements {
    dtls: BTreeMap<(Side, StreamId), Dtls>,
    handshakes: u64,
    /// ZRTP streams without keys, and until when they may be.
    zrtp: BTreeMap<(Side, StreamId), Instant>,
    /// Associations of a party whose place another has taken, who may come back.
    aside: BTreeMap<(Side, StreamId), Dtls>,
}

/// The DTLS association of one stream.
#[derive(Debug)]
struct Dtls {
    wanted: Association,
    /// Without keys by then the leg has failed.
    deadline: Option<Instant>,
    rtp: Port,
    rtcp: Port,
}

/// Handshakes at one port.
#[derive(Debug, Default)]
struct Port(Vec<Handshake>);

impl Port {
    fn is_keyed(&self) -> bool {
        self.0.iter().any(|handshake| handshake.done)
    }
}

#[derive(Debug)]
struct Handshake {
    id: HandshakeId,
    with: SocketAddr,
    /// The random of its ClientHello: the same in each repetition of it.
    hello: Option<[u8; 32]>,
    done: bool,
}

impl Dtls {
    fn port(&mut self, component: Component) -> &mut Port {
        match component {
            Component::Rtp => &mut self.rtp,
            Component::Rtcp => &mut self.rtcp,
        }
    }
    /// Where the peer is said to be; `None` where this port has no association.
    fn signalled(&self, component: Component) -> Option<SocketAddr> {
        match component {
            Component::Rtp => Some(self.wanted.rtp),
            Component::Rtcp => self.wanted.rtcp,
        }
    }
}

impl Agreements {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let dtls = self.dtls.values().filter_map(|dtls| dtls.deadline);
        dtls.chain(self.zrtp.values().copied()).min()
    }
    /// Keys of a ZRTP stream of an answered call are owed from now on, unless they were already.
    pub(super) fn owe_zrtp(&mut self, place: (Side, StreamId), now: Instant) {
        self.zrtp.entry(place).or_insert(now + PATIENCE);
    }
    pub(super) fn owes_zrtp(&self, place: (Side, StreamId)) -> bool {
        self.zrtp.contains_key(&place)
    }
    /// They are there.
    pub(super) fn settle_zrtp(&mut self, place: (Side, StreamId)) {
        self.zrtp.remove(&place);
    }
    /// Only these streams are ZRTP's now.
    pub(super) fn keep_zrtp(&mut self, streams: &[(Side, StreamId)]) {
        self.zrtp.retain(|place, _| streams.contains(place));
    }
}

impl Call {
    fn handshake(&mut self, command: HandshakeCommand) {
        self.put(Output::Handshake(command));
    }

    fn begin_handshake(
        &mut self,
        (side, stream): (Side, StreamId),
        component: Component,
        with: SocketAddr,
        hello: Option<[u8; 32]>,
    ) -> Option<HandshakeId> {
        self.agreements.handshakes += 1;
        let number = self.agreements.handshakes;
        let dtls = self.agreements.dtls.get_mut(&(side, stream))?;
        let id = HandshakeId {
            side,
            stream,
            component,
            number,
        };
        let (role, fingerprints) = (dtls.wanted.role, dtls.wanted.fingerprints.clone());
        dtls.port(component).0.push(Handshake {
            id,
            with,
            hello,
            done: false,
        });
        self.handshake(HandshakeCommand::Begin {
            id,
            role,
            with,
            fingerprints,
        });
        Some(id)
    }

    /// Begins and ends associations as the descriptions that are agreed say. To be called whenever they have changed.
    pub(super) fn agree_on_keys(&mut self, env: &mut Env<'_>) {
        self.begin_zrtp(env);
        let wanted: BTreeMap<_, _> = self.media.associations().into_iter().collect();
        let gone: Vec<_> = self
            .agreements
            .dtls
            .iter()
            .filter(|(place, dtls)| wanted.get(place) != Some(&dtls.wanted))
            .map(|(place, _)| *place)
            .collect();
        for place in gone {
            self.end_association(place);
        }
        let up = matches!(self.phase, Phase::Up);
        for (place, association) in wanted {
            let keyed = self.media.is_keyed(place.0, place.1);
            let begun = self.agreements.dtls.contains_key(&place);
            let dtls = self.agreements.dtls.entry(place).or_insert_with(|| Dtls {
                wanted: association.clone(),
                deadline: None,
                rtp: Port::default(),
                rtcp: Port::default(),
            });
            if up && !keyed {
                dtls.deadline.get_or_insert(env.now + PATIENCE);
            }
            let idle = dtls.rtp.0.is_empty() && (!begun || !keyed);
            let reports = association.rtcp.filter(|_| dtls.rtcp.0.is_empty());
            if association.role == Role::Client && idle {
                self.begin_handshake(place, Component::Rtp, association.rtp, None);
                if let Some(rtcp) = reports {
                    self.begin_handshake(place, Component::Rtcp, rtcp, None);
                }
            }
        }
    }

    fn end_association(&mut self, place: (Side, StreamId)) {
        let Some(dtls) = self.agreements.dtls.remove(&place) else {
            return;
        };
        self.end_handshakes(dtls);
    }
    fn end_handshakes(&mut self, dtls: Dtls) {
        for handshake in dtls.rtp.0.into_iter().chain(dtls.rtcp.0) {
            self.handshake(HandshakeCommand::End(handshake.id));
        }
    }

    /// Another party takes a side's place: what its own has agreed on stays as it is, for when it comes back.
    pub(super) fn put_agreements_aside(&mut self, side: Side) {
        let all = std::mem::take(&mut self.agreements.dtls);
        let (aside, stay) = all.into_iter().partition(|((whose, _), _)| *whose == side);
        self.agreements.aside = aside;
        self.agreements.dtls = stay;
        self.agreements.zrtp.retain(|(whose, _), _| *whose != side);
    }
    /// It comes back.
    pub(super) fn take_agreements_back(&mut self, side: Side) {
        let of_side = |((whose, _), _): &(&(Side, StreamId), &Dtls)| *whose == side;
        let places: Vec<_> = self
            .agreements
            .dtls
            .iter()
            .filter(of_side)
            .map(|(place, _)| *place)
            .collect();
        places.into_iter().for_each(|place| self.end_association(place));
        self.agreements.zrtp.retain(|(whose, _), _| *whose != side);
        let aside = std::mem::take(&mut self.agreements.aside);
        self.agreements.dtls.extend(aside);
    }
    /// It does not come back.
    pub(super) fn forget_agreements_aside(&mut self) {
        for dtls in std::mem::take(&mut self.agreements.aside).into_values() {
            self.end_handshakes(dtls);
        }
    }

    /// The call is over.
    pub(super) fn end_agreements(&mut self) {
        self.forget_agreements_aside();
        while let Some(place) = self.agreements.dtls.keys().next().copied() {
            self.end_association(place);
        }
        self.agreements.zrtp.clear();
        self.media.zrtp_end();
    }

    /// A datagram of a key agreement came.
    pub(super) fn control(
        &mut self,
        place: (Side, StreamId),
        component: Component,
        from: SocketAddr,
        bytes: Vec<u8>,
        env: &mut Env<'_>,
    ) {
        if packet::classify(&bytes) == packet::Kind::Zrtp {
            return self.zrtp_packet(place, from, &bytes, env);
        }
        let Some(dtls) = self.agreements.dtls.get_mut(&place) else {
            return tracing::debug!("a datagram for no key agreement");
        };
        let (role, signalled) = (dtls.wanted.role, dtls.signalled(component));
        let Some(signalled) = signalled else {
            return tracing::debug!("DTLS at the RTCP port of a stream with rtcp-mux");
        };
        let hello = client_hello::random(&bytes).filter(|_| role == Role::Server);
        let port = dtls.port(component);
        // The newest one first: the one before it goes on only to be there while that one is not done.
        let known = port.0.iter().rev().find(|handshake| handshake.with == from);
        let id = match (known, hello) {
            (Some(known), None) => Some(known.id),
            (Some(known), Some(random)) if known.hello == Some(random) => Some(known.id),
            (None, None) => return tracing::trace!("a datagram for no handshake"),
            // Another association is made by descriptions (RFC 8842 §4). Who is to take this party's place may greet before its
            // answer is here, and would be asked for the certificate of this one: it greets again.
            (None, Some(_)) if from != signalled && port.is_keyed() => {
                return tracing::debug!(%from, "a stranger's ClientHello at a port that has keys");
            }
            (_, Some(random)) => {
                // A new one. What it replaces is ended now if it has not come to an end, and else when this one has.
                let unfinished = |handshake: &Handshake| handshake.with == from && !handshake.done;
                let strange = |handshake: &Handshake| handshake.with != signalled;
                let mut ended = port
                    .0
                    .extract_if(.., |handshake| unfinished(handshake))
                    .collect::<Vec<_>>();
                if port.0.len() >= MOST_HANDSHAKES {
                    let Some(place) = port.0.iter().position(strange).filter(|_| from == signalled) else {
                        return tracing::debug!("as many handshakes at one port as there may be");
                    };
                    ended.push(port.0.remove(place));
                }
                for handshake in ended {
                    self.handshake(HandshakeCommand::End(handshake.id));
                }
                self.begin_handshake(place, component, from, Some(random))
            }
        };
        if let Some(id) = id {
            self.handshake(HandshakeCommand::Datagram { id, bytes });
        }
    }

    /// A handshake has come to its end.
    pub(super) fn handshake_ended(&mut self, result: HandshakeResult, env: &mut Env<'_>) {
        let HandshakeResult { id, outcome } = result;
        let place = (id.side, id.stream);
        let Some(dtls) = self.agreements.dtls.get_mut(&place) else {
            return tracing::debug!("the result of a handshake that is over");
        };
        let port = dtls.port(id.component);
        let Some(at) = port.0.iter().position(|handshake| handshake.id == id) else {
            return tracing::debug!("the result of a handshake that is over");
        };
        match outcome {
            Ok(keys) => {
                port.0[at].done = true;
                // One is enough; earlier ones of this port, and those with strangers, end.
                let ended: Vec<_> = port.0.extract_if(.., |handshake| handshake.id != id).collect();
                for handshake in ended {
                    self.handshake(HandshakeCommand::End(handshake.id));
                }
                self.keyed(id, keys);
            }
            Err(why) => {
                tracing::info!(leg = ?id.side, stream = id.stream.0, component = ?id.component, why, "DTLS handshake failed");
                port.0.remove(at);
                let role = dtls.wanted.role;
                // As server we wait for another ClientHello while there is time.
                if role == Role::Client && id.component == Component::Rtp {
                    self.without_keys(place, &why, env);
                }
            }
        }
    }

    fn keyed(&mut self, id: HandshakeId, keys: SrtpKeys) {
        let (side, stream) = (id.side, id.stream);
        let Some(dtls) = self.agreements.dtls.get_mut(&(side, stream)) else {
            return;
        };
        let fingerprints = dtls.wanted.fingerprints.clone();
        if id.component == Component::Rtp {
            dtls.deadline = None;
        }
        self.media
            .set_keys(side, stream, id.component, fingerprints, keys);
        let commands = self
            .media
            .reconnect(side, stream, matches!(self.phase, Phase::Up));
        self.command(commands.into_iter().collect());
        if id.component == Component::Rtp {
            self.event(CallEvent::Keyed {
                side,
                encryption: Encryption::DtlsSrtp,
                sas: None,
            });
        }
    }

    /// Deadlines of keys.
    pub(super) fn keys_overdue(&mut self, env: &mut Env<'_>) {
        let now = env.now;
        let overdue: Vec<_> = self
            .agreements
            .dtls
            .iter_mut()
            .filter_map(|(place, dtls)| dtls.deadline.take_if(|at| *at <= now).map(|_| *place))
            .collect();
        let late = self.agreements.zrtp.extract_if(.., |_, at| *at <= now);
        let overdue: Vec<_> = overdue.into_iter().chain(late.map(|(place, _)| place)).collect();
        for place in overdue {
            self.without_keys(place, "no keys in time", env);
        }
    }

    /// A stream of an answered call cannot be keyed. Without its voice the call ends; other streams stay silent, and
    /// nothing of any of them ever passes in the clear.
    pub(super) fn without_keys(&mut self, (side, stream): (Side, StreamId), why: &str, env: &mut Env<'_>) {
        if self.media.is_keyed(side, stream) || !matches!(self.phase, Phase::Up) {
            return;
        }
        tracing::warn!(leg = ?side, stream = stream.0, why, "a stream without keys");
        if self.media.kind(side, stream) == StreamKind::Audio {
            let cause = Cause {
                reasons: vec!["SIP;cause=488;text=\"No keys for the media\"".into()],
                ..Cause::of(Kind::NotAcceptable, Origin::Local)
            };
            self.hang_up(None, cause, env);
        }
    }
}
