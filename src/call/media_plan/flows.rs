//! From what is agreed to what the relay is told.

use super::{Encryption, MediaPlan, NatLatching, Session, Side};
use crate::media::{Connect, MediaCommand, Protection, Remote, StreamId, StreamKind};
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
    pub fn commands(&mut self, answered: bool) -> Vec<MediaCommand> {
        let mut commands = Vec::new();
        let mut open: Vec<usize> = self.a.ports.keys().chain(self.b.ports.keys()).copied().collect();
        open.sort_unstable();
        open.dedup();
        for index in open {
            if !(self.agreed.a.is_active(index) && self.agreed.b.is_active(index)) {
                self.a.ports.remove(&index);
                self.b.ports.remove(&index);
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

    fn connect(&self, side: Side, index: usize, answered: bool) -> Option<Connect> {
        let (voice, leg) = (self.voice(side), self.agreed.leg(side));
        let stream = leg.streams.get(index)?;
        let heard = leg.heard.as_ref()?;
        let media = heard.media.get(index)?;
        let rtp = heard.rtp(media);
        let (send, receive) = match (leg.mode, stream.keys()) {
            (Some(Encryption::None), _) => (Protection::Clear, Protection::Clear),
            (_, Some(keys)) => (
                Protection::Srtp(keys.send.clone()),
                Protection::Srtp(keys.receive.clone()),
            ),
            // Keyed, but no key: nothing passes.
            (_, None) => (Protection::Blocked, Protection::Blocked),
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
            receive,
            send,
            rtcp: None,
            agreement: None,
            // Only who is to send can be silent; video may pause as it likes.
            silence: self
                .no_rtp
                .filter(|_| answered && stream.sends && leg.kind(index) == StreamKind::Audio),
        })
    }
}
