//! The sip-bridge on the wire, but for its calls: subscriptions and news of mailboxes, what is said of accounts, trunks that go and
//! come back.

use super::{
    party::{Heard, PATIENCE, Party, SILENCE, fresh},
    server::Server,
};
use crate::process::b2bua;
use std::{
    fs,
    io::{Read, Write},
    net::SocketAddr,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

/// The inside, a provider, and a server between them.
struct Stage {
    /// On a host that may call; its proxy.
    inside: Party,
    /// On another one, that may call too.
    provider: Party,
    server: Server,
    folder: tempfile::TempDir,
}

fn nowhere() -> SocketAddr {
    "127.0.0.1:9".parse().expect("an address")
}

/// The server listens on both hosts; the provider's calls go straight to it.
fn stage(more: &str) -> Stage {
    let (mut inside, mut provider) = (
        Party::udp("127.0.0.1", nowhere()),
        Party::udp("127.0.0.2", nowhere()),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let providers = folder.path().join("providers.json");
    let text = format!(
        r#"{{"schemaVersion": 2, "providers": [
          {{"name": "out", "accountPool": "line", "onAccountNotFound": "nextProvider",
            "triggerCondition": {{"strategy": "MatchRegex", "pattern": "sip:\\+[0-9]+@.*", "source": ""}},
            "accountToUse": {{"strategy": "FindInPool", "source": "{{from}}", "by": "alias"}}, {more}
            "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}"}} }},
          {{"name": "in", "accountPool": "line", "triggerCondition": {{"strategy": "Always"}},
            "accountToUse": {{"strategy": "FindInPool", "source": "{{to}}", "by": "uri"}},
            "onAccountNotFound": "nextProvider",
            "outgoingInvite": {{"to": "{{account.alias}}", "outboundProxy": "<sip:{inside}>"}},
            "outgoingNotify": {{"outboundProxy": "<sip:{inside}>"}} }}],
        "accountPools": {{"line": {{"registrationRequired": false, "maxCallsPerLine": 2, "outboundProxy": "<sip:{provider}>",
          "loader": [{{"uri": "sip:+331@itsp.test", "alias": "sip:alice@example.org", "secretType": "clrtxt", "secret": "s"}}] }} }} }}"#,
        inside = inside.address,
        provider = provider.address,
    );
    fs::write(&providers, text).expect("writable");
    let socket = folder.path().join("control");
    let server = Server::listening_on(
        "sip:127.0.0.1:0;transport=udp sip:127.0.0.2:0;transport=udp",
        " ",
        &format!(
            "application=sip-bridge\ntrusted-hosts=127.0.0.1 127.0.0.2\ncontrol-socket={}\nhttp-listen=127.0.0.1:0\n\
             [b2bua-server::sip-bridge]\nproviders={}\n",
            socket.display(),
            providers.display()
        ),
    );
    inside.peer = server.udp_of("127.0.0.1");
    provider.peer = server.udp_of("127.0.0.2");
    Stage {
        inside,
        provider,
        server,
        folder,
    }
}

impl Stage {
    fn socket(&self) -> PathBuf {
        self.folder.path().join("control")
    }
    fn ask(&self, command: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a valid time");
        stream.write_all(command.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer and its end");
        answer
    }
}

const SUMMARY: &str =
    "Messages-Waiting: yes\r\nMessage-Account: sip:+331@itsp.test\r\nVoice-Message: 4/8 (1/2)\r\n";

fn body(heard: &Heard) -> &str {
    heard.0.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[test]
fn a_subscription_to_a_mailbox_goes_through_with_its_news_until_it_ends() {
    let mut stage = stage("");
    let call_id = fresh("mailbox");
    let subscribe = |cseq: u32, expires: u32, to: &str| {
        format!(
            "From: <sip:alice@example.org>;tag=a\r\nTo: {to}\r\nCall-ID: {call_id}\r\nCSeq: {cseq} SUBSCRIBE\r\n\
             Event: message-summary\r\nExpires: {expires}\r\nAccept: application/simple-message-summary\r\n\
             Subject: alice's own\r\nX-Inside: 1\r\n"
        )
    };
    let (first, uri) = (subscribe(1, 600, "<sip:+3399@itsp.test>"), "sip:+3399@itsp.test");
    let first = stage.inside.request("SUBSCRIBE", uri, &first, "");
    stage.inside.send(&first);
    let asked = stage.provider.expect("SUBSCRIBE ");
    assert!(
        asked.start().starts_with("SUBSCRIBE sip:+3399@itsp.test "),
        "{}",
        asked.0
    );
    assert!(
        asked.field("From").starts_with("<sip:+331@itsp.test>"),
        "{}",
        asked.0
    );
    assert_eq!(asked.field("Event"), "message-summary");
    assert_eq!(asked.field("Expires"), "600");
    let own = stage.inside.address.to_string();
    for name in ["alice", "example.org", "X-Inside", &own] {
        assert!(!asked.0.contains(name), "{name} got out in\n{}", asked.0);
    }
    let accepted = stage
        .provider
        .response(&asked, "200 OK", "")
        .replace("Content-Length", "Expires: 600\r\nContent-Length");
    stage.provider.send(&accepted);
    let ours = stage.inside.expect("SIP/2.0 200");
    assert_eq!(ours.field("Expires"), "600");

    let news = stage.provider.within_with("NOTIFY", 1, &asked, SUMMARY).replace(
        "Content-Type: application/sdp",
        "Content-Type: application/simple-message-summary\r\nEvent: message-summary\r\nSubscription-State: active;expires=600",
    );
    stage.provider.send(&news);
    let told = stage.inside.expect("NOTIFY ");
    assert_eq!(body(&told), SUMMARY, "the very same");
    assert_eq!(told.field("Priority"), "urgent");
    assert_eq!(told.field("Event"), "message-summary");
    stage.inside.respond(&told, "200 OK", "");
    stage.provider.expect("SIP/2.0 200");

    let last = subscribe(2, 0, &ours.field("To"));
    let contact = ours.field("Contact");
    let contact = contact.trim_matches(['<', '>']);
    let last = stage.inside.request("SUBSCRIBE", contact, &last, "");
    stage.inside.send(&last);
    let ended = stage.provider.expect("SUBSCRIBE ");
    assert_eq!(ended.field("Expires"), "0");
    let accepted = stage
        .provider
        .response(&ended, "200 OK", "")
        .replace("Content-Length", "Expires: 0\r\nContent-Length");
    stage.provider.send(&accepted);
    stage.inside.expect("SIP/2.0 200");
}

#[test]
fn news_that_nobody_subscribed_to_reach_the_alias_and_its_answer_comes_back() {
    let mut stage = stage("");
    let fields = |call_id: &str, to: &str| {
        format!(
            "From: <{to}>;tag=p\r\nTo: <{to}>\r\nCall-ID: {call_id}\r\nCSeq: 1 NOTIFY\r\nEvent: message-summary\r\n\
             Subscription-State: active\r\n"
        )
    };
    let uri = format!("sip:+331@{}", stage.provider.peer);
    let text = stage.provider.request(
        "NOTIFY",
        &uri,
        &fields(&fresh("news"), "sip:+331@itsp.test"),
        SUMMARY,
    );
    let text = text.replace("application/sdp", "application/simple-message-summary");
    stage.provider.send(&text);
    let told = stage.inside.expect("NOTIFY ");
    assert!(
        told.start().starts_with("NOTIFY sip:alice@example.org "),
        "{}",
        told.0
    );
    assert_eq!(
        body(&told),
        SUMMARY.replace("sip:+331@itsp.test", "sip:alice@example.org")
    );
    assert_eq!(told.field("Priority"), "urgent");
    assert!(told.field("Content-Type").contains("simple-message-summary"));
    assert!(told.field("Contact").starts_with("<sip:127.0.0.1:"), "{}", told.0);
    let words = "Warning: 399 lair.example \"lair\"\r\nX-Lair: lair\r\nReason: SIP;cause=202;text=\"lair\"\r\nContent-Length";
    let accepted = stage.inside.response(&told, "202 Taken by lair", "");
    stage.inside.send(&accepted.replace("Content-Length", words));
    let accepted = stage.provider.expect("SIP/2.0 202");
    assert!(!accepted.0.to_lowercase().contains("lair"), "{}", accepted.0);
    // Nobody's.
    let text = stage.provider.request(
        "NOTIFY",
        &uri,
        &fields(&fresh("news"), "sip:+339@itsp.test"),
        SUMMARY,
    );
    stage.provider.send(&text);
    stage.provider.expect("SIP/2.0 481");
    assert!(stage.inside.hear_within(SILENCE).is_none());
}

/// acceptance #23: whoever wonders why a call was refused finds each provider's reason in the log.
#[test]
fn a_call_that_no_provider_takes_is_explained_in_the_log() {
    let mut stage = stage("");
    let text = stage.inside.invite(&fresh("nobody"), "sip:nobody@example.org");
    stage.inside.send(&text);
    let refused = stage.inside.expect("SIP/2.0 488");
    stage.inside.ack_failure(&text, &refused);
    for part in [
        "no provider takes the call",
        "does not match sip:nobody@example.org",
        "no account of its pool is found by",
    ] {
        stage.server.until_logged(part);
    }
    assert!(stage.provider.hear_within(SILENCE).is_none());
}

#[test]
fn accounts_are_shown_on_the_control_socket_over_http_and_to_a_person() {
    let stage = stage("");
    let account = "\n\t\t\t\t{\n\t\t\t\t\t\"address\" : \"sip:+331@itsp.test\",\n\t\t\t\t\t\"freeSlots\" : 2,\n\
                   \t\t\t\t\t\"registerEnabled\" : false,\n\t\t\t\t\t\"status\" : \"OK\"\n\t\t\t\t}\n\t\t\t],\n";
    let provider = |name: &str| {
        format!("\n\t\t{{\n\t\t\t\"accounts\" : \n\t\t\t[{account}\t\t\t\"name\" : \"{name}\"\n\t\t}}")
    };
    let expected = format!(
        "{{\n\t\"providers\" : \n\t[{},{}\n\t]\n}}",
        provider("out"),
        provider("in")
    );
    assert_eq!(stage.ask("SIP_BRIDGE INFO"), expected);
    assert_eq!(
        stage.ask("REGISTRAR_DUMP\n"),
        "Error - Unknown command: REGISTRAR_DUMP"
    );
    assert!(stage.ask(&"x".repeat(600)).starts_with("Error - "));
    use std::os::unix::fs::PermissionsExt as _;
    let mode = fs::metadata(stage.socket())
        .expect("a socket")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);
    // Whoever says nothing keeps nobody else from being answered.
    let _silent: Vec<UnixStream> = (0..4)
        .map(|_| UnixStream::connect(stage.socket()).expect("it listens"))
        .collect();
    assert_eq!(stage.ask("SIP_BRIDGE INFO"), expected);

    let output = stage.server.service.output();
    let http = output
        .split("metrics and calls at http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next());
    let http = http.expect("HTTP").to_owned();
    let shown = b2bua()
        .args(["accounts", "--server", &http])
        .output()
        .expect("it runs");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        shown.contains("sip:+331@itsp.test") && shown.contains("2 accounts, 2 good"),
        "{shown}"
    );
    let json = b2bua()
        .args(["accounts", "--json", "--server", &http])
        .output()
        .expect("it runs");
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).expect("JSON");
    assert_eq!(
        json,
        serde_json::from_str::<serde_json::Value>(&expected).expect("JSON")
    );
}

#[test]
fn a_trunk_that_does_not_answer_options_gets_no_calls_until_it_does() {
    let mut stage = stage(r#""qualify": {"interval": 5},"#);
    let uri = "sip:+3312@example.org";
    // It is asked at once.
    let asked = stage.provider.expect("OPTIONS ");
    let own = format!("<sip:{}>", stage.provider.peer);
    assert_eq!(asked.field("Contact"), own);
    stage.provider.respond(&asked, "503 Service Unavailable", "");
    stage.server.until_logged("the trunk is down");
    let invite = |stage: &Stage| stage.inside.invite(&fresh("down"), uri);
    let text = invite(&stage);
    stage.inside.send(&text);
    // The other provider has no account for it.
    let refused = stage.inside.expect("SIP/2.0 488");
    stage.inside.ack_failure(&text, &refused);
    let end = Instant::now() + Duration::from_secs(12);
    let again = stage.provider.expect("OPTIONS ");
    assert!(Instant::now() < end);
    stage.provider.respond(&again, "200 OK", "");
    stage.server.until_logged("the trunk is up");
    let text = invite(&stage);
    stage.inside.send(&text);
    let called = stage.provider.expect("INVITE ");
    stage.provider.respond(&called, "486 Busy Here", "");
    stage.inside.expect("SIP/2.0 486");
}
