//! `sip-bridge`: calls through accounts at telephone providers, and from them to the inside.
//!
//! Providers are rules, tried in the order of their file: the first whose trigger matches takes an account of its pool
//! and calls through it, with the addresses that its templates make. Of the caller nothing gets out that no template
//! names. A call for which there is no account, or whose addresses come out invalid, is refused with 488; the log has
//! the rule that failed.

mod account_schema;
mod bridge;
mod events;
mod explain;
mod info;
mod lines;
mod model;
mod number;
mod report;
mod schema;
mod template;
mod transfer;
mod trunk;
mod v1;
mod value;

use b2bua::{
    app::{
        AccountKey, Application, BuildError, Decision, Encryption, Failure, InCall, InCallRequest, Invite,
        Origin, RegistrationPlan, Registrations, Rescue, Services, Standalone,
    },
    call::failure::Kind as FailureKind,
    config::{Key, Kind},
    sip::{Ids, Status},
};
pub(crate) use explain::Question;

use bridge::{Bridge, Placed, Tried, Word};
use model::{Document, Loader};
use report::Report;
use serde::Deserialize;
use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use template::Incoming;

/// The application.
pub(crate) struct SipBridge {
    bridge: Bridge,
    ids: Mutex<Ids>,
}

/// `[b2bua-server::sip-bridge]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    providers: String,
}

impl Config {
    /// The file.
    pub(crate) fn providers(&self) -> &str {
        &self.providers
    }
}

const KEYS: &[Key] = &[Key {
    name: "providers",
    kind: Kind::Text,
    default: "providers.json",
    help: "The file with providers and their accounts, beside this one unless the path is absolute: Flexisip's JSON \
           (an object of schema 2 or an array of schema 1), or the same as TOML when it ends in .toml.",
    reload: true,
    example: "/etc/b2bua/providers.json",
}];

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

/// What of a document this build cannot do yet.
fn unavailable(document: &Document) -> Vec<String> {
    let mut all = Vec::new();
    for pool in &document.pools {
        let mut lacks = |key: &str, what: &str| {
            all.push(format!(
                "accountPools[{:?}].{key}: {what} is not available in this build",
                pool.name
            ));
        };
        if matches!(pool.loader, Loader::Sql(_)) {
            lacks("loader", "a database of accounts");
        }
        if pool.message_waiting.is_some() {
            lacks("mwiServerUri", "a subscription to message waiting");
        }
    }
    all
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
        let document = read(&path, |remark| tracing::warn!("{remark}")).map_err(refuse)?;
        let lacking = unavailable(&document);
        if !lacking.is_empty() {
            let name = path.display();
            return Err(refuse(
                lacking.iter().map(|what| format!("{name}: {what}")).collect(),
            ));
        }
        Ok(Self::of(document, services, Ids::from_system()))
    }

    fn inherit(&mut self, before: &Self) {
        self.bridge.inherit(&before.bridge);
    }

    async fn route(&self, course: &mut Course, invite: &Invite) -> Decision {
        let incoming = Incoming::of(invite);
        // A transfer within a call is routed like a call of its own.
        course.tried = Tried::default();
        let decision = match self.place(&incoming, &mut course.tried, now()) {
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
        let placed = self.place(&incoming, &mut course.tried, now());
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

    fn report(&self) -> Option<serde_json::Value> {
        Some(self.bridge.info())
    }
}

/// Orders the registration of all accounts of pools that want it, and the end of those of other pools.
fn register(document: &Document, registrations: &Registrations) {
    let pools = document.pools.iter().filter(|pool| pool.registration_required);
    for pool in pools.clone() {
        let Loader::Static(accounts) = &pool.loader else {
            continue;
        };
        let name: Arc<str> = pool.name.as_str().into();
        let plan = |account: &Arc<model::Account>| {
            let aor = account.uri.uri.clone();
            let key = AccountKey::new(name.clone(), aor.as_str());
            let plan = RegistrationPlan {
                // Where both are the same there is no proxy on the way.
                route: if account.route == account.registrar {
                    Vec::new()
                } else {
                    vec![account.route.clone()]
                },
                throttle: pool.throttle,
                unregister: pool.unregister,
                ..RegistrationPlan::new(aor, account.registrar.clone(), account.credentials.clone())
            };
            (key, plan)
        };
        registrations.set(name.clone(), accounts.iter().map(plan).collect());
    }
    registrations.retain(pools.map(|pool| pool.name.as_str().into()));
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
                tracing::warn!(
                    provider = provider.name,
                    "calls through it carry their media in clear; outgoingInvite.mediaEncryption says how to encrypt it"
                );
            }
        }
        register(&document, &services.registrations);
        let bridge = Bridge::new(document, services.latching, Some(&services.registrations));
        services.registrations.trunks().watch(bridge.ways());
        Self {
            bridge,
            ids: Mutex::new(ids),
        }
    }

    fn random(&self) -> u64 {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        ids.below(u64::MAX)
    }

    /// The next way for a call. `tried` takes note of it.
    fn place(&self, incoming: &Incoming, tried: &mut Tried, now: Instant) -> Option<Placed> {
        let hear = |index: usize, word: &Word| {
            let provider = self
                .bridge
                .providers
                .get(index)
                .map_or("", |provider| &provider.plan.name);
            match word {
                Word::Next(reason) => tracing::debug!(provider, "not through this provider: {reason}"),
                Word::Refuse(reason) => tracing::info!(provider, "the call is refused: {reason}"),
                Word::Place(placed) => {
                    tracing::info!(provider, account = %placed.account.uri.uri, "the call goes through this provider");
                }
            }
        };
        let (provider, placed) = self.bridge.place(incoming, tried, || self.random(), now, hear)?;
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
