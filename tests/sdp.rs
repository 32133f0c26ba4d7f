//! Our reading of session descriptions against two readers that are not ours.
//!
//! `sdp-types` must print what we print, byte for byte. `sdp-rs` must see the same origin, addresses, m-lines and attributes.
//! Excluded, because `sdp-rs` 0.2.1 is wrong or unable there: a host name in `o=` (refused), `opus/48000/2` (printed as
//! `opus/48000 2`), a last line without end (dropped), lines ended by LF alone (quadratic), lines out of order, attributes
//! that it gives a type of its own (their text is not kept: `ptime`, `framerate`, …), more than 255 ports in an m-line.
//! Excluded, because `sdp-types` 0.3.1 does not keep them: lines with a letter of the future, Latin-1, times written in
//! minutes or hours, lines out of order.

use b2bua::sdp::{Origin, Plan, Protection, Sdp, StreamPlan, forward};
use proptest::prelude::*;
use std::net::{IpAddr, SocketAddr};

fn address() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| format!("IN IP4 {}", IpAddr::from(octets))),
        any::<[u16; 8]>().prop_map(|words| format!("IN IP6 {}", IpAddr::from(words))),
    ]
}

fn attribute() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("a=sendrecv".to_owned()),
        Just("a=inactive".to_owned()),
        Just("a=rtcp-mux".to_owned()),
        (
            0_u8..128,
            "[A-Za-z0-9-]{1,10}",
            prop_oneof![Just(8000_u32), Just(90_000)]
        )
            .prop_map(|(format, name, rate)| format!("a=rtpmap:{format} {name}/{rate}")),
        (0_u8..128, "[a-z]{1,8}=[0-9]{1,4}").prop_map(|(format, value)| format!("a=fmtp:{format} {value}")),
        "x-[a-z]{1,8}(:[!-~][ -~]{0,30}[!-~])?".prop_map(|text| format!("a={text}")),
    ]
}

fn media() -> impl Strategy<Value = String> {
    let kind = prop_oneof![Just("audio"), Just("video"), Just("image"), Just("application")];
    let proto = prop_oneof![
        Just("RTP/AVP"),
        Just("RTP/SAVP"),
        Just("RTP/AVPF"),
        Just("UDP/TLS/RTP/SAVPF"),
        Just("udptl")
    ];
    let ports = (any::<u16>(), proptest::option::of(1_u8..=255));
    let connection = proptest::option::of(address());
    let attributes = proptest::collection::vec(attribute(), 0..6);
    (
        kind,
        ports,
        proto,
        "[0-9]{1,3}( [0-9]{1,3}){0,5}",
        connection,
        proptest::option::of(1_u32..99_999),
        attributes,
    )
        .prop_map(
            |(kind, (port, count), proto, formats, connection, bandwidth, attributes)| {
                let count = count.map(|count| format!("/{count}")).unwrap_or_default();
                let mut lines = vec![format!("m={kind} {port}{count} {proto} {formats}")];
                lines.extend(connection.map(|connection| format!("c={connection}")));
                lines.extend(bandwidth.map(|bandwidth| format!("b=AS:{bandwidth}")));
                lines.extend(attributes);
                lines.join("\r\n")
            },
        )
}

fn session() -> impl Strategy<Value = String> {
    let origin = ("[a-zA-Z0-9]{1,12}", any::<u64>(), any::<u64>(), address());
    let connection = proptest::option::of(address());
    let attributes = proptest::collection::vec(attribute(), 0..4);
    let media = proptest::collection::vec(media(), 0..5);
    (
        origin,
        "[a-zA-Z][a-zA-Z ]{0,12}[a-z]",
        connection,
        attributes,
        media,
    )
        .prop_map(|((user, id, version, at), name, connection, attributes, media)| {
            let mut lines = vec![
                "v=0".to_owned(),
                format!("o={user} {id} {version} {at}"),
                format!("s={name}"),
            ];
            lines.extend(connection.map(|connection| format!("c={connection}")));
            lines.push("t=0 0".to_owned());
            lines.extend(attributes);
            lines.extend(media);
            lines.join("\r\n") + "\r\n"
        })
}

fn printed_by_sdp_types(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    sdp_types::Session::parse(text)
        .expect("sdp-types reads it")
        .write(&mut out)
        .expect("writing to memory");
    out
}

/// A plan that puts ports of ours on every stream.
fn plan(streams: usize) -> Plan<'static> {
    let address = IpAddr::from([198, 51, 100, 9]);
    let stream = StreamPlan {
        rtp: SocketAddr::new(address, 4_000),
        rtcp: SocketAddr::new(address, 4_001),
        mux: false,
        protection: Protection::None,
        feedback: false,
        feedback_attributes: true,
        keys: Vec::new(),
    };
    Plan {
        origin: Origin {
            username: "-".to_owned(),
            id: "1".to_owned(),
            version: "1".to_owned(),
            address: "IN IP4 198.51.100.9".to_owned(),
        },
        address,
        protection: Protection::None,
        streams: vec![Some(stream); streams],
        answering: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn sdp_types_prints_what_we_print(text in session()) {
        let ours = Sdp::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(&ours.to_bytes()[..], text.as_bytes());
        prop_assert_eq!(printed_by_sdp_types(text.as_bytes()), text.as_bytes());
        let forwarded = forward(&ours, &plan(ours.media.len())).to_bytes();
        prop_assert_eq!(printed_by_sdp_types(&forwarded), &forwarded[..]);
    }

    #[test]
    fn sdp_rs_sees_what_we_see(text in session()) {
        let ours = Sdp::parse(text.as_bytes()).unwrap();
        let theirs = sdp_rs::SessionDescription::try_from(text.as_str()).expect("sdp-rs reads it");
        prop_assert_eq!(&ours.origin.username, &theirs.origin.username);
        prop_assert_eq!(&ours.origin.id, &theirs.origin.sess_id);
        prop_assert_eq!(&ours.origin.version, &theirs.origin.sess_version);
        let shown = theirs.origin.unicast_address.to_string();
        prop_assert_eq!(ours.origin.address.split(' ').nth(2).unwrap(), shown);
        prop_assert_eq!(ours.media.len(), theirs.media_descriptions.len());
        let attributes = ours.lines.iter().filter(|line| line.kind == b'a').count();
        prop_assert_eq!(attributes, theirs.attributes.len());
        for (ours_media, theirs_media) in ours.media.iter().zip(&theirs.media_descriptions) {
            prop_assert_eq!(&ours_media.kind, &theirs_media.media.media.to_string());
            prop_assert_eq!(ours_media.port, theirs_media.media.port);
            prop_assert_eq!(ours_media.ports.map(|count| count as u8), theirs_media.media.num_of_ports);
            prop_assert_eq!(&ours_media.proto, &theirs_media.media.proto.to_string());
            prop_assert_eq!(&ours_media.formats, &theirs_media.media.fmt);
            let attributes = ours_media.lines.iter().filter(|line| line.kind == b'a').count();
            prop_assert_eq!(attributes, theirs_media.attributes.len());
            let connection = theirs_media.connections.first().or(theirs.connection.as_ref());
            let at = connection.map(|connection| connection.connection_address.base);
            prop_assert_eq!(ours.address(ours_media), at);
        }
    }
}
