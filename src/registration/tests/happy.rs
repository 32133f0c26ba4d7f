//! A registrar that behaves.

use super::rig::{Rig, key, millis, plan, seconds, target, uri};
use crate::{registration::RegistrationStatus, sip::Text};

#[test]
fn an_account_is_registered_at_once_with_the_words_of_flexisip_on_the_way() {
    let mut rig = Rig::new();
    rig.set(vec![plan("user1")]);
    assert_eq!(rig.status("user1"), "Should register");
    rig.pass(millis(5));
    assert_eq!(rig.status("user1"), "Registration in progress");
    rig.pass(seconds(1));
    assert_eq!(rig.status("user1"), "OK");
    let (contact, _) = rig.registrar().bindings["sip:user1@example.org"].clone();
    assert_eq!(contact, "sip:user1@198.51.100.1:5060");
    assert_eq!(rig.sent.len(), 2, "without and with credentials");
    rig.no_complaints();
}

#[test]
fn the_request_uri_is_the_domain_and_call_id_and_from_stay_for_life() {
    let mut rig = Rig::new();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(3000));
    let field = |name: &str| -> Vec<Text> {
        rig.sent
            .iter()
            .map(|(_, sent)| sent.headers.get(name).unwrap())
            .collect()
    };
    assert!(rig.sent.len() > 6, "{}", rig.sent.len());
    assert!(
        rig.sent
            .iter()
            .all(|(_, sent)| sent.uri == uri("sip:example.org"))
    );
    for name in ["Call-ID", "From", "To", "Contact"] {
        let mut values = field(name);
        values.dedup();
        assert_eq!(values.len(), 1, "{name}: {values:?}");
    }
    let numbers: Vec<u32> = rig
        .sent
        .iter()
        .map(|(_, sent)| sent.headers.cseq().unwrap().number)
        .collect();
    assert!(
        numbers.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "{numbers:?}"
    );
    rig.no_complaints();
}

#[test]
fn refreshes_come_at_random_moments_in_50_to_90_percent_of_what_was_granted() {
    let mut rig = Rig::new();
    rig.registrar().realm.clear();
    rig.registrar().grants = 200;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(10_000));
    let gaps: Vec<_> = rig.sent.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.len() > 50, "{}", gaps.len());
    assert!(
        gaps.iter()
            .all(|gap| *gap >= seconds(100) && *gap <= seconds(181)),
        "{gaps:?}"
    );
    let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
    assert!(
        *least < seconds(115) && *most > seconds(165),
        "{least:?} to {most:?}"
    );
    assert_eq!(rig.history.len(), 3, "waiting, in progress, and OK from then on");
}

#[test]
fn what_counts_is_the_time_granted_to_our_contact() {
    // The registrar lists somebody else's with 7 s before ours with 600.
    let mut rig = Rig::new();
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(290));
    assert_eq!(rig.sent.len(), 2);
    rig.pass(seconds(260));
    assert_eq!(rig.sent.len(), 3);
}

#[test]
fn a_removed_account_is_unregistered_with_authentication_and_forgotten() {
    let mut rig = Rig::new();
    rig.registrar().nonce_uses = 1;
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    assert_eq!(rig.registrar().bindings.len(), 1);
    let changes = rig.set(Vec::new());
    assert_eq!(changes.removed, 1);
    assert!(
        !rig.views.contains_key(&key("user1")),
        "it is no account any more"
    );
    rig.pass(seconds(1));
    assert_eq!(rig.registrar().bindings.len(), 0);
    assert_eq!(rig.asked(), ["3600", "3600", "0", "0"], "the nonce was used up");
    assert!(rig.book.is_empty());
    assert_eq!(rig.book.poll_timeout(), None);
    rig.no_complaints();
}

#[test]
fn the_end_of_the_server_removes_bindings_but_for_those_that_are_to_stay() {
    let mut rig = Rig::new();
    let mut stays = plan("user2");
    stays.unregister = false;
    rig.set(vec![plan("user1"), stays]);
    rig.pass(seconds(1));
    assert_eq!(rig.registrar().bindings.len(), 2);
    rig.with(|book, env| book.end(env));
    rig.pass(seconds(1));
    assert!(rig.book.is_empty());
    let left: Vec<_> = rig.registrar().bindings.keys().cloned().collect();
    assert_eq!(left, ["sip:user2@example.org"]);
}

#[test]
fn an_end_while_a_register_is_on_its_way_still_removes_what_that_makes() {
    let mut rig = Rig::new();
    rig.delay = seconds(1);
    rig.set(vec![plan("user1")]);
    rig.pass(millis(500));
    rig.with(|book, env| book.end(env));
    rig.pass(seconds(6));
    assert_eq!(rig.asked(), ["3600", "3600", "0"]);
    assert_eq!(rig.registrar().bindings.len(), 0);
    assert!(rig.book.is_empty());
}

#[test]
fn who_was_never_registered_leaves_without_a_word() {
    let mut rig = Rig::new();
    rig.registrar().refuses = Some((crate::sip::Status::FORBIDDEN, None));
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    let before = rig.sent.len();
    rig.set(Vec::new());
    rig.pass(seconds(60));
    assert_eq!(rig.sent.len(), before);
    assert!(rig.book.is_empty());
}

#[test]
fn service_route_and_peers_are_known_while_registered() {
    let mut rig = Rig::new();
    rig.registrar().service_route = Some("<sip:p1.example.org;lr>, <sip:p2.example.org;lr>".to_owned());
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    let binding = rig.views[&key("user1")].binding.clone().unwrap();
    assert_eq!(
        *binding.service_route,
        [uri("sip:p1.example.org;lr"), uri("sip:p2.example.org;lr")]
    );
    assert_eq!(*binding.peers, [target(1).remote.ip()]);
    assert_eq!(rig.views[&key("user1")].status, RegistrationStatus::Registered);
}

#[test]
fn an_outbound_proxy_is_a_loose_route_and_one_that_is_the_registrar_is_none() {
    let mut rig = Rig::new();
    let (mut through, mut straight) = (plan("user1"), plan("user2"));
    through.route = vec![uri("sip:proxy.example.net;transport=tcp")];
    straight.route = vec![uri("sip:example.org")];
    rig.set(vec![through, straight]);
    rig.pass(seconds(1));
    let routes: Vec<_> = rig
        .sent
        .iter()
        .map(|(_, sent)| sent.headers.get("Route"))
        .collect();
    let routes: Vec<_> = routes
        .iter()
        .flatten()
        .map(|route| route.to_str().into_owned())
        .collect();
    assert_eq!(routes, ["<sip:proxy.example.net;transport=tcp;lr>"; 2]);
}

#[test]
fn behind_a_nat_the_contact_becomes_where_we_are_seen_and_the_other_goes() {
    let mut rig = Rig::new();
    rig.registrar().realm.clear();
    rig.registrar().sees = Some(([203, 0, 113, 9], 40_000).into());
    rig.set(vec![plan("user1")]);
    rig.pass(seconds(1));
    let contacts: Vec<Vec<_>> = rig
        .sent
        .iter()
        .map(|(_, sent)| {
            sent.headers
                .values("Contact")
                .map(|it| it.to_str().into_owned())
                .collect()
        })
        .collect();
    assert_eq!(contacts[0], ["<sip:user1@198.51.100.1:5060>"]);
    assert_eq!(
        contacts[1],
        [
            "<sip:user1@203.0.113.9:40000>",
            "<sip:user1@198.51.100.1:5060>;expires=0"
        ]
    );
    assert_eq!(contacts.len(), 2);
    // One that is seen elsewhere each time is not chased in circles.
    for port in 1..200 {
        rig.registrar().sees = Some(([203, 0, 113, 9], 40_000 + port).into());
        rig.pass(seconds(10));
    }
    assert!(rig.sent.len() < 20, "{}", rig.sent.len());
}
