//! Accounts in a table of SQLite: they come, change and go, by polling and by a reload.

use crate::{
    registrar::Listening,
    rig::{Setup, call, sqlite, until},
};
use b2bua::testing::Registrar;
use rustix::process::Signal;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, SqliteConnection};
use std::{path::Path, thread, time::Duration};

/// Flexisip's columns, with what they are called now.
pub(crate) const CREATE: &str = "CREATE TABLE accounts (username VARCHAR(64), domain VARCHAR(64), \
    user_id VARCHAR(64), realm VARCHAR(64), secret VARCHAR(128), secret_type VARCHAR(16), \
    alias_username VARCHAR(64), alias_domain VARCHAR(64))";

/// What is done to a database of SQLite.
pub(crate) fn run(path: &Path, statements: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let url = format!("sqlite://{}?mode=rwc", path.display());
        let mut connection = SqliteConnection::connect(&url).await.expect("connected");
        for statement in statements {
            let statement = AssertSqlSafe(statement.clone());
            connection.execute(statement).await.expect("done");
        }
        connection.close().await.expect("closed");
    });
}

/// A row with a clear password.
pub(crate) fn row(name: &str, secret: &str) -> String {
    format!(
        "INSERT INTO accounts VALUES ('{name}', 'example.org', '{name}', NULL, '{secret}', 'clrtxt', '', '')"
    )
}

/// `loadAccountsFromSQL`, `globalSqlTest` with polling in the place of Redis.
#[test]
fn accounts_of_a_table_register_carry_calls_and_follow_it() {
    let registrar = Listening::start(Registrar::new("example.org", &[("one", "s1"), ("two", "s2")]));
    let mut setup = Setup::new(registrar.address, "");
    let path = setup.path("accounts.db");
    setup.loader = sqlite(&path);
    setup.limit = 1;
    setup.more = "accounts-poll-interval=1\n".to_owned();
    run(&path, &[CREATE.to_owned(), row("one", "s1")]);
    let server = setup.start();
    let bound = |names: &[&str]| {
        registrar.with(|registrar| {
            registrar.bindings.len() == names.len()
                && names.iter().all(|name| {
                    registrar
                        .bindings
                        .contains_key(&format!("sip:{name}@example.org"))
                })
        })
    };
    until("the account is bound", || bound(&["one"]));
    server.until(|gauges| gauges["registered"] == 1);
    let first = call(server.udp()).expect("an account is there");
    assert_eq!(call(server.udp()).err(), Some(488), "its one line is taken");

    run(&path, &[row("two", "s2")]);
    server.until(|gauges| gauges["registered"] == 2);
    let second = call(server.udp()).expect("a second account is there");
    let heard = registrar.with(|registrar| registrar.heard.len());
    // Read again some times, and nothing is registered anew for that.
    thread::sleep(Duration::from_millis(2500));
    assert_eq!(registrar.with(|registrar| registrar.heard.len()), heard);

    run(&path, &["DELETE FROM accounts WHERE username = 'one'".to_owned()]);
    until("its binding goes", || bound(&["two"]));
    first.end();
    assert_eq!(
        call(server.udp()).err(),
        Some(488),
        "who has gone carries no calls"
    );
    run(&path, &[row("one", "s1")]);
    server.until(|gauges| gauges["registered"] == 2);
    // The database is what a reload reads as well, and what calls hold goes on to count.
    server.service.signal(Signal::HUP);
    server.until_logged("reloaded");
    let again = call(server.udp()).expect("back again");
    assert_eq!(call(server.udp()).err(), Some(488));
    second.end();
    again.end();
    server.until_empty();

    // Another application has no use for any of them.
    let config = format!(
        "[b2bua-server]\ndata-directory=none\n{}",
        setup
            .config()
            .replace("application=sip-bridge", "application=trenscrypter")
    );
    server.service.rewrite(&config);
    server.service.signal(Signal::HUP);
    until("no binding is left", || bound(&[]));
    registrar.with(|registrar| assert!(registrar.complaints.is_empty(), "{:#?}", registrar.complaints));
}

/// What is not in force registers nothing.
#[test]
fn a_reload_that_is_refused_registers_nobody_and_unregisters_nobody() {
    let registrar = Listening::start(Registrar::new("example.org", &[("one", "s1"), ("two", "s2")]));
    let account = |name: &str, secret: &str| {
        format!(r#"{{"uri": "sip:{name}@example.org", "secretType": "clrtxt", "secret": "{secret}"}}"#)
    };
    let mut setup = Setup::new(registrar.address, format!("[{}]", account("one", "s1")));
    let server = setup.start();
    server.until(|gauges| gauges["registered"] == 1);
    let heard = registrar.with(|registrar| registrar.heard.len());
    setup.loader = format!("[{}]", account("two", "s2"));
    setup.write();
    // The application can be built; what comes after it can not be had.
    let config = |more: &str| format!("[b2bua-server]\ndata-directory=none\n{more}{}", setup.config());
    server.service.rewrite(&config("cdr-file=/nowhere/at/all\n"));
    server.service.signal(Signal::HUP);
    server.until_logged("not reloaded");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(registrar.with(|registrar| registrar.heard.len()), heard);
    call(server.udp()).expect("as before").end();

    server.service.rewrite(&config(""));
    server.service.signal(Signal::HUP);
    server.until_logged("reloaded");
    until("only the other one is bound", || {
        let bound: Vec<_> = registrar.with(|registrar| registrar.bindings.keys().cloned().collect());
        bound == ["sip:two@example.org"]
    });
}
