//! Acceptance #19: a proxy behind leg B forks; each fork speaks in its own dialog.

use b2bua::{
    call::{Encryption, EncryptionPolicy, Side},
    sip::{Message, Method, Request},
    testing::{Sim, Verdicts, peer::read, privacy::description},
};
use std::time::Duration;

/// What a fork says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Say {
    Ringing,
    EarlyMedia,
    Answer,
}

const FORKS: [&str; 3] = ["x", "y", "z"];

fn body(fork: &str, port: u16) -> String {
    format!(
        "v=0\r\no=bob-{fork}-device 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
    )
}
fn port(fork: &str) -> u16 {
    42_000 + 100 * FORKS.iter().position(|name| *name == fork).unwrap() as u16
}

fn begin() -> (Sim, Request) {
    invited(Encryption::None)
}
/// Leg B has its INVITE, keyed like that; leg A is plain.
pub(crate) fn invited(encryption: Encryption) -> (Sim, Request) {
    let mut sim = Sim::new(Verdicts::direct(EncryptionPolicy::Only(encryption)));
    let offer = "v=0\r\no=alice-login 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0\r\n";
    let invite = sim.a.invite("sip:bob@example.org", "", offer);
    sim.send(Side::A, invite);
    sim.run(Duration::from_millis(20));
    let invite = sim.b.take_request("INVITE").expect("leg B was invited");
    (sim, invite)
}

/// Where the relay sends what comes from the caller.
fn heard_by(sim: &Sim) -> Option<u16> {
    Some(sim.relay.side(Side::B, 0)?.remote.rtp?.port())
}

fn requests(sim: &Sim, method: &str) -> Vec<Request> {
    let to_b = sim
        .wire
        .iter()
        .filter(|(_, side, inwards, _)| *side == Side::B && !inwards);
    to_b.filter_map(|(_, _, _, bytes)| match read(bytes) {
        Message::Request(request) if request.method.to_string() == method => Some(request),
        _ => None,
    })
    .collect()
}

/// Three forks, each saying 183, 180 and 200 (or only some of it), in that order of events.
fn play(order: &[(usize, Say)]) {
    let (mut sim, invite) = begin();
    let mut winner = None;
    let mut answers = 0;
    let mut last_early = None;
    for &(fork, say) in order {
        let fork = FORKS[fork];
        let (status, body) = match say {
            Say::Ringing => (180, String::new()),
            Say::EarlyMedia => (183, body(fork, port(fork))),
            Say::Answer => (200, body(fork, port(fork) + 2)),
        };
        let bytes = sim.b.respond_to(&invite, status, fork, "", &body);
        sim.send(Side::B, bytes);
        sim.run(Duration::from_millis(5));
        match say {
            Say::Answer => {
                answers += 1;
                winner.get_or_insert(fork);
            }
            Say::EarlyMedia if winner.is_none() => last_early = Some(fork),
            Say::EarlyMedia | Say::Ringing => {}
        }
        let place = || format!("{order:?} at {fork} {say:?}\n{}", sim.ladder());
        let expected = winner.map(|fork| port(fork) + 2).or(last_early.map(port));
        assert_eq!(heard_by(&sim), expected, "{}", place());
    }
    let place = || format!("{order:?}\n{}", sim.ladder());
    // The caller has one answer, in one dialog.
    let tags: std::collections::BTreeSet<String> = sim
        .wire
        .iter()
        .filter(|(_, side, inwards, _)| *side == Side::A && !inwards)
        .filter_map(|(_, _, _, bytes)| read(bytes).headers().to().ok()?.tag())
        .map(|tag| tag.to_string())
        .collect();
    assert_eq!(tags.len(), 1, "{}", place());
    // Each 200 was acknowledged in its dialog, and all but the first hung up in theirs.
    let tag = |request: &Request| request.headers.to().unwrap().tag().unwrap().to_string();
    let acknowledged: Vec<String> = requests(&sim, "ACK").iter().map(tag).collect();
    assert_eq!(acknowledged.len(), answers, "{}", place());
    let hung_up: Vec<String> = requests(&sim, "BYE").iter().map(tag).collect();
    assert_eq!(hung_up.len(), answers.saturating_sub(1), "{}", place());
    if let Some(winner) = winner {
        assert!(
            !hung_up.iter().any(|tag| tag.ends_with(&format!("-{winner}"))),
            "{}",
            place()
        );
        for (ack, bye) in requests(&sim, "BYE").iter().filter_map(|bye| {
            let ack = requests(&sim, "ACK")
                .into_iter()
                .find(|ack| tag(ack) == tag(bye))?;
            Some((ack, bye.clone()))
        }) {
            assert_eq!(ack.uri, bye.uri, "{}", place());
        }
    }
    // Everything ends.
    for bye in requests(&sim, "BYE") {
        let bytes = sim.b.respond_to(&bye, 200, "", "", "");
        sim.send(Side::B, bytes);
    }
    if winner.is_some() {
        sim.run(Duration::from_millis(5));
        assert!(sim.a.response(200).is_some());
        let ack = sim.a.ack("");
        sim.send(Side::A, ack);
        let bye = sim.a.request("BYE", "", "");
        sim.send(Side::A, bye);
    } else {
        let cancel = sim.a.cancel("");
        sim.send(Side::A, cancel);
    }
    sim.run(Duration::from_millis(50));
    if let Some(cancel) = sim.b.requests.get("CANCEL").cloned() {
        let ok = sim.b.respond_to(&cancel, 200, "", "", "");
        sim.send(Side::B, ok);
        let terminated = sim.b.respond_to(&invite, 487, "", "", "");
        sim.send(Side::B, terminated);
        let ack = sim.a.ack_failure();
        sim.send(Side::A, ack);
    }
    if sim.b.requests.contains_key("BYE") {
        let bytes = sim.b.respond("BYE", 200, "", "", "");
        sim.send(Side::B, bytes);
    }
    sim.run(Duration::from_secs(120));
    sim.assert_done();
}

/// All orders of `events` in which each fork's own events keep their order.
pub(crate) fn interleavings<T: Clone>(mut rest: Vec<Vec<T>>, done: &mut Vec<T>, out: &mut Vec<Vec<T>>) {
    if rest.iter().all(Vec::is_empty) {
        return out.push(done.clone());
    }
    for index in 0..rest.len() {
        if rest[index].is_empty() {
            continue;
        }
        let event = rest[index].remove(0);
        done.push(event.clone());
        interleavings(rest.clone(), done, out);
        done.pop();
        rest[index].insert(0, event);
    }
}

#[test]
fn acceptance_19_three_forks_answering_183_180_200_in_every_order() {
    // One says each: which fork says what, in every order.
    let says = [Say::EarlyMedia, Say::Ringing, Say::Answer];
    let mut orders = Vec::new();
    let each = (0..3).map(|fork| vec![(fork, says[fork])]).collect();
    interleavings(each, &mut Vec::new(), &mut orders);
    assert_eq!(orders.len(), 6);
    // Each says all three, in every interleaving.
    let all = (0..3).map(|fork| says.map(|say| (fork, say)).to_vec()).collect();
    interleavings(all, &mut Vec::new(), &mut orders);
    assert_eq!(orders.len(), 6 + 1_680);
    for order in &orders {
        play(order);
    }
}

#[test]
fn early_media_goes_both_ways_before_the_answer() {
    let (mut sim, invite) = begin();
    let bytes = sim.b.respond_to(&invite, 183, "x", "", &body("x", 42_000));
    sim.send(Side::B, bytes);
    sim.run(Duration::from_millis(5));
    let progress = sim.a.response(183).expect("183 reaches the caller");
    let sdp = description(&Message::Response(progress)).expect("with SDP");
    assert_eq!(
        sdp.rtp(&sdp.media[0]),
        sim.relay
            .ports
            .get(&(Side::A, b2bua::media::StreamId(0)))
            .copied()
    );
    assert_eq!(heard_by(&sim), Some(42_000));
    let back = sim.relay.side(Side::A, 0).unwrap();
    assert_eq!(back.remote.rtp.unwrap().port(), 30_000);
    // Nobody's silence counts before the answer.
    assert_eq!(
        (back.silence, sim.relay.side(Side::B, 0).unwrap().silence),
        (None, None)
    );
    assert_eq!(invite.method, Method::Invite);
}
