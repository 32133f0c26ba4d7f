//! The life of accounts by publication (upstream's `globalSqlTest`, `emptyThenPublishSqlTest`), and a Redis that goes and comes back.

use super::daemon::Daemon;
use b2bua::accounts::{Backend, Event, RedisSettings, Source, SqlAccounts, SqlSettings, Watch};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

const PATIENCE: Duration = Duration::from_secs(20);

async fn next(told: &mut UnboundedReceiver<Event>) -> Event {
    let event = tokio::time::timeout(PATIENCE, told.recv()).await;
    event.expect("something is told in time").expect("it watches")
}

fn names(event: &Event) -> String {
    match event {
        Event::All(records) => {
            let names: Vec<_> = records.iter().map(|record| record.username.as_str()).collect();
            format!("all: {}", names.join(" "))
        }
        Event::Changed(record) => format!("changed: {} {}", record.username, record.secret.as_str()),
        Event::Gone(uri) => format!("gone: {uri}"),
    }
}

/// Says `text` on the channel; how many heard it.
async fn publish(port: u16, text: &str) -> usize {
    let client = redis::Client::open(format!("redis://:pw@127.0.0.1:{port}/")).expect("a URL");
    let mut connection = client
        .get_multiplexed_async_connection()
        .await
        .expect("connected");
    let mut command = redis::cmd("PUBLISH");
    command.arg("flexisip/B2BUA/account").arg(text);
    command.query_async(&mut connection).await.expect("published")
}

/// As soon as somebody hears it.
async fn published(port: u16, text: &str) {
    for _ in 0..200 {
        if publish(port, text).await > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("nobody subscribes");
}

fn news(name: &str, identifier: &str) -> String {
    format!(r#"{{"username": "{name}", "domain": "example.org", "identifier": "{identifier}"}}"#)
}

#[tokio::test]
async fn accounts_come_change_and_go_by_publication_and_outlive_redis() {
    let mut redis = Daemon::redis();
    let port = redis.port;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("accounts.db");
    let mut table = SqliteConnection::connect(&format!("sqlite://{}?mode=rwc", path.display()))
        .await
        .expect("connected");
    let mut run = async |statement: &'static str| table.execute(statement).await.map(drop).expect("done");
    run("CREATE TABLE a (username TEXT, hostport TEXT, user_id TEXT, realm TEXT, secret TEXT, secret_type TEXT, \
         alias_username TEXT, alias_hostport TEXT)")
    .await;

    let accounts = SqlAccounts::new(&SqlSettings {
        backend: Backend::Sqlite,
        connection: path.display().to_string(),
        directory: std::path::PathBuf::new(),
        init_query: "SELECT * FROM a ORDER BY username".to_owned(),
        update_query: "SELECT * FROM a WHERE user_id = :identifier".to_owned(),
        connections: 1,
    })
    .expect("readable");
    let settings = RedisSettings {
        host: "127.0.0.1".to_owned(),
        port,
        password: "pw".to_owned(),
        keep_alive: Duration::from_secs(1),
        ..RedisSettings::default()
    };
    let (sender, mut told) = unbounded_channel();
    let _watch = Watch::start("pool", Source::Redis(accounts, settings), move |event| {
        drop(sender.send(event));
    });
    assert_eq!(
        names(&next(&mut told).await),
        "all: ",
        "at once, whether or not Redis is there"
    );
    assert_eq!(names(&next(&mut told).await), "all: ", "and when it listens");

    run("INSERT INTO a VALUES ('one', 'example.org', 'id1', '', 's1', '', '', '')").await;
    published(port, "what is this").await;
    published(port, r#"{"username": "one"}"#).await;
    published(port, &news("one", "id1")).await;
    assert_eq!(
        names(&next(&mut told).await),
        "changed: one s1",
        "nonsense before it is no harm"
    );
    run("UPDATE a SET secret = 's2'").await;
    published(port, &news("one", "id1")).await;
    assert_eq!(names(&next(&mut told).await), "changed: one s2");
    published(port, &news("two", "id1")).await;
    published(port, &news("one", "id1")).await;
    assert_eq!(
        names(&next(&mut told).await),
        "changed: one s2",
        "an account that was published by another's name is ignored"
    );
    run("DELETE FROM a").await;
    published(port, &news("one", "id1")).await;
    assert_eq!(names(&next(&mut told).await), "gone: sip:one@example.org");

    // More than one period of silence: the connection is tried, and holds.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    run("INSERT INTO a VALUES ('three', 'example.org', 'id3', '', 's3', '', '', '')").await;
    assert_eq!(publish(port, &news("three", "id3")).await, 1);
    assert_eq!(names(&next(&mut told).await), "changed: three s3");

    redis.end();
    run("INSERT INTO a VALUES ('four', 'example.org', 'id4', '', 's4', '', '', '')").await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        told.try_recv().is_err(),
        "what is known stays while Redis is gone"
    );
    let redis = Daemon::redis_at(port);
    assert_eq!(
        names(&next(&mut told).await),
        "all: four three",
        "{}",
        redis.log()
    );
    published(port, &news("four", "id4")).await;
    assert_eq!(names(&next(&mut told).await), "changed: four s4");
}
