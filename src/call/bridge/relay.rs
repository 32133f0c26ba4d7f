//! What the relay is told, and what it tells.

use super::{
    Call, Cause, Env, Failure, Kind, MediaCommand, MediaEvent, Origin, Output, Phase, Side, StreamId,
};
use std::time::Instant;

/// The relay's part of this call.
#[derive(Debug, Default)]
pub(super) struct Relay {
    /// Whether it was ever told anything.
    pub(super) used: bool,
    /// Ports asked for and not yet there.
    pub(super) opening: Vec<(Side, StreamId)>,
    /// `Close` was sent: its answer is awaited until then.
    pub(super) closing: Option<Instant>,
    pub(super) closed: bool,
}

impl Call {
    pub(super) fn command(&mut self, commands: Vec<MediaCommand>) {
        self.relay.used |= !commands.is_empty();
        self.outputs.extend(commands.into_iter().map(Output::Media));
    }

    pub(super) fn media_event(&mut self, event: MediaEvent, env: &mut Env<'_>) {
        match event {
            MediaEvent::Opened {
                side,
                stream,
                rtp,
                rtcp,
            } => {
                let before = self.relay.opening.len();
                self.relay.opening.retain(|&wanted| wanted != (side, stream));
                if self.relay.opening.len() < before {
                    self.media.opened(side, stream, rtp, rtcp);
                    if self.relay.opening.is_empty() {
                        self.ports_are_open(env);
                    }
                }
            }
            MediaEvent::OpenFailed { side, stream, reason } => {
                tracing::warn!(?side, ?stream, reason, "no media port");
                if !self.relay.opening.is_empty() {
                    self.relay.opening.clear();
                    self.ports_failed(env);
                }
            }
            MediaEvent::Reserved {
                stream,
                number,
                rtp,
                rtcp,
                ..
            } => self.reserved(number, stream, Ok((rtp, rtcp)), env),
            MediaEvent::ReserveFailed {
                stream,
                number,
                reason,
                ..
            } => self.reserved(number, stream, Err(reason), env),
            MediaEvent::Control {
                side,
                stream,
                component,
                from,
                bytes,
            } => self.control((side, stream), component, from, bytes, env),
            MediaEvent::Authenticated { side, stream } => {
                self.media.zrtp_proved(side, stream, env);
                self.drain_zrtp(env);
            }
            // Its media may live in another call by now.
            MediaEvent::Silent { side, .. } if self.adoption.is_away(side) => {}
            MediaEvent::Silent { side, stream } => {
                tracing::info!(?side, ?stream, "no media, call ends");
                if matches!(self.phase, Phase::Up) {
                    self.hang_up(None, Cause::of(Kind::MediaLost, Origin::Local), env);
                }
            }
            MediaEvent::Digit { side, event, .. } => self.digit_heard(side, event, env),
            MediaEvent::Closed(stats) => {
                self.record.media = stats;
                self.relay.closing = None;
                self.relay.closed = true;
                self.reported(env);
            }
            MediaEvent::Counted(stats) => {
                // What it said at its end stands.
                if !self.relay.closed {
                    self.record.media = stats;
                }
                self.reported(env);
            }
        }
    }

    /// Asks for the ports that the open exchange needs; goes on at once when it needs none.
    pub(super) fn open_ports(&mut self, env: &mut Env<'_>) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        exchange.ports = true;
        let missing = match exchange.offerer {
            Some(offerer) => self.media.missing(&exchange.session, offerer),
            None => Vec::new(),
        };
        self.relay.opening = missing
            .iter()
            .filter_map(|command| match command {
                MediaCommand::Open { side, stream, .. } => Some((*side, *stream)),
                _ => None,
            })
            .collect();
        self.command(missing);
        if self.relay.opening.is_empty() {
            self.ports_are_open(env);
        }
    }

    pub(super) fn ports_are_open(&mut self, env: &mut Env<'_>) {
        let Some(exchange) = self.exchange.as_mut().filter(|exchange| exchange.ports) else {
            return;
        };
        exchange.ports = false;
        match std::mem::replace(&mut self.phase, Phase::Dialling) {
            Phase::Opening(targets) => self.dial(targets, env),
            phase => {
                self.phase = phase;
                self.pass_offer(env);
            }
        }
    }

    /// No port: the call cannot be, or the change cannot be made.
    pub(super) fn ports_failed(&mut self, env: &mut Env<'_>) {
        let failure = Failure::of(Kind::Capacity, Origin::Local)
            .because("No media port")
            .with("Retry-After", "10");
        match self.phase {
            Phase::Up => self.exchange_failed(failure, env),
            _ if self.early.is_some() => self.exchange_failed(failure, env),
            _ => self.fail(failure, env),
        }
    }
}
