//! The relay: its own threads, its own sockets; packets never enter tokio.
//!
//! A call has one [`Session`]; all its sockets are on one thread, so that both directions of a stream meet without
//! locks. Commands go in, facts come out. Per packet there is no lock, no allocation, no clock and no other thread.

mod alive;
mod control;
mod digits;
mod edit;
mod end;
mod feedback;
mod flow;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod fuzz;
mod jitter;
mod key_frames;
mod keyed;
mod names;
mod numbering;
mod peer;
mod ports;
mod rtcp;
mod slab;
mod socket;
mod stats;
#[cfg(test)]
mod tests;
mod watch;
mod worker;

/// Its inner parts without sockets, for the rig.
#[cfg(any(test, feature = "testing"))]
pub(crate) mod hands {
    pub(crate) use super::flow::{Leaves, Stream};
}

pub use super::packet::Discard;
pub use stats::Gauges;

use super::{MediaCommand, MediaEvent};
use crossbeam_channel::Sender;
use ports::Ports;
use socket::Waker;
use stats::Totals;
use std::{
    fmt, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
};
use worker::{Order, Worker};

/// Orders that may wait for a thread before calls that are not open yet are refused ports.
const BACKLOG: usize = 8192;

/// Where relay threads bind and how many there are.
#[derive(Clone, Debug)]
pub struct RelayConfig {
    /// Threads, at least 1.
    pub threads: usize,
    /// Ports of audio streams, inclusive; `0..=0` lets the kernel choose.
    pub audio_ports: std::ops::RangeInclusive<u16>,
    /// Ports of video and other streams.
    pub video_ports: std::ops::RangeInclusive<u16>,
}

/// All relay threads of a server. Dropping it ends them, and with them every session.
#[derive(Debug)]
pub struct Relay {
    threads: Vec<Thread>,
    sessions: AtomicU64,
}

/// One call's share of one relay thread: both legs, all streams. Dropping it closes all that is open.
pub struct Session {
    id: u64,
    line: Line,
    events: EventSink,
}

/// Called on the relay thread; must not block.
pub type EventSink = Arc<dyn Fn(MediaEvent) + Send + Sync>;

struct Thread {
    line: Line,
    handle: Option<JoinHandle<()>>,
}

/// The way to a thread.
#[derive(Clone)]
struct Line {
    orders: Sender<Order>,
    waker: Waker,
    totals: Arc<Totals>,
}

impl Relay {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the kernel gives no thread or poller.
    pub fn start(config: RelayConfig) -> io::Result<Self> {
        let ports = Arc::new(Ports::new(config.audio_ports, config.video_ports));
        let threads = (0..config.threads.max(1))
            .map(|number| Thread::start(number, &ports))
            .collect::<io::Result<_>>()?;
        Ok(Self {
            threads,
            sessions: AtomicU64::new(0),
        })
    }

    /// A session on the least loaded thread.
    pub fn session(&self, events: EventSink) -> Session {
        let line = self
            .threads
            .iter()
            .map(|thread| &thread.line)
            .min_by_key(|line| line.totals.sessions.load(Ordering::Relaxed))
            .expect("a relay has at least one thread");
        let id = self.sessions.fetch_add(1, Ordering::Relaxed);
        line.totals.sessions.fetch_add(1, Ordering::Relaxed);
        line.send(Order::Begin(id, Arc::clone(&events)));
        Session {
            id,
            line: line.clone(),
            events,
        }
    }

    /// What is open and what has passed.
    pub fn gauges(&self) -> Gauges {
        let mut gauges = Gauges::default();
        for thread in &self.threads {
            thread.line.totals.read(&mut gauges);
        }
        gauges
    }
}

impl Session {
    /// Queues a command. Commands of calls that exist always find room: only asking for ports is refused, with
    /// `OpenFailed` or `ReserveFailed` at once, when the thread is far behind.
    pub fn send(&self, command: MediaCommand) {
        let refused = if self.line.orders.len() >= BACKLOG {
            refusal(&command)
        } else {
            None
        };
        if let Some(refused) = refused {
            return (self.events)(refused);
        }
        self.line.send(Order::Command(self.id, command));
    }
}

/// What is said to who asks for ports of a thread that is far behind.
fn refusal(command: &MediaCommand) -> Option<MediaEvent> {
    let reason = "the relay thread is overloaded".to_owned();
    match *command {
        MediaCommand::Open { side, stream, .. } => Some(MediaEvent::OpenFailed { side, stream, reason }),
        MediaCommand::Reserve {
            side, stream, number, ..
        } => Some(MediaEvent::ReserveFailed {
            side,
            stream,
            number,
            reason,
        }),
        _ => None,
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.line.send(Order::End(self.id));
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Thread {
    fn start(number: usize, ports: &Arc<Ports>) -> io::Result<Self> {
        let totals = Arc::new(Totals::default());
        let (orders, receiver) = crossbeam_channel::unbounded();
        let (worker, waker) = Worker::new(receiver, Arc::clone(ports), Arc::clone(&totals))?;
        let handle = std::thread::Builder::new()
            .name(format!("relay-{number}"))
            .spawn(move || worker.run())?;
        Ok(Self {
            line: Line {
                orders,
                waker,
                totals,
            },
            handle: Some(handle),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        self.line.send(Order::Stop);
        if let Some(handle) = self.handle.take() {
            // A thread that panicked has told so on stderr already.
            let _ = handle.join();
        }
    }
}

impl fmt::Debug for Thread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Thread")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl Line {
    fn send(&self, order: Order) {
        // Once the thread has ended there is nothing left to be told.
        if self.orders.send(order).is_ok() {
            self.waker.wake();
        }
    }
}
