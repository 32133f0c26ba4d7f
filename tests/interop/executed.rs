//! Transfers among three real Linphones that the server executes (`transfer-mode=execute`, acceptance #27): whoever stays is asked
//! for no more than a new description, and whoever asked is seen off.

use std::thread;
use std::time::Duration;

use crate::netns::Side;
use crate::phone::Phone as _;
use crate::scene::Scene;
use crate::sip_text::Message;
use crate::transfer::{CAROL, Stage, replaces_what_carol_has, talk, through, told};
use crate::{Outcome, Test, tone};

pub(crate) const TESTS: &[Test] = &[
    Test::new("executed::blind_by_the_caller", |s| blind(s, Side::A)),
    Test::new("executed::blind_by_the_callee", |s| blind(s, Side::B)),
    Test::new("executed::blind_to_one_who_declines", declined),
    Test::new("executed::attended_by_the_caller", |s| attended(s, Side::A)),
    Test::new("executed::attended_by_the_callee", |s| attended(s, Side::B)),
];

const EXECUTE: &str = "transfer-mode=execute\n";
/// What Linphone says when a call of its is over.
const ENDED: &str = "ended (";
const TRYING: &str = "SIP/2.0 100 Trying";

/// Carol lives on bob's wire, and has the ports of whose place she takes: for alice's, the server has one address towards both.
fn stage(scene: &Scene, by: Side, carol_answers: bool) -> Outcome<Stage> {
    let home = match by {
        Side::A => Side::B,
        Side::B => Side::A,
    };
    through(scene, (home, EXECUTE), carol_answers, "")
}

/// The port of the phone that is handed on.
const fn transferee_port(by: Side) -> u16 {
    match by {
        Side::A => 5082,
        Side::B => 5072,
    }
}

/// Whoever was handed on never learned of it: no REFER came, and it called nobody.
fn nothing_asked_of(by: Side, wire: &[Message]) -> Outcome {
    let port = transferee_port(by);
    let mut wrong = wire.iter().filter(|message| {
        let refer = message.is_request("REFER") && message.to.port() == port;
        let call =
            message.is_request("INVITE") && message.from.port() == port && message.start.contains("carol");
        refer || call
    });
    match wrong.next() {
        Some(message) => Err(format!(
            "whoever was handed on had a part in it: {}",
            message.start
        )),
        None => Ok(()),
    }
}

/// The first and the last that the transferor was told.
fn was_told(messages: &[Message], by: Side, last: &str) -> Outcome {
    let told = told(messages, by);
    if told.first().is_some_and(|first| first == TRYING)
        && told.last().is_some_and(|told| told.starts_with(last))
    {
        return Ok(());
    }
    Err(format!(
        "the transferor was told {told:?}, expected {TRYING} first and {last} last"
    ))
}

/// Whoever asked is seen off, the other two talk, and nobody else had a part in it.
fn handed_on(mut stage: Stage, by: Side, calls: usize) -> Outcome<(Vec<Message>, Vec<Message>)> {
    let (transferor, transferee, tone) = match by {
        Side::A => (&mut stage.alice, &mut stage.bob, tone::CALLEE),
        Side::B => (&mut stage.bob, &mut stage.alice, tone::CALLER),
    };
    transferor.await_said(ENDED, calls)?;
    talk(transferee, tone::STRANGE, &mut stage.carol, tone)?;
    let (wire_a, wire_b) = stage.captures.finish()?;
    let (a, b) = (wire_a.messages, wire_b.messages);
    let (transferors, transferees) = if by == Side::A { (&a, &b) } else { (&b, &a) };
    was_told(transferors, by, "SIP/2.0 200")?;
    nothing_asked_of(by, transferees)?;
    stage.server.finish()?;
    Ok((a, b))
}

fn blind(scene: &Scene, by: Side) -> Outcome {
    let mut stage = stage(scene, by, true)?;
    let transferor = match by {
        Side::A => &mut stage.alice,
        Side::B => &mut stage.bob,
    };
    transferor.say(&format!("transfer 1 {CAROL}"))?;
    stage.carol.await_call()?;
    let (_, wire_b) = handed_on(stage, by, 1)?;
    // Carol is called for whoever stays, and told by whom.
    let invite = wire_b.iter().find(|message| {
        message.is_request("INVITE") && message.start.contains("carol@") && message.from.ip() == Side::B.hub()
    });
    let invite = invite.ok_or("carol was not invited")?;
    let stays = if by == Side::A { "bob@" } else { "alice@" };
    let from = invite.header("From").unwrap_or_default();
    let referred = invite.header("Referred-By");
    if !from.contains(stays) || referred.is_none_or(|by| !by.contains("sip:")) {
        return Err(format!("carol was called from {from}, referred by {referred:?}"));
    }
    Ok(())
}

/// Carol declines: alice is told so as it was, and has bob still, who heard of nothing.
fn declined(scene: &Scene) -> Outcome {
    let mut stage = stage(scene, Side::A, false)?;
    stage.alice.say(&format!("transfer 1 {CAROL}"))?;
    stage.carol.await_said("Receiving new incoming call", 1)?;
    thread::sleep(Duration::from_secs(1));
    stage.carol.say("terminate")?;
    stage.carol.await_end()?;
    thread::sleep(Duration::from_secs(1));
    talk(&mut stage.bob, tone::CALLER, &mut stage.alice, tone::CALLEE)?;
    let (wire_a, wire_b) = stage.captures.finish()?;
    was_told(&wire_a.messages, Side::A, "SIP/2.0 603")?;
    nothing_asked_of(Side::A, &wire_b.messages)?;
    stage.server.finish()
}

/// Whoever hands the other one on has talked to carol before: she is told to replace that call, and it ends.
fn attended(scene: &Scene, by: Side) -> Outcome {
    let mut stage = stage(scene, by, true)?;
    let transferor = match by {
        Side::A => &mut stage.alice,
        Side::B => &mut stage.bob,
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
    let (_, wire_b) = handed_on(stage, by, 2)?;
    replaces_what_carol_has(&wire_b)
}
