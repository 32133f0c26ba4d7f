//! Two calls of one server, and between them what its dispatcher does: it knows which call has which dialog, and carries legs
//! from one to the other.

use super::{Event, Sim, Who};
use crate::{
    call::{
        Adoptee, CallEvent, CallNumber, Command, Destined, Failure, Input, Origin, Output, Side,
        failure::Kind,
    },
    sip::{
        Message, Status,
        routing::{DialogKey, TransactionKey},
    },
    testing::peer::read,
};
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// Two calls. A party of the second one is known to the first one as [`Who::C`] while its leg is there.
pub struct Switchboard {
    /// The calls.
    pub calls: [Sim; 2],
    /// How long anything is under way between a call and the dispatcher.
    pub hop: Duration,
    /// Where legs went, in order: `true` where they arrived.
    pub carried: Vec<(Destined, bool)>,
    /// Who of the second call is the one whose leg may go.
    pub target: Who,
    /// Of which call its leg is; that is also where it has to send and where it hears.
    pub at: usize,
    /// Messages that a call forwarded because it had given the leg away.
    pub forwarded: usize,
    /// Tasks that have died, with all that was on its way to them.
    pub dead: [bool; 2],
    lent: bool,
    gone: [bool; 2],
    queue: BTreeMap<(Instant, u64), Step>,
    order: u64,
}

/// What is under way inside the server.
enum Step {
    /// From a call to the dispatcher.
    Told(usize, Box<Output>),
    /// The end of a call's task.
    Gone(usize),
    /// From the dispatcher to a call.
    Input(usize, Box<Input>),
    /// From the wire, to a call.
    Wire(usize, Who, Bytes),
}

impl Switchboard {
    /// Two calls that have not begun. `target` is of the second one.
    pub fn new(mut calls: [Sim; 2], target: Who) -> Self {
        let now = calls[0].now;
        for call in &mut calls {
            call.is_alone = false;
            (call.now, call.began) = (now, now);
        }
        Self {
            calls,
            hop: Duration::ZERO,
            carried: Vec::new(),
            target,
            at: 1,
            forwarded: 0,
            dead: [false; 2],
            lent: false,
            gone: [false; 2],
            queue: BTreeMap::new(),
            order: 0,
        }
    }
    /// Now.
    pub fn now(&self) -> Instant {
        self.calls[0].now
    }
    /// Who the target is to the call that it is in.
    pub fn target(&self) -> Who {
        if self.at == 0 { Who::C } else { self.target }
    }
    /// When something happens next.
    pub fn next_event(&self) -> Option<Instant> {
        let own = self.queue.keys().next().map(|key| key.0);
        let calls = self.calls.iter().filter_map(Sim::next_event);
        calls.chain(own).min()
    }
    /// Lets time pass until `until`; after each thing that happens, parties may react: the call and who of it has heard something.
    pub fn run_until(&mut self, until: Instant, mut react: impl FnMut(&mut Self, usize, Who)) {
        while let Some(at) = self.next_event().filter(|&at| at <= until) {
            for call in &mut self.calls {
                call.now = call.now.max(at);
            }
            self.step();
            for call in 0..2 {
                for who in [Who::A, Who::B, Who::C] {
                    if !self.calls[call].party(who).inbox.is_empty() {
                        react(self, call, who);
                    }
                }
            }
        }
        for call in &mut self.calls {
            call.now = call.now.max(until);
        }
    }
    /// The same for a time.
    pub fn run(&mut self, time: Duration, react: impl FnMut(&mut Self, usize, Who)) {
        self.run_until(self.now() + time, react);
    }
    /// The task of a call dies without having done what is left to do.
    pub fn kill(&mut self, call: usize) {
        self.dead[call] = true;
        // What its last words are: see `server::farewell`.
        let machine = self.calls[call].call.take();
        for (side, bye) in machine.iter().flat_map(crate::call::Call::farewells) {
            let who = self.calls[call].reached_by(side, &bye);
            self.calls[call].transmit(who, bye);
        }
        self.schedule(Step::Gone(call));
    }

    fn schedule(&mut self, step: Step) {
        self.order += 1;
        self.queue.insert((self.now() + self.hop, self.order), step);
    }
    fn step(&mut self) {
        let now = self.now();
        let due = self.queue.first_entry().filter(|entry| entry.key().0 <= now);
        if let Some(step) = due.map(|entry| entry.remove()) {
            self.perform(step);
        } else {
            let ready = |call: &Sim| call.next_event().is_some_and(|at| at <= now);
            if let Some(call) = self.calls.iter_mut().find(|call| ready(call)) {
                call.step();
            }
        }
        for index in 0..2 {
            for errand in std::mem::take(&mut self.calls[index].errands) {
                self.schedule(Step::Told(index, Box::new(errand)));
            }
            for (who, bytes) in std::mem::take(&mut self.calls[index].arrivals) {
                self.arrives(index, who, bytes);
            }
            if self.calls[index].summary.is_some() && !std::mem::replace(&mut self.gone[index], true) {
                self.schedule(Step::Gone(index));
            }
        }
    }
    fn perform(&mut self, step: Step) {
        match step {
            Step::Told(from, output) => self.told(from, *output),
            Step::Gone(call) => {
                if std::mem::take(&mut self.lent) && call == 0 {
                    self.tell(1, Input::Lost(CallNumber(0)));
                }
            }
            Step::Input(to, input) if self.calls[to].call.is_some() => self.calls[to].feed(*input),
            // A task that has ended gives back what came too late for it.
            Step::Input(to, input) => {
                if let Input::Command(Command::Adopt(mut adoptee)) = *input {
                    adoptee.turned_away();
                    self.schedule(Step::Told(to, Box::new(Output::Give(adoptee))));
                }
            }
            // Nobody knows its dialogs any more.
            Step::Wire(to, ..) if self.dead[to] => {}
            Step::Wire(to, who, bytes) => self.calls[to].receive(who, &bytes),
        }
    }
    fn tell(&mut self, to: usize, input: Input) {
        self.schedule(Step::Input(to, Box::new(input)));
    }
    fn owner(&self, key: &DialogKey) -> Option<usize> {
        (0..2).find(|index| self.calls[*index].dialogs.contains_key(key))
    }
    fn is_over(&self, call: usize) -> bool {
        let ended = |event: &CallEvent| matches!(event, CallEvent::Ended(_));
        self.calls[call].call.is_none() || self.calls[call].events.iter().any(ended)
    }
    /// A message goes to the call that has its dialog now.
    fn arrives(&mut self, at: usize, who: Who, bytes: Bytes) {
        let message = read(&bytes);
        let key = match &message {
            Message::Request(request) => DialogKey::of_request(request),
            Message::Response(response) => DialogKey::of_response(response),
        };
        let of_invite = match &message {
            Message::Request(request) => TransactionKey::of(request).ok(),
            Message::Response(_) => None,
        };
        let invited =
            of_invite.and_then(|key| (0..2).find(|index| self.calls[*index].invites.contains(&key)));
        let to = invited
            .or_else(|| key.and_then(|key| self.owner(&key)))
            .unwrap_or(at);
        let who = self.as_known(who, at, to);
        self.schedule(Step::Wire(to, who, bytes));
    }
    fn as_known(&self, who: Who, at: usize, to: usize) -> Who {
        match (at, to) {
            (1, 0) if who == self.target => Who::C,
            (0, 1) if who == Who::C => self.target,
            _ => who,
        }
    }

    fn told(&mut self, from: usize, output: Output) {
        match output {
            Output::Identify(named) => match self
                .owner(&named.key())
                .filter(|owner| self.calls[*owner].call.is_some())
            {
                Some(owner) => self.tell(owner, Input::Designate(CallNumber(from as u64), named)),
                None => self.tell(from, Input::Identified(named, None)),
            },
            Output::Designated(asker, named, found) => {
                self.tell(asker.0 as usize, Input::Identified(named, found));
            }
            Output::Adopt(mut wish) => {
                wish.asker = CallNumber(from as u64);
                match self.owner(&wish.named.key()) {
                    Some(owner) if owner != from && !self.is_over(owner) => {
                        self.tell(owner, Input::Give(*wish))
                    }
                    _ => {
                        let gone = Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::Local, Kind::Protocol);
                        self.tell(from, Input::Withheld(wish.named, gone));
                    }
                }
            }
            Output::Withheld(asker, named, failure) => {
                self.tell(asker.0 as usize, Input::Withheld(named, failure));
            }
            Output::Kept(home, dialog) => self.tell(home.0 as usize, Input::Kept(dialog)),
            Output::Forward(dialog, input) => {
                self.forwarded += 1;
                let to = self.owner(&dialog);
                if let (Some(to), Input::Message(_, incoming)) = (to, *input) {
                    let side = self.calls[to].dialogs.get(&dialog).copied().unwrap_or(Side::A);
                    self.tell(to, Input::Message(side, incoming));
                }
            }
            Output::Give(mut adoptee) => {
                adoptee.leaves(CallNumber(from as u64));
                self.carry(from, adoptee);
            }
            other => {
                let _ = other;
                unreachable!("not of the dispatcher")
            }
        }
    }
    fn carry(&mut self, from: usize, mut adoptee: Box<Adoptee>) {
        loop {
            let destined = adoptee.destined();
            let (to, side) = match destined {
                Destined::Asker(to, side) | Destined::Home(to, side) => (to.0 as usize, side),
                Destined::Nowhere => (from, Side::A),
            };
            let ends = destined == Destined::Nowhere;
            let takes = self.calls[to].call.is_some() && (ends || !self.is_over(to));
            self.carried.push((destined, takes));
            if takes {
                self.moves(to, side, &adoptee);
                self.lent |= matches!(destined, Destined::Asker(..));
                return self.tell(to, Input::Command(Command::Adopt(adoptee)));
            }
            if ends {
                break;
            }
            adoptee.turned_away();
        }
        let key = adoptee.dialog();
        for call in &mut self.calls {
            call.dialogs.remove(&key);
        }
        if let Some(farewell) = adoptee.farewell() {
            let who = self.target();
            self.calls[self.at].transmit(who, farewell);
        }
    }
    fn moves(&mut self, to: usize, side: Side, adoptee: &Adoptee) {
        let key = adoptee.dialog();
        for call in &mut self.calls {
            call.dialogs.remove(&key);
        }
        self.calls[to].dialogs.insert(key, side);
        if let Some(invite) = adoptee.invite() {
            for call in &mut self.calls {
                call.invites.remove(&invite);
            }
            self.calls[to].invites.insert(invite);
        }
        if to != self.at {
            let (from, who) = (self.at, self.target());
            let mut peer = self.calls[from].party(who).clone();
            self.at = to;
            let who = self.target();
            peer.inbox.clear();
            *self.calls[to].party(who) = peer;
        }
    }
}

impl Sim {
    /// What the dispatcher is to see first: what comes, where there is one.
    pub(super) fn comes(&mut self, who: Who, bytes: Bytes) {
        if self.is_alone {
            self.receive(who, &bytes);
        } else {
            self.arrivals.push((who, bytes));
        }
    }
    pub(super) fn identify(&mut self, named: crate::sip::Replaces) {
        if self.is_alone {
            let found = self.designations.get(&named).cloned().map(Box::new);
            self.schedule(self.think, Event::Identified(named, found));
        } else {
            self.errands.push(Output::Identify(named));
        }
    }
}
