//! Accounts at work: who may be used for a call, and what a call holds of them.

use super::{
    model::{Account, Strategy},
    number::{Form, Numbers},
    sharing::Sharing,
    template::{Identity, Incoming, Scope, Template},
};
use b2bua::{
    accounts::Slot,
    app::{AccountKey, RegistrationStatus, Registrations},
    sip::{Uri, routing::Own},
};
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Counts what is held of something that there is a number of.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU32);

/// One of it. Given back when it is dropped, whoever holds it then.
#[derive(Debug)]
pub(super) struct Held(Arc<Count>);

impl Count {
    /// Takes one, if fewer than `limit` are held.
    pub(super) fn take(self: &Arc<Self>, limit: u32) -> Option<Held> {
        let more = |held: u32| (held < limit).then(|| held + 1);
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
            .ok()?;
        Some(Held(self.clone()))
    }
    /// How many are held.
    pub(super) fn held(&self) -> u32 {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::AcqRel);
    }
}

/// A call on a line: here, and where lines are counted with other servers.
#[derive(Debug)]
pub(super) struct Taken {
    _here: Held,
    _shared: Option<Slot>,
}

/// Lines that are asked for together.
const CANDIDATES: usize = 64;

/// An account and the calls that it has. An update replaces the account and leaves it its calls.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) account: Arc<Account>,
    calls: Arc<Count>,
    /// What its registration goes by.
    registration: AccountKey,
    /// What other servers know it by.
    name: Arc<str>,
}

impl Line {
    /// Its calls at present.
    pub(super) fn calls(&self) -> u32 {
        self.calls.held()
    }
    /// What identifies it.
    pub(super) fn key(&self) -> &str {
        self.account.uri.uri.as_str()
    }
    fn identity(&self) -> Identity<'_> {
        Identity {
            uri: &self.account.uri,
            alias: self.account.alias.as_ref(),
        }
    }
}

/// The accounts of a pool.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) name: Arc<str>,
    /// Calls at once for each account.
    limit: u32,
    /// Where accounts must be registered to be used.
    registrations: Option<Registrations>,
    /// Whether each account has ports and connections of its own.
    own_connections: bool,
    /// Where calls of other servers count too.
    sharing: OnceLock<Sharing>,
    now: RwLock<Arc<Listed>>,
    /// What accounts are looked up by, each an index.
    templates: Vec<Template>,
}

impl Lines {
    /// A pool whose accounts are looked up by these templates, and must be registered where `registrations` is there.
    pub(super) fn new(
        name: &str,
        limit: u32,
        templates: Vec<Template>,
        accounts: &[Arc<Account>],
        registrations: Option<Registrations>,
        own_connections: bool,
    ) -> Self {
        let lines = Self {
            name: name.into(),
            limit,
            registrations,
            own_connections,
            sharing: OnceLock::new(),
            now: RwLock::default(),
            templates,
        };
        lines.replace(accounts);
        lines
    }

    /// Calls of other servers count too, from now on.
    pub(super) fn share(&self, sharing: Sharing) {
        // A pool is shared once, when its configuration comes into force.
        let _ = self.sharing.set(sharing);
    }

    /// The way that a registrar told calls of this account to take (RFC 3608), or nothing.
    pub(super) fn service_route(&self, account: &Account) -> Arc<[Uri]> {
        let Some(registrations) = &self.registrations else {
            return Arc::default();
        };
        registrations.service_route(&AccountKey::new(self.name.clone(), account.uri.uri.as_str()))
    }

    /// Whose connection an account's requests go by, where each has its own.
    pub(super) fn own(&self, account: &Account) -> Option<Own> {
        let key = AccountKey::new(self.name.clone(), account.uri.uri.as_str());
        self.own_connections.then(|| Own::new(key.to_string()))
    }

    /// The account whose connection that is.
    pub(super) fn of_connection(&self, own: &Own) -> Option<Arc<Account>> {
        let name = own.name().strip_prefix(&*self.name)?.strip_prefix('/')?;
        self.account(name)
    }

    /// Whether that host is a server of the account: one that it is registered through, or whose address its route names.
    pub(super) fn is_server(&self, account: &Account, host: IpAddr) -> bool {
        let host = host.to_canonical();
        let named = |uri: &Uri| {
            let name = uri.host().trim_matches(['[', ']']);
            name.parse::<IpAddr>()
                .is_ok_and(|named| named.to_canonical() == host)
        };
        let key = AccountKey::new(self.name.clone(), account.uri.uri.as_str());
        let view = self.registrations.as_ref().and_then(|all| all.view(&key));
        let peers = view.and_then(|view| view.binding).map(|binding| binding.peers);
        peers.is_some_and(|peers| peers.iter().any(|peer| peer.to_canonical() == host))
            || named(&account.route)
            || named(&account.registrar)
    }

    /// Why an account is not registered that must be.
    fn unregistered(&self, line: &Line) -> Option<String> {
        let registrations = self.registrations.as_ref()?;
        match registrations.status(&line.registration) {
            Some(status) if status.is_registered() => None,
            Some(status) => Some(status.to_string()),
            None => Some("not begun".to_owned()),
        }
    }

    /// How an account is registered, where that is not well; `None`: it is, or does not have to be.
    pub(super) fn status(&self, line: &Line) -> Option<RegistrationStatus> {
        let registrations = self.registrations.as_ref()?;
        let status = registrations.status(&line.registration);
        let status = status.unwrap_or(RegistrationStatus::Waiting);
        (!status.is_registered()).then_some(status)
    }
    /// Whether its accounts are registered.
    pub(super) fn registers(&self) -> bool {
        self.registrations.is_some()
    }
    /// How many more calls an account can take.
    pub(super) fn free(&self, line: &Line) -> u32 {
        self.limit.saturating_sub(line.calls())
    }

    fn listed(&self) -> Arc<Listed> {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The accounts as they are now.
    pub(super) fn all(&self) -> Vec<Line> {
        self.listed().lines.clone()
    }

    /// The account of that URI.
    pub(super) fn account(&self, uri: &str) -> Option<Arc<Account>> {
        let listed = self.listed();
        let line = listed.lines.iter().find(|line| line.key() == uri);
        line.map(|line| line.account.clone())
    }

    /// Takes other accounts. Those that were there before keep their calls.
    pub(super) fn replace(&self, accounts: &[Arc<Account>]) {
        let before = self.listed();
        let mut calls: HashMap<&str, &Arc<Count>> = before
            .lines
            .iter()
            .chain(&before.gone)
            .map(|line| (line.key(), &line.calls))
            .collect();
        let line = |account: &Arc<Account>| {
            let registration = AccountKey::new(self.name.clone(), account.uri.uri.as_str());
            let calls = calls.remove(account.uri.uri.as_str());
            Line {
                name: format!("lines/{registration}").into(),
                registration,
                calls: calls.cloned().unwrap_or_default(),
                account: account.clone(),
            }
        };
        let lines: Vec<Line> = accounts.iter().map(line).collect();
        let all = before.lines.iter().chain(&before.gone);
        let gone = all.filter(|line| calls.contains_key(line.key()) && line.calls() > 0);
        let gone = gone.cloned().collect();
        let index = |template: &Template| (template.clone(), self.index(template, &lines));
        let by = self.templates.iter().map(index).collect();
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Listed { lines, gone, by });
    }

    /// Takes over the calls of accounts that an earlier configuration had.
    pub(super) fn inherit(&self, before: &Self) {
        let accounts: Vec<_> = self.all().into_iter().map(|line| line.account).collect();
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = before.listed();
        self.replace(&accounts);
    }

    /// Of two with one key the first has it, as upstream.
    fn index(&self, template: &Template, lines: &[Line]) -> HashMap<Vec<u8>, usize> {
        let mut index = HashMap::with_capacity(lines.len());
        let numbers = Numbers::default();
        for (at, line) in lines.iter().enumerate() {
            let scope = Scope {
                incoming: None,
                account: Some(line.identity()),
                numbers: &numbers,
                form: Form::Plain,
            };
            let key = template.evaluate(&scope);
            // Whoever has no alias is found by none.
            if key.is_empty() {
                continue;
            }
            if let Some(first) = index.get(&key) {
                let first: &Line = &lines[*first];
                tracing::warn!(
                    pool = &*self.name,
                    "the accounts {} and {} have the same key, and the first is the one that is found",
                    first.key(),
                    line.key()
                );
            } else {
                index.insert(key, at);
            }
        }
        index
    }

    /// An account for a call, with one of its lines. `start` is any number, for `Random`; those of `tried` do not count.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn choose(
        &self,
        strategy: &Strategy,
        (incoming, numbers): (&Incoming, &Numbers),
        start: u64,
        tried: &[String],
    ) -> Result<(Arc<Account>, Taken), NoLine> {
        if self.limit == 0 {
            return Err(NoLine::NotForCalls);
        }
        let listed = self.listed();
        let count = listed.lines.len();
        let is_tried = |line: &Line| tried.iter().any(|key| key == line.key());
        let is_out = |line: &Line| is_tried(line) || self.unregistered(line).is_some();
        match strategy {
            Strategy::Random => {
                let Ok(all @ 1..) = u64::try_from(count) else {
                    return Err(NoLine::Empty);
                };
                let start = usize::try_from(start % all).unwrap_or(0);
                let mut asked = 0;
                while asked < count {
                    // Those that may have a place, in a circle from there; without other servers the first that has one will do.
                    let mut some = Vec::new();
                    while asked < count && some.len() < CANDIDATES {
                        let line = &listed.lines[(start + asked) % count];
                        asked += 1;
                        if line.calls() < self.limit && !is_out(line) {
                            if self.sharing.get().is_none()
                                && let Some(taken) = self.taken(line, None)
                            {
                                return Ok(taken);
                            }
                            some.push(line);
                        }
                    }
                    if let Some(taken) = self.take(&some).await? {
                        return Ok(taken);
                    }
                }
                Err(NoLine::NoneAvailable)
            }
            Strategy::FindInPool { .. } | Strategy::Account(_) => {
                let line = listed.one(strategy, (incoming, numbers))?;
                if is_tried(line) {
                    return Err(NoLine::Tried(line.key().to_owned()));
                }
                if let Some(status) = self.unregistered(line) {
                    let account = line.key().to_owned();
                    return Err(NoLine::Unregistered { account, status });
                }
                let taken = self.take(&[line]).await?;
                taken.ok_or_else(|| NoLine::Busy {
                    account: line.key().to_owned(),
                    calls: line.calls(),
                })
            }
        }
    }

    /// A place on the first of these that has one.
    async fn take(&self, mut lines: &[&Line]) -> Result<Option<(Arc<Account>, Taken)>, NoLine> {
        let Some(sharing) = self.sharing.get() else {
            return Ok(lines.iter().find_map(|line| self.taken(line, None)));
        };
        while !lines.is_empty() {
            let names: Vec<_> = lines.iter().map(|line| line.name.clone()).collect();
            let answer = sharing.take(&names, self.limit).await;
            let Some((index, slot)) = answer.map_err(|_| NoLine::Uncounted)? else {
                return Ok(None);
            };
            // Another call of ours may have been quicker, or Redis may not know all of ours.
            let chosen = lines.get(index).and_then(|line| self.taken(line, Some(slot)));
            if chosen.is_some() {
                return Ok(chosen);
            }
            lines = lines.get(index + 1..).unwrap_or_default();
        }
        Ok(None)
    }
    fn taken(&self, line: &Line, slot: Option<Slot>) -> Option<(Arc<Account>, Taken)> {
        let taken = Taken {
            _here: line.calls.take(self.limit)?,
            _shared: slot,
        };
        Some((line.account.clone(), taken))
    }
}

mod identity;
mod listed;
mod no_line;

pub(super) use identity::Found;
use listed::Listed;
pub(super) use no_line::NoLine;

#[cfg(test)]
mod tests;
