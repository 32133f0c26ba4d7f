//! The task that drives all subscriptions to mailboxes.

mod post;

use self::post::Post;
use super::{Gauges, live_roll::LiveRoll, orders::Control, redact::Redacted, standalone::reply};
use crate::{
    app::{
        AccountKey, Registrations,
        mailboxes::{MailboxOrder, MailboxStatus},
    },
    call::{Env, Standalone, Unsent},
    message_waiting::{MailboxBook, MailboxPlan, MailboxSubscription},
    net::Net,
    roll::Said,
    sip::{
        Ids, Request, Response, Text,
        routing::{DialogKey, Source, TransactionKey},
        timers::Timers,
    },
};
use std::{future::poll_fn, sync::Arc};
use tokio::{
    sync::{mpsc, watch},
    time::sleep_until,
};

/// Messages that may wait; what finds no room is repeated by its sender or asked for again by us.
const QUEUE: usize = 4096;
/// Messages taken at once.
const BATCH: usize = 64;

/// What comes from the wire.
enum Heard {
    Response(Box<Response>),
    Request(Box<Request>, TransactionKey, Source),
    Undeliverable(DialogKey, Unsent),
}

/// What comes from within.
enum Told {
    /// News of that account have been passed on, or could not be.
    Delivered(AccountKey),
    End,
}

/// The way to the task.
#[derive(Clone)]
pub(super) struct Mailboxes {
    heard: mpsc::Sender<Heard>,
    told: mpsc::UnboundedSender<Told>,
    /// Whether there is nothing left to end.
    over: watch::Receiver<bool>,
}

impl Mailboxes {
    /// A response to a SUBSCRIBE; `false` when there is no room for it.
    pub(super) fn response(&self, response: Response) -> bool {
        self.heard.try_send(Heard::Response(Box::new(response))).is_ok()
    }
    /// A request inside of a subscription; `false` when there is no room for it.
    pub(super) fn request(&self, request: Request, key: TransactionKey, source: Source) -> bool {
        let heard = Heard::Request(Box::new(request), key, source);
        self.heard.try_send(heard).is_ok()
    }
    /// A SUBSCRIBE that could not be sent.
    pub(super) fn undeliverable(&self, key: DialogKey, unsent: Unsent) {
        // The transaction's timer says the same later.
        let _ = self.heard.try_send(Heard::Undeliverable(key, unsent));
    }
    /// The server ends: subscriptions are to.
    pub(super) fn end(&self) {
        let _ = self.told.send(Told::End);
    }
    /// Returns when they have.
    pub(super) async fn ended(&self) {
        // An error means that the task has gone, and all that it could have done.
        let _ = self.over.clone().wait_for(|over| *over).await;
    }
}

/// News on their way: says that they are no more when it is dropped.
pub(super) struct Delivery {
    key: AccountKey,
    told: mpsc::UnboundedSender<Told>,
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let _ = self.told.send(Told::Delivered(self.key.clone()));
    }
}

/// See the module.
struct Driver {
    net: Net,
    gauges: Arc<Gauges>,
    control: mpsc::UnboundedSender<Control>,
    registrations: Registrations,
    user_agent: Text,
    book: LiveRoll<MailboxSubscription>,
    told: mpsc::UnboundedSender<Told>,
    /// Where the message came from that is being looked at.
    source: Option<Source>,
    post: Post<Box<Standalone>>,
    ending: bool,
    over: watch::Sender<bool>,
}

/// Begins to drive what is ordered through `registrations`.
pub(super) fn start(
    (net, gauges, control): (Net, Arc<Gauges>, mpsc::UnboundedSender<Control>),
    registrations: Registrations,
    user_agent: Text,
    timers: Timers,
    ids: Ids,
) -> (Mailboxes, tokio::task::JoinHandle<()>) {
    let (heard, messages) = mpsc::channel(QUEUE);
    let (told, facts) = mpsc::unbounded_channel();
    let (over_sender, over) = watch::channel(false);
    let driver = Driver {
        net: net.clone(),
        gauges: gauges.clone(),
        control,
        registrations,
        book: LiveRoll::new(
            MailboxBook::new(user_agent.clone(), timers),
            "SUBSCRIBE",
            (net, gauges),
            ids,
        ),
        user_agent,
        told: told.clone(),
        source: None,
        post: Post::default(),
        ending: false,
        over: over_sender,
    };
    let task = tokio::spawn(driver.run(messages, facts));
    (Mailboxes { heard, told, over }, task)
}

impl Driver {
    #[expect(clippy::disallowed_methods, reason = "subscriptions live by the clock")]
    async fn run(mut self, mut heard: mpsc::Receiver<Heard>, mut told: mpsc::UnboundedReceiver<Told>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mailboxes = self.registrations.mailboxes().clone();
        loop {
            let deadline = self.book.deadline();
            tokio::select! {
                biased;
                Some(fact) = told.recv() => self.fact(fact),
                Some(found) = self.book.looked_up() => self.book.found(found),
                _ = heard.recv_many(&mut batch, BATCH) => {}
                orders = poll_fn(|context| mailboxes.poll_orders(context)), if !self.ending => {
                    orders.into_iter().for_each(|order| self.obey(order));
                }
                () = sleep_until(deadline) => {}
            }
            for heard in batch.drain(..) {
                self.hear(heard);
            }
            self.with(MailboxBook::handle_timeout);
            self.pass_on();
            if self.ending && self.book.roll().is_done() {
                self.over.send_replace(true);
            }
        }
    }
    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Response(response) => {
                self.with(|book, env| book.response(&response, env));
            }
            Heard::Undeliverable(key, unsent) => {
                self.with(|book, env| book.undeliverable(&key, &unsent.branch, env));
            }
            Heard::Request(request, key, source) => {
                self.source = Some(source);
                let answer = self.with(|book, env| book.request(&request, env)).flatten();
                // Its dialog may have ended since the dispatcher looked.
                let mut response =
                    answer.unwrap_or_else(|| request.respond(crate::sip::Status::CALL_DOES_NOT_EXIST, None));
                response.headers.push("User-Agent", self.user_agent.clone());
                let words = reply(&request, &response, source);
                tracing::trace!(to = %source.remote, "answered\n{}", Redacted(&words.bytes));
                self.net.send(words.clone());
                self.control(Control::Tombstone(key, words));
                self.source = None;
            }
        }
    }
    /// Lets the book do something, then makes known what is to be known of it.
    fn with<T>(&mut self, act: impl FnOnce(&mut MailboxBook, &mut Env<'_>) -> T) -> Option<T> {
        let acted = self.book.with(act);
        while let Some(said) = self.book.poll_said() {
            match said {
                Said::Name(key, lives) => self.control(Control::Mailbox(key, lives)),
                Said::News(key, notify) => self.news(key, *notify),
                Said::Account(key, status) => self.publish(&key, status),
            }
        }
        acted
    }
    fn control(&self, control: Control) {
        // The dispatcher may have gone before.
        let _ = self.control.send(control);
    }
    fn news(&mut self, key: AccountKey, notify: Request) {
        let Some(source) = self.source else { return };
        let whose = (key.pool.clone(), key.account.clone());
        match Standalone::of_mailbox(notify, source, whose) {
            Ok(news) => self.post.put(key, Box::new(news)),
            Err(error) => tracing::info!(account = %key, %error, "news of a mailbox cannot be read"),
        }
    }
    fn pass_on(&mut self) {
        while let Some((key, news)) = self.post.next() {
            tracing::info!(account = %key, "news of a mailbox");
            let delivery = Delivery {
                key,
                told: self.told.clone(),
            };
            self.control(Control::News(news, delivery));
        }
    }
    fn fact(&mut self, fact: Told) {
        match fact {
            Told::Delivered(key) => self.post.delivered(key),
            Told::End => {
                self.ending = true;
                self.with(MailboxBook::end);
            }
        }
    }
    fn obey(&mut self, order: MailboxOrder) {
        match order {
            MailboxOrder::Set(pool, accounts) => {
                let total = accounts.len();
                let waits = accounts.iter().filter(|(_, plan)| plan.after_registration);
                let waits: Vec<_> = waits.map(|(key, _)| key.clone()).collect();
                let changes = self.with(|book, env| book.set(&pool, accounts, env));
                let changes = changes.unwrap_or_default();
                tracing::info!(
                    pool = &*pool,
                    accounts = total,
                    added = changes.added,
                    updated = changes.updated,
                    removed = changes.removed,
                    "mailboxes to subscribe to"
                );
                waits.iter().for_each(|key| self.registered(key));
            }
            MailboxOrder::Put(key, plan) => self.put(&key, plan),
            MailboxOrder::Remove(key) => {
                self.with(|book, env| book.remove(&key, env));
            }
            MailboxOrder::Retain(pools) => {
                self.with(|book, env| book.retain(&pools, env));
            }
            MailboxOrder::Registered(key) => self.registered(&key),
        }
    }
    fn put(&mut self, key: &AccountKey, plan: MailboxPlan) {
        self.with(|book, env| book.put(key, plan, env));
        self.registered(key);
    }
    /// Looks how an account is registered.
    fn registered(&mut self, key: &AccountKey) {
        let binding = self.registrations.view(key).and_then(|view| view.binding);
        let route = binding.map(|binding| binding.service_route);
        self.with(|book, env| book.ready(key, route, env));
    }
    fn publish(&self, key: &AccountKey, status: Option<MailboxStatus>) {
        let before = self
            .registrations
            .mailboxes()
            .publish(key.clone(), status.clone());
        if status == before {
            return;
        }
        self.level(before.as_ref(), false);
        self.level(status.as_ref(), true);
        match (&status, &before) {
            (Some(MailboxStatus::Failed(why)), _) => {
                tracing::warn!(account = %key, %why, "its mailbox is not subscribed to");
            }
            (Some(MailboxStatus::Subscribed), _) => {
                tracing::info!(account = %key, "its mailbox is subscribed to");
            }
            (_, Some(MailboxStatus::Subscribed)) => {
                tracing::info!(account = %key, "its mailbox is no longer subscribed to");
            }
            _ => {}
        }
    }
    fn level(&self, status: Option<&MailboxStatus>, up: bool) {
        let level = match status {
            Some(MailboxStatus::Subscribed) => &self.gauges.mailboxes,
            Some(MailboxStatus::Failed(_)) => &self.gauges.mailboxes_failed,
            None | Some(MailboxStatus::Waiting | MailboxStatus::InProgress) => return,
        };
        if up {
            level.up();
        } else {
            level.down();
        }
    }
}
