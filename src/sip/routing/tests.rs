use super::*;
use crate::sip::{Message, parse};
use bytes::Bytes;

fn request(text: &str) -> Request {
    match parse::datagram(Bytes::from(text.replace('\n', "\r\n"))).expect("a message") {
        parse::Parsed::Message(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn with(method: &str, via: &str, to_tag: &str) -> Request {
    request(&format!(
        "{method} sip:bob@example.org SIP/2.0\nVia: {via}\nFrom: <sip:alice@example.org>;tag=a1\n\
         To: <sip:bob@example.org>{to_tag}\nCall-ID: c1\nCSeq: 7 {method}\nMax-Forwards: 70\nContent-Length: 0\n\n"
    ))
}

fn target(transport: Transport, fixed_transport: bool) -> Target {
    Target {
        transport,
        remote: "192.0.2.1:5060".parse().expect("an address"),
        server_name: None,
        local: "192.0.2.9".parse().expect("an address"),
        sent_by: "192.0.2.9:5060".into(),
        fixed_transport,
        own: None,
    }
}

#[test]
fn ack_and_cancel_have_the_key_of_their_invite() {
    for via in [
        "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKabc;received=192.0.2.7",
        "SIP/2.0/UDP 192.0.2.1:5060;branch=1",
        "SIP/2.0/UDP 192.0.2.1",
    ] {
        let invite = TransactionKey::of(&with("INVITE", via, "")).expect("a key");
        assert_eq!(
            invite,
            TransactionKey::of(&with("ACK", via, ";tag=b1")).expect("a key"),
            "{via}"
        );
        assert_eq!(
            invite,
            TransactionKey::of(&with("CANCEL", via, "")).expect("a key"),
            "{via}"
        );
        assert_ne!(
            invite,
            TransactionKey::of(&with("OPTIONS", via, "")).expect("a key"),
            "{via}"
        );
    }
}

#[test]
fn keys_differ_by_branch_and_by_sent_by_whose_port_is_filled_in() {
    let key = |via: &str| TransactionKey::of(&with("INVITE", via, "")).expect("a key");
    let one = key("SIP/2.0/UDP Host.example;branch=z9hG4bKabc");
    assert_eq!(one, key("SIP/2.0/UDP host.example:5060;branch=z9hG4bKabc"));
    assert_ne!(one, key("SIP/2.0/UDP host.example:5062;branch=z9hG4bKabc"));
    assert_ne!(one, key("SIP/2.0/UDP host.example;branch=z9hG4bKabd"));
    assert_ne!(one, key("SIP/2.0/TLS host.example;branch=z9hG4bKabc"));
}

#[test]
fn the_dialog_of_a_request_is_ours_by_to_tag_and_of_a_response_by_from_tag() {
    let via = "SIP/2.0/UDP h;branch=z9hG4bKabc";
    assert_eq!(DialogKey::of_request(&with("INVITE", via, "")), None);
    let key = DialogKey::of_request(&with("BYE", via, ";tag=b1")).expect("a key");
    assert_eq!((key.call_id, key.local_tag), ("c1".into(), "b1".into()));
    let response = with("BYE", via, ";tag=b1").respond(crate::sip::Status::OK, None);
    let key = DialogKey::of_response(&response).expect("a key");
    assert_eq!((key.call_id, key.local_tag), ("c1".into(), "a1".into()));
    assert!(TransactionKey::of_response(&response).is_err());
    let invite = with("INVITE", via, "");
    let key = TransactionKey::of_response(&invite.respond(crate::sip::Status::OK, None)).expect("a key");
    assert_eq!(key, TransactionKey::of_client(&invite.headers).expect("a key"));
    assert_ne!(
        key,
        TransactionKey::of(&invite).expect("a key"),
        "a server that calls itself tells them apart"
    );
}

#[test]
fn loose_and_strict_routes_address_as_rfc_3261_12_2_1_1_shows() {
    let set = |routes: &[&str]| -> Vec<NameAddr> {
        routes
            .iter()
            .map(|r| NameAddr::parse(*r).expect("a route"))
            .collect()
    };
    let target = Uri::parse("sip:user@remoteua").expect("a URI");
    let direct = Path::new(&[], &target);
    assert_eq!(
        (direct.uri.as_str(), direct.route.len()),
        ("sip:user@remoteua", 0)
    );
    assert_eq!(direct.hop.uri.as_str(), "sip:user@remoteua");

    let loose = Path::new(&set(&["<sip:proxy1;lr>", "<sip:proxy2>"]), &target);
    assert_eq!(loose.uri.as_str(), "sip:user@remoteua");
    assert_eq!(loose.route, ["<sip:proxy1;lr>", "<sip:proxy2>"]);
    assert_eq!(loose.hop.uri.as_str(), "sip:proxy1;lr");

    // The example of the RFC's text, to the letter.
    let strict = Path::new(
        &set(&["<sip:proxy1>", "<sip:proxy2>", "<sip:proxy3;lr>", "<sip:proxy4>"]),
        &target,
    );
    assert_eq!(strict.uri.as_str(), "sip:proxy1");
    assert_eq!(
        strict.route,
        [
            "<sip:proxy2>",
            "<sip:proxy3;lr>",
            "<sip:proxy4>",
            "<sip:user@remoteua>"
        ]
    );
    assert_eq!(strict.hop.uri.as_str(), "sip:proxy1");
}

#[test]
fn a_large_request_goes_by_tcp_first_unless_udp_was_asked_for() {
    let order = |target: Target, size| -> Vec<Transport> {
        Target::by_size(&[target], size)
            .into_iter()
            .map(|t| t.transport)
            .collect()
    };
    assert_eq!(order(target(Transport::Udp, false), 1300), [Transport::Udp]);
    assert_eq!(
        order(target(Transport::Udp, false), 1301),
        [Transport::Tcp, Transport::Udp]
    );
    assert_eq!(order(target(Transport::Udp, true), 1301), [Transport::Udp]);
    assert_eq!(order(target(Transport::Tcp, false), 9000), [Transport::Tcp]);
}
