//! The caller has heard an answer of the callee's before somebody picks up: early media, reliable or not, of one fork or of several.

use super::*;
use b2bua::{
    sip::{Message, Request},
    testing::peer::read,
};

fn answer(port: u16) -> String {
    format!(
        "v=0\r\no=bob-device 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}

impl Ringing {
    /// The callee, or a fork of his, brings early media.
    fn speaks_early(&mut self, fork: &str, reliably: bool, port: u16) {
        let headers = if reliably {
            "Require: 100rel\r\nRSeq: 1\r\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\r\n"
        } else {
            ""
        };
        let progress = self
            .scene
            .sim
            .b
            .respond("INVITE", 183, fork, headers, &answer(port));
        self.scene.sim.send(Side::B, progress);
        self.scene.run(20 * MS);
        let remote = self
            .scene
            .sim
            .relay
            .side(Side::B, 0)
            .and_then(|side| side.remote.rtp);
        assert_eq!(
            remote.map(|remote| remote.port()),
            Some(port),
            "{}",
            self.ladder()
        );
    }
    /// The last message to a party that begins like this.
    fn last(&self, who: Who, start: &str) -> Option<Message> {
        let mut wire = self.scene.sim.wire.iter().rev();
        let found = wire
            .find(|(_, to, inwards, bytes)| *to == who && !inwards && bytes.starts_with(start.as_bytes()));
        found.map(|(.., bytes)| read(bytes))
    }
    /// The caller acknowledges what came reliably.
    fn pracks(&mut self) {
        let Some(Message::Response(response)) = self.last(Who::A, "SIP/2.0 183") else {
            panic!("no 183\n{}", self.ladder());
        };
        let rseq = response
            .headers
            .get("RSeq")
            .expect("it is reliable")
            .to_str()
            .into_owned();
        let cseq = response.headers.cseq().unwrap().number;
        let prack = format!("RAck: {rseq} {cseq} INVITE\r\n");
        let prack = self.scene.sim.a.request("PRACK", &prack, "");
        self.scene.sim.send(Side::A, prack);
    }
}

#[test]
fn early_media_of_the_callee_gives_way() {
    for a in [
        Encryption::None,
        Encryption::Sdes,
        Encryption::DtlsSrtp,
        Encryption::Zrtp,
    ] {
        for early in 0..3 {
            let mut call = ringing(Setup { a, ..Setup::plain() });
            for number in 0..early {
                call.speaks_early("", false, 41_000 + 2 * number);
            }
            call.picks_up("");
            call.scene.run(5 * SECOND);
            call.assert_picked_up();
            call.scene.hang_up(Side::A);
            call.ends();
        }
    }
}

/// What it was answered for good it cannot be answered again (RFC 3261 §13.2.1): it is offered what has changed.
#[test]
fn a_caller_that_has_its_answer_for_good_is_offered_who_picks_up() {
    for headers in [
        "Supported: 100rel\r\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\r\n",
        "Supported: 100rel\r\nAllow: INVITE, ACK, BYE, PRACK\r\n",
    ] {
        for by_callee in [false, true] {
            for acknowledged in [false, true] {
                let mut call = ringing(Setup {
                    headers,
                    ..Setup::plain()
                });
                call.speaks_early("", by_callee, 41_000);
                if acknowledged {
                    call.pracks();
                    call.scene.run(20 * MS);
                }
                call.picks_up("");
                call.scene.run(40 * MS);
                if !acknowledged {
                    assert!(
                        !call.scene.a.up,
                        "its answer waits for the PRACK\n{}",
                        call.ladder()
                    );
                    assert!(call.c().up);
                    call.pracks();
                }
                call.scene.run(5 * SECOND);
                call.assert_picked_up();
                let Some(Message::Response(answered)) = call.last(Who::A, "SIP/2.0 200 OK") else {
                    panic!("no 200\n{}", call.ladder());
                };
                let whole = call.scene.sim.wire.iter();
                let said_again = whole.filter(|(_, to, inwards, bytes)| {
                    let text = String::from_utf8_lossy(bytes);
                    *to == Who::A
                        && !inwards
                        && text.starts_with("SIP/2.0 200")
                        && text.contains("INVITE\r\n")
                        && text.contains("m=audio")
                });
                assert_eq!(said_again.count(), 0, "{answered:?}\n{}", call.ladder());
                let offers = call.count(Who::A, "UPDATE ") + call.count(Who::A, "INVITE ");
                assert!(offers >= 1, "{}", call.ladder());
                call.scene.hang_up(Side::A);
                call.ends();
            }
        }
    }
}

/// An offer before the answer is under way: who picks up waits until it is over.
#[test]
fn what_caller_and_callee_are_agreeing_on_comes_first() {
    for answered in [false, true] {
        let mut call = ringing(Setup {
            headers: "Supported: 100rel\r\nAllow: INVITE, ACK, BYE, PRACK, UPDATE\r\n",
            ..Setup::plain()
        });
        call.speaks_early("", true, 41_000);
        call.pracks();
        call.scene.run(20 * MS);
        let offer = "v=0\r\no=alice-device 1 7 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n\
                     m=audio 30000 RTP/AVP 0\r\na=sendonly\r\n";
        // The callee's phone is slow.
        call.scene.b.gone = true;
        let update = call.scene.sim.a.request("UPDATE", "", offer);
        call.scene.sim.send(Side::A, update);
        call.scene.run(20 * MS);
        assert_eq!(call.count(Who::B, "UPDATE "), 1, "{}", call.ladder());
        call.picks_up("");
        call.scene.run(400 * MS);
        assert!(!call.c().up && !call.c().ended, "{}", call.ladder());
        let (status, body) = if answered {
            (200, answer(41_000))
        } else {
            (488, String::new())
        };
        let said = call.scene.sim.b.respond("UPDATE", status, "", "", &body);
        call.scene.sim.send(Side::B, said);
        call.scene.run(20 * MS);
        assert!(call.c().up, "{}", call.ladder());
        assert!(call.cancel().contains(ELSEWHERE));
        call.scene.run(SECOND);
        assert!(call.scene.a.up, "{}", call.ladder());
        let remote = call
            .scene
            .sim
            .relay
            .side(Side::B, 0)
            .and_then(|side| side.remote.rtp);
        assert_eq!(remote, Some(call.c().rtp));
        call.scene.hang_up(Side::A);
        call.scene.run(70 * SECOND);
        call.scene.sim.assert_done();
    }
}

/// Whichever early dialog is named, the INVITE is one, and all that ring by it stop.
#[test]
fn any_of_several_early_dialogs_may_be_named() {
    for named in ["", "x", "y"] {
        let mut call = ringing(Setup::plain());
        call.speaks_early("x", false, 41_000);
        call.speaks_early("y", false, 42_000);
        let own = call.scene.sim.b.replaces();
        let named = if named.is_empty() {
            own
        } else {
            format!("{own}-{named}")
        };
        let c = call.scene.c.as_mut().unwrap();
        let replaces = format!("Replaces: {named}\r\n");
        c.call_with(&mut call.scene.sim, "sip:bob@example.org", &replaces);
        call.scene.run(SECOND);
        call.assert_picked_up();
        assert_eq!(call.count(Who::B, "CANCEL "), 1);
        call.scene.hang_up(Side::A);
        call.ends();
    }
}

/// A fork that has answered while the CANCEL was on its way is hung up, and the one whose early media was heard is not heard any more.
#[test]
fn a_fork_that_answers_too_late_is_hung_up() {
    let mut call = ringing(Setup::plain());
    let invite: Request = call.scene.sim.b.requests["INVITE"].clone();
    call.speaks_early("x", false, 41_000);
    call.picks_up("");
    call.scene.run(MS);
    let late = call
        .scene
        .sim
        .b
        .respond_to(&invite, 200, "x", "", &answer(41_000));
    call.scene.b.gone = true;
    call.scene.sim.send_after(Side::B, late, 2 * MS);
    call.scene.run(20 * MS);
    assert_eq!(
        (call.count(Who::B, "ACK "), call.count(Who::B, "BYE ")),
        (1, 1),
        "{}",
        call.ladder()
    );
    call.scene.sim.assert_media(&call.scene.a, call.c());
    let bye = call.scene.sim.b.respond("BYE", 200, "x", "", "");
    call.scene.sim.send(Side::B, bye);
    call.scene.hang_up(Side::A);
    call.scene.run(70 * SECOND);
    call.scene.sim.assert_done();
}
