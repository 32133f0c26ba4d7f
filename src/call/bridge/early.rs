//! Offers and answers before the answer to the call: in reliable provisional responses, PRACK and UPDATE (RFC 3262, RFC 3311).
//!
//! The exchange of the INVITE stays open meanwhile, because the next fork may answer it otherwise: one that a leg begins now is an
//! [`Early`] one, and what the callee says about the INVITE waits until that is over.

use super::*;
use crate::call::signal::Body;

/// Signals of the callee that wait for the end of an early exchange; what comes after them is not heard.
const MAX_HELD: usize = 16;

/// An exchange before the answer.
pub(super) struct Early {
    /// That of the INVITE.
    invited: Exchange,
    /// What the callee said about the INVITE meanwhile.
    held: VecDeque<Signal>,
}

impl Call {
    /// What a leg says of offers while the call is set up.
    pub(super) fn early(&mut self, from: Side, signal: Signal, env: &mut Env<'_>) {
        match signal {
            Signal::Offer(Some(offer)) if self.may_begin_early() => {
                self.begin_early();
                self.offered(from, Some(offer), env);
            }
            // Nothing is agreed that could be changed, or somebody else is at it.
            Signal::Offer(_) => {
                let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                self.tell(from, Signal::Refuse(pending), env);
            }
            // What cannot be said now will be said with the answer.
            Signal::Refresh if self.may_begin_early() => {
                self.begin_early();
                self.refresh(from, env);
            }
            Signal::Accept(sdp) if self.early.is_some() => self.accepted(from, sdp, env),
            Signal::Accept(sdp) if from == Side::A => self.late_answer(&sdp, env),
            Signal::Refuse(failure) if self.early.is_some() => self.early_refused(from, failure, env),
            Signal::Refuse(failure) if from == Side::A => self.fail(failure, env),
            Signal::Withdraw if self.early.is_some() => self.withdrawn(from, env),
            Signal::Accept(_)
            | Signal::Refuse(_)
            | Signal::Withdraw
            | Signal::Refresh
            | Signal::Ring
            | Signal::Progress { .. }
            | Signal::Answer(_)
            | Signal::Request(_)
            | Signal::Response(..)
            | Signal::Fail(_)
            | Signal::Hangup(_) => tracing::debug!(?from, ?signal, "out of turn before the answer"),
        }
    }
    fn may_begin_early(&self) -> bool {
        self.early.is_none()
            && self.media.is_previewed()
            && self.exchange.as_ref().is_some_and(|exchange| !exchange.ports)
    }
    fn begin_early(&mut self) {
        self.early = self.exchange.take().map(|invited| Early {
            invited,
            held: VecDeque::new(),
        });
    }
    /// Keeps what the callee says about its INVITE until an early exchange is over; gives it back where there is none.
    pub(super) fn hold_back(&mut self, signal: Signal) -> Option<Signal> {
        let Some(early) = &mut self.early else {
            return Some(signal);
        };
        if early.held.len() < MAX_HELD {
            early.held.push_back(signal);
        }
        None
    }
    /// Once an early exchange is over, that of the INVITE goes on.
    pub(super) fn end_early(&mut self, env: &mut Env<'_>) {
        if self.exchange.is_some() {
            return;
        }
        let Some(Early { invited, held }) = self.early.take() else {
            return;
        };
        self.exchange = Some(invited);
        for signal in held {
            match self.phase {
                Phase::Over => {}
                Phase::Up => self.in_call(Side::B, signal, env),
                // The first of them may have begun another one.
                _ => self.in_setup(signal, env),
            }
        }
    }
    /// The callee of this attempt is gone: an early exchange is, too.
    pub(super) fn forget_early(&mut self, env: &mut Env<'_>) {
        let Some(Early { invited, .. }) = self.early.take() else {
            return;
        };
        let gone = self.exchange.replace(invited);
        self.relay.opening.clear();
        if gone.is_some_and(|exchange| exchange.asker == Side::A) {
            let pending = Failure::new(Status::REQUEST_PENDING, Origin::LegB, Kind::Rejected);
            self.tell(Side::A, Signal::Refuse(pending), env);
        }
    }
    /// An offer of the caller has been accepted before the answer: whoever is asked next is asked with that.
    pub(super) fn note_early(&mut self, exchange: &Exchange, env: &mut Env<'_>) {
        if let (Some(early), Some(Side::A), Some(offer)) =
            (&mut self.early, exchange.offerer, &exchange.offer)
            && early.invited.offerer == Some(Side::A)
        {
            let mut session = early.invited.session.clone();
            if self
                .media
                .take_offer(&mut session, Side::A, offer, env.ids)
                .is_ok()
            {
                early.invited.session = session;
                early.invited.offer = Some(offer.clone());
            }
        }
    }
    /// A leg refused what the other offered. A caller that cannot be asked now has said what it can do; that answers the callee.
    fn early_refused(&mut self, from: Side, failure: Failure, env: &mut Env<'_>) {
        let asked = self
            .exchange
            .as_ref()
            .filter(|exchange| from == Side::A && exchange.asker == Side::B && !exchange.is_refresh);
        let answer = asked
            .map(|exchange| exchange.session.clone())
            .and_then(|mut session| {
                let former = self.media.heard(Side::A)?;
                let answer = self
                    .media
                    .answer_with_former(&mut session, Side::B, &former, env)?;
                Some((session, answer))
            });
        let Some((session, answer)) = answer else {
            return self.refused(from, failure, env);
        };
        self.exchange = None;
        let commands = self.media.preview(session);
        self.command(commands);
        self.agree_on_keys(env);
        self.tell(Side::B, Signal::Accept(answer), env);
    }

    /// A callee that was invited without offer has made one, in its 2xx or (`progress`) before.
    pub(super) fn late_offer(
        &mut self,
        offer: Sdp,
        progress: Option<Status>,
        env: &mut Env<'_>,
    ) -> Result<(), Failure> {
        let Some(exchange) = &mut self.exchange else {
            return Err(Self::no_body());
        };
        self.media
            .take_offer(&mut exchange.session, Side::B, &offer, env.ids)?;
        exchange.offerer = Some(Side::B);
        exchange.offer = Some(offer);
        exchange.progress = progress;
        if progress.is_none() {
            self.no_answer = None;
        }
        self.open_ports(env);
        Ok(())
    }
    /// Its ports are open: it goes to the caller, unless that one has answered an offer before.
    pub(super) fn pass_late_offer(&mut self, env: &mut Env<'_>) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let Some(offer) = &exchange.offer else { return };
        let progress = exchange.progress.take();
        let Some(former) = self.media.heard(Side::A) else {
            let offer = self.media.offer_to(&mut exchange.session, Side::A, offer, env);
            let body = Body::Offer(offer);
            return match progress {
                Some(status) => self.tell(Side::A, Signal::Progress { status, body }, env),
                None => self.answered(body, env),
            };
        };
        let mut session = exchange.session.clone();
        let answer = self.media.answer_with_former(&mut session, Side::B, &former, env);
        let Some(answer) = answer else {
            self.retire(Some(Self::unkeyed()), env);
            return self.attempt_failed(Self::no_body(), env);
        };
        let commands = self.media.preview(session);
        self.command(commands);
        self.agree_on_keys(env);
        self.tell(Side::B, Signal::Accept(answer), env);
        match progress {
            Some(status) => {
                let body = Body::None;
                self.tell(Side::A, Signal::Progress { status, body }, env);
            }
            None => {
                self.exchange = None;
                let commands = self.media.commands(true);
                self.command(commands);
                self.answered(Body::None, env);
                self.refresh(Side::A, env);
            }
        }
    }
    /// The caller's PRACK has brought the answer to the callee's offer, whose own PRACK takes it on.
    fn late_answer(&mut self, sdp: &Sdp, env: &mut Env<'_>) {
        let Some(exchange) = self
            .exchange
            .as_ref()
            .filter(|exchange| exchange.offerer == Some(Side::B))
        else {
            return tracing::debug!("an answer that nobody waits for");
        };
        let mut session = exchange.session.clone();
        let answer = self.media.take_answer(&mut session, Side::A, sdp).and_then(|()| {
            let answer = self.media.answer_to(&mut session, Side::B, sdp, env);
            answer.ok_or_else(Self::no_body)
        });
        match answer {
            Ok(answer) => {
                let commands = self.media.preview(session);
                self.command(commands);
                self.agree_on_keys(env);
                self.tell(Side::B, Signal::Accept(answer), env);
            }
            Err(failure) => self.fail(failure, env),
        }
    }
}
