//! Set-up: routes, failures, loops, where media may come from.

use b2bua::{
    call::{
        CallEvent, Decision, Encryption, EncryptionPolicy, Failure, LookupError, Origin, Question, Rescue,
        Side, Verdict, failure::Kind,
    },
    sip::{NameAddr, Status, Uri},
    testing::{Scene, Sim, Verdicts, settings},
};
use std::time::Duration;

const PLAIN: EncryptionPolicy = EncryptionPolicy::Only(Encryption::None);

fn scene(verdicts: Verdicts) -> Scene {
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    scene.sim = Sim::with(verdicts, settings(), 3);
    scene
}

fn invites(scene: &Scene) -> Vec<String> {
    let sent = scene
        .sim
        .wire
        .iter()
        .filter(|(_, side, inwards, _)| *side == Side::B && !inwards);
    sent.map(|(_, _, _, bytes)| String::from_utf8_lossy(bytes).into_owned())
        .filter(|text| text.starts_with("INVITE"))
        .collect()
}

#[test]
fn a_refusal_reaches_the_caller_with_its_code_and_what_belongs_to_it() {
    for code in [404, 480, 486, 500, 503, 600, 603] {
        let mut scene = Scene::new(Encryption::None, Encryption::None);
        scene.call();
        scene.sim.run(Duration::from_millis(30));
        let headers = "Retry-After: 17\r\nWarning: 399 example.org \"why\"\r\nReason: Q.850;cause=17\r\nX-Listed: told\r\nCookie: of leg B\r\n";
        let no = scene.sim.b.respond("INVITE", code, "", headers, "");
        scene.sim.send(Side::B, no);
        scene.sim.run(Duration::from_millis(50));
        let response = scene
            .sim
            .a
            .response(code)
            .unwrap_or_else(|| panic!("{code}\n{}", scene.sim.ladder()));
        assert_eq!(response.headers.get("Retry-After").unwrap(), "17");
        assert_eq!(response.headers.get("Reason").unwrap(), "Q.850;cause=17");
        // The rig's list is X-*.
        assert!(response.headers.contains("Warning") && response.headers.contains("X-Listed"));
        assert!(!response.headers.contains("Cookie"));
        let ack = scene.sim.a.ack_failure();
        scene.sim.send(Side::A, ack);
        scene.sim.run(Duration::from_secs(70));
        scene.sim.assert_done();
        let summary = scene.sim.summary.as_ref().unwrap();
        assert_eq!(summary.status.code(), code);
        assert_eq!(summary.failure.as_ref().unwrap().origin, Origin::LegB);
    }
}

#[test]
fn routes_are_tried_in_turn_until_one_answers_or_a_stop_code_ends_the_hunt() {
    let two = |stop: Vec<Status>| {
        scene(Verdicts::routes(move |invite| {
            let mut first = Verdicts::outgoing(invite, PLAIN);
            first.limits.stop_codes.clone_from(&stop);
            let mut second = Verdicts::outgoing(invite, PLAIN);
            second.target = Uri::sip(Some("second"), "example.org", None);
            vec![first, second]
        }))
    };
    for (stop, tried) in [(vec![], 2), (vec![Status::BUSY_HERE], 1)] {
        let mut scene = two(stop);
        scene.b.refuses = Some(486);
        scene.call();
        scene.run(Duration::from_secs(3));
        let invites = invites(&scene);
        assert_eq!(invites.len(), tried, "{}", scene.sim.ladder());
        let ids: std::collections::BTreeSet<_> = invites
            .iter()
            .filter_map(|text| text.lines().find(|line| line.starts_with("Call-ID")))
            .collect();
        assert_eq!(ids.len(), tried, "each attempt is a session of its own");
        assert_eq!(scene.a.failed, Some(486));
        scene.run(Duration::from_secs(70));
        scene.sim.assert_done();
    }
}

/// Two routes; the first is given up after 10 s, while who is called needs 13 s to answer.
fn first_route_rings_too_long() -> Scene {
    let mut scene = scene(Verdicts::routes(|invite| {
        let mut first = Verdicts::outgoing(invite, PLAIN);
        first.limits.no_answer = Some(Duration::from_secs(10));
        vec![first, Verdicts::outgoing(invite, PLAIN)]
    }));
    scene.b.rings = Duration::from_secs(13);
    scene.call();
    scene
}

#[test]
fn a_route_that_rings_too_long_gives_way_to_the_next_and_is_cancelled() {
    let mut scene = first_route_rings_too_long();
    scene.run(Duration::from_secs(40));
    assert_eq!(invites(&scene).len(), 2);
    assert!(
        scene.sim.b.requests.contains_key("CANCEL"),
        "{}",
        scene.sim.ladder()
    );
    assert!(scene.a.up, "{}", scene.sim.ladder());
}

#[test]
fn what_could_not_be_sent_concerns_the_attempt_that_it_was_of_and_no_other_at_that_address() {
    let mut scene = first_route_rings_too_long();
    while invites(&scene).len() < 2 {
        assert!(!scene.a.ended, "{}", scene.sim.ladder());
        scene.run(Duration::from_millis(1));
    }
    scene.sim.undeliverable(Side::B, "CANCEL");
    assert_eq!(scene.a.failed, None, "{}", scene.sim.ladder());
    scene.run(Duration::from_secs(30));
    assert!(scene.a.up, "{}", scene.sim.ladder());
    assert_eq!(invites(&scene).len(), 2);
    // The attempt itself is over when its own INVITE goes nowhere.
    let mut scene = self::scene(Verdicts::routes(|invite| {
        vec![
            Verdicts::outgoing(invite, PLAIN),
            Verdicts::outgoing(invite, PLAIN),
        ]
    }));
    scene.call();
    scene.sim.run(Duration::from_millis(1));
    assert_eq!(invites(&scene).len(), 1);
    scene.sim.undeliverable(Side::B, "INVITE");
    scene.sim.run(Duration::ZERO);
    assert_eq!(invites(&scene).len(), 2, "{}", scene.sim.ladder());
}

#[test]
fn the_application_is_asked_before_the_caller_hears_of_a_failure() {
    let mut asked = 0;
    let mut scene = scene(Verdicts::Fixed(Box::new(move |question| {
        Some(match question {
            Question::Route(invite) => {
                Verdict::Route(Decision::Bridge(vec![Verdicts::outgoing(&invite, PLAIN)]))
            }
            Question::Rescue(failure) => {
                assert_eq!(failure.status, Status::BUSY_HERE);
                asked += 1;
                let gone = Failure::new(Status::GONE, Origin::App, Kind::Declined);
                Verdict::Rescue(if asked == 1 {
                    Rescue::Replace(gone)
                } else {
                    Rescue::Relay
                })
            }
            Question::InCall(request) => panic!("{request:?}"),
            Question::Handover(handover) => panic!("{handover:?}"),
        })
    })));
    scene.b.refuses = Some(486);
    scene.call();
    scene.run(Duration::from_secs(70));
    assert_eq!(scene.a.failed, Some(410));
    scene.sim.assert_done();
}

#[test]
fn an_application_that_tries_for_ever_is_stopped() {
    let mut scene = scene(Verdicts::Fixed(Box::new(|question| {
        thread_local!(static ROUTE: std::cell::RefCell<Option<Box<b2bua::call::Invite>>> = const { std::cell::RefCell::new(None) });
        Some(match question {
            Question::Route(invite) => {
                let route = Verdicts::outgoing(&invite, PLAIN);
                ROUTE.with(|kept| *kept.borrow_mut() = Some(invite));
                Verdict::Route(Decision::Bridge(vec![route]))
            }
            Question::Rescue(_) => {
                let route = ROUTE.with(|kept| Verdicts::outgoing(kept.borrow().as_ref().unwrap(), PLAIN));
                Verdict::Rescue(Rescue::Try(vec![route]))
            }
            Question::InCall(request) => panic!("{request:?}"),
            Question::Handover(handover) => panic!("{handover:?}"),
        })
    })));
    scene.b.refuses = Some(500);
    scene.call();
    scene.run(Duration::from_secs(20));
    assert_eq!(scene.a.failed, Some(500), "{}", scene.sim.ladder());
    assert!(invites(&scene).len() <= 64);
    scene.run(Duration::from_secs(70));
    scene.sim.assert_done();
}

#[test]
fn declined_redirected_and_unroutable_calls_get_their_answer_and_call_nobody() {
    let declined = || {
        Decision::Decline(Failure::new(
            Status::NOT_ACCEPTABLE_HERE,
            Origin::App,
            Kind::Declined,
        ))
    };
    let redirect = || {
        let contact = NameAddr::parse("<sip:bob@elsewhere.example>").unwrap();
        Decision::Redirect(vec![b2bua::call::Contact(contact)])
    };
    let verdicts: [(&dyn Fn() -> Decision, u16); 3] = [
        (&declined, 488),
        (&redirect, 302),
        (&|| Decision::Bridge(vec![]), 500),
    ];
    for (decision, code) in verdicts {
        let mut once = Some(decision());
        let mut scene = scene(Verdicts::Fixed(Box::new(move |_| {
            Some(Verdict::Route(once.take()?))
        })));
        scene.call();
        scene.run(Duration::from_secs(70));
        assert_eq!(scene.a.failed, Some(code), "{}", scene.sim.ladder());
        assert!(invites(&scene).is_empty());
        scene.sim.assert_done();
        if code == 302 {
            let text = String::from_utf8_lossy(
                &scene
                    .sim
                    .wire
                    .iter()
                    .find(|entry| entry.3.starts_with(b"SIP/2.0 302"))
                    .unwrap()
                    .3,
            )
            .into_owned();
            assert!(text.contains("Contact: <sip:bob@elsewhere.example>"), "{text}");
        }
    }
}

#[test]
fn a_next_hop_that_leads_nowhere_is_a_failure_of_its_route() {
    for (error, code) in [
        (LookupError::NotFound("nowhere.example".into()), 503),
        (LookupError::Failed("x".into(), "timed out".into()), 503),
        (LookupError::Scheme("mailto:x".into()), 416),
    ] {
        let mut scene = scene(Verdicts::direct(PLAIN));
        scene.sim.targets = Some(Err(error));
        scene.call();
        scene.run(Duration::from_secs(70));
        assert_eq!(scene.a.failed, Some(code), "{}", scene.sim.ladder());
        scene.sim.assert_done();
    }
}

#[test]
fn a_target_of_another_address_family_is_tried_after_those_of_the_first() {
    let mut scene = scene(Verdicts::direct(PLAIN));
    let v4 = scene.sim.target(Side::B);
    let mut v6 = v4.clone();
    v6.local = "2001:db8::1".parse().unwrap();
    v6.remote = "[2001:db8::99]:5080".parse().unwrap();
    v6.sent_by = "[2001:db8::1]:5060".into();
    scene.sim.targets = Some(Ok(vec![v6, v4]));
    scene.b.refuses = Some(503);
    scene.call();
    scene.run(Duration::from_secs(5));
    let invites = invites(&scene);
    assert_eq!(invites.len(), 2, "{}", scene.sim.ladder());
    assert!(
        invites[0].contains("c=IN IP6 2001:db8::1\r\n") && invites[1].contains("c=IN IP4 203.0.113.1\r\n")
    );
}

#[test]
fn hops_are_counted_down_and_the_last_one_is_refused() {
    for (hops, code) in [
        (Some(0), Some(483)),
        (Some(1), None),
        (Some(70), None),
        (Some(255), None),
        (None, None),
    ] {
        let mut scene = Scene::new(Encryption::None, Encryption::None);
        scene.call();
        // Rewrite the INVITE on its way.
        scene = Scene::new(Encryption::None, Encryption::None);
        let header = hops.map_or("X-None: Max-Forwards\r\n".to_owned(), |hops| {
            format!("Max-Forwards: {hops}\r\n")
        });
        let body = "v=0\r\no=alice-login 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";
        let invite = scene.sim.a.invite("sip:bob@example.org", &header, body);
        scene.sim.send(Side::A, invite);
        scene.sim.run(Duration::from_millis(30));
        match code {
            Some(code) => {
                assert!(scene.sim.a.response(code).is_some(), "{}", scene.sim.ladder());
                assert!(invites(&scene).is_empty());
            }
            None => {
                let line = invites(&scene)[0]
                    .lines()
                    .find(|line| line.starts_with("Max-Forwards"))
                    .unwrap()
                    .to_owned();
                let left = hops.map_or(70, |hops: u8| (hops - 1).min(70));
                assert_eq!(line, format!("Max-Forwards: {left}"));
            }
        }
    }
}

#[test]
fn media_may_come_from_where_the_phone_s_sip_was_seen() {
    let trusted_from = |proxies: &[&str], trusted: bool| {
        let mut scene = Scene::new(Encryption::None, Encryption::None);
        scene.sim.trusted = trusted;
        scene.sim.a.proxies = proxies.iter().map(|via| (*via).to_owned()).collect();
        let scene = scene.answered();
        scene.sim.relay.side(Side::A, 0).unwrap().remote.also_from.clone()
    };
    let phone = ["192.0.2.10".parse::<std::net::IpAddr>().unwrap()];
    // No proxy between: the source itself.
    assert_eq!(trusted_from(&[], false), phone);
    // A proxy between: what it saw counts if it is trusted.
    let proxy = ["SIP/2.0/UDP 192.0.2.77;branch=z9hG4bKproxy"];
    assert_eq!(trusted_from(&proxy, true), phone);
    assert_eq!(trusted_from(&proxy, false), [] as [std::net::IpAddr; 0]);
}

#[test]
fn observers_hear_the_story_in_order_and_once() {
    let mut scene = Scene::new(Encryption::Sdes, Encryption::None).answered();
    scene.hang_up(Side::B);
    scene.assert_ends();
    let story: Vec<_> = scene
        .sim
        .events
        .iter()
        .map(|event| match event {
            CallEvent::Dialled { .. } => "dialled",
            CallEvent::Ringing(_) => "ringing",
            CallEvent::Answered => "answered",
            CallEvent::Updated { .. } => "updated",
            CallEvent::Referred { .. } => "referred",
            CallEvent::Transferred { .. } => "transferred",
            CallEvent::Keyed { .. } => "keyed",
            CallEvent::Ended(_) => "ended",
        })
        .collect();
    assert_eq!(
        story,
        ["dialled", "ringing", "answered", "keyed", "keyed", "ended"]
    );
    let summary = scene.sim.summary.as_ref().unwrap();
    assert_eq!(summary.cause.as_ref().unwrap().origin, Origin::LegB);
    assert!(summary.failure.is_none() && summary.b.is_some());
    assert_eq!(summary.media.len(), 2, "the relay's counts are in the record");
}
