//! Instant messages (RFC 3428) from one Linphone to another: the text arrives as it was written.

use crate::linphone::Linphone;
use crate::netns::Side;
use crate::phone::{Make, Phone as _};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::sip_text::Message;
use crate::through::CALLEE;
use crate::{Outcome, Test, privacy};

pub(crate) const TESTS: &[Test] = &[Test::new(
    "message::arrives_untouched_within_a_call_and_without_one",
    written,
)];

/// Nothing in it may be taken for anything else.
const TEXT: &str = "Grüße: 1 < 2 & \"3\"; a=b, c|d %41 \\r\\n – v=0 und Schluß";

fn written(scene: &Scene) -> Outcome {
    let a = scene.caller(Make::Linphone).through(&server::uri(Side::A));
    let b = scene.callee(Make::Linphone).through(&server::uri(Side::B));
    let config = Config::new(&format!("sip:{}:{}", b.ip(), b.sip_port()));
    let captures = scene.capture()?;
    let server = Server::start(scene, &config)?;
    let (mut b, mut a) = (Linphone::start(&b)?, Linphone::start(&a)?);
    a.say(&format!("chat {CALLEE} {}", TEXT))?;
    b.await_said(&format!(": {}", TEXT), 1)?;
    a.dial(CALLEE)?;
    a.await_call()?;
    b.await_call()?;
    a.say(&format!("chat {CALLEE} {}", TEXT))?;
    b.await_said(&format!(": {}", TEXT), 2)?;
    a.hang_up()?;
    b.await_end()?;
    let (wire_a, wire_b) = captures.finish()?;
    let written = |messages: &[Message]| -> Vec<String> {
        let all = messages.iter().filter(|m| m.is_request("MESSAGE"));
        all.map(|m| format!("{}\n{}", m.header("Content-Type").unwrap_or("none"), m.body))
            .collect()
    };
    let (said, arrived) = (written(&wire_a.messages), written(&wire_b.messages));
    if said.len() != 2 || said != arrived || !said.iter().all(|text| text.ends_with(TEXT)) {
        return Err(format!("written: {said:?}\narrived: {arrived:?}"));
    }
    for (leg, wire) in [("A", &wire_a), ("B", &wire_b)] {
        let taken = wire.messages.iter().filter(|m| m.method() == "MESSAGE");
        if !taken.clone().any(|m| matches!(m.status(), Some(200 | 202))) {
            return Err(format!("leg {leg}: nobody was told that it arrived"));
        }
    }
    privacy::scan(&wire_a, &wire_b, &[])?;
    server.finish()
}
