//! A server with one address on each leg's network that listens on UDP alone: requests too large for a
//! datagram go by TCP (RFC 3261 §18.1.1), and still neither leg learns of the other's address.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};

use crate::capture::Wire;
use crate::netns::{Side, inside};
use crate::party::{Heard, Party, fresh};
use crate::scene::Scene;
use crate::server::{self, Config, Server};
use crate::{Outcome, Test, privacy};

pub(crate) const TESTS: &[Test] = &[
    Test::new("multihomed::large_requests_go_by_tcp_and_contacts_stay", |s| {
        large(s, false)
    }),
    Test::new(
        "multihomed::peers_of_tcp_alone_learn_of_their_own_network_only",
        |s| large(s, true),
    ),
];

/// One end of the call: UDP and TCP on one port.
struct End {
    udp: Party,
    listener: TcpListener,
    /// Whether it names TCP in its Contact.
    tcp: bool,
}

impl End {
    fn new(scene: &Scene, side: Side, tcp: bool) -> Outcome<Self> {
        inside(&scene.hub, side, || {
            let server = SocketAddr::new(side.hub(), server::PORT);
            loop {
                let udp = Party::udp(&side.phone().to_string(), server);
                if let Ok(listener) = TcpListener::bind(udp.address) {
                    return Self { udp, listener, tcp };
                }
            }
        })
    }
    /// The connection that the server opens. Parties have audio of their own, which is to be on this side as well.
    fn accept(&self, scene: &Scene, side: Side) -> Outcome<Party> {
        inside(&scene.hub, side, || Party::accepted(&self.listener))
    }
    /// The message with the Contact of this end, by whatever transport it goes.
    fn own(&self, text: &str) -> String {
        let at = self.udp.address;
        let (plain, tcp) = (
            format!("Contact: <sip:{at}>"),
            format!("Contact: <sip:{at};transport=tcp>"),
        );
        if self.tcp {
            text.replace(&plain, &tcp)
        } else {
            text.replace(&tcp, &plain)
        }
    }
}

/// A description that makes its message too large for a datagram. No two are the same.
fn large_sdp(party: &Party) -> String {
    format!(
        "{}a=x-ballast:{} {}\r\n",
        party.sdp(),
        fresh(""),
        "x".repeat(1500)
    )
}

fn large(scene: &Scene, tcp: bool) -> Outcome {
    let captures = scene.capture()?;
    let mut a = End::new(scene, Side::A, tcp)?;
    let mut b = End::new(scene, Side::B, tcp)?;
    let server = Server::start(scene, &Config::new(&format!("sip:{}", b.udp.address)))?;

    let invite = a.udp.invite(&fresh("call"), "sip:bob@example.org");
    let ballast = format!("X-Ballast: {}\r\nMax-Forwards", "x".repeat(1500));
    a.udp.send(&a.own(&invite.replace("Max-Forwards", &ballast)));
    let mut b_tcp = b.accept(scene, Side::B)?;
    let asked = b_tcp.expect("INVITE ");
    b_tcp.send(&b.own(&b_tcp.response(&asked, "200 OK", &b.udp.sdp())));
    let answered = a.udp.expect("SIP/2.0 200");
    a.udp.send(&a.own(&a.udp.within("ACK", 1, &answered)));
    if tcp { &mut b_tcp } else { &mut b.udp }.expect("ACK ");

    // The callee's request comes over a connection of the server's own, and leads to one towards the caller.
    b_tcp.send(&b.own(&b_tcp.within_with("INVITE", 1, &asked, &large_sdp(&b.udp))));
    let mut a_tcp = a.accept(scene, Side::A)?;
    let offered = a_tcp.expect("INVITE ");
    a_tcp.send(&a.own(&a_tcp.response(&offered, "200 OK", &large_sdp(&a.udp))));
    let accepted = b_tcp.expect("SIP/2.0 200");
    b_tcp.send(&b.own(&b_tcp.within("ACK", 1, &asked)));
    if tcp { &mut a_tcp } else { &mut a.udp }.expect("ACK ");

    // And the other way round, over the connections that are there.
    a_tcp.send(&a.own(&a_tcp.within_with("INVITE", 2, &answered, &large_sdp(&a.udp))));
    let offered = b_tcp.expect("INVITE ");
    b_tcp.send(&b.own(&b_tcp.response(&offered, "200 OK", &large_sdp(&b.udp))));
    let agreed = a_tcp.expect("SIP/2.0 200");
    a_tcp.send(&a.own(&a_tcp.within("ACK", 2, &answered)));
    if tcp { &mut b_tcp } else { &mut b.udp }.expect("ACK ");

    a_tcp.send(&a.own(&a_tcp.within("BYE", 3, &answered)));
    a_tcp.expect("SIP/2.0 200");
    let last = if tcp { &mut b_tcp } else { &mut b.udp };
    let bye = last.expect("BYE ");
    last.respond(&bye, "200 OK", "");

    let (wire_a, wire_b) = captures.finish()?;
    privacy::scan(&wire_a, &wire_b, &[])?;
    server.finish()?;
    // What the server told each of them in the first place is what it goes on telling, by whatever transport.
    for (side, messages) in [(Side::A, [&answered, &agreed]), (Side::B, [&asked, &accepted])] {
        same_contact(side, messages)?;
    }
    one_contact(Side::A, &wire_a)?;
    one_contact(Side::B, &wire_b)
}

fn same_contact(side: Side, messages: [&Heard; 2]) -> Outcome {
    let udp = format!("<sip:{}:{}>", side.hub(), server::PORT);
    match messages.iter().find(|message| message.field("Contact") != udp) {
        Some(other) => Err(format!("leg {side:?}: the Contact is not {udp}:\n{}", other.0)),
        None => Ok(()),
    }
}

fn one_contact(side: Side, wire: &Wire) -> Outcome {
    let ours = wire.messages.iter().filter(|m| m.from.ip() == side.hub());
    if !ours.clone().any(|m| m.tcp) {
        return Err(format!("leg {side:?}: nothing went by TCP"));
    }
    let contacts: BTreeSet<&str> = ours.flat_map(|m| m.all("Contact")).collect();
    if contacts.len() == 1 {
        return Ok(());
    }
    Err(format!(
        "leg {side:?}: the server has several Contacts: {contacts:?}"
    ))
}
