//! Changes that are published through Redis, as the real binary hears them.

use crate::{
    daemon::Daemon,
    registrar::Listening,
    rig::{Setup, call, redis, sqlite, until},
    table::{CREATE, row, run},
};
use b2bua::testing::Registrar;
use std::{thread, time::Duration};

/// Says on Flexisip's channel that an account has changed; how many heard it.
fn publish(port: u16, name: &str) -> usize {
    let client = redis::Client::open(format!("redis://:pw@127.0.0.1:{port}/")).expect("a URL");
    let mut connection = client.get_connection().expect("connected");
    let text = format!(r#"{{"username": "{name}", "domain": "example.org", "identifier": "{name}"}}"#);
    let mut command = redis::cmd("PUBLISH");
    command.arg("flexisip/B2BUA/account").arg(text);
    command.query(&mut connection).expect("published")
}

/// As soon as the server hears it.
fn published(port: u16, name: &str) {
    until("somebody subscribes", || publish(port, name) > 0);
}

#[test]
fn changes_are_registered_as_they_are_published_and_read_again_when_redis_is_back() {
    let mut daemon = Daemon::redis();
    let passwords = [("one", "s1"), ("two", "s2"), ("three", "s3"), ("four", "s4")];
    let registrar = Listening::start(Registrar::new("example.org", &passwords));
    let mut setup = Setup::new(registrar.address, "");
    let path = setup.path("accounts.db");
    setup.loader = sqlite(&path);
    setup.limit = 1;
    setup.more = redis(daemon.port);
    run(&path, &[CREATE.to_owned()]);
    let server = setup.start();
    server.until_logged("hears news of accounts");
    assert_eq!(call(server.udp()).err(), Some(488), "there is no account");
    let registers = |name: &str| {
        registrar.with(|registrar| {
            let from = format!("sip:{name}@example.org");
            let heard = registrar.heard.iter();
            heard
                .filter(|(_, request)| request.headers.contains("Authorization"))
                .filter(|(_, request)| request.headers.from().is_ok_and(|it| it.uri.as_str() == from))
                .count()
        })
    };
    let bound = || registrar.with(|registrar| registrar.bindings.len());

    run(&path, &[row("one", "s1"), row("two", "s2"), row("three", "s3")]);
    for name in ["one", "two", "three"] {
        published(daemon.port, name);
    }
    server.until(|gauges| gauges["registered"] == 3);
    assert_eq!([registers("one"), registers("two"), registers("three")], [1; 3]);

    // Other credentials make exactly one REGISTER; the same again, and an alias, none.
    let hash = "UPDATE accounts SET user_id = 'one', realm = 'example.org' WHERE username = 'one'";
    run(&path, &[hash.to_owned()]);
    published(daemon.port, "one");
    thread::sleep(Duration::from_millis(500));
    assert_eq!(registers("one"), 1, "nothing that a registrar sees has changed");
    registrar.with(|registrar| registrar.passwords.insert("one".to_owned(), "new".to_owned()));
    run(
        &path,
        &["UPDATE accounts SET secret = 'new' WHERE username = 'one'".to_owned()],
    );
    published(daemon.port, "one");
    until("one REGISTER more", || registers("one") == 2);
    let there = call(server.udp()).expect("an account");
    run(
        &path,
        &["DELETE FROM accounts WHERE username = 'three'".to_owned()],
    );
    published(daemon.port, "three");
    until("its binding goes", || bound() == 2);

    // What changes while Redis is gone is read when it is back: one new, one changed, one gone, and nothing else is registered.
    let port = daemon.port;
    daemon.end();
    registrar.with(|registrar| registrar.passwords.insert("two".to_owned(), "new".to_owned()));
    let delete = "DELETE FROM accounts WHERE username = 'one'".to_owned();
    let change = "UPDATE accounts SET secret = 'new' WHERE username = 'two'".to_owned();
    run(&path, &[row("four", "s4"), change, delete]);
    thread::sleep(Duration::from_millis(500));
    assert_eq!(bound(), 2, "what is known stays");
    registrar.with(|registrar| registrar.heard.clear());
    let _daemon = Daemon::redis_at(port);
    until("the new one is bound", || registers("four") == 1);
    until("the old one is not", || {
        registrar.with(|registrar| !registrar.bindings.contains_key("sip:one@example.org"))
    });
    thread::sleep(Duration::from_secs(1));
    assert_eq!(
        [
            registers("one"),
            registers("two"),
            registers("three"),
            registers("four")
        ],
        [1, 1, 0, 1]
    );
    there.end();
    registrar.with(|registrar| {
        assert!(registrar.complaints.is_empty(), "{:#?}", registrar.complaints);
    });
}

#[test]
fn an_empty_table_without_redis_is_a_pool_without_accounts() {
    let registrar = Listening::start(Registrar::new("example.org", &[]));
    let mut setup = Setup::new(registrar.address, "");
    let path = setup.path("accounts.db");
    setup.loader = sqlite(&path);
    run(&path, &[CREATE.to_owned()]);
    let server = setup.start();
    server.until_logged("accounts read");
    assert_eq!(call(server.udp()).err(), Some(488));
    assert_eq!(registrar.with(|registrar| registrar.heard.len()), 0);
    server.until_empty();
}
