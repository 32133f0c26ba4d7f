//! The rewrite of a description that crosses the bridge (RFC 3264): pure, from what one leg said to what the other is told.
//!
//! Number and order of m-lines stay; codecs, bandwidth and attributes pass. Addresses, ports, profile and keys are those
//! of the receiving leg. What describes the sender's own leg, or who and where the sender is, stays behind: see [`LEG_ATTRIBUTES`].

use super::{
    Direction, Line, Media, Origin, Protection, Sdp, Transport,
    model::{network, unspecified},
};
use std::net::{IpAddr, SocketAddr};

/// Attributes that never cross: they describe the transport, keys or identity of one leg.
///
/// A trailing `*` means every name that begins so. All other attributes cross as they are, known or not, unless they
/// contain an address of the leg that they come from.
pub const LEG_ATTRIBUTES: &[&str] = &[
    // Keys (RFC 4568, 4567, 5763, 8842, 8827, 6189).
    "crypto",
    "key-mgmt",
    "fingerprint",
    "setup",
    "connection",
    "tls-id",
    "dtls-id",
    "identity",
    "zrtp-hash",
    // Addresses and ports (RFC 8839, 3605, 5761, 8858, 4570; drafts and NAT helpers).
    "candidate",
    "remote-candidates",
    "end-of-candidates",
    "ice-*",
    "rtcp",
    "rtcp-mux",
    "rtcp-mux-only",
    "source-filter",
    "alt",
    "oldmediaip",
    "oldoip",
    "oldcip",
    "oldmediaport",
    "nortpproxy",
    // Bundling and source identifiers (RFC 5888, 9143, 8830, 5576): `cname` names user and host in many clients.
    "mid",
    "group",
    "bundle-only",
    "msid",
    "msid-semantic",
    "ssrc",
    "ssrc-group",
    // What wrote it (RFC 8866 §6.4): the product, and often its host.
    "tool",
    // Capability negotiation (RFC 5939, 6871): it could switch profile and keys behind our back.
    "acap",
    "tcap",
    "pcfg",
    "acfg",
    "csup",
    "creq",
    "sescap",
    "lcfg",
    "mcap",
    "rmcap",
    "mfcap",
    "mscap",
    // Written anew from the plan.
    "sendrecv",
    "sendonly",
    "recvonly",
    "inactive",
];

/// What the receiving leg puts in place of the sender's.
#[derive(Clone, Debug)]
pub struct Plan<'a> {
    /// Our `o=` on that leg.
    pub origin: Origin,
    /// Our media address on that leg, for `c=`.
    pub address: IpAddr,
    /// What protects the streams of that leg: all that an offer says of one which is refused in it.
    pub protection: Protection,
    /// One per m-line; `None`, or none at all, refuses the stream: port 0.
    pub streams: Vec<Option<StreamPlan>>,
    /// The offer of the receiving leg that this description answers; `None` when it is an offer itself.
    pub answering: Option<&'a Sdp>,
}

/// One stream of a [`Plan`].
#[derive(Clone, Debug)]
pub struct StreamPlan {
    /// Our RTP port on that leg.
    pub rtp: SocketAddr,
    /// Our RTCP port on that leg.
    pub rtcp: SocketAddr,
    /// RTCP shares the RTP port: offered, or accepted.
    pub mux: bool,
    /// What protects it.
    pub protection: Protection,
    /// Its profile has feedback (RFC 4585): the F of AVPF. An answer has the profile of its offer.
    pub feedback: bool,
    /// The attributes of feedback may be said: `a=rtcp-fb`, `a=rtcp-rsize`.
    pub feedback_attributes: bool,
    /// Its attributes for keys: `a=crypto`, `a=setup`, `a=fingerprint` and so on.
    pub keys: Vec<Line>,
}

/// Rewrites `received`, the description of one leg, for the other.
///
/// An answer has as many m-lines as its offer, whatever the answering party sent, and never a direction that its offer does
/// not allow (RFC 3264 §6.1): a client that answers `sendonly` without an attribute says `sendrecv` and means `recvonly`.
pub fn forward(received: &Sdp, plan: &Plan<'_>) -> Sdp {
    let hidden = addresses(received);
    let mut lines = vec![
        // The session name is the client's own ("alice@host" in some); RFC 3264 §5 asks for `-`.
        Line::new(b's', "-"),
        Line::new(b'c', network(plan.address)),
    ];
    let kept = |line: &&Line| match line.kind {
        b's' | b'i' | b'u' | b'e' | b'p' | b'c' | b'k' => false,
        b'a' => crosses(line, &hidden),
        _ => true,
    };
    lines.extend(received.lines.iter().filter(kept).cloned());
    if !lines.iter().any(|line| line.kind == b't') {
        let after_bandwidth = lines.iter().rposition(|line| line.kind == b'b').unwrap_or(1) + 1;
        lines.insert(after_bandwidth, Line::new(b't', "0 0"));
    }
    let count = plan
        .answering
        .map_or(received.media.len(), |offer| offer.media.len());
    let media = (0..count).filter_map(|index| {
        let offered = plan.answering.and_then(|offer| offer.media.get(index));
        let said = received.media.get(index);
        match (plan.streams.get(index), said) {
            (Some(Some(stream)), Some(said)) if said.is_active() => {
                let mut direction = received.direction(said);
                if let (Some(offer), Some(offered)) = (plan.answering, offered) {
                    direction = direction.and(offer.direction(offered).reversed());
                }
                Some(forward_media(said, offered, stream, direction, &hidden))
            }
            _ => match (offered, said) {
                (Some(offered), _) => Some(offered.refused()),
                (None, said) => said.map(|said| unwanted(said, plan.protection)),
            },
        }
    });
    Sdp {
        origin: plan.origin.clone(),
        media: media.collect(),
        lines,
    }
}

/// A stream that is refused in an offer. Its profile is one of the receiving leg, as the sender's would tell how that is keyed.
fn unwanted(said: &Media, protection: Protection) -> Media {
    let transport = said.transport().map(|_| Transport {
        protection,
        feedback: false,
    });
    let refused = said.refused();
    Media {
        proto: transport.map_or_else(|| refused.proto.clone(), |transport| transport.name().to_owned()),
        ..refused
    }
}

fn forward_media(
    said: &Media,
    offered: Option<&Media>,
    stream: &StreamPlan,
    direction: Direction,
    hidden: &[String],
) -> Media {
    let kept = |line: &&Line| match line.kind {
        // A title is the client's own text, here as for the session.
        b's' | b'i' | b'u' | b'e' | b'p' | b'c' | b'k' => false,
        b'a' if !stream.feedback_attributes && is_feedback(line) => false,
        b'a' => crosses(line, hidden),
        _ => true,
    };
    let mut lines: Vec<Line> = said.lines.iter().filter(kept).cloned().collect();
    lines.push(Line::attribute(direction.name()));
    if stream.mux {
        lines.push(Line::attribute("rtcp-mux"));
    }
    if stream.rtcp.port() != stream.rtp.port().wrapping_add(1) && !stream.mux {
        lines.push(Line::attribute(format!("rtcp:{}", stream.rtcp.port())));
    }
    lines.extend(stream.keys.iter().cloned());
    let transport = Transport {
        protection: stream.protection,
        feedback: stream.feedback,
    };
    Media {
        kind: said.kind.clone(),
        port: stream.rtp.port(),
        ports: None,
        // RFC 3264 §6: the answer's transport is that of the offer.
        proto: offered.map_or_else(|| transport.name().to_owned(), |offered| offered.proto.clone()),
        formats: said.formats.clone(),
        lines,
    }
}

/// Attributes that mean something with feedback only: RFC 4585 §4.2, RFC 5506 §5.
fn is_feedback(line: &Line) -> bool {
    ["rtcp-fb", "rtcp-rsize"]
        .iter()
        .any(|name| line.is_attribute(name))
}

/// Whether an attribute line may go to the other leg.
fn crosses(line: &Line, hidden: &[String]) -> bool {
    // By bytes: a value that is not UTF-8 makes nothing else of an attribute.
    let name = line.value.split(|&byte| byte == b':').next().unwrap_or_default();
    let own = LEG_ATTRIBUTES
        .iter()
        .any(|listed| match listed.strip_suffix('*') {
            Some(prefix) => name
                .get(..prefix.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes())),
            None => line.is_attribute(listed),
        });
    // An extension that carries `mid` in packets means nothing where no `mid` is.
    let mid_extension = name.eq_ignore_ascii_case(b"extmap") && line.value.ends_with(b"hdrext:sdes:mid");
    !own && !mid_extension && !contains_any(&line.value, hidden)
}

fn contains_any(value: &[u8], hidden: &[String]) -> bool {
    hidden
        .iter()
        .any(|text| memchr::memmem::find(value, text.as_bytes()).is_some())
}

/// The addresses of the leg that a description comes from, as written: a line that contains one stays behind.
fn addresses(sdp: &Sdp) -> Vec<String> {
    let connections = sdp
        .lines
        .iter()
        .chain(sdp.media.iter().flat_map(|media| &media.lines));
    let mut found: Vec<String> = connections
        .filter(|line| line.kind == b'c')
        .filter_map(Line::text)
        .chain([sdp.origin.address.as_str()])
        .filter_map(|value| value.split_ascii_whitespace().nth(2))
        .map(|address| address.split('/').next().unwrap_or(address).to_owned())
        // Single-label names are words too, and "nowhere" is no address.
        .filter(|address| address.contains(['.', ':']))
        .filter(|address| address.parse::<IpAddr>().map_or(true, |ip| ip != unspecified(ip)))
        .collect();
    found.sort();
    found.dedup();
    found
}

#[cfg(test)]
#[path = "forward_tests.rs"]
mod tests;
