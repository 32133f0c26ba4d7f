//! A session timer (RFC 4028) that a Linphone keeps: it refreshes in half of the time that was agreed on, the server answers that
//! for itself, and the callee hears nothing of it but the voice.

use std::thread;
use std::time::Duration;

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

pub(crate) const TESTS: &[Test] = &[Test::new("timer::linphone_refreshes_its_leg", refreshed)];

/// The shortest that RFC 4028 allows, in seconds.
const EXPIRES: u64 = 90;

fn refreshed(scene: &Scene) -> Outcome {
    let mut a = scene.caller(Make::Linphone).through(&server::uri(Side::A));
    let b = scene
        .callee(Make::Linphone)
        .through(&server::uri(Side::B))
        .encrypted();
    // The refresher in liblinphone's numbers: 2 is the caller.
    a.more = format!(
        "session_expires_enabled=1\nsession_expires_value={EXPIRES}\nsession_expires_min_value={EXPIRES}\n\
         session_expires_refresher_value=2\n"
    );
    let config = Config::new(&format!("sip:{}:{}", b.ip(), b.sip_port())).leg_b("sdes");
    let captures = scene.capture()?;
    let server = Server::start(scene, &config)?;
    let (mut b, mut a) = (Linphone::start(&b)?, Linphone::start(&a)?);
    a.dial(CALLEE)?;
    a.await_call()?;
    b.await_call()?;
    let mut timeline = Timeline::default();
    talk(&mut timeline);
    thread::sleep(Duration::from_secs(EXPIRES / 2));
    talk(&mut timeline);
    a.hang_up()?;
    finish(&mut a, &mut b)?;
    let (wire_a, wire_b) = captures.finish()?;
    let legs = [Leg::plain(Side::A), Leg::keyed(Side::B, AES_128)];
    judge::by_wires([&wire_a, &wire_b], legs, &timeline)?;
    judge::by_ear(&mut a, &mut b, &timeline)?;
    let agreed = |m: &Message| {
        let header = m.header("Session-Expires").unwrap_or_default();
        header.starts_with(&EXPIRES.to_string()) && header.contains("refresher=uac")
    };
    let answers: Vec<&Message> = wire_a
        .messages
        .iter()
        .filter(|m| m.status() == Some(200) && m.to.ip() == Side::A.phone() && m.method() != "BYE")
        .collect();
    if answers.len() < 2 || !answers.iter().all(|m| agreed(m)) {
        let said: Vec<_> = answers
            .iter()
            .map(|m| (m.method(), m.header("Session-Expires")))
            .collect();
        return Err(format!(
            "the server has answered {said:?}, expected a call and its refresh"
        ));
    }
    let changes = wire_b
        .messages
        .iter()
        .filter(|m| m.is_request("INVITE") || m.is_request("UPDATE"))
        .count();
    if changes != 1 {
        return Err(format!("leg B was asked {changes} times, expected once"));
    }
    privacy::scan(&wire_a, &wire_b, &[])?;
    server.finish()
}
