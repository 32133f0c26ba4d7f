//! All registrations of a server: whose response is whose, whose turn it is, and what a new list of accounts changes.

mod accounts;

use super::{
    machine::{Binding, Output, Registration},
    plan::{AccountKey, RegistrationPlan, RegistrationStatus},
    turns::Turns,
};
use crate::{
    call::{Env, LookupError, Transmit},
    sip::{
        Response, Text,
        routing::{NextHop, Own, Target},
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

/// What a [`Book`] wants done.
#[derive(Debug)]
pub enum BookOutput {
    /// Resolve this (RFC 3263); answered by [`Book::resolved`] with the same number.
    Lookup(u64, NextHop),
    /// Send this.
    Transmit(Transmit),
    /// A target did not answer.
    Dead(Target),
    /// What is known of an account; `None` when it is no longer there.
    Account(AccountKey, Option<View>),
}

/// What is known of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// How far it is.
    pub status: RegistrationStatus,
    /// What the registrar has granted, while it lasts.
    pub binding: Option<Binding>,
}

/// What a new list has changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// As they were.
    pub kept: usize,
    /// Go on by another plan.
    pub updated: usize,
    /// Were not there before.
    pub added: usize,
    /// Are not there any more: their bindings are removed.
    pub removed: usize,
}

/// See the module. Contract as of [`Registration`].
#[derive(Debug)]
pub struct Book {
    user_agent: Text,
    timers: Timers,
    entries: HashMap<u64, Entry>,
    calls: HashMap<Text, u64>,
    /// Who has connections of its own.
    owners: HashMap<Own, u64>,
    pools: HashMap<Arc<str>, Pool>,
    /// Deadlines; one that is not the present one of its entry is void.
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    last: u64,
    out: VecDeque<BookOutput>,
}

#[derive(Debug)]
struct Entry {
    registration: Registration,
    pool: Arc<str>,
    /// `None` when its account has gone, or has become another: only the removal of its binding is left to do.
    account: Option<Arc<str>>,
    deadline: Option<Instant>,
    told: Option<View>,
}

#[derive(Debug)]
struct Pool {
    accounts: HashMap<Arc<str>, u64>,
    turns: Turns,
}

impl Book {
    /// An empty one.
    pub fn new(user_agent: Text, timers: Timers) -> Self {
        Self {
            user_agent,
            timers,
            entries: HashMap::new(),
            calls: HashMap::new(),
            owners: HashMap::new(),
            pools: HashMap::new(),
            deadlines: BinaryHeap::new(),
            last: 0,
            out: VecDeque::new(),
        }
    }
    /// The server ends: removes the bindings of those who want that, and forgets the others.
    pub fn end(&mut self, env: &mut Env<'_>) {
        let numbers: Vec<_> = self.entries.keys().copied().collect();
        for number in numbers {
            let Some(entry) = self.entries.get_mut(&number) else {
                continue;
            };
            if entry.account.is_some() && !entry.registration.plan().unregister {
                self.forget(number);
            } else {
                entry.registration.end();
                self.drain(number, env.now);
            }
        }
    }
    /// Whether there is nothing left to do.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Registrations, those among them whose account has gone.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// How many wait for their turn, by pool.
    pub fn waiting(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let waiting = self.pools.iter().map(|(name, pool)| (name, pool.turns.len()));
        waiting.filter(|(_, count)| *count > 0)
    }
    /// The answer to [`BookOutput::Lookup`].
    pub fn resolved(
        &mut self,
        number: u64,
        hop: &NextHop,
        found: Result<Vec<Target>, LookupError>,
        env: &mut Env<'_>,
    ) {
        if let Some(entry) = self.entries.get_mut(&number) {
            entry.registration.resolved(hop, found, env);
            self.drain(number, env.now);
        }
    }
    /// A response to a REGISTER. `false` when it is nobody's.
    pub fn response(&mut self, response: &Response, env: &mut Env<'_>) -> bool {
        let number = self.of_call(response.headers.call_id().ok().as_ref());
        let Some((number, entry)) = number.and_then(|it| Some((it, self.entries.get_mut(&it)?))) else {
            return false;
        };
        entry.registration.response(response, env);
        self.drain(number, env.now);
        true
    }
    /// A connection of that one's own is lost.
    pub fn lost(&mut self, own: &Own, env: &mut Env<'_>) {
        if let Some(number) = self.owners.get(own).copied()
            && let Some(entry) = self.entries.get_mut(&number)
        {
            entry.registration.lost(env);
            self.drain(number, env.now);
        }
    }
    /// A REGISTER with this Call-ID and branch could not be sent.
    pub fn undeliverable(&mut self, call_id: &Text, branch: &Text, env: &mut Env<'_>) {
        if let Some(number) = self.of_call(Some(call_id))
            && let Some(entry) = self.entries.get_mut(&number)
        {
            entry.registration.undeliverable(branch.as_bytes(), env);
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
                        entry.registration.handle_timeout(env);
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
    pub fn poll_output(&mut self) -> Option<BookOutput> {
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
                && entry.registration.is_queued()
            {
                turns.taken(entry.registration.plan().throttle, env.now);
                entry.registration.turn(env);
                self.drain(number, env.now);
            }
        }
    }
    fn forget(&mut self, number: u64) {
        self.drop_entry(number);
        self.prune();
    }
    fn drop_entry(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number) {
            self.calls.remove(entry.registration.call_id());
            if let Some(own) = &entry.registration.plan().own
                && self.owners.get(own) == Some(&number)
            {
                self.owners.remove(own);
            }
            if let Some(account) = entry.account {
                if let Some(pool) = self.pools.get_mut(&entry.pool) {
                    pool.accounts.remove(&account);
                }
                let pool = entry.pool;
                self.out
                    .push_back(BookOutput::Account(AccountKey { pool, account }, None));
            }
        }
    }
    fn drain(&mut self, number: u64, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        let mut finished = false;
        let mut changed = entry.told.is_none();
        while let Some(output) = entry.registration.poll_output() {
            match output {
                Output::Turn => {
                    let urgent = entry.registration.is_urgent();
                    let pool = self.pools.entry(entry.pool.clone());
                    pool.or_insert_with(|| Pool::new(now)).turns.push(number, urgent);
                }
                Output::Lookup(hop) => self.out.push_back(BookOutput::Lookup(number, hop)),
                Output::Transmit(transmit) => self.out.push_back(BookOutput::Transmit(transmit)),
                Output::Dead(target) => self.out.push_back(BookOutput::Dead(target)),
                Output::Changed => changed = true,
                Output::Finished => finished = true,
            }
        }
        if finished {
            return self.forget(number);
        }
        if changed && let Some(account) = &entry.account {
            let view = View {
                status: entry.registration.status(),
                binding: entry.registration.binding().cloned(),
            };
            if entry.told.as_ref() != Some(&view) {
                entry.told = Some(view.clone());
                let key = AccountKey {
                    pool: entry.pool.clone(),
                    account: account.clone(),
                };
                self.out.push_back(BookOutput::Account(key, Some(view)));
            }
        }
        let deadline = entry.registration.poll_timeout();
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
    fn of_call(&self, call_id: Option<&Text>) -> Option<u64> {
        self.calls.get(call_id?).copied()
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
