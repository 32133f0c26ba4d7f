//! Early media with real Linphones: before the callee answers, both hear each other, and so they do after it. A caller who requires
//! that it is announced reliably (RFC 3262) gets that, though Linphone as callee announces nothing reliably.

use std::thread;
use std::time::Duration;

use crate::capture::Wire;
use crate::converse::{Timeline, finish, talk};
use crate::judge::{self, AES_128, Leg};
use crate::linphone::Linphone;
use crate::netns::Side;
use crate::phone::{Make, Phone as _};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::sip_text::Message;
use crate::through::CALLEE;
use crate::{Outcome, Test, privacy};

pub(crate) const TESTS: &[Test] = &[
    Test::new("early::media_goes_both_ways_before_the_answer", |scene| {
        early(scene, Reliability::None)
    }),
    Test::new(
        "early::media_is_announced_reliably_to_a_caller_who_requires_that",
        |scene| early(scene, Reliability::Required),
    ),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reliability {
    None,
    Required,
}

impl Reliability {
    /// Linphone's words for it.
    const fn lines(self) -> &'static str {
        match self {
            Self::None => "100rel_support_level=0\n",
            Self::Required => "100rel_support_level=2\n",
        }
    }
}

fn early(scene: &Scene, reliability: Reliability) -> Outcome {
    let mut a = scene.caller(Make::Linphone).through(&server::uri(Side::A));
    let mut b = scene
        .callee(Make::Linphone)
        .through(&server::uri(Side::B))
        .encrypted();
    (b.answers, b.early, a.early) = (false, true, true);
    reliability.lines().clone_into(&mut a.more);
    let config = Config::new(&format!("sip:{}:{}", b.ip(), b.sip_port())).leg_b("sdes");
    let captures = scene.capture()?;
    let server = Server::start(scene, &config)?;
    let (mut b, mut a) = (Linphone::start(&b)?, Linphone::start(&a)?);
    let mut timeline = Timeline::default();
    a.dial(&format!("{CALLEE} --early-media"))?;
    a.await_said(" early media.", 1)?;
    talk(&mut timeline);
    b.say("answer 1")?;
    a.await_call()?;
    b.await_call()?;
    talk(&mut timeline);
    a.hang_up()?;
    finish(&mut a, &mut b)?;
    let (wire_a, wire_b) = captures.finish()?;
    let wires = [&wire_a, &wire_b];
    judge::by_wires(
        wires,
        [Leg::plain(Side::A), Leg::keyed(Side::B, AES_128)],
        &timeline,
    )?;
    judge::by_ear(&mut a, &mut b, &timeline)?;
    for (leg, wire) in ["A", "B"].into_iter().zip(wires) {
        let answered = answered(wire).ok_or_else(|| format!("leg {leg}: nobody answered"))?;
        let early = timeline.talks[0].to;
        if answered < early {
            return Err(format!(
                "leg {leg}: answered at {answered:.2}, and early media only at {early:.2}"
            ));
        }
        acknowledged(
            wire,
            if leg == "A" {
                reliability
            } else {
                Reliability::None
            },
        )
        .map_err(|e| format!("leg {leg}: {e}"))?;
    }
    privacy::scan(&wire_a, &wire_b, &[])?;
    thread::sleep(Duration::from_millis(100));
    server.finish()
}

/// When the first 200 to an INVITE came.
fn answered(wire: &Wire) -> Option<f64> {
    wire.payloads
        .iter()
        .find(|payload| {
            let said = Message::split(payload);
            said.iter()
                .any(|m| m.status() == Some(200) && m.method() == "INVITE")
        })
        .map(|payload| payload.time)
}

/// A reliable 183 was acknowledged and that was answered; where none was wanted, nobody acknowledged anything.
fn acknowledged(wire: &Wire, reliability: Reliability) -> Outcome {
    let pracks = wire.messages.iter().filter(|m| m.is_request("PRACK")).count();
    let answers = wire
        .messages
        .iter()
        .filter(|m| m.status() == Some(200) && m.method() == "PRACK")
        .count();
    let expected = reliability == Reliability::Required;
    if (pracks > 0, answers > 0) == (expected, expected) {
        return Ok(());
    }
    Err(format!("{pracks} PRACKs, {answers} answers to them"))
}
