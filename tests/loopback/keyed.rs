//! Encryption by encryption: built-in phones on either side of the real server, every packet compared.

use super::server::Server;
use b2bua::phone::{
    crypto::Suite,
    handset::{Happening, Line, Phone, Settings, number},
    session::{Direction, Security},
    stream::{Heard, Speech},
    tone::Codec,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{sleep, timeout};

pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The server's relay has its keys this much after the phones.
pub(super) const KEYED: Duration = Duration::from_millis(300);

/// The modes by the names of the rules.
const MODES: [&str; 4] = ["none", "sdes", "dtls-srtp", "zrtp"];

pub(super) fn security(mode: &str) -> Security {
    match mode {
        "none" => Security::Clear,
        "sdes" => Security::Sdes(vec![Suite::AesCm128Sha1_80]),
        "dtls-srtp" => Security::Dtls,
        _ => Security::Zrtp,
    }
}

pub(super) async fn phone(user: String, security: Security) -> Phone {
    let settings = Settings {
        user,
        at: "127.0.0.1:0".parse().expect("an address"),
        security,
        codecs: vec![Codec::Pcmu],
        speech: Speech::Tone,
        proxy: None,
        watcher: None,
    };
    Phone::start(settings).await.expect("a free port")
}

/// Waits for one thing to happen, past rings and the like.
pub(super) async fn until(line: &mut Line, wanted: Happening) {
    let next = async {
        loop {
            match line.next().await {
                happening if happening == wanted => break,
                Happening::Progress(_) | Happening::Acknowledged => {}
                other => panic!("waiting for {wanted}: {other}"),
            }
        }
    };
    let waited = timeout(PATIENCE, next).await;
    waited.unwrap_or_else(|_| panic!("{wanted} does not happen"));
}

/// One call, and how its legs are to be keyed.
struct Talk {
    from: &'static str,
    to: &'static str,
    /// Kept so that it does not fall silent.
    _phone: Phone,
    caller: Line,
    callee: Option<Line>,
}

impl Talk {
    fn lines(&self) -> [&Line; 2] {
        [&self.caller, self.callee.as_ref().expect("it is answered")]
    }

    async fn ready(&self) {
        for line in self.lines() {
            let ready = async {
                while !line.heard().await.expect("the call goes on").ready {
                    sleep(Duration::from_millis(10)).await;
                }
            };
            let ready = timeout(PATIENCE, ready).await;
            ready.unwrap_or_else(|_| panic!("{} to {}: no keys", self.from, self.to));
        }
    }

    async fn heard(&self) -> [Heard; 2] {
        let [caller, callee] = self.lines();
        let heard = (caller.heard().await, callee.heard().await);
        [heard.0.expect("a report"), heard.1.expect("a report")]
    }
}

/// Calls in every pairing of the four, all at once. `answered`: they are up, keyed, and nobody has spoken yet.
async fn pairs() -> (Server, Phone, Vec<Talk>) {
    let mut bob = phone("bob".to_owned(), Security::AsOffered(Suite::ALL.to_vec())).await;
    let rules = MODES.map(|mode| format!("{mode} sip:{mode}-.*")).join(" ");
    let more = format!("[b2bua-server::trenscrypter]\noutgoing-enc-regex={rules}\n");
    let server = Server::quiet(&format!("sip:{}", bob.address()), &more);
    let mut talks = Vec::new();
    for from in MODES {
        for to in MODES {
            let number = talks.len() as u32;
            let phone = phone(format!("alice{number}"), security(from)).await;
            let target = format!("sip:{to}-{number}@127.0.0.1");
            let caller = phone.call(&target, server.udp(), number).await.expect("ports");
            caller.mute(true).await;
            talks.push(Talk {
                from,
                to,
                _phone: phone,
                caller,
                callee: None,
            });
        }
    }
    for _ in 0..talks.len() {
        let callee = timeout(PATIENCE, bob.incoming()).await.expect("the call arrives");
        let callee = callee.expect("the phone is there");
        callee.mute(true).await;
        callee.answer().await;
        let talk = talks
            .get_mut(number(&callee.dialled) as usize)
            .expect("one of ours");
        talk.callee = Some(callee);
    }
    for talk in &mut talks {
        until(&mut talk.caller, Happening::Answered(Direction::SendRecv)).await;
        let callee = talk.callee.as_mut().expect("it is answered");
        until(callee, Happening::Acknowledged).await;
        talk.ready().await;
    }
    sleep(KEYED).await;
    (server, bob, talks)
}

fn assert_perfect(what: &str, heard: &Heard, sent: u64, mode: &str) {
    assert!(sent >= 60, "{what}: {heard:?}");
    assert_eq!(
        (heard.tally.good, heard.tally.received, heard.tally.bad()),
        (sent, sent, 0),
        "{what}: {heard:?}"
    );
    let (hertz, share) = heard.strongest.unwrap_or_else(|| panic!("{what}: {heard:?}"));
    assert!(
        hertz == heard.expected && share > 0.8,
        "{what}: the tone is another: {heard:?}"
    );
    assert_eq!(heard.suite.is_some(), mode != "none", "{what}: {heard:?}");
    assert_eq!(heard.sas.is_some(), mode == "zrtp", "{what}: {heard:?}");
    assert!(
        heard.rtcp.read > 0 && heard.rtcp.unreadable == 0,
        "{what}: {heard:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn any_encryption_meets_any_other_and_every_packet_arrives() {
    let (server, _bob, mut talks) = pairs().await;
    let speak = async |talks: &[Talk], muted: bool| {
        for line in talks.iter().flat_map(Talk::lines) {
            line.mute(muted).await;
        }
    };
    speak(&talks, false).await;
    sleep(Duration::from_secs(1)).await;
    speak(&talks, true).await;
    sleep(KEYED).await;
    // Each caller holds its call and takes it back: keys stay what they are.
    for direction in [Direction::SendOnly, Direction::SendRecv] {
        for talk in &mut talks {
            talk.caller.offer(direction).await;
            until(
                talk.callee.as_mut().expect("answered"),
                Happening::Offered(direction),
            )
            .await;
            until(&mut talk.caller, Happening::Answered(direction.answered())).await;
        }
    }
    sleep(KEYED).await;
    speak(&talks, false).await;
    sleep(Duration::from_secs(1)).await;
    speak(&talks, true).await;
    sleep(KEYED).await;
    let mut shown = BTreeSet::new();
    for talk in &talks {
        let [caller, callee] = talk.heard().await;
        let what = format!("{} to {}", talk.from, talk.to);
        assert_perfect(&format!("{what}, caller"), &caller, callee.sent, talk.from);
        assert_perfect(&format!("{what}, callee"), &callee, caller.sent, talk.to);
        shown.extend(caller.sas.map(|sas| format!("leg=A encryption=zrtp sas={sas:?}")));
        shown.extend(callee.sas.map(|sas| format!("leg=B encryption=zrtp sas={sas:?}")));
    }
    // Four callers and four callees; all that the server says of is what the phones show.
    assert_eq!(shown.len(), 8, "{shown:?}");
    let log = server.service.output();
    let said: BTreeSet<_> = log
        .lines()
        .filter_map(|line| line.split_once(" keyed ")?.1.split_once(" verified="))
        .map(|(said, _)| said.to_owned())
        .collect();
    assert_eq!(said, shown);
    for talk in &mut talks {
        talk.caller.hang_up().await;
        until(talk.callee.as_mut().expect("answered"), Happening::HungUp).await;
        until(&mut talk.caller, Happening::Ended(200)).await;
    }
    server.until_empty();
}
