//! Accounts in a database.

use super::{
    connection::{Backend, ConnectionError, Options},
    query::{marked, one_row},
    record::Record,
};
use sqlx::{
    AssertSqlSafe, ColumnIndex, Database, Decode, Executor as _, MySqlPool, PgPool, Row, SqlSafeStr as _,
    SqlitePool, Statement as _, Type, mysql::MySqlPoolOptions, postgres::PgPoolOptions,
    sqlite::SqlitePoolOptions,
};
use std::{fmt, path::PathBuf, time::Duration};
use tokio::time::timeout;
use zeroize::Zeroizing;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);
/// How long an answer may take: a database that has vanished does not say so.
const ANSWER: Duration = Duration::from_secs(20);

/// The SQL loader of a pool.
#[derive(Clone, PartialEq, Eq)]
pub struct SqlSettings {
    /// `dbBackend`
    pub backend: Backend,
    /// `connection`: of SOCI, or a URL.
    pub connection: String,
    /// Where a database that is a file lies when its path is relative.
    pub directory: PathBuf,
    /// `initQuery`: all accounts.
    pub init_query: String,
    /// `updateQuery`: the account of `:identifier`.
    pub update_query: String,
    /// `threadPoolSize`: connections at the same time, at least 1.
    pub connections: u32,
}

impl fmt::Debug for SqlSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The connection string has a password in it.
        f.debug_struct("SqlSettings")
            .field("backend", &self.backend)
            .field("init_query", &self.init_query)
            .field("update_query", &self.update_query)
            .finish_non_exhaustive()
    }
}

/// Why accounts cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqlError {
    /// The connection string.
    #[error("connection: {0}")]
    Connection(#[from] ConnectionError),
    /// What the database says.
    #[error("{0}")]
    Database(#[source] sqlx::Error),
    /// It does not answer.
    #[error("the database has not answered within {} s", .0.as_secs())]
    Silent(Duration),
    /// A column that must be there.
    #[error("the query gives no column {0:?}")]
    NoColumn(&'static str),
    /// A column whose values are not text.
    #[error("column {column:?} is no text: {source}")]
    NoText {
        /// Its name.
        column: &'static str,
        /// What it is.
        #[source]
        source: sqlx::Error,
    },
    /// A row without a name.
    #[error("column {0:?} is null or empty in a row: every account has one")]
    Empty(&'static str),
    /// `updateQuery` does not say whom it is about.
    #[error("the update query has no :identifier in it")]
    NoIdentifier,
}

impl SqlError {
    /// Whether another try would be in vain: the configuration is at fault, not the day.
    pub fn is_lasting(&self) -> bool {
        match self {
            Self::Silent(_) => false,
            // The class 42 of SQLSTATE: what the query says is not there, or is no SQL, or not allowed. SQLite has codes of its own:
            // the same (1), no such file (14), no database in it (26).
            Self::Database(sqlx::Error::Database(error)) => {
                let code = error.code().unwrap_or_default();
                code.starts_with("42") || ["1", "14", "26"].contains(&code.as_ref())
            }
            Self::Database(_) => false,
            Self::Connection(_)
            | Self::NoColumn(_)
            | Self::NoText { .. }
            | Self::Empty(_)
            | Self::NoIdentifier => true,
        }
    }
}

impl From<sqlx::Error> for SqlError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// A database with accounts in it. Connects at the first need, and again whenever a connection has broken.
#[derive(Clone)]
pub struct SqlAccounts {
    pool: Pool,
    all: String,
    one: String,
    marks: usize,
}

impl fmt::Debug for SqlAccounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlAccounts")
            .field("all", &self.all)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
    MySql(MySqlPool),
}

/// Runs the same lines for each of the three, which differ in type.
macro_rules! each {
    ($pool:expr, $inner:ident => $body:expr) => {
        match $pool {
            Pool::Sqlite($inner) => $body,
            Pool::Postgres($inner) => $body,
            Pool::MySql($inner) => $body,
        }
    };
}

impl SqlAccounts {
    /// Nothing is connected yet. To be called within a tokio runtime.
    ///
    /// # Errors
    /// When the connection string cannot be read, or the update query has no `:identifier`.
    pub fn new(settings: &SqlSettings) -> Result<Self, SqlError> {
        let most = settings.connections.max(1);
        let pool = match Options::parse(settings.backend, &settings.connection, &settings.directory)? {
            Options::Sqlite(options) => {
                let pool = SqlitePoolOptions::new()
                    .max_connections(most)
                    .acquire_timeout(CONNECT);
                Pool::Sqlite(pool.connect_lazy_with(*options))
            }
            Options::Postgres(options) => {
                let pool = PgPoolOptions::new()
                    .max_connections(most)
                    .acquire_timeout(CONNECT);
                Pool::Postgres(pool.connect_lazy_with(*options))
            }
            Options::MySql(options) => {
                let pool = MySqlPoolOptions::new()
                    .max_connections(most)
                    .acquire_timeout(CONNECT);
                Pool::MySql(pool.connect_lazy_with(*options))
            }
        };
        let (one, marks) = marked(&settings.update_query, settings.backend);
        if marks == 0 {
            return Err(SqlError::NoIdentifier);
        }
        Ok(Self {
            pool,
            all: settings.init_query.clone(),
            one,
            marks,
        })
    }
    /// Whether the query for all accounts can be asked, and has the columns that are needed, as text.
    ///
    /// # Errors
    /// What is wrong with it, or with the database.
    pub async fn validate(&self) -> Result<(), SqlError> {
        let query = one_row(&self.all);
        let columns = patiently(async {
            each!(&self.pool, pool => {
                let statement = pool.prepare(AssertSqlSafe(query.clone()).into_sql_str()).await?;
                let columns = statement.columns().iter();
                Ok(columns.map(|column| sqlx::Column::name(column).to_owned()).collect::<Vec<_>>())
            })
        })
        .await?;
        for (name, legacy) in REQUIRED {
            let is_there = |name: &str| columns.iter().any(|column| column == name);
            if !is_there(name) && !legacy.is_some_and(is_there) {
                return Err(SqlError::NoColumn(name));
            }
        }
        self.rows(query, None).await.map(drop)
    }
    /// The same, for no longer than `most`.
    ///
    /// # Errors
    /// As [`Self::validate`], or that there was no answer in time.
    pub async fn validate_within(&self, most: Duration) -> Result<(), SqlError> {
        #[expect(clippy::disallowed_methods, reason = "a start waits for no database for long")]
        let answer = timeout(most, self.validate()).await;
        answer.unwrap_or(Err(SqlError::Silent(most)))
    }
    /// All accounts. A row that cannot be used is left out, and the log says why.
    ///
    /// # Errors
    /// When the database cannot be asked, or not a single row is what it should be.
    pub async fn all(&self) -> Result<Vec<Record>, SqlError> {
        self.rows(self.all.clone(), None).await
    }
    /// The account of that identifier; `None` when there is none.
    ///
    /// # Errors
    /// When the database cannot be asked, or the row is not what it should be.
    pub async fn find(&self, identifier: &str) -> Result<Option<Record>, SqlError> {
        let rows = self.rows(self.one.clone(), Some(identifier)).await?;
        Ok(rows.into_iter().next())
    }
    async fn rows(&self, query: String, identifier: Option<&str>) -> Result<Vec<Record>, SqlError> {
        patiently(async {
            each!(&self.pool, pool => {
                let mut query = sqlx::query(AssertSqlSafe(query));
                if let Some(identifier) = identifier {
                    for _ in 0..self.marks {
                        query = query.bind(identifier.to_owned());
                    }
                }
                records(&query.fetch_all(pool).await?)
            })
        })
        .await
    }
}

async fn patiently<T>(asked: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
    #[expect(clippy::disallowed_methods, reason = "a database may never answer")]
    let answer = timeout(ANSWER, asked).await;
    answer.unwrap_or(Err(SqlError::Silent(ANSWER)))
}

/// Columns that must be there, with the names that they once had.
const REQUIRED: [(&str, Option<&str>); 8] = [
    ("username", None),
    ("domain", Some("hostport")),
    ("user_id", None),
    ("realm", None),
    ("secret", None),
    ("secret_type", None),
    ("alias_username", None),
    ("alias_domain", Some("alias_hostport")),
];

fn records<R>(rows: &[R]) -> Result<Vec<Record>, SqlError>
where
    R: Row,
    for<'i> &'i str: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database>,
    String: Type<R::Database>,
    Option<String>: Type<R::Database>,
    R::Database: Database,
{
    let mut records = Vec::with_capacity(rows.len());
    for row in rows {
        match record(row) {
            Ok(record) => records.push(record),
            // One bad row of many is no reason to be without the others.
            Err(error @ SqlError::Empty(_)) if rows.len() > 1 => {
                tracing::warn!(%error, "an account is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(records)
}

fn record<R>(row: &R) -> Result<Record, SqlError>
where
    R: Row,
    for<'i> &'i str: ColumnIndex<R>,
    for<'r> Option<String>: Decode<'r, R::Database>,
    Option<String>: Type<R::Database>,
{
    let optional = |column: &'static str| match row.try_get::<Option<String>, &str>(column) {
        Ok(value) => Ok(Some(value.unwrap_or_default())),
        Err(sqlx::Error::ColumnNotFound(_)) => Ok(None),
        Err(source) => Err(SqlError::NoText { column, source }),
    };
    let required = |column| optional(column)?.ok_or(SqlError::NoColumn(column));
    let either = |column, legacy| match optional(column)? {
        Some(value) => Ok(value),
        None => optional(legacy)?.ok_or(SqlError::NoColumn(column)),
    };
    let filled = |column, value: String| {
        if value.is_empty() {
            return Err(SqlError::Empty(column));
        }
        Ok(value)
    };
    let or = |value: String, default: &str| {
        if value.is_empty() {
            default.to_owned()
        } else {
            value
        }
    };
    let domain = filled("domain", either("domain", "hostport")?)?;
    Ok(Record {
        username: filled("username", required("username")?)?,
        user_id: required("user_id")?,
        realm: or(required("realm")?, &domain),
        secret: Zeroizing::new(required("secret")?),
        secret_type: or(required("secret_type")?.to_lowercase(), "md5"),
        alias_username: required("alias_username")?,
        alias_domain: either("alias_domain", "alias_hostport")?,
        outbound_proxy: optional("outbound_proxy")?.unwrap_or_default(),
        registrar: optional("registrar")?.unwrap_or_default(),
        protocol: optional("protocol")?.unwrap_or_default().to_lowercase(),
        domain,
    })
}
