//! Subscriptions: what crosses between the two halves of their dialog, and how they end.

use super::*;

/// Alice has subscribed for ten minutes; bob has said 200 for eight.
fn subscribed() -> (Rig, Request, Response) {
    let more =
        "Event: presence\r\nExpires: 600\r\nAccept: application/pidf+xml\r\nRecord-Route: <sip:p1;lr>\r\n";
    let mut rig = Rig::bridged(asks("SUBSCRIBE", 1, "", more, ""));
    let asked = rig.request();
    assert_eq!(get(&asked.headers, "Event"), "presence");
    assert_eq!(get(&asked.headers, "Expires"), "600");
    assert_eq!(get(&asked.headers, "Contact"), "<sip:203.0.113.1:5060>");
    let contact = format!("<sip:bob@{BOB}>");
    rig.hear(
        Side::B,
        reply(&asked, 200, &[("Expires", "480"), ("Contact", contact.as_str())]),
    );
    let answer = rig.response();
    assert_eq!(get(&answer.headers, "Expires"), "480");
    assert!(answer.headers.contains("Contact") && answer.headers.contains("Record-Route"));
    assert!(!rig.closed && rig.passage.is_subscription());
    assert_eq!(rig.dialogs, [Side::B, Side::A]);
    (rig, asked, answer)
}

#[test]
fn a_subscription_carries_notifies_one_way_and_renewals_the_other_until_its_last_word() {
    let (mut rig, asked, answer) = subscribed();
    rig.hear(Side::B, rig.notify(&asked, 1, "bob", "active;expires=480"));
    let told = rig.request();
    assert_eq!(
        (told.method.clone(), told.body.as_ref()),
        (Method::Notify, &b"<p>"[..])
    );
    assert_eq!(get(&told.headers, "Subscription-State"), "active;expires=480");
    assert_eq!(get(&told.headers, "To"), "<sip:alice@example.org>;tag=alice");
    assert_eq!(get(&told.headers, "From"), get(&answer.headers, "To"));
    assert_eq!(get(&told.headers, "Route"), "<sip:p1;lr>");
    assert_eq!(told.uri.as_str(), format!("sip:alice@{ALICE}"));
    rig.hear(Side::A, reply(&told, 200, &[]));
    let heard = rig.response();
    assert_eq!(
        (heard.status, get(&heard.headers, "CSeq")),
        (Status::OK, "1 NOTIFY".into())
    );

    rig.run(Duration::from_secs(400));
    let tag = answer.headers.to().expect("To").tag();
    let tag = format!(";tag={}", text(tag));
    rig.hear(
        Side::A,
        asks("SUBSCRIBE", 2, &tag, "Event: presence\r\nExpires: 600\r\n", ""),
    );
    let renewed = rig.request();
    assert_eq!(renewed.uri.as_str(), format!("sip:bob@{BOB}"));
    assert_eq!(get(&renewed.headers, "To"), "<sip:bob@example.org>;tag=bob");
    rig.hear(Side::B, reply(&renewed, 200, &[("Expires", "480")]));
    assert_eq!(rig.response().status, Status::OK);
    rig.run(Duration::from_secs(400));
    assert!(!rig.closed, "it was renewed");

    rig.hear(
        Side::B,
        rig.notify(&asked, 2, "bob", "terminated;reason=noresource"),
    );
    let last = rig.request();
    assert!(!rig.closed, "the last word waits for its answer");
    rig.hear(Side::A, reply(&last, 200, &[]));
    assert_eq!(rig.response().status, Status::OK);
    assert!(rig.closed && rig.passage.poll_timeout().is_none());
}

#[test]
fn a_subscription_that_nobody_renews_is_forgotten_after_its_time() {
    let (mut rig, ..) = subscribed();
    rig.run(Duration::from_secs(480 + 31));
    assert!(!rig.closed);
    rig.run(Duration::from_secs(2));
    assert!(rig.closed && rig.sent.is_empty());
}

#[test]
fn who_subscribes_for_no_time_gets_one_notify() {
    let mut rig = Rig::bridged(asks("SUBSCRIBE", 1, "", "Event: presence\r\nExpires: 0\r\n", ""));
    let asked = rig.request();
    // Whatever bob says: nobody wants more than one.
    rig.hear(Side::B, reply(&asked, 200, &[("Expires", "3600")]));
    assert_eq!(rig.response().status, Status::OK);
    rig.run(Duration::from_secs(31));
    assert!(!rig.closed);
    rig.run(Duration::from_secs(2));
    assert!(rig.closed);
}

#[test]
fn a_notify_that_overtakes_the_answer_crosses_and_one_of_another_fork_gets_481() {
    let mut rig = Rig::bridged(asks(
        "SUBSCRIBE",
        1,
        "",
        "Event: presence\r\nExpires: 600\r\n",
        "",
    ));
    let asked = rig.request();
    rig.hear(Side::B, rig.notify(&asked, 1, "fork", "active"));
    let told = rig.request();
    assert_eq!(told.method, Method::Notify);
    assert_eq!(rig.dialogs, [Side::B, Side::A], "so that its answer is found");
    rig.hear(Side::B, rig.notify(&asked, 1, "other", "active"));
    assert_eq!(rig.response().status, Status::CALL_DOES_NOT_EXIST);
    rig.hear(Side::A, reply(&told, 200, &[]));
    assert_eq!(rig.response().status, Status::OK);
    // The answer of the other fork does not move the dialog.
    rig.hear(Side::B, reply(&asked, 200, &[("Expires", "600")]));
    assert_eq!(rig.response().status, Status::OK);
    rig.hear(Side::B, rig.notify(&asked, 2, "fork", "active"));
    assert_eq!(rig.request().method, Method::Notify);
    assert_eq!(rig.dialogs, [Side::B, Side::A], "said once");
}

#[test]
fn out_of_order_foreign_and_misplaced_requests_are_refused() {
    let (mut rig, asked, answer) = subscribed();
    rig.hear(Side::B, rig.notify(&asked, 5, "bob", "active"));
    let told = rig.request();
    rig.hear(Side::A, reply(&told, 200, &[]));
    rig.sent.clear();
    rig.hear(Side::B, rig.notify(&asked, 4, "bob", "active"));
    assert_eq!(rig.response().status, Status::SERVER_INTERNAL_ERROR);
    rig.hear(Side::B, rig.notify(&asked, 6, "mallory", "terminated"));
    assert_eq!(rig.response().status, Status::CALL_DOES_NOT_EXIST);
    let tag = format!(";tag={}", text(answer.headers.to().expect("To").tag()));
    rig.hear(Side::A, asks("MESSAGE", 3, &tag, "", ""));
    assert_eq!(rig.response().status, Status::METHOD_NOT_ALLOWED);
    rig.hear(
        Side::A,
        asks("SUBSCRIBE", 4, ";tag=wrong", "Event: presence\r\n", ""),
    );
    assert_eq!(rig.response().status, Status::CALL_DOES_NOT_EXIST);
    assert!(!rig.closed);
}

#[test]
fn a_listener_that_is_gone_ends_the_subscription() {
    // It says so.
    let (mut rig, asked, _) = subscribed();
    rig.hear(Side::B, rig.notify(&asked, 1, "bob", "active"));
    let told = rig.request();
    rig.hear(Side::A, reply(&told, 481, &[]));
    assert_eq!(rig.response().status, Status::CALL_DOES_NOT_EXIST);
    assert!(rig.closed);
    // It is silent: whoever notifies is told the same.
    let (mut rig, asked, _) = subscribed();
    rig.hear(Side::B, rig.notify(&asked, 1, "bob", "active"));
    rig.run(Duration::from_secs(33));
    let Some((Message::Response(end), _)) = rig.sent.pop() else {
        panic!("no answer")
    };
    assert_eq!(end.status, Status::CALL_DOES_NOT_EXIST);
    assert!(rig.closed);
}

#[test]
fn a_server_that_stops_tells_both_and_one_that_still_asks_says_503() {
    let (mut rig, ..) = subscribed();
    let cause = Cause::of(Kind::Shutdown, Origin::Local);
    rig.with(|passage, env| passage.end(&cause, env));
    let sent: Vec<_> = rig.sent.drain(..).collect();
    let [(Message::Request(notify), _), (Message::Request(subscribe), _)] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert_eq!(
        (notify.method.clone(), get(&notify.headers, "Subscription-State")),
        (Method::Notify, "terminated;reason=deactivated".into())
    );
    assert_eq!(
        (subscribe.method.clone(), get(&subscribe.headers, "Expires")),
        (Method::Subscribe, "0".into())
    );
    rig.hear(Side::A, reply(notify, 200, &[]));
    rig.hear(Side::B, reply(subscribe, 200, &[]));
    assert!(rig.closed);

    let mut rig = Rig::bridged(asks("MESSAGE", 1, "", "", ""));
    rig.sent.clear();
    rig.with(|passage, env| passage.end(&cause, env));
    assert_eq!(rig.response().status, Status::SERVICE_UNAVAILABLE);
    assert!(rig.closed);
}

#[test]
fn a_peer_that_asks_without_end_is_held_to_a_bound() {
    let (mut rig, asked, _) = subscribed();
    for cseq in 1..200 {
        rig.hear(Side::B, rig.notify(&asked, cseq, "bob", "active"));
    }
    assert!(rig.passage.crossings.len() <= MAX_CROSSINGS);
    assert!(rig.sent.len() < 2 * MAX_CROSSINGS, "{}", rig.sent.len());
    // As soon as there is room again, it goes on.
    rig.run(Duration::from_secs(70));
    assert!(rig.closed, "the listener never answered");
}
