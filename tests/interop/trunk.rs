//! The key scenario of the sip-bridge: Linphone, a proxy, the server, a provider that asks for passwords, and baresip as the
//! telephone on the other side; calls in both directions.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;
use std::thread;
use std::time::Duration;

use crate::capture::{Capture, Wire};
use crate::converse::{Timeline, converse_keyed, dial, finish, talk};
use crate::dns::Dns;
use crate::itsp::{ACCOUNT, Certificate, DOMAIN, Itsp, SECRET};
use crate::judge::{self, Leg};
use crate::kamailio::Kamailio;
use crate::netns::Side;
use crate::phone::{Keys, Make, Phone, Setup};
use crate::scene::{Captures, Scene};
use crate::server::{self, MEDIA_PORTS, PORT, Server};
use crate::sip_text::Message;
use crate::{Outcome, Test, privacy};

pub(crate) const TESTS: &[Test] = &[
    Test::new(
        "trunk::out_by_a_registered_account_from_linphone_with_sdes",
        |s| out(s, Keys::Sdes, false),
    ),
    Test::new(
        "trunk::out_by_a_registered_account_from_linphone_with_zrtp",
        |s| out(s, Keys::Zrtp, false),
    ),
    Test::new("trunk::out_to_a_provider_behind_tls", |s| {
        out(s, Keys::Sdes, true)
    }),
    Test::new("trunk::in_to_linphone_with_sdes", |s| {
        inward(s, Keys::Sdes, false)
    }),
    Test::new("trunk::in_to_linphone_with_zrtp", |s| {
        inward(s, Keys::Zrtp, false)
    }),
    Test::new("trunk::in_from_a_provider_behind_tls", |s| {
        inward(s, Keys::Sdes, true)
    }),
];

/// Where the server is: between both wires.
const OWN: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
/// Whom alice calls.
const NUMBER: &str = "+4930123456";
/// The port of its TLS.
const TLS_PORT: u16 = 5061;

struct Stage {
    captures: Captures,
    /// Between the server and the proxies.
    between: Capture,
    server: Server,
    itsp: Itsp,
    alice: Box<dyn Phone>,
    bob: Box<dyn Phone>,
    _proxy: Kamailio,
    _dns: Dns,
}

fn stage(scene: &Scene, keys: Keys, tls: bool, alice_answers: bool) -> Outcome<Stage> {
    scene.add_address(OWN)?;
    let mut alice: Setup = scene
        .caller(Make::Linphone)
        .through(&server::uri(Side::A))
        .keyed(keys);
    alice.answers = alice_answers;
    let mut bob = scene.callee(Make::Baresip).through(&server::uri(Side::B));
    bob.answers = !alice_answers;
    let (front, back) = (
        SocketAddr::new(Side::A.hub(), PORT),
        SocketAddr::new(Side::B.hub(), PORT),
    );
    let dns = Dns::start(scene, &format!("host-record={DOMAIN},{}\n", back.ip()))?;
    let captures = scene.capture()?;
    let between = Capture::on("lo", &scene.dir)?;
    let ways = [("alice", alice.direct_uri())];
    let proxy = Kamailio::by_user(scene, "front", front, &format!("sip:{OWN}:{PORT}"), &ways)?;
    let certificate = tls.then(|| Certificate::make(scene, DOMAIN)).transpose()?;
    let mut itsp = Itsp::start(
        scene,
        back,
        &OWN.to_string(),
        &bob.direct_uri(),
        certificate.as_ref(),
    )?;
    let server = serve(scene, keys, certificate.as_ref())?;
    itsp.await_registration()?;
    Ok(Stage {
        captures,
        between,
        server,
        itsp,
        bob: bob.start()?,
        alice: alice.start()?,
        _proxy: proxy,
        _dns: dns,
    })
}

/// The server with one provider for each direction, on one pool with one account.
fn serve(scene: &Scene, keys: Keys, tls: Option<&Certificate>) -> Outcome<Server> {
    let file = |name: &str, text: String| {
        let path = scene.dir.join(name);
        fs::write(&path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        Ok::<_, String>(path)
    };
    let inside = keys.mode();
    let proxy = match tls {
        Some(_) => format!("<sip:{DOMAIN}:{TLS_PORT};transport=tls>"),
        None => format!("<sip:{DOMAIN}:{PORT};transport=udp>"),
    };
    let (front, pool) = (server::uri(Side::A), "line");
    file(
        "providers.json",
        format!(
            r#"{{"schemaVersion": 2,
            "providers": [
              {{"name": "to the provider", "accountPool": "{pool}",
                "triggerCondition": {{"strategy": "MatchRegex", "pattern": "sip:\\+[0-9]+@example\\.org.*", "source": ""}},
                "accountToUse": {{"strategy": "FindInPool", "by": "alias", "source": "{{from}}"}},
                "onAccountNotFound": "decline",
                "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}",
                    "from": "\"The door\" <{{account.uri}}>", "mediaEncryption": "none",
                    "headers": {{"P-Asserted-Identity": "<{{account.uri}}>"}} }} }},
              {{"name": "from the provider", "accountPool": "{pool}",
                "triggerCondition": {{"strategy": "Always"}},
                "accountToUse": {{"strategy": "FindInPool", "by": "uri", "source": "{{to}}"}},
                "onAccountNotFound": "decline",
                "outgoingInvite": {{"to": "{{account.alias}}",
                    "from": "{{incoming.from.displayName}} <sip:{{incoming.from.user}}@{{account.alias.hostport}}>",
                    "outboundProxy": "<{front}>", "mediaEncryption": "{inside}"}} }}],
            "accountPools": {{"{pool}": {{"registrationRequired": true, "maxCallsPerLine": 2, "outboundProxy": "{proxy}",
                "loader": [{{"uri": "sip:{ACCOUNT}@{DOMAIN}", "alias": "sip:alice@example.org",
                             "secretType": "clrtxt", "secret": "{SECRET}"}}] }} }} }}"#
        ),
    )?;
    let secured = match tls {
        None => String::new(),
        Some(tls) => {
            let own = Certificate::make(scene, "b2bua.test")?;
            format!(
                "tls-certificate={}\ntls-key={}\ntls-ca={}\ntls-verify=servers\n",
                own.certificate.display(),
                own.key.display(),
                tls.certificate.display()
            )
        }
    };
    let more = if tls.is_some() {
        format!(" sips:{OWN}:{TLS_PORT}")
    } else {
        String::new()
    };
    let config = file(
        "b2bua.conf",
        format!(
            "[global]\nlog-level=trace\nlog-directory=\n\
             [b2bua-server]\napplication=sip-bridge\ndata-directory=none\ntransport=sip:{OWN}:{PORT}{more}\n\
             trusted-hosts={}\naudio-port={MEDIA_PORTS}\nvideo-port={MEDIA_PORTS}\n{secured}\
             [b2bua-server::sip-bridge]\nproviders=providers.json\n",
            Side::A.hub()
        ),
    )?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_b2bua"));
    command.arg("-c").arg(config);
    Server::run("b2bua", scene, command)
}

/// Alice calls a number, and talks with bob's phone through holds and resumes.
fn out(scene: &Scene, keys: Keys, tls: bool) -> Outcome {
    let mut stage = stage(scene, keys, tls, false)?;
    let target = format!("sip:{NUMBER}@example.org");
    let agree = keys != Keys::Sdes;
    let timeline = converse_keyed(&mut *stage.alice, &mut *stage.bob, &target, Side::A, agree)?;
    let [_, wire_b, between] = judged(stage, keys, &timeline, tls)?;
    let invite = wire_b
        .messages
        .iter()
        .find(|message| message.is_request("INVITE") && message.to.ip() == Side::B.phone())
        .ok_or("no INVITE reached bob")?;
    let expected = format!("\"The door\" <sip:{ACCOUNT}@{DOMAIN}>");
    if !invite
        .header("From")
        .is_some_and(|from| from.starts_with(&expected))
    {
        return Err(format!(
            "bob was called by {:?}, expected {expected}",
            invite.header("From")
        ));
    }
    let asserted = format!("<sip:{ACCOUNT}@{DOMAIN}>");
    if invite.header("P-Asserted-Identity") != Some(&asserted) {
        return Err(format!("bob was told {:?}", invite.header("P-Asserted-Identity")));
    }
    // No name of the inside gets out.
    for message in wire_b.messages.iter().chain(&to_provider(&between)) {
        let text = format!("{}\n{}", message.head_text(), message.body);
        if let Some(name) = ["alice", "example.org", "example.com"]
            .iter()
            .find(|name| text.contains(**name))
        {
            return Err(format!("{name} has got outside in\n{text}"));
        }
    }
    Ok(())
}

/// What the server said to the provider, as far as it can be read.
fn to_provider(between: &Wire) -> Vec<Message> {
    let ours = |message: &&Message| message.from.ip() == OWN && message.to.ip() == Side::B.hub();
    between.messages.iter().filter(ours).cloned().collect()
}

/// Somebody calls the account's number: it rings at alice.
fn inward(scene: &Scene, keys: Keys, tls: bool) -> Outcome {
    let mut stage = stage(scene, keys, tls, true)?;
    let mut timeline = Timeline::default();
    dial(
        &mut *stage.bob,
        &mut *stage.alice,
        &format!("sip:{ACCOUNT}@{DOMAIN}"),
    )?;
    if keys != Keys::Sdes {
        thread::sleep(Duration::from_secs(2));
    }
    talk(&mut timeline);
    stage.alice.hang_up()?;
    finish(&mut *stage.alice, &mut *stage.bob)?;
    let [wire_a, _, _] = judged(stage, keys, &timeline, tls)?;
    let invite = wire_a
        .messages
        .iter()
        .find(|message| message.is_request("INVITE") && message.to.ip() == Side::A.phone())
        .ok_or("no INVITE reached alice")?;
    let is = |name: &str, address: &str| invite.header(name).is_some_and(|value| value.contains(address));
    if !is("From", "<sip:bob@example.org>") || !is("To", "sip:alice@example.org") {
        return Err(format!("alice was told\n{}", invite.head_text()));
    }
    Ok(())
}

/// The account's password is on no wire, TLS or not; what proves that we have it is between us and the provider only where there
/// is no TLS. (The provider passes it on to bob, since its proxy does not take it out.)
fn passwords([wire_a, wire_b, between]: [&Wire; 3], tls: bool) -> Outcome {
    let seen = |wire: &Wire, what: &str| {
        let mut payloads = wire.payloads.iter();
        payloads.any(|p| memchr::memmem::find(&p.bytes, what.as_bytes()).is_some())
    };
    if [wire_a, wire_b, between].iter().any(|wire| seen(wire, SECRET)) {
        return Err("the password can be read on a wire".to_owned());
    }
    let proofs = ["uthorization: Digest", "response=\""].map(|what| seen(between, what));
    if proofs != [!tls; 2] {
        return Err(format!(
            "Authorization and response can be read: {proofs:?}; TLS: {tls}"
        ));
    }
    Ok(())
}

/// By ear and on the wires; and that the provider has been given a password for each request that it asked it for.
fn judged(mut stage: Stage, keys: Keys, timeline: &Timeline, tls: bool) -> Outcome<[Wire; 3]> {
    let (wire_a, wire_b) = stage.captures.finish()?;
    let between = stage.between.finish()?;
    judge::by_ear(&mut *stage.alice, &mut *stage.bob, timeline)?;
    let legs = [Leg::of(Side::A, keys), Leg::plain(Side::B)];
    judge::by_wires([&wire_a, &wire_b], legs, timeline)?;
    privacy::scan(&wire_a, &wire_b, &[OWN])?;
    let clear = to_provider(&between).len();
    if tls != (clear == 0) {
        return Err(format!("{clear} messages to the provider could be read"));
    }
    passwords([&wire_a, &wire_b, &between], tls)?;
    let byes = wire_b
        .messages
        .iter()
        .filter(|message| message.is_request("BYE") && message.to.ip() == Side::B.phone());
    if byes.count() != 1 {
        return Err("bob did not get one BYE".to_owned());
    }
    if stage.itsp.said("authenticated BYE") != 1 {
        return Err("the provider was given no password in the BYE".to_owned());
    }
    stage.server.finish()?;
    // Its binding goes with it.
    if stage.itsp.said(&format!("saved {ACCOUNT}")) < 2 {
        return Err("the account was not unregistered at the end".to_owned());
    }
    Ok([wire_a, wire_b, between])
}
