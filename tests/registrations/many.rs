//! Ten thousand accounts at 500 a second with digest; of which a hundred change.

use super::{
    registrar::Listening,
    server::{account, start, until},
};
use b2bua::{
    app::{AccountKey, RegistrationPlan, Registrations},
    sip::auth::Secret,
    testing::Registrar,
};
use md5::{Digest, Md5};
use std::{
    collections::HashSet,
    net::SocketAddr,
    time::{Duration, Instant},
};

const MANY: usize = 10_000;
/// 500 a second.
const THROTTLE: Duration = Duration::from_millis(2);

fn accounts(registrar: SocketAddr, changed: usize) -> Vec<(AccountKey, RegistrationPlan)> {
    (0..MANY)
        .map(|number| {
            let name = format!("user{number}");
            // The same password, but not the same record.
            let secret = if number < changed {
                Secret::Md5Ha1(hex::encode(Md5::digest(format!("{name}:example.org:secret"))))
            } else {
                Secret::Clear("secret".to_owned())
            };
            let (key, mut plan) = account(&name, secret, registrar);
            plan.throttle = THROTTLE;
            (key, plan)
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_register_at_the_set_rate_and_a_hundred_changes_are_a_hundred_updates() {
    let names: Vec<String> = (0..MANY).map(|number| format!("user{number}")).collect();
    let passwords: Vec<_> = names.iter().map(|name| (name.as_str(), "secret")).collect();
    let mut registrar = Registrar::new("example.org", &passwords);
    registrar.grants = 3600;
    let registrar = Listening::start(registrar);
    let registrations = Registrations::default();
    let server = start(registrations.clone()).await;

    let began = Instant::now();
    registrations.set("pool", accounts(registrar.address, 0));
    let all = || server.gauges().registered.now() == MANY;
    assert!(until(Duration::from_secs(120), all).await, "{}", server.gauges());
    let took = began.elapsed();
    // No operation takes less than its interval from the one before, but for the first.
    let least = THROTTLE * (u32::try_from(MANY).expect("few") - 10);
    assert!(took >= least, "{took:?}: faster than the set rate");
    registrar.with(|registrar| {
        assert!(
            registrar.complaints.is_empty(),
            "{:#?}",
            registrar.complaints.first()
        );
        assert_eq!(registrar.bindings.len(), MANY);
        let first: Vec<Instant> = registrar
            .heard
            .iter()
            .filter(|(_, request)| !request.headers.contains("Authorization"))
            .map(|(at, _)| *at)
            .collect();
        let second = |from: &Instant| {
            let inside = |at: &&Instant| **at >= *from && **at < *from + Duration::from_secs(1);
            first.iter().filter(inside).count()
        };
        let most = first.iter().step_by(50).map(second).max().unwrap_or(0);
        println!(
            "{MANY} accounts in {took:?}: {:.0} a second, at most {most} in one, as the registrar heard them",
            MANY as f64 / took.as_secs_f64()
        );
        registrar.heard.clear();
    });

    registrations.set("pool", accounts(registrar.address, 100));
    let answered = || registrar.with(|registrar| registrar.heard.len()) >= 200;
    assert!(until(Duration::from_secs(10), answered).await);
    // And nothing more follows.
    tokio::time::sleep(Duration::from_secs(1)).await;
    registrar.with(|registrar| {
        assert_eq!(registrar.heard.len(), 200, "each without and with credentials");
        let calls = registrar
            .heard
            .iter()
            .map(|(_, request)| request.headers.call_id().expect("one"));
        assert_eq!(calls.collect::<HashSet<_>>().len(), 100);
        assert!(
            registrar.complaints.is_empty(),
            "{:#?}",
            registrar.complaints.first()
        );
    });
    assert_eq!(server.gauges().registered.now(), MANY);
}
