//! `[b2bua-server]`: what decides about calls, where they come in, and from whom.

use super::super::{
    key::{Key, Kind, checked},
    types::Networks,
    uris::Transports,
};

pub(super) const KEYS: &[Key] = &[
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
];
