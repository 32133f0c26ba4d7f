//! Registrations, as applications ask for them and see them.

pub use crate::registration::{AccountKey, Binding, RegistrationPlan, RegistrationStatus, View};

use super::{
    Mailboxes, Trunks,
    mailboxes::{MailboxOrder, MailboxPlan},
};
use crate::sip::Uri;
use std::{
    collections::HashMap,
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    task::{Context, Poll, Waker},
    time::Duration,
};

/// What an application wants done.
#[derive(Debug)]
pub(crate) enum Order {
    /// This is all of that pool.
    Set(Arc<str>, Vec<(AccountKey, RegistrationPlan)>),
    /// This account is new or has changed.
    Put(AccountKey, RegistrationPlan),
    /// This account has gone.
    Remove(AccountKey),
    /// There are no other pools.
    Retain(Vec<Arc<str>>),
}

/// The registrations of the server at other people's registrars. Cheap to clone; all clones are one. Orders are taken from the
/// moment that the server runs, and return at once.
///
/// Each configuration has a handle of its own: what is ordered through one whose configuration is not in force is void, so that
/// registrations follow the one that is.
///
/// While an account is registered, its registrar and the proxies on the way there may place calls, as `trusted-hosts` may.
#[derive(Clone, Default)]
pub struct Registrations {
    shared: Arc<Shared>,
    /// The configuration that this handle is of.
    turn: u64,
}

#[derive(Default)]
struct Shared {
    trunks: Trunks,
    mailboxes: Mailboxes,
    orders: Mutex<Orders>,
    accounts: RwLock<HashMap<AccountKey, View>>,
    /// How many accounts are registered there.
    peers: RwLock<HashMap<IpAddr, usize>>,
}

#[derive(Default)]
struct Orders {
    /// The configuration in force.
    turn: u64,
    waiting: Vec<Order>,
    waker: Option<Waker>,
}

impl Registrations {
    /// For a configuration that may come into force after the present one.
    pub fn successor(&self) -> Self {
        let present = self.orders().turn;
        Self {
            shared: self.shared.clone(),
            turn: present + 1,
        }
    }
    /// The configuration of this handle is in force.
    pub fn enter(&self) {
        self.orders().turn = self.turn;
    }
    /// These are all accounts of `pool`: new ones are registered, vanished ones unregistered, changed ones registered anew; the others
    /// are left alone. A list that comes while the one before is worked off replaces it.
    pub fn set(&self, pool: impl Into<Arc<str>>, accounts: Vec<(AccountKey, RegistrationPlan)>) {
        self.order(Order::Set(pool.into(), accounts));
    }
    /// One account that is new or has changed.
    pub fn put(&self, key: AccountKey, plan: RegistrationPlan) {
        self.order(Order::Put(key, plan));
    }
    /// One account that has gone: its binding is removed.
    pub fn remove(&self, key: AccountKey) {
        self.order(Order::Remove(key));
    }
    /// There are no other pools than these: the bindings of all others are removed.
    pub fn retain(&self, pools: impl IntoIterator<Item = Arc<str>>) {
        self.order(Order::Retain(pools.into_iter().collect()));
    }
    /// The trunks that the same server asks whether they are there.
    pub fn trunks(&self) -> &Trunks {
        &self.shared.trunks
    }
    /// These are all trunks that are to be asked, each with the time between two questions. A later list replaces it.
    pub fn watch_trunks(&self, trunks: Vec<(Uri, Duration)>) {
        let orders = self.orders();
        if orders.turn == self.turn {
            self.shared.trunks.watch(trunks);
        }
    }
    /// The mailboxes that the same server subscribes to.
    pub fn mailboxes(&self) -> &Mailboxes {
        &self.shared.mailboxes
    }
    /// These are all mailboxes of `pool`: new ones are subscribed to, vanished ones no more, changed ones by what has changed; the
    /// others are left alone.
    pub fn watch_mailboxes(&self, pool: impl Into<Arc<str>>, accounts: Vec<(AccountKey, MailboxPlan)>) {
        self.order_mailbox(MailboxOrder::Set(pool.into(), accounts));
    }
    /// The mailbox of one account that is new or has changed.
    pub fn watch_mailbox(&self, key: AccountKey, plan: MailboxPlan) {
        self.order_mailbox(MailboxOrder::Put(key, plan));
    }
    /// The mailbox of one account that has gone.
    pub fn forget_mailbox(&self, key: AccountKey) {
        self.order_mailbox(MailboxOrder::Remove(key));
    }
    /// No other pools have mailboxes than these: the subscriptions of all others are ended.
    pub fn retain_mailboxes(&self, pools: impl IntoIterator<Item = Arc<str>>) {
        self.order_mailbox(MailboxOrder::Retain(pools.into_iter().collect()));
    }
    fn order_mailbox(&self, order: MailboxOrder) {
        let orders = self.orders();
        if orders.turn == self.turn {
            self.shared.mailboxes.order(order);
        }
    }
    /// How far an account is; `None` when it is not known (yet).
    pub fn status(&self, key: &AccountKey) -> Option<RegistrationStatus> {
        self.view(key).map(|view| view.status)
    }
    /// All that is known of an account.
    pub fn view(&self, key: &AccountKey) -> Option<View> {
        let accounts = self
            .shared
            .accounts
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        accounts.get(key).cloned()
    }
    /// The way that calls of this account are to take (RFC 3608 §6.1), before whatever else is their route; empty where its registrar
    /// has named none.
    pub fn service_route(&self, key: &AccountKey) -> Arc<[Uri]> {
        let binding = self.view(key).and_then(|view| view.binding);
        binding.map(|binding| binding.service_route).unwrap_or_default()
    }
    /// Whether an account is registered through that host.
    pub fn is_peer(&self, host: IpAddr) -> bool {
        let peers = self.shared.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.contains_key(&host.to_canonical())
    }
    /// All those hosts.
    pub(crate) fn peers(&self) -> Vec<IpAddr> {
        let peers = self.shared.peers.read().unwrap_or_else(PoisonError::into_inner);
        peers.keys().copied().collect()
    }

    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.shared.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn order(&self, order: Order) {
        let mut orders = self.orders();
        if orders.turn != self.turn {
            return;
        }
        orders.waiting.push(order);
        if let Some(waker) = orders.waker.take() {
            waker.wake();
        }
    }
    /// What has been ordered since the last time.
    pub(crate) fn poll_orders(&self, context: &Context<'_>) -> Poll<Vec<Order>> {
        let mut orders = self.orders();
        if orders.waiting.is_empty() {
            orders.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(std::mem::take(&mut orders.waiting))
    }
    /// Shows what is known of an account from now on; gives what was known before.
    pub(crate) fn publish(&self, key: AccountKey, view: Option<View>) -> Option<View> {
        let peers = |view: &Option<View>| {
            let binding = view.as_ref().and_then(|view| view.binding.as_ref());
            binding.map(|binding| binding.peers.clone()).unwrap_or_default()
        };
        let came = peers(&view);
        let mut accounts = self
            .shared
            .accounts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let way = |view: &Option<View>| {
            let binding = view.as_ref().and_then(|view| view.binding.as_ref());
            binding.map(|binding| binding.service_route.clone())
        };
        let way_now = way(&view);
        let before = match view {
            Some(view) => accounts.insert(key.clone(), view),
            None => accounts.remove(&key),
        };
        drop(accounts);
        if way(&before) != way_now {
            self.shared.mailboxes.order(MailboxOrder::Registered(key));
        }
        let went = peers(&before);
        if came != went {
            let mut all = self.shared.peers.write().unwrap_or_else(PoisonError::into_inner);
            for peer in came.iter() {
                *all.entry(*peer).or_default() += 1;
            }
            for peer in went.iter() {
                if let Some(count) = all.get_mut(peer) {
                    *count -= 1;
                    if *count == 0 {
                        all.remove(peer);
                    }
                }
            }
        }
        before
    }
}

impl fmt::Debug for Registrations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts = self
            .shared
            .accounts
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        write!(f, "Registrations({})", accounts.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registered(peers: &[[u8; 4]]) -> View {
        View {
            status: RegistrationStatus::Registered,
            binding: Some(Binding {
                contact: Uri::sip(None, "192.0.2.9", None),
                peers: peers.iter().map(|peer| IpAddr::from(*peer)).collect(),
                service_route: Arc::default(),
            }),
        }
    }

    #[test]
    fn a_registrar_may_call_as_long_as_any_account_is_registered_there() {
        let registrations = Registrations::default();
        let (one, two) = (AccountKey::new("p", "1"), AccountKey::new("p", "2"));
        let is_peer = |last| registrations.is_peer([192, 0, 2, last].into());
        assert!(!is_peer(1));
        registrations.publish(one.clone(), Some(registered(&[[192, 0, 2, 1], [192, 0, 2, 2]])));
        registrations.publish(two.clone(), Some(registered(&[[192, 0, 2, 2], [192, 0, 2, 2]])));
        assert!(is_peer(1) && is_peer(2) && !is_peer(3));
        assert_eq!(registrations.peers().len(), 2);
        assert!(registrations.is_peer("::ffff:192.0.2.1".parse().unwrap()));
        registrations.publish(one, None);
        assert!(!is_peer(1) && is_peer(2));
        let failed = View {
            status: RegistrationStatus::Failed("x".into()),
            binding: None,
        };
        registrations.publish(two.clone(), Some(failed));
        assert!(!is_peer(2));
        assert_eq!(
            registrations.status(&two).unwrap().to_string(),
            "Registration failed: x"
        );
    }

    #[test]
    fn what_a_configuration_orders_that_is_not_in_force_is_void() {
        let first = Registrations::default();
        let context = Context::from_waker(Waker::noop());
        let ordered = |registrations: &Registrations| match registrations.poll_orders(&context) {
            Poll::Ready(orders) => orders.len(),
            Poll::Pending => 0,
        };
        let refused = first.successor();
        refused.set("p", Vec::new());
        assert_eq!(ordered(&first), 0, "it may never come into force");
        let second = first.successor();
        second.enter();
        first.set("p", Vec::new());
        assert_eq!(ordered(&first), 0, "what was in force before");
        second.set("p", Vec::new());
        second.clone().retain([]);
        assert_eq!(ordered(&first), 2);
        let trunks = |host: &str| vec![(Uri::sip(None, host, None), Duration::from_secs(30))];
        second.watch_trunks(trunks("second.example"));
        first.watch_trunks(trunks("first.example"));
        let Poll::Ready(list) = first.trunks().poll_order(&context) else {
            panic!("no list");
        };
        assert_eq!(list, trunks("second.example"));
    }

    #[test]
    fn orders_wait_for_the_server_in_their_order() {
        let registrations = Registrations::default();
        registrations.set("p", Vec::new());
        registrations.clone().remove(AccountKey::new("p", "1"));
        let context = Context::from_waker(Waker::noop());
        let Poll::Ready(orders) = registrations.poll_orders(&context) else {
            panic!("nothing there");
        };
        assert!(matches!(orders.as_slice(), [Order::Set(..), Order::Remove(_)]));
        assert!(registrations.poll_orders(&context).is_pending());
    }
}
