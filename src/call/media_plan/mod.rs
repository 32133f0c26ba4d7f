//! Which leg speaks what, per stream: ports, keys, profiles; and what the relay is to do about it.
//!
//! An offer works on a copy ([`Session`]) of what is agreed. Only when its answer has come does the copy take the place of the
//! original ([`MediaPlan::commit`]); a refusal forgets it, and with it nothing has changed for the relay. What was *said* on a
//! leg cannot be unsaid, so `o=` versions live outside of the copy, and so do bound ports.

mod adopted;
mod begin;
mod crossing;
mod digits;
mod dtls;
mod flows;
mod formats;
mod guest;
mod key_frames;
mod keying;
mod keyring;
mod leg;
mod pick_up;
mod reserve;
mod session;
mod terms;
mod turn;
mod zrtp;

pub use adopted::Belongings;
pub use dtls::{Association, Role};
use formats::Part;
pub use guest::{Absent, Guest};
use keying::Own;
use keyring::Keyring;
pub use keyring::Party;
use leg::LegState;
pub use leg::asked;
pub use pick_up::Offers;
use reserve::Reserve;
pub use session::Session;
use zrtp::Zrtp;

use super::{
    Encryption, Env, Failure, NatLatching, Origin as By, Sas, Side, bridge::CallSettings, failure::Kind,
};
use crate::media::zrtp::{HelloHash, Zid};
use crate::{
    sdp::{self, Sdp, StreamPlan, model::network},
    sip::{Ids, Status},
};
use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

/// A failure that is answered with 488.
pub(super) fn not_acceptable(by: By, reason: &str) -> Failure {
    Failure::new(Status::NOT_ACCEPTABLE_HERE, by, Kind::NotAcceptable).because(reason)
}

/// The media of one call.
#[derive(Debug)]
pub struct MediaPlan {
    a: Voice,
    b: Voice,
    agreed: Session,
    latching: NatLatching,
    configured: Vec<IpAddr>,
    no_rtp: Option<Duration>,
    rtp_keepalive: Option<Duration>,
    /// Of our certificate; without one there is no DTLS-SRTP.
    fingerprint: Option<sdp::Fingerprint>,
    /// `audio-codec`, `video-codec`.
    codecs: sdp::Codecs,
    zid: Zid,
    /// Leg B becomes plain when its peer does no ZRTP.
    yields: bool,
    /// For a guest.
    reserve: Option<Reserve>,
    /// How often there was one.
    reserves: u32,
}

/// What stays on one leg whatever becomes of an offer.
#[derive(Debug, Default)]
struct Voice {
    /// Our media address on this leg.
    address: Option<IpAddr>,
    /// Our session id in `o=`.
    id: u64,
    version: u64,
    /// The last description that we sent.
    said: Option<Sdp>,
    /// Bound ports: RTP and RTCP.
    ports: BTreeMap<usize, (SocketAddr, SocketAddr)>,
    /// Further addresses that the peer may send from.
    also_from: Vec<IpAddr>,
    /// Keys that were agreed on at the media's ports.
    keys: Keyring,
    zrtp: Option<Zrtp>,
    /// What its users compared, of a call that is over.
    sas: Option<Sas>,
    /// With other forks of the call.
    forks: Vec<Zrtp>,
    /// Counts the associations of this leg.
    associations: u32,
    /// Its peer has said that it takes INFO.
    takes_infos: bool,
}

impl Voice {
    /// Numbers a description: one more than the last if it says something else (RFC 3264 §8).
    fn say(&mut self, mut sdp: Sdp) -> Sdp {
        if let Some(said) = &self.said
            && !sdp::same_session(said, &sdp)
        {
            self.version += 1;
        }
        sdp.origin.version = self.version.to_string();
        self.said = Some(sdp.clone());
        sdp
    }
}

impl MediaPlan {
    /// No media yet.
    pub fn new(settings: &CallSettings, zid: Zid) -> Self {
        Self {
            a: Voice::default(),
            b: Voice::default(),
            agreed: Session::default(),
            latching: NatLatching::Signalled,
            configured: settings.media_addresses.clone(),
            no_rtp: settings.no_rtp,
            rtp_keepalive: settings.rtp_keepalive,
            fingerprint: settings.fingerprint.clone(),
            codecs: settings.codecs.clone(),
            zid,
            yields: false,
            reserve: None,
            reserves: 0,
        }
    }
    /// What is agreed.
    pub fn agreed(&self) -> &Session {
        &self.agreed
    }
    fn voice(&self, side: Side) -> &Voice {
        match side {
            Side::A => &self.a,
            Side::B => &self.b,
        }
    }
    fn voice_mut(&mut self, side: Side) -> &mut Voice {
        match side {
            Side::A => &mut self.a,
            Side::B => &mut self.b,
        }
    }

    /// Takes an offer from one leg into a copy of what is agreed.
    ///
    /// # Errors
    /// 488 when nothing of it can be taken, or not with the encryption that the leg has.
    pub fn take_offer(
        &self,
        session: &mut Session,
        from: Side,
        offer: &Sdp,
        ids: &mut Ids,
    ) -> Result<(), Failure> {
        if self.fingerprint.is_none() && asked(offer) == Encryption::DtlsSrtp {
            return Err(not_acceptable(By::Local, "there is no certificate for DTLS-SRTP"));
        }
        let offer = self.wanted_of(from, offer)?;
        session.leg_mut(from).take_offer(&offer, from, ids)?;
        session.hear(from, &offer, Part::Offer);
        Ok(())
    }

    /// What `to` is offered when the other leg said `received`.
    pub fn offer_to(&mut self, session: &mut Session, to: Side, received: &Sdp, env: &mut Env<'_>) -> Sdp {
        let from = to.other();
        // M-lines never go away (RFC 3264 §8): what the offer left out is refused in its place.
        let mut received = session.speak(to, &self.wanted(received), Part::Offer);
        self.lend_events(session, to, &mut received, Part::Offer);
        if let Some(said) = &self.voice(to).said {
            let missing = said.media.iter().skip(received.media.len());
            received.media.extend(missing.map(sdp::Media::refused));
        }
        // Unknown for an INVITE without offer: then leg A speaks as leg B does.
        let mode = session.leg(from).mode;
        session
            .leg_mut(to)
            .mode
            .get_or_insert(mode.unwrap_or(Encryption::None));
        let (offerer, leg) = match to {
            Side::A => (&session.b, &mut session.a),
            Side::B => (&session.a, &mut session.b),
        };
        let zrtp = leg.mode == Some(Encryption::Zrtp);
        let streams = (0..received.media.len())
            .map(|index| {
                let &ports = self.voice(to).ports.get(&index)?;
                if !offerer.is_active(index) {
                    return None;
                }
                let hello = if zrtp {
                    Some(self.announce(to, index, None, env)?)
                } else {
                    None
                };
                let own = Own {
                    fingerprint: self.fingerprint.as_ref(),
                    hello,
                };
                Some(leg.offer_stream((index, &received.media[index]), ports, own, env.ids))
            })
            .collect();
        leg.streams.truncate(received.media.len());
        let mode = leg.mode;
        self.speak((to, mode), &received, streams, None)
    }

    /// Takes the answer of a leg to what [`Self::offer_to`] said.
    ///
    /// # Errors
    /// 488 when it is not keyed as it was offered: there is no clear fallback.
    pub fn take_answer(&self, session: &mut Session, from: Side, answer: &Sdp) -> Result<(), Failure> {
        let offer = self.voice(from).said.as_ref();
        let offer = offer.ok_or_else(|| not_acceptable(By::Local, "answer without an offer"))?;
        let answer = self.wanted_of(from, answer)?;
        session.leg_mut(from).take_answer(offer, &answer, from)?;
        session.hear(from, &answer, Part::Answer);
        Ok(())
    }

    /// What `to`, who offered, is answered when the other leg said `received`; closes the exchange in `session`.
    pub fn answer_to(
        &mut self,
        session: &mut Session,
        to: Side,
        received: &Sdp,
        env: &mut Env<'_>,
    ) -> Option<Sdp> {
        let offer = session.leg(to).heard.clone()?;
        let mut received = session.speak(to, &self.wanted(received), Part::Answer);
        self.lend_events(session, to, &mut received, Part::Answer);
        let (answerer, leg) = match to {
            Side::A => (&session.b, &mut session.a),
            Side::B => (&session.a, &mut session.b),
        };
        let streams = (0..offer.media.len())
            .map(|index| {
                if !(answerer.is_active(index) && leg.is_active(index)) {
                    leg.drop_stream(index);
                    return None;
                }
                let &ports = self.voice(to).ports.get(&index)?;
                let stream = leg.streams.get(index)?;
                let hello = if stream.is_zrtp() {
                    Some(self.announce(to, index, stream.zrtp_peer(), env)?)
                } else {
                    None
                };
                let own = Own {
                    fingerprint: self.fingerprint.as_ref(),
                    hello,
                };
                leg.answer_stream(index, ports, own)
            })
            .collect();
        let mode = leg.mode;
        let answer = self.speak((to, mode), &received, streams, Some(&offer));
        // Whoever offered sends what we said that we receive.
        for (stream, media) in session.leg_mut(to).streams.iter_mut().zip(&answer.media) {
            stream.sends = media.is_active() && answer.direction(media).receives();
        }
        let active: Vec<bool> = session
            .leg(to)
            .streams
            .iter()
            .map(|stream| stream.active)
            .collect();
        for index in 0..session.leg(to.other()).streams.len() {
            if !active.get(index).copied().unwrap_or(false) {
                session.leg_mut(to.other()).drop_stream(index);
            }
        }
        Some(answer)
    }

    /// What is announced of our ZRTP on a leg.
    fn announce(
        &mut self,
        side: Side,
        index: usize,
        peer: Option<HelloHash>,
        env: &mut Env<'_>,
    ) -> Option<HelloHash> {
        let zid = self.zid;
        self.voice_mut(side).announce(index, peer, zid, env)
    }

    fn speak(
        &mut self,
        (to, mode): (Side, Option<Encryption>),
        received: &Sdp,
        streams: Vec<Option<StreamPlan>>,
        answering: Option<&Sdp>,
    ) -> Sdp {
        let voice = self.voice_mut(to);
        let address = voice.address.unwrap_or(IpAddr::from([0, 0, 0, 0]));
        let plan = sdp::Plan {
            origin: sdp::Origin {
                username: "-".to_owned(),
                id: voice.id.to_string(),
                version: voice.version.to_string(),
                address: network(address),
            },
            address,
            protection: keying::protection(mode.unwrap_or(Encryption::None)),
            streams,
            answering,
        };
        voice.say(sdp::forward(received, &plan))
    }

    /// The answer to a session refresh: an offer that says what its party said last, but for the version (RFC 4028 §7.4).
    /// `None` when it says something new, or no session is agreed.
    pub fn refresh(&mut self, from: Side, offer: &Sdp, env: &mut Env<'_>) -> Option<Sdp> {
        let heard = self.agreed.leg(from).heard.as_ref()?;
        let other = self.agreed.leg(from.other()).heard.clone()?;
        let offered = self.wanted(offer);
        // What was refused and is offered again is asked for anew.
        let leg = self.agreed.leg(from);
        let mut lines = offered.media.iter().enumerate();
        let anew = lines.any(|(index, media)| leg.suits(&offered, media) && !leg.is_active(index));
        if anew || !sdp::same_session(heard, &offered) {
            return None;
        }
        let mut session = self.agreed.clone();
        self.take_offer(&mut session, from, offer, env.ids).ok()?;
        let answer = self.answer_to(&mut session, from, &other, env)?;
        self.agreed = session;
        Some(answer)
    }

    /// Whether an answer came before the answer.
    pub fn is_previewed(&self) -> bool {
        self.agreed.b.heard.is_some()
    }
    /// The last description that we sent on a leg.
    pub fn said(&self, side: Side) -> Option<Sdp> {
        self.voice(side).said.clone()
    }
    /// The description of a leg's peer that is agreed.
    pub fn heard(&self, side: Side) -> Option<Sdp> {
        self.agreed.leg(side).heard.clone()
    }
    /// Answers `offerer` with what the other party said before: it has not answered the new offer, so its former description stands.
    pub fn answer_with_former(
        &mut self,
        session: &mut Session,
        offerer: Side,
        former: &Sdp,
        env: &mut Env<'_>,
    ) -> Option<Sdp> {
        let other = offerer.other();
        *session.leg_mut(other) = self.agreed.leg(other).clone();
        self.answer_to(session, offerer, former, env)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
