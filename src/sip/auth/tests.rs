//! Tests of the digest client, with the vectors of the RFCs.

use super::*;
use crate::sip::{Method, Response, Status, Text, Uri};

fn mufasa(secret: Secret) -> Credentials {
    Credentials {
        username: "Mufasa".into(),
        realm: None,
        secret,
    }
}

/// The value of a directive of an answer, quotes undone.
fn directive(answer: &Text, name: &str) -> Option<String> {
    let rest = answer.strip_prefix(&b"Digest "[..]).unwrap();
    directives(rest)
        .find(|(found, _)| *found == name.as_bytes())
        .map(|(_, value)| value)
}

fn response(challenge: &str, secret: Secret, uri: &str, cnonce: &str) -> Text {
    Challenge::parse(challenge)
        .unwrap()
        .answer(&mufasa(secret), &"GET".into(), &opaque_uri(uri), 1, cnonce)
        .unwrap()
}

/// The HTTP vectors ask for a path, which is no URI of ours.
fn opaque_uri(path: &str) -> Uri {
    Uri::unreadable(&path.into())
}

const RFC_7616: &str = "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", \
    nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"";
const CNONCE_7616: &str = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";

#[test]
fn md5_and_sha_256_agree_with_rfc_7616() {
    for (algorithm, expected) in [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        (
            "SHA-256",
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
        ),
    ] {
        let challenge = format!("{RFC_7616}, algorithm={algorithm}");
        let secret = Secret::Clear("Circle of Life".into());
        let answer = response(&challenge, secret, "/dir/index.html", CNONCE_7616);
        assert_eq!(directive(&answer, "response").as_deref(), Some(expected));
        assert_eq!(directive(&answer, "algorithm").as_deref(), Some(algorithm));
        assert_eq!(directive(&answer, "qop").as_deref(), Some("auth"));
        assert_eq!(directive(&answer, "nc").as_deref(), Some("00000001"));
        assert_eq!(directive(&answer, "uri").as_deref(), Some("/dir/index.html"));
        let opaque = "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS";
        assert_eq!(directive(&answer, "opaque").as_deref(), Some(opaque));
    }
}

#[test]
fn a_sha_256_hash_serves_as_its_password_does() {
    let challenge = format!("{RFC_7616}, algorithm=SHA-256");
    let ha1 = Algorithm::Sha256.hash(&[b"Mufasa:http-auth@example.org:Circle of Life"]);
    let [password, hash] = [Secret::Clear("Circle of Life".into()), Secret::Sha256Ha1(ha1)]
        .map(|secret| response(&challenge, secret, "/dir/index.html", CNONCE_7616));
    assert_eq!(password, hash);
}

#[test]
fn the_vector_of_rfc_2617_comes_from_password_and_from_hash() {
    let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
        nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    for secret in [
        Secret::Clear("Circle Of Life".into()),
        Secret::Md5Ha1("939e7578ed9e3c518a452acee763bce9".into()),
        Secret::Md5Ha1("939E7578ED9E3C518A452ACEE763BCE9".into()),
    ] {
        let answer = response(challenge, secret, "/dir/index.html", "0a4f113b");
        assert_eq!(
            directive(&answer, "response").as_deref(),
            Some("6629fae49393a05397450978507c4ef1")
        );
    }
}

#[test]
fn without_qop_the_answer_is_that_of_rfc_2069() {
    // The example of RFC 2069 §2.4 with the correction of its errata.
    let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let secret = Secret::Clear("CircleOfLife".into());
    let answer = response(challenge, secret, "/dir/index.html", "unused");
    assert_eq!(
        directive(&answer, "response").as_deref(),
        Some("1949323746fe6a43ef61f9606e7febea")
    );
    for absent in ["cnonce", "nc", "qop", "opaque"] {
        assert_eq!(directive(&answer, absent), None, "{absent}");
    }
}

#[test]
fn a_session_hash_binds_nonce_and_cnonce() {
    let challenge =
        Challenge::parse("Digest realm=\"r\",nonce=\"n\",algorithm=MD5-sess,qop=\"auth\"").unwrap();
    let hash = |text: &str| Algorithm::Md5.hash(&[text.as_bytes()]);
    let session = hash(&format!("{}:n:c", hash("Mufasa:r:pw")));
    let expected = hash(&format!(
        "{session}:n:0000000a:c:auth:{}",
        hash("INVITE:sip:bob@example.org")
    ));
    let uri = Uri::parse("sip:bob@example.org").unwrap();
    let credentials = mufasa(Secret::Clear("pw".into()));
    let answer = challenge
        .answer(&credentials, &Method::Invite, &uri, 10, "c")
        .unwrap();
    assert_eq!(directive(&answer, "response"), Some(expected));
    assert_eq!(directive(&answer, "nc").as_deref(), Some("0000000a"));
}

#[test]
fn quotes_in_a_user_name_are_escaped() {
    let challenge = Challenge::parse("Digest realm=\"a \\\"b\\\" c\", nonce=\"x,y\"").unwrap();
    assert_eq!(
        (challenge.realm.as_str(), challenge.nonce.as_str()),
        ("a \"b\" c", "x,y")
    );
    let credentials = Credentials {
        username: "J \"x\" \\".into(),
        realm: Some("a \"b\" c".into()),
        secret: Secret::Clear("pw".into()),
    };
    let uri = Uri::parse("sip:h").unwrap();
    let answer = challenge
        .answer(&credentials, &Method::Bye, &uri, 1, "c")
        .unwrap();
    let answer = answer.to_string();
    assert!(
        answer.starts_with("Digest username=\"J \\\"x\\\" \\\\\", realm=\"a \\\"b\\\" c\", "),
        "{answer}"
    );
}

#[test]
fn the_first_challenge_that_the_secret_can_do_is_chosen() {
    let mut response = Response::new(Status::PROXY_AUTHENTICATION_REQUIRED);
    for value in [
        "Basic realm=\"r\"",
        "Digest realm=\"r\",nonce=\"1\",algorithm=SHA-256,qop=\"auth\"",
        "Digest realm=\"r\",nonce=\"2\",algorithm=MD5,qop=\"auth\"",
        "Digest realm=\"other\",nonce=\"3\"",
    ] {
        response.headers.push("Proxy-Authenticate", value);
    }
    response
        .headers
        .push("WWW-Authenticate", "Digest realm=\"r\",nonce=\"4\"");
    let asked = |realm: Option<&str>, secret| {
        let credentials = Credentials {
            realm: realm.map(str::to_owned),
            ..mufasa(secret)
        };
        let (header, challenge) = Challenge::asked(&response, &credentials)?;
        assert_eq!(header, "Proxy-Authorization");
        Some(challenge.nonce)
    };
    assert_eq!(asked(None, Secret::Clear("x".into())).as_deref(), Some("1"));
    assert_eq!(asked(None, Secret::Md5Ha1("x".into())).as_deref(), Some("2"));
    assert_eq!(
        asked(Some("other"), Secret::Clear("x".into())).as_deref(),
        Some("3")
    );
    assert_eq!(asked(Some("other"), Secret::Sha256Ha1("x".into())), None);
    assert_eq!(asked(Some("third"), Secret::Clear("x".into())), None);
    response.status = Status::UNAUTHORIZED;
    let (header, challenge) = Challenge::asked(&response, &mufasa(Secret::Clear("x".into()))).unwrap();
    assert_eq!((header, challenge.nonce.as_str()), ("Authorization", "4"));
}

#[test]
fn challenges_that_cannot_be_answered_are_errors() {
    for bad in [
        "Basic realm=\"r\"",
        "Digest nonce=\"n\"",
        "Digest realm=\"r\"",
        "Digest realm=\"r\",nonce=\"n\",algorithm=SHA-512-256",
        "Digest realm=\"r\",nonce=\"n\",qop=\"auth-int\"",
        "",
    ] {
        assert!(Challenge::parse(bad).is_err(), "{bad}");
    }
    let challenge =
        Challenge::parse("digest  Realm = r , NONCE=\"n\" ,stale=TRUE, algorithm=\"md5\"").unwrap();
    assert_eq!(
        (challenge.realm.as_str(), challenge.stale, challenge.qop_auth),
        ("r", true, false)
    );
}

#[test]
fn the_secret_is_not_shown() {
    let shown = format!("{:?}", mufasa(Secret::Clear("Circle of Life".into())));
    assert!(shown.contains("Mufasa") && !shown.contains("Circle"), "{shown}");
}
