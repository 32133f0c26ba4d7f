//! The keys of our own sections, `[global]` and `[b2bua-server]`: what each is, what it may be, and what it is by default.

mod calls;
mod entrance;
mod media;

use super::key::{Key, Kind, Table};
use std::sync::LazyLock;

/// The tables of [`Global`](super::Global) and [`Server`](super::Server).
pub(super) fn tables() -> Vec<Table> {
    vec![
        Table {
            name: "global".into(),
            help: "The process: what it logs and where.",
            keys: GLOBAL,
        },
        Table {
            name: "b2bua-server".into(),
            help: "The server: where it listens, whom it trusts, and the limits of its calls.",
            keys: &SERVER,
        },
        super::redis::table(),
    ]
}

const LEVELS: Kind = Kind::OneOf(&["trace", "debug", "message", "info", "warning", "error"]);

const GLOBAL: &[Key] = &[
    Key {
        name: "log-level",
        kind: LEVELS,
        default: "message",
        help: "How much is logged: error, warning, message (one line for each phase of a call; info is the same), \
               debug (every decision), trace (every SIP message).",
        reload: true,
        example: "debug",
    },
    Key {
        name: "syslog-level",
        kind: LEVELS,
        default: "error",
        help: "How much of it goes to syslog too, when the server is started with --syslog.",
        reload: true,
        example: "",
    },
    Key {
        name: "log-directory",
        kind: Kind::Text,
        default: "",
        help: "Directory of the log file; made when it is not there. Empty: no log file, only standard output, which \
               systemd keeps in its journal. The file is opened anew at SIGHUP, for logrotate.",
        reload: false,
        example: "/var/log/b2bua",
    },
    Key {
        name: "log-filename",
        kind: Kind::Text,
        default: "flexisip-{server}.log",
        help: "Name of the log file; {server} becomes b2bua. Empty: no log file.",
        reload: false,
        example: "",
    },
    Key {
        name: "watchdog-notify-interval",
        kind: Kind::Milliseconds,
        default: "1s",
        help: "How often systemd is told that the server is alive, when its unit has a watchdog; at least twice \
               within the unit's WatchdogSec, whatever stands here.",
        reload: false,
        example: "",
    },
];

/// In the order of the sample.
static SERVER: LazyLock<Vec<Key>> = LazyLock::new(|| [entrance::KEYS, calls::KEYS, media::KEYS].concat());
