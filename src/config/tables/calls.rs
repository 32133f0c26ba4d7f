//! `[b2bua-server]`: calls, from whom they seem to come to what is told of them.

use super::super::{
    CONTROL_SOCKET, HTTP_LISTEN,
    key::{Key, Kind, checked},
    types::HttpListen,
    uris::{Proxy, UserAgent},
};

pub(super) const KEYS: &[Key] = &[
    Key {
        name: "user-agent",
        kind: Kind::Checked {
            expected: "name or name/version, or {version} in place of the version",
            check: checked::<UserAgent>,
        },
        default: "Flexisip-B2BUA/{version}",
        help: "User-Agent of requests, Server of responses. Flexisip's proxy does not send a call back to us when \
               this is, letter for letter, the user-agent of its own [b2bua-server]; {version} is this server's \
               version, which is not Flexisip's, so give both the same text.",
        reload: true,
        example: "Our-B2BUA",
    },
    Key {
        name: "outbound-proxy",
        kind: Kind::Checked {
            expected: "a SIP URI",
            check: checked::<Proxy>,
        },
        default: "sip:127.0.0.1:5060;transport=tcp",
        help: "Where calls of the trenscrypter go: the route of every request to the callee. Empty (in this dialect: \
               a space after the =): calls go straight to the callee's domain.",
        reload: true,
        example: "sip:proxy.example.org;transport=udp",
    },
    Key {
        name: "max-calls",
        kind: Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        default: "500",
        help: "Calls at the same time. Beyond it, new calls get 503 with Retry-After.",
        reload: true,
        example: "",
    },
    Key {
        name: "max-call-duration",
        kind: Kind::Seconds,
        default: "0",
        help: "An answered call older than this is ended; 0: never.",
        reload: true,
        example: "4h",
    },
    Key {
        name: "unanswered-timeout",
        kind: Kind::PositiveSeconds,
        default: "240",
        help: "A call that rings longer than this is given up.",
        reload: true,
        example: "",
    },
    Key {
        name: "enable-keepalive",
        kind: Kind::Boolean,
        default: "true",
        help: "Whether a double CRLF goes now and then (RFC 5626) over connections that the server has opened, and by UDP to those \
               whom it has sent requests within the last hour, so that NATs and firewalls on the way keep them open.",
        reload: true,
        example: "",
    },
    Key {
        name: "one-connection-per-account",
        kind: Kind::Boolean,
        default: "false",
        help: "Whether the sip-bridge registers and calls for each account from a port of its own, by UDP too, and by TCP and TLS over \
               a connection of its own, at which the account is called as well: for providers that limit what comes from one \
               address and port. A connection that is lost is opened again, after longer and longer times. Each account takes two \
               open files; ports of their own have an eighth of what the limit of open files allows, and connections another.",
        reload: true,
        example: "",
    },
    Key {
        name: "follow-redirects",
        kind: Kind::Boolean,
        default: "false",
        help: "What happens when the callee answers that it is elsewhere (300, 301, 302). true: its contacts are called, the \
               likeliest first, on the same route; at most 8 in one call, none twice, only sip and sips. false: the caller \
               gets the answer. With a callee outside of your own domain true lets it choose who is called at your cost.",
        reload: true,
        example: "",
    },
    Key {
        name: "session-expires",
        kind: Kind::Seconds,
        default: "1800",
        help: "Session timer (RFC 4028) that each leg asks for: in half of this time the server makes sure that the party is \
               still there, and ends the call if it is not. 0: only where the party asks for it. Less than 90 counts as 90.",
        reload: true,
        example: "600",
    },
    Key {
        name: "min-se",
        kind: Kind::PositiveSeconds,
        default: "90",
        help: "Parties that ask for a shorter session timer are told this one (422). Less than 90 counts as 90.",
        reload: true,
        example: "",
    },
    Key {
        name: "reliable-provisional",
        kind: Kind::OneOf(&["supported", "required", "off"]),
        default: "supported",
        help: "Reliable provisional responses (PRACK, RFC 3262) from callees: whether our INVITE says that we take them, insists \
               on them, or says nothing. Callers get them whenever they ask for them.",
        reload: true,
        example: "off",
    },
    Key {
        name: "no-rtp-timeout",
        kind: Kind::PositiveSeconds,
        default: "30",
        help: "A call is ended when a side that should send media has sent none for so long. A call on hold \
               survives it, whoever holds whom.",
        reload: true,
        example: "",
    },
    Key {
        name: "rtp-keepalive",
        kind: Kind::Seconds,
        default: "0",
        help: "A party to whom no voice has gone for so long, because it is held without music, gets an empty packet (RFC 6263), so \
               that neither its carrier nor a NAT gives it up. 0: none.",
        reload: true,
        example: "15",
    },
    Key {
        name: "transfer-mode",
        kind: Kind::OneOf(&["relay", "execute", "refuse"]),
        default: "relay",
        help: "What becomes of a REFER, by which a party hands the other one on: relay passes it to that one, who calls the \
               target itself; execute is for phones that cannot: the server calls the target, as if the one who refers \
               had called, and joins it with the one who stays; one that is in another call of this server and knows no \
               Replaces is moved from there instead. It also lets another device take a call over, or pick \
               up one that rings (INVITE with Replaces). refuse answers 603.",
        reload: true,
        example: "execute",
    },
    Key {
        name: "drain-timeout",
        kind: Kind::Seconds,
        default: "5",
        help: "At a stop, how long calls may go on before they are ended; new ones are refused at once. A second \
               signal ends everything at once.",
        reload: true,
        example: "10min",
    },
    Key {
        name: "http-listen",
        kind: Kind::Checked {
            expected: "an IP address and a port, like 127.0.0.1:6068",
            check: checked::<HttpListen>,
        },
        default: HTTP_LISTEN,
        help: "Where /metrics (for Prometheus), /healthz, /readyz and /calls are answered by HTTP; b2bua calls asks there. It \
               asks nobody who he is, and shows who calls whom: leave it on the loopback address, or put something in \
               front. Empty (in this dialect: a space after the =): nowhere. Should the default be taken, the log warns \
               and the server goes on; any other address must be free.",
        reload: false,
        example: "[::1]:6068",
    },
    Key {
        name: "control-socket",
        kind: Kind::Text,
        default: CONTROL_SOCKET,
        help: "UNIX socket on which `SIP_BRIDGE INFO` is answered, as on Flexisip's, to the server's user and group. Empty (in \
               this dialect: a space after the =): none. Should the default not be to be had, the log says so and the server \
               goes on; any other path must be good.",
        reload: false,
        example: "/run/b2bua/other.sock",
    },
    Key {
        name: "cdr-file",
        kind: Kind::Text,
        default: "",
        help: "File of call detail records: one line for each call, answered or not, also for those that are refused at \
               once. Made with mode 0640 when it is not there; opened anew at SIGHUP, for logrotate. While it cannot be \
               written, as on a full disk, records wait. Empty: no records.",
        reload: true,
        example: "/var/log/b2bua/cdr.jsonl",
    },
    Key {
        name: "cdr-format",
        kind: Kind::OneOf(&["json", "csv"]),
        default: "json",
        help: "How records are written: json, an object a line with everything; csv, a table with a first line of names, \
               which has the counts of the first audio stream only.",
        reload: true,
        example: "",
    },
];
