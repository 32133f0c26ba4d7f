//! What a server is told at start and at a reload.

use super::{cdr::Ledger, digest::Users, zid_cache::ZidCache};
use crate::{
    app::{Registrations, WallClock},
    call::bridge::CallSettings,
    config::Networks,
    media::dtls::{self, Identity},
    net::{Admission, Listen, tls::Security},
};
use std::{net::SocketAddr, ops::RangeInclusive, sync::Arc, time::Duration};

/// Everything that a server needs to know. A reload changes the fields that say so; the others take a restart.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where to listen, in the order of preference for what we write of ourselves.
    pub listen: Vec<Listen>,
    /// Certificates of listening addresses and of connections of ours, and web pages that may come. Reloaded.
    pub security: Security,
    /// Who may place calls, and whose word about a phone's address is believed; all others get 403. Reloaded.
    pub trusted_hosts: Networks,
    /// Who may call from anywhere with a password; `None`: nobody. Reloaded.
    pub users: Option<Arc<Users>>,
    /// `enable-keepalive`. Reloaded.
    pub keep_alive: bool,
    /// Messages and connections in a second that are taken of one host that is not trusted, and of all such hosts. Reloaded.
    pub stranger_rates: (u32, u32),
    /// Calls at the same time; beyond it, new ones get 503 with `Retry-After`. Reloaded.
    pub max_calls: usize,
    /// What new calls are made with: user agent, timers, durations. Reloaded, for new calls.
    pub calls: Arc<CallSettings>,
    /// The certificate whose fingerprint `calls` has. Reloaded, for new calls.
    pub identity: Option<Arc<Identity>>,
    /// What ZRTP retains of peers; without one it is kept in memory, for as long as the server lives.
    pub zid_cache: Option<Arc<ZidCache>>,
    /// Where records of calls go; the file is turned by whoever holds another handle to it.
    pub ledger: Ledger,
    /// The time of day, for records.
    pub clock: Arc<dyn WallClock>,
    /// What applications order to be registered; the same handle as theirs.
    pub registrations: Registrations,
    /// How many DTLS handshakes there may be.
    pub dtls: dtls::Limits,
    /// Threads of the media relay, at least 1.
    pub relay_threads: usize,
    /// Ports of audio streams, inclusive; `0..=0` lets the kernel choose.
    pub audio_ports: RangeInclusive<u16>,
    /// Ports of all other streams.
    pub video_ports: RangeInclusive<u16>,
    /// DNS servers; empty: those of `/etc/resolv.conf`.
    pub name_servers: Vec<SocketAddr>,
    /// How long calls may go on after [`super::Server::drain`]. Reloaded.
    pub drain_timeout: Duration,
}

impl ServerSettings {
    /// What strangers may take.
    pub(super) fn admission(&self) -> Admission {
        let trusted = self.trusted_hosts.clone();
        let networks = trusted
            .0
            .iter()
            .map(|network| network.parts())
            .collect::<Vec<_>>();
        let (registrars, listed) = (self.registrations.clone(), self.registrations.clone());
        let (per_source, of_strangers) = self.stranger_rates;
        Admission {
            // A registrar may call as long as an account of ours is registered there.
            trusts: Arc::new(move |host| trusted.contain(host.to_canonical()) || registrars.is_peer(host)),
            listed: Arc::new(move || {
                let registrars = listed.peers().into_iter();
                let whole = registrars.map(|host| (host, if host.is_ipv4() { 32 } else { 128 }));
                networks.iter().copied().chain(whole).collect()
            }),
            per_source,
            of_strangers,
        }
    }
}
