//! What is agreed, or being offered.

use super::{formats::Formats, leg::LegState};
use crate::call::{Encryption, Side};

/// What is negotiated on both legs: agreed, or being offered.
#[derive(Clone, Debug, Default)]
pub struct Session {
    pub(super) a: LegState,
    pub(super) b: LegState,
    /// By m-line.
    pub(super) formats: Vec<Formats>,
}

impl Session {
    pub(super) fn leg(&self, side: Side) -> &LegState {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
    pub(super) fn leg_mut(&mut self, side: Side) -> &mut LegState {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
    /// How many streams a leg has, refused ones included.
    pub fn streams(&self, side: Side) -> usize {
        self.leg(side).streams.len()
    }
    /// How a leg is keyed; `None` before it is known.
    pub fn encryption(&self, side: Side) -> Option<Encryption> {
        self.leg(side).mode
    }
}
