//! The call algorithm: providers in their order, each trigger, account, INVITE.

mod outgoing;
mod search;

use super::{
    lines::{Lines, NoLine, Taken},
    model::{Account, Document, NotFound, Provider, Strategy, Trigger},
    number::Dialled,
    sharing::Sharing,
    template::{Incoming, Template},
    trunk::{Trunk, admit},
    ways::Ways,
};
use b2bua::{
    app::{Invite, Lease, NatLatching, Outgoing, Registrations, Trunks},
    sip::{Headers, NameAddr, Uri},
};
use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Instant,
};

/// Accounts whose way is down that are passed over in one search.
const MOST_DOWN: usize = 16;

/// All providers and pools, at work.
#[derive(Debug)]
pub(super) struct Bridge {
    pub(super) providers: Vec<Working>,
    pub(super) pools: Vec<Arc<Lines>>,
    latching: NatLatching,
    /// The ways that are to be asked whether they are there.
    pub(super) ways: Arc<Ways>,
    /// Which of the ways are down.
    trunks: Trunks,
}

/// A provider at work.
#[derive(Debug)]
pub(super) struct Working {
    pub(super) plan: Provider,
    trunk: Arc<Trunk>,
    /// What other servers know it by, where its calls are counted with theirs.
    name: Arc<str>,
    sharing: OnceLock<Sharing>,
}

/// Why a provider does not take a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// Its trigger does not match.
    Trigger(String),
    Account(NoLine),
    /// A template makes something that cannot be used: which, and what is wrong.
    Template(&'static str, String),
    /// A destination that it may not call, or a cap.
    Limit(String),
    /// Its way does not answer OPTIONS: which, and what it does instead.
    Down(String, String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trigger(what) | Self::Limit(what) => f.write_str(what),
            Self::Account(what) => what.fmt(f),
            Self::Down(way, what) => write!(f, "the trunk {way} is down: {what}"),
            Self::Template(which, what) => {
                write!(f, "outgoingInvite.{which} makes an invalid address: {what}")
            }
        }
    }
}

/// What a provider says to a call.
#[derive(Debug)]
pub(super) enum Word {
    /// The next one may have it.
    Next(Reason),
    /// The call is refused, and no other is asked.
    Refuse(Reason),
    /// It goes so.
    Place(Box<Placed>),
}

/// A call with its account.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) outgoing: Outgoing,
    pub(super) account: Arc<Account>,
}

/// What has been tried for a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Tried {
    /// The provider to begin with.
    pub(super) provider: usize,
    /// Accounts of that provider, by their URI.
    pub(super) accounts: Vec<String>,
}

impl Tried {
    fn of(&self, provider: usize) -> &[String] {
        if provider == self.provider {
            &self.accounts
        } else {
            &[]
        }
    }
    /// Whether this is a search after a failure.
    fn is_again(&self) -> bool {
        !self.accounts.is_empty()
    }
}

impl Incoming {
    /// What templates can name of an INVITE.
    pub(super) fn of(invite: &Invite) -> Self {
        let (from, to) = (invite.from.detached(), invite.to.detached());
        Self {
            host: Some(invite.source.remote.ip()),
            own: invite.own.clone(),
            ..Self::new(from, to, invite.uri().detached(), invite.headers())
        }
    }
    /// The same of its parts.
    pub(super) fn new(from: NameAddr, to: NameAddr, request_uri: Uri, headers: &Headers) -> Self {
        let first = |name: &str| {
            let value = headers.values(name).next()?;
            NameAddr::parse(value).ok().map(|address| address.detached())
        };
        Self {
            from,
            to,
            request_uri,
            asserted_identity: first("P-Asserted-Identity"),
            diversion: first("Diversion"),
            host: None,
            own: None,
        }
    }
}

impl Trigger {
    pub(super) fn test(&self, provider: &Provider, incoming: &Incoming) -> Result<(), String> {
        let uri = &incoming.request_uri;
        match self {
            Self::Always => Ok(()),
            Self::Uri { pattern, expression } => {
                let matches = expression.matches(uri.as_str().as_bytes());
                matches
                    .then_some(())
                    .ok_or_else(|| format!("its pattern {pattern:?} does not match {uri}"))
            }
            Self::Number { pattern, expression } => {
                let number = match provider.numbers.read(uri) {
                    Dialled::Number(number) => format!("+{number}"),
                    Dialled::Local(number) => number,
                    Dialled::Name => return Err(format!("{uri} calls no number")),
                };
                let matches = expression.matches(number.as_bytes());
                matches.then_some(()).ok_or_else(|| {
                    format!("its pattern {pattern:?} does not match {number}, the number of {uri}")
                })
            }
        }
    }
}

impl Bridge {
    /// With no registrations all accounts count as registered.
    pub(super) fn new(
        document: Document,
        latching: NatLatching,
        registrations: Option<&Registrations>,
        own_connections: bool,
    ) -> Self {
        let templates = |pool: usize| {
            let mut all: Vec<Template> = Vec::new();
            for provider in document.providers.iter().filter(|provider| provider.pool == pool) {
                if let Strategy::FindInPool { by, .. } = &provider.strategy
                    && !all.contains(by)
                {
                    all.push(by.clone());
                }
            }
            all
        };
        let pools = document.pools.iter().enumerate().map(|(index, pool)| {
            let accounts: &[_] = match &pool.loader {
                super::model::Loader::Static(accounts) => accounts,
                super::model::Loader::Sql(_) => &[],
            };
            let registrations = registrations.filter(|_| pool.registration_required).cloned();
            let templates = templates(index);
            Arc::new(Lines::new(
                &pool.name,
                pool.calls_per_line,
                templates,
                accounts,
                registrations,
                own_connections,
            ))
        });
        let pools: Vec<_> = pools.collect();
        Self {
            ways: Arc::new(Ways::of(&document.providers, &pools)),
            pools,
            providers: document
                .providers
                .into_iter()
                .map(|plan| Working {
                    name: format!("providers/{}", plan.name).into(),
                    plan,
                    trunk: Arc::default(),
                    sharing: OnceLock::new(),
                })
                .collect(),
            latching,
            trunks: registrations.map(|all| all.trunks().clone()).unwrap_or_default(),
        }
    }

    /// Why a way is down, for a provider that wants to know.
    fn down(&self, plan: &Provider, way: &Uri) -> Option<Reason> {
        let _ = plan.qualify?;
        self.trunks
            .down(way)
            .map(|why| Reason::Down(way.to_string(), why))
    }

    /// Calls of other servers count too, from now on: on lines and through providers.
    pub(super) fn share(&self, sharing: &Sharing) {
        self.pools.iter().for_each(|lines| lines.share(sharing.clone()));
        for provider in &self.providers {
            // Shared once, when its configuration comes into force.
            let _ = provider.sharing.set(sharing.clone());
        }
    }

    /// Takes over from an earlier configuration what its calls hold.
    pub(super) fn inherit(&mut self, before: &Self) {
        for pool in &self.pools {
            if let Some(old) = before.pools.iter().find(|old| old.name == pool.name) {
                pool.inherit(old);
            }
        }
        for provider in &mut self.providers {
            let same = |old: &&Working| old.plan.name == provider.plan.name;
            if let Some(old) = before.providers.iter().find(same) {
                provider.trunk = old.trunk.clone();
            }
        }
    }

    async fn ask(
        &self,
        working: &Working,
        strategy: &Strategy,
        incoming: &Incoming,
        (tried, again): (&[String], bool),
        random: u64,
        now: Instant,
    ) -> Word {
        let plan = &working.plan;
        if let Err(what) = plan.trigger.test(plan, incoming) {
            return Word::Next(Reason::Trigger(what));
        }
        let absent = |reason| match plan.not_found {
            // Who fails over goes on: that this provider has nobody left is why.
            NotFound::Decline if !again => Word::Refuse(reason),
            NotFound::Decline | NotFound::NextProvider => Word::Next(reason),
        };
        let Some(pool) = self.pools.get(plan.pool) else {
            return absent(Reason::Account(NoLine::Empty));
        };
        if let Some(down) = plan
            .invite
            .outbound_proxy
            .as_ref()
            .and_then(|way| self.down(plan, way))
        {
            return Word::Next(down);
        }
        let chosen = self.choose(pool, (plan, strategy, incoming), random, tried);
        let (account, line) = match chosen.await {
            Ok(chosen) => chosen,
            // Whatever becomes of calls for which there is no account: here there is one, and nobody at its other end.
            Err((_, Some(down))) => return Word::Next(down),
            Err((why, None)) if why.is_not_found() => return absent(Reason::Account(why)),
            // As upstream: an account that is found and cannot be used ends the search.
            Err((why, None)) => return Word::Refuse(Reason::Account(why)),
        };
        let mut outgoing = match self.outgoing(plan, incoming, (pool, &account)) {
            Ok(outgoing) => outgoing,
            Err((which, what)) => return Word::Refuse(Reason::Template(which, what)),
        };
        if let Err(what) = plan
            .destinations
            .judge(&plan.numbers.read_written(&outgoing.target))
        {
            return absent(Reason::Limit(what));
        }
        let shared = working.sharing.get().map(|sharing| (sharing, &working.name));
        match admit(&working.trunk, &plan.limits, shared, now).await {
            Ok(call) => outgoing.lease = Some(Lease(Box::new((line, call)))),
            Err(what) => return absent(Reason::Limit(what)),
        }
        Word::Place(Box::new(Placed { outgoing, account }))
    }

    /// An account with a line, of those whose way is not down.
    ///
    /// # Errors
    /// Why there is none, and the way that was down last.
    async fn choose(
        &self,
        pool: &Lines,
        (plan, strategy, incoming): (&Provider, &Strategy, &Incoming),
        random: u64,
        tried: &[String],
    ) -> Result<(Arc<Account>, Taken), (NoLine, Option<Reason>)> {
        let asked = (incoming, &plan.numbers);
        // Where any would do, the one that is called.
        if *strategy == Strategy::Random
            && let Some(called) = self.inwards(plan, incoming)
            && let Ok(chosen) = pool.choose(&called, asked, random, tried).await
        {
            return Ok(chosen);
        }
        let mut passed = tried.to_vec();
        let mut down = None;
        for _ in 0..MOST_DOWN {
            let chosen = pool.choose(strategy, asked, random, &passed);
            let (account, line) = match chosen.await {
                Ok(chosen) => chosen,
                Err(why) => return Err((why, down)),
            };
            let own = plan.invite.outbound_proxy.is_none();
            match self.down(plan, &account.route).filter(|_| own) {
                None => return Ok((account, line)),
                Some(why) => {
                    passed.push(account.uri.uri.as_str().to_owned());
                    down = Some(why);
                }
            }
        }
        Err((NoLine::NoneAvailable, down))
    }
}
