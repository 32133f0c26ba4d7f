//! ZRTP at the media's ports: the associations of both legs, driven by what the relay hands up, by time, and by the store of
//! retained secrets.

use super::{Call, Env, Output, Phase, Side, StreamId};
use crate::{
    call::{
        CallEvent, Encryption,
        event::Sas,
        handshake::{ZrtpCommand, ZrtpRetained},
    },
    media::{
        Component, MediaCommand,
        zrtp::{self, Secured, StreamIndex},
    },
};

impl Call {
    /// Begins what the agreed descriptions want begun.
    pub(super) fn begin_zrtp(&mut self, env: &mut Env<'_>) {
        let streams = self.media.zrtp_streams();
        self.agreements.keep_zrtp(&streams);
        let early = !matches!(self.phase, Phase::Up);
        for (side, stream) in streams {
            if self.media.zrtp_turn(side, stream, early, env) {
                self.rekeyed(side, stream);
            }
            let keyed = self.media.is_keyed(side, stream);
            if !keyed || self.media.zrtp_is_back(side, stream) {
                self.media.zrtp_begin(side, stream, env);
            }
            if keyed && !self.media.is_keyed(side, stream) {
                self.rekeyed(side, stream);
            }
            if matches!(self.phase, Phase::Up) && !self.media.is_keyed(side, stream) {
                self.agreements.owe_zrtp((side, stream), env.now);
            }
        }
        self.drain_zrtp(env);
    }

    /// A ZRTP packet came.
    pub(super) fn zrtp_packet(
        &mut self,
        (side, stream): (Side, StreamId),
        from: std::net::SocketAddr,
        bytes: &[u8],
        env: &mut Env<'_>,
    ) {
        // What was on its way when the call ended has nobody to greet.
        if !matches!(self.phase, Phase::Over) && self.media.is_greeting(side, bytes) {
            tracing::info!(leg = ?side, %from, "a ZRTP Hello in plain media: the leg is keyed by ZRTP from now on");
            self.media.become_zrtp(side);
            if let Some(exchange) = &mut self.exchange {
                exchange.session.become_zrtp(side);
            }
            self.rekeyed_leg(side);
            self.begin_zrtp(env);
        }
        self.media.zrtp_packet(side, stream, from, bytes, env);
        self.drain_zrtp(env);
    }

    /// Nobody has answered the Hellos for a stream (RFC 6189 §6). While keys are owed they are said again, or the leg goes on in
    /// the clear where that is allowed; before the answer nobody may be there yet.
    fn zrtp_unanswered(&mut self, side: Side, stream: StreamId, env: &mut Env<'_>) {
        tracing::debug!(leg = ?side, stream = stream.0, "nobody answers the ZRTP Hello");
        if !self.agreements.owes_zrtp((side, stream)) {
            return;
        }
        if !self.media.may_yield(side) {
            return self.media.zrtp_begin(side, stream, env);
        }
        tracing::warn!(leg = ?side, "the callee does no ZRTP: by encryption-fallback the leg goes on IN THE CLEAR");
        self.media.yield_to_clear(side);
        if let Some(exchange) = &mut self.exchange {
            exchange.session.yield_to_clear(side);
        }
        self.agreements.keep_zrtp(&self.media.zrtp_streams());
        self.rekeyed_leg(side);
        self.event(CallEvent::Keyed {
            side,
            encryption: Encryption::None,
            sas: None,
        });
    }

    /// The relay learns of another encryption of all streams of a leg.
    fn rekeyed_leg(&mut self, side: Side) {
        for index in 0..self.media.agreed().streams(side) {
            self.rekeyed(side, StreamId(index));
        }
    }

    /// The store has answered.
    pub(super) fn zrtp_retained(&mut self, answer: ZrtpRetained, env: &mut Env<'_>) {
        self.media
            .zrtp_retained(answer.side, answer.peer, answer.retained, env);
        self.drain_zrtp(env);
    }

    /// Carries out what the associations want, until they want nothing more.
    pub(super) fn drain_zrtp(&mut self, env: &mut Env<'_>) {
        for side in [Side::A, Side::B] {
            while let Some(output) = self.media.zrtp_poll_output(side) {
                self.zrtp_output(side, output, env);
            }
        }
    }

    fn zrtp_output(&mut self, side: Side, output: zrtp::Output, env: &mut Env<'_>) {
        match output {
            zrtp::Output::Send(StreamIndex(index), bytes) => {
                let stream = StreamId(index);
                if let Some(to) = self.media.zrtp_target(side, stream) {
                    let component = Component::Rtp;
                    self.command(vec![MediaCommand::Send {
                        side,
                        stream,
                        component,
                        bytes,
                        to,
                    }]);
                }
            }
            zrtp::Output::Lookup(peer) => self.put(Output::Zrtp(ZrtpCommand::Lookup { side, peer })),
            zrtp::Output::Store(update) => self.put(Output::Zrtp(ZrtpCommand::Store(update))),
            zrtp::Output::ReceiveKey(StreamIndex(index), key) => {
                self.media.zrtp_key(side, StreamId(index), Some(key), None);
                self.rekeyed(side, StreamId(index));
            }
            zrtp::Output::SendKey(StreamIndex(index), key) => {
                self.media.zrtp_key(side, StreamId(index), None, Some(key));
                self.rekeyed(side, StreamId(index));
            }
            zrtp::Output::Secured(StreamIndex(index), secured) => {
                self.zrtp_secured(side, StreamId(index), &secured)
            }
            zrtp::Output::Unanswered(StreamIndex(index)) => {
                self.zrtp_unanswered(side, StreamId(index), env);
            }
            zrtp::Output::OtherHello(StreamIndex(index)) => {
                tracing::info!(leg = ?side, stream = index, "a ZRTP Hello of another exchange is ignored");
            }
            zrtp::Output::Failed(StreamIndex(index), failure) => {
                let stream = StreamId(index);
                tracing::info!(leg = ?side, stream = index, %failure, "ZRTP failed");
                self.media.zrtp_forget(side, stream);
                self.rekeyed(side, stream);
                self.without_keys((side, stream), &failure.to_string(), env);
            }
        }
    }

    fn zrtp_secured(&mut self, side: Side, stream: StreamId, secured: &Secured) {
        self.agreements.settle_zrtp((side, stream));
        let sas = secured.sas.as_ref().map(|sas| Sas {
            text: sas.text.clone(),
            verified: sas.verified,
            mismatch: sas.cache_mismatch,
        });
        if let Some(sas) = sas.clone() {
            self.media.zrtp_shows(side, sas);
        }
        self.event(CallEvent::Keyed {
            side,
            encryption: Encryption::Zrtp,
            sas,
        });
    }

    /// The relay learns of the keys that a stream has now.
    fn rekeyed(&mut self, side: Side, stream: StreamId) {
        let command = self
            .media
            .reconnect(side, stream, matches!(self.phase, Phase::Up));
        self.command(command.into_iter().collect());
    }
}
