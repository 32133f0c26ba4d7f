//! Requests of our own: nobody waits for their answers.

use super::*;

fn news() -> Rig {
    let more = "Event: message-summary\r\nSubscription-State: active\r\n\
                Content-Type: application/simple-message-summary\r\n";
    let message = asks("NOTIFY", 7, ";tag=ours", more, "Messages-Waiting: no\r\n");
    let mut rig = Rig::new(asks("MESSAGE", 1, "", "", ""));
    let Message::Request(request) = message else {
        panic!("not a request")
    };
    let whose = ("pool".into(), "account".into());
    let view = Standalone::of_mailbox(request, source(Side::A, Transport::Udp), whose).expect("taken");
    let profile = rig.passage.profile.clone();
    let mut env = Env {
        now: rig.now,
        ids: &mut rig.ids,
    };
    rig.passage = Passage::originate(view, profile, &mut env).expect("taken");
    rig.drain();
    assert_eq!(rig.asked, 2, "the application");
    rig
}

#[test]
fn news_go_to_whom_the_application_says_and_their_answer_to_nobody() {
    for code in [200, 404, 481, 603] {
        let mut rig = news();
        rig.decide(Decision::Bridge(vec![plan()]));
        let asked = rig.request();
        assert_eq!(asked.method, Method::Notify);
        assert_eq!(asked.body, &b"Messages-Waiting: no\r\n"[..]);
        assert!(
            asked.headers.to().expect("a To").tag().is_none(),
            "of no subscription"
        );
        assert_ne!(get(&asked.headers, "Call-ID"), "of-alice");
        assert!(asked.headers.contains("Contact"));
        rig.hear(Side::B, reply(&asked, code, &[]));
        assert!(rig.sent.is_empty() && rig.closed, "{code}: {:?}", rig.sent);
        assert!(rig.graves.is_empty() && rig.passage.poll_timeout().is_none());
    }
}

#[test]
fn the_next_route_is_tried_and_then_it_is_over() {
    let mut rig = news();
    rig.decide(Decision::Bridge(vec![plan(), plan()]));
    let first = rig.request();
    rig.hear(Side::B, reply(&first, 480, &[]));
    let second = rig.request();
    assert_ne!(get(&first.headers, "Call-ID"), get(&second.headers, "Call-ID"));
    rig.run(Duration::from_secs(33));
    rig.sent.clear();
    assert!(rig.closed, "nobody answers");
}

#[test]
fn nothing_is_said_where_the_application_declines_or_the_server_ends() {
    let mut declined = news();
    let failure = Failure::new(Status::CALL_DOES_NOT_EXIST, Origin::App, Kind::Declined);
    declined.decide(Decision::Decline(failure));
    let mut ended = news();
    let cause = Cause::of(Kind::Shutdown, Origin::Local);
    ended.with(|passage, env| passage.end(&cause, env));
    for rig in [declined, ended] {
        assert!(rig.closed && rig.sent.is_empty(), "{:?}", rig.sent);
    }
}
