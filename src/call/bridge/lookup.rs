//! Name lookups that legs and set-up ask for.

use super::{Call, Env, LookupError, NextHop, Output, Side, Target, Text};
use crate::sip::routing::DialogKey;
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
    /// One that is in another call by now.
    Departed,
}

impl Lookups {
    fn of(&mut self, side: Side) -> &mut VecDeque<(Asker, NextHop)> {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
    /// A leg is in another call, and asks there.
    fn forget(&mut self, leg: &Text) {
        for (asker, _) in self.a.iter_mut().chain(&mut self.b) {
            if matches!(asker, Asker::Leg(known) if known == leg) {
                *asker = Asker::Departed;
            }
        }
    }
}

impl Call {
    /// A leg leaves for another call: messages of its dialog are forwarded to it, and nothing is looked up for it any more.
    pub(super) fn departs(&mut self, dialog: DialogKey) {
        self.lookups.forget(&dialog.call_id);
        self.adoption.departs(dialog);
    }
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
            Asker::Departed => tracing::debug!("targets for a leg that has left"),
            Asker::Guest => self.guest_targets(targets, env),
            Asker::Leg(id) => {
                if let Some(member) = self.member(&id) {
                    member.leg.handle_targets(targets, env);
                }
            }
        }
    }
}
