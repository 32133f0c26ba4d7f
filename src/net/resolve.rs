//! From a SIP URI to addresses (RFC 3263).

use super::order::{self, Naptr, Srv};
use crate::{
    call::LookupError,
    sip::{Ids, Uri, routing::Transport, uri::Scheme},
};
use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    proto::rr::{RData, RecordType},
    system_conf::read_system_conf,
};
use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// Addresses that one lookup gives at most.
const MOST: usize = 16;
/// SRV records that are followed at most.
const MOST_SRV: usize = 10;
/// The longest that a lookup takes in all.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a target that did not answer stands behind the others.
const DEAD: Duration = Duration::from_secs(30);
/// Dead and busy targets that are remembered.
const MOST_DEAD: usize = 1024;
/// The longest that a target stands behind the others because it asks for it.
const LONGEST_BUSY: Duration = Duration::from_secs(600);
/// The port of SIP, and that of SIP over TLS (RFC 3261 §19.1.2).
const fn port(transport: Transport) -> u16 {
    match transport {
        Transport::Tls => 5061,
        _ => 5060,
    }
}

/// One place where a request can go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    pub(super) server_name: Option<String>,
    pub(super) fixed_transport: bool,
}

/// Asks DNS, and remembers who did not answer.
pub(super) struct Resolver {
    dns: Option<TokioResolver>,
    ids: Mutex<Ids>,
    /// Until when each target stands behind the others.
    dead: Mutex<HashMap<(Transport, SocketAddr), Instant>>,
}

/// What a URI says before DNS is asked.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    host: &'a str,
    port: Option<u16>,
    transport: Option<Transport>,
    /// Nothing but TLS will do.
    is_secure: bool,
}

impl<'a> Wanted<'a> {
    fn of(uri: &'a Uri) -> Result<Self, LookupError> {
        let is_secure = match uri.scheme() {
            Scheme::Sip => false,
            Scheme::Sips => true,
            Scheme::Tel | Scheme::Other => return Err(LookupError::Scheme(uri.to_string())),
        };
        let word = uri.param("transport").flatten().map(str::to_ascii_lowercase);
        let transport = match (is_secure, word.as_deref()) {
            (false, None) => None,
            (false, Some("udp")) => Some(Transport::Udp),
            (false, Some("tcp")) => Some(Transport::Tcp),
            // RFC 3261 §26.2.2: TLS over TCP, whatever else stands there.
            (false, Some("tls")) | (true, None | Some("tcp" | "tls")) => Some(Transport::Tls),
            _ => return Err(LookupError::Unavailable(uri.to_string())),
        };
        let host = uri.param("maddr").flatten().unwrap_or(uri.host());
        Ok(Self {
            host,
            port: uri.port(),
            transport,
            is_secure,
        })
    }
    fn place(&self, transport: Transport, ip: IpAddr, port: u16) -> Place {
        Place {
            transport,
            remote: SocketAddr::new(ip, port),
            // What TLS asks for is the domain, not the machine that DNS names for it (RFC 5922 §7.3).
            server_name: Some(self.host.to_owned()),
            fixed_transport: self.transport.is_some(),
        }
    }
}

impl Resolver {
    /// Asks `name_servers`, or those of `/etc/resolv.conf` when there are none.
    pub(super) fn new(name_servers: &[SocketAddr]) -> Self {
        let (config, mut options) = if name_servers.is_empty() {
            read_system_conf().unwrap_or_else(|error| {
                tracing::warn!(%error, "no usable /etc/resolv.conf, asking 127.0.0.1");
                let local = (IpAddr::from(Ipv4Addr::LOCALHOST), 53).into();
                (asking(&[local]), ResolverOpts::default())
            })
        } else {
            (asking(name_servers), ResolverOpts::default())
        };
        options.timeout = Duration::from_secs(2);
        options.attempts = 2;
        options.cache_size = 4096;
        // A negative answer must not outlive the operator's patience.
        options.negative_max_ttl = Some(Duration::from_secs(30));
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let dns = builder
            .build()
            .inspect_err(|error| tracing::error!(%error, "names cannot be looked up"))
            .ok();
        Self {
            dns,
            ids: Mutex::new(Ids::from_system()),
            dead: Mutex::default(),
        }
    }
    /// The place of a URI whose host is a literal; `None` when DNS must be asked.
    pub(super) fn numeric(&self, uri: &Uri) -> Result<Option<Place>, LookupError> {
        let wanted = Wanted::of(uri)?;
        let host = wanted.host.trim_start_matches('[').trim_end_matches(']');
        let Ok(ip) = host.parse() else {
            return Ok(None);
        };
        let transport = wanted.transport.unwrap_or(Transport::Udp);
        Ok(Some(Place {
            server_name: None,
            ..wanted.place(transport, ip, wanted.port.unwrap_or(port(transport)))
        }))
    }
    /// The places of a URI whose host is a name, in the order of RFC 3263, at most [`MOST`].
    pub(super) async fn places(&self, uri: &Uri) -> Result<Vec<Place>, LookupError> {
        let wanted = Wanted::of(uri)?;
        let dns = self
            .dns
            .as_ref()
            .ok_or_else(|| LookupError::Failed(wanted.host.to_owned(), "no name servers".into()))?;
        #[expect(clippy::disallowed_methods, reason = "resolving is I/O and has its own clock")]
        let found = tokio::time::timeout(PATIENCE, self.ask(dns, &wanted)).await;
        let mut places =
            found.map_err(|_| LookupError::Failed(wanted.host.to_owned(), "no answer in time".into()))??;
        places.truncate(MOST);
        if places.is_empty() {
            return Err(LookupError::NotFound(wanted.host.to_owned()));
        }
        Ok(places)
    }
    async fn ask(&self, dns: &TokioResolver, wanted: &Wanted<'_>) -> Result<Vec<Place>, LookupError> {
        let host = wanted.host;
        if let Some(port) = wanted.port {
            let transport = wanted.transport.unwrap_or(Transport::Udp);
            let ips = addresses(dns.clone(), host.to_owned()).await?;
            return Ok(ips
                .into_iter()
                .map(|ip| wanted.place(transport, ip, port))
                .collect());
        }
        // Which SRV names, in which order (RFC 3263 §4.1).
        let services = match wanted.transport {
            // RFC 3263 §4.1: for sips NAPTR may name another domain, and TLS alone.
            Some(Transport::Tls) if wanted.is_secure => {
                let mut found = order::naptr(naptr(dns, host).await?);
                found.retain(|(transport, _)| *transport == Transport::Tls);
                if found.is_empty() {
                    found.push((Transport::Tls, service(Transport::Tls, host)));
                }
                found
            }
            Some(transport) => vec![(transport, service(transport, host))],
            None => {
                let found = order::naptr(naptr(dns, host).await?);
                if found.is_empty() {
                    [Transport::Udp, Transport::Tcp]
                        .map(|transport| (transport, service(transport, host)))
                        .to_vec()
                } else {
                    found
                }
            }
        };
        let mut records = Vec::new();
        for (transport, name) in services {
            let found = srv(dns, &name).await?;
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            records.extend(
                order::srv(found, &mut ids)
                    .into_iter()
                    .map(|record| (transport, record)),
            );
        }
        if records.is_empty() {
            let transport = wanted.transport.unwrap_or(Transport::Udp);
            let ips = addresses(dns.clone(), host.to_owned()).await?;
            return Ok(ips
                .into_iter()
                .map(|ip| wanted.place(transport, ip, port(transport)))
                .collect());
        }
        records.truncate(MOST_SRV);
        Ok(follow(dns, wanted, records).await)
    }
    /// A target did not answer.
    pub(super) fn note_dead(&self, transport: Transport, remote: SocketAddr) {
        self.put_back(transport, remote, DEAD);
    }
    /// A target does not want requests for that time (RFC 3261 §21.5.4).
    pub(super) fn note_busy(&self, transport: Transport, remote: SocketAddr, time: Duration) {
        self.put_back(transport, remote, time.min(LONGEST_BUSY));
    }
    #[expect(clippy::disallowed_methods, reason = "resolving is I/O and has its own clock")]
    fn put_back(&self, transport: Transport, remote: SocketAddr, time: Duration) {
        let now = Instant::now();
        let mut dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        if dead.len() >= MOST_DEAD {
            dead.retain(|_, until| now < *until);
        }
        if dead.len() < MOST_DEAD {
            dead.insert((transport, remote), now + time);
        }
    }
    /// The same places with those that lately did not answer, or asked to be left alone, behind the others. None is left out: when
    /// all are dead, all are tried; and a 503 may speak of one destination behind a proxy, not of the proxy.
    #[expect(clippy::disallowed_methods, reason = "resolving is I/O and has its own clock")]
    pub(super) fn dead_last(&self, mut places: Vec<Place>) -> Vec<Place> {
        if places.len() < 2 {
            return places;
        }
        let now = Instant::now();
        let dead = self.dead.lock().unwrap_or_else(PoisonError::into_inner);
        places.sort_by_key(|place| {
            dead.get(&(place.transport, place.remote))
                .is_some_and(|until| now < *until)
        });
        places
    }
}

fn asking(name_servers: &[SocketAddr]) -> ResolverConfig {
    let servers = name_servers
        .iter()
        .map(|server| {
            let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                connection.port = server.port();
                connection
            });
            NameServerConfig::new(server.ip(), true, connections.into())
        })
        .collect();
    ResolverConfig::from_name_servers(servers)
}

/// `_sip._udp.example.org`, `_sips._tcp.example.org`
fn service(transport: Transport, host: &str) -> String {
    let label = match transport {
        Transport::Tls => "_sips._tcp",
        Transport::Tcp => "_sip._tcp",
        _ => "_sip._udp",
    };
    format!("{label}.{host}")
}

/// What DNS gave, where "there is none" is an empty answer.
fn answers<T>(host: &str, found: Result<Vec<T>, NetError>) -> Result<Vec<T>, LookupError> {
    match found {
        Ok(found) => Ok(found),
        Err(error) if error.is_no_records_found() || error.is_nx_domain() => Ok(Vec::new()),
        Err(error) => Err(LookupError::Failed(host.to_owned(), error.to_string())),
    }
}

async fn records<T>(
    dns: &TokioResolver,
    name: &str,
    kind: RecordType,
    pick: impl Fn(&RData) -> Option<T>,
) -> Result<Vec<T>, LookupError> {
    // The trailing dot keeps search domains out: SIP's names are complete.
    let full = format!("{}.", name.trim_end_matches('.'));
    let found = dns.lookup(full, kind).await;
    answers(
        name,
        found.map(|found| {
            found
                .answers()
                .iter()
                .filter_map(|record| pick(&record.data))
                .collect()
        }),
    )
}

async fn naptr(dns: &TokioResolver, host: &str) -> Result<Vec<Naptr>, LookupError> {
    records(dns, host, RecordType::NAPTR, |data| match data {
        RData::NAPTR(found) => Some(Naptr {
            order: found.order,
            preference: found.preference,
            flags: String::from_utf8_lossy(&found.flags).into(),
            services: String::from_utf8_lossy(&found.services).into(),
            replacement: found.replacement.to_ascii(),
        }),
        _ => None,
    })
    .await
}

async fn srv(dns: &TokioResolver, name: &str) -> Result<Vec<Srv>, LookupError> {
    records(dns, name, RecordType::SRV, |data| match data {
        RData::SRV(found) => Some(Srv {
            priority: found.priority,
            weight: found.weight,
            port: found.port,
            target: found.target.to_ascii(),
        }),
        _ => None,
    })
    .await
}

/// IPv4 and IPv6 addresses of a host, in the order of DNS, IPv4 first. `/etc/hosts` and search domains count here.
async fn addresses(dns: TokioResolver, host: String) -> Result<Vec<IpAddr>, LookupError> {
    let found = dns.lookup_ip(host.as_str()).await;
    let mut ips = answers(&host, found.map(|found| found.iter().collect()))?;
    ips.sort_by_key(IpAddr::is_ipv6);
    Ok(ips)
}

/// The addresses of SRV targets, all asked at once, in the order of the records. A target whose lookup fails is left out.
async fn follow(dns: &TokioResolver, wanted: &Wanted<'_>, records: Vec<(Transport, Srv)>) -> Vec<Place> {
    let mut asked = JoinSet::new();
    for (index, (_, record)) in records.iter().enumerate() {
        let lookup = addresses(dns.clone(), record.target.clone());
        asked.spawn(async move { (index, lookup.await) });
    }
    let mut found: Vec<Vec<IpAddr>> = vec![Vec::new(); records.len()];
    while let Some(answer) = asked.join_next().await {
        if let Ok((index, Ok(ips))) = answer
            && let Some(place) = found.get_mut(index)
        {
            *place = ips;
        }
    }
    records
        .iter()
        .zip(found)
        .flat_map(|((transport, record), ips)| {
            ips.into_iter()
                .map(|ip| wanted.place(*transport, ip, record.port))
        })
        .collect()
}
