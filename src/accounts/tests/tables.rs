//! Upstream's `account::SQLAccountLoader` and `validateInitQuery`, on SQLite.

use crate::accounts::{Backend, Event, Record, Source, SqlError, SqlSettings, Watch, sql::SqlAccounts};
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Executor as _, SqliteConnection, sqlite::SqliteConnectOptions,
};
use std::time::Duration;
use tempfile::TempDir;

const COLUMNS: &str = "username TEXT, domain TEXT, user_id TEXT, realm TEXT, secret TEXT, secret_type TEXT, \
    alias_username TEXT, alias_domain TEXT, outbound_proxy TEXT, registrar TEXT, protocol TEXT";

struct Database {
    folder: TempDir,
    connection: SqliteConnection,
}

impl Database {
    async fn with(columns: &str, rows: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteConnectOptions::new().filename(folder.path().join("a.db"));
        let connection = options.create_if_missing(true).connect().await.unwrap();
        let mut database = Self { folder, connection };
        database.run(&format!("CREATE TABLE users ({columns})")).await;
        for row in rows {
            database.run(&format!("INSERT INTO users VALUES ({row})")).await;
        }
        database
    }
    async fn run(&mut self, statement: &str) {
        self.connection
            .execute(AssertSqlSafe(statement.to_owned()))
            .await
            .unwrap();
    }
    fn accounts(&self, query: &str) -> SqlAccounts {
        SqlAccounts::new(&SqlSettings {
            backend: Backend::Sqlite,
            connection: self.folder.path().join("a.db").display().to_string(),
            directory: std::path::PathBuf::new(),
            init_query: query.to_owned(),
            update_query: "SELECT * FROM users WHERE user_id = :identifier".to_owned(),
            connections: 2,
        })
        .unwrap()
    }
    fn all(&self) -> SqlAccounts {
        self.accounts("SELECT * FROM users;")
    }
}

const FULL: &str = "'one', 'example.org', 'id1', 'realm', 'secret', 'ClrTxt', 'alias', 'inside.example', \
    'proxy.example.org', 'registrar.example.org', 'TLS'";

fn full() -> Record {
    Record {
        username: "one".to_owned(),
        domain: "example.org".to_owned(),
        user_id: "id1".to_owned(),
        realm: "realm".to_owned(),
        secret: "secret".to_owned().into(),
        secret_type: "clrtxt".to_owned(),
        alias_username: "alias".to_owned(),
        alias_domain: "inside.example".to_owned(),
        outbound_proxy: "proxy.example.org".to_owned(),
        registrar: "registrar.example.org".to_owned(),
        protocol: "tls".to_owned(),
    }
}

/// `nominalInitialSqlLoadTest`
#[tokio::test]
async fn rows_become_records() {
    let database = Database::with(COLUMNS, &[FULL]).await;
    database.all().validate().await.unwrap();
    let records = database.all().all().await.unwrap();
    assert_eq!(records, [full()]);
    assert_eq!(records[0].uri(), "sip:one@example.org");
    assert_eq!(records[0].alias(), "sip:alias@inside.example");
}

/// `initialSqlLoadTestWithEmptyFields`
#[tokio::test]
async fn nulls_have_the_defaults_that_are_written_down() {
    let row = "'one', 'example.org', NULL, NULL, NULL, NULL, 'alias', NULL, NULL, NULL, NULL";
    let database = Database::with(COLUMNS, &[row]).await;
    let records = database.all().all().await.unwrap();
    let expected = Record {
        username: "one".to_owned(),
        domain: "example.org".to_owned(),
        realm: "example.org".to_owned(),
        secret_type: "md5".to_owned(),
        alias_username: "alias".to_owned(),
        ..Record::default()
    };
    assert_eq!(records, [expected]);
    assert_eq!(records[0].alias(), "", "half an alias is none");
}

/// `initialSqlLoadTestUriCantBeNull`
#[tokio::test]
async fn a_row_without_a_name_is_an_error_and_one_of_many_is_left_out() {
    let nameless = "NULL, 'example.org', '', '', '', '', '', '', '', '', ''";
    let mut database = Database::with(COLUMNS, &[nameless]).await;
    let error = database.all().all().await.unwrap_err();
    assert!(matches!(error, SqlError::Empty("username")), "{error}");
    database.run(&format!("INSERT INTO users VALUES ({FULL})")).await;
    assert_eq!(database.all().all().await.unwrap(), [full()]);
}

#[tokio::test]
async fn legacy_names_serve_and_what_is_optional_may_be_missing() {
    let columns = "username TEXT, hostport TEXT, user_id TEXT, realm TEXT, secret TEXT, secret_type TEXT, \
        alias_username TEXT, alias_hostport TEXT";
    let row = "'one', 'example.org:5070', '', '', '', '', 'alias', 'inside.example:5080'";
    let database = Database::with(columns, &[row]).await;
    database.all().validate().await.unwrap();
    let record = database.all().all().await.unwrap().remove(0);
    assert_eq!(record.uri(), "sip:one@example.org:5070");
    assert_eq!(record.alias(), "sip:alias@inside.example:5080");
    assert_eq!(record.protocol, "");
}

/// `nominalUpdateSqlTest`, `updateSqlTestDeletion`
#[tokio::test]
async fn one_account_is_found_by_its_identifier_or_is_not_there() {
    let database = Database::with(COLUMNS, &[FULL]).await;
    assert_eq!(database.all().find("id1").await.unwrap(), Some(full()));
    assert_eq!(database.all().find("id2").await.unwrap(), None);
    assert_eq!(database.all().find("' OR '1'='1").await.unwrap(), None);
}

/// `validateInitQuery::failureDueToWrongColumnName`, `…Type`
#[tokio::test]
async fn a_query_with_wrong_columns_is_refused_even_while_the_table_is_empty() {
    let database = Database::with(&COLUMNS.replace("realm", "reelm"), &[]).await;
    let error = database.all().validate().await.unwrap_err();
    assert_eq!(error.to_string(), "the query gives no column \"realm\"");
    let row = FULL.replace("'secret'", "42");
    let database = Database::with(&COLUMNS.replace("secret TEXT", "secret INTEGER"), &[&row]).await;
    let error = database.all().validate().await.unwrap_err();
    assert!(
        error.to_string().starts_with("column \"secret\" is no text"),
        "{error}"
    );
    let error = database.accounts("SELECT nonsense").validate().await.unwrap_err();
    assert!(matches!(error, SqlError::Database(_)), "{error}");
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the database is read in real time")]
async fn without_redis_the_table_is_read_again_after_each_interval() {
    let mut database = Database::with(COLUMNS, &[]).await;
    let (sender, mut told) = tokio::sync::mpsc::unbounded_channel();
    let source = Source::Sql(database.all(), Duration::from_millis(20));
    let watch = Watch::start("pool", source, move |event| drop(sender.send(event)));
    assert_eq!(told.recv().await, Some(Event::All(Vec::new())));
    database.run(&format!("INSERT INTO users VALUES ({FULL})")).await;
    let changed = async { while told.recv().await != Some(Event::All(vec![full()])) {} };
    tokio::time::timeout(Duration::from_secs(10), changed)
        .await
        .unwrap();
    drop(watch);
    // What was on its way may still come, then nothing does.
    let end = async { while told.recv().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(10), end).await.unwrap();
}
