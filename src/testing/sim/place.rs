//! Where the parties of a [`Sim`] are, and the server as each of them sees it.

use super::{SERVER_A, SERVER_B, Sim};
use crate::{
    call::{Input, Side, Unsent},
    sip::routing::{Destination, Target, Transport},
    testing::peer::read,
};
use std::net::{IpAddr, SocketAddr};

impl Sim {
    /// The last message on a wire that begins like this could not be sent. What is under way is not taken back.
    ///
    /// # Panics
    /// When none was sent there.
    pub fn undeliverable(&mut self, side: Side, start: &str) {
        let mut sent = self.wire.iter().rev();
        let last = sent
            .find(|(_, on, inwards, bytes)| *on == side && !inwards && bytes.starts_with(start.as_bytes()));
        let (_, _, _, bytes) = last.expect("it was not sent");
        let to = Destination::Target(self.target(side));
        let unsent = Unsent::of(&read(bytes), to).expect("a message of ours");
        self.feed(Input::Undeliverable(side, unsent));
    }
    /// Where a party is, as a lookup finds it.
    pub fn target(&self, side: Side) -> Target {
        let (peer, ours) = match side {
            Side::A => (&self.a, SERVER_A),
            Side::B => (&self.b, SERVER_B),
        };
        let ours: SocketAddr = ours.parse().expect("our own address");
        Target {
            transport: Transport::Udp,
            remote: peer.address,
            server_name: None,
            local: ours.ip(),
            sent_by: ours.to_string(),
            fixed_transport: true,
        }
    }
    /// Where leg B's packets of a stream would go, and so on: the relay's view, for assertions.
    pub fn media_address(side: Side) -> IpAddr {
        let text = match side {
            Side::A => SERVER_A,
            Side::B => SERVER_B,
        };
        text.parse::<SocketAddr>().expect("our own address").ip()
    }
}
