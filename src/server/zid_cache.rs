//! Our ZRTP identifier and what is retained of peers (RFC 6189 §4.9), in an SQLite file that survives restarts.
//!
//! Strangers can fill it, a session a peer: beyond a bound those go that were never verified, the longest unused first. What is
//! overwritten is wiped (`secure_delete`). An update costs no wait for the disk: after a power failure the last ones may be missing,
//! and the secret before them still counts, since each peer keeps two.

use crate::media::zrtp::{Lifetime, Retained, Secret, Update, Zid};
use sqlx::{
    Row as _, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    fs::{DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use zeroize::{Zeroize as _, Zeroizing};

/// The file in the data directory.
const FILE: &str = "zid-cache.sqlite";
/// Peers that are kept: about 20 MB.
const MAX_PEERS: u64 = 100_000;
/// After how many new secrets the bound is looked at again.
const PRUNE_EVERY: u64 = 256;
/// Of the tables below; in SQLite's `user_version`.
const SCHEMA: i64 = 1;
/// Another process may be looking at the file.
const BUSY: Duration = Duration::from_secs(2);

const CREATE: &str = "CREATE TABLE own (zid BLOB NOT NULL);
    CREATE TABLE peer (
        zid BLOB PRIMARY KEY, rs1 BLOB, rs2 BLOB,
        verified INTEGER NOT NULL, used INTEGER NOT NULL, expires INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX peer_age ON peer (verified, used);
    PRAGMA user_version = 1;";

/// Why the cache cannot be used. The text says which file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ZidCacheError {
    /// The file or its directory cannot be made or read.
    #[error("{path}: {source}; the server needs to write there to remember ZRTP peers", path = path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than its owner can read the secrets.
    #[error("{path}: mode {mode:03o} lets others read the ZRTP secrets; set it to 600, or remove the file to begin anew", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is of another program, or of a later version of this one.
    #[error("{path}: not a ZRTP cache of this version (schema {found}, expected {SCHEMA})", path = path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: i64,
    },
    /// SQLite failed.
    #[error("{path}: {source}", path = path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// Why.
        source: sqlx::Error,
    },
}

/// The open cache. `Debug` shows no secret.
pub struct ZidCache {
    path: PathBuf,
    pool: SqlitePool,
    zid: Zid,
    most: u64,
    since_prune: AtomicU64,
}

impl ZidCache {
    /// Opens the cache in a data directory, and makes what is missing; `fresh` becomes our ZID if there is none yet.
    ///
    /// # Errors
    /// When file or directory cannot be used, are open to others, or are not ours.
    pub async fn open(directory: &Path, fresh: Zid) -> Result<Self, ZidCacheError> {
        let path = directory.join(FILE);
        prepare(directory, &path).map_err(|source| ZidCacheError::Io {
            path: path.clone(),
            source,
        })?;
        let metadata = path.metadata().map_err(|source| ZidCacheError::Io {
            path: path.clone(),
            source,
        })?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(ZidCacheError::Exposed { path, mode });
        }
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal);
        Self::connect(path, options, fresh, MAX_PEERS).await
    }

    /// A cache that ends with the process, for servers that keep nothing.
    ///
    /// # Errors
    /// When SQLite fails.
    pub async fn in_memory(fresh: Zid) -> Result<Self, ZidCacheError> {
        let options = SqliteConnectOptions::new().in_memory(true);
        Self::connect(PathBuf::from(":memory:"), options, fresh, MAX_PEERS).await
    }

    async fn connect(
        path: PathBuf,
        options: SqliteConnectOptions,
        fresh: Zid,
        most: u64,
    ) -> Result<Self, ZidCacheError> {
        let told = |source| ZidCacheError::Sqlite {
            path: path.clone(),
            source,
        };
        let options = options.busy_timeout(BUSY).pragma("secure_delete", "ON");
        // One connection, for good: SQLite has one writer anyway, and memory lives as long as its connection.
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .min_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(told)?;
        let found: i64 = sqlx::query("PRAGMA user_version")
            .fetch_one(&pool)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(told)?;
        let tables: i64 = sqlx::query("SELECT count(*) FROM sqlite_master")
            .fetch_one(&pool)
            .await
            .and_then(|row| row.try_get(0))
            .map_err(told)?;
        match (found, tables) {
            (SCHEMA, _) => {}
            (0, 0) => create(&pool).await.map_err(told)?,
            _ => return Err(ZidCacheError::Schema { path, found }),
        }
        let zid = own_zid(&pool, fresh).await.map_err(told)?;
        Ok(Self {
            path,
            pool,
            zid,
            most,
            since_prune: AtomicU64::new(PRUNE_EVERY),
        })
    }

    /// Our own identifier: the same in every session, and after restarts.
    pub fn zid(&self) -> Zid {
        self.zid
    }

    /// What is retained of a peer, unless its time is over.
    ///
    /// # Errors
    /// When SQLite fails. A session without its secrets would look like an attack to the peer: better it fails.
    pub async fn retained(&self, peer: Zid, now: SystemTime) -> Result<Retained, ZidCacheError> {
        let row = sqlx::query(
            "SELECT rs1, rs2, verified FROM peer WHERE zid = ? AND (expires IS NULL OR expires > ?)",
        )
        .bind(peer.0.to_vec())
        .bind(seconds(now))
        .fetch_optional(&self.pool)
        .await
        .map_err(|source| self.told(source))?;
        let Some(row) = row else {
            return Ok(Retained::default());
        };
        let secret = |column: usize| -> Result<Option<Secret>, sqlx::Error> {
            let mut bytes: Option<Vec<u8>> = row.try_get(column)?;
            let secret = bytes.as_deref().and_then(|bytes| bytes.try_into().ok());
            bytes.zeroize();
            Ok(secret.map(|secret| Secret(Zeroizing::new(secret))))
        };
        let read = || {
            Ok(Retained {
                rs1: secret(0)?,
                rs2: secret(1)?,
                verified: row.try_get(2)?,
            })
        };
        read().map_err(|source| self.told(source))
    }

    /// Does what an association asks for.
    ///
    /// # Errors
    /// When SQLite fails.
    pub async fn update(&self, update: &Update, now: SystemTime) -> Result<(), ZidCacheError> {
        let query = match update {
            Update::Secrets {
                peer,
                retained,
                lifetime,
            } => {
                let secret = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.0.to_vec());
                let expires = match lifetime {
                    Lifetime::Forever => None,
                    Lifetime::Seconds(time) => Some(seconds(now).saturating_add(i64::from(*time))),
                };
                sqlx::query(
                    "INSERT INTO peer (zid, rs1, rs2, verified, used, expires) VALUES (?, ?, ?, ?, ?, ?)
                     ON CONFLICT (zid) DO UPDATE SET rs1 = excluded.rs1, rs2 = excluded.rs2,
                     verified = excluded.verified, used = excluded.used, expires = excluded.expires",
                )
                .bind(peer.0.to_vec())
                .bind(secret(&retained.rs1))
                .bind(secret(&retained.rs2))
                .bind(retained.verified)
                .bind(seconds(now))
                .bind(expires)
            }
            Update::Verified { peer, verified } => sqlx::query("UPDATE peer SET verified = ? WHERE zid = ?")
                .bind(*verified)
                .bind(peer.0.to_vec()),
            Update::Forget { peer } => sqlx::query("DELETE FROM peer WHERE zid = ?").bind(peer.0.to_vec()),
        };
        query
            .execute(&self.pool)
            .await
            .map_err(|source| self.told(source))?;
        if matches!(update, Update::Secrets { .. })
            && self.since_prune.fetch_add(1, Ordering::Relaxed) + 1 >= PRUNE_EVERY
        {
            self.since_prune.store(0, Ordering::Relaxed);
            self.prune(now).await.map_err(|source| self.told(source))?;
        }
        Ok(())
    }

    /// Drops what is expired, and what is too much.
    async fn prune(&self, now: SystemTime) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM peer WHERE expires <= ?")
            .bind(seconds(now))
            .execute(&self.pool)
            .await?;
        sqlx::query(
            "DELETE FROM peer WHERE zid IN (SELECT zid FROM peer ORDER BY verified, used
             LIMIT max(0, (SELECT count(*) FROM peer) - ?))",
        )
        .bind(i64::try_from(self.most).unwrap_or(i64::MAX))
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    fn told(&self, source: sqlx::Error) -> ZidCacheError {
        ZidCacheError::Sqlite {
            path: self.path.clone(),
            source,
        }
    }
}

impl std::fmt::Debug for ZidCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ZidCache")
            .field("path", &self.path)
            .field("zid", &self.zid)
            .finish_non_exhaustive()
    }
}

/// The directory, for us alone when it is new, and the file: SQLite gives its own ones beside it the same mode.
fn prepare(directory: &Path, path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
        .map(drop)
}

async fn create(pool: &SqlitePool) -> Result<(), sqlx::Error> {
    let mut transaction = pool.begin().await?;
    sqlx::raw_sql(CREATE).execute(&mut *transaction).await?;
    transaction.commit().await
}

async fn own_zid(pool: &SqlitePool, fresh: Zid) -> Result<Zid, sqlx::Error> {
    sqlx::query("INSERT INTO own (zid) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM own)")
        .bind(fresh.0.to_vec())
        .execute(pool)
        .await?;
    let row = sqlx::query("SELECT zid FROM own LIMIT 1").fetch_one(pool).await?;
    let zid: Vec<u8> = row.try_get(0)?;
    let length = |_| sqlx::Error::Decode("our ZID has not 12 octets".into());
    Ok(Zid(zid.try_into().map_err(length)?))
}

/// Since 1970; a clock before that counts as then.
fn seconds(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(since).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
