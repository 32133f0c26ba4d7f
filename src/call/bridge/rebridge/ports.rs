//! Ports of a guest's own, where its media would live at another address of ours than that of whose place it takes.

use super::*;
use crate::{call::media_plan::Belongings, media::StreamKind};
use std::net::SocketAddr;

/// How a guest goes on that waits for ports.
#[derive(Debug)]
pub(super) enum Next {
    /// It is called there.
    Dial(Vec<Target>),
    /// It is a leg of another call, with what came with it, and is offered something.
    Adopt((IpAddr, Box<Belongings>)),
    /// It has called, and is offered something.
    Offer(Box<Caller>),
    /// It has called with an offer, to pick up what rings.
    PickUp(Box<Caller>),
    /// It has called with an offer, of which the party that stays is asked.
    Ask,
}

impl Call {
    /// Sees that a guest reached from that address of ours has the ports that it needs. `None`: they are being bound, and then it goes on.
    pub(super) fn with_ports(
        &mut self,
        local: IpAddr,
        streams: &[(StreamId, StreamKind)],
        next: Next,
    ) -> Option<Next> {
        let by = self.rebridge.as_ref()?.by;
        let commands = self.media.reserve(by, local, streams);
        self.command(commands);
        if self.media.is_reserved() {
            return Some(next);
        }
        self.rebridge.as_mut()?.stage = Stage::Opening(next);
        None
    }

    /// Ports in reserve are bound, or could not be.
    pub(in crate::call::bridge) fn reserved(
        &mut self,
        number: u32,
        stream: StreamId,
        bound: Result<(SocketAddr, SocketAddr), String>,
        env: &mut Env<'_>,
    ) {
        if let Err(reason) = &bound {
            tracing::warn!(?stream, reason, "no media port for the target of a transfer");
        }
        if !self.media.reserved(number, stream, bound.as_ref().ok().copied()) {
            return;
        }
        let Some(rebridge) = &mut self.rebridge else {
            return;
        };
        let next = match std::mem::replace(&mut rebridge.stage, Stage::Calling) {
            Stage::Opening(next) => next,
            stage => {
                rebridge.stage = stage;
                return;
            }
        };
        let failure = || {
            Failure::of(Kind::Capacity, Origin::Local)
                .because("No media port")
                .with("Retry-After", "10")
        };
        match (bound, next) {
            (Ok(_), Next::Dial(targets)) => self.call_guest(targets, env),
            (Ok(_), Next::Adopt(adoptee)) => self.offer_to_adoptee(adoptee, env),
            (Ok(_), Next::Offer(caller)) => self.offer_to_guest(caller, env),
            // What rang may have been answered meanwhile.
            (Ok(_), Next::PickUp(caller)) => rebridge.stage = Stage::Admitted(caller),
            // `settle` sees when the party that stays can be asked.
            (Ok(_), Next::Ask) => {}
            (Err(_), next @ Next::Adopt(_)) => {
                rebridge.stage = Stage::Opening(next);
                self.adoptee_not_seated(&failure(), env);
            }
            (Err(_), Next::Dial(_)) => self.guest_failed(failure(), env),
            (Err(_), Next::Offer(_) | Next::PickUp(_) | Next::Ask) => self.turn_away(failure(), env),
        }
    }
}
