//! The relay: its own threads, its own sockets; packets never enter tokio.

use super::{MediaCommand, MediaEvent};
use std::{io, sync::Arc};

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

/// All relay threads of a server.
pub struct Relay {}

/// One call's share of one relay thread: both legs, all streams.
pub struct Session {}

/// Called on the relay thread; must not block.
pub type EventSink = Arc<dyn Fn(MediaEvent) + Send + Sync>;

impl Relay {
    /// Starts the threads.
    ///
    /// # Errors
    /// When the kernel gives no thread or poller.
    pub fn start(config: RelayConfig) -> io::Result<Self> {
        let _ = config;
        todo!()
    }
    /// A session on the least loaded thread.
    pub fn session(&self, events: EventSink) -> Session {
        let _ = events;
        todo!()
    }
}

impl Session {
    /// Queues a command. Commands of calls that exist always find room.
    pub fn send(&self, command: MediaCommand) {
        let _ = command;
        todo!()
    }
}
