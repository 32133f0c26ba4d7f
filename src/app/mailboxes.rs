//! Subscriptions to mailboxes, as applications ask for them.

pub use crate::message_waiting::{MailboxPlan, MailboxStatus};

use super::AccountKey;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    task::{Context, Poll, Waker},
};

/// What is wanted done.
#[derive(Debug)]
pub(crate) enum MailboxOrder {
    /// This is all of that pool.
    Set(Arc<str>, Vec<(AccountKey, MailboxPlan)>),
    /// This account is new or has changed.
    Put(AccountKey, MailboxPlan),
    /// This account has gone.
    Remove(AccountKey),
    /// There are no other pools.
    Retain(Vec<Arc<str>>),
    /// How this account is registered has changed.
    Registered(AccountKey),
}

/// The mailboxes that the server subscribes to. Cheap to clone; all clones are one. What applications order goes through
/// [`super::Registrations`].
#[derive(Clone, Debug, Default)]
pub struct Mailboxes(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    orders: Mutex<Orders>,
    statuses: RwLock<HashMap<AccountKey, MailboxStatus>>,
}

#[derive(Debug, Default)]
struct Orders {
    /// Whether any has been ordered: without, registrations are nothing to know of.
    any: bool,
    waiting: Vec<MailboxOrder>,
    waker: Option<Waker>,
}

impl Mailboxes {
    /// How far an account's subscription is; `None` when none is known (yet).
    pub fn status(&self, key: &AccountKey) -> Option<MailboxStatus> {
        let statuses = self.0.statuses.read().unwrap_or_else(PoisonError::into_inner);
        statuses.get(key).cloned()
    }
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.0.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// Wants this done.
    pub(crate) fn order(&self, order: MailboxOrder) {
        let mut orders = self.orders();
        match &order {
            MailboxOrder::Set(..) | MailboxOrder::Put(..) => orders.any = true,
            // Who begins to subscribe looks for itself how the account is registered.
            MailboxOrder::Registered(_) if !orders.any => return,
            MailboxOrder::Registered(_) | MailboxOrder::Remove(_) | MailboxOrder::Retain(_) => {}
        }
        orders.waiting.push(order);
        if let Some(waker) = orders.waker.take() {
            waker.wake();
        }
    }
    /// What has been ordered since the last time.
    pub(crate) fn poll_orders(&self, context: &Context<'_>) -> Poll<Vec<MailboxOrder>> {
        let mut orders = self.orders();
        if orders.waiting.is_empty() {
            orders.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut orders.waiting))
    }
    /// Shows how far a subscription is from now on; gives what was known before.
    pub(crate) fn publish(&self, key: AccountKey, status: Option<MailboxStatus>) -> Option<MailboxStatus> {
        let mut statuses = self.0.statuses.write().unwrap_or_else(PoisonError::into_inner);
        match status {
            Some(status) => statuses.insert(key, status),
            None => statuses.remove(&key),
        }
    }
}
