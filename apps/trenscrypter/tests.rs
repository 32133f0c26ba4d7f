use super::*;
use b2bua::{
    app::{Registrations, SystemClock},
    config::{Config as File, ConfigErrors, Schema},
    sip::{
        Message, Text,
        parse::{Parsed, datagram},
        routing::{FlowId, Source, Transport},
    },
};
use std::{net::Ipv4Addr, pin::pin, sync::Arc, task};

/// An INVITE from alice to bob with these extra header lines; the encryption is what its offer asked for.
fn invite(to: &str, encryption: Option<Encryption>, lines: &str) -> Invite {
    let text = format!(
        "INVITE sip:bob@198.51.100.9:5999;ob SIP/2.0\r\n\
         Via: SIP/2.0/TCP 192.0.2.7:5060;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
         From: \"Alice A.\" <sip:alice@example.org;user=phone>;tag=a1;x=y\r\nTo: {to}\r\n\
         Call-ID: a@192.0.2.7\r\nCSeq: 1 INVITE\r\nContact: <sip:alice@192.0.2.7>\r\n\
         User-Agent: Phone/1\r\nSupported: outbound\r\n{lines}Content-Length: 0\r\n\r\n"
    );
    let Ok(Parsed::Message(Message::Request(request))) = datagram(text.into()) else {
        unreachable!("a well-formed request")
    };
    let address = (Ipv4Addr::LOCALHOST, 5060).into();
    Invite {
        from: request.headers.from().expect("a From"),
        to: request.headers.to().expect("a To"),
        own: None,
        source: Source {
            transport: Transport::Tcp,
            local: address,
            remote: address,
            flow: FlowId(1),
        },
        request,
        encryption,
    }
}

fn services(proxy: Option<&str>) -> Services {
    Services {
        outbound_proxy: proxy.map(|uri| Uri::parse(uri).expect("a URI")),
        latching: NatLatching::Signalled,
        clock: Arc::new(SystemClock),
        directory: Default::default(),
        registrations: Registrations::default(),
        redis: None,
        own_connections: None,
        remarks: b2bua::app::Remarks::default(),
    }
}

fn read(section: &str) -> Result<File, ConfigErrors> {
    let schema = Schema::new(&[(Trenscrypter::NAME, Trenscrypter::HELP, Trenscrypter::KEYS)]);
    let text = format!("[b2bua-server::trenscrypter]\n{section}\n");
    File::read("t.conf".as_ref(), &text, &[], &schema)
}

/// The application never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut task::Context::from_waker(task::Waker::noop())) {
        task::Poll::Ready(value) => value,
        task::Poll::Pending => unreachable!("nothing to wait for"),
    }
}

fn decide_by(section: &str, services: &Services, invite: &Invite) -> Decision {
    let config = read(section).expect("a good section");
    let config = config
        .section("b2bua-server::trenscrypter")
        .expect("table and struct fit");
    let app = ready(Trenscrypter::build(config, services)).expect("built");
    ready(app.route(&mut Attempts::default(), invite))
}

fn bridged(section: &str, invite: &Invite) -> Outgoing {
    let services = services(Some("sip:127.0.0.1:5060;transport=tcp"));
    match decide_by(section, &services, invite) {
        Decision::Bridge(mut routes) if routes.len() == 1 => routes.remove(0),
        other => unreachable!("one route, not {other:?}"),
    }
}

fn fields(outgoing: &Outgoing) -> Vec<String> {
    let line = |(name, value): (_, Text)| {
        let name: b2bua::sip::Name = name;
        format!("{}: {}", name.as_text().to_str(), value.to_str())
    };
    outgoing.headers.iter().map(line).collect()
}

const BOB: &str = "\"Bob\" <sip:bob@example.org;gr=urn:uuid:1>;tag=zz";

#[test]
fn the_callee_is_the_to_of_the_caller_with_name_and_parameters() {
    let outgoing = bridged("", &invite(BOB, Some(Encryption::None), ""));
    assert_eq!(outgoing.target.to_string(), "sip:bob@example.org;gr=urn:uuid:1");
    assert_eq!(
        outgoing.to.to_text().to_str(),
        "\"Bob\" <sip:bob@example.org;gr=urn:uuid:1>"
    );
    let from = outgoing.from.to_text();
    assert_eq!(from.to_str(), "\"Alice A.\" <sip:alice@example.org;user=phone>");
}

#[test]
fn uri_headers_do_not_reach_the_callee() {
    let outgoing = bridged("", &invite("<sip:bob@example.org?subject=x>", None, ""));
    assert_eq!(outgoing.target.to_string(), "sip:bob@example.org");
    assert_eq!(outgoing.to.to_text().to_str(), "<sip:bob@example.org>");
}

#[test]
fn the_outbound_proxy_is_the_route_and_routes_loosely() {
    let route = bridged("", &invite(BOB, None, "")).route;
    let route: Vec<_> = route.iter().map(ToString::to_string).collect();
    assert_eq!(route, ["sip:127.0.0.1:5060;transport=tcp;lr"]);
    let Decision::Bridge(routes) = decide_by("", &services(None), &invite(BOB, None, "")) else {
        unreachable!("bridged")
    };
    assert!(
        routes[0].route.is_empty(),
        "without a proxy the call goes straight to the callee's domain"
    );
}

#[test]
fn the_first_rule_that_matches_the_whole_uri_decides() {
    let rules = "outgoing-enc-regex=none sip:bob@example.org sdes sip:bob@.* none .*";
    let policy = |to: &str| {
        bridged(rules, &invite(to, Some(Encryption::Sdes), ""))
            .media
            .encryption
    };
    let only = EncryptionPolicy::Only;
    assert_eq!(policy("<sip:bob@example.org>"), only(Encryption::None));
    assert_eq!(
        policy("<sip:bob@example.org;gr=1>"),
        only(Encryption::Sdes),
        "parameters count"
    );
    assert_eq!(
        policy("\"sip:bob@example.org\" <sip:eve@example.org>"),
        only(Encryption::None)
    );
    assert_eq!(policy("<tel:+331>"), only(Encryption::None));
}

#[test]
fn without_a_match_the_callee_gets_what_the_caller_offered() {
    let rules = "outgoing-enc-regex=sdes sip:carol@.*";
    for offered in [Some(Encryption::None), Some(Encryption::Sdes), None] {
        let outgoing = bridged(rules, &invite(BOB, offered, ""));
        assert_eq!(
            outgoing.media.encryption,
            EncryptionPolicy::AsCaller,
            "{offered:?}"
        );
    }
}

#[test]
fn suites_are_chosen_when_the_callee_may_get_sdes() {
    let suites =
        "outgoing-srtp-regex=AES_256_CM_HMAC_SHA1_80;AEAD_AES_256_GCM sip:bob@.* AES_CM_128_HMAC_SHA1_32 .*";
    let expected = [Suite::AesCm256HmacSha1_80, Suite::AeadAes256Gcm];
    let chosen = |mode: &str, offered| {
        let rules = format!("outgoing-enc-regex={mode}\n{suites}");
        bridged(&rules, &invite(BOB, offered, "")).media.suites
    };
    assert_eq!(chosen("sdes .*", Some(Encryption::None)), expected, "by rule");
    assert_eq!(chosen("", Some(Encryption::Sdes)), expected, "by inheritance");
    assert_eq!(chosen("", None), expected, "the caller has not offered yet");
    assert!(chosen("none .*", Some(Encryption::Sdes)).is_empty());
    assert!(chosen("", Some(Encryption::None)).is_empty());
    let carol = invite("<sip:carol@x>", Some(Encryption::Sdes), "");
    assert_eq!(bridged(suites, &carol).media.suites, [Suite::AesCm128HmacSha1_32]);
    assert!(
        bridged("", &carol).media.suites.is_empty(),
        "no rule: the server's own list"
    );
}

#[test]
fn every_mode_is_had_by_rule_and_by_inheritance() {
    for (word, mode) in [
        ("none", Encryption::None),
        ("sdes", Encryption::Sdes),
        ("dtls-srtp", Encryption::DtlsSrtp),
        ("zrtp", Encryption::Zrtp),
    ] {
        let ruled = bridged(&format!("outgoing-enc-regex={word} .*"), &invite(BOB, None, ""));
        assert_eq!(ruled.media.encryption, EncryptionPolicy::Only(mode));
        let inherited = bridged("", &invite(BOB, Some(mode), ""));
        assert_eq!(inherited.media.encryption, EncryptionPolicy::AsCaller);
    }
}

#[test]
fn listed_headers_pass_and_the_marker_is_ours() {
    let lines = "P-Asserted-Identity: <sip:alice@example.org>\r\ns: lunch\r\nX-Order: 1\r\nX-Flexisip-B2BUA: no\r\n\
                 Secret: 1\r\nPrivacy: id\r\n";
    let expected = [
        "P-Asserted-Identity: <sip:alice@example.org>",
        "s: lunch",
        "X-Order: 1",
        "Privacy: id",
        "X-Flexisip-B2BUA: ignore",
    ];
    assert_eq!(fields(&bridged("", &invite(BOB, None, lines))), expected);
    let fewer = fields(&bridged("forwarded-headers=Secret", &invite(BOB, None, lines)));
    assert_eq!(fewer, ["Secret: 1", "X-Flexisip-B2BUA: ignore"]);
    let none = fields(&bridged("forwarded-headers= ", &invite(BOB, None, lines)));
    assert_eq!(none, ["X-Flexisip-B2BUA: ignore"]);
}

#[test]
fn rules_that_make_no_sense_are_refused_with_their_line() {
    let rows = [
        (
            "outgoing-enc-regex=sdes .* none",
            "\"none\" at the end has no regular expression",
        ),
        (
            "outgoing-enc-regex=srtp .*",
            "there is no encryption mode \"srtp\"",
        ),
        (
            "outgoing-enc-regex=SDES .*",
            "there is no encryption mode \"SDES\"",
        ),
        ("outgoing-enc-regex=sdes (", "regular expression \"(\""),
        ("outgoing-srtp-regex=AES_CM_128 .*", "AES_CM_128"),
        (
            "outgoing-srtp-regex=AES_192_CM_HMAC_SHA1_80 .*",
            "AES_192_CM_HMAC_SHA1_80",
        ),
        ("outgoing-srtp-regex=; .*", "names no suite"),
        (
            "outgoing-srtp-regex=AEAD_AES_128_GCM",
            "has no regular expression",
        ),
        ("forwarded-headers=Contact", "belongs to one leg"),
        ("forwarded-headers=*", "pass on everything"),
    ];
    for (line, fault) in rows {
        let report = read(line).expect_err(line).to_string();
        assert!(
            report.starts_with("t.conf:2: b2bua-server::trenscrypter/"),
            "{report}"
        );
        assert!(report.contains(fault), "{fault:?} in {report}");
    }
}

/// The encryptions that a callee is called with which refuses each of them with these codes, and what becomes of the call.
fn tried(section: &str, offered: Option<Encryption>, codes: &[(u16, Origin)]) -> Vec<EncryptionPolicy> {
    let config = read(section).expect("a good section");
    let config = config
        .section("b2bua-server::trenscrypter")
        .expect("table and struct fit");
    let app = ready(Trenscrypter::build(config, &services(None))).expect("built");
    let mut attempts = Attempts::default();
    let Decision::Bridge(first) = ready(app.route(&mut attempts, &invite(BOB, offered, "Subject: tea\r\n")))
    else {
        unreachable!("bridged")
    };
    let before = fields(&first[0]);
    let mut tried = vec![first[0].media.encryption];
    for (code, origin) in codes {
        let status = Status::new(*code).expect("a code");
        let failure = Failure::new(status, *origin, b2bua::call::failure::Kind::NotAcceptable);
        match ready(app.rescue(&mut attempts, &failure)) {
            Rescue::Try(routes) => {
                assert_eq!(routes.len(), 1);
                assert_eq!(fields(&routes[0]), before);
                assert_eq!(routes[0].target, first[0].target, "the same callee");
                tried.push(routes[0].media.encryption);
            }
            Rescue::Relay => {}
            Rescue::Replace(other) => unreachable!("{other:?}"),
        }
    }
    tried
}

#[test]
fn an_encryption_that_is_refused_is_not_replaced_by_another_on_its_own() {
    for code in [488, 415, 606] {
        let rules = "outgoing-enc-regex=zrtp .*";
        let refused = [(code, Origin::LegB); 3];
        assert_eq!(
            tried(rules, Some(Encryption::None), &refused),
            [EncryptionPolicy::Only(Encryption::Zrtp)]
        );
    }
}

#[test]
fn what_encryption_fallback_names_is_tried_in_order_once_each() {
    use Encryption::{DtlsSrtp, None, Sdes, Zrtp};
    let only = EncryptionPolicy::Only;
    let refused = [
        (488, Origin::LegB),
        (415, Origin::LegB),
        (606, Origin::LegB),
        (488, Origin::LegB),
    ];
    let ruled = |list: &str| {
        let rules = format!("outgoing-enc-regex=zrtp .*\nencryption-fallback={list}");
        tried(&rules, Some(None), &refused)
    };
    assert_eq!(ruled("dtls-srtp sdes"), [Zrtp, DtlsSrtp, Sdes].map(only));
    assert_eq!(
        ruled("sdes zrtp none"),
        [Zrtp, Sdes, None].map(only),
        "not zrtp again"
    );
    let inherited = tried("encryption-fallback=sdes none", Some(Sdes), &refused);
    assert_eq!(inherited, [EncryptionPolicy::AsCaller, only(None)]);
    let offerless = tried("encryption-fallback=sdes none", Option::None, &refused);
    assert_eq!(
        offerless,
        [EncryptionPolicy::AsCaller],
        "nothing was offered that could be refused"
    );
}

#[test]
fn a_callee_that_is_busy_or_a_fault_of_ours_is_no_reason_to_fall_back() {
    let rules = "outgoing-enc-regex=zrtp .*\nencryption-fallback=none";
    for other in [
        (486, Origin::LegB),
        (488, Origin::Local),
        (503, Origin::LegB),
        (408, Origin::LegB),
    ] {
        let tried = tried(rules, Some(Encryption::None), &[other]);
        assert_eq!(tried, [EncryptionPolicy::Only(Encryption::Zrtp)], "{other:?}");
    }
}

#[test]
fn only_a_list_with_none_lets_a_callee_without_zrtp_be_heard_in_the_clear() {
    for (list, clear) in [
        ("", false),
        ("encryption-fallback=sdes", false),
        ("encryption-fallback=sdes none", true),
    ] {
        let outgoing = bridged(list, &invite(BOB, Some(Encryption::Zrtp), ""));
        assert_eq!(outgoing.media.clear_without_zrtp, clear, "{list}");
    }
}

#[test]
fn a_fallback_that_is_none_is_refused_at_start() {
    for list in ["encryption-fallback=clear", "encryption-fallback=sdes sdes"] {
        assert!(read(list).is_err(), "{list}");
    }
}
