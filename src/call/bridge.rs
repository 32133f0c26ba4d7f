//! The bridge: two legs, their routes, their media plan, their limits.

use super::{Env, Failure, Incoming, Input, Output, leg::Profile};
use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// What all calls of a server have in common.
#[derive(Clone, Debug)]
pub struct CallSettings {
    /// Of both legs.
    pub profile: Arc<Profile>,
    /// `max-call-duration`.
    pub max_duration: Option<Duration>,
    /// `no-rtp-timeout`.
    pub no_rtp: Option<Duration>,
    /// `media-address`: what is bound and signalled instead of the leg's own SIP address, by family.
    pub media_addresses: Vec<IpAddr>,
    /// SDES suites offered when a rule names none.
    pub suites: Vec<crate::media::Suite>,
}

/// One call.
pub struct Call {}

impl Call {
    /// Takes the caller's INVITE.
    ///
    /// # Errors
    /// What the INVITE is to be answered with.
    pub fn new(invite: Incoming, settings: Arc<CallSettings>, env: &mut Env<'_>) -> Result<Self, Failure> {
        let _ = (invite, settings, env.now);
        todo!()
    }
    /// Feeds one input.
    pub fn handle(&mut self, input: Input, env: &mut Env<'_>) {
        let _ = (input, env.now);
        todo!()
    }
    /// A deadline has passed.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        let _ = env.now;
        todo!()
    }
    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }
    /// When to call `handle_timeout`.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }
}
