//! What applications return: plain data, so that a test of an application asserts on it directly.

use super::{Failure, Side};
use crate::{
    media::Suite,
    sip::{Headers, NameAddr, ReferTo, Status, Uri, auth::Credentials, routing::Own},
};
use std::{any::Any, fmt, str::FromStr, sync::Arc, time::Duration};

/// What becomes of a new call.
#[derive(Debug)]
pub enum Decision {
    /// Call these, one after another until one answers.
    Bridge(Vec<Outgoing>),
    /// Refuse.
    Decline(Failure),
    /// 302 with these contacts.
    Redirect(Vec<Contact>),
}

/// Where a redirect points.
#[derive(Clone, Debug, PartialEq)]
pub struct Contact(pub NameAddr);

/// What becomes of a call whose leg B failed before answer.
#[derive(Debug)]
pub enum Rescue {
    /// Tell leg A the same.
    Relay,
    /// Tell leg A this.
    Replace(Failure),
    /// Try more routes.
    Try(Vec<Outgoing>),
}

/// What becomes of a request inside a call.
#[derive(Debug)]
pub enum InCall {
    /// Pass it on; a REFER by `transfer-mode`.
    Forward,
    /// Pass a REFER on with another Refer-To, whose target stands whatever dialog it names.
    Rewrite(ReferTo),
    /// Refuse it.
    Refuse(Failure),
}

/// Everything needed to place leg B.
#[derive(Debug)]
pub struct Outgoing {
    /// Request-URI.
    pub target: Uri,
    /// Route set to begin with (outbound proxy first); loose routing (`lr`) is assumed.
    pub route: Vec<Uri>,
    /// From, without tag.
    pub from: NameAddr,
    /// To, without tag.
    pub to: NameAddr,
    /// Further headers of the INVITE.
    pub headers: Headers,
    /// For 401 and 407 of the servers that `route` (or else `target`) leads to, and of no others (S8).
    pub credentials: Option<Arc<Credentials>>,
    /// For 401 and 407 of the caller's side, to requests of ours in its dialog: where the caller is a provider that asks its
    /// customers for a password in each request. Only the host that the INVITE came from gets an answer.
    pub caller_credentials: Option<Arc<Credentials>>,
    /// Whose connection all requests of this leg go by; `None`: one that all share.
    pub own: Option<Own>,
    /// Of other requests that cross, only what they are for goes with them: no `X-…`, no Subject, no Reply-To.
    pub private: bool,
    /// Who of the two is a stranger, such as a telephone provider: hears of the other's failures, ends and answers the codes and no
    /// words, and not where else it may be found.
    pub stranger: Option<Side>,
    /// The body of a request outside of calls, where it is not to cross as it came.
    pub body: Option<bytes::Bytes>,
    /// Media.
    pub media: MediaPolicy,
    /// Limits.
    pub limits: Limits,
    /// Held as long as the leg lives; dropping it gives back what it stands for.
    pub lease: Option<Lease>,
}

/// Something that is given back when the leg ends: an account's slot.
pub struct Lease(pub Box<dyn Any + Send>);
impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lease")
    }
}

/// Limits of one route.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Ring no longer than this before the next route.
    pub no_answer: Option<Duration>,
    /// End an answered call after this.
    pub duration: Option<Duration>,
    /// Codes after which no further route is tried.
    pub stop_codes: Vec<Status>,
}

/// How media of leg B is keyed. `FromStr` and `Display` are the words of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encryption {
    /// `none`
    None,
    /// `sdes`
    Sdes,
    /// `dtls-srtp`
    DtlsSrtp,
    /// `zrtp`
    Zrtp,
}

/// A word that names no encryption.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown encryption {0:?}: expected one of none, sdes, dtls-srtp, zrtp")]
pub struct UnknownEncryption(pub String);

impl FromStr for Encryption {
    type Err = UnknownEncryption;
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "none" => Ok(Self::None),
            "sdes" => Ok(Self::Sdes),
            "dtls-srtp" => Ok(Self::DtlsSrtp),
            "zrtp" => Ok(Self::Zrtp),
            other => Err(UnknownEncryption(other.to_owned())),
        }
    }
}
impl fmt::Display for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Sdes => "sdes",
            Self::DtlsSrtp => "dtls-srtp",
            Self::Zrtp => "zrtp",
        })
    }
}

/// Which encryption leg B gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncryptionPolicy {
    /// What leg A offered.
    AsCaller,
    /// This and nothing else: encrypted or failed.
    Only(Encryption),
}

/// Who relays media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelayChoice {
    /// Our relay.
    Own,
}

/// Whether media may come from where nobody said it would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatLatching {
    /// From the signalled address, or the one that a trusted proxy (or we ourselves) saw the phone's SIP come from; on keyed
    /// legs also from where an authenticated packet came.
    Signalled,
    /// From the first source that sends: for trunks behind unknown NATs, and dangerous.
    Any,
}

/// Media of leg B.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaPolicy {
    /// Who relays.
    pub relay: RelayChoice,
    /// Encryption.
    pub encryption: EncryptionPolicy,
    /// SDES suites to offer, best first; empty = the default list.
    pub suites: Vec<Suite>,
    /// Where media may come from, both legs.
    pub latching: NatLatching,
    /// A callee who is to speak ZRTP, answers, and never says so gets plain RTP after all; otherwise the call ends.
    pub clear_without_zrtp: bool,
    /// Whether what we offer speaks of feedback by its profile (RFC 4585); `None`: as the caller's offer does.
    pub avpf: Option<bool>,
}

impl Default for MediaPolicy {
    fn default() -> Self {
        Self {
            relay: RelayChoice::Own,
            encryption: EncryptionPolicy::AsCaller,
            suites: Vec::new(),
            latching: NatLatching::Signalled,
            clear_without_zrtp: false,
            avpf: None,
        }
    }
}
