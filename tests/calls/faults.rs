//! Faults: what each of them ends in, on both legs, with which code and which `Reason` (RFC 3326).
//!
//! One row a fault. What the other party said crosses, in words of SIP and of Q.850; where the server itself ends something, it says
//! why; an ordinary end says nothing.

#[path = "faults/scenes.rs"]
mod scenes;

use b2bua::{
    call::{Encryption, LookupError, Side, bridge::CallSettings, failure::Kind},
    sip::Message,
    testing::{FakeRelay, Hold, Scene, peer::read, settings},
};
use scenes::*;
use std::time::Duration;

/// What a fault ends in.
struct Row {
    fault: &'static str,
    /// Makes it happen.
    happens: fn() -> Scene,
    /// The last that the caller is told of the call: final response to an INVITE, or BYE.
    caller: &'static str,
    /// The last that the callee is told: CANCEL, BYE, or nothing.
    callee: &'static str,
    /// The call goes on.
    up: bool,
}

const fn ends(
    fault: &'static str,
    happens: fn() -> Scene,
    caller: &'static str,
    callee: &'static str,
) -> Row {
    Row {
        fault,
        happens,
        caller,
        callee,
        up: false,
    }
}

const fn goes_on(fault: &'static str, happens: fn() -> Scene, caller: &'static str) -> Row {
    Row {
        fault,
        happens,
        caller,
        callee: "",
        up: true,
    }
}

const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

const TABLE: &[Row] = &[
    // What the callee, or the way to it, says.
    ends(
        "busy",
        || refused(486, ""),
        "486 Reason: Q.850;cause=17;text=\"User busy\"",
        "",
    ),
    ends(
        "busy, with reasons of both kinds",
        || {
            refused(
                486,
                "Reason: Q.850;cause=34;text=\"No circuit\"\r\nReason: SIP;cause=486\r\n",
            )
        },
        "486 Reason: Q.850;cause=34;text=\"No circuit\" Reason: SIP;cause=486",
        "",
    ),
    ends(
        "503 that says for how long",
        || refused(503, "Retry-After: 30\r\n"),
        "503 Retry-After: 30 Reason: Q.850;cause=41;text=\"Temporary failure\"",
        "",
    ),
    ends(
        "moved",
        || refused(302, "Contact: <sip:carol@192.0.2.77>\r\n"),
        "302 Contact: <sip:carol@192.0.2.77>",
        "",
    ),
    ends(
        "no such name",
        || without_way(LookupError::NotFound("example.org".into())),
        "503 Reason: Q.850;cause=38;text=\"Network out of order\"",
        "",
    ),
    ends(
        "DNS does not answer",
        || without_way(LookupError::Failed("example.org".into(), "timed out".into())),
        "503 Reason: Q.850;cause=38;text=\"Network out of order\"",
        "",
    ),
    ends(
        "a transport that is not there",
        || without_way(LookupError::Unavailable("sip:example.org;transport=tls".into())),
        "503 Reason: Q.850;cause=38;text=\"Network out of order\"",
        "",
    ),
    ends(
        "connection refused",
        || {
            let mut scene = ringing(Fate::Silent);
            scene.sim.undeliverable(Side::B, "INVITE");
            scene
        },
        "503 Reason: Q.850;cause=38;text=\"Network out of order\"",
        "",
    ),
    ends(
        "a callee that is not there",
        || ringing(Fate::Silent),
        "408 Reason: Q.850;cause=102;text=\"Recovery on timer expiry\"",
        "",
    ),
    ends(
        "a callee that rings for ever",
        || ringing(Fate::Rings),
        "480 Reason: Q.850;cause=19;text=\"No answer from user\"",
        "CANCEL Reason: Q.850;cause=19;text=\"No answer from user\"",
    ),
    ends(
        "no port is left",
        || {
            let mut scene = plain();
            scene.sim.relay = FakeRelay::new(0);
            scene.call();
            scene
        },
        "503 Retry-After: 10 Reason: Q.850;cause=42;text=\"Switching equipment congestion\"",
        "",
    ),
    ends(
        "an answer without the keys that are wanted",
        || {
            let mut scene = Scene::new(Encryption::None, Encryption::Sdes);
            scene.b.gone = true;
            scene.call();
            scene.run(Duration::from_millis(50));
            let clear = "v=0\r\no=bob 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
            let answer = scene.sim.b.respond("INVITE", 200, "", "", clear);
            scene.sim.send(Side::B, answer);
            scene
        },
        "488 Reason: Q.850;cause=88;text=\"Incompatible destination\"",
        "BYE Reason: Q.850;cause=88;text=\"Incompatible destination\"",
    ),
    // What the caller does.
    ends(
        "given up, with reasons of both kinds",
        || {
            let mut scene = ringing(Fate::Rings);
            let cancel = scene
                .sim
                .a
                .cancel(&format!("Reason: {ELSEWHERE}\r\nReason: Q.850;cause=26\r\n"));
            scene.sim.send(Side::A, cancel);
            scene
        },
        "487",
        "CANCEL Reason: SIP;cause=200;text=\"Call completed elsewhere\" Reason: Q.850;cause=26",
    ),
    ends(
        "no ACK ever comes",
        || {
            let mut scene = plain();
            scene.call();
            scene.a.gone = true;
            scene
        },
        "BYE Reason: SIP;cause=408;text=\"no ACK received\"",
        "BYE Reason: SIP;cause=408;text=\"no ACK received\"",
    ),
    // Ordinary ends.
    ends("the caller hangs up", || hung_up(Side::A, ""), "200", "BYE"),
    ends("the callee hangs up", || hung_up(Side::B, ""), "BYE", ""),
    ends(
        "the caller hangs up and says why",
        || hung_up(Side::A, "Reason: Q.850;cause=16\r\nReason: SIP;cause=200\r\n"),
        "200",
        "BYE Reason: Q.850;cause=16 Reason: SIP;cause=200",
    ),
    ends(
        "the callee hangs up and says why",
        || hung_up(Side::B, "Reason: Q.850;cause=31\r\n"),
        "BYE Reason: Q.850;cause=31",
        "",
    ),
    ends(
        "the callee's 200 is lost, and it hangs up",
        || {
            let mut scene = ringing(Fate::Rings);
            let bye = scene.sim.b.request("BYE", "Reason: Q.850;cause=16\r\n", "");
            scene.sim.send(Side::B, bye);
            scene
        },
        "480 Reason: Q.850;cause=16",
        "CANCEL",
    ),
    // In mid-call.
    ends(
        "nothing is heard of a party",
        || {
            let scene = plain().answered();
            silenced(scene)
        },
        "BYE Reason: SIP;cause=503;text=\"Media lost\"",
        "BYE Reason: SIP;cause=503;text=\"Media lost\"",
    ),
    ends(
        "a callee that is gone without BYE",
        || dead(Side::B),
        "BYE Reason: SIP;cause=408;text=\"Session expired\"",
        "BYE Reason: SIP;cause=408;text=\"Session expired\"",
    ),
    ends(
        "a caller that is gone without BYE",
        || dead(Side::A),
        "BYE Reason: SIP;cause=408;text=\"Session expired\"",
        "BYE Reason: SIP;cause=408;text=\"Session expired\"",
    ),
    ends(
        "a callee that knows the call no more",
        || offered_to(Some(481)),
        "BYE Reason: SIP;cause=481;text=\"Call/Transaction Does Not Exist\"",
        "BYE Reason: SIP;cause=481;text=\"Call/Transaction Does Not Exist\"",
    ),
    ends(
        "an offer that nobody answers",
        || {
            let mut scene = plain().answered();
            scene.b.gone = true;
            scene.a.hold = Some(Hold::SendOnly);
            scene.reoffer(Side::A);
            scene
        },
        "BYE Reason: SIP;cause=408;text=\"Request Timeout\"",
        "BYE Reason: SIP;cause=408;text=\"Request Timeout\"",
    ),
    goes_on(
        "an offer that is refused",
        || offered_to(Some(488)),
        "488 Reason: Q.850;cause=88;text=\"Incompatible destination\"",
    ),
    goes_on(
        "an offer that cannot be sent",
        || {
            let mut scene = plain().answered();
            scene.a.hold = Some(Hold::SendOnly);
            scene.reoffer(Side::A);
            scene.run(Duration::from_micros(1_500));
            scene.sim.undeliverable(Side::B, "INVITE");
            scene.b.gone = true;
            scene
        },
        "503 Reason: Q.850;cause=38;text=\"Network out of order\"",
    ),
    // What the server does.
    ends(
        "the server goes down",
        || ordered(Kind::Shutdown),
        "BYE Reason: Q.850;cause=41;text=\"Temporary failure\"",
        "BYE Reason: Q.850;cause=41;text=\"Temporary failure\"",
    ),
    ends(
        "the longest time is over",
        || {
            let limits = CallSettings {
                max_duration: Some(Duration::from_secs(10)),
                ..settings()
            };
            Scene::with(Encryption::None, Encryption::None, limits, 1).answered()
        },
        "BYE Reason: Q.850;cause=102;text=\"Maximum call duration reached\"",
        "BYE Reason: Q.850;cause=102;text=\"Maximum call duration reached\"",
    ),
];

#[test]
fn each_fault_ends_in_a_defined_state_on_both_legs_and_says_why() {
    let mut wrong = Vec::new();
    for row in TABLE {
        let mut scene = (row.happens)();
        scene.sim.allowed.push("192.0.2.77".into());
        scene.run(Duration::from_secs(400));
        let seen = (last(&scene, Side::A), last(&scene, Side::B));
        let (caller, callee) = (row.caller.to_owned(), row.callee.to_owned());
        if seen != (caller, callee) {
            wrong.push(format!(
                "{}: expected {:?}, {:?}, was {seen:?}\n{}",
                row.fault,
                row.caller,
                row.callee,
                scene.sim.ladder()
            ));
            continue;
        }
        assert_eq!(
            row.up,
            scene.sim.call.is_some(),
            "{}\n{}",
            row.fault,
            scene.sim.ladder()
        );
        if row.up {
            scene.b.gone = false;
            scene.hang_up(Side::A);
            scene.run(Duration::from_secs(70));
        }
        scene.sim.assert_done();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The last message to a party that tells what became of the call.
fn last(scene: &Scene, side: Side) -> String {
    let sent = scene
        .sim
        .wire
        .iter()
        .rev()
        .filter(|entry| entry.1 == side && !entry.2);
    let mut tells = sent.filter_map(|(_, _, _, bytes)| {
        let message = read(bytes);
        let what = match &message {
            Message::Request(request) => match request.method.to_string().as_str() {
                method @ ("BYE" | "CANCEL") => method.to_owned(),
                _ => return None,
            },
            Message::Response(response) => {
                let of_invite = response.headers.cseq().unwrap().method.to_string() == "INVITE";
                if side == Side::B || !of_invite || response.status.is_provisional() {
                    return None;
                }
                response.status.to_string()
            }
        };
        let mut said = what;
        for name in ["Retry-After", "Contact", "Reason"] {
            // Our own Contact in a 2xx is no news.
            if name == "Contact" && !said.starts_with('3') {
                continue;
            }
            for value in message.headers().all(name) {
                said += &format!(" {name}: {value}");
            }
        }
        Some(said)
    });
    tells.next().unwrap_or_default()
}
