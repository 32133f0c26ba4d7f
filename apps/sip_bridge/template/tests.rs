use super::*;

fn name_addr(text: &str) -> NameAddr {
    NameAddr::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn uri(text: &str) -> Uri {
    Uri::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// A call and an account whose addresses have escapes, ports and parameters wherever they may be.
fn incoming() -> Incoming {
    Incoming {
        from: name_addr("<sip:bell-3@house.example;floor=%32/a>;tag=1"),
        to: name_addr("<sip:**%23owner@home.example:5099;line=%2B$1>"),
        request_uri: uri("sip:front%2Fdoor@192.0.2.7:5070;gate=left;transport=tcp"),
        asserted_identity: None,
        diversion: None,
        host: None,
        own: None,
    }
}

fn evaluated(text: &str, incoming: &Incoming) -> String {
    let template = Template::parse(text, Context::Invite).unwrap_or_else(|error| panic!("{text}: {error}"));
    let account = name_addr("\"Line 1\" <sip:%2A=trunk-7@carrier.example>");
    let alias = uri("sip:gate%20house@inside.example;role=Alias");
    let numbers = Numbers::default();
    let scope = Scope {
        incoming: Some(incoming),
        account: Some(Identity {
            uri: &account,
            alias: Some(&alias),
        }),
        numbers: &numbers,
        form: Form::E164,
    };
    String::from_utf8(template.evaluate(&scope)).expect("UTF-8")
}

/// `InviteTweaker :: test`.
#[test]
fn addresses_are_made_with_their_escapes_kept() {
    for (template, expected) in [
        (
            "sip:{incoming.requestUri.user}@trunk.example.net{incoming.requestUri.uriParameters}",
            "sip:front%2Fdoor@trunk.example.net;gate=left;transport=tcp",
        ),
        ("{account.uri}", "sip:%2A=trunk-7@carrier.example"),
        ("{incoming.to}", "sip:**%23owner@home.example:5099;line=%2B$1"),
        (
            "{incoming.requestUri}",
            "sip:front%2Fdoor@192.0.2.7:5070;gate=left;transport=tcp",
        ),
        (
            "sip:{account.uri.user}@{incoming.to.hostport}{incoming.from.uriParameters}",
            "sip:%2A=trunk-7@home.example:5099;floor=%32/a",
        ),
        ("{account.alias}", "sip:gate%20house@inside.example;role=Alias"),
        ("{incoming.from}", "sip:bell-3@house.example;floor=%32/a"),
    ] {
        assert_eq!(evaluated(template, &incoming()), expected, "{template}");
        let made = address(expected.as_bytes()).expect("an address");
        assert_eq!(made.uri.as_str(), expected, "its parameters are the URI's");
    }
}

#[test]
fn the_user_of_an_alias_comes_raw() {
    assert_eq!(evaluated("{account.alias.user}", &incoming()), "gate house");
    assert_eq!(evaluated("{incoming.to.user}", &incoming()), "**%23owner");
}

/// `variable_substitution :: linphoneAddressFields`.
#[test]
fn display_names_come_quoted_and_round_trip() {
    let mut call = incoming();
    for display in ["\"Bell, \\\"A\\\" \\\\ Co\"", "Alice", "José"] {
        call.from = name_addr(&format!("{display} <sip:a@b>"));
        let made = evaluated("{incoming.from.displayName} <{account.uri}>", &call);
        let made = address(made.as_bytes()).expect("an address");
        assert_eq!(made.display_name(), call.from.display_name(), "{display}");
        assert_eq!(made.uri.as_str(), "sip:%2A=trunk-7@carrier.example");
    }
    assert_eq!(
        evaluated("{incoming.from.displayName}", &call),
        "\"José\"",
        "with quotes, whether it came so or not"
    );
    call.from = name_addr("<sip:a@b>");
    assert_eq!(evaluated("{incoming.from.displayName}", &call), "");
}

#[test]
fn a_display_name_cannot_add_an_address_of_its_own() {
    let mut call = incoming();
    call.from = name_addr("\"x\\\" <sip:eve@evil.example>, \\\"\" <sip:a@b>");
    let made = evaluated("{incoming.from.displayName} <{account.uri}>", &call);
    assert_eq!(
        address(made.as_bytes()).expect("an address").uri.host(),
        "carrier.example"
    );
}

#[test]
fn passwords_and_headers_of_uris_go_nowhere() {
    let mut call = incoming();
    call.from = name_addr("<sip:alice:secret@b?subject=x>");
    assert_eq!(
        evaluated("sip:{incoming.from.user}@{incoming.from.hostport}", &call),
        "sip:alice@b"
    );
    assert!(!evaluated("{incoming.from}", &call).contains("subject"));
}

#[test]
fn what_is_not_there_is_empty() {
    let call = incoming();
    assert_eq!(
        evaluated("<{incoming.diversion}|{incoming.assertedIdentity.user}>", &call),
        "<|>"
    );
    let mut call = call;
    call.request_uri = uri("sip:[2001:db8::1]:5070");
    assert_eq!(
        evaluated("{incoming.requestUri.user}@{incoming.requestUri.hostport}", &call),
        "@[2001:db8::1]:5070"
    );
}

fn fault(text: &str, context: Context) -> String {
    let error = Template::parse(text, context).expect_err(text);
    format!("{error}; expected {}", error.expected)
}

/// `variable_substitution :: knownFields`, `account_strat::FindInPool :: allValidTokensInSourceTemplate`.
#[test]
fn every_field_of_a_context_is_known() {
    let fields = ["", ".user", ".hostport", ".uriParameters", ".number"];
    for (context, sources) in [
        (
            Context::Invite,
            &[
                "incoming.from",
                "incoming.to",
                "incoming.requestUri",
                "account.uri",
                "account.alias",
            ][..],
        ),
        (Context::Call, &["from", "to", "requestUri"]),
        (Context::Account, &["uri", "alias"]),
    ] {
        for source in sources {
            for field in fields {
                let text = format!("{{{source}{field}}}");
                assert!(Template::parse(&text, context).is_ok(), "{text}");
            }
        }
    }
    for text in [
        "{incoming.from.displayName}",
        "{incoming.to.displayName}",
        "{account.uri.displayName}",
    ] {
        assert!(Template::parse(text, Context::Invite).is_ok(), "{text}");
    }
    assert!(Template::parse("", Context::Call).is_ok());
    assert!(Template::parse("no } fields", Context::Call).is_ok());
}

/// `variable_substitution :: unknownFields`, `FindInPool :: invalidTokenInSource`.
#[test]
fn an_unknown_field_is_refused_where_it_begins() {
    for (text, context, at, word) in [
        ("{from}", Context::Invite, 2, "incoming.from"),
        ("sip:{incoming.foo}@x", Context::Invite, 15, "\"incoming.foo\""),
        ("{incoming.from.foo}", Context::Invite, 16, "no field \"foo\""),
        ("{incoming.from.user.x}", Context::Invite, 16, "\"user.x\""),
        ("é{account.sipIdentity}", Context::Invite, 11, "account.uri"),
        ("${from}{bogus}", Context::Call, 9, "requestUri"),
        ("{incoming.from}", Context::Call, 2, "one of from, to"),
        ("{account.uri}", Context::Account, 2, "one of uri, alias"),
        (
            "{alias.displayName}",
            Context::Account,
            8,
            "no field \"displayName\"",
        ),
        (
            "{incoming.requestUri.displayName}",
            Context::Invite,
            22,
            "displayName",
        ),
        ("{}", Context::Call, 2, "\"\""),
        ("{{from}}", Context::Call, 2, "\"{from\""),
    ] {
        let fault = fault(text, context);
        assert!(
            fault.starts_with(&format!("at character {at}: ")),
            "{text}: {fault}"
        );
        assert!(fault.contains(word), "{text}: {fault}");
    }
}

/// `variable_substitution :: missingClosingDelim`.
#[test]
fn an_open_brace_is_refused_where_it_stands() {
    assert!(fault("sip:{incoming.from.user@x", Context::Invite).starts_with("at character 5: this {"));
    assert!(fault("{from}{", Context::Call).starts_with("at character 7: "));
}
