//! Ten thousand accounts from each database, in less than two seconds.

use super::daemon::Daemon;
use b2bua::accounts::{Backend, SqlAccounts, SqlSettings};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection, PgConnection, SqliteConnection};
use std::time::{Duration, Instant};

const MANY: usize = 10_000;
/// What they may take.
const LIMIT: Duration = Duration::from_secs(2);

const CREATE: &str = "CREATE TABLE accounts (username VARCHAR(64), domain VARCHAR(64), user_id VARCHAR(64), \
    realm VARCHAR(64), secret VARCHAR(128), secret_type TEXT, alias_username VARCHAR(64), alias_domain VARCHAR(64), \
    outbound_proxy VARCHAR(128), registrar TEXT, protocol VARCHAR(8), number INTEGER)";

fn rows() -> Vec<String> {
    let row = |n: usize| {
        format!(
            "('user{n}', 'example.org', 'id{n}', NULL, 'secret{n}', 'clrtxt', 'alias{n}', 'inside.example', \
             NULL, 'registrar.example.org', 'TCP', {n})"
        )
    };
    let all: Vec<_> = (0..MANY).map(row).collect();
    let insert = |rows: &[String]| format!("INSERT INTO accounts VALUES {}", rows.join(", "));
    all.chunks(500).map(insert).collect()
}

macro_rules! fill {
    ($connection:expr) => {{
        let mut connection = $connection;
        connection.execute(CREATE).await.expect("created");
        for insert in rows() {
            connection.execute(AssertSqlSafe(insert)).await.expect("inserted");
        }
        connection.close().await.expect("closed");
    }};
}

async fn judge(backend: Backend, connection: String) {
    let accounts = SqlAccounts::new(&SqlSettings {
        backend,
        connection,
        directory: std::path::PathBuf::new(),
        init_query: "SELECT * FROM accounts ORDER BY number;".to_owned(),
        update_query: "SELECT * FROM accounts WHERE user_id = :identifier OR username = :identifier"
            .to_owned(),
        connections: 4,
    })
    .expect("readable");
    accounts.validate().await.expect("valid");
    let began = Instant::now();
    let all = accounts.all().await.expect("read");
    let took = began.elapsed();
    println!("{MANY} accounts from {backend} in {took:?}");
    assert_eq!(all.len(), MANY);
    assert!(took < LIMIT, "{took:?}");
    let last = all.last().expect("there");
    assert_eq!(last.uri(), "sip:user9999@example.org");
    assert_eq!(last.alias(), "sip:alias9999@inside.example");
    assert_eq!(
        (last.realm.as_str(), last.secret.as_str()),
        ("example.org", "secret9999")
    );
    assert_eq!(
        (last.outbound_proxy.as_str(), last.protocol.as_str()),
        ("", "tcp")
    );
    for name in ["id77", "user77"] {
        let found = accounts.find(name).await.expect("asked").expect("there");
        assert_eq!(found, all[77], "{backend}");
    }
    assert_eq!(accounts.find("nobody").await.expect("asked"), None);
}

/// A number where text is wanted is said to be one, by each database.
async fn refuses_numbers(backend: Backend, connection: String) {
    let accounts = SqlAccounts::new(&SqlSettings {
        backend,
        connection,
        directory: std::path::PathBuf::new(),
        init_query:
            "SELECT username, domain, user_id, realm, number AS secret, secret_type, alias_username, \
            alias_domain FROM accounts"
                .to_owned(),
        update_query: "SELECT :identifier".to_owned(),
        connections: 1,
    })
    .expect("readable");
    let error = accounts
        .validate()
        .await
        .expect_err("a number is no secret")
        .to_string();
    assert!(
        error.starts_with("column \"secret\" is no text"),
        "{backend}: {error}"
    );
}

#[tokio::test]
async fn from_sqlite() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("accounts.db");
    let url = format!("sqlite://{}?mode=rwc", path.display());
    fill!(SqliteConnection::connect(&url).await.expect("connected"));
    judge(Backend::Sqlite, path.display().to_string()).await;
    refuses_numbers(Backend::Sqlite, format!("db={}", path.display())).await;
}

#[tokio::test]
async fn from_postgresql() {
    let daemon = Daemon::postgres();
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", daemon.port);
    let mut connection = PgConnection::connect(&url).await;
    for _ in 0..100 {
        if connection.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection = PgConnection::connect(&url).await;
    }
    fill!(connection.unwrap_or_else(|error| panic!("{error}\n{}", daemon.log())));
    let soci = format!(
        "dbname=postgres user=postgres host=127.0.0.1 port={}",
        daemon.port
    );
    judge(Backend::Postgres, soci.clone()).await;
    refuses_numbers(Backend::Postgres, soci).await;
}

#[tokio::test]
async fn from_mariadb() {
    let daemon = Daemon::mariadb();
    let url = format!("mysql://b2bua:pw%20of%20b2bua@127.0.0.1:{}/accounts", daemon.port);
    let mut connection = MySqlConnection::connect(&url).await;
    for _ in 0..100 {
        if connection.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection = MySqlConnection::connect(&url).await;
    }
    fill!(connection.unwrap_or_else(|error| panic!("{error}\n{}", daemon.log())));
    let soci = format!(
        "db=accounts user=b2bua password='pw of b2bua' host=127.0.0.1 port={}",
        daemon.port
    );
    judge(Backend::MySql, soci.clone()).await;
    refuses_numbers(Backend::MySql, soci).await;
}
