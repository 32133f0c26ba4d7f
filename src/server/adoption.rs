//! Legs that go from one call to another: only the dispatcher knows which call has what, and so it carries them.

use super::{dispatch::Dispatcher, maps::Owner};
use crate::call::{
    Adoptee, CallNumber, Destined, Failure, Input, Origin, Side, adoption::Wish, failure::Kind,
};
use crate::sip::{Status, routing::DialogKey};

impl Dispatcher {
    /// A call wants the leg at the other end of the one that has that dialog.
    pub(super) fn wants_leg(&self, wish: Wish) {
        match self.maps.owner(&wish.named.key()) {
            Owner::Call(number, _) if number != wish.asker.0 => {
                if let Some(entry) = self.maps.calls.get(&number) {
                    entry.inbox.push(Input::Give(wish));
                }
            }
            Owner::Call(..) | Owner::Gone | Owner::Nobody => {
                let gone = Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::Local, Kind::Protocol);
                self.tell(wish.asker, Input::Withheld(wish.named, gone));
            }
        }
    }
    /// A leg has left that call: it goes where it is wanted, else back, else to whoever can hang it up. With it go its messages.
    pub(super) fn carry(&mut self, from: u64, mut adoptee: Box<Adoptee>) {
        loop {
            let destined = adoptee.destined();
            let to = match destined {
                Destined::Asker(CallNumber(to), side) | Destined::Home(CallNumber(to), side) => (to, side),
                // It hangs up what it cannot give back.
                Destined::Nowhere => (from, Side::A),
            };
            adoptee = match self.hand_over(to, adoptee) {
                Ok(()) => {
                    if let Destined::Asker(CallNumber(asker), _) = destined {
                        self.maps.lends(from, asker);
                    }
                    return;
                }
                Err(adoptee) => adoptee,
            };
            if destined == Destined::Nowhere {
                break;
            }
            adoptee.turned_away();
        }
        tracing::warn!(call = from, "a leg has lost its call: it is hung up");
        self.maps.remove_dialog(&adoptee.dialog());
        if let Some(farewell) = adoptee.farewell() {
            self.net.send(farewell);
        }
    }
    /// Hands a leg to a call that can take it. One that is over can do no more than hang it up.
    fn hand_over(&mut self, (to, side): (u64, Side), adoptee: Box<Adoptee>) -> Result<(), Box<Adoptee>> {
        let ends = adoptee.destined() == Destined::Nowhere;
        let (dialog, invite) = (adoptee.dialog(), adoptee.invite());
        match self.maps.calls.get(&to) {
            Some(entry) if ends || !entry.over => entry.inbox.hand_over(adoptee)?,
            Some(_) | None => return Err(adoptee),
        }
        self.maps.moves(to, side, dialog, invite);
        Ok(())
    }
    /// A message that a call was handed whose leg has left it.
    pub(super) fn forward(&self, dialog: &DialogKey, input: Input) {
        let Some(&(number, side)) = self.maps.dialogs.get(dialog) else {
            return self.gauges.stray.add();
        };
        let input = match input {
            Input::Message(_, incoming) => Input::Message(side, incoming),
            Input::Undeliverable(_, unsent) => Input::Undeliverable(side, unsent),
            other => other,
        };
        if let Some(entry) = self.maps.calls.get(&number)
            && !entry.inbox.offer(input)
        {
            self.gauges.dropped.add();
        }
    }
    /// A call's task has ended: those that it has legs of are told.
    pub(super) fn leaves(&mut self, number: u64) {
        for lender in self.maps.gone(number) {
            self.tell(CallNumber(lender), Input::Lost(CallNumber(number)));
        }
    }
}
