//! The shapes of the files that upstream publishes, in its documentation and with its own tests: each loads as it stands, and
//! carries a call.

use super::*;

/// Of the page on the SIP bridge: two providers over one pool, one for each direction, keys in its order.
const BIRDS: &str = r#"{
  "schemaVersion": 2,
  "providers": [
    {
      "name": "Flexisip -> Jabiru (Outbound)",
      "triggerCondition": {"strategy": "Always"},
      "accountToUse": {"strategy": "FindInPool", "source": "{from}", "by": "alias"},
      "onAccountNotFound": "nextProvider",
      "outgoingInvite": {
        "to": "sip:{incoming.to.user}@{account.uri.hostport}{incoming.to.uriParameters}",
        "from": "{account.uri}"
      },
      "accountPool": "FlockOfJabirus"
    },
    {
      "name": "Jabiru -> Flexisip (Inbound)",
      "triggerCondition": {"strategy": "Always"},
      "accountToUse": {"strategy": "FindInPool", "source": "{to}", "by": "uri"},
      "onAccountNotFound": "nextProvider",
      "outgoingInvite": {
        "to": "{account.alias}",
        "from": "sip:{incoming.from.user}@{account.alias.hostport}{incoming.from.uriParameters}",
        "outboundProxy": "<sip:127.0.0.1:5060;transport=tcp>"
      },
      "outgoingNotify": {"outboundProxy": "<sip:127.0.0.1:5060;transport=tcp>"},
      "accountPool": "FlockOfJabirus"
    }
  ],
  "accountPools": {
    "FlockOfJabirus": {
      "outboundProxy": "<sip:jabiru.example.org:5060;transport=tls>",
      "registrationRequired": false,
      "maxCallsPerLine": 3125,
      "loader": [
        {"uri": "sip:one@jabiru.example.org", "alias": "sip:one@flexisip.example.org",
         "userid": "", "secretType": "clrtxt", "secret": "a", "realm": "jabiru"}
      ]
    }
  }
}"#;

/// With its tests, of the first schema, with tabs.
const PROVIDER: &str = "[\n\t{\n\t\t\"name\": \"provider1\",\n\t\t\"pattern\": \"sip:\\\\+39.*\",\n\
    \t\t\"outboundProxy\": \"<sip:127.0.0.1:5860;transport=tcp>\",\n\t\t\"registrationRequired\": false,\n\
    \t\t\"maxCallsPerLine\": 1,\n\t\t\"accounts\": [ \n\t\t\t{\n\t\t\t\t\"uri\": \"sip:bridge@sip.provider1.com\",\n\
    \t\t\t\t\"userid\": \"irrelevant\",\n\t\t\t\t\"password\": \"!\"\n\t\t\t}\n\t\t]\n\t}\n]";

#[test]
fn the_files_that_upstream_publishes_load_and_carry_calls() {
    let bridge = app(BIRDS);
    let out = invite(
        "sip:two@b2bua.flexisip.example.org",
        "<sip:one@flexisip.example.org>",
        "<sip:two@flexisip.example.org>",
        "",
    );
    assert_eq!(
        addresses(&routed(&bridge, &out).expect("a route")),
        [
            "<sip:one@jabiru.example.org>",
            "<sip:two@jabiru.example.org>",
            "sip:two@jabiru.example.org",
            "sip:jabiru.example.org:5060;transport=tls;lr"
        ]
    );
    let inwards = invite(
        "sip:one@192.0.2.1",
        "<sip:two@jabiru.example.org>",
        "<sip:one@jabiru.example.org>",
        "",
    );
    assert_eq!(
        addresses(&routed(&bridge, &inwards).expect("a route")),
        [
            "<sip:two@flexisip.example.org>",
            "<sip:one@flexisip.example.org>",
            "sip:one@flexisip.example.org",
            "sip:127.0.0.1:5060;transport=tcp;lr"
        ]
    );
    let bridge = app(PROVIDER);
    let out = routed(&bridge, &dialled("sip:+39067@b2bua")).expect("a route");
    assert_eq!(out.target.as_str(), "sip:+39067@sip.provider1.com");
    assert_eq!(out.credentials.expect("the account's").username, "irrelevant");
}
