//! Signalling without media, as SIPp's scenarios have it: calls that go well, calls that do not, and
//! peers that misbehave.

use std::net::SocketAddr;
use std::time::Duration;

use crate::capture::{Capture, Wire};
use crate::netns::Side;
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::sipp::{Edit, Run, Source};
use crate::{Outcome, Test, privacy};

pub(crate) const TESTS: &[Test] = &[
    Test::new("rig::sipp_scenarios_fit_each_other", direct),
    Test::new("sipp::a_call_is_answered_and_ended_by_the_caller", |s| {
        pair(s, "uac", "uas")
    }),
    Test::new("sipp::a_call_is_ended_by_the_callee", |s| {
        pair(s, "uac_byed", "uas_bye")
    }),
    Test::new("sipp::busy_is_busy_with_the_callees_words", |s| {
        pair(s, "uac_486", "uas_486")
    }),
    Test::new("sipp::cancel_reaches_the_callee_and_ends_with_487", |s| {
        pair(s, "uac_cancel", "uas_cancel")
    }),
    Test::new("sipp::the_caller_holds_by_reinvite", |s| {
        pair(s, "uac_reinvite", "uas_reinvited")
    }),
    Test::new("sipp::the_callee_holds_by_reinvite", |s| {
        pair(s, "uac_reinvited", "uas_reinvite")
    }),
    Test::new(
        "sipp::a_200_that_comes_after_the_cancel_is_acknowledged_and_ended",
        |s| pair(s, "uac_cancel", "uas_late_200"),
    ),
    Test::new("sipp::a_lost_ack_is_made_up_for", |s| {
        pair(s, "uac_late_ack", "uas")
    }),
    Test::new("sipp::an_ack_that_never_comes_ends_the_call_on_both_legs", |s| {
        pair(s, "uac_no_ack", "uas")
    }),
    Test::new("sipp::a_call_without_an_offer_gets_it_with_the_200", |s| {
        pair(s, "uac_late_offer", "uas_late_offer")
    }),
    Test::new("sipp::early_media_is_passed_on", |s| {
        pair(s, "uac_183", "uas_183")
    }),
    Test::new("sipp::info_is_passed_on", |s| pair(s, "uac_info", "uas_info")),
    Test::new(
        "sipp::prack_and_update_before_and_after_the_answer_are_passed_on",
        |s| pair(s, "uac_prack", "uas_prack"),
    ),
    Test::new("sipp::a_fax_is_refused_and_the_voice_goes_on", |s| {
        pair(s, "uac_fax", "uas_reinvited")
    }),
    Test::new("sipp::a_refusal_keeps_its_words_and_headers", |s| {
        pair(s, "uac_480", "uas_480")
    }),
    Test::new(
        "sipp::dtls_without_a_fingerprint_gets_488_and_nobody_is_called",
        dtls,
    ),
    Test::new("sipp::tcp_on_both_legs", |s| by_tcp(s, true, true)),
    Test::new("sipp::tcp_to_udp", |s| by_tcp(s, true, false)),
    Test::new("sipp::udp_to_tcp", |s| by_tcp(s, false, true)),
    Test::new("sipp::its_own_uac_and_uas_speak", own_uac_and_uas),
    Test::new("sipp::its_own_branchc_and_branchs_speak", own_branches),
    Test::new("sipp::its_own_third_party_joins_two_calls", own_third_party),
    Test::new("sipp::twenty_calls_at_once_mixed", mixed),
    Test::new(
        "sipp::two_servers_pointed_at_each_other_end_the_call_soon",
        looped,
    ),
];

/// Long enough for a call that runs into 64*T1.
const LIMIT: Duration = Duration::from_secs(60);

/// The scenarios against each other, with no server between them: what they ask for is possible.
fn direct(scene: &Scene) -> Outcome {
    for (uac, uas, tcp) in [
        ("uac", "uas", false),
        ("uac", "uas", true),
        ("uac_byed", "uas_bye", false),
        ("uac_486", "uas_486", false),
        ("uac_cancel", "uas_cancel", false),
        ("uac_reinvite", "uas_reinvited", false),
        ("uac_reinvited", "uas_reinvite", false),
        ("uac_late_offer", "uas_late_offer", false),
        ("uac_183", "uas_183", false),
        ("uac_info", "uas_info", false),
        ("uac_480", "uas_480", false),
    ] {
        let callee = Run {
            tcp,
            ..Run::callee(uas)
        };
        let caller = Run {
            tcp,
            ..Run::caller(uac, callee.at)
        };
        both(scene, caller, callee).map_err(|e| format!("{uac} with {uas}: {e}"))?;
    }
    Ok(())
}

fn both(scene: &Scene, caller: Run<'_>, callee: Run<'_>) -> Outcome {
    let callee = callee.start(scene)?;
    let caller = caller.start(scene)?;
    let outcome = caller.finish(LIMIT);
    // The callee's view tells more when both fail.
    callee.finish(if outcome.is_ok() {
        LIMIT
    } else {
        Duration::from_secs(2)
    })?;
    outcome
}

/// One call through the server; nothing of one leg may be seen on the other.
fn pair(scene: &Scene, uac: &str, uas: &str) -> Outcome {
    through(scene, Run::caller(uac, at(Side::A)), Run::callee(uas)).map(drop)
}

fn by_tcp(scene: &Scene, a: bool, b: bool) -> Outcome {
    let caller = Run {
        tcp: a,
        ..Run::caller("uac", at(Side::A))
    };
    let callee = Run {
        tcp: b,
        ..Run::callee("uas")
    };
    let (wire_a, wire_b) = through(scene, caller, callee)?;
    for (wire, tcp) in [(wire_a, a), (wire_b, b)] {
        if let Some(other) = wire.messages.iter().find(|m| m.tcp != tcp) {
            return Err(format!(
                "by the wrong transport: {} -> {}: {}",
                other.from, other.to, other.start
            ));
        }
    }
    Ok(())
}

fn at(side: Side) -> SocketAddr {
    SocketAddr::new(side.hub(), server::PORT)
}

fn through(scene: &Scene, caller: Run<'_>, callee: Run<'_>) -> Outcome<(Wire, Wire)> {
    let (wire_a, wire_b) = bridged(scene, caller, callee)?;
    privacy::scan(&wire_a, &wire_b, &[])?;
    Ok((wire_a, wire_b))
}

/// The same for scenarios whose users are called by their own addresses, so that those cross.
fn bridged(scene: &Scene, caller: Run<'_>, callee: Run<'_>) -> Outcome<(Wire, Wire)> {
    let captures = scene.capture()?;
    let transport = if callee.tcp { ";transport=tcp" } else { "" };
    let mut config = Config::new(&format!("sip:{}{transport}", callee.at));
    config.transport = [Side::A, Side::B]
        .map(|side| format!("{uri} {uri};transport=tcp", uri = server::uri(side)))
        .join(" ");
    let server = Server::start(scene, &config)?;
    both(scene, caller, callee)?;
    let wires = captures.finish()?;
    server.finish()?;
    Ok(wires)
}

/// Many calls in one server at the same time, so that what belongs to one is not found in another.
fn mixed(scene: &Scene) -> Outcome {
    let caller = Run {
        calls: 20,
        ..Run::caller("uac", at(Side::A))
    };
    let callee = Run {
        calls: 20,
        ..Run::callee("uas")
    };
    let (wire_a, wire_b) = through(scene, caller, callee)?;
    for (leg, wire) in [("A", wire_a), ("B", wire_b)] {
        let byes = wire.messages.iter().filter(|m| m.is_request("BYE")).count();
        let ended = wire
            .messages
            .iter()
            .filter(|m| m.status() == Some(200) && m.method() == "BYE")
            .count();
        if (byes, ended) != (20, 20) {
            return Err(format!(
                "leg {leg}: {byes} BYEs and {ended} answers to them, expected 20 of each"
            ));
        }
    }
    Ok(())
}

/// SIPp's own uac and uas, as they are.
fn own_uac_and_uas(scene: &Scene) -> Outcome {
    let caller = Run {
        source: Source::BuiltIn,
        calls: 20,
        ..Run::caller("uac", at(Side::A))
    };
    let callee = Run {
        source: Source::BuiltIn,
        calls: 20,
        ..Run::callee("uas")
    };
    bridged(scene, caller, callee).map(drop)
}

/// SIPp's own branchc and branchs, of which the second refuses whoever is not `ua2…`, and the first goes another way in its
/// 25th call. Their REGISTER is left out, since the server is no registrar; all are made to be `ua2…`, the fifth `ua25`, since
/// they send BYE into what was refused, of which only each other knows.
fn own_branches(scene: &Scene) -> Outcome {
    const WITHOUT_REGISTER: Edit = Edit {
        from: "<send retrans=\"500\">",
        up_to: "<label id=\"5\"/>",
        instead: "",
    };
    const ALWAYS_UA2: Edit = Edit {
        from: "ua[call_number] <",
        up_to: "sip:ua1",
        instead: "ua2[call_number] <",
    };
    const NOT_REGISTERED: Edit = Edit {
        from: "<recv request=\"REGISTER\">",
        up_to: "<!-- Set variable 3",
        instead: "",
    };
    let caller = Run {
        source: Source::Adapted(&[WITHOUT_REGISTER, ALWAYS_UA2]),
        calls: 6,
        ..Run::caller("branchc", at(Side::A))
    };
    let callee = Run {
        source: Source::Adapted(&[NOT_REGISTERED]),
        calls: 6,
        ..Run::callee("branchs")
    };
    let (wire_a, _) = bridged(scene, caller, callee)?;
    let ua25 = |m: &crate::sip_text::Message| {
        m.is_request("INVITE") && m.header("From").is_some_and(|from| from.contains("ua25"))
    };
    match wire_a.messages.iter().any(ua25) {
        true => Ok(()),
        false => Err("nobody went the other way".to_owned()),
    }
}

/// SIPp's own 3PCC scenarios: a third party calls A without an offer, B with the one that A makes, and tells A in its ACK what B
/// has answered. All four through one server, which calls whom To names.
fn own_third_party(scene: &Scene) -> Outcome {
    let [for_a, for_b] = [5082, 5083].map(|port| SocketAddr::new(Side::B.phone(), port));
    let server = at(Side::A);
    let twin = SocketAddr::new(Side::A.phone(), 5079);
    let part = |scenario, port, to: Option<SocketAddr>| Run {
        source: Source::BuiltIn,
        at: SocketAddr::new(Side::A.phone(), port),
        to,
        by: Some(server),
        twin: Some(twin),
        ..Run::caller(scenario, server)
    };
    let party = |scenario, at| Run {
        source: Source::BuiltIn,
        at,
        ..Run::callee(scenario)
    };
    // No outbound proxy: To says where a call goes.
    let server = Server::start(scene, &Config::new(" "))?;
    let a = party("3pcc-A", for_a).start(scene)?;
    let b = party("3pcc-B", for_b).start(scene)?;
    // The second half waits for the first one.
    let controls_b = part("3pcc-C-B", 5073, Some(for_b)).start(scene)?;
    std::thread::sleep(Duration::from_secs(1));
    let controls_a = part("3pcc-C-A", 5072, Some(for_a)).start(scene)?;
    let outcome = controls_a.finish(LIMIT).and_then(|()| controls_b.finish(LIMIT));
    let limit = if outcome.is_ok() {
        LIMIT
    } else {
        Duration::from_secs(2)
    };
    a.finish(limit).and_then(|()| b.finish(limit))?;
    outcome?;
    server.finish()
}

/// Each server is the other's outbound proxy.
fn looped(scene: &Scene) -> Outcome {
    let [one, two] = [1, 2].map(|last| SocketAddr::from(([192, 0, 2, last], server::PORT)));
    let capture = Capture::on("lo", &scene.dir)?;
    let mut servers = Vec::new();
    for (name, own, other) in [("one", one, two), ("two", two, one)] {
        scene.add_address(own.ip())?;
        let mut config = Config::new(&format!("sip:{other}"));
        config.transport = format!("sip:{own}");
        config.trusted_hosts = format!("{} {}", Side::A.phone(), other.ip());
        servers.push(Server::start_as(name, scene, &config)?);
    }
    Run::caller("uac_loop", one).start(scene)?.finish(LIMIT)?;
    let wire = capture.finish()?;
    let invites = wire.messages.iter().filter(|m| m.is_request("INVITE")).count();
    if !(1..=71).contains(&invites) {
        return Err(format!(
            "{invites} INVITEs between the two servers, expected no more than Max-Forwards allows"
        ));
    }
    servers.into_iter().try_for_each(Server::finish)
}

/// Who is at the other end of the handshake could not be told: it is refused, and not taken for something else.
fn dtls(scene: &Scene) -> Outcome {
    let captures = scene.capture()?;
    let config = Config::new(&format!("sip:{}", Run::callee("uas").at));
    let server = Server::start(scene, &config)?;
    Run::caller("uac_dtls", at(Side::A)).start(scene)?.finish(LIMIT)?;
    let (_, wire_b) = captures.finish()?;
    if let Some(message) = wire_b.messages.first() {
        return Err(format!("leg B was called: {}", message.start));
    }
    server.finish()
}
