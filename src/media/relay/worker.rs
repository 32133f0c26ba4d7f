//! One relay thread: its sockets, its sessions, its loop.

mod orders;

pub(crate) use orders::Order;

use super::{
    EventSink,
    flow::Passed,
    ports::Ports,
    slab::Slab,
    socket::{Poller, Ready, Waker},
    stats::{Batch, Totals},
};
use crate::{
    call::Side,
    media::{Component, MediaEvent, StreamId, packet::Packet},
};
use crossbeam_channel::Receiver;
use std::{
    collections::HashMap,
    io,
    sync::Arc,
    time::{Duration, Instant},
};

/// How often silence is looked for.
const SWEEP: Duration = Duration::from_millis(250);

/// A relay thread's state.
pub(crate) struct Worker {
    orders: Receiver<Order>,
    waker: Waker,
    poller: Poller,
    ports: Arc<Ports>,
    totals: Arc<Totals>,
    sessions: HashMap<u64, Entry>,
    streams: Slab,
    /// Where digits are being sent.
    dialling: Vec<usize>,
    /// Every packet passes through this one.
    packet: Packet,
    batch: Batch,
}

/// A call.
struct Entry {
    events: EventSink,
    streams: Vec<(StreamId, usize)>,
}

impl Entry {
    fn place(&self, id: StreamId) -> Option<usize> {
        let (_, place) = self.streams.iter().find(|(known, _)| *known == id)?;
        Some(*place)
    }
}

/// A socket's key: the stream's place, its side, its component.
const fn key(place: usize, side: Side, component: Component) -> u64 {
    let side = match side {
        Side::A => 0,
        Side::B => 2,
    };
    let component = match component {
        Component::Rtp => 0,
        Component::Rtcp => 1,
    };
    (place as u64) << 2 | side | component
}

/// The reverse of [`key`].
#[inline]
fn place(key: u64) -> (usize, Side, Component) {
    let side = if key & 2 == 0 { Side::A } else { Side::B };
    let component = if key & 1 == 0 {
        Component::Rtp
    } else {
        Component::Rtcp
    };
    (usize::try_from(key >> 2).unwrap_or(usize::MAX), side, component)
}

impl Worker {
    /// A thread's state, and what wakes it.
    pub(crate) fn new(
        orders: Receiver<Order>,
        ports: Arc<Ports>,
        totals: Arc<Totals>,
    ) -> io::Result<(Self, Waker)> {
        let (poller, waker) = Poller::new()?;
        let worker = Self {
            orders,
            waker: waker.clone(),
            poller,
            ports,
            totals,
            sessions: HashMap::new(),
            streams: Slab::default(),
            dialling: Vec::new(),
            packet: Packet::new(),
            batch: Batch::default(),
        };
        Ok((worker, waker))
    }

    /// Runs until it is told to stop. The clock is read once per batch of packets.
    #[expect(
        clippy::disallowed_methods,
        reason = "the relay thread is the driver of its flows"
    )]
    pub(crate) fn run(mut self) {
        let mut swept = Instant::now();
        let mut ready = Ready::new();
        loop {
            let timeout = (!self.sessions.is_empty()).then_some(SWEEP);
            let due = self.digits_due();
            let soon = due.map(|due| due.saturating_duration_since(Instant::now()));
            self.poller
                .wait(&mut ready, timeout.into_iter().chain(soon).min());
            let now = Instant::now();
            // Orders first: who sends one and then lets a packet come expects that order. A key of this batch may by
            // then stand for another stream in the same place; it only means "look there".
            if ready.keys().any(|key| key.is_none()) {
                self.waker.reset();
                while let Ok(order) = self.orders.try_recv() {
                    if !self.order(order, now) {
                        return;
                    }
                }
            }
            for key in ready.keys().flatten() {
                self.receive(key, now);
            }
            if due.is_some() {
                self.send_digits(now);
            }
            self.totals.add(&mut self.batch);
            if now.saturating_duration_since(swept) >= SWEEP {
                swept = now;
                self.sweep(now);
            }
        }
    }

    /// Takes packets from a socket and passes them on.
    #[inline]
    fn receive(&mut self, key: u64, now: Instant) {
        let (place, side, component) = place(key);
        let Some(stream) = self.streams.get(place) else {
            return;
        };
        let burst = stream.end(side).burst();
        for _ in 0..burst {
            let Some(ports) = &stream.end(side).ports else {
                return;
            };
            let Some(source) = ports.socket(component).receive(&mut self.packet) else {
                return;
            };
            let outcome = stream.flow(side).relay(&mut self.packet, component, source, now);
            if stream.end(side).has_proved()
                && let Some(entry) = self.sessions.get(&stream.session)
            {
                let stream = stream.id;
                (entry.events)(MediaEvent::Authenticated { side, stream });
            }
            match outcome {
                Ok(Passed::Relayed) => self.batch.count(Ok(())),
                Err(why) => self.batch.count(Err(why)),
                Ok(Passed::Digit(digit)) => {
                    self.batch.count(Ok(()));
                    if let (Some(event), Some(entry)) = (digit, self.sessions.get(&stream.session)) {
                        let stream = stream.id;
                        (entry.events)(MediaEvent::Digit { side, stream, event });
                    }
                }
                Ok(Passed::Control) => {
                    let event = MediaEvent::Control {
                        side,
                        stream: stream.id,
                        component,
                        from: source,
                        bytes: self.packet.bytes().to_vec(),
                    };
                    if let Some(entry) = self.sessions.get(&stream.session) {
                        (entry.events)(event);
                    }
                }
            }
        }
    }

    /// When the next packet of a digit is to be sent.
    fn digits_due(&mut self) -> Option<Instant> {
        let mut due: Option<Instant> = None;
        for &place in &self.dialling {
            if let Some(stream) = self.streams.get(place) {
                due = due.into_iter().chain(stream.dial_due()).min();
            }
        }
        due
    }

    /// Sends the packets of digits that are due. Nothing else is touched: the sockets that are not concerned sleep on.
    fn send_digits(&mut self, now: Instant) {
        let Self {
            dialling,
            streams,
            packet,
            ..
        } = self;
        dialling.retain(|&place| {
            streams
                .get(place)
                .is_some_and(|stream| stream.send_digits(packet, now))
        });
    }

    /// Reports the sides from which nothing comes any more, and asks for key frames where one is waited for.
    fn sweep(&mut self, now: Instant) {
        for entry in self.sessions.values() {
            for &(stream, place) in &entry.streams {
                let Some(ends) = self.streams.get(place) else {
                    continue;
                };
                for side in [Side::A, Side::B] {
                    if ends.end(side).fell_silent(now) {
                        (entry.events)(MediaEvent::Silent { side, stream });
                    }
                }
                ends.ask(&mut self.packet, now);
                ends.keep_alive(&mut self.packet, now);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_say_stream_side_and_component() {
        for number in [0, 1, 77, 1 << 40] {
            for side in [Side::A, Side::B] {
                for component in [Component::Rtp, Component::Rtcp] {
                    assert_eq!(place(key(number, side, component)), (number, side, component));
                }
            }
        }
    }
}
