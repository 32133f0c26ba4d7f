//! The task that drives all registrations of a server.

use super::{Gauges, live_roll::LiveRoll};
use crate::{
    app::registrations::{Order, Registrations},
    call::{Env, Unsent},
    net::Net,
    registration::{Book, Registration, RegistrationStatus, View},
    roll::Said,
    sip::{Ids, Response, Text, routing::Own, timers::Timers},
};
use std::{future::poll_fn, sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval, sleep_until},
};

/// Responses that may wait; what finds no room is repeated by the registrar or asked for again by us.
const QUEUE: usize = 4096;
/// Responses taken at once.
const BATCH: usize = 64;
/// How often the log says how many accounts still wait for their turn.
const PROGRESS: Duration = Duration::from_secs(10);
/// Fewer than this are not worth a line.
const MANY: usize = 50;

/// What comes from the wire.
enum Heard {
    Response(Box<Response>),
    Undeliverable(Unsent),
}

/// What comes from within.
enum Told {
    Lost(Own),
    End,
}

/// The way to the task.
#[derive(Clone)]
pub(super) struct Mailbox {
    heard: mpsc::Sender<Heard>,
    told: mpsc::UnboundedSender<Told>,
    /// Whether there is nothing left to remove.
    over: watch::Receiver<bool>,
}

impl Mailbox {
    /// A response to a REGISTER; `false` when there is no room for it.
    pub(super) fn response(&self, response: Response) -> bool {
        self.heard.try_send(Heard::Response(Box::new(response))).is_ok()
    }
    /// A REGISTER that could not be sent.
    pub(super) fn undeliverable(&self, unsent: Unsent) {
        // The transaction's timer says the same later.
        let _ = self.heard.try_send(Heard::Undeliverable(unsent));
    }
    /// A connection of an account's own is lost.
    pub(super) fn lost(&self, own: Own) {
        let _ = self.told.send(Told::Lost(own));
    }
    /// The server ends: bindings are to be removed.
    pub(super) fn end(&self) {
        let _ = self.told.send(Told::End);
    }
    /// Returns when they are.
    pub(super) async fn ended(&self) {
        // An error means that the task has gone, and all that it could have done.
        let _ = self.over.clone().wait_for(|over| *over).await;
    }
}

/// See the module.
pub(super) struct Driver {
    gauges: Arc<Gauges>,
    registrations: Registrations,
    book: LiveRoll<Registration>,
    ending: bool,
    over: watch::Sender<bool>,
}

/// Begins to drive what is ordered through `registrations`.
pub(super) fn start(
    net: Net,
    gauges: Arc<Gauges>,
    registrations: Registrations,
    user_agent: Text,
    timers: Timers,
    ids: Ids,
) -> (Mailbox, tokio::task::JoinHandle<()>) {
    let (heard, responses) = mpsc::channel(QUEUE);
    let (told, facts) = mpsc::unbounded_channel();
    let (over_sender, over) = watch::channel(false);
    let driver = Driver {
        gauges: gauges.clone(),
        registrations,
        book: LiveRoll::new(Book::new(user_agent, timers), "REGISTER", (net, gauges), ids),
        ending: false,
        over: over_sender,
    };
    let task = tokio::spawn(driver.run(responses, facts));
    (Mailbox { heard, told, over }, task)
}

impl Driver {
    #[expect(clippy::disallowed_methods, reason = "registrations live by the clock")]
    async fn run(mut self, mut heard: mpsc::Receiver<Heard>, mut told: mpsc::UnboundedReceiver<Told>) {
        let mut batch = Vec::with_capacity(BATCH);
        let mut progress = interval(PROGRESS);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let registrations = self.registrations.clone();
        loop {
            let deadline = self.book.deadline();
            tokio::select! {
                biased;
                Some(fact) = told.recv() => self.fact(fact),
                Some(found) = self.book.looked_up() => self.book.found(found),
                _ = heard.recv_many(&mut batch, BATCH) => {}
                orders = poll_fn(|context| registrations.poll_orders(context)), if !self.ending => {
                    orders.into_iter().for_each(|order| self.obey(order));
                }
                () = sleep_until(deadline) => {}
                _ = progress.tick() => self.say_progress(),
            }
            for heard in batch.drain(..) {
                self.with(|book, env| match &heard {
                    Heard::Response(response) => drop(book.response(response, env)),
                    Heard::Undeliverable(unsent) => book.undeliverable(&unsent.call_id, &unsent.branch, env),
                });
            }
            self.with(Book::handle_timeout);
            if self.ending && self.book.roll().is_done() {
                self.over.send_replace(true);
            }
        }
    }
    /// Lets the book do something, then makes known what is to be known of it.
    fn with(&mut self, act: impl FnOnce(&mut Book, &mut Env<'_>)) {
        self.book.with(act);
        while let Some(said) = self.book.poll_said() {
            match said {
                Said::Account(key, view) => self.publish(key, view),
                // The dispatcher knows what is for a registration by its method.
                Said::Name(..) => {}
                Said::News(_, never) => match never {},
            }
        }
    }
    fn fact(&mut self, fact: Told) {
        match fact {
            Told::Lost(own) => self.with(|book, env| book.lost(&own, env)),
            Told::End => {
                self.ending = true;
                self.with(|book, env| book.end(env));
            }
        }
    }
    fn obey(&mut self, order: Order) {
        self.with(|book, env| match order {
            Order::Set(pool, accounts) => {
                let total = accounts.len();
                let changes = book.set(&pool, accounts, env);
                tracing::info!(
                    pool = &*pool,
                    accounts = total,
                    added = changes.added,
                    updated = changes.updated,
                    removed = changes.removed,
                    "accounts to register"
                );
            }
            Order::Put(key, plan) => {
                let changes = book.put(&key, plan, env);
                tracing::info!(%key, added = changes.added, updated = changes.updated, "account to register");
            }
            Order::Remove(key) => {
                if book.remove(&key, env).removed > 0 {
                    tracing::info!(%key, "account to unregister");
                }
            }
            Order::Retain(pools) => book.retain(&pools, env),
        });
    }
    fn publish(&self, key: crate::registration::AccountKey, view: Option<View>) {
        let after = view.as_ref().map(|view| view.status.clone());
        let name = key.clone();
        let before = self.registrations.publish(key, view).map(|view| view.status);
        if after == before {
            return;
        }
        self.level(before.as_ref(), -1);
        self.level(after.as_ref(), 1);
        match (&after, &before) {
            (Some(RegistrationStatus::Failed(why)), _) => {
                tracing::warn!(account = %name, %why, "not registered")
            }
            (Some(RegistrationStatus::Registered), _) => tracing::info!(account = %name, "registered"),
            (_, Some(RegistrationStatus::Registered)) => {
                tracing::info!(account = %name, "no longer registered")
            }
            _ => {}
        }
    }
    fn level(&self, status: Option<&RegistrationStatus>, by: i8) {
        let level = match status {
            None => return,
            Some(RegistrationStatus::Registered) => &self.gauges.registered,
            Some(RegistrationStatus::Failed(_)) => &self.gauges.registrations_failed,
            Some(RegistrationStatus::Waiting | RegistrationStatus::InProgress) => &self.gauges.registering,
        };
        if by > 0 {
            level.up();
        } else {
            level.down();
        }
    }
    fn say_progress(&self) {
        for (pool, waiting) in self.book.roll().waiting().filter(|(_, waiting)| *waiting >= MANY) {
            tracing::info!(
                pool = &**pool,
                waiting,
                "accounts wait for their turn to register"
            );
        }
    }
}
