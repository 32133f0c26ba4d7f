//! How a connection ends, and what becomes of what it did not carry.

use super::{Connection, NetEvent, Queued};
use std::io;

impl Connection {
    /// It never came into being.
    pub(super) async fn give_up(mut self, error: &io::Error) {
        let over = self.transport.as_via();
        if error.kind() == io::ErrorKind::InvalidData {
            // A certificate is the operator's business.
            tracing::warn!(to = %self.remote, over, %error, "no handshake");
        } else {
            tracing::debug!(to = %self.remote, over, %error, "cannot connect");
        }
        self.streams.remove(self.flow);
        for queued in self.rest() {
            let event = NetEvent::Undeliverable(queued.transmit);
            let _ = self.streams.events.send(event).await;
        }
    }
    /// Takes the connection out of use and finds another way for what it did not carry.
    pub(super) async fn finish(mut self, result: io::Result<()>) {
        match result {
            Ok(()) => tracing::debug!(peer = %self.remote, "connection closed"),
            Err(error) => tracing::debug!(peer = %self.remote, %error, "connection lost"),
        }
        self.streams.remove(self.flow);
        let streams = self.streams.clone();
        for queued in self.rest() {
            let result = if queued.retried {
                Err(queued.transmit)
            } else {
                streams.queue(Queued {
                    retried: true,
                    ..queued
                })
            };
            if let Err(transmit) = result {
                let _ = streams.events.send(NetEvent::Undeliverable(transmit)).await;
            }
        }
    }
    /// What was not, or not wholly, written. To be called after the connection has left the table.
    fn rest(&mut self) -> Vec<Queued> {
        self.streams.keeps(std::mem::take(&mut self.kept), 0);
        self.queue.close();
        let begun = self.output.drain(..).filter_map(|output| output.message);
        let mut rest: Vec<Queued> = begun.chain(self.early.drain(..)).collect();
        while let Ok(queued) = self.queue.try_recv() {
            rest.push(*queued);
        }
        rest
    }
}
