//! Tests of URIs.

use super::*;

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn the_parts_of_a_full_uri_are_found() {
    let uri = uri("sip:alice:pw@example.org:5080;transport=tcp;lr?Subject=hi&x=y");
    assert_eq!(uri.scheme(), Scheme::Sip);
    assert_eq!(uri.user(), Some("alice"));
    assert_eq!(uri.password(), Some("pw"));
    assert_eq!(uri.host(), "example.org");
    assert_eq!(uri.port(), Some(5080));
    assert_eq!(uri.param("Transport"), Some(Some("tcp")));
    assert_eq!(uri.param("lr"), Some(None));
    assert_eq!(uri.param("maddr"), None);
    assert_eq!(uri.params(), ";transport=tcp;lr");
    assert_eq!(uri.headers(), "Subject=hi&x=y");
    assert_eq!(
        uri.to_string(),
        "sip:alice:pw@example.org:5080;transport=tcp;lr?Subject=hi&x=y"
    );
}

#[test]
fn a_user_part_may_hold_semicolons_and_question_marks() {
    let uri = uri("sip:user;par=u%40example.net?x/y@example.com;z");
    assert_eq!(uri.user(), Some("user;par=u%40example.net?x/y"));
    assert_eq!(uri.user_unescaped().unwrap(), b"user;par=u@example.net?x/y");
    assert_eq!(uri.params(), ";z");
}

#[test]
fn an_escaped_null_does_not_cut_the_user() {
    assert_eq!(uri("sip:a%00b@h").user_unescaped().unwrap(), b"a\0b");
    assert_eq!(uri("sip:100%25%41@h").user_unescaped().unwrap(), b"100%A");
}

#[test]
fn ipv6_literals_lose_their_brackets() {
    let uri = uri("sips:[2001:db8::10]:5070;x");
    assert_eq!(
        (uri.host(), uri.port(), uri.user()),
        ("2001:db8::10", Some(5070), None)
    );
    assert_eq!(
        Uri::parse("sip:u@[2001:db8:::192.0.2.1]").unwrap().host(),
        "2001:db8:::192.0.2.1"
    );
}

#[test]
fn tel_and_unknown_schemes_are_kept_whole() {
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!(
        (tel.scheme(), tel.user(), tel.host()),
        (Scheme::Tel, Some("+1-201-555-0123"), "")
    );
    assert_eq!(tel.param("phone-context"), Some(Some("example.com")));
    let urn = uri("urn:service:sos.fire?x=y;z");
    assert_eq!(
        (urn.scheme(), urn.user(), urn.params(), urn.headers()),
        (Scheme::Other, None, "", "")
    );
    assert_eq!(urn.with_param("a", None), urn);
    assert_eq!(
        uri("sip:h;gr=urn:uuid:f81d-4f").param("gr"),
        Some(Some("urn:uuid:f81d-4f"))
    );
}

#[test]
fn what_is_no_uri_is_refused() {
    for bad in [
        "",
        "alice",
        ":x",
        "sip:",
        "sip:@",
        "sip:a@",
        "sip:a b@h",
        "<sip:a@h>",
        "sip:2001:db8::10",
        "sip:h:",
        "sip:h:65536",
        "sip:h:x",
        "sip:[::1",
        "sip:[]",
        "sip:[x]",
        "sip:a@h/x",
        "tel:",
        "1sip:h",
        "urn:",
        "sip:a@b@c",
        "sip:\"a\"@h",
    ] {
        assert!(Uri::parse(bad).is_err(), "{bad}");
    }
    assert!(Uri::parse(b"sip:\xe9@h".to_vec()).is_err());
    assert!(Uri::parse(format!("sip:{}@h", "a".repeat(70_000))).is_err());
}

#[test]
fn built_uris_are_escaped_and_bracketed() {
    assert_eq!(
        Uri::sip(Some("bob"), "example.org", None).as_str(),
        "sip:bob@example.org"
    );
    assert_eq!(
        Uri::sip(Some("a b@c%41"), "::1", Some(5060)).as_str(),
        "sip:a%20b%40c%41@[::1]:5060"
    );
    assert_eq!(Uri::sip(None, "[2001:db8::1]", None).host(), "2001:db8::1");
    assert_eq!(Uri::sip(None, "\r\n", None).host(), "invalid.invalid");
}

#[test]
fn parameters_can_be_set_and_removed() {
    let base = uri("sip:a@h;transport=udp;lr?x=y");
    assert_eq!(
        base.with_param("transport", Some("tcp")).as_str(),
        "sip:a@h;lr;transport=tcp?x=y"
    );
    assert_eq!(
        base.with_param("ob", None).as_str(),
        "sip:a@h;transport=udp;lr;ob?x=y"
    );
    assert_eq!(base.without_param("LR").as_str(), "sip:a@h;transport=udp?x=y");
    assert_eq!(base.without_params().as_str(), "sip:a@h?x=y");
    assert_eq!(base.without_headers().as_str(), "sip:a@h;transport=udp;lr");
    assert_eq!(
        uri("tel:+1").with_param("isub", Some("2")).as_str(),
        "tel:+1;isub=2"
    );
}

#[test]
fn equality_follows_the_examples_of_rfc_3261() {
    for (one, other) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
        ),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
        ),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:[2001:db8::0:1]", "sip:[2001:DB8::1]"),
        ("tel:+1-201-555-0123", "tel:+1(201)555.0123"),
        ("URN:service:sos", "urn:service:sos"),
    ] {
        assert!(uri(one).equivalent(&uri(other)), "{one} = {other}");
        assert!(uri(other).equivalent(&uri(one)), "{other} = {one}");
    }
    for (one, other) in [
        (
            "SIP:ALICE@AtLanTa.CoM;Transport=udp",
            "sip:alice@AtLanTa.CoM;Transport=UDP",
        ),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com?Subject=next%20meeting",
        ),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
        ),
        ("sip:a@h", "sips:a@h"),
        ("sip:a@h", "sip:a:pw@h"),
        ("tel:+1", "tel:+1;ext=2"),
    ] {
        assert!(!uri(one).equivalent(&uri(other)), "{one} != {other}");
        assert!(!uri(other).equivalent(&uri(one)), "{other} != {one}");
    }
}
