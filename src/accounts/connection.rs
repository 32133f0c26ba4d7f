//! Connection strings: those of SOCI, which Flexisip's configurations have, and URLs.

use sqlx::{
    mysql::{MySqlConnectOptions, MySqlSslMode},
    postgres::{PgConnectOptions, PgSslMode},
    sqlite::SqliteConnectOptions,
};
use std::{fmt, path::Path, str::FromStr, time::Duration};

/// A kind of database; `FromStr` takes the words of `dbBackend`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// `sqlite3` or `sqlite`
    Sqlite,
    /// `postgresql` or `postgres`
    Postgres,
    /// `mysql` or `mariadb`
    MySql,
}

/// A connection string, or the name of a backend, that cannot be used. Never says what the password was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}: expected {expected}")]
pub struct ConnectionError {
    what: String,
    expected: &'static str,
}

impl FromStr for Backend {
    type Err = ConnectionError;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "sqlite3" | "sqlite" => Ok(Self::Sqlite),
            "postgresql" | "postgres" => Ok(Self::Postgres),
            "mysql" | "mariadb" => Ok(Self::MySql),
            other => Err(wrong(
                format!("unknown database {other:?}"),
                "sqlite3, postgresql or mysql",
            )),
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite3",
            Self::Postgres => "postgresql",
            Self::MySql => "mysql",
        })
    }
}

fn wrong(what: impl Into<String>, expected: &'static str) -> ConnectionError {
    ConnectionError {
        what: what.into(),
        expected,
    }
}

/// How to connect.
#[derive(Clone, Debug)]
pub(super) enum Options {
    Sqlite(Box<SqliteConnectOptions>),
    Postgres(Box<PgConnectOptions>),
    MySql(Box<MySqlConnectOptions>),
}

impl Options {
    /// Reads a connection string. A file lies below `directory` where its path is relative.
    ///
    /// # Errors
    /// When it cannot be read, or has a word that the backend does not know.
    pub(super) fn parse(backend: Backend, text: &str, directory: &Path) -> Result<Self, ConnectionError> {
        match backend {
            Backend::Sqlite => sqlite(text, directory).map(Box::new).map(Self::Sqlite),
            Backend::Postgres => postgres(text).map(Box::new).map(Self::Postgres),
            Backend::MySql => mysql(text).map(Box::new).map(Self::MySql),
        }
    }
}

fn sqlite(text: &str, directory: &Path) -> Result<SqliteConnectOptions, ConnectionError> {
    const WORDS: &str = "a path, or db=PATH timeout=SECONDS";
    let mut options = SqliteConnectOptions::new().busy_timeout(Duration::from_secs(5));
    let mut path = None;
    let is_path = ![
        "db=",
        "dbname=",
        "timeout=",
        "readonly=",
        "synchronous=",
        "shared_cache=",
    ]
    .iter()
    .any(|word| text.trim_start().starts_with(word));
    if is_path {
        path = Some(text.trim().trim_start_matches("sqlite://").to_owned());
    } else {
        for (name, value) in words(text, WORDS)? {
            match name.as_str() {
                "db" | "dbname" => path = Some(value),
                "timeout" => {
                    let seconds = value.parse().map_err(|_| wrong("timeout is no number", WORDS))?;
                    options = options.busy_timeout(Duration::from_secs(seconds));
                }
                "readonly" => options = options.read_only(value == "true" || value == "1"),
                // How SQLite writes and shares: we do neither.
                "synchronous" | "shared_cache" => {}
                other => return Err(wrong(format!("unknown word {other:?}"), WORDS)),
            }
        }
    }
    match path.filter(|path| !path.is_empty()) {
        Some(path) => Ok(options.filename(directory.join(path)).create_if_missing(false)),
        None => Err(wrong("no file", WORDS)),
    }
}

fn mysql(text: &str) -> Result<MySqlConnectOptions, ConnectionError> {
    const WORDS: &str = "db=NAME user=NAME password=TEXT host=NAME port=NUMBER, or a mysql:// URL";
    if text.starts_with("mysql://") && text.contains('@') {
        return MySqlConnectOptions::from_str(text).map_err(|_| wrong("a URL that cannot be read", WORDS));
    }
    let mut options = MySqlConnectOptions::new();
    for (name, value) in words(text.trim_start_matches("mysql://"), WORDS)? {
        options = match name.as_str() {
            "db" | "dbname" | "service" => options.database(&value),
            "user" => options.username(&value),
            "password" | "pass" => options.password(&value),
            "host" => options.host(&value),
            "port" => options.port(port(&value, WORDS)?),
            "unix_socket" => options.socket(&value),
            "charset" => options.charset(&value),
            "sslca" => options.ssl_ca(&value).ssl_mode(MySqlSslMode::VerifyCa),
            "sslcert" => options.ssl_client_cert(&value),
            "sslkey" => options.ssl_client_key(&value),
            "connect_timeout" | "read_timeout" | "write_timeout" | "reconnect" | "local_infile" => options,
            other => return Err(wrong(format!("unknown word {other:?}"), WORDS)),
        };
    }
    Ok(options)
}

fn postgres(text: &str) -> Result<PgConnectOptions, ConnectionError> {
    const WORDS: &str =
        "dbname=NAME user=NAME password=TEXT host=NAME port=NUMBER sslmode=WORD, or a postgresql:// URL";
    if text.starts_with("postgres://") || (text.starts_with("postgresql://") && text.contains('@')) {
        return PgConnectOptions::from_str(text).map_err(|_| wrong("a URL that cannot be read", WORDS));
    }
    let mut options = PgConnectOptions::new_without_pgpass();
    for (name, value) in words(text.trim_start_matches("postgresql://"), WORDS)? {
        options = match name.as_str() {
            "db" | "dbname" => options.database(&value),
            "user" => options.username(&value),
            "password" | "pass" => options.password(&value),
            // A path is the directory of a socket, as for libpq.
            "host" | "hostaddr" if value.starts_with('/') => options.socket(&value),
            "host" | "hostaddr" => options.host(&value),
            "port" => options.port(port(&value, WORDS)?),
            "sslmode" => {
                let mode = PgSslMode::from_str(&value);
                options.ssl_mode(mode.map_err(|_| wrong("unknown sslmode", WORDS))?)
            }
            "sslrootcert" => options.ssl_root_cert(&value),
            "sslcert" => options.ssl_client_cert(&value),
            "sslkey" => options.ssl_client_key(&value),
            "application_name" => options.application_name(&value),
            "connect_timeout" => options,
            other => return Err(wrong(format!("unknown word {other:?}"), WORDS)),
        };
    }
    Ok(options)
}

fn port(text: &str, expected: &'static str) -> Result<u16, ConnectionError> {
    text.parse().map_err(|_| wrong("the port is none", expected))
}

/// `name=value` pairs between blanks; a value with blanks stands between `'` or `"`, and `\` takes the next letter as it is.
pub(super) fn words(text: &str, expected: &'static str) -> Result<Vec<(String, String)>, ConnectionError> {
    let mut letters = text.chars().peekable();
    let mut pairs = Vec::new();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        if letters.peek().is_none() {
            return Ok(pairs);
        }
        let mut name = String::new();
        loop {
            match letters.next() {
                Some('=') => break,
                Some(letter) if !letter.is_whitespace() => name.push(letter),
                // What stands here may be half a password: it is not repeated.
                _ => return Err(wrong("a word without =", expected)),
            }
        }
        let quote = letters.next_if(|letter| ['\'', '"'].contains(letter));
        let mut value = String::new();
        loop {
            match (letters.next(), quote) {
                (Some('\\'), _) => value.extend(letters.next()),
                (Some(letter), Some(quote)) if letter == quote => break,
                (Some(letter), None) if letter.is_whitespace() => break,
                (Some(letter), _) => value.push(letter),
                (None, None) => break,
                (None, Some(_)) => return Err(wrong("a quote that is not closed", expected)),
            }
        }
        pairs.push((name, value));
    }
}
