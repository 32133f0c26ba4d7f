//! Accounts of ours at other people's servers, each kept there by a machine of its own ([`Enrolled`]): a [`Roll`] of them knows whose
//! deadline and whose turn it is, lets no more than the set rate of a pool through, finds the machine that a message is for, and
//! makes of a new list of accounts what it changes. An operation of a machine takes its request to its server, whatever it says. What the machines say to their servers is theirs: `registration` keeps accounts
//! registered, `message_waiting` subscribes to their mailboxes.

mod answers;
mod backoff;
mod enrolled;
mod list;
mod operation;
mod terms;
#[cfg(test)]
pub(crate) mod tests;
mod trouble;
mod turns;
mod way;

pub use enrolled::{Enrolled, EnrolledOutput};
pub use list::{AccountKey, Changes};
pub(crate) use {
    backoff::{CAP, LONGEST, delay, random_part, refresh},
    operation::{Operation, Step},
    terms::Terms,
    trouble::Trouble,
    way::Way,
};

use self::turns::Turns;
use crate::{
    call::{Env, LookupError, Transmit},
    sip::{
        Text,
        routing::{NextHop, Target},
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

/// What a [`Roll`] wants done.
#[derive(Debug)]
pub enum RollOutput<M: Enrolled> {
    /// Resolve this (RFC 3263); answered by [`Roll::resolved`] with the same number.
    Lookup(u64, NextHop),
    /// Send this.
    Transmit(Transmit),
    /// A target did not answer.
    Dead(Target),
    /// Let this be known.
    Said(Said<M>),
}

/// What is to be known of a [`Roll`].
#[derive(Debug)]
pub enum Said<M: Enrolled> {
    /// What comes by this name belongs here from now on (`true`), or does not any more.
    Name(M::Name, bool),
    /// That account's server has told us this.
    News(AccountKey, M::News),
    /// What is known of an account; `None` when it is no longer there.
    Account(AccountKey, Option<M::View>),
}

/// See the module. Contract: after any call, drain [`Self::poll_output`] to `None`, then wait for a message, an order or
/// [`Self::poll_timeout`].
#[derive(Debug)]
pub struct Roll<M: Enrolled> {
    user_agent: Text,
    timers: Timers,
    entries: HashMap<u64, Entry<M>>,
    /// Whose each name is: of two who want the same the later.
    names: HashMap<M::Name, u64>,
    pools: HashMap<Arc<str>, Pool>,
    /// Deadlines; one that is not the present one of its entry is void.
    deadlines: BinaryHeap<Reverse<(Instant, u64)>>,
    last: u64,
    out: VecDeque<RollOutput<M>>,
}

#[derive(Debug)]
struct Entry<M: Enrolled> {
    machine: M,
    pool: Arc<str>,
    /// `None` when its account has gone, or has become another: only its end is left to be said.
    account: Option<Arc<str>>,
    deadline: Option<Instant>,
    told: Option<M::View>,
}

#[derive(Debug)]
struct Pool {
    accounts: HashMap<Arc<str>, u64>,
    turns: Turns,
}

impl<M: Enrolled> Roll<M> {
    /// An empty one.
    pub fn new(user_agent: Text, timers: Timers) -> Self {
        Self {
            user_agent,
            timers,
            entries: HashMap::new(),
            names: HashMap::new(),
            pools: HashMap::new(),
            deadlines: BinaryHeap::new(),
            last: 0,
            out: VecDeque::new(),
        }
    }
    /// The server ends: all machines come to what their end is then.
    pub fn end(&mut self, env: &mut Env<'_>) {
        let numbers: Vec<_> = self.entries.keys().copied().collect();
        for number in numbers {
            self.act(number, env, |machine, _| machine.close());
        }
    }
    /// Whether there is nothing left to say. Something may still be heard.
    pub fn is_done(&self) -> bool {
        self.entries.values().all(|entry| entry.machine.is_done())
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
    /// Machines, those among them whose account has gone.
    pub fn len(&self) -> usize {
        self.entries.len()
    }
    /// How many wait for their turn, by pool.
    pub fn waiting(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let waiting = self.pools.iter().map(|(name, pool)| (name, pool.turns.len()));
        waiting.filter(|(_, count)| *count > 0)
    }
    /// The answer to [`RollOutput::Lookup`].
    pub fn resolved(
        &mut self,
        number: u64,
        hop: &NextHop,
        found: Result<Vec<Target>, LookupError>,
        env: &mut Env<'_>,
    ) {
        self.act(number, env, |machine, env| machine.resolved(hop, found, env));
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
                        self.act(number, env, M::handle_timeout);
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
    pub fn poll_output(&mut self) -> Option<RollOutput<M>> {
        self.out.pop_front()
    }

    /// Lets the machine act whose name that is. `None` when it is nobody's.
    pub(crate) fn act_named<T>(
        &mut self,
        name: &M::Name,
        env: &mut Env<'_>,
        act: impl FnOnce(&mut M, &mut Env<'_>) -> T,
    ) -> Option<T> {
        let number = self.names.get(name).copied()?;
        self.act(number, env, act)
    }
    /// Lets the machine of that account act. `None` when there is none.
    pub(crate) fn act_for<T>(
        &mut self,
        key: &AccountKey,
        env: &mut Env<'_>,
        act: impl FnOnce(&mut M, &mut Env<'_>) -> T,
    ) -> Option<T> {
        let number = self.number(&key.pool, &key.account)?;
        self.act(number, env, act)
    }
    fn act<T>(
        &mut self,
        number: u64,
        env: &mut Env<'_>,
        act: impl FnOnce(&mut M, &mut Env<'_>) -> T,
    ) -> Option<T> {
        let entry = self.entries.get_mut(&number)?;
        let result = act(&mut entry.machine, env);
        self.drain(number, env.now);
        Some(result)
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
                && entry.machine.is_queued()
            {
                turns.taken(entry.machine.throttle(), env.now);
                self.act(number, env, M::turn);
            }
        }
    }
    fn drain(&mut self, number: u64, now: Instant) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        let key = |account: &Arc<str>| AccountKey::new(entry.pool.clone(), account.clone());
        let account = entry.account.as_ref().map(key);
        let mut finished = false;
        let mut changed = entry.told.is_none();
        while let Some(output) = entry.machine.poll_output() {
            match output {
                EnrolledOutput::Turn => {
                    let urgent = entry.machine.is_urgent();
                    let pool = self.pools.entry(entry.pool.clone());
                    pool.or_insert_with(|| Pool::new(now)).turns.push(number, urgent);
                }
                EnrolledOutput::Lookup(hop) => self.out.push_back(RollOutput::Lookup(number, hop)),
                EnrolledOutput::Named(name) => {
                    if self.names.insert(name.clone(), number).is_none() {
                        self.out.push_back(RollOutput::Said(Said::Name(name, true)));
                    }
                }
                EnrolledOutput::Unnamed(name) => {
                    if self.names.get(&name) == Some(&number) {
                        self.names.remove(&name);
                        self.out.push_back(RollOutput::Said(Said::Name(name, false)));
                    }
                }
                EnrolledOutput::Transmit(transmit) => self.out.push_back(RollOutput::Transmit(transmit)),
                EnrolledOutput::Dead(target) => self.out.push_back(RollOutput::Dead(target)),
                EnrolledOutput::News(news) => {
                    let news = account
                        .clone()
                        .map(|account| RollOutput::Said(Said::News(account, news)));
                    self.out.extend(news);
                }
                EnrolledOutput::Changed => changed = true,
                EnrolledOutput::Finished => finished = true,
            }
        }
        if finished {
            return self.forget(number);
        }
        if changed && let Some(account) = account {
            let view = entry.machine.view();
            if entry.told.as_ref() != Some(&view) {
                entry.told = Some(view.clone());
                self.out
                    .push_back(RollOutput::Said(Said::Account(account, Some(view))));
            }
        }
        let deadline = entry.machine.poll_timeout();
        if deadline != entry.deadline {
            entry.deadline = deadline;
            if let Some(at) = deadline {
                self.deadlines.push(Reverse((at, number)));
            }
        }
        self.prune();
    }
    fn forget(&mut self, number: u64) {
        if let Some(entry) = self.entries.remove(&number)
            && let Some(account) = entry.account
        {
            if let Some(pool) = self.pools.get_mut(&entry.pool) {
                pool.accounts.remove(&account);
            }
            let key = AccountKey::new(entry.pool, account);
            self.out.push_back(RollOutput::Said(Said::Account(key, None)));
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
