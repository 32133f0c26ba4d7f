//! WebSocket on one connection, the server's half (RFC 6455, with the sub-protocol `sip` of RFC 7118): bytes in, messages
//! out. We never open one: who speaks WebSocket to a SIP server is a browser, and nobody can connect to that.

mod opening;
#[cfg(test)]
mod tests;

use crate::sip::parse::MAX_MESSAGE;
use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The most bytes of a control frame's payload (RFC 6455 §5.5).
const MAX_CONTROL: usize = 125;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum WebEvent {
    /// A whole message.
    Message(Bytes),
    /// To be sent as it is.
    Reply(Bytes),
    /// To be sent as it is; nothing is read after it.
    Farewell(Bytes),
}

/// See the module.
pub(super) struct WebSocket {
    state: State,
    /// The frames of an unfinished message.
    message: BytesMut,
    /// Whether those say that they are text.
    kind: Option<Kind>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Binary,
}

/// Codes of RFC 6455 §7.4.1.
#[derive(Clone, Copy)]
enum Close {
    Normal = 1000,
    Protocol = 1002,
    NotUtf8 = 1007,
    TooLarge = 1009,
}

/// The header of a frame.
struct Header {
    is_last: bool,
    opcode: u8,
    mask: [u8; 4],
    /// Of the header itself.
    size: usize,
    payload: usize,
}

impl WebSocket {
    pub(super) fn new() -> Self {
        Self {
            state: State::Opening,
            message: BytesMut::new(),
            kind: None,
        }
    }
    /// Messages may be sent.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }
    /// A message has begun and is not whole.
    pub(super) fn is_in_message(&self) -> bool {
        self.kind.is_some()
    }
    /// Bytes of such a message.
    pub(super) fn unfinished(&self) -> usize {
        self.message.len()
    }
    /// Takes the next event out of `input`; `None` when more bytes are needed. `origins` are the web pages whose scripts may
    /// come.
    pub(super) fn next(&mut self, input: &mut BytesMut, origins: &[String]) -> Option<WebEvent> {
        match self.state {
            State::Opening => {
                let (answer, taken) = opening::answer(input, origins)?;
                match answer {
                    Ok(answer) => {
                        input.advance(taken);
                        self.state = State::Open;
                        Some(WebEvent::Reply(answer))
                    }
                    Err(refusal) => {
                        self.state = State::Closed;
                        input.clear();
                        Some(WebEvent::Farewell(refusal))
                    }
                }
            }
            State::Open => loop {
                match self.frame(input) {
                    Ok(None) => return None,
                    Ok(Some(Some(event))) => return Some(event),
                    Ok(Some(None)) => {}
                    Err(close) => {
                        input.clear();
                        return Some(self.close(close));
                    }
                }
            },
            State::Closed => {
                input.clear();
                None
            }
        }
    }
    /// One frame. `Some(None)` when it says nothing by itself.
    #[expect(
        clippy::option_option,
        reason = "no frame, a frame, a frame that says something"
    )]
    fn frame(&mut self, input: &mut BytesMut) -> Result<Option<Option<WebEvent>>, Close> {
        let Some(header) = Header::read(input)? else {
            return Ok(None);
        };
        let is_control = header.opcode & 8 != 0;
        let before = if is_control { 0 } else { self.message.len() };
        if before + header.payload > MAX_MESSAGE {
            return Err(Close::TooLarge);
        }
        if input.len() < header.size + header.payload {
            return Ok(None);
        }
        input.advance(header.size);
        let mut payload = input.split_to(header.payload);
        for (byte, mask) in payload.iter_mut().zip(header.mask.iter().cycle()) {
            *byte ^= mask;
        }
        let event = match (header.opcode, self.kind) {
            (0, Some(_)) => self.part(&payload, header.is_last)?,
            (1, None) => {
                self.kind = Some(Kind::Text);
                self.part(&payload, header.is_last)?
            }
            (2, None) => {
                self.kind = Some(Kind::Binary);
                self.part(&payload, header.is_last)?
            }
            (8, _) => Some(self.close(Close::Normal)),
            (9, _) => Some(WebEvent::Reply(frame(10, &payload))),
            (10, _) => None,
            // A continuation of nothing, a message within a message, or an opcode of the future.
            _ => return Err(Close::Protocol),
        };
        Ok(Some(event))
    }
    fn part(&mut self, payload: &[u8], is_last: bool) -> Result<Option<WebEvent>, Close> {
        self.message.extend_from_slice(payload);
        if !is_last {
            return Ok(None);
        }
        let kind = self.kind.take();
        let message = std::mem::take(&mut self.message);
        if kind == Some(Kind::Text) && std::str::from_utf8(&message).is_err() {
            return Err(Close::NotUtf8);
        }
        Ok(Some(WebEvent::Message(message.freeze())))
    }
    fn close(&mut self, code: Close) -> WebEvent {
        self.state = State::Closed;
        WebEvent::Farewell(frame(8, &(code as u16).to_be_bytes()))
    }
    /// Says that nothing follows.
    pub(super) fn farewell(&mut self) -> Option<Bytes> {
        self.is_open().then(|| {
            self.state = State::Closed;
            frame(8, &(Close::Normal as u16).to_be_bytes())
        })
    }
}

impl Header {
    fn read(input: &[u8]) -> Result<Option<Self>, Close> {
        let [first, second, rest @ ..] = input else {
            return Ok(None);
        };
        let opcode = first & 15;
        let is_last = first & 0x80 != 0;
        // Extensions were not agreed on, and a client masks.
        if first & 0x70 != 0 || second & 0x80 == 0 {
            return Err(Close::Protocol);
        }
        let (length, rest, size) = match (second & 0x7f, rest) {
            (126, [high, low, rest @ ..]) => (u64::from(u16::from_be_bytes([*high, *low])), rest, 4),
            (127, rest) => match rest.split_first_chunk() {
                Some((length, rest)) => (u64::from_be_bytes(*length), rest, 10),
                None => return Ok(None),
            },
            (126, _) => return Ok(None),
            (short, rest) => (u64::from(short), rest, 2),
        };
        let payload = usize::try_from(length).unwrap_or(usize::MAX);
        if opcode & 8 != 0 && (payload > MAX_CONTROL || !is_last) {
            return Err(Close::Protocol);
        }
        if payload > MAX_MESSAGE {
            return Err(Close::TooLarge);
        }
        Ok(rest.first_chunk().map(|mask| Self {
            is_last,
            opcode,
            mask: *mask,
            size: size + 4,
            payload,
        }))
    }
}

/// A SIP message as one frame: text where it is UTF-8, as browsers expect it (RFC 7118 §4.2).
pub(super) fn message(bytes: &[u8]) -> Bytes {
    let opcode = if std::str::from_utf8(bytes).is_ok() { 1 } else { 2 };
    frame(opcode, bytes)
}

/// An unmasked frame, as a server sends it.
fn frame(opcode: u8, payload: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(payload.len() + 10);
    out.put_u8(0x80 | opcode);
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(short @ ..126), _) => out.put_u8(short),
        (_, Ok(medium)) => {
            out.put_u8(126);
            out.put_u16(medium);
        }
        _ => {
            out.put_u8(127);
            out.put_u64(payload.len() as u64);
        }
    }
    out.extend_from_slice(payload);
    out.freeze()
}
