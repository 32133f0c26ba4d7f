//! A party that speaks ZRTP leaves, and another one that does takes its place: the same call is keyed anew with it (acceptance #6,
//! #8). Both have the machine itself, and what one seals is carried by the relay's own hands and opened by the other.

use b2bua::{
    call::{CallEvent, Encryption, EncryptionPolicy, Side, TransferMode, bridge::CallSettings},
    media::{
        Connect, Protection, SrtpKey,
        packet::Packet,
        srtp::{SrtpIn, SrtpOut},
    },
    testing::{Phone, Scene, Sim, Verdicts, settings},
};
use std::time::Duration;

const BOTH: [Side; 2] = [Side::A, Side::B];
const SECOND: Duration = Duration::from_secs(1);
const MODES: [Encryption; 4] = [
    Encryption::None,
    Encryption::Sdes,
    Encryption::DtlsSrtp,
    Encryption::Zrtp,
];

/// How the two parties at the beginning are keyed, and the third one.
#[derive(Clone, Copy)]
struct Modes {
    /// Whose place is taken.
    by: Side,
    leaves: Encryption,
    stays: Encryption,
    comes: Encryption,
}

impl Modes {
    /// ZRTP on that side, before and after.
    fn zrtp(by: Side, stays: Encryption) -> Self {
        let (leaves, comes) = (Encryption::Zrtp, Encryption::Zrtp);
        Self {
            by,
            leaves,
            stays,
            comes,
        }
    }
    /// A call that is up and keyed, with somebody who could take a place. `loss`: of so many packets in a hundred of each ZRTP
    /// nothing is heard.
    fn up(self, seed: u64, loss: u64, video: bool) -> Scene {
        let Self {
            by,
            leaves,
            stays,
            comes,
        } = self;
        let (a, b) = match by {
            Side::A => (leaves, stays),
            Side::B => (stays, leaves),
        };
        let verdicts = Verdicts::routes(move |invite| {
            let third = invite.to.uri.as_str().contains("carol");
            let mode = if third { comes } else { b };
            vec![Verdicts::outgoing(invite, EncryptionPolicy::Only(mode))]
        });
        let executing = CallSettings {
            transfer: TransferMode::Execute,
            ..settings()
        };
        let mut sim = Sim::with(verdicts, executing, seed);
        if by == Side::A {
            // She is reached from where the transferor was: his ports are hers.
            sim.c.server = sim.a.server;
        }
        let now = sim.now;
        let mut scene = Scene {
            sim,
            a: Phone::new(Side::A, seed).keyed(a, seed, now),
            b: Phone::new(Side::B, seed).keyed(b, seed, now),
            c: Some(Phone::third(by, seed).keyed(comes, seed, now)),
        };
        let c = scene.c.as_mut().unwrap();
        for phone in [&mut scene.a, &mut scene.b, c] {
            phone.video = video;
            if let Some(zrtp) = &mut phone.zrtp {
                zrtp.loss = loss;
            }
        }
        scene.call();
        scene.run(if loss > 0 { 12 * SECOND } else { 2 * SECOND });
        assert!(scene.a.up && scene.b.up, "{}", scene.sim.ladder());
        scene.assert_media();
        scene
    }
}

/// The strings that were told of a side, in their order.
fn strings(scene: &Scene, side: Side) -> Vec<String> {
    let events = scene.sim.events.iter();
    events
        .filter_map(|event| match event {
            CallEvent::Keyed {
                side: of,
                sas: Some(sas),
                ..
            } if *of == side => Some(sas.text.clone()),
            _ => None,
        })
        .collect()
}

fn seen(phone: &Phone) -> Option<String> {
    Some(phone.zrtp.as_ref()?.sas.as_ref()?.text.clone())
}

fn connected(scene: &Scene, side: Side, stream: usize) -> Connect {
    scene.sim.relay.side(side, stream).unwrap().clone()
}

/// Whoever is on a side refers the other one to the third.
fn refer(scene: &mut Scene, by: Side) {
    let refer = "Refer-To: <sip:carol@example.org>\r\n";
    let bytes = scene.sim.peer(by).request("REFER", refer, "");
    scene.sim.send(by, bytes);
}

/// The third one calls for the place of who is on a side.
fn replace(scene: &mut Scene, by: Side) {
    let replaces = format!("Replaces: {}\r\n", scene.sim.peer(by).replaces());
    let c = scene.c.as_mut().unwrap();
    c.call_with(&mut scene.sim, "sip:bob@example.org", &replaces);
}

/// Runs until the third has the place and its keys. On its side nothing may be clear at any moment, and from when its media is
/// expected there, nothing of whose place it took may be opened or sent.
fn run_until_keyed(scene: &mut Scene, by: Side, at_most: Duration) {
    let streams = scene.a.views.len();
    assert!(streams > 0);
    let before: Vec<Connect> = (0..streams).map(|stream| connected(scene, by, stream)).collect();
    let home = scene.c.as_ref().unwrap().rtp.ip();
    let (end, mut blocked) = (scene.sim.now + at_most, vec![false; streams]);
    let mut keyed = 0;
    while scene.sim.now < end {
        scene.run(Duration::from_millis(1));
        keyed = 0;
        for (stream, before) in before.iter().enumerate() {
            let now = connected(scene, by, stream);
            for protection in [&now.receive, &now.send] {
                assert_ne!(*protection, Protection::Clear, "{}", scene.sim.ladder());
            }
            if now.remote.rtp.is_none_or(|at| at.ip() != home) {
                assert_eq!((&now.receive, &now.send), (&before.receive, &before.send));
                continue;
            }
            assert!(now.receive != before.receive && now.send != before.send);
            blocked[stream] |= (&now.receive, &now.send) == (&Protection::Blocked, &Protection::Blocked);
            keyed += usize::from(matches!(
                (now.receive, now.send),
                (Protection::Srtp(_), Protection::Srtp(_))
            ));
        }
        let leaver = if by == Side::A { &scene.a } else { &scene.b };
        if keyed == streams && leaver.ended {
            break;
        }
    }
    assert_eq!(keyed, streams, "no keys in time\n{}", scene.sim.ladder());
    assert!(blocked.iter().all(|blocked| *blocked), "it had no keys at first");
}

fn voice(number: u8) -> Vec<u8> {
    let mut packet = vec![0x80, 0, 0, number, 0, 0, 0, 160, 9, 8, 7, 6];
    packet.extend([number; 160]);
    packet
}

/// The key by which a phone seals, or opens, its audio; `None`: it is a plain one.
fn key(phone: &Phone, sends: bool) -> Option<SrtpKey> {
    let zrtp = phone.zrtp.as_ref()?;
    let keys = if sends { &zrtp.send } else { &zrtp.receive };
    Some(keys[&0].clone())
}

/// So many packets of a phone's voice, as it sends them.
fn spoken(phone: &Phone, count: u8) -> Vec<Vec<u8>> {
    let mut seal = key(phone, true).map(|key| SrtpOut::new(&key).unwrap());
    let packets = (1..=count).map(|number| {
        let mut packet = Packet::new();
        packet.fill(&voice(number));
        if let Some(seal) = &mut seal {
            seal.seal_rtp(&mut packet).unwrap();
        }
        packet.bytes().to_vec()
    });
    packets.collect()
}

/// What one phone says arrives at the other, each under its own keys.
fn assert_heard(scene: &Scene, from: &Phone, to: &Phone) {
    let mut carrier = scene.sim.relay.carrier(0, scene.sim.now).unwrap();
    let mut open = key(to, false).map(|key| SrtpIn::new(&key).unwrap());
    let spoken = spoken(from, 4);
    assert_eq!(spoken.len(), 4);
    for (number, sent) in (1..).zip(spoken) {
        let arrived = carrier.carry(from.side, &sent).unwrap();
        assert_ne!(
            arrived, sent,
            "one of the two is keyed, and if both are, by other keys"
        );
        let mut packet = Packet::new();
        packet.fill(&arrived);
        if let Some(open) = &mut open {
            open.open_rtp(&mut packet).unwrap();
        }
        assert_eq!(packet.bytes(), voice(number));
    }
}

/// What whoever has left says under its keys is not heard any more, and of what is said now it can open nothing.
fn assert_is_out(scene: &Scene, left: &Phone, stays: &Phone) {
    let mut carrier = scene.sim.relay.carrier(0, scene.sim.now).unwrap();
    assert_eq!(carrier.carry(left.side, &spoken(left, 1)[0]), Err("auth"));
    let said = carrier.carry(stays.side, &spoken(stays, 1)[0]).unwrap();
    let mut packet = Packet::new();
    packet.fill(&said);
    let mut open = SrtpIn::new(&key(left, false).unwrap()).unwrap();
    assert!(open.open_rtp(&mut packet).is_err());
}

/// The third is there: it and who stays hear each other, and the server has told the string that it sees.
fn assert_joined(scene: &Scene, modes: Modes) {
    let (left, stays) = match modes.by {
        Side::A => (&scene.a, &scene.b),
        Side::B => (&scene.b, &scene.a),
    };
    let c = scene.c.as_ref().unwrap();
    assert!(left.ended && !stays.ended && !c.ended, "{}", scene.sim.ladder());
    scene.sim.assert_media(stays, c);
    let told = strings(scene, modes.by);
    let expected: Vec<String> = [left, c].into_iter().filter_map(seen).collect();
    assert_eq!(told, expected, "each party's string, once");
    if matches!(modes.stays, Encryption::None | Encryption::Zrtp) {
        assert_heard(scene, stays, c);
        assert_heard(scene, c, stays);
        assert_is_out(scene, left, stays);
    }
}

/// The call ends, and its record shows the strings of who was there at the end.
fn assert_ends(mut scene: Scene, by: Side) {
    let stays = by.other();
    scene.hang_up(stays);
    scene.run(70 * SECOND);
    let c = scene.c.as_ref().unwrap();
    assert!(
        c.ended && scene.a.ended && scene.b.ended,
        "{}",
        scene.sim.ladder()
    );
    scene.sim.assert_done();
    let summary = scene.sim.summary.as_ref().unwrap();
    let recorded = |side| {
        let (sas, mode) = match side {
            Side::A => (&summary.sas.0, summary.encryption.0),
            Side::B => (&summary.sas.1, summary.encryption.1),
        };
        (sas.as_ref().map(|sas| sas.text.clone()), mode)
    };
    let stayed = if stays == Side::A { &scene.a } else { &scene.b };
    assert_eq!(recorded(by), (seen(c), mode_of(c)));
    assert_eq!(recorded(stays), (seen(stayed), mode_of(stayed)));
}

fn mode_of(phone: &Phone) -> Option<Encryption> {
    Some(if phone.zrtp.is_some() {
        Encryption::Zrtp
    } else if phone.dtls.is_some() {
        Encryption::DtlsSrtp
    } else if phone.secure.is_some() {
        Encryption::Sdes
    } else {
        Encryption::None
    })
}

#[test]
fn acceptance_8_after_an_executed_transfer_the_call_is_keyed_anew_with_the_target() {
    for by in BOTH {
        for stays in MODES {
            let modes = Modes::zrtp(by, stays);
            let mut scene = modes.up(3, 0, false);
            refer(&mut scene, by);
            run_until_keyed(&mut scene, by, 2 * SECOND);
            scene.run(SECOND);
            assert_joined(&scene, modes);
            assert_ends(scene, by);
        }
    }
}

/// Acceptance #8 whole: lossy ways, audio and video.
#[test]
fn acceptance_8_under_loss_the_target_is_keyed_and_nothing_is_clear_meanwhile() {
    for by in BOTH {
        for seed in 0..6 {
            let modes = Modes::zrtp(by, Encryption::None);
            let mut scene = modes.up(40 + seed, 20, true);
            refer(&mut scene, by);
            // As long as both have for it at the beginning of a call.
            let end = scene.sim.now + 12 * SECOND;
            run_until_keyed(&mut scene, by, 12 * SECOND);
            scene.run_until(end);
            assert_eq!(scene.c.as_ref().unwrap().views.len(), 2);
            assert_joined(&scene, modes);
            assert_ends(scene, by);
        }
    }
}

#[test]
fn acceptance_6_a_device_with_zrtp_that_takes_over_is_keyed_anew() {
    for by in BOTH {
        for stays in MODES {
            let modes = Modes::zrtp(by, stays);
            let mut scene = modes.up(5, 0, false);
            replace(&mut scene, by);
            run_until_keyed(&mut scene, by, 2 * SECOND);
            scene.run(SECOND);
            assert_joined(&scene, modes);
            assert_ends(scene, by);
        }
    }
}

/// Who comes has other keys than ZRTP's, or who left had: the record shows the string of whoever was there at the end, if any.
#[test]
fn a_string_is_that_of_who_is_there() {
    for by in BOTH {
        for other in [Encryption::None, Encryption::Sdes] {
            for (leaves, comes) in [(Encryption::Zrtp, other), (other, Encryption::Zrtp)] {
                let stays = Encryption::Zrtp;
                let modes = Modes {
                    by,
                    leaves,
                    stays,
                    comes,
                };
                let mut scene = modes.up(6, 0, false);
                refer(&mut scene, by);
                scene.run(3 * SECOND);
                let (stayed, c) = (if by == Side::A { &scene.b } else { &scene.a }, scene.c.as_ref());
                scene.sim.assert_media(stayed, c.unwrap());
                assert_ends(scene, by);
            }
        }
    }
}

/// The target is there and keyed, but who stays does not take it: the transferor goes on under the keys and with the string that
/// it had.
#[test]
fn who_takes_its_place_again_has_the_keys_and_the_string_that_it_had() {
    for by in BOTH {
        let modes = Modes::zrtp(by, Encryption::None);
        let mut scene = modes.up(8, 0, false);
        let before = connected(&scene, by, 0);
        let (stays, _) = scene.phone(by.other());
        stays.refuses_changes = Some(488);
        // Long enough under way for an exchange of keys before the refusal.
        scene.sim.delay = Duration::from_millis(300);
        refer(&mut scene, by);
        let end = scene.sim.now + 10 * SECOND;
        let mut was_there = false;
        while scene.sim.now < end {
            scene.run(Duration::from_millis(5));
            let now = connected(&scene, by, 0);
            assert!(now.receive != Protection::Clear && now.send != Protection::Clear);
            was_there |= matches!(now.send, Protection::Srtp(_)) && now.send != before.send;
        }
        let c = scene.c.as_ref().unwrap();
        assert!(was_there && c.ended, "{}", scene.sim.ladder());
        assert_eq!(strings(&scene, by).last(), seen(c).as_ref());
        let now = connected(&scene, by, 0);
        assert_eq!((&now.receive, &now.send), (&before.receive, &before.send));
        scene.assert_media();
        assert_heard(&scene, &scene.a, &scene.b);
        assert_heard(&scene, &scene.b, &scene.a);
        let of_transferor = seen(scene.phone(by).0);
        scene.hang_up(by);
        scene.assert_ends();
        let summary = scene.sim.summary.as_ref().unwrap();
        let recorded = if by == Side::A {
            &summary.sas.0
        } else {
            &summary.sas.1
        };
        assert_eq!(recorded.as_ref().map(|sas| sas.text.clone()), of_transferor);
    }
}
