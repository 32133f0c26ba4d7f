//! Transfers: whatever order things come in, the call ends with nothing left, and nobody waits for an answer for ever.
//! (`transfer-*.call` are the ordinary ones.)

use b2bua::{
    call::{
        CallEvent, CallNumber, Decision, Designation, EncryptionPolicy, Failure, InCall, InCallRequest,
        Input, Origin, Question, Rescue, Side, Verdict, failure::Kind,
    },
    sip::{Message, Method, NameAddr, Replaces, Status, Uri},
    testing::{Sim, Verdicts},
};
use proptest::prelude::*;
use std::time::Duration;

const SDP: &str =
    "v=0\r\no=x 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";

/// A call that is up.
fn up(seed: u64) -> Sim {
    asking(seed, |_| InCall::Forward)
}

/// A call that is up, by an application that answers like that.
fn asking(seed: u64, mut answer: impl FnMut(&InCallRequest) -> InCall + 'static) -> Sim {
    let verdicts = Verdicts::Fixed(Box::new(move |question| {
        Some(match question {
            Question::Route(invite) => {
                let route = Verdicts::outgoing(&invite, EncryptionPolicy::AsCaller);
                Verdict::Route(Decision::Bridge(vec![route]))
            }
            Question::Rescue(_) => Verdict::Rescue(Rescue::Relay),
            Question::InCall(request) => Verdict::InCall(answer(&request)),
            Question::Handover(_) => Verdict::Handover(Ok(())),
        })
    }));
    let mut sim = Sim::with(verdicts, b2bua::testing::settings(), seed);
    sim.allowed.push("192.0.2.1".into());
    let invite = sim.a.invite("sip:bob@example.org", "", SDP);
    sim.send(Side::A, invite);
    sim.run(Duration::from_millis(20));
    let answer = sim.b.respond("INVITE", 200, "", "", SDP);
    sim.send(Side::B, answer);
    sim.run(Duration::from_millis(20));
    let ack = sim.a.ack("");
    sim.send(Side::A, ack);
    sim.run(Duration::from_millis(20));
    sim.a.inbox.clear();
    sim.b.inbox.clear();
    sim
}

fn request(sim: &mut Sim, side: Side, method: &str, headers: &str, body: &str) {
    let bytes = sim.peer(side).request(method, headers, body);
    sim.send(side, bytes);
    sim.run(Duration::from_millis(5));
}

fn respond(sim: &mut Sim, side: Side, method: &str, status: u16) {
    if sim.peer(side).requests.contains_key(method) {
        let bytes = sim.peer(side).respond(method, status, "", "", "");
        sim.send(side, bytes);
        sim.run(Duration::from_millis(5));
    }
}

/// Status lines of the NOTIFYs that a party has got, and whether the last one was said to be the last.
fn told(sim: &mut Sim, side: Side) -> (Vec<String>, bool) {
    let notifies: Vec<_> = sim
        .peer(side)
        .inbox
        .iter()
        .filter_map(|message| match message {
            Message::Request(request) if request.method.to_string() == "NOTIFY" => Some(request.clone()),
            _ => None,
        })
        .collect();
    let state = notifies
        .last()
        .and_then(|last| last.headers.get("Subscription-State"));
    let lines = notifies
        .iter()
        .map(|notify| String::from_utf8_lossy(&notify.body).trim().to_owned())
        .collect();
    (lines, state.is_some_and(|state| state.starts_with(b"terminated")))
}

const REFER: &str = "Refer-To: <sip:carol@example.org>\r\n";
const LAST: &str = "Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n";

#[test]
fn acceptance_27_each_party_is_told_of_its_own_transfer_where_both_refer_at_once() {
    let mut sim = up(1);
    for side in [Side::A, Side::B] {
        let bytes = sim.peer(side).request("REFER", REFER, "");
        sim.send(side, bytes);
    }
    sim.run(Duration::from_millis(5));
    for side in [Side::A, Side::B] {
        respond(&mut sim, side, "NOTIFY", 200);
        respond(&mut sim, side, "REFER", 202);
    }
    // One request at a time to each: bob's NOTIFY has waited for what he says to alice's REFER.
    respond(&mut sim, Side::B, "NOTIFY", 200);
    request(&mut sim, Side::B, "NOTIFY", LAST, "SIP/2.0 486 Busy Here\r\n");
    request(&mut sim, Side::A, "NOTIFY", LAST, "SIP/2.0 200 OK\r\n");
    let trying = "SIP/2.0 100 Trying".to_owned();
    assert_eq!(
        told(&mut sim, Side::A),
        (vec![trying.clone(), "SIP/2.0 486 Busy Here".into()], true)
    );
    assert_eq!(
        told(&mut sim, Side::B),
        (vec![trying, "SIP/2.0 200 OK".into()], true)
    );
    let ends: Vec<_> = sim
        .events
        .iter()
        .filter_map(|event| match event {
            CallEvent::Transferred { by, status } => Some((*by, status.code())),
            _ => None,
        })
        .collect();
    assert_eq!(ends, [(Side::A, 486), (Side::B, 200)]);
}

#[test]
fn a_fifth_transfer_at_once_is_told_to_wait() {
    let mut sim = up(2);
    for number in 0..5 {
        request(&mut sim, Side::A, "REFER", REFER, "");
        respond(&mut sim, Side::A, "NOTIFY", 200);
        respond(&mut sim, Side::B, "REFER", 202);
        let last = sim.a.inbox.iter().rev().find_map(|message| match message {
            Message::Response(response) => Some(response.status.code()),
            Message::Request(_) => None,
        });
        assert_eq!(last, Some(if number < 4 { 202 } else { 491 }));
    }
    // Each is told by its own id: the CSeq of the REFER that the far end got.
    let numbers: Vec<u32> = sim
        .b
        .inbox
        .iter()
        .filter_map(|message| match message {
            Message::Request(request) if request.method.to_string() == "REFER" => {
                Some(request.headers.cseq().unwrap().number)
            }
            _ => None,
        })
        .collect();
    assert_eq!(numbers.len(), 4);
    sim.a.inbox.clear();
    for (nth, number) in numbers.iter().enumerate().rev() {
        let headers = format!("Event: refer;id={number}\r\nSubscription-State: terminated\r\n");
        request(
            &mut sim,
            Side::B,
            "NOTIFY",
            &headers,
            &format!("SIP/2.0 48{nth} x\r\n"),
        );
        respond(&mut sim, Side::A, "NOTIFY", 200);
    }
    let (lines, _) = told(&mut sim, Side::A);
    assert_eq!(
        lines,
        ["SIP/2.0 483 x", "SIP/2.0 482 x", "SIP/2.0 481 x", "SIP/2.0 480 x"]
    );
    request(&mut sim, Side::A, "REFER", REFER, "");
    respond(&mut sim, Side::B, "REFER", 202);
}

#[test]
fn acceptance_27_a_dialog_of_either_leg_is_known_by_its_tags_and_named_as_the_other_party_knows_it() {
    let mut sim = up(4);
    let dialog = |sim: &mut Sim, side: Side| {
        // As its party would name it to somebody else: our tag is the receiver's.
        let peer = sim.peer(side);
        let bytes = peer.request("OPTIONS", "", "");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let field = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_once(": ").unwrap().1.to_owned()
        };
        let tag = |name: &str| field(name).split("tag=").nth(1).unwrap().to_owned();
        (field("Call-ID"), tag("To"), tag("From"))
    };
    let (a, b) = (dialog(&mut sim, Side::A), dialog(&mut sim, Side::B));
    for (named, other, who) in [(&a, &b, "sip:bob@example.org"), (&b, &a, "sip:alice@example.org")] {
        let replaces = |(call_id, to, from): &(String, String, String)| {
            Replaces::parse(format!("{call_id};to-tag={to};from-tag={from}")).unwrap()
        };
        sim.feed(Input::Designate(CallNumber(7), replaces(named)));
        let found = sim.designated.take().expect("a dialog of this call");
        assert_eq!(found.address.uri.as_str(), who);
        // The other party is the receiver now: its tag is the to-tag.
        assert_eq!(
            found.peer,
            replaces(&(other.0.clone(), other.2.clone(), other.1.clone()))
        );
        for wrong in [
            (named.0.clone(), named.1.clone(), other.2.clone()),
            (named.0.clone(), named.2.clone(), named.1.clone()),
            (other.0.clone(), named.1.clone(), named.2.clone()),
        ] {
            sim.feed(Input::Designate(CallNumber(7), replaces(&wrong)));
            assert!(sim.designated.is_none(), "{wrong:?} is no dialog of this call");
        }
    }
}

#[test]
fn an_application_may_refuse_what_is_asked_in_a_call_or_send_a_transfer_elsewhere() {
    let mut sim = asking(5, |request| match &request.refer_to {
        Some(refer_to) => {
            assert_eq!(
                (request.side, refer_to.target().as_str()),
                (Side::B, "sip:carol@example.org")
            );
            let replaced = refer_to.replaces.clone().expect("as it came");
            assert_eq!(&*replaced.call_id, b"far@away");
            InCall::Rewrite(refer_to.aimed_at(&Uri::parse("sip:+49301234@trunk.example.net").unwrap()))
        }
        None if request.method == Method::Info => {
            assert_eq!(
                (request.side, &*request.body),
                (Side::A, &b"SIP/2.0 200 OK\r\n"[..])
            );
            let forbidden = Failure::new(Status::FORBIDDEN, Origin::App, Kind::Declined);
            InCall::Refuse(forbidden.with("X-Why", "no INFO here"))
        }
        None => InCall::Forward,
    });
    let named = Replaces::parse("far@away;to-tag=1;from-tag=2").unwrap();
    let found = Designation {
        peer: Replaces::parse("near@here;to-tag=3;from-tag=4").unwrap(),
        address: NameAddr::parse("<sip:dave@example.org>").unwrap(),
        adoptable: false,
    };
    sim.designations.insert(named, found);
    // The MESSAGE waits for its answer at the far end; the INFO is answered before it.
    request(&mut sim, Side::A, "MESSAGE", "", "");
    request(&mut sim, Side::A, "INFO", "", "SIP/2.0 200 OK\r\n");
    let answered: Vec<_> = sim
        .a
        .inbox
        .iter()
        .filter_map(|message| match message {
            Message::Response(response) => {
                Some((response.status.code(), response.headers.cseq().unwrap().method))
            }
            Message::Request(_) => None,
        })
        .collect();
    assert_eq!(answered, [(403, Method::Info)]);
    let last = sim.a.inbox.last().unwrap().headers().get("X-Why");
    assert_eq!(last, Some("no INFO here".into()));
    assert!(sim.b.requests.contains_key("MESSAGE") && !sim.b.requests.contains_key("INFO"));
    respond(&mut sim, Side::B, "MESSAGE", 202);
    assert!(
        matches!(sim.a.inbox.last(), Some(Message::Response(response)) if response.status == Status::ACCEPTED)
    );
    // The application's target stands, and the dialog is named as it is known there.
    request(&mut sim, Side::B, "REFER", REFERS[2], "");
    let refer = sim
        .a
        .inbox
        .iter()
        .rev()
        .find(|message| message.headers().contains("Refer-To"));
    assert_eq!(
        refer.unwrap().headers().get("Refer-To"),
        Some("<sip:+49301234@trunk.example.net?Replaces=near%40here%3Bto-tag%3D3%3Bfrom-tag%3D4>".into())
    );
}

/// As in "transferor may BYE right after 202": the transferee has its REFER by then, and does what it was told.
#[test]
fn a_transferor_that_hangs_up_after_its_202_leaves_nothing() {
    let mut sim = up(3);
    request(&mut sim, Side::A, "REFER", REFER, "");
    request(&mut sim, Side::A, "BYE", "", "");
    for method in ["REFER", "BYE"] {
        assert!(sim.b.requests.contains_key(method), "{method}\n{}", sim.ladder());
    }
    respond(&mut sim, Side::B, "REFER", 202);
    respond(&mut sim, Side::B, "BYE", 200);
    request(&mut sim, Side::B, "NOTIFY", LAST, "SIP/2.0 200 OK\r\n");
    sim.run(Duration::from_secs(70));
    sim.assert_done();
}

/// What a party, or the clock, may do while transfers are under way.
#[derive(Clone, Copy, Debug)]
enum Step {
    Refer(Side, usize),
    Answer(Side, &'static str, u16),
    Notify(Side, usize, u16),
    Bye(Side),
    Wait(u64),
}

const REFERS: [&str; 4] = [
    REFER,
    "Refer-To: <sip:carol@example.org>\r\nRefer-Sub: false\r\n",
    "Refer-To: <sip:carol@example.org?Replaces=far%40away%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
    "Refer-To: <sip:carol@example.org?Replaces=un%40known%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\n",
];
const NOTIFIES: [&str; 3] = [
    LAST,
    "Event: refer\r\nSubscription-State: active;expires=60\r\n",
    "Event: refer;id=2\r\nSubscription-State: active\r\n",
];

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![Just(Side::A), Just(Side::B)]
}

fn step() -> impl Strategy<Value = Step> {
    let status = prop_oneof![
        Just(100_u16),
        Just(180),
        Just(200),
        Just(202),
        Just(486),
        Just(603),
        Just(481)
    ];
    let method = prop_oneof![Just("REFER"), Just("NOTIFY"), Just("BYE")];
    prop_oneof![
        4 => (side(), 0..REFERS.len()).prop_map(|(side, which)| Step::Refer(side, which)),
        6 => (side(), method, status.clone()).prop_map(|(side, method, status)| Step::Answer(side, method, status)),
        4 => (side(), 0..NOTIFIES.len(), status).prop_map(|(side, which, status)| Step::Notify(side, which, status)),
        1 => side().prop_map(Step::Bye),
        2 => prop_oneof![Just(5_u64), Just(600), Just(40_000), Just(301_000)].prop_map(Step::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn acceptance_27_no_order_of_transfers_leaves_anything(
        seed: u64,
        slow: bool,
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut sim = up(seed);
        let named = Replaces::parse("far@away;to-tag=1;from-tag=2").unwrap();
        let found = Designation {
            peer: Replaces::parse("near@here;to-tag=3;from-tag=4").unwrap(),
            address: NameAddr::parse("<sip:dave@example.org>").unwrap(),
            adoptable: false,
        };
        sim.designations.insert(named, found);
        if slow {
            sim.think = Duration::from_secs(3);
        }
        for step in steps {
            match step {
                Step::Refer(side, which) => request(&mut sim, side, "REFER", REFERS[which], ""),
                Step::Answer(side, method, status) => respond(&mut sim, side, method, status),
                Step::Notify(side, which, status) => {
                    request(&mut sim, side, "NOTIFY", NOTIFIES[which], &format!("SIP/2.0 {status} x\r\n"));
                }
                Step::Bye(side) => request(&mut sim, side, "BYE", "", ""),
                Step::Wait(time) => sim.run(Duration::from_millis(time)),
            }
        }
        request(&mut sim, Side::A, "BYE", "", "");
        sim.run(Duration::from_secs(120));
        sim.assert_done();
    }
}
