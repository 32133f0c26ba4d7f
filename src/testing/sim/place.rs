//! Where the parties of a [`Sim`] are, and the server as each of them sees it.

use super::{SERVER_A, SERVER_B, Sim};
use crate::{
    call::{Incoming, Input, Side, Transmit, Unsent},
    sip::{
        Message, Method, Replaces,
        routing::{Destination, DialogKey, NextHop, Target, TransactionKey, Transport},
    },
    testing::{Peer, peer::read},
};
use std::net::{IpAddr, SocketAddr};

/// Who speaks to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The caller.
    A,
    /// The callee.
    B,
    /// Whom a transfer leads to.
    C,
}

impl From<Side> for Who {
    fn from(side: Side) -> Self {
        match side {
            Side::A => Self::A,
            Side::B => Self::B,
        }
    }
}

impl PartialEq<Side> for Who {
    fn eq(&self, other: &Side) -> bool {
        *self == Self::from(*other)
    }
}

impl Who {
    /// On which side it has been from the beginning.
    pub const fn side(self) -> Option<Side> {
        match self {
            Self::A => Some(Side::A),
            Self::B => Some(Side::B),
            Self::C => None,
        }
    }
}

impl Sim {
    /// One of all parties.
    pub fn party(&mut self, who: Who) -> &mut Peer {
        match who {
            Who::A => &mut self.a,
            Who::B => &mut self.b,
            Who::C => &mut self.c,
        }
    }
    /// On which side of the call a message belongs, by its dialog.
    pub(super) fn side_of(&self, message: &Message) -> Option<Side> {
        let key = match message {
            Message::Request(request) => DialogKey::of_request(request)?,
            Message::Response(response) => DialogKey::of_response(response)?,
        };
        self.dialogs.get(&key).copied()
    }
    /// What the dispatcher does with an INVITE that is to take the place of a dialog of the call, and with what belongs to one that
    /// was refused. Whether it was one.
    pub(super) fn comes_for_a_place(&mut self, who: Who, incoming: &Incoming) -> bool {
        let Message::Request(request) = &incoming.message else {
            return false;
        };
        let Ok(key) = TransactionKey::of(request) else {
            return false;
        };
        if let Some(words) = self.refused.get(&key).cloned() {
            if request.method != Method::Ack {
                self.transmit(who, words);
            }
            return true;
        }
        let new = request.method == Method::Invite && DialogKey::of_request(request).is_none();
        let Ok(Some(replaces)) = Replaces::of(&request.headers) else {
            return false;
        };
        if !new || !self.dialogs.contains_key(&replaces.key()) || !self.replacing.insert(key) {
            return false;
        }
        self.feed(Input::Replace(replaces, incoming.clone()));
        true
    }
    /// Whom a message of a side reaches.
    pub(super) fn reached_by(&self, side: Side, transmit: &Transmit) -> Who {
        let address = match &transmit.to {
            Destination::Target(target) => target.remote,
            Destination::Reply { address, .. } => *address,
        };
        [(Who::A, &self.a), (Who::B, &self.b), (Who::C, &self.c)]
            .into_iter()
            .find(|(_, peer)| peer.address == address)
            .map_or(side.into(), |(who, _)| who)
    }
    /// Who is found where a request goes.
    pub(super) fn found(&self, side: Side, hop: &NextHop) -> Who {
        let uri = hop.uri.to_string();
        let is_third = uri.contains(&self.c.user) || uri.contains(&self.c.address.to_string());
        if is_third { Who::C } else { side.into() }
    }
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
        self.target_of(side.into())
    }
    /// The same of any party.
    pub fn target_of(&self, who: Who) -> Target {
        let peer = match who {
            Who::A => &self.a,
            Who::B => &self.b,
            Who::C => &self.c,
        };
        let ours = peer.server;
        Target {
            transport: Transport::Udp,
            remote: peer.address,
            server_name: None,
            local: ours.ip(),
            sent_by: ours.to_string(),
            fixed_transport: true,
            own: None,
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
