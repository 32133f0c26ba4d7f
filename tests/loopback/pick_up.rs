//! A call that still rings is picked up by another device, by INVITE with Replaces (RFC 3891), on the wire (acceptance #27).

use super::{
    handover::taking_over,
    party::{Heard, Party, fresh},
    server::Server,
};
use std::fs;

/// The dialog that is to become of an INVITE that came, for whoever is to take its callee's place.
fn replaces(asked: &Heard) -> String {
    let from = asked.field("From");
    let tag = from.split(";tag=").nth(1).expect("a tag");
    format!("{};to-tag={tag};from-tag=callee", asked.field("Call-ID"))
}

/// Carol's device picks up what has that dialog.
fn picking_up(device: &Party, replaces: &str) -> String {
    taking_over(device, replaces).replace("sip:alice@", "sip:carol@")
}

#[test]
fn acceptance_27_another_device_picks_up_what_rings_and_is_heard() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cdr");
    let mut bob = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let more = format!(
        "transfer-mode=execute\ntrusted-hosts=127.0.0.1 127.0.0.2\ncdr-file={}\n",
        file.display()
    );
    let server = Server::start(&bob.uri(), &more);
    let mut alice = Party::udp("127.0.0.1", server.udp());
    let mut carol = Party::udp("127.0.0.2", server.udp());
    let mut stranger = Party::udp("127.0.0.3", server.udp());

    alice.send(&alice.invite(&fresh("call"), "sip:bob@example.org"));
    let asked = bob.expect("INVITE ");
    bob.respond(&asked, "180 Ringing", "");
    alice.expect("SIP/2.0 180");
    let named = replaces(&asked);
    // Who may not call may not pick up either; nor is there such a dialog of another's.
    stranger.send(&picking_up(&stranger, &named));
    stranger.expect("SIP/2.0 403");
    let wrong = picking_up(&carol, &named.replace(";from-tag=", ";from-tag=x"));
    carol.send(&wrong);
    let refused = carol.expect("SIP/2.0 481");
    carol.ack_failure(&wrong, &refused);
    bob.expect_silence();

    // Bob's phone plays something.
    bob.respond(&asked, "183 Session Progress", &bob.sdp());
    let early = alice.expect("SIP/2.0 183");
    assert_eq!(&bob.speak(&asked, &alice)[12..], [0x55; 160], "early media");

    let invite = picking_up(&carol, &format!("{named};early-only"));
    carol.send(&invite);
    let took = carol.expect("SIP/2.0 200");
    let answered = alice.expect("SIP/2.0 200");
    carol.send(&carol.within("ACK", 1, &took));
    alice.send(&alice.within("ACK", 1, &answered));
    let cancel = bob.expect("CANCEL ");
    assert_eq!(
        cancel.field("Reason"),
        "SIP;cause=200;text=\"Call completed elsewhere\""
    );
    bob.respond(&cancel, "200 OK", "");
    bob.respond(&asked, "487 Request Terminated", "");
    bob.expect("ACK ");
    assert_eq!(&carol.speak(&took, &alice)[12..], [0x55; 160], "she is heard");
    assert_eq!(&alice.speak(&answered, &carol)[12..], [0x55; 160], "and hears");
    assert_eq!(early.audio(), answered.audio());
    bob.expect_not_heard(&asked, &alice);
    let gauges = server.gauges();
    assert_eq!((gauges["calls"], gauges["faults"]), (1, 0), "{gauges:?}");

    // A second one comes too late.
    let mut dave = Party::udp("127.0.0.2", server.udp());
    let invite = picking_up(&dave, &format!("{named};early-only"));
    dave.send(&invite);
    let late = dave.hear();
    let late = if late.start().starts_with("SIP/2.0 100") {
        dave.hear()
    } else {
        late
    };
    assert!(
        ["SIP/2.0 481 ", "SIP/2.0 603 "]
            .iter()
            .any(|start| late.0.starts_with(start)),
        "{}",
        late.0
    );
    dave.ack_failure(&invite, &late);

    carol.send(&carol.within("BYE", 2, &took));
    carol.expect("SIP/2.0 200");
    let bye = alice.expect("BYE ");
    alice.respond(&bye, "200 OK", "");
    server.until_empty();
    let text = fs::read_to_string(&file).expect("the records");
    let records: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("an object"))
        .collect();
    let mut answered = records.iter().filter(|record| !record["answered"].is_null());
    let record = answered.next().expect("a record");
    assert!(answered.next().is_none(), "{text}");
    assert_eq!(record["attempts"][0]["status"], 487, "{record}");
    assert_eq!(record["transfers"][0]["status"], 200, "{record}");
    assert_eq!(
        record["transfers"][0]["target"], "sip:carol@example.org",
        "{record}"
    );
}
