//! Packets through the relay's own hands, without sockets: what would become of them as a stream is connected.

use crate::{
    call::Side,
    media::{
        Component, Connect, StreamId,
        packet::{self, Packet},
        relay::hands::{Leaves, Stream},
    },
};
use std::{fmt, time::Instant};

/// One stream as the relay has it. Packets are taken to come from where each side's phone was said to be.
pub struct Carrier {
    stream: Stream,
    sides: [Connect; 2],
    now: Instant,
}

impl Carrier {
    /// A stream whose sides are connected like that.
    pub fn new(a: &Connect, b: &Connect, now: Instant) -> Self {
        let mut stream = Stream::new(0, StreamId(0));
        for connect in [a, b] {
            stream.connect(connect, now);
        }
        Self {
            stream,
            sides: [a.clone(), b.clone()],
            now,
        }
    }

    /// Something else is said of one side.
    pub fn connect(&mut self, connect: &Connect) {
        self.stream.connect(connect, self.now);
        self.sides[usize::from(connect.side == Side::B)] = connect.clone();
    }

    /// What a side is asked by ourselves now, in RTCP.
    pub fn asked(&mut self, side: Side) -> Option<Vec<u8>> {
        let mut packet = Packet::new();
        self.stream.end(side).request(&mut packet, self.now)?;
        Some(packet.bytes().to_vec())
    }

    /// What leaves on the other side.
    ///
    /// # Errors
    /// Why nothing leaves, by its name in statistics.
    ///
    /// # Panics
    /// When nobody said where the packet would come from.
    pub fn carry(&mut self, from: Side, bytes: &[u8]) -> Result<Vec<u8>, &'static str> {
        let [a, b] = &self.sides;
        let remote = match from {
            Side::A => &a.remote,
            Side::B => &b.remote,
        };
        let rtcp = packet::classify(bytes) == packet::Kind::Rtcp;
        let (component, source) = match rtcp && !remote.mux {
            true => (Component::Rtcp, remote.rtcp),
            false => (Component::Rtp, remote.rtp),
        };
        let source = source.expect("a phone that was said to be somewhere");
        let mut packet = Packet::new();
        packet.fill(bytes);
        let passed = self
            .stream
            .flow(from)
            .forward(&mut packet, component, source, self.now);
        match passed {
            Ok(Leaves::Across { .. }) => Ok(packet.bytes().to_vec()),
            Ok(Leaves::Up) => Err("handed up"),
            Ok(Leaves::Told(_)) => Err("told"),
            Err(why) => Err(why.name()),
        }
    }
}

impl fmt::Debug for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Carrier")
            .field("sides", &self.sides)
            .finish_non_exhaustive()
    }
}
