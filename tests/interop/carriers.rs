//! SIPp as a carrier that fails in the ways in which carriers fail: the caller is told what became of the call, or it goes
//! through another account, by the list of codes.

mod steps;

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::netns::{Side, inside};
use crate::party::{Heard, Party, fresh};
use crate::scene::Scene;
use crate::server::{self, MEDIA_PORTS, Server};
use crate::sipp::{Run, Sipp, Source};
use crate::{Outcome, Test};

pub(crate) const TESTS: &[Test] = &[Test::new("carriers::each_failure_is_told_or_got_round", each)];

/// The first carrier's port, and the second's.
const PORTS: [u16; 2] = [5082, 5083];

/// What the caller gets in the end.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The second carrier answers.
    Second,
    /// This final response, with this in it.
    Told(u16, &'static str),
    /// An answer whose line of media is this; then the caller hangs up.
    Answered(&'static str),
    /// An answer, and then a BYE with this in it.
    Bye(&'static str),
}

struct Row {
    name: &'static str,
    steps: &'static [Step],
    /// The number that is called: beginning with 1, other codes than 404, 486 and 603 are got round; with 2, none.
    number: &'static str,
    /// What comes before the end.
    early: Option<&'static str>,
    end: End,
}

use Step::{Ack, Bye, Cancel, HungUp, Pause, Say};
use steps::{Step, scenario};

const AUDIO: Option<&str> = Some("m=audio [media_port] RTP/AVP 0");

const ROWS: &[Row] = &[
    Row {
        name: "forbidden",
        steps: &[Say("403 Forbidden", "", None), Ack],
        number: "1",
        early: None,
        end: End::Second,
    },
    Row {
        name: "not_found",
        steps: &[Say("404 Not Found", "Reason: Q.850;cause=1", None), Ack],
        number: "1",
        early: None,
        end: End::Told(404, "Q.850;cause=1"),
    },
    Row {
        name: "busy",
        steps: &[Say("486 Busy Here", "", None), Ack],
        number: "1",
        early: None,
        end: End::Told(486, ""),
    },
    Row {
        name: "declined",
        steps: &[Say("603 Decline", "", None), Ack],
        number: "1",
        early: None,
        end: End::Told(603, ""),
    },
    Row {
        name: "overloaded",
        steps: &[Say("503 Service Unavailable", "Retry-After: 17", None), Ack],
        number: "1",
        early: None,
        end: End::Second,
    },
    Row {
        name: "overloaded_alone",
        steps: &[Say("503 Service Unavailable", "Retry-After: 17", None), Ack],
        number: "2",
        early: None,
        end: End::Told(503, "Retry-After: 17"),
    },
    Row {
        name: "announcement_then_unavailable",
        steps: &[
            Say("183 Session Progress", "", AUDIO),
            Pause(300),
            Say("480 Temporarily Unavailable", "", None),
            Ack,
        ],
        number: "2",
        early: Some("SIP/2.0 183"),
        end: End::Told(480, ""),
    },
    Row {
        name: "announcement_then_another_carrier",
        steps: &[
            Say("183 Session Progress", "", AUDIO),
            Pause(300),
            Say("480 Temporarily Unavailable", "", None),
            Ack,
        ],
        number: "1",
        early: Some("SIP/2.0 183"),
        end: End::Second,
    },
    Row {
        name: "rings_for_ever",
        steps: &[
            Say("180 Ringing", "", None),
            Cancel,
            Say("487 Request Terminated", "", None),
            Ack,
        ],
        number: "1",
        early: Some("SIP/2.0 180"),
        end: End::Second,
    },
    Row {
        name: "silence",
        steps: &[Pause(6_000)],
        number: "1",
        early: None,
        end: End::Second,
    },
    Row {
        name: "refused_media",
        steps: &[Say("200 OK", "", Some("m=audio 0 RTP/AVP 0")), Ack, HungUp],
        number: "2",
        early: None,
        end: End::Answered("m=audio 0 RTP/AVP 0"),
    },
    Row {
        name: "moved",
        steps: &[
            Say("302 Moved Temporarily", "Contact: <sip:+99@203.0.113.99>", None),
            Ack,
        ],
        number: "1",
        early: None,
        end: End::Told(302, "+99@203.0.113.99"),
    },
    Row {
        name: "cut_off",
        steps: &[
            Say("200 OK", "", AUDIO),
            Ack,
            Pause(300),
            Bye("Reason: Q.850;cause=41;text=\"Temporary failure\""),
        ],
        number: "1",
        early: None,
        end: End::Bye("Q.850;cause=41"),
    },
    Row {
        name: "no_circuit",
        steps: &[
            Say("500 Server Internal Error", "Reason: Q.850;cause=34", None),
            Ack,
        ],
        number: "2",
        early: None,
        end: End::Told(500, "Q.850;cause=34"),
    },
    Row {
        name: "never_content_with_a_password",
        steps: &[
            Say(
                "407 Proxy Authentication Required",
                "Proxy-Authenticate: Digest realm=\"carrier.test\", nonce=\"one\", qop=\"auth\"",
                None,
            ),
            Ack,
            // The same call once more, with the password; and not a third time.
            Say("INVITE", "Proxy-Authorization", None),
            Say(
                "407 Proxy Authentication Required",
                "Proxy-Authenticate: Digest realm=\"carrier.test\", nonce=\"two\", qop=\"auth\"",
                None,
            ),
            Ack,
        ],
        number: "2",
        early: None,
        end: End::Told(403, "SIP;cause=407"),
    },
    Row {
        name: "nobody",
        steps: &[],
        number: "1",
        early: None,
        end: End::Second,
    },
];

fn each(scene: &Scene) -> Outcome {
    let server = serve(scene)?;
    let near = SocketAddr::new(Side::A.hub(), server::PORT);
    let mut caller = inside(&scene.hub, Side::A, || {
        Party::udp(&Side::A.phone().to_string(), near)
    })?;
    for row in ROWS {
        one(scene, row, &mut caller).map_err(|e| format!("{}: {e}", row.name))?;
    }
    server.finish()
}

fn one(scene: &Scene, row: &Row, caller: &mut Party) -> Outcome {
    let first = (!row.steps.is_empty())
        .then(|| carrier(scene, row.name, row.steps, 0))
        .transpose()?;
    let second = matches!(row.end, End::Second)
        .then(|| {
            let steps = [Say("200 OK", "", AUDIO), Ack, HungUp];
            carrier(scene, &format!("{}_second", row.name), &steps, 1)
        })
        .transpose()?;
    let invite = caller.invite(
        &fresh("carriers"),
        &format!("sip:+{}23456@b2bua.test", row.number),
    );
    caller.send(&invite);
    if let Some(start) = row.early {
        caller.expect(start);
    }
    let last = final_response(caller)?;
    match row.end {
        End::Told(code, what) => {
            caller.ack_failure(&invite, &last);
            if !last.0.starts_with(&format!("SIP/2.0 {code} ")) || !last.0.contains(what) {
                return Err(format!("the caller was told\n{}", last.0));
            }
        }
        End::Second | End::Answered(_) | End::Bye(_) => {
            let media = if let End::Answered(media) = row.end {
                media
            } else {
                "m=audio "
            };
            if !last.0.starts_with("SIP/2.0 200 ") || !last.0.contains(media) {
                return Err(format!("the caller was told\n{}", last.0));
            }
            caller.send(&caller.within("ACK", 1, &last));
            if let End::Bye(what) = row.end {
                let bye = caller.expect("BYE ");
                caller.respond(&bye, "200 OK", "");
                if !bye.0.contains(what) {
                    return Err(format!("the caller was hung up on with\n{}", bye.0));
                }
            } else {
                caller.send(&caller.within("BYE", 2, &last));
                caller.expect("SIP/2.0 200");
            }
        }
    }
    let limit = Duration::from_secs(15);
    first.map_or(Ok(()), |first| first.finish(limit))?;
    second.map_or(Ok(()), |second| second.finish(limit))
}

fn final_response(caller: &mut Party) -> Outcome<Heard> {
    for _ in 0..50 {
        let heard = caller
            .hear_within(Duration::from_secs(12))
            .ok_or("the caller was told nothing")?;
        if heard.0.starts_with("SIP/2.0 ") && !heard.0.starts_with("SIP/2.0 1") {
            return Ok(heard);
        }
    }
    Err("the caller was told nothing final".to_owned())
}

/// Two carriers, the first of which has the account with a password.
fn serve(scene: &Scene) -> Outcome<Server> {
    let carrier = |port: u16| format!("<sip:{}:{port}>", Side::B.phone());
    let provider = |name: &str, pool: &str, pattern: &str, failover: &str| {
        format!(
            r#"{{"name": "{name}", "accountPool": "{pool}", "onAccountNotFound": "nextProvider",
                "triggerCondition": {{"strategy": "MatchRegex", "pattern": "{pattern}", "source": ""}},
                "accountToUse": {{"strategy": "Random"}}, "limits": {{"noAnswer": 3}}, {failover}
                "outgoingInvite": {{"to": "sip:{{incoming.requestUri.user}}@{{account.uri.hostport}}"}} }}"#
        )
    };
    let pool = |name: &str, port: u16| {
        format!(
            r#""{name}": {{"registrationRequired": false, "maxCallsPerLine": 1, "outboundProxy": "{}",
                "loader": [{{"uri": "sip:{name}@carrier.test", "secretType": "clrtxt", "secret": "secret"}}] }}"#,
            carrier(port)
        )
    };
    let codes = r#""failover": {"codes": [403, 408, 480, "5xx"]},"#;
    let text = format!(
        r#"{{"schemaVersion": 2, "providers": [{}, {}, {}], "accountPools": {{ {}, {} }} }}"#,
        provider("first", "one", "sip:\\\\+1.*", codes),
        provider("second", "two", "sip:\\\\+1.*", ""),
        provider("alone", "one", "sip:\\\\+2.*", ""),
        pool("one", PORTS[0]),
        pool("two", PORTS[1]),
    );
    let config = format!(
        "[global]\nlog-level=trace\nlog-directory=\n[b2bua-server]\napplication=sip-bridge\ndata-directory=none\n\
         transport={} {}\ntrusted-hosts={}\naudio-port={MEDIA_PORTS}\n\
         [b2bua-server::sip-bridge]\nproviders=providers.json\n",
        server::uri(Side::A),
        server::uri(Side::B),
        Side::A.phone()
    );
    for (name, text) in [("providers.json", &text), ("b2bua.conf", &config)] {
        fs::write(scene.dir.join(name), text).map_err(|e| format!("{name}: {e}"))?;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_b2bua"));
    command.arg("-c").arg(scene.dir.join("b2bua.conf"));
    Server::run("b2bua", scene, command)
}

fn carrier(scene: &Scene, name: &str, steps: &[Step], which: usize) -> Outcome<Sipp> {
    let file = scene.dir.join(format!("{name}.xml"));
    fs::write(&file, scenario(name, steps)).map_err(|e| format!("{}: {e}", file.display()))?;
    let mut run = Run::callee(name);
    run.source = Source::Written;
    run.at.set_port(PORTS[which]);
    run.start(scene)
}
