//! The server under test, with its addresses.
#![allow(dead_code, reason = "each test that shares this uses a part of it")]
#![allow(clippy::disallowed_methods, reason = "wires are watched in real time")]

use crate::process::Service;
use rustix::process::Signal;
use std::{
    collections::HashMap,
    fs::File,
    io::{Read, Seek, SeekFrom},
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

/// A running server.
pub(crate) struct Server {
    pub(crate) service: Service,
    listening: Vec<(String, SocketAddr)>,
}

impl Server {
    /// Listens on UDP and TCP of 127.0.0.1 and sends calls to `proxy` (a SIP URI, or a space for none).
    pub(crate) fn start(proxy: &str, more: &str) -> Self {
        Self::listening_on("sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp", proxy, more)
    }
    /// The same with other transports.
    pub(crate) fn listening_on(transport: &str, proxy: &str, more: &str) -> Self {
        Self::logging("trace", transport, proxy, more)
    }
    /// The same as [`Self::start`] with a line for each phase of a call in its log and no more.
    pub(crate) fn quiet(proxy: &str, more: &str) -> Self {
        let transport = "sip:127.0.0.1:0 sip:127.0.0.1:0;transport=tcp";
        Self::logging("message", transport, proxy, more)
    }
    /// The same with other transports.
    pub(crate) fn quiet_on(transport: &str, proxy: &str, more: &str) -> Self {
        Self::logging("message", transport, proxy, more)
    }
    fn logging(level: &str, transport: &str, proxy: &str, more: &str) -> Self {
        let config = format!("[b2bua-server]\ndata-directory=none\noutbound-proxy={proxy}\n{more}");
        let level = format!("global/log-level={level}");
        let listen = format!("b2bua-server/transport={transport}");
        let service = Service::start(&config, &["-s", &listen, "-s", &level]);
        service.wait_for("READY=1");
        service.ignore_notifications();
        let listening = service
            .output()
            .lines()
            .filter_map(|line| {
                let (transport, address) = line.split_once("listening on ")?.1.split_once(' ')?;
                Some((transport.to_owned(), address.trim().parse().ok()?))
            })
            .collect();
        Self { service, listening }
    }
    fn address(&self, transport: &str, ipv6: bool) -> SocketAddr {
        let found = self
            .listening
            .iter()
            .find(|(kind, address)| kind == transport && address.is_ipv6() == ipv6);
        found
            .unwrap_or_else(|| panic!("it does not listen on {transport}: {:?}", self.listening))
            .1
    }
    pub(crate) fn udp(&self) -> SocketAddr {
        self.address("UDP", false)
    }
    /// UDP at that address of ours.
    pub(crate) fn udp_of(&self, ip: &str) -> SocketAddr {
        let ip: std::net::IpAddr = ip.parse().expect("an address");
        let mut here = self.listening.iter().filter(|(_, address)| address.ip() == ip);
        here.find(|(kind, _)| kind == "UDP").expect("it listens there").1
    }
    pub(crate) fn udp6(&self) -> SocketAddr {
        self.address("UDP", true)
    }
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.address("TCP", false)
    }
    pub(crate) fn tls(&self) -> SocketAddr {
        self.address("TLS", false)
    }
    pub(crate) fn wss(&self) -> SocketAddr {
        self.address("WSS", false)
    }
    /// What there is, by name: the server's own answer to SIGUSR1.
    pub(crate) fn gauges(&self) -> HashMap<String, u64> {
        let mut log = File::open(self.service.file("output")).expect("readable");
        log.seek(SeekFrom::End(0)).expect("a file");
        let mut written = String::new();
        self.service.signal(Signal::USR1);
        for _ in 0..2000 {
            log.read_to_string(&mut written).expect("readable");
            let mut lines = written.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(line) = lines.find(|line| line.contains(" calls=") && line.contains(" faults=")) {
                return line
                    .split_whitespace()
                    .filter_map(|word| word.split_once('='))
                    .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
                    .collect();
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no gauges in:\n{written}");
    }
    /// Waits until the gauges are as wanted.
    pub(crate) fn until(&self, wanted: impl Fn(&HashMap<String, u64>) -> bool) -> HashMap<String, u64> {
        self.until_within(Duration::from_secs(10), wanted)
    }
    pub(crate) fn until_within(
        &self,
        patience: Duration,
        wanted: impl Fn(&HashMap<String, u64>) -> bool,
    ) -> HashMap<String, u64> {
        let end = Instant::now() + patience;
        loop {
            let gauges = self.gauges();
            if wanted(&gauges) {
                return gauges;
            }
            assert!(Instant::now() < end, "not reached: {gauges:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
    /// Waits until its log says this.
    pub(crate) fn until_logged(&self, text: &str) {
        for _ in 0..1000 {
            if self.service.output().contains(text) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        panic!("{text:?} is not in:\n{}", self.service.output());
    }
    /// Waits until no call, dialog, transaction or port is left.
    pub(crate) fn until_empty(&self) {
        self.until(no_call_is_left);
    }
}

/// Whether all that belongs to calls has gone.
pub(crate) fn no_call_is_left(gauges: &HashMap<String, u64>) -> bool {
    [
        "calls",
        "tasks",
        "dialogs",
        "transactions",
        "media-sessions",
        "media-ports",
        "media-flows",
    ]
    .iter()
    .all(|name| gauges[*name] == 0)
}

/// Whether what lingers of them by RFC 3261's timers has gone too.
pub(crate) fn nothing_is_left(gauges: &HashMap<String, u64>) -> bool {
    no_call_is_left(gauges) && gauges["tombstones"] == 0
}
