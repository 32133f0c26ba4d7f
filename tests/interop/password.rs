//! Phones that come from anywhere and know a password: the server asks for it, and they answer as they do to any registrar or
//! proxy.

use std::fs;
use std::thread;
use std::time::Duration;

use md5::Md5;
use sha2::{Digest as _, Sha256};

use crate::converse::converse;
use crate::judge::{self, Leg};
use crate::netns::Side;
use crate::phone::{Keys, Make, Setup};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::sip_text::Message;
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    Test::new("password::linphone_answers_the_better_challenge", |s| {
        calls(s, Make::Linphone, "SHA-256")
    }),
    Test::new("password::baresip_answers_md5_alone", |s| {
        calls(s, Make::Baresip, "MD5")
    }),
    Test::new("password::a_phone_with_a_wrong_password_places_no_call", wrong),
];

const REALM: &str = "example.org";
const PASSWORD: &str = "quite-secret-7";

/// What the file has. baresip 1.0 gives up where a challenge is offered that it does not know, whatever comes after it.
const fn hashes(make: Make) -> &'static [&'static str] {
    match make {
        Make::Linphone => &["MD5", "SHA-256"],
        Make::Baresip => &["MD5"],
    }
}

/// A caller who is asked, and a server that trusts nobody on his wire.
fn rig(scene: &Scene, make: Make, password: &'static str) -> Outcome<(Setup, Setup, Config)> {
    let users = scene.dir.join("users");
    let text = format!("alice:{REALM}:{PASSWORD}");
    let line = |algorithm: &&str| {
        let hash = match *algorithm {
            "MD5" => hex::encode(Md5::digest(&text)),
            _ => hex::encode(Sha256::digest(&text)),
        };
        format!("alice:{REALM}:{hash}\n")
    };
    let lines: String = hashes(make).iter().map(line).collect();
    fs::write(&users, lines).map_err(|e| format!("{}: {e}", users.display()))?;
    let mut a = scene.caller(make).through(&server::uri(Side::A));
    a.password = Some((REALM, password));
    let b = scene.callee(Make::Baresip);
    let mut config = Config::new(&b.direct_uri().replace("bob@", ""));
    config.trusted_hosts = Side::B.hub().to_string();
    config.more = format!("digest-users={}\n", users.display());
    Ok((a, b, config))
}

/// The answers to challenges on the caller's wire.
fn answers(messages: &[Message]) -> Vec<&str> {
    let invites = messages.iter().filter(|message| message.is_request("INVITE"));
    invites
        .filter_map(|invite| invite.header("Authorization"))
        .collect()
}

fn calls(scene: &Scene, make: Make, algorithm: &str) -> Outcome {
    let (a, b, config) = rig(scene, make, PASSWORD)?;
    let captures = scene.capture()?;
    let server = Server::start(scene, &config)?;
    let (mut phone_b, mut phone_a) = (b.start()?, a.start()?);
    // Holds and resumes of both: nobody is asked in the call.
    let timeline = converse(&mut *phone_a, &mut *phone_b, "sip:bob@example.net", Side::A)?;
    let (wire_a, wire_b) = captures.finish()?;
    judge::by_ear(&mut *phone_a, &mut *phone_b, &timeline)?;
    judge::by_wires(
        [&wire_a, &wire_b],
        [Leg::of(Side::A, Keys::None), Leg::of(Side::B, Keys::None)],
        &timeline,
    )?;
    let challenges = wire_a
        .messages
        .iter()
        .filter(|message| message.start.contains(" 401 "));
    let answers = answers(&wire_a.messages);
    if challenges.count() != 1 {
        return Err("one challenge was expected".to_owned());
    }
    // Without a word it is MD5 (RFC 7616 §3.4).
    let is_of = |answer: &&str| match answer.split_once("algorithm=") {
        Some((_, rest)) => rest.split(',').next() == Some(algorithm),
        None => algorithm == "MD5",
    };
    if answers.is_empty() || !answers.iter().all(is_of) {
        return Err(format!("expected {algorithm}: {answers:?}"));
    }
    if wire_b
        .messages
        .iter()
        .any(|message| message.header("Authorization").is_some())
    {
        return Err("an answer of the caller has reached the callee".to_owned());
    }
    server.finish()
}

fn wrong(scene: &Scene) -> Outcome {
    let (a, b, config) = rig(scene, Make::Baresip, "not-the-one")?;
    let captures = scene.capture()?;
    let mut server = Server::start(scene, &config)?;
    let (_b, mut a) = (b.start()?, a.start()?);
    a.dial("sip:bob@example.net")?;
    server.await_log("no such user with such a password")?;
    thread::sleep(Duration::from_secs(1));
    let (_, wire_b) = captures.finish()?;
    if wire_b.messages.iter().any(|message| message.is_request("INVITE")) {
        return Err("somebody was called".to_owned());
    }
    server.finish()
}
