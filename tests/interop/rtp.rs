//! RTP as the wire shows it: found by the SDP beside it, decrypted with the keys in that SDP,
//! decoded from G.711, and listened to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use crate::Outcome;
use crate::announced::{Announced, announced, contexts};
use crate::capture::Wire;
use crate::tone::{self, Sound};

/// One RTP packet in one direction of a leg.
pub(crate) struct Packet {
    pub(crate) time: f64,
    from: SocketAddr,
    pub(crate) bytes: Vec<u8>,
}

/// What one leg carried in one direction.
pub(crate) struct Stream {
    name: String,
    /// What is G.711 of it, decrypted where the leg is keyed.
    heard: Vec<Heard>,
}

/// One packet of G.711.
struct Heard {
    time: f64,
    sequence: u16,
    kind: u8,
    payload: Vec<u8>,
}

/// A span of the capture's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) from: f64,
    pub(crate) to: f64,
}

/// The audio of a leg in both directions: from the phone, to the phone. `suite` is what the leg
/// must be keyed with; `None` means plain.
pub(crate) fn listen(wire: &Wire, phone: IpAddr, suite: Option<&str>) -> Outcome<(Stream, Stream)> {
    let announced = announced(&wire.messages);
    let expected = if suite.is_some() { "RTP/SAVP" } else { "RTP/AVP" };
    must_announce(&announced, expected)?;
    for (port, end) in &announced {
        if suite.is_none() && !end.keys.is_empty() {
            return Err(format!("{port} announced a=crypto on a plain leg"));
        }
    }
    let (out, back) = packets(wire, &announced, phone);
    let stream = |name: String, packets| match suite {
        None => Ok(Stream {
            name,
            heard: parts(packets),
        }),
        Some(suite) => decrypt(name, packets, &announced, suite),
    };
    Ok((
        stream(format!("RTP from {phone}"), out)?,
        stream(format!("RTP to {phone}"), back)?,
    ))
}

/// All RTP of a phone on a leg of which not even the session descriptions can be read, from it and to it: none of it may be
/// understood, ever.
pub(crate) fn overhear_all(wire: &Wire, phone: IpAddr) -> Outcome<(Stream, Stream)> {
    let (mut out, mut back) = (Vec::new(), Vec::new());
    for payload in wire.payloads.iter().filter(|p| !p.tcp && is_rtp(&p.bytes)) {
        let heard = part(payload.time, &payload.bytes);
        if payload.from.ip() == phone {
            out.extend(heard);
        } else {
            back.extend(heard);
        }
    }
    let always = Span {
        from: 0.0,
        to: f64::MAX,
    };
    let stream = |name: String, heard| -> Outcome<Stream> {
        let stream = Stream { name, heard };
        stream.must_be_obscure(always)?;
        Ok(stream)
    };
    Ok((
        stream(format!("RTP from {phone}"), out)?,
        stream(format!("RTP to {phone}"), back)?,
    ))
}

/// The packets of a leg whose keys the wire does not show, as they are: nothing of what goes to the phone may be understood,
/// ever. baresip itself speaks in clear until it has its keys.
pub(crate) fn overhear(wire: &Wire, phone: IpAddr, profile: &str) -> Outcome<(Stream, Stream)> {
    let announced = announced(&wire.messages);
    must_announce(&announced, profile)?;
    let (out, back) = packets(wire, &announced, phone);
    let stream = |name: String, packets: Vec<Packet>| Stream {
        name,
        heard: parts(packets),
    };
    let out = stream(format!("RTP from {phone}"), out);
    let back = stream(format!("RTP to {phone}"), back);
    let always = Span {
        from: 0.0,
        to: f64::MAX,
    };
    back.must_be_obscure(always)?;
    Ok((out, back))
}

pub(crate) fn must_announce(announced: &BTreeMap<SocketAddr, Announced>, expected: &str) -> Outcome {
    for (port, end) in announced {
        if let Some(other) = end
            .profiles
            .iter()
            .find(|p| *p != expected && **p != format!("{expected}F"))
        {
            return Err(format!("{port} announced {other}, expected {expected}"));
        }
    }
    Ok(())
}

/// RTP of the announced ports, from the phone and to it.
pub(crate) fn packets(
    wire: &Wire,
    announced: &BTreeMap<SocketAddr, Announced>,
    phone: IpAddr,
) -> (Vec<Packet>, Vec<Packet>) {
    let (mut out, mut back) = (Vec::new(), Vec::new());
    for payload in wire.payloads.iter().filter(|p| !p.tcp && is_rtp(&p.bytes)) {
        if !announced.contains_key(&payload.from) && !announced.contains_key(&payload.to) {
            continue;
        }
        let (time, from) = (payload.time, payload.from);
        let packet = Packet {
            time,
            from,
            bytes: payload.bytes.clone(),
        };
        if from.ip() == phone {
            out.push(packet)
        } else {
            back.push(packet)
        }
    }
    (out, back)
}

impl Stream {
    /// In `span` this must be the tone `hertz`, for that share of it at least, and no other.
    pub(crate) fn must_be(&self, hertz: f64, span: Span, share: f64) -> Outcome {
        let sound = self.sound(span);
        sound.must_be(
            &format!("{} in {:.2}..{:.2}", self.name, span.from, span.to),
            hertz,
            (span.to - span.from) * share,
        )
    }

    /// In `span` there must be audio packets for that share of it at least, none of which can be understood.
    pub(crate) fn must_flow(&self, span: Span, share: f64) -> Outcome {
        let (count, wanted) = (self.count(span) as f64, (span.to - span.from) * share / 0.02);
        if count >= wanted {
            return self.must_be_obscure(span);
        }
        Err(format!(
            "{}: {count} packets in {:.2}..{:.2}, expected {wanted:.0}",
            self.name, span.from, span.to
        ))
    }

    /// Nothing of it may be understood without a key.
    fn must_be_obscure(&self, span: Span) -> Outcome {
        let whole = self.sound(span);
        for hertz in [tone::CALLER, tone::CALLEE, tone::STRANGE] {
            if whole.seconds_of(hertz) > 0.0 {
                return Err(format!("{}: clear {hertz} Hz G.711 on a keyed leg", self.name));
            }
        }
        Ok(())
    }

    /// How many audio packets there are in `span`.
    pub(crate) fn count(&self, span: Span) -> usize {
        self.within(span).count()
    }

    /// In `span` there must be no audio packet.
    pub(crate) fn must_be_still(&self, span: Span) -> Outcome {
        let count = self.count(span);
        if count == 0 {
            return Ok(());
        }
        Err(format!(
            "{}: {count} packets in a hold of {:.1} s",
            self.name,
            span.to - span.from
        ))
    }

    /// How many of the packets in `span` are not in `other`, by their sequence numbers, which the relay
    /// keeps. They may be late there, but not by more than a second.
    pub(crate) fn missing(&self, span: Span, other: &Self) -> usize {
        let later = Span {
            from: span.from,
            to: span.to + 1.0,
        };
        let there: BTreeSet<u16> = other.within(later).map(|heard| heard.sequence).collect();
        self.within(span)
            .filter(|heard| !there.contains(&heard.sequence))
            .count()
    }

    /// The longest gap, in seconds, between two packets of `span` where they come out in `other`, less the pauses that their
    /// sender has made itself: what is beyond its pace of 20 ms. A packet that never came out leaves a gap, too.
    pub(crate) fn longest_gap(&self, span: Span, other: &Self) -> Outcome<f64> {
        const PACE: f64 = 0.02;
        let later = Span {
            to: span.to + 1.0,
            ..span
        };
        let came: BTreeMap<u16, f64> = other.within(later).map(|h| (h.sequence, h.time)).collect();
        let (mut pauses, mut before, mut longest) = (0.0, None, None);
        let mut sent = None;
        for heard in self.within(span) {
            pauses += sent.map_or(0.0, |sent: f64| (heard.time - sent - PACE).max(0.0));
            sent = Some(heard.time);
            let Some(out) = came.get(&heard.sequence) else {
                continue;
            };
            if let Some((was_out, had_paused)) = before {
                let gap: f64 = out - was_out - (pauses - had_paused);
                longest = Some(gap.max(longest.unwrap_or(0.0)));
            }
            before = Some((*out, pauses));
        }
        longest.ok_or_else(|| {
            format!(
                "{}: nothing came out in {:.2}..{:.2}",
                self.name, span.from, span.to
            )
        })
    }

    fn within(&self, span: Span) -> impl Iterator<Item = &Heard> {
        self.heard
            .iter()
            .filter(move |heard| heard.time >= span.from && heard.time < span.to)
    }

    fn sound(&self, span: Span) -> Sound {
        let samples = self
            .within(span)
            .flat_map(|heard| heard.payload.iter().map(|byte| g711(heard.kind, *byte)))
            .collect();
        Sound { rate: 8000, samples }
    }
}

/// Decrypts all packets with the sender's announced keys, none of which may be understood without.
fn decrypt(
    name: String,
    packets: Vec<Packet>,
    announced: &BTreeMap<SocketAddr, Announced>,
    suite: &str,
) -> Outcome<Stream> {
    let raw = Stream {
        name: name.clone(),
        heard: packets.iter().filter_map(|p| part(p.time, &p.bytes)).collect(),
    };
    raw.must_be_obscure(Span {
        from: 0.0,
        to: f64::MAX,
    })?;
    let heard = parts(opened(&name, packets, announced, suite)?);
    Ok(Stream { name, heard })
}

/// Decrypts all packets with the sender's announced keys; one that none of them opens is an error.
pub(crate) fn opened(
    name: &str,
    packets: Vec<Packet>,
    announced: &BTreeMap<SocketAddr, Announced>,
    suite: &str,
) -> Outcome<Vec<Packet>> {
    let mut contexts = contexts(announced, suite)?;
    let mut all = Vec::new();
    for packet in packets {
        let known = contexts
            .get_mut(&packet.from)
            .map(Vec::as_mut_slice)
            .unwrap_or_default();
        let opened = known.iter_mut().find_map(|c| c.decrypt_rtp(&packet.bytes).ok());
        let Some(opened) = opened else {
            return Err(format!(
                "{name}: a packet from {} at {:.3} is not {suite} by any of its {} announced keys: {:02x?}",
                packet.from,
                packet.time,
                known.len(),
                &packet.bytes[..12]
            ));
        };
        all.push(Packet {
            bytes: opened.to_vec(),
            ..packet
        });
    }
    Ok(all)
}

/// Whether it looks like RTP.
pub(crate) fn is_rtp(bytes: &[u8]) -> bool {
    // RFC 5761 §4: RTCP's packet types lie at 192..=223 in the second byte.
    bytes.len() >= 12 && bytes[0] >> 6 == 2 && !(192..=223).contains(&bytes[1])
}

fn parts(packets: Vec<Packet>) -> Vec<Heard> {
    packets.iter().filter_map(|p| part(p.time, &p.bytes)).collect()
}

/// An RTP packet, if it carries G.711.
fn part(time: f64, bytes: &[u8]) -> Option<Heard> {
    let kind = bytes.get(1)? & 0x7f;
    if kind != 0 && kind != 8 {
        return None;
    }
    let sequence = u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]);
    let header = 12 + usize::from(bytes.first()? & 0x0f) * 4;
    let payload = bytes.get(header..)?.to_vec();
    Some(Heard {
        time,
        sequence,
        kind,
        payload,
    })
}

/// One byte of PCMU (0) or PCMA (8), as −1…1.
fn g711(kind: u8, byte: u8) -> f64 {
    let value = if kind == 8 { alaw(byte) } else { ulaw(byte) };
    f64::from(value) / 32768.0
}

fn ulaw(byte: u8) -> i32 {
    let byte = !byte;
    let magnitude = ((i32::from(byte & 0x0f) << 3) + 0x84) << ((byte & 0x70) >> 4);
    if byte & 0x80 == 0 {
        magnitude - 0x84
    } else {
        0x84 - magnitude
    }
}

fn alaw(byte: u8) -> i32 {
    let byte = byte ^ 0x55;
    let (mantissa, segment) = (i32::from(byte & 0x0f) << 4, (byte & 0x70) >> 4);
    let magnitude = match segment {
        0 => mantissa + 8,
        1 => mantissa + 0x108,
        _ => (mantissa + 0x108) << (segment - 1),
    };
    if byte & 0x80 == 0 { -magnitude } else { magnitude }
}
