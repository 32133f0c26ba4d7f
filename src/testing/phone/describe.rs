//! What a phone writes in its session descriptions, and what it makes of those that it hears.

use super::{Hold, Phone, View};
use crate::sdp::{Crypto, Direction, Sdp};
use std::{fmt::Write as _, time::Instant};

impl Phone {
    /// What it wants: to send, to hear.
    pub(super) fn wish(&self) -> Direction {
        match self.hold {
            None => Direction::SendRecv,
            Some(Hold::SendOnly | Hold::BlackHole) => Direction::SendOnly,
            Some(Hold::Inactive) => Direction::Inactive,
        }
    }
    /// Its description: an offer, or the answer to one.
    pub(in crate::testing) fn describe(&mut self, user: &str, offer: Option<&Sdp>) -> String {
        self.version += 1;
        let address = self.rtp.ip();
        let hole = self.hold == Some(Hold::BlackHole);
        let shown = if hole {
            "0.0.0.0".to_owned()
        } else {
            address.to_string()
        };
        let mut out = format!(
            "v=0\r\no={user}-login 77{}01 {} IN IP4 {address}\r\ns={user}@{address}\r\nc=IN IP4 {shown}\r\nt=0 0\r\n",
            user.len(),
            self.version
        );
        let count = match offer {
            Some(offer) => offer.media.len(),
            None => (1 + usize::from(self.video)).max(self.said.as_ref().map_or(0, |said| said.media.len())),
        };
        for index in 0..count {
            let kind = if index == 0 { "audio" } else { "video" };
            let (format, map) = match (index, self.events) {
                (0, true) => ("0 101", "101 telephone-event/8000"),
                (0, false) => ("0", "0 PCMU/8000"),
                _ => ("96", "96 VP8/90000"),
            };
            let offered = offer.map(|offer| (offer, &offer.media[index]));
            let wanted = (index == 0 || self.video)
                && offered.is_none_or(|(_, media)| media.is_active() && media.kind == kind);
            let port = if wanted {
                self.rtp.port() + 2 * index as u16
            } else {
                0
            };
            let proto = match offered {
                Some((_, media)) => media.proto.clone(),
                None if self.dtls.is_some() => "UDP/TLS/RTP/SAVP".to_owned(),
                None if self.secure.is_some() => "RTP/SAVP".to_owned(),
                None => "RTP/AVP".to_owned(),
            };
            let kind = offered.map_or(kind, |(_, media)| &media.kind);
            let _ = write!(out, "m={kind} {port} {proto} {format}\r\n");
            if !wanted {
                continue;
            }
            let direction = match offered {
                Some((offer, media)) => self.wish().and(offer.direction(media).reversed()),
                None => self.wish(),
            };
            let silent = hole || (direction == Direction::SendRecv && !self.writes_sendrecv);
            if !silent {
                let _ = write!(out, "a={}\r\n", direction.name());
            }
            let _ = write!(out, "a=rtpmap:{map}\r\n");
            if index > 0 {
                out.push_str("a=rtcp-fb:96 nack pli\r\n");
            }
            let _ = write!(out, "a=ssrc:{}77{index} cname:{user}-cname\r\n", self.rtp.port());
            self.describe_dtls(&mut out, offered.map(|(offer, _)| offer), index);
            self.describe_zrtp(&mut out, index);
            if let Some(key) = &self.secure {
                let tag = offered.map_or(Some(1), |(_, media)| {
                    let lines = media
                        .attributes("crypto")
                        .filter_map(|value| Crypto::parse(value).ok());
                    lines
                        .into_iter()
                        .find(|line| line.suite == self.suite)
                        .map(|line| line.tag)
                });
                if let Some(tag) = tag {
                    let _ = write!(out, "a=crypto:{tag} {} inline:{key}\r\n", self.suite);
                }
            }
        }
        self.said = Some(Sdp::parse(out.as_bytes()).expect("a phone's own description"));
        out
    }
    /// Takes the server's description: with what it said itself it makes a session.
    pub(in crate::testing) fn hear(&mut self, sdp: Sdp, now: Instant) {
        self.heard.push(sdp.clone());
        self.shake_hands(&sdp, now);
        self.greet_zrtp(&sdp, now);
        let Some(said) = &self.said else { return };
        self.views = said
            .media
            .iter()
            .zip(&sdp.media)
            .map(|(own, theirs)| {
                if !(own.is_active() && theirs.is_active()) {
                    return View::default();
                }
                let (own, direction) = (said.direction(own), sdp.direction(theirs));
                View {
                    sends: own.sends() && direction.receives(),
                    receives: own.receives() && direction.sends(),
                    to: sdp.rtp(theirs),
                    key: theirs
                        .attributes("crypto")
                        .filter_map(|value| Crypto::parse(value).ok())
                        .find(|line| line.suite == self.suite)
                        .map(|line| line.key.to_vec()),
                }
            })
            .collect();
    }
}
