//! One connection: bytes in, framed into messages; messages out, in order (RFC 3261 §18.3).

mod clocks;
mod end;

use super::{
    NetEvent, keep,
    layers::{Event, Layers},
    stream::{Queued, Streams, connect},
};
use crate::sip::routing::{FlowId, Own, Source, Transport};
use bytes::{Buf, Bytes};
use clocks::Clocks;
use socket2::{SockRef, TcpKeepalive};
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant},
};
use tokio::{io::Interest, net::TcpStream, sync::mpsc, time::sleep_until};

/// Bytes read at once.
const CHUNK: usize = 8 * 1024;
/// Bytes that wait for a peer that does not read, before its queue is left to fill.
const WRITE_AHEAD: usize = 128 * 1024;
/// How long replies may still be written after the peer has closed its half, or framing is lost.
const LINGER: Duration = Duration::from_secs(2);

/// One connection, from its first to its last byte.
pub(super) struct Connection {
    streams: Arc<Streams>,
    flow: FlowId,
    transport: Transport,
    remote: SocketAddr,
    last_used: Arc<AtomicU64>,
    queue: mpsc::Receiver<Box<Queued>>,
    layers: Layers,
    /// All handshakes are over.
    open: bool,
    /// Messages that wait for that.
    early: VecDeque<Queued>,
    output: VecDeque<Output>,
    waiting: usize,
    /// Bytes of an unfinished message, as they were counted last.
    kept: usize,
    /// The peer has shown a certificate of an authority that vouches for callers.
    vouched: bool,
    /// Somebody's own, opened by us: it stays although nothing is said.
    is_own: bool,
}

/// Its place in the table.
pub(super) struct Seat {
    pub(super) flow: FlowId,
    pub(super) queue: mpsc::Receiver<Box<Queued>>,
    pub(super) last_used: Arc<AtomicU64>,
}

/// Bytes on their way out, with the message that they are, unless they are a pong.
struct Output {
    bytes: Bytes,
    message: Option<Queued>,
}

impl Connection {
    pub(super) fn new(
        streams: Arc<Streams>,
        seat: Seat,
        transport: Transport,
        remote: SocketAddr,
        layers: Layers,
    ) -> Self {
        let Seat {
            flow,
            queue,
            last_used,
        } = seat;
        Self {
            streams,
            flow,
            transport,
            remote,
            last_used,
            queue,
            layers,
            open: false,
            early: VecDeque::new(),
            output: VecDeque::new(),
            waiting: 0,
            kept: 0,
            vouched: false,
            is_own: false,
        }
    }
    /// Serves a connection that the peer opened.
    pub(super) async fn run_accepted(mut self, stream: TcpStream) {
        let result = self.serve(&stream, false).await;
        self.finish(result).await;
    }
    /// Opens a connection and serves it. That one of somebody's own is lost is news to its owner.
    pub(super) async fn run_outgoing(mut self, local: Option<SocketAddr>, own: Option<Arc<str>>) {
        self.is_own = own.is_some();
        let events = self.streams.events.clone();
        match connect(self.remote, local, self.streams.limits.connect).await {
            Ok(stream) => {
                let result = self.serve(&stream, true).await;
                match result {
                    Err(error) if !self.open => self.give_up(&error).await,
                    result => {
                        self.finish(result).await;
                        if let Some(own) = own {
                            let _ = events.send(NetEvent::Lost(Own::new(own))).await;
                        }
                    }
                }
            }
            Err(error) => self.give_up(&error).await,
        }
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    async fn serve(&mut self, stream: &TcpStream, ours: bool) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let keepalive = TcpKeepalive::new()
            .with_time(Duration::from_secs(60))
            .with_interval(Duration::from_secs(15));
        SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
        let local = stream.local_addr()?;
        let source = Source {
            transport: self.transport,
            local,
            remote: self.remote,
            flow: self.flow,
        };
        let now = Instant::now();
        let mut clocks = Clocks {
            opened: now,
            ours,
            spoke: ours,
            began: None,
            last_message: now,
            stuck: None,
            closing: None,
            ping: now + self.ping_interval(),
        };
        // The first word of a handshake is ours where the connection is.
        self.handshake(&clocks)?;
        self.write(stream, &mut clocks)?;
        loop {
            let interest = match (clocks.closing.is_some(), self.output.is_empty()) {
                (false, true) => Interest::READABLE,
                (false, false) => Interest::READABLE | Interest::WRITABLE,
                (true, false) => Interest::WRITABLE,
                (true, true) => Interest::ERROR,
            };
            let deadline = clocks.deadline(self);
            tokio::select! {
                ready = stream.ready(interest) => {
                    let ready = ready?;
                    if ready.is_error() && clocks.closing.is_some() {
                        return Err(io::ErrorKind::ConnectionReset.into());
                    }
                    if ready.is_readable() || ready.is_read_closed() {
                        self.read(stream, &source, &mut clocks).await?;
                    }
                    self.write(stream, &mut clocks)?;
                }
                queued = self.queue.recv(), if self.waiting < WRITE_AHEAD => match queued {
                    Some(queued) => {
                        self.take(*queued)?;
                        clocks.last_message = Instant::now();
                        self.streams.touch(&self.last_used, clocks.last_message);
                        self.write(stream, &mut clocks)?;
                    }
                    // The server goes down, or another connection needed the room.
                    None => {
                        if let Some(bytes) = self.layers.close() {
                            self.push(bytes, None);
                            self.write(stream, &mut clocks)?;
                        }
                        return Ok(());
                    }
                },
                () = sleep_until(deadline.into()) => {
                    if deadline != clocks.ping || clocks.closing.is_some() {
                        return clocks.expired(self, deadline);
                    }
                    clocks.ping = deadline + self.ping_interval();
                    if self.streams.keeper.is_on() && self.open && self.output.is_empty() {
                        let bytes = self.layers.wrap(&Bytes::from_static(keep::PING))?;
                        self.push(bytes, None);
                        self.write(stream, &mut clocks)?;
                    }
                }
            }
        }
    }
    /// From one keep-alive of ours to the next.
    fn ping_interval(&self) -> Duration {
        keep::interval(self.streams.limits.ping, self.flow.0)
    }
    /// A message on its way out; until all handshakes are over it waits.
    fn take(&mut self, queued: Queued) -> io::Result<()> {
        if !self.open {
            self.waiting += queued.transmit.bytes.len();
            self.early.push_back(queued);
            return Ok(());
        }
        let bytes = self.layers.wrap(&queued.transmit.bytes)?;
        self.push(bytes, Some(queued));
        Ok(())
    }
    fn push(&mut self, bytes: Bytes, message: Option<Queued>) {
        self.waiting += bytes.len();
        self.output.push_back(Output { bytes, message });
    }
    /// Says what TLS has to say, and notes when all handshakes are over.
    fn handshake(&mut self, clocks: &Clocks) -> io::Result<()> {
        if let Some(bytes) = self.layers.outgoing() {
            self.push(bytes, None);
        }
        if !self.open && self.layers.is_open() {
            self.open = true;
            if self.layers.has_verified_peer() && !clocks.ours {
                self.vouched = true;
                self.streams.vouch(self.flow);
            }
            for queued in std::mem::take(&mut self.early) {
                self.waiting -= queued.transmit.bytes.len();
                self.take(queued)?;
            }
        }
        // Who asks and does not read is not served without end.
        if self.waiting > WRITE_AHEAD * 2 {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
    /// Reads once. Zero: the peer has closed its half.
    fn fill(&mut self, stream: &TcpStream) -> io::Result<usize> {
        // Not straight into what the connection keeps: of who sends a byte a second that would be a chunk's room, and what a
        // call keeps of a message as well.
        let mut chunk = [0; CHUNK];
        let got = stream.try_read(&mut chunk)?;
        self.layers.receive(chunk.get(..got).unwrap_or_default())?;
        Ok(got)
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    async fn read(&mut self, stream: &TcpStream, source: &Source, clocks: &mut Clocks) -> io::Result<()> {
        if clocks.closing.is_some() {
            return Ok(());
        }
        match self.fill(stream) {
            Ok(0) => {
                self.streams.retire(self.flow);
                clocks.closing = Some(Instant::now());
                return Ok(());
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => {
                // The alert that says why.
                if let Some(bytes) = self.layers.outgoing() {
                    self.push(bytes, None);
                    self.write(stream, clocks)?;
                }
                return Err(error);
            }
        }
        let now = Instant::now();
        self.handshake(clocks)?;
        loop {
            let event = match self.layers.next() {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(peer = %self.remote, %error, "framing lost");
                    let _ = self.streams.events.send(NetEvent::Garbage(*source)).await;
                    self.leave(clocks, now);
                    return Ok(());
                }
            };
            if matches!(
                event,
                Event::Message(_) | Event::Garbage | Event::Ping(_) | Event::Reply(_)
            ) && !self.vouched
                && !self.streams.gate.admits(self.remote.ip(), now)
            {
                tracing::debug!(peer = %self.remote, "a stranger that sends too much");
                self.leave(clocks, now);
                return Ok(());
            }
            let event = match event {
                Event::Message(parsed) => NetEvent::Message(parsed, *source, now),
                Event::Garbage => NetEvent::Garbage(*source),
                Event::Ping(answer) => {
                    clocks.last_message = now;
                    clocks.began = None;
                    // One pong waits at a time: who only asks and never reads gets no more.
                    if self.output.back().is_none_or(|last| last.message.is_some()) {
                        let answer = self.layers.seal(answer)?;
                        self.push(answer, None);
                    }
                    continue;
                }
                Event::Reply(bytes) => {
                    let bytes = self.layers.seal(bytes)?;
                    self.push(bytes, None);
                    self.handshake(clocks)?;
                    continue;
                }
                Event::Farewell(bytes) => {
                    let bytes = self.layers.seal(bytes)?;
                    self.push(bytes, None);
                    self.leave(clocks, now);
                    return Ok(());
                }
            };
            if matches!(event, NetEvent::Message(..)) {
                if !clocks.spoke {
                    clocks.spoke = true;
                    self.streams.spoke(self.flow);
                }
                clocks.last_message = now;
                clocks.began = None;
                self.streams.touch(&self.last_used, now);
            }
            if self.streams.events.send(event).await.is_err() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        self.layers.shrink();
        let before = std::mem::replace(&mut self.kept, self.layers.unfinished());
        if !self.streams.keeps(before, self.kept)
            && !self.vouched
            && !self.streams.gate.knows(self.remote.ip(), now)
        {
            tracing::debug!(peer = %self.remote, "no room for what strangers do not finish");
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if self.layers.is_between_messages() {
            clocks.began = None;
        } else if clocks.began.is_none() {
            clocks.began = Some(now);
        }
        Ok(())
    }
    /// Nothing more is read; what waits is still written.
    fn leave(&self, clocks: &mut Clocks, now: Instant) {
        self.streams.retire(self.flow);
        clocks.closing = Some(now);
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "transports own sockets and their clocks"
    )]
    fn write(&mut self, stream: &TcpStream, clocks: &mut Clocks) -> io::Result<()> {
        while let Some(first) = self.output.front_mut() {
            match stream.try_write(&first.bytes) {
                Ok(written) => {
                    clocks.stuck = None;
                    self.waiting -= written;
                    first.bytes.advance(written);
                    if first.bytes.is_empty() {
                        self.output.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    clocks.stuck.get_or_insert_with(Instant::now);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
