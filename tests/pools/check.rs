//! What `--check`, a start and `route-test` say of pools.

use crate::{
    process::b2bua,
    rig::{Setup, loader, sqlite},
    table::{CREATE, row, run},
};
use std::{fs, process::Output};

fn setup() -> Setup {
    Setup::new("127.0.0.1:9".parse().expect("an address"), "[]")
}

/// `b2bua ARGUMENTS -c …` for that setup.
fn say(setup: &Setup, arguments: &[&str]) -> Output {
    setup.write();
    let file = setup.path("b2bua.conf");
    let text = format!("[b2bua-server]\ndata-directory=none\n{}", setup.config());
    fs::write(&file, text).expect("writable");
    let mut command = b2bua();
    command.args(arguments).arg("-c").arg(&file);
    command.output().expect("the command runs")
}

fn checked(setup: &Setup) -> (Option<i32>, String) {
    let output = say(setup, &["--check"]);
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.code(), text.concat())
}

#[test]
fn remarks_on_the_providers_file_show_in_check_too() {
    let mut setup = setup();
    setup.loader = r#"[{"uri": "sip:a@example.org", "colour": "red"}]"#.to_owned();
    let (status, text) = checked(&setup);
    assert_eq!(status, Some(0), "{text}");
    for part in [
        "providers.json: accountPools.pool.loader[0].colour: a key that means nothing here",
        "provider \"p\": calls through it carry their media in clear",
        "b2bua.conf: good",
    ] {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_query_that_cannot_be_asked_is_refused_by_name() {
    let mut setup = setup();
    let path = setup.path("accounts.db");
    run(&path, &[CREATE.to_owned()]);
    setup.loader = sqlite(&path);
    assert_eq!(checked(&setup).0, Some(0));
    for (from, to, fault) in [
        (
            "SELECT * FROM accounts ORDER",
            "SELECT username FROM accounts ORDER",
            "no column \"domain\"",
        ),
        (
            "SELECT * FROM accounts ORDER",
            "SELECT * FROM acounts ORDER",
            "no such table",
        ),
        ("user_id = :identifier", "user_id = 1", "no :identifier"),
        ("accounts.db", "nowhere.db", "unable to open"),
    ] {
        setup.loader = sqlite(&path).replace(from, to);
        let (status, text) = checked(&setup);
        assert_eq!(status, Some(78), "{to}: {text}");
        assert!(
            text.contains(fault) && text.contains("accountPools[\"pool\"].loader"),
            "{to}: {text}"
        );
    }
}

#[test]
fn a_database_that_does_not_answer_is_no_reason_not_to_start() {
    let mut setup = setup();
    // The kernel says that nobody listens.
    setup.loader = loader(
        "postgresql",
        "dbname=a user=b password=verysecret host=127.0.0.1 port=9",
    );
    let (status, text) = checked(&setup);
    assert_eq!(status, Some(0), "{text}");
    assert!(text.contains("it is asked again"), "{text}");
    assert!(!text.contains("verysecret"), "{text}");
    let server = setup.start();
    server.until_logged("accounts cannot be read");
    server.until_empty();
}

#[test]
fn redis_by_mutual_tls_needs_a_certificate() {
    let mut setup = setup();
    setup.more =
        "[module::Registrar]\nredis-server-domain=localhost\nredis-connection=tls-mutual\n".to_owned();
    let (status, text) = checked(&setup);
    assert_eq!(status, Some(78), "{text}");
    assert!(text.contains("redis-tls-certificate"), "{text}");
}

#[test]
fn route_test_reads_the_database() {
    let mut setup = setup();
    let path = setup.path("accounts.db");
    run(&path, &[CREATE.to_owned(), row("one", "verysecret")]);
    setup.loader = sqlite(&path);
    let output = say(&setup, &["route-test", "sip:alice@example.org", "sip:+331@b2bua"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{output:?}");
    assert!(
        text.contains("takes the call with the account sip:one@example.org"),
        "{text}"
    );
    assert!(!text.contains("verysecret"), "{text}");
}
