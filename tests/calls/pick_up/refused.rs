//! What cannot be picked up is refused, and the callee rings on.

use super::*;

#[test]
fn whom_the_application_does_not_let_in_leaves_the_callee_ringing() {
    let mut call = ringing(Setup {
        refuses: Some(403),
        ..Setup::plain()
    });
    call.picks_up("");
    call.scene.run(SECOND);
    call.assert_rings_on(403);
}

#[test]
fn who_is_in_clear_does_not_pick_up_what_is_called_encrypted() {
    for mode in [Encryption::Sdes, Encryption::DtlsSrtp, Encryption::Zrtp] {
        let mut call = ringing(Setup {
            c: Encryption::None,
            ..Setup::keyed(mode)
        });
        call.picks_up("");
        call.scene.run(SECOND);
        call.assert_rings_on(488);
    }
}

#[test]
fn who_offers_nothing_does_not_pick_up() {
    let mut call = ringing(Setup::plain());
    call.scene.c.as_mut().unwrap().offerless = true;
    call.picks_up("");
    call.scene.run(SECOND);
    call.assert_rings_on(488);
}

#[test]
fn who_has_no_codec_of_the_callers_does_not_pick_up() {
    let mut call = ringing(Setup::plain());
    let replaces = format!("Replaces: {}\r\n", call.scene.sim.b.replaces());
    let offer = "v=0\r\no=carol-device 1 1 IN IP4 192.0.2.150\r\ns=-\r\nc=IN IP4 192.0.2.150\r\nt=0 0\r\n\
                 m=audio 50000 RTP/AVP 9 101\r\na=rtpmap:101 telephone-event/8000\r\n";
    let invite = call.scene.sim.c.invite("sip:bob@example.org", &replaces, offer);
    call.scene.sim.send(Who::C, invite);
    call.scene.run(SECOND);
    call.assert_rings_on(488);
}

#[test]
fn without_ports_left_nobody_picks_up_and_none_is_kept() {
    for video in [false, true] {
        let mut call = ringing(Setup {
            video: [video; 3],
            ..Setup::plain()
        });
        call.scene.sim.c.server = call.scene.sim.a.server;
        call.scene.sim.relay.free = usize::from(video);
        call.picks_up("");
        call.scene.run(SECOND);
        call.scene.sim.relay.free = 1_000;
        call.assert_rings_on(503);
    }
}

#[test]
fn a_caller_that_has_offered_nothing_is_not_picked_up() {
    let lines = Arc::new(AtomicUsize::new(0));
    let setup = Setup::plain();
    let executing = CallSettings {
        transfer: TransferMode::Execute,
        ..settings()
    };
    let mut scene = Scene {
        sim: Sim::with(verdicts(setup, &lines), executing, 3),
        a: Phone::new(Side::A, 3),
        b: Phone::new(Side::B, 3),
        c: Some(Phone::third(Side::B, 3)),
    };
    scene.a.offerless = true;
    scene.b.rings = 10 * SECOND;
    scene.call();
    scene.run(SECOND);
    let mut call = Ringing { scene, lines };
    call.picks_up("");
    call.scene.run(SECOND);
    call.assert_rings_on(488);
}

#[test]
fn only_an_early_dialog_of_the_callee_is_picked_up() {
    // Whose tag is another one's, or the caller's own dialog, which the server has not begun (RFC 3891 §3).
    for callers in [false, true] {
        let mut call = ringing(Setup::plain());
        let named = if callers {
            call.scene.sim.a.replaces()
        } else {
            call.scene.sim.b.replaces().replace(";from-tag=", ";from-tag=x")
        };
        let c = call.scene.c.as_mut().unwrap();
        let replaces = format!("Replaces: {named}\r\n");
        c.call_with(&mut call.scene.sim, "sip:bob@example.org", &replaces);
        call.scene.run(SECOND);
        assert_eq!(call.c().failed, Some(481), "{}", call.ladder());
        assert_eq!((call.became().len(), call.count(Who::B, "CANCEL ")), (0, 0));
        call.scene.hang_up(Side::A);
        call.scene.run(70 * SECOND);
        call.scene.sim.assert_done();
    }
}

#[test]
fn a_second_one_waits_its_turn_and_finds_nothing() {
    let mut call = ringing(Setup {
        think: SECOND,
        ..Setup::plain()
    });
    call.picks_up("");
    call.scene.run(SECOND / 2);
    let mut again = call.scene.sim.c.clone();
    again.call_id += "-again";
    let replaces = format!("Replaces: {}\r\n", call.scene.sim.b.replaces());
    let invite = again.invite("sip:bob@example.org", &replaces, "");
    call.scene.sim.send(Who::C, invite);
    call.scene.run(SECOND / 4);
    assert_eq!(call.count(Who::C, "SIP/2.0 491"), 1, "{}", call.ladder());
    call.scene.run(SECOND);
    call.scene.sim.assert_media(&call.scene.a, call.c());
    assert_eq!(call.became(), [200]);
    call.scene.hang_up(Side::A);
    call.scene.run(70 * SECOND);
    call.scene.sim.assert_done();
}
