//! What a new list of accounts, or one account, changes.

use super::{Enrolled, Entry, Roll, RollOutput, Said};
use crate::call::Env;
use std::{collections::HashMap, fmt, sync::Arc};

/// Names one account: unique within its pool.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountKey {
    /// The pool.
    pub pool: Arc<str>,
    /// The account in it, often its address of record.
    pub account: Arc<str>,
}

impl AccountKey {
    /// From its two names.
    pub fn new(pool: impl Into<Arc<str>>, account: impl Into<Arc<str>>) -> Self {
        Self {
            pool: pool.into(),
            account: account.into(),
        }
    }
}

impl fmt::Display for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.account)
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
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
    /// Are not there any more: what they had at their servers is undone.
    pub removed: usize,
}

impl<M: Enrolled> Roll<M> {
    /// Everything of one pool: what is not in `accounts` is ended, what is there unchanged is left alone. Of two with the same key
    /// the first counts. Keys of other pools are taken for this one's.
    pub fn set(
        &mut self,
        pool: &Arc<str>,
        accounts: Vec<(AccountKey, M::Plan)>,
        env: &mut Env<'_>,
    ) -> Changes {
        let mut changes = Changes::default();
        let mut before = match self.pools.get_mut(pool) {
            Some(known) => std::mem::take(&mut known.accounts),
            None => HashMap::new(),
        };
        for (key, plan) in accounts {
            if self.number(pool, &key.account).is_some() {
                tracing::warn!(%key, "the same account twice: the first counts");
                continue;
            }
            if let Some(number) = before.remove(&key.account) {
                self.accounts(pool, env.now).insert(key.account.clone(), number);
            }
            self.put_one(pool, &key.account, plan, &mut changes, env);
        }
        for number in before.into_values() {
            changes.removed += 1;
            self.leave(number, env);
        }
        changes
    }
    /// One account, new or changed.
    pub fn put(&mut self, key: &AccountKey, plan: M::Plan, env: &mut Env<'_>) -> Changes {
        let mut changes = Changes::default();
        self.put_one(&key.pool, &key.account, plan, &mut changes, env);
        changes
    }
    /// One account less.
    pub fn remove(&mut self, key: &AccountKey, env: &mut Env<'_>) -> Changes {
        let pool = self.pools.get_mut(&key.pool);
        let number = pool.and_then(|pool| pool.accounts.remove(&key.account));
        if let Some(number) = number {
            self.leave(number, env);
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
    fn put_one(
        &mut self,
        pool: &Arc<str>,
        account: &Arc<str>,
        plan: M::Plan,
        changes: &mut Changes,
        env: &mut Env<'_>,
    ) {
        let known = self
            .number(pool, account)
            .and_then(|number| Some((number, &self.entries.get(&number)?.machine)));
        if let Some((number, machine)) = known {
            if **machine.plan() == plan {
                changes.kept += 1;
                return;
            }
            changes.updated += 1;
            if machine.can_become(&plan) {
                self.act(number, env, |machine, _| machine.update(Arc::new(plan)));
                return;
            }
            self.leave(number, env);
        } else {
            changes.added += 1;
        }
        self.begin(pool, account, plan, env);
    }
    fn begin(&mut self, pool: &Arc<str>, account: &Arc<str>, plan: M::Plan, env: &mut Env<'_>) {
        self.last += 1;
        let number = self.last;
        let machine = M::new(Arc::new(plan), self.user_agent.clone(), self.timers, env);
        self.accounts(pool, env.now).insert(account.clone(), number);
        let entry = Entry {
            machine,
            pool: pool.clone(),
            account: Some(account.clone()),
            deadline: None,
            told: None,
        };
        self.entries.insert(number, entry);
        self.drain(number, env.now);
    }
    /// Its account has gone.
    fn leave(&mut self, number: u64, env: &mut Env<'_>) {
        let Some(entry) = self.entries.get_mut(&number) else {
            return;
        };
        if let Some(account) = entry.account.take() {
            let key = AccountKey::new(entry.pool.clone(), account);
            self.out.push_back(RollOutput::Said(Said::Account(key, None)));
        }
        self.act(number, env, |machine, _| machine.end());
    }
}
