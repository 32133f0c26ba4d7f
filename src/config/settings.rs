//! What the sections `[global]` and `[b2bua-server]` say, read.

use super::{
    codecs::{AudioCodecs, VideoCodecs},
    key::parsed,
    types::{Addresses, HttpListen, Milliseconds, Networks, PortRange, Seconds, SocketAddresses, Words},
    uris::{Proxy, TlsVerify, Transports, UserAgent},
};
use crate::call::{NatLatching, Reliability, TransferMode};
use serde::Deserialize;
use std::path::PathBuf;

/// `[global]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Global {
    /// How much is logged.
    pub log_level: LogLevel,
    /// How much of it goes to syslog.
    pub syslog_level: LogLevel,
    /// Where the log file is; `None`: there is none.
    pub log_directory: Option<PathBuf>,
    /// Its name, `{server}` still in it; `None`: there is none.
    pub log_filename: Option<String>,
    /// How often the watchdog is told.
    pub watchdog_notify_interval: Milliseconds,
}

/// A level of logging, by upstream's names and ours.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// Every message.
    Trace,
    /// Every decision.
    Debug,
    /// Each phase of a call.
    #[serde(alias = "info")]
    Message,
    /// What an operator should look at.
    Warning,
    /// What is broken.
    Error,
}

impl From<LogLevel> for tracing::Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::TRACE,
            LogLevel::Debug => Self::DEBUG,
            LogLevel::Message => Self::INFO,
            LogLevel::Warning => Self::WARN,
            LogLevel::Error => Self::ERROR,
        }
    }
}

/// `cdr-format`
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum CdrFormat {
    /// Objects.
    Json,
    /// A table.
    Csv,
}

/// The default of `control-socket`, in systemd's folder for us.
pub const CONTROL_SOCKET: &str = "/run/b2bua/control.sock";
/// The default of `http-listen`, where `b2bua calls` asks.
pub const HTTP_LISTEN: &str = "127.0.0.1:6068";

/// The word of `data-directory` for none.
pub const NOTHING_KEPT: &str = "none";

/// `[b2bua-server]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Server {
    /// The application's name.
    pub application: String,
    /// Where to listen.
    #[serde(deserialize_with = "parsed")]
    pub transport: Transports,
    /// Our certificate, for all listening addresses that name none, and for connections of ours; empty: none.
    pub tls_certificate: String,
    /// Its key; empty: in the same file.
    pub tls_key: String,
    /// Authorities; empty: those of the machine, for servers that we call.
    pub tls_ca: String,
    /// Whose certificate is checked.
    pub tls_verify: TlsVerify,
    /// Web pages that may open a WebSocket.
    pub websocket_origins: Words,
    /// Who may call from anywhere with a password; `None`: nobody.
    pub digest_users: Option<PathBuf>,
    /// Proxies whose `received` is believed.
    pub trusted_hosts: Networks,
    /// Messages in a second of one host that is not trusted.
    pub stranger_rate: u32,
    /// The same of all of them.
    pub strangers_rate: u32,
    /// `User-Agent` and `Server`.
    #[serde(deserialize_with = "parsed")]
    pub user_agent: UserAgent,
    /// Route of leg B.
    #[serde(deserialize_with = "parsed")]
    pub outbound_proxy: Proxy,
    /// Whether those whom we call are kept alive while nothing is said.
    pub enable_keepalive: bool,
    /// Whether each account of the sip-bridge has a connection of its own.
    pub one_connection_per_account: bool,
    /// Calls at the same time.
    pub max_calls: usize,
    /// Zero: unlimited.
    pub max_call_duration: Seconds,
    /// Before the answer.
    pub unanswered_timeout: Seconds,
    /// Whether a 3xx of the callee is acted on here.
    pub follow_redirects: bool,
    /// Zero: no session timer of our own.
    pub session_expires: Seconds,
    /// The shortest session timer.
    pub min_se: Seconds,
    /// PRACK with callees.
    #[serde(deserialize_with = "reliable")]
    pub reliable_provisional: Reliability,
    /// Silence that ends a call.
    pub no_rtp_timeout: Seconds,
    /// Between packets that keep a path open; zero: none.
    pub rtp_keepalive: Seconds,
    /// What becomes of a REFER.
    #[serde(deserialize_with = "parsed")]
    pub transfer_mode: TransferMode,
    /// Between the signal to stop and the end of the last call.
    pub drain_timeout: Seconds,
    /// Where HTTP is answered.
    #[serde(deserialize_with = "parsed")]
    pub http_listen: HttpListen,
    /// Where commands are answered; `None`: nowhere.
    pub control_socket: Option<PathBuf>,
    /// Where records of calls go; `None`: nowhere.
    pub cdr_file: Option<PathBuf>,
    /// How they are written.
    pub cdr_format: CdrFormat,
    /// Ports of audio.
    pub audio_port: PortRange,
    /// Ports of other media.
    pub video_port: PortRange,
    /// For what outlives a run, or [`NOTHING_KEPT`].
    pub data_directory: String,
    /// DTLS handshakes at once.
    pub dtls_handshakes: usize,
    /// DTLS handshakes begun in a second; zero: no limit.
    pub dtls_handshakes_per_second: u32,
    /// Addresses of media; empty: by leg.
    pub media_address: Addresses,
    /// Where media may come from.
    #[serde(deserialize_with = "latching")]
    pub nat_latching: NatLatching,
    /// Zero: by the machine.
    pub relay_threads: usize,
    /// Zero: by the machine.
    pub sip_threads: usize,
    /// Empty: the system's.
    pub name_servers: SocketAddresses,
    /// What may be offered; empty: everything.
    pub audio_codec: AudioCodecs,
    /// The same of video.
    pub video_codec: VideoCodecs,
}

fn latching<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<NatLatching, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        Signalled,
        Any,
    }
    Ok(match Word::deserialize(deserializer)? {
        Word::Signalled => NatLatching::Signalled,
        Word::Any => NatLatching::Any,
    })
}

fn reliable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Reliability, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        Supported,
        Required,
        Off,
    }
    Ok(match Word::deserialize(deserializer)? {
        Word::Supported => Reliability::Supported,
        Word::Required => Reliability::Required,
        Word::Off => Reliability::Off,
    })
}
