//! Accounts with ports and connections of their own.

use super::*;
use b2bua::app::OwnConnections;

/// A pool of so many accounts, and two providers: one that goes the accounts' way, one that goes its own.
fn providers(accounts: usize, registered: bool) -> String {
    let accounts: Vec<_> = (0..accounts)
        .map(|number| format!(r#"{{"uri": "sip:{number}@carrier.example"}}"#))
        .collect();
    let provider = |name: &str, pattern: &str, proxy: &str| {
        format!(
            r#"{{"name": "{name}", "accountPool": "pool", "accountToUse": {{"strategy": "Random"}},
            "triggerCondition": {{"strategy": "MatchRegex", "pattern": "{pattern}", "source": "{{incoming.requestUri}}"}},
            "onAccountNotFound": "nextProvider", "outgoingInvite": {{"to": "sip:1@x"{proxy}}} }}"#
        )
    };
    format!(
        r#"{{"schemaVersion": 2, "providers": [{}, {}],
        "accountPools": {{"pool": {{"registrationRequired": {registered}, "maxCallsPerLine": 9, "loader": [{}]}} }} }}"#,
        provider("out", "sip:1@.*", ""),
        provider("in", "sip:2@.*", r#", "outboundProxy": "<sip:inside.example>""#),
        accounts.join(", ")
    )
}

#[test]
fn calls_go_by_the_accounts_own_connection_but_where_the_provider_names_another_way() {
    for own in [false, true] {
        let services = Services {
            own_connections: own.then_some(OwnConnections { most: 1, files: 8 }),
            ..services()
        };
        let app = SipBridge::of(document(&providers(1, false)), &services, Ids::seeded(1));
        let by = |number: &str| {
            let decision = ready(app.route(&mut Course::default(), &dialled(&format!("sip:{number}@x"))));
            let Decision::Bridge(routes) = decision else {
                panic!("{decision:?}");
            };
            routes[0].own.as_ref().map(|own| own.name().to_owned())
        };
        assert_eq!(by("1").as_deref(), own.then_some("pool/sip:0@carrier.example"));
        assert_eq!(by("2"), None, "whoever is there is not the account's provider");
    }
}

#[test]
fn more_accounts_than_files_can_be_open_for_are_refused_with_the_limit_that_it_takes() {
    let most = |most| OwnConnections { most, files: 8 };
    let document = |count, registered| document(&providers(count, registered));
    assert_eq!(sources::too_many(&document(1_000, true), most(1_000)), None);
    assert_eq!(
        sources::too_many(&document(1_000, true), most(512)).as_deref(),
        Some(
            "accountPools: 1000 accounts are to be registered, each from a port of its own \
             (b2bua-server/one-connection-per-account), and the limit of open files leaves room for 512 such ports; expected at most \
             512 accounts, or a limit of at least 8000 open files (LimitNOFILE of systemd, ulimit -n)"
        )
    );
    // Those that are not registered have a port while they call.
    assert_eq!(sources::too_many(&document(1_000, false), most(512)), None);
}

/// Two users with an account each; `strategy` finds that of a call from outside, and `absent` is what becomes of one without.
fn inwards(strategy: &str, absent: &str) -> SipBridge {
    let text = format!(
        r#"{{"schemaVersion": 2, "providers": [
        {{"name": "out", "accountPool": "pool", "triggerCondition": {{"strategy": "Always"}},
          "accountToUse": {{"strategy": "FindInPool", "by": "alias", "source": "{{from}}"}},
          "onAccountNotFound": "nextProvider", "outgoingInvite": {{"to": "sip:{{incoming.to.user}}@carrier.example"}} }},
        {{"name": "in", "accountPool": "pool", "triggerCondition": {{"strategy": "Always"}}, "accountToUse": {strategy},
          "onAccountNotFound": "{absent}",
          "outgoingInvite": {{"to": "{{account.alias}}", "outboundProxy": "<sip:inside.example>"}} }}],
        "accountPools": {{"pool": {{"registrationRequired": false, "maxCallsPerLine": 1, "outboundProxy": "<sip:192.0.2.50>",
          "loader": [{{"uri": "sip:1@carrier.example", "alias": "sip:alice@in.example"}},
                     {{"uri": "sip:2@carrier.example", "alias": "sip:bob@in.example"}}] }} }} }}"#
    );
    let services = Services {
        own_connections: Some(OwnConnections { most: 9, files: 8 }),
        ..services()
    };
    let mut app = SipBridge::of(document(&text), &services, Ids::seeded(1));
    app.take_over(None);
    app
}

/// A call from outside to that number, from that host over the connection of that name.
fn comes(to: &str, host: [u8; 4], own: Option<&str>) -> Invite {
    let mut call = invite("sip:x@192.0.2.1", "<sip:+49@carrier.example>", to, "");
    call.source.remote = (Ipv4Addr::from(host), 5060).into();
    call.own = own.map(b2bua::sip::routing::Own::new);
    call
}

const FIND: &str = r#"{"strategy": "FindInPool", "by": "uri", "source": "{to}"}"#;
const CARRIER: [u8; 4] = [192, 0, 2, 50];

#[test]
fn a_call_whose_account_nothing_else_tells_is_that_of_the_connection_over_which_it_came() {
    let target = |app: &SipBridge, call: &Invite| routed(app, call).map(|out| out.target.to_string());
    let (number, two) = ("<sip:0800@carrier.example>", Some("pool/sip:2@carrier.example"));
    for absent in ["nextProvider", "decline"] {
        let app = inwards(FIND, absent);
        let called = |to: &str, host, own| target(&app, &comes(to, host, own));
        // What the provider of the file decides stands.
        let one = "<sip:1@carrier.example>";
        assert_eq!(called(one, CARRIER, two).as_deref(), Some("sip:alice@in.example"));
        // A number of the carrier's own that no account has.
        assert_eq!(called(number, CARRIER, None), None, "{absent}");
        let bob = Some("sip:bob@in.example");
        assert_eq!(called(number, CARRIER, two).as_deref(), bob, "{absent}");
        // Whoever else found the port, an account that has gone, and one of another pool.
        assert_eq!(called(number, [192, 0, 2, 51], two), None);
        assert_eq!(called(number, CARRIER, Some("pool/sip:3@carrier.example")), None);
        assert_eq!(called(number, CARRIER, Some("other/sip:2@carrier.example")), None);
        // A line is a line, and is given back.
        let held = routed(&app, &comes(number, CARRIER, two)).expect("a line");
        assert_eq!(called(number, CARRIER, two), None, "busy");
        drop(held);
        assert_eq!(called(number, CARRIER, two).as_deref(), bob);
    }
}

#[test]
fn where_any_account_would_do_the_one_that_is_called_is_the_first() {
    let app = inwards(r#"{"strategy": "Random"}"#, "decline");
    let call = |account: &str| {
        let own = format!("pool/sip:{account}@carrier.example");
        routed(&app, &comes("<sip:0800@carrier.example>", CARRIER, Some(&own)))
    };
    for _ in 0..20 {
        for (account, user) in [("1", "sip:alice@in.example"), ("2", "sip:bob@in.example")] {
            assert_eq!(call(account).expect("a line").target.as_str(), user);
        }
    }
    let held = call("1").expect("a line");
    let next = call("1").expect("another account's line");
    assert_eq!(next.target.as_str(), "sip:bob@in.example", "as it was without");
    assert_eq!(held.target.as_str(), "sip:alice@in.example");
}

/// What an account's own server calls does not go back there by the account's own way.
#[test]
fn nothing_goes_back_out_by_the_connection_over_which_it_came() {
    let app = inwards(FIND, "nextProvider");
    let mut call = comes(
        "<sip:0800@carrier.example>",
        CARRIER,
        Some("pool/sip:2@carrier.example"),
    );
    call.from = b2bua::sip::NameAddr::parse("<sip:alice@in.example>").expect("an address");
    let out = routed(&app, &call).expect("a route");
    assert_eq!(
        out.target.as_str(),
        "sip:0800@carrier.example",
        "a rule of the file says so"
    );
    call.from = b2bua::sip::NameAddr::parse("<sip:eve@in.example>").expect("an address");
    assert_eq!(
        routed(&app, &call).expect("a route").route[0].host(),
        "inside.example"
    );
}
