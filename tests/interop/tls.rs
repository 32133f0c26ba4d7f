//! Calls by TLS: a Linphone that shows a certificate, and a baresip that is called by TLS, both keyed by SDES. Their wires are
//! captured as those of every call; what can be read there is nothing: no SIP, no key in any form, no tone.

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use base64::Engine as _;

use crate::authority::Authority;
use crate::capture::{Capture, Wire};
use crate::converse::{Timeline, converse, dial, finish, talk};
use crate::judge::{self, SPOKEN};
use crate::keep;
use crate::netns::{HUB, Side};
use crate::phone::{Make, Phone, Setup};
use crate::rtp;
use crate::scene::Scene;
use crate::server::{Config, Server};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[
    Test::new("tls::both_legs_with_certificates_and_sealed_keys", |s| {
        sealed(s, "sip:bob@example.net", converse)
    }),
    Test::new("tls::a_callee_of_sips_is_called_by_sips", |s| {
        sealed(s, "sips:bob@example.net", without_holds)
    }),
    Test::new("tls::a_phone_without_a_certificate_places_no_call", stranger),
];

/// Where the server takes TLS, and where baresip does: its port of UDP and one.
const PORT: u16 = 5061;
const PHONE_PORT: u16 = 5083;

fn phones(scene: &Scene, authority: &Authority) -> (Setup, Setup, Config) {
    let mut a = scene
        .caller(Make::Linphone)
        .through(&format!("sip:{HUB}:{PORT};transport=tls"))
        .encrypted();
    let mut b = scene.callee(Make::Baresip).encrypted();
    b.proxy = None;
    (a.tls, b.tls) = (Some(authority.folder.clone()), Some(authority.folder.clone()));
    let mut config = Config::new(&format!("sip:{}:{PHONE_PORT};transport=tls", b.ip()));
    config.transport = [Side::A, Side::B]
        .map(|side| format!("sip:{}:{PORT};transport=tls", side.hub()))
        .join(" ");
    // Nobody is trusted for where he is: the caller's certificate lets him in.
    config.trusted_hosts = Side::B.hub().to_string();
    config.more = authority.lines() + "tls-verify=required\n";
    (a, b, config)
}

type Conversation = fn(&mut dyn Phone, &mut dyn Phone, &str, Side) -> Outcome<Timeline>;

/// baresip 1.0 takes sips: and cannot re-INVITE to it.
fn without_holds(a: &mut dyn Phone, b: &mut dyn Phone, target: &str, _: Side) -> Outcome<Timeline> {
    let mut timeline = Timeline::default();
    dial(a, b, target)?;
    talk(&mut timeline);
    a.hang_up()?;
    finish(a, b)?;
    Ok(timeline)
}

fn sealed(scene: &Scene, callee: &str, conversation: Conversation) -> Outcome {
    let authority = Authority::new(scene)?;
    let (a, b, config) = phones(scene, &authority);
    let captures = [
        Capture::sealed(Side::A, &scene.dir)?,
        Capture::sealed(Side::B, &scene.dir)?,
    ];
    let server = Server::start(scene, &config)?;
    let (mut phone_b, mut phone_a) = (b.start()?, a.start()?);
    let timeline = conversation(&mut *phone_a, &mut *phone_b, callee, Side::A)?;
    let [wire_a, wire_b] = captures.map(Capture::finish);
    judge::by_ear(&mut *phone_a, &mut *phone_b, &timeline)?;
    let secrets = secrets(scene, &authority)?;
    for (side, wire) in [(Side::A, wire_a?), (Side::B, wire_b?)] {
        let told = |e: String| format!("leg {side:?}: {e}");
        unreadable(&wire, &secrets).map_err(told)?;
        voice(&wire, side, &timeline).map_err(told)?;
    }
    // Linphone says sips: in To alone, and To is who is called: with that scheme.
    let scheme = callee.split_once(':').map_or("", |(scheme, _)| scheme);
    let asked = format!("INVITE {scheme}:bob@example.net SIP/2.0");
    if !server.log().contains(&asked) {
        return Err(format!("no {asked:?}, says the server's log"));
    }
    server.finish()
}

/// The keys that the phones have told each other, off their own logs, in each form in which they could be read, and the private
/// keys of all certificates.
fn secrets(scene: &Scene, authority: &Authority) -> Outcome<BTreeSet<Vec<u8>>> {
    let log = scene.dir.join("linphone-a/log");
    let log = fs::read(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let told = keep::secrets_in(&log);
    // Two ends with a key or more each, in three forms.
    if told.len() < 6 {
        return Err(format!("Linphone's log tells {} keys only", told.len()));
    }
    let mut secrets = BTreeSet::new();
    for secret in told {
        if let Ok(raw) = base64::engine::general_purpose::STANDARD.decode(&secret) {
            secrets.insert(raw);
        }
        secrets.insert(secret.into_bytes());
    }
    secrets.extend(authority.keys.iter().cloned());
    Ok(secrets)
}

/// Neither SIP nor any secret is on the wire; if one were, that would be noticed.
fn unreadable(wire: &Wire, secrets: &BTreeSet<Vec<u8>>) -> Outcome {
    let words = [
        &b"SIP/2.0"[..],
        b"m=audio",
        b"inline:",
        b"Authorization",
        b"alice@",
    ];
    let all: Vec<&[u8]> = words
        .into_iter()
        .chain(secrets.iter().map(Vec::as_slice))
        .collect();
    let readable = |bytes: &[u8]| {
        all.iter()
            .find(|what| memchr::memmem::find(bytes, what).is_some())
    };
    let long = wire.payloads.iter().find(|p| p.tcp && p.bytes.len() > 1000);
    let long = long.ok_or("no connection was captured")?;
    for secret in &all {
        if readable(&[&long.bytes, *secret, b"."].concat()).is_none() {
            return Err(format!("a planted secret is not noticed: {secret:02x?}"));
        }
    }
    for payload in &wire.payloads {
        if let Some(what) = readable(&payload.bytes) {
            let what = String::from_utf8_lossy(what);
            return Err(format!(
                "{what:?} can be read, {} -> {}",
                payload.from, payload.to
            ));
        }
    }
    Ok(())
}

/// It flows while both talk, and cannot be understood.
fn voice(wire: &Wire, side: Side, timeline: &Timeline) -> Outcome {
    let (out, back) = rtp::overhear_all(wire, side.phone())?;
    for span in &timeline.talks {
        out.must_flow(*span, SPOKEN)?;
        back.must_flow(*span, SPOKEN)?;
    }
    Ok(())
}

/// The server wants certificates, and this Linphone has none.
fn stranger(scene: &Scene) -> Outcome {
    let authority = Authority::new(scene)?;
    let (mut a, b, config) = phones(scene, &authority);
    a.certified = false;
    let capture = Capture::sealed(Side::B, &scene.dir)?;
    let mut server = Server::start(scene, &config)?;
    let (_b, mut a) = (b.start()?, a.start()?);
    a.dial("sip:bob@example.net")?;
    server.await_log("peer sent no certificates")?;
    thread::sleep(Duration::from_secs(1));
    let wire = capture.finish()?;
    if let Some(payload) = wire.payloads.iter().find(|payload| payload.tcp) {
        return Err(format!("{} -> {}: somebody was called", payload.from, payload.to));
    }
    server.finish()
}
