//! The databases of the pools, and how news of them is heard.

use super::model::{Document, Loader, Pool};
use b2bua::{
    accounts::{Link, RedisSettings, Source, SqlAccounts},
    app::OwnConnections,
    config::Redis,
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// A start or reload waits no longer for a database.
const PATIENCE: Duration = Duration::from_secs(3);

/// How changes become known.
#[derive(Clone, Debug)]
pub(super) enum News {
    /// They are published there.
    Redis(RedisSettings),
    /// Everything is read again after each such time; zero: never.
    Poll(Duration),
}

/// Redis as the configuration names it.
pub(super) fn redis(redis: &Redis) -> RedisSettings {
    let file = |name: &str| (!name.is_empty()).then(|| PathBuf::from(name));
    let authorities = file(&redis.authorities);
    RedisSettings {
        host: redis.host.clone(),
        port: redis.port,
        user: redis.user.clone(),
        password: redis.password.clone(),
        link: match redis.connection.as_str() {
            "tls-mutual" => Link::MutualTls {
                authorities,
                certificate: PathBuf::from(&redis.certificate),
                key: PathBuf::from(&redis.key),
            },
            "tls-server-auth" => Link::Tls { authorities },
            _ => Link::Clear,
        },
        keep_alive: redis.keep_alive.0,
    }
}

/// Why so many accounts cannot have ports of their own, of which `most` may be open.
pub(super) fn too_many(document: &Document, own: OwnConnections) -> Option<String> {
    let most = own.most;
    let of_pool = |pool: &Pool| match &pool.loader {
        Loader::Static(accounts) if pool.registration_required => accounts.len(),
        Loader::Static(_) | Loader::Sql(_) => 0,
    };
    let count: usize = document.pools.iter().map(of_pool).sum();
    (count > most).then(|| {
        format!(
            "accountPools: {count} accounts are to be registered, each from a port of its own \
             (b2bua-server/one-connection-per-account), and the limit of open files leaves room for {most} such ports; expected at \
             most {most} accounts, or a limit of at least {} open files (LimitNOFILE of systemd, ulimit -n)",
            count.saturating_mul(own.files)
        )
    })
}

/// The databases of those pools that have one, by their index; each is asked whether its queries are good. One that does not answer
/// now is no reason not to start.
///
/// # Errors
/// What of them cannot be used.
pub(super) async fn open(
    pools: &mut [Pool],
    directory: &Path,
    news: &News,
    mut remark: impl FnMut(String),
) -> Result<Vec<(usize, Source)>, Vec<String>> {
    let (mut sources, mut faults) = (Vec::new(), Vec::new());
    let mut asked = Vec::new();
    for (index, pool) in pools.iter_mut().enumerate() {
        let Loader::Sql(settings) = &mut pool.loader else {
            continue;
        };
        directory.clone_into(&mut settings.directory);
        let path = format!("accountPools[{:?}].loader", pool.name);
        match SqlAccounts::new(settings) {
            Ok(accounts) => {
                let judged = accounts.clone();
                asked.push((
                    path,
                    tokio::spawn(async move { judged.validate_within(PATIENCE).await }),
                ));
                let source = match news {
                    News::Redis(redis) => Source::Redis(accounts, redis.clone()),
                    News::Poll(every) => Source::Sql(accounts, *every),
                };
                sources.push((index, source));
            }
            Err(error) => faults.push(format!("{path}: {error}")),
        }
    }
    if !sources.is_empty() && matches!(news, News::Poll(every) if every.is_zero()) {
        remark(
            "changes of accounts in databases are seen at start and at a reload only: there is no redis-server-domain in \
             [module::Registrar], and accounts-poll-interval is 0"
                .to_owned(),
        );
    }
    for (path, answer) in asked {
        match answer.await {
            Ok(Err(error)) if error.is_lasting() => faults.push(format!("{path}: {error}")),
            Ok(Err(error)) => remark(format!("{path}: {error}; it is asked again")),
            Ok(Ok(())) => {}
            Err(error) => remark(format!("{path}: not asked: {error}")),
        }
    }
    if faults.is_empty() {
        Ok(sources)
    } else {
        Err(faults)
    }
}
