//! Acceptance #21 and #25: registrars that misbehave in every way that they are known to.

use super::rig::{Rig, key, millis, plan, seconds, target};
use crate::{
    call::LookupError,
    registration::{RegistrationPlan, RegistrationStatus},
    sip::{Status, routing::Target},
    testing::Registrar,
};
use std::time::{Duration, Instant};

/// Within that time of its recovery everyone is back.
const BACK: Duration = Duration::from_secs(60);

/// A registrar that is bad for `lasts`, in its own way, and then good again. Gives the accounts' way back.
fn bad(lasts: u64, worsen: impl Fn(&mut Registrar), mend: impl Fn(&mut Registrar)) -> Rig {
    let mut rig = Rig::new();
    rig.registrar().grants = 60;
    let mut throttled: Vec<RegistrationPlan> = (0..10).map(|n| plan(&format!("user{n}"))).collect();
    for plan in &mut throttled {
        plan.throttle = millis(50);
    }
    rig.set(throttled);
    rig.pass(seconds(5));
    assert_eq!(ok(&rig), 10);
    worsen(rig.registrar());
    rig.pass(seconds(lasts));
    assert_eq!(ok(&rig), 0, "{:?}", rig.views);
    mend(rig.registrar());
    let recovered = rig.now;
    assert!(
        rig.until(BACK + seconds(1), |rig| ok(rig) == 10),
        "{:?}",
        rig.views
    );
    assert!(rig.now - recovered <= BACK, "{:?}", rig.now - recovered);
    let now = rig.now;
    assert_eq!(rig.registrar().bound(now), 10, "and calls arrive");
    no_faster_than_set(&rig, millis(50));
    rig.no_complaints();
    rig
}

fn ok(rig: &Rig) -> usize {
    let good = rig
        .views
        .values()
        .filter(|view| view.status == RegistrationStatus::Registered);
    good.count()
}

/// Each operation begins with a REGISTER that is no answer to a challenge or refusal that just came.
fn no_faster_than_set(rig: &Rig, throttle: Duration) {
    let mut began: Vec<Instant> = rig
        .history
        .iter()
        .filter(|(_, _, status)| *status == Some(RegistrationStatus::InProgress))
        .map(|(at, ..)| *at)
        .collect();
    began.dedup();
    assert!(began.len() >= 10);
    for pair in began.windows(2) {
        assert!(pair[1] - pair[0] >= throttle, "{:?}", pair[1] - pair[0]);
    }
    // Whatever the registrar does, an operation is a handful of messages.
    let span = rig.now - rig.began;
    let operations = span.as_millis() / throttle.as_millis() + 1;
    assert!((rig.sent.len() as u128) < operations * 6);
}

#[test]
fn acceptance_21_one_that_drops_everything() {
    let rig = bad(300, |it| it.silent = true, |it| it.silent = false);
    let why: Vec<_> = rig
        .history
        .iter()
        .filter_map(|(_, _, status)| status.as_ref())
        .map(ToString::to_string)
        .collect();
    assert!(
        why.contains(&"Registration failed: No response".to_owned()),
        "{why:?}"
    );
}

#[test]
fn one_that_answers_later_than_anybody_waits() {
    let mut rig = Rig::new();
    rig.registrar().grants = 60;
    rig.delay = seconds(40);
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(300));
    assert_eq!(ok(&rig), 0);
    rig.delay = Duration::ZERO;
    assert!(
        rig.until(BACK + seconds(40), |rig| ok(rig) == 1),
        "and those of before are no harm"
    );
    rig.no_complaints();
}

#[test]
fn one_that_answers_slowly_but_answers() {
    let mut rig = Rig::new();
    rig.delay = seconds(10);
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(21));
    assert_eq!(ok(&rig), 1);
    rig.no_complaints();
}

#[test]
fn acceptance_21_one_that_asks_again_with_another_nonce_each_time() {
    bad(
        300,
        |it| (it.nonce_uses, it.says_stale) = (0, true),
        |it| it.nonce_uses = 9,
    );
    bad(
        300,
        |it| (it.nonce_uses, it.says_stale) = (0, false),
        |it| it.nonce_uses = 9,
    );
}

#[test]
fn one_that_finds_every_time_too_brief() {
    let rig = bad(300, |it| it.least = 200_000, |it| it.least = 0);
    assert!(
        rig.asked().contains(&"86400".to_owned()),
        "no more than a day is asked for"
    );
}

#[test]
fn acceptance_21_a_423_is_met_and_remembered() {
    let mut rig = Rig::new();
    rig.registrar().least = 7200;
    rig.registrar().grants = 7200;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(20_000));
    assert_eq!(ok(&rig), 1);
    let asked = rig.asked();
    assert!(asked.len() > 4, "{asked:?}");
    assert_eq!(
        asked.iter().filter(|asked| *asked == "3600").count(),
        2,
        "without and with credentials"
    );
    rig.no_complaints();
}

#[test]
fn acceptance_21_one_that_says_503_with_and_without_retry_after() {
    let refuse = |code: u16, retry_after| {
        move |it: &mut Registrar| it.refuses = Some((Status::new(code).unwrap(), retry_after))
    };
    for retry_after in [None, Some(1), Some(30), Some(86_400)] {
        bad(300, refuse(503, retry_after), |it| it.refuses = None);
    }
    for code in [302, 403, 404, 480, 486, 500, 600] {
        let rig = bad(300, refuse(code, None), |it| it.refuses = None);
        assert!(
            rig.sent.iter().all(|(_, sent)| sent.uri.host() == "example.org"),
            "302 leads nowhere"
        );
    }
}

#[test]
fn retry_after_is_waited_for() {
    let mut rig = Rig::new();
    rig.registrar().refuses = Some((Status::SERVICE_UNAVAILABLE, Some(30)));
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    assert_eq!(
        rig.status("user1"),
        "Registration failed: 503 Service Unavailable"
    );
    rig.pass(seconds(28));
    assert_eq!(rig.sent.len(), 1);
    rig.pass(seconds(3));
    assert_eq!(rig.sent.len(), 2);
}

#[test]
fn acceptance_21_one_that_restarts_and_has_forgotten_everyone() {
    bad(
        300,
        |it| {
            it.silent = true;
            it.restart();
        },
        |it| it.silent = false,
    );
    bad(
        300,
        |it| {
            it.refuses = Some((Status::SERVICE_UNAVAILABLE, None));
            it.restart();
        },
        |it| it.refuses = None,
    );
}

#[test]
fn a_network_that_loses_every_third_packet() {
    let mut rig = Rig::new();
    rig.loses = 3;
    rig.registrar().grants = 120;
    rig.set((0..10).map(|n| plan(&format!("user{n}"))).collect());
    assert!(rig.until(seconds(60), |rig| ok(rig) == 10));
    for _ in 0..100 {
        rig.pass(seconds(30));
        let now = rig.now;
        assert_eq!((ok(&rig), rig.registrar().bound(now)), (10, 10));
    }
}

#[test]
fn a_binding_lasts_through_a_bad_moment_but_not_past_its_time_nor_through_a_refusal() {
    let mut rig = Rig::new();
    rig.registrar().grants = 600;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(200));
    rig.registrar().silent = true;
    rig.pass(seconds(395));
    assert_eq!(
        rig.status("user1"),
        "OK",
        "until the time that was granted has passed"
    );
    rig.pass(seconds(10));
    assert_eq!(rig.status("user1"), "Registration failed: No response");

    let mut rig = Rig::new();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    rig.registrar().refuses = Some((Status::FORBIDDEN, None));
    assert!(rig.until(seconds(600), |rig| ok(rig) == 0));
    assert_eq!(rig.status("user1"), "Registration failed: Bad credentials");
    assert_eq!(rig.views[&key("user1")].binding, None);
}

#[test]
fn a_name_that_leads_nowhere_is_looked_up_again() {
    let mut rig = Rig::new();
    let found = std::mem::replace(
        &mut rig.targets,
        Err(LookupError::NotFound("example.org".to_owned())),
    );
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(300));
    assert_eq!(
        rig.status("user1"),
        "Registration failed: no address for example.org"
    );
    rig.targets = found;
    assert!(rig.until(BACK, |rig| ok(rig) == 1));
}

/// Three members: one dead, one that says 503, one good.
fn three() -> Rig {
    let mut rig = Rig::new();
    rig.targets = Ok(vec![target(1), target(2), target(3)]);
    for last in [2, 3] {
        rig.registrars.insert(
            target(last).remote,
            Registrar::new("example.org", &[("user1", "secret")]),
        );
    }
    rig.registrar().silent = true;
    rig.at(2).refuses = Some((Status::SERVICE_UNAVAILABLE, None));
    rig
}

#[test]
fn acceptance_25_of_three_members_the_good_one_is_reached_in_under_3_s_and_the_dead_one_is_noted() {
    let mut rig = three();
    rig.set(vec![plan("user1")]);
    assert!(rig.until(seconds(3), |rig| ok(rig) == 1));
    assert_eq!(rig.dead, [target(1)]);
    let asked: Vec<_> = rig
        .at(3)
        .heard
        .iter()
        .map(|(_, it)| it.headers.contains("Authorization"))
        .collect();
    assert_eq!(asked, [false, true], "who asks for the password gets it");
    assert_eq!(rig.at(2).heard.len(), 1, "and nobody else does");
    assert!(
        rig.at(1)
            .heard
            .iter()
            .all(|(_, it)| !it.headers.contains("Authorization"))
    );
    let peers: Vec<Target> = vec![target(1), target(2), target(3)];
    let peers: Vec<_> = peers.iter().map(|it| it.remote.ip()).collect();
    assert_eq!(
        *rig.views[&key("user1")].binding.as_ref().unwrap().peers,
        *peers,
        "any member may call"
    );
}

#[test]
fn when_all_members_fail_it_is_said_what_the_best_of_them_said() {
    let mut rig = three();
    rig.at(3).silent = true;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(40));
    assert_eq!(
        rig.status("user1"),
        "Registration failed: 503 Service Unavailable"
    );
}
