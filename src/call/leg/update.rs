//! Offers in mid-call: re-INVITE and UPDATE both ways, glare (RFC 3261 §14, RFC 3311, RFC 6337).

use super::{
    Env, Failure, Inbound, Leg, Matter, Origin, Outbound, Phase, Position, Purpose, Side, Signal, content,
    inbound::ALLOW,
    offer::{Turn, Wish},
    wire::wire,
};
use crate::{
    call::failure::Kind,
    sdp::Sdp,
    sip::{Method, Request, Response, Status, Text},
};
use std::time::{Duration, Instant};

/// How often an offer is tried against 491 before the other leg is told.
const MAX_GLARES: u8 = 8;

/// How long a re-INVITE may stay unanswered: somebody may have to be asked whether he wants video.
const LIMIT: Duration = Duration::from_secs(120);

/// An offer that is not on the wire: it waits for its turn, or for the end of a pause after 491.
#[derive(Debug)]
pub(super) struct Wanted {
    /// `None` asks the peer for an offer.
    pub(super) sdp: Option<Sdp>,
    pub(super) not_before: Option<Instant>,
}

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
            self.dialog.refresh(&inbound.request.headers);
            return self.answer(inbound, Status::OK, env);
        }
        let unacknowledged = self.is_unacknowledged();
        let turn = match &self.phase {
            Phase::Up(up) if up.is_hanging() => Turn::Busy,
            Phase::Up(up) => {
                let wish = if is_update {
                    Wish::PeerUpdate
                } else {
                    Wish::PeerInvite
                };
                up.position.turn(wish, unacknowledged)
            }
            // Its INVITE is not answered: it has an offer open (RFC 3261 §14.2, RFC 3311 §5.2).
            Phase::Incoming(_) => Turn::Busy,
            // Ours is not.
            Phase::Calling(_) | Phase::GivenUp | Phase::Ended => Turn::Pending,
        };
        match turn {
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
        let mut refused = false;
        if let Phase::Up(up) = &mut self.phase {
            // Ours is not on the wire, the peer's is: ours gives way, and its party tries again.
            refused = up.wanted.take().is_some();
            up.glares = 0;
            up.position = match (&session, is_update) {
                (Some(_), true) => Position::PeerOfferedByUpdate,
                (Some(_), false) => Position::PeerOffered,
                (None, _) => Position::PeerAsked,
            };
        }
        if refused {
            self.refuse_other(Failure::new(
                Status::REQUEST_PENDING,
                self.origin(),
                Kind::Rejected,
            ));
        }
        inbound.matter = Matter::Offer;
        if !is_update {
            inbound.respond(Status::TRYING, &self.tag(), None, &mut wire!(self, env));
        }
        self.inbound.push(inbound);
        self.say(Signal::Offer(session));
    }
    fn refuse_other(&mut self, failure: Failure) {
        self.say(Signal::Refuse(failure));
    }
    /// The peer cancelled its re-INVITE.
    pub(super) fn withdrawn(&mut self) {
        self.say(Signal::Withdraw);
    }
    /// The other leg's party accepts.
    pub(super) fn accept_offer(&mut self, sdp: &Sdp, env: &mut Env<'_>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        let after = match up.position {
            Position::PeerOffered | Position::PeerOfferedByUpdate => Position::Settled,
            Position::PeerAsked => Position::OfferedInAnswer,
            Position::PeerOfferedInAnswer => {
                up.position = Position::Settled;
                if let Some(cseq) = up.ack_owed.take() {
                    self.acknowledge(cseq, Some(sdp), env);
                }
                return;
            }
            Position::Settled | Position::Offered | Position::Asked | Position::OfferedInAnswer => {
                tracing::debug!(side = ?self.side, "answer to no offer");
                return;
            }
        };
        up.position = after;
        let open = self
            .inbound
            .iter()
            .find(|inbound| inbound.matter == Matter::Offer && inbound.is_pending());
        if let Some(inbound) = open {
            self.dialog.refresh(&inbound.request.headers);
        }
        self.respond_open(Matter::Offer, Status::OK, Some(sdp), env);
    }
    /// The other leg's party refuses.
    pub(super) fn refuse_offer(&mut self, failure: &Failure, env: &mut Env<'_>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        match up.position {
            Position::PeerOffered | Position::PeerOfferedByUpdate | Position::PeerAsked => {
                up.position = Position::Settled;
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
                up.position = Position::Settled;
                if let Some(cseq) = up.ack_owed.take() {
                    self.acknowledge(cseq, None, env);
                }
            }
            Position::Settled | Position::Offered | Position::Asked | Position::OfferedInAnswer => {
                tracing::debug!(side = ?self.side, "refusal of no offer");
            }
        }
    }
    /// The other leg's party offers.
    pub(super) fn want_offer(&mut self, sdp: Option<Sdp>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        up.glares = 0;
        let former = up.wanted.replace(Wanted {
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
    /// The other leg's party does not want its offer any more.
    pub(super) fn withdraw_offer(&mut self, env: &mut Env<'_>) {
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        if up.wanted.take().is_some() {
            self.refuse_other(Failure::of(Kind::Cancelled, self.origin()));
        } else if matches!(up.position, Position::Offered | Position::Asked) {
            up.withdrawn = true;
            for outbound in &mut self.outbound {
                if outbound.purpose == Purpose::Offer && outbound.is_open() {
                    outbound.cancel(Vec::new(), &mut wire!(self, env));
                }
            }
        }
    }
    /// The peer does not answer our re-INVITE.
    pub(super) fn offer_limit(&mut self, env: &mut Env<'_>) {
        if let Phase::Up(up) = &mut self.phase
            && up.limit.is_some_and(|at| at <= env.now)
        {
            up.limit = None;
            self.withdraw_offer(env);
        }
    }
    /// Sends what waits, when it may.
    pub(super) fn send_wanted_offer(&mut self, env: &mut Env<'_>) {
        let unacknowledged = self.is_unacknowledged();
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        let Some(wanted) = &mut up.wanted else {
            return;
        };
        if wanted.not_before.is_some_and(|at| at > env.now) {
            return;
        }
        wanted.not_before = None;
        if up.is_hanging() || up.position.turn(Wish::OurInvite, unacknowledged) != Turn::Granted {
            return;
        }
        let Some(Wanted { sdp, .. }) = up.wanted.take() else {
            return;
        };
        up.withdrawn = false;
        up.limit = Some(env.now + LIMIT);
        up.position = if sdp.is_some() {
            Position::Offered
        } else {
            Position::Asked
        };
        let mut outbound = self.target_refresh(Method::Invite, Purpose::Offer);
        if let Some(sdp) = &sdp {
            outbound.request.headers.push("Content-Type", "application/sdp");
            outbound.request.body = sdp.to_bytes();
        }
        self.request(outbound, env);
    }
    /// A request that says where we are, and that we still are (RFC 3261 §12.2.1.1, RFC 4028 §7.1).
    pub(super) fn target_refresh(&mut self, method: Method, purpose: Purpose) -> Outbound {
        let path = self.path();
        let mut request = self.dialog.request(method, &path);
        let contact = self.contact.clone();
        let per_target = contact.is_none();
        request
            .headers
            .push("Contact", contact.unwrap_or(Text::from_static("<sip:invalid>")));
        request.headers.push("Allow", ALLOW);
        self.session.dress(&mut request.headers);
        let cseq = self.dialog.local_cseq;
        Outbound::new(purpose, request, cseq, per_target, Some(path.hop))
    }
    /// The final response to our re-INVITE.
    pub(super) fn offer_response(&mut self, response: &Response, at: usize, env: &mut Env<'_>) {
        let status = response.status;
        let number = response.headers.cseq().map_or(0, |cseq| cseq.number);
        let Phase::Up(up) = &mut self.phase else {
            if status.is_success() {
                self.acknowledge(number, None, env);
            }
            return;
        };
        let position = std::mem::take(&mut up.position);
        let withdrawn = std::mem::take(&mut up.withdrawn);
        up.limit = None;
        if status.is_success() {
            up.glares = 0;
            self.dialog.refresh(&response.headers);
            self.session.accepted(&response.headers, env.now);
            match (content::session(&response.headers, &response.body), position) {
                (Ok(Some(sdp)), Position::Asked) => {
                    up.position = Position::PeerOfferedInAnswer;
                    up.ack_owed = Some(number);
                    self.say(Signal::Accept(sdp));
                }
                (Ok(Some(sdp)), _) => {
                    self.acknowledge(number, None, env);
                    self.say(Signal::Accept(sdp));
                }
                (Ok(None) | Err(_), _) => {
                    self.acknowledge(number, None, env);
                    let failure = Failure::of(Kind::NotAcceptable, self.origin());
                    self.refuse_other(failure.because("No usable SDP in the answer"));
                }
            }
            return;
        }
        self.session.refused(status, env.now);
        match status {
            Status::REQUEST_PENDING if !withdrawn && up.glares < MAX_GLARES => {
                up.glares += 1;
                let sdp = self
                    .outbound
                    .get(at)
                    .and_then(|outbound| offer_of(&outbound.request));
                up.wanted = Some(Wanted {
                    sdp,
                    not_before: Some(env.now + pause(self.side, env)),
                });
            }
            Status::CALL_DOES_NOT_EXIST | Status::REQUEST_TIMEOUT => self.lost(status, env),
            _ => self.refuse_other(Failure::of_response(response, self.origin())),
        }
    }
    pub(super) fn offer_failed(&mut self, mut failure: Failure, env: &mut Env<'_>) {
        if failure.kind == Kind::Rejected {
            failure.origin = self.origin();
        }
        let Phase::Up(up) = &mut self.phase else {
            return;
        };
        up.position = Position::Settled;
        up.withdrawn = false;
        up.limit = None;
        if failure.kind == Kind::Timeout {
            self.lost(Status::REQUEST_TIMEOUT, env);
        } else {
            self.refuse_other(failure);
        }
    }
    /// What an ACK that had to bring an answer brought.
    pub(super) fn answer_of_ack(&mut self, ack: &Request) {
        match content::session(&ack.headers, &ack.body) {
            Ok(Some(sdp)) => self.say(Signal::Accept(sdp)),
            Ok(None) | Err(_) => {
                let failure = Failure::of(Kind::Protocol, self.origin()).because("No usable SDP in the ACK");
                self.refuse_other(failure);
            }
        }
    }
}

/// The offer that a re-INVITE of ours carried.
fn offer_of(invite: &Request) -> Option<Sdp> {
    content::session(&invite.headers, &invite.body).ok().flatten()
}

/// RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms.
fn pause(side: Side, env: &mut Env<'_>) -> Duration {
    let steps = match side {
        Side::B => 210 + env.ids.below(191),
        Side::A => env.ids.below(201),
    };
    Duration::from_millis(steps * 10)
}
