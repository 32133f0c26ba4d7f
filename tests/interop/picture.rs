//! Video as the wire shows it: VP8 in RTP (RFC 7741), found by the SDP beside it, decrypted where that has keys.

use std::collections::BTreeMap;

use crate::Outcome;
use crate::announced::announced_as;
use crate::capture::Wire;
use crate::judge::Leg;
use crate::rtp::{self, Packet, Span};

/// What one leg carried of video in one direction.
pub(crate) struct Film {
    name: String,
    packets: Vec<Piece>,
    /// Whether `packets` are as they were before encryption.
    clear: bool,
}

/// One packet.
struct Piece {
    time: f64,
    sequence: u16,
    payload: Vec<u8>,
}

/// What SRTP adds to a packet with the suites that these phones choose: an 80-bit tag.
const TAG: usize = 10;

/// The video of a leg in both directions: from the phone, to the phone. None of it may be understood where the leg is keyed.
pub(crate) fn watch(wire: &Wire, leg: Leg) -> Outcome<(Film, Film)> {
    let announced = announced_as("video", &wire.messages);
    if announced.is_empty() {
        return Err(format!("leg {:?}: no video was announced", leg.side));
    }
    let sdes = leg.suite.map_or("RTP/AVP", |_| "RTP/SAVP");
    rtp::must_announce(&announced, leg.hidden.unwrap_or(sdes))?;
    let (out, back) = rtp::packets(wire, &announced, leg.phone);
    let film = |name: String, packets: Vec<Packet>| {
        let film = Film::new(name, &packets, leg.suite.is_none() && leg.hidden.is_none());
        if film.clear {
            return Outcome::Ok(film);
        }
        film.must_be_obscure()?;
        Ok(match leg.suite {
            Some(suite) => {
                let opened = rtp::opened(&film.name, packets, &announced, suite)?;
                Film::new(film.name, &opened, true)
            }
            None => film,
        })
    };
    Ok((
        film(format!("video from {}", leg.phone), out)?,
        film(format!("video to {}", leg.phone), back)?,
    ))
}

impl Film {
    fn new(name: String, packets: &[Packet], clear: bool) -> Self {
        Self {
            name,
            packets: packets.iter().filter_map(piece).collect(),
            clear,
        }
    }

    /// None of it may look like the beginning of a VP8 key frame: all of them have the same three octets at the same place.
    fn must_be_obscure(&self) -> Outcome {
        match self.packets.iter().find(|piece| piece.is_key_frame()) {
            Some(piece) => Err(format!("{}: clear VP8 at {:.3}", self.name, piece.time)),
            None => Ok(()),
        }
    }

    /// In `span` the picture must be there: packets all the time (a static picture makes one frame a second), and where it can
    /// be understood a key frame, without which nobody sees anything.
    pub(crate) fn must_show(&self, span: Span) -> Outcome {
        let (count, least) = (self.within(span).count(), (span.to - span.from).floor() as usize);
        if count < least {
            return Err(format!(
                "{}: {count} packets in {:.2}..{:.2}, expected {least}",
                self.name, span.from, span.to
            ));
        }
        if self.clear && !self.within(span).any(Piece::is_key_frame) {
            return Err(format!(
                "{}: no key frame among {count} packets in {:.2}..{:.2}",
                self.name, span.from, span.to
            ));
        }
        Ok(())
    }

    /// In `span` there must be nothing.
    pub(crate) fn must_be_dark(&self, span: Span) -> Outcome {
        match self.within(span).count() {
            0 => Ok(()),
            count => Err(format!(
                "{}: {count} packets in {:.2}..{:.2}, when there is no video",
                self.name, span.from, span.to
            )),
        }
    }

    /// All packets of `span` must have come out in `other`, with the payload that they had.
    pub(crate) fn must_come_out(&self, span: Span, other: &Self) -> Outcome {
        let later = Span {
            to: span.to + 1.0,
            ..span
        };
        let came: BTreeMap<u16, &Piece> = other.within(later).map(|p| (p.sequence, p)).collect();
        for piece in self.within(span) {
            let wrong = |what: &str| {
                let (name, number, time) = (&self.name, piece.sequence, piece.time);
                Err(format!("{name}: packet {number} at {time:.3} {what}"))
            };
            let Some(came) = came.get(&piece.sequence) else {
                return wrong("was not passed on");
            };
            let length = |clear: bool| piece.payload.len() + if clear { 0 } else { TAG };
            let same = match (self.clear, other.clear) {
                (true, true) => came.payload == piece.payload,
                (true, false) => came.payload.len() == length(false),
                (false, true) => came.payload.len() + TAG == piece.payload.len(),
                (false, false) => came.payload.len() == piece.payload.len(),
            };
            if !same {
                return wrong("came out as another");
            }
        }
        Ok(())
    }

    fn within(&self, span: Span) -> impl Iterator<Item = &Piece> {
        self.packets
            .iter()
            .filter(move |piece| piece.time >= span.from && piece.time < span.to)
    }
}

impl Piece {
    /// Whether it begins a VP8 key frame: the first packet of the first partition (RFC 7741 §4.2), whose frame is a key frame
    /// (§4.3) and has its start code (RFC 6386 §9.1).
    fn is_key_frame(&self) -> bool {
        let begins = |at: usize| self.payload.get(at).is_some_and(|first| first & 1 == 0);
        let starts = |at: usize| self.payload.get(at + 3..at + 6) == Some(&[0x9d, 0x01, 0x2a]);
        let Some(length) = self.descriptor() else {
            return false;
        };
        self.payload[0] & 0x1f == 0x10 && begins(length) && starts(length)
    }

    /// The length of the payload descriptor (RFC 7741 §4.2).
    fn descriptor(&self) -> Option<usize> {
        let first = *self.payload.first()?;
        if first & 0x80 == 0 {
            return Some(1);
        }
        let extended = *self.payload.get(1)?;
        let mut length = 2;
        if extended & 0x80 != 0 {
            length += if *self.payload.get(2)? & 0x80 == 0 { 1 } else { 2 };
        }
        length += usize::from(extended & 0x40 != 0);
        length += usize::from(extended & 0x30 != 0);
        Some(length)
    }
}

fn piece(packet: &Packet) -> Option<Piece> {
    let bytes = &packet.bytes;
    let mut header = 12 + usize::from(bytes.first()? & 0x0f) * 4;
    if bytes.first()? & 0x10 != 0 {
        let words = bytes.get(header + 2..header + 4)?;
        header += 4 + 4 * usize::from(u16::from_be_bytes([words[0], words[1]]));
    }
    Some(Piece {
        time: packet.time,
        sequence: u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]),
        payload: bytes.get(header..)?.to_vec(),
    })
}
