//! A book of registrations, a clock, and a network with registrars in it.

pub(super) use crate::roll::tests::rig::{key, millis, seconds, target, uri};

use crate::{
    call::Env,
    registration::{Book, Name, Registration, RegistrationPlan, RegistrationStatus, View},
    roll::tests::rig::{self, FarEnd, credentials, source, users},
    sip::{Message, Request, Response},
    testing::Registrar,
};
use std::{
    collections::HashMap,
    convert::Infallible,
    net::SocketAddr,
    time::{Duration, Instant},
};

pub(super) type Rig = rig::Rig<Registration, Registrars>;

/// `sip:NAME@example.org` with the password `secret`.
pub(super) fn plan(name: &str) -> RegistrationPlan {
    RegistrationPlan::new(
        uri(&format!("sip:{name}@example.org")),
        uri("sip:example.org"),
        Some(credentials(name)),
    )
}

pub(super) struct Registrars {
    pub(super) registrars: HashMap<SocketAddr, Registrar>,
    /// Added to the way back of each response.
    pub(super) delay: Duration,
}

impl Registrars {
    pub(super) fn registrar(&mut self) -> &mut Registrar {
        self.at(1)
    }
    pub(super) fn at(&mut self, last: u8) -> &mut Registrar {
        self.registrars.get_mut(&target(last).remote).unwrap()
    }
    /// Nothing that was heard broke a rule.
    pub(super) fn no_complaints(&self) {
        for registrar in self.registrars.values() {
            assert!(registrar.complaints.is_empty(), "{:#?}", registrar.complaints);
        }
    }
}

impl FarEnd<Registration> for Registrars {
    type Status = RegistrationStatus;

    fn user(plan: &RegistrationPlan) -> &str {
        plan.aor.user().unwrap()
    }
    fn status(view: &View) -> RegistrationStatus {
        view.status.clone()
    }
    fn name(request: &Request) -> Name {
        Name::Call(request.headers.call_id().unwrap())
    }
    fn words(never: Infallible) -> String {
        match never {}
    }
    fn receive(&mut self, to: SocketAddr, request: Request, now: Instant) -> Vec<(Duration, Message)> {
        let registrar = self.registrars.get_mut(&to);
        let response = registrar.and_then(|registrar| registrar.receive(request, source(), now));
        response.map(|it| (self.delay, it.into())).into_iter().collect()
    }
    fn take(book: &mut Book, message: Message, env: &mut Env<'_>) -> Option<Response> {
        match message {
            Message::Response(response) => book.response(&response, env),
            Message::Request(request) => panic!("registrars ask nothing: {request:?}"),
        };
        None
    }
    fn answered(&mut self, answer: Response) {
        panic!("registrars ask nothing: {answer:?}");
    }
}

impl Rig {
    /// With one registrar at 192.0.2.1.
    pub(super) fn new() -> Self {
        let names = users();
        let passwords: Vec<_> = names.iter().map(|name| (name.as_str(), "secret")).collect();
        let registrar = Registrar::new("example.org", &passwords);
        Self::of(Registrars {
            registrars: HashMap::from([(target(1).remote, registrar)]),
            delay: Duration::ZERO,
        })
    }
    /// What REGISTERs asked for, in order.
    pub(super) fn asked(&self) -> Vec<String> {
        let expires =
            |(_, request): &(_, Request)| request.headers.get("Expires").unwrap().to_str().into_owned();
        self.sent.iter().map(expires).collect()
    }
}
