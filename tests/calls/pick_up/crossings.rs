//! Who picks up is one of several who do something at the same time.

use super::*;

/// The answer of the callee and the INVITE of who picks up, at all distances in both orders.
#[test]
fn of_the_callee_and_who_picks_up_exactly_one_has_the_call() {
    for think in [Duration::ZERO, 3 * MS] {
        for more in ["", ";early-only"] {
            let mut won = [0; 2];
            for lead in 0..16 {
                let mut call = ringing(Setup {
                    think,
                    ..Setup::plain()
                });
                // He answers at 10 s, one on its way for a millisecond.
                let until = call.scene.sim.began + 10 * SECOND - 6 * MS + lead * MS;
                call.scene.run_until(until);
                call.picks_up(more);
                call.scene.run(5 * SECOND);
                let ladder = call.ladder();
                let (b, c) = (call.scene.b.up && !call.scene.b.ended, call.c().up);
                assert!(call.scene.a.up && b != c, "{lead} {more}\n{ladder}");
                won[usize::from(c)] += 1;
                assert_eq!(call.lines(), usize::from(b));
                let other = if b { &call.scene.b } else { call.c() };
                call.scene.sim.assert_media(&call.scene.a, other);
                assert_eq!(call.count(Who::A, "SIP/2.0 200"), 1, "{ladder}");
                if b {
                    assert_eq!(call.c().failed, Some(486), "{ladder}");
                    assert!(call.c().ended);
                } else {
                    assert_eq!(call.became(), [200]);
                    assert!(call.scene.b.ended, "{ladder}");
                }
                call.scene.hang_up(Side::A);
                call.ends();
            }
            let [b, c] = won;
            // Who does not say `early-only` takes his place even when he has answered.
            assert!(c > 0 && (b > 0) != more.is_empty(), "{won:?} {more}");
        }
    }
}

#[test]
fn a_caller_that_gives_up_leaves_nobody_whenever_somebody_picks_up() {
    for think in [Duration::ZERO, 3 * MS] {
        let (mut taken, mut refused) = (0, 0);
        for lead in 0..16 {
            let mut call = ringing(Setup {
                think,
                ..Setup::plain()
            });
            let cancel = call.scene.sim.a.cancel("");
            // Its way is ten milliseconds longer.
            call.scene.sim.send_after(Side::A, cancel, 10 * MS);
            call.scene.run(lead * MS);
            call.picks_up("");
            call.scene.run(SECOND);
            let ladder = call.ladder();
            if call.scene.a.up {
                taken += 1;
                call.scene.sim.assert_media(&call.scene.a, call.c());
                call.scene.hang_up(Side::A);
            } else {
                refused += 1;
                let code = call.c().failed;
                // Or the call has gone already.
                assert!(matches!(code, Some(481 | 603)), "{lead} {code:?}\n{ladder}");
                assert_eq!(call.scene.a.failed, Some(487), "{ladder}");
            }
            call.ends();
        }
        assert!(taken > 0 && refused > 0, "{taken} {refused}");
    }
}

#[test]
fn who_picks_up_and_gives_up_leaves_the_callee_ringing_or_ends_the_call() {
    let (mut taken, mut rings) = (0, 0);
    for after in 0..12 {
        let mut call = ringing(Setup {
            think: 5 * MS,
            ..Setup::keyed(Encryption::Sdes)
        });
        call.picks_up("");
        call.scene.run(after * MS);
        let cancel = call.scene.sim.c.cancel("");
        call.scene.sim.send(Who::C, cancel);
        call.scene.run(SECOND);
        if call.c().up {
            taken += 1;
            call.assert_picked_up();
            let (c, sim) = (call.scene.c.as_mut().unwrap(), &mut call.scene.sim);
            c.hang_up(sim);
            call.ends();
        } else {
            rings += 1;
            call.assert_rings_on(487);
        }
    }
    assert!(taken > 0 && rings > 0, "{taken} {rings}");
}

#[test]
fn a_callee_that_refuses_while_the_application_thinks_leaves_nothing_to_pick_up() {
    for after in 0..8 {
        let mut call = ringing(Setup {
            think: 4 * MS,
            ..Setup::plain()
        });
        call.picks_up("");
        call.scene.run(after * MS);
        let busy = call.scene.sim.b.respond("INVITE", 486, "", "", "");
        call.scene.sim.send(Side::B, busy);
        call.scene.b.gone = true;
        call.scene.run(SECOND);
        let ladder = call.ladder();
        if call.scene.a.up {
            assert!(call.c().up && after > 3, "{ladder}");
            call.scene.hang_up(Side::A);
        } else {
            assert_eq!(call.c().failed, Some(481), "{after}\n{ladder}");
            assert_eq!(call.scene.a.failed, Some(486), "{ladder}");
            assert_eq!(call.became(), [481]);
        }
        call.scene.run(70 * SECOND);
        call.scene.sim.assert_done();
        assert_eq!(call.lines(), 0);
    }
}

/// The callee's 200 is on its way when the server cancels.
#[test]
fn an_answer_that_comes_too_late_is_acknowledged_and_ended() {
    let mut call = ringing(Setup::plain());
    call.picks_up("");
    let answer = "v=0\r\no=bob-device 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0\r\n";
    let late = call.scene.sim.b.respond("INVITE", 200, "", "", answer);
    call.scene.b.gone = true;
    call.scene.sim.send_after(Side::B, late, 2 * MS);
    call.scene.run(20 * MS);
    assert!(call.scene.a.up && call.c().up, "{}", call.ladder());
    assert_eq!(
        (call.count(Who::B, "ACK "), call.count(Who::B, "BYE ")),
        (1, 1),
        "{}",
        call.ladder()
    );
    call.scene.sim.assert_media(&call.scene.a, call.c());
    let bye = call.scene.sim.b.respond("BYE", 200, "", "", "");
    call.scene.sim.send(Side::B, bye);
    call.scene.hang_up(Side::A);
    call.scene.run(70 * SECOND);
    call.scene.sim.assert_done();
}
