//! DTLS-SRTP of one stream of one leg, as offer and answer agree on it (RFC 5763, RFC 8842): which association, who begins
//! it, which certificate the peer shall show. The handshake itself is elsewhere.
//!
//! **Roles.** We offer `actpass`. To `actpass` we answer `passive`, though RFC 5763 §5 prefers `active` for the trip that it
//! saves: a phone behind NAT can begin towards us, not we towards it; and phones that answer each `actpass` with `active`,
//! as most do, then keep their role whoever offers. Once negotiated, a role stays until a new association is signalled.
//!
//! **A new association** is signalled by another fingerprint, another `tls-id`, or a role in an offer that the present one
//! excludes (RFC 8842 §4). Another address alone begins one too (without ICE the 5-tuple is part of it), but the peer is not
//! another party for that: what has keys keeps them until there are new ones.

use crate::{
    sdp::{Fingerprint, Line, Media, Sdp, Setup, TlsId},
    sip::Ids,
};
use std::net::SocketAddr;

/// Most fingerprint lines of a stream that are kept.
const MAX_FINGERPRINTS: usize = 16;

/// Who sends the ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We do (`a=setup:active`).
    Client,
    /// The peer does (`a=setup:passive`).
    Server,
}

/// An association that there should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Association {
    /// Counts the associations that were signalled for this stream.
    pub number: u32,
    /// Our role.
    pub role: Role,
    /// Of the certificates that the peer may show.
    pub fingerprints: Vec<Fingerprint>,
    /// Where the peer's RTP is.
    pub rtp: SocketAddr,
    /// Where its RTCP is; `None` with rtcp-mux: one association for both.
    pub rtcp: Option<SocketAddr>,
}

/// What is negotiated.
#[derive(Clone, Debug, Default)]
pub(super) struct Dtls {
    number: u32,
    role: Option<Role>,
    own_id: Option<TlsId>,
    /// Our answer repeats `tls-id` only to an offer that has one (RFC 8842 §5.3).
    peer_has_id: bool,
    peer_id: Option<TlsId>,
    fingerprints: Vec<Fingerprint>,
}

/// What a description says of one stream's association.
struct Said {
    setup: Setup,
    id: Option<TlsId>,
    fingerprints: Vec<Fingerprint>,
}

/// The lines of that name of a stream: its own, else those of the session.
fn values<'a>(sdp: &'a Sdp, media: &'a Media, name: &'a str) -> impl Iterator<Item = &'a str> {
    let own = media.lines.iter().any(|line| line.is_attribute(name));
    let lines = if own { &media.lines } else { &sdp.lines };
    lines
        .iter()
        .filter(move |line| line.is_attribute(name))
        .filter_map(|line| line.as_attribute()?.1)
}

/// Whether a stream has a certificate's fingerprint.
pub(super) fn has_fingerprint(sdp: &Sdp, media: &Media) -> bool {
    values(sdp, media, "fingerprint").next().is_some()
}

impl Said {
    /// `otherwise`: what no `a=setup` means.
    fn of(sdp: &Sdp, media: &Media, otherwise: Setup) -> Result<Self, &'static str> {
        let fingerprints: Vec<Fingerprint> = values(sdp, media, "fingerprint")
            .take(MAX_FINGERPRINTS)
            .filter_map(|value| match value.parse() {
                Ok(fingerprint) => Some(fingerprint),
                Err(error) => {
                    tracing::debug!(%error, "fingerprint skipped");
                    None
                }
            })
            .collect();
        if fingerprints.is_empty() {
            return Err("no certificate fingerprint that can be checked");
        }
        let setup = match values(sdp, media, "setup").next() {
            None => otherwise,
            Some(value) => value.parse().map_err(|_| "a=setup is none of RFC 4145's")?,
        };
        // One that breaks RFC 8842's rules of length still tells associations apart for its peer; we go without.
        let id = values(sdp, media, "tls-id").find_map(|value| value.parse().ok());
        Ok(Self {
            setup,
            id,
            fingerprints,
        })
    }
}

impl Dtls {
    /// Takes the peer's offer.
    ///
    /// # Errors
    /// Why the stream can have no association.
    pub(super) fn take_offer(&mut self, sdp: &Sdp, media: &Media, ids: &mut Ids) -> Result<(), &'static str> {
        let said = Said::of(sdp, media, Setup::Actpass)?;
        let role = match (said.setup, self.role) {
            (Setup::Actpass, Some(role)) if !self.is_new(&said) => role,
            (Setup::Actpass | Setup::Active, _) => Role::Server,
            (Setup::Passive, _) => Role::Client,
            (Setup::Holdconn, _) => return Err("a=setup:holdconn wants no association"),
        };
        self.peer_has_id = said.id.is_some();
        if self.is_new(&said) || self.role != Some(role) {
            self.renew(ids);
        }
        self.role = Some(role);
        self.take(said);
        Ok(())
    }

    /// Takes the peer's answer to our `actpass`.
    ///
    /// # Errors
    /// Why the stream can have no association.
    pub(super) fn take_answer(&mut self, sdp: &Sdp, media: &Media) -> Result<(), &'static str> {
        let said = Said::of(sdp, media, Setup::Active)?;
        let new = self.is_new(&said);
        self.role = match (said.setup, self.role) {
            // Another role is no new association by itself: a peer that answers each `actpass` alike keeps the one it has.
            (Setup::Active | Setup::Passive | Setup::Actpass, Some(role)) if !new => Some(role),
            // `actpass` is no answer; who sends it has been seen to begin.
            (Setup::Active | Setup::Actpass, _) => Some(Role::Server),
            (Setup::Passive, _) => Some(Role::Client),
            (Setup::Holdconn, _) => return Err("a=setup:holdconn wants no association"),
        };
        self.number += u32::from(new);
        self.take(said);
        Ok(())
    }

    /// Whether the peer means another association than the one that is agreed.
    fn is_new(&self, said: &Said) -> bool {
        let others = |id: &TlsId| self.peer_id.as_ref().is_some_and(|known| known != id);
        let same = said.fingerprints.len() == self.fingerprints.len()
            && said
                .fingerprints
                .iter()
                .all(|one| self.fingerprints.contains(one));
        !same || said.id.as_ref().is_some_and(others)
    }

    /// The next association: its name on our side is new too (RFC 8842 §5.3).
    fn renew(&mut self, ids: &mut Ids) {
        self.number += 1;
        self.own_id = Some(fresh(ids));
    }

    fn take(&mut self, said: Said) {
        self.fingerprints = said.fingerprints;
        if said.id.is_some() {
            self.peer_id = said.id;
        }
    }

    /// The lines of our offer.
    pub(super) fn offer(&mut self, own: &Fingerprint, ids: &mut Ids) -> Vec<Line> {
        let id = self.own_id.get_or_insert_with(|| fresh(ids)).clone();
        lines(own, Setup::Actpass, Some(&id))
    }

    /// The lines of our answer; `None` while no offer was taken.
    pub(super) fn answer(&self, own: &Fingerprint) -> Option<Vec<Line>> {
        let setup = match self.role? {
            Role::Client => Setup::Active,
            Role::Server => Setup::Passive,
        };
        Some(lines(
            own,
            setup,
            self.own_id.as_ref().filter(|_| self.peer_has_id),
        ))
    }

    /// The association, with a peer that is there.
    pub(super) fn association(&self, rtp: SocketAddr, rtcp: Option<SocketAddr>) -> Option<Association> {
        Some(Association {
            number: self.number,
            role: self.role?,
            fingerprints: self.fingerprints.clone(),
            rtp,
            rtcp,
        })
    }
}

fn fresh(ids: &mut Ids) -> TlsId {
    let mut random = [0; 15];
    ids.fill(&mut random);
    TlsId::new(random)
}

fn lines(own: &Fingerprint, setup: Setup, id: Option<&TlsId>) -> Vec<Line> {
    let mut lines = vec![
        Line::attribute(format!("setup:{setup}")),
        Line::attribute(format!("fingerprint:{own}")),
    ];
    lines.extend(id.map(|id| Line::attribute(format!("tls-id:{id}"))));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "sha-1 4A:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";
    const OTHER: &str = "sha-1 5B:AD:B9:B1:3F:82:18:3B:54:02:12:DF:3E:5D:49:6B:19:E5:7C:AB";

    fn description(lines: &str) -> Sdp {
        let text = format!(
            "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\nm=audio 4000 UDP/TLS/RTP/SAVP 0\n{lines}"
        );
        Sdp::parse(text.as_bytes()).unwrap()
    }
    fn said(setup: &str, fingerprint: &str, id: &str) -> Sdp {
        let id = if id.is_empty() {
            String::new()
        } else {
            format!("a=tls-id:{id:x<20}\n")
        };
        description(&format!("a=setup:{setup}\na=fingerprint:{fingerprint}\n{id}"))
    }
    fn offered(dtls: &mut Dtls, sdp: &Sdp) -> Vec<String> {
        let mut ids = Ids::seeded(u64::from(dtls.number) + 3);
        dtls.take_offer(sdp, &sdp.media[0], &mut ids).unwrap();
        let lines = dtls.answer(&OTHER.parse().unwrap()).unwrap();
        lines
            .iter()
            .filter_map(|line| line.text().map(str::to_owned))
            .collect()
    }
    fn state(dtls: &Dtls) -> (u32, Role) {
        let at = "192.0.2.1:4000".parse().unwrap();
        let association = dtls.association(at, None).unwrap();
        (association.number, association.role)
    }

    #[test]
    fn an_offer_is_answered_with_the_role_that_it_leaves_us() {
        for (setup, answer) in [
            ("actpass", "passive"),
            ("active", "passive"),
            ("passive", "active"),
        ] {
            let lines = offered(&mut Dtls::default(), &said(setup, ONE, ""));
            assert_eq!(lines[0], format!("setup:{answer}"), "{setup}");
            assert_eq!(
                lines[1],
                format!("fingerprint:{OTHER}"),
                "our own, never the peer's"
            );
            assert_eq!(lines.len(), 2, "no tls-id to an offer without");
        }
        let refused = said("holdconn", ONE, "");
        let mut dtls = Dtls::default();
        assert!(
            dtls.take_offer(&refused, &refused.media[0], &mut Ids::seeded(1))
                .is_err()
        );
        let lines = offered(&mut Dtls::default(), &said("actpass", ONE, "A"));
        assert!(lines[2].starts_with("tls-id:") && !lines[2].contains("xxx"));
    }

    #[test]
    fn the_fingerprint_may_be_the_sessions_and_one_that_cannot_be_read_is_skipped() {
        let text = format!(
            "v=0\no=- 1 1 IN IP4 192.0.2.1\ns=-\nc=IN IP4 192.0.2.1\nt=0 0\na=fingerprint:md5 AA\na=fingerprint:{ONE}\n\
             a=setup:actpass\nm=audio 4000 UDP/TLS/RTP/SAVP 0\n"
        );
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        let mut dtls = Dtls::default();
        offered(&mut dtls, &sdp);
        assert_eq!(dtls.fingerprints, [ONE.parse().unwrap()]);
        let none = description("a=setup:actpass\na=fingerprint:md5 AA\n");
        assert!(
            dtls.take_offer(&none, &none.media[0], &mut Ids::seeded(1))
                .is_err()
        );
    }

    /// The rule of acceptance #4.
    #[test]
    fn acceptance_4_the_role_stays_until_a_new_association_is_signalled() {
        for (first, role) in [("active", Role::Server), ("passive", Role::Client)] {
            let mut dtls = Dtls::default();
            let mut ids = Ids::seeded(1);
            let ours = dtls.offer(&ONE.parse().unwrap(), &mut ids);
            let answer = said(first, ONE, "A");
            dtls.take_answer(&answer, &answer.media[0]).unwrap();
            let begun = state(&dtls);
            assert_eq!(begun.1, role);
            // The peer offers actpass again; we answer as we are.
            let lines = offered(&mut dtls, &said("actpass", ONE, "A"));
            assert_eq!(state(&dtls), begun);
            let word = if role == Role::Client { "active" } else { "passive" };
            assert_eq!(lines[0], format!("setup:{word}"));
            assert_eq!(lines[2], ours[2].text().unwrap(), "our tls-id stays");
            // We offer again; a peer that answers the other way round has still the same association.
            assert_eq!(dtls.offer(&ONE.parse().unwrap(), &mut ids), ours);
            for word in ["active", "passive"] {
                let answer = said(word, ONE, "A");
                dtls.take_answer(&answer, &answer.media[0]).unwrap();
                assert_eq!(state(&dtls), begun);
            }
        }
    }

    #[test]
    fn a_new_fingerprint_tls_id_or_excluded_role_is_a_new_association() {
        let mut dtls = Dtls::default();
        let first = offered(&mut dtls, &said("actpass", ONE, "A"));
        assert_eq!(state(&dtls), (1, Role::Server));
        let second = offered(&mut dtls, &said("actpass", ONE, "B"));
        assert_eq!(state(&dtls), (2, Role::Server));
        assert_ne!(first[2], second[2], "a new name on our side too");
        offered(&mut dtls, &said("actpass", OTHER, "B"));
        assert_eq!(state(&dtls), (3, Role::Server));
        offered(&mut dtls, &said("passive", OTHER, "B"));
        assert_eq!(state(&dtls), (4, Role::Client));
        // Left out it says nothing.
        offered(&mut dtls, &said("actpass", OTHER, ""));
        assert_eq!(state(&dtls), (4, Role::Client));
        let answer = said("active", ONE, "");
        dtls.take_answer(&answer, &answer.media[0]).unwrap();
        assert_eq!(state(&dtls), (5, Role::Server));
    }
}
