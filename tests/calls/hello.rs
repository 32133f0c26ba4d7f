//! Hellos of ZRTP that nobody announced.

use super::unkeyed::bob_says;
use b2bua::{
    call::{CallEvent, Encryption, EncryptionPolicy, Input, Side},
    media::{
        Component, KeyAgreement, MediaEvent, Protection, StreamId,
        zrtp::{Association, Env, Message, Output, Packet, Settings, StreamIndex, Zid},
    },
    sip::Ids,
    testing::{Hold, Phone, Scene, Sim, Verdicts, ZID, settings},
};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
pub(crate) const AUDIO: StreamIndex = StreamIndex(0);

/// A phone's machine, of which a test sends what it likes.
pub(crate) struct Device {
    pub(crate) association: Association,
    ids: Ids,
    hello: Vec<u8>,
}

impl Device {
    pub(crate) fn new(zid: Zid, seed: u64) -> Self {
        let mut device = Self {
            association: Association::new(zid, Settings::default()),
            ids: Ids::seeded(seed),
            hello: Vec::new(),
        };
        device.with(|association, env| association.add_stream(AUDIO, 7, env));
        device.with(|association, env| association.start(AUDIO, env));
        match device.association.poll_output() {
            Some(Output::Send(_, bytes)) => device.hello = bytes,
            other => panic!("{other:?}"),
        }
        device
    }
    pub(crate) fn with<T>(&mut self, act: impl FnOnce(&mut Association, &mut Env<'_>) -> T) -> T {
        let mut env = Env {
            #[expect(clippy::disallowed_methods, reason = "its timers are of no interest")]
            now: std::time::Instant::now(),
            random: &mut |bytes: &mut [u8]| self.ids.fill(bytes),
        };
        act(&mut self.association, &mut env)
    }
    pub(crate) fn hash(&self) -> String {
        self.association.hash(AUDIO).unwrap().to_string()
    }
    /// Its Hello, in a packet.
    pub(crate) fn hello(&self) -> Vec<u8> {
        self.hello.clone()
    }
}

/// A datagram of a key agreement from where a phone is.
fn datagram(scene: &mut Scene, side: Side, bytes: Vec<u8>) {
    let from = scene.phone(side).0.rtp;
    scene.sim.feed(Input::Media(MediaEvent::Control {
        side,
        stream: StreamId(0),
        component: Component::Rtp,
        from,
        bytes,
    }));
}

fn protections(scene: &Scene, side: Side) -> [Protection; 2] {
    let connect = scene.sim.relay.side(side, 0).unwrap();
    [connect.receive.clone(), connect.send.clone()]
}

const CLEAR: [Protection; 2] = [Protection::Clear, Protection::Clear];
const BLOCKED: [Protection; 2] = [Protection::Blocked, Protection::Blocked];

/// The callee gets what these say.
fn scene(a: Phone, b: Phone, encryption: Encryption, clear_without_zrtp: bool, seed: u64) -> Scene {
    let verdicts = Verdicts::routes(move |invite| {
        let mut route = Verdicts::outgoing(invite, EncryptionPolicy::Only(encryption));
        route.media.clear_without_zrtp = clear_without_zrtp;
        vec![route]
    });
    let sim = Sim::with(verdicts, settings(), seed);
    Scene { sim, a, b, c: None }
}

#[test]
fn a_caller_whose_hello_comes_in_the_media_is_keyed_and_stays_so() {
    for b in [
        Encryption::None,
        Encryption::Sdes,
        Encryption::DtlsSrtp,
        Encryption::Zrtp,
    ] {
        let mut scene = Scene::new(Encryption::Zrtp, b);
        scene.a.zrtp.as_mut().unwrap().silent = true;
        scene.call();
        let (mut was_clear, mut was_keyed) = (false, false);
        for _ in 0..400 {
            scene.run(Duration::from_millis(5));
            if scene.sim.relay.side(Side::A, 0).is_none() {
                continue;
            }
            match protections(&scene, Side::A) {
                [Protection::Clear, Protection::Clear] => {
                    assert!(!was_keyed, "{b}: clear again");
                    was_clear = true;
                }
                both => {
                    assert!(!both.contains(&Protection::Clear), "{b}: {both:?}");
                    was_keyed = true;
                }
            }
        }
        assert!(was_clear && was_keyed, "{b}");
        scene.assert_media();
        let keys = protections(&scene, Side::A);
        for hold in [Some(Hold::SendOnly), None] {
            scene.a.hold = hold;
            scene.reoffer(Side::A);
            assert!(scene.settle(SECOND));
            scene.assert_media();
            assert_eq!(protections(&scene, Side::A), keys);
            // Its own offers announce it now.
            scene.reoffer(Side::B);
            assert!(scene.settle(SECOND));
            let said = scene.a.heard.last().unwrap();
            assert!(said.media[0].attribute("zrtp-hash").is_some());
        }
        let seen = scene.a.zrtp.as_ref().unwrap().sas.clone().unwrap();
        scene.hang_up(Side::A);
        scene.assert_ends();
        let summary = scene.sim.summary.as_ref().unwrap();
        assert_eq!(summary.encryption, (Some(Encryption::Zrtp), Some(b)));
        let sas = summary.sas.0.as_ref().unwrap();
        assert_eq!(
            (&sas.text, sas.verified, sas.mismatch),
            (&seen.text, false, false)
        );
        assert_eq!(summary.sas.1.is_some(), b == Encryption::Zrtp);
    }
}

#[test]
fn a_hello_before_the_answer_counts_too() {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    scene.b.rings = 2 * SECOND;
    scene.call();
    scene.run(SECOND);
    bob_says(&mut scene, 183, "m=audio 40000 RTP/AVP 0\r\n");
    scene.run(Duration::from_millis(50));
    assert_eq!(protections(&scene, Side::A), CLEAR);
    datagram(&mut scene, Side::A, Device::new(Zid([1; 12]), 1).hello());
    assert_eq!(protections(&scene, Side::A), BLOCKED);
    scene.run(2 * SECOND);
    assert!(scene.a.up, "{}", scene.sim.ladder());
    assert_eq!(protections(&scene, Side::A), BLOCKED);
    assert_eq!(
        protections(&scene, Side::B),
        CLEAR,
        "leg B has been called already"
    );
    scene.run(16 * SECOND);
    assert!(scene.a.ended && scene.b.ended, "its keys never came");
    scene.assert_ends();
}

#[test]
fn only_a_hello_that_can_be_answered_makes_a_plain_leg_zrtp() {
    let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
    let hello = Device::new(Zid([1; 12]), 1).hello();
    let message = |bytes: &[u8]| match Message::parse(Packet::parse(bytes).unwrap().message) {
        Ok(Message::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    };
    let packet = |message: Message| {
        Packet {
            sequence: 1,
            ssrc: 1,
            message: &message.encode(),
        }
        .encode()
    };
    let mut later = message(&hello);
    later.version = *b"2.00";
    let mut ours = message(&hello);
    ours.zid = ZID;
    let mut broken = hello.clone();
    *broken.last_mut().unwrap() ^= 1;
    for other in [
        packet(Message::Hello(later)),
        packet(Message::Hello(ours)),
        packet(Message::HelloAck),
        packet(Message::Conf2Ack),
        broken,
        hello[..40].to_vec(),
    ] {
        datagram(&mut scene, Side::A, other);
        assert_eq!(protections(&scene, Side::A), CLEAR);
    }
    datagram(&mut scene, Side::A, hello);
    assert_eq!(protections(&scene, Side::A), BLOCKED);
    assert_eq!(protections(&scene, Side::B), CLEAR);
}

#[test]
fn a_hello_after_the_end_is_nobodys() {
    let mut scene = Scene::new(Encryption::None, Encryption::None).answered();
    scene.hang_up(Side::A);
    scene.run(Duration::from_millis(2));
    assert!(scene.sim.relay.closed);
    datagram(&mut scene, Side::A, Device::new(Zid([1; 12]), 1).hello());
    scene.assert_ends();
    assert_eq!(scene.sim.summary.unwrap().encryption.0, Some(Encryption::None));
}

/// The rule says none, so none it is, whatever the callee can.
#[test]
fn a_callee_that_is_to_be_called_in_clear_stays_so() {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    scene.b = Phone::new(Side::B, 1).zrtp(1, scene.sim.now);
    scene.b.zrtp.as_mut().unwrap().silent = true;
    let mut scene = scene.answered();
    for _ in 0..20 {
        scene.run(SECOND);
        assert_eq!(protections(&scene, Side::B), CLEAR);
        assert_eq!(scene.sim.relay.side(Side::B, 0).unwrap().agreement, None);
    }
    let agreement = scene.sim.relay.side(Side::A, 0).unwrap().agreement;
    assert_eq!(
        agreement,
        Some(KeyAgreement::Zrtp),
        "the caller's Hello would be heard"
    );
    scene.hang_up(Side::A);
    scene.assert_ends();
    assert_eq!(scene.sim.summary.unwrap().encryption.1, Some(Encryption::None));
}

#[test]
fn a_callee_without_zrtp_goes_on_in_the_clear_where_that_is_allowed_and_is_keyed_after_all_if_it_says_hello()
{
    let (a, b) = (Phone::new(Side::A, 1), Phone::new(Side::B, 1));
    let mut scene = scene(a, b, Encryption::Zrtp, true, 1).answered();
    for _ in 0..28 {
        assert_eq!(protections(&scene, Side::B), BLOCKED);
        scene.run(Duration::from_millis(100));
    }
    scene.run(2 * SECOND);
    assert_eq!(protections(&scene, Side::B), CLEAR);
    let told = scene.sim.events.iter().any(|event| {
        matches!(
            event,
            CallEvent::Keyed {
                side: Side::B,
                encryption: Encryption::None,
                sas: None
            }
        )
    });
    assert!(told);
    scene.assert_media();
    scene.reoffer(Side::A);
    assert!(scene.settle(SECOND));
    assert_eq!(protections(&scene, Side::B), CLEAR);
    datagram(&mut scene, Side::B, Device::new(Zid([2; 12]), 2).hello());
    assert_eq!(protections(&scene, Side::B), BLOCKED);
    scene.run(17 * SECOND);
    assert!(scene.a.ended && scene.b.ended, "it said Hello and no more");
    scene.assert_ends();
}

#[test]
fn who_has_said_hello_or_announced_it_is_never_heard_in_the_clear() {
    for announces in [false, true] {
        let (a, b) = (Phone::new(Side::A, 1), Phone::new(Side::B, 1));
        let mut scene = scene(a, b, Encryption::Zrtp, true, 1);
        if announces {
            scene.b = Phone::new(Side::B, 1).zrtp(1, scene.sim.now);
            scene.b.zrtp.as_mut().unwrap().mute = true;
        }
        let mut scene = scene.answered();
        if !announces {
            datagram(&mut scene, Side::B, Device::new(Zid([2; 12]), 2).hello());
        }
        for _ in 0..160 {
            scene.run(Duration::from_millis(100));
            if scene.sim.relay.side(Side::B, 0).is_some() {
                assert_eq!(protections(&scene, Side::B), BLOCKED);
            }
        }
        assert!(scene.a.ended && scene.b.ended);
        scene.assert_ends();
        assert_eq!(scene.sim.summary.unwrap().encryption.1, Some(Encryption::Zrtp));
    }
}
