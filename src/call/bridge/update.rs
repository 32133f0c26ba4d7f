//! Offers and answers in mid-call, from either side: hold, resume, video on and off, codecs, addresses, keys.
//!
//! One exchange at a time. Whoever begins a second one meanwhile is told 491 and tries again (RFC 3261 §14.1); that both ends began
//! at once is settled by the legs, each towards its own peer.

use super::*;
use crate::{call::Encryption, sdp::crosses_alike};

impl Call {
    /// What a leg says while the call is up.
    pub(super) fn in_call(&mut self, from: Side, signal: Signal, env: &mut Env<'_>) {
        match signal {
            Signal::Offer(offer) => self.offered(from, offer, env),
            Signal::Accept(sdp) => self.accepted(from, sdp, env),
            Signal::Refuse(failure) => {
                let failure = self.sifted(failure);
                self.refused(from, failure, env);
            }
            Signal::Withdraw => self.withdrawn(from, env),
            Signal::Refresh => self.refresh(from, env),
            Signal::Request(payload) => self.requested(from, payload, env),
            Signal::Response(status, payload) => self.request_answered(from, status, payload, env),
            Signal::Ring
            | Signal::Progress { .. }
            | Signal::Answer(_)
            | Signal::Fail(_)
            | Signal::Hangup(_) => tracing::debug!(?from, ?signal, "out of turn"),
        }
    }

    pub(super) fn offered(&mut self, from: Side, offer: Option<Sdp>, env: &mut Env<'_>) {
        if self.exchange.is_some() {
            let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
            return self.tell(from, Signal::Refuse(pending), env);
        }
        let mut exchange = Exchange {
            asker: from,
            offerer: None,
            offer: None,
            session: self.media.agreed().clone(),
            ports: false,
            is_refresh: false,
            progress: None,
            void: false,
        };
        let Some(offer) = offer else {
            if self.leg_of(from.other()).is_none() {
                let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                return self.tell(from, Signal::Refuse(pending), env);
            }
            self.exchange = Some(exchange);
            return self.tell(from.other(), Signal::Offer(None), env);
        };
        if let Some(answer) = self.media.refresh(from, &offer, env) {
            tracing::debug!(?from, "session refresh answered from what is agreed");
            return self.tell(from, Signal::Accept(answer), env);
        }
        if self.leg_of(from.other()).is_none() {
            let pending = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
            return self.tell(from, Signal::Refuse(pending), env);
        }
        match self
            .media
            .take_offer(&mut exchange.session, from, &offer, env.ids)
        {
            Ok(()) => {
                exchange.offerer = Some(from);
                exchange.offer = Some(offer);
                self.exchange = Some(exchange);
                self.open_ports(env);
            }
            Err(failure) => self.tell(from, Signal::Refuse(failure), env),
        }
    }

    /// A leg's session has to be refreshed by an offer: it gets what the other party said last, as if that had said it again. An
    /// exchange that is on its way refreshes just as well.
    pub(super) fn refresh(&mut self, side: Side, env: &mut Env<'_>) {
        let other = side.other();
        if self.postpones_refresh(side) {
            return;
        }
        let (None, Some(said)) = (&self.exchange, self.media.heard(other)) else {
            return;
        };
        let mut session = self.media.agreed().clone();
        let offer = self.media.offer_to(&mut session, side, &said, env);
        self.exchange = Some(Exchange {
            asker: other,
            offerer: Some(other),
            offer: Some(said),
            session,
            ports: false,
            is_refresh: true,
            progress: None,
            void: false,
        });
        self.tell(side, Signal::Offer(Some(offer)), env);
    }

    /// Ports are there: the offer goes to the other leg, in the signal that fits.
    pub(super) fn pass_offer(&mut self, env: &mut Env<'_>) {
        let Some(exchange) = &mut self.exchange else {
            return;
        };
        let (Some(offerer), Some(offer)) = (exchange.offerer, &exchange.offer) else {
            return;
        };
        if offerer != exchange.asker && !matches!(self.phase, Phase::Up) {
            return self.pass_late_offer(env);
        }
        let to = offerer.other();
        let offer = self.media.offer_to(&mut exchange.session, to, offer, env);
        let signal = if offerer == exchange.asker {
            Signal::Offer(Some(offer))
        } else {
            // Offerless, in mid-call: the asker's 2xx carries it.
            Signal::Accept(offer)
        };
        self.tell(to, signal, env);
    }

    pub(super) fn accepted(&mut self, from: Side, sdp: Sdp, env: &mut Env<'_>) {
        if self.is_joining(from) {
            return self.joined_by(from, &sdp, env);
        }
        if self.is_asked_for_guest(from) {
            return self.guest_taken_by(from, &sdp, env);
        }
        if self.ends_void(from) {
            // It has accepted what nobody says any more: it is told again what its party says.
            return self.refresh(from, env);
        }
        let Some(exchange) = &mut self.exchange else {
            return tracing::debug!(?from, "an answer that nobody waits for");
        };
        match exchange.offerer {
            None if from != exchange.asker => {
                let taken = self.media.take_offer(&mut exchange.session, from, &sdp, env.ids);
                match taken {
                    Ok(()) => {
                        exchange.offerer = Some(from);
                        exchange.offer = Some(sdp);
                        self.open_ports(env);
                    }
                    // Its 2xx is sent: there is no refusing it, only ending.
                    Err(failure) => self.cannot_go_on(&failure, env),
                }
            }
            Some(offerer) if from != offerer && exchange.is_refresh => self.refreshed(from, sdp, env),
            Some(offerer) if from != offerer && !exchange.ports => {
                let mut session = exchange.session.clone();
                let answer = self.media.take_answer(&mut session, from, &sdp).and_then(|()| {
                    let answer = self.media.answer_to(&mut session, offerer, &sdp, env);
                    answer.ok_or_else(Self::no_body)
                });
                match answer {
                    Ok(answer) => self.agree(session, offerer, answer, env),
                    Err(failure) => self.cannot_go_on(&failure, env),
                }
            }
            _ => tracing::debug!(?from, "an answer out of turn"),
        }
    }

    /// The answer of a party that was asked whether it is still there. What of it is news for the other is its offer to that one.
    fn refreshed(&mut self, from: Side, sdp: Sdp, env: &mut Env<'_>) {
        let Some(mut exchange) = self.exchange.take() else {
            return;
        };
        let former = self.media.heard(from);
        // Before the answer there is nobody yet for whom it would be news.
        let early = self.early.is_some();
        if !early && former.is_none_or(|former| !crosses_alike(&former, &sdp)) {
            return self.offered(from, Some(sdp), env);
        }
        match self.media.take_answer(&mut exchange.session, from, &sdp) {
            Ok(()) => {
                let commands = self.settle_on(exchange.session);
                self.command(commands);
                self.agree_on_keys(env);
            }
            Err(failure) => self.cannot_go_on(&failure, env),
        }
    }

    fn agree(&mut self, session: Session, offerer: Side, answer: Sdp, env: &mut Env<'_>) {
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let before = [Side::A, Side::B].map(|side| self.media.agreed().encryption(side));
        let commands = self.settle_on(session);
        self.command(commands);
        self.note_streams();
        self.agree_on_keys(env);
        self.tell(offerer, Signal::Accept(answer), env);
        if self.early.is_some() {
            return self.note_early(&exchange, env);
        }
        self.event(CallEvent::Updated { by: exchange.asker });
        if before != [Side::A, Side::B].map(|side| self.media.agreed().encryption(side)) {
            self.report_keys();
        }
    }

    /// What an exchange has led to.
    fn settle_on(&mut self, session: Session) -> Vec<MediaCommand> {
        match self.early {
            Some(_) => self.media.preview(session),
            None => self.media.commit(session, true),
        }
    }

    pub(super) fn refused(&mut self, from: Side, failure: Failure, env: &mut Env<'_>) {
        if self.is_joining(from) {
            return self.join_refused(failure, env);
        }
        if self.is_asked_for_guest(from) {
            return self.guest_not_taken(failure, env);
        }
        if self.ends_void(from) {
            return;
        }
        let Some(exchange) = &self.exchange else {
            return tracing::debug!(?from, "a refusal that nobody waits for");
        };
        if from != exchange.asker {
            return self.exchange_failed(failure, env);
        }
        // The asker's ACK brought no answer to the offer that it asked for. Its former description stands, and answers.
        let session = exchange.session.clone();
        match (exchange.offerer, self.media.heard(from)) {
            (Some(offerer), Some(former)) if offerer != from => {
                let mut session = session;
                match self.media.answer_with_former(&mut session, offerer, &former, env) {
                    Some(answer) => self.agree(session, offerer, answer, env),
                    None => self.cannot_go_on(&failure, env),
                }
            }
            _ => self.cannot_go_on(&failure, env),
        }
    }

    /// The offer led nowhere: what was agreed before stands, on both legs.
    pub(super) fn exchange_failed(&mut self, failure: Failure, env: &mut Env<'_>) {
        if self.is_asking_for_guest() {
            return self.refuse_guest(failure, env);
        }
        let Some(exchange) = self.exchange.take() else {
            return;
        };
        let commands = self.media.abandon();
        self.command(commands);
        match exchange.offerer {
            // The other leg waits for an answer in its ACK, which can be no refusal.
            Some(offerer) if offerer != exchange.asker => self.cannot_go_on(&failure, env),
            _ => self.tell(exchange.asker, Signal::Refuse(failure), env),
        }
    }

    /// The one who asked does not want it any more.
    pub(super) fn withdrawn(&mut self, from: Side, env: &mut Env<'_>) {
        match &self.exchange {
            Some(exchange) if exchange.asker == from && exchange.ports && exchange.offerer == Some(from) => {
                self.relay.opening.clear();
                let cancelled = Failure::of(Kind::Cancelled, Origin::Local);
                self.exchange_failed(cancelled, env);
            }
            Some(exchange) if exchange.asker == from => self.tell(from.other(), Signal::Withdraw, env),
            _ => tracing::debug!(?from, "a withdrawal of nothing"),
        }
    }

    /// A leg has accepted what the other cannot have: there is no way back but to end the call. Never in clear instead.
    pub(super) fn cannot_go_on(&mut self, failure: &Failure, env: &mut Env<'_>) {
        tracing::info!(reason = ?failure.reason, "offer and answer do not fit, call ends");
        let cause = Cause {
            reasons: failure.reasons(),
            ..Self::unkeyed()
        };
        self.hang_up(None, cause, env);
    }

    pub(super) fn report_keys(&mut self) {
        for side in [Side::A, Side::B] {
            match self.media.agreed().encryption(side) {
                Some(encryption @ (Encryption::None | Encryption::Sdes)) => {
                    self.event(CallEvent::Keyed {
                        side,
                        encryption,
                        sas: None,
                    });
                }
                // Their keys come at the media's ports.
                Some(Encryption::DtlsSrtp | Encryption::Zrtp) | None => {}
            }
        }
    }
}
