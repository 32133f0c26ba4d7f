//! What stands in configurations.

use crate::accounts::{
    Backend, SqlError, SqlSettings,
    connection::{Options, words},
    query::{marked, one_row},
    sql::SqlAccounts,
};

fn read(backend: Backend, text: &str) -> Result<String, String> {
    let options =
        Options::parse(backend, text, std::path::Path::new("")).map_err(|error| error.to_string())?;
    Ok(match options {
        Options::Sqlite(options) => options.get_filename().display().to_string(),
        Options::MySql(options) => {
            let options = format!("{options:?}");
            assert!(!options.is_empty());
            options
        }
        Options::Postgres(options) => format!(
            "{}:{} {}@{}",
            options.get_host(),
            options.get_port(),
            options.get_username(),
            options.get_database().unwrap_or_default()
        ),
    })
}

#[test]
fn words_may_be_quoted_and_escaped() {
    let all = words(
        r#" db=b2b  user='our user' password="it's\" \\here" host=h\ x "#,
        "",
    )
    .unwrap();
    let all: Vec<_> = all
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    assert_eq!(
        all,
        [
            ("db", "b2b"),
            ("user", "our user"),
            ("password", "it's\" \\here"),
            ("host", "h x")
        ]
    );
    assert_eq!(words("", "").unwrap(), []);
}

#[test]
fn soci_strings_and_urls_are_understood() {
    for text in [
        "/var/lib/a b.db",
        "db='/var/lib/a b.db' timeout=3",
        "dbname=\"/var/lib/a b.db\"",
    ] {
        assert_eq!(read(Backend::Sqlite, text).unwrap(), "/var/lib/a b.db");
    }
    let soci = "dbname=accounts user=b2b password='p w' host=db.example.org port=6432";
    assert_eq!(
        read(Backend::Postgres, soci).unwrap(),
        "db.example.org:6432 b2b@accounts"
    );
    let url = "postgresql://b2b:pw@db.example.org:6432/accounts";
    assert_eq!(
        read(Backend::Postgres, url).unwrap(),
        "db.example.org:6432 b2b@accounts"
    );
    let text = "db=accounts user=b2b password=pw host=db.example.org port=3307";
    let read = read(Backend::MySql, text).unwrap();
    for word in ["accounts", "b2b", "db.example.org", "3307"] {
        assert!(read.contains(word), "{word}: {read}");
    }
}

#[test]
fn what_cannot_be_read_is_said_without_the_password() {
    for (backend, text) in [
        (Backend::MySql, "db=a passwort=hunter2"),
        (Backend::MySql, "db=a user=b hunter2"),
        (Backend::MySql, "db=a password='hunter2"),
        (Backend::MySql, "port=hunter2"),
        (Backend::Postgres, "sslmode=hunter2"),
        (Backend::Postgres, "postgres://u:hunter2@[::"),
        (Backend::Sqlite, "db=x what=hunter2"),
        (Backend::Sqlite, ""),
    ] {
        let error = read(backend, text).unwrap_err();
        assert!(error.contains("expected"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    assert!(
        "oracle"
            .parse::<Backend>()
            .unwrap_err()
            .to_string()
            .contains("sqlite3")
    );
    for backend in [Backend::Sqlite, Backend::Postgres, Backend::MySql] {
        assert_eq!(backend.to_string().parse(), Ok(backend));
    }
}

#[test]
fn identifiers_become_the_marks_of_each_database_but_not_within_quotes_or_casts() {
    let query =
        "SELECT ':identifier', a::text, \":identifier\" FROM t WHERE b = :identifier OR c=:identifier;";
    let (postgres, values) = marked(query, Backend::Postgres);
    assert_eq!(
        postgres,
        "SELECT ':identifier', a::text, \":identifier\" FROM t WHERE b = $1 OR c=$1;"
    );
    assert_eq!(values, 1);
    let (mysql, values) = marked(
        "x = :identifier AND y = :identifiers AND z::identifier",
        Backend::MySql,
    );
    assert_eq!(mysql, "x = ? AND y = :identifiers AND z::identifier");
    assert_eq!(values, 1);
    assert_eq!(marked("é:identifier", Backend::MySql), ("é?".to_owned(), 1));
    assert_eq!(marked("none", Backend::Sqlite), ("none".to_owned(), 0));
}

#[test]
fn one_row_is_asked_for_whether_or_not_a_semicolon_ends_the_query() {
    assert_eq!(one_row("SELECT 1 ;\n"), "SELECT 1 LIMIT 1");
    assert_eq!(one_row("SELECT 1"), "SELECT 1 LIMIT 1");
}

#[tokio::test]
async fn an_update_query_without_its_identifier_is_refused() {
    let settings = SqlSettings {
        backend: Backend::Sqlite,
        connection: "x.db".to_owned(),
        directory: std::path::PathBuf::new(),
        init_query: "SELECT 1".to_owned(),
        update_query: "SELECT 1 WHERE a = 'x'".to_owned(),
        connections: 1,
    };
    assert!(matches!(SqlAccounts::new(&settings), Err(SqlError::NoIdentifier)));
}

#[test]
fn a_password_is_in_no_debug_output() {
    let settings = SqlSettings {
        backend: Backend::MySql,
        connection: "password=hunter2".to_owned(),
        directory: std::path::PathBuf::new(),
        init_query: "SELECT".to_owned(),
        update_query: String::new(),
        connections: 1,
    };
    let record = crate::accounts::Record {
        username: "u".to_owned(),
        domain: "d".to_owned(),
        secret: "hunter2".to_owned().into(),
        ..Default::default()
    };
    let redis = crate::accounts::RedisSettings {
        password: "hunter2".to_owned(),
        ..Default::default()
    };
    let text = format!("{settings:?} {record:?} {redis:?}");
    assert!(text.contains("SELECT") && text.contains("sip:u@d") && text.contains("6379"));
    assert!(!text.contains("hunter2"), "{text}");
}
