//! The keys of our own sections, `[global]` and `[b2bua-server]`: what each is, what it may be, and what it is by default.

use super::{
    codecs,
    key::{Key, Kind, Table, checked},
    types::{Addresses, HttpListen, Networks, SocketAddresses},
    uris::{Proxy, Transports, UserAgent},
};

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
            keys: SERVER,
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

const SERVER: &[Key] = &[
    Key {
        name: "application",
        kind: Kind::Text,
        default: "trenscrypter",
        help: "What decides about calls: trenscrypter calls the same callee with another media encryption.",
        reload: true,
        example: "",
    },
    Key {
        name: "transport",
        kind: Kind::Checked {
            expected: "SIP URIs like sip:192.0.2.1:6067;transport=tcp, separated by spaces; udp, tcp, tls, ws or wss",
            check: checked::<Transports>,
        },
        default: "sip:127.0.0.1:6067;transport=tcp",
        help: "Where the server listens for SIP: one URI or several. Each binds exactly the address that it names \
               (upstream binds all); sip:0.0.0.0:6067 and sip:[::]:6067 bind all on purpose. Without ;transport= it is \
               UDP. Port 0 lets the kernel choose; without a port an IP address gets 5060. A host name needs a port \
               and is looked up once, at start. sips: and ;transport=tls is TLS (port 5061), ;transport=ws and wss are \
               WebSocket without and with TLS, for browsers (ports 80 and 443). An address with TLS may have its own \
               ;tls-certificate=, ;tls-key=, ;tls-ca= and ;tls-verify= in place of those below; Flexisip's names \
               (tls-certificates-file, tls-certificates-private-key, tls-certificates-ca-file, tls-verify-incoming) are \
               understood there too.",
        reload: false,
        example: "sip:192.0.2.1:6067;transport=udp sips:192.0.2.1:5061;tls-certificate=/etc/b2bua/cert.pem;tls-key=/etc/b2bua/key.pem",
    },
    Key {
        name: "tls-certificate",
        kind: Kind::Text,
        default: "",
        help: "File with the server's certificate in PEM, and after it those that lead to its authority. Shown on every \
               listening address with TLS that names no other, and to servers that ask for one when we call them. SIGHUP \
               reads it again: new connections get the new one, those that exist stay.",
        reload: true,
        example: "/etc/letsencrypt/live/sip.example.org/fullchain.pem",
    },
    Key {
        name: "tls-key",
        kind: Kind::Text,
        default: "",
        help: "File with the certificate's private key in PEM, unencrypted. Empty: it stands in the file of the \
               certificate.",
        reload: true,
        example: "/etc/letsencrypt/live/sip.example.org/privkey.pem",
    },
    Key {
        name: "tls-ca",
        kind: Kind::Text,
        default: "",
        help: "File with the certificates of authorities in PEM: only these are believed, of servers that we call and of \
               callers. Empty: of servers those that the machine trusts, of callers none. A caller who shows a \
               certificate of such an authority may place calls, wherever it comes from.",
        reload: true,
        example: "/etc/b2bua/ca.pem",
    },
    Key {
        name: "tls-verify",
        kind: Kind::OneOf(&["none", "servers", "optional", "required"]),
        default: "servers",
        help: "Whose certificate is checked. servers: that of a server that we call, which has to be of the domain that \
               the URI names (RFC 5922). optional: callers are asked for one too, and may have none. required: callers \
               without one are refused. none: nobody's, not even a server's: calls to it can be read by whoever stands \
               between.",
        reload: true,
        example: "",
    },
    Key {
        name: "websocket-origins",
        kind: Kind::Words,
        default: "",
        help: "Web pages whose scripts may open a WebSocket here, as the browser names them, or * for all. A page that is \
               not named is refused: it would place calls from the network of whoever looks at it. Clients that are no \
               browsers name no page, and are let in.",
        reload: true,
        example: "https://phone.example.org",
    },
    Key {
        name: "trusted-hosts",
        kind: Kind::Checked {
            expected: "IP addresses or networks, separated by spaces",
            check: checked::<Networks>,
        },
        default: "127.0.0.1 ::1",
        help: "Hosts that may place calls: the proxies in front of this server; all others get 403, or are asked for a \
               password (digest-users). The address at which \
               such a proxy saw a phone (received, in its Via) is believed: media of an unencrypted call may come from \
               there too. The addresses of outbound-proxy always count among them.",
        reload: true,
        example: "192.0.2.0/24 2001:db8::5",
    },
    Key {
        name: "digest-users",
        kind: Kind::Text,
        default: "",
        help: "File of users who may place calls from anywhere, with a password (digest authentication, RFC 8760): lines \
               user:realm:HA1 as htdigest writes them, HA1 being the MD5 or the SHA-256 of user:realm:password in hex; with \
               both of each user, clients choose the better one. Who is asked for a password has to be in From who it says \
               that it is. Empty: nobody is asked, and all but trusted-hosts get 403.",
        reload: true,
        example: "/etc/b2bua/users",
    },
    Key {
        name: "stranger-rate",
        kind: Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        default: "50",
        help: "Messages and new connections in a second that are taken from one host that is neither trusted nor called by \
               us (for IPv6: from one network of 64 bits); twice as many at once. What is beyond is dropped unread.",
        reload: true,
        example: "",
    },
    Key {
        name: "strangers-rate",
        kind: Kind::Integer {
            min: 1,
            max: 1_000_000,
        },
        default: "2000",
        help: "The same of all such hosts together: addresses can be invented. Trusted hosts and those that we call have \
               no such limit. While more comes by UDP, the kernel lets through only a part of it, chosen by chance, so that \
               others find room; who sends with the invented address of a trusted host is taken for that host.",
        reload: true,
        example: "",
    },
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
               Replaces is moved from there instead. It also lets another device take a call over (INVITE with \
               Replaces). refuse answers 603.",
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
        default: super::HTTP_LISTEN,
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
        default: super::CONTROL_SOCKET,
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
    Key {
        name: "audio-port",
        kind: Kind::PortRange,
        default: "0",
        help: "UDP ports for audio: 0 (the kernel chooses), one port, or a range. Each call takes two pairs.",
        reload: false,
        example: "20000-29999",
    },
    Key {
        name: "video-port",
        kind: Kind::PortRange,
        default: "0",
        help: "UDP ports for video and all other media.",
        reload: false,
        example: "30000-39999",
    },
    Key {
        name: "data-directory",
        kind: Kind::Text,
        default: "/var/lib/b2bua",
        help: "Directory for what outlives a run: the certificate of DTLS-SRTP and the retained secrets of ZRTP. Made when \
               it is not there, and read by nobody else. none: nothing is kept; each run has a certificate of its own, \
               and ZRTP callers see a new authentication string each time.",
        reload: true,
        example: "/var/opt/b2bua",
    },
    Key {
        name: "dtls-handshakes",
        kind: Kind::Integer { min: 1, max: 100_000 },
        default: "1000",
        help: "DTLS handshakes that go on at once; one takes some tens of kilobytes while it lasts. Others wait for their turn, \
               ten times as many at most; beyond that none is begun, and a call that gets no keys within 15 s of its \
               answer is ended.",
        reload: false,
        example: "",
    },
    Key {
        name: "dtls-handshakes-per-second",
        kind: Kind::Integer {
            min: 0,
            max: 1_000_000,
        },
        default: "500",
        help: "DTLS handshakes begun in a second; others wait likewise. A core does about 2,000 in a second; 0: no limit.",
        reload: false,
        example: "",
    },
    Key {
        name: "media-address",
        kind: Kind::Checked {
            expected: "at most one IPv4 and one IPv6 address",
            check: checked::<Addresses>,
        },
        default: "",
        help: "Addresses where media is received and which SDP names. Empty: on each leg the address by which the \
               leg's peer is reached.",
        reload: true,
        example: "192.0.2.1 2001:db8::1",
    },
    Key {
        name: "nat-latching",
        kind: Kind::OneOf(&["signalled", "any"]),
        default: "signalled",
        help: "From where media is taken. signalled: from the address in SDP, from where the phone's SIP was seen to \
               come, and on encrypted legs from wherever a packet comes that proves itself. any: from the first \
               source that sends, which lets strangers in who guess a port; only for trunks behind unknown NATs.",
        reload: true,
        example: "",
    },
    Key {
        name: "relay-threads",
        kind: Kind::Integer { min: 0, max: 1024 },
        default: "0",
        help: "Threads that carry media; 0: half of the cores, at least one.",
        reload: false,
        example: "",
    },
    Key {
        name: "sip-threads",
        kind: Kind::Integer { min: 0, max: 1024 },
        default: "0",
        help: "Threads that handle SIP; 0: half of the cores, at least one.",
        reload: false,
        example: "",
    },
    Key {
        name: "name-servers",
        kind: Kind::Checked {
            expected: "IP addresses, with or without port, separated by spaces",
            check: checked::<SocketAddresses>,
        },
        default: "",
        help: "DNS servers to ask instead of the system's.",
        reload: false,
        example: "192.0.2.53 [2001:db8::53]:5353",
    },
    Key {
        name: "enable-ice",
        kind: Kind::Unavailable(&["false", "0"]),
        default: "false",
        help: "ICE. Not available in this build, so that only false is accepted (upstream's default is true).",
        reload: false,
        example: "",
    },
    Key {
        name: "nat-addresses",
        kind: Kind::Unavailable(&[""]),
        default: "",
        help: "Public addresses to offer by ICE. Not available in this build; see media-address.",
        reload: false,
        example: "",
    },
    codecs::AUDIO,
    codecs::VIDEO,
];
