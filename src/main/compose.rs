//! From the configuration to what the server and the applications are made of.

use b2bua::{
    app::{Built, OwnConnections, Registered, Registrations, Remarks, Services, SystemClock},
    call::{
        bridge::CallSettings,
        leg::{Profile, SessionTimers},
    },
    config::{self, Config, ConfigErrors, Host, Listening, Network, Networks, TlsVerify, Transports},
    media::{
        Suite,
        dtls::{self, Identity},
    },
    net::{
        Limits, Listen,
        tls::{Security, TlsFault, TlsFiles, Verify},
    },
    sdp,
    server::{
        Ledger, ServerSettings,
        cdr::{CdrFile, CdrFormat},
        digest::Users,
        fresh_zid,
        zid_cache::ZidCache,
    },
    sip::{Ids, routing::Transport, timers::Timers},
};
use std::{
    net::IpAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

/// What applications are lent.
///
/// # Errors
/// What of it cannot be had as the configuration says.
pub(crate) fn services(
    config: &Config,
    server: &config::Server,
    registrations: &Registrations,
) -> Result<Services, ConfigErrors> {
    Ok(Services {
        outbound_proxy: server.outbound_proxy.0.clone(),
        latching: server.nat_latching,
        clock: Arc::new(SystemClock),
        directory: config.path().parent().unwrap_or(Path::new("")).to_owned(),
        registrations: registrations.clone(),
        redis: config.redis()?,
        own_connections: server.one_connection_per_account.then(|| OwnConnections {
            most: Limits::of_process().own,
            files: Limits::FILES_OF_OWN,
        }),
        remarks: Remarks::default(),
    })
}

/// The application that the configuration names, made from its section, and what it remarks on.
///
/// # Errors
/// All that is wrong with the section.
pub(crate) async fn application(
    known: &[Registered],
    config: &Config,
    server: &config::Server,
    registrations: &Registrations,
) -> Result<(Built, Vec<String>), ConfigErrors> {
    let services = services(config, server, registrations)?;
    let Some(entry) = known.iter().find(|entry| entry.name == server.application) else {
        return Err(config.refuse("b2bua-server", "application", "there is no such application", ""));
    };
    let built = entry.build(config, &services).await?;
    Ok((built, services.remarks.take()))
}

/// Session timers; what is longer than a number of seconds can say is as good as never.
fn sessions(server: &config::Server) -> SessionTimers {
    let seconds = |config::Seconds(time)| u32::try_from(time.as_secs()).unwrap_or(u32::MAX);
    SessionTimers {
        expires: Some(seconds(server.session_expires)).filter(|seconds| *seconds > 0),
        min_se: seconds(server.min_se),
    }
}

/// Where to listen; names are looked up here, once.
///
/// # Errors
/// A name that has no address.
pub(crate) async fn listen(server: &config::Server) -> Result<Vec<Listen>, String> {
    let mut all = Vec::new();
    for Listening {
        transport,
        host,
        port,
        ..
    } in &server.transport.0
    {
        let (address, advertised) = match host {
            Host::Address(address) => (*address, None),
            Host::Name(name) => (look_up(name).await?[0], Some(name.clone())),
        };
        all.push(Listen {
            transport: *transport,
            address: (address, *port).into(),
            advertised,
        });
    }
    Ok(all)
}

/// What is done with TLS, who may come with a password, and what is odd about either, by key.
pub(crate) type Secured = (Security, Option<Arc<Users>>, Vec<String>);

/// Reads all certificates and keys that `listening` (what the server listens on since its start) and the section name, and the
/// users. What is no reason to refuse them comes back beside.
///
/// # Errors
/// All that is wrong with the files.
pub(crate) fn security(
    config: &Config,
    server: &config::Server,
    listening: &Transports,
) -> Result<Secured, ConfigErrors> {
    let file = |name: &str| (!name.is_empty()).then(|| PathBuf::from(name));
    let verify = |word| match word {
        TlsVerify::None => Verify::Nobody,
        TlsVerify::Servers => Verify::Servers,
        TlsVerify::Optional => Verify::Optional,
        TlsVerify::Required => Verify::Required,
    };
    let common = TlsFiles {
        certificate: file(&server.tls_certificate),
        key: file(&server.tls_key),
        authorities: file(&server.tls_ca),
        verify: verify(server.tls_verify),
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a certificate's validity is by wall-clock time"
    )]
    let now = std::time::SystemTime::now();
    let (mut faults, mut remarks) = (Vec::new(), Vec::new());
    let mut acceptors = Vec::new();
    for Listening { transport, tls, .. } in &listening.0 {
        if !matches!(transport, Transport::Tls | Transport::Wss) {
            acceptors.push(None);
            continue;
        }
        // A key belongs to its certificate.
        let key = match &tls.certificate {
            Some(_) => tls.key.clone(),
            None => tls.key.clone().or_else(|| common.key.clone()),
        };
        let files = TlsFiles {
            certificate: tls.certificate.clone().or_else(|| common.certificate.clone()),
            key,
            authorities: tls.authorities.clone().or_else(|| common.authorities.clone()),
            verify: tls.verify.map_or(common.verify, verify),
        };
        let own = tls.certificate.is_some() || tls.key.is_some() || tls.authorities.is_some();
        // Where the address names the file, the report names the address.
        let place = |fault: TlsFault| match own {
            true => ("transport", fault.to_string()),
            false => (fault.key, fault.what),
        };
        match files.acceptor(now, &mut remarks) {
            Ok(acceptor) => acceptors.push(Some(acceptor)),
            Err(wrong) => faults.extend(wrong.into_iter().map(place)),
        }
    }
    let connector = match common.connector(now, &mut remarks) {
        Ok(connector) => Some(connector),
        Err(wrong) => {
            faults.extend(wrong.into_iter().map(|fault| (fault.key, fault.what)));
            None
        }
    };
    remarks.dedup();
    let mut remarks: Vec<_> = remarks.iter().map(ToString::to_string).collect();
    let mut users = None;
    if let Some(file) = &server.digest_users {
        match Users::read(file) {
            Ok((read, odd)) => {
                users = Some(Arc::new(read));
                remarks.extend(odd.iter().map(|what| format!("digest-users: {what}")));
            }
            Err(wrong) => faults.extend(wrong.into_iter().map(|what| ("digest-users", what))),
        }
    }
    if !faults.is_empty() {
        faults.sort();
        faults.dedup();
        return Err(config.refuse_all("b2bua-server", &faults));
    }
    let security = Security {
        acceptors,
        connector,
        origins: server.websocket_origins.0.clone(),
    };
    Ok((security, users, remarks))
}

/// At least one address.
async fn look_up(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = tokio::net::lookup_host((name, 0)).await;
    let found = found.map_err(|error| format!("{name} cannot be looked up: {error}"))?;
    let addresses: Vec<_> = found.map(|address| address.ip()).collect();
    if addresses.is_empty() {
        Err(format!("{name} has no address"))
    } else {
        Ok(addresses)
    }
}

/// Who may place calls: `trusted-hosts`, and the outbound proxy as far as its host can be looked up.
pub(crate) async fn trusted(server: &config::Server) -> Networks {
    let Networks(mut networks) = server.trusted_hosts.clone();
    let proxy = server.outbound_proxy.0.as_ref().map(|uri| uri.host());
    if let Some(host) = proxy {
        let addresses = match host.parse::<IpAddr>() {
            Ok(address) => vec![address],
            Err(_) => look_up(host).await.unwrap_or_else(|error| {
                tracing::warn!("b2bua-server/outbound-proxy: {error}; it is trusted only if trusted-hosts names its address");
                Vec::new()
            }),
        };
        networks.extend(addresses.into_iter().map(Network::from));
    }
    Networks(networks)
}

/// The certificate for DTLS: kept in the data directory, else made for this run. A directory that cannot be used costs no
/// call: peers take any certificate that its description names.
pub(crate) fn identity(server: &config::Server) -> Option<Arc<Identity>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a certificate's validity is by wall-clock time"
    )]
    let now = std::time::SystemTime::now();
    let kept = match server.data_directory.as_str() {
        config::NOTHING_KEPT => None,
        directory => match Identity::load_or_make(Path::new(directory), now) {
            Ok(identity) => Some(identity),
            Err(error) => {
                tracing::error!(
                    "b2bua-server/data-directory: {error}; this run has a certificate of its own"
                );
                None
            }
        },
    };
    let identity = kept.map_or_else(|| Identity::ephemeral(now), Ok);
    identity
        .inspect_err(|error| tracing::error!("{error}: calls with DTLS-SRTP are refused"))
        .ok()
        .map(Arc::new)
}

/// What ZRTP retains, kept in the data directory. `None`: it is kept in memory.
pub(crate) async fn zid_cache(server: &config::Server) -> Option<Arc<ZidCache>> {
    let directory = server.data_directory.as_str();
    if directory == config::NOTHING_KEPT {
        return None;
    }
    let fresh = fresh_zid(&mut Ids::from_system());
    match ZidCache::open(Path::new(directory), fresh).await {
        Ok(cache) => Some(Arc::new(cache)),
        Err(error) => {
            tracing::error!("b2bua-server/data-directory: {error}; what ZRTP retains ends with this run");
            None
        }
    }
}

/// Where records of calls go.
pub(crate) fn cdr(server: &config::Server) -> Option<CdrFile> {
    let path = server.cdr_file.clone()?;
    let format = match server.cdr_format {
        config::CdrFormat::Json => CdrFormat::Json,
        config::CdrFormat::Csv => CdrFormat::Csv,
    };
    Some(CdrFile { path, format })
}

/// Handshakes that may exist for each one that may go on: they wait for their peer's ClientHello, or for their turn.
const WAITING: usize = 10;

/// What the server is told.
pub(crate) fn settings(
    server: &config::Server,
    listen: Vec<Listen>,
    (security, users): (Security, Option<Arc<Users>>),
    trusted: Networks,
    identity: Option<Arc<Identity>>,
    zid_cache: Option<Arc<ZidCache>>,
    ledger: Ledger,
) -> ServerSettings {
    let duration = server.max_call_duration.0;
    ServerSettings {
        listen,
        security,
        trusted_hosts: trusted,
        users,
        keep_alive: server.enable_keepalive,
        stranger_rates: (server.stranger_rate, server.strangers_rate),
        max_calls: server.max_calls,
        calls: Arc::new(CallSettings {
            profile: Arc::new(Profile {
                user_agent: server.user_agent.0.as_str().into(),
                timers: Timers {
                    unanswered: server.unanswered_timeout.0,
                    ..Timers::default()
                },
                sessions: sessions(server),
                reliable: server.reliable_provisional,
            }),
            max_duration: (!duration.is_zero()).then_some(duration),
            no_rtp: Some(server.no_rtp_timeout.0),
            rtp_keepalive: Some(server.rtp_keepalive.0).filter(|time| !time.is_zero()),
            transfer: server.transfer_mode,
            media_addresses: server.media_address.0.clone(),
            suites: Suite::ALL.to_vec(),
            fingerprint: identity
                .as_ref()
                .and_then(|own| own.fingerprints().first().cloned()),
            codecs: sdp::Codecs {
                audio: server.audio_codec.0.clone(),
                video: server.video_codec.0.clone(),
            },
            follow_redirects: server.follow_redirects,
        }),
        identity,
        zid_cache,
        ledger,
        // Whoever makes the applications has theirs.
        registrations: Registrations::default(),
        clock: Arc::new(SystemClock),
        dtls: dtls::Limits {
            most: server.dtls_handshakes.saturating_mul(WAITING),
            at_once: server.dtls_handshakes,
            per_second: server.dtls_handshakes_per_second,
        },
        relay_threads: threads(server.relay_threads),
        audio_ports: server.audio_port.0.clone(),
        video_ports: server.video_port.0.clone(),
        name_servers: server.name_servers.0.clone(),
        drain_timeout: server.drain_timeout.0,
    }
}

/// As many as asked for; for 0 half of the cores, at least one.
pub(crate) fn threads(asked: usize) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    if asked == 0 { (cores() / 2).max(1) } else { asked }
}
