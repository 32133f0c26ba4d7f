//! RTCP as the wire shows it: whole, encrypted where the leg is keyed, and in both directions.

use std::net::{IpAddr, SocketAddr};

use crate::Outcome;
use crate::announced::{announced, contexts};
use crate::capture::Wire;
use crate::pcap::Payload;

/// The compound packets that a leg carried, decrypted.
pub(crate) struct Reports {
    pub(crate) from_phone: Vec<Vec<u8>>,
    pub(crate) to_phone: Vec<Vec<u8>>,
    /// What the phone sent that is not as its leg should be. baresip, where it insists on SRTP, opens
    /// its path with an APP packet in clear and says its RTCP BYE in clear. That is its own affair, but
    /// must go no further.
    pub(crate) refused: Vec<Vec<u8>>,
}

/// Reads all RTCP of a leg. One to the phone that is not what the leg's encryption asks for is an
/// error, and so is none at all in a direction: both phones report every few seconds.
pub(crate) fn reports(wire: &Wire, phone: IpAddr, suite: Option<&str>) -> Outcome<Reports> {
    let announced = announced(&wire.messages);
    let mut contexts = match suite {
        Some(suite) => contexts(&announced, suite)?,
        None => announced.keys().map(|port| (*port, Vec::new())).collect(),
    };
    let mut reports = Reports {
        from_phone: Vec::new(),
        to_phone: Vec::new(),
        refused: Vec::new(),
    };
    for payload in wire.payloads.iter().filter(|p| !p.tcp && is_rtcp(&p.bytes)) {
        // On the port of the audio (RFC 5761) or on the next one (RFC 3550 §11).
        let below = SocketAddr::new(payload.from.ip(), payload.from.port() - 1);
        let sender = if contexts.contains_key(&payload.from) {
            payload.from
        } else {
            below
        };
        let Some(known) = contexts.get_mut(&sender) else {
            continue;
        };
        let opened = match suite {
            None => Some(payload.bytes.clone()),
            Some(_) => known.iter_mut().find_map(|c| open(c, &payload.bytes)),
        };
        let opened = opened.filter(|bytes| is_compound(bytes));
        match (opened, payload.from.ip() == phone) {
            (Some(opened), true) => reports.from_phone.push(opened),
            (Some(opened), false) => reports.to_phone.push(opened),
            (None, true) => reports.refused.push(payload.bytes.clone()),
            (None, false) => return Err(wrong(payload, suite)),
        }
    }
    for (way, seen) in [("from", &reports.from_phone), ("to", &reports.to_phone)] {
        if seen.is_empty() {
            return Err(format!("no RTCP {way} {phone}"));
        }
    }
    Ok(reports)
}

fn wrong(payload: &Payload, suite: Option<&str>) -> String {
    format!(
        "RTCP {} -> {} is not what {} asks for: {:02x?}",
        payload.from,
        payload.to,
        suite.unwrap_or("a plain leg"),
        payload.bytes
    )
}

fn open(context: &mut webrtc_srtp::context::Context, bytes: &[u8]) -> Option<Vec<u8>> {
    // The E bit (RFC 3711 §3.4), before the index and the 80-bit tag: without it the packet is clear.
    // The decrypter would take such a one.
    let encrypted = bytes.len() > 26 && bytes[bytes.len() - 14] & 0x80 != 0;
    context
        .decrypt_rtcp(bytes)
        .ok()
        .filter(|_| encrypted)
        .map(Into::into)
}

fn is_rtcp(bytes: &[u8]) -> bool {
    bytes.len() >= 8 && bytes[0] >> 6 == 2 && (192..=223).contains(&bytes[1])
}

/// RTCP packets that fill the datagram exactly (RFC 3550 §6.1).
fn is_compound(mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        if !is_rtcp(bytes) && bytes.len() != 4 {
            return false;
        }
        let length = usize::from(u16::from_be_bytes([bytes[2], bytes[3]])) * 4 + 4;
        let Some(rest) = bytes.get(length..) else {
            return false;
        };
        bytes = rest;
    }
    true
}
