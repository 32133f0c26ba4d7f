//! Transfers of a call through a trunk, by the phone inside (acceptance #27): three real Linphones, two of them inside, a proxy
//! before them, and Kamailio as the provider that asks for a password in every request, REFER too.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::dns::Dns;
use crate::itsp::{ACCOUNT, DOMAIN, Itsp, SECRET};
use crate::kamailio::Kamailio;
use crate::linphone::Linphone;
use crate::netns::Side;
use crate::phone::{Make, Phone as _};
use crate::scene::{Captures, Scene};
use crate::server::{self, MEDIA_PORTS, PORT, Server};
use crate::sip_text::Message;
use crate::transfer::{CAROL, talk, told};
use crate::{Outcome, Test, tone};

pub(crate) const TESTS: &[Test] = &[
    Test::new(
        "handed::blind_to_another_user_whom_the_telephone_calls_by_number",
        |s| blind(s, "relay"),
    ),
    Test::new(
        "handed::attended_to_another_user_whom_the_telephone_calls_by_number",
        attended,
    ),
    Test::new("handed::blind_to_another_user_by_the_server", |s| {
        blind(s, "execute")
    }),
];

/// Where the server is: between both wires.
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Whom alice calls.
const NUMBER: &str = "+4930123456";
/// By what carol is called from outside.
const CAROLS: &str = "+33199000002";

struct Stage {
    captures: Captures,
    server: Server,
    alice: Linphone,
    bob: Linphone,
    carol: Linphone,
    _itsp: Itsp,
    _proxy: Kamailio,
    _dns: Dns,
}

/// Alice has called a number, and talks with bob's phone; carol waits.
fn stage(scene: &Scene, mode: &str) -> Outcome<Stage> {
    scene.add_address(OWN)?;
    let inside = || scene.caller(Make::Linphone).through(&server::uri(Side::A));
    let (alice, mut carol) = (inside(), inside().carol());
    carol.answers = true;
    let bob = scene.callee(Make::Linphone).through(&server::uri(Side::B));
    let front = SocketAddr::new(Side::A.hub(), PORT);
    let back = SocketAddr::new(Side::B.hub(), PORT);
    let dns = Dns::start(scene, &format!("host-record={DOMAIN},{}\n", back.ip()))?;
    let captures = scene.capture()?;
    let ways = [("alice", alice.direct_uri()), ("carol", carol.direct_uri())];
    let proxy = Kamailio::by_user(scene, "front", front, &format!("sip:{OWN}:{PORT}"), &ways)?;
    let mut itsp = Itsp::start(scene, back, &OWN.to_string(), &bob.direct_uri(), None)?;
    let server = serve(scene, mode)?;
    itsp.await_saved(ACCOUNT)?;
    itsp.await_saved(CAROLS)?;
    let mut stage = Stage {
        captures,
        server,
        carol: Linphone::start(&carol)?,
        bob: Linphone::start(&bob)?,
        alice: Linphone::start(&alice)?,
        _itsp: itsp,
        _proxy: proxy,
        _dns: dns,
    };
    stage.alice.dial(&format!("sip:{NUMBER}@example.org"))?;
    stage.alice.await_call()?;
    stage.bob.await_call()?;
    thread::sleep(Duration::from_secs(1));
    Ok(stage)
}

/// The server with an account for alice and one for carol.
fn serve(scene: &Scene, mode: &str) -> Outcome<Server> {
    let file = |name: &str, text: String| {
        let path = scene.dir.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok::<_, String>(path)
    };
    let front = server::uri(Side::A);
    let account = |number: &str, alias: &str| {
        format!(
            r#"{{"uri": "sip:{number}@{DOMAIN}", "alias": "{alias}", "secretType": "clrtxt", "secret": "{SECRET}"}}"#
        )
    };
    let inward = |name: &str, by: &str| {
        format!(
            r#"{{"name": "{name}", "accountPool": "line", "triggerCondition": {{"strategy": "Always"}},
                "accountToUse": {{"strategy": "FindInPool", "by": "{by}", "source": "{{to}}"}}, "onAccountNotFound": "nextProvider",
                "outgoingInvite": {{"to": "{{account.alias}}", "from": "<sip:{{incoming.from.user}}@{{account.alias.hostport}}>",
                    "outboundProxy": "<{front}>", "mediaEncryption": "none"}} }}"#
        )
    };
    file(
        "providers.json",
        format!(
            r#"{{"schemaVersion": 2,
            "providers": [
              {{"name": "to the provider", "accountPool": "line",
                "triggerCondition": {{"strategy": "MatchRegex", "pattern": "sip:\\+[0-9]+@example\\.org.*", "source": ""}},
                "accountToUse": {{"strategy": "FindInPool", "by": "alias", "source": "{{from}}"}}, "onAccountNotFound": "decline",
                "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}", "from": "<{{account.uri}}>",
                    "mediaEncryption": "none"}} }},
              {by_number}, {by_name}],
            "accountPools": {{"line": {{"registrationRequired": true, "maxCallsPerLine": 2,
                "outboundProxy": "<sip:{DOMAIN}:{PORT};transport=udp>", "loader": [{alice}, {carol}] }} }} }}"#,
            by_number = inward("from the provider", "uri"),
            by_name = inward("inside", "alias"),
            alice = account(ACCOUNT, "sip:alice@example.org"),
            carol = account(CAROLS, CAROL),
        ),
    )?;
    let config = file(
        "b2bua.conf",
        format!(
            "[global]\nlog-level=trace\nlog-directory=\n[b2bua-server]\napplication=sip-bridge\ndata-directory=none\n\
             transport=sip:{OWN}:{PORT}\ntrusted-hosts={}\naudio-port={MEDIA_PORTS}\nvideo-port={MEDIA_PORTS}\n\
             transfer-mode={mode}\n[b2bua-server::sip-bridge]\nproviders=providers.json\n",
            Side::A.hub()
        ),
    )?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_b2bua"));
    command.arg("-c").arg(config);
    Server::run("b2bua", scene, command)
}

/// Bob and carol talk; alice was told so, and bob of nobody inside.
fn handed_on(mut stage: Stage) -> Outcome<(Vec<Message>, Vec<Message>)> {
    talk(&mut stage.bob, tone::STRANGE, &mut stage.carol, tone::CALLEE)?;
    let (wire_a, wire_b) = stage.captures.finish()?;
    let told = told(&wire_a.messages, Side::A);
    if told.first().is_none_or(|first| first != "SIP/2.0 100 Trying")
        || !told.last().is_some_and(|last| last.starts_with("SIP/2.0 200"))
    {
        return Err(format!("alice was told {told:?}"));
    }
    for message in &wire_b.messages {
        let text = format!("{}\n{}", message.head_text(), message.body);
        if let Some(name) = ["alice", "carol", "example.org"]
            .iter()
            .find(|name| text.contains(**name))
        {
            return Err(format!("{name} has got outside in\n{text}"));
        }
    }
    stage.server.finish()?;
    Ok((wire_a.messages, wire_b.messages))
}

/// Where bob was told to call.
fn referred(wire_b: &[Message]) -> Outcome<&str> {
    let refer = wire_b
        .iter()
        .find(|message| message.is_request("REFER") && message.to.ip() == Side::B.phone());
    let refer = refer.ok_or("no REFER reached bob")?;
    refer
        .header("Refer-To")
        .ok_or("a REFER that points nowhere".to_owned())
}

fn blind(scene: &Scene, mode: &str) -> Outcome {
    let mut stage = stage(scene, mode)?;
    stage.alice.say(&format!("transfer 1 {CAROL}"))?;
    stage.carol.await_call()?;
    let (_, wire_b) = handed_on(stage)?;
    match (mode, referred(&wire_b)) {
        ("execute", Err(_)) => Ok(()),
        ("execute", Ok(refer_to)) => Err(format!("bob was told to call {refer_to}")),
        (_, refer_to) if refer_to.clone()? == format!("<sip:{CAROLS}@{DOMAIN}>") => Ok(()),
        (_, refer_to) => Err(format!("bob was told to call {refer_to:?}")),
    }
}

/// Alice has talked to carol before, of which the server knows nothing: that dialog is named as it is.
fn attended(scene: &Scene) -> Outcome {
    let mut stage = stage(scene, "relay")?;
    stage.alice.hold()?;
    let before = stage.alice.ups();
    stage.alice.dial(CAROL)?;
    stage.alice.await_up(before)?;
    stage.carol.await_call()?;
    thread::sleep(Duration::from_secs(1));
    let carols = stage.carol.ups();
    stage.alice.say("transfer 1 --to-call 2")?;
    stage.carol.await_up(carols)?;
    let (_, wire_b) = handed_on(stage)?;
    let refer_to = referred(&wire_b)?;
    if refer_to.starts_with(&format!("<sip:{CAROLS}@{DOMAIN}?Replaces=")) {
        return Ok(());
    }
    Err(format!("bob was told to call {refer_to}"))
}
