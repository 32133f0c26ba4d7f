//! All subscriptions to mailboxes: whose message is whose, whose turn it is, and what a new list of accounts changes.

use super::{
    machine::{MailboxOutput, MailboxSubscription},
    plan::{MailboxPlan, MailboxStatus},
};
use crate::{
    call::{Env, LookupError, Transmit},
    registration::{AccountKey, Changes, turns::Turns},
    sip::{
        Request, Response, Text, Uri,
        routing::{DialogKey, NextHop, Target},
        timers::Timers,
    },
};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap, VecDeque},
    sync::Arc,
    time::Instant,
};

/// Turns and deadlines that are dealt with before messages are looked at again.
const AT_ONCE: usize = 256;

/// What a [`MailboxBook`] wants done.
#[derive(Debug)]
pub enum MailboxBookOutput {
    /// Resolve this (RFC 3263); answered by [`MailboxBook::resolved`] with the same number.
    Lookup(u64, NextHop),
    /// Responses and requests of this dialog belong here (`true`), or do not any more.
    Dialog(DialogKey, bool),
    /// Send this.
    Transmit(Transmit),
    /// A target did not answer.
    Dead(Target),
    /// This NOTIFY has news of that account's mailbox.
    News(AccountKey, Box<Request>),
    /// How far an account's subscription is; `None` when it is no longer there.
    Status(AccountKey, Option<MailboxStatus>),
}

/// See the module. Contract as of [`MailboxSubscription`].
#[derive(Debug)]
pub struct MailboxBook {
    user_agent: Text,
    timers: Timers,
    entries: HashMap<u64, Entry>,
    dialogs: HashMap<DialogKey, u64>,
    pools: HashMap<Arc<str>, Pool>,
    /// Deadlines; one that is not the present one of its entry is void.
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    last: u64,
    out: VecDeque<MailboxBookOutput>,
}

#[derive(Debug)]
struct Entry {
    subscription: MailboxSubscription,
    pool: Arc<str>,
    /// `None` when its account has gone, or has become another: only the end is left to be said.
    account: Option<Arc<str>>,
    deadline: Option<Instant>,
    told: Option<MailboxStatus>,
}

#[derive(Debug)]
struct Pool {
    accounts: HashMap<Arc<str>, u64>,
    turns: Turns,
}

impl MailboxBook {
    /// An empty one.
    pub fn new(user_agent: Text, timers: Timers) -> Self {
        Self {
            user_agent,
            timers,
            entries: HashMap::new(),
            dialogs: HashMap::new(),
            pools: HashMap::new(),
            deadlines: BinaryHeap::new(),
            last: 0,
            out: VecDeque::new(),
        }
    }
    /// Everything of one pool: what is not in `accounts` is ended, what is there unchanged is left alone. Of two with the same key
    /// the first counts. Keys of other pools are taken for this one's.
    pub fn set(
        &mut self,
        pool: &Arc<str>,
        accounts: Vec<(AccountKey, MailboxPlan)>,
        env: &mut Env<'_>,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut before = match self.pools.get_mut(pool) {
            Some(known) => std::mem::take(&mut known.accounts),
            None => HashMap::new(),
        };
        for (key, plan) in accounts {
            if self.number(pool, &key.account).is_some() {
                continue;
            }
            if let Some(number) = before.remove(&key.account) {
                self.accounts(pool, env.now).insert(key.account.clone(), number);
            }
            self.put_one(pool, &key.account, plan, &mut changes, env.now);
        }
        for number in before.into_values() {
            changes.removed += 1;
            self.leave(number, env.now);
        }
        changes
    }
    /// One account, new or changed.
    pub fn put(&mut self, key: &AccountKey, plan: MailboxPlan, env: &mut Env<'_>) -> Changes {
        let mut changes = Changes::default();
        self.put_one(&key.pool, &key.account, plan, &mut changes, env.now);
        changes
    }
    /// One account less.
    pub fn remove(&mut self, key: &AccountKey, env: &mut Env<'_>) -> Changes {
        let pool = self.pools.get_mut(&key.pool);
        let number = pool.and_then(|pool| pool.accounts.remove(&key.account));
        if let Some(number) = number {
            self.leave(number, env.now);
        }
        Changes {
            removed: usize::from(number.is_some()),
            ..Changes::default()
        }
    }
    /// Ends what belongs to none of these pools.
    pub fn retain(&mut self, pools: &[Arc<str>], env: &mut Env<'_>) {
        let gone: Vec<_> = self
            .pools
            .keys()
            .filter(|pool| !pools.contains(pool))
            .cloned()
            .collect();
        for pool in gone {
            self.set(&pool, Vec::new(), env);
        }
    }
    /// An account is registered, and its requests take that way; `None`: it is not. Of those that are not here it means nothing.
    pub fn ready(&mut self, key: &AccountKey, service_route: Option<Arc<[Uri]>>, env: &mut Env<'_>) {
        if let Some(number) = self.number(&key.pool, &key.account)
            && let Some(entry) = self.entries.get_mut(&number)
        {
            entry.subscription.ready(service_route);
            self.drain(number, env.now);
        }
    }
    /// The server ends: all subscriptions do.
    pub fn end(&mut self, env: &mut Env<'_>) {
        let numbers: Vec<_> = self.entries.keys().copied().collect();
        for number in numbers {
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.subscription.end();
                self.drain(number, env.now);
            }
        }
    }
    /// Whether there is nothing left to say. A last NOTIFY may still come.
    pub fn is_done(&self) -> bool {
        self.entries.values().all(|entry| entry.subscription.is_leaving())
    }
    /// Subscriptions, those among them whose account has gone.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// How many wait for their turn, by pool.
    pub fn waiting(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let waiting = self.pools.iter().map(|(name, pool)| (name, pool.turns.len()));
        waiting.filter(|(_, count)| *count > 0)
    }
    /// The answer to [`MailboxBookOutput::Lookup`].
    pub fn resolved(
        &mut self,
        number: u64,
        hop: &NextHop,
        found: Result<Vec<Target>, LookupError>,
        env: &mut Env<'_>,
    ) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.subscription.resolved(hop, found, env);
            self.drain(number, env.now);
        }
    }
    /// A response to a SUBSCRIBE. `false` when it is nobody's.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) -> bool {
        let number = DialogKey::of_response(response).and_then(|key| self.dialogs.get(&key).copied());
        let Some((number, entry)) = number.and_then(|it| Some((it, self.entries.get_mut(&it)?))) else {
            return false;
        };
        entry.subscription.response(response, env);
        self.drain(number, env.now);
        true
    }
    /// A request inside of a dialog; gives what it is answered with, or nothing when it is nobody's.
    pub fn request(&mut self, request: &Request, env: &mut Env<'_>) -> Option<Response> {
        let key = DialogKey::of_request(request)?;
        let number = self.dialogs.get(&key).copied()?;
        let entry = self.entries.get_mut(&number)?;
        let response = entry.subscription.request(request, env);
        self.drain(number, env.now);
        Some(response)
    }
    /// A SUBSCRIBE of this dialog and with this branch could not be sent.
    pub fn undeliverable(&mut self, key: &DialogKey, branch: &Text, env: &mut Env<'_>) {
        if let Some(number) = self.dialogs.get(key).copied()
            && let Some(entry) = self.entries.get_mut(&number)
        {
            entry.subscription.undeliverable(branch.as_bytes(), env);
            self.drain(number, env.now);
        }
    }
    /// Deadlines and turns that have come; call again while [`Self::poll_timeout`] is not later than now.
    pub fn handle_timeout(&mut self, env: &mut Env<'_>) {
        for _ in 0..AT_ONCE {
            match self.deadlines.peek() {
                Some(Reverse((at, number))) if *at <= env.now => {
                    let (at, number) = (*at, *number);
                    self.deadlines.pop();
                    if let Some(entry) = self.entries.get_mut(&number)
                        && entry.deadline == Some(at)
                    {
                        entry.deadline = None;
                        entry.subscription.handle_timeout(env);
                        self.drain(number, env.now);
                    }
                }
                _ => break,
            }
        }
        let pools: Vec<_> = self.pools.keys().cloned().collect();
        for pool in pools {
            self.take_turns(&pool, env);
        }
        // One that is empty is forgotten when its rate is.
        self.pools
            .retain(|_, pool| !pool.accounts.is_empty() || !pool.turns.is_idle(env.now));
    }
    /// When to call [`Self::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.deadlines.peek().map(|Reverse((at, _))| *at);
        let turn = self
            .pools
            .values()
            .filter_map(|pool| pool.turns.poll_timeout())
            .min();
        [deadline, turn].into_iter().flatten().min()
    }
    /// The next thing that it wants done.
    pub fn poll_output(&mut self) -> Option<MailboxBookOutput> {
        self.out.pop_front()
    }

    fn take_turns(&mut self, pool: &Arc<str>, env: &mut Env<'_>) {
        for _ in 0..AT_ONCE {
            let Some(turns) = self.pools.get_mut(pool).map(|pool| &mut pool.turns) else {
                return;
            };
            let Some(number) = turns.pop(env.now) else {
                return;
            };
            // Who has gone meanwhile takes nobody's turn.
            if let Some(entry) = self.entries.get_mut(&number)
                && entry.subscription.is_queued()
            {
                turns.taken(entry.subscription.plan().throttle, env.now);
                entry.subscription.turn(env);
                self.drain(number, env.now);
            }
        }
    }
    fn put_one(
        &mut self,
        pool: &Arc<str>,
        account: &Arc<str>,
        plan: MailboxPlan,
        changes: &mut Changes,
        now: Instant,
    ) {
        let known = self
            .number(pool, account)
            .and_then(|number| Some((number, self.entries.get_mut(&number)?)));
        if let Some((number, entry)) = known {
            let before = entry.subscription.plan();
            if **before == plan {
                changes.kept += 1;
                return;
            }
            changes.updated += 1;
            if before.is_same_mailbox(&plan) {
                entry.subscription.update(Arc::new(plan));
                return self.drain(number, now);
            }
            self.leave(number, now);
        } else {
            changes.added += 1;
        }
        self.begin(pool, account, plan, now);
    }
    fn begin(&mut self, pool: &Arc<str>, account: &Arc<str>, plan: MailboxPlan, now: Instant) {
        self.last += 1;
        let number = self.last;
        let subscription = MailboxSubscription::new(Arc::new(plan), self.user_agent.clone(), self.timers);
        self.accounts(pool, now).insert(account.clone(), number);
        let entry = Entry {
            subscription,
            pool: pool.clone(),
            account: Some(account.clone()),
            deadline: None,
            told: None,
        };
        self.entries.insert(number, entry);
        self.drain(number, now);
    }
    /// Its account has gone.
    fn leave(&mut self, number: u64, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        if let Some(account) = entry.account.take() {
            let key = AccountKey {
                pool: entry.pool.clone(),
                account,
            };
            self.out.push_back(MailboxBookOutput::Status(key, None));
        }
        entry.subscription.end();
        self.drain(number, now);
    }
    fn forget(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number)
            && let Some(account) = entry.account
        {
            if let Some(pool) = self.pools.get_mut(&entry.pool) {
                pool.accounts.remove(&account);
            }
            let key = AccountKey {
                pool: entry.pool,
                account,
            };
            self.out.push_back(MailboxBookOutput::Status(key, None));
        }
        self.prune();
    }
    fn drain(&mut self, number: u64, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        let key = |account: &Arc<str>| AccountKey {
            pool: entry.pool.clone(),
            account: account.clone(),
        };
        let account = entry.account.as_ref().map(key);
        let mut finished = false;
        let mut changed = entry.told.is_none();
        while let Some(output) = entry.subscription.poll_output() {
            match output {
                MailboxOutput::Turn => {
                    let urgent = entry.subscription.is_urgent();
                    let pool = self.pools.entry(entry.pool.clone());
                    pool.or_insert_with(|| Pool::new(now)).turns.push(number, urgent);
                }
                MailboxOutput::Lookup(hop) => self.out.push_back(MailboxBookOutput::Lookup(number, hop)),
                MailboxOutput::Dialog(key) => {
                    self.dialogs.insert(key.clone(), number);
                    self.out.push_back(MailboxBookOutput::Dialog(key, true));
                }
                MailboxOutput::Gone(key) => {
                    self.dialogs.remove(&key);
                    self.out.push_back(MailboxBookOutput::Dialog(key, false));
                }
                MailboxOutput::Transmit(transmit) => {
                    self.out.push_back(MailboxBookOutput::Transmit(transmit));
                }
                MailboxOutput::Dead(target) => self.out.push_back(MailboxBookOutput::Dead(target)),
                MailboxOutput::News(request) => {
                    if let Some(account) = &account {
                        self.out
                            .push_back(MailboxBookOutput::News(account.clone(), request));
                    }
                }
                MailboxOutput::Changed => changed = true,
                MailboxOutput::Finished => finished = true,
            }
        }
        if finished {
            return self.forget(number);
        }
        if changed && let Some(account) = account {
            let status = entry.subscription.status();
            if entry.told.as_ref() != Some(&status) {
                entry.told = Some(status.clone());
                self.out
                    .push_back(MailboxBookOutput::Status(account, Some(status)));
            }
        }
        let deadline = entry.subscription.poll_timeout();
        if deadline != entry.deadline {
            entry.deadline = deadline;
            if let Some(at) = deadline {
                self.deadlines.push(Reverse((at, number)));
            }
        }
        self.prune();
    }
    /// Forgets deadlines that are void.
    fn prune(&mut self) {
        while let Some(Reverse((at, number))) = self.deadlines.peek() {
            let entry = self.entries.get(number);
            if entry.is_some_and(|entry| entry.deadline == Some(*at)) {
                return;
            }
            self.deadlines.pop();
        }
    }
    fn number(&self, pool: &Arc<str>, account: &Arc<str>) -> Option<u64> {
        self.pools.get(pool)?.accounts.get(account).copied()
    }
    fn accounts(&mut self, pool: &Arc<str>, now: Instant) -> &mut HashMap<Arc<str>, u64> {
        let pool = self.pools.entry(pool.clone());
        &mut pool.or_insert_with(|| Pool::new(now)).accounts
    }
}

impl Pool {
    fn new(now: Instant) -> Self {
        Self {
            accounts: HashMap::new(),
            turns: Turns::new(now),
        }
    }
}
