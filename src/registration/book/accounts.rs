//! What a new list of accounts, or one account, changes.

use super::{AccountKey, Book, BookOutput, Changes, Entry, Registration, RegistrationPlan};
use crate::call::Env;
use std::{collections::HashMap, sync::Arc, time::Instant};

impl Book {
    /// Everything of one pool: what is not in `accounts` is removed, what is there unchanged is left alone. Of two with the same key
    /// the first counts. Keys of other pools are taken for this one's.
    pub fn set(
        &mut self,
        pool: &Arc<str>,
        accounts: Vec<(AccountKey, RegistrationPlan)>,
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
            self.leave(number, env.now);
        }
        changes
    }
    /// One account, new or changed.
    pub fn put(&mut self, key: &AccountKey, plan: RegistrationPlan, env: &mut Env<'_>) -> Changes {
        let mut changes = Changes::default();
        self.put_one(&key.pool, &key.account, plan, &mut changes, env);
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
    /// Removes what belongs to none of these pools.
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
        plan: RegistrationPlan,
        changes: &mut Changes,
        env: &mut Env<'_>,
    ) {
        let known = self
            .number(pool, account)
            .and_then(|number| Some((number, self.entries.get_mut(&number)?)));
        if let Some((number, entry)) = known {
            let before = entry.registration.plan();
            if **before == plan {
                changes.kept += 1;
                return;
            }
            changes.updated += 1;
            if before.is_same_binding(&plan) {
                if let Some(old) = &before.own {
                    self.owners.remove(old);
                }
                self.owners.extend(plan.own.clone().map(|own| (own, number)));
                entry.registration.update(Arc::new(plan), env);
                return self.drain(number, env.now);
            }
            self.leave(number, env.now);
        } else {
            changes.added += 1;
        }
        self.begin(pool, account, plan, env);
    }
    fn begin(&mut self, pool: &Arc<str>, account: &Arc<str>, plan: RegistrationPlan, env: &mut Env<'_>) {
        self.last += 1;
        let number = self.last;
        self.owners.extend(plan.own.clone().map(|own| (own, number)));
        let registration = Registration::new(Arc::new(plan), self.user_agent.clone(), self.timers, env);
        self.calls.insert(registration.call_id().clone(), number);
        self.accounts(pool, env.now).insert(account.clone(), number);
        let entry = Entry {
            registration,
            pool: pool.clone(),
            account: Some(account.clone()),
            deadline: None,
            told: None,
        };
        self.entries.insert(number, entry);
        self.drain(number, env.now);
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
            self.out.push_back(BookOutput::Account(key, None));
        }
        entry.registration.end();
        self.drain(number, now);
    }
}
