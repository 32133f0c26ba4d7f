//! A callee that answers 3xx: passed to the caller, or followed, by setting.

use b2bua::{
    call::{CallEvent, Encryption, EncryptionPolicy, Side, TransferMode},
    testing::{Phone, Scene, Sim, Verdicts, Who, settings},
};
use bytes::Bytes;
use std::time::Duration;

fn scene(follow: bool) -> Scene {
    let mut settings = settings();
    settings.follow_redirects = follow;
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    let plain = EncryptionPolicy::Only(Encryption::None);
    scene.sim = Sim::with(Verdicts::direct(plain), settings, 5);
    scene.call();
    scene.sim.run(Duration::from_millis(30));
    scene
}

/// The Request-URIs that leg B has called, in order.
fn called(scene: &Scene) -> Vec<String> {
    let sent = scene.sim.wire.iter();
    let invites = sent
        .filter(|(_, side, inwards, bytes)| *side == Side::B && !inwards && bytes.starts_with(b"INVITE "));
    let target = |bytes: &Bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        text.split(' ').nth(1).map(str::to_owned)
    };
    let mut all: Vec<String> = invites.filter_map(|(_, _, _, bytes)| target(bytes)).collect();
    all.dedup();
    all
}

fn answer(scene: &mut Scene, code: u16, headers: &str) {
    let response = scene.sim.b.respond("INVITE", code, "", headers, "");
    let text = String::from_utf8(response.to_vec()).unwrap();
    // The peer of the rig says in all that it answers where it is itself.
    let own = "Contact: <sip:bob-device@192.0.2.200:5080>\r\n";
    assert!(text.contains(own), "{text}");
    scene.sim.send(Side::B, Bytes::from(text.replace(own, "")));
    scene.sim.run(Duration::from_millis(30));
}

#[test]
fn a_redirection_reaches_the_caller_with_its_contacts_and_nobody_else_is_called() {
    let mut scene = scene(false);
    answer(
        &mut scene,
        302,
        "Contact: <sip:one@example.org>;q=0.5, <sip:two@example.org>\r\n",
    );
    let moved = scene.sim.a.response(302).unwrap();
    let contacts: Vec<String> = moved
        .headers
        .contacts()
        .unwrap()
        .iter()
        .map(|contact| contact.uri.to_string())
        .collect();
    assert_eq!(contacts, ["sip:one@example.org", "sip:two@example.org"]);
    assert_eq!(called(&scene).len(), 1, "{}", scene.sim.ladder());
    let ack = scene.sim.a.ack_failure();
    scene.sim.send(Side::A, ack);
    scene.sim.run(Duration::from_secs(70));
    scene.sim.assert_done();
}

#[test]
fn contacts_are_called_by_their_likelihood_each_once_and_only_what_is_sip() {
    let mut scene = scene(true);
    let first = called(&scene)[0].clone();
    let contacts = format!(
        "Contact: <sip:late@example.org>;q=0.1, <mailto:bob@example.org>, <tel:+123>, <{first}>\r\n\
         Contact: <sip:next@example.org?Replaces=x>;q=0.7, <sip:late@example.org>\r\n"
    );
    answer(&mut scene, 302, &contacts);
    assert_eq!(
        called(&scene)[1..],
        ["sip:late@example.org"],
        "{}",
        scene.sim.ladder()
    );
    answer(&mut scene, 486, "");
    assert_eq!(
        called(&scene)[2..],
        ["sip:next@example.org"],
        "without what belongs to no Request-URI"
    );
    // One that points back calls nobody twice.
    answer(
        &mut scene,
        301,
        "Contact: <sip:late@example.org>, <sip:next@example.org>\r\n",
    );
    assert_eq!(called(&scene).len(), 3, "{}", scene.sim.ladder());
    let end = scene.sim.a.response(301);
    assert!(end.is_some(), "{}", scene.sim.ladder());
    let ack = scene.sim.a.ack_failure();
    scene.sim.send(Side::A, ack);
    scene.sim.run(Duration::from_secs(70));
    scene.sim.assert_done();
}

#[test]
fn who_is_sent_on_for_ever_is_told_so_after_eight_contacts() {
    let mut scene = scene(true);
    for hop in 0..8 {
        let contact = format!("Contact: <sip:hop{hop}@example.org>\r\n");
        answer(&mut scene, 302, &contact);
        assert_eq!(called(&scene).len(), hop + 2, "{}", scene.sim.ladder());
        assert!(scene.sim.a.response(302).is_none());
    }
    answer(&mut scene, 302, "Contact: <sip:ninth@example.org>\r\n");
    assert_eq!(called(&scene).len(), 9, "{}", scene.sim.ladder());
    let last = scene.sim.a.response(302).unwrap();
    assert_eq!(last.headers.get("Contact").unwrap(), "<sip:ninth@example.org>");
    let ack = scene.sim.a.ack_failure();
    scene.sim.send(Side::A, ack);
    scene.sim.run(Duration::from_secs(70));
    scene.sim.assert_done();
}

#[test]
fn a_redirected_call_is_answered_where_it_was_sent() {
    let mut scene = scene(true);
    answer(&mut scene, 300, "Contact: <sip:there@example.org>\r\n");
    scene.run(Duration::from_secs(3));
    assert!(scene.a.up && scene.b.up, "{}", scene.sim.ladder());
    scene.assert_media();
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn a_redirection_without_a_contact_or_to_a_proxy_is_the_caller_s() {
    for (code, headers) in [
        (302, ""),
        (305, "Contact: <sip:proxy.example.org>\r\n"),
        (380, "Contact: <sip:other@example.org>\r\n"),
    ] {
        let mut scene = scene(true);
        answer(&mut scene, code, headers);
        assert!(scene.sim.a.response(code).is_some(), "{}", scene.sim.ladder());
        assert_eq!(called(&scene).len(), 1);
    }
}

/// Bob refers alice to carol, who has her INVITE.
fn referred(follow: bool) -> Scene {
    let mut settings = settings();
    settings.follow_redirects = follow;
    settings.transfer = TransferMode::Execute;
    let mut scene = Scene::new(Encryption::None, Encryption::None);
    let plain = EncryptionPolicy::Only(Encryption::None);
    scene.sim = Sim::with(Verdicts::direct(plain), settings, 5);
    let mut scene = scene.answered();
    let refer = scene
        .sim
        .b
        .request("REFER", "Refer-To: <sip:carol@example.org>\r\n", "");
    scene.sim.send(Side::B, refer);
    scene.run(Duration::from_millis(30));
    assert_eq!(targets(&scene), ["sip:carol@example.org"]);
    scene
}

/// The Request-URIs by which carol was called.
fn targets(scene: &Scene) -> Vec<String> {
    let sent = scene.sim.wire.iter();
    let invites =
        sent.filter(|(_, who, inwards, bytes)| *who == Who::C && !inwards && bytes.starts_with(b"INVITE "));
    let line = |bytes: &Bytes| {
        String::from_utf8_lossy(bytes)
            .split(' ')
            .nth(1)
            .map(str::to_owned)
    };
    invites.filter_map(|(_, _, _, bytes)| line(bytes)).collect()
}

fn moved(scene: &mut Scene, contacts: &str) {
    let response = scene.sim.c.respond("INVITE", 302, "", contacts, "");
    let text = String::from_utf8(response.to_vec()).unwrap();
    let own = "Contact: <sip:carol-device@192.0.2.150:5090>\r\n";
    assert!(text.contains(own), "{text}");
    scene.sim.send(Who::C, Bytes::from(text.replace(own, "")));
    scene.run(Duration::from_millis(30));
}

fn told(scene: &Scene) -> Option<u16> {
    scene.sim.events.iter().find_map(|event| match event {
        CallEvent::Transferred { by: Side::B, status } => Some(status.code()),
        _ => None,
    })
}

fn goes_on_and_ends(mut scene: Scene) {
    scene.assert_media();
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn the_redirection_of_a_transfers_target_is_told_as_it_is_and_nobody_else_is_called() {
    let mut scene = referred(false);
    moved(&mut scene, "Contact: <sip:carol-mobile@example.org>\r\n");
    assert_eq!(targets(&scene).len(), 1, "{}", scene.sim.ladder());
    assert_eq!(told(&scene), Some(302));
    goes_on_and_ends(scene);
}

#[test]
fn the_redirection_of_a_transfers_target_is_followed_where_those_of_calls_are() {
    let mut scene = referred(true);
    moved(
        &mut scene,
        "Contact: <sip:carol-late@example.org>;q=0.1, <sip:carol-mobile@example.org>;q=0.5, <mailto:carol@example.org>\r\n",
    );
    assert_eq!(targets(&scene)[1..], ["sip:carol-mobile@example.org"]);
    assert_eq!(told(&scene), None);
    let busy = scene.sim.c.respond("INVITE", 486, "", "", "");
    scene.sim.send(Who::C, busy);
    scene.run(Duration::from_millis(30));
    assert_eq!(targets(&scene)[2..], ["sip:carol-late@example.org"]);
    scene.c = Some(Phone::third(Side::B, 5));
    scene.run(Duration::from_secs(1));
    assert_eq!(told(&scene), Some(200), "{}", scene.sim.ladder());
    scene.sim.assert_media(&scene.a, scene.c.as_ref().unwrap());
    assert!(scene.b.ended);
    scene.hang_up(Side::A);
    scene.assert_ends();
}

#[test]
fn a_target_that_sends_on_and_on_is_followed_so_far_and_no_further() {
    let mut scene = referred(true);
    for number in 0..20 {
        if told(&scene).is_some() {
            break;
        }
        // The next one, one that was called, and itself.
        let contacts = format!(
            "Contact: <sip:carol-{number}@example.org>, <sip:carol@example.org>, <{}>\r\n",
            targets(&scene).last().unwrap()
        );
        moved(&mut scene, &contacts);
    }
    let called = targets(&scene);
    assert_eq!(called.len(), 9, "{called:?}");
    assert_eq!(called.iter().collect::<std::collections::BTreeSet<_>>().len(), 9);
    assert_eq!(told(&scene), Some(302));
    goes_on_and_ends(scene);
}
