//! Accounts with connections of their own.

use super::rig::{Rig, key, millis, plan, seconds};
use crate::{registration::RegistrationPlan, sip::routing::Own};
use std::time::Duration;

fn own_plan(name: &str) -> RegistrationPlan {
    RegistrationPlan {
        own: Some(Own::new(key(name).to_string())),
        ..plan(name)
    }
}

/// How long after a loss the next REGISTER leaves.
fn lost(rig: &mut Rig, name: &str) -> Duration {
    let (count, at) = (rig.sent.len(), rig.now);
    let own = Own::new(key(name).to_string());
    rig.with(|book, env| book.lost(&own, env));
    assert!(rig.until(seconds(120), |rig| rig.sent.len() > count), "never");
    rig.pass(millis(100));
    assert_eq!(rig.status(name), "OK");
    rig.sent[count].0 - at
}

#[test]
fn each_registers_by_its_own_and_who_has_none_by_what_all_share() {
    let mut rig = Rig::new();
    rig.set(vec![own_plan("user1"), own_plan("user2"), plan("user3")]);
    rig.pass(seconds(5));
    for ((_, request), by) in rig.sent.iter().zip(&rig.by) {
        let from = request.headers.from().unwrap();
        let name = from.uri.user().unwrap();
        let expected = (name != "user3").then(|| key(name).to_string());
        assert_eq!(by.as_ref().map(Own::name), expected.as_deref());
    }
    assert_eq!(rig.by.len(), 6, "each was challenged once");
    // It becomes another by a reload: registered anew.
    rig.set(vec![plan("user1"), own_plan("user2"), plan("user3")]);
    rig.pass(seconds(5));
    assert_eq!(rig.by.len(), 7);
    assert_eq!(rig.by[6], None);
    rig.no_complaints();
}

#[test]
fn a_connection_that_is_lost_is_opened_again_soon_and_ever_later_when_it_does_not_last() {
    let mut rig = Rig::new();
    rig.set(vec![own_plan("user1"), own_plan("user2")]);
    rig.pass(seconds(5));
    let first = lost(&mut rig, "user1");
    assert!((seconds(2)..seconds(4)).contains(&first), "{first:?}");
    let mut waits = vec![first];
    for _ in 0..8 {
        waits.push(lost(&mut rig, "user1"));
    }
    assert!(waits[3] > waits[0] * 3, "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= seconds(60)), "{waits:?}");
    assert!(waits[8] >= seconds(30), "{waits:?}");
    let others = |rig: &Rig| {
        let is_other = |by: &&Option<Own>| by.as_ref().is_some_and(|own| own.name() == "pool/user2");
        rig.by.iter().filter(is_other).count()
    };
    assert_eq!(others(&rig), 2, "nobody else is asked for it");
    // It lasts until the next refresh: then it is a first loss again.
    let count = rig.sent.len();
    assert!(rig.until(seconds(3600), |rig| rig.sent.len() > count + 1));
    rig.pass(seconds(1));
    let again = lost(&mut rig, "user1");
    assert!((seconds(2)..seconds(4)).contains(&again), "{again:?}");
    rig.no_complaints();
}

#[test]
fn a_loss_while_there_is_nothing_registered_changes_nothing() {
    let mut rig = Rig::new();
    rig.registrar().silent = true;
    rig.set(vec![own_plan("user1")]);
    rig.pass(seconds(40));
    let next = rig.book.poll_timeout();
    let own = Own::new("pool/user1");
    rig.with(|book, env| book.lost(&own, env));
    rig.with(|book, env| book.lost(&Own::new("pool/nobody"), env));
    assert_eq!(rig.book.poll_timeout(), next);
    rig.registrar().silent = false;
    assert!(rig.until(seconds(120), |rig| rig.status("user1") == "OK"));
}

#[test]
fn its_port_is_held_from_the_first_register_to_the_end_of_the_last() {
    let mut rig = Rig::new();
    rig.set(vec![own_plan("user1")]);
    rig.pass(seconds(5));
    let holders = |rig: &Rig| {
        let given = rig.owns.get("pool/user1").expect("given out");
        // Those of the rig's own lists do not count.
        let dead = rig.dead.iter().filter(|target| target.own.is_some()).count();
        let noted = rig.by.iter().flatten().count() + dead;
        given.holders() - 1 - noted
    };
    for _ in 0..50 {
        assert!(holders(&rig) > 0);
        rig.pass(seconds(300));
    }
    // A registrar that is gone is no reason to give up what the account is reached by.
    rig.registrar().silent = true;
    rig.pass(seconds(7200));
    assert!(
        rig.status("user1").contains("No response"),
        "{}",
        rig.status("user1")
    );
    assert!(holders(&rig) > 0);
    rig.registrar().silent = false;
    rig.pass(seconds(120));
    rig.set(Vec::new());
    assert!(holders(&rig) > 0, "it unregisters by it");
    rig.pass(seconds(60));
    assert!(rig.book.is_empty());
    assert_eq!(holders(&rig), 0);
}
