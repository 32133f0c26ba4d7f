//! A book of subscriptions, a clock, and a network with a notifier in it.

pub(super) use crate::roll::tests::rig::{key, seconds, target, uri};

use crate::{
    call::Env,
    message_waiting::{MailboxBook, MailboxPlan, MailboxStatus, MailboxSubscription},
    roll::tests::rig::{self, FarEnd, credentials, source, users},
    sip::{Message, Method, Request, Response, Status, routing::DialogKey},
    testing::Notifier,
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

pub(super) type Rig = rig::Rig<MailboxSubscription, Server>;

/// `sip:NAME@example.org` with the password `secret`, at `sip:mwi.example.org`.
pub(super) fn plan(name: &str) -> MailboxPlan {
    MailboxPlan::new(
        uri(&format!("sip:{name}@example.org")),
        uri("sip:mwi.example.org"),
        Some(credentials(name)),
    )
}

/// At 192.0.2.1.
pub(super) struct Server {
    pub(super) notifier: Notifier,
}

impl Server {
    /// Codes of the answers to NOTIFYs.
    pub(super) fn told(&self) -> Vec<u16> {
        let told = self.notifier.told.iter();
        told.map(|answer| answer.status.code()).collect()
    }
    /// Nothing that was heard broke a rule.
    pub(super) fn no_complaints(&self) {
        let all = [&self.notifier.complaints, &self.notifier.guard.complaints];
        assert!(all.iter().all(|some| some.is_empty()), "{all:#?}");
    }
}

impl FarEnd<MailboxSubscription> for Server {
    type Status = MailboxStatus;

    fn user(plan: &MailboxPlan) -> &str {
        plan.aor.user().unwrap()
    }
    fn status(view: &MailboxStatus) -> MailboxStatus {
        view.clone()
    }
    fn name(request: &Request) -> DialogKey {
        assert_eq!(request.method, Method::Subscribe);
        DialogKey {
            call_id: request.headers.call_id().unwrap(),
            local_tag: request.headers.from().unwrap().tag().unwrap(),
        }
    }
    fn words(notify: Box<Request>) -> String {
        String::from_utf8_lossy(&notify.body).into_owned()
    }
    fn receive(&mut self, to: SocketAddr, request: Request, now: Instant) -> Vec<(Duration, Message)> {
        if to != target(1).remote {
            return Vec::new();
        }
        let (response, notify) = self.notifier.receive(request, source(), now);
        let mut back: Vec<Message> = response.into_iter().map(Message::from).collect();
        back.extend(notify.map(Message::from));
        if self.notifier.hurries {
            back.reverse();
        }
        back.into_iter()
            .map(|message| (Duration::ZERO, message))
            .collect()
    }
    fn take(book: &mut MailboxBook, message: Message, env: &mut Env<'_>) -> Option<Response> {
        match message {
            Message::Response(response) => {
                book.response(&response, env);
                None
            }
            Message::Request(request) => {
                let answer = book.request(&request, env);
                Some(answer.unwrap_or_else(|| request.respond(Status::CALL_DOES_NOT_EXIST, None)))
            }
        }
    }
    fn answered(&mut self, answer: Response) {
        self.notifier.told.push(answer);
    }
}

impl Rig {
    pub(super) fn new() -> Self {
        let names = users();
        let passwords: Vec<_> = names.iter().map(|name| (name.as_str(), "secret")).collect();
        let notifier = Notifier::new("example.org", &passwords);
        Self::of(Server { notifier })
    }
    /// The account is registered, and the registrar named that way.
    pub(super) fn registered(&mut self, name: &str, route: &[&str]) {
        let route = route.iter().map(|hop| uri(hop)).collect();
        self.with(|book, env| book.ready(&key(name), Some(route), env));
    }
    pub(super) fn unregistered(&mut self, name: &str) {
        self.with(|book, env| book.ready(&key(name), None, env));
    }
    /// The notifier says this of all subscriptions now.
    pub(super) fn tell(&mut self, summary: &str, state: &str) {
        summary.clone_into(&mut self.notifier.summary);
        for (_, notify) in self.notifier.tell(state) {
            self.send_back(notify.into());
        }
    }
    /// This comes, and is answered so.
    pub(super) fn hear(&mut self, request: &Request) -> Option<Response> {
        self.with(|book, env| book.request(request, env))
    }
    /// What SUBSCRIBEs asked for, in order.
    pub(super) fn asked(&self) -> Vec<u32> {
        self.sent
            .iter()
            .map(|(_, request)| request.headers.number("Expires").unwrap())
            .collect()
    }
}
