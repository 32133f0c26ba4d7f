//! Subscriptions, and news of mailboxes.

use super::{events::BOTH, *};

fn standalone(method: &str, uri: &str, to: &str, host: &str, lines: &str, body: &str) -> Standalone {
    let text = format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {host}:5060;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n\
         From: {to};tag=a1\r\nTo: {to}\r\nCall-ID: news@{host}\r\nCSeq: 1 {method}\r\nContact: <sip:{host}>\r\n\
         {lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let Ok(Parsed::Message(Message::Request(request))) = datagram(text.into()) else {
        unreachable!("a well-formed request")
    };
    Standalone {
        mailbox: None,
        source: Source {
            transport: Transport::Udp,
            local: (Ipv4Addr::LOCALHOST, 5060).into(),
            remote: (host.parse::<Ipv4Addr>().expect("an address"), 5060).into(),
            flow: FlowId(1),
        },
        from: request.headers.from().expect("a From"),
        to: request.headers.to().expect("a To"),
        request,
    }
}

fn decided(app: &SipBridge, request: &Standalone) -> Result<Outgoing, u16> {
    match ready(app.route_standalone(request)) {
        Decision::Bridge(mut routes) => Ok(routes.pop().expect("a route")),
        Decision::Decline(failure) => Err(failure.status.code()),
        Decision::Redirect(_) => unreachable!("nobody redirects"),
    }
}

const SUMMARY: &str = "Event: message-summary\r\nSubscription-State: active\r\n\
                       Content-Type: application/simple-message-summary\r\n";
const BODY: &str =
    "Messages-Waiting: yes\r\nMessage-Account: sip:+331@itsp.example\r\nVoice-Message: 4/8 (1/2)\r\n";

/// `mwiBridging`: the subscriber's side of it.
#[test]
fn a_subscription_goes_out_under_the_accounts_name_to_where_it_was_meant() {
    let app = app(BOTH);
    let asked = |from: &str, host: &str| {
        standalone(
            "SUBSCRIBE",
            "sip:+4999@mailbox.example",
            from,
            host,
            "Event: message-summary\r\nExpires: 600\r\n",
            "",
        )
    };
    let out = decided(&app, &asked("<sip:alice@in.example>", "192.0.2.7")).expect("a route");
    assert_eq!(
        addresses(&out),
        [
            "<sip:+331@itsp.example>",
            "<sip:+331@itsp.example>",
            "sip:+4999@mailbox.example",
            "sip:192.0.2.50;lr"
        ]
    );
    assert_eq!(out.credentials.expect("the account's").username, "+331");
    assert!(out.private && out.lease.is_none());
    // Nobody's, and the provider itself.
    assert_eq!(
        decided(&app, &asked("<sip:eve@in.example>", "192.0.2.7")).err(),
        Some(488)
    );
    assert_eq!(
        decided(&app, &asked("<sip:alice@in.example>", "192.0.2.50")).err(),
        Some(488)
    );
    // Other methods are not bridged, as upstream.
    let message = standalone(
        "MESSAGE",
        "sip:+49@x.example",
        "<sip:alice@in.example>",
        "192.0.2.7",
        "",
        "",
    );
    assert_eq!(decided(&app, &message).err(), Some(405));
}

#[test]
fn a_subscription_by_an_account_that_is_not_registered_is_refused() {
    let app = app(&BOTH.replace(
        r#""registrationRequired": false"#,
        r#""registrationRequired": true"#,
    ));
    let asked = standalone(
        "SUBSCRIBE",
        "sip:+4999@mailbox.example",
        "<sip:alice@in.example>",
        "192.0.2.7",
        "Event: message-summary\r\n",
        "",
    );
    assert_eq!(decided(&app, &asked).err(), Some(488));
}

#[test]
fn news_of_a_mailbox_reach_the_alias_by_the_providers_way() {
    let app = app(BOTH);
    let news = |to: &str, lines: &str| standalone("NOTIFY", "sip:x@192.0.2.1", to, "192.0.2.50", lines, BODY);
    let out = decided(&app, &news("<sip:+331@itsp.example>", SUMMARY)).expect("a route");
    assert_eq!(
        addresses(&out),
        [
            "<sip:alice@in.example>",
            "<sip:alice@in.example>",
            "sip:alice@in.example",
            "sip:inside.example;transport=tcp;lr"
        ]
    );
    assert_eq!(fields(&out.headers), ["Priority: urgent"]);
    let body = out.body.expect("the body");
    assert_eq!(
        body,
        BODY.replace("sip:+331@itsp.example", "sip:alice@in.example")
    );
    assert!(out.credentials.is_none());
    // An account without alias, nobody's, and other events.
    assert_eq!(
        decided(&app, &news("<sip:+333@itsp.example>", SUMMARY)).err(),
        Some(481)
    );
    assert_eq!(
        decided(&app, &news("<sip:+339@itsp.example>", SUMMARY)).err(),
        Some(481)
    );
    let other = SUMMARY.replace("message-summary\r\nSub", "presence\r\nSub");
    assert_eq!(
        decided(&app, &news("<sip:+331@itsp.example>", &other)).err(),
        Some(481)
    );
}

/// `mwiB2buaSubscription`: whose news they are is known, whatever their addresses say.
#[test]
fn news_of_our_own_subscriptions_need_no_trigger() {
    let never = BOTH.replace(
        r#""triggerCondition": {"strategy": "Always"}"#,
        r#""triggerCondition": {"strategy": "MatchRegex", "pattern": "never", "source": ""}"#,
    );
    assert_ne!(never, BOTH);
    let app = app(&never);
    let news = |pool: &str, account: &str| {
        let to = "<sip:somebody@mailbox.example>";
        let news = standalone("NOTIFY", "sip:x@192.0.2.1", to, "192.0.2.99", SUMMARY, BODY);
        let mailbox = Some((pool.into(), account.into()));
        decided(&app, &Standalone { mailbox, ..news })
    };
    let out = news("line", "sip:+332@itsp.example").expect("a route");
    assert_eq!(
        addresses(&out),
        [
            "<sip:carol@in.example>",
            "<sip:carol@in.example>",
            "sip:carol@in.example",
            "sip:inside.example;transport=tcp;lr"
        ]
    );
    assert!(
        String::from_utf8_lossy(&out.body.expect("the body"))
            .contains("Message-Account: sip:carol@in.example\r\n")
    );
    // Without an alias, and of an account or a pool that has gone meanwhile.
    assert_eq!(news("line", "sip:+333@itsp.example").err(), Some(481));
    assert_eq!(news("line", "sip:+339@itsp.example").err(), Some(481));
    assert_eq!(news("other", "sip:+331@itsp.example").err(), Some(481));
}

#[test]
fn without_outgoing_notify_news_of_a_mailbox_are_dropped() {
    let (before, after) = (
        BOTH.find(",\n     \"outgoingNotify\"").expect("it"),
        BOTH.find("}}\n  ],").expect("it"),
    );
    let text = format!("{}{}", &BOTH[..before], &BOTH[after + 1..]);
    let app = app(&text);
    let news = standalone(
        "NOTIFY",
        "sip:x@192.0.2.1",
        "<sip:+331@itsp.example>",
        "192.0.2.50",
        SUMMARY,
        BODY,
    );
    assert_eq!(decided(&app, &news).err(), Some(481));
}
