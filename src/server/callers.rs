//! Who may begin something: hosts that are trusted, and whoever comes from elsewhere and knows a password.

use super::{
    admission::Refusal,
    digest::{ASSERTED, Objection},
    dispatch::Dispatcher,
    standalone::reply,
};
use crate::{
    call::{Failure, Origin, failure::Kind},
    sip::{
        Method, Request, Response, Status, Text,
        auth::Challenge,
        routing::{Source, TransactionKey},
    },
};
use std::time::Instant;

/// On whose word a request is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Of a host that is trusted: whatever its request says.
    Host,
    /// This user's, who may come from anywhere.
    User(String),
}

impl Caller {
    /// The user's name.
    pub(super) fn user(self) -> Option<String> {
        match self {
            Self::Host => None,
            Self::User(user) => Some(user),
        }
    }
}

impl Dispatcher {
    /// Who asks for something outside of all dialogs; `None`: nobody who may, and it has been answered.
    pub(super) fn caller(
        &mut self,
        request: &mut Request,
        key: &TransactionKey,
        source: Source,
    ) -> Option<Caller> {
        if self.trusts(&source) || self.registrations.is_peer(source.remote.ip()) {
            return Some(Caller::Host);
        }
        let Some(users) = self.policy.users.clone() else {
            self.refuse(request, key, source, Refusal::Forbidden);
            return None;
        };
        // Whoever cancels cannot answer a challenge (RFC 3261 §22.1), and there is nothing to cancel.
        if request.method == Method::Cancel {
            let response = self.answerer.response(request, Status::CALL_DOES_NOT_EXIST);
            self.answer(request, response, source);
            return None;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "the dispatcher's clock: nonces have a life"
        )]
        let now = Instant::now();
        let host = source.remote.ip();
        let objection = match self.guard.judge(&users, request, host, now) {
            Ok(user) => {
                // It has heard us, so the address is no invented one.
                self.net.known(host, now);
                for name in ASSERTED {
                    request.headers.remove(name);
                }
                return Some(Caller::User(user.to_owned()));
            }
            Err(objection) => objection,
        };
        match objection {
            Objection::Unauthenticated | Objection::Stale | Objection::Wrong => {
                if objection == Objection::Wrong {
                    self.note_wrong(request, key, source);
                }
                let stale = objection == Objection::Stale;
                let challenges = self.guard.challenges(&users, (host, stale), now);
                self.challenge(request, &challenges, source);
            }
            Objection::TooOften | Objection::NotTheirs => {
                if objection == Objection::NotTheirs {
                    tracing::info!(from = %source.remote, "From is not of the user whose password was used");
                }
                self.refuse(request, key, source, Refusal::Forbidden);
            }
            Objection::Elsewhere => {
                let mut response = self.answerer.response(request, Status::BAD_REQUEST);
                response.reason = Text::from_static("Digest Is Of Another Request-URI");
                self.answer(request, response, source);
            }
        }
        None
    }
    /// A wrong password: said once for each attempt, and not more often than strangers' refusals are.
    fn note_wrong(&mut self, request: &Request, key: &TransactionKey, source: Source) {
        self.gauges.unauthenticated.add();
        if !self.recent.takes_stranger() {
            return;
        }
        tracing::info!(from = %source.remote, method = %request.method, "no such user with such a password");
        if request.method == Method::Invite {
            let failure = Failure::new(Status::UNAUTHORIZED, Origin::Local, Kind::Declined);
            self.record_refusal(request, key, source, failure);
        }
    }
    /// Asks who it is. Where all challenges make more than the request was, only the last is sent, which most clients can
    /// answer; if that is too much as well, nothing is: the address may be a victim's.
    fn challenge(&self, request: &Request, challenges: &[Challenge], source: Source) {
        self.gauges.challenged.add();
        let with = |challenges: &[Challenge]| {
            let mut response = self.answerer.response(request, Status::UNAUTHORIZED);
            for challenge in challenges {
                response.headers.push("WWW-Authenticate", challenge.to_text());
            }
            // The answer is to be small.
            response.headers.remove("User-Agent");
            response
        };
        let all = with(challenges);
        let response = match challenges {
            [.., last] if challenges.len() > 1 && is_too_large(request, &all, source) => {
                with(std::slice::from_ref(last))
            }
            _ => all,
        };
        self.answer(request, response, source);
    }
}

/// Whether an answer to an address that nobody has proven would be larger than what it answers.
pub(super) fn is_too_large(request: &Request, response: &Response, source: Source) -> bool {
    !source.transport.is_reliable() && reply(request, response, source).bytes.len() > request.to_bytes().len()
}
