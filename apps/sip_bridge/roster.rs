//! The accounts of a pool as they come, change and go: what a file or a database says of them, made accounts, lines and
//! registrations.

use super::{
    lines::Lines,
    model::{Account, Loader, Pool, Protocol, RawAccount, SecretType},
};
use b2bua::{
    accounts::{Event, Record},
    app::{AccountKey, MailboxPlan, RegistrationPlan, Registrations},
    sip::Uri,
};
use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A pool at work.
#[derive(Debug)]
pub(super) struct Roster {
    /// As the file has it.
    pub(super) pool: Pool,
    pub(super) lines: Arc<Lines>,
    /// Where its accounts are to be registered, if anywhere.
    registrations: Option<Registrations>,
    /// Where their mailboxes are to be subscribed to, if they are.
    mailboxes: Option<(Registrations, Uri)>,
    known: Mutex<Known>,
}

/// What a database has said last.
#[derive(Debug, Default)]
struct Known {
    /// Each with what was made of it, if that could be.
    records: Vec<(Record, Option<Arc<Account>>)>,
    /// Whether it has said anything.
    heard: bool,
}

impl Known {
    /// Of two with one URI the first counts, as upstream.
    fn accounts(&self) -> Vec<Arc<Account>> {
        let mut uris = HashSet::with_capacity(self.records.len());
        let accounts = self.records.iter().filter_map(|(_, account)| account.clone());
        accounts
            .filter(|account| uris.insert(account.uri.uri.as_str().to_owned()))
            .collect()
    }
}

impl Roster {
    /// One for each pool, with its lines.
    pub(super) fn all(
        pools: Vec<Pool>,
        lines: &[Arc<Lines>],
        registrations: Option<&Registrations>,
    ) -> Vec<Arc<Self>> {
        let roster =
            |(pool, lines): (_, &Arc<Lines>)| Arc::new(Self::new(pool, lines.clone(), registrations));
        pools.into_iter().zip(lines).map(roster).collect()
    }
    /// Nothing is ordered yet.
    fn new(pool: Pool, lines: Arc<Lines>, registrations: Option<&Registrations>) -> Self {
        let server = pool.message_waiting.clone();
        let mailboxes = registrations.and_then(|all| Some((all.clone(), server?)));
        let registrations = registrations.filter(|_| pool.registration_required).cloned();
        Self {
            pool,
            lines,
            registrations,
            mailboxes,
            known: Mutex::default(),
        }
    }
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its configuration is in force: what the file says is ordered now. What a database said of the pool of that name stays until
    /// it speaks again.
    pub(super) fn enter(&self, before: Option<&Self>) {
        match &self.pool.loader {
            Loader::Static(accounts) => self.register_all(accounts),
            Loader::Sql(_) => {
                let Some(before) = before.filter(|before| before.known().heard) else {
                    return;
                };
                let records = before
                    .known()
                    .records
                    .iter()
                    .map(|(record, _)| record.clone())
                    .collect();
                self.hear(Event::All(records));
            }
        }
    }

    /// What a database says.
    pub(super) fn hear(&self, event: Event) {
        let mut known = self.known();
        known.heard = true;
        match event {
            Event::All(records) => {
                let made = |record: Record| {
                    let account = self.account(&record);
                    (record, account)
                };
                known.records = records.into_iter().map(made).collect();
                let accounts = known.accounts();
                let left_out = known.records.len() - accounts.len();
                if left_out > 0 {
                    tracing::warn!(
                        pool = self.pool.name,
                        left_out,
                        "accounts that cannot be used, or are there twice, are left out"
                    );
                }
                self.lines.replace(&accounts);
                self.register_all(&accounts);
            }
            Event::Changed(record) => {
                // What it was before is better than nothing.
                let Some(account) = self.account(&record) else {
                    return;
                };
                let uri = record.uri();
                let entry = (*record, Some(account.clone()));
                match known.records.iter_mut().find(|(old, _)| old.uri() == uri) {
                    Some(old) => *old = entry,
                    None => known.records.push(entry),
                }
                self.lines.replace(&known.accounts());
                if let Some(registrations) = &self.registrations {
                    let (key, plan) = self.plan(&account);
                    registrations.put(key, plan);
                }
                if let Some((mailboxes, server)) = &self.mailboxes {
                    let (key, plan) = self.mailbox(&account, server);
                    mailboxes.watch_mailbox(key, plan);
                }
            }
            Event::Gone(uri) => {
                let gone = |(record, _): &(Record, Option<Arc<Account>>)| record.uri() == uri;
                let Some(at) = known.records.iter().position(gone) else {
                    return;
                };
                let (_, account) = known.records.remove(at);
                self.lines.replace(&known.accounts());
                let Some(account) = account else { return };
                // Its last SUBSCRIBE goes before its last REGISTER.
                if let Some((mailboxes, _)) = &self.mailboxes {
                    mailboxes.forget_mailbox(self.key(&account));
                }
                if let Some(registrations) = &self.registrations {
                    registrations.remove(self.key(&account));
                }
            }
        }
    }

    /// The account of a row. Unlike upstream, words that mean nothing make no account.
    fn account(&self, record: &Record) -> Option<Arc<Account>> {
        let (uri, alias) = (record.uri(), record.alias());
        let secret_type = match record.secret_type.as_str() {
            "md5" | "ha1" => SecretType::Md5,
            "sha256" | "sha-256" => SecretType::Sha256,
            "clrtxt" => SecretType::Clear,
            other => return self.refuse(&uri, "secret_type", &format!("{other:?} is not known")),
        };
        let protocol = match record.protocol.as_str() {
            "" | "udp" => Protocol::Udp,
            "tcp" => Protocol::Tcp,
            "tls" => Protocol::Tls,
            other => return self.refuse(&uri, "protocol", &format!("{other:?} is not known")),
        };
        let raw = RawAccount {
            uri: &uri,
            alias: &alias,
            userid: &record.user_id,
            realm: &record.realm,
            secret: &record.secret,
            secret_type,
            outbound_proxy: &record.outbound_proxy,
            registrar: &record.registrar,
            protocol,
        };
        match raw.account(&self.pool.defaults) {
            Ok(account) => Some(Arc::new(account)),
            Err((key, what)) => self.refuse(&uri, key, &what),
        }
    }
    fn refuse(&self, uri: &str, key: &str, what: &str) -> Option<Arc<Account>> {
        tracing::warn!(pool = self.pool.name, account = uri, key, "left out: {what}");
        None
    }

    fn key(&self, account: &Account) -> AccountKey {
        AccountKey::new(self.lines.name.clone(), account.uri.uri.as_str())
    }
    /// The proxies on the way of an account's own requests. Where proxy and registrar are the same there is none.
    fn route(account: &Account) -> Vec<Uri> {
        if account.route == account.registrar {
            Vec::new()
        } else {
            vec![account.route.clone()]
        }
    }
    fn mailbox(&self, account: &Account, server: &Uri) -> (AccountKey, MailboxPlan) {
        let plan = MailboxPlan {
            route: Self::route(account),
            throttle: self.pool.throttle,
            own: self.lines.own(account),
            after_registration: self.pool.registration_required,
            ..MailboxPlan::new(
                account.uri.uri.clone(),
                server.clone(),
                account.credentials.clone(),
            )
        };
        (self.key(account), plan)
    }
    fn plan(&self, account: &Account) -> (AccountKey, RegistrationPlan) {
        let plan = RegistrationPlan {
            route: Self::route(account),
            throttle: self.pool.throttle,
            own: self.lines.own(account),
            unregister: self.pool.unregister,
            ..RegistrationPlan::new(
                account.uri.uri.clone(),
                account.registrar.clone(),
                account.credentials.clone(),
            )
        };
        (self.key(account), plan)
    }
    fn register_all(&self, accounts: &[Arc<Account>]) {
        if let Some(registrations) = &self.registrations {
            let plans = accounts.iter().map(|account| self.plan(account)).collect();
            registrations.set(self.lines.name.clone(), plans);
        }
        if let Some((mailboxes, server)) = &self.mailboxes {
            let plans = accounts.iter().map(|account| self.mailbox(account, server));
            mailboxes.watch_mailboxes(self.lines.name.clone(), plans.collect());
        }
    }
}
