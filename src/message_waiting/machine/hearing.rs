//! What the notifier says (RFC 6665 §4.1.3).

use super::{
    super::{
        dialog::Heard,
        notice::{self, Notice},
    },
    MailboxOutput, MailboxSubscription, State,
};
use crate::{
    call::Env,
    roll::{CAP, refresh},
    sip::{Method, Request, Response, Status, subscription::Termination},
};
use std::time::Duration;

impl MailboxSubscription {
    /// A request of its dialog; gives what it is answered with.
    pub fn request(&mut self, request: &Request, env: &mut Env<'_>) -> Response {
        if request.method != Method::Notify {
            let mut response = request.respond(Status::METHOD_NOT_ALLOWED, None);
            response.headers.push("Allow", Method::Notify.to_string());
            return response;
        }
        let said = match notice::read(request) {
            Ok(said) => said,
            Err(response) => return *response,
        };
        let Some(usage) = &mut self.usage else {
            return request.respond(Status::CALL_DOES_NOT_EXIST, None);
        };
        match usage.hear(request) {
            Ok(Heard::New) => {}
            Ok(Heard::Again) => return request.respond(Status::OK, None),
            Err(status) => return request.respond(status, None),
        }
        self.silent_until = None;
        if !self.ending && !request.body.is_empty() {
            self.out.push_back(MailboxOutput::News(Box::new(request.clone())));
        }
        match said {
            Notice::Lasts(Some(seconds)) => self.lasts(Duration::from_secs(seconds.into()), env),
            Notice::Lasts(None) => {}
            Notice::Over(termination) => self.terminated(&termination, env),
        }
        request.respond(Status::OK, None)
    }
    /// A NOTIFY says that it lasts no longer than that: what is shorter than was granted counts.
    fn lasts(&mut self, time: Duration, env: &mut Env<'_>) {
        let until = env.now + time;
        if self.lapses.is_none_or(|lapses| lapses <= until) {
            return;
        }
        if let State::Resting(rest) = &mut self.state {
            *rest = (*rest).min(env.now + refresh(time, env.ids));
            self.lapses = Some(until.max(*rest));
        }
    }
    /// The notifier has ended it (RFC 6665 §4.1.3).
    fn terminated(&mut self, termination: &Termination, env: &mut Env<'_>) {
        let reason = termination
            .reason
            .as_ref()
            .map(|reason| reason.to_str().into_owned());
        let why = format!(
            "ended by the notifier: {}",
            reason.as_deref().unwrap_or("no reason")
        );
        if self.ending {
            return self.finish();
        }
        // One that has lasted was no failure.
        if self.since.is_some_and(|since| since + CAP <= env.now) {
            self.failures = 0;
        }
        self.lose();
        let asked = termination
            .retry_after
            .map(|seconds| Duration::from_secs(seconds.into()));
        self.rest(&why, asked, termination.is_for_good(), env);
    }
}
