//! Requests inside a call: the application is asked about each, one after another, and what it lets through crosses.

use super::*;
use crate::{
    call::{InCall, InCallRequest, signal::Payload},
    sip::{Headers, Method, ReferTo},
};

/// Requests of both parties that wait for the application. A leg has no more than 16 open itself.
const MOST_WAITING: usize = 32;

/// What waits for the application's word; the first is being asked about.
#[derive(Debug, Default)]
pub(super) struct Requests(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    from: Side,
    payload: Payload,
    /// Of a REFER.
    refer_to: Option<ReferTo>,
    /// It is asked about again: of which transfer, and whether the dialog that it names was found.
    again: Option<(u32, bool)>,
}

impl Requests {
    /// Its party is gone. The first one is being asked about, and stays.
    pub(super) fn forget(&mut self, side: Side) {
        let mut first = true;
        self.0
            .retain(|waiting| std::mem::take(&mut first) || waiting.from != side);
    }
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

impl Call {
    /// What a party refused with, with the fields of its response that cross.
    pub(super) fn sifted(&self, mut failure: Failure) -> Failure {
        if let Some(others) = failure.others.take() {
            for (name, value) in self.crossing.sift(&others).iter() {
                failure.headers.push(name, value);
            }
        }
        failure
    }
    /// A party asks for something.
    pub(super) fn requested(&mut self, from: Side, mut payload: Payload, env: &mut Env<'_>) {
        payload.headers = self.crossing.sift(&payload.headers);
        let refer_to = match payload.method {
            Method::Notify => return self.notified(from, &payload, env),
            Method::Refer => match ReferTo::of(&payload.headers) {
                Ok(refer_to) => Some(refer_to),
                Err(error) => {
                    let failure = Failure::new(error.status, Origin::Local, Kind::Protocol);
                    return self.refuse_request(from, &payload, &failure.because(&error.to_string()), env);
                }
            },
            _ => None,
        };
        if self.leg_of(from.other()).is_none() {
            let nobody = Failure::new(Status::TEMPORARILY_UNAVAILABLE, Origin::Local, Kind::Unreachable);
            return self.refuse_request(from, &payload, &nobody, env);
        }
        if self.requests.0.len() >= MOST_WAITING {
            let busy = Failure::of(Kind::Capacity, Origin::Local);
            return self.refuse_request(from, &payload, &busy, env);
        }
        self.requests.0.push_back(Waiting {
            from,
            payload,
            refer_to,
            again: None,
        });
        self.ask_next();
    }
    /// A REFER that the application let through as it was is asked about again: it is known whose the dialog is that it names.
    pub(super) fn requested_again(
        &mut self,
        from: Side,
        payload: Payload,
        refer_to: ReferTo,
        (transfer, found): (u32, bool),
    ) {
        self.requests.0.push_back(Waiting {
            from,
            payload,
            refer_to: Some(refer_to),
            again: Some((transfer, found)),
        });
        self.ask_next();
    }
    /// Asks about the next one, if nothing else is being asked.
    pub(super) fn ask_next(&mut self) {
        if self.asked || !matches!(self.phase, Phase::Up) || self.ask_for_guest() {
            return;
        }
        if let Some(waiting) = self.requests.0.front() {
            let refer_to = waiting.refer_to.clone();
            let mut request =
                InCallRequest::of(waiting.from, &waiting.payload, refer_to, self.settings.transfer);
            request.found = waiting.again.map(|(_, found)| found);
            self.ask(Question::InCall(Box::new(request)));
        }
    }
    /// What the application said of the first one.
    pub(super) fn request_decided(&mut self, decision: InCall, env: &mut Env<'_>) {
        let Some(waiting) = self.requests.0.pop_front() else {
            return;
        };
        let Waiting {
            from,
            payload,
            refer_to,
            again,
        } = waiting;
        if let Some((transfer, _)) = again {
            self.refer_settled(transfer, decision, env);
            return self.ask_next();
        }
        match (decision, refer_to) {
            (InCall::Refuse(failure), _) => self.refuse_request(from, &payload, &failure, env),
            (InCall::Rewrite(refer_to), Some(_)) => self.refer(from, payload, (refer_to, true), env),
            (InCall::Forward, Some(refer_to)) => self.refer(from, payload, (refer_to, false), env),
            (InCall::Rewrite(_), None) => {
                tracing::warn!(method = %payload.method, "the application rewrites what is no REFER; it crosses as it is");
                self.forward(from, payload, env);
            }
            (InCall::Forward, None) => self.forward(from, payload, env),
        }
        self.ask_next();
    }
    /// Answers a request with a failure.
    pub(super) fn refuse_request(
        &mut self,
        to: Side,
        payload: &Payload,
        failure: &Failure,
        env: &mut Env<'_>,
    ) {
        let mut headers = Headers::default();
        for (name, value) in failure.headers.iter() {
            headers.push(name, value);
        }
        let answer = Payload {
            headers,
            ..payload.without_body()
        };
        self.tell(to, Signal::Response(failure.status, answer), env);
    }
}
