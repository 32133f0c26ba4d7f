//! The rig proves itself: phones call each other without the server, and what is wrong on purpose
//! must be noticed.

use std::net::SocketAddr;

use crate::converse::{self, converse_keyed};
use crate::judge::{self, AES_128, Leg};
use crate::kamailio::Kamailio;
use crate::netns::Side;
use crate::phone::{Keys, Make, Setup};
use crate::scene::Scene;
use crate::tone::{SILENCE, STRANGE};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    Test::new("rig::linphone_calls_linphone_plain", |s| {
        call(&s.caller(Make::Linphone), &s.callee(Make::Linphone), s)
    }),
    Test::new("rig::linphone_calls_linphone_with_sdes", |s| {
        call(
            &s.caller(Make::Linphone).encrypted(),
            &s.callee(Make::Linphone).encrypted(),
            s,
        )
    }),
    Test::new("rig::baresip_calls_baresip_plain", |s| {
        call(&s.caller(Make::Baresip), &s.callee(Make::Baresip), s)
    }),
    Test::new("rig::baresip_calls_baresip_with_sdes", |s| {
        call(
            &s.caller(Make::Baresip).encrypted(),
            &s.callee(Make::Baresip).encrypted(),
            s,
        )
    }),
    Test::new("rig::linphone_calls_baresip_plain", |s| {
        call(&s.caller(Make::Linphone), &s.callee(Make::Baresip), s)
    }),
    Test::new("rig::linphone_calls_baresip_with_sdes", |s| {
        call(
            &s.caller(Make::Linphone).encrypted(),
            &s.callee(Make::Baresip).encrypted(),
            s,
        )
    }),
    Test::new("rig::baresip_calls_linphone_with_sdes", |s| {
        call(
            &s.caller(Make::Baresip).encrypted(),
            &s.callee(Make::Linphone).encrypted(),
            s,
        )
    }),
    Test::new("rig::linphone_calls_baresip_through_two_kamailios", kamailio),
    Test::new("rig::baresip_calls_linphone_over_ipv6", |s| {
        let (mut a, mut b) = (s.caller(Make::Baresip), s.callee(Make::Linphone));
        (a.ipv6, b.ipv6) = (true, true);
        call(&a, &b, s)
    }),
    Test::new("rig::linphone_calls_linphone_over_ipv6", |s| {
        let (mut a, mut b) = (s.caller(Make::Linphone), s.callee(Make::Linphone));
        (a.ipv6, b.ipv6) = (true, true);
        call(&a, &b, s)
    }),
    Test::new("rig::linphone_dtls_to_linphone_dtls", |s| hidden(s, Keys::Dtls)),
    Test::new("rig::linphone_zrtp_to_linphone_zrtp", |s| hidden(s, Keys::Zrtp)),
    Test::new("rig::a_wrong_tone_is_noticed_by_ear_and_on_the_wire", |s| {
        wrong_tone(s, STRANGE)
    }),
    Test::new("rig::a_silent_callee_is_noticed_by_ear_and_on_the_wire", |s| {
        wrong_tone(s, SILENCE)
    }),
    Test::new("rig::a_plain_leg_does_not_pass_for_a_keyed_one", |s| {
        wrong_leg(
            &s.caller(Make::Baresip),
            &s.callee(Make::Baresip),
            Some(AES_128),
            s,
        )
    }),
    Test::new("rig::a_keyed_leg_does_not_pass_for_a_plain_one", |s| {
        wrong_leg(
            &s.caller(Make::Baresip).encrypted(),
            &s.callee(Make::Baresip).encrypted(),
            None,
            s,
        )
    }),
    Test::new("rig::a_leg_keyed_with_another_suite_is_noticed", |s| {
        let (a, b) = (
            s.caller(Make::Linphone).encrypted(),
            s.callee(Make::Linphone).encrypted(),
        );
        wrong_leg(&a, &b, Some("AES_256_CM_HMAC_SHA1_80"), s)
    }),
    Test::new(
        "rig::a_caller_that_insists_on_sdes_gets_no_call_with_a_plain_callee",
        wrong_encryption,
    ),
];

fn leg(side: Side, setup: &Setup) -> Leg {
    Leg {
        phone: setup.ip(),
        ..Leg::of(side, setup.keys)
    }
}

fn hidden(scene: &Scene, keys: Keys) -> Outcome {
    let (a, b) = (scene.caller(Make::Linphone), scene.callee(Make::Linphone));
    call(&a.keyed(keys), &b.keyed(keys), scene)
}

fn call(a: &Setup, b: &Setup, scene: &Scene) -> Outcome {
    call_at(&b.direct_uri(), a, b, scene)
}

fn call_at(target: &str, a: &Setup, b: &Setup, scene: &Scene) -> Outcome {
    let captures = scene.capture()?;
    let (mut phone_b, mut phone_a) = (b.start()?, a.start()?);
    let agree = leg(Side::A, a).hidden.is_some();
    let timeline = converse_keyed(&mut *phone_a, &mut *phone_b, target, Side::A, agree)?;
    let (wire_a, wire_b) = captures.finish()?;
    judge::by_ear(&mut *phone_a, &mut *phone_b, &timeline)?;
    judge::by_wires([&wire_a, &wire_b], [leg(Side::A, a), leg(Side::B, b)], &timeline)
}

/// Both proxies in a row, with no server between them: what the phones do with record routes.
fn kamailio(scene: &Scene) -> Outcome {
    let front = SocketAddr::new(Side::A.hub(), 5060);
    let back = SocketAddr::new(Side::B.hub(), 5060);
    let b = scene.callee(Make::Baresip).encrypted();
    let a = scene
        .caller(Make::Linphone)
        .encrypted()
        .through(&format!("sip:{front}"));
    let _front = Kamailio::start(scene, "front", front, &format!("sip:{back}"))?;
    let _back = Kamailio::start(scene, "back", back, &b.direct_uri().replace("bob@", ""))?;
    call_at("sip:bob@example.net", &a, &b, scene)
}

/// The callee plays something else: every judge must object.
fn wrong_tone(scene: &Scene, hertz: f64) -> Outcome {
    let captures = scene.capture()?;
    let mut b = scene.callee(Make::Baresip);
    b.tone = hertz;
    let (mut phone_b, mut phone_a) = (b.start()?, scene.caller(Make::Linphone).start()?);
    let mut timeline = converse::Timeline::default();
    converse::dial(&mut *phone_a, &mut *phone_b, &b.direct_uri())?;
    converse::talk(&mut timeline);
    phone_a.hang_up()?;
    converse::finish(&mut *phone_a, &mut *phone_b)?;
    let (wire_a, wire_b) = captures.finish()?;
    let heard = phone_a.heard()?;
    if heard.seconds() < 2.0 {
        return Err(format!("only {:.1} s recorded", heard.seconds()));
    }
    must_object(
        "the ear",
        judge::by_ear(&mut *phone_a, &mut *phone_b, &timeline),
        "caller's Linphone",
    )?;
    must_object(
        "wire A",
        judge::by_wire(&wire_a, Leg::plain(Side::A), &timeline).map(drop),
        "RTP to",
    )?;
    must_object(
        "wire B",
        judge::by_wire(&wire_b, Leg::plain(Side::B), &timeline).map(drop),
        "RTP from",
    )
}

/// A good call, judged as if its legs were keyed otherwise.
fn wrong_leg(a: &Setup, b: &Setup, suite: Option<&'static str>, scene: &Scene) -> Outcome {
    let captures = scene.capture()?;
    let (mut phone_b, mut phone_a) = (b.start()?, a.start()?);
    let mut timeline = converse::Timeline::default();
    converse::dial(&mut *phone_a, &mut *phone_b, &b.direct_uri())?;
    converse::talk(&mut timeline);
    phone_a.hang_up()?;
    converse::finish(&mut *phone_a, &mut *phone_b)?;
    let (mut wire, _) = captures.finish()?;
    judge::by_wire(&wire, leg(Side::A, a), &timeline)?;
    let wrong = Leg {
        suite,
        ..Leg::plain(Side::A)
    };
    must_object(
        "the SDP",
        judge::by_wire(&wire, wrong, &timeline).map(drop),
        "leg A",
    )?;
    // And where the SDP claims what the packets are not.
    for message in &mut wire.messages {
        let (from, to) = if suite.is_some() {
            ("RTP/AVP", "RTP/SAVP")
        } else {
            ("RTP/SAVP", "RTP/AVP")
        };
        message.body = message.body.replace(from, to);
        if suite.is_none() {
            message.body = message.body.replace("a=crypto", "a=x-crypto");
        }
    }
    let expected = match (suite, a.keys != Keys::None) {
        (None, _) => "RTP from",
        (Some(_), false) => "G.711 on a keyed leg",
        (Some(_), true) => "is not AES_256",
    };
    must_object(
        "the packets",
        judge::by_wire(&wire, wrong, &timeline).map(drop),
        expected,
    )
}

fn wrong_encryption(scene: &Scene) -> Outcome {
    let (a, b) = (
        scene.caller(Make::Linphone).encrypted(),
        scene.callee(Make::Baresip),
    );
    let (mut phone_b, mut phone_a) = (b.start()?, a.start()?);
    phone_a.dial(&b.direct_uri())?;
    let outcome = phone_a.await_call();
    drop(phone_b.await_call());
    must_object("the caller", outcome, "failed")
}

/// A negative control: `verdict` must be an objection that says `why`.
pub(crate) fn must_object(judge: &str, verdict: Outcome, why: &str) -> Outcome {
    match verdict {
        Ok(()) => Err(format!(
            "{judge} noticed nothing; expected an objection with {why:?}"
        )),
        Err(said) if said.contains(why) => Ok(()),
        Err(said) => Err(format!("{judge} objected, but not with {why:?}: {said}")),
    }
}
