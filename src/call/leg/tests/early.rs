//! Early dialogs of leg B: PRACK, UPDATE, offers (RFC 3262 §4, §5, RFC 3311).

use super::*;
use crate::call::{Cause, Failure, Origin};

/// The head of a reliable response of a fork that takes UPDATE.
fn reliable(rseq: u32) -> Vec<(&'static str, String)> {
    vec![
        ("Require", "100rel".into()),
        ("RSeq", rseq.to_string()),
        ("Contact", "<sip:bob@192.0.2.200:5080>".into()),
        ("Allow", "INVITE, ACK, BYE, PRACK, UPDATE".into()),
    ]
}
fn say(one: &mut One, code: u16, tag: &str, rseq: u32, body: Option<&Sdp>) {
    let invite = one.last_invite();
    let head = reliable(rseq);
    let head: Vec<(&str, &str)> = head.iter().map(|(name, value)| (*name, value.as_str())).collect();
    one.hear(reply(&invite, code, tag, &head, body));
}
fn racks(one: &One) -> Vec<String> {
    one.sent
        .iter()
        .filter_map(|(message, _)| match message {
            Message::Request(request) if request.method == Method::Prack => {
                let tag = request.headers.to().ok()?.tag()?;
                Some(format!("{tag}: {}", header(request, "RAck")))
            }
            _ => None,
        })
        .collect()
}

impl One {
    fn last_invite(&self) -> Request {
        self.invite.clone().expect("an INVITE went")
    }
}

/// Leg B whose INVITE has gone; with an offer (port 1) or without.
fn dialled(offer: bool) -> One {
    let body = if offer { Body::Offer(sdp(1)) } else { Body::None };
    let mut one = One::dial_to(&plan(), body, vec![udp(BOB)]);
    one.invite = Some(one.last(&Method::Invite));
    one.sent.clear();
    one
}
fn number(one: &One) -> u32 {
    one.last_invite().headers.cseq().expect("CSeq").number
}

#[test]
fn the_setting_says_what_the_invite_says_and_what_is_acknowledged() {
    for (setting, supported, required) in [
        (Reliability::Supported, true, false),
        (Reliability::Required, false, true),
        (Reliability::Off, false, false),
    ] {
        let profile = Arc::new(Profile {
            reliable: setting,
            ..(*profile()).clone()
        });
        let mut one = One::dial_as(profile);
        let invite = one.last(&Method::Invite);
        one.invite = Some(invite.clone());
        let says = |name| crate::sip::reliable::names(&invite.headers, name);
        assert_eq!(
            (says("Supported"), says("Require")),
            (supported, required),
            "{setting:?}"
        );
        one.sent.clear();
        say(&mut one, 183, "x", 7, Some(&sdp(2)));
        assert_eq!(
            racks(&one).len(),
            usize::from(setting != Reliability::Off),
            "{setting:?}"
        );
        assert_eq!(one.words(), ["progress 183 answer 2"]);
    }
}

#[test]
fn each_reliable_response_is_acknowledged_once_and_in_order_in_its_own_dialog() {
    let mut one = dialled(true);
    let cseq = number(&one);
    say(&mut one, 180, "x", 10, None);
    let prack = one.last(&Method::Prack);
    assert_eq!(header(&prack, "RAck"), format!("10 {cseq} INVITE"));
    assert!(prack.headers.cseq().expect("CSeq").number > cseq);
    assert_eq!(prack.uri.as_str(), "sip:bob@192.0.2.200:5080");
    // Another fork counts for itself.
    say(&mut one, 180, "y", 500, None);
    // One that comes again is not news, and the PRACK repeats itself; one that comes too early is not acknowledged.
    one.sent.clear();
    say(&mut one, 180, "x", 10, None);
    say(&mut one, 183, "x", 12, Some(&sdp(3)));
    assert_eq!(one.take(), Vec::<String>::new());
    say(&mut one, 183, "x", 11, Some(&sdp(2)));
    say(&mut one, 181, "x", 12, None);
    say(&mut one, 183, "y", 501, Some(&sdp(4)));
    say(&mut one, 183, "y", 500, Some(&sdp(4)));
    assert_eq!(
        racks(&one),
        [
            format!("x: 11 {cseq} INVITE"),
            format!("x: 12 {cseq} INVITE"),
            format!("y: 501 {cseq} INVITE")
        ]
    );
    assert_eq!(
        one.words(),
        [
            "ring",
            "ring",
            "progress 183 answer 2",
            "progress 181",
            "progress 183 answer 4"
        ]
    );
}

#[test]
fn a_prack_is_repeated_like_any_request_and_given_up_without_harm() {
    let mut one = dialled(true);
    say(&mut one, 183, "x", 1, Some(&sdp(2)));
    one.run(1_600);
    assert_eq!(one.take(), ["PRACK", "PRACK", "PRACK"]);
    one.run(40_000);
    assert!(
        one.words() == ["progress 183 answer 2"],
        "the INVITE still goes on"
    );
    let invite = one.last_invite();
    one.sent.clear();
    one.hear(reply(
        &invite,
        200,
        "x",
        &[("Contact", "<sip:bob@192.0.2.200:5080>")],
        None,
    ));
    assert_eq!(one.take(), ["ACK"]);
    assert_eq!(one.words(), ["answered answer 2"]);
}

#[test]
fn the_first_reliable_answer_is_the_answer_whatever_the_200_says() {
    let mut one = dialled(true);
    say(&mut one, 183, "x", 1, Some(&sdp(2)));
    say(&mut one, 183, "x", 2, Some(&sdp(3)));
    let invite = one.last_invite();
    one.hear(reply(&invite, 200, "x", &[], Some(&sdp(4))));
    assert_eq!(
        one.words(),
        ["progress 183 answer 2", "progress 183", "answered answer 2"]
    );
}

#[test]
fn an_offer_in_a_reliable_response_is_answered_in_the_prack() {
    let mut one = dialled(false);
    say(&mut one, 183, "x", 1, Some(&sdp(2)));
    assert_eq!(one.take(), Vec::<String>::new());
    assert_eq!(one.words(), ["progress 183 offer 2"]);
    // The offer of another fork waits until this one has its answer, and comes again.
    say(&mut one, 183, "y", 1, Some(&sdp(3)));
    say(&mut one, 183, "x", 1, Some(&sdp(2)));
    assert_eq!((one.take().len(), one.words().len()), (0, 0));
    one.tell(Signal::Accept(sdp(8)));
    let prack = one.last(&Method::Prack);
    assert_eq!(prack.body, sdp(8).to_bytes());
    assert!(header(&prack, "To").ends_with("tag=x"));
    one.sent.clear();
    say(&mut one, 183, "y", 1, Some(&sdp(3)));
    assert_eq!(one.words(), ["progress 183 offer 3"]);
    one.tell(Signal::Accept(sdp(9)));
    assert!(header(&one.last(&Method::Prack), "To").ends_with("tag=y"));
    // The first one answers: what its caller says by now has to be said to it.
    let invite = one.last_invite();
    one.sent.clear();
    one.hear(reply(&invite, 200, "x", &[], None));
    assert_eq!(one.take(), ["ACK"]);
    assert_eq!(one.words(), ["answered", "refresh"]);
}

#[test]
fn an_offer_crosses_as_update_into_the_dialog_that_spoke_last() {
    let mut one = dialled(true);
    one.tell(Signal::Offer(Some(sdp(7))));
    assert_eq!(one.words(), ["refuse 491"], "the INVITE's offer is open");
    say(&mut one, 183, "x", 1, Some(&sdp(2)));
    say(&mut one, 183, "y", 1, Some(&sdp(3)));
    one.words();
    one.sent.clear();
    one.tell(Signal::Offer(Some(sdp(7))));
    let update = one.last(&Method::Update);
    assert!(header(&update, "To").ends_with("tag=y"));
    assert_eq!(update.body, sdp(7).to_bytes());
    assert!(update.headers.contains("Contact"));
    // Glare (RFC 3311 §5.2): theirs meets ours.
    let about = Message::Request(update.clone());
    let theirs = one.request(&Method::Update, &about, "", Some(&sdp(9)));
    one.sent.clear();
    one.hear(theirs);
    assert_eq!(one.take(), ["491"]);
    one.hear(reply(&update, 200, "y", &[], Some(&sdp(5))));
    assert_eq!(one.words(), ["accept 5"]);
    // x wins: it never heard of it.
    let invite = one.last_invite();
    one.sent.clear();
    one.hear(reply(&invite, 200, "x", &[], None));
    assert_eq!(one.take(), ["ACK"]);
    assert_eq!(one.words(), ["answered answer 2", "refresh"]);
}

#[test]
fn a_refused_or_lost_update_before_the_answer_ends_nothing() {
    for code in [Some(488), Some(481), Some(500), None] {
        let mut one = dialled(true);
        say(&mut one, 183, "x", 1, Some(&sdp(2)));
        let prack = one.last(&Method::Prack);
        one.hear(reply(&prack, 200, "x", &[], None));
        one.words();
        one.tell(Signal::Offer(Some(sdp(7))));
        let update = one.last(&Method::Update);
        match code {
            Some(code) => one.hear(reply(&update, code, "x", &[], None)),
            None => one.run(33_000),
        }
        let words = one.words();
        assert_eq!(words.len(), 1, "{code:?} {words:?}");
        assert!(words[0].starts_with("refuse"), "{code:?} {words:?}");
        let invite = one.last_invite();
        one.hear(reply(&invite, 200, "x", &[], None));
        assert_eq!(one.words(), ["answered answer 2"], "{code:?}");
    }
}

#[test]
fn a_fork_that_takes_no_update_is_offered_nothing_before_the_answer() {
    let mut one = dialled(true);
    let invite = one.last_invite();
    let head = [
        ("Require", "100rel"),
        ("RSeq", "1"),
        ("Contact", "<sip:bob@192.0.2.200:5080>"),
    ];
    one.hear(reply(&invite, 183, "x", &head, Some(&sdp(2))));
    one.words();
    one.tell(Signal::Offer(Some(sdp(7))));
    assert_eq!(one.words(), ["refuse 488"]);
    one.tell(Signal::Offer(None));
    assert_eq!(
        one.words(),
        ["refuse 491"],
        "nothing can ask for an offer before the answer"
    );
}

#[test]
fn an_update_of_a_fork_crosses_if_its_answer_was_reliable() {
    let mut one = dialled(true);
    let invite = one.last_invite();
    let contact = [("Contact", "<sip:bob@192.0.2.200:5080>")];
    one.hear(reply(&invite, 183, "u", &contact, Some(&sdp(2))));
    say(&mut one, 183, "x", 1, Some(&sdp(3)));
    one.words();
    let prack = Message::Request(one.last(&Method::Prack));
    // Of the one that answered unreliably: our offer is still open there.
    let mut other = one.request(&Method::Update, &prack, "", Some(&sdp(9)));
    let from = header(&other, "From").replace("tag=x", "tag=u");
    other.headers.set("From", from);
    one.sent.clear();
    one.hear(other);
    assert_eq!(one.take(), ["491"]);
    let update = one.request(&Method::Update, &prack, "", Some(&sdp(9)));
    one.hear(update);
    assert_eq!(one.words(), ["offer 9"]);
    // A second one at the same time (RFC 3311 §5.2).
    let second = one.request(&Method::Update, &prack, "", Some(&sdp(10)));
    one.hear(second);
    let busy = one.response();
    assert_eq!(one.take(), ["500"]);
    assert!(busy.headers.contains("Retry-After"));
    one.tell(Signal::Accept(sdp(4)));
    assert_eq!(one.response().body, sdp(4).to_bytes());
    assert_eq!(one.take(), ["200"]);
    // One without a description is for nobody else.
    let bare = one.request(&Method::Update, &prack, "", None);
    one.hear(bare);
    assert_eq!(one.take(), ["200"]);
    // And one out of order is none (RFC 3261 §12.2.2).
    one.cseq = 50;
    let late = one.request(&Method::Update, &prack, "", None);
    one.hear(late);
    assert_eq!(one.take(), ["500"]);
    // What stands is what was said last: there is no answer to repeat.
    one.hear(reply(&invite, 200, "x", &[], None));
    assert_eq!(one.words(), ["answered"]);
}

#[test]
fn giving_up_ends_what_goes_on_in_early_dialogs() {
    let mut one = dialled(true);
    say(&mut one, 183, "x", 1, Some(&sdp(2)));
    let prack = Message::Request(one.last(&Method::Prack));
    let update = one.request(&Method::Update, &prack, "", Some(&sdp(9)));
    one.hear(update);
    one.words();
    one.sent.clear();
    one.tell(Signal::Hangup(Cause::of(Kind::Cancelled, Origin::LegA)));
    assert_eq!(one.take(), ["487", "CANCEL"]);
    let invite = one.last_invite();
    one.hear(reply(&invite, 487, "x", &[], None));
    one.run(100);
    assert!(one.closed);
    assert_eq!(one.leg.poll_timeout(), None);
}

#[test]
fn a_callee_without_100rel_refuses_what_requires_it() {
    let mut one = dialled(true);
    let invite = one.last_invite();
    one.hear(reply(&invite, 420, "x", &[("Unsupported", "100rel")], None));
    assert_eq!(one.words(), ["fail 420 rejected"]);
    let failure = Failure::new(Status::BAD_EXTENSION, Origin::LegB, Kind::Rejected);
    assert_eq!(failure.status.code(), 420);
}
