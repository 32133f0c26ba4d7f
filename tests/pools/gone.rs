//! Redis, the database and the registrar are gone for a while under load, each in the ways in which it can be: calls that are there
//! go on, new ones follow the written policy, and all comes back by itself. `POOLS_GONE=60` for a minute each.

use crate::{
    daemon::Daemon,
    registrar::Listening,
    rig::{Called, Load, Setup, absence, call, loader, until},
    server::Server,
    table::CREATE,
};
use b2bua::testing::Registrar;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, MySqlConnection};
use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

/// What a call may take while something is gone: far more than it is to take, and far less than it would by waiting.
const PROMPT: Duration = Duration::from_secs(2);

fn nobody() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// A pool of one static account with enough lines.
fn one_account(port: u16, policy: &str) -> Setup {
    let mut setup = Setup::new(nobody(), r#"[{"uri": "sip:line@example.org"}]"#);
    setup.registers = false;
    setup.limit = 100;
    setup.more = format!(
        "line-lease=3\nlines-without-redis={policy}\n{}",
        crate::rig::redis(port)
    );
    setup
}

/// How often a server has said that lines are counted with those of others.
fn found(server: &Server) -> usize {
    let output = server.service.output();
    output
        .matches("lines are counted with those of other servers")
        .count()
}

#[test]
fn redis_gone_or_silent_makes_no_call_wait_and_calls_follow_the_policy() {
    let mut daemon = Daemon::redis();
    let port = daemon.port;
    let (own, refuse) = (one_account(port, "count-own"), one_account(port, "refuse"));
    let (owning, refusing) = (own.start(), refuse.start());
    for server in [&owning, &refusing] {
        server.until_logged("lines are counted with those of other servers");
    }
    let mut there = [call(owning.udp()), call(refusing.udp())].map(|up| up.expect("a free line"));
    let loads = [Load::start(owning.udp()), Load::start(refusing.udp())];
    loads.iter().for_each(|load| load.until_more(10));

    // It is there and says nothing.
    let silent = Instant::now();
    daemon.freeze();
    thread::sleep(absence());
    there.iter_mut().for_each(super::rig::Up::is_up);
    let found_before = [&owning, &refusing].map(found);
    let spoke = Instant::now();
    daemon.thaw();
    for (server, before) in [&owning, &refusing].into_iter().zip(found_before) {
        until("Redis is back", || found(server) > before);
    }
    let well = Instant::now();
    loads.iter().for_each(|load| load.until_more(20));
    // Nobody listens.
    let gone = Instant::now();
    daemon.end();
    thread::sleep(absence());
    there.iter_mut().for_each(super::rig::Up::is_up);
    let back = Instant::now();
    let _daemon = Daemon::redis_at(port);
    until("calls are counted again", || {
        let again = call(refusing.udp());
        again.map(super::rig::Up::end).is_ok()
    });
    let counted = Instant::now();
    loads.iter().for_each(|load| load.until_more(10));
    let [owning_calls, refusing_calls] = loads.map(Load::stop);
    let slowest = |calls: &[Called]| calls.iter().map(|(.., took)| *took).max();
    println!(
        "{} and {} calls, the slowest took {:?} and {:?}",
        owning_calls.len(),
        refusing_calls.len(),
        slowest(&owning_calls),
        slowest(&refusing_calls)
    );
    for (_, outcome, took) in &owning_calls {
        assert_eq!(*outcome, Ok(()), "count-own goes on");
        assert!(*took < PROMPT, "{took:?}");
    }
    // Those that were under way at neither end.
    let within = |from: Instant, to: Instant| {
        let inside = move |(at, _, took): &&Called| *at > from && *at + *took < to;
        refusing_calls.iter().filter(inside)
    };
    for (from, to) in [(silent, spoke), (gone, back)] {
        // Until it is known, calls wait for it.
        let known = from + Duration::from_millis(600);
        assert!(within(known, to).count() > 10, "there was load");
        for (_, outcome, took) in within(known, to) {
            assert_eq!(*outcome, Err(488), "refuse refuses");
            assert!(*took < PROMPT, "{took:?}");
        }
    }
    for (from, to, least) in [(well, gone, 15), (counted, Instant::now(), 5)] {
        let between: Vec<_> = within(from, to).collect();
        assert!(between.len() >= least, "there was load: {between:?}");
        assert!(
            between.iter().all(|(_, outcome, _)| outcome.is_ok()),
            "while it was there: {:?}\n{}",
            between
                .iter()
                .map(|(at, outcome, took)| (*at - from, outcome, took))
                .collect::<Vec<_>>(),
            refusing.service.output()
        );
    }
    there.into_iter().for_each(super::rig::Up::end);
    owning.until_empty();
    refusing.until_empty();
}

/// A proxy, a firewall or Redis itself (`timeout`) ends connections; Redis is there all the same, and no call hears of it.
#[test]
fn a_connection_to_redis_that_breaks_costs_no_call() {
    let daemon = Daemon::redis();
    let server = one_account(daemon.port, "refuse").start();
    until("Redis is there", || found(&server) > 0);
    let url = format!("redis://:pw@127.0.0.1:{}/", daemon.port);
    let client = redis::Client::open(url).expect("a URL");
    let mut connection = client.get_connection().expect("a connection");
    let load = Load::start(server.udp());
    for round in 0..10 {
        load.until_more(3);
        let found_before = found(&server);
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL")
            .arg("TYPE")
            .arg("normal")
            .arg("SKIPME")
            .arg("yes");
        let killed: u32 = kill.query(&mut connection).expect("done");
        assert!(killed > 0, "round {round}");
        until("it is asked again", || found(&server) > found_before);
    }
    load.until_more(3);
    let calls = load.stop();
    assert!(calls.len() >= 33, "{}", calls.len());
    for (_, outcome, took) in calls {
        assert_eq!(outcome, Ok(()), "{}", server.service.output());
        assert!(took < PROMPT, "{took:?}");
    }
    server.until_empty();
}

/// What is done to the table in MariaDB.
fn run(port: u16, statements: &[String]) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let url = format!("mysql://b2bua:pw%20of%20b2bua@127.0.0.1:{port}/accounts");
        let end = Instant::now() + Duration::from_secs(20);
        let mut connection = loop {
            match MySqlConnection::connect(&url).await {
                Ok(connection) => break connection,
                Err(error) => assert!(Instant::now() < end, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        for statement in statements {
            let statement = AssertSqlSafe(statement.clone());
            connection.execute(statement).await.expect("done");
        }
        connection.close().await.expect("closed");
    });
}

#[test]
fn a_database_that_is_silent_or_gone_leaves_the_accounts_that_are_known() {
    let mut daemon = Daemon::mariadb();
    let row = |name: &str| super::table::row(name, "secret");
    run(daemon.port, &[CREATE.to_owned(), row("one")]);
    let connection = format!(
        "db=accounts user=b2bua password='pw of b2bua' host=127.0.0.1 port={}",
        daemon.port
    );
    let registrar = Listening::start(Registrar::new(
        "example.org",
        &[("one", "secret"), ("two", "secret")],
    ));
    let mut setup = Setup::new(registrar.address, loader("mysql", &connection));
    setup.limit = 100;
    setup.more = "accounts-poll-interval=1\n".to_owned();
    let server = setup.start();
    server.until(|gauges| gauges["registered"] == 1);
    let mut there = call(server.udp()).expect("an account");
    let load = Load::start(server.udp());

    daemon.freeze();
    thread::sleep(absence());
    there.is_up();
    // A reload finds it silent as well, waits for no longer than it may, and keeps what is known.
    let reload = Instant::now();
    server.service.signal(rustix::process::Signal::HUP);
    server.until_logged("reloaded");
    assert!(
        reload.elapsed() < Duration::from_secs(6),
        "{:?}",
        reload.elapsed()
    );
    call(server.udp()).expect("what is known stays").end();
    daemon.thaw();
    run(daemon.port, &[row("two")]);
    // What it was asked before it fell silent is given up after 20 s at the latest.
    server.until_within(Duration::from_secs(60), |gauges| gauges["registered"] == 2);
    daemon.end();
    thread::sleep(absence());
    there.is_up();
    assert_eq!(server.gauges()["registered"], 2);
    let calls = load.stop();
    assert!(calls.len() > 20, "there was load");
    for (_, outcome, took) in calls {
        assert_eq!(outcome, Ok(()));
        assert!(took < PROMPT, "{took:?}");
    }
    there.end();
    registrar.with(|registrar| assert!(registrar.complaints.is_empty(), "{:#?}", registrar.complaints));
}

#[test]
fn a_registrar_that_is_silent_takes_its_accounts_out_of_use_until_it_is_back() {
    let mut registrar = Registrar::new("example.org", &[("one", "secret")]);
    // What was granted lapses within the time.
    registrar.grants = 3;
    let registrar = Listening::start(registrar);
    let account = r#"[{"uri": "sip:one@example.org", "secretType": "clrtxt", "secret": "secret"}]"#;
    let mut setup = Setup::new(registrar.address, account);
    setup.limit = 100;
    let server = setup.start();
    server.until(|gauges| gauges["registered"] == 1);
    let mut there = call(server.udp()).expect("an account");
    let load = Load::start(server.udp());
    thread::sleep(Duration::from_secs(1));

    let silent = Instant::now();
    registrar.with(|registrar| registrar.silent = true);
    thread::sleep(absence());
    there.is_up();
    let back = Instant::now();
    registrar.with(|registrar| registrar.silent = false);
    server.until_within(Duration::from_secs(60), |gauges| gauges["registered"] == 1);
    let registered = Instant::now();
    println!("registered again after {:?}", registered - back);
    thread::sleep(Duration::from_secs(1));
    let calls = load.stop();
    let lapsed = silent + Duration::from_secs(3);
    let mut refused = 0;
    for (at, outcome, took) in &calls {
        assert!(*took < PROMPT, "{took:?}");
        if *at < silent || *at > registered + Duration::from_millis(500) {
            assert_eq!(*outcome, Ok(()));
        } else if *at > lapsed + Duration::from_millis(300) && *at < back {
            assert_eq!(
                *outcome,
                Err(488),
                "an account that is not registered is not used"
            );
            refused += 1;
        }
    }
    assert!(refused > 3, "{refused}");
    assert!(
        calls
            .iter()
            .any(|(at, ..)| *at > registered + Duration::from_millis(500))
    );
    there.end();
    server.until_empty();
}
