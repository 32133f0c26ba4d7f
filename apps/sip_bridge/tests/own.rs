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
