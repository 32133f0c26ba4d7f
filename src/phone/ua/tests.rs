use super::*;
use crate::phone::message::uri;

/// Two phones on a wire that may lose datagrams, in virtual time.
struct Wire {
    now: Instant,
    alice: Ua,
    bob: Option<Ua>,
    /// Called with each datagram: whether it gets lost.
    lose: Box<dyn FnMut(&str) -> bool>,
    log: Vec<String>,
    seen: Vec<(char, Event)>,
}

const ALICE: &str = "127.0.0.1:4000";
const BOB: &str = "127.0.0.1:5000";

fn me(user: &str, at: &str) -> Me {
    Me {
        user: user.into(),
        at: at.parse().unwrap(),
        proxy: None,
    }
}

impl Wire {
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    fn new() -> Self {
        let now = Instant::now();
        let to = ("sip:bob@127.0.0.1", uri("sip:bob@127.0.0.1:5000").unwrap());
        let alice = Ua::place(
            me("alice", ALICE),
            to,
            BOB.parse().unwrap(),
            "aaa",
            Some("offer"),
            now,
        );
        Self {
            now,
            alice,
            bob: None,
            lose: Box::new(|_| false),
            log: Vec::new(),
            seen: Vec::new(),
        }
    }

    /// Delivers everything that is under way.
    fn settle(&mut self) {
        loop {
            if let Some((text, to)) = self.alice.transmit() {
                assert_eq!(to, BOB.parse().unwrap());
                if self.note('>', &text) {
                    continue;
                }
                let inbound = Inbound::read(text.as_bytes()).unwrap();
                let from = ALICE.parse().unwrap();
                match &mut self.bob {
                    Some(bob) => bob.handle(inbound, from, self.now),
                    None => {
                        self.bob = Some(Ua::invited(me("bob", BOB), inbound, from, "bbb", self.now).unwrap())
                    }
                }
            } else if let Some((text, to)) = self.bob.as_mut().and_then(Ua::transmit) {
                assert_eq!(to, ALICE.parse().unwrap());
                if !self.note('<', &text) {
                    self.alice.handle(
                        Inbound::read(text.as_bytes()).unwrap(),
                        BOB.parse().unwrap(),
                        self.now,
                    );
                }
            } else {
                break;
            }
        }
        while let Some(event) = self.alice.event() {
            self.seen.push(('a', event));
        }
        while let Some(event) = self.bob.as_mut().and_then(Ua::event) {
            self.seen.push(('b', event));
        }
    }

    fn note(&mut self, arrow: char, text: &str) -> bool {
        let words: Vec<&str> = text.lines().next().unwrap().split(' ').collect();
        let word = if words[0] == "SIP/2.0" { words[1] } else { words[0] };
        let lost = (self.lose)(word);
        self.log
            .push(format!("{arrow}{word}{}", if lost { "!" } else { "" }));
        lost
    }

    fn bob(&mut self) -> &mut Ua {
        self.bob.as_mut().expect("the INVITE has arrived")
    }

    /// Time passes until nothing is awaited, at most `limit`.
    fn pass(&mut self, limit: Duration) {
        let end = self.now + limit;
        self.settle();
        while let Some(at) = [
            self.alice.poll_timeout(),
            self.bob.as_ref().and_then(Ua::poll_timeout),
        ]
        .into_iter()
        .flatten()
        .min()
        .filter(|at| *at <= end)
        {
            self.now = self.now.max(at);
            self.alice.handle_timeout(self.now);
            if let Some(bob) = &mut self.bob {
                bob.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    fn answered() -> Self {
        let mut wire = Self::new();
        wire.settle();
        let now = wire.now;
        wire.bob().answer_invite(180, None, now);
        wire.bob().answer_invite(200, Some("answer"), now);
        wire.settle();
        wire
    }

    fn log(&self) -> String {
        self.log.join(" ")
    }

    fn has(&self, side: char, event: &Event) -> bool {
        self.seen.contains(&(side, event.clone()))
    }
}

#[test]
fn a_call_is_placed_answered_and_ended_in_seven_messages() {
    let mut wire = Wire::answered();
    let now = wire.now;
    wire.alice.hang_up(now);
    wire.settle();
    assert_eq!(wire.log(), ">INVITE <100 <180 <200 >ACK >BYE <200");
    let seen = [
        ('a', Event::Progress(180, None)),
        ('a', Event::Answered(Some(b"answer".to_vec()))),
        ('b', Event::Acknowledged),
        ('a', Event::Ended(200)),
        ('b', Event::HungUp),
    ];
    assert_eq!(wire.seen, seen);
    wire.pass(timer::GIVE_UP);
    assert!(wire.alice.is_over() && wire.bob().is_over());
    assert_eq!(
        (wire.alice.again(), wire.bob().again()),
        (Again::default(), Again::default())
    );
}

#[test]
fn the_callee_can_hang_up_too() {
    let mut wire = Wire::answered();
    let now = wire.now;
    wire.bob().hang_up(now);
    wire.pass(timer::GIVE_UP);
    assert!(wire.has('a', &Event::HungUp) && wire.has('b', &Event::Ended(200)));
    assert!(wire.alice.is_over() && wire.bob().is_over());
}

#[test]
fn a_refusal_is_acknowledged_and_ends_the_call() {
    let mut wire = Wire::new();
    wire.settle();
    let now = wire.now;
    wire.bob().answer_invite(486, None, now);
    wire.pass(timer::GIVE_UP);
    assert_eq!(wire.log(), ">INVITE <100 <486 >ACK");
    assert!(wire.has('a', &Event::Refused(486)));
    assert!(wire.alice.is_over() && wire.bob().is_over());
}

#[test]
fn each_message_may_be_lost_once_and_the_call_still_completes() {
    for lost in ["INVITE", "100", "180", "200", "ACK", "BYE"] {
        let mut wire = Wire::new();
        let mut done = false;
        wire.lose = Box::new(move |word| word == lost && !std::mem::replace(&mut done, true));
        wire.settle();
        wire.pass(Duration::from_secs(1));
        let now = wire.now;
        wire.bob().answer_invite(180, None, now);
        wire.bob().answer_invite(200, Some("answer"), now);
        wire.pass(Duration::from_secs(2));
        let now = wire.now;
        wire.alice.hang_up(now);
        wire.pass(timer::GIVE_UP);
        assert!(
            wire.has('b', &Event::Acknowledged) && wire.has('b', &Event::HungUp),
            "{lost}: {}",
            wire.log()
        );
        assert!(wire.has('a', &Event::Ended(200)), "{lost}: {}", wire.log());
        assert!(
            !wire
                .seen
                .iter()
                .any(|(_, event)| matches!(event, Event::Fault(_))),
            "{lost}: {:?}",
            wire.seen
        );
        assert!(wire.alice.is_over() && wire.bob().is_over());
    }
}

#[test]
fn an_invite_that_nobody_hears_is_sent_seven_times_and_given_up_after_32_seconds() {
    let mut wire = Wire::new();
    wire.lose = Box::new(|_| true);
    wire.pass(Duration::from_millis(31_999));
    assert_eq!(wire.log.len(), 7);
    assert!(wire.seen.is_empty());
    wire.pass(Duration::from_millis(1));
    assert_eq!(wire.seen, [('a', Event::TimedOut(Method::Invite))]);
}

#[test]
fn cancel_waits_for_a_provisional_response_and_ends_in_487() {
    let mut wire = Wire::new();
    let now = wire.now;
    wire.alice.cancel(now);
    wire.pass(timer::GIVE_UP);
    assert_eq!(wire.log(), ">INVITE <100 >CANCEL <200 <487 >ACK");
    assert!(wire.has('a', &Event::Refused(487)) && wire.has('b', &Event::Cancelled));
    assert!(wire.alice.is_over() && wire.bob().is_over());
}

#[test]
fn an_answer_that_crosses_cancel_is_acknowledged_and_hung_up() {
    let mut wire = Wire::new();
    wire.settle();
    let now = wire.now;
    wire.bob().answer_invite(200, Some("answer"), now);
    wire.alice.cancel(now);
    wire.pass(timer::GIVE_UP);
    assert!(
        wire.log().ends_with(">ACK >BYE <200") || wire.log().contains(">BYE"),
        "{}",
        wire.log()
    );
    assert!(wire.has('b', &Event::HungUp) && wire.has('a', &Event::Ended(200)));
}

#[test]
fn either_side_may_offer_again() {
    let mut wire = Wire::answered();
    let now = wire.now;
    wire.alice.reoffer("hold", now);
    wire.settle();
    assert!(wire.has('b', &Event::Offered(Some(b"hold".to_vec()))));
    wire.bob().answer_invite(200, Some("held"), now);
    wire.settle();
    assert!(wire.has('a', &Event::Answered(Some(b"held".to_vec()))));
    wire.bob().reoffer("resume", now);
    wire.settle();
    wire.alice.answer_invite(488, None, now);
    wire.settle();
    assert!(wire.has('b', &Event::Refused(488)));
    wire.alice.hang_up(now);
    wire.pass(timer::GIVE_UP);
    assert!(wire.has('b', &Event::HungUp));
}

#[test]
fn two_offers_at_once_are_both_refused_with_491() {
    let mut wire = Wire::answered();
    let now = wire.now;
    wire.alice.reoffer("one", now);
    wire.bob().reoffer("two", now);
    wire.settle();
    assert!(
        wire.has('a', &Event::Refused(491)),
        "{} {:?}",
        wire.log(),
        wire.seen
    );
}

#[test]
fn requests_follow_record_route_and_contact() {
    let route = "Record-Route: <sip:10.0.0.1:5080;lr>\r\nRecord-Route: <sip:10.0.0.2;lr>\r\n";
    #[expect(clippy::disallowed_methods, reason = "an origin for virtual time")]
    let now = Instant::now();
    let to = ("sip:bob@example.org", uri("sip:bob@example.org").unwrap());
    let mut alice = Ua::place(me("alice", ALICE), to, BOB.parse().unwrap(), "aaa", None, now);
    let (invite, hop) = alice.transmit().unwrap();
    assert_eq!(hop, BOB.parse().unwrap());
    let invite = Inbound::read(invite.replace("Call-ID", &format!("{route}Call-ID")).as_bytes()).unwrap();
    let mut bob = Ua::invited(me("bob", BOB), invite, BOB.parse().unwrap(), "bbb", now).unwrap();
    bob.answer_invite(200, None, now);
    let (_, ok) = (bob.transmit().unwrap(), bob.transmit().unwrap());
    alice.handle(Inbound::read(ok.0.as_bytes()).unwrap(), BOB.parse().unwrap(), now);
    let (ack, hop) = alice.transmit().unwrap();
    assert_eq!(hop, "10.0.0.2:5060".parse().unwrap());
    assert!(ack.starts_with("ACK sip:bob@127.0.0.1:5000 SIP/2.0\r\n"), "{ack}");
    assert!(
        ack.contains("Route: <sip:10.0.0.2;lr>\r\nRoute: <sip:10.0.0.1:5080;lr>\r\n"),
        "{ack}"
    );
    bob.hang_up(now);
    let (bye, hop) = bob.transmit().unwrap();
    assert_eq!(hop, "10.0.0.1:5080".parse().unwrap());
    assert!(
        bye.contains("Route: <sip:10.0.0.1:5080;lr>\r\nRoute: <sip:10.0.0.2;lr>\r\n"),
        "{bye}"
    );
}

#[test]
fn a_response_to_nothing_is_a_fault() {
    let mut wire = Wire::answered();
    let now = wire.now;
    wire.bob().transmits.push_back(("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:4000;branch=z9hG4bKno\r\nFrom: <sip:a@b>;tag=aaa\r\nTo: <sip:b@b>;tag=bbb\r\nCall-ID: x\r\nCSeq: 9 BYE\r\nContent-Length: 0\r\n\r\n".into(), ALICE.parse().unwrap()));
    wire.settle();
    let _ = now;
    assert!(
        matches!(wire.seen.last(), Some(('a', Event::Fault(_)))),
        "{:?}",
        wire.seen
    );
}
