//! Transfers that the server executes: keys of who comes and who goes (acceptance #4, #6, #8, #9).
//! (`execute-*.call` are the ordinary ones.)

#[path = "executed/any_order.rs"]
mod any_order;

use b2bua::{
    call::{
        Decision, Encryption, EncryptionPolicy, InCall, Input, Question, Rescue, Side, TransferMode, Verdict,
        bridge::CallSettings, media_plan::Role,
    },
    media::{Component, KeyAgreement, MediaEvent, Protection, StreamId},
    sip::Message,
    testing::{Sim, Verdicts, Who, settings},
};
use std::{net::SocketAddr, time::Duration};

const REFER: &str = "Refer-To: <sip:carol@example.org>\r\n";
const SECOND: Duration = Duration::from_secs(1);

fn address(who: Who) -> SocketAddr {
    let text = match who {
        Who::A => "192.0.2.10:30000",
        Who::B => "192.0.2.200:40000",
        Who::C => "192.0.2.150:50000",
    };
    text.parse().unwrap()
}

/// What a party with that encryption says; each has keys of its own.
fn sdp(who: Who, mode: Encryption) -> String {
    let at = address(who);
    let letter = format!("{who:?}");
    let (profile, keys) = match mode {
        Encryption::None => ("RTP/AVP", String::new()),
        Encryption::Sdes => (
            "RTP/SAVP",
            format!(
                "a=crypto:2 AES_CM_128_HMAC_SHA1_80 inline:{}\r\n",
                letter.repeat(40)
            ),
        ),
        Encryption::DtlsSrtp => (
            "UDP/TLS/RTP/SAVP",
            format!("a=setup:active\r\na=fingerprint:{}\r\n", certificate(who)),
        ),
        Encryption::Zrtp => ("RTP/AVP", format!("a=zrtp-hash:1.10 {}\r\n", "0a".repeat(32))),
    };
    format!(
        "v=0\r\no={letter}-login 7 1 IN IP4 {0}\r\ns=-\r\nc=IN IP4 {0}\r\nt=0 0\r\nm=audio {1} {profile} 0\r\n{keys}",
        at.ip(),
        at.port()
    )
}

fn certificate(who: Who) -> String {
    let octet = format!("{:02X}", 0xA0 + who as u8);
    format!("sha-256 {}", [octet.as_str(); 32].join(":"))
}

fn executing() -> CallSettings {
    CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    }
}

/// A plain caller and a callee with that encryption, up; carol is to have the other.
fn up(bob: Encryption, carol: Encryption, seed: u64) -> Sim {
    let verdicts = Verdicts::Fixed(Box::new(move |question| {
        Some(match question {
            Question::Route(invite) => {
                let mode = if invite.to.uri.as_str().contains("carol") {
                    carol
                } else {
                    bob
                };
                let route = Verdicts::outgoing(&invite, EncryptionPolicy::Only(mode));
                Verdict::Route(Decision::Bridge(vec![route]))
            }
            Question::Rescue(_) => Verdict::Rescue(Rescue::Relay),
            Question::InCall(_) => Verdict::InCall(InCall::Forward),
            Question::Handover(_) => Verdict::Handover(Ok(())),
        })
    }));
    let mut sim = Sim::with(verdicts, executing(), seed);
    for who in [Who::A, Who::B, Who::C] {
        let certificate = certificate(who).parse().unwrap();
        sim.handshakes.certificates.insert(address(who), certificate);
    }
    let invite = sim
        .a
        .invite("sip:bob@example.org", "", &sdp(Who::A, Encryption::None));
    sim.send(Side::A, invite);
    sim.run(Duration::from_millis(20));
    respond(&mut sim, Who::B, "INVITE", 200, bob);
    let ack = sim.a.ack("");
    sim.send(Side::A, ack);
    if bob == Encryption::DtlsSrtp {
        greet(&mut sim, Who::B, 1);
    }
    sim.run(Duration::from_millis(50));
    sim.a.inbox.clear();
    sim.b.inbox.clear();
    sim
}

fn respond(sim: &mut Sim, who: Who, method: &str, status: u16, mode: Encryption) {
    if sim.party(who).requests.contains_key(method) {
        let body = if method == "INVITE" && (180..300).contains(&status) {
            sdp(who, mode)
        } else {
            String::new()
        };
        let bytes = sim.party(who).respond(method, status, "", "", &body);
        sim.send(who, bytes);
        sim.run(Duration::from_millis(5));
    }
}

fn request(sim: &mut Sim, who: Who, method: &str, headers: &str, body: &str) {
    let bytes = sim.party(who).request(method, headers, body);
    sim.send(who, bytes);
    sim.run(Duration::from_millis(5));
}

/// A ClientHello of a party, to the ports of side B.
fn greet(sim: &mut Sim, who: Who, number: u8) {
    let mut bytes = vec![22, 254, 255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 60];
    bytes.extend([1, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0, 48, 254, 253]);
    bytes.extend([number; 32]);
    bytes.extend([0; 14]);
    sim.feed(Input::Media(MediaEvent::Control {
        side: Side::B,
        stream: StreamId(0),
        component: Component::Rtp,
        from: address(who),
        bytes,
    }));
}

/// Bob refers alice to carol, and carol has answered; alice has not been asked to take her, or has not answered that.
fn joining(bob: Encryption, carol: Encryption) -> Sim {
    let mut sim = up(bob, carol, 7);
    request(&mut sim, Who::B, "REFER", REFER, "");
    respond(&mut sim, Who::B, "NOTIFY", 200, bob);
    respond(&mut sim, Who::C, "INVITE", 200, carol);
    assert!(sim.a.requests.contains_key("INVITE"), "{}", sim.ladder());
    sim
}

/// On side B the relay has that party, and nobody else may send.
fn assert_is_there(sim: &Sim, who: Who) {
    let connect = sim.relay.side(Side::B, 0).unwrap();
    assert_eq!(connect.remote.rtp, Some(address(who)), "{}", sim.ladder());
    assert!(
        connect.remote.also_from.iter().all(|ip| *ip == address(who).ip()),
        "{:?}",
        connect.remote.also_from
    );
}

fn ends(mut sim: Sim, party: Who) {
    request(&mut sim, Who::A, "BYE", "", "");
    respond(&mut sim, party, "BYE", 200, Encryption::None);
    sim.run(Duration::from_secs(70));
    sim.assert_done();
}

const MODES: [Encryption; 4] = [
    Encryption::None,
    Encryption::Sdes,
    Encryption::DtlsSrtp,
    Encryption::Zrtp,
];

#[test]
fn acceptance_6_the_target_has_keys_of_its_own_and_the_transferor_is_out_at_once() {
    for bob in MODES {
        for carol in MODES {
            let before = keys(&up(bob, carol, 7));
            let mut sim = joining(bob, carol);
            let answered = sim.now;
            // Before alice has answered: what bob sends is nobody's any more.
            assert_is_there(&sim, Who::C);
            let now = keys(&sim);
            match carol {
                Encryption::None => assert_eq!(now, (Protection::Clear, Protection::Clear)),
                Encryption::Sdes => {
                    assert!(matches!(now, (Protection::Srtp(_), Protection::Srtp(_))), "{bob}");
                }
                // Not before they are agreed on with her.
                Encryption::DtlsSrtp | Encryption::Zrtp => {
                    assert_eq!(now, (Protection::Blocked, Protection::Blocked), "{bob}");
                }
            }
            if carol != Encryption::None {
                assert!(now.0 != before.0 || now.0 == Protection::Blocked, "{bob} {carol}");
                assert!(now.1 != before.1 || now.1 == Protection::Blocked, "{bob} {carol}");
            }
            match carol {
                Encryption::DtlsSrtp => {
                    greet(&mut sim, Who::C, 2);
                    sim.run(Duration::from_millis(30));
                    let (_, role, with) = *sim.handshakes.begun.last().unwrap();
                    assert_eq!((role, with), (Role::Server, address(Who::C)));
                    let keyed = keys(&sim);
                    assert!(
                        matches!(keyed, (Protection::Srtp(_), Protection::Srtp(_))),
                        "{bob}\n{}",
                        sim.ladder()
                    );
                    assert!(keyed.0 != before.0 && keyed.1 != before.1);
                }
                Encryption::Zrtp => {
                    sim.run(Duration::from_millis(30));
                    let connect = sim.relay.side(Side::B, 0).unwrap();
                    assert_eq!(connect.agreement, Some(KeyAgreement::Zrtp));
                    let hellos = sim.relay.sent.iter().filter(|(side, ..)| *side == Side::B);
                    assert!(hellos.count() > 0, "{bob}: nobody greets her");
                }
                Encryption::None | Encryption::Sdes => {}
            }
            assert!(sim.now - answered < SECOND);
            respond(&mut sim, Who::A, "INVITE", 200, Encryption::None);
            assert_is_there(&sim, Who::C);
            respond(&mut sim, Who::B, "NOTIFY", 200, bob);
            assert!(
                sim.b.requests.contains_key("BYE"),
                "{bob} {carol}\n{}",
                sim.ladder()
            );
            respond(&mut sim, Who::B, "BYE", 200, bob);
            ends(sim, Who::C);
        }
    }
}

#[test]
fn acceptance_27_who_takes_its_place_again_has_its_keys_again() {
    for bob in [Encryption::None, Encryption::Sdes, Encryption::DtlsSrtp] {
        for carol in MODES {
            let before = keys(&up(bob, carol, 7));
            let mut sim = joining(bob, carol);
            let begun = |sim: &Sim| {
                let begun = sim.handshakes.begun.iter();
                begun.filter(|(_, _, with)| *with == address(Who::B)).count()
            };
            let handshakes = begun(&sim);
            respond(&mut sim, Who::A, "INVITE", 488, Encryption::None);
            assert_is_there(&sim, Who::B);
            assert_eq!(keys(&sim), before, "{bob} {carol}\n{}", sim.ladder());
            sim.run(2 * SECOND);
            assert_eq!(begun(&sim), handshakes, "no handshake for what is agreed");
            respond(&mut sim, Who::C, "BYE", 200, carol);
            respond(&mut sim, Who::B, "NOTIFY", 200, bob);
            let last = sim.b.inbox.iter().rev().find_map(|message| match message {
                Message::Request(request) if request.method.to_string() == "NOTIFY" => {
                    Some(request.body.clone())
                }
                _ => None,
            });
            assert_eq!(last.unwrap(), &b"SIP/2.0 488 Not Acceptable Here\r\n"[..]);
            ends(sim, Who::B);
        }
    }
}

#[test]
fn acceptance_9_a_target_that_never_agrees_on_keys_hears_nothing_and_the_call_ends() {
    for carol in [Encryption::DtlsSrtp, Encryption::Zrtp] {
        let mut sim = joining(Encryption::None, carol);
        respond(&mut sim, Who::A, "INVITE", 200, Encryption::None);
        respond(&mut sim, Who::B, "NOTIFY", 200, Encryption::None);
        respond(&mut sim, Who::B, "BYE", 200, Encryption::None);
        let end = sim.now + 20 * SECOND;
        while sim.now < end && !sim.a.requests.contains_key("BYE") {
            sim.run(Duration::from_millis(100));
            if let Some(connect) = sim.relay.side(Side::B, 0) {
                assert_eq!(
                    (&connect.receive, &connect.send),
                    (&Protection::Blocked, &Protection::Blocked)
                );
            }
        }
        assert!(sim.a.requests.contains_key("BYE"), "{carol}\n{}", sim.ladder());
        respond(&mut sim, Who::A, "BYE", 200, Encryption::None);
        respond(&mut sim, Who::C, "BYE", 200, carol);
        sim.run(70 * SECOND);
        sim.assert_done();
    }
}

/// How the relay opens and seals what comes from side B and goes there.
fn keys(sim: &Sim) -> (Protection, Protection) {
    let connect = sim.relay.side(Side::B, 0).unwrap();
    (connect.receive.clone(), connect.send.clone())
}

/// Carol calls for the place of bob, with that encryption, and alice has been asked.
fn handing_over(bob: Encryption, carol: Encryption) -> Sim {
    let mut sim = up(bob, carol, 7);
    let replaces = format!("Replaces: {}\r\n", sim.b.replaces());
    let invite = sim
        .c
        .invite("sip:bob@example.org", &replaces, &sdp(Who::C, carol));
    sim.send(Who::C, invite);
    sim.run(Duration::from_millis(5));
    sim
}

#[test]
fn acceptance_6_a_device_that_takes_over_has_keys_of_its_own_and_the_former_one_is_out() {
    for bob in [Encryption::None, Encryption::Sdes, Encryption::DtlsSrtp] {
        for carol in [Encryption::Sdes, Encryption::DtlsSrtp] {
            let before = keys(&up(bob, carol, 7));
            let mut sim = handing_over(bob, carol);
            assert!(
                sim.a.requests.contains_key("INVITE"),
                "{bob} {carol}\n{}",
                sim.ladder()
            );
            assert_eq!(keys(&sim), before, "nothing changes before she is taken");
            assert_is_there(&sim, Who::B);
            let asked = sim.now;
            respond(&mut sim, Who::A, "INVITE", 200, Encryption::None);
            sim.run(Duration::from_millis(20));
            let answer = sim.c.response(200).expect("she is answered");
            let answer = String::from_utf8_lossy(&answer.body).into_owned();
            assert_is_there(&sim, Who::C);
            let ack = sim.c.ack("");
            sim.send(Who::C, ack);
            sim.run(Duration::from_millis(5));
            match carol {
                Encryption::DtlsSrtp => {
                    assert!(answer.contains("a=setup:passive"), "{answer}");
                    greet(&mut sim, Who::C, 2);
                    sim.run(Duration::from_millis(30));
                    let (_, _, with) = *sim.handshakes.begun.last().unwrap();
                    assert_eq!(with, address(Who::C));
                }
                _ => assert!(answer.contains("a=crypto:2 "), "{answer}"),
            }
            let now = keys(&sim);
            assert!(
                matches!(now, (Protection::Srtp(_), Protection::Srtp(_))),
                "{bob} {carol}\n{}",
                sim.ladder()
            );
            assert!(now.0 != before.0 && now.1 != before.1, "{bob} {carol}");
            assert!(sim.now - asked < SECOND);
            assert!(sim.b.requests.contains_key("BYE"), "{bob} {carol}");
            respond(&mut sim, Who::B, "BYE", 200, bob);
            ends(sim, Who::C);
        }
    }
}

#[test]
fn acceptance_6_a_device_takes_no_encrypted_call_over_in_clear() {
    for bob in [Encryption::Sdes, Encryption::DtlsSrtp] {
        let mut sim = handing_over(bob, Encryption::None);
        assert!(sim.c.response(488).is_some(), "{bob}\n{}", sim.ladder());
        assert!(!sim.a.requests.contains_key("INVITE"), "nobody is asked");
        assert_is_there(&sim, Who::B);
        let ack = sim.c.ack_failure();
        sim.send(Who::C, ack);
        sim.run(Duration::from_millis(5));
        ends(sim, Who::B);
    }
}
