//! Name lookups that legs and set-up ask for.

use super::{Call, Env, LookupError, NextHop, Output, Side, Target, Text};
use crate::sip::routing::{DialogKey, Source};
use std::collections::VecDeque;

/// Lookups: one at a time for each side, so that answers cannot be confused.
#[derive(Default)]
pub(super) struct Lookups {
    a: VecDeque<Lookup>,
    b: VecDeque<Lookup>,
}

/// One lookup.
struct Lookup {
    asker: Asker,
    hop: NextHop,
    /// Where who is looked up came from, if it has called us.
    came: Option<Source>,
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
    fn of(&mut self, side: Side) -> &mut VecDeque<Lookup> {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }
    /// A leg is in another call, and asks there.
    fn forget(&mut self, leg: &Text) {
        for lookup in self.a.iter_mut().chain(&mut self.b) {
            if matches!(&lookup.asker, Asker::Leg(known) if known == leg) {
                lookup.asker = Asker::Departed;
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
    pub(super) fn look_up(&mut self, side: Side, asker: Asker, hop: NextHop, came: Option<Source>) {
        let queue = self.lookups.of(side);
        queue.push_back(Lookup { asker, hop, came });
        if queue.len() == 1 {
            self.ask_for(side);
        }
    }
    /// Asks for the first that waits.
    fn ask_for(&mut self, side: Side) {
        if let Some(Lookup { hop, came, .. }) = self.lookups.of(side).front() {
            let output = Output::Lookup(side, hop.clone(), *came);
            self.put(output);
        }
    }

    pub(super) fn targets(
        &mut self,
        side: Side,
        targets: Result<Vec<Target>, LookupError>,
        env: &mut Env<'_>,
    ) {
        let Some(Lookup { asker, .. }) = self.lookups.of(side).pop_front() else {
            return tracing::debug!("targets that nobody asked for");
        };
        self.ask_for(side);
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
