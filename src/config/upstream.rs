//! What upstream's configuration knows and ours does not use: a file that is shared with the proxy must load.

/// Sections of other servers and modules; every `module::…` counts too, as plug-ins bring their own.
pub(super) const SECTIONS: &[&str] = &[
    "b2bua-server::sip-bridge",
    "cluster",
    "conference-server",
    "event-logs",
    "global::flexiapi",
    "inter-domain-connections",
    "mdns-register",
    "monitor",
    "notif",
    "presence-server",
    "regevent-server",
    "stun-server",
    "voicemail-server",
];

/// Keys of `[global]` that mean nothing here.
const GLOBAL: &[&str] = &[
    "advanced-account-data",
    "aliases",
    "auto-respawn",
    "connection-establishment-timeout",
    "contextual-log-filter",
    "contextual-log-level",
    "debug",
    "default-servers",
    "dump-corefiles",
    "enable-snmp",
    "idle-timeout",
    "keepalive-interval",
    "memory-usage-log-interval",
    "plugins",
    "plugins-dir",
    "proxy-to-proxy-keepalive-interval",
    "require-peer-certificate",
    "rtp-bind-address",
    "show-body-for",
    "sofia-level",
    "tcp-max-read-size",
    "tls-certificates-ca-file",
    "tls-certificates-check-interval",
    "tls-certificates-dir",
    "tls-certificates-file",
    "tls-certificates-private-key",
    "tls-ciphers",
    "tport-message-queue-size",
    "transaction-timeout",
    "transports",
    "udp-mtu",
    "unique-id",
    "use-maddr",
    "user-errors-logs",
];

/// Whether upstream knows a section that we have no use for.
pub(super) fn knows_section(name: &str) -> bool {
    SECTIONS.iter().any(|section| section.eq_ignore_ascii_case(name))
        || name.to_ascii_lowercase().starts_with("module::")
}

/// Whether a section of ours is another server's too, whose keys we do not know.
pub(super) fn is_foreign(section: &str) -> bool {
    section == super::redis::SECTION
}

/// Whether upstream knows a key, in a section of ours, that we have no use for.
pub(super) fn knows_key(section: &str, key: &str) -> bool {
    let keys = match section {
        "global" => GLOBAL,
        _ => return false,
    };
    keys.iter().any(|known| known.eq_ignore_ascii_case(key))
}
