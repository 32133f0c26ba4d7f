//! Session timers of a leg (RFC 4028): what is agreed with which peer, who refreshes how, and how it ends.

use super::{
    offers::ack,
    uas::{invite, of_invite},
    *,
};
use crate::{
    call::{Failure, Side},
    testing::{Weather, legs::Legs},
};

pub(super) fn timers(expires: Option<u32>, min_se: u32) -> Arc<Profile> {
    Arc::new(Profile {
        sessions: SessionTimers { expires, min_se },
        reliable: Reliability::default(),
        ..Profile::clone(&profile())
    })
}

/// Leg A, after the caller's INVITE with these header lines.
fn called(extra: &str, profile: Arc<Profile>) -> Result<One, Failure> {
    let body = String::from_utf8_lossy(&sdp(1).to_bytes()).replace("\r\n", "\n");
    let text = invite(
        &format!("{extra}Contact: <sip:alice@192.0.2.10:5070>\nContent-Type: application/sdp\n"),
        &body,
    );
    let (now, mut ids) = (start(), Ids::seeded(7));
    let mut env = Env { now, ids: &mut ids };
    Leg::accept(Side::A, incoming(&text), profile, &mut env).map(|leg| One::with(leg, now, ids))
}

/// The 2xx of leg A.
fn answered(one: &mut One) -> Response {
    one.tell(Signal::Answer(Body::Answer(sdp(2))));
    let ok = one.response();
    let tag = ok.headers.to().expect("To").tag().expect("tag").to_string();
    one.hear(of_invite("ACK", Some(&tag)));
    one.sent.clear();
    ok
}

/// Leg B that is up with a peer whose 2xx has these headers.
pub(super) fn calling(profile: Arc<Profile>, said: &[(&str, &str)]) -> One {
    let mut one = One::dial_as(profile);
    let invite = one.last(&Method::Invite);
    let mut headers = vec![("Contact", "<sip:bob@192.0.2.200:5080>")];
    headers.extend(said);
    one.hear(reply(&invite, 200, "b", &headers, Some(&sdp(2))));
    one.words();
    one.sent.clear();
    one
}

fn of(response: &Response, name: &str) -> String {
    response.headers.get(name).unwrap_or_default().to_string()
}

/// The answer of a UAS (table 2 of RFC 4028 §9), the caller's wish first.
#[test]
fn a_caller_gets_the_timer_that_rfc_4028_gives_it() {
    let with = "Supported: timer\n";
    for (extra, own, expected, required) in [
        // Nobody wants one.
        ("", None, "", ""),
        (with, None, "", ""),
        // We do: those who know of it are told.
        ("", Some(600), "", ""),
        (with, Some(600), "600;refresher=uas", ""),
        (
            "Supported: timer\nMin-SE: 900\n",
            Some(600),
            "900;refresher=uas",
            "",
        ),
        // The caller does: the shorter one counts, and it refreshes only if it wants to.
        (
            "Supported: timer\nSession-Expires: 300\n",
            None,
            "300;refresher=uas",
            "",
        ),
        (
            "Supported: timer\nSession-Expires: 300\n",
            Some(600),
            "300;refresher=uas",
            "",
        ),
        (
            "Supported: timer\nSession-Expires: 1800\n",
            Some(600),
            "600;refresher=uas",
            "",
        ),
        (
            "Supported: timer\nx: 1800;refresher=uac\n",
            Some(600),
            "600;refresher=uac",
            "timer",
        ),
        (
            "Require: timer\nSession-Expires: 1800;refresher=uac\n",
            None,
            "1800;refresher=uac",
            "timer",
        ),
        (
            "Supported: timer\nSession-Expires: 300;refresher=uas\n",
            None,
            "300;refresher=uas",
            "",
        ),
        // A proxy on its way does.
        ("Session-Expires: 300\n", None, "300;refresher=uas", ""),
        (
            "Session-Expires: 300;refresher=uac\n",
            None,
            "300;refresher=uas",
            "",
        ),
        ("Session-Expires: 30\n", None, "", ""),
        ("Supported: timer\nSession-Expires: soon\n", None, "", ""),
    ] {
        let mut one = called(extra, timers(own, 90)).expect("accepted");
        let ok = answered(&mut one);
        let what = format!("{extra:?} and {own:?}");
        assert_eq!(of(&ok, "Session-Expires"), expected, "{what}");
        assert_eq!(of(&ok, "Require"), required, "{what}");
        assert_eq!(of(&ok, "Supported"), "timer", "{what}");
    }
}

#[test]
fn too_short_a_session_is_refused_with_the_shortest_that_there_is() {
    for (least, expected) in [(90, "90"), (600, "600"), (10, "90")] {
        let failure = called("Supported: timer\nSession-Expires: 89\n", timers(None, least))
            .err()
            .expect("refused");
        assert_eq!(failure.status.code(), 422);
        assert_eq!(
            failure
                .headers
                .get("Min-SE")
                .map(|value| value.to_string())
                .as_deref(),
            Some(expected)
        );
    }
    // In mid-call too, and the call goes on.
    let mut one = called("", timers(None, 90)).expect("accepted");
    let ok = Message::Response(answered(&mut one));
    let brief = one.request(
        &Method::Update,
        &ok,
        "Supported: timer\r\nSession-Expires: 60\r\n",
        None,
    );
    one.hear(brief);
    let refusal = one.response();
    assert_eq!(
        (refusal.status.code(), of(&refusal, "Min-SE").as_str()),
        (422, "90")
    );
    assert_eq!(one.words(), [""; 0]);
}

#[test]
fn a_refusal_of_our_interval_is_met_and_then_remembered() {
    let mut one = One::dial_as(timers(Some(300), 90));
    let first = one.last(&Method::Invite);
    assert_eq!(header(&first, "Session-Expires"), "300");
    assert_eq!(
        (
            header(&first, "Supported").as_str(),
            header(&first, "Min-SE").as_str()
        ),
        ("timer", "")
    );
    one.hear(reply(&first, 422, "p", &[("Min-SE", "1200")], None));
    let second = one.last(&Method::Invite);
    assert_eq!(header(&second, "Session-Expires"), "1200");
    assert_eq!(header(&second, "Min-SE"), "1200");
    assert!(second.headers.cseq().expect("CSeq").number > first.headers.cseq().expect("CSeq").number);
    one.hear(reply(
        &second,
        200,
        "b",
        &[("Contact", "<sip:bob@192.0.2.200:5080>")],
        Some(&sdp(2)),
    ));
    assert_eq!(one.words(), ["answered answer 2"]);
    one.tell(Signal::Offer(Some(sdp(11))));
    let offer = one.last(&Method::Invite);
    assert_eq!(header(&offer, "Session-Expires"), "1200;refresher=uac");
    assert_eq!(header(&offer, "Min-SE"), "1200");
}

#[test]
fn whoever_refuses_every_interval_has_refused_the_call() {
    for (answers, tries) in [
        (vec![200, 300, 400, 500, 600, 700], 5),
        (vec![200, 200], 2),
        (vec![0], 1),
    ] {
        let mut one = One::dial_as(timers(Some(100), 90));
        let mut seen = 0;
        for least in &answers {
            let invite = one.last(&Method::Invite);
            one.sent.clear();
            seen += 1;
            let least = least.to_string();
            let asked: &[_] = if least == "0" {
                &[]
            } else {
                &[("Min-SE", least.as_str())]
            };
            one.hear(reply(&invite, 422, "p", asked, None));
            if !one.said.is_empty() {
                break;
            }
        }
        assert_eq!(seen, tries, "{answers:?}");
        assert_eq!(one.words(), ["fail 422 rejected"]);
    }
}

#[test]
fn we_refresh_by_update_where_the_peer_takes_it_at_half_of_the_time() {
    let mut one = calling(
        timers(Some(600), 90),
        &[
            ("Allow", "INVITE, UPDATE, BYE"),
            ("Session-Expires", "400;refresher=uac"),
        ],
    );
    for _ in 0..5 {
        one.run(199_000);
        assert_eq!(one.take(), [""; 0], "nothing before");
        one.run(1_000);
        let update = one.last(&Method::Update);
        assert_eq!(header(&update, "Session-Expires"), "400;refresher=uac");
        assert!(update.body.is_empty() && !header(&update, "Contact").is_empty());
        one.sent.clear();
        one.hear(reply(
            &update,
            200,
            "b",
            &[("Session-Expires", "400;refresher=uac")],
            None,
        ));
    }
    assert_eq!(one.words(), [""; 0], "nobody hears of it");
}

#[test]
fn a_peer_without_update_is_asked_by_an_offer_also_where_it_said_otherwise() {
    for (allow, refusal) in [
        ("INVITE, BYE", None),
        ("UPDATE", Some(405)),
        ("UPDATE", Some(501)),
    ] {
        let mut one = calling(timers(Some(600), 90), &[("Allow", allow)]);
        one.run(300_000);
        if let Some(code) = refusal {
            let update = one.last(&Method::Update);
            one.hear(reply(&update, code, "b", &[], None));
            one.run(0);
        }
        assert_eq!(one.words(), ["refresh"], "{allow} {refusal:?}");
        one.tell(Signal::Offer(Some(sdp(1))));
        let offer = one.last(&Method::Invite);
        assert_eq!(header(&offer, "Session-Expires"), "600;refresher=uac");
        one.hear(reply(&offer, 200, "b", &[], Some(&sdp(2))));
        assert_eq!(one.words(), ["accept 2"]);
        one.run(299_000);
        assert_eq!(one.words(), [""; 0]);
    }
}

#[test]
fn a_peer_that_is_to_refresh_keeps_the_call_as_long_as_it_does() {
    let asks = "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n";
    let mut one = called(&asks.replace('\r', ""), timers(Some(600), 90)).expect("accepted");
    let ok = Message::Response(answered(&mut one));
    for round in 0..10 {
        one.run(59_000);
        assert_eq!(one.take(), [""; 0], "we do not");
        let (method, body) = if round % 2 == 0 {
            (Method::Update, None)
        } else {
            (Method::Invite, Some(sdp(1)))
        };
        let refresh = one.request(&method, &ok, asks, body.as_ref());
        one.hear(refresh);
        if body.is_some() {
            assert_eq!(one.words(), ["offer 1"]);
            one.tell(Signal::Accept(sdp(2)));
            let response = one.response();
            let ack = ack(&mut one, &response, None);
            one.hear(ack);
        }
        let response = one.response();
        assert_eq!(of(&response, "Session-Expires"), "90;refresher=uac");
        assert_eq!(of(&response, "Require"), "timer");
        one.sent.clear();
    }
    assert_eq!(one.words(), [""; 0]);
    one.run(60_000);
    assert_eq!(one.words(), ["hangup LegA timeout"]);
    let bye = one.last(&Method::Bye);
    assert!(
        header(&bye, "Reason").contains("Session expired"),
        "{}",
        header(&bye, "Reason")
    );
}

/// Two servers in chain: leg B of the first talks to leg A of the second.
#[test]
fn acceptance_20_two_legs_of_ours_keep_a_call_up_and_notice_when_one_is_gone() {
    for (caller, callee) in [
        (Some(90), Some(90)),
        (Some(90), None),
        (None, Some(90)),
        (Some(90), Some(1800)),
    ] {
        let profiles = [timers(caller, 90), timers(callee, 90)];
        let mut legs = Legs::between(Body::Offer(sdp(1)), Weather::default(), 1, profiles);
        legs.run(Duration::from_millis(100));
        legs.tell(Side::A, Signal::Answer(Body::Answer(sdp(2))));
        legs.run(Duration::from_secs(600));
        let said: Vec<String> = legs.heard().iter().map(|(_, signal)| word(signal)).collect();
        assert_eq!(said, ["answered answer 2"], "{caller:?} {callee:?}");
        let updates = legs
            .wire
            .iter()
            .filter(|(_, line)| line.starts_with("UPDATE"))
            .count();
        assert!(
            (12..=14).contains(&updates),
            "one in 45 s, by one side: {updates} {caller:?} {callee:?}"
        );
        // Whatever is said is lost from now on.
        legs.weather.loss = 100;
        legs.run(Duration::from_secs(180));
        let ended: Vec<(Side, String)> = legs
            .heard()
            .iter()
            .map(|(side, signal)| (*side, word(signal)))
            .collect();
        assert_eq!(ended.len(), 2, "{ended:?}");
        assert!(
            ended.iter().all(|(_, what)| what.starts_with("hangup")),
            "{ended:?}"
        );
    }
}
