//! Offers after the first exchange: re-INVITE and UPDATE both ways, glare (RFC 3261 §14, RFC 3311, RFC 6337).
//!
//! Before the answer only UPDATE can carry one, in a dialog whose INVITE has had its offer and answer reliably (RFC 3311 §5.1).
//! After it ours go by re-INVITE: every phone knows that, and a user may have to be asked.

use super::{
    Env, Failure, Inbound, Leg, Matter, Origin, Phase, Position, Purpose, Signal, content,
    offer::{Turn, Wanted, Wish},
    wire::wire,
};
use crate::{
    call::failure::Kind,
    sdp::Sdp,
    sip::{Method, Request, Response, Status},
};
use std::time::{Duration, Instant};

/// How often an offer is tried against 491 before the other leg is told.
const MAX_GLARES: u8 = 8;

/// How long a re-INVITE may stay unanswered: somebody may have to be asked whether he wants video.
const LIMIT: Duration = Duration::from_secs(120);

impl Leg {
    /// A re-INVITE or UPDATE of the peer.
    pub(super) fn handle_offer_request(&mut self, mut inbound: Inbound, env: &mut Env<'_>) {
        let session = match content::session(&inbound.request.headers, &inbound.request.body) {
            Ok(session) => session,
            Err(failure) => return self.refuse(inbound, &failure, env),
        };
        let is_update = inbound.request.method == Method::Update;
        if is_update && session.is_none() {
            // A target refresh or a keep-alive: nothing for the other leg.
            self.moved(&inbound.request);
            return self.answer(inbound, Status::OK, env);
        }
        let wish = if is_update {
            Wish::PeerUpdate
        } else {
            Wish::PeerInvite
        };
        match self.turn_of_peer(&inbound.request, wish) {
            Turn::Granted => {}
            Turn::Pending | Turn::Wait => {
                let failure = Failure::new(Status::REQUEST_PENDING, Origin::Local, Kind::Protocol);
                return self.refuse(inbound, &failure, env);
            }
            Turn::Busy => {
                let after = env.ids.below(11).to_string();
                let failure = Failure::new(Status::SERVER_INTERNAL_ERROR, Origin::Local, Kind::Protocol);
                return self.refuse(inbound, &failure.with("Retry-After", after), env);
            }
        }
        if !is_update {
            inbound.respond(Status::TRYING, &self.tag(), None, &mut wire!(self, env));
        }
        self.take_offer(inbound, session);
    }
    /// A request of the peer has the turn: it stays open until the other leg has answered.
    pub(super) fn take_offer(&mut self, mut inbound: Inbound, session: Option<Sdp>) {
        let is_invite = inbound.request.method == Method::Invite;
        self.offers.glares = 0;
        self.offers.position = match (&session, is_invite) {
            (Some(_), false) => Position::PeerOfferedByUpdate,
            (Some(_), true) => Position::PeerOffered,
            (None, _) => Position::PeerAsked,
        };
        // Ours is not on the wire, the peer's is: ours gives way, and its party tries again.
        if self.offers.wanted.take().is_some() {
            self.refuse_other(Failure::new(
                Status::REQUEST_PENDING,
                self.origin(),
                Kind::Rejected,
            ));
        }
        inbound.matter = Matter::Offer;
        self.inbound.push(inbound);
        self.say(Signal::Offer(session));
    }
    fn turn_of_peer(&self, request: &Request, wish: Wish) -> Turn {
        let turn = || self.offers.position.turn(wish, self.is_unacknowledged());
        match &self.phase {
            Phase::Up(up) if up.is_hanging() => Turn::Busy,
            Phase::Up(_) => turn(),
            // Its INVITE is not answered: until an answer has gone reliably it has an offer open (RFC 3261 §14.2, RFC 3311 §5.2).
            Phase::Incoming(_) if wish == Wish::PeerInvite => Turn::Busy,
            Phase::Incoming(_) => turn(),
            // Ours is not.
            Phase::Calling(calling) if wish == Wish::PeerUpdate && calling.is_settled_with(request) => turn(),
            Phase::Calling(_) | Phase::GivenUp | Phase::Ended => Turn::Pending,
        }
    }
    /// Target refresh: the peer, or the fork of it that sent this, may have moved (RFC 3261 §12.2.2).
    fn moved(&mut self, request: &Request) {
        match &mut self.phase {
            Phase::Calling(calling) => calling.moved(request),
            Phase::Incoming(_) | Phase::GivenUp | Phase::Up(_) | Phase::Ended => {
                self.dialog.refresh(&request.headers);
            }
        }
    }
    pub(super) fn refuse_other(&mut self, failure: Failure) {
        self.say(Signal::Refuse(failure));
    }
    /// The peer cancelled its re-INVITE.
    pub(super) fn withdrawn(&mut self) {
        self.say(Signal::Withdraw);
    }
    /// The other leg's party accepts.
    pub(super) fn accept_offer(&mut self, sdp: &Sdp, env: &mut Env<'_>) {
        let after = match self.offers.position {
            // Of the INVITE that began leg A: what answers that is no `Accept`.
            Position::PeerOffered | Position::PeerAsked if matches!(self.phase, Phase::Incoming(_)) => return,
            Position::PeerOffered | Position::PeerOfferedByUpdate => Position::Settled,
            Position::PeerAsked => Position::OfferedInAnswer,
            Position::PeerOfferedInAnswer => {
                self.offers.position = Position::Settled;
                return self.acknowledge_owed(Some(sdp), env);
            }
            Position::PeerOfferedInProgress => return self.prack_owed(Some(sdp), env),
            Position::Settled
            | Position::Offered
            | Position::Asked
            | Position::OfferedInProgress
            | Position::OfferedInAnswer => {
                tracing::debug!(side = ?self.side, "answer to no offer");
                return;
            }
        };
        self.offers.position = after;
        self.reliable.agreed(sdp);
        let open = self
            .inbound
            .iter()
            .find(|inbound| inbound.matter == Matter::Offer && inbound.is_pending());
        if let Some(request) = open.map(|inbound| inbound.request.clone()) {
            self.moved(&request);
        }
        self.respond_open(Matter::Offer, Status::OK, Some(sdp), env);
    }
    /// The other leg's party refuses.
    pub(super) fn refuse_offer(&mut self, failure: &Failure, env: &mut Env<'_>) {
        match self.offers.position {
            Position::PeerOffered | Position::PeerAsked if matches!(self.phase, Phase::Incoming(_)) => {}
            Position::PeerOffered | Position::PeerOfferedByUpdate | Position::PeerAsked => {
                self.offers.position = Position::Settled;
                // Codes by which a peer would take its own dialog for dead, or itself for challenged, are not its matter.
                let refusal = match failure.status {
                    Status::UNAUTHORIZED
                    | Status::PROXY_AUTHENTICATION_REQUIRED
                    | Status::REQUEST_TIMEOUT
                    | Status::CALL_DOES_NOT_EXIST => {
                        Failure::new(Status::NOT_ACCEPTABLE_HERE, failure.origin, failure.kind)
                    }
                    status if status.code() < 300 => Failure::of(Kind::Internal, Origin::Local),
                    _ => failure.clone(),
                };
                self.refuse_open(Matter::Offer, &refusal, env);
            }
            Position::PeerOfferedInAnswer => {
                self.offers.position = Position::Settled;
                self.acknowledge_owed(None, env);
            }
            Position::PeerOfferedInProgress => self.prack_owed(None, env),
            Position::Settled
            | Position::Offered
            | Position::Asked
            | Position::OfferedInProgress
            | Position::OfferedInAnswer => {
                tracing::debug!(side = ?self.side, "refusal of no offer");
            }
        }
    }
    /// The other leg's party offers.
    pub(super) fn want_offer(&mut self, sdp: Option<Sdp>) {
        if let Some(status) = self.never_before_the_answer(sdp.is_some()) {
            return self.refuse_other(Failure::new(status, self.origin(), Kind::Protocol));
        }
        self.offers.glares = 0;
        let former = self.offers.wanted.replace(Wanted {
            sdp,
            not_before: None,
        });
        if former.is_some() {
            self.refuse_other(Failure::new(
                Status::REQUEST_PENDING,
                self.origin(),
                Kind::Protocol,
            ));
        }
        // It goes when its turn comes, which `settle` sees after every input.
    }
    /// Why an offer cannot cross before the answer.
    fn never_before_the_answer(&self, has_offer: bool) -> Option<Status> {
        let (settled, updates) = match &self.phase {
            Phase::Incoming(_) if self.reliable.is_answered() => return None,
            Phase::Incoming(_) => {
                let open = matches!(self.offers.position, Position::PeerOffered | Position::PeerAsked);
                (!open, self.session.updates())
            }
            Phase::Calling(calling) => (calling.active().is_some(), calling.updates()),
            Phase::GivenUp | Phase::Up(_) | Phase::Ended => return None,
        };
        if !settled || !has_offer {
            return Some(Status::REQUEST_PENDING);
        }
        (!updates).then_some(Status::NOT_ACCEPTABLE_HERE)
    }
    /// The other leg's party does not want its offer any more.
    pub(super) fn withdraw_offer(&mut self, env: &mut Env<'_>) {
        if self.offers.wanted.take().is_some() {
            self.refuse_other(Failure::of(Kind::Cancelled, self.origin()));
        } else if matches!(self.offers.position, Position::Offered | Position::Asked) {
            self.offers.withdrawn = true;
            for outbound in &mut self.outbound {
                if outbound.purpose == Purpose::Offer && outbound.is_open() {
                    outbound.cancel(Vec::new(), &mut wire!(self, env));
                }
            }
        }
    }
    /// The peer does not answer our re-INVITE.
    pub(super) fn offer_limit(&mut self, env: &mut Env<'_>) {
        if self.offers.limit.is_some_and(|at| at <= env.now) {
            self.offers.limit = None;
            self.withdraw_offer(env);
        }
    }
    /// Sends what waits, when it may.
    pub(super) fn send_wanted_offer(&mut self, env: &mut Env<'_>) {
        let unacknowledged = self.is_unacknowledged();
        let Some(wanted) = &mut self.offers.wanted else {
            return;
        };
        if wanted.not_before.is_some_and(|at| at > env.now) {
            return;
        }
        wanted.not_before = None;
        let ready = match &self.phase {
            Phase::Up(up) => !up.is_hanging(),
            Phase::Incoming(_) => self.reliable.is_quiet(),
            Phase::Calling(_) => true,
            Phase::GivenUp | Phase::Ended => false,
        };
        if !ready || self.offers.position.turn(Wish::OurInvite, unacknowledged) != Turn::Granted {
            return;
        }
        let Some(Wanted { sdp, .. }) = self.offers.wanted.take() else {
            return;
        };
        self.offers.withdrawn = false;
        self.offers.limit = Some(env.now + LIMIT);
        self.offers.position = if sdp.is_some() {
            Position::Offered
        } else {
            Position::Asked
        };
        let mut outbound = match &self.phase {
            Phase::Up(_) => self.target_refresh(Method::Invite, Purpose::Offer),
            _ => self.early_update(),
        };
        if let Some(sdp) = &sdp {
            outbound.request.headers.push("Content-Type", "application/sdp");
            outbound.request.body = sdp.to_bytes();
        }
        self.request(outbound, env);
    }
    /// The final response to our re-INVITE or UPDATE.
    pub(super) fn offer_response(&mut self, response: &Response, at: usize, env: &mut Env<'_>) {
        let status = response.status;
        let number = response.headers.cseq().map_or(0, |cseq| cseq.number);
        let by_invite = self
            .outbound
            .get(at)
            .is_some_and(|outbound| outbound.request.method == Method::Invite);
        if matches!(self.phase, Phase::GivenUp | Phase::Ended) {
            if status.is_success() && by_invite {
                self.acknowledge(number, None, env);
            }
            return;
        }
        let position = std::mem::take(&mut self.offers.position);
        let withdrawn = std::mem::take(&mut self.offers.withdrawn);
        self.offers.limit = None;
        if status.is_success() {
            self.offers.glares = 0;
            match &mut self.phase {
                Phase::Calling(calling) => calling.updated(&response.headers),
                Phase::Up(_) => {
                    self.dialog.refresh(&response.headers);
                    self.session.accepted(&response.headers, env.now);
                }
                Phase::Incoming(_) | Phase::GivenUp | Phase::Ended => {
                    self.dialog.refresh(&response.headers);
                    let said = self.outbound.get(at);
                    if let Some(said) = said.and_then(|outbound| offer_of(&outbound.request)) {
                        self.reliable.agreed(&said);
                    }
                }
            }
            let content = content::session(&response.headers, &response.body);
            match (content, position, &mut self.phase) {
                (Ok(Some(sdp)), Position::Asked, Phase::Up(up)) => {
                    up.owe(number);
                    self.offers.position = Position::PeerOfferedInAnswer;
                    self.say(Signal::Accept(sdp));
                }
                (Ok(Some(sdp)), ..) => {
                    if by_invite {
                        self.acknowledge(number, None, env);
                    }
                    self.say(Signal::Accept(sdp));
                }
                (Ok(None) | Err(_), ..) => {
                    if by_invite {
                        self.acknowledge(number, None, env);
                    }
                    let failure = Failure::of(Kind::NotAcceptable, self.origin());
                    self.refuse_other(failure.because("No usable SDP in the answer"));
                }
            }
            return;
        }
        self.session.refused(status, env.now);
        match status {
            Status::REQUEST_PENDING if !withdrawn && self.offers.glares < MAX_GLARES => {
                let pause = pause(self.has_called(), env);
                self.offer_again(at, env.now + pause);
            }
            Status::SERVER_INTERNAL_ERROR
                if !withdrawn && self.offers.glares < MAX_GLARES && busy_for(response).is_some() =>
            {
                self.offer_again(at, env.now + busy_for(response).unwrap_or_default());
            }
            Status::CALL_DOES_NOT_EXIST | Status::REQUEST_TIMEOUT if matches!(self.phase, Phase::Up(_)) => {
                self.lost(status, env);
            }
            _ => self.refuse_other(Failure::of_response(response, self.origin())),
        }
    }
    /// The same offer, not before `when`.
    fn offer_again(&mut self, at: usize, when: Instant) {
        self.offers.glares += 1;
        let refused = self.outbound.get(at);
        self.offers.wanted = Some(Wanted {
            sdp: refused.and_then(|outbound| offer_of(&outbound.request)),
            not_before: Some(when),
        });
    }
    pub(super) fn offer_failed(&mut self, mut failure: Failure, env: &mut Env<'_>) {
        if failure.kind == Kind::Rejected {
            failure.origin = self.origin();
        }
        if matches!(self.phase, Phase::GivenUp | Phase::Ended) {
            return;
        }
        self.offers.position = Position::Settled;
        self.offers.withdrawn = false;
        self.offers.limit = None;
        if failure.kind == Kind::Timeout && matches!(self.phase, Phase::Up(_)) {
            self.lost(Status::REQUEST_TIMEOUT, env);
        } else {
            self.refuse_other(failure);
        }
    }
    /// What an ACK or PRACK that had to bring an answer brought.
    pub(super) fn answer_of(&mut self, request: &Request) {
        match content::session(&request.headers, &request.body) {
            Ok(Some(sdp)) => self.say(Signal::Accept(sdp)),
            Ok(None) | Err(_) => {
                let missing = format!("No usable SDP in the {}", request.method);
                self.refuse_other(Failure::of(Kind::Protocol, self.origin()).because(&missing));
            }
        }
    }
}

/// How long a peer that has answered 500 to an offer has still to do with its former one: it says 0 to 10 s (RFC 3261 §14.2,
/// RFC 3311 §5.2). One that names a longer time has another trouble, which the other party is told of.
fn busy_for(response: &Response) -> Option<Duration> {
    let after = response.headers.retry_after()?;
    (after <= Duration::from_secs(10)).then_some(after.max(Duration::from_millis(100)))
}

/// The offer that a re-INVITE of ours carried.
fn offer_of(invite: &Request) -> Option<Sdp> {
    content::session(&invite.headers, &invite.body).ok().flatten()
}

/// RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms.
fn pause(is_ours: bool, env: &mut Env<'_>) -> Duration {
    let steps = if is_ours {
        210 + env.ids.below(191)
    } else {
        env.ids.below(201)
    };
    Duration::from_millis(steps * 10)
}
