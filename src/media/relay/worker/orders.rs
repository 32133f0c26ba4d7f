//! What a relay thread is told, and what it does then.

use super::{
    super::{EventSink, flow::Stream},
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
        let Some(entry) = self.sessions.get_mut(&session) else {
            return;
        };
        let events = Arc::clone(&entry.events);
        let place = match entry.streams.iter().find(|(known, _)| *known == id) {
            Some((_, place)) => Ok(*place),
            None if entry.streams.len() >= MAX_STREAMS => {
                Err(io::Error::other(format!("a call may have {MAX_STREAMS} streams")))
            }
            None => {
                let place = self.streams.insert(Stream::new(session, id));
                entry.streams.push((id, place));
                Ok(place)
            }
        };
        let opened = place.and_then(|place| {
            let ports = self.ports.open(kind, address)?;
            self.poller.add(&ports.rtp, key(place, side, Component::Rtp))?;
            self.poller.add(&ports.rtcp, key(place, side, Component::Rtcp))?;
            Ok((place, ports))
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
            for side in [Side::A, Side::B] {
                counts.push(stream.end(side).counts.report(side, id));
            }
            let closed = stream.shut();
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
