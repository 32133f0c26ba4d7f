//! ZRTP with the forks of a call: one offer, several answers, each with keys of its own.

use super::{
    forks::invited,
    hello::{AUDIO, Device},
};
use b2bua::{
    call::{Cause, Command, Encryption, Input, Origin, Side},
    media::{
        Component, MediaEvent, Protection, StreamId,
        zrtp::{Message, Output, Packet, Retained, Zid},
    },
    sip::Request,
    testing::{Sim, ZID, privacy::description},
};
use std::time::Duration;

/// A fork responds with its description, which announces that device.
fn say(sim: &mut Sim, invite: &Request, status: u16, (name, port): (&str, u16), device: Option<&Device>) {
    let announced = device.map(|device| format!("a=zrtp-hash:{}\r\n", device.hash()));
    let body = format!(
        "v=0\r\no=bob-{name}-device 1 1 IN IP4 192.0.2.200\r\ns=-\r\nc=IN IP4 192.0.2.200\r\nt=0 0\r\n\
         m=audio {port} RTP/AVP 0\r\n{}",
        announced.unwrap_or_default()
    );
    let bytes = sim.b.respond_to(invite, status, name, "", &body);
    sim.send(Side::B, bytes);
    sim.run(Duration::from_millis(5));
}

/// A fork's packet arrives.
fn packet(sim: &mut Sim, port: u16, bytes: Vec<u8>) {
    sim.feed(Input::Media(MediaEvent::Control {
        side: Side::B,
        stream: StreamId(0),
        component: Component::Rtp,
        from: format!("192.0.2.200:{port}").parse().unwrap(),
        bytes,
    }));
}

/// The messages that the server has sent on leg B's media since this was asked last.
fn said(sim: &mut Sim) -> Vec<Message> {
    let sent = std::mem::take(&mut sim.relay.sent);
    let to_b = sent.into_iter().filter(|(side, ..)| *side == Side::B);
    to_b.map(|(_, _, bytes, _)| Message::parse(Packet::parse(&bytes).unwrap().message).unwrap())
        .collect()
}

fn hellos(messages: &[Message]) -> Vec<Vec<u8>> {
    let hello = |message: &Message| matches!(message, Message::Hello(_)).then(|| message.encode());
    messages.iter().filter_map(hello).collect()
}

/// Acceptance #19 with ZRTP: each fork has got the same offer, so each must see the Hello that was announced there, and each has an
/// exchange of its own that goes on where it was when its fork speaks again.
#[test]
fn acceptance_19_every_fork_is_greeted_with_the_hello_that_the_offer_announced() {
    let (mut sim, invite) = invited(Encryption::Zrtp);
    let offered = description(&b2bua::sip::Message::Request(invite.clone())).unwrap();
    let announced = offered.media[0]
        .attribute("zrtp-hash")
        .flatten()
        .unwrap()
        .to_owned();
    let mut forks = [
        ("x", 42_000, Device::new(Zid([3; 12]), 3)),
        ("y", 42_100, Device::new(Zid([4; 12]), 4)),
        // It announces nothing.
        ("z", 42_200, Device::new(Zid([6; 12]), 6)),
    ];
    let mut greetings = Vec::new();
    for (status, fork) in [(183, 0), (183, 1), (183, 2), (200, 0)] {
        let (name, port, device) = &mut forks[fork];
        say(
            &mut sim,
            &invite,
            status,
            (*name, *port),
            (*name != "z").then_some(&*device),
        );
        let first = greetings.len() == fork;
        let said_before = said(&mut sim);
        if first {
            let hello = hellos(&said_before).pop().expect("it is greeted at once");
            greetings.push(hello);
        }
        packet(&mut sim, *port, device.hello());
        let answered = said(&mut sim);
        assert!(
            answered.contains(&Message::HelloAck),
            "{status} {name}: its Hello is taken: {answered:?}\n{}",
            sim.ladder()
        );
        sim.run(Duration::from_millis(60));
        for hello in hellos(&said(&mut sim)) {
            assert_eq!(hello, greetings[0], "{status} {name}");
        }
    }
    assert_eq!(greetings.len(), 3);
    assert!(greetings[1..].iter().all(|hello| *hello == greetings[0]));
    // It is the one of the offer.
    let mut device = Device::new(Zid([5; 12]), 5);
    device.with(|association, env| association.set_peer_hash(AUDIO, announced.parse().unwrap(), env));
    let greeting = Packet {
        sequence: 1,
        ssrc: 1,
        message: &greetings[1],
    }
    .encode();
    device.with(|association, env| association.handle_packet(AUDIO, &greeting, env));
    let mut answers = std::iter::from_fn(|| device.association.poll_output());
    assert!(
        answers.any(|output| matches!(output, Output::Lookup(zid) if zid == ZID)),
        "taken for the announced one"
    );
}

/// Lets a fork and the server talk until neither has more to say; the fork's keys, by which the relay opens and seals.
fn agree(sim: &mut Sim, port: u16, device: &mut Device) -> [Protection; 2] {
    let mut keys = [Protection::Blocked, Protection::Blocked];
    packet(sim, port, device.hello());
    for _ in 0..100 {
        sim.run(Duration::from_millis(1));
        for (_, _, bytes, _) in std::mem::take(&mut sim.relay.sent) {
            device.with(|association, env| association.handle_packet(AUDIO, &bytes, env));
        }
        while let Some(output) = device.association.poll_output() {
            match output {
                Output::Send(_, bytes) => packet(sim, port, bytes),
                Output::Lookup(peer) => {
                    device
                        .with(|association, env| association.handle_retained(peer, Retained::default(), env));
                }
                Output::SendKey(_, key) => keys[0] = Protection::Srtp(key),
                Output::ReceiveKey(_, key) => keys[1] = Protection::Srtp(key),
                Output::Failed(_, failure) => panic!("{failure}"),
                _ => {}
            }
        }
    }
    assert!(!keys.contains(&Protection::Blocked), "it is keyed");
    keys
}

fn protections(sim: &Sim) -> [Protection; 2] {
    let connect = sim.relay.side(Side::B, 0).unwrap();
    [connect.receive.clone(), connect.send.clone()]
}

#[test]
fn a_fork_that_answers_after_another_was_keyed_has_keys_of_its_own() {
    for announces in [true, false] {
        let (mut sim, invite) = invited(Encryption::Zrtp);
        let mut first = Device::new(Zid([3; 12]), 3);
        let mut second = Device::new(Zid([4; 12]), 4);
        say(&mut sim, &invite, 183, ("x", 42_000), announces.then_some(&first));
        let keys = agree(&mut sim, 42_000, &mut first);
        assert_eq!(protections(&sim), keys);
        say(
            &mut sim,
            &invite,
            200,
            ("y", 42_100),
            announces.then_some(&second),
        );
        assert_eq!(
            protections(&sim),
            [Protection::Blocked, Protection::Blocked],
            "not under the keys of the first"
        );
        let others = agree(&mut sim, 42_100, &mut second);
        assert_eq!(protections(&sim), others);
        assert_ne!(others, keys);
        sim.command(Command::Hangup(Cause::bye(Origin::Local)));
        sim.run(Duration::from_secs(400));
        sim.assert_done();
    }
}

/// The first fork answers after all: its keys are there still.
#[test]
fn a_fork_that_was_keyed_and_answers_last_is_heard_under_its_keys_at_once() {
    let (mut sim, invite) = invited(Encryption::Zrtp);
    let mut first = Device::new(Zid([3; 12]), 3);
    let second = Device::new(Zid([4; 12]), 4);
    say(&mut sim, &invite, 183, ("x", 42_000), Some(&first));
    let keys = agree(&mut sim, 42_000, &mut first);
    say(&mut sim, &invite, 183, ("y", 42_100), Some(&second));
    assert_eq!(protections(&sim), [Protection::Blocked, Protection::Blocked]);
    say(&mut sim, &invite, 200, ("x", 42_000), Some(&first));
    assert_eq!(protections(&sim), keys);
    // Nothing is owed: the call goes on.
    sim.run(Duration::from_secs(20));
    assert_eq!(protections(&sim), keys);
    assert!(sim.call.is_some() && !sim.relay.closed);
}
