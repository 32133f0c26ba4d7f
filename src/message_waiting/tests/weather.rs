//! A notifier that does not behave.

use super::rig::{Rig, plan, seconds, target};
use crate::{
    message_waiting::MailboxPlan,
    sip::{
        Status,
        auth::{Credentials, Secret},
    },
};
use std::sync::Arc;

fn status(code: u16) -> Status {
    Status::new(code).unwrap()
}

#[test]
fn a_time_that_is_too_short_is_asked_for_anew_and_remembered() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.notifier.least = 7200;
    rig.notifier.grants = 7200;
    let plan = MailboxPlan {
        expires: seconds(600),
        ..plan("user1")
    };
    rig.set(vec![plan]);
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.asked(), [600, 7200]);
    rig.pass(seconds(7200));
    assert!(
        rig.asked().iter().skip(1).all(|asked| *asked == 7200),
        "{:?}",
        rig.asked()
    );
    assert!(rig.sent.len() > 2);
    rig.no_complaints();
}

#[test]
fn a_notifier_that_has_forgotten_it_is_asked_anew_at_once_in_another_dialog() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    rig.notifier.restart();
    // The next refresh gets 481.
    rig.pass(seconds(600));
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.notifier.subscriptions.len(), 1);
    let ids: std::collections::BTreeSet<_> = rig.notifier.fields("Call-ID").collect();
    assert_eq!(ids.len(), 2);
    let at = |n: usize| rig.sent[n].0;
    assert!(at(2) - at(1) < seconds(1), "{:?}", at(2) - at(1));
    assert_eq!(rig.names.len(), 1);
    rig.no_complaints();
}

#[test]
fn a_notifier_that_ends_it_is_asked_anew_after_what_it_says() {
    for (state, least, most) in [
        ("terminated;reason=deactivated", 0, 5),
        ("terminated;reason=timeout", 0, 5),
        ("terminated", 0, 5),
        ("terminated;reason=probation;retry-after=50", 50, 52),
        ("terminated;reason=giveup;retry-after=300", 300, 302),
        ("terminated;reason=noresource", 1800, 3241),
        ("terminated;reason=rejected", 1800, 3241),
        ("terminated;reason=invariant", 1800, 3241),
    ] {
        let mut rig = Rig::new();
        rig.notifier.guard.realm.clear();
        rig.notifier.grants = 86_400;
        rig.set(vec![plan("user1")]);
        rig.pass(seconds(100));
        assert_eq!(rig.sent.len(), 1);
        rig.tell("Messages-Waiting: no\r\n", state);
        rig.pass(seconds(1));
        let ended = rig.now;
        rig.notifier.restart();
        assert!(
            rig.status("user1").starts_with("failed: ended by the notifier"),
            "{state}"
        );
        assert!(rig.names.is_empty());
        rig.pass(seconds(4000));
        let waited = rig.sent[1].0 - (ended - seconds(1));
        assert!(
            waited >= seconds(least) && waited <= seconds(most),
            "{state}: {waited:?}"
        );
        assert_eq!(rig.status("user1"), "subscribed", "{state}");
    }
}

#[test]
fn one_that_grants_and_ends_at_once_is_asked_ever_more_seldom() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.set(vec![plan("user1")]);
    for _ in 0..3600 {
        rig.tell("Messages-Waiting: no\r\n", "terminated;reason=deactivated");
        rig.notifier.restart();
        rig.pass(seconds(1));
    }
    // Once a minute, with chance: every 30 to 54 s.
    assert!((60..=140).contains(&rig.sent.len()), "{}", rig.sent.len());
}

#[test]
fn who_knows_no_mailboxes_is_asked_once_an_hour_and_who_is_busy_each_minute() {
    let mut tried = 0;
    for (code, least, most) in [
        (403, 24, 50),
        (404, 24, 50),
        (489, 24, 50),
        (501, 24, 50),
        (603, 24, 50),
        (480, 1400, 3000),
        (500, 1400, 3000),
        (503, 1400, 3000),
    ] {
        let mut rig = Rig::new();
        rig.notifier.refuses = Some((status(code), None));
        rig.set(vec![plan("user1")]);
        rig.pass(seconds(24 * 3600));
        let count = rig.sent.len();
        assert!((least..=most).contains(&count), "{code}: {count}");
        assert!(rig.status("user1").starts_with("failed: "), "{code}");
        rig.notifier.refuses = None;
        rig.pass(seconds(3600));
        assert_eq!(rig.status("user1"), "subscribed", "{code}");
        rig.no_complaints();
        tried += 1;
    }
    assert_eq!(tried, 8);
}

#[test]
fn retry_after_is_kept_to() {
    let mut rig = Rig::new();
    rig.notifier.refuses = Some((Status::SERVICE_UNAVAILABLE, Some(600)));
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(599));
    assert_eq!(rig.sent.len(), 1);
    rig.notifier.refuses = None;
    rig.pass(seconds(3));
    assert_eq!(rig.status("user1"), "subscribed");
}

#[test]
fn a_refresh_that_fails_by_the_way_leaves_what_was_granted_until_it_lapses() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    rig.notifier.silent = true;
    rig.pass(seconds(590));
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.names.len(), 1);
    assert!(!rig.dead.is_empty());
    rig.pass(seconds(100));
    assert_eq!(rig.status("user1"), "failed: No response");
    // It is back within the longest wait and a transaction.
    rig.notifier.silent = false;
    rig.notifier.restart();
    rig.pass(seconds(60 + 32));
    assert_eq!(rig.status("user1"), "subscribed");
    rig.no_complaints();
}

#[test]
fn of_two_servers_the_second_is_asked_when_the_first_is_silent() {
    let mut rig = Rig::new();
    rig.targets = Ok(vec![target(2), target(1)]);
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(2));
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.dead, [target(2)]);
}

#[test]
fn a_wrong_password_is_tried_once_an_hour_and_a_right_one_at_once() {
    let mut rig = Rig::new();
    let with = |secret: &str| {
        let credentials = Credentials {
            username: "user1".to_owned(),
            realm: Some("example.org".to_owned()),
            secret: Secret::Clear(secret.to_owned()),
        };
        MailboxPlan {
            credentials: Some(Arc::new(credentials)),
            ..plan("user1")
        }
    };
    rig.set(vec![with("wrong")]);
    rig.pass(seconds(1700));
    assert_eq!(rig.status("user1"), "failed: Bad credentials");
    let tries = rig.sent.len();
    assert!((2..=3).contains(&tries), "{tries}");
    assert_eq!(rig.set(vec![with("secret")]).updated, 1);
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "subscribed");
    let shown = format!("{:?}", rig.book);
    assert!(
        shown.contains("user1") && !shown.contains("\"secret\""),
        "{shown}"
    );
}

#[test]
fn another_realm_gets_no_answer() {
    // S8
    let mut rig = Rig::new();
    rig.notifier.guard.realm = "evil.example".to_owned();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(10_000));
    assert!(rig.sent.len() > 2);
    let answered = |(_, sent): &(_, crate::sip::Request)| sent.headers.contains("Authorization");
    assert!(!rig.sent.iter().any(answered));
}

#[test]
fn one_that_says_nothing_stays_subscribed() {
    let mut rig = Rig::new();
    rig.notifier.says_nothing = true;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(100));
    assert_eq!(rig.status("user1"), "subscribed");
    assert!(rig.news.is_empty());
    rig.tell("Messages-Waiting: yes\r\n", "active");
    rig.pass(seconds(1));
    assert_eq!(rig.news.len(), 1);
}

#[test]
fn a_notify_may_shorten_it() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.notifier.grants = 86_400;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    rig.tell("Messages-Waiting: no\r\n", "active;expires=100");
    rig.pass(seconds(92));
    assert_eq!(rig.sent.len(), 2);
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.names.len(), 1);
}
