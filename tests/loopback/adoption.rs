//! Two calls are joined by the target's own leg (acceptance #27), on the wire: the target knows nothing of Replaces, and is not called again.

use super::{
    party::{Heard, Party, fresh},
    server::Server,
};
use std::fs;

/// What the other end of a dialog is called in a Refer-To, by the response that made it.
fn replaces(answered: &Heard) -> String {
    let tag = |field: &str| {
        let value = answered.field(field);
        value.split(";tag=").nth(1).expect("a tag").to_owned()
    };
    format!(
        "{}%3Bto-tag%3D{}%3Bfrom-tag%3D{}",
        answered.field("Call-ID"),
        tag("To"),
        tag("From")
    )
}

/// Alice calls somebody, who answers: what she was answered, and what the other one was asked.
fn call(alice: &mut Party, other: &mut Party) -> (Heard, Heard) {
    let invite = alice.invite(&fresh("call"), &other.uri());
    alice.send(&invite);
    let asked = other.expect("INVITE ");
    other.respond(&asked, "200 OK", &other.sdp());
    let answered = alice.expect("SIP/2.0 200");
    alice.send(&alice.within("ACK", 1, &answered));
    other.expect("ACK ");
    (answered, asked)
}

/// Alice joins those with whom she has those calls, and is told that it is under way.
fn refer(alice: &mut Party, number: u32, (with, target): (&Heard, &Heard), dora: &Party) {
    let refer = alice.within("REFER", number, with);
    let to = format!("Refer-To: <{}?Replaces={}>", dora.uri(), replaces(target));
    alice.send(&refer.replacen("\r\n\r\n", &format!("\r\n{to}\r\n\r\n"), 1));
    alice.expect("SIP/2.0 202");
    let notify = alice.expect("NOTIFY ");
    alice.respond(&notify, "200 OK", "");
}

#[test]
fn acceptance_27_two_calls_are_joined_and_heard_both_ways_where_the_target_knows_no_replaces() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cdr");
    let more = format!(
        "transfer-mode=execute\ntrusted-hosts=127.0.0.1\ncdr-file={}\n",
        file.display()
    );
    let server = Server::start(" ", &more);
    let mut alice = Party::udp("127.0.0.1", server.udp());
    let mut bob = Party::udp("127.0.0.1", server.udp());
    let mut dora = Party::udp("127.0.0.1", server.udp());
    let (with, bobs) = call(&mut alice, &mut bob);
    let (target, doras) = call(&mut alice, &mut dora);
    assert_eq!(server.gauges()["calls"], 2);

    // She refuses: all is as it was.
    refer(&mut alice, 2, (&with, &target), &dora);
    let offered = dora.expect("INVITE ");
    assert_eq!(
        offered.field("Call-ID"),
        doras.field("Call-ID"),
        "it is not a second call"
    );
    dora.respond(&offered, "488 Not Acceptable Here", "");
    dora.expect("ACK ");
    let notify = alice.expect("NOTIFY ");
    assert!(
        notify.0.ends_with("SIP/2.0 488 Not Acceptable Here\r\n"),
        "{}",
        notify.0
    );
    alice.respond(&notify, "200 OK", "");
    assert_eq!(dora.speak(&doras, &alice)[12..], [0x55; 160]);
    assert_eq!(bob.speak(&bobs, &alice)[12..], [0x55; 160]);
    // What she asks for in her call goes where her call is.
    dora.send(&dora.within("INFO", 1, &doras));
    let info = alice.expect("INFO ");
    assert_eq!(info.field("Call-ID"), target.field("Call-ID"));
    alice.respond(&info, "200 OK", "");
    dora.expect("SIP/2.0 200");

    // She takes it.
    refer(&mut alice, 3, (&with, &target), &dora);
    let offered = dora.expect("INVITE ");
    assert_eq!(offered.field("Call-ID"), doras.field("Call-ID"));
    dora.respond(&offered, "200 OK", &dora.sdp());
    dora.expect("ACK ");
    let told = bob.expect("INVITE ");
    bob.respond(&told, "200 OK", &bob.sdp());
    bob.expect("ACK ");
    let mut byes = Vec::new();
    let mut fragments = Vec::new();
    while byes.len() < 2 {
        let heard = alice.hear();
        alice.respond(&heard, "200 OK", "");
        if heard.start().starts_with("BYE ") {
            byes.push(heard.field("Call-ID"));
        } else {
            assert!(heard.start().starts_with("NOTIFY "), "{}", heard.0);
            fragments.push(heard.0.ends_with("SIP/2.0 200 OK\r\n"));
        }
    }
    byes.sort();
    let mut both = [with.field("Call-ID"), target.field("Call-ID")];
    both.sort();
    assert_eq!(byes, both, "she is out of both");
    assert_eq!(fragments, [true]);
    assert_eq!(bob.speak(&told, &dora)[12..], [0x55; 160], "dora hears bob");
    assert_eq!(dora.speak(&offered, &bob)[12..], [0x55; 160], "and bob her");
    alice.expect_not_heard(&with, &bob);
    server.until(|gauges| gauges["calls"] == 1);

    // And she can end it: her dialog is that of her own call still.
    dora.send(&dora.within("BYE", 2, &doras));
    dora.expect("SIP/2.0 200");
    let bye = bob.expect("BYE ");
    bob.respond(&bye, "200 OK", "");
    server.until_empty();

    let records = fs::read_to_string(&file).expect("the records");
    let records: Vec<serde_json::Value> = records
        .lines()
        .map(|line| serde_json::from_str(line).expect("one object a line"))
        .collect();
    assert_eq!(records.len(), 2, "one for each call: {records:?}");
    for (answered, to) in [(&with, &dora), (&target, &bob)] {
        let is_of = |record: &&serde_json::Value| record["a"]["call_id"] == answered.field("Call-ID");
        let record = records
            .iter()
            .find(is_of)
            .unwrap_or_else(|| panic!("{records:?}"));
        let transfers = record["transfers"].as_array().expect("they are there");
        let said: Vec<String> = transfers
            .iter()
            .map(|transfer| format!("{} {} {}", transfer["by"], transfer["target"], transfer["status"]))
            .collect();
        let line = |status: u16| format!("\"leg_a\" \"{}\" {status}", to.uri());
        assert_eq!(said, [line(488), line(200)], "{record}");
    }
}
