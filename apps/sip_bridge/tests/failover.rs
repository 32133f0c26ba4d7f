use super::*;

const TWO: &str = r#"{
  "schemaVersion": 2,
  "providers": [
    {"name": "first", "accountPool": "one", "triggerCondition": {"strategy": "Always"},
     "accountToUse": {"strategy": "Random"}, "onAccountNotFound": "decline",
     "outgoingInvite": {"to": "sip:{incoming.to.user}@first.example"}, "failover": {"codes": [408, "5xx"]}},
    {"name": "never", "accountPool": "one", "triggerCondition": {"strategy": "MatchRegex", "pattern": "x", "source": ""},
     "accountToUse": {"strategy": "Random"}, "onAccountNotFound": "decline",
     "outgoingInvite": {"to": "sip:{incoming.to.user}@never.example"}},
    {"name": "second", "accountPool": "two", "triggerCondition": {"strategy": "Always"},
     "accountToUse": {"strategy": "Random"}, "onAccountNotFound": "decline",
     "outgoingInvite": {"to": "sip:{incoming.to.user}@second.example"}}
  ],
  "accountPools": {
    "one": {"registrationRequired": false, "maxCallsPerLine": 1,
            "loader": [{"uri": "sip:a@first.example"}, {"uri": "sip:b@first.example"}]},
    "two": {"registrationRequired": false, "maxCallsPerLine": 1, "loader": [{"uri": "sip:a@first.example"}]}
  }
}"#;

fn failure(code: u16) -> Failure {
    let status = Status::new(code).expect("a code");
    Failure::new(status, Origin::LegB, FailureKind::Rejected)
}

fn rescued(app: &SipBridge, course: &mut Course, code: u16) -> Option<Outgoing> {
    match ready(app.rescue(course, &failure(code))) {
        Rescue::Try(mut routes) => routes.pop(),
        Rescue::Relay => None,
        other @ Rescue::Replace(_) => unreachable!("{other:?}"),
    }
}

#[test]
fn a_failure_of_the_list_tries_the_next_account_then_the_next_provider_that_matches() {
    let app = app(TWO);
    let mut course = Course::default();
    let first = route(&app, &mut course, &dialled("sip:+331@b2bua")).expect("a route");
    let first_from = first.from.uri.to_string();
    drop(first);
    let second = rescued(&app, &mut course, 503).expect("the other account");
    assert_eq!(second.target.host(), "first.example");
    assert_ne!(second.from.uri.to_string(), first_from);
    drop(second);
    let third = rescued(&app, &mut course, 408).expect("the other provider");
    assert_eq!(third.target.host(), "second.example");
    assert_eq!(
        third.from.uri.as_str(),
        "sip:a@first.example",
        "an account there may be of the same name"
    );
    drop(third);
    assert!(
        rescued(&app, &mut course, 503).is_none(),
        "the second provider fails over to nobody"
    );
    for pool in &app.bridge.pools {
        assert!(pool.all().iter().all(|line| line.calls() == 0), "{pool:?}");
    }
}

#[test]
fn other_failures_are_the_callers() {
    let app = app(TWO);
    for code in [486, 404, 603, 401] {
        let mut course = Course::default();
        route(&app, &mut course, &dialled("sip:+331@b2bua")).expect("a route");
        assert!(rescued(&app, &mut course, code).is_none(), "{code}");
    }
}

#[test]
fn a_call_that_went_nowhere_is_not_rescued() {
    let app = app(&TWO.replace(
        "\"strategy\": \"Always\"",
        "\"strategy\": \"MatchRegex\", \"pattern\": \"y\", \"source\": \"\"",
    ));
    let mut course = Course::default();
    assert!(route(&app, &mut course, &dialled("sip:+331@b2bua")).is_none());
    assert!(rescued(&app, &mut course, 503).is_none());
    assert!(rescued(&app, &mut Course::default(), 503).is_none());
}

/// A trunk that does not answer OPTIONS is passed over, whatever becomes of calls without an account; and comes back.
#[test]
fn a_trunk_that_is_down_is_passed_over_until_it_is_back() {
    let text = TWO_WAYS;
    let services = services();
    let app = SipBridge::of(document(text), &services, Ids::seeded(1));
    let trunks = services.registrations.trunks();
    let way = |text: &str| Uri::parse(text.to_owned()).expect("a URI");
    let host = |count: usize| {
        let mut hosts: Vec<String> = (0..count)
            .filter_map(|_| routed(&app, &dialled("sip:+331@b2bua")))
            .map(|out| out.route[0].host().to_owned())
            .collect();
        hosts.sort();
        hosts.dedup();
        hosts
    };
    assert_eq!(host(40), ["one.example", "two.example"]);
    trunks.publish(
        way("sip:one.example"),
        b2bua::app::TrunkState::Down("silence".into()),
    );
    assert_eq!(host(40), ["two.example"]);
    trunks.publish(
        way("sip:two.example"),
        b2bua::app::TrunkState::Down("silence".into()),
    );
    assert_eq!(host(40), ["spare.example"]);
    // Nobody asks whether the spare one is there.
    trunks.publish(
        way("sip:spare.example"),
        b2bua::app::TrunkState::Down("silence".into()),
    );
    assert_eq!(host(40), ["spare.example"]);
    trunks.publish(way("sip:one.example"), b2bua::app::TrunkState::Up);
    assert_eq!(host(40), ["one.example"]);
    let mut ways: Vec<_> = app
        .bridge
        .ways
        .all()
        .into_iter()
        .map(|(way, at)| (way.to_string(), at.as_secs()))
        .collect();
    ways.sort();
    assert_eq!(
        ways,
        [
            ("sip:one.example".to_owned(), 30),
            ("sip:two.example".to_owned(), 30)
        ]
    );
}

/// Accounts that a database names after the start are asked for like those of the file, and those that it names no more are not.
#[test]
fn the_ways_that_are_asked_are_those_of_the_accounts_of_the_time() {
    let text = TWO_WAYS.replace(
        r#"[{"uri": "sip:a@one.example"}, {"uri": "sip:a@two.example"}]"#,
        r#"{"dbBackend": "sqlite3", "connection": "a.db", "threadPoolSize": 1, "initQuery": "SELECT 1",
            "updateQuery": "SELECT :identifier"}"#,
    );
    let app = SipBridge::of(document(&text), &services(), Ids::seeded(1));
    let record = |domain: &str| b2bua::accounts::Record {
        username: "a".into(),
        domain: domain.into(),
        secret_type: "md5".into(),
        ..Default::default()
    };
    let ways = || {
        let mut all: Vec<_> = app
            .bridge
            .ways
            .all()
            .into_iter()
            .map(|(way, _)| way.to_string())
            .collect();
        all.sort();
        all
    };
    assert!(ways().is_empty());
    let mut say = app.news_of(app.rosters[0].clone());
    say(Event::All(vec![record("one.example"), record("two.example")]));
    assert_eq!(ways(), ["sip:one.example", "sip:two.example"]);
    say(Event::Changed(Box::new(record("three.example"))));
    say(Event::Gone(record("one.example").uri()));
    assert_eq!(ways(), ["sip:three.example", "sip:two.example"]);
}

const TWO_WAYS: &str = r#"{"schemaVersion": 2, "providers": [
    {"name": "both", "accountPool": "both", "triggerCondition": {"strategy": "Always"}, "accountToUse": {"strategy": "Random"},
     "onAccountNotFound": "decline", "outgoingInvite": {"to": "sip:{incoming.to.user}@{account.uri.hostport}"},
     "qualify": {"interval": 30}},
    {"name": "spare", "accountPool": "spare", "triggerCondition": {"strategy": "Always"}, "accountToUse": {"strategy": "Random"},
     "onAccountNotFound": "decline", "outgoingInvite": {"to": "sip:{incoming.to.user}@{account.uri.hostport}"}}],
  "accountPools": {
    "both": {"registrationRequired": false, "maxCallsPerLine": 100,
             "loader": [{"uri": "sip:a@one.example"}, {"uri": "sip:a@two.example"}]},
    "spare": {"registrationRequired": false, "maxCallsPerLine": 100, "loader": [{"uri": "sip:a@spare.example"}]}}}"#;
