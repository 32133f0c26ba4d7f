//! Acceptance #35: T.38. UDPTL is not carried: it is refused with 488, or alone beside a voice that goes on.

use super::duo::{Duo, says};
use b2bua::{call::Side, sip::Method};

const FAX: &str = "a=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\n\
                   a=T38FaxUdpEC:t38UDPRedundancy\r\n";

fn port(side: Side) -> u16 {
    match side {
        Side::A => 30_000,
        Side::B => 40_000,
    }
}
/// The voice becomes a fax, in its own place.
fn instead(side: Side) -> String {
    says(side, port(side), "0", "")
        .replace("m=audio", "m=image")
        .replace("RTP/AVP 0", "udptl t38")
        + FAX
}
/// The voice is taken out and the fax comes after it.
fn after(side: Side) -> String {
    let fax = port(side) + 10;
    says(
        side,
        port(side),
        "0",
        &format!("m=image {fax} udptl t38\r\n{FAX}"),
    )
    .replace(&format!("m=audio {}", port(side)), "m=audio 0")
}
/// Both at once.
fn beside(side: Side) -> String {
    let fax = port(side) + 10;
    says(
        side,
        port(side),
        "0",
        &format!("m=image {fax} udptl t38\r\n{FAX}"),
    )
}

fn up() -> Duo {
    let mut duo = Duo::new("", &says(Side::A, port(Side::A), "0", ""));
    duo.respond(200, "", false, &says(Side::B, port(Side::B), "0", ""));
    duo
}
fn assert_voice(duo: &Duo) {
    let ladder = || duo.sim.ladder();
    for side in [Side::A, Side::B] {
        assert_eq!(duo.port(side), Some(port(side)), "{}", ladder());
        assert!(
            duo.sim
                .relay
                .ports
                .contains_key(&(side, b2bua::media::StreamId(0))),
            "{}",
            ladder()
        );
    }
}

#[test]
fn acceptance_35_a_fax_instead_of_the_voice_is_refused_with_488_and_the_voice_goes_on() {
    for side in [Side::A, Side::B] {
        for method in ["INVITE", "UPDATE"] {
            for offer in [instead(side), after(side)] {
                let mut duo = up();
                let told = duo.told.0.len() + duo.told.1.len();
                let connects = duo.sim.relay.connects.len();
                duo.ask(side, method, &offer);
                assert_eq!(
                    duo.finals.last(),
                    Some(&(side, Method::from(method), 488)),
                    "{}",
                    duo.sim.ladder()
                );
                assert_eq!(
                    duo.told.0.len() + duo.told.1.len(),
                    told,
                    "nobody else was asked\n{}",
                    duo.sim.ladder()
                );
                assert_eq!(
                    duo.sim.relay.connects.len(),
                    connects,
                    "and nothing else was connected"
                );
                assert_voice(&duo);
                // The former state stands, and can still be changed by either.
                for side in [Side::A, Side::B] {
                    duo.ask(side, "INVITE", &says(side, port(side), "0", "a=sendonly\r\n"));
                    assert_eq!(
                        duo.finals.last(),
                        Some(&(side, Method::Invite, 200)),
                        "{}",
                        duo.sim.ladder()
                    );
                }
                assert_voice(&duo);
                duo.end();
            }
        }
    }
}

#[test]
fn acceptance_35_a_fax_beside_the_voice_is_refused_alone() {
    for side in [Side::A, Side::B] {
        let mut duo = up();
        let other = side.other();
        // Whoever is offered it refuses it in its place, as it was offered: refused.
        let answer = says(other, port(other), "0", "m=image 0 udptl t38\r\n");
        match other {
            Side::A => duo.answers.0 = answer,
            Side::B => duo.answers.1 = answer,
        }
        duo.ask(side, "INVITE", &beside(side));
        duo.run(100);
        assert_eq!(
            duo.finals.last(),
            Some(&(side, Method::Invite, 200)),
            "{}",
            duo.sim.ladder()
        );
        for side in [Side::A, Side::B] {
            let (_, sdp) = duo.last(side);
            let lines: Vec<_> = sdp
                .media
                .iter()
                .map(|media| (media.kind.as_str(), media.port > 0))
                .collect();
            assert_eq!(lines, [("audio", true), ("image", false)], "{}", duo.sim.ladder());
        }
        assert_voice(&duo);
        duo.end();
    }
}

#[test]
fn acceptance_35_a_call_that_begins_as_a_fax_is_refused_with_488() {
    let policy = b2bua::call::EncryptionPolicy::Only(b2bua::call::Encryption::None);
    let mut sim = b2bua::testing::Sim::new(b2bua::testing::Verdicts::direct(policy));
    let invite = sim.a.invite("sip:bob@example.org", "", &instead(Side::A));
    sim.send(Side::A, invite);
    sim.run(std::time::Duration::from_millis(50));
    assert!(sim.a.response(488).is_some(), "{}", sim.ladder());
    assert!(!sim.b.requests.contains_key("INVITE"));
    let ack = sim.a.ack_failure();
    sim.send(Side::A, ack);
    sim.run(std::time::Duration::from_secs(60));
    sim.assert_done();
}
