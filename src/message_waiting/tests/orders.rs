//! Whatever happens in whatever order: nothing panics, time does not stand still, and the end leaves nothing.

use super::rig::{Rig, plan, seconds};
use crate::{message_waiting::MailboxPlan, sip::Status};
use proptest::prelude::*;
use std::time::Duration;

#[derive(Clone, Debug)]
enum Event {
    Pass(u16),
    Tell(&'static str),
    Refuse(Option<u16>, Option<u32>),
    Silent(bool),
    Hurries(bool),
    SaysNothing(bool),
    Grants(u32),
    Least(u32),
    Restart,
    Registered(u8, bool),
    Set(Vec<u8>),
    Password(bool),
}

fn event() -> impl Strategy<Value = Event> {
    let states = prop::sample::select(vec![
        "active",
        "active;expires=0",
        "active;expires=7",
        "active;expires=4294967295",
        "pending",
        "terminated;reason=deactivated",
        "terminated;reason=probation;retry-after=4294967295",
        "terminated;reason=noresource",
        "nonsense",
    ]);
    let code = prop::option::of(prop::sample::select(vec![
        400_u16, 401, 403, 404, 407, 408, 423, 480, 481, 489, 500, 503, 603,
    ]));
    prop_oneof![
        4 => any::<u16>().prop_map(Event::Pass),
        3 => states.prop_map(Event::Tell),
        2 => (code, prop::option::of(any::<u32>())).prop_map(|(code, after)| Event::Refuse(code, after)),
        1 => any::<bool>().prop_map(Event::Silent),
        1 => any::<bool>().prop_map(Event::Hurries),
        1 => any::<bool>().prop_map(Event::SaysNothing),
        1 => prop::sample::select(vec![0, 1, 60, 600, u32::MAX]).prop_map(Event::Grants),
        1 => prop::sample::select(vec![0, 60, u32::MAX]).prop_map(Event::Least),
        1 => Just(Event::Restart),
        2 => (0_u8..4, any::<bool>()).prop_map(|(who, is)| Event::Registered(who, is)),
        2 => prop::collection::vec(0_u8..4, 0..5).prop_map(Event::Set),
        1 => any::<bool>().prop_map(Event::Password),
    ]
}

fn name(who: u8) -> String {
    format!("user{who}")
}

/// Some have to be registered first, some have turns.
fn account(who: u8) -> MailboxPlan {
    MailboxPlan {
        after_registration: who % 2 == 1,
        throttle: Duration::from_millis(if who < 2 { 0 } else { 100 }),
        ..plan(&name(who))
    }
}

fn happen(rig: &mut Rig, event: Event) {
    match event {
        Event::Pass(count) => rig.pass(seconds(u64::from(count % 2000))),
        Event::Tell(state) => rig.tell("Messages-Waiting: yes\r\n", state),
        Event::Refuse(code, after) => {
            rig.notifier.refuses = code.and_then(Status::new).map(|status| (status, after));
        }
        Event::Silent(is) => rig.notifier.silent = is,
        Event::Hurries(is) => rig.notifier.hurries = is,
        Event::SaysNothing(is) => rig.notifier.says_nothing = is,
        Event::Grants(most) => rig.notifier.grants = most,
        Event::Least(least) => rig.notifier.least = least,
        Event::Restart => rig.notifier.restart(),
        Event::Registered(who, true) => rig.registered(&name(who), &[]),
        Event::Registered(who, false) => rig.unregistered(&name(who)),
        Event::Set(who) => {
            rig.set(who.into_iter().map(account).collect());
        }
        Event::Password(is) => {
            let realm = if is { "example.org" } else { "" };
            realm.clone_into(&mut rig.notifier.guard.realm);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_order_of_events_leaves_anything(events in prop::collection::vec(event(), 0..40)) {
        let mut rig = Rig::new();
        rig.set((0..4).map(account).collect());
        for event in events {
            happen(&mut rig, event);
            // One dialog of each at most, and one that is being ended.
            prop_assert!(rig.names.len() <= rig.book.len());
        }
        // What is on its way comes to its end, and so does all else.
        rig.with(|book, env| book.end(env));
        rig.pass(seconds(200));
        prop_assert!(rig.book.is_empty() && rig.book.is_done(), "{:?}", rig.book);
        prop_assert!(rig.names.is_empty() && rig.views.is_empty());
        rig.pass(seconds(200));
        prop_assert_eq!(rig.book.poll_timeout(), None);
    }
}
