//! A leg of this call is wanted by another one, and may come back: what `rebridge::adopted` is at the other end. See
//! [`adoption`](crate::call::adoption).

use super::*;
use crate::{
    call::{
        CallNumber, Encryption, Transmit,
        adoption::{Errand, Outcome, Wish},
        media_plan::Belongings,
    },
    sip::routing::{DialogKey, TransactionKey},
};
use std::fmt;

/// How long a leg that is wanted may have something under way.
const PATIENCE: Duration = Duration::from_secs(5);
/// Legs that have left, of which messages may still come here. There is one at a time, and few in all the life of a call.
const MOST_DEPARTED: usize = 8;

/// A leg on its way from one call to another, with all that belongs to it.
pub struct Adoptee {
    pub(super) member: Member,
    pub(super) belongings: Belongings,
    pub(super) wish: Wish,
    pub(super) errand: Errand,
    /// The call that it came from, and its side there.
    pub(super) home: (CallNumber, Side),
    /// Its call would have ended then.
    pub(super) longest: Option<Instant>,
}

impl fmt::Debug for Adoptee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adoptee")
            .field("call_id", self.member.leg.call_id())
            .field("errand", &self.errand)
            .field("home", &self.home)
            .finish_non_exhaustive()
    }
}

/// Where an [`Adoptee`] is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destined {
    /// To the call that wants it, which has to be told whose it was; on that side.
    Asker(CallNumber, Side),
    /// Back where it came from.
    Home(CallNumber, Side),
    /// Wherever it can be hung up.
    Nowhere,
}

impl Adoptee {
    /// Where it is to go, and its side there.
    pub fn destined(&self) -> Destined {
        match self.errand {
            Errand::Joins => Destined::Asker(self.wish.asker, self.wish.side),
            Errand::Returns(_) => Destined::Home(self.home.0, self.home.1),
            Errand::Homeless => Destined::Nowhere,
        }
    }
    /// It leaves that call.
    pub fn leaves(&mut self, call: CallNumber) {
        if matches!(self.errand, Errand::Joins) {
            self.home.0 = call;
        }
    }
    /// It cannot go where it was to go: then back, and if there is no back, it is hung up.
    pub fn turned_away(&mut self) {
        self.errand = match self.errand {
            Errand::Joins => Errand::Returns(Outcome::untouched(Status::CALL_DOES_NOT_EXIST)),
            Errand::Returns(_) | Errand::Homeless => Errand::Homeless,
        };
    }
    /// By which messages of its dialog are known.
    pub fn dialog(&self) -> DialogKey {
        self.member.leg.key()
    }
    /// By which repetitions of the INVITE are known that began it, if its party began it.
    pub fn invite(&self) -> Option<TransactionKey> {
        self.member.leg.invite_key()
    }
    /// What ends it where no call is left to do it.
    pub fn farewell(&self) -> Option<Transmit> {
        self.member.leg.farewell()
    }
}

/// What a call knows of legs of its own in other calls.
#[derive(Debug, Default)]
pub(super) struct Adoption {
    /// One is wanted, and will be given when nothing is under way on it, or not at all after that time.
    wanted: Option<(Wish, Instant)>,
    lent: Option<Lent>,
    departed: VecDeque<DialogKey>,
    /// Parties to whom their sessions have to be said again as soon as that can be.
    stale: [bool; 2],
}

/// A leg that is in another call, and may come back.
#[derive(Debug)]
struct Lent {
    dialog: DialogKey,
    side: Side,
    to: CallNumber,
    /// In the record.
    number: u32,
    /// Its BYE, in case that nobody is left who could send it.
    farewell: Option<Transmit>,
}

impl Adoption {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.wanted.as_ref().map(|(_, until)| *until)
    }
    /// Whether a leg is wanted or away.
    pub(super) fn is_any(&self) -> bool {
        self.wanted.is_some() || self.lent.is_some()
    }
    /// Whether one is away.
    pub(super) fn has_lent(&self) -> bool {
        self.lent.is_some()
    }
    /// Whether the party of a side is in another call.
    pub(super) fn is_away(&self, side: Side) -> bool {
        self.lent.as_ref().is_some_and(|lent| lent.side == side)
    }
    /// The dialog of a leg that has left.
    pub(super) fn departed(&self, call_id: &Text) -> Option<DialogKey> {
        let mut departed = self.departed.iter();
        departed.find(|dialog| dialog.call_id == *call_id).cloned()
    }
    pub(super) fn departs(&mut self, dialog: DialogKey) {
        self.departed.truncate(MOST_DEPARTED - 1);
        self.departed.push_front(dialog);
    }
    pub(super) fn arrives(&mut self, dialog: &DialogKey) {
        self.departed.retain(|departed| departed != dialog);
    }
}

impl Call {
    /// Whether a leg can be moved into another call, and that is better than to call its party once more: one that knows Replaces
    /// learns from a new INVITE whom it talks to, which a re-INVITE cannot say; and keys of ZRTP are of the ports where they were
    /// agreed on (RFC 6189 has no words for a session that moves).
    pub(super) fn is_adoptable(&self, leg: &Leg) -> bool {
        !leg.takes_replaces() && self.media.agreed().encryption(leg.side()) != Some(Encryption::Zrtp)
    }

    /// Another call wants a leg of this one.
    pub(super) fn give(&mut self, wish: Wish, env: &Env<'_>) {
        if self.adoption.is_any() {
            return self.withhold(&wish, Status::REQUEST_PENDING);
        }
        self.adoption.wanted = Some((wish, env.now + PATIENCE));
    }
    fn withhold(&mut self, wish: &Wish, status: Status) {
        let failure = Failure::new(status, Origin::Local, Kind::Protocol);
        self.put(Output::Withheld(wish.asker, wish.named.clone(), failure));
    }
    /// Which side's leg is wanted, once it can be given. `None`: not yet.
    fn wanted(&self, named: &Replaces) -> Result<Option<Side>, Status> {
        let (Some(a), Some(b), Phase::Up) = (self.leg_of(Side::A), self.leg_of(Side::B), &self.phase) else {
            return Err(Status::CALL_DOES_NOT_EXIST);
        };
        let leg = match (a.is_named_by(named), b.is_named_by(named)) {
            (true, _) => b,
            (_, true) => a,
            (false, false) => return Err(Status::CALL_DOES_NOT_EXIST),
        };
        if self.rebridge.is_some() || self.transfers.is_any() {
            return Err(Status::REQUEST_PENDING);
        }
        if !self.is_adoptable(leg) {
            return Err(Status::NOT_ACCEPTABLE_HERE);
        }
        Ok((self.exchange.is_none() && leg.is_at_rest()).then(|| leg.side()))
    }
    /// Gives a leg away that is wanted, once it can be. Whether it was.
    pub(super) fn give_if_ready(&mut self) -> bool {
        let Some((wish, _)) = &self.adoption.wanted else {
            return false;
        };
        match self.wanted(&wish.named) {
            Ok(None) => return false,
            Ok(Some(side)) => {
                if let Some((wish, _)) = self.adoption.wanted.take() {
                    self.lend(side, wish);
                }
            }
            Err(status) => {
                if let Some((wish, _)) = self.adoption.wanted.take() {
                    self.withhold(&wish, status);
                }
            }
        }
        true
    }
    fn lend(&mut self, side: Side, wish: Wish) {
        let mut members = self.members.iter();
        let Some(at) = members.position(|member| member.is_current(side)) else {
            return self.withhold(&wish, Status::CALL_DOES_NOT_EXIST);
        };
        let member = self.members.remove(at);
        let (dialog, by) = (member.leg.key(), side.other());
        let number = self.transfers.next_number();
        let to = wish.with.clone();
        tracing::info!(leg = ?side, to, asker = wish.asker.0, "its party is taken into another call");
        self.record.referred(number, by, &to);
        self.event(CallEvent::Referred { by, to });
        self.requests.forget(side);
        self.departs(dialog.clone());
        self.adoption.lent = Some(Lent {
            dialog,
            side,
            to: wish.asker,
            number,
            farewell: member.leg.farewell(),
        });
        let adoptee = Adoptee {
            member,
            belongings: self.media.belongings(side),
            wish,
            errand: Errand::Joins,
            home: (CallNumber(0), side),
            longest: self.too_long,
        };
        self.put(Output::Give(Box::new(adoptee)));
    }

    /// A leg is here that was another call's until now.
    pub(super) fn adopt(&mut self, mut adoptee: Adoptee, env: &mut Env<'_>) {
        self.adoption.arrives(&adoptee.dialog());
        adoptee.member.leg.asks_again();
        match std::mem::replace(&mut adoptee.errand, Errand::Homeless) {
            Errand::Joins => self.seat_adoptee(adoptee, env),
            Errand::Returns(outcome) => self.returns(adoptee, outcome, env),
            Errand::Homeless => self.end_homeless(adoptee, env),
        }
    }
    /// A leg of this call has come back.
    fn returns(&mut self, mut adoptee: Adoptee, outcome: Outcome, env: &mut Env<'_>) {
        let dialog = adoptee.dialog();
        let Some(lent) = self.adoption.lent.take_if(|lent| lent.dialog == dialog) else {
            return self.end_homeless(adoptee, env);
        };
        self.became(&lent, outcome.status);
        adoptee.member.leg.change_to(lent.side);
        if !matches!(self.phase, Phase::Up) {
            return self.end_homeless(adoptee, env);
        }
        let Adoptee {
            mut member,
            belongings,
            ..
        } = adoptee;
        let (side, by) = (lent.side, lent.side.other());
        member.place = Place::Current;
        self.media.takes_infos(side, member.leg.takes_infos());
        self.members.push(member);
        self.media
            .comes_back(side, belongings, outcome.is_offered || outcome.is_stale);
        if let Some(cause) = outcome.ended {
            return self.hang_up(Some(side), cause, env);
        }
        if outcome.is_offered {
            // What it answers is for nobody any more, and then it is told again what its party says.
            self.exchange = Some(Exchange {
                asker: by,
                offerer: Some(by),
                offer: None,
                session: self.media.agreed().clone(),
                ports: false,
                is_refresh: false,
                progress: None,
                void: true,
            });
            self.tell(side, Signal::Withdraw, env);
        }
        self.adoption.stale[side as usize] |= outcome.is_stale;
    }
    /// It is known what became of the transfer that a leg was wanted for.
    fn became(&mut self, lent: &Lent, status: Status) {
        self.record.transferred(lent.number, status);
        let by = lent.side.other();
        self.event(CallEvent::Transferred { by, status });
    }
    /// A leg has come back to a call that is over, or cannot come back at all.
    fn end_homeless(&mut self, adoptee: Adoptee, env: &mut Env<'_>) {
        let Adoptee { mut member, .. } = adoptee;
        tracing::info!(leg = %member.leg.call_id(), "a leg has no call to go back to, it is hung up");
        let why = Text::from_static("SIP;cause=481;text=\"The call that it was in has ended\"");
        let cause = Cause {
            reasons: vec![why],
            ..Cause::bye(Origin::Local)
        };
        member.place = Place::Former;
        member.lease = None;
        member.leg.handle_signal(Signal::Hangup(cause), env);
        self.members.push(member);
    }
    /// The leg that was given away has its place in the other call: the one that is left is not needed any more.
    pub(super) fn is_kept(&mut self, dialog: &DialogKey, env: &mut Env<'_>) {
        if self
            .adoption
            .lent
            .as_ref()
            .is_none_or(|lent| lent.dialog != *dialog)
        {
            return;
        }
        let Some(lent) = self.adoption.lent.take() else {
            return;
        };
        self.became(&lent, Status::OK);
        self.hang_up(None, Cause::bye(Origin::Local), env);
    }
    /// The call has gone that a leg was given to, without a word.
    pub(super) fn is_lost(&mut self, to: CallNumber, env: &mut Env<'_>) {
        let Some(lent) = self.adoption.lent.take_if(|lent| lent.to == to) else {
            return;
        };
        let failure = Failure::of(Kind::Internal, Origin::Local);
        self.became(&lent, failure.status);
        if let Some(farewell) = lent.farewell {
            self.put(Output::Transmit(lent.side, farewell));
        }
        self.hang_up(None, Cause::of(Kind::Internal, Origin::Local), env);
    }

    /// A leg's session is to be said again while its other party is away: later.
    pub(super) fn postpones_refresh(&mut self, side: Side) -> bool {
        let away = self.adoption.lent.is_some();
        self.adoption.stale[side as usize] |= away;
        away
    }
    /// Says sessions again to whom they have to be. Whether there was one.
    pub(super) fn refresh_stale(&mut self, env: &mut Env<'_>) -> bool {
        if self.exchange.is_some() || self.adoption.lent.is_some() || !matches!(self.phase, Phase::Up) {
            return false;
        }
        let due = |side: &Side| self.adoption.stale[*side as usize] && self.leg_of(*side).is_some();
        let Some(side) = [Side::A, Side::B].into_iter().find(due) else {
            return false;
        };
        self.adoption.stale[side as usize] = false;
        self.refresh(side, env);
        true
    }
    /// A wish may not wait any longer.
    pub(super) fn adoption_due(&mut self, env: &Env<'_>) {
        let overdue = |wanted: &mut (Wish, Instant)| wanted.1 <= env.now;
        if let Some((wish, _)) = self.adoption.wanted.take_if(overdue) {
            self.withhold(&wish, Status::REQUEST_PENDING);
        }
    }
    /// The call is over: what is wanted of it is not to be had.
    pub(super) fn adoption_ends(&mut self) {
        self.adoption.stale = [false; 2];
        if let Some((wish, _)) = self.adoption.wanted.take() {
            self.withhold(&wish, Status::CALL_DOES_NOT_EXIST);
        }
    }
}
