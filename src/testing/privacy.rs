//! What must never be seen on the other leg: everything that one party's dialog, network or device is known by.
//!
//! Identities (From and To) cross on purpose, and so do headers that an application passes on; all else of leg A stays on leg A, and
//! of leg B on leg B.

use super::sim::Who;
use crate::{sdp::Sdp, sip::Message};
use bytes::Bytes;
use std::collections::BTreeSet;

/// What was seen on each leg, and may not be seen on the other.
#[derive(Debug, Default)]
pub struct Privacy {
    a: BTreeSet<String>,
    b: BTreeSet<String>,
    c: BTreeSet<String>,
}

impl Privacy {
    /// Learns from a message on one leg, in either direction. Our own identifiers there count as well.
    pub fn learn(&mut self, side: impl Into<Who>, message: &Message) {
        let known = match side.into() {
            Who::A => &mut self.a,
            Who::B => &mut self.b,
            Who::C => &mut self.c,
        };
        let headers = message.headers();
        let mut found = vec![headers.call_id().expect("Call-ID").to_str().into_owned()];
        for header in [headers.from(), headers.to()].into_iter().flatten() {
            found.extend(header.tag().map(|tag| tag.to_str().into_owned()));
        }
        for value in headers.values("Via") {
            let value = value.to_str().into_owned();
            let host = value.split([' ', ';', ':']).nth(1).unwrap_or_default().to_owned();
            found.push(host);
            for name in ["branch=", "received="] {
                let after = value.split(name).nth(1).unwrap_or_default();
                found.push(after.split([';', ',']).next().unwrap_or_default().to_owned());
            }
        }
        let redirects = matches!(message, Message::Response(response) if response.status.code() / 100 == 3);
        for contact in headers
            .contacts()
            .unwrap_or_default()
            .into_iter()
            .filter(|_| !redirects)
        {
            found.push(contact.uri.host().to_owned());
            found.extend(contact.uri.user().map(str::to_owned));
        }
        if let Some(sdp) = description(message) {
            let origin = &sdp.origin;
            found.extend([origin.username.clone(), origin.id.clone()]);
            found.extend(origin.address.rsplit(' ').next().map(str::to_owned));
            for media in &sdp.media {
                found.extend(sdp.address(media).map(|address| address.to_string()));
                found.extend(
                    media
                        .attributes("crypto")
                        .filter_map(|value| Some(value.split("inline:").nth(1)?.to_owned())),
                );
                found.extend(media.attributes("ssrc").map(str::to_owned));
            }
        }
        // Short ones occur by chance, and "0.0.0.0" is nobody's.
        known.extend(
            found
                .into_iter()
                .filter(|word| word.len() >= 6 && word != "0.0.0.0"),
        );
    }

    /// One more word that only this leg may have.
    pub fn keep(&mut self, side: impl Into<Who>, word: &str) {
        let known = match side.into() {
            Who::A => &mut self.a,
            Who::B => &mut self.b,
            Who::C => &mut self.c,
        };
        known.insert(word.to_owned());
    }

    /// What of the other leg is in a message of this one.
    pub fn leaks(&self, side: impl Into<Who>, bytes: &Bytes) -> Option<&str> {
        let side = side.into();
        let (foreign, other, own) = match side {
            Who::A => (&self.b, &self.c, &self.a),
            Who::B => (&self.a, &self.c, &self.b),
            Who::C => (&self.a, &self.b, &self.c),
        };
        // A redirection that is passed on says where to go instead: that is what it is for.
        let without_contact: Vec<u8>;
        let bytes: &[u8] = if bytes.starts_with(b"SIP/2.0 3") {
            let lines = bytes.split_inclusive(|&byte| byte == b'\n');
            without_contact = lines
                .filter(|line| !line.starts_with(b"Contact:"))
                .flatten()
                .copied()
                .collect();
            &without_contact
        } else {
            bytes
        };
        // The party that a transfer leads to may be where another is: then it has our address there in common.
        let met = |word: &&String| !own.contains(*word);
        let foreign: Box<dyn Iterator<Item = &String>> = match side {
            Who::C => Box::new(foreign.iter().chain(other).filter(met)),
            Who::A | Who::B => Box::new(foreign.iter().chain(other.iter().filter(met))),
        };
        foreign
            .into_iter()
            .find(|word| memchr::memmem::find(bytes, word.as_bytes()).is_some())
            .map(String::as_str)
    }
}

/// The description that a message carries.
pub fn description(message: &Message) -> Option<Sdp> {
    let body = message.body();
    let is_sdp = |kind: &crate::sip::Text| kind.to_str().eq_ignore_ascii_case("application/sdp");
    (!body.is_empty()
        && message
            .headers()
            .get("Content-Type")
            .is_some_and(|kind| is_sdp(&kind)))
    .then(|| Sdp::parse(body).ok())
    .flatten()
}
