//! `[b2bua-server]`: ports, media, and what they take of the machine.

use super::super::{
    codecs,
    key::{Key, Kind, checked},
    types::{Addresses, SocketAddresses},
};

pub(super) const KEYS: &[Key] = &[
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
