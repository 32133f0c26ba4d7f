//! "The same but for the version": how a session refresh is told from a change (RFC 3264 §8, RFC 4028 §7.4).

use super::{Plan, Protection, Sdp, StreamPlan, forward};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Whether two descriptions of one party say the same: every line equal but for the version in `o=`.
///
/// An equal version with different lines is a change too: clients forget to count.
pub fn same_session(one: &Sdp, other: &Sdp) -> bool {
    one.origin.same_session(&other.origin) && one.lines == other.lines && one.media == other.media
}

/// Whether the party on the other leg would be told the same by either: addresses, keys and all else that stays on a leg may
/// differ, and so may what an answer says otherwise than an offer.
pub fn crosses_alike(one: &Sdp, other: &Sdp) -> bool {
    let crossing = |sdp: &Sdp| {
        let nowhere = IpAddr::from(Ipv4Addr::UNSPECIFIED);
        let stream = StreamPlan {
            rtp: SocketAddr::new(nowhere, 0),
            rtcp: SocketAddr::new(nowhere, 1),
            mux: false,
            protection: Protection::None,
            feedback: false,
            feedback_attributes: true,
            keys: Vec::new(),
        };
        let plan = Plan {
            origin: one.origin.clone(),
            address: nowhere,
            protection: Protection::None,
            streams: vec![Some(stream); sdp.media.len()],
            answering: None,
        };
        // Refused or not, which no port tells here.
        let active: Vec<bool> = sdp.media.iter().map(super::Media::is_active).collect();
        (forward(sdp, &plan), active)
    };
    crossing(one) == crossing(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_on_a_leg_is_no_news_for_the_other() {
        let sdp = |text: &str| Sdp::parse(text.as_bytes()).unwrap();
        let base = "v=0\no=a 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nm=audio 4 RTP/SAVP 0 8\na=crypto:1 x inline:k\n";
        for (from, to, alike) in [
            ("a 1 1", "b 7 9", true),
            ("192.0.2.1", "192.0.2.2", true),
            ("audio 4", "audio 8", true),
            ("inline:k", "inline:l", true),
            ("0 8", "0", false),
            ("0 8", "8 0", false),
            ("audio 4", "audio 0", false),
            ("a=crypto:1", "a=sendonly\na=crypto:1", false),
            ("a=crypto:1", "a=ptime:30\na=crypto:1", false),
        ] {
            assert_eq!(
                crosses_alike(&sdp(base), &sdp(&base.replace(from, to))),
                alike,
                "{from} {to}"
            );
        }
    }

    #[test]
    fn only_the_version_may_differ() {
        let sdp = |text: &str| Sdp::parse(text.as_bytes()).unwrap();
        let base = sdp("v=0\no=a 1 1 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendrecv\n");
        for (other, same) in [
            (
                "v=0\no=a 1 2 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendrecv\n",
                true,
            ),
            (
                "v=0\no=a 2 1 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendrecv\n",
                false,
            ),
            (
                "v=0\no=a 1 1 IN IP4 h\ns=-\nm=audio 4 RTP/AVP 0\na=sendonly\n",
                false,
            ),
            (
                "v=0\no=a 1 1 IN IP4 h\ns=-\nm=audio 6 RTP/AVP 0\na=sendrecv\n",
                false,
            ),
        ] {
            assert_eq!(same_session(&base, &sdp(other)), same, "{other}");
        }
    }
}
