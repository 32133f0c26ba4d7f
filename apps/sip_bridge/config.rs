//! What the configuration file says of this application.

use super::sharing::Without;
use b2bua::config::{Key, Kind, Seconds, parsed};
use serde::Deserialize;

/// `[b2bua-server::sip-bridge]`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    pub(super) providers: String,
    pub(super) accounts_poll_interval: Seconds,
    pub(super) line_lease: Seconds,
    #[serde(deserialize_with = "parsed")]
    pub(super) lines_without_redis: Without,
}

impl Config {
    /// The file.
    pub(crate) fn providers(&self) -> &str {
        &self.providers
    }
}

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "providers",
        kind: Kind::Text,
        default: "providers.json",
        help: "The file with providers and their accounts, beside this one unless the path is absolute: Flexisip's JSON \
               (an object of schema 2 or an array of schema 1), or the same as TOML when it ends in .toml.",
        reload: true,
        example: "/etc/b2bua/providers.json",
    },
    Key {
        name: "accounts-poll-interval",
        kind: Kind::Seconds,
        default: "300",
        help: "How often databases of accounts are read again where there is no Redis ([module::Registrar] \
               redis-server-domain) that publishes their changes. Changes alone are registered anew. 0: at start and at a \
               reload only.",
        reload: true,
        example: "30",
    },
    Key {
        name: "line-lease",
        kind: Kind::PositiveSeconds,
        default: "30",
        help: "With Redis, maxCallsPerLine counts the calls of all servers that name the same Redis, pool and account, and a \
               provider's limits those of all that name the same Redis and provider. What a server held that has died falls back after this time; a server that lives renews it three times in it.",
        reload: true,
        example: "",
    },
    Key {
        name: "lines-without-redis",
        kind: Kind::OneOf(Without::WORDS),
        default: "count-own",
        help: "New calls while Redis does not answer. count-own: they go on, and each server counts its own alone, so that a \
               line may have as many calls as there are servers, times maxCallsPerLine, and so a provider. refuse: there are none, \
               where no line may have one call too many. Calls that are there go on in either case, and no call \
               waits for Redis for more than a quarter of a second.",
        reload: true,
        example: "refuse",
    },
];
