//! `[module::Registrar]`, of which only Redis is ours: a file that is shared with the proxy names it there.

use super::{
    Seconds,
    key::{Key, Kind, Table},
};
use serde::Deserialize;
use std::fmt;

/// The section's name, as upstream has it.
pub(super) const SECTION: &str = "module::Registrar";

/// How to reach Redis.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Redis {
    /// Its host; empty: there is none.
    #[serde(rename = "redis-server-domain")]
    pub host: String,
    /// Its port.
    #[serde(rename = "redis-server-port")]
    pub port: u16,
    /// The user, where it wants one.
    #[serde(rename = "redis-auth-user")]
    pub user: String,
    /// The password, where it wants one.
    #[serde(rename = "redis-auth-password")]
    pub password: String,
    /// `tcp`, `tls-server-auth` or `tls-mutual`.
    #[serde(rename = "redis-connection")]
    pub connection: String,
    /// Our certificate for `tls-mutual`.
    #[serde(rename = "redis-tls-certificate")]
    pub certificate: String,
    /// Its key.
    #[serde(rename = "redis-tls-key")]
    pub key: String,
    /// The authorities that its certificate is to be of; empty: those of the machine.
    #[serde(rename = "redis-tls-cafile")]
    pub authorities: String,
    /// After so much silence it is asked whether it is there.
    #[serde(rename = "redis-subscription-keep-alive-check-period")]
    pub keep_alive: Seconds,
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("user", &self.user)
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}

pub(super) fn table() -> Table {
    Table {
        name: SECTION.into(),
        help: "Redis, under the names that Flexisip has for it: where changes of accounts are published (channel \
               flexisip/B2BUA/account), and where servers that share accounts count their calls. Other keys of this \
               section are the proxy's.",
        keys: KEYS,
    }
}

const KEYS: &[Key] = &[
    Key {
        name: "redis-server-domain",
        kind: Kind::Text,
        default: "",
        help: "Its host or address. Empty: there is no Redis (Flexisip takes localhost).",
        reload: true,
        example: "localhost",
    },
    Key {
        name: "redis-server-port",
        kind: Kind::Integer { min: 1, max: 65535 },
        default: "6379",
        help: "Its port.",
        reload: true,
        example: "",
    },
    Key {
        name: "redis-auth-user",
        kind: Kind::Text,
        default: "",
        help: "The user, where it has users; empty: the password alone.",
        reload: true,
        example: "b2bua",
    },
    Key {
        name: "redis-auth-password",
        kind: Kind::Text,
        default: "",
        help: "The password; empty: none is asked for.",
        reload: true,
        example: "",
    },
    Key {
        name: "redis-connection",
        kind: Kind::OneOf(&["tcp", "tls-server-auth", "tls-mutual"]),
        default: "tcp",
        help: "tcp; tls-server-auth: TLS, in which it shows a certificate of redis-tls-cafile; tls-mutual: we show one too.",
        reload: true,
        example: "tls-server-auth",
    },
    Key {
        name: "redis-tls-certificate",
        kind: Kind::Text,
        default: "",
        help: "Our certificate, for tls-mutual: a PEM file.",
        reload: true,
        example: "/etc/b2bua/redis.crt",
    },
    Key {
        name: "redis-tls-key",
        kind: Kind::Text,
        default: "",
        help: "Its key: a PEM file.",
        reload: true,
        example: "/etc/b2bua/redis.key",
    },
    Key {
        name: "redis-tls-cafile",
        kind: Kind::Text,
        default: "",
        help: "The authorities that its certificate is to be of: a PEM file. Empty: those that the machine trusts.",
        reload: true,
        example: "/etc/b2bua/redis-ca.crt",
    },
    Key {
        name: "redis-subscription-keep-alive-check-period",
        kind: Kind::PositiveSeconds,
        default: "60",
        help: "After so much silence of the subscription it is asked whether it is still there.",
        reload: true,
        example: "",
    },
];
