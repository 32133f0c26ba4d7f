use super::{super::model::Loader, *};
use b2bua::sip::auth::Secret;

/// Every key that upstream's second schema has.
const FULL: &str = r#"{
  "schemaVersion": 2,
  "providers": [{
    "name": "p", "accountPool": "pool",
    "triggerCondition": {"strategy": "MatchRegex", "pattern": "sip:.*", "source": "{incoming.requestUri}"},
    "accountToUse": {"strategy": "FindInPool", "by": "alias", "source": "{from}"},
    "onAccountNotFound": "nextProvider",
    "outgoingInvite": {"to": "{incoming.to}", "from": "{account.uri}", "outboundProxy": "<sip:x.example;transport=tls>",
                       "enableAvpf": false, "mediaEncryption": "zrtp"},
    "outgoingNotify": {"outboundProxy": "sip:y.example"}
  }],
  "accountPools": {"pool": {
    "registrationRequired": false, "maxCallsPerLine": 70000, "outboundProxy": "sip:pool.example",
    "registrar": "<sip:reg.example>", "registrationThrottlingRateMs": 200, "mwiServerUri": "sip:mwi.example",
    "unregisterOnServerShutdown": false,
    "loader": [{"uri": "sip:a@b", "userid": "u", "secretType": "sha-256", "secret": "", "realm": "r", "alias": "sip:c@d",
                "outboundProxy": "h:5061", "registrar": "sip:r.example", "protocol": "tls", "encrypted": true}]
  }}
}"#;

#[test]
fn every_key_of_upstream_is_read() {
    let document = document(FULL);
    let (provider, pool) = (&document.providers[0], &document.pools[0]);
    assert_eq!(provider.invite.avpf, Some(false));
    assert_eq!(provider.invite.encryption, Some(Encryption::Zrtp));
    assert_eq!(provider.notify.as_ref().map(Uri::as_str), Some("sip:y.example"));
    assert_eq!(pool.calls_per_line, 70_000, "32 bits");
    assert_eq!(pool.throttle.as_millis(), 200);
    assert_eq!(
        pool.message_waiting.as_ref().map(Uri::as_str),
        Some("sip:mwi.example")
    );
    assert!(!pool.unregister);
}

#[test]
fn keys_that_nobody_knows_are_remarked_and_slips_of_the_pen_refused() {
    assert_eq!(
        remarks(FULL),
        ["p.json: accountPools.pool.loader[0].encrypted: a key that means nothing here"],
        "upstream's own files carry it"
    );
    let slip = FULL.replace("\"mediaEncryption\"", "\"mediaEncrytion\"");
    assert_eq!(
        problems(&slip),
        [
            "p.json: providers[0].outgoingInvite.mediaEncrytion: there is no such key; expected mediaEncryption, perhaps?"
        ]
    );
    let ours = FULL.replace("\"name\": \"p\"", "\"name\": \"p\", \"limits\": {\"calls\": 3}");
    assert_eq!(problems(&ours).len(), 1, "an object of ours knows its keys");
}

#[test]
fn toml_says_the_same() {
    let toml = r#"
        schemaVersion = 2
        [[providers]]
        name = "p"
        accountPool = "pool"
        triggerCondition = {strategy = "Always"}
        accountToUse = {strategy = "Random"}
        onAccountNotFound = "decline"
        outgoingInvite = {to = "sip:{incoming.requestUri.user}@{account.uri.hostport}"}
        [accountPools.pool]
        registrationRequired = false
        maxCallsPerLine = 2
        loader = [{uri = "sip:a@b"}]
    "#;
    let toml = parse(toml, Path::new("p.toml"), |_| ()).expect("good");
    assert_eq!(toml, document(&one(ALWAYS, TO, r#"{"uri": "sip:a@b"}"#)));
}

/// `v1ConfigToV2`, `v1ConfigExpressedAsEquivalentV2Config`.
#[test]
fn the_first_schema_reads_as_its_translation() {
    let v1 = r#"[{"name": "One", "pattern": "sip:\\+41.*", "outboundProxy": "<sip:192.0.2.9:5071;transport=tls>",
        "registrationRequired": true, "maxCallsPerLine": 12, "enableAvpf": true, "mediaEncryption": "sdes",
        "accounts": [{"uri": "sip:a@it.example", "userid": "ua", "password": "pw"}, {"uri": "sip:b@it.example"}]},
      {"name": "Two", "pattern": ".*"}]"#;
    let invite =
        r#""to": "sip:{incoming.requestUri.user}@{account.uri.hostport}{incoming.requestUri.uriParameters}""#;
    let v2 = format!(
        r#"{{"schemaVersion": 2, "providers": [
          {{"name": "One", "accountPool": "Account pool - One",
            "triggerCondition": {{"strategy": "MatchRegex", "pattern": "sip:\\+41.*", "source": "{{incoming.requestUri}}"}},
            "accountToUse": {{"strategy": "Random"}}, "onAccountNotFound": "decline",
            "outgoingInvite": {{{invite}, "enableAvpf": true, "mediaEncryption": "sdes"}} }},
          {{"name": "Two", "accountPool": "Account pool - Two",
            "triggerCondition": {{"strategy": "MatchRegex", "pattern": ".*", "source": "{{incoming.requestUri}}"}},
            "accountToUse": {{"strategy": "Random"}}, "onAccountNotFound": "decline", "outgoingInvite": {{{invite}}} }}],
          "accountPools": {{
            "Account pool - One": {{"registrationRequired": true, "maxCallsPerLine": 12,
              "outboundProxy": "<sip:192.0.2.9:5071;transport=tls>",
              "loader": [{{"uri": "sip:a@it.example", "userid": "ua", "secretType": "clrtxt", "secret": "pw"}},
                         {{"uri": "sip:b@it.example", "secretType": "clrtxt"}}]}},
            "Account pool - Two": {{"registrationRequired": false, "maxCallsPerLine": 4294967295, "loader": []}} }} }}"#
    );
    assert_eq!(document(v1), document(&v2));
    assert_eq!(
        problems(r#"[{"accounts": []}, {"name": "", "pattern": ""}]"#).len(),
        4
    );
}

/// A key of the tree, by its path, taken out.
fn without(tree: &mut serde_json::Value, path: &str) {
    let (parent, key) = path.rsplit_once('/').expect("a path");
    let parent = tree.pointer_mut(parent).expect("there");
    assert!(
        parent.as_object_mut().expect("an object").remove(key).is_some(),
        "{path}"
    );
}

/// `requiredFields`.
#[test]
fn every_mandatory_key_is_missed() {
    for (pointer, path) in [
        ("/schemaVersion", "schemaVersion"),
        ("/providers", "providers"),
        ("/providers/0/name", "providers[0].name"),
        ("/providers/0/accountPool", "providers[0].accountPool"),
        ("/providers/0/triggerCondition", "providers[0].triggerCondition"),
        (
            "/providers/0/triggerCondition/strategy",
            "providers[0].triggerCondition.strategy",
        ),
        (
            "/providers/0/triggerCondition/pattern",
            "providers[0].triggerCondition.pattern",
        ),
        (
            "/providers/0/triggerCondition/source",
            "providers[0].triggerCondition.source",
        ),
        ("/providers/0/accountToUse", "providers[0].accountToUse"),
        (
            "/providers/0/accountToUse/strategy",
            "providers[0].accountToUse.strategy",
        ),
        ("/providers/0/accountToUse/by", "providers[0].accountToUse.by"),
        (
            "/providers/0/accountToUse/source",
            "providers[0].accountToUse.source",
        ),
        ("/providers/0/onAccountNotFound", "providers[0].onAccountNotFound"),
        ("/providers/0/outgoingInvite", "providers[0].outgoingInvite"),
        ("/providers/0/outgoingInvite/to", "providers[0].outgoingInvite.to"),
        (
            "/providers/0/outgoingNotify/outboundProxy",
            "providers[0].outgoingNotify.outboundProxy",
        ),
        ("/accountPools", "accountPools"),
        (
            "/accountPools/pool/registrationRequired",
            "accountPools.pool.registrationRequired",
        ),
        (
            "/accountPools/pool/maxCallsPerLine",
            "accountPools.pool.maxCallsPerLine",
        ),
        ("/accountPools/pool/loader", "accountPools.pool.loader"),
        (
            "/accountPools/pool/loader/0/uri",
            "accountPools.pool.loader[0].uri",
        ),
    ] {
        let mut tree: serde_json::Value = serde_json::from_str(FULL).expect("JSON");
        without(&mut tree, pointer);
        let problems = problems(&tree.to_string());
        assert_eq!(problems, [format!("p.json: {path}: this key is missing")]);
    }
}

#[test]
fn every_fault_is_in_one_report() {
    let text = r#"{
      "schemaVersion": 3,
      "providers": [
        {"name": "", "accountPool": "nowhere", "triggerCondition": {"strategy": "MatchRegex", "pattern": "(?=a)", "source": ""},
         "accountToUse": {"strategy": "FindInPool", "by": "{bogus}", "source": "{incoming.from}"},
         "onAccountNotFound": "giveUp",
         "outgoingInvite": {"to": "sip:{incoming.to", "mediaEncryption": "SDES", "enableAvpf": "true",
                            "outboundProxy": "nonsense", "headers": {"Via": "x", "P-Asserted-Identity": "{x}"}},
         "numbers": {"form": "national"}, "destinations": {"allowed": ["33a"]},
         "limits": {"callsPerSecond": 0}, "failover": {"codes": [200, "3xx"]}}
      ],
      "accountPools": {
        "sql": {"registrationRequired": 1, "maxCallsPerLine": -1,
                "loader": {"dbBackend": "oracle", "initQuery": "", "connection": "c", "threadPoolSize": -1}},
        "bad": {"registrationRequired": true, "maxCallsPerLine": 1.5, "registrar": "mailto:x@y", "loader": "x"},
        "odd": {"registrationRequired": true, "maxCallsPerLine": 1,
                "loader": [{"uri": "sip:a@b", "secretType": "MD5", "protocol": "sctp", "alias": "x y"}]}
      }
    }"#;
    let report = problems(text).join("\n");
    for part in [
        "p.json: schemaVersion: this schema is not known; expected 2",
        "providers[0].name: it is empty",
        "providers[0].accountPool: there is no account pool \"nowhere\"; expected one of accountPools: sql, bad, odd",
        "providers[0].triggerCondition.pattern: the regular expression \"(?=a)\" is refused: it looks ahead",
        "providers[0].accountToUse.by: at character 2: there is no field \"bogus\"",
        "providers[0].accountToUse.source: at character 2: there is no field \"incoming.from\"; expected one of from, to",
        "providers[0].onAccountNotFound: \"giveUp\" is not known; expected one of nextProvider, decline",
        "providers[0].outgoingInvite.to: at character 5: this { has no }",
        "providers[0].outgoingInvite.mediaEncryption: \"SDES\" is not known; expected one of zrtp, sdes, dtls-srtp, none",
        "providers[0].outgoingInvite.enableAvpf: a text stands here; expected true or false, without quotes",
        "providers[0].outgoingInvite.outboundProxy: \"nonsense\" is not a SIP address",
        "providers[0].outgoingInvite.headers.Via: Via belongs to one leg",
        "providers[0].outgoingInvite.headers.P-Asserted-Identity: at character 2",
        "providers[0].numbers: national numbers of no country",
        "providers[0].destinations.allowed[0]: \"33a\" is not the beginning of a number",
        "providers[0].limits.callsPerSecond: 0 is out of bounds; expected a whole number from 1",
        "providers[0].failover.codes[0]: 200 is out of bounds",
        "providers[0].failover.codes[1]: \"3xx\" is no class of codes",
        "accountPools.sql.registrationRequired: a whole number stands here",
        "accountPools.sql.maxCallsPerLine: -1 is out of bounds",
        "accountPools.sql.loader.dbBackend: \"oracle\" is not known; expected one of sqlite3, mysql, postgresql",
        "accountPools.sql.loader.initQuery: it is empty",
        "accountPools.sql.loader.updateQuery: this key is missing",
        "accountPools.sql.loader.threadPoolSize: -1 is out of bounds",
        "accountPools.bad.maxCallsPerLine: a number with a fraction stands here",
        "accountPools.bad.registrar: \"mailto:x@y\" is not a SIP URI",
        "accountPools.bad.loader: a text stands here; expected an array of accounts, or an object",
        "accountPools.odd.loader[0].secretType: \"MD5\" is not known; expected one of md5, ha1, sha256, sha-256, clrtxt",
        "accountPools.odd.loader[0].protocol: \"sctp\" is not known",
    ] {
        assert!(report.contains(part), "{part}\nis not in\n{report}");
    }
}

/// `StaticAccountLoader :: nominalInitialLoadTest`, `accountCreationDifferentRegistrarAddresses`.
#[test]
fn accounts_get_their_route_registrar_and_secret() {
    let rows = [
        // account, pool: route, registrar
        ("", "", "sip:ext.example", "sip:ext.example"),
        (r#", "protocol": "UDP""#, "", "sip:ext.example", "sip:ext.example"),
        (
            r#", "protocol": "Tls""#,
            "",
            "sip:ext.example;transport=tls",
            "sip:ext.example;transport=tls",
        ),
        (
            r#", "outboundProxy": "gw:5070", "protocol": "tcp""#,
            "",
            "sip:gw:5070;transport=tcp",
            "sip:gw:5070;transport=tcp",
        ),
        (
            r#", "outboundProxy": "<sip:gw;transport=tls>", "protocol": "tcp""#,
            "",
            "sip:gw;transport=tls",
            "sip:gw;transport=tls",
        ),
        (
            "",
            r#""outboundProxy": "sip:pool;transport=tls","#,
            "sip:pool;transport=tls",
            "sip:pool;transport=tls",
        ),
        (
            r#", "registrar": "reg", "protocol": "tcp""#,
            r#""outboundProxy": "sip:pool", "registrar": "sip:poolreg","#,
            "sip:pool",
            "sip:reg;transport=tcp",
        ),
        (
            "",
            r#""registrar": "sip:poolreg","#,
            "sip:ext.example",
            "sip:poolreg",
        ),
    ];
    for (account, pool, route, registrar) in rows {
        let account = format!(r#"{{"uri": "sip:a@ext.example:5099"{account}}}"#);
        let text = one(ALWAYS, TO, &account).replace(
            r#""registrationRequired""#,
            &format!(r#"{pool} "registrationRequired""#),
        );
        let document = document(&text);
        let Loader::Static(accounts) = &document.pools[0].loader else {
            unreachable!("an array")
        };
        assert_eq!(
            (accounts[0].route.as_str(), accounts[0].registrar.as_str()),
            (route, registrar),
            "{account} {pool}"
        );
        assert!(accounts[0].credentials.is_none(), "no secret, no credentials");
    }
    let hash = "0123456789abcdef0123456789abcdef";
    for (keys, secret, user, realm) in [
        (
            format!(r#""secret": "{hash}""#),
            Secret::Md5Ha1(hash.into()),
            "a",
            "b",
        ),
        (
            format!(r#""secret": "{hash}", "secretType": "ha1""#),
            Secret::Md5Ha1(hash.into()),
            "a",
            "b",
        ),
        (
            format!(r#""secret": "{hash}{hash}", "secretType": "sha-256", "realm": "r", "userid": "u""#),
            Secret::Sha256Ha1(format!("{hash}{hash}")),
            "u",
            "r",
        ),
        (
            r#""secret": "pw", "secretType": "clrtxt""#.to_owned(),
            Secret::Clear("pw".into()),
            "a",
            "b",
        ),
    ] {
        let document = document(&one(ALWAYS, TO, &format!(r#"{{"uri": "sip:a@b:5070", {keys}}}"#)));
        let Loader::Static(accounts) = &document.pools[0].loader else {
            unreachable!("an array")
        };
        let credentials = accounts[0].credentials.as_ref().expect("a secret");
        assert!(credentials.secret == secret, "{keys}");
        assert_eq!(
            (credentials.username.as_str(), credentials.realm.as_deref()),
            (user, Some(realm))
        );
    }
    let wrong = one(ALWAYS, TO, r#"{"uri": "sip:a@b", "secret": "hunter2"}"#);
    let remarks = remarks(&wrong).join("\n");
    assert!(
        remarks.contains("loader[0].secret: not a hash") && !remarks.contains("hunter2"),
        "{remarks}"
    );
    assert!(!format!("{:?}", document(&wrong)).contains("hunter2"));
}

/// `AccountPool :: accountCreation`.
#[test]
fn accounts_without_a_uri_are_left_out() {
    let accounts = r#"{"uri": ""}, {"uri": "nonsense"}, {"uri": "sip:a@b"}, {"uri": "tel:+331"}, {"uri": "sip:a@b", "userid": "second"}"#;
    let text = one(ALWAYS, TO, accounts);
    let Loader::Static(accounts) = &document(&text).pools[0].loader else {
        unreachable!("an array")
    };
    assert_eq!(accounts.len(), 1);
    assert_eq!(remarks(&text).len(), 4);
}

#[test]
fn the_shipped_samples_are_good_and_say_the_same() {
    let shipped = |name: &str| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config").join(name);
        let mut remarks = Vec::new();
        let document =
            read(&path, |remark| remarks.push(remark)).unwrap_or_else(|faults| panic!("{faults:#?}"));
        assert_eq!(remarks, [""; 0]);
        document
    };
    let json = shipped("providers.json");
    assert_eq!(json, shipped("providers.toml"));
}
