//! From what is agreed to what the relay is told.

use super::{
    Association, Encryption, MediaPlan, NatLatching, Party, Session, Side, Voice, key_frames::key_frames,
    keyring::Keys, leg::Stream,
};
use crate::{
    media::{
        Component, Connect, KeyAgreement, MediaCommand, Protections, Remote, SrtpKeys, StreamId, StreamKind,
    },
    sdp::Fingerprint,
};
use std::net::SocketAddr;

impl MediaPlan {
    /// The ports that the streams of `session` need and that are not open.
    pub fn missing(&self, session: &Session, offerer: Side) -> Vec<MediaCommand> {
        let leg = session.leg(offerer);
        let mut commands = Vec::new();
        for (index, _) in leg.streams.iter().enumerate().filter(|(_, stream)| stream.active) {
            for side in [Side::A, Side::B] {
                let voice = self.voice(side);
                if let (false, Some(address)) = (voice.ports.contains_key(&index), voice.address) {
                    commands.push(MediaCommand::Open {
                        side,
                        stream: StreamId(index),
                        kind: leg.kind(index),
                        address,
                    });
                }
            }
        }
        commands
    }
    /// Ports are bound.
    pub fn opened(&mut self, side: Side, stream: StreamId, rtp: SocketAddr, rtcp: SocketAddr) {
        self.voice_mut(side).ports.insert(stream.0, (rtp, rtcp));
    }
    /// An answer before the answer (early media): connects what it agrees to, and closes nothing, because the next fork may take
    /// what this one refused.
    pub fn preview(&mut self, session: Session) -> Vec<MediaCommand> {
        self.agreed = session;
        let connect = |side, index| self.connect(side, index, false);
        let active = |&index: &usize| self.agreed.a.is_active(index) && self.agreed.b.is_active(index);
        (0..self.agreed.a.streams.len())
            .filter(active)
            .flat_map(|index| [connect(Side::A, index), connect(Side::B, index)])
            .flatten()
            .map(|connect| MediaCommand::Connect(Box::new(connect)))
            .collect()
    }
    /// An exchange has its answer: this is what is agreed from now on. Returns what the relay is to do; silence is watched
    /// once the call is `answered`.
    pub fn commit(&mut self, session: Session, answered: bool) -> Vec<MediaCommand> {
        self.agreed = session;
        self.commands(answered)
    }

    /// What the relay is to do: each stream that is agreed, and ports that nobody uses closed.
    ///
    /// Keys that were agreed on at those ports stay: a peer that takes the stream in again with the certificate or the ZRTP Hello
    /// that it had may take it for the same association and say nothing more about keys, as Linphone does. The relay's numbers go on
    /// from where they were, so no index is used twice; and who does agree anew replaces them.
    pub fn commands(&mut self, answered: bool) -> Vec<MediaCommand> {
        let mut commands = Vec::new();
        let mut open: Vec<usize> = self.a.ports.keys().chain(self.b.ports.keys()).copied().collect();
        open.sort_unstable();
        open.dedup();
        for index in open {
            if !(self.agreed.a.is_active(index) && self.agreed.b.is_active(index)) {
                self.a.ports.remove(&index);
                self.b.ports.remove(&index);
                self.a.zrtp_out(index);
                self.b.zrtp_out(index);
                commands.push(MediaCommand::Shut {
                    stream: StreamId(index),
                });
                continue;
            }
            for side in [Side::A, Side::B] {
                commands.extend(
                    self.connect(side, index, answered)
                        .map(Box::new)
                        .map(MediaCommand::Connect),
                );
            }
        }
        commands
    }

    /// An offer was refused: ports that were opened for it are closed.
    pub fn abandon(&mut self) -> Vec<MediaCommand> {
        let commands = self.commands(false);
        let shut = |command: &MediaCommand| matches!(command, MediaCommand::Shut { .. });
        commands.into_iter().filter(shut).collect()
    }

    pub(super) fn connect(&self, side: Side, index: usize, answered: bool) -> Option<Connect> {
        let (voice, leg) = (self.voice(side), self.agreed.leg(side));
        let stream = leg.streams.get(index)?;
        let heard = leg.heard.as_ref()?;
        let media = heard.media.get(index)?;
        let rtp = heard.rtp(media);
        let found = voice.found(index, stream);
        // Keyed, but no key: nothing passes.
        let of = |component| found.map_or(Protections::BLOCKED, |keys| keys.protections(component));
        let (protections, apart, agreement) = match leg.mode {
            Some(Encryption::None) => {
                let hears = leg.hears_hello(side).then_some(KeyAgreement::Zrtp);
                (Protections::CLEAR, None, hears)
            }
            Some(Encryption::DtlsSrtp) => {
                let apart = (!stream.mux).then(|| of(Component::Rtcp));
                (of(Component::Rtp), apart, Some(KeyAgreement::Dtls))
            }
            // One exchange keys RTP and RTCP (RFC 6189 §4.5.3).
            Some(Encryption::Zrtp) => (of(Component::Rtp), None, Some(KeyAgreement::Zrtp)),
            Some(Encryption::Sdes) | None => {
                let keys = stream.keys().map_or(Protections::BLOCKED, Protections::from);
                (keys, None, None)
            }
        };
        Some(Connect {
            side,
            stream: StreamId(index),
            remote: Remote {
                rtp,
                rtcp: if stream.mux { rtp } else { heard.rtcp(media) },
                mux: stream.mux,
                also_from: voice.also_from.clone(),
                latch_any: self.latching == NatLatching::Any,
            },
            receive: protections.receive,
            send: protections.send,
            rtcp: apart.map(Box::new),
            agreement,
            payloads: self.agreed.renumbers(side, index),
            clocks: self.agreed.clocks(side, index),
            feedback: self.agreed.takes_feedback(side, index),
            key_frames: key_frames(media),
            events: self.events(side, index),
            // Only who is to send can be silent, and not while either holds the other: many say that they play music, and play
            // none (acceptance #11). Video may pause as it likes.
            silence: self.no_rtp.filter(|_| {
                let back = self.agreed.leg(side.other()).streams.get(index);
                let both = stream.sends && back.is_some_and(|back| back.sends);
                answered && both && leg.kind(index) == StreamKind::Audio
            }),
            alive: (self.rtp_keepalive).filter(|_| answered && leg.kind(index) == StreamKind::Audio),
        })
    }
}

impl Voice {
    /// The keys of a stream that were agreed on at its ports, with the peer that it has now.
    fn found(&self, index: usize, stream: &Stream) -> Option<&Keys> {
        let party = match stream.association() {
            Some(association) => Party::Certificate(association.fingerprints),
            None => self.zrtp_party()?,
        };
        self.keys.find(index, &party)
    }
}

/// Keys that are agreed on at the media's ports.
impl MediaPlan {
    /// The DTLS associations that there should be.
    pub fn associations(&self) -> Vec<((Side, StreamId), Association)> {
        let of = |side| {
            let streams = self.agreed.leg(side).streams.iter().enumerate();
            streams.filter_map(move |(index, stream)| {
                self.agreed
                    .leg(Side::other(side))
                    .is_active(index)
                    .then_some(())?;
                Some(((side, StreamId(index)), stream.association()?))
            })
        };
        of(Side::A).chain(of(Side::B)).collect()
    }
    /// Takes the keys of one port, agreed on with whom those fingerprints are.
    pub fn set_keys(
        &mut self,
        side: Side,
        stream: StreamId,
        component: Component,
        peer: Vec<Fingerprint>,
        keys: SrtpKeys,
    ) {
        let party = Party::Certificate(peer);
        self.voice_mut(side).keys.set(stream.0, party, component, keys);
    }
    /// Whether a stream has the keys that are agreed on at its RTP port.
    pub fn is_keyed(&self, side: Side, stream: StreamId) -> bool {
        let found = self.agreed.leg(side).streams.get(stream.0);
        found
            .and_then(|known| self.voice(side).found(stream.0, known))
            .is_some_and(Keys::are_whole)
    }
    /// What the relay is told of one side of a stream now.
    pub fn reconnect(&self, side: Side, stream: StreamId, answered: bool) -> Option<MediaCommand> {
        let other = self.agreed.leg(side.other()).is_active(stream.0);
        let connect = other.then(|| self.connect(side, stream.0, answered)).flatten()?;
        Some(MediaCommand::Connect(Box::new(connect)))
    }
    /// What kind of stream it is.
    pub fn kind(&self, side: Side, stream: StreamId) -> StreamKind {
        self.agreed.leg(side).kind(stream.0)
    }
}
