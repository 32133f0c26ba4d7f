//! A notifier that behaves.

use super::rig::{Rig, key, plan, seconds, uri};
use crate::sip::{Method, Status, Text};

const SUMMARY: &str = "Messages-Waiting: yes\r\nVoice-Message: 4/8 (1/2)\r\n";

#[test]
fn an_account_subscribes_by_digest_and_its_news_come() {
    let mut rig = Rig::new();
    SUMMARY.clone_into(&mut rig.notifier.summary);
    rig.set(vec![plan("user1")]);
    assert_eq!(rig.status("user1"), "waits");
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.asked(), [86_400, 86_400], "without and with credentials");
    let first = &rig.sent[0].1;
    assert_eq!(first.uri, uri("sip:mwi.example.org"));
    let field = |name: &str| first.headers.get(name).unwrap().to_string();
    assert!(field("From").starts_with("<sip:user1@example.org>;tag="));
    assert_eq!(field("To"), "<sip:user1@example.org>");
    assert_eq!(field("Contact"), "<sip:user1@198.51.100.1:5060>");
    assert_eq!(rig.news, [(key("user1"), SUMMARY.to_owned())]);
    assert_eq!(rig.told(), [200]);
    rig.tell("Messages-Waiting: no\r\n", "active;expires=500");
    rig.pass(seconds(1));
    assert_eq!(rig.news.len(), 2);
    assert_eq!(rig.told(), [200, 200]);
    rig.no_complaints();
}

#[test]
fn refreshes_stay_in_the_dialog_and_come_at_50_to_90_percent_of_what_was_granted() {
    let mut rig = Rig::new();
    rig.notifier.guard.realm.clear();
    rig.notifier.grants = 200;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(4000));
    assert!(rig.sent.len() > 20, "{}", rig.sent.len());
    for pair in rig.sent.windows(2) {
        let wait = pair[1].0 - pair[0].0;
        assert!((seconds(99)..seconds(182)).contains(&wait), "{wait:?}");
        let (before, after) = (&pair[0].1.headers, &pair[1].1.headers);
        assert_eq!(before.get("Call-ID"), after.get("Call-ID"));
        let number = |headers: &crate::sip::Headers| headers.cseq().unwrap().number;
        assert_eq!(number(after), number(before) + 1);
    }
    let second = &rig.sent[1].1;
    assert_eq!(second.uri, uri("sip:voicemail@192.0.2.1:5060"), "its Contact");
    assert!(second.headers.to().unwrap().tag().is_some());
    assert_eq!(rig.names.len(), 1);
    rig.no_complaints();
}

#[test]
fn it_waits_for_the_registration_and_takes_the_way_that_the_registrar_names() {
    let mut rig = Rig::new();
    let plan = crate::message_waiting::MailboxPlan {
        after_registration: true,
        route: vec![uri("sip:proxy.example.org")],
        ..plan("user1")
    };
    rig.set(vec![plan]);
    rig.pass(seconds(1000));
    assert!(rig.sent.is_empty());
    assert_eq!(rig.status("user1"), "waits");
    rig.registered("user1", &["sip:orig@scscf.example.org;lr"]);
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "subscribed");
    let routes: Vec<Text> = rig.sent[0].1.headers.values("Route").collect();
    assert_eq!(
        routes,
        ["<sip:proxy.example.org;lr>", "<sip:orig@scscf.example.org;lr>"]
    );
    assert_eq!(rig.hops[0].uri, uri("sip:proxy.example.org;lr"));
    let so_far = rig.sent.len();
    // Registered or not, what was granted goes on.
    rig.unregistered("user1");
    rig.pass(seconds(3600));
    assert!(rig.sent.len() > so_far + 4);
    assert_eq!(rig.status("user1"), "subscribed");
    // What ends meanwhile begins anew with the registration.
    rig.tell("Messages-Waiting: no\r\n", "terminated;reason=deactivated");
    rig.pass(seconds(3600));
    let so_far = rig.sent.len();
    assert_eq!(rig.status("user1"), "waits");
    rig.registered("user1", &[]);
    rig.pass(seconds(1));
    assert!(rig.sent.len() > so_far);
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.sent.last().unwrap().1.headers.values("Route").count(), 1);
}

#[test]
fn the_first_notify_may_overtake_the_answer_and_counts_once_when_it_comes_twice() {
    let mut rig = Rig::new();
    rig.notifier.hurries = true;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "subscribed");
    assert_eq!(rig.news.len(), 1);
    let call_id = rig.sent[0].1.headers.call_id().unwrap();
    let again = rig.notifier.notify(&call_id, "active").unwrap();
    for _ in 0..3 {
        assert_eq!(rig.hear(&again).unwrap().status, Status::OK);
    }
    assert_eq!(rig.news.len(), 2);
    rig.pass(seconds(3600));
    rig.no_complaints();
}

#[test]
fn at_its_end_it_unsubscribes_and_hears_the_last_word() {
    let mut rig = Rig::new();
    rig.set(vec![plan("user1"), plan("user2")]);
    rig.pass(seconds(1));
    let news = rig.news.len();
    assert!(!rig.book.is_done());
    rig.with(|book, env| book.end(env));
    rig.pass(seconds(1));
    assert!(
        rig.book.is_done() && rig.book.is_empty(),
        "both last NOTIFYs have come"
    );
    assert!(rig.notifier.subscriptions.is_empty());
    assert_eq!(rig.asked().iter().filter(|asked| **asked == 0).count(), 2);
    assert!(rig.told().iter().all(|code| *code == 200), "{:?}", rig.told());
    assert_eq!(rig.news.len(), news, "nobody wants it any more");
    assert!(rig.names.is_empty());
    rig.no_complaints();
}

#[test]
fn what_is_no_notify_of_the_mailbox_is_refused_and_changes_nothing() {
    let mut rig = Rig::new();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    let (sent, news) = (rig.sent.len(), rig.news.len());
    let call_id = rig.sent[0].1.headers.call_id().unwrap();
    let mut notify = |change: &dyn Fn(&mut crate::sip::Request)| {
        let mut request = rig.notifier.notify(&call_id, "terminated").unwrap();
        change(&mut request);
        let response = rig.hear(&request).unwrap();
        (response.status.code(), response)
    };
    let (code, response) = notify(&|request| request.headers.set("Event", "presence"));
    assert_eq!(
        (code, response.headers.get("Allow-Events")),
        (489, Some("message-summary".into()))
    );
    let (code, response) = notify(&|request| request.headers.set("Content-Type", "text/plain"));
    assert_eq!(code, 415);
    assert_eq!(
        response.headers.get("Accept"),
        Some("application/simple-message-summary".into())
    );
    let (code, response) = notify(&|request| request.headers.set("Require", "eventlist"));
    assert_eq!(
        (code, response.headers.get("Unsupported")),
        (420, Some("eventlist".into()))
    );
    assert_eq!(notify(&|request| request.body = vec![b'x'; 9000].into()).0, 413);
    assert_eq!(notify(&|request| request.method = Method::Options).0, 405);
    let fork = |request: &mut crate::sip::Request| {
        request.headers.set("From", "<sip:user1@example.org>;tag=another");
    };
    assert_eq!(notify(&fork).0, 481, "RFC 3842 knows no forks");
    let late = |request: &mut crate::sip::Request| request.headers.set("CSeq", "1 NOTIFY");
    assert_eq!(notify(&late).0, 500);
    rig.pass(seconds(1));
    assert_eq!((rig.sent.len(), rig.news.len()), (sent, news));
    assert_eq!(rig.status("user1"), "subscribed");
}
