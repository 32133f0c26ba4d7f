//! Account pools and accounts of the providers file.

use super::{
    model::{Account, Loader, Pool, PoolDefaults, Protocol, RawAccount, SecretType},
    report::{Node, Table, Unknown},
    schema::{all, optional, proxy},
    value::Value,
};
use b2bua::accounts::{Backend, SqlSettings};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// One entry of `accountPools`.
pub(super) fn pool(name: &str, node: &Node<'_>) -> Option<Pool> {
    let table = node.table(
        &[
            "registrationRequired",
            "maxCallsPerLine",
            "loader",
            "outboundProxy",
            "registrar",
            "registrationThrottlingRateMs",
            "mwiServerUri",
            "unregisterOnServerShutdown",
        ],
        Unknown::Remarked,
    )?;
    if name.is_empty() {
        node.problem("this pool has no name", "a text");
    }
    let registration = table
        .required("registrationRequired")
        .and_then(|node| node.boolean());
    let lines = table
        .required("maxCallsPerLine")
        .and_then(|node| node.integer(0, u32::MAX));
    let route = proxy(&table, "outboundProxy");
    let registrar = proxy(&table, "registrar");
    let throttle = optional(&table, "registrationThrottlingRateMs", |node| {
        node.integer(0, u32::MAX)
    });
    let message_waiting = proxy(&table, "mwiServerUri");
    let unregister = optional(&table, "unregisterOnServerShutdown", Node::boolean);
    let defaults = PoolDefaults {
        outbound_proxy: route.clone().flatten(),
        registrar: registrar.clone().flatten(),
    };
    let loader = table.required("loader").and_then(|node| match node.value {
        Value::Table(_) => sql(&node).map(Loader::Sql),
        Value::List(_) => accounts(&node, &defaults).map(Loader::Static),
        other => {
            let found = format!("{} stands here", other.kind());
            node.problem(&found, "an array of accounts, or an object that names a database");
            None
        }
    });
    route?;
    registrar?;
    Some(Pool {
        name: name.to_owned(),
        registration_required: registration?,
        calls_per_line: lines?,
        throttle: Duration::from_millis(throttle?.unwrap_or(0).into()),
        message_waiting: message_waiting?,
        unregister: unregister?.unwrap_or(true),
        defaults,
        loader: loader?,
    })
}

fn accounts(node: &Node<'_>, defaults: &PoolDefaults) -> Option<Vec<Arc<Account>>> {
    let accounts = all(node.list()?.iter().map(|item| account(item, defaults)))?;
    Some(distinct(node, accounts.into_iter().flatten()))
}

/// Without those of a URI that was there before: of two the first counts, as upstream.
pub(super) fn distinct(node: &Node<'_>, accounts: impl Iterator<Item = Account>) -> Vec<Arc<Account>> {
    let mut known = std::collections::HashSet::new();
    let mut kept = Vec::new();
    for account in accounts {
        if known.insert(account.uri.uri.as_str().to_owned()) {
            kept.push(Arc::new(account));
        } else {
            let found = format!("{} is there twice, and the second is left out", account.uri.uri);
            node.report.remark(&node.path, &found);
        }
    }
    kept
}

/// `Some(None)`: left out with a remark, as upstream does where the URI is none.
fn account(node: &Node<'_>, defaults: &PoolDefaults) -> Option<Option<Account>> {
    let known = [
        "uri",
        "userid",
        "secretType",
        "secret",
        "realm",
        "alias",
        "outboundProxy",
        "registrar",
        "protocol",
    ];
    let table = node.table(&known, Unknown::Remarked)?;
    let text = |name: &str| optional(&table, name, Node::text).map(Option::unwrap_or_default);
    let uri = table.required("uri").and_then(|uri| uri.text());
    let (userid, secret, realm, alias) = (text("userid"), text("secret"), text("realm"), text("alias"));
    let (outbound_proxy, registrar) = (text("outboundProxy"), text("registrar"));
    let secret_types = [
        ("md5", SecretType::Md5),
        // Upstream's help names it so.
        ("ha1", SecretType::Md5),
        ("sha256", SecretType::Sha256),
        ("sha-256", SecretType::Sha256),
        ("clrtxt", SecretType::Clear),
    ];
    let secret_type = optional(&table, "secretType", |node| node.one_of(&secret_types));
    let protocol = optional(&table, "protocol", protocol);
    let raw = RawAccount {
        uri: uri?,
        alias: alias?,
        userid: userid?,
        realm: realm?,
        secret: secret?,
        secret_type: secret_type?.unwrap_or_default(),
        outbound_proxy: outbound_proxy?,
        registrar: registrar?,
        protocol: protocol?.unwrap_or_default(),
    };
    check_hash(&raw, &table);
    made(&raw, &table, defaults)
}

/// Any case, as upstream.
fn protocol(node: &Node<'_>) -> Option<Protocol> {
    let text = node.text()?;
    let word = text.to_ascii_lowercase();
    match word.as_str() {
        "" | "udp" => Some(Protocol::Udp),
        "tcp" => Some(Protocol::Tcp),
        "tls" => Some(Protocol::Tls),
        _ => {
            node.problem(&format!("{text:?} is not known"), "one of udp, tcp, tls");
            None
        }
    }
}

/// A secret that cannot be the hash that it is said to be. Never shows it.
fn check_hash(raw: &RawAccount<'_>, table: &Table<'_>) {
    let digits = match raw.secret_type {
        SecretType::Md5 => 32,
        SecretType::Sha256 => 64,
        SecretType::Clear => return,
    };
    let is_hash = raw.secret.len() == digits && raw.secret.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !raw.secret.is_empty() && !is_hash {
        let path = format!("{}.secret", table.path);
        let found = format!(
            "not a hash of {digits} hexadecimal digits, so that it will be refused; a password needs \"secretType\": \"clrtxt\""
        );
        table.report.remark(&path, &found);
    }
}

pub(super) fn made(
    raw: &RawAccount<'_>,
    table: &Table<'_>,
    defaults: &PoolDefaults,
) -> Option<Option<Account>> {
    match raw.account(defaults) {
        Ok(account) => Some(Some(account)),
        Err(("uri", what)) => {
            table.report.remark(&table.path, &format!("left out: {what}"));
            Some(None)
        }
        Err((key, what)) => {
            let path = format!("{}.{key}", table.path);
            table
                .report
                .problem(&path, &what, "a SIP URI, or for a place a host");
            None
        }
    }
}

fn sql(node: &Node<'_>) -> Option<SqlSettings> {
    let known = [
        "dbBackend",
        "initQuery",
        "updateQuery",
        "connection",
        "threadPoolSize",
    ];
    let table = node.table(&known, Unknown::Remarked)?;
    let backends = [
        ("sqlite3", Backend::Sqlite),
        ("mysql", Backend::MySql),
        ("postgresql", Backend::Postgres),
    ];
    let backend = table
        .required("dbBackend")
        .and_then(|node| node.one_of(&backends));
    let word = |name: &str| table.required(name).and_then(|node| node.word());
    let (init, update, connection) = (word("initQuery"), word("updateQuery"), word("connection"));
    let connections = optional(&table, "threadPoolSize", |node| node.integer(1, 1000));
    Some(SqlSettings {
        backend: backend?,
        init_query: init?.to_owned(),
        update_query: update?.to_owned(),
        connection: connection?.to_owned(),
        directory: PathBuf::new(),
        connections: connections?.unwrap_or(50),
    })
}
