//! The server under test, with its addresses.

use crate::process::Service;
use rustix::process::Signal;
use std::{collections::HashMap, net::SocketAddr, thread, time::Duration};

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
        let config = format!("[b2bua-server]\noutbound-proxy={proxy}\n{more}");
        let listen = format!("b2bua-server/transport={transport}");
        let service = Service::start(&config, &["-s", &listen, "-s", "global/log-level=trace"]);
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
    pub(crate) fn udp6(&self) -> SocketAddr {
        self.address("UDP", true)
    }
    pub(crate) fn tcp(&self) -> SocketAddr {
        self.address("TCP", false)
    }
    /// What there is, by name: the server's own answer to SIGUSR1.
    pub(crate) fn gauges(&self) -> HashMap<String, u64> {
        let lines = || {
            let output = self.service.output();
            let lines = output
                .lines()
                .filter(|line| line.contains(" calls=") && line.contains(" faults="));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let before = lines().len();
        self.service.signal(Signal::USR1);
        for _ in 0..2000 {
            if let Some(line) = lines().get(before) {
                return line
                    .split_whitespace()
                    .filter_map(|word| word.split_once('='))
                    .filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?)))
                    .collect();
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("no gauges in:\n{}", self.service.output());
    }
    /// Waits until the gauges are as wanted.
    pub(crate) fn until(&self, wanted: impl Fn(&HashMap<String, u64>) -> bool) -> HashMap<String, u64> {
        let mut gauges = self.gauges();
        for _ in 0..500 {
            if wanted(&gauges) {
                return gauges;
            }
            thread::sleep(Duration::from_millis(20));
            gauges = self.gauges();
        }
        panic!("not reached: {gauges:?}\n{}", self.service.output());
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
        self.until(|gauges| {
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
        });
    }
}
