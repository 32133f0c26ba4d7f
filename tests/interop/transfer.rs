//! Transfers among three real Linphones, each leg of each call through the server (acceptance #27): alice hands bob on to carol.
//! The far end does it (`transfer-mode=relay`), so bob's phone calls carol through the server again.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use crate::kamailio::Kamailio;
use crate::linphone::Linphone;
use crate::netns::Side;
use crate::phone::{Make, Phone as _, Setup};
use crate::scene::{Captures, Scene};
use crate::server::{self, Config, Server};
use crate::sip_text::Message;
use crate::{Outcome, Test, tone};

pub(crate) const TESTS: &[Test] = &[
    Test::new("transfer::blind_by_the_caller", |s| blind(s, Side::A)),
    Test::new("transfer::blind_by_the_callee", |s| blind(s, Side::B)),
    Test::new("transfer::blind_to_one_who_declines", declined),
    Test::new("transfer::attended_by_the_caller", |s| attended(s, Side::A)),
    Test::new("transfer::attended_by_the_callee", |s| attended(s, Side::B)),
    Test::new("transfer::attended_to_one_who_declines", attended_declined),
];

const BOB: &str = "sip:bob@example.net";
pub(crate) const CAROL: &str = "sip:carol@example.net";
/// How long the new pair talks.
const TALK: Duration = Duration::from_secs(4);
/// Of the seconds that were recorded last, how many must be the other's tone.
const LEAST: f64 = 0.6;

pub(crate) struct Stage {
    pub(crate) captures: Captures,
    pub(crate) server: Server,
    pub(crate) alice: Linphone,
    pub(crate) bob: Linphone,
    pub(crate) carol: Linphone,
    _proxy: Kamailio,
}

/// Alice and bob talk through the server; carol waits.
fn stage(scene: &Scene, carol_answers: bool) -> Outcome<Stage> {
    staged(scene, carol_answers, "")
}

/// The same with further settings of carol's phone.
fn staged(scene: &Scene, carol_answers: bool, carols: &str) -> Outcome<Stage> {
    through(scene, (Side::A, ""), carol_answers, carols)
}

/// The same with alice's legs at the server's address on that side, and further settings of the server.
pub(crate) fn through(
    scene: &Scene,
    (home, servers): (Side, &str),
    carol_answers: bool,
    carols: &str,
) -> Outcome<Stage> {
    let alice = scene.caller(Make::Linphone).through(&server::uri(home));
    let callee = || scene.callee(Make::Linphone).through(&server::uri(Side::B));
    let (bob, mut carol): (Setup, Setup) = (callee(), callee().carol());
    carol.answers = carol_answers;
    carols.clone_into(&mut carol.more);
    // Everybody may call: the phone of whoever is handed on calls carol.
    let proxy = SocketAddr::new(Side::B.hub(), 5070);
    let mut config = Config::new(&format!("sip:{proxy}"));
    config.trusted_hosts = format!("{} {}", Side::A.phone(), Side::B.phone());
    servers.clone_into(&mut config.more);
    let captures = scene.capture()?;
    let ways = [("carol", carol.direct_uri())];
    let proxy = Kamailio::by_user(scene, "proxy", proxy, &bob.direct_uri(), &ways)?;
    let server = Server::start(scene, &config)?;
    let mut stage = Stage {
        captures,
        server,
        carol: Linphone::start(&carol)?,
        bob: Linphone::start(&bob)?,
        alice: Linphone::start(&alice)?,
        _proxy: proxy,
    };
    stage.alice.dial(BOB)?;
    stage.alice.await_call()?;
    stage.bob.await_call()?;
    thread::sleep(Duration::from_secs(1));
    Ok(stage)
}

/// The new pair hear each other, at last.
pub(crate) fn talk(one: &mut Linphone, one_hears: f64, other: &mut Linphone, other_hears: f64) -> Outcome {
    thread::sleep(TALK);
    for (who, phone, tone) in [("transferee", one, one_hears), ("target", other, other_hears)] {
        let heard = phone.heard()?;
        let last = heard.last(TALK.as_secs_f64() - 1.0);
        last.must_be(who, tone, LEAST * last.seconds())?;
    }
    Ok(())
}

fn status(message: &Message) -> &str {
    message.body.lines().next().unwrap_or_default().trim()
}

/// What the transferor was told: each NOTIFY's status line, in order, repetitions once.
pub(crate) fn told(messages: &[Message], transferor: Side) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for message in messages {
        let to_phone = message.to.ip() == transferor.phone();
        if message.is_request("NOTIFY") && to_phone && told.last().is_none_or(|last| last != status(message))
        {
            told.push(status(message).to_owned());
        }
    }
    told
}

fn blind(scene: &Scene, by: Side) -> Outcome {
    let mut stage = stage(scene, true)?;
    let transferor = match by {
        Side::A => &mut stage.alice,
        Side::B => &mut stage.bob,
    };
    transferor.say(&format!("transfer 1 {CAROL}"))?;
    stage.carol.await_call()?;
    let (transferee, tone) = match by {
        Side::A => (&mut stage.bob, tone::CALLEE),
        Side::B => (&mut stage.alice, tone::CALLER),
    };
    talk(transferee, tone::STRANGE, &mut stage.carol, tone)?;
    let (wire_a, wire_b) = stage.captures.finish()?;
    let messages = if by == Side::A {
        &wire_a.messages
    } else {
        &wire_b.messages
    };
    let told = told(messages, by);
    if told.first().is_none_or(|first| first != "SIP/2.0 100 Trying")
        || !told.last().is_some_and(|last| last.starts_with("SIP/2.0 200"))
    {
        return Err(format!("the transferor was told {told:?}"));
    }
    let invited = wire_b.messages.iter().find(|message| {
        message.is_request("INVITE") && message.start.contains("carol@") && message.from.ip() == Side::B.hub()
    });
    let referred = invited.and_then(|invite| invite.header("Referred-By"));
    if referred.is_none_or(|by| !by.contains("sip:")) {
        return Err(format!("carol was told Referred-By {referred:?}"));
    }
    stage.server.finish()
}

/// Carol declines: alice is told so as it was, and has bob still.
fn declined(scene: &Scene) -> Outcome {
    let mut stage = stage(scene, false)?;
    stage.alice.say(&format!("transfer 1 {CAROL}"))?;
    stage.carol.await_said("sip:", 1)?;
    thread::sleep(Duration::from_secs(2));
    let before = stage.bob.ups();
    stage.carol.say("terminate")?;
    // Bob's phone has put alice on hold to call carol, and takes her back by itself.
    stage.bob.await_up(before)?;
    talk(&mut stage.bob, tone::CALLER, &mut stage.alice, tone::CALLEE)?;
    let (wire_a, _) = stage.captures.finish()?;
    let told = told(&wire_a.messages, Side::A);
    let refused = told.last().is_some_and(|last| last.starts_with("SIP/2.0 603"));
    if told.first().is_none_or(|first| first != "SIP/2.0 100 Trying") || !refused {
        return Err(format!("the transferor was told {told:?}, expected 100 and 603"));
    }
    stage.server.finish()
}

/// Whoever hands the other one on has talked to carol before: her call with the transferor is replaced by one with the other.
fn attended(scene: &Scene, by: Side) -> Outcome {
    let mut stage = stage(scene, true)?;
    let (transferor, transferee, tone) = match by {
        Side::A => (&mut stage.alice, &mut stage.bob, tone::CALLEE),
        Side::B => (&mut stage.bob, &mut stage.alice, tone::CALLER),
    };
    transferor.hold()?;
    let before = transferor.ups();
    transferor.dial(CAROL)?;
    transferor.await_up(before)?;
    stage.carol.await_call()?;
    thread::sleep(Duration::from_secs(1));
    let carols = stage.carol.ups();
    transferor.say("transfer 1 --to-call 2")?;
    stage.carol.await_up(carols)?;
    talk(transferee, tone::STRANGE, &mut stage.carol, tone)?;
    let (wire_a, wire_b) = stage.captures.finish()?;
    let messages = if by == Side::A {
        &wire_a.messages
    } else {
        &wire_b.messages
    };
    let told = told(messages, by);
    if !told.last().is_some_and(|last| last.starts_with("SIP/2.0 200")) {
        return Err(format!("the transferor was told {told:?}"));
    }
    replaces_what_carol_has(&wire_b.messages)?;
    stage.server.finish()
}

/// What carol was told to replace is a dialog that she has: its Call-ID was seen on her wire before, in an answer of hers.
pub(crate) fn replaces_what_carol_has(wire_b: &[Message]) -> Outcome {
    let replaces = wire_b.iter().find_map(|message| {
        let to_carol = message.is_request("INVITE") && message.start.contains("carol@");
        let ours = message.from.ip() == Side::B.hub();
        message.header("Replaces").filter(|_| to_carol && ours)
    });
    let replaces = replaces.ok_or("carol was not told what to replace")?;
    let call_id = replaces.split(';').next().unwrap_or_default();
    let hers = wire_b.iter().any(|message| {
        let carols =
            message.to.ip() == Side::B.hub() && message.header("To").is_some_and(|to| to.contains("carol@"));
        carols && message.status() == Some(200) && message.header("Call-ID") == Some(call_id)
    });
    if hers {
        return Ok(());
    }
    Err(format!(
        "carol was told to replace {replaces}, which she does not have"
    ))
}

/// Alice has talked to carol, who then declines to talk to bob instead: alice is told so, and has both of them still.
fn attended_declined(scene: &Scene) -> Outcome {
    let mut stage = staged(scene, false, "auto_answer_replacing_calls=0\n")?;
    stage.alice.hold()?;
    let before = stage.alice.ups();
    stage.alice.dial(CAROL)?;
    stage.carol.await_said("Receiving new incoming call", 1)?;
    stage.carol.say("answer 1")?;
    stage.alice.await_up(before)?;
    stage.carol.await_call()?;
    thread::sleep(Duration::from_secs(1));
    stage.alice.say("transfer 1 --to-call 2")?;
    stage.carol.await_said("Receiving new incoming call", 2)?;
    stage.carol.say("terminate 2")?;
    // Bob, who was held before, goes back to alice; she takes him back.
    thread::sleep(Duration::from_secs(2));
    stage.alice.say("terminate 2")?;
    thread::sleep(Duration::from_secs(1));
    stage.alice.resume()?;
    talk(&mut stage.bob, tone::CALLER, &mut stage.alice, tone::CALLEE)?;
    let (wire_a, _) = stage.captures.finish()?;
    let told = told(&wire_a.messages, Side::A);
    if !told.last().is_some_and(|last| last.starts_with("SIP/2.0 603")) {
        return Err(format!("the transferor was told {told:?}, expected 603 at last"));
    }
    stage.server.finish()
}
