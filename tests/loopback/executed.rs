//! A transfer that the server executes, to a phone with ZRTP, on the wire (acceptance #8): keyed anew with it, heard both ways,
//! nothing in the clear meanwhile, and its string in log and record.

use super::{
    keyed::{KEYED, PATIENCE, phone, security, until},
    party::{Heard, Party},
    server::Server,
};
use b2bua::phone::{
    crypto::Suite,
    handset::{Happening, Line, Phone},
    session::{Direction, Security},
};
use std::{fs, time::Duration};
use tokio::{
    task::block_in_place,
    time::{sleep, timeout},
};

/// The callee refers its caller to that user at that phone, and sees it through.
fn refer(bob: &mut Party, invite: &Heard, to: &str) {
    let call = bob.within("REFER", 1, invite);
    let referred = call.replacen("\r\n\r\n", &format!("\r\nRefer-To: <{to}>\r\n\r\n"), 1);
    bob.send(&referred);
    bob.expect("SIP/2.0 202");
}

/// He is told how it goes until he is hung up.
fn see_through(bob: &mut Party) {
    loop {
        let heard = bob.hear();
        bob.respond(&heard, "200 OK", "");
        if heard.start().starts_with("BYE ") {
            break;
        }
        assert!(heard.start().starts_with("NOTIFY "), "{}", heard.0);
    }
}

async fn ready(line: &Line) {
    while !line.heard().await.expect("the call goes on").ready {
        sleep(Duration::from_millis(10)).await;
    }
}

/// All that the server said of keys: leg, encryption and string.
fn keyed(server: &Server) -> Vec<String> {
    let log = server.service.output();
    let lines = log.lines();
    lines
        .filter_map(|line| line.split_once(" keyed ")?.1.split_once(" verified="))
        .map(|(said, _)| said.to_owned())
        .collect()
}

/// Alice with that encryption calls bob, who has none, and he refers her to carol, who has ZRTP.
async fn transferred(mode: &'static str) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("cdr");
    let mut bob = Party::udp("127.0.0.1", "127.0.0.1:9".parse().expect("an address"));
    let mut carol: Phone = phone("carol".to_owned(), Security::AsOffered(Suite::ALL.to_vec())).await;
    let more = format!(
        "transfer-mode=execute\ncdr-file={}\n[b2bua-server::trenscrypter]\noutgoing-enc-regex=zrtp sip:carol.* none sip:.*\n",
        file.display()
    );
    let server = Server::quiet(" ", &more);
    let alice = phone("alice".to_owned(), security(mode)).await;
    let mut caller = alice.call(&bob.uri(), server.udp(), 7).await.expect("ports");
    let invite = block_in_place(|| {
        let invite = bob.expect("INVITE ");
        bob.respond(&invite, "200 OK", &bob.sdp());
        bob.expect("ACK ");
        invite
    });
    until(&mut caller, Happening::Answered(Direction::SendRecv)).await;
    timeout(PATIENCE, ready(&caller)).await.expect("alice has keys");
    // She speaks all the time.
    let to = format!("sip:carol-7@{}", carol.address());
    block_in_place(|| refer(&mut bob, &invite, &to));
    let callee = timeout(PATIENCE, carol.incoming())
        .await
        .expect("carol is called");
    let mut callee = callee.expect("the phone is there");
    callee.answer().await;
    block_in_place(|| see_through(&mut bob));
    until(&mut caller, Happening::Offered(Direction::SendRecv)).await;
    until(&mut callee, Happening::Acknowledged).await;
    timeout(PATIENCE, ready(&callee)).await.expect("carol has keys");
    sleep(KEYED).await;
    let before = callee.heard().await.expect("a report");
    sleep(Duration::from_secs(1)).await;
    let (alice_hears, carol_hears) = (caller.heard().await, callee.heard().await);
    let (alice_hears, carol_hears) = (alice_hears.expect("a report"), carol_hears.expect("a report"));
    for (who, heard) in [("alice", &alice_hears), ("carol", &carol_hears)] {
        // Fifty packets a second; what came before there were keys would be counted as clear, or as unreadable.
        assert!(heard.tally.good >= 40, "{mode}: {who} {heard:?}");
        assert_eq!(heard.tally.bad(), 0, "{mode}: {who} {heard:?}");
        let (hertz, share) = heard.strongest.expect("she is heard");
        assert!(hertz == heard.expected && share > 0.8, "{mode}: {who} {heard:?}");
    }
    assert!(
        carol_hears.tally.good > before.tally.good,
        "{mode}: {carol_hears:?}"
    );
    let carols = carol_hears.sas.expect("carol's phone shows a string");
    let alices = alice_hears.sas;
    assert_eq!(alices.is_some(), mode == "zrtp");
    let said = keyed(&server);
    let line = |leg: &str, sas: &str| format!("leg={leg} encryption=zrtp sas={sas:?}");
    assert!(said.contains(&line("B", &carols)), "{mode}: {carols} {said:?}");
    callee.hang_up().await;
    until(&mut caller, Happening::HungUp).await;
    server.until_empty();

    let text = block_in_place(|| fs::read_to_string(&file)).expect("the records");
    let record: serde_json::Value = serde_json::from_str(text.trim()).expect("one object");
    let recorded = |leg: &str| record[leg]["sas"]["text"].as_str().map(str::to_owned);
    assert_eq!(recorded("b"), Some(carols), "{mode}: {record}");
    assert_eq!(recorded("a"), alices, "{mode}: {record}");
}

#[tokio::test(flavor = "multi_thread")]
async fn acceptance_8_the_target_of_a_transfer_is_keyed_by_zrtp_and_heard_both_ways() {
    for mode in ["none", "zrtp"] {
        transferred(mode).await;
    }
}
