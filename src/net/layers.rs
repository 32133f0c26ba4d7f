//! What lies between a socket and SIP messages: nothing, TLS, WebSocket, or both. Bytes in, events out, no socket.

use super::{
    tls::Session,
    websocket::{self, WebEvent, WebSocket},
};
use crate::sip::{
    ParseError,
    parse::{self, Frame, Framer, Parsed},
};
use bytes::{Bytes, BytesMut};
use std::{io, sync::Arc};

/// What came.
pub(super) enum Event {
    /// A message, or a faulty request that can still be answered.
    Message(Box<Parsed>),
    /// Something that was no SIP.
    Garbage,
    /// A keep-alive that wants this answer.
    Ping(Bytes),
    /// Something to be sent that is no message.
    Reply(Bytes),
    /// The same, and the last: nothing is read after it.
    Farewell(Bytes),
}

enum Framing {
    /// RFC 3261 §18.3
    Stream(Framer),
    /// One message in each message (RFC 7118 §4.2), and the web pages that may send some.
    Web(Box<WebSocket>, Arc<[String]>),
}

/// See the module.
pub(super) struct Layers {
    tls: Option<Box<Session>>,
    framing: Framing,
    /// What has come and is no whole message.
    input: BytesMut,
}

impl Layers {
    /// SIP as it is, in TLS when there is some.
    pub(super) fn stream(tls: Option<Session>) -> Self {
        Self {
            tls: tls.map(Box::new),
            framing: Framing::Stream(Framer::default()),
            input: BytesMut::new(),
        }
    }
    /// SIP in WebSocket.
    pub(super) fn web(tls: Option<Session>, origins: Arc<[String]>) -> Self {
        Self {
            framing: Framing::Web(Box::new(WebSocket::new()), origins),
            ..Self::stream(tls)
        }
    }
    /// All handshakes are over: messages can be sent.
    pub(super) fn is_open(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| tls.is_open())
            && match &self.framing {
                Framing::Stream(_) => true,
                Framing::Web(web, _) => web.is_open(),
            }
    }
    /// The peer has shown a certificate of an authority of ours.
    pub(super) fn has_verified_peer(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.has_verified_peer())
    }
    /// Nothing has begun that is not whole.
    pub(super) fn is_between_messages(&self) -> bool {
        // A pong, or the first half of a ping (RFC 5626 §4.4.1), begins no message.
        let is_quiet = self.input.len() < 4 && self.input.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
        is_quiet
            && self.tls.as_ref().is_none_or(|tls| !tls.is_in_record())
            && match &self.framing {
                Framing::Stream(_) => true,
                Framing::Web(web, _) => !web.is_in_message(),
            }
    }
    /// Bytes of what has begun and is not whole.
    pub(super) fn unfinished(&self) -> usize {
        let parts = match &self.framing {
            Framing::Stream(_) => 0,
            Framing::Web(web, _) => web.unfinished(),
        };
        self.input.len() + parts
    }
    /// Takes bytes as they came.
    pub(super) fn receive(&mut self, raw: &[u8]) -> io::Result<()> {
        match &mut self.tls {
            Some(tls) => tls.receive(raw, &mut self.input),
            None => {
                self.input.extend_from_slice(raw);
                Ok(())
            }
        }
    }
    /// An idle connection holds no buffer; what messages keep of the old one is theirs.
    pub(super) fn shrink(&mut self) {
        if self.input.is_empty() {
            self.input = BytesMut::new();
        }
    }
    /// The next event; `None` when more bytes are needed.
    ///
    /// # Errors
    /// When framing is lost.
    pub(super) fn next(&mut self) -> Result<Option<Event>, ParseError> {
        match &mut self.framing {
            Framing::Stream(framer) => Ok(framer.next(&mut self.input)?.map(|frame| match frame {
                Frame::Message(parsed) => Event::Message(parsed),
                Frame::Ping => Event::Ping(Bytes::from_static(b"\r\n")),
            })),
            Framing::Web(web, origins) => Ok(web.next(&mut self.input, origins).map(|event| match event {
                WebEvent::Message(message) => of_message(message),
                WebEvent::Reply(bytes) => Event::Reply(bytes),
                WebEvent::Farewell(bytes) => Event::Farewell(bytes),
            })),
        }
    }
    /// A SIP message as it goes out.
    pub(super) fn wrap(&mut self, message: &Bytes) -> io::Result<Bytes> {
        match &self.framing {
            Framing::Stream(_) => self.seal(message.clone()),
            Framing::Web(..) => self.seal(websocket::message(message)),
        }
    }
    /// Anything as it goes out.
    pub(super) fn seal(&mut self, bytes: Bytes) -> io::Result<Bytes> {
        match &mut self.tls {
            Some(tls) => tls.seal(&bytes),
            None => Ok(bytes),
        }
    }
    /// What TLS itself has to say.
    pub(super) fn outgoing(&mut self) -> Option<Bytes> {
        self.tls.as_mut().and_then(|tls| tls.outgoing())
    }
    /// Says that nothing follows.
    pub(super) fn close(&mut self) -> Option<Bytes> {
        let farewell = match &mut self.framing {
            Framing::Stream(_) => None,
            Framing::Web(web, _) => web.farewell(),
        };
        let sealed = farewell.and_then(|bytes| self.seal(bytes).ok());
        let closed = self.tls.as_mut().and_then(|tls| tls.close());
        match (sealed, closed) {
            (Some(first), Some(second)) => Some([first, second].concat().into()),
            (one, other) => one.or(other),
        }
    }
}

/// What a WebSocket message holds: one SIP message, or the keep-alive of RFC 5626 §3.5.1, answered as on a stream.
fn of_message(message: Bytes) -> Event {
    if message.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
        return Event::Ping(websocket::message(b"\r\n"));
    }
    match parse::datagram(message) {
        Ok(parsed) => Event::Message(Box::new(parsed)),
        Err(error) => {
            tracing::debug!(%error, "a WebSocket message that is no SIP");
            Event::Garbage
        }
    }
}
