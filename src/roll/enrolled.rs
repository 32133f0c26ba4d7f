//! What a machine must be to stand on a roll.

use crate::{
    call::{Env, LookupError, Transmit},
    sip::{
        Text,
        routing::{NextHop, Target},
        timers::Timers,
    },
};
use std::{fmt::Debug, hash::Hash, sync::Arc, time::Duration, time::Instant};

/// A machine that keeps one account where it should be. Contract: after any call, drain [`Self::poll_output`] to `None`, then wait for
/// a message, a turn or [`Self::poll_timeout`].
pub trait Enrolled: Sized + Debug {
    /// What it is told to do.
    type Plan: Debug + PartialEq;
    /// What the wire knows it by: of a Call-ID, a dialog, a connection.
    type Name: Clone + Debug + Eq + Hash;
    /// What can be known of it.
    type View: Clone + Debug + PartialEq;
    /// What its server tells unasked.
    type News: Debug;

    /// One at its beginning.
    fn new(plan: Arc<Self::Plan>, user_agent: Text, timers: Timers, env: &mut Env<'_>) -> Self;
    /// What it was told.
    fn plan(&self) -> &Arc<Self::Plan>;
    /// The least time between its turn and the next of its pool; zero: all at once.
    fn throttle(&self) -> Duration;
    /// What is to be known of it now.
    fn view(&self) -> Self::View;
    /// Whether it waits for its turn.
    fn is_queued(&self) -> bool;
    /// Whether there is something to lose if its turn is late.
    fn is_urgent(&self) -> bool;
    /// Whether all is said.
    fn is_done(&self) -> bool;
    /// Whether [`Self::update`] can make it follow that plan; else it is ended, and another one begun.
    fn can_become(&self, plan: &Self::Plan) -> bool;
    /// Goes on by another plan, which it [can](Self::can_become).
    fn update(&mut self, plan: Arc<Self::Plan>);
    /// It is its turn: begins an operation. Nothing when it did not wait for one.
    fn turn(&mut self, env: &mut Env<'_>);
    /// The answer to [`EnrolledOutput::Lookup`].
    fn resolved(&mut self, hop: &NextHop, found: Result<Vec<Target>, LookupError>, env: &mut Env<'_>);
    /// A deadline has passed.
    fn handle_timeout(&mut self, env: &mut Env<'_>);
    /// Its account has gone: undoes at its server what it has done there, then [`EnrolledOutput::Finished`].
    fn end(&mut self);
    /// The server ends: as [`Self::end`], or as the plan wants it then.
    fn close(&mut self) {
        self.end();
    }
    /// When to call [`Self::handle_timeout`].
    fn poll_timeout(&self) -> Option<Instant>;
    /// The next thing that it wants done.
    fn poll_output(&mut self) -> Option<EnrolledOutput<Self>>;
}

/// What one that is [`Enrolled`] wants done.
#[derive(Debug)]
pub enum EnrolledOutput<M: Enrolled> {
    /// Call [`Enrolled::turn`] when it is its turn.
    Turn,
    /// Resolve this (RFC 3263); answered by [`Enrolled::resolved`].
    Lookup(NextHop),
    /// What comes by this name is for it from now on.
    Named(M::Name),
    /// What comes by this name is not for it any more.
    Unnamed(M::Name),
    /// Send this.
    Transmit(Transmit),
    /// A target did not answer.
    Dead(Target),
    /// Its server has told this.
    News(M::News),
    /// [`Enrolled::view`] has changed.
    Changed,
    /// The last output: nothing of it is left, or its server does not care. All its names have been taken back before.
    Finished,
}
