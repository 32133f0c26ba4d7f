//! Topology hiding, judged on the wire: nothing that identifies one leg's dialog, its network or its
//! hosts may be seen on the other leg's wire.
//!
//! What the users are called (From, To, the request's URI) passes through on purpose; the phones of
//! these tests are therefore named by domains that are no hosts of the rig. An SSRC passes too: it
//! belongs to the media, which the relay does not rewrite.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::Outcome;
use crate::capture::Wire;
use crate::netns::Side;
use crate::sip_text::{Message, parameter};

/// Where servers and proxies of the tests listen, for either leg: 5060, and 6067 of the shipped
/// configuration.
const SERVER_PORTS: [&str; 2] = ["5060", "6067"];

/// What identifies a leg: the text, and what it is.
type Marks = BTreeMap<String, &'static str>;

/// Scans both ways. `shared` are addresses that belong to neither leg alone: the server's own, where
/// it listens for both on one.
pub(crate) fn scan(wire_a: &Wire, wire_b: &Wire, shared: &[IpAddr]) -> Outcome {
    one_way(wire_a, wire_b, Side::A, shared)?;
    one_way(wire_b, wire_a, Side::B, shared)
}

fn one_way(source: &Wire, seen: &Wire, of: Side, shared: &[IpAddr]) -> Outcome {
    if source.messages.is_empty() {
        return Err(format!("privacy: no SIP was captured on leg {of:?}"));
    }
    let mut marks = marks(&source.messages);
    let hosts = hosts(source, shared);
    for ip in &hosts {
        marks.insert(ip.to_string(), "address");
    }
    marks.retain(|mark, _| !shared.iter().any(|ip| contains_word(mark, &ip.to_string())));
    for message in &seen.messages {
        let text = format!("{}\n{}", message.head_text(), message.body);
        for (mark, what) in &marks {
            if contains_word(&text, mark) {
                return Err(format!(
                    "privacy: leg {of:?}'s {what} {mark:?} is on the other leg's wire, in:\n{text}"
                ));
            }
        }
    }
    numbers(source, seen, of)?;
    // Not only in SIP: RTCP's CNAME, for example, often holds a host.
    for payload in &seen.payloads {
        let text = String::from_utf8_lossy(&payload.bytes);
        if let Some(ip) = hosts.iter().find(|ip| contains_word(&text, &ip.to_string())) {
            return Err(format!(
                "privacy: leg {of:?}'s address {ip} is on the other leg's wire, in a packet {} -> {}: {:?}",
                payload.from,
                payload.to,
                text.chars().take(200).collect::<String>()
            ));
        }
    }
    Ok(())
}

/// Looks for the hosts of `source` in packets of the other leg that the scan could not read.
pub(crate) fn scan_opened(source: &Wire, packets: &[Vec<u8>], shared: &[IpAddr]) -> Outcome {
    let hosts = hosts(source, shared);
    for packet in packets {
        let text = String::from_utf8_lossy(packet);
        if let Some(ip) = hosts.iter().find(|ip| contains_word(&text, &ip.to_string())) {
            return Err(format!("privacy: the other leg's address {ip} is in {text:?}"));
        }
    }
    Ok(())
}

/// All addresses on a wire but the shared ones.
fn hosts(wire: &Wire, shared: &[IpAddr]) -> BTreeSet<IpAddr> {
    let ends = wire.payloads.iter().flat_map(|p| [p.from.ip(), p.to.ip()]);
    ends.filter(|ip| !shared.contains(ip)).collect()
}

fn marks(messages: &[Message]) -> Marks {
    let mut marks = Marks::new();
    let mut mark = |what, text: &str| {
        let text = text.trim();
        // Anything shorter is found everywhere by chance.
        if text.len() >= 4 && !is_user(text) {
            marks.insert(text.to_owned(), what);
        }
    };
    for message in messages {
        message.all("Call-ID").for_each(|id| mark("Call-ID", id));
        for name in ["From", "To"] {
            message
                .all(name)
                .filter_map(|v| parameter(v, "tag"))
                .for_each(|tag| mark("tag", tag));
        }
        for via in message.all("Via") {
            parameter(via, "branch")
                .into_iter()
                .for_each(|branch| mark("branch", branch));
            let sent_by = via
                .split_whitespace()
                .nth(1)
                .and_then(|rest| rest.split(';').next());
            sent_by.into_iter().for_each(|host| mark("Via host", host));
        }
        for name in ["Contact", "Record-Route", "Route"] {
            for uri in message.all(name) {
                let (user, host) = user_and_host(uri);
                mark("user in a Contact or Route", user);
                mark("host in a Contact or Route", host);
                parameter(uri, "+sip.instance")
                    .into_iter()
                    .for_each(|id| mark("instance", id));
            }
        }
        for line in message.sdp("o=").chain(message.sdp("c=")) {
            // 0.0.0.0 is nobody's: who holds says it (RFC 3264 §8.4).
            line.split_whitespace()
                .next_back()
                .filter(|host| *host != "0.0.0.0")
                .into_iter()
                .for_each(|host| mark("SDP host", host));
        }
        for key in message
            .sdp("a=crypto:")
            .filter_map(|line| line.split("inline:").nth(1))
        {
            mark("key", key.split('|').next().unwrap_or_default());
        }
        for (prefix, what) in [
            ("a=ice-ufrag:", "ICE user"),
            ("a=ice-pwd:", "ICE password"),
            ("a=zrtp-hash:", "ZRTP hash"),
            ("a=candidate:", "candidate"),
        ] {
            message.sdp(prefix).for_each(|value| mark(what, value));
        }
        // The server has one certificate for all: only the phones' must not cross.
        if [Side::A, Side::B].map(Side::phone).contains(&message.from.ip()) {
            message
                .sdp("a=fingerprint:")
                .for_each(|value| mark("fingerprint", value));
        }
    }
    marks
}

/// What the users are called, and no more.
fn is_user(text: &str) -> bool {
    matches!(text, "alice" | "bob" | "example.org" | "example.net")
}

/// Numbers that are marks only where they stand: SDP session ids, media ports, SIP ports, and a
/// CSeq that is not a small one.
fn numbers(source: &Wire, seen: &Wire, of: Side) -> Outcome {
    type Pick = fn(&Message) -> Vec<String>;
    let picks: [(&str, Pick); 4] = [
        ("SDP session id", |m| {
            m.sdp("o=")
                .filter_map(|o| word(o, 1))
                .filter(|id| id != "0")
                .collect()
        }),
        ("media port", |m| {
            let ports = m.sdp("m=").filter_map(|line| word(line, 1));
            // The server takes its own from one pool: what one call had on leg A, another may have on B.
            ports
                .filter(|port| port != "0" && !port.starts_with("30"))
                .collect()
        }),
        ("SIP port", |m| {
            let uris = m.all("Contact").map(|uri| user_and_host(uri).1);
            let ports = uris
                .filter_map(|host| host.rsplit_once(':'))
                .map(|(_, port)| port);
            ports
                .filter(|port| !SERVER_PORTS.contains(port))
                .map(str::to_owned)
                .collect()
        }),
        ("CSeq", |m| {
            let number = m.all("CSeq").filter_map(|v| word(v, 0));
            number.filter(|n| n.len() > 4).collect()
        }),
    ];
    for (what, pick) in picks {
        let known: BTreeSet<String> = source.messages.iter().flat_map(pick).collect();
        for message in &seen.messages {
            if let Some(number) = pick(message).into_iter().find(|n| known.contains(n)) {
                return Err(format!(
                    "privacy: leg {of:?}'s {what} {number} is on the other leg's wire, in:\n{}\n{}",
                    message.head_text(),
                    message.body
                ));
            }
        }
    }
    Ok(())
}

fn word(line: &str, n: usize) -> Option<String> {
    line.split_whitespace().nth(n).map(str::to_owned)
}

/// User and `host[:port]` of the first URI in a header value.
fn user_and_host(value: &str) -> (&str, &str) {
    let uri = value.split_once("sip:").map_or("", |(_, rest)| rest);
    let uri = uri.split([';', '>', '?', ',']).next().unwrap_or_default();
    uri.split_once('@').unwrap_or(("", uri))
}

/// Whether `word` is in `text` and not merely a part of a longer word.
fn contains_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric();
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part) && !after.is_some_and(part)
    })
}

/// The scan must notice each kind of leak: one is planted at a time in a copy of what was seen.
pub(crate) fn notices_leaks(wire_a: &Wire, wire_b: &Wire, shared: &[IpAddr]) -> Outcome {
    let mut planted = Vec::new();
    for (mark, what) in marks(&wire_a.messages) {
        if shared.iter().any(|ip| mark.contains(&ip.to_string())) {
            continue;
        }
        if !planted.contains(&what) {
            let mut leaky = wire_b.clone();
            let message = leaky.messages.first_mut().ok_or("no SIP on leg B")?;
            message
                .headers
                .push(("X-Planted".to_owned(), format!("<{mark}>")));
            if one_way(wire_a, &leaky, Side::A, shared).is_ok() {
                return Err(format!("the scan does not notice {what} {mark:?}"));
            }
            planted.push(what);
        }
    }
    for what in ["Call-ID", "tag", "branch", "Via host", "SDP host"] {
        if !planted.contains(&what) {
            return Err(format!("the scan knows no {what} of leg A, only {planted:?}"));
        }
    }
    Ok(())
}
