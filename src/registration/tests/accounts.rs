//! Lists of accounts: throttled, and reloaded by difference.

use super::rig::{Rig, key, millis, plan, seconds, uri};
use crate::{
    registration::{Changes, RegistrationPlan},
    sip::auth::{Credentials, Secret},
};
use std::sync::Arc;

fn many(count: usize, throttle: u64) -> Vec<RegistrationPlan> {
    (0..count)
        .map(|n| {
            let mut plan = plan(&format!("user{n}"));
            plan.throttle = millis(throttle);
            plan
        })
        .collect()
}

/// Without digest and without time running out in between.
fn open() -> Rig {
    let mut rig = Rig::new();
    rig.registrar().realm.clear();
    rig.registrar().grants = 86_400;
    rig
}

#[test]
fn without_a_throttle_all_go_at_once() {
    let mut rig = open();
    rig.set(many(1000, 0));
    rig.pass(millis(30));
    assert_eq!(rig.registrar().bindings.len(), 1000);
}

#[test]
fn throttled_ones_go_one_after_another() {
    let mut rig = open();
    rig.set(many(50, 100));
    rig.pass(seconds(10));
    assert_eq!(rig.registrar().bindings.len(), 50);
    for pair in rig.sent.windows(2) {
        assert_eq!(pair[1].0 - pair[0].0, millis(100));
    }
}

#[test]
fn refreshes_are_throttled_too_and_none_is_late() {
    let mut rig = open();
    rig.registrar().grants = 20;
    rig.set(many(100, 50));
    rig.pass(seconds(200));
    assert!(rig.sent.len() > 1000, "{}", rig.sent.len());
    for pair in rig.sent.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= millis(50));
    }
    let now = rig.now;
    assert_eq!(rig.registrar().bound(now), 100);
    assert_eq!(rig.history.len(), 300, "none was lost for a moment");
}

#[test]
fn of_ten_thousand_accounts_a_hundred_changes_are_exactly_a_hundred_registers() {
    let mut rig = open();
    rig.set(many(10_000, 0));
    rig.pass(seconds(1));
    assert_eq!(rig.registrar().bindings.len(), 10_000);
    rig.sent.clear();
    let heard = rig.registrar().heard.len();
    assert_eq!(heard, 10_000);

    let mut changed = many(10_000, 0);
    for plan in changed.iter_mut().step_by(100) {
        let credentials = Credentials {
            username: plan.aor.user().unwrap().to_owned(),
            realm: Some("example.org".to_owned()),
            secret: Secret::Clear("another".to_owned()),
        };
        plan.credentials = Some(Arc::new(credentials));
    }
    let changes = rig.set(changed);
    let expected = Changes {
        kept: 9_900,
        updated: 100,
        ..Changes::default()
    };
    assert_eq!(changes, expected);
    rig.pass(seconds(10));
    assert_eq!(rig.registrar().heard.len() - heard, 100);
}

#[test]
fn new_ones_are_registered_vanished_ones_removed_and_the_rest_left_alone() {
    let mut rig = open();
    rig.set(many(20, 0));
    rig.pass(seconds(1));
    rig.sent.clear();
    let mut list = many(23, 0);
    list.drain(..5);
    let changes = rig.set(list);
    let expected = Changes {
        kept: 15,
        added: 3,
        removed: 5,
        updated: 0,
    };
    assert_eq!(changes, expected);
    rig.pass(seconds(1));
    let mut asked = rig.asked();
    asked.sort();
    assert_eq!(asked, ["0", "0", "0", "0", "0", "3600", "3600", "3600"]);
    assert_eq!(rig.registrar().bindings.len(), 18);
}

#[test]
fn an_account_that_becomes_another_is_removed_and_made_anew() {
    let mut rig = open();
    rig.set(many(1, 0));
    rig.pass(seconds(1));
    let mut other = plan("user0");
    other.aor = uri("sip:renamed@example.org");
    rig.with(|book, env| book.put(&key("user0"), other, env));
    rig.pass(seconds(1));
    let bound: Vec<_> = rig.registrar().bindings.keys().cloned().collect();
    assert_eq!(bound, ["sip:renamed@example.org"]);
    assert_eq!(rig.status("user0"), "OK");
    assert_eq!(rig.book.len(), 1);
}

#[test]
fn a_list_that_comes_while_the_last_is_worked_off_replaces_it() {
    let mut rig = open();
    rig.set(many(100, 100));
    rig.pass(seconds(2));
    let list = many(100, 100).split_off(50);
    rig.set(list);
    rig.pass(seconds(20));
    assert_eq!(rig.registrar().bindings.len(), 50);
    let registered = rig.asked().iter().filter(|asked| *asked != "0").count();
    assert!(
        registered < 75,
        "those who had not had their turn never got it: {registered}"
    );
    for pair in rig.sent.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= millis(100));
    }
}

#[test]
fn pools_do_not_touch_each_other() {
    let mut rig = open();
    rig.set(many(3, 0));
    let other = crate::registration::AccountKey::new("other", "user9");
    rig.with(|book, env| book.set(&"other".into(), vec![(other.clone(), plan("user9"))], env));
    rig.pass(seconds(1));
    rig.set(Vec::new());
    rig.pass(seconds(1));
    assert_eq!(rig.registrar().bindings.len(), 1);
    rig.with(|book, env| book.retain(&["pool".into()], env));
    rig.pass(seconds(1));
    assert_eq!(rig.registrar().bindings.len(), 0);
    assert!(rig.book.is_empty());
    assert_eq!(rig.book.poll_timeout(), None);
}

#[test]
fn the_same_key_twice_counts_once() {
    let mut rig = open();
    let changes = rig.set(vec![plan("user1"), plan("user1")]);
    assert_eq!(changes.added, 1);
    rig.pass(seconds(1));
    assert_eq!(rig.sent.len(), 1);
}
