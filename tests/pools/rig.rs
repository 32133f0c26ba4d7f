//! A sip-bridge with one provider, and what it takes to call through it.

use crate::{
    callee::Callee,
    party::{Heard, Party, fresh},
    server::Server,
};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long to wait for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What a providers file and a configuration say, and where they are.
pub(crate) struct Setup {
    folder: TempDir,
    pub(crate) callee: Callee,
    pub(crate) registrar: SocketAddr,
    /// `loader`, as JSON.
    pub(crate) loader: String,
    /// `maxCallsPerLine`.
    pub(crate) limit: u32,
    /// `registrationRequired`.
    pub(crate) registers: bool,
    /// `registrationThrottlingRateMs`.
    pub(crate) throttle: u32,
    /// `accountToUse`, as JSON.
    pub(crate) strategy: String,
    /// `limits`, as JSON.
    pub(crate) caps: String,
    /// Calls go along the accounts' own way, the registrar's, and it is asked so often (seconds) whether it is there.
    pub(crate) qualify: Option<u32>,
    /// Keys of `[b2bua-server::sip-bridge]`, and further sections.
    pub(crate) more: String,
}

impl Setup {
    /// Accounts of that loader register at that registrar; calls go to a callee that does what the name called says.
    pub(crate) fn new(registrar: SocketAddr, loader: impl Into<String>) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            callee: Callee::start(),
            registrar,
            loader: loader.into(),
            limit: 2,
            registers: true,
            throttle: 0,
            strategy: r#"{"strategy": "Random"}"#.to_owned(),
            caps: "{}".to_owned(),
            qualify: None,
            more: String::new(),
        }
    }
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
    /// Writes the providers file.
    pub(crate) fn write(&self) {
        let Self {
            limit,
            registers,
            throttle,
            strategy,
            loader,
            caps,
            ..
        } = self;
        let way = match self.qualify {
            Some(interval) => format!(r#"}}, "qualify": {{"interval": {interval}}}"#),
            None => format!(r#", "outboundProxy": "<sip:{}>"}}"#, self.callee.address),
        };
        let text = format!(
            r#"{{"schemaVersion": 2,
            "providers": [{{"name": "p", "accountPool": "pool", "accountToUse": {strategy},
                "onAccountNotFound": "decline", "limits": {caps}, "triggerCondition": {{"strategy": "Always"}},
                "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}"{way} }}],
            "accountPools": {{"pool": {{"registrationRequired": {registers}, "maxCallsPerLine": {limit},
                "outboundProxy": "<sip:{registrar}>", "registrar": "<sip:{registrar}>",
                "registrationThrottlingRateMs": {throttle}, "loader": {loader} }} }} }}"#,
            registrar = self.registrar,
        );
        fs::write(self.path("providers.json"), text).expect("writable");
    }
    /// What stands in `[b2bua-server]` and below it.
    pub(crate) fn config(&self) -> String {
        format!(
            "application=sip-bridge\ntrusted-hosts=127.0.0.1\nmax-calls=5000\nno-rtp-timeout=600\n[b2bua-server::sip-bridge]\nproviders={}\n{}",
            self.path("providers.json").display(),
            self.more
        )
    }
    pub(crate) fn start(&self) -> Server {
        self.write();
        Server::quiet(" ", &self.config())
    }
}

/// What names a Redis of ours in a configuration.
pub(crate) fn redis(port: u16) -> String {
    format!(
        "[module::Registrar]\nredis-server-domain=127.0.0.1\nredis-server-port={port}\nredis-auth-password=pw\n\
         redis-subscription-keep-alive-check-period=1\n"
    )
}

/// How long what a server depends on is gone; `POOLS_GONE=60` for the whole minute.
pub(crate) fn absence() -> Duration {
    let seconds = std::env::var("POOLS_GONE").map_or(4, |text| text.parse().expect("a number"));
    Duration::from_secs(seconds)
}

/// When a call began, how it went, and after what time that was known.
pub(crate) type Called = (Instant, Result<(), u16>, Duration);

/// Calls one after another, until it is stopped.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    made: Arc<AtomicUsize>,
    thread: thread::JoinHandle<Vec<Called>>,
}

impl Load {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let stop: Arc<AtomicBool> = Arc::default();
        let over = stop.clone();
        let made: Arc<AtomicUsize> = Arc::default();
        let count = made.clone();
        let thread = thread::spawn(move || {
            let mut calls = Vec::new();
            while !over.load(Relaxed) {
                let began = Instant::now();
                let outcome = call(server);
                let took = began.elapsed();
                calls.push((began, outcome.map(Up::end), took));
                count.fetch_add(1, Relaxed);
                thread::sleep(Duration::from_millis(30));
            }
            calls
        });
        Self { stop, made, thread }
    }
    /// Waits until so many more have been made.
    pub(crate) fn until_more(&self, more: usize) {
        let before = self.made.load(Relaxed);
        until("more calls are made", || self.made.load(Relaxed) >= before + more);
    }
    /// What became of all of them.
    pub(crate) fn stop(self) -> Vec<Called> {
        self.stop.store(true, Relaxed);
        self.thread.join().expect("no panic")
    }
}

/// A SQLite loader of Flexisip's columns.
pub(crate) fn sqlite(path: &Path) -> String {
    loader("sqlite3", &path.display().to_string())
}

/// A loader of Flexisip's columns.
pub(crate) fn loader(backend: &str, connection: &str) -> String {
    format!(
        r#"{{"dbBackend": "{backend}", "connection": "{connection}", "threadPoolSize": 4,
            "initQuery": "SELECT * FROM accounts ORDER BY username",
            "updateQuery": "SELECT * FROM accounts WHERE user_id = :identifier"}}"#
    )
}

/// Looks until it is so.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A call that was answered.
pub(crate) struct Up {
    party: Party,
    answer: Heard,
    /// Requests of ours.
    sent: u32,
}

impl Up {
    pub(crate) fn end(mut self) {
        let bye = self.party.within("BYE", self.sent + 1, &self.answer);
        self.party.send(&bye);
        self.party.expect("SIP/2.0 200");
    }
    /// The call is still there: both sides answer in it.
    pub(crate) fn is_up(&mut self) {
        self.sent += 1;
        let options = self.party.within("OPTIONS", self.sent, &self.answer);
        self.party.send(&options);
        self.party.expect("SIP/2.0 200");
    }
}

/// Calls, and says with what it was refused, and how long that took.
pub(crate) fn call(server: SocketAddr) -> Result<Up, u16> {
    let mut party = Party::udp("127.0.0.1", server);
    let invite = party.invite(&fresh("pool"), &format!("sip:answer@{server}"));
    party.send(&invite);
    loop {
        let heard = party.hear();
        let code: u16 = heard
            .start()
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok())
            .unwrap_or(0);
        match code {
            0 => panic!("unexpected: {}", heard.0),
            1..200 => {}
            200 => {
                let ack = party.within("ACK", 1, &heard);
                party.send(&ack);
                return Ok(Up {
                    party,
                    answer: heard,
                    sent: 1,
                });
            }
            _ => {
                party.ack_failure(&invite, &heard);
                return Err(code);
            }
        }
    }
}
