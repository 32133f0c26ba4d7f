//! A small reader of capture files: classic pcap, Ethernet, IPv4 and IPv6, UDP and TCP.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::Outcome;

/// One UDP datagram, or one direction of a TCP connection, reassembled.
#[derive(Clone, Debug)]
pub(crate) struct Payload {
    /// Seconds since the epoch (for TCP: of its first byte).
    pub(crate) time: f64,
    pub(crate) from: SocketAddr,
    pub(crate) to: SocketAddr,
    pub(crate) tcp: bool,
    pub(crate) bytes: Vec<u8>,
}

struct Segment {
    time: f64,
    from: SocketAddr,
    to: SocketAddr,
    sequence: Option<u32>,
    bytes: Vec<u8>,
}

/// Reads a capture: its datagrams in their order, then its TCP streams.
pub(crate) fn read(path: &Path) -> Outcome<Vec<Payload>> {
    let bytes = fs::read(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let frames = frames(&bytes).ok_or_else(|| format!("{}: not a pcap file", path.display()))?;
    let mut payloads = Vec::new();
    let mut streams: BTreeMap<(SocketAddr, SocketAddr), Vec<Segment>> = BTreeMap::new();
    for (time, frame) in frames {
        let Some(segment) = dissect(time, frame) else {
            continue;
        };
        if segment.sequence.is_some() {
            streams
                .entry((segment.from, segment.to))
                .or_default()
                .push(segment);
        } else {
            let Segment {
                time,
                from,
                to,
                bytes,
                ..
            } = segment;
            payloads.push(Payload {
                time,
                from,
                to,
                tcp: false,
                bytes,
            });
        }
    }
    payloads.extend(streams.into_values().filter_map(reassemble));
    Ok(payloads)
}

fn frames(bytes: &[u8]) -> Option<Vec<(f64, &[u8])>> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    // Little-endian with microseconds (dumpcap -P on this kind of machine), link type Ethernet.
    if word(0)? != 0xa1b2_c3d4 || word(20)? != 1 {
        return None;
    }
    let (mut at, mut frames) = (24, Vec::new());
    while let (Some(seconds), Some(micros), Some(length)) = (word(at), word(at + 4), word(at + 8)) {
        let start = at + 16;
        let end = start + usize::try_from(length).ok()?;
        // A capture that was cut short ends with half a frame.
        let Some(frame) = bytes.get(start..end) else { break };
        frames.push((f64::from(seconds) + f64::from(micros) / 1e6, frame));
        at = end;
    }
    Some(frames)
}

fn dissect(time: f64, frame: &[u8]) -> Option<Segment> {
    let packet = frame.get(14..)?;
    let (from, to, protocol, body) = match u16_at(frame, 12)? {
        0x0800 => {
            let header = usize::from(packet.first()? & 0x0f) * 4;
            let whole = packet.get(..usize::from(u16_at(packet, 2)?))?;
            if u16_at(packet, 6)? & 0x3fff != 0 {
                return None; // a fragment: the rig's MTU is chosen so that there is none
            }
            (
                v4(packet, 12)?,
                v4(packet, 16)?,
                *packet.get(9)?,
                whole.get(header..)?,
            )
        }
        0x86dd => {
            let end = 40 + usize::from(u16_at(packet, 4)?);
            (
                v6(packet, 8)?,
                v6(packet, 24)?,
                *packet.get(6)?,
                packet.get(40..end)?,
            )
        }
        _ => return None,
    };
    let (from, to) = (
        SocketAddr::new(from, u16_at(body, 0)?),
        SocketAddr::new(to, u16_at(body, 2)?),
    );
    let (sequence, bytes) = match protocol {
        17 => (None, body.get(8..)?),
        6 => {
            let sequence = u32::from_be_bytes(body.get(4..8)?.try_into().ok()?);
            (Some(sequence), body.get(usize::from(body.get(12)? >> 4) * 4..)?)
        }
        _ => return None,
    };
    Some(Segment {
        time,
        from,
        to,
        sequence,
        bytes: bytes.to_vec(),
    })
}

/// Puts the segments of one direction in order; retransmitted bytes count once.
fn reassemble(segments: Vec<Segment>) -> Option<Payload> {
    let (time, from, to) = segments.first().map(|s| (s.time, s.from, s.to))?;
    let first = segments.iter().find(|s| !s.bytes.is_empty())?.sequence?;
    let mut pieces: Vec<(u32, Vec<u8>)> = segments
        .into_iter()
        .filter(|s| !s.bytes.is_empty())
        .filter_map(|s| Some((s.sequence?.wrapping_sub(first), s.bytes)))
        .collect();
    pieces.sort_by_key(|(offset, _)| *offset);
    let mut bytes = Vec::new();
    for (offset, piece) in pieces {
        let known = bytes.len().saturating_sub(usize::try_from(offset).ok()?);
        bytes.extend_from_slice(piece.get(known..).unwrap_or_default());
    }
    Some(Payload {
        time,
        from,
        to,
        tcp: true,
        bytes,
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn v4(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
    Some(IpAddr::V4(Ipv4Addr::from(octets)))
}

fn v6(bytes: &[u8], at: usize) -> Option<IpAddr> {
    let octets: [u8; 16] = bytes.get(at..at + 16)?.try_into().ok()?;
    Some(IpAddr::V6(Ipv6Addr::from(octets)))
}
