//! What the DTLS library takes for its connection: queues, with the [`Gate`] in between.

use super::{
    Event, Sink,
    gate::{Flood, Gate},
};
use std::{
    any::Any,
    collections::VecDeque,
    future::pending,
    net::SocketAddr,
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Notify, mpsc};
use webrtc_dtls_util::{Conn, Error};

type Result<T> = std::result::Result<T, Error>;

/// One handshake's connection.
pub(super) struct Pipe {
    sink: Sink,
    incoming: tokio::sync::Mutex<mpsc::Receiver<Vec<u8>>>,
    state: Mutex<State>,
    /// The peer has sent too much.
    pub(super) flood: Notify,
}

struct State {
    gate: Gate,
    /// Passed by the gate, not yet asked for.
    passed: VecDeque<Vec<u8>>,
    /// What was sent since something was received last.
    flight: Vec<Vec<u8>>,
    received: bool,
    heard: bool,
    /// From here on nothing is sent: it is kept.
    closing: Option<Vec<u8>>,
}

impl Pipe {
    pub(super) fn new(gate: Gate, sink: Sink, incoming: mpsc::Receiver<Vec<u8>>) -> Self {
        Self {
            sink,
            incoming: tokio::sync::Mutex::new(incoming),
            state: Mutex::new(State {
                gate,
                passed: VecDeque::new(),
                flight: Vec::new(),
                received: false,
                heard: false,
                closing: None,
            }),
            flood: Notify::new(),
        }
    }
    /// Waits until the peer has sent something of a handshake; returns at once when something is already there.
    pub(super) async fn begun(&self) -> std::result::Result<(), Flood> {
        loop {
            {
                let mut state = self.state();
                // An alert before there is a handshake is about nothing.
                state.passed.retain(|datagram| datagram.first() == Some(&22));
                if !state.passed.is_empty() {
                    return Ok(());
                }
            }
            match self.incoming.lock().await.recv().await {
                Some(datagram) => self.take(&datagram)?,
                None => return pending().await,
            }
        }
    }
    /// Whether anything came that the gate let through.
    pub(super) fn heard(&self) -> bool {
        self.state().heard
    }
    /// The alert by which the peer ended the handshake, if it was in the clear.
    pub(super) fn alert(&self) -> Option<u8> {
        self.state().gate.alert()
    }
    /// From now on what the library sends is kept back: the close_notify that there is at the end.
    pub(super) fn close_from_now(&self) {
        self.state().closing = Some(Vec::new());
    }
    /// The last flight that was sent, and the close_notify.
    pub(super) fn remains(&self) -> (Vec<Vec<u8>>, Vec<u8>) {
        let mut state = self.state();
        let closing = state.closing.replace(Vec::new()).unwrap_or_default();
        (std::mem::take(&mut state.flight), closing)
    }
    /// Datagrams that have come and were not asked for.
    pub(super) async fn left_over(&self) -> Vec<Vec<u8>> {
        let mut incoming = self.incoming.lock().await;
        std::iter::from_fn(|| incoming.try_recv().ok()).collect()
    }
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn take(&self, datagram: &[u8]) -> std::result::Result<(), Flood> {
        let mut state = self.state();
        let passed = state.gate.pass(datagram)?;
        state.heard |= !passed.is_empty();
        state.passed.extend(passed);
        Ok(())
    }
}

#[async_trait::async_trait]
impl Conn for Pipe {
    /// Never an error, since the library would ask again at once: without anything to give it waits.
    async fn recv(&self, buffer: &mut [u8]) -> Result<usize> {
        loop {
            {
                let mut state = self.state();
                if let Some(datagram) = state.passed.pop_front() {
                    state.received = true;
                    // What the gate passes is shorter than the library's buffer.
                    if let Some(place) = buffer.get_mut(..datagram.len()) {
                        place.copy_from_slice(&datagram);
                        return Ok(datagram.len());
                    }
                    continue;
                }
            }
            let Some(datagram) = self.incoming.lock().await.recv().await else {
                return pending().await;
            };
            if self.take(&datagram).is_err() {
                self.flood.notify_one();
                return pending().await;
            }
        }
    }
    async fn send(&self, datagram: &[u8]) -> Result<usize> {
        {
            let mut state = self.state();
            if let Some(kept) = &mut state.closing {
                kept.extend_from_slice(datagram);
                return Ok(datagram.len());
            }
            if std::mem::take(&mut state.received) {
                state.flight.clear();
            }
            state.flight.push(datagram.to_vec());
        }
        (self.sink)(Event::Transmit(datagram.to_vec()));
        Ok(datagram.len())
    }
    async fn connect(&self, _: SocketAddr) -> Result<()> {
        Err(Error::Other("connected already".to_owned()))
    }
    async fn recv_from(&self, _: &mut [u8]) -> Result<(usize, SocketAddr)> {
        Err(Error::Other("addresses are not known here".to_owned()))
    }
    async fn send_to(&self, _: &[u8], _: SocketAddr) -> Result<usize> {
        Err(Error::Other("addresses are not known here".to_owned()))
    }
    fn local_addr(&self) -> Result<SocketAddr> {
        Err(Error::Other("addresses are not known here".to_owned()))
    }
    fn remote_addr(&self) -> Option<SocketAddr> {
        None
    }
    async fn close(&self) -> Result<()> {
        Ok(())
    }
    fn as_any(&self) -> &(dyn Any + Send + Sync) {
        self
    }
}
