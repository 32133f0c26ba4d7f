//! One SIP session towards one party: a user agent without socket or clock.

use super::{Env, Failure, Incoming, LookupError, Outgoing, Side, Signal, Transmit, signal::Body};
use crate::sip::{
    Text,
    routing::{Destination, DialogKey, NextHop, Target, TransactionKey},
    timers::Timers,
};
use std::{net::IpAddr, sync::Arc, time::Instant};

/// What both legs of all calls of a server have in common.
#[derive(Clone, Debug)]
pub struct Profile {
    /// `User-Agent` of requests and responses.
    pub user_agent: Text,
    /// RFC 3261 timers.
    pub timers: Timers,
}

/// What a leg wants done.
#[derive(Debug)]
pub enum LegOutput {
    /// Send this.
    Transmit(Transmit),
    /// Look this up; answered by [`Leg::handle_targets`].
    Lookup(NextHop),
    /// Tell the other leg.
    Signal(Signal),
    /// A dialog (early or not) has our tag from now on.
    Dialog(DialogKey),
    /// Final response for retransmissions that come after the leg has gone.
    Tombstone(TransactionKey, Transmit),
    /// Over: no timer left, nothing to send.
    Closed,
}

/// One SIP session.
pub struct Leg {}

impl Leg {
    /// Leg A: takes the caller's INVITE. Emits 100 and nothing else; its offer is read with [`Leg::offer`].
    ///
    /// # Errors
    /// When the INVITE breaks a rule; the failure is what it is to be answered with.
    pub fn accept(invite: Incoming, profile: Arc<Profile>, env: &mut Env<'_>) -> Result<Self, Failure> {
        let _ = (invite, profile, env.now);
        todo!()
    }
    /// Leg B: sends an INVITE to the first of `targets`, to the next ones by RFC 3263 §4.3.
    pub fn dial(
        plan: &Outgoing,
        body: Body,
        targets: Vec<Target>,
        max_forwards: u8,
        profile: Arc<Profile>,
        env: &mut Env<'_>,
    ) -> Self {
        let _ = (plan, body, targets, max_forwards, profile, env.now);
        todo!()
    }
    /// The offer of the initial INVITE (leg A).
    pub fn offer(&self) -> Body {
        todo!()
    }
    /// From the wire.
    pub fn handle_message(&mut self, message: Incoming, env: &mut Env<'_>) {
        let _ = (message, env.now);
        todo!()
    }
    /// From the bridge.
    pub fn handle_signal(&mut self, signal: Signal, env: &mut Env<'_>) {
        let _ = (signal, env.now);
        todo!()
    }
    /// The answer to [`LegOutput::Lookup`].
    pub fn handle_targets(&mut self, targets: Result<Vec<Target>, LookupError>, env: &mut Env<'_>) {
        let _ = (targets, env.now);
        todo!()
    }
    /// Sending failed.
    pub fn handle_undeliverable(&mut self, to: &Destination, env: &mut Env<'_>) {
        let _ = (to, env.now);
        todo!()
    }
    /// A deadline has passed.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        let _ = env.now;
        todo!()
    }
    /// The next thing to do; may have changed after any `handle_*`.
    pub fn poll_output(&mut self) -> Option<LegOutput> {
        todo!()
    }
    /// When to call `handle_timeout`; may have changed after any `handle_*`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
    /// The address of ours on this leg's path: where its media lives unless configured.
    pub fn local_ip(&self) -> Option<IpAddr> {
        todo!()
    }
    /// The dialog's Call-ID.
    pub fn call_id(&self) -> &Text {
        todo!()
    }
    /// A BYE that ends this leg from outside should its task die: the farewell (bytes complete, next CSeq).
    pub fn farewell(&self) -> Option<Transmit> {
        todo!()
    }
    /// Which side.
    pub fn side(&self) -> Side {
        todo!()
    }
}
