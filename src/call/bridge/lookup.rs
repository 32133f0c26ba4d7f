//! Name lookups that legs and set-up ask for.

use super::{Call, Env, LookupError, NextHop, Output, Side, Target, Text};
use std::collections::VecDeque;

/// Lookups: one at a time for each side, so that answers cannot be confused.
#[derive(Default)]
pub(super) struct Lookups {
    a: VecDeque<(Asker, NextHop)>,
    b: VecDeque<(Asker, NextHop)>,
}

/// Who wants a lookup's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asker {
    /// The next attempt.
    Setup,
    /// Who is to take another's place.
    Guest,
    /// A leg, by Call-ID.
    Leg(Text),
}

impl Lookups {
    fn of(&mut self, side: Side) -> &mut VecDeque<(Asker, NextHop)> {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
}

impl Call {
    pub(super) fn look_up(&mut self, side: Side, asker: Asker, hop: NextHop) {
        let queue = self.lookups.of(side);
        queue.push_back((asker, hop.clone()));
        if queue.len() == 1 {
            self.put(Output::Lookup(side, hop));
        }
    }

    pub(super) fn targets(
        &mut self,
        side: Side,
        targets: Result<Vec<Target>, LookupError>,
        env: &mut Env<'_>,
    ) {
        let queue = self.lookups.of(side);
        let Some((asker, _)) = queue.pop_front() else {
            return tracing::debug!("targets that nobody asked for");
        };
        if let Some((_, hop)) = queue.front().cloned() {
            self.put(Output::Lookup(side, hop));
        }
        match asker {
            Asker::Setup => self.dial_targets(targets, env),
            Asker::Guest => self.guest_targets(targets, env),
            Asker::Leg(id) => {
                if let Some(member) = self.member(&id) {
                    member.leg.handle_targets(targets, env);
                }
            }
        }
    }
}
