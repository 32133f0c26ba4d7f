//! What a providers file says, read: plain data, the same for both of upstream's schemas.

use super::{number::Numbers, template::Template};
use b2bua::{
    accounts::SqlSettings,
    app::Encryption,
    config::Expression,
    sip::{
        NameAddr, Uri,
        auth::{Credentials, Secret},
    },
};
use std::{collections::HashSet, sync::Arc, time::Duration};

/// The whole file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Document {
    /// In the order in which they are tried.
    pub(super) providers: Vec<Provider>,
    pub(super) pools: Vec<Pool>,
}

/// A rule: when this call matches, take an account of that pool, and call so.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Provider {
    pub(super) name: String,
    /// Index of its pool.
    pub(super) pool: usize,
    pub(super) trigger: Trigger,
    pub(super) strategy: Strategy,
    /// What becomes of a call for which there is no account.
    pub(super) not_found: NotFound,
    pub(super) invite: InvitePlan,
    /// `outgoingNotify.outboundProxy`.
    pub(super) notify: Option<Uri>,
    pub(super) numbers: Numbers,
    pub(super) destinations: Destinations,
    pub(super) limits: ProviderLimits,
    /// How often the way of its calls is asked whether it is there.
    pub(super) qualify: Option<Duration>,
    /// Refusals after which the next account, then the next provider, is tried.
    pub(super) failover: Codes,
}

/// When a provider is meant.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    Always,
    /// The Request-URI as it stands, with its parameters.
    Uri {
        pattern: String,
        expression: Expression,
    },
    /// The number of the Request-URI, in E.164.
    Number {
        pattern: String,
        expression: Expression,
    },
}

impl PartialEq for Trigger {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Always, Self::Always) => true,
            (Self::Uri { pattern, .. }, Self::Uri { pattern: other, .. })
            | (Self::Number { pattern, .. }, Self::Number { pattern: other, .. }) => pattern == other,
            _ => false,
        }
    }
}

/// Which account of the pool.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Strategy {
    /// Any that is available.
    Random,
    /// The one whose `by` is the call's `source`.
    FindInPool { by: Template, source: Template },
    /// The one of that URI: of no file, but of how a call came.
    Account(String),
}

/// `onAccountNotFound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotFound {
    NextProvider,
    Decline,
}

/// `outgoingInvite`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct InvitePlan {
    pub(super) to: Template,
    pub(super) from: Template,
    /// Where it is not the To.
    pub(super) request_uri: Option<Template>,
    /// Instead of the account: its route, and none of its credentials.
    pub(super) outbound_proxy: Option<Uri>,
    pub(super) avpf: Option<bool>,
    /// `None`: in clear, as upstream.
    pub(super) encryption: Option<Encryption>,
    /// Further header fields: name, whether it is an address, value.
    pub(super) headers: Vec<HeaderPlan>,
}

/// One further header field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HeaderPlan {
    pub(super) name: String,
    pub(super) is_address: bool,
    pub(super) value: Template,
}

/// Prefixes of numbers in E.164 (with `+`), and of local services (without).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Destinations {
    pub(super) allowed: Vec<String>,
    pub(super) denied: Vec<String>,
}

/// What all calls through one provider may take together, and each of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ProviderLimits {
    pub(super) concurrent_calls: Option<u32>,
    pub(super) calls_per_second: Option<u32>,
    pub(super) call_duration: Option<Duration>,
    pub(super) no_answer: Option<Duration>,
}

/// Final codes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Codes(pub(super) HashSet<u16>);

/// A set of accounts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pool {
    pub(super) name: String,
    pub(super) registration_required: bool,
    /// Calls at once for each account; zero: not for calls.
    pub(super) calls_per_line: u32,
    pub(super) throttle: Duration,
    pub(super) message_waiting: Option<Uri>,
    pub(super) unregister: bool,
    pub(super) defaults: PoolDefaults,
    pub(super) loader: Loader,
}

/// Where a pool's accounts are.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Loader {
    Static(Vec<Arc<Account>>),
    /// In a database, whose file lies beside the configuration where its path is relative.
    Sql(SqlSettings),
}

/// An identity on an external domain.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Account {
    /// Its address of record.
    pub(super) uri: NameAddr,
    /// Its identity on the local side.
    pub(super) alias: Option<Uri>,
    pub(super) credentials: Option<Arc<Credentials>>,
    /// Where its requests go first.
    pub(super) route: Uri,
    pub(super) registrar: Uri,
}

/// An account as a file or a database writes it.
#[derive(Default)]
pub(super) struct RawAccount<'a> {
    pub(super) uri: &'a str,
    pub(super) alias: &'a str,
    pub(super) userid: &'a str,
    pub(super) realm: &'a str,
    pub(super) secret: &'a str,
    pub(super) secret_type: SecretType,
    pub(super) outbound_proxy: &'a str,
    pub(super) registrar: &'a str,
    pub(super) protocol: Protocol,
}

/// `secretType`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SecretType {
    #[default]
    Md5,
    Sha256,
    Clear,
}

/// `protocol`: completes a bare host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    #[default]
    Udp,
    Tcp,
    Tls,
}

/// What a pool says for all of its accounts.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PoolDefaults {
    pub(super) outbound_proxy: Option<Uri>,
    pub(super) registrar: Option<Uri>,
}

impl Protocol {
    /// `sip:HOST`, with the transport where it is not UDP.
    fn complete(self, hostport: &str) -> Result<Uri, String> {
        let transport = match self {
            Self::Udp => "",
            Self::Tcp => ";transport=tcp",
            Self::Tls => ";transport=tls",
        };
        let text = format!("sip:{hostport}{transport}");
        sip_uri(&text)
    }
    /// A host with or without port, or a whole SIP URI.
    fn place(self, text: &str) -> Result<Uri, String> {
        let bare = text.trim().trim_start_matches('<').to_ascii_lowercase();
        if bare.starts_with("sip:") || bare.starts_with("sips:") {
            sip_uri(text.trim())
        } else {
            self.complete(text)
        }
    }
}

/// A SIP or SIPS URI, perhaps in brackets.
///
/// # Errors
/// What it is not.
pub(super) fn sip_uri(text: &str) -> Result<Uri, String> {
    use b2bua::sip::uri::Scheme;
    let address = super::template::address(text.trim().as_bytes())?;
    match address.uri.scheme() {
        Scheme::Sip | Scheme::Sips => Ok(address.uri),
        Scheme::Tel | Scheme::Other => Err(format!("{text:?} is not a SIP URI")),
    }
}

impl RawAccount<'_> {
    /// Makes the account: what it does not say itself, its pool says; what the pool does not, its domain.
    ///
    /// # Errors
    /// What of it cannot be used: the key, and what is wrong with it.
    pub(super) fn account(&self, pool: &PoolDefaults) -> Result<Account, (&'static str, String)> {
        let uri = super::template::address(self.uri.as_bytes()).map_err(|error| ("uri", error))?;
        sip_uri(uri.uri.as_str()).map_err(|error| ("uri", error))?;
        let alias = match self.alias {
            "" => None,
            alias => Some(sip_uri(alias).map_err(|error| ("alias", error))?),
        };
        let place = |key, text: &str| match text {
            "" => Ok(None),
            text => self.protocol.place(text).map(Some).map_err(|error| (key, error)),
        };
        let own_domain = || {
            self.protocol
                .complete(&host_of(&uri.uri))
                .map_err(|error| ("uri", error))
        };
        let route = match (place("outboundProxy", self.outbound_proxy)?, &pool.outbound_proxy) {
            (Some(route), _) => route,
            (None, Some(route)) => route.clone(),
            (None, None) => own_domain()?,
        };
        let registrar = place("registrar", self.registrar)?;
        Ok(Account {
            credentials: self.credentials(&uri.uri).map(Arc::new),
            registrar: registrar
                .or_else(|| pool.registrar.clone())
                .unwrap_or_else(|| route.clone()),
            route,
            alias,
            uri,
        })
    }

    fn credentials(&self, uri: &Uri) -> Option<Credentials> {
        if self.secret.is_empty() {
            return None;
        }
        let or = |text: &str, default: String| if text.is_empty() { default } else { text.to_owned() };
        let user = uri.user_unescaped().unwrap_or_default();
        let secret = self.secret.to_owned();
        Some(Credentials {
            username: or(self.userid, String::from_utf8_lossy(&user).into_owned()),
            realm: Some(or(self.realm, uri.host().to_owned())),
            secret: match self.secret_type {
                SecretType::Md5 => Secret::Md5Ha1(secret),
                SecretType::Sha256 => Secret::Sha256Ha1(secret),
                SecretType::Clear => Secret::Clear(secret),
            },
        })
    }
}

/// Without port: a route of a domain is found by its name (RFC 3263).
fn host_of(uri: &Uri) -> String {
    super::template::hostport(&Uri::sip(None, uri.host(), None))
}
