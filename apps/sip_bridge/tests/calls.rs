use super::*;
use b2bua::{
    app::{Encryption as Mode, EncryptionPolicy},
    sip::auth::Secret,
};
use std::time::Duration;

/// Upstream's pool of jabirus: each side finds the account by its own name for it.
const BOTH_WAYS: &str = r#"{
  "schemaVersion": 2,
  "providers": [
    {"name": "out", "accountPool": "birds", "triggerCondition": {"strategy": "Always"},
     "accountToUse": {"strategy": "FindInPool", "source": "{from}", "by": "alias"},
     "onAccountNotFound": "nextProvider",
     "outgoingInvite": {"to": "sip:{incoming.to.user}@{account.uri.hostport}{incoming.to.uriParameters}",
                        "from": "{incoming.from.displayName} <{account.uri}>"}},
    {"name": "in", "accountPool": "birds", "triggerCondition": {"strategy": "Always"},
     "accountToUse": {"strategy": "FindInPool", "source": "{to}", "by": "uri"},
     "onAccountNotFound": "nextProvider",
     "outgoingInvite": {"to": "{account.alias}",
                        "from": "sip:{incoming.from.user}@{account.alias.hostport}{incoming.from.uriParameters}",
                        "outboundProxy": "<sip:127.0.0.1:5060;transport=tcp>"}}
  ],
  "accountPools": {"birds": {"outboundProxy": "<sip:ext.example;transport=tls>", "registrationRequired": false,
    "maxCallsPerLine": 3125, "loader": [
      {"uri": "sip:felix-ext@ext.example", "alias": "sip:felix@in.example", "secretType": "clrtxt", "secret": "s"},
      {"uri": "sip:emilie-ext@ext.example", "alias": "sip:emilie@in.example"}]}}
}"#;

#[test]
fn calls_go_both_ways_through_one_pool() {
    let app = app(BOTH_WAYS);
    let out = invite(
        "sip:jasper@b2bua.in.example",
        "\"F \\\"x\\\" \\\\\" <sip:felix@in.example>",
        "<sip:jasper@ext.example;a=b>",
        "",
    );
    let out = routed(&app, &out).expect("a route");
    assert_eq!(
        addresses(&out),
        [
            "\"F \\\"x\\\" \\\\\" <sip:felix-ext@ext.example>",
            "<sip:jasper@ext.example;a=b>",
            "sip:jasper@ext.example;a=b",
            "sip:ext.example;transport=tls;lr",
        ]
    );
    let credentials = out.credentials.expect("the account's");
    assert_eq!(credentials.username, "felix-ext");
    assert_eq!(credentials.realm.as_deref(), Some("ext.example"));
    let inwards = invite(
        "sip:felix-ext@192.0.2.1",
        "<sip:jasper@ext.example;z=1>",
        "<sip:felix-ext@ext.example>",
        "",
    );
    let inwards = routed(&app, &inwards).expect("a route");
    assert_eq!(
        addresses(&inwards),
        [
            "<sip:jasper@in.example;z=1>",
            "<sip:felix@in.example>",
            "sip:felix@in.example",
            "sip:127.0.0.1:5060;transport=tcp;lr",
        ]
    );
    assert!(
        inwards.credentials.is_none(),
        "the account's secret is for its own server (S8)"
    );
    // From one local user to another, by way of the provider.
    let across = invite(
        "sip:x@y",
        "<sip:emilie@in.example>",
        "<sip:felix-ext@in.example>",
        "",
    );
    assert_eq!(
        routed(&app, &across).expect("a route").target.as_str(),
        "sip:felix-ext@ext.example"
    );
    // Neither side knows them.
    let nobody = invite("sip:x@y", "<sip:eve@in.example>", "<sip:nobody@ext.example>", "");
    assert!(routed(&app, &nobody).is_none());
}

#[test]
fn an_accounts_own_proxy_wins_over_its_pools() {
    let account =
        r#"{"uri": "sip:a@ext.example", "outboundProxy": "gw.ext.example:5070", "protocol": "TCP"}"#;
    let text = one(ALWAYS, TO, account).replace(
        r#""registrationRequired""#,
        r#""outboundProxy": "<sip:unusable.invalid>", "registrationRequired""#,
    );
    let out = routed(&app(&text), &dialled("sip:+331@b2bua")).expect("a route");
    assert_eq!(
        addresses(&out),
        [
            "<sip:a@ext.example>",
            "<sip:+331@ext.example>",
            "sip:+331@ext.example",
            "sip:gw.ext.example:5070;transport=tcp;lr"
        ],
        "and the domain stays what it is"
    );
}

const ACCOUNT: &str = r#"{"uri": "sip:a@ext.example", "secretType": "clrtxt", "secret": "s3cret"}"#;

#[test]
fn nothing_of_the_inside_goes_out_that_no_template_names() {
    let lines = "P-Asserted-Identity: <sip:inside-pai@example.org>\r\nX-Inside: x\r\nSubject: inside\r\n\
                 Diversion: <sip:inside-div@example.org>\r\nReferred-By: <sip:inside-ref@example.org>\r\n";
    let call = invite(
        "sip:+331@b2bua.inside.example",
        "\"inside\" <sip:inside-from@inside.example>",
        "<sip:+331@inside.example>",
        lines,
    );
    let out = routed(&app(&one(ALWAYS, TO, ACCOUNT)), &call).expect("a route");
    let everything = format!("{:?} {:?}", addresses(&out), fields(&out.headers));
    assert!(!everything.contains("inside"), "{everything}");
    assert_eq!(fields(&out.headers), ["X-Flexisip-B2BUA: ignore"]);
}

#[test]
fn identity_headers_are_made_by_templates() {
    let headers = r#""from": "{incoming.from.displayName} <{account.uri}>",
        "requestUri": "sip:{incoming.requestUri.user}@edge.ext.example;user=phone",
        "headers": {"P-Asserted-Identity": "{incoming.from.displayName} <sip:{incoming.from.user}@ext.example>",
                    "P-Preferred-Identity": "<{account.uri}>",
                    "Remote-Party-ID": "<{account.uri}>;party=calling;privacy=off",
                    "Diversion": "<{incoming.diversion}>;reason=no-answer",
                    "Privacy": "id",
                    "X-Empty": "{incoming.assertedIdentity}"}"#;
    let text = one(ALWAYS, &format!("{TO}, {headers}"), ACCOUNT);
    let call = invite(
        "sip:+331@b2bua",
        "\"Al\" <sip:+332@in.example>",
        "<sip:x@y>",
        "Diversion: <sip:+339@in.example>;reason=x\r\n",
    );
    let out = routed(&app(&text), &call).expect("a route");
    assert_eq!(out.target.as_str(), "sip:+331@edge.ext.example;user=phone");
    assert_eq!(out.to.to_text(), "<sip:+331@ext.example>");
    assert_eq!(
        fields(&out.headers),
        [
            "P-Asserted-Identity: \"Al\" <sip:+332@ext.example>",
            "P-Preferred-Identity: <sip:a@ext.example>",
            "Remote-Party-ID: <sip:a@ext.example>;party=calling;privacy=off",
            "Diversion: <sip:+339@in.example>;reason=no-answer",
            "Privacy: id",
            "X-Flexisip-B2BUA: ignore",
        ],
        "and what comes out empty is left out"
    );
}

#[test]
fn an_invalid_address_is_refused() {
    for invite in [
        r#""to": "sip:{incoming.to.user}@""#,
        r#""to": "{incoming.to}", "from": "{account.alias}""#,
        r#""to": "{incoming.to}", "from": "sip:{account.alias.user}""#,
        r#""to": "mailto:{incoming.to.user}@x""#,
        r#""to": "{incoming.to}", "headers": {"P-Asserted-Identity": "{incoming.from.user}"}"#,
        r#""to": "{incoming.to}", "requestUri": "x"#,
    ] {
        let invite = if invite.ends_with('x') {
            format!("{invite}\"")
        } else {
            invite.to_owned()
        };
        let app = app(&one(ALWAYS, &invite, ACCOUNT));
        assert!(routed(&app, &dialled("sip:+331@b2bua")).is_none(), "{invite}");
        assert_eq!(app.bridge.pools[0].all()[0].calls(), 0, "and it holds no line");
    }
}

/// Upstream's first schema.
const ONE_LINE: &str = r#"[{"name": "one", "pattern": "sip:\\+39[0-9]+@.*", "outboundProxy": "<sip:127.0.0.1:5060;transport=tcp>",
    "maxCallsPerLine": 1, "accounts": [{"uri": "sip:line@it.example", "userid": "u", "password": "p"}]}]"#;

#[test]
fn one_provider_with_one_line() {
    let app = app(ONE_LINE);
    assert!(routed(&app, &dialled("sip:+3366@b2bua")).is_none(), "no match");
    let call = dialled("sip:+39067@b2bua;user=phone");
    let first = routed(&app, &call).expect("a line");
    assert_eq!(
        addresses(&first),
        [
            "<sip:line@it.example>",
            "<sip:+39067@it.example;user=phone>",
            "sip:+39067@it.example;user=phone",
            "sip:127.0.0.1:5060;transport=tcp;lr"
        ]
    );
    let credentials = first.credentials.clone().expect("the account's");
    assert_eq!(credentials.username, "u");
    assert!(credentials.secret == Secret::Clear("p".into()));
    assert!(routed(&app, &call).is_none(), "the line is busy");
    drop(first);
    assert!(routed(&app, &call).is_some(), "the line is free again");
}

#[test]
fn two_forks_of_one_call_id_hold_a_line_each_and_give_back_both() {
    let app = app(&one(ALWAYS, TO, ACCOUNT));
    let call = dialled("sip:+331@b2bua");
    let forks = [routed(&app, &call), routed(&app, &call)];
    assert!(forks.iter().all(Option::is_some));
    let calls = || app.bridge.pools[0].all()[0].calls();
    assert_eq!(calls(), 2);
    drop(forks);
    assert_eq!(calls(), 0, "upstream loses one of them for ever");
}

/// `parseRegisterAuthenticate`: an account that is not registered cannot be used.
#[test]
fn an_account_that_must_be_registered_and_is_not_is_not_used() {
    for strategy in [
        r#"{"strategy": "Random"}"#,
        r#"{"strategy": "FindInPool", "by": "same", "source": "same"}"#,
    ] {
        let text = one(ALWAYS, TO, ACCOUNT)
            .replace(
                r#""registrationRequired": false"#,
                r#""registrationRequired": true"#,
            )
            .replace(r#"{"strategy": "Random"}"#, strategy);
        assert!(
            routed(&app(&text), &dialled("sip:+331@b2bua")).is_none(),
            "{strategy}"
        );
        let free = text.replace(
            r#""registrationRequired": true"#,
            r#""registrationRequired": false"#,
        );
        assert!(
            routed(&app(&free), &dialled("sip:+331@b2bua")).is_some(),
            "{strategy}"
        );
    }
}

#[test]
fn a_trigger_sees_the_whole_request_uri_and_nothing_else() {
    let trigger =
        r#""triggerCondition": {"strategy": "MatchRegex", "pattern": "sip:\\+[0-9]+@b2bua", "source": ""},"#;
    let app = app(&one(trigger, TO, ACCOUNT));
    assert!(routed(&app, &dialled("sip:+331@b2bua")).is_some());
    assert!(routed(&app, &dialled("sip:+331@b2bua;user=phone")).is_none());
    assert!(routed(&app, &invite("sip:x@b2bua", "<sip:a@b>", "<sip:+331@b2bua>", "")).is_none());
}

#[test]
fn all_forms_of_a_number_reach_the_same_route() {
    let trigger = r#""triggerCondition": {"strategy": "MatchNumber", "pattern": "\\+33[1-9][0-9]{8}|112"},
        "numbers": {"country": "33", "nationalPrefix": "0", "form": "digits"},"#;
    let to = r#""to": "sip:{incoming.requestUri.number}@{account.uri.hostport}""#;
    let app = app(&one(trigger, to, ACCOUNT));
    for form in [
        "sip:+33123456789@b2bua",
        "sip:0033123456789@b2bua",
        "sip:0123456789@b2bua",
        "sip:33123456789@b2bua",
        "tel:+33-1-23-45-67-89",
        "sip:+33123456789;isub=1@b2bua;user=phone",
    ] {
        let out = routed(&app, &dialled(form)).unwrap_or_else(|| panic!("{form} has no route"));
        assert_eq!(out.target.as_str(), "sip:33123456789@ext.example", "{form}");
    }
    assert_eq!(
        routed(&app, &dialled("sip:112@b2bua"))
            .expect("a route")
            .target
            .as_str(),
        "sip:112@ext.example"
    );
    for other in ["sip:alice@b2bua", "sip:+49123456789@b2bua", "sip:15@b2bua"] {
        assert!(routed(&app, &dialled(other)).is_none(), "{other}");
    }
}

#[test]
fn media_is_encrypted_as_the_provider_says() {
    for (word, mode) in [
        ("", Mode::None),
        (r#", "mediaEncryption": "none""#, Mode::None),
        (r#", "mediaEncryption": "sdes""#, Mode::Sdes),
        (r#", "mediaEncryption": "dtls-srtp""#, Mode::DtlsSrtp),
        (r#", "mediaEncryption": "zrtp""#, Mode::Zrtp),
    ] {
        let app = app(&one(ALWAYS, &format!("{TO}{word}"), ACCOUNT));
        let mut call = dialled("sip:+331@b2bua");
        call.encryption = Some(Mode::Sdes);
        let media = routed(&app, &call).expect("a route").media;
        assert_eq!(media.encryption, EncryptionPolicy::Only(mode), "{word}");
    }
}

#[test]
fn feedback_is_offered_as_the_provider_says() {
    for (word, avpf) in [
        ("", None),
        (r#", "enableAvpf": true"#, Some(true)),
        (r#", "enableAvpf": false"#, Some(false)),
    ] {
        let app = app(&one(ALWAYS, &format!("{TO}{word}"), ACCOUNT));
        assert_eq!(
            routed(&app, &dialled("sip:+331@b2bua"))
                .expect("a route")
                .media
                .avpf,
            avpf
        );
    }
}

#[test]
fn limits_go_with_each_call() {
    let limits =
        format!(r#"{ALWAYS} "limits": {{"callDuration": 3600, "noAnswer": 20, "concurrentCalls": 1}},"#);
    let app = app(&one(&limits, TO, ACCOUNT));
    let call = dialled("sip:+331@b2bua");
    let first = routed(&app, &call).expect("a route");
    assert_eq!(first.limits.duration, Some(Duration::from_secs(3600)));
    assert_eq!(first.limits.no_answer, Some(Duration::from_secs(20)));
    assert!(
        routed(&app, &call).is_none(),
        "the cap of the provider, below that of the account"
    );
    assert_eq!(
        app.bridge.pools[0].all()[0].calls(),
        1,
        "who is refused holds no line"
    );
    drop(first);
    assert!(routed(&app, &call).is_some());
}

#[test]
fn a_reload_does_not_forget_what_calls_hold() {
    let limits = format!(r#"{ALWAYS} "limits": {{"concurrentCalls": 1}},"#);
    let text = one(&limits, TO, ACCOUNT);
    let before = app(&text);
    let call = dialled("sip:+331@b2bua");
    let running = routed(&before, &call).expect("a route");
    let mut after = app(&text);
    after.take_over(Some(&before));
    drop(before);
    assert!(routed(&after, &call).is_none(), "its cap is taken");
    drop(running);
    assert!(routed(&after, &call).is_some());
}

#[test]
fn denied_destinations_cannot_be_reached_in_any_form() {
    let rules = format!(
        r#"{ALWAYS} "numbers": {{"country": "33", "nationalPrefix": "0"}},
           "destinations": {{"allowed": ["+33", "112"], "denied": ["+33899"]}},"#
    );
    let app = app(&one(&rules, TO, ACCOUNT));
    for (user, good) in [
        ("+33123456789", true),
        ("0123456789", true),
        ("112", true),
        ("+33899123456", false),
        ("0033899123456", false),
        ("0899123456", false),
        ("0-8-9-9123456", false),
        ("%2B33899123456", false),
        ("+33899123456;ext=1", false),
        ("33899123456", false),
        ("*31*0899123456", false),
        ("+881123456789", false),
        ("alice", false),
    ] {
        let out = routed(&app, &dialled(&format!("sip:{user}@b2bua")));
        assert_eq!(out.is_some(), good, "{user}");
    }
}
