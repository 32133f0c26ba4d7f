//! What `b2bua load` can be asked for.

use super::plan::{Media, Mix};
use crate::phone::crypto::Suite;
use crate::phone::zrtp::{self, KeyAgreement};
use std::net::SocketAddr;

/// What `b2bua load` can be asked for.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The server under load. It must send calls on to --callee, and encrypt by the callee's user:
    /// `sip:plain-…` in clear, `sip:sdes-…` with SDES
    #[arg(long, value_name = "ADDRESS", required_unless_present_any = ["spawn", "bare"])]
    pub(super) server: Option<SocketAddr>,
    /// Where the callees find the server, if elsewhere
    #[arg(long, value_name = "ADDRESS", requires = "server")]
    pub(super) callee_server: Option<SocketAddr>,
    /// Start a server for the run, and measure it
    #[arg(long, conflicts_with = "server")]
    pub(super) spawn: bool,
    /// Where the callees listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) callee: SocketAddr,
    /// Where the callers listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    pub(super) caller: SocketAddr,
    /// Calls placed a second
    #[arg(long, default_value_t = 50.0, value_parser = positive)]
    pub(super) rate: f64,
    /// Calls in all
    #[arg(long, default_value_t = 1_000)]
    pub(super) calls: u32,
    /// Seconds from the answer to the end of a call; with DTLS and ZRTP from when there are keys
    #[arg(long, default_value_t = 10.0, value_parser = not_negative)]
    pub(super) hold: f64,
    /// The most calls at one time; beyond it, new ones wait
    #[arg(long, default_value_t = u32::MAX)]
    pub(super) concurrent: u32,
    /// What the calls carry; the caller's leg, then the callee's
    #[arg(long, value_enum, default_value_t = Media::None)]
    pub(super) media: Media,
    /// The callers' SDES suite
    #[arg(long, default_value = "AES_CM_128_HMAC_SHA1_80", value_parser = suite)]
    pub(super) suite: Suite,
    /// By what the callers' ZRTP agrees on keys: X255, EC25, EC38, DH3k …
    #[arg(long, value_name = "NAME", default_value = "X255", value_parser = agreement)]
    pub(super) zrtp_key_agreement: KeyAgreement,
    /// How calls go: shares of answered, rejected, cancelled, unanswered and silent
    #[arg(long, default_value = "answered=1")]
    pub(super) mix: Mix,
    /// Milliseconds between two packets of a voice; more than 20 only where the machine is too small
    #[arg(long, value_name = "MS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(super) packet_interval: u64,
    /// Seconds to wait after the last call before the server's memory and descriptors are read
    #[arg(long, default_value_t = 1.0, value_parser = not_negative)]
    pub(super) settle: f64,
    /// With --spawn: another setting for the server, `section/key=value`
    #[arg(long = "set", value_name = "SETTING", requires = "spawn")]
    pub(super) settings: Vec<String>,
    /// With --spawn: keep the server's log here
    #[arg(long, value_name = "FILE", requires = "spawn")]
    pub(super) server_log: Option<std::path::PathBuf>,
    /// With --spawn: let the server read its configuration anew that often, in seconds
    #[arg(long, value_name = "SECONDS", requires = "spawn", value_parser = positive)]
    pub(super) reload_every: Option<f64>,
    /// With --spawn: tell the server to end so many seconds after the first call; calls that are up must go on to their
    /// end, and it ends after the last
    #[arg(long, value_name = "SECONDS", requires = "spawn", value_parser = positive)]
    pub(super) drain_after: Option<f64>,
    /// Measure, in turn, the server and a program that only receives and sends the same datagrams
    #[arg(long, requires = "spawn")]
    pub(super) baseline: bool,
    /// With --baseline: how often each is measured
    #[arg(long, default_value_t = 3, requires = "baseline")]
    pub(super) rounds: u32,
    /// Be that program, at this address, for the callees at --callee
    #[arg(long, hide = true)]
    pub(super) bare: Option<SocketAddr>,
}

fn positive(text: &str) -> Result<f64, String> {
    not_negative(text).and_then(|value| {
        if value > 0.0 {
            Ok(value)
        } else {
            Err("expected more than 0".into())
        }
    })
}

fn not_negative(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "expected a number".to_owned())?;
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err("expected 0 or more".into())
    }
}

fn agreement(text: &str) -> Result<KeyAgreement, String> {
    zrtp::agreement(text).ok_or_else(|| "expected a key agreement of ZRTP, such as X255 or DH3k".into())
}

fn suite(text: &str) -> Result<Suite, String> {
    Suite::named(text).ok_or_else(|| format!("expected one of {}", Suite::ALL.map(Suite::name).join(", ")))
}
