//! Many accounts: their rate, and what a new list changes.

use super::rig::{Rig, key, plan, seconds};
use crate::{message_waiting::MailboxPlan, registration::Changes};
use std::time::Duration;

fn slow(name: &str) -> MailboxPlan {
    MailboxPlan {
        throttle: Duration::from_millis(200),
        ..plan(name)
    }
}

#[test]
fn accounts_take_turns_at_the_rate_of_their_pool() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.set((0..10).map(|n| slow(&format!("user{n}"))).collect());
    rig.pass(seconds(1));
    assert!((5..=6).contains(&rig.sent.len()), "{}", rig.sent.len());
    rig.pass(seconds(2));
    assert_eq!(rig.sent.len(), 10);
    for pair in rig.sent.windows(2) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_millis(200));
    }
    let subscribed = rig
        .views
        .values()
        .filter(|status| status.to_string() == "subscribed");
    assert_eq!(subscribed.count(), 10);
    let before = rig.sent.len();
    rig.with(|book, env| book.end(env));
    rig.pass(seconds(3));
    assert_eq!(rig.sent.len(), before + 10);
    for pair in rig.sent[before..].windows(2) {
        assert!(pair[1].0 - pair[0].0 >= Duration::from_millis(200));
    }
    rig.no_complaints();
}

#[test]
fn a_new_list_touches_nothing_that_stays() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.notifier.grants = 86_400;
    rig.set(vec![plan("user1"), plan("user2"), plan("user3")]);
    rig.pass(seconds(1));
    assert_eq!(rig.sent.len(), 3);
    let mut moved = plan("user3");
    moved.server = super::rig::uri("sip:other.example.org");
    let changes = rig.set(vec![plan("user1"), moved, plan("user4")]);
    let expected = Changes {
        kept: 1,
        updated: 1,
        added: 1,
        removed: 1,
    };
    assert_eq!(changes, expected);
    rig.pass(seconds(1));
    let asked: Vec<(String, u32)> = rig.sent[3..]
        .iter()
        .map(|(_, sent)| {
            let from = sent.headers.from().unwrap().uri;
            (
                from.user().unwrap().to_owned(),
                sent.headers.number("Expires").unwrap(),
            )
        })
        .collect();
    let count = |name: &str, expires: u32| {
        asked
            .iter()
            .filter(|it| **it == (name.to_owned(), expires))
            .count()
    };
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert_eq!((count("user2", 0), count("user3", 0)), (1, 1), "{asked:?}");
    assert_eq!(
        (count("user3", 86_400), count("user4", 86_400)),
        (1, 1),
        "{asked:?}"
    );
    assert_eq!(rig.views.len(), 3);
    assert_eq!(rig.book.len(), 3);
    // The same again is nothing.
    let mut moved = plan("user3");
    moved.server = super::rig::uri("sip:other.example.org");
    assert_eq!(rig.set(vec![plan("user1"), moved, plan("user4")]).kept, 3);
    rig.pass(seconds(100));
    assert_eq!(rig.sent.len(), 7);
    rig.no_complaints();
}

#[test]
fn one_account_comes_and_goes_by_itself() {
    let mut rig = Rig::new();
    rig.with(|book, env| book.put(&key("user1"), plan("user1"), env));
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "subscribed");
    let removed = rig.with(|book, env| book.remove(&key("user1"), env));
    assert_eq!(removed.removed, 1);
    rig.pass(seconds(1));
    assert!(rig.notifier.subscriptions.is_empty() && rig.book.is_empty());
    assert!(rig.views.is_empty() && rig.names.is_empty());
    rig.with(|book, env| book.put(&key("user2"), plan("user2"), env));
    rig.pass(seconds(1));
    rig.with(|book, env| book.retain(&["another".into()], env));
    rig.pass(seconds(1));
    assert!(rig.book.is_empty());
}

#[test]
fn one_that_leaves_while_it_asks_leaves_no_subscription_behind() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.set(vec![plan("user1")]);
    rig.with(crate::message_waiting::MailboxBook::handle_timeout);
    assert_eq!(rig.sent.len(), 1);
    rig.set(Vec::new());
    rig.pass(seconds(1));
    assert_eq!(rig.asked(), [86_400, 0]);
    assert!(rig.notifier.subscriptions.is_empty() && rig.book.is_empty());
}
