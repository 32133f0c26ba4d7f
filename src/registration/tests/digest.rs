//! Digest: every kind of secret and challenge, and nothing to strangers.

use super::rig::{Rig, key, plan, seconds};
use crate::sip::auth::{Algorithm, Credentials, Secret};
use md5::{Digest, Md5};
use sha2::Sha256;
use std::sync::Arc;

fn with_secret(secret: Secret) -> crate::registration::RegistrationPlan {
    let mut plan = plan("user1");
    plan.credentials = Some(Arc::new(Credentials {
        username: "user1".to_owned(),
        realm: Some("example.org".to_owned()),
        secret,
    }));
    plan
}

#[test]
fn md5_and_sha256_with_and_without_qop_of_passwords_and_of_hashes() {
    let text = "user1:example.org:secret";
    let md5 = Secret::Md5Ha1(hex::encode(Md5::digest(text)));
    let sha256 = Secret::Sha256Ha1(hex::encode(Sha256::digest(text)));
    let clear = || Secret::Clear("secret".to_owned());
    let mut tried = 0;
    for qop in [true, false] {
        for (algorithm, secret) in [
            (Algorithm::Md5, clear()),
            (Algorithm::Md5, md5.clone()),
            (Algorithm::Sha256, clear()),
            (Algorithm::Sha256, sha256.clone()),
        ] {
            let mut rig = Rig::new();
            rig.registrar().algorithm = algorithm;
            rig.registrar().qop = qop;
            rig.set(vec![with_secret(secret)]);
            rig.pass(seconds(1));
            assert_eq!(rig.status("user1"), "OK", "{algorithm:?} {qop}");
            rig.no_complaints();
            tried += 1;
        }
    }
    assert_eq!(tried, 8);
}

#[test]
fn a_refresh_counts_on_with_the_nonce_that_is_there() {
    let mut rig = Rig::new();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(3000));
    assert_eq!(rig.status("user1"), "OK");
    let with = rig
        .sent
        .iter()
        .filter(|(_, sent)| sent.headers.contains("Authorization"))
        .count();
    assert_eq!(with, rig.sent.len() - 1, "all but the first");
    assert!(with > 4, "{with}");
    // The registrar checks that `nc` counts its uses.
    rig.no_complaints();
}

#[test]
fn a_nonce_that_is_too_old_is_replaced_whether_it_is_called_stale_or_not() {
    for says_stale in [true, false] {
        let mut rig = Rig::new();
        rig.registrar().nonce_uses = 1;
        rig.registrar().says_stale = says_stale;
        rig.set(vec![plan("user1")]);
        rig.pass(seconds(3000));
        let others = rig.history.iter().skip(3).count();
        assert_eq!(others, 0, "OK from the first on: {:?}", rig.history);
        assert!(rig.sent.len() > 8, "{}", rig.sent.len());
        rig.no_complaints();
    }
}

#[test]
fn a_wrong_password_is_tried_twice_and_then_not_for_a_while() {
    let mut rig = Rig::new();
    rig.set(vec![with_secret(Secret::Clear("wrong".to_owned()))]);
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "Registration failed: Bad credentials");
    assert_eq!(
        rig.sent.len(),
        3,
        "a new nonce without `stale` gets one more chance"
    );
    rig.pass(seconds(600));
    let at_most = 3 * (600 / 30 + 5);
    assert!(rig.sent.len() < at_most, "{}", rig.sent.len());
    assert!(rig.sent.len() > 12, "it goes on trying: {}", rig.sent.len());
}

#[test]
fn changed_credentials_are_tried_at_once_and_once() {
    let mut rig = Rig::new();
    rig.set(vec![with_secret(Secret::Clear("wrong".to_owned()))]);
    rig.pass(seconds(1));
    let changes = rig.set(vec![with_secret(Secret::Clear("secret".to_owned()))]);
    assert_eq!(changes.updated, 1);
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "OK");
    assert_eq!(rig.registrar().bindings.len(), 1);
}

#[test]
fn another_realm_gets_no_answer() {
    // S8: a stranger's realm, even where it has taken our registrar's place.
    let mut rig = Rig::new();
    rig.registrar().realm = "evil.example".to_owned();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(300));
    assert_eq!(rig.status("user1"), "Registration failed: Bad credentials");
    assert!(rig.sent.len() > 4);
    assert!(
        rig.sent
            .iter()
            .all(|(_, sent)| !sent.headers.contains("Authorization"))
    );
}

#[test]
fn a_realm_that_is_not_the_domain_is_answered_where_it_is_the_accounts() {
    let mut rig = Rig::new();
    rig.registrar().realm = "asterisk".to_owned();
    let mut plan = plan("user1");
    plan.credentials = Some(Arc::new(Credentials {
        username: "user1".to_owned(),
        realm: Some("asterisk".to_owned()),
        secret: Secret::Clear("secret".to_owned()),
    }));
    rig.set(vec![plan]);
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "OK");
    rig.no_complaints();
}

#[test]
fn secrets_are_in_no_debug_output() {
    let mut rig = Rig::new();
    rig.set(vec![with_secret(Secret::Clear("hunter2".to_owned()))]);
    let text = format!("{:?} {:?}", rig.book, rig.views.get(&key("user1")));
    assert!(text.contains("user1") && !text.contains("hunter2"));
}
