//! TLS on one connection: bytes in, bytes out; whoever has the socket moves them.

use super::{Acceptor, Connector};
use bytes::{BufMut, Bytes, BytesMut};
use rustls::{ClientConnection, Connection, ServerConnection, pki_types::ServerName};
use std::io::{self, Read as _, Write as _};

/// Plain bytes taken out at once.
const CHUNK: usize = 4 * 1024;

/// One connection's half of TLS.
pub(in crate::net) struct Session {
    tls: Connection,
    records: Records,
}

impl Session {
    /// Of a connection that the peer opened.
    pub(in crate::net) fn accept(acceptor: &Acceptor) -> io::Result<Self> {
        let tls = ServerConnection::new(acceptor.0.clone()).map_err(io::Error::other)?;
        Ok(Self::over(tls.into()))
    }
    /// Of a connection that we opened. `name` is the domain of the URI, or an address: what the peer's certificate has to
    /// be of (RFC 5922 §7.3).
    pub(in crate::net) fn connect(connector: &Connector, name: &str) -> io::Result<Self> {
        let bare = name
            .trim_start_matches('[')
            .trim_end_matches(']')
            .trim_end_matches('.');
        let name = ServerName::try_from(bare.to_owned()).map_err(io::Error::other)?;
        let tls = ClientConnection::new(connector.config(), name).map_err(io::Error::other)?;
        Ok(Self::over(tls.into()))
    }
    fn over(mut tls: Connection) -> Self {
        // What is written is taken out at once.
        tls.set_buffer_limit(None);
        Self {
            tls,
            records: Records::default(),
        }
    }
    /// The handshake is over.
    pub(in crate::net) fn is_open(&self) -> bool {
        !self.tls.is_handshaking()
    }
    /// The peer has shown a certificate, which was found good.
    pub(in crate::net) fn has_verified_peer(&self) -> bool {
        self.is_open() && self.tls.peer_certificates().is_some()
    }
    /// A record has begun and is not whole.
    pub(in crate::net) fn is_in_record(&self) -> bool {
        self.records.is_inside()
    }
    /// Takes what came, and adds what it says to `plain`. There may be something to send after it, above all after an error.
    pub(in crate::net) fn receive(&mut self, mut raw: &[u8], plain: &mut BytesMut) -> io::Result<()> {
        self.records.pass(raw);
        while !raw.is_empty() {
            let before = raw.len();
            self.tls.read_tls(&mut raw)?;
            let state = self
                .tls
                .process_new_packets()
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let mut chunk = [0; CHUNK];
                let got = self.tls.reader().read(&mut chunk)?;
                if got == 0 {
                    break;
                }
                plain.extend_from_slice(chunk.get(..got).unwrap_or_default());
                left = left.saturating_sub(got);
            }
            if raw.len() == before {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(())
    }
    /// Encrypts, behind whatever TLS itself has to say first.
    pub(in crate::net) fn seal(&mut self, plain: &[u8]) -> io::Result<Bytes> {
        self.tls.writer().write_all(plain)?;
        Ok(self.outgoing().unwrap_or_default())
    }
    /// What TLS itself has to say: handshake, alerts, tickets.
    pub(in crate::net) fn outgoing(&mut self) -> Option<Bytes> {
        let mut out = BytesMut::new().writer();
        while self.tls.wants_write() {
            // Into memory: that has room.
            if self.tls.write_tls(&mut out).is_err() {
                break;
            }
        }
        let out = out.into_inner();
        (!out.is_empty()).then(|| out.freeze())
    }
    /// Says that nothing follows.
    pub(in crate::net) fn close(&mut self) -> Option<Bytes> {
        self.tls.send_close_notify();
        self.outgoing()
    }
}

/// Where in the sequence of records we are: five bytes of header, then as many as its last two say (RFC 8446 §5.1).
#[derive(Default)]
struct Records {
    header: usize,
    length: usize,
}

impl Records {
    fn is_inside(&self) -> bool {
        self.header > 0
    }
    fn pass(&mut self, raw: &[u8]) {
        let mut rest = raw;
        while let Some((&byte, after)) = rest.split_first() {
            if self.header < 5 {
                self.length = match self.header {
                    3 => usize::from(byte) << 8,
                    4 => self.length | usize::from(byte),
                    _ => 0,
                };
                self.header += 1;
                rest = after;
            } else {
                let skipped = self.length.min(rest.len());
                self.length -= skipped;
                rest = rest.get(skipped..).unwrap_or_default();
            }
            if self.header == 5 && self.length == 0 {
                self.header = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_inside_from_its_first_to_its_last_byte() {
        let mut records = Records::default();
        let stream = [23, 3, 3, 0, 2, 7, 7, 23, 3, 3, 0, 0, 23, 3, 3, 1, 0];
        let inside = stream.map(|byte| {
            records.pass(&[byte]);
            records.is_inside()
        });
        let ends: Vec<_> = (0..stream.len()).filter(|&at| !inside[at]).collect();
        assert_eq!(ends, [6, 11]);
        records.pass(&[0; 255]);
        assert!(records.is_inside());
        records.pass(&[0]);
        assert!(!records.is_inside());
    }
}
