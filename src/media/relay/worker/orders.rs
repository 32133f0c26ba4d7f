//! What a relay thread is told, and what it does then.

use super::{
    super::{
        EventSink,
        flow::Stream,
        ports::PortPair,
        socket::{Poller, Socket},
    },
    Entry, Worker, key,
};
use crate::{
    call::Side,
    media::{Component, Connect, MediaCommand, MediaEvent, StreamId, StreamKind, StreamStats},
};
use std::{
    io,
    net::IpAddr,
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

/// Streams that one call may have: more m-lines than that are refused ports.
const MAX_STREAMS: usize = 32;
/// Packets that are taken from a port which was in reserve before those that come are heard: more than its buffer holds.
const MOST_STALE: usize = 4096;

/// What a thread is told.
pub(crate) enum Order {
    /// A call begins.
    Begin(u64, EventSink),
    /// A call's command.
    Command(u64, MediaCommand),
    /// A call has gone: everything of it is closed.
    End(u64),
    /// The thread ends.
    Stop,
}

impl Worker {
    pub(super) fn order(&mut self, order: Order, now: Instant) -> bool {
        match order {
            Order::Begin(session, events) => {
                self.sessions.insert(
                    session,
                    Entry {
                        events,
                        streams: Vec::new(),
                    },
                );
            }
            Order::Command(session, command) => self.command(session, command, now),
            Order::End(session) => {
                self.close(session);
            }
            Order::Stop => return false,
        }
        true
    }

    fn command(&mut self, session: u64, command: MediaCommand, now: Instant) {
        match command {
            MediaCommand::Open {
                side,
                stream,
                kind,
                address,
            } => {
                self.open(session, side, stream, kind, address);
            }
            MediaCommand::Reserve {
                side,
                stream,
                kind,
                address,
                number,
            } => self.reserve(session, (side, stream, number), kind, address),
            MediaCommand::Change { side } => self.change(session, side),
            MediaCommand::Release { side } => self.release(session, side),
            MediaCommand::Connect(connect) => self.connect(session, &connect, now),
            MediaCommand::Send {
                side,
                stream,
                component,
                bytes,
                to,
            } => {
                self.packet.fill(&bytes);
                let Self {
                    sessions,
                    streams,
                    packet,
                    ..
                } = self;
                let place = sessions.get(&session).and_then(|entry| entry.place(stream));
                if let Some(stream) = place.and_then(|place| streams.get(place)) {
                    stream.end(side).say(component, packet, to);
                }
            }
            MediaCommand::Digit { side, stream, digit } => {
                let place = self.sessions.get(&session).and_then(|entry| entry.place(stream));
                if let Some(place) = place
                    && let Some(stream) = self.streams.get(place)
                    && stream.end(side).dial(digit, now)
                    && !self.dialling.contains(&place)
                {
                    self.dialling.push(place);
                }
            }
            MediaCommand::Picture { side, stream } => {
                if let Some(stream) = self.find(session, stream) {
                    stream.end(side).key_frames.want();
                }
            }
            MediaCommand::Shut { stream } => {
                if let Some(stream) = self.find(session, stream) {
                    let closed = stream.shut();
                    self.opened(0, closed);
                }
            }
            MediaCommand::Count => {
                if let Some((events, counts)) = self.count(session) {
                    events(MediaEvent::Counted(counts));
                }
            }
            MediaCommand::Close => {
                if let Some((events, counts)) = self.close(session) {
                    events(MediaEvent::Closed(counts));
                }
            }
        }
    }

    /// Binds ports for one side of a stream and says which, or why not.
    fn open(&mut self, session: u64, side: Side, id: StreamId, kind: StreamKind, address: IpAddr) {
        let Some(events) = self.events_of(session) else {
            return;
        };
        let opened = self.bind(session, (side, id), kind, address, |poller, socket, key| {
            poller.add(socket, key)
        });
        events(match opened {
            Ok((place, ports)) => {
                let (rtp, rtcp) = (ports.rtp_address, ports.rtcp_address);
                let replaced = self
                    .streams
                    .get(place)
                    .and_then(|stream| stream.end(side).open(ports, kind));
                self.opened(1, usize::from(replaced.is_some()));
                MediaEvent::Opened {
                    side,
                    stream: id,
                    rtp,
                    rtcp,
                }
            }
            Err(error) => MediaEvent::OpenFailed {
                side,
                stream: id,
                reason: error.to_string(),
            },
        });
    }

    fn events_of(&self, session: u64) -> Option<EventSink> {
        Some(Arc::clone(&self.sessions.get(&session)?.events))
    }

    /// Binds ports for one side of a stream, which is made if it is not there, and lets the poller know them.
    fn bind(
        &mut self,
        session: u64,
        (side, id): (Side, StreamId),
        kind: StreamKind,
        address: IpAddr,
        add: fn(&Poller, &Socket, u64) -> io::Result<()>,
    ) -> io::Result<(usize, PortPair)> {
        let entry = self.sessions.get_mut(&session);
        let entry = entry.ok_or_else(|| io::Error::other("no such call"))?;
        let place = match entry.place(id) {
            Some(place) => place,
            None if entry.streams.len() >= MAX_STREAMS => {
                return Err(io::Error::other(format!("a call may have {MAX_STREAMS} streams")));
            }
            None => {
                let place = self.streams.insert(Stream::new(session, id));
                entry.streams.push((id, place));
                place
            }
        };
        let ports = self.ports.open(kind, address)?;
        add(&self.poller, &ports.rtp, key(place, side, Component::Rtp))?;
        add(&self.poller, &ports.rtcp, key(place, side, Component::Rtcp))?;
        Ok((place, ports))
    }

    /// Binds ports that carry nothing yet, beside those in use.
    fn reserve(
        &mut self,
        session: u64,
        (side, id, number): (Side, StreamId, u32),
        kind: StreamKind,
        address: IpAddr,
    ) {
        let Some(events) = self.events_of(session) else {
            return;
        };
        let bound = self.bind(session, (side, id), kind, address, |poller, socket, key| {
            poller.add_silent(socket, key)
        });
        events(match bound {
            Ok((place, ports)) => {
                let (rtp, rtcp) = (ports.rtp_address, ports.rtcp_address);
                let stream = self.streams.get(place);
                let replaced = stream.and_then(|stream| stream.end(side).reserve.replace(ports));
                self.opened(1, usize::from(replaced.is_some()));
                MediaEvent::Reserved {
                    side,
                    stream: id,
                    number,
                    rtp,
                    rtcp,
                }
            }
            Err(error) => MediaEvent::ReserveFailed {
                side,
                stream: id,
                number,
                reason: error.to_string(),
            },
        });
    }

    /// What is in reserve is used, and what was used is in reserve. What has come to the new ones before was for nobody.
    fn change(&mut self, session: u64, side: Side) {
        let Self {
            sessions,
            streams,
            poller,
            packet,
            ..
        } = self;
        let Some(entry) = sessions.get(&session) else {
            return;
        };
        for &(_, place) in &entry.streams {
            let Some(stream) = streams.get(place) else {
                continue;
            };
            let end = stream.end(side);
            if end.reserve.is_none() {
                continue;
            }
            std::mem::swap(&mut end.ports, &mut end.reserve);
            for (ports, listens) in [(&end.reserve, false), (&end.ports, true)] {
                let Some(ports) = ports else { continue };
                for component in [Component::Rtp, Component::Rtcp] {
                    let socket = ports.socket(component);
                    if listens {
                        let stale = (0..MOST_STALE)
                            .take_while(|_| socket.receive(packet).is_some())
                            .count();
                        tracing::trace!(packets = stale, "were waiting at ports in reserve");
                    }
                    poller.listen(socket, key(place, side, component), listens);
                }
            }
        }
    }

    /// Closes what is in reserve.
    fn release(&mut self, session: u64, side: Side) {
        let Some(entry) = self.sessions.get(&session) else {
            return;
        };
        let places: Vec<usize> = entry.streams.iter().map(|(_, place)| *place).collect();
        for place in places {
            let stream = self.streams.get(place);
            let closed = stream.and_then(|stream| stream.end(side).reserve.take());
            self.opened(0, usize::from(closed.is_some()));
        }
    }

    fn connect(&mut self, session: u64, connect: &Connect, now: Instant) {
        if let Some(stream) = self.find(session, connect.stream) {
            stream.connect(connect, now);
        }
    }

    fn find(&mut self, session: u64, id: StreamId) -> Option<&mut Stream> {
        let place = self.sessions.get(&session)?.place(id)?;
        self.streams.get(place)
    }

    /// What went through all that a call has.
    fn count(&mut self, session: u64) -> Option<(EventSink, Vec<StreamStats>)> {
        let Self {
            sessions, streams, ..
        } = self;
        let entry = sessions.get(&session)?;
        let mut counts = Vec::with_capacity(2 * entry.streams.len());
        for &(id, place) in &entry.streams {
            if let Some(stream) = streams.get(place) {
                counts.extend([Side::A, Side::B].map(|side| stream.end(side).counts.report(side, id)));
            }
        }
        Some((entry.events.clone(), counts))
    }

    /// Closes all that a call has: dropping its streams closes their sockets, gives the ports back and wipes the keys.
    fn close(&mut self, session: u64) -> Option<(EventSink, Vec<StreamStats>)> {
        let entry = self.sessions.remove(&session)?;
        let mut counts = Vec::with_capacity(2 * entry.streams.len());
        for (id, place) in entry.streams {
            let Some(mut stream) = self.streams.remove(place) else {
                continue;
            };
            let mut closed = stream.shut();
            for side in [Side::A, Side::B] {
                counts.push(stream.end(side).counts.report(side, id));
                closed += usize::from(stream.end(side).reserve.take().is_some());
            }
            self.opened(0, closed);
        }
        self.totals.sessions.fetch_sub(1, Ordering::Relaxed);
        Some((entry.events, counts))
    }

    /// Keeps the gauges: so many ends were opened, so many closed.
    fn opened(&self, opened: usize, closed: usize) {
        for (gauge, each) in [(&self.totals.flows, 1), (&self.totals.sockets, 2)] {
            gauge.fetch_add(each * opened, Ordering::Relaxed);
            gauge.fetch_sub(each * closed, Ordering::Relaxed);
        }
    }
}
