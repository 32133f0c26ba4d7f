//! Upstream's first schema, an array of providers with their accounts, translated into the second.

use super::{
    account_schema::{distinct, made},
    model::{
        Codes, Destinations, Document, InvitePlan, Loader, NotFound, Pool, PoolDefaults, Provider,
        ProviderLimits, RawAccount, SecretType, Strategy, Trigger,
    },
    number::Numbers,
    report::{Node, Unknown},
    schema::{all, encryption, expression, optional, proxy},
    template::{Context, Template},
};
use std::time::Duration;

/// The number as it was dialled, on the account's domain.
const TO: &str = "sip:{incoming.requestUri.user}@{account.uri.hostport}{incoming.requestUri.uriParameters}";

pub(super) fn read(root: &Node<'_>) -> Option<Document> {
    let entries = all(root
        .list()?
        .iter()
        .enumerate()
        .map(|(index, node)| entry(node, index)))?;
    let (providers, pools): (Vec<Provider>, Vec<Pool>) = entries.into_iter().unzip();
    // The names of pools are made of them.
    for (index, provider) in providers.iter().enumerate() {
        if providers[..index].iter().any(|other| other.name == provider.name) {
            let found = format!("another provider is called {:?} too", provider.name);
            root.report
                .problem(&format!("[{index}].name"), &found, "a name of its own");
        }
    }
    Some(Document { providers, pools })
}

fn entry(node: &Node<'_>, index: usize) -> Option<(Provider, Pool)> {
    let known = [
        "name",
        "pattern",
        "outboundProxy",
        "registrationRequired",
        "maxCallsPerLine",
        "accounts",
        "enableAvpf",
        "mediaEncryption",
    ];
    let table = node.table(&known, Unknown::Remarked)?;
    // Optional for upstream's parser, and refused a moment later where they are empty.
    let name = table.required("name").and_then(|name| name.word());
    let pattern = table.required("pattern").and_then(|pattern| expression(&pattern));
    let route = proxy(&table, "outboundProxy");
    let registration = optional(&table, "registrationRequired", Node::boolean);
    let lines = optional(&table, "maxCallsPerLine", |node| node.integer(0, u32::MAX));
    let avpf = optional(&table, "enableAvpf", Node::boolean);
    let media = optional(&table, "mediaEncryption", encryption);
    let defaults = PoolDefaults {
        outbound_proxy: route.clone().flatten(),
        registrar: None,
    };
    let accounts = optional(&table, "accounts", |node| {
        let accounts = all(node.list()?.iter().map(|item| account(item, &defaults)))?;
        Some(distinct(node, accounts.into_iter().flatten()))
    });
    route?;
    let (pattern, expression) = pattern?;
    let invite = |text| Template::parse(text, Context::Invite).expect("a template of ours, known to be good");
    let name = name?;
    let provider = Provider {
        name: name.to_owned(),
        pool: index,
        trigger: Trigger::Uri { pattern, expression },
        strategy: Strategy::Random,
        not_found: NotFound::Decline,
        invite: InvitePlan {
            to: invite(TO),
            from: invite("{account.uri}"),
            request_uri: None,
            outbound_proxy: None,
            avpf: avpf?,
            encryption: media?,
            headers: Vec::new(),
        },
        notify: None,
        numbers: Numbers::default(),
        destinations: Destinations::default(),
        limits: ProviderLimits::default(),
        qualify: None,
        failover: Codes::default(),
    };
    let pool = Pool {
        name: format!("Account pool - {name}"),
        registration_required: registration?.unwrap_or(false),
        calls_per_line: lines?.unwrap_or(u32::MAX),
        throttle: Duration::ZERO,
        message_waiting: None,
        unregister: true,
        defaults,
        loader: Loader::Static(accounts?.unwrap_or_default()),
    };
    Some((provider, pool))
}

fn account(node: &Node<'_>, defaults: &PoolDefaults) -> Option<Option<super::model::Account>> {
    let table = node.table(&["uri", "userid", "password"], Unknown::Remarked)?;
    let text = |name: &str| optional(&table, name, Node::text).map(Option::unwrap_or_default);
    let (uri, userid, password) = (text("uri"), text("userid"), text("password"));
    let raw = RawAccount {
        uri: uri?,
        userid: userid?,
        secret: password?,
        secret_type: SecretType::Clear,
        ..RawAccount::default()
    };
    made(&raw, &table, defaults)
}
