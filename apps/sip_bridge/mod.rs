//! `sip-bridge`: calls through accounts at telephone providers, and from them to the inside.
//!
//! Providers are rules, tried in the order of their file: the first whose trigger matches takes an account of its pool
//! and calls through it, with the addresses that its templates make. Of the caller nothing gets out that no template
//! names. A call for which there is no account, or whose addresses come out invalid, is refused with 488; the log has
//! the rule that failed.

mod account_schema;
mod bridge;
mod config;
mod events;
mod explain;
mod info;
mod lines;
mod model;
mod number;
mod report;
mod roster;
mod schema;
mod sharing;
mod sources;
mod template;
mod transfer;
mod trunk;
mod v1;
mod value;
mod ways;

use b2bua::{
    accounts::{Event, Source, Watch},
    app::{
        Application, BuildError, Decision, Encryption, Failure, Handover, InCall, InCallRequest, Invite,
        Origin, Registrations, Rescue, Services, Standalone,
    },
    call::failure::Kind as FailureKind,
    config::Key,
    sip::{Ids, Status},
};
pub(crate) use config::Config;
pub(crate) use explain::Question;

use bridge::{Bridge, Placed, Tried, Word};
use config::KEYS;
use model::Document;
use report::Report;
use roster::Roster;
use sharing::{Sharing, SharingPlan};
use sources::News;
use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use template::Incoming;

/// The application.
pub(crate) struct SipBridge {
    bridge: Bridge,
    /// One for each pool, in the order of the file.
    rosters: Vec<Arc<Roster>>,
    registrations: Registrations,
    /// Databases that are not read yet, each with the index of its pool.
    sources: Vec<(usize, Source)>,
    /// Those that are. They end when another configuration is in force, though calls keep this one.
    watches: Mutex<Vec<Watch>>,
    /// Where lines are to be counted with other servers, and where they are.
    share: Option<SharingPlan>,
    sharing: Option<Sharing>,
    ids: Mutex<Ids>,
}

/// What is remembered of a call: enough to try another account.
#[derive(Debug, Default)]
pub(crate) struct Course {
    incoming: Option<Box<Incoming>>,
    tried: Tried,
}

/// Reads a providers file.
///
/// # Errors
/// All that is wrong with it, a line each with the file's name.
fn read(path: &Path, remark: impl FnMut(String)) -> Result<Document, Vec<String>> {
    let name = path.display();
    let text = std::fs::read_to_string(path).map_err(|error| {
        vec![format!(
            "{name}: {error}; expected a file of providers that this user may read"
        )]
    })?;
    parse(&text, path, remark)
}

fn parse(text: &str, path: &Path, mut remark: impl FnMut(String)) -> Result<Document, Vec<String>> {
    let name = path.display();
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    let tree = value::Value::read(text, is_toml).map_err(|what| vec![format!("{name}: {what}")])?;
    let report = Report::default();
    let document = schema::read(&tree, &report);
    let (problems, remarks) = report.into_parts();
    match document {
        Some(document) if problems.is_empty() => {
            remarks.iter().for_each(|what| remark(format!("{name}: {what}")));
            Ok(document)
        }
        _ => Err(problems.iter().map(|what| format!("{name}: {what}")).collect()),
    }
}

impl Application for SipBridge {
    const NAME: &'static str = "sip-bridge";
    const HELP: &'static str = "The application sip-bridge: calls through accounts at telephone providers, and from \
                                them to the inside.";
    const KEYS: &'static [Key] = KEYS;
    type Config = Config;
    type Call = Course;

    async fn build(config: Config, services: &Services) -> Result<Self, BuildError> {
        let path = services.directory.join(&config.providers);
        let refuse = |faults: Vec<String>| {
            BuildError(
                faults
                    .into_iter()
                    .map(|what| ("providers".into(), what))
                    .collect(),
            )
        };
        let mut document = read(&path, |remark| services.remarks.add(remark)).map_err(refuse)?;
        let most = services.own_connections;
        if let Some(what) = most.and_then(|most| sources::too_many(&document, most)) {
            return Err(refuse(vec![format!("{}: {what}", path.display())]));
        }
        let name = path.display();
        let remark = |what: String| services.remarks.add(format!("{name}: {what}"));
        let redis = services.redis.as_ref().map(sources::redis);
        let share = redis.clone().map(|redis| SharingPlan {
            redis,
            lease: config.line_lease.0,
            without: config.lines_without_redis,
        });
        let news = redis.map_or(News::Poll(config.accounts_poll_interval.0), News::Redis);
        let sources = sources::open(&mut document.pools, &services.directory, &news, remark).await;
        let sources = sources
            .map_err(|faults| refuse(faults.iter().map(|what| format!("{name}: {what}")).collect()))?;
        Ok(Self {
            sources,
            share,
            ..Self::of(document, services, Ids::from_system())
        })
    }

    fn take_over(&mut self, before: Option<&Self>) {
        if let Some(before) = before {
            self.bridge.inherit(&before.bridge);
            before.watches().clear();
        }
        if let Some(plan) = self.share.take() {
            let server = self.ids.get_mut().unwrap_or_else(PoisonError::into_inner).tag();
            let before = before.and_then(|before| before.sharing.as_ref());
            let sharing = Sharing::start(plan, before, &server);
            self.bridge.share(&sharing);
            self.sharing = Some(sharing);
        }
        let registered = self
            .rosters
            .iter()
            .filter(|roster| roster.pool.registration_required);
        self.registrations
            .retain(registered.map(|roster| roster.lines.name.clone()));
        let watched = self
            .rosters
            .iter()
            .filter(|roster| roster.pool.message_waiting.is_some());
        self.registrations
            .retain_mailboxes(watched.map(|roster| roster.lines.name.clone()));
        for roster in &self.rosters {
            let before = before.and_then(|before| {
                let mut rosters = before.rosters.iter();
                rosters.find(|old| old.pool.name == roster.pool.name)
            });
            roster.enter(before.map(|before| &**before));
        }
        // With the accounts that databases named before.
        self.bridge.ways.tell(&self.registrations);
        for (pool, source) in std::mem::take(&mut self.sources) {
            if let Some(roster) = self.rosters.get(pool).cloned() {
                let name = roster.pool.name.clone();
                let watch = Watch::start(&name, source, self.news_of(roster));
                self.watches().push(watch);
            }
        }
    }

    async fn route(&self, course: &mut Course, invite: &Invite) -> Decision {
        let incoming = Incoming::of(invite);
        // A transfer within a call is routed like a call of its own.
        course.tried = Tried::default();
        let decision = match self.place(&incoming, &mut course.tried, now()).await {
            Some(placed) => Decision::Bridge(vec![placed.outgoing]),
            None => Decision::Decline(refusal()),
        };
        course.incoming = Some(Box::new(incoming));
        decision
    }

    async fn rescue(&self, course: &mut Course, failure: &Failure) -> Rescue {
        let Some(incoming) = course.incoming.take() else {
            return Rescue::Relay;
        };
        let Some(provider) = self.bridge.providers.get(course.tried.provider) else {
            return Rescue::Relay;
        };
        if !provider.plan.failover.0.contains(&failure.status.code()) {
            return Rescue::Relay;
        }
        tracing::info!(provider = provider.plan.name, status = %failure.status, "the call failed, tried elsewhere");
        let placed = self.place(&incoming, &mut course.tried, now()).await;
        course.incoming = Some(incoming);
        placed.map_or(Rescue::Relay, |placed| Rescue::Try(vec![placed.outgoing]))
    }

    async fn route_standalone(&self, request: &Standalone) -> Decision {
        self.bridge.standalone(request, || self.random())
    }

    async fn in_call(&self, course: &mut Course, request: &InCallRequest) -> InCall {
        let Some(incoming) = &course.incoming else {
            return InCall::Forward;
        };
        self.bridge
            .in_call((incoming, &course.tried), request, || self.random())
    }

    async fn handover(&self, course: &mut Course, handover: &Handover) -> Result<(), Failure> {
        let of_account = self.registrations.is_peer(handover.invite.source.remote.ip())
            || self.bridge.is_server(handover.invite.source.remote.ip());
        self.bridge.may_take_over(&course.tried, handover, of_account)
    }

    fn report(&self) -> Option<serde_json::Value> {
        Some(self.bridge.info())
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "callsPerSecond is by the clock; what judges it takes the time as an argument"
)]
fn now() -> Instant {
    Instant::now()
}

/// Every refusal of ours, as upstream.
fn refusal() -> Failure {
    Failure::new(Status::NOT_ACCEPTABLE_HERE, Origin::App, FailureKind::Declined)
}

impl SipBridge {
    fn of(document: Document, services: &Services, ids: Ids) -> Self {
        for provider in &document.providers {
            if matches!(provider.invite.encryption, None | Some(Encryption::None)) {
                services.remarks.add(format!(
                    "provider {:?}: calls through it carry their media in clear; outgoingInvite.mediaEncryption says how to \
                     encrypt it",
                    provider.name
                ));
            }
        }
        for (index, pool) in document.pools.iter().enumerate() {
            let mut providers = document
                .providers
                .iter()
                .filter(|provider| provider.pool == index);
            if pool.message_waiting.is_some() && providers.all(|provider| provider.notify.is_none()) {
                services.remarks.add(format!(
                    "accountPools[{:?}].mwiServerUri: no provider of this pool has an outgoingNotify, so that news of its mailboxes \
                     are passed on to nobody",
                    pool.name
                ));
            }
        }
        let pools = document.pools.clone();
        let registrations = services.registrations.clone();
        let bridge = Bridge::new(
            document,
            services.latching,
            Some(&registrations),
            services.own_connections.is_some(),
        );
        Self {
            rosters: Roster::all(pools, &bridge.pools, Some(&registrations)),
            bridge,
            registrations,
            sources: Vec::new(),
            watches: Mutex::default(),
            share: None,
            sharing: None,
            ids: Mutex::new(ids),
        }
    }
    /// Takes what a database says of a pool: its accounts, and what there is to ask for them whether it is there.
    fn news_of(&self, roster: Arc<Roster>) -> impl FnMut(Event) + Send + 'static {
        let (ways, registrations) = (self.bridge.ways.clone(), self.registrations.clone());
        move |event| {
            roster.hear(event);
            ways.changed(&roster.lines, &registrations);
        }
    }
    fn watches(&self) -> MutexGuard<'_, Vec<Watch>> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn random(&self) -> u64 {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.below(u64::MAX)
    }

    /// The next way for a call. `tried` takes note of it.
    async fn place(&self, incoming: &Incoming, tried: &mut Tried, now: Instant) -> Option<Placed> {
        // A call that nobody takes is explained, as `b2bua route-test` would.
        let mut refused = Vec::new();
        let mut hear = |index: usize, word: &Word| {
            let provider = self
                .bridge
                .providers
                .get(index)
                .map_or("", |provider| &provider.plan.name);
            match word {
                Word::Next(reason) => refused.push(format!("{provider:?}: {reason}")),
                Word::Refuse(reason) => tracing::info!(provider, "the call is refused: {reason}"),
                Word::Place(placed) => {
                    tracing::info!(provider, account = %placed.account.uri.uri, "the call goes through this provider");
                }
            }
        };
        let placed = self
            .bridge
            .place(incoming, tried, &mut || self.random(), now, &mut hear)
            .await;
        let Some((provider, placed)) = placed else {
            let providers = refused.join("; ");
            tracing::info!(to = %incoming.request_uri, providers, "no provider takes the call");
            return None;
        };
        tracing::debug!(providers = refused.join("; "), "not through these");
        if provider != tried.provider {
            tried.accounts.clear();
        }
        tried.provider = provider;
        tried.accounts.push(placed.account.uri.uri.as_str().to_owned());
        Some(placed)
    }
}

#[cfg(test)]
mod tests;
