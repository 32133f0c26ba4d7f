//! The task that drives all subscriptions to mailboxes.

mod post;

use self::post::Post;
use super::{Gauges, orders::Control, redact::Redacted, standalone::reply};
use crate::{
    app::{
        AccountKey, Registrations,
        mailboxes::{MailboxOrder, MailboxStatus},
    },
    call::{Env, LookupError, Standalone, Unsent},
    message_waiting::{MailboxBook, MailboxBookOutput, MailboxPlan},
    net::Net,
    sip::{
        Ids, Request, Response, Text,
        routing::{DialogKey, NextHop, Source, Target, TransactionKey},
        timers::Timers,
    },
};
use std::{
    collections::HashMap,
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

/// Messages that may wait; what finds no room is repeated by its sender or asked for again by us.
const QUEUE: usize = 4096;
/// Messages taken at once.
const BATCH: usize = 64;
/// When there is no deadline: far away.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// What comes from the wire.
enum Heard {
    Response(Box<Response>),
    Request(Box<Request>, TransactionKey, Source),
    Undeliverable(DialogKey, Unsent),
}

/// What comes from within.
enum Told {
    Found(NextHop, Result<Vec<Target>, LookupError>),
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
    book: MailboxBook,
    ids: Ids,
    told: mpsc::UnboundedSender<Told>,
    /// Who waits for the answer of which lookup: one question for all.
    lookups: HashMap<NextHop, Vec<u64>>,
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
        net,
        gauges,
        control,
        registrations,
        book: MailboxBook::new(user_agent.clone(), timers),
        user_agent,
        ids,
        told: told.clone(),
        lookups: HashMap::new(),
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
            let deadline = self.book.poll_timeout().map(Instant::from_std);
            let deadline = deadline.unwrap_or_else(|| Instant::now() + NEVER);
            tokio::select! {
                biased;
                Some(fact) = told.recv() => self.fact(fact),
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
            if self.ending && self.book.is_done() {
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
    /// Lets the book do something, then does what it wants done. A fault of ours costs what it was about, not everybody.
    #[expect(
        clippy::disallowed_methods,
        reason = "time enters here, once for each thing that happens"
    )]
    fn with<T>(&mut self, act: impl FnOnce(&mut MailboxBook, &mut Env<'_>) -> T) -> Option<T> {
        let mut env = Env {
            now: std::time::Instant::now(),
            ids: &mut self.ids,
        };
        let acted = catch_unwind(AssertUnwindSafe(|| act(&mut self.book, &mut env)));
        if acted.is_err() {
            self.gauges.faults.add();
            tracing::error!("a fault of ours in a subscription to a mailbox: it goes on with the next");
        }
        let mut found = Vec::new();
        loop {
            while let Some(output) = self.book.poll_output() {
                match output {
                    MailboxBookOutput::Lookup(number, hop) => found.extend(self.look_up(number, hop)),
                    MailboxBookOutput::Name(key, lives) => self.control(Control::Mailbox(key, lives)),
                    MailboxBookOutput::Transmit(transmit) => {
                        tracing::trace!(to = ?transmit.to, "sent\n{}", Redacted(&transmit.bytes));
                        self.net.send(transmit);
                    }
                    MailboxBookOutput::Dead(target) => {
                        tracing::debug!(target = %target.remote, "did not answer SUBSCRIBE, tried last for a while");
                        self.net.note_dead(&target);
                    }
                    MailboxBookOutput::News(key, notify) => self.news(key, *notify),
                    MailboxBookOutput::Account(key, status) => self.publish(&key, status),
                }
            }
            let Some((number, hop, targets)) = found.pop() else {
                return acted.ok();
            };
            let mut env = Env {
                now: std::time::Instant::now(),
                ids: &mut self.ids,
            };
            self.book.resolved(number, &hop, targets, &mut env);
        }
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
    /// The answer where none has to be waited for.
    fn look_up(
        &mut self,
        number: u64,
        hop: NextHop,
    ) -> Option<(u64, NextHop, Result<Vec<Target>, LookupError>)> {
        if let Some(found) = self.net.resolve_now(&hop, None) {
            return Some((number, hop, found));
        }
        let waiting = self.lookups.entry(hop.clone()).or_default();
        waiting.push(number);
        if waiting.len() == 1 {
            let (net, told) = (self.net.clone(), self.told.clone());
            tokio::spawn(async move {
                let found = net.resolve(&hop, None).await;
                let _ = told.send(Told::Found(hop, found));
            });
        }
        None
    }
    fn fact(&mut self, fact: Told) {
        match fact {
            Told::Found(hop, found) => {
                for number in self.lookups.remove(&hop).unwrap_or_default() {
                    self.with(|book, env| book.resolved(number, &hop, found.clone(), env));
                }
            }
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
