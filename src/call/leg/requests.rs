//! Requests of the peer: whose transaction, whose dialog, in which order; then to the phase that the leg is in.

use super::{Inbound, Leg, MAX_INBOUND, Matter, Phase, SUPPORTED, Sender, Signal, content, wire::wire};
use crate::{
    call::{Cause, Env, Failure, Origin, crossing, failure::Kind, signal::Payload},
    sdp::Sdp,
    sip::{Headers, Method, Request, Status, routing::TransactionKey},
};

/// Requests that cross (INFO, MESSAGE) and wait for their answer, per leg.
const MAX_PASSED: usize = 16;

/// Reads what may cross of a request or response; the bridge takes out what the application does not name. A session description
/// does not: outside of offer and answer it names one leg's addresses, which are nothing to the other.
pub(super) fn payload(method: &Method, headers: &Headers, body: &bytes::Bytes) -> Payload {
    let crosses = !content::describes_session(headers, body);
    Payload {
        method: method.clone(),
        headers: crossing::of_message(headers, crosses),
        body: if crosses {
            body.clone()
        } else {
            bytes::Bytes::new()
        },
        number: headers.cseq().map_or(0, |cseq| cseq.number),
        cseq: 0,
    }
}

impl Leg {
    pub(super) fn handle_request(&mut self, request: Request, from: &Sender, env: &mut Env<'_>) {
        let (Ok(key), Ok(cseq)) = (TransactionKey::of(&request), request.headers.cseq()) else {
            tracing::debug!(side = ?self.side, "request without usable Via or CSeq");
            return;
        };
        match request.method {
            Method::Ack => return self.handle_ack(&key, cseq.number, &request, env),
            Method::Cancel => return self.handle_cancel(key, request, cseq.number, from, env),
            _ => {}
        }
        if let Some(known) = self.inbound.iter().find(|inbound| inbound.key == key) {
            known.repeat(&mut wire!(self, env));
            return;
        }
        if self.inbound.len() >= MAX_INBOUND {
            let Some(old) = self.inbound.iter().position(|inbound| !inbound.is_open()) else {
                tracing::debug!(side = ?self.side, "more open requests than a leg holds");
                return;
            };
            self.inbound.remove(old);
        }
        let mut inbound = Inbound::new(key, request, cseq.number, from, &wire!(self, env));
        if let Err(failure) = self.check(&inbound) {
            inbound.refuse(&failure, &self.tag(), &mut wire!(self, env));
            self.inbound.push(inbound);
            return;
        }
        if matches!(inbound.request.method, Method::Invite | Method::Update) {
            self.note_nat(&inbound.request, &from.source);
            self.session.note(&inbound.request.headers);
            inbound.session = match self.session.answer(&inbound.request.headers) {
                Ok(agreed) => agreed,
                Err(failure) => return self.refuse(inbound, &failure, env),
            };
        }
        self.follow_nat(&inbound.request, &from.source);
        match inbound.request.method {
            Method::Bye => self.handle_bye(inbound, env),
            Method::Options => self.answer(inbound, Status::OK, env),
            Method::Invite | Method::Update => self.handle_offer_request(inbound, env),
            Method::Info | Method::Message | Method::Refer | Method::Notify | Method::Other(_) => {
                self.handle_passing(inbound, env);
            }
            Method::Prack => self.handle_prack(inbound, env),
            Method::Register | Method::Subscribe | Method::Publish | Method::Ack | Method::Cancel => {
                self.answer(inbound, Status::METHOD_NOT_ALLOWED, env)
            }
        }
    }
    pub(super) fn tag(&self) -> String {
        self.dialog.local_tag.to_string()
    }
    /// Whether a request belongs to this dialog and comes in order (RFC 3261 §12.2.2), and asks for nothing that we cannot do
    /// (§8.2.2.3).
    fn check(&mut self, inbound: &Inbound) -> Result<(), Failure> {
        let gone = || Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::Local, Kind::Protocol);
        let headers = &inbound.request.headers;
        let to = headers.to().ok().and_then(|to| to.tag());
        if to.as_ref() != Some(&self.dialog.local_tag) {
            return Err(gone());
        }
        if let Phase::Calling(calling) = &mut self.phase {
            calling.check(inbound)?;
        }
        let settled = !matches!(self.phase, Phase::Calling(_) | Phase::GivenUp);
        if settled {
            let peer = headers.from().ok().and_then(|from| from.tag());
            if peer != self.dialog.remote_tag {
                return Err(gone());
            }
            if let Err(error) = self.dialog.receive(inbound.cseq) {
                return Err(
                    Failure::new(Status::SERVER_INTERNAL_ERROR, Origin::Local, Kind::Protocol)
                        .because(&error.to_string()),
                );
            }
        }
        let crossing = self.bye_sent && inbound.request.method == Method::Bye || self.awaits_prack(inbound);
        if matches!(self.phase, Phase::Ended) && !crossing {
            return Err(gone());
        }
        required(headers)
    }
    /// Answers at once.
    pub(super) fn answer(&mut self, mut inbound: Inbound, status: Status, env: &mut Env<'_>) {
        inbound.respond(status, &self.tag(), None, &mut wire!(self, env));
        self.inbound.push(inbound);
    }
    /// Refuses at once.
    pub(super) fn refuse(&mut self, mut inbound: Inbound, failure: &Failure, env: &mut Env<'_>) {
        inbound.refuse(failure, &self.tag(), &mut wire!(self, env));
        self.inbound.push(inbound);
    }
    /// Gives the final answer to what is open for `matter`, the oldest first.
    pub(super) fn respond_open(
        &mut self,
        matter: Matter,
        status: Status,
        body: Option<&Sdp>,
        env: &mut Env<'_>,
    ) -> bool {
        let tag = self.tag();
        let Some(inbound) = open(&mut self.inbound, matter) else {
            return false;
        };
        inbound.respond(status, &tag, body, &mut wire!(self, env));
        true
    }
    /// Refuses what is open for `matter`, the oldest first.
    pub(super) fn refuse_open(&mut self, matter: Matter, failure: &Failure, env: &mut Env<'_>) -> bool {
        let tag = self.tag();
        let Some(inbound) = open(&mut self.inbound, matter) else {
            return false;
        };
        inbound.refuse(failure, &tag, &mut wire!(self, env));
        true
    }
    fn handle_ack(&mut self, key: &TransactionKey, cseq: u32, request: &Request, env: &mut Env<'_>) {
        for inbound in &mut self.inbound {
            if inbound.key == *key && inbound.receive_ack(&wire!(self, env)) {
                return;
            }
        }
        // The ACK of a 2xx is a transaction of its own: it is known by its dialog and number. A fork that lost may number its
        // requests as the one that won does.
        let of = |request: &Request| request.headers.from().ok().and_then(|from| from.tag());
        let acknowledged = self
            .inbound
            .iter_mut()
            .find(|inbound| {
                inbound.is_unacknowledged() && inbound.cseq == cseq && of(&inbound.request) == of(request)
            })
            .is_some_and(Inbound::acknowledge);
        if acknowledged {
            self.acknowledged(request, env);
        }
    }
    fn handle_cancel(
        &mut self,
        key: TransactionKey,
        request: Request,
        cseq: u32,
        from: &Sender,
        env: &mut Env<'_>,
    ) {
        let target = self
            .inbound
            .iter()
            .position(|inbound| inbound.is_invite() && inbound.key == key);
        let status = match target {
            Some(_) => Status::OK,
            None => Status::CALL_DOES_NOT_EXIST,
        };
        let reasons = request.headers.all("Reason").collect();
        // Its transaction is not kept: each repetition finds the INVITE again and gets the same answer.
        let mut cancel = Inbound::new(key, request, cseq, from, &wire!(self, env));
        cancel.respond(status, &self.tag(), None, &mut wire!(self, env));
        let Some(matter) = target
            .and_then(|at| self.inbound.get(at))
            .filter(|inbound| inbound.is_pending())
            .map(|inbound| inbound.matter)
        else {
            return;
        };
        match matter {
            Matter::Call => {
                self.reliable.finish();
                self.refuse_open(Matter::Call, &Failure::of(Kind::Cancelled, Origin::LegA), env);
                let cause = Cause {
                    reasons,
                    ..Cause::of(Kind::Cancelled, self.origin())
                };
                self.end(env);
                self.say(Signal::Hangup(cause));
            }
            // The other party may have accepted already, so its answer is waited for: only then do both have one session.
            Matter::Offer => self.withdrawn(),
            Matter::Passed | Matter::Local => {}
        }
    }
    fn handle_bye(&mut self, mut bye: Inbound, env: &mut Env<'_>) {
        bye.respond(Status::OK, &self.tag(), None, &mut wire!(self, env));
        let cause = Cause {
            reasons: bye.request.headers.all("Reason").collect(),
            headers: Some(Box::new(crossing::of_end(&bye.request.headers))),
            ..Cause::bye(self.origin())
        };
        self.inbound.push(bye);
        match self.phase {
            Phase::Incoming(_) | Phase::Up(_) => {
                self.end(env);
                self.say(Signal::Hangup(cause));
            }
            Phase::Calling(_) => self.ended_unanswered(cause, env),
            // It crossed the end.
            Phase::GivenUp | Phase::Ended => {}
        }
    }
    fn handle_passing(&mut self, mut inbound: Inbound, env: &mut Env<'_>) {
        let waiting = self
            .inbound
            .iter()
            .filter(|inbound| inbound.matter == Matter::Passed && inbound.is_pending())
            .count();
        if !matches!(self.phase, Phase::Up(_)) {
            return self.answer(inbound, Status::TEMPORARILY_UNAVAILABLE, env);
        }
        if waiting >= MAX_PASSED {
            return self.answer(inbound, Status::SERVER_INTERNAL_ERROR, env);
        }
        inbound.matter = Matter::Passed;
        let request = &inbound.request;
        let payload = payload(&request.method, &request.headers, &request.body);
        self.inbound.push(inbound);
        self.say(Signal::Request(payload));
    }
}

/// What is open for `matter`, the oldest first.
fn open(inbound: &mut [Inbound], matter: Matter) -> Option<&mut Inbound> {
    inbound
        .iter_mut()
        .find(|inbound| inbound.matter == matter && inbound.is_pending())
}

/// 420 for a `Require` that names what we cannot do (RFC 3261 §8.2.2.3).
pub(super) fn required(headers: &Headers) -> Result<(), Failure> {
    let mut failure = Failure::new(Status::BAD_EXTENSION, Origin::Local, Kind::Protocol);
    for option in headers.values("Require") {
        let mut known = SUPPORTED.into_iter();
        let known = known.any(|known| option.as_bytes().eq_ignore_ascii_case(known.as_bytes()));
        if !option.is_empty() && !known {
            failure.headers.push("Unsupported", option);
        }
    }
    if failure.headers.contains("Unsupported") {
        return Err(failure);
    }
    Ok(())
}
