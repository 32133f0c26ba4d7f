//! The built-in phones, directly with each other: what they judge by must itself be right, and must notice
//! when something is wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall fail there")]

use b2bua::phone::crypto::Suite;
use b2bua::phone::handset::{Happening, Line, Phone, Settings};
use b2bua::phone::session::{Direction, Security};
use b2bua::phone::stream::{Heard, Speech};
use b2bua::phone::tone::Codec;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::UdpSocket;

fn settings(user: &str, security: Security) -> Settings {
    Settings {
        user: user.into(),
        at: "127.0.0.1:0".parse().unwrap(),
        security,
        codecs: vec![Codec::Pcmu, Codec::Pcma],
        speech: Speech::Tone,
        proxy: None,
        watcher: None,
    }
}

fn sdes(suite: Suite) -> Security {
    Security::Sdes(vec![suite])
}

/// Real audio takes real time.
#[expect(
    clippy::disallowed_methods,
    reason = "these tests listen to real audio on real sockets"
)]
async fn listen(duration: Duration) {
    tokio::time::sleep(duration).await;
}

#[expect(
    clippy::disallowed_methods,
    reason = "a phone that hangs must not hang the test"
)]
async fn expect(line: &mut Line, wanted: Happening) {
    let next = async {
        loop {
            match line.next().await {
                happening if happening == wanted => break,
                Happening::Fault(what) => panic!("waiting for {wanted:?}: {what}"),
                Happening::Gone | Happening::TimedOut => panic!("waiting for {wanted:?} in vain"),
                _ => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), next)
        .await
        .expect("happens within 10 s");
}

/// Calls by way of `hop`, if any, and returns both lines, answered.
async fn connect(alice: &Phone, bob: &mut Phone, hop: Option<SocketAddr>) -> (Line, Line) {
    let hop = hop.unwrap_or(bob.address());
    let mut to_bob = alice
        .call(&format!("sip:bob-5@{}", bob.address()), hop, 5)
        .await
        .unwrap();
    let mut at_bob = bob.incoming().await.unwrap();
    assert_eq!(to_bob.dialled, "bob-5");
    at_bob.ring().await;
    expect(&mut to_bob, Happening::Progress(180)).await;
    at_bob.answer().await;
    expect(&mut to_bob, Happening::Answered(Direction::SendRecv)).await;
    expect(&mut at_bob, Happening::Acknowledged).await;
    (to_bob, at_bob)
}

async fn part(mut a: Line, mut b: Line) -> (Heard, Heard) {
    a.talk(false).await;
    b.talk(false).await;
    listen(Duration::from_millis(100)).await;
    let heard = (a.heard().await.unwrap(), b.heard().await.unwrap());
    b.hang_up().await;
    expect(&mut a, Happening::HungUp).await;
    expect(&mut b, Happening::Ended(200)).await;
    heard
}

async fn converse(alice: Settings, bob: Settings) -> (Heard, Heard) {
    let alice = Phone::start(alice).await.unwrap();
    let mut bob = Phone::start(bob).await.unwrap();
    let (a, b) = connect(&alice, &mut bob, None).await;
    listen(Duration::from_millis(600)).await;
    part(a, b).await
}

fn assert_perfect(heard: &Heard, sent: u64) {
    assert!(sent >= 20, "{heard:?}");
    assert_eq!(
        (heard.tally.good, heard.tally.bad(), heard.tally.received),
        (sent, 0, sent),
        "{heard:?}"
    );
    let (hertz, share) = heard.strongest.unwrap();
    assert!(hertz == heard.expected && share > 0.8, "{heard:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_hear_each_other_in_clear_and_with_each_suite() {
    let clear = std::iter::once(Security::Clear);
    for security in clear.chain(Suite::ALL.map(sdes)) {
        let (a, b) = converse(
            settings("alice", security.clone()),
            settings("bob", security.clone()),
        )
        .await;
        assert_perfect(&a, b.sent);
        assert_perfect(&b, a.sent);
        assert_eq!(a.suite.map_or(Security::Clear, sdes), security);
        let (at_a, sent) = (a.rtcp, b.rtcp.sent);
        assert!(
            sent > 0 && (at_a.read, at_a.unreadable) == (sent, 0),
            "{a:?} {b:?}"
        );
    }
}

/// The handshakes of RTP and RTCP are over on both sides.
async fn shaken(a: &Line, b: &Line) {
    for _ in 0..500 {
        let (a, b) = (a.heard().await.unwrap(), b.heard().await.unwrap());
        if a.ready && b.ready {
            return;
        }
        listen(Duration::from_millis(20)).await;
    }
    panic!("no keys within 10 s");
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_hear_each_other_by_dtls_and_keep_their_roles_when_one_offers_again() {
    let alice = Phone::start(settings("alice", Security::Dtls)).await.unwrap();
    let bob = Security::AsOffered(Suite::ALL.to_vec());
    let mut bob = Phone::start(settings("bob", bob)).await.unwrap();
    let mut to_bob = alice
        .call(&format!("sip:bob-5@{}", bob.address()), bob.address(), 5)
        .await
        .unwrap();
    let mut at_bob = bob.incoming().await.unwrap();
    to_bob.mute(true).await;
    at_bob.mute(true).await;
    at_bob.answer().await;
    expect(&mut to_bob, Happening::Answered(Direction::SendRecv)).await;
    expect(&mut at_bob, Happening::Acknowledged).await;
    shaken(&to_bob, &at_bob).await;
    to_bob.mute(false).await;
    at_bob.mute(false).await;
    listen(Duration::from_millis(600)).await;
    at_bob.offer(Direction::SendRecv).await;
    expect(&mut to_bob, Happening::Offered(Direction::SendRecv)).await;
    expect(&mut at_bob, Happening::Answered(Direction::SendRecv)).await;
    listen(Duration::from_millis(600)).await;
    let (a, b) = part(to_bob, at_bob).await;
    assert_perfect(&a, b.sent);
    assert_perfect(&b, a.sent);
    assert_eq!(a.suite, Some(Suite::AesCm128Sha1_80));
    assert!(a.rtcp.read > 0 && a.rtcp.unreadable == 0, "{a:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_hear_each_other_by_zrtp_show_the_same_string_and_keep_their_keys_over_a_hold() {
    let alice = Phone::start(settings("alice", Security::Zrtp)).await.unwrap();
    let bob = Security::AsOffered(Suite::ALL.to_vec());
    let mut bob = Phone::start(settings("bob", bob)).await.unwrap();
    let (mut a, mut b) = connect(&alice, &mut bob, None).await;
    // They speak at once, and nothing is to be heard of it before there are keys.
    shaken(&a, &b).await;
    listen(Duration::from_millis(400)).await;
    for direction in [Direction::SendOnly, Direction::SendRecv] {
        b.offer(direction).await;
        expect(&mut a, Happening::Offered(direction)).await;
        expect(&mut b, Happening::Answered(direction.answered())).await;
    }
    listen(Duration::from_millis(400)).await;
    let (a, b) = part(a, b).await;
    assert_perfect(&a, b.sent);
    assert_perfect(&b, a.sent);
    assert_eq!((a.tally.clear, b.tally.clear), (0, 0));
    assert!(a.suite.is_some() && a.suite == b.suite, "{a:?}");
    assert!(a.sas.as_ref().is_some_and(|sas| sas.len() == 4), "{a:?}");
    assert_eq!(a.sas, b.sas);
    assert!(a.rtcp.read > 0 && a.rtcp.unreadable == 0, "{a:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hello_that_signalling_did_not_announce_gives_no_keys_and_nobody_speaks() {
    let (a, b) = meddled(Security::Zrtp, |text| match text.find("a=zrtp-hash:1.10 ") {
        Some(at) if text.starts_with("SIP/2.0 200") => {
            let digit = at + "a=zrtp-hash:1.10 ".len();
            let other = if &text[digit..=digit] == "0" { "1" } else { "0" };
            format!("{}{other}{}", &text[..digit], &text[digit + 1..])
        }
        _ => text,
    })
    .await;
    for heard in [a, b] {
        assert!(!heard.ready && heard.sas.is_none(), "{heard:?}");
        assert_eq!((heard.sent, heard.tally.received), (0, 0), "{heard:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_with_zrtp_takes_no_call_and_no_answer_without_it() {
    let zoe = Phone::start(settings("zoe", Security::Zrtp)).await.unwrap();
    let mut bob = Phone::start(settings("bob", Security::Clear)).await.unwrap();
    let target = format!("sip:bob-5@{}", bob.address());
    let mut to_bob = zoe.call(&target, bob.address(), 5).await.unwrap();
    bob.incoming().await.unwrap().answer().await;
    let answered = to_bob.next().await;
    assert!(
        matches!(&answered, Happening::Fault(what) if what.contains("zrtp-hash")),
        "{answered:?}"
    );
    let mut zoe = zoe;
    let target = format!("sip:zoe-5@{}", zoe.address());
    let mut to_zoe = bob.call(&target, zoe.address(), 5).await.unwrap();
    zoe.incoming().await.unwrap().answer().await;
    expect(&mut to_zoe, Happening::Refused(488)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_silences_the_held_side_until_it_is_resumed() {
    let alice = Phone::start(settings("alice", sdes(Suite::AesCm128Sha1_80)))
        .await
        .unwrap();
    let mut bob = Phone::start(settings("bob", sdes(Suite::AesCm128Sha1_80)))
        .await
        .unwrap();
    let (mut a, mut b) = connect(&alice, &mut bob, None).await;
    listen(Duration::from_millis(300)).await;
    a.offer(Direction::SendOnly).await;
    expect(&mut b, Happening::Offered(Direction::SendOnly)).await;
    expect(&mut a, Happening::Answered(Direction::RecvOnly)).await;
    listen(Duration::from_millis(50)).await;
    let held = a.heard().await.unwrap();
    listen(Duration::from_millis(200)).await;
    assert_eq!(a.heard().await.unwrap().tally, held.tally);
    a.offer(Direction::SendRecv).await;
    expect(&mut a, Happening::Answered(Direction::SendRecv)).await;
    listen(Duration::from_millis(400)).await;
    let (at_a, at_b) = part(a, b).await;
    assert!(at_a.tally.good > held.tally.good);
    assert_perfect(&at_a, at_b.sent);
    assert_perfect(&at_b, at_a.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn early_media_is_heard_before_the_answer() {
    let alice = Phone::start(settings("alice", Security::Clear)).await.unwrap();
    let mut bob = Phone::start(settings("bob", Security::Clear)).await.unwrap();
    let mut a = alice
        .call(&format!("sip:bob-5@{}", bob.address()), bob.address(), 5)
        .await
        .unwrap();
    let mut b = bob.incoming().await.unwrap();
    b.speak_early().await;
    expect(&mut a, Happening::Progress(183)).await;
    b.talk(true).await;
    listen(Duration::from_millis(300)).await;
    assert!(a.heard().await.unwrap().tally.good > 5);
    b.answer().await;
    expect(&mut b, Happening::Acknowledged).await;
    listen(Duration::from_millis(300)).await;
    let (at_a, at_b) = part(a, b).await;
    assert_perfect(&at_a, at_b.sent);
    assert_perfect(&at_b, at_a.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_may_be_refused_or_cancelled() {
    let alice = Phone::start(settings("alice", Security::Clear)).await.unwrap();
    let mut bob = Phone::start(settings("bob", Security::Clear)).await.unwrap();
    let target = format!("sip:bob@{}", bob.address());
    let mut a = alice.call(&target, bob.address(), 0).await.unwrap();
    bob.incoming().await.unwrap().refuse(486).await;
    expect(&mut a, Happening::Refused(486)).await;
    let mut a = alice.call(&target, bob.address(), 0).await.unwrap();
    let mut b = bob.incoming().await.unwrap();
    b.ring().await;
    expect(&mut a, Happening::Progress(180)).await;
    a.cancel().await;
    expect(&mut a, Happening::Refused(487)).await;
    expect(&mut b, Happening::Cancelled).await;
    // A phone that wants SDES does not take a clear call.
    let picky = Phone::start(settings("picky", sdes(Suite::AesGcm256)))
        .await
        .unwrap();
    let mut a = picky.call(&target, bob.address(), 0).await.unwrap();
    bob.incoming().await.unwrap().answer().await;
    expect(&mut a, Happening::Refused(488)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn phones_answer_options() {
    let mut alice = Phone::start(settings("alice", Security::Clear)).await.unwrap();
    let bob = Phone::start(settings("bob", Security::Clear)).await.unwrap();
    assert_eq!(alice.options(bob.address(), Duration::from_secs(5)).await, 200);
    let nobody = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    assert_eq!(
        alice
            .options(nobody.local_addr().unwrap(), Duration::from_millis(200))
            .await,
        408
    );
}

// What follows are the negative controls: a judge that cannot say no is none.

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_tone_is_noticed() {
    let mut bob = settings("bob", Security::Clear);
    bob.speech = Speech::WrongTone(1_500);
    let (a, b) = converse(settings("alice", Security::Clear), bob).await;
    assert_eq!((a.tally.good, a.tally.wrong), (0, b.sent));
    assert_perfect(&b, a.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_callee_is_noticed() {
    let mut bob = settings("bob", Security::Clear);
    bob.speech = Speech::Silence;
    let (a, b) = converse(settings("alice", Security::Clear), bob).await;
    assert_eq!((a.tally.received, a.strongest, b.sent), (0, None, 0));
}

/// Forwards SIP between two phones that use it as their outbound proxy, and changes it on the way.
async fn meddler(meddle: fn(String) -> String) -> (SocketAddr, impl FnOnce(SocketAddr, SocketAddr)) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let start = move |alice: SocketAddr, bob: SocketAddr| {
        tokio::spawn(async move {
            let mut buffer = vec![0; 4_096];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let text = meddle(String::from_utf8_lossy(&buffer[..length]).into_owned());
                let _ = socket
                    .send_to(text.as_bytes(), if from == alice { bob } else { alice })
                    .await;
            }
        });
    };
    (address, start)
}

async fn meddled(security: Security, meddle: fn(String) -> String) -> (Heard, Heard) {
    let (hop, start) = meddler(meddle).await;
    let (mut alice, mut bob) = (settings("alice", security.clone()), settings("bob", security));
    (alice.proxy, bob.proxy) = (Some(hop), Some(hop));
    let alice = Phone::start(alice).await.unwrap();
    let mut bob = Phone::start(bob).await.unwrap();
    start(alice.address(), bob.address());
    let (a, b) = connect(&alice, &mut bob, Some(hop)).await;
    listen(Duration::from_millis(600)).await;
    part(a, b).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_through_a_faithful_proxy_is_perfect() {
    let (a, b) = meddled(sdes(Suite::AesCm128Sha1_80), |text| text).await;
    assert_perfect(&a, b.sent);
    assert_perfect(&b, a.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_noticed() {
    // The first letter of the callee's key becomes another.
    let (a, b) = meddled(sdes(Suite::AesCm128Sha1_80), |text| match text.find("inline:") {
        Some(at) if text.starts_with("SIP/2.0 200") => {
            let key = at + "inline:".len();
            let other = if &text[key..=key] == "A" { "B" } else { "A" };
            format!("{}{other}{}", &text[..key], &text[key + 1..])
        }
        _ => text,
    })
    .await;
    assert_eq!((a.tally.good, a.tally.unreadable), (0, b.sent));
    assert_perfect(&b, a.sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn audio_of_another_call_is_noticed() {
    // The phones believe to be in different calls: each hears a stranger.
    let (a, b) = meddled(Security::Clear, |text| text.replace("bob-5", "bob-6")).await;
    assert_eq!((a.tally.good, a.tally.unknown), (0, b.sent));
    assert_eq!((b.tally.good, b.tally.unknown), (0, a.sent));
}
