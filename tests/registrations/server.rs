//! A server in this process whose application takes no calls.

use b2bua::{
    app::{
        AccountKey, Application, Bound, BuildError, Decision, Failure, Invite, Origin, RegistrationPlan,
        Registrations, Services, SystemClock,
    },
    call::failure::Kind,
    config::Key,
    net::Listen,
    server::{Ledger, Server, ServerSettings},
    sip::{
        Status, Uri,
        auth::{Credentials, Secret},
        routing::Transport,
    },
};
use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

/// Declines all calls with 480.
struct Away;

impl Application for Away {
    const NAME: &'static str = "away";
    const HELP: &'static str = "Declines.";
    const KEYS: &'static [Key] = &[];
    type Config = ();
    type Call = ();

    async fn build((): (), _: &Services) -> Result<Self, BuildError> {
        Err(BuildError(Vec::new()))
    }
    async fn route(&self, (): &mut (), _: &Invite) -> Decision {
        Decision::Decline(Failure::new(
            Status::TEMPORARILY_UNAVAILABLE,
            Origin::App,
            Kind::Declined,
        ))
    }
}

/// One that trusts nobody of its own.
pub(crate) async fn start(registrations: Registrations) -> Server {
    start_with(registrations, Bound::new(Away)).await
}

/// The same with another application.
pub(crate) async fn start_with(registrations: Registrations, app: Bound) -> Server {
    let settings = ServerSettings {
        listen: vec![Listen {
            transport: Transport::Udp,
            address: "127.0.0.1:0".parse().expect("an address"),
            advertised: None,
        }],
        security: b2bua::net::tls::Security::default(),
        trusted_hosts: "192.0.2.1".parse().expect("a network"),
        users: None,
        keep_alive: false,
        stranger_rates: (50, 2_000),
        max_calls: 10,
        calls: Arc::new(b2bua::testing::settings()),
        identity: None,
        zid_cache: None,
        ledger: Ledger::open(None).expect("no file"),
        clock: Arc::new(SystemClock),
        registrations,
        dtls: b2bua::media::dtls::Limits::default(),
        relay_threads: 1,
        audio_ports: 0..=0,
        video_ports: 0..=0,
        name_servers: Vec::new(),
        drain_timeout: Duration::ZERO,
    };
    Server::start(settings, app).await.expect("it starts")
}

/// An account of that name at `registrar`, in the realm and domain `example.org`.
pub(crate) fn account(name: &str, secret: Secret, registrar: SocketAddr) -> (AccountKey, RegistrationPlan) {
    let uri = |text: String| Uri::parse(text).expect("a URI");
    let credentials = Credentials {
        username: name.to_owned(),
        realm: Some("example.org".to_owned()),
        secret,
    };
    let plan = RegistrationPlan {
        route: vec![uri(format!("sip:{registrar}"))],
        ..RegistrationPlan::new(
            uri(format!("sip:{name}@example.org")),
            uri(format!("sip:{registrar}")),
            Some(Arc::new(credentials)),
        )
    };
    (AccountKey::new("pool", name), plan)
}

/// Waits until `done`, at most so long; whether it came to it.
pub(crate) async fn until(patience: Duration, mut done: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + patience;
    while !done() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}
