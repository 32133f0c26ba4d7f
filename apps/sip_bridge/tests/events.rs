//! Transfers, and what is said of accounts.

use super::*;
use b2bua::{
    app::{Handover, InCall, InCallRequest, Side},
    sip::{Method, ReferTo},
};

/// Number and user by one pool: out to the telephone network, in to the alias, with news of mailboxes.
pub(super) const BOTH: &str = r#"{
  "schemaVersion": 2,
  "providers": [
    {"name": "out", "accountPool": "line", "triggerCondition": {"strategy": "MatchRegex", "pattern": "sip:\\+?[0-9]+@.*", "source": ""},
     "accountToUse": {"strategy": "FindInPool", "source": "{from}", "by": "alias"},
     "onAccountNotFound": "nextProvider",
     "outgoingInvite": {"to": "sip:{incoming.requestUri.user}@{account.uri.hostport}"}},
    {"name": "in", "accountPool": "line", "triggerCondition": {"strategy": "Always"},
     "accountToUse": {"strategy": "FindInPool", "source": "{to}", "by": "uri"},
     "onAccountNotFound": "nextProvider",
     "outgoingInvite": {"to": "{account.alias}", "from": "sip:{incoming.from.user}@{account.alias.hostport}",
                        "outboundProxy": "<sip:inside.example;transport=tcp>"},
     "outgoingNotify": {"outboundProxy": "<sip:inside.example;transport=tcp>"}}
  ],
  "accountPools": {"line": {"outboundProxy": "<sip:192.0.2.50>", "registrationRequired": false, "maxCallsPerLine": 1, "loader": [
      {"uri": "sip:+331@itsp.example", "alias": "sip:alice@in.example", "secretType": "clrtxt", "secret": "s"},
      {"uri": "sip:+332@itsp.example", "alias": "sip:carol@in.example", "secretType": "clrtxt", "secret": "s"},
      {"uri": "sip:+333@itsp.example"}]}}
}"#;

fn refer(method: Method, refer_to: &str) -> InCallRequest {
    InCallRequest {
        side: Side::A,
        executed: false,
        found: None,
        refer_to: (method == Method::Refer).then(|| ReferTo::parse(refer_to).expect("a Refer-To")),
        method,
        headers: Headers::default(),
        body: bytes::Bytes::new(),
    }
}

/// What becomes of a REFER in a call that came like this.
fn referred(app: &SipBridge, invite: &Invite, refer_to: &str) -> Option<String> {
    let mut course = Course::default();
    route(app, &mut course, invite).expect("a route");
    match ready(app.in_call(&mut course, &refer(Method::Refer, refer_to))) {
        InCall::Rewrite(refer_to) => Some(refer_to.to_text().to_string()),
        InCall::Forward => None,
        InCall::Refuse(failure) => unreachable!("{failure:?}"),
    }
}

/// `blindCallTransferSuccessful` and its kin: the target in the words of whom the REFER goes to.
#[test]
fn a_transfer_points_where_the_other_side_can_call() {
    let app = app(BOTH);
    let out = invite(
        "sip:+4930@b2bua",
        "<sip:alice@in.example>",
        "<sip:+4930@in.example>",
        "",
    );
    // Alice hands the telephone on to another number.
    assert_eq!(
        referred(&app, &out, "<sip:+4931@in.example>").as_deref(),
        Some("<sip:+4931@itsp.example>")
    );
    // Replaces stays, to be named anew by the call itself.
    assert_eq!(
        referred(
            &app,
            &out,
            "<sip:+4931@in.example?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>"
        )
        .as_deref(),
        Some("<sip:+4931@itsp.example?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>")
    );
    // From outside: the telephone hands alice on to carol, by her number.
    let inward = invite(
        "sip:+331@192.0.2.1",
        "<sip:+49@itsp.example>",
        "<sip:+331@itsp.example>",
        "",
    );
    assert_eq!(
        referred(&app, &inward, "<sip:+332@itsp.example>").as_deref(),
        Some("<sip:carol@in.example>")
    );
    // To whom is outside a local user is a number.
    assert_eq!(
        referred(&app, &out, "<sip:carol@in.example>").as_deref(),
        Some("<sip:+332@itsp.example>")
    );
    // Our own Contact names nobody: the call finds out who is meant by the dialog.
    assert_eq!(
        referred(
            &app,
            &out,
            "<sip:192.0.2.1:5060?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>"
        ),
        None
    );
    // A target of which no provider knows anything stays what it is.
    assert_eq!(referred(&app, &inward, "<sip:eve@elsewhere.example>"), None);
}

#[test]
fn a_transfer_takes_no_line_and_is_made_by_the_calls_own_account_where_any_would_do() {
    let app = app(&one(
        r#""triggerCondition": {"strategy": "Always"},"#,
        TO,
        r#"{"uri": "sip:a@one.example"}, {"uri": "sip:a@two.example"}, {"uri": "sip:a@three.example"}"#,
    )
    .replace(r#""maxCallsPerLine": 2"#, r#""maxCallsPerLine": 1"#));
    let mut course = Course::default();
    let call = route(&app, &mut course, &dialled("sip:+331@b2bua")).expect("a route");
    let host = call.target.host().to_owned();
    for _ in 0..20 {
        match ready(app.in_call(&mut course, &refer(Method::Refer, "<sip:+332@in.example>"))) {
            InCall::Rewrite(to) => assert_eq!(to.target().to_string(), format!("sip:+332@{host}")),
            other => unreachable!("{other:?}"),
        }
    }
    assert!(matches!(
        ready(app.in_call(&mut course, &refer(Method::Info, ""))),
        InCall::Forward
    ));
    // One that the server executes is translated when its target is called.
    let executed = InCallRequest {
        executed: true,
        ..refer(Method::Refer, "<sip:+332@in.example>")
    };
    assert!(matches!(
        ready(app.in_call(&mut course, &executed)),
        InCall::Forward
    ));
    let lines = &app.bridge.pools[0];
    assert_eq!(lines.all().iter().map(|line| line.calls()).sum::<u32>(), 1);
}

/// Whether somebody at `from` may take the place of a party of the call, whose messages come from `replaced`.
fn may_take_over(app: &SipBridge, course: &mut Course, (by, replaced): (Side, &str), from: &str) -> bool {
    let at = |host: &str| Source {
        transport: Transport::Udp,
        local: (Ipv4Addr::LOCALHOST, 5060).into(),
        remote: (host.parse::<Ipv4Addr>().expect("an address"), 5070).into(),
        flow: FlowId(1),
    };
    let handover = Handover {
        invite: Invite {
            source: at(from),
            ..dialled("sip:+4930@b2bua")
        },
        by,
        replaced: Some(at(replaced)),
    };
    match ready(app.handover(course, &handover)) {
        Ok(()) => true,
        Err(failure) => {
            assert_eq!((failure.status.code(), failure.origin), (403, Origin::App));
            false
        }
    }
}

#[test]
fn who_is_outside_takes_no_call_over() {
    let app = app(BOTH);
    let (inside, provider, other) = ("192.0.2.7", "198.51.100.9", "192.0.2.8");
    let mut out = Course::default();
    let dialled = invite(
        "sip:+4930@b2bua",
        "<sip:alice@in.example>",
        "<sip:+4930@in.example>",
        "",
    );
    route(&app, &mut out, &dialled).expect("a route");
    let mut inward = Course::default();
    let called = invite(
        "sip:+331@192.0.2.1",
        "<sip:+49@itsp.example>",
        "<sip:+331@itsp.example>",
        "",
    );
    route(&app, &mut inward, &called).expect("a route");
    for (course, user, telephone) in [(&mut out, Side::A, Side::B), (&mut inward, Side::B, Side::A)] {
        // Another device of a user inside, by the proxy by which he is there.
        assert!(may_take_over(&app, course, (user, inside), inside));
        // From outside, or from anywhere else; also where the account's server is where he comes from.
        assert!(!may_take_over(&app, course, (user, inside), provider));
        assert!(!may_take_over(&app, course, (user, inside), other));
        assert!(!may_take_over(&app, course, (user, "192.0.2.50"), "192.0.2.50"));
        // The telephone's place is nobody's inside, nor another telephone's.
        assert!(!may_take_over(&app, course, (telephone, provider), inside));
        assert!(!may_take_over(&app, course, (telephone, provider), provider));
    }
}

/// `cli`, `callRelease`: upstream's keys and words.
#[test]
fn what_is_said_of_accounts_is_what_upstream_says() {
    let app = app(BOTH);
    let free = |at: usize| {
        let report = app.report().expect("a report");
        report["providers"][0]["accounts"][at]["freeSlots"].as_u64()
    };
    assert_eq!(free(0), Some(1));
    let out = invite(
        "sip:+4930@b2bua",
        "<sip:alice@in.example>",
        "<sip:+4930@in.example>",
        "",
    );
    let call = routed(&app, &out).expect("a route");
    assert_eq!((free(0), free(1)), (Some(0), Some(1)));
    drop(call);
    assert_eq!(free(0), Some(1));
    let report = app.report().expect("a report");
    assert_eq!(report["providers"][1]["name"], "in");
    assert_eq!(
        report["providers"][1]["accounts"][2],
        serde_json::json!({"address": "sip:+333@itsp.example", "status": "OK", "registerEnabled": false, "freeSlots": 1})
    );
    let waits = self::app(&BOTH.replace(
        r#""registrationRequired": false"#,
        r#""registrationRequired": true"#,
    ));
    assert_eq!(
        waits.report().expect("a report")["providers"][0]["accounts"][0],
        serde_json::json!({"address": "sip:+331@itsp.example", "status": "Should register"})
    );
}

/// A provider that calls us may ask us for a password within that call; whoever else calls may not (S8).
#[test]
fn a_caller_is_answered_as_the_account_where_it_is_the_accounts_server() {
    let app = app(BOTH);
    let mut call = invite(
        "sip:+331@192.0.2.1",
        "<sip:+49@itsp.example>",
        "<sip:+331@itsp.example>",
        "",
    );
    assert!(routed(&app, &call).expect("a route").caller_credentials.is_none());
    call.source.remote = (Ipv4Addr::new(192, 0, 2, 50), 5060).into();
    let out = routed(&app, &call).expect("a route");
    assert_eq!(out.caller_credentials.expect("the account's").username, "+331");
    assert!(out.credentials.is_none(), "the inside is not shown it");
}
